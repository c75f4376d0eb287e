/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's types, only the fields that we read. Offsets are relocated at load from the running
 * kernel's BTF (CO-RE), so this builds without it. Sizes of integers must match the kernel's.
 */
#ifndef WIREPROF_TYPES_H
#define WIREPROF_TYPES_H

#include <linux/types.h>
#include <stdbool.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

#ifdef __bpf__
#define RELOCATED __attribute__((preserve_access_index))
#pragma clang attribute push(RELOCATED, apply_to = record)
#else
#define RELOCATED /* compiled for the host: tests/replay */
#endif

struct inode {
	u16 i_mode;
	unsigned long i_ino;
};

struct file {
	struct inode *f_inode;
	void *private_data;
};

struct fdtable {
	u32 max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
	int nr_threads; /* with those that have ended, but are not reaped yet */
	u64 sum_sched_runtime; /* of those that are */
};

struct sched_entity {
	u64 sum_exec_runtime;
};

struct thread_struct {
	unsigned long fsbase; /* x86-64 */
};

struct kernfs_node {
	u64 id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
};

struct task_struct {
	u32 flags;
	int pid;
	int tgid;
	struct task_struct *group_leader;
	char comm[16];
	struct thread_struct thread;
	struct files_struct *files;
	struct signal_struct *signal;
	struct sched_entity se;
	struct css_set *cgroups;
};

struct sock_common {
	u16 skc_dport;
	u16 skc_num;
	u16 skc_family;
};

struct sk_buff_head {
	u32 qlen;
};

struct socket;

struct sock {
	struct sock_common __sk_common;
	struct sk_buff_head sk_receive_queue;
	struct socket *sk_socket;
	u16 sk_type;
	u16 sk_protocol;
};

struct tcp_sock {
	u32 write_seq;
	u32 copied_seq;
};

struct unix_address;

struct unix_sock {
	struct unix_address *addr;
};

struct socket {
	struct file *file;
	struct sock *sk;
};

#ifdef __bpf__
#pragma clang attribute pop
#endif

static __attribute__((always_inline)) inline u32 le24(const u8 *p)
{
	return p[0] | (u32)p[1] << 8 | (u32)p[2] << 16;
}

static __attribute__((always_inline)) inline u32 le32(const u8 *p)
{
	return le24(p) | (u32)p[3] << 24;
}

static __attribute__((always_inline)) inline u64 le64(const u8 *p)
{
	return le32(p) | (u64)le32(p + 4) << 32;
}

#define S_IFMT	     0170000
#define S_IFSOCK     0140000
#define SOCK_STREAM  1
#define AF_UNIX	     1
#define IPPROTO_TCP  6
#define AF_INET	     2
#define AF_INET6     10
#define MSG_PEEK     2
#define PF_EXITING   0x00000004
#define PF_KTHREAD   0x00200000
#define ERRNO_EAGAIN 11

#endif

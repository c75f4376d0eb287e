/* SPDX-License-Identifier: Apache-2.0 */
/* In place of libbpf's, for the host: bpf/ compiles with it as it is. host_unwind.c, conversation.c and those that replay connections have the helpers' bodies. */
#ifndef REPLAY_BPF_HELPERS_H
#define REPLAY_BPF_HELPERS_H

#include <linux/bpf.h>
#include <stddef.h>

#define SEC(name)
#define __uint(name, value) int(*name)[value]
#define __type(name, value) __typeof__(value) *name
#define __array(name, value) __typeof__(value) *name[]
#define barrier_var(variable) __asm__ volatile("" : "+r"(variable))

#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

void *bpf_map_lookup_elem(const void *map, const void *key);
long bpf_map_update_elem(const void *map, const void *key, const void *value, __u64 flags);
long bpf_map_delete_elem(const void *map, const void *key);
long bpf_ringbuf_output(void *map, void *data, __u64 size, __u64 flags);
long bpf_probe_read_kernel(void *to, __u32 size, const void *address);
__u64 bpf_ktime_get_ns(void);
__u64 bpf_jiffies64(void);
__u64 bpf_get_current_pid_tgid(void);
long bpf_probe_read_user(void *to, __u32 size, const void *address);
long bpf_loop(__u32 n, long (*function)(__u32, void *), void *context, __u64 flags);

#endif

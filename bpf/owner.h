/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whom a sample belongs to, resolved when it fires (DESIGN.md, "Who owns a sample"):
 *
 *	sending on a socket		its last message		reply
 *	receiving from a socket		that socket, no message yet	receive
 *	waiting for events		nobody				idle
 *	anything else			the worker's current socket	execute, or none without one
 *
 * The worker is the thread, or the goroutine that it runs: see goroutine.h.
 * A receive of what LOAD DATA LOCAL asked for is part of that command; of a MySQL or MongoDB command that has not come to its
 * end, nothing is executed yet.
 */
#ifndef WIREPROF_OWNER_H
#define WIREPROF_OWNER_H

#include "receive.h"

enum syscall_family { FAMILY_OTHER, FAMILY_SEND, FAMILY_RECEIVE, FAMILY_WAIT, FAMILY_FUTEX };

static __always_inline enum syscall_family syscall_family(s64 nr)
{
	switch (nr) {
	case SYS_WRITE:
	case SYS_WRITEV:
	case SYS_SENDTO:
	case SYS_SENDMSG:
	case SYS_SENDMMSG:
	case SYS_SENDFILE:
		return FAMILY_SEND;
	case SYS_READ:
	case SYS_READV:
	case SYS_RECVFROM:
	case SYS_RECVMSG:
		return FAMILY_RECEIVE;
	case SYS_EPOLL_WAIT:
	case SYS_EPOLL_PWAIT:
	case SYS_EPOLL_PWAIT2:
	case SYS_POLL:
	case SYS_PPOLL:
	case SYS_SELECT:
	case SYS_PSELECT6:
	case SYS_ACCEPT:
	case SYS_ACCEPT4:
	case SYS_NANOSLEEP:
	case SYS_CLOCK_NANOSLEEP:
	case SYS_IO_URING_ENTER:
		return FAMILY_WAIT;
	case SYS_FUTEX:
		return FAMILY_FUTEX;
	}
	return FAMILY_OTHER;
}

/* The socket's inode number: no two sockets have the same. */
static __always_inline u32 socket_inode(struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_socket, file, f_inode, i_ino);
}

/* The socket behind a descriptor of the task, or NULL. */
static __noinline struct sock *socket_of(struct task_struct *task, u64 fd)
{
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);
	struct file **table = BPF_CORE_READ(fdt, fd);
	struct file *file = NULL;
	struct socket *socket;

	if (!fdt || fd >= BPF_CORE_READ(fdt, max_fds))
		return NULL;
	if (bpf_probe_read_kernel(&file, sizeof(file), table + fd) || !file)
		return NULL;
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = BPF_CORE_READ(file, private_data);
	return socket ? BPF_CORE_READ(socket, sk) : NULL;
}

static __always_inline bool is_tcp(struct sock *sk)
{
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	return (family == AF_INET || family == AF_INET6) && BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP;
}

static __always_inline void describe_socket(struct sample_event *e, struct sock *sk)
{
	struct unix_sock *u = (struct unix_sock *)sk;

	e->family = BPF_CORE_READ(sk, __sk_common.skc_family);
	e->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	if (e->family == AF_UNIX) {
		e->local_port = 0;
		if (BPF_CORE_READ(u, addr))
			e->flags |= SOCKET_NAMED;
	}
}

/* The proof that a connection would leave now: see struct receive. */
static __always_inline u32 proof_now(struct sock *sk)
{
	return is_tcp(sk) ? BPF_CORE_READ((struct tcp_sock *)sk, copied_seq) : hook_epoch;
}

static __always_inline u32 age_of(u32 began)
{
	return (u32)bpf_jiffies64() - began;
}

/* Fills in what is known of the message; the bytes follow in copy_request(). `reader`: whose it must be; 0: anybody's. */
static __always_inline struct socket_slot *describe_request(struct sample_event *e, u64 sock, u64 reader)
{
	struct socket_slot *slot = slot_find(sock);
	struct buffer_owner *owner;
	u32 i;

	if (!slot || slot->tgid != e->h.pid || !slot->received || (reader && slot->reader != reader))
		return NULL;
	e->flags |= REQUEST_KNOWN;
	e->age = age_of(slot->since);
	e->received = slot->received;
	e->last_received = slot->last;
	i = buffer_index(slot->buffer);
	owner = bpf_map_lookup_elem(&buffers, &i);
	if (owner && owner->buffer == slot->buffer && owner->sock != sock)
		e->flags |= REQUEST_REUSED;
	return slot;
}

/* Whose request the sample is: in one of the maps, or none. */
struct owner {
	u64 sock;
	struct mysql_connection *mysql;
	struct mongo_connection *mongo;
	struct socket_slot *slot;
};

static __always_inline void describe_mysql(struct sample_event *e, const struct mysql_connection *c, u64 sock)
{
	e->flags |= REQUEST_KNOWN | REQUEST_MYSQL;
	e->received = e->last_received = c->received;
	e->mysql = c->flags;
	e->command = c->command;
	e->commands = c->commands;
	e->statement = c->statement;
	e->sock = sock;
	e->since_ns = c->since_ns;
	e->age = age_of(c->began);
}

static __always_inline void describe_mongo(struct sample_event *e, const struct mongo_connection *c)
{
	e->flags |= REQUEST_KNOWN | REQUEST_MONGO;
	e->received = e->last_received = c->received;
	e->age = age_of(c->began);
}

/* Nothing is known, and what would be known came while the hook was not attached, or before it ever was. */
static __always_inline void owner_missed(struct sample_event *e, struct owner *owner)
{
	owner->mysql = NULL;
	owner->mongo = NULL;
	owner->slot = NULL;
	e->flags |= REQUEST_MISSED;
}

/* On its way out of a socket: that socket's last message, if none came since that the hook did not see. */
static __always_inline void owner_by_reply(struct sample_event *e, struct sock *sk, struct owner *owner)
{
	u32 proof = proof_now(sk);

	e->phase = PHASE_REPLY;
	owner->mysql = bpf_map_lookup_elem(&connections, &owner->sock);
	if (!owner->mysql)
		owner->mongo = bpf_map_lookup_elem(&mongo_connections, &owner->sock);
	if (!owner->mysql && !owner->mongo)
		owner->slot = slot_find(owner->sock);
	if (hook_is_off)
		owner_missed(e, owner);
	else if (owner->mysql && owner->mysql->proof == proof)
		describe_mysql(e, owner->mysql, owner->sock);
	else if (owner->mongo && owner->mongo->proof == proof)
		describe_mongo(e, owner->mongo);
	else if (owner->slot && owner->slot->proof == proof)
		owner->slot = describe_request(e, owner->sock, 0);
	else
		owner_missed(e, owner);
}

/* On its way into a socket: no message yet, but for what LOAD DATA LOCAL has asked for. */
static __always_inline void owner_by_receive(struct sample_event *e, const struct worker *worker, struct owner *owner)
{
	struct mysql_connection *c = bpf_map_lookup_elem(&connections, &owner->sock);

	e->phase = PHASE_RECEIVE;
	if (!c || !(c->flags & MYSQL_DATA) || c->flags & MYSQL_ENCRYPTED || !worker || worker->epoch != hook_epoch || hook_is_off)
		return;
	e->phase = PHASE_EXECUTE;
	owner->mysql = c;
	describe_mysql(e, c, owner->sock);
}

static __always_inline void owner_of_mysql(struct sample_event *e, const struct worker *worker, struct owner *owner)
{
	owner->mysql = bpf_map_lookup_elem(&connections, &owner->sock);
	if (owner->mysql && owner->mysql->reader != worker->who) {
		/* Another thread of the pool has read the next command. */
		owner->mysql = NULL;
		return;
	}
	if (owner->mysql && (worker->has_header || !mysql_executes(owner->mysql))) {
		owner->mysql = NULL;
		e->phase = PHASE_RECEIVE;
		return;
	}
	e->phase = PHASE_EXECUTE;
	if (owner->mysql)
		describe_mysql(e, owner->mysql, owner->sock);
	else
		count(COUNTER_REQUEST_LOST);
}

static __always_inline void owner_of_mongo(struct sample_event *e, const struct worker *worker, struct owner *owner)
{
	owner->mongo = bpf_map_lookup_elem(&mongo_connections, &owner->sock);
	if (owner->mongo && owner->mongo->reader != worker->who) {
		owner->mongo = NULL;
		return;
	}
	if (owner->mongo && !mongo_executes(owner->mongo)) {
		owner->mongo = NULL;
		e->phase = PHASE_RECEIVE;
		return;
	}
	e->phase = PHASE_EXECUTE;
	if (owner->mongo)
		describe_mongo(e, owner->mongo);
	else
		count(COUNTER_REQUEST_LOST);
}

/*
 * Whether the worker still serves what it served when the hook was detached: nothing was received since, nothing was sent.
 * Of sockets that are not TCP's that cannot be told.
 */
static __always_inline bool still_serves(const struct worker *worker)
{
	struct sock *sk = (struct sock *)worker->sock;
	u64 sock = worker->sock;
	struct mysql_connection *mysql;
	struct mongo_connection *mongo;
	struct socket_slot *slot;
	u32 proof, write_seq;

	if (!is_tcp(sk))
		return false;
	proof = BPF_CORE_READ((struct tcp_sock *)sk, copied_seq);
	write_seq = BPF_CORE_READ((struct tcp_sock *)sk, write_seq);
	if (worker->protocol == PROTOCOL_MYSQL) {
		mysql = bpf_map_lookup_elem(&connections, &sock);
		return mysql && mysql->proof == proof && mysql->write_seq == write_seq;
	}
	if (worker->protocol == PROTOCOL_MONGO) {
		mongo = bpf_map_lookup_elem(&mongo_connections, &sock);
		return mongo && mongo->proof == proof && mongo->write_seq == write_seq;
	}
	slot = slot_find(sock);
	return slot && slot->proof == proof && slot->write_seq == write_seq;
}

static __always_inline void owner_of_worker(struct sample_event *e, const struct worker *worker, struct owner *owner)
{
	owner->sock = worker->sock;
	describe_socket(e, (struct sock *)worker->sock);
	if (hook_is_off || (worker->epoch != hook_epoch && !still_serves(worker))) {
		owner_missed(e, owner);
		return;
	}
	if (worker->protocol == PROTOCOL_MYSQL) {
		owner_of_mysql(e, worker, owner);
		return;
	}
	if (worker->protocol == PROTOCOL_MONGO) {
		owner_of_mongo(e, worker, owner);
		return;
	}
	e->phase = PHASE_EXECUTE;
	owner->slot = describe_request(e, worker->sock, worker->who);
	if (!owner->slot)
		count(COUNTER_REQUEST_LOST);
}

static __always_inline struct worker *sampled_worker(struct task_struct *task, const struct target *target)
{
	struct thread_state *thread;

	if (target->go.generation)
		return goroutine_worker(task, &target->go, false);
	thread = bpf_task_storage_get(&threads, task, 0, 0);
	return thread ? &thread->worker : NULL;
}

/* Decides phase and owner. */
static __always_inline struct owner owner_resolve(struct sample_event *e, struct task_struct *task, const struct target *target,
						  const struct syscall_regs *call)
{
	struct worker *worker = sampled_worker(task, target);
	enum syscall_family family = syscall_family(call->nr);
	struct owner owner = {};
	struct sock *sk = NULL;

	if (worker && worker->bypass)
		e->flags |= REQUEST_BYPASS;
	if (family == FAMILY_SEND || family == FAMILY_RECEIVE)
		sk = socket_of(task, call->arg0);
	if (sk) {
		owner.sock = (u64)sk;
		describe_socket(e, sk);
	}
	if (sk && family == FAMILY_SEND)
		owner_by_reply(e, sk, &owner);
	else if (sk)
		owner_by_receive(e, worker, &owner);
	else if (family == FAMILY_WAIT || (family == FAMILY_FUTEX && (!worker || !worker->sock)))
		e->phase = PHASE_IDLE;
	else if (worker && worker->sock)
		owner_of_worker(e, worker, &owner);
	else if (worker && worker->epoch != hook_epoch)
		owner_missed(e, &owner);
	return owner;
}

#endif

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The programs: one sampler, one receive hook (of two, the user side loads the one this kernel has), and
 * three that follow processes.
 */
#include "types.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <linux/bpf_perf_event.h>
#include "receive.h"
#include "owner.h"
#include "target.h"
#include "unwind.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

bool without_user_stacks; /* to measure what they take (tests/bench) */

/* ---- the sampler ---- */

/* Appends the message's bytes at data[at]; returns where they end. */
static __always_inline u32 copy_request(struct scratch *s, const struct socket_slot *slot, u32 at)
{
	struct sample_event *e = &s->event;
	struct head_copy *head = head_of(slot);
	u32 n = slot->head_bytes;

	if (head && head->sock == slot->sock && n <= HEAD_BYTES && at <= MAX_FRAMES * 8 &&
	    !bpf_probe_read_kernel(&s->data[at], n, head->bytes)) {
		e->head_bytes = n;
		at += n;
	}
	n = slot->last < TAIL_BYTES ? slot->last : TAIL_BYTES;
	if (at > MAX_FRAMES * 8 + HEAD_BYTES)
		return at;
	if (bpf_probe_read_user(&s->data[at], n, (void *)slot->buffer)) {
		e->flags |= REQUEST_NO_READ;
		count(COUNTER_REQUEST_UNREADABLE);
		return at;
	}
	e->tail_bytes = n;
	return at + n;
}

/* Appends `n` bytes of a map's at data[at]; returns whether that was done. */
static __always_inline bool copy_bytes(struct scratch *s, u32 at, u32 n, u32 most, const void *from)
{
	barrier_var(at);
	barrier_var(n);
	return at <= MAX_FRAMES * 8 + HEAD_BYTES && n <= most && n <= TAIL_BYTES &&
	       !bpf_probe_read_kernel(&s->data[at], n, from);
}

/* The same for a command that was copied when it came: its stream, or that of the one that it is about (`about`, or NULL). */
static __always_inline u32 copy_command(struct scratch *s, const struct prepared_statement *about, const void *stream, u32 n, u32 at)
{
	struct sample_event *e = &s->event;

	if (about) {
		e->flags |= REQUEST_PREPARED;
		stream = about->stream;
		n = about->bytes;
	}
	if (copy_bytes(s, at, n, STREAM_BYTES, stream)) {
		e->tail_bytes = n;
		at += n;
	}
	return at;
}

/* Of MySQL, with its origin before that. */
static __always_inline u32 copy_mysql(struct scratch *s, const struct mysql_connection *c, u64 sock, u32 at)
{
	if (copy_bytes(s, at, c->origin_bytes, ORIGIN_BYTES, c->origin)) {
		s->event.head_bytes = c->origin_bytes;
		at += s->event.head_bytes;
	}
	return copy_command(s, mysql_prepared(c, sock), c->stream, c->bytes, at);
}

/* Of MongoDB, with its end before that. */
static __always_inline u32 copy_mongo(struct scratch *s, const struct mongo_connection *c, u32 at)
{
	if (copy_bytes(s, at, c->end_bytes, END_BYTES, c->end)) {
		s->event.head_bytes = c->end_bytes;
		at += s->event.head_bytes;
	}
	return copy_command(s, mongo_opener(c, s->event.h.pid), c->stream, c->bytes, at);
}

/* Where the user code stands, and on which system call it waits. */
static __always_inline void start_regs(struct bpf_perf_event_data *ctx, struct task_struct *task,
				       struct sample_event *e, struct frame_regs *regs,
				       struct syscall_regs *call)
{
	struct pt_regs___kernel *user = (void *)bpf_task_pt_regs(task);

	arch_user_regs(user, regs);
	call->nr = -1;
	call->arg0 = 0;
	if (ARCH_IN_USER_MODE(&ctx->regs))
		return;
	e->flags |= SAMPLE_KERNEL_MODE;
	if (task->flags & PF_KTHREAD)
		return;
	call->nr = (s64)user->orig_ax;
	call->arg0 = user->di;
}

SEC("perf_event")
int sample(struct bpf_perf_event_data *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 tgid = id >> 32, zero = 0, cpu = bpf_get_smp_processor_id(), at;
	struct owner owner;
	struct syscall_regs call;
	struct task_struct *task;
	struct sample_event *e;
	struct target *target;
	struct scratch *s;
	struct unwind *u;
	struct clock *clock;
	long n;

	task = bpf_get_current_task_btf();
	target = sampled_target(task, tgid);
	if (!target)
		return 0;
	clock = bpf_map_lookup_elem(&clocks, &cpu);
	s = bpf_map_lookup_elem(&scratch, &zero);
	if (!clock || !s)
		return 0;
	count(COUNTER_SAMPLES);
	count_more(COUNTER_TARGET_NS, clock->period_ns);
	e = &s->event;
	u = &s->unwind;
	__builtin_memset(e, 0, sizeof(*e));
	e->h.type = EVENT_SAMPLE;
	e->h.pid = tgid;
	e->h.time_ns = bpf_ktime_get_ns();
	e->tid = (u32)id;
	e->period_ns = clock->period_ns;
	if (hook_is_off)
		e->flags = SAMPLE_UNTAGGED;
	bpf_get_current_comm(e->thread, sizeof(e->thread));

	start_regs(ctx, task, e, &u->regs, &call);
	if (e->flags & SAMPLE_KERNEL_MODE) {
		n = bpf_get_stack(ctx, s->data, MAX_KERNEL_FRAMES * 8, 0);
		if (n > 0)
			e->n_kernel = (u32)n / 8;
	}
	owner = owner_resolve(e, task, target, &call);

	u->n = 0;
	if (!without_user_stacks && !(task->flags & PF_KTHREAD)) {
		unwind_user(s, target->maps, e->n_kernel);
		e->stop = u->stop;
		if (u->guessed) {
			count_more(COUNTER_GUESSED_FRAMES, u->guessed);
			count(COUNTER_GUESSED_SAMPLES);
		}
	}
	e->n_user = u->n;

	at = (e->n_kernel + u->n) * 8;
	if (owner.mysql)
		at = copy_mysql(s, owner.mysql, owner.sock, at);
	else if (owner.mongo)
		at = copy_mongo(s, owner.mongo, at);
	else if (owner.slot)
		at = copy_request(s, owner.slot, at);
	if (at > sizeof(s->data))
		return 0;
	n = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);
	if (bpf_ringbuf_output(&ring, s, sizeof(*e) + at,
			       n > ring_wake_bytes || clock->rests || e->stop == STOP_NO_MAPS || e->stop == STOP_NO_MAPPING ||
					       e->stop == STOP_NO_TABLE
				       ? BPF_RB_FORCE_WAKEUP
				       : BPF_RB_NO_WAKEUP))
		count(COUNTER_SAMPLES_LOST);
	count_more(COUNTER_SAMPLE_NS, bpf_ktime_get_ns() - e->h.time_ns);
	return 0;
}

/* ---- the receive hook ---- */

/* Linux 6.3 and later: fires behind every receive on a socket. */
SEC("tp_btf/sock_recv_length")
int BPF_PROG(receive_tracepoint, struct sock *sk, int ret, int flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread_state *thread = thread_state(task);
	struct receive r = {.bytes = ret};
	struct pt_regs___kernel *regs;
	struct tcp_sock *tcp = NULL;
	struct worker *worker;

	if (!thread) {
		count(COUNTER_RECEIVES_OF_OTHERS);
		return 0;
	}
	count(COUNTER_RECEIVES);
	if (flags & MSG_PEEK)
		return 0;
	r.family = sk->__sk_common.skc_family;
	if (!receive_wanted(r.family, sk->sk_type))
		return 0;
	worker = worker_of(task, thread, ret > 0);
	if (!worker)
		return 0;
	worker_wakes(worker);
	regs = (void *)bpf_task_pt_regs(task);
	r.tgid = task->tgid;
	r.buffer = first_buffer(regs->orig_ax, regs->si, regs->dx, &r.wanted);
	r.sock = pointer_number(thread, sk);
	if (r.family == AF_UNIX) {
		r.queued = sk->sk_receive_queue.qlen;
	} else {
		tcp = (void *)bpf_skc_to_tcp_sock(sk);
		r.port = sk->__sk_common.skc_num;
		r.write_seq = tcp ? tcp->write_seq : 0;
	}
	prove(&r, tcp, tcp ? tcp->copied_seq : 0);
	if (mysql_notes_header(worker, &r))
		return 0;
	if ((may_be_mysql(worker, &r) || may_be_mongo(worker, &r)) && sk->sk_socket && sk->sk_socket->file)
		r.inode = sk->sk_socket->file->f_inode->i_ino;
	receive(worker, &r);
	return 0;
}

/* What a worker that awaits it sends; `first` bytes of it lie at `buffer`. */
static __always_inline void reply(struct worker *worker, u64 sock, u64 buffer, u32 first, u32 bytes)
{
	if (worker->protocol == PROTOCOL_MONGO && bytes > first)
		worker->awaits_reply = 0; /* a vector */
	else if (worker->protocol == PROTOCOL_MONGO)
		mongo_reply(worker, sock, buffer, bytes);
	else
		mysql_reply(worker, sock, buffer, bytes);
}

/* The worker whose reply this may be; NULL: none. A goroutine may have come to a thread that never received anything. */
static __always_inline struct worker *replier(struct task_struct *task, struct thread_state *thread, s32 bytes)
{
	struct worker *worker;

	if (!thread || bytes <= 0)
		return NULL;
	worker = worker_of(task, thread, false);
	return worker && worker->awaits_reply && worker->epoch == hook_epoch ? worker : NULL;
}

static __always_inline int send_sys_exit(struct pt_regs___kernel *regs, s64 nr, s32 bytes)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct worker *worker = replier(task, thread_state(task), bytes);
	struct sock *sk;
	u32 first = 0;
	u64 buffer;

	if (!worker)
		return 0;
	sk = socket_of(task, BPF_CORE_READ(regs, di));
	buffer = first_buffer(nr, BPF_CORE_READ(regs, si), BPF_CORE_READ(regs, dx), &first);
	if (sk && buffer)
		reply(worker, (u64)sk, buffer, first, bytes);
	return 0;
}

/* A function of its own, as there is little room on the stack. */
static __noinline int look_at_socket(struct receive *r, struct sock *sk)
{
	if (r->family == AF_UNIX) {
		r->queued = BPF_CORE_READ(sk, sk_receive_queue.qlen);
	} else {
		r->port = BPF_CORE_READ(sk, __sk_common.skc_num);
		r->write_seq = BPF_CORE_READ((struct tcp_sock *)sk, write_seq);
	}
	prove(r, is_tcp(sk), BPF_CORE_READ((struct tcp_sock *)sk, copied_seq));
	return 0;
}

/* Older kernels: every system call of the machine passes here, so leave early. */
SEC("raw_tp/sys_exit")
int receive_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs___kernel *regs = (void *)ctx->args[0];
	struct receive r = {.bytes = (s32)ctx->args[1]};
	s64 nr = (s64)BPF_CORE_READ(regs, orig_ax);
	struct thread_state *thread;
	struct worker *worker;
	struct task_struct *task;
	struct sock *sk;

	if (syscall_family(nr) != FAMILY_RECEIVE) {
		count(COUNTER_RECEIVES_OF_OTHERS);
		return syscall_family(nr) == FAMILY_SEND ? send_sys_exit(regs, nr, r.bytes) : 0;
	}
	task = bpf_get_current_task_btf();
	thread = thread_state(task);
	if (!thread) {
		count(COUNTER_RECEIVES_OF_OTHERS);
		return 0;
	}
	count(COUNTER_RECEIVES);
	worker = worker_of(task, thread, r.bytes > 0);
	if (!worker)
		return 0;
	if (nr == SYS_RECVFROM && BPF_CORE_READ(regs, r10) & MSG_PEEK)
		return 0;
	if (nr == SYS_RECVMSG && BPF_CORE_READ(regs, dx) & MSG_PEEK)
		return 0;
	sk = socket_of(task, BPF_CORE_READ(regs, di));
	if (!sk)
		return 0;
	r.family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (!receive_wanted(r.family, BPF_CORE_READ(sk, sk_type)))
		return 0;
	worker_wakes(worker);
	r.tgid = task->tgid;
	r.buffer = first_buffer(nr, BPF_CORE_READ(regs, si), BPF_CORE_READ(regs, dx), &r.wanted);
	r.sock = (u64)sk;
	look_at_socket(&r, sk);
	if (mysql_notes_header(worker, &r))
		return 0;
	if (may_be_mysql(worker, &r) || may_be_mongo(worker, &r))
		r.inode = socket_inode(sk);
	receive(worker, &r);
	return 0;
}

/* ---- the send hook: attached once a MySQL connection needs it (mysql.h) ---- */

SEC("tp_btf/sock_send_length")
int BPF_PROG(send_tracepoint, struct sock *sk, int ret, int flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread_state *thread = thread_state(task);
	struct worker *worker = replier(task, thread, ret);
	struct pt_regs___kernel *regs;
	u32 first = 0;
	u64 buffer;

	if (!worker)
		return 0;
	regs = (void *)bpf_task_pt_regs(task);
	buffer = first_buffer(regs->orig_ax, regs->si, regs->dx, &first);
	if (buffer)
		reply(worker, pointer_number(thread, sk), buffer, first, ret);
	return 0;
}

/* ---- processes come and go ---- */

/* A target's child is a target from its first instruction on, with its parent's mappings until it has its own. */
SEC("raw_tp/sched_process_fork")
int process_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *parent = (void *)ctx->args[0], *child = (void *)ctx->args[1];
	u32 parent_tgid = BPF_CORE_READ(parent, tgid), child_tgid = BPF_CORE_READ(child, tgid);
	struct target *target, copy;

	if (parent_tgid == child_tgid || rule.kind == RULE_ALL) /* those that live for a moment only would cost more than they use */
		return 0;
	target = bpf_map_lookup_elem(&targets, &parent_tgid);
	if (!target)
		return 0;
	copy = *target;
	if (bpf_map_update_elem(&targets, &child_tgid, &copy, BPF_ANY)) {
		count(COUNTER_TARGETS_FULL);
		return 0;
	}
	send_process_event(EVENT_FORK, child_tgid, parent_tgid);
	return 0;
}

SEC("raw_tp/sched_process_exec")
int process_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u32 tgid = task->tgid;
	struct target *target = bpf_map_lookup_elem(&targets, &tgid);
	struct thread_state *thread;

	if (!target && rule.kind != RULE_ALL) /* likewise */
		join(task, tgid);
	if (!target)
		return 0;
	/* Neither the parent's mappings, nor what program it is, nor a request survive. */
	target->maps = target->flags = target->go.generation = 0;
	thread = bpf_task_storage_get(&threads, task, 0, 0);
	if (thread)
		thread->worker.sock = thread->go.generation = 0;
	send_process_event(EVENT_EXEC, tgid, 0);
	return 0;
}

/*
 * CPU time of the process whose last thread this is. Not known while another is not reaped yet: the first thread stays so until
 * all others are gone.
 */
static __always_inline u64 cpu_of_last(struct task_struct *task)
{
	if (BPF_CORE_READ(task, signal, nr_threads) > 1)
		return CPU_NOT_KNOWN;
	return BPF_CORE_READ(task, signal, sum_sched_runtime) + task->se.sum_exec_runtime;
}

SEC("raw_tp/sched_process_exit")
int process_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u32 tgid = task->tgid;

	if (!bpf_map_lookup_elem(&targets, &tgid))
		return 0;
	if (BPF_CORE_READ(task, signal, live.counter) > 0)
		return 0; /* other threads go on */
	bpf_map_delete_elem(&targets, &tgid);
	send_process_event_with(EVENT_EXIT, tgid, 0, cpu_of_last(task));
	return 0;
}

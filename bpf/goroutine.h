/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who works: a thread, or in a Go program a goroutine, as that moves between threads and a thread serves many.
 *
 *	fs base + tls -> g -> goid		the goroutine, where its own stack runs
 *			   -> m -> curg -> goid	where a system stack runs, whose goid is 0: what it does for the goroutine
 *						(runtime.systemstack, cgo, signals); no curg: the scheduler
 *
 * Where these lie, the user side finds in the binary. A g is used again when its goroutine has ended, an id never is.
 */
#ifndef WIREPROF_GOROUTINE_H
#define WIREPROF_GOROUTINE_H

#include <bpf/bpf_core_read.h>
#include "maps.h"

/* Set by the user side whenever a target's struct go_target has changed. */
unsigned int target_epoch;

static __always_inline u64 go_word(u64 address)
{
	u64 word = 0;

	bpf_probe_read_user(&word, sizeof(word), (void *)address);
	return word;
}

/* The goroutine that the current task works for; 0: none. *known: false where memory could not be read. */
static __always_inline u64 current_goroutine(struct task_struct *task, const struct go_target *go, bool *known)
{
	u64 g = 0, id;

	if (go->g_goid)
		g = go_word(arch_thread_pointer(task) + (s64)go->tls);
	*known = g;
	if (!g)
		return 0;
	id = go_word(g + go->g_goid);
	if (id)
		return id;
	g = go_word(g + go->g_m);
	if (g)
		g = go_word(g + go->m_curg);
	return g ? go_word(g + go->g_goid) : 0;
}

/* A goroutine's work, made if it has none and `create`. */
static __always_inline struct worker *goroutine_worker(struct task_struct *task, const struct go_target *go, bool create)
{
	struct goroutine_key key = {.generation = go->generation};
	struct worker fresh = {.generation = go->generation}, *worker;
	bool known;

	key.id = current_goroutine(task, go, &known);
	if (!key.id) {
		if (create && !known)
			count(COUNTER_GOROUTINE_UNKNOWN);
		return NULL;
	}
	worker = bpf_map_lookup_elem(&goroutines, &key);
	if (worker || !create)
		return worker;
	fresh.who = key.id;
	bpf_map_update_elem(&goroutines, &key, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&goroutines, &key);
}

/* A goroutine whose connection has come to its end comes to its own, as a rule. */
static __always_inline void goroutine_forget(const struct worker *worker)
{
	struct goroutine_key key = {.id = worker->who, .generation = worker->generation};

	if (worker->generation)
		bpf_map_delete_elem(&goroutines, &key);
}

/* The state of a target's thread; NULL where the thread is no target. */
static __always_inline struct thread_state *thread_state(struct task_struct *task)
{
	struct thread_state *thread = bpf_task_storage_get(&threads, task, 0, 0);
	struct target *target;
	u32 tgid;

	if (thread && thread->target_epoch == target_epoch)
		return thread;
	tgid = task->tgid;
	target = bpf_map_lookup_elem(&targets, &tgid);
	if (!target)
		return thread;
	if (!thread)
		thread = bpf_task_storage_get(&threads, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!thread) {
		count(COUNTER_RECEIVES_NO_STATE);
		return NULL;
	}
	thread->worker.who = (u32)task->pid;
	thread->go = target->go;
	thread->target_epoch = target_epoch;
	return thread;
}

/* Who works on this thread now: for a receive made (`create`), else only if known; NULL: nobody, or no target. */
static __always_inline struct worker *worker_of(struct task_struct *task, struct thread_state *thread, bool create)
{
	return thread->go.generation ? goroutine_worker(task, &thread->go, create) : &thread->worker;
}

#endif

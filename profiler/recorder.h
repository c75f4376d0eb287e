/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pipeline of one recording: ring buffer -> sample -> stack, attribution -> aggregate.
 *
 *	kernel_drain ---> EVENT_SAMPLE ---> aggregate_stack ---> attribute ---> aggregate_add
 *	             \--> FORK, EXEC, EXIT -> processes
 *	mmap_watch -----> new code mapped --> process_refresh ---> mappings, at once
 *	a stack that stopped for lack of rows ---> unwind_tables (a thread) ---> publisher (a thread) ---> tables
 */
#ifndef WIREPROF_RECORDER_H
#define WIREPROF_RECORDER_H

#include "aggregate.h"
#include "attribute.h"
#include "kernel.h"
#include "mmap_watch.h"
#include "processes.h"

struct recorder {
	struct kernel *kernel;
	struct mmap_watch *watch;
	uint64_t watched_ns; /* when it was drained last */
	struct late_mapping *late; /* of the watch, not applied yet; by time */
	size_t n_late, late_capacity;
	struct processes processes;
	struct kernel_names kernel_names;
	struct aggregate aggregate;
	struct attribution attribution; /* of the sample at hand: too large for a stack */
	struct attributor attributor;
	bool requests;
	uint64_t attached_ns, complete_ns; /* when sampling began, and the first stack that reached its entry */
	uint64_t starting_until_ns; /* some process loads its libraries until then, perhaps */
	size_t live; /* targets that have not exited */
	uint64_t n_samples, malformed;
	uint64_t stops[N_STOPS]; /* samples by how their user stack ended */
	/* string numbers of label keys and of values that do not change */
	uint32_t key_system, key_operation, key_summary, key_text, key_collection, key_namespace, key_phase, key_attribution, key_comm,
		key_thread, key_pid, key_tid, unit_id;
};

struct recorder_options {
	unsigned int frequency_hz;
	bool requests;
	enum redis_keys redis_keys;
};

/* Loads everything, attaches nothing. Returns 0 or -errno after a message. */
int recorder_open(struct recorder *r, const struct recorder_options *options);
void recorder_close(struct recorder *r);

/* Takes a process as a target. Returns 0 or -errno (-ESRCH) without a message. */
int recorder_add(struct recorder *r, pid_t pid);
/*
 * Takes in what has happened since the last time; call it every recorder_timeout_ms() (DRAIN_MS, or less while
 * processes start), and when the ring polls readable.
 */
void recorder_drain(struct recorder *r);
int recorder_timeout_ms(const struct recorder *r);
/* The recording has ended: names that can be had only now. */
void recorder_finish(struct recorder *r);
/* Notices targets whose exit went unseen. */
void recorder_check_live(struct recorder *r);

#define DRAIN_MS 100

#endif

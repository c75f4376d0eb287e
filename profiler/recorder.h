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
#include "cpu_accounts.h"
#include "governor.h"
#include "targets/containers.h"
#include "kernel.h"
#include "mmap_watch.h"
#include "processes.h"

/* String numbers of label keys, and of the unit of those that are numbers. */
struct label_keys {
	uint32_t system, operation, summary, text, collection, namespace, phase, attribution, comm, container, thread, pid, tid, id;
};

struct recorder {
	struct kernel *kernel;
	struct containers *containers; /* not ours; NULL: samples carry no container */
	char container[CONTAINER_LABEL_BYTES]; /* that is recorded; "": none, or several */
	struct mmap_watch *watch;
	uint64_t watched_ns; /* when it was drained last */
	struct late_mapping *late; /* of the watch, not applied yet; by time */
	size_t n_late, late_capacity;
	struct processes processes;
	struct kernel_names kernel_names;
	struct cpu_accounts accounts;
	struct governor governor;
	struct calibration calibration;
	double budget; /* of the targets' CPU; 0: none */
	bool sampling;
	unsigned int frequency_hz;
	uint64_t jiffy_ns, governor_due_ns;
	struct aggregate aggregate;
	struct attribution attribution; /* of the sample at hand: too large for a stack */
	struct attributor attributor;
	bool requests, threads, texts;
	uint64_t attached_ns, complete_ns; /* when sampling began, and the first stack that reached its entry */
	uint64_t starting_until_ns; /* some process loads its libraries until then, perhaps */
	size_t live; /* targets that have not exited */
	uint64_t n_samples, malformed;
	uint64_t stops[N_STOPS]; /* samples by how their user stack ended */
	struct label_keys keys;
};

struct recorder_options {
	unsigned int frequency_hz;
	double budget; /* of the targets' CPU, for all that is done: 0.01 is one percent; 0: none */
	bool requests;
	bool threads; /* samples carry their thread's name and id */
	bool texts;   /* and their query's text */
	enum redis_keys redis_keys;
	struct containers *containers; /* must outlive the recorder; NULL: samples carry no container */
};

/* Loads everything, attaches nothing. Returns 0 or -errno after a message. */
int recorder_open(struct recorder *r, const struct recorder_options *options);
/* Samples from now on. Returns 0 or -errno after a message. */
int recorder_attach(struct recorder *r);
/* Samples no more; what was sampled is still to be drained. A window's end, too. */
void recorder_detach(struct recorder *r);
void recorder_close(struct recorder *r);

/* Takes a process as a target. Returns 0, also if it is one, or -errno without a message. */
int recorder_add(struct recorder *r, pid_t pid);
/*
 * Takes in what has happened since the last time; call it every recorder_timeout_ms() (DRAIN_MS, or less while
 * processes start), and when the ring polls readable.
 */
void recorder_drain(struct recorder *r);
int recorder_timeout_ms(const struct recorder *r);
/* One event of the ring; `recorder` is the recorder. tests/bench/scale.c makes them up. */
void recorder_take(void *recorder, const struct event_header *h, size_t size);
/* A window has ended: what its samples weigh, and names that could not be had before. */
void recorder_end_window(struct recorder *r);
/* What the samples of a window that goes on weigh, so far. */
void recorder_settle(struct recorder *r);
/* The next begins. */
void recorder_begin_window(struct recorder *r);
/* Forgets all that was sampled, so that the files that no process maps any more can be let go of. */
void recorder_forget(struct recorder *r);
/* The recording has ended: likewise, for the last time. */
void recorder_finish(struct recorder *r);
/* Notices targets whose exit went unseen. */
void recorder_check_live(struct recorder *r);

#define DRAIN_MS 100

/* For recorder.c: recorder_mappings.c. */
/* Reads what was mapped since the last time. */
void recorder_watch(struct recorder *r);
/* Maps what was mapped up to a time, so that a sample of then finds what lay there then. */
void recorder_apply_late(struct recorder *r, uint64_t until_ns);
void recorder_forget_late(struct recorder *r);
/* For recorder.c: recorder_labels.c. */
void recorder_make_keys(struct recorder *r);
/* Adds a sample whose attribution is at hand, with its labels. */
void recorder_add_sample(struct recorder *r, struct process *process, const struct sample *s, uint32_t stack);

#endif

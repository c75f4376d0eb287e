/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by overhead.c (windows) and overhead_stats.c (the cross-check). */
#ifndef OVERHEAD_H
#define OVERHEAD_H

#include <stdbool.h>
#include <stdint.h>
#include "empty.skel.h"
#include "profiler/kernel_internal.h" /* what users never do: to attach one program of several */
#include "profiler/recorder.h"
#include "redis_under_load.h"

#define MAX_ROUND 16

#define ARMS(X)                                                                                    \
	X(NONE, "none", "nothing")                                                                 \
	X(NULL, "null", "nothing, as a check")                                                     \
	X(EMPTY, "empty", "an empty receive hook")                                                 \
	X(HOOK, "hook", "wireprof's receive hook alone")                                           \
	X(SAMPLER, "no-requests", "wireprof --no-requests")                                        \
	X(COMPLETE, "complete", "wireprof")
#define X(name, word, text) ARM_##name,
enum arm { ARMS(X) N_ARMS };
#undef X

struct window;

struct reading {
	uint64_t time_ns, server_ns, requests;
};

struct meter {
	double seconds, stats_seconds;
	unsigned int frequency_hz, connections, window_ms;
	bool spin, priority;
	const char *redis;
	enum arm round[MAX_ROUND]; /* the arms, as often as each comes */
	size_t n_round;

	struct recorder *complete, *no_requests;
	struct redis_under_load load;
	struct empty_bpf *empty;
	struct bpf_link *empty_link;
	struct window *windows;
	size_t n_windows;
	double quiet_share;
	uint64_t samples[N_COUNTERS]; /* counters of the arm `complete` */
	double complete_server_s;     /* and the server's CPU time while it was attached */
};

/* The server's CPU time and the number of its requests, at the same instant. */
struct reading meter_read(const struct meter *m);

/* Waits; a recorder (not NULL) is drained as `wireprof record` does it. */
void run_for(struct recorder *r, double ms);

struct bpf_program *receive_program(const struct kernel *k); /* NULL: it has no receive hook */
int attach_empty(struct meter *m);
void detach_empty(struct meter *m);

/* Prints what the programs take by the kernel's own clock around each run. Reopens m->complete. 0 or -errno. */
int cross_check(struct meter *m);

#endif

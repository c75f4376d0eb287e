/* SPDX-License-Identifier: Apache-2.0 */
/* The meter's parts: windows (overhead.c), what is attached in them (overhead_arms.c), what they say (overhead_report.c), the cross-check (overhead_stats.c). */
#ifndef OVERHEAD_H
#define OVERHEAD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "empty.skel.h"
#include "load.h"
#include "profiler/kernel_internal.h" /* what users never do: to attach one program of several */
#include "profiler/recorder.h"

#define MAX_ROUND 32
#define MAX_PEERS 4
#define MAX_LINKS 64
#define TARGET	  1.0 /* % */

#define ARMS(X)                                                                                    \
	X(NONE, "none", "nothing")                                                                 \
	X(NULL, "null", "nothing, as a check")                                                     \
	X(EMPTY, "empty", "an empty receive hook")                                                 \
	X(SYSCALLS, "syscalls", "empty sys_enter and sys_exit")                                    \
	X(CLOCK, "clock", "an empty sampler")                                                       \
	X(HOOK, "hook", "wireprof's receive hook alone")                                           \
	X(SAMPLER, "no-requests", "wireprof --no-requests")                                        \
	X(COMPLETE, "complete", "wireprof --max-overhead 100")                                     \
	X(GOVERNED, "governed", "wireprof")                                                        \
	X(PEER, "peer", "")
#define X(name, word, text) ARM_##name,
enum arm { ARMS(X) N_ARMS = ARM_PEER + MAX_PEERS }; /* ARM_PEER + i: the i-th peer */
#undef X

/*
 * Another profiler. One that is controlled runs from start to end, and takes "enable" and "disable" on its descriptor 3, and
 * answers each by a line on 4 (perf record --control); others are started for every window, and print a line when they are ready.
 */
struct peer {
	char *name, *command; /* for sh -c */
	bool controlled;
	pid_t pid; /* 0: it is not running; a session of its own */
	int to, from;
};

struct window {
	enum arm arm;
	double server_ns, agent_ns; /* a request; without a load, a second */
	double busy;		    /* the server's share of its CPU */
	double requests;
};

struct reading {
	uint64_t time_ns, server_ns;
	double requests; /* without a load, seconds */
};

struct meter {
	const char *name; /* of the load */
	double seconds, stats_seconds;
	unsigned int frequency_hz, window_ms;
	bool priority;
	FILE *json;
	enum arm round[MAX_ROUND]; /* the arms, as often as each comes */
	size_t n_round;
	struct peer peers[MAX_PEERS];
	size_t n_peers;

	struct recorder *complete, *no_requests, *governed;
	struct load load;
	struct empty_bpf *empty;
	struct bpf_link *links[MAX_LINKS]; /* of empty programs */
	struct window *windows;
	size_t n_windows;
	double quiet_share;
	uint64_t samples[N_COUNTERS]; /* counters of the arm `complete` */
	double complete_server_s;     /* and the server's CPU time while it was attached */
};

uint64_t clock_now_ns(clockid_t clock);

/* The server's CPU time and the number of its requests, at the same instant. */
struct reading meter_read(const struct meter *m);
/* Waits; a recorder (not NULL) is drained as `wireprof record` does it. */
void run_for(struct recorder *r, double ms);

enum arm arm_named(const struct meter *m, const char *word); /* N_ARMS: none */
const char *arm_text(const struct meter *m, enum arm arm);
struct recorder *arm_recorder(const struct meter *m, enum arm arm); /* NULL: it has none */
int arm_attach(struct meter *m, enum arm arm); /* 0 or -errno */
void arm_detach(struct meter *m, enum arm arm);
uint64_t arm_own_ns(const struct meter *m, enum arm arm); /* CPU time of what is attached, outside the server; ever */
void arms_end(struct meter *m);

/* NULL: it has no receive hook */
struct bpf_program *receive_program(const struct kernel *k);
int attach_empty(struct meter *m);
void detach_empty(struct meter *m);

/* Prints what the windows say, and writes it as members of a JSON object. 0 or -errno. */
int report_windows(struct meter *m);
/* Likewise what the programs take by the kernel's own clock around each run. Reopens m->complete. */
int cross_check(struct meter *m);

#endif

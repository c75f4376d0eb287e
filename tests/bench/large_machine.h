/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples of a large machine, made up as the kernel side makes them: three servers (Redis, MySQL, MongoDB) with many threads and
 * connections, whose requests fall into many classes.
 *
 * The servers are children of ours that sleep: what is mapped in them is real, programs and libraries with symbols, so that stacks of
 * addresses in there are looked up and named as any. Their kernel frames are addresses of this kernel's text. A port of ours listens, so
 * that their connections are those of servers.
 */
#ifndef LARGE_MACHINE_H
#define LARGE_MACHINE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "bpf/events.h"
#include "profiler/processes.h"

#define SERVERS	     3
#define PATHS	     4800  /* different stacks, but for the leaf and the kernel's part */
#define ADDRESSES    12000 /* that calls return to */
#define PATH_FRAMES  48	   /* at most; half of that on average */
#define KERNEL_FRAMES 12

struct large_machine {
	unsigned int cpus, hz, threads, connections, classes;
	pid_t servers[SERVERS];
	int listening;
	uint16_t port;
	uint64_t kernel_start, kernel_end; /* its text; 0: not known */
	uint64_t addresses[ADDRESSES];
	struct call_path {
		unsigned int n;
		uint16_t at[PATH_FRAMES];
	} paths[PATHS];
	struct made_request {
		uint8_t server; /* an index */
		uint16_t flags; /* enum sample_flags */
		uint8_t *bytes;
		uint32_t n;
	} *requests; /* one a class; the first are the most frequent */
	uint64_t seed;
};

/* Room for any sample of machine_sample(). */
#define MADE_SAMPLE_BYTES (sizeof(struct sample_event) + (PATH_FRAMES + KERNEL_FRAMES) * 8 + TAIL_BYTES)

/* The counts are set; starts the servers and makes the requests. Returns 0 or -errno. */
int machine_start(struct large_machine *m);
/* Stacks in what the process has mapped. Returns 0 or -ESRCH. */
int machine_make_stacks(struct large_machine *m, const struct process *process);
/* One sample of some server, as it lies in the ring. Returns its size. */
size_t machine_sample(struct large_machine *m, uint64_t time_ns, void *out);
void machine_stop(struct large_machine *m);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the counters of the kernel side, and the ends of stacks, are called in the metrics.
 */
#ifndef WIREPROF_COUNTER_METRICS_H
#define WIREPROF_COUNTER_METRICS_H

#include <stdint.h>
#include "../../bpf/events.h"
#include "../../out/metrics.h"

/* A family of metrics, and which counters are in it. */
enum counter_family {
	COUNTER_OF_SAMPLES,	    /* wireprof_samples_total; it has no reasons */
	COUNTER_OF_SAMPLES_LOST,    /* wireprof_samples_lost_total{reason} */
	COUNTER_OF_REQUESTS_MISSED, /* wireprof_requests_missed_total{reason} */
	COUNTER_OF_PROCESSES_MISSED, /* wireprof_processes_missed_total{reason} */
	COUNTER_OF_PREPARED,	    /* wireprof_statements_prepared_total */
	COUNTER_OF_GUESSED_FRAMES,  /* wireprof_guessed_frames_total */
	COUNTER_OF_GUESSED_SAMPLES, /* wireprof_guessed_samples_total */
	COUNTER_OF_COST,	    /* of wireprof_bpf_seconds_total and wireprof_overhead_ratio, which have other sources, too: the caller's */
};
/* The reason's name, "" in a family without reasons. */
const char *counter_reason(enum counter counter, enum counter_family *family);
/* The reason why a stack is truncated there; NULL: it is not, or there is none. */
const char *stop_reason(enum stop stop);

/* What the user side lost of what the kernel side gave it. */
struct user_losses {
	uint64_t no_room;   /* samples that the aggregation had no room for */
	uint64_t malformed; /* events */
};

struct counter_metrics {
	struct metrics_count samples_lost[N_COUNTERS + 2], requests_missed[N_COUNTERS], processes_missed[N_COUNTERS],
		stacks_truncated[N_STOPS];
};
/* Fills in the snapshot's numbers of samples, losses and stacks; its lists are in `storage`. */
void counter_metrics_fill(const uint64_t counters[static N_COUNTERS], const uint64_t stops[static N_STOPS],
			  const struct user_losses *losses, struct counter_metrics *storage, struct metrics *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wireprof agent`: the recorder without an end, cut into windows.
 *
 *	agent.c		the loop, signals, what starts and what is started again
 *	agent_window.c	the end of a window: recorder -> profile -> pusher, out_dir, class_counters, windows
 *	agent_pages.c	what the HTTP server answers: the page, metrics, health
 *
 * One thread does all of this, so nothing here needs a lock; the pusher has its own, which takes bodies only.
 */
#ifndef WIREPROF_AGENT_H
#define WIREPROF_AGENT_H

#include "agent_options.h"
#include "class_counters.h"
#include "http.h"
#include "../kernel_meter.h"
#include "out_dir.h"
#include "pusher.h"
#include "../recorder.h"
#include "../targets/targets.h"
#include "windows.h"

struct agent {
	const struct agent_options *options;
	struct containers *containers;
	struct recorder recorder;
	struct targets targets;
	struct kernel_meter meter;
	struct source_lines lines;    /* with --inlines */
	struct windows windows;	      /* for the page */
	struct class_counters *classes;
	struct pusher *pusher;	 /* NULL: not asked for, as the next two */
	struct out_dir *out_dir;
	struct http *http;

	uint64_t started_utc_ns;
	uint64_t window_ns, window_utc_ns; /* when this one began: CLOCK_MONOTONIC, UTC */
	uint64_t n_windows, n_failed;	   /* ended; of them, not turned into a profile, for want of memory */
	bool told_over;	   /* that the processes given have ended */
	size_t late_found;		   /* debug files that had come when names were looked up last */
	/* What the recorders before this one counted: a counter does not go down because the configuration was read again. */
	struct agent_counts {
		uint64_t counters[N_COUNTERS], stops[N_STOPS];
		uint64_t no_room, malformed;
	} before;
};

/* Large blocks come and go with each window: they go back to the system at once, and threads have no heaps of their own. */
void agent_keep_memory_small(void);
void agent_begin_window(struct agent *a, uint64_t now_ns, uint64_t now_utc_ns);
void agent_end_window(struct agent *a);

/* What the server answers; `context` is the agent. */
extern const struct http_route agent_routes[];
extern const size_t agent_n_routes;

/* What was counted since the agent started. */
void agent_count(const struct agent *a, struct agent_counts *out);

#endif

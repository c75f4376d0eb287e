/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's last windows, kept so that the page can show them together: per sample of the aggregation, its weight. */
#ifndef WIREPROF_WINDOWS_H
#define WIREPROF_WINDOWS_H

#include "../aggregate.h"

#define WINDOWS_KEPT 64

struct window {
	uint64_t time_ns, duration_ns; /* UTC, start of the window */
	struct window_weight {
		uint32_t sample;
		uint64_t weight;
	} *list;
	size_t n;
};

/* {0} to begin with. */
struct windows {
	struct window list[WINDOWS_KEPT];
	size_t n; /* ever; the last is list[(n - 1) % WINDOWS_KEPT] */
	size_t first; /* what came before is not remembered */
};

/* Keeps what the aggregation weighs now. Returns 0 or -ENOMEM. */
int windows_keep(struct windows *w, const struct aggregate *a, uint64_t time_ns, uint64_t duration_ns);
/* The numbers of samples mean nothing any more. */
void windows_forget(struct windows *w);
/*
 * Adds up the last windows that are not older than `span_ns` together, the last one whatever it is. Returns weights by sample of `a`, to be
 * freed, and when that time began and how long it was; NULL: there is no window, or no memory.
 */
uint64_t *windows_sum(const struct windows *w, const struct aggregate *a, uint64_t span_ns, uint64_t *time_ns,
		      uint64_t *duration_ns);

#endif

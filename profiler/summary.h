/* SPDX-License-Identifier: Apache-2.0 */
/* The short table at the end of a recording; the same lines go into the profile as comments. */
#ifndef WIREPROF_SUMMARY_H
#define WIREPROF_SUMMARY_H

#include "../out/profile.h"
#include "recorder.h"

#define SUMMARY_LINES 40

struct summary {
	char *lines[SUMMARY_LINES];
	size_t n;
};

/* Fills in the lines; `own_cpu_s` is this program's user and system time. */
void summary_make(const struct recorder *r, const struct profile *p, double own_cpu_s,
		  struct summary *out);
void summary_free(struct summary *s);

#endif

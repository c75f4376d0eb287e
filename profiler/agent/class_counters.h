/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU time per query class since the agent started, for Prometheus: counters whose number is bounded.
 *
 * At most `max` sets of labels are kept. When all places are taken, what further classes use is counted with "other" in
 * place of operation and summary, under the same system, service, container and command; there are a few places for
 * these as well, and when they are taken too, it is counted in one place, where every label is "other". So nothing is
 * ever lost: what is added to the counters is, in sum, the CPU time that came in. That outside of queries has no
 * operation and no summary, and stays so.
 *
 * A class without CPU time for `idle_ns` gives up its place, and its total is gone with it, not added elsewhere: counted
 * under "other" it would look like CPU time of now. Prometheus sees its series end. Should the class come back, it starts
 * from 0, which is a counter's reset: rate() and increase() are right about it. The sum of the counters that are
 * there can so fall, by what left; what never falls is the CPU time by attribution.
 */
#ifndef WIREPROF_CLASS_COUNTERS_H
#define WIREPROF_CLASS_COUNTERS_H

#include <stddef.h>
#include <stdint.h>
#include "../../out/metrics.h"
#include "../../out/profile.h"

#define CLASS_COUNTERS_MAX     500
#define CLASS_COUNTERS_IDLE_NS (3600 * 1000000000ull)
#define CLASS_COUNTERS_OTHERS  64  /* places for "other" */
#define CLASS_LABEL_BYTES      256 /* longer values are cut */

struct class_counters; /* opaque */

struct class_counters *class_counters_new(size_t max, uint64_t idle_ns); /* NULL: no memory */
void class_counters_free(struct class_counters *c);			 /* NULL is fine */

/* Adds CPU time of a class. NULL is "". `now_ns` is any clock that does not go back. */
void class_counters_add(struct class_counters *c, const char *const labels[static N_QUERY_LABELS], uint64_t cpu_ns,
			uint64_t now_ns);
/*
 * Adds all of a profile: classes, and CPU time by attribution. `service` is the service_name; NULL: each sample's
 * container, else comm, else "unknown", as in what is pushed. To the nanosecond, nothing is lost by rounding.
 */
void class_counters_add_profile(struct class_counters *c, const struct profile *p, const char *service,
				uint64_t now_ns);
/* Takes away classes that were idle for too long. Once a window, say. */
void class_counters_expire(struct class_counters *c, uint64_t now_ns);

/*
 * Points the snapshot at the counters: classes, cpu_ns, classes_evicted. What it points to is valid until the next call
 * that changes them.
 */
void class_counters_metrics(const struct class_counters *c, struct metrics *out);

#endif

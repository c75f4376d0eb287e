/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From samples as they were taken to what they weigh in a profile.
 *
 * Each sample comes with the CPU time that it stands for, its period. Two things are made good, process by process:
 *
 * 1. Samples add up to the CPU time that the kernel accounts to the process (cpu_accounts.h): a ratio estimator. Those from while
 *    the receive hook was attached (tagged) stand for all of it, and the others count for nothing. A process that used little
 *    (WEIGHTS_ENOUGH) keeps all of its samples as they are: among many such, those that were not sampled at all make up for them.
 *
 * 2. A request that began while the hook was not attached is not seen, even if it runs on into a time when it is (missed). Whether
 *    a request of some age is seen is a matter of chance alone, the same for all of that age: P(attached that long ago, given that
 *    it is attached now), see governor.h. So what is seen counts 1/P (Horvitz and Thompson 1952), and what was missed counts
 *    for as much less. In the mean over many windows both are equal; in one window, no more is given to the former than is taken
 *    off the latter.
 */
#ifndef WIREPROF_WEIGHTS_H
#define WIREPROF_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "cpu_accounts.h"

enum sample_kind {
	SAMPLE_TAGGED,	/* taken while the receive hook was attached, or there is none */
	SAMPLE_MISSED,	/* likewise, but the thread may serve a request that came before */
	SAMPLE_BETWEEN, /* taken while it was not */
};

/* What was sampled under one stack, set of labels, process and kind. */
struct raw_weight {
	uint64_t weight; /* micro-samples of the nominal period */
	uint64_t extra;	 /* likewise: what it counts more for those that were missed */
	uint64_t n;	 /* samples, or parts of one */
};

/* A process that used so many periods in a window has its samples scaled to the kernel's account, those that are tagged if there are so many. */
#define WEIGHTS_ENOUGH 20
#define WEIGHTS_LEAST  5

struct sample_origin {
	pid_t pid;
	uint32_t kind; /* enum sample_kind */
};

/*
 * Of n kinds of samples, what they weigh, into out[n]; accounts may be NULL: nothing is known of the kernel's. `period_ns` is the nominal
 * one. Returns 0 or -ENOMEM; then out has them as they were taken.
 */
int weights_settle(const struct raw_weight *raw, const struct sample_origin *of, size_t n, const struct cpu_accounts *accounts,
		   uint64_t period_ns, uint64_t *out);

#endif

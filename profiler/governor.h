/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holds the budget: what wireprof costs, of the CPU time that the targets use.
 *
 * When the receive hook costs more than the budget has room for, it is attached for a part of the time
 * only, and samples are taken faster meanwhile, so that there are as many with a request as were asked for:
 *
 *	     attached, samples at F / duty      not attached, samples at F / 8
 *	|---------------------------------|~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~|----------...
 *
 * Both times are of random length (exponential, so that no age of a request is never seen), and so is the period of samples from one
 * second to the next (by 10 %): a target that does something once a second, or 100 times, is met in all its phases.
 *
 * Where samples and this process alone take most of the budget, a part of it is the hook's all the same: without, there would be no
 * requests. For that, where the machine makes samples dear, fewer are taken: down to half of what was asked for.
 *
 * The cost: runs of the hook times what one takes (calibration.h), the time that the sampler says it takes plus that of an interrupt, and
 * this process's own CPU time; all smoothed over some seconds.
 */
#ifndef WIREPROF_GOVERNOR_H
#define WIREPROF_GOVERNOR_H

#include <stdbool.h>
#include <stdint.h>
#include "calibration.h"

struct kernel;

#define GOVERNOR_PHASES 128

/* What happened over some time; the rates of it are smoothed. */
struct costs {
	double elapsed_ns, attached_ns;
	double target_ns, target_attached_ns; /* CPU of the targets; while the hook was attached */
	double runs, others;		      /* of the hook: for targets, and not */
	double sample_ns, samples;
	double own_ns;
};

struct governor {
	struct kernel *kernel;
	double budget; /* 0.01: one percent; 0: none */
	uint64_t period_ns; /* nominal */
	double usual;	     /* part of the samples that is paid for out of the budget */
	uint64_t fastest_ns; /* period at least */
	uint64_t used_ns;    /* period now */
	double jitter;	     /* of it */
	bool makes_up;	     /* for that of the one before */
	struct calibration calibration;
	bool attached;
	uint64_t until_ns; /* it stays so at least */
	uint64_t start_ns, jittered_ns, measured_ns; /* start_ns: of the first start */
	double duty; /* wanted */
	double thinning; /* part of the samples asked for that there is room for */
	double fixed_duty; /* whatever it costs, where it is not 0 */
	struct costs smooth, total, seen; /* seen: counters when they were read last */
	struct hook_phase {
		uint64_t from_ns, to_ns;
	} phases[GOVERNOR_PHASES]; /* attached; of the last, to_ns is UINT64_MAX while it goes on */
	uint64_t n_phases; /* ever */
};

/* The estimate, of the targets' CPU: 0.01 is one percent. */
struct governor_report {
	double budget, duty, thinning;
	double hook, samples, own; /* add up to the overhead */
};

/* After kernel_attach(). WIREPROF_DUTY=0.25 in the environment: attached for so much of the time, for tests and to compare. */
void governor_start(struct governor *g, struct kernel *k, double budget, unsigned int frequency_hz, const struct calibration *c);
/* Before kernel_detach(): nothing more will happen. */
void governor_stop(struct governor *g);
/* Does what is due. Returns how many nanoseconds that lasts. */
uint64_t governor_run(struct governor *g);
/* Over all the time since the start; of the last seconds with `now`. */
void governor_report(const struct governor *g, bool now, struct governor_report *out);

/* How long the hook is to stay as it is now, in the mean so long: not much less than what is sensible, nor for most of a window. */
uint64_t governor_phase_ns(double mean_ns);

/*
 * How likely it was that a request of this age at this time (CLOCK_MONOTONIC) was seen, when a sample fired that would see it: the share
 * of the time attached for which, that long before, it was attached, too. `lasting`: what was seen is known to be so still when the hook
 * is attached the next time; else it has to have been attached ever since. 1 where it always was.
 */
double governor_inclusion(const struct governor *g, uint64_t age_ns, uint64_t now_ns, bool lasting);

#endif

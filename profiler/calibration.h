/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this machine takes for one run of the receive hook, and for one sample's interrupt: measured when a recording begins.
 *
 * Differences between the same work with and without, in turns, each the least of short runs: what else happens on
 * the machine only adds, and hits some of them.
 */
#ifndef WIREPROF_CALIBRATION_H
#define WIREPROF_CALIBRATION_H

struct kernel;

struct calibration {
	double run_ns;	  /* a run of the receive hook, for a target, what it takes to get there included */
	double other_ns;  /* likewise for who is none: it leaves early */
	double sample_ns; /* an interrupt for a sample, without what the sampler itself measures */
};

/*
 * Behind an interrupt a target has to fill its caches again. On a virtual machine, a saturated redis-server loses 50 us for each sample, 21
 * of them to an interrupt in which nothing is done (16 in a loop without memory), 13 to the sampler; 30 where samples come in bursts, while
 * the hook is attached, and 20 of pipelined requests. So a factor in between.
 */
#define DISTURBANCE 1.2 /* times what the interrupt takes */

/* Takes a quarter of a second, half of it waiting. Nothing may be attached. What cannot be measured gets a figure that was usual elsewhere. */
void calibrate(struct kernel *k, struct calibration *out);

#endif

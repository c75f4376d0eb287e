/* SPDX-License-Identifier: Apache-2.0 */
/*
 * in_phase HZ SECONDS: burns CPU in phase with a timer of so many ticks a second: in each period, early_half() up to its
 * middle, late_half() up to its end. A sampler in lockstep with that sees one of them only.
 */
#include <stdlib.h>
#include "burn.h"

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

ALONE static void early_half(double until_s)
{
	while (now_s() < until_s)
		;
}

static volatile long rounds; /* or both would be one function */

ALONE static void late_half(double until_s)
{
	while (now_s() < until_s)
		rounds++;
}

int main(int argc, char **argv)
{
	double period = 1 / (argc > 2 ? atof(argv[1]) : 100), end = now_s() + (argc > 2 ? atof(argv[2]) : 10);

	tell_busy();
	for (double at = (long)(now_s() / period) * period; now_s() < end; at += period) {
		early_half(at + period / 2);
		late_half(at + period);
	}
	return 0;
}

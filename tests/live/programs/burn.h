/* SPDX-License-Identifier: Apache-2.0 */
/* Uses a given time of CPU in a function that cannot be inlined, and tells how much it really was. */
#ifndef BURN_H
#define BURN_H

#include <stdio.h>
#include <time.h>

#define ALONE __attribute__((noinline, noclone))

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Some 100 us between two looks at the clock. */
ALONE static __attribute__((unused)) void burn_for(double seconds)
{
	double end = cpu_s() + seconds;
	volatile long n;

	while (cpu_s() < end)
		for (n = 0; n < 100000; n++)
			;
}

ALONE static void tell_busy(void)
{
	puts("busy");
	fflush(stdout);
}

#endif

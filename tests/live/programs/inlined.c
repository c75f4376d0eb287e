/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spins in functions inlined into each other, over several lines: work <- step <- mix. inlined [SECONDS]: ends by
 * itself. Static functions only, but for main: what a stripped program does not name.
 */
#include <stdlib.h>
#include "burn.h"

static volatile unsigned int seed = 1;

static inline __attribute__((always_inline)) unsigned int mix(unsigned int x)
{
	x ^= x >> 16;
	x *= 0x85ebca6bu + seed;
	return x ^ x >> 13;
}

static inline __attribute__((always_inline)) unsigned int step(unsigned int x)
{
	for (int i = 0; i < 100; i++)
		x += mix(x + seed) / (seed + 2);
	return mix(x);
}

static ALONE void work(double seconds)
{
	double end = seconds + cpu_s();
	unsigned int x = 1;

	do
		for (int i = 0; i < 10000; i++)
			x = step(x);
	while (cpu_s() < end);
	seed += x & 1;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		tell_busy();
	work(argc > 1 ? atof(argv[1]) : 1e9);
	return 0;
}

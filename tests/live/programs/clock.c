/* SPDX-License-Identifier: Apache-2.0 */
/* Asks for the time without end: most of its CPU is spent in the vDSO. */
#include "burn.h"

ALONE long ask_time(void)
{
	struct timespec t;
	long sum = 0;

	for (int i = 0; i < 1000; i++) {
		clock_gettime(CLOCK_MONOTONIC, &t);
		sum += t.tv_nsec;
	}
	return sum;
}

int main(void)
{
	volatile long sum = 0;

	tell_busy();
	for (;;)
		sum += ask_time();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* now_and_then SECONDS: wakes thousands of times a second, at no regular time, and uses CPU for a few microseconds each time. */
#include <stdlib.h>
#include "burn.h"

ALONE static void use(long n)
{
	volatile long i;

	for (i = 0; i < n; i++)
		;
}

int main(int argc, char **argv)
{
	double end = cpu_s() + (argc > 1 ? atof(argv[1]) : 10);

	tell_busy();
	while (cpu_s() < end) {
		struct timespec pause = {.tv_nsec = rand() % 200000};

		use(rand() % 100000);
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * busy SECONDS [CHILDREN]: burns CPU in NAME (-DNAME=function), in so many forked children one after the other if
 * asked to, and prints "PID SECONDS" for each process that did, by getrusage(2).
 */
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "burn.h"

#ifndef NAME
#define NAME busy_function
#endif

ALONE void NAME(double seconds)
{
	burn_for(seconds);
	__asm__ volatile("");
}

static void work(double seconds)
{
	struct rusage u;

	NAME(seconds);
	getrusage(RUSAGE_SELF, &u);
	printf("%d %.6f\n", getpid(), u.ru_utime.tv_sec + u.ru_stime.tv_sec +
					      (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 1e9;
	int children = argc > 2 ? atoi(argv[2]) : 0;

	if (seconds > 1e6)
		tell_busy();
	if (!children)
		work(seconds);
	for (int i = 0; i < children; i++) {
		if (!fork()) {
			work(seconds);
			_exit(0);
		}
		wait(NULL);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See clock.h. */
#include <sys/resource.h>
#include <time.h>
#include "clock.h"

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

uint64_t monotonic_ns(void)
{
	return now_ns(CLOCK_MONOTONIC);
}

uint64_t monotonic_ms(void)
{
	return monotonic_ns() / 1000000;
}

uint64_t utc_ns(void)
{
	return now_ns(CLOCK_REALTIME);
}

uint64_t jiffy_ns(void)
{
	struct timespec t;

	clock_getres(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_nsec;
}

static uint64_t cpu_ns(int who)
{
	struct rusage u;

	getrusage(who, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000ull + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000ull;
}

uint64_t own_cpu_ns(bool children)
{
	return cpu_ns(RUSAGE_SELF) + (children ? cpu_ns(RUSAGE_CHILDREN) : 0);
}

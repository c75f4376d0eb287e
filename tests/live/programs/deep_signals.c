/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deep_signals [DEPTH]: goes DEPTH calls deep (400) through frames of unequal size, works at the bottom in calls so
 * short that a signal lands in their prologues and epilogues, returns, and begins anew. SIGALRM and SIGUSR1 come
 * a thousand times a second each; their handlers work too, the latter's on the alternate signal stack.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include "burn.h"

#define HANDLER_ROUNDS 40
#define TIMER_NS       1000000

volatile long sink;

long odd(long depth, const long *above);

ALONE long tiny(long n)
{
	sink += n;
	return sink & 7;
}

ALONE long small(long n)
{
	long here[5] = {n, tiny(n), sink};

	return tiny(here[n & 3]) + here[(n + 1) & 3];
}

ALONE long bottom(const long *above, int rounds)
{
	long sum = *above;

	for (int i = 0; i < rounds; i++)
		sum += small(i);
	return sum;
}

ALONE long even(long depth, const long *above)
{
	long here[3] = {depth, *above, sink};

	return (depth ? odd(depth - 1, here) : bottom(here, 200000)) + here[sink % 3];
}

ALONE long odd(long depth, const long *above)
{
	long here[40] = {depth, *above, sink};

	return (depth ? even(depth - 1, here) : bottom(here, 200000)) + here[sink % 40];
}

static void on_alarm(int signal)
{
	long here = signal;

	bottom(&here, HANDLER_ROUNDS * 200);
}

static void on_user1(int signal)
{
	long here = signal;

	even(20, &here);
}

static void handle(int signal, void (*function)(int), int flags)
{
	struct sigaction action = {.sa_handler = function, .sa_flags = SA_RESTART | flags};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = signal};
	struct itimerspec every = {{0, TIMER_NS}, {0, TIMER_NS}};
	timer_t timer;

	sigfillset(&action.sa_mask);
	if (sigaction(signal, &action, NULL) || timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	    timer_settime(timer, 0, &every, NULL))
		exit(1);
}

int main(int argc, char **argv)
{
	static char stack[256 << 10];
	stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
	long depth = argc > 1 ? atol(argv[1]) : 400, top = argc;

	if (sigaltstack(&other, NULL))
		return 1;
	handle(SIGALRM, on_alarm, 0);
	handle(SIGUSR1, on_user1, SA_ONSTACK);
	tell_busy();
	for (;;)
		sink += even(depth - 2, &top);
}

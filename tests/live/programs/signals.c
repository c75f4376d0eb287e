/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spins in a signal handler that interrupted a function some calls deep. "altstack": on a stack of its own;
 * "nested": there, interrupted in turn by a second signal.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include "burn.h"

#define STACK_BYTES 65536

volatile long sink;
static int nested;

static void in_microseconds(long us)
{
	struct itimerval timer = {.it_value.tv_usec = us};

	setitimer(ITIMER_REAL, &timer, NULL);
}

ALONE static long spin_in_handler(void)
{
	tell_busy();
	for (;;)
		sink++;
	return sink;
}

ALONE static long interrupted_handler(void)
{
	in_microseconds(1000);
	for (;;)
		sink++;
	return sink;
}

static void handler(int signal)
{
	sink = nested-- > 0 ? interrupted_handler() : spin_in_handler();
	sink += signal;
}

/* No call and no frame: what is interrupted here is found by its own pc. */
ALONE static long interrupted(long n)
{
	while (sink != -1)
		sink += n;
	return sink;
}

ALONE static long outer(long n)
{
	long here[20] = {n, sink};

	return interrupted(here[sink % 2]) + here[1];
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_NODEFER};
	stack_t stack = {.ss_sp = malloc(STACK_BYTES), .ss_size = STACK_BYTES};

	if (argc > 1) {
		action.sa_flags |= SA_ONSTACK;
		sigaltstack(&stack, NULL);
		nested = !strcmp(argv[1], "nested");
	}
	sigaction(SIGALRM, &action, NULL);
	in_microseconds(20000);
	return outer(argc) == 7;
}

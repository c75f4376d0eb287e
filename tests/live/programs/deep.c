/* SPDX-License-Identifier: Apache-2.0 */
/* 300 calls deep, or as many as it is told, through two functions with frames of unequal size; then spins in the leaf. */
#include <stdlib.h>
#include "burn.h"

volatile long sink;

long pong(long depth, const long *above);

ALONE long leaf(const long *above)
{
	tell_busy();
	for (;;)
		sink += *above;
	return sink;
}

ALONE long ping(long depth, const long *above)
{
	long here[3] = {depth, *above, sink};

	return (depth ? pong(depth - 1, here) : leaf(here)) + here[sink % 3];
}

ALONE long pong(long depth, const long *above)
{
	long here[40] = {depth, *above, sink};

	return (depth ? ping(depth - 1, here) : leaf(here)) + here[sink % 40];
}

int main(int argc, char **argv)
{
	long top = argc;

	return ping(argc > 1 ? atol(argv[1]) - 1 : 299, &top) + 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Calls a library by its procedure linkage table, for a debugger to stop in an entry. */
#include <stdlib.h>
#include "burn.h"

volatile long sink;

ALONE static long calls_library(long n)
{
	long here[3] = {n, sink};

	return labs(here[sink % 2] - 9) + atol("4") + here[1];
}

int main(int argc, char **argv)
{
	(void)argv;
	return calls_library(argc) == sink;
}

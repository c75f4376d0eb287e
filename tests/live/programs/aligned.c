/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stacks that are realigned: arrays of vectors of 32 and 64 bytes, with arguments on the stack (so that the old
 * stack pointer is kept in another register), with arrays of variable length, and calls from all of them.
 */
#include <string.h>
#include "burn.h"

typedef double wide __attribute__((vector_size(32)));
typedef float wider __attribute__((vector_size(64)));

volatile double sink;

ALONE void mix(wide *w, int n)
{
	for (int i = 1; i < n; i++)
		w[i] = w[i] * 0.5 + w[i - 1];
}

ALONE double aligned_32(int depth, double seed)
{
	wide here[9];

	for (int i = 0; i < 9; i++)
		here[i] = (wide){seed, i, depth, 1};
	mix(here, 9);
	return here[8][0] + (depth ? aligned_32(depth - 1, here[7][1]) : 0) + here[3][2];
}

ALONE double many_arguments(double a, double b, double c, double d, double e, double f, double g, double h,
			    double on_stack, long i, long j, long k, long l, long m, long n, long stack2)
{
	wider here[4];

	for (int x = 0; x < 4; x++)
		here[x] = (wider){a + b, c + d, e + f, g + h, on_stack, i + j + k, l + m + n, stack2};
	for (int x = 0; x < 200; x++)
		here[x & 3] += here[(x + 1) & 3] * 0.25f;
	return here[1][2] + aligned_32(3, here[3][4]) + here[2][1];
}

ALONE double variable_length(int n, double seed)
{
	wide here[n];
	char text[n + 3];

	for (int i = 0; i < n; i++)
		here[i] = (wide){seed + i, seed, i, 2};
	memset(text, n, sizeof(text));
	mix(here, n);
	sink = text[n / 2];
	return many_arguments(1, 2, 3, 4, 5, 6, 7, 8, here[n - 1][0], 1, 2, 3, 4, 5, 6, 7) + here[n / 2][1];
}

int main(void)
{
	tell_busy();
	for (int i = 0;; i = (i + 1) & 31)
		sink = variable_length(17 + i, sink);
}

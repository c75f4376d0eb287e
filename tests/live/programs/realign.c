/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that realign their stack for vectors, as code for AVX does: the CFA is then in another register, and
 * behind that in memory. One spins, called by another. Vector registers are not needed to run it.
 */
#include <alloca.h>
#include "burn.h"

volatile long sink;

typedef long vector __attribute__((vector_size(32)));

ALONE static long use(volatile vector *v, volatile char *more)
{
	return (*v)[0] + more[0];
}

/* Its own frame is realigned, too; its last arguments are on the stack, which it needs the old pointer for. */
ALONE static long realigned_leaf(long a, long b, long c, long d, long e, long f, long g, long h)
{
	volatile vector v = {a, b, c, d};
	volatile char *more = alloca(h + 1);

	more[0] = e + f + g;
	tell_busy();
	for (;;)
		v[0] += sink++;
	return use(&v, more);
}

ALONE static long realigned(long a, long b, long c, long d, long e, long f, long g, long h)
{
	volatile vector v = {h, g, f, e};
	volatile char *more = alloca(a + b + 1);

	more[0] = 1;
	return realigned_leaf(a, b, c, d, e, f, g, use(&v, more)) + v[1];
}

int main(int argc, char **argv)
{
	(void)argv;
	return realigned(argc, 2, 3, 4, 5, 6, 7, 8) == sink;
}

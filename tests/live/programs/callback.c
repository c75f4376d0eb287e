/* SPDX-License-Identifier: Apache-2.0 */
/* Spins inside the comparison that qsort() calls: frames of libc between ours. */
#include <stdlib.h>
#include "burn.h"

#define N 1000

static int calls;

ALONE int compare(const void *a, const void *b)
{
	volatile long sink = 0;

	if (++calls == 3000) {
		tell_busy();
		for (;;)
			sink++;
	}
	return *(const int *)a - *(const int *)b;
}

ALONE int sort_all(int *list)
{
	qsort(list, N, sizeof(*list), compare);
	return list[0] + calls;
}

int main(void)
{
	static int list[N];

	for (int i = 0; i < N; i++)
		list[i] = i * 7919 % 10007;
	return sort_all(list) + calls;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Half of its CPU in the kernel, half in its own code. */
#include <unistd.h>
#include "burn.h"

int main(void)
{
	static char page[1 << 16];
	volatile long sink = 0;
	FILE *zero = fopen("/dev/zero", "r");

	tell_busy();
	for (;;) {
		for (int i = 0; i < 20000; i++)
			sink++;
		sink += read(fileno(zero), page, sizeof(page));
	}
}

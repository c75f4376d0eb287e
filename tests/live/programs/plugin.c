/* SPDX-License-Identifier: Apache-2.0 */
/* A library for dlopen(): compiled with -DNAME=function, -DPAD=bytes of other code in front of it. */
#include "burn.h"

#ifdef PAD
__asm__(".text\n.skip " PAD ", 0x90\n");
#endif

void NAME(double seconds)
{
	burn_for(seconds);
	__asm__ volatile(""); /* no tail call */
}

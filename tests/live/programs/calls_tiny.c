/* SPDX-License-Identifier: Apache-2.0 */
/* Calls an empty function of a library (plugin.c) without end: much of the time goes by in the PLT. */
#include "burn.h"

void tiny(void);

int main(void)
{
	tell_busy();
	for (;;)
		tiny();
}

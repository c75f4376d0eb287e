/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_plugins SECONDS_BEFORE ROUNDS {LIBRARY FUNCTION SECONDS}...: burns CPU, then in each round opens the
 * libraries one after the other, burns CPU in each, and closes it. Prints "FUNCTION ADDRESS SECONDS" for each.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include "burn.h"

ALONE void before_any_plugin(double seconds)
{
	burn_for(seconds);
	__asm__ volatile("");
}

ALONE static int call_plugin(char **arg)
{
	double start = cpu_s(), used;
	void (*function)(double);
	void *library = dlopen(arg[0], RTLD_NOW);

	if (!library)
		return -1;
	function = (void (*)(double))dlsym(library, arg[1]);
	start = cpu_s();
	function(atof(arg[2]));
	used = cpu_s() - start;
	printf("%s %p %.6f\n", arg[1], (void *)function, used);
	fflush(stdout);
	return dlclose(library);
}

int main(int argc, char **argv)
{
	tell_busy();
	before_any_plugin(atof(argv[1]));
	for (int round = 0; round < atoi(argv[2]); round++)
		for (int i = 3; i + 3 <= argc; i += 3)
			if (call_plugin(argv + i))
				return 1;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawner SECONDS: vforks, works a little as the child (in the parent's memory), then becomes itself by exec as
 * "spawner SECONDS child", which uses SECONDS of CPU and ends; the parent works as well before the next one.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "burn.h"

ALONE void in_vfork(void)
{
	for (volatile long n = 0; n < 2000000; n++)
		;
}

ALONE void spawn(char **argv)
{
	char *command[] = {argv[0], argv[1], "child", NULL};
	pid_t child = vfork();

	if (!child) {
		in_vfork();
		execv("/proc/self/exe", command);
		_exit(1);
	}
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 0;

	if (argc > 2) {
		burn_for(seconds);
		return 0;
	}
	tell_busy();
	for (;;) {
		burn_for(0.002);
		spawn(argv);
	}
}

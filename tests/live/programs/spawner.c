/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawner SECONDS CHILD: vforks, works a little as the child (in the parent's memory), then becomes CHILD by exec:
 * this program under another name. "CHILD SECONDS" uses SECONDS of CPU and ends. The parent works before each.
 */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "burn.h"

ALONE void in_vfork(void)
{
	for (volatile long n = 0; n < 20000000; n++)
		;
}

ALONE void spawn(char **argv)
{
	char *command[] = {argv[2], argv[1], NULL};
	pid_t child = vfork();

	if (!child) {
		in_vfork();
		execv(command[0], command);
		_exit(1);
	}
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 0;

	if (argc < 3) {
		burn_for(seconds);
		return 0;
	}
	tell_busy();
	for (;;) {
		burn_for(0.05);
		spawn(argv);
	}
}

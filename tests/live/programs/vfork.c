/* SPDX-License-Identifier: Apache-2.0 */
/* The child of a vfork() spins on its parent's stack, while that one waits. Prints the child's process id. */
#include <unistd.h>
#include "burn.h"

volatile long sink;

ALONE static void spin_in_child(long n)
{
	printf("%d\n", (int)getpid());
	fflush(stdout);
	for (;;)
		sink += n;
}

ALONE static long forks(long n)
{
	long here[5] = {n, sink};
	pid_t pid = vfork();

	if (!pid)
		spin_in_child(here[0]);
	return pid + here[1];
}

int main(int argc, char **argv)
{
	(void)argv;
	return forks(argc) + 1 == sink;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* syscalls SECONDS: system calls that do next to nothing. */
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>
#include "burn.h"

int main(int argc, char **argv)
{
	double end = cpu_s() + (argc > 1 ? atof(argv[1]) : 1);

	tell_busy();
	while (cpu_s() < end)
		for (int i = 0; i < 100; i++)
			syscall(SYS_getppid);
	return 0;
}

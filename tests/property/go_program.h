/* SPDX-License-Identifier: Apache-2.0 */
/* A Go program to compare things on, where none is given. */
#ifndef WIREPROF_GO_PROGRAM_H
#define WIREPROF_GO_PROGRAM_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Of the live tests' program, by whichever Go is installed. */
static bool build_program(char *path)
{
	static const char build[] = "command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin; "
				    "command -v go >/dev/null && CGO_ENABLED=0 go build -o %s "
				    "tests/live/programs/go_work.go tests/live/programs/go_pure.go";
	char command[sizeof(build) + 64];
	int fd = mkstemp(path);

	if (fd < 0)
		return false;
	close(fd);
	snprintf(command, sizeof(command), build, path);
	return system(command) == 0;
}

#endif

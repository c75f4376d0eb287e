/* SPDX-License-Identifier: Apache-2.0 */
/* The command behind `--`: started stopped, so that nothing of it runs unseen. */
#ifndef WIREPROF_CHILD_H
#define WIREPROF_CHILD_H

#include <sys/types.h>

struct child {
	pid_t pid; /* 0: none */
	int go;	   /* a byte here lets it exec; closing it makes it give up */
	int result; /* its errno comes here if exec fails; end of file if it succeeds */
};

int child_start(char **command, struct child *out); /* 0 or -errno */
/* Lets it run. Returns 0, or -errno of the exec that failed. */
int child_release(struct child *c);
/* Ends it if it was never released; the exit status is collected by the caller's waitpid(). */
void child_abandon(struct child *c);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* See child.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "child.h"

static void run(int go, int result, char **command)
{
	char byte;
	int err;

	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	if (read(go, &byte, 1) != 1)
		_exit(127);
	execvp(command[0], command);
	err = errno;
	if (write(result, &err, sizeof(err)) != sizeof(err))
		_exit(126);
	_exit(127);
}

int child_start(char **command, struct child *out)
{
	int go[2], result[2], err;
	pid_t pid;

	if (pipe2(go, O_CLOEXEC))
		return -errno;
	if (pipe2(result, O_CLOEXEC)) {
		err = -errno;
		goto close_go;
	}
	pid = fork();
	if (pid < 0) {
		err = -errno;
		close(result[0]);
		close(result[1]);
		goto close_go;
	}
	if (!pid) {
		close(go[1]);
		run(go[0], result[1], command);
	}
	close(go[0]);
	close(result[1]);
	*out = (struct child){.pid = pid, .go = go[1], .result = result[0]};
	return 0;
close_go:
	close(go[0]);
	close(go[1]);
	return err;
}

int child_release(struct child *c)
{
	ssize_t n;
	int err = 0;

	if (write(c->go, "", 1) != 1)
		err = errno;
	close(c->go);
	n = err ? 0 : read(c->result, &err, sizeof(err));
	close(c->result);
	if (n != sizeof(err) && !err)
		return 0;
	waitpid(c->pid, NULL, 0);
	c->pid = 0;
	return -err;
}

void child_abandon(struct child *c)
{
	if (!c->pid)
		return;
	close(c->go); /* it reads end of file, and exits */
	close(c->result);
	waitpid(c->pid, NULL, 0);
	c->pid = 0;
}

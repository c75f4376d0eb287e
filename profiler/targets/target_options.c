/* SPDX-License-Identifier: Apache-2.0 */
/* See target_options.h. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "../../bpf/events.h"
#include "../message.h"
#include "target_options.h"

const char *target_option_of(enum target_kind kind)
{
	static const char *const names[] = {
		[TARGET_NOTHING] = "nothing", [TARGET_PIDS] = "-p",	     [TARGET_COMM] = "--comm",
		[TARGET_CONTAINER] = "-c",    [TARGET_CGROUP] = "--cgroup",  [TARGET_ALL] = "-a",
		[TARGET_COMMAND] = "a command behind --",
	};

	return names[kind];
}

static int choose(struct target_options *t, enum target_kind kind)
{
	if (t->kind == kind && kind != TARGET_PIDS && kind != TARGET_ALL) {
		message_error("%s can be given once only", target_option_of(kind));
		return -EINVAL;
	}
	if (t->kind && t->kind != kind) {
		message_error("give either %s or %s, not both", target_option_of(t->kind), target_option_of(kind));
		return -EINVAL;
	}
	t->kind = kind;
	return 0;
}

static bool is_given(const struct target_options *t, pid_t pid)
{
	for (size_t i = 0; i < t->n_pids; i++)
		if (t->pids[i] == pid)
			return true;
	return false;
}

int target_option_pids(struct target_options *t, const char *text)
{
	char *end;
	long pid;

	for (;; text = end + 1) {
		errno = 0;
		pid = strtol(text, &end, 10);
		if (end == text || errno || pid <= 0 || pid > INT_MAX || (*end && *end != ',')) {
			message_error("-p takes process ids separated by commas, not \"%s\"", text);
			return -EINVAL;
		}
		if (t->n_pids == MAX_PIDS) {
			message_error("-p takes at most %d processes", MAX_PIDS);
			return -EINVAL;
		}
		if (!is_given(t, pid))
			t->pids[t->n_pids++] = pid;
		if (!*end)
			return choose(t, TARGET_PIDS);
	}
}

int target_option_name(struct target_options *t, enum target_kind kind, const char *name)
{
	if (!*name) {
		message_error("%s takes a name, not \"\"", target_option_of(kind));
		return -EINVAL;
	}
	if (kind == TARGET_COMM && strlen(name) >= COMM_BYTES) {
		message_error("--comm takes at most %d characters, as the kernel knows no more of a name: \"%.*s\"",
			      COMM_BYTES - 1, COMM_BYTES - 1, name);
		return -EINVAL;
	}
	t->name = name;
	return choose(t, kind);
}

int target_option_all(struct target_options *t)
{
	return choose(t, TARGET_ALL);
}

int target_option_command(struct target_options *t, char **command)
{
	t->command = command;
	return choose(t, TARGET_COMMAND);
}

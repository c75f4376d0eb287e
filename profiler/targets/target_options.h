/* SPDX-License-Identifier: Apache-2.0 */
/* What to profile, as the command line says it: the same for every command. */
#ifndef WIREPROF_TARGET_OPTIONS_H
#define WIREPROF_TARGET_OPTIONS_H

#include <stddef.h>
#include <sys/types.h>

#define MAX_PIDS 1024

enum target_kind {
	TARGET_NOTHING,
	TARGET_PIDS,	  /* -p: these, and the children they start */
	TARGET_COMM,	  /* --comm: every process of this name, and the children they start */
	TARGET_CONTAINER, /* -c: every process in a container */
	TARGET_CGROUP,	  /* --cgroup: every process in a cgroup, and those below it */
	TARGET_ALL,	  /* -a: every process of the machine */
	TARGET_COMMAND,	  /* -- CMD: that, and the children it starts */
};

struct target_options {
	enum target_kind kind;
	pid_t pids[MAX_PIDS];
	size_t n_pids;
	const char *name; /* of COMM, CONTAINER; path of CGROUP */
	char **command;	  /* of COMMAND */
};

/*
 * Each takes one option into `t`. Returns 0, or -EINVAL after a message: not of that form, or a target of
 * another kind was given. -p can be given again, for more processes; the others cannot.
 */
int target_option_pids(struct target_options *t, const char *text);
int target_option_name(struct target_options *t, enum target_kind kind, const char *name);
int target_option_all(struct target_options *t);
int target_option_command(struct target_options *t, char **command);

/* How the option of a kind is called: "--comm". */
const char *target_option_of(enum target_kind kind);

#endif

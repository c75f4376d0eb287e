/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what the user asked for to processes: those that are there are added, and the kernel side is told the rule by which
 * others join. A container that is started again has another cgroup, so that is looked for every second or so.
 */
#ifndef WIREPROF_TARGETS_H
#define WIREPROF_TARGETS_H

#include <stdbool.h>
#include "cgroups.h"
#include "../recorder.h"
#include "target_options.h"

struct targets {
	const struct target_options *options;
	struct recorder *recorder;
	struct cgroup_target cgroup; /* of -c and --cgroup, while found */
	bool wait, found;
	int problem; /* that was said last: a negative errno; 0: none */
	uint64_t checked_ns; /* when it was looked for last */
	uint64_t alive_ns;   /* when it had a process last; 0: never */
};

/*
 * Checks what was asked for, before anything is loaded. With `wait`, what is not there yet, or is not clear, may
 * still come: that is a warning; of several processes, one that is there is enough. Returns 0 or -errno after a message.
 */
int targets_find(struct targets *t, const struct target_options *options, struct containers *containers, bool wait);
/* Adds the processes that are there, and has the others join. Returns 0 or -errno after a message. */
int targets_start(struct targets *t, struct recorder *r);
/*
 * Looks whether the container or cgroup is still the one that was found, if it is time for that: call it with every drain.
 */
void targets_check(struct targets *t);
/* "redis-server (pid 42)", "container redis": for titles. */
void targets_describe(const struct targets *t, char *out, size_t size);

#endif

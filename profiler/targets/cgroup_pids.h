/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a cgroup, and of those below it, as a list. */
#ifndef WIREPROF_CGROUP_PIDS_H
#define WIREPROF_CGROUP_PIDS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct pid_list {
	pid_t *list; /* sorted, each once; 0 stands for all that our pid namespace does not show */
	size_t n, capacity;
};

int pid_list_read(struct pid_list *l, const char *directory); /* 0 or -errno; free in any case */
void pid_list_free(struct pid_list *l);
bool pid_list_equal(const struct pid_list *a, const struct pid_list *b);
bool pid_list_has(const struct pid_list *l, pid_t pid);
bool pid_list_meets(const struct pid_list *a, const struct pid_list *b); /* some process is in both */

#endif

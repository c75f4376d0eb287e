/* SPDX-License-Identifier: Apache-2.0 */
/* Code that processes map, and the kernel gets, while they are sampled: see recorder.h. */
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "recorder.h"

/* Code that was mapped, not yet in the process's mappings: samples older than it come first. */
struct late_mapping {
	uint64_t time_ns;
	pid_t pid;
	struct mapping_line line; /* owns its path */
};

static void mapped(void *context, pid_t pid, uint64_t time_ns, const struct mapping_line *m)
{
	struct recorder *r = context;
	struct process *known = pid ? processes_find(&r->processes, pid) : NULL;

	if (!pid)
		kernel_names_lost(&r->kernel_names);
	if (known && !known->gone && !array_reserve((void **)&r->late, &r->late_capacity, r->n_late, sizeof(*r->late))) {
		r->late[r->n_late] = (struct late_mapping){time_ns, pid, *m};
		r->late[r->n_late].line.path = strdup(m->path);
		r->n_late += !!r->late[r->n_late].line.path;
	}

	for (size_t i = 0; i < r->processes.n; i++) {
		struct process *process = r->processes.list[i];

		if ((!pid || process->pid == pid) && !process->gone && !process->changed_ns &&
		    (!pid || time_ns > process->refreshed_ns))
			process->changed_ns = pid ? time_ns : 1;
	}
}

static void kernel_code(void *context, const struct kernel_code *code)
{
	struct recorder *r = context;

	kernel_names_code(&r->kernel_names, code);
}

static int by_time(const void *a, const void *b)
{
	const struct late_mapping *x = a, *y = b;

	return (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

void recorder_watch(struct recorder *r)
{
	if (!r->watch)
		return;
	r->watched_ns = monotonic_ns();
	mmap_watch_drain(r->watch, &(struct mmap_watch_calls){mapped, kernel_code, r});
	if (r->n_late)
		qsort(r->late, r->n_late, sizeof(*r->late), by_time); /* each CPU has a ring */
}

void recorder_apply_late(struct recorder *r, uint64_t until_ns)
{
	size_t n = 0;

	for (; n < r->n_late && r->late[n].time_ns <= until_ns; n++) {
		struct late_mapping *late = &r->late[n];
		struct process *process = processes_find(&r->processes, late->pid);

		if (process && late->time_ns > process->refreshed_ns)
			process_mapped(&r->processes, process, &late->line);
		free((char *)late->line.path);
	}
	if (!n)
		return;
	r->n_late -= n;
	memmove(r->late, r->late + n, r->n_late * sizeof(*r->late));
}

void recorder_forget_late(struct recorder *r)
{
	for (size_t i = 0; i < r->n_late; i++)
		free((char *)r->late[i].line.path);
	free(r->late);
	r->late = NULL;
	r->n_late = r->late_capacity = 0;
}

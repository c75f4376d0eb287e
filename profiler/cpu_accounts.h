/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CPU time the kernel accounts to each target, window by window: what the samples of a window have to add up to.
 *
 * A timer on each CPU misses a little where interrupts are off, and with some loads that is not little (2 % of a server that goes to
 * sleep and wakes for every request); while the receive hook is not attached, targets are hardly sampled at all. The kernel's
 * own account (CLOCK_PROCESS_CPUTIME_ID of another process, clock_getcpuclockid(3)) has all of it, for one system call.
 */
#ifndef WIREPROF_CPU_ACCOUNTS_H
#define WIREPROF_CPU_ACCOUNTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "../bpf/events.h" /* CPU_NOT_KNOWN */
#include "intern.h"

struct cpu_accounts {
	struct intern pids;
	struct cpu_account {
		uint64_t from_ns; /* of its CPU time: what came before is of another window, or was not to be sampled */
		uint64_t used_ns; /* in the window, up to from_ns, and by those that have ended */
		bool live;
		bool whole; /* all of it is known since the window began, or since the process did */
	} *list;
	size_t capacity;
	bool ended; /* the window */
};

void cpu_accounts_init(struct cpu_accounts *a);
void cpu_accounts_fini(struct cpu_accounts *a);

/* A process is sampled from now on, or from when it had used from_ns; CPU_NOT_KNOWN: it is not known how much that was. */
void cpu_accounts_add(struct cpu_accounts *a, pid_t pid, uint64_t from_ns);
/* It has ended, having used total_ns; CPU_NOT_KNOWN: as above. */
void cpu_accounts_end(struct cpu_accounts *a, pid_t pid, uint64_t total_ns);
/* A window has ended: what is used from now on is the next one's. */
void cpu_accounts_end_window(struct cpu_accounts *a);
/* The next begins: those that have ended are forgotten, what was used up to the end of the last does not count. */
void cpu_accounts_begin_window(struct cpu_accounts *a);

/* What the process has used in the window, up to now, or to its end, in ns; 0: not known. */
uint64_t cpu_accounts_used(const struct cpu_accounts *a, pid_t pid);

/* CPU time of a process, all its threads, also those that have ended; CPU_NOT_KNOWN: it is gone. */
uint64_t process_cpu_ns(pid_t pid);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the BPF programs cost: the kernel's own statistics (run_time_ns, run_cnt of bpf_prog_info).
 *
 * The kernel keeps them while kernel.bpf_stats_enabled is set, or somebody holds BPF_ENABLE_STATS; either makes every run of every program
 * of the machine a little dearer. So they are switched on for one second in METER_EVERY, and what was seen then
 * stands for the seconds around it. That takes CAP_SYS_ADMIN: without it, and without the sysctl, nothing is known.
 */
#ifndef WIREPROF_KERNEL_METER_H
#define WIREPROF_KERNEL_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define METER_EVERY 10 /* ticks */
#define METER_PROGRAMS 8

struct kernel;

struct kernel_meter {
	const struct kernel *kernel;
	int stats_fd; /* -1: not on by us */
	bool refused, always; /* they cannot be switched on; they are on anyway */
	unsigned int ticks;
	size_t n;
	struct metered {
		char name[32];
		uint64_t run_ns, runs;		 /* since the meter began, as far as is known */
		uint64_t seen_ns, seen_runs; /* when looked at last */
	} programs[METER_PROGRAMS];
};

/* Begins with the programs of `k`; what was counted before stays. */
void kernel_meter_init(struct kernel_meter *m, const struct kernel *k);
void kernel_meter_fini(struct kernel_meter *m);
/* Call it every second. */
void kernel_meter_tick(struct kernel_meter *m);
/* Whether anything is known. */
bool kernel_meter_knows(const struct kernel_meter *m);

#endif

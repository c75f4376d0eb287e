/* SPDX-License-Identifier: Apache-2.0 */
/* See kernel.h: the CPUs' clocks, that samples are taken by. */
#include <errno.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "clock.h"
#include "kernel_internal.h"
#include "sysctl.h"

/* Without a sample of a target: for so long, and so many periods, which are long while the receive hook is not attached. */
#define REST_AFTER_NS	   2000000000ull
#define REST_AFTER_PERIODS 190
#define REST_FACTOR	   8 /* periods longer */

/* The kernel lowers it by itself, where sampling took too long. */
unsigned int kernel_max_sample_rate(void)
{
	return sysctl_number("kernel/perf_event_max_sample_rate", UINT_MAX);
}

int kernel_open_clock(int cpu, uint64_t period_ns)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = period_ns,
		.exclude_idle = 1,
	};
	int fd = syscall(SYS_perf_event_open, &attr, cpu < 0 ? 0 : -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static uint64_t period_of(const struct kernel *k, const struct cpu_clock *c)
{
	return k->period_ns * (c->rests ? REST_FACTOR : 1);
}

static void tell_sampler(const struct kernel *k, const struct cpu_clock *c)
{
	k->shared_clocks[c - k->clocks] = (struct clock){.period_ns = period_of(k, c), .rests = c->rests};
}

/* The timer first: it starts anew, so that it does not fire before the period that its sample is told is right. */
static void apply(const struct kernel *k, const struct cpu_clock *c)
{
	uint64_t period_ns = period_of(k, c);

	if (c->link && !ioctl(c->fd, PERF_EVENT_IOC_PERIOD, &period_ns))
		tell_sampler(k, c);
}

void kernel_set_period(struct kernel *k, uint64_t period_ns)
{
	k->period_ns = period_ns;
	for (size_t i = 0; i < k->n_clocks; i++)
		apply(k, &k->clocks[i]);
}

static void set_rest(const struct kernel *k, struct cpu_clock *c, bool rests)
{
	if (c->rests == rests)
		return;
	c->rests = rests;
	apply(k, c);
}

void kernel_watch_clocks(struct kernel *k)
{
	uint32_t key = COUNTER_TARGET_NS;
	uint64_t now_ns = monotonic_ns(), since_ns = now_ns - k->watched_ns;

	k->watched_ns = now_ns;
	if (bpf_map_lookup_elem(bpf_map__fd(k->skel->maps.counters), &key, k->target_ns))
		return;
	for (size_t i = 0; i < k->n_clocks; i++) {
		struct cpu_clock *c = &k->clocks[i];
		bool used = k->target_ns[i] != c->target_ns;

		c->target_ns = k->target_ns[i];
		c->without_ns = used ? 0 : c->without_ns + since_ns;
		c->without_periods = used ? 0 : c->without_periods + (double)since_ns / k->period_ns;
		set_rest(k, c, c->without_ns >= REST_AFTER_NS && c->without_periods >= REST_AFTER_PERIODS);
	}
}

void kernel_wake_clocks(struct kernel *k)
{
	for (size_t i = 0; i < k->n_clocks; i++) {
		k->clocks[i].without_ns = k->clocks[i].without_periods = 0;
		set_rest(k, &k->clocks[i], false);
	}
}

/* False: memory is out. */
static bool open_shared(struct kernel *k, int cpus)
{
	void *shared = mmap(NULL, cpus * sizeof(*k->shared_clocks), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(k->skel->maps.clocks), 0);

	k->clocks = calloc(cpus, sizeof(*k->clocks));
	k->target_ns = calloc(cpus, sizeof(*k->target_ns));
	if (shared == MAP_FAILED || !k->clocks || !k->target_ns)
		return false;
	k->shared_clocks = shared;
	k->n_clocks = cpus;
	return true;
}

static int attach_clock(struct kernel *k, struct cpu_clock *c)
{
	int err;

	c->fd = kernel_open_clock((int)(c - k->clocks), period_of(k, c));
	if (c->fd == -ENODEV)
		return 0; /* possible, but not online */
	if (c->fd < 0)
		return c->fd;
	tell_sampler(k, c);
	c->link = bpf_program__attach_perf_event(k->skel->progs.sample, c->fd);
	err = -errno;
	if (c->link)
		return 0;
	close(c->fd);
	return err;
}

int attach_clocks(struct kernel *k)
{
	int cpus = libbpf_num_possible_cpus(), err = 0;

	if (cpus < 0)
		return cpus;
	if (!k->shared_clocks && !open_shared(k, cpus))
		return -ENOMEM;
	for (size_t i = 0; !err && i < k->n_clocks; i++)
		err = attach_clock(k, &k->clocks[i]);
	k->watched_ns = monotonic_ns();
	return err;
}

void detach_clocks(struct kernel *k)
{
	for (size_t i = 0; i < k->n_clocks; i++) {
		bpf_link__destroy(k->clocks[i].link);
		k->clocks[i].link = NULL;
	}
}

void free_clocks(struct kernel *k)
{
	if (k->shared_clocks)
		munmap(k->shared_clocks, k->n_clocks * sizeof(*k->shared_clocks));
	free(k->clocks);
	free(k->target_ns);
}

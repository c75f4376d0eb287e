/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one sample of a target costs, in nanoseconds of the kernel's own clock around each run (bpf_stats):
 *
 *	full	the sampler
 *	kernel	the sampler without the user stack
 *	empty	a program that does nothing, at the same place: its median is taken off the other two
 *
 * Single runs are seen because the program's totals are read several times between two samples: where the number of
 * runs grew by one, the growth of the time is one run's. The target stands 30 frames deep in code without frame
 * pointers. In turns of 0.2 s it either computes in registers, so that the CPU's caches keep the unwinder's tables, or
 * walks over memory, so that they do not: a server lies in between.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "empty.skel.h"
#include "profiler/kernel_internal.h" /* what users never do: to attach one program of several */
#include "profiler/recorder.h"

#define MAX_RUNS   100000
#define TURN_NS	   200000000ull
#define POLLS	   8 /* looks at the totals between two samples */
#define DEPTH_MAX  900
#define WALK_BYTES (64u << 20)
#define CACHE_LINE 64

#define ARMS(X) X(FULL, "full") X(KERNEL, "without user stack") X(EMPTY, "empty program")
#define X(name, text) ARM_##name,
enum arm { ARMS(X) N_ARMS };
#undef X

enum load { LOAD_REGISTERS, LOAD_MEMORY, N_LOADS };

struct shared {
	volatile int load; /* enum load */
	volatile int ready;
};

struct bench {
	double seconds;
	unsigned int frequency_hz, depth;
	pid_t target;
	struct shared *shared;
	struct recorder *recorder;
	struct empty_bpf *empty;
	uint64_t samples, frames, complete; /* with user stack: they, their user frames, and those that reach the entry */
	uint64_t ns[N_LOADS][N_ARMS][MAX_RUNS];
	size_t n[N_LOADS][N_ARMS];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- the target: three functions with frames of different sizes call each other --- */

static volatile long sink;

__attribute__((noinline, noclone)) static long work(struct shared *shared)
{
	volatile char *memory = mmap(NULL, WALK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				     -1, 0);
	size_t at = 0;

	if (memory == MAP_FAILED)
		_exit(1);
	shared->ready = 1;
	for (;;) {
		while (shared->load == LOAD_REGISTERS)
			for (volatile int i = 0; i < 1000; i++)
				;
		while (shared->load == LOAD_MEMORY)
			for (int i = 0; i < 1000; i++, at = (at + CACHE_LINE) % WALK_BYTES)
				memory[at]++;
	}
	return sink;
}

#define TARGET_FUNCTION(name, next, words)                                                         \
	__attribute__((noinline, noclone)) static long name(struct shared *shared, long depth)     \
	{                                                                                          \
		volatile long here[words];                                                         \
                                                                                                   \
		here[depth % (words)] = depth;                                                     \
		return (depth ? next(shared, depth - 1) : work(shared)) + here[depth % (words)];   \
	}

static long first(struct shared *shared, long depth);
TARGET_FUNCTION(third, first, 3)
TARGET_FUNCTION(second, third, 20)
TARGET_FUNCTION(first, second, 8)

static pid_t start_target(struct bench *b)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	alarm((unsigned int)b->seconds + 60);
	sink = first(b->shared, b->depth);
	_exit(0);
}

/* --- measuring --- */

static struct bpf_link *attach(const struct bench *b, struct bpf_program *program)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.freq = 1,
		.sample_freq = b->frequency_hz,
	};
	int fd = syscall(SYS_perf_event_open, &attr, b->target, -1, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? NULL : bpf_program__attach_perf_event(program, fd);
}

static void take_event(void *context, const struct event_header *h, size_t size)
{
	const struct sample_event *e = (const void *)h;
	struct bench *b = context;

	if (h->type != EVENT_SAMPLE || size < sizeof(*e) || e->stop == STOP_NONE)
		return;
	b->samples++;
	b->frames += e->n_user;
	b->complete += e->stop == STOP_END || e->stop == STOP_ZERO;
}

/* One turn of one program: every run that is seen alone. */
static int measure(struct bench *b, enum load load, enum arm arm)
{
	struct wireprof_bpf *skel = b->recorder->kernel->skel;
	struct bpf_program *program = arm == ARM_EMPTY ? b->empty->progs.empty_sample : skel->progs.sample;
	struct bpf_prog_info info = {0}, last = {0};
	uint64_t end = now_ns() + TURN_NS;
	const struct timespec pause = {.tv_nsec = 1000000000 / b->frequency_hz / POLLS};
	struct bpf_link *link;
	__u32 size = sizeof(info);

	b->shared->load = load;
	skel->bss->without_user_stacks = arm == ARM_KERNEL;
	link = attach(b, program);
	if (!link)
		return -errno;
	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &last, &size))
		return -errno;
	while (now_ns() < end) {
		nanosleep(&pause, NULL);
		size = sizeof(info);
		memset(&info, 0, sizeof(info));
		if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
			return -errno;
		if (info.run_cnt == last.run_cnt + 1 && b->n[load][arm] < MAX_RUNS)
			b->ns[load][arm][b->n[load][arm]++] = info.run_time_ns - last.run_time_ns;
		last = info;
	}
	bpf_link__destroy(link);
	kernel_drain(b->recorder->kernel, take_event, b);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double quantile(struct bench *b, enum load load, enum arm arm, double q)
{
	size_t n = b->n[load][arm];

	if (!n)
		return 0;
	return b->ns[load][arm][(size_t)(q * (n - 1))] / 1000.0;
}

static void print(struct bench *b)
{
	static const char *const loads[] = {"target computes in registers", "target walks over 64 MiB"};
#define X(name, text) text,
	static const char *const arms[] = {ARMS(X)};
#undef X

	printf("%-32s%-20s %8s %8s %8s %8s\n", "us a sample, net of empty", "", "runs", "median", "p90", "p99");
	for (enum load load = 0; load < N_LOADS; load++) {
		double floor;

		for (enum arm arm = 0; arm < N_ARMS; arm++)
			qsort(b->ns[load][arm], b->n[load][arm], sizeof(uint64_t), by_value);
		floor = quantile(b, load, ARM_EMPTY, 0.5);
		for (enum arm arm = 0; arm < N_ARMS; arm++)
			printf("%-32s%-20s %8zu %8.2f %8.2f %8.2f\n", loads[load], arms[arm], b->n[load][arm],
			       quantile(b, load, arm, 0.5) - floor, quantile(b, load, arm, 0.9) - floor,
			       quantile(b, load, arm, 0.99) - floor);
		printf("%-32s%-20s %8s %8.2f   (the empty program itself: %.2f)\n", loads[load], "full / without", "",
		       (quantile(b, load, ARM_FULL, 0.5) - floor) /
			       (quantile(b, load, ARM_KERNEL, 0.5) - floor),
		       floor);
	}
}

static int run(struct bench *b)
{
	const struct recorder_options options = {.frequency_hz = b->frequency_hz, .requests = true};
	uint64_t end = now_ns() + (uint64_t)(b->seconds * 1e9);
	int err, stats = -1;

	err = recorder_open(b->recorder, &options);
	if (err)
		return err;
	b->empty = empty_bpf__open();
	if (!b->empty)
		return -errno;
	bpf_program__set_autoload(b->empty->progs.empty_receive, false);
	err = empty_bpf__load(b->empty);
	if (err)
		return err;
	while (!b->shared->ready && now_ns() < end)
		usleep(1000);
	err = recorder_add(b->recorder, b->target);
	if (err)
		return err;
	stats = bpf_enable_stats(BPF_STATS_RUN_TIME); /* on while this descriptor is open, whatever happens */
	if (stats < 0)
		return stats;
	while (!err && now_ns() < end)
		for (enum load load = 0; !err && load < N_LOADS; load++)
			for (enum arm arm = 0; !err && arm < N_ARMS; arm++)
				err = measure(b, load, arm);
	close(stats);
	return err;
}

int main(int argc, char **argv)
{
	static struct recorder recorder; /* large */
	static struct bench b = {.seconds = 12, .frequency_hz = 499, .depth = 24, .recorder = &recorder};
	int option, err;

	while ((option = getopt(argc, argv, "d:F:n:")) != -1) {
		if (option == 'd')
			b.seconds = atof(optarg);
		else if (option == 'F')
			b.frequency_hz = atoi(optarg);
		else if (option == 'n')
			b.depth = atoi(optarg);
		else
			optind = argc + 1;
	}
	if (optind != argc || !b.frequency_hz || b.depth > DEPTH_MAX) {
		fprintf(stderr, "usage: sample_cost [-d SECONDS] [-F HZ] [-n CALLS]\n");
		return 2;
	}
	b.shared = mmap(NULL, sizeof(*b.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (b.shared == MAP_FAILED)
		return 1;
	b.target = start_target(&b);
	if (b.target < 0)
		return 1;
	err = run(&b);
	if (err)
		fprintf(stderr, "sample_cost: %s\n", strerror(-err));
	else
		print(&b);
	if (b.samples)
		printf("%.1f user frames a stack; %llu of %llu stacks reach the entry\n",
		       (double)b.frames / b.samples, (unsigned long long)b.complete,
		       (unsigned long long)b.samples);
	kill(b.target, SIGKILL);
	waitpid(b.target, NULL, 0);
	recorder_close(&recorder);
	empty_bpf__destroy(b.empty);
	return err ? 1 : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What wireprof costs a mariadbd that it watches: extra CPU per point select, as text or as prepared statement.
 *
 * Eight connections keep the server's CPU busy from start to end. Only what is attached changes, in windows of random
 * length: every window with something attached stands between two without, and counts as the difference to their mean (as
 * in overhead.c, which tells why). The arm `null` attaches nothing either: it must come out as zero within its error.
 *
 * On a virtual machine the sampler alone costs more here than all else, and not by what it does: its timer on the
 * clients' CPU lets that go to sleep sooner (the guest's haltpoll governor), and then the server has to wake it by an
 * interrupt. So the sampler has an arm of its own.
 *
 * Then bpf_stats: what each program takes a run, by the kernel's own clock, and an empty one at the receive hook.
 *
 *	mysql_overhead PID SOCKET text|prepared SECONDS WINDOW_MS
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "empty.skel.h"
#include "mysql_under_load.h"
#include "profiler/kernel_internal.h"
#include "profiler/recorder.h"
#include "statistics.h"

#define SERVER_CPU   0
#define CLIENT_CPU   1
#define SETTLE_MS    30
#define TRIM	     0.2
#define MAX_WINDOWS  100000
#define FREQUENCY_HZ 99
#define TARGET	     0.6 /* % */
#define STATS_MS     6000
#define MAX_PROGRAMS 16

enum arm { NONE, NULL_ARM, SAMPLER, COMPLETE, N_ARMS };
static const char *const arm_names[N_ARMS] = {"", "nothing, as a check", "wireprof --no-requests", "wireprof"};

struct window {
	enum arm arm;
	double ns; /* a statement */
};

struct bench {
	pid_t server;
	struct mysql_under_load load;
	double seconds;
	int window_ms;
	struct recorder *recorders[N_ARMS]; /* NULL: nothing is attached */
	struct window *windows;
	size_t n;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* --- the meter --- */

static uint64_t server_cpu_ns(const struct bench *b)
{
	char path[384];
	struct dirent *thread;
	uint64_t sum = 0;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", b->server);
	tasks = opendir(path);
	while (tasks && (thread = readdir(tasks))) {
		unsigned long long ns;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", b->server, thread->d_name);
		f = *thread->d_name == '.' ? NULL : fopen(path, "re");
		if (f && fscanf(f, "%llu", &ns) == 1)
			sum += ns;
		if (f)
			fclose(f);
	}
	if (tasks)
		closedir(tasks);
	return sum;
}

struct reading {
	uint64_t ns, statements;
};

/*
 * Both at the same instant. A running thread's time is as old as the last tick, so the server's CPU is taken from it
 * until no statement is under way (meter_read() in overhead.c).
 */
static struct reading take_reading(const struct bench *b)
{
	struct reading r;

	pin_to(SERVER_CPU);
	for (int tries = 0; tries < 20; tries++) {
		uint64_t quiet_since;

		do {
			r.statements = *b->load.statements;
			quiet_since = now_ns();
			while (now_ns() < quiet_since + 100000 && *b->load.statements == r.statements)
				;
		} while (*b->load.statements != r.statements);
		r.ns = server_cpu_ns(b);
		if (*b->load.statements == r.statements && server_cpu_ns(b) == r.ns)
			break;
	}
	pin_to(CLIENT_CPU);
	return r;
}

static void run_for(struct recorder *r, double ms)
{
	uint64_t end_ns = now_ns() + ms * 1e6;
	struct pollfd ring = {.fd = r ? kernel_poll_fd(r->kernel) : -1, .events = POLLIN};

	while (now_ns() < end_ns) {
		int left_ms = (end_ns - now_ns()) / 1000000 + 1;

		poll(&ring, 1, r && left_ms > DRAIN_MS ? DRAIN_MS : left_ms);
		if (r)
			recorder_drain(r);
	}
}

static int measure_window(struct bench *b, enum arm arm)
{
	struct recorder *r = b->recorders[arm];
	struct reading start, end;
	int err = r ? kernel_attach(r->kernel) : 0;

	if (err)
		return err;
	run_for(r, SETTLE_MS);
	start = take_reading(b);
	run_for(r, b->window_ms + rand() % (b->window_ms / 2 + 1));
	end = take_reading(b);
	if (r) {
		kernel_detach(r->kernel);
		recorder_drain(r);
	}
	if (end.statements == start.statements)
		return -EIO;
	b->windows[b->n++] = (struct window){
		.arm = arm, .ns = (double)(end.ns - start.ns) / (end.statements - start.statements)};
	return 0;
}

static int measure(struct bench *b)
{
	uint64_t end_ns = now_ns() + b->seconds * 1e9;
	int err = measure_window(b, COMPLETE); /* does not count: caches, first stacks */

	b->n = 0;
	if (!err)
		err = measure_window(b, NONE);
	while (!err && now_ns() < end_ns && b->n + 2 < MAX_WINDOWS) {
		err = measure_window(b, rand() % 5 ? SAMPLER + rand() % 2 : NULL_ARM);
		if (!err)
			err = measure_window(b, NONE);
	}
	return err;
}

static struct estimate difference(const struct bench *b, enum arm arm, double *values)
{
	size_t n = 0;

	for (size_t i = 1; i + 1 < b->n; i++)
		if (b->windows[i].arm == arm)
			values[n++] = b->windows[i].ns - (b->windows[i - 1].ns + b->windows[i + 1].ns) / 2;
	return trimmed_mean(values, n, TRIM);
}

static void print_difference(const char *what, double ns, double error, double base)
{
	printf("  %-22s %8.1f +- %6.1f ns  %6.2f +- %.2f %%\n", what, ns, error, 100 * ns / base, 100 * error / base);
}

static void print_windows(const struct bench *b, const char *load)
{
	double *values = calloc(b->n, sizeof(*values));
	struct estimate base, arms[N_ARMS];
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		if (b->windows[i].arm == NONE)
			values[n++] = b->windows[i].ns;
	base = trimmed_mean(values, n, TRIM);
	printf("%s: %.0f ns of the server's CPU a statement; %zu windows\n", load, base.mean, b->n);
	for (int arm = NULL_ARM; arm < N_ARMS; arm++) {
		arms[arm] = difference(b, arm, values);
		print_difference(arm_names[arm], arms[arm].mean, arms[arm].error, base.mean);
	}
	print_difference("what requests add", arms[COMPLETE].mean - arms[SAMPLER].mean,
			 hypot(arms[COMPLETE].error, arms[SAMPLER].error), base.mean);
	printf("(target of wireprof, for statements of 64 to 140 us: %.1f %%)\n", TARGET);
	free(values);
}

/* --- bpf_stats --- */

struct runs {
	const char *name;
	double n, ns;
};

static struct runs runs_of(const struct bpf_program *program)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
		return (struct runs){0};
	return (struct runs){.name = bpf_program__name(program), .n = info.run_cnt, .ns = info.run_time_ns};
}

/* Programs that are not loaded, since another hook was chosen, have no runs. */
static int all_runs(const struct recorder *r, struct runs *runs)
{
	struct bpf_program *program;
	int n = 0;

	bpf_object__for_each_program(program, r->kernel->skel->obj) {
		if (n < MAX_PROGRAMS)
			runs[n++] = runs_of(program);
	}
	return n;
}

/* A statement's part of the runs, while this recorder is attached. Returns the number of programs, or -errno. */
static int runs_a_statement(const struct bench *b, struct recorder *r, struct runs *runs)
{
	struct runs before[MAX_PROGRAMS];
	uint64_t statements;
	int n = kernel_attach(r->kernel);

	if (n)
		return n;
	run_for(r, SETTLE_MS);
	statements = *b->load.statements;
	n = all_runs(r, before);
	run_for(r, STATS_MS);
	all_runs(r, runs);
	statements = *b->load.statements - statements;
	kernel_detach(r->kernel);
	for (int i = 0; i < n; i++) {
		runs[i].n = (runs[i].n - before[i].n) / statements;
		runs[i].ns = (runs[i].ns - before[i].ns) / statements;
	}
	return n;
}

/*
 * The client's receives run the programs too, and leave early, as all do where there is no target: so a recorder
 * without one tells what that takes.
 */
static void print_runs(const struct runs *with, const struct runs *without, int n, double empty_ns)
{
	printf("bpf_stats: an empty program takes %.1f ns a run\n", empty_ns);
	for (int i = 0; i < n; i++)
		if (with[i].n > 0.01)
			printf("  %-18s %6.3f runs a statement, client's included: %7.1f ns net of empty, %7.1f ns more than without "
			       "a target\n",
			       with[i].name, with[i].n, with[i].ns - with[i].n * empty_ns, with[i].ns - without[i].ns);
	printf("(what it takes to enter a program is outside its clock)\n");
}

static int print_stats(struct bench *b, struct recorder *no_target)
{
	struct runs with[MAX_PROGRAMS], without[MAX_PROGRAMS], empty;
	struct empty_bpf *skel = empty_bpf__open_and_load();
	struct bpf_link *link = skel ? bpf_program__attach(skel->progs.empty_receive) : NULL;
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME); /* on while this descriptor is open */
	int n = link && stats >= 0 ? runs_a_statement(b, no_target, without) : -EPERM, err = n < 0 ? n : 0;

	if (!err) {
		n = runs_a_statement(b, b->recorders[COMPLETE], with);
		err = n < 0 ? n : 0;
	}
	if (!err) {
		empty = runs_of(skel->progs.empty_receive);
		print_runs(with, without, n, empty.n ? empty.ns / empty.n : 0);
	}
	if (stats >= 0)
		close(stats);
	bpf_link__destroy(link);
	empty_bpf__destroy(skel);
	return err;
}

int main(int argc, char **argv)
{
	static struct recorder recorder, sampler, no_target; /* large */
	const struct recorder_options options = {.frequency_hz = FREQUENCY_HZ, .requests = true};
	const struct recorder_options no_requests = {.frequency_hz = FREQUENCY_HZ};
	struct bench b = {.recorders = {[SAMPLER] = &sampler, [COMPLETE] = &recorder}};
	int err;

	if (argc != 6) {
		fprintf(stderr, "usage: mysql_overhead PID SOCKET text|prepared SECONDS WINDOW_MS\n");
		return 2;
	}
	b.server = atoi(argv[1]);
	b.seconds = atof(argv[4]);
	b.window_ms = atoi(argv[5]);
	b.windows = calloc(MAX_WINDOWS, sizeof(*b.windows));
	setvbuf(stdout, NULL, _IOLBF, 0);
	err = recorder_open(&recorder, &options);
	if (!err)
		err = recorder_open(&sampler, &no_requests);
	if (!err)
		err = recorder_open(&no_target, &options);
	if (!err)
		err = recorder_add(&recorder, b.server);
	if (!err)
		err = recorder_add(&sampler, b.server);
	if (!err)
		err = mysql_load_start(&b.load, argv[2], !strcmp(argv[3], "prepared"), CLIENT_CPU);
	if (!err)
		err = measure(&b);
	if (!err) {
		print_windows(&b, argv[3]);
		err = print_stats(&b, &no_target);
	}
	if (err)
		fprintf(stderr, "mysql_overhead: %s\n", strerror(-err));
	mysql_load_stop(&b.load);
	recorder_close(&recorder);
	recorder_close(&sampler);
	recorder_close(&no_target);
	free(b.windows);
	return err ? 1 : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cross-check of overhead.c by another way, quiet but blind to what is outside the programs: the kernel's own
 * clock around each run of a program (bpf_stats), less what it shows for an empty program at the same place.
 *
 * The client's receives pass no hook (redis_under_load.c). Those of other processes do, and leave early: what that
 * takes is measured before the server becomes the target, and taken off.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "overhead.h"

struct runs {
	double n, ns;
};

static struct runs runs_of(const struct bpf_program *program)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);

	if (!program || bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
		return (struct runs){0};
	return (struct runs){.n = info.run_cnt, .ns = info.run_time_ns};
}

/* Calls of read() and the like that a process has made, not recv(); 0 where the kernel does not count them. */
static uint64_t process_reads(pid_t pid)
{
	unsigned long long reads = 0;
	char path[32], line[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/io", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f) && sscanf(line, "syscr: %llu", &reads) != 1)
		;
	if (f)
		fclose(f);
	return reads;
}

struct stats {
	struct runs receive, sample, empty_receive, empty_sample;
	double reads, requests, taken, server_ns;
};

/* Sign: -1 before, +1 after. */
static void stats_add(struct runs *sum, struct runs now, double sign)
{
	sum->n += sign * now.n;
	sum->ns += sign * now.ns;
}

static void stats_take(const struct meter *m, struct stats *s, double sign)
{
	struct reading now = meter_read(m);
	uint64_t counters[N_COUNTERS];

	kernel_counters(m->complete->kernel, counters);
	stats_add(&s->receive, runs_of(receive_program(m->complete->kernel)), sign);
	stats_add(&s->empty_receive, runs_of(m->empty->progs.empty_receive), sign);
	stats_add(&s->sample, runs_of(m->complete->kernel->skel->progs.sample), sign);
	stats_add(&s->empty_sample, runs_of(m->empty->progs.empty_sample), sign);
	s->reads += sign * process_reads(m->load.server);
	s->requests += sign * now.requests;
	s->server_ns += sign * now.server_ns;
	s->taken += sign * counters[COUNTER_SAMPLES];
}

static void stats_run(const struct meter *m, double seconds, struct stats *s)
{
	*s = (struct stats){0};
	run_for(m->complete, 200);
	stats_take(m, s, -1);
	run_for(m->complete, seconds * 1000);
	stats_take(m, s, +1);
}

static struct bpf_link *attach_empty_sample(const struct meter *m)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.freq = 1,
		.sample_freq = m->frequency_hz,
		.exclude_idle = 1,
	};
	int fd = syscall(SYS_perf_event_open, &attr, -1, m->load.server_cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? NULL : bpf_program__attach_perf_event(m->empty->progs.empty_sample, fd);
}

static double per_run(struct runs r)
{
	return r.n ? r.ns / r.n : 0;
}

/* A run for the server: the runs for everybody else leave early, and take what they took without a target. */
static double server_run(struct runs all, struct runs without_target, double server_runs)
{
	return (all.ns - (all.n - server_runs) * per_run(without_target)) / server_runs;
}

/* What the runs for one request take, the client's included, net of the floor. */
static double per_request(const struct stats *s)
{
	return (s->receive.ns - s->receive.n * per_run(s->empty_receive)) / s->requests;
}

static void print_row(const char *what, double receive, double sample, int digits)
{
	printf("%-48s %10.*f %10.*f\n", what, digits, receive, digits, sample);
}

/* The server receives by read(), or (mariadbd) by recv(), which the kernel does not count: then all runs are told, not a run. */
static void print_stats(const struct meter *m, const struct stats *miss, const struct stats *hit)
{
	double receives = hit->reads > hit->requests / 1000 ? hit->reads : hit->receive.n;
	double receive = server_run(hit->receive, miss->receive, receives), sample = server_run(hit->sample, miss->sample, hit->taken);
	double sample_net = sample - per_run(hit->empty_sample), added = per_request(hit) - per_request(miss);

	printf("\nbpf_stats, %.0f s: %38s %10s\n", m->stats_seconds, "receive", "sample");
	print_row("runs a request, for the server", receives / hit->requests, hit->taken / hit->requests, 3);
	print_row("ns a run for others, who leave early", per_run(miss->receive), per_run(miss->sample), 1);
	print_row("ns a run, an empty program (the floor)", per_run(hit->empty_receive), per_run(hit->empty_sample), 1);
	print_row("ns a run for the server", receive, sample, 1);
	print_row("ns a run for the server, net of floor", receive - per_run(hit->empty_receive), sample_net, 1);
	print_row("% of the server's CPU, net of floor", 100 * added * hit->requests / hit->server_ns,
		  100 * sample_net * hit->taken / hit->server_ns, 2);
	printf("(what it takes to enter a program is outside its clock: see the empty receive hook above)\n");
	if (m->json)
		fprintf(m->json,
			", \"bpf_stats\": {\"receive_ns\": %.1f, \"receive_empty_ns\": %.1f, \"receive_other_ns\": %.1f, "
			"\"receives_per_request\": %.3f, \"sample_ns\": %.1f, \"sample_empty_ns\": %.1f}",
			receive, per_run(hit->empty_receive), per_run(miss->receive), receives / hit->requests, sample,
			per_run(hit->empty_sample));
}

/* A recorder of its own, so that no thread of the server is known before it becomes the target. */
int cross_check(struct meter *m)
{
	const struct recorder_options options = {.frequency_hz = m->frequency_hz, .requests = true};
	struct bpf_link *empty_sample = NULL;
	struct stats miss, hit;
	int stats = -1, err;

	recorder_close(m->complete);
	err = recorder_open(m->complete, &options);
	if (err)
		return err;
	stats = bpf_enable_stats(BPF_STATS_RUN_TIME); /* on while this descriptor is open, whatever happens */
	if (stats < 0) {
		err = stats;
		fprintf(stderr, "cannot enable bpf_stats: %s\n", strerror(-err));
		goto out;
	}
	err = attach_empty(m);
	empty_sample = attach_empty_sample(m);
	if (!err)
		err = kernel_attach(m->complete->kernel);
	if (err)
		goto out;
	stats_run(m, m->stats_seconds / 3, &miss);
	err = recorder_add(m->complete, m->load.server);
	if (err)
		goto out;
	stats_run(m, m->stats_seconds, &hit);
	print_stats(m, &miss, &hit);
out:
	if (stats >= 0)
		close(stats);
	kernel_detach(m->complete->kernel);
	detach_empty(m);
	bpf_link__destroy(empty_sample);
	return err;
}

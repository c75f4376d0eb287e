/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A large machine, simulated: what the user side takes for the samples of 128 CPUs at 99 Hz over 5 minutes, of servers with 20 000
 * threads, 100 000 connections and 5000 query classes.
 *
 * The samples are made up (large_machine.h); what they go through is what those of the kernel go through: decoded, symbolized, classified,
 * added up; every 10 s the agent's own end of a window, with pprof files for a Pyroscope that is not there, so that they wait on disk; or
 * one window over all, as `record` has it.
 *
 *	samples as time goes by ---> "ring", as large as on such a machine ---> recorder_take(), every DRAIN_MS
 *
 * Time is simulated: it goes on by the CPU time that the user side took, or else to the next drain. So what comes while it is busy waits in
 * the ring, and is lost where that is full, as on a machine where one CPU is the agent's. What that machine's disk and servers have it
 * wait for is not in here.
 *
 *	scale [-c CPUS] [-F HZ] [-d SECONDS] [-t THREADS] [-n CONNECTIONS] [-q CLASSES] [-m agent|record|maps]
 *
 * `maps`: what the kernel's maps take when they are full (large_maps.h). Without -m, all of these.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "large_machine.h"
#include "large_maps.h"
#include "profiler/agent/agent.h"
#include "profiler/clock.h"
#include "profiler/kernel_internal.h" /* what users never do: to ask how large another machine's ring is */

#define WINDOW_S  10.0
#define SETTLE_MS 2000 /* for unwind rows, which other threads build: the machine is not new to the agent */

/* As in the kernel's ring: each behind a header, at multiples of 8 bytes. */
struct ring {
	uint8_t *bytes;
	size_t used, capacity, most;
};

enum mode { AGENT, RECORD, MAPS, N_MODES };
static const char *const mode_names[N_MODES] = {"agent", "record", "maps"};

struct scale {
	enum mode mode;
	struct large_machine machine;
	double seconds;
	struct agent agent;
	struct agent_options options;
	char queue[64];
	struct ring ring;
	double now_s;
	uint64_t arrived, lost, taken_bytes;
	double taking_s, ending_s, longest_s; /* of CPU time: drains, ends of windows, the longest of these */
	double making_s;		      /* what the simulation takes itself */
	uint32_t classes;		      /* in the last window */
	size_t labelsets, stacks, samples, bytes; /* likewise */
	double before_mib;		      /* resident, but for the profiler */
};

static double clock_s(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static double status_mib(const char *name)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long kib = 0;
	char line[256];

	while (f && !kib && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			kib = strtoul(line + strlen(name), NULL, 10);
	if (f)
		fclose(f);
	return kib / 1024.0;
}

/* --- the ring --- */

static bool ring_put(struct ring *r, const void *event, size_t size)
{
	size_t room = 8 + ((size + 7) & ~(size_t)7);
	uint64_t header = size;

	if (r->used + room > r->capacity)
		return false;
	memcpy(r->bytes + r->used, &header, sizeof(header));
	memcpy(r->bytes + r->used + sizeof(header), event, size);
	r->used += room;
	r->most = r->used > r->most ? r->used : r->most;
	return true;
}

/* What fires until now_s. */
static void arrive(struct scale *s)
{
	uint64_t until = (s->now_s < s->seconds ? s->now_s : s->seconds) * s->machine.cpus * s->machine.hz;
	double start = clock_s(CLOCK_THREAD_CPUTIME_ID);
	uint64_t event[MADE_SAMPLE_BYTES / 8 + 1], time_ns = monotonic_ns();

	for (; s->arrived < until; s->arrived++)
		s->lost += !ring_put(&s->ring, event, machine_sample(&s->machine, time_ns, event));
	s->making_s += clock_s(CLOCK_THREAD_CPUTIME_ID) - start;
}

static void drain(struct scale *s)
{
	struct recorder *r = &s->agent.recorder;
	uint64_t size;

	recorder_drain(r); /* the real ring is empty; all else is done as ever */
	for (size_t at = 0; at < s->ring.used; at += 8 + ((size + 7) & ~(size_t)7)) {
		memcpy(&size, s->ring.bytes + at, sizeof(size));
		recorder_take(r, (const void *)(s->ring.bytes + at + sizeof(size)), size);
	}
	s->taken_bytes += s->ring.used;
	s->ring.used = 0;
}

/* Does it, and lets time pass meanwhile. */
static double spend(struct scale *s, void (*work)(struct scale *s))
{
	double start = clock_s(CLOCK_THREAD_CPUTIME_ID), took;

	work(s);
	took = clock_s(CLOCK_THREAD_CPUTIME_ID) - start;
	s->now_s += took;
	s->longest_s = took > s->longest_s ? took : s->longest_s;
	return took;
}

/* --- windows --- */

/* Different (operation, summary, text) of all label sets. */
static uint32_t count_classes(const struct recorder *r)
{
	const uint32_t keys[] = {r->keys.operation, r->keys.summary, r->keys.text};
	struct intern classes;
	uint32_t n;

	intern_init(&classes, UINT32_MAX);
	for (uint32_t i = 0; i < r->aggregate.labelsets.n; i++) {
		uint32_t class[3] = {0};
		size_t size;
		const struct profile_label *labels = intern_key(&r->aggregate.labelsets, i, &size);

		for (size_t l = 0; l < size / sizeof(*labels); l++)
			for (size_t k = 0; k < 3; k++)
				if (labels[l].key == keys[k])
					class[k] = labels[l].value;
		if (class[0])
			intern(&classes, class, sizeof(class));
	}
	n = classes.n;
	intern_fini(&classes);
	return n;
}

/* Not part of what is measured. */
static void look(struct scale *s)
{
	const struct aggregate *a = &s->agent.recorder.aggregate;
	double start = clock_s(CLOCK_THREAD_CPUTIME_ID);

	s->classes = count_classes(&s->agent.recorder);
	s->labelsets = a->labelsets.n;
	s->stacks = a->stacks.n;
	s->samples = a->samples.n;
	s->bytes = aggregate_bytes(a);
	s->making_s += clock_s(CLOCK_THREAD_CPUTIME_ID) - start;
}

static void end_window(struct scale *s)
{
	agent_end_window(&s->agent);
}

static void every_second(struct scale *s)
{
	recorder_check_live(&s->agent.recorder);
}

/* As `record` ends: pprof, with source lines. */
static void finish(struct scale *s)
{
	struct recorder *r = &s->agent.recorder;
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct profile p;

	recorder_finish(r);
	if (source_lines_read(&r->aggregate, UINT32_MAX, &s->agent.lines) ||
	    profile_build(&r->aggregate, r->aggregate.weights, STACKS_ALL, &s->agent.lines, &p)) {
		fprintf(stderr, "scale: no memory for the profile\n");
	} else {
		p.period_ns = 1000000000u / s->machine.hz;
		p.command = "";
		if (pprof_write(&p, fd))
			fprintf(stderr, "scale: the profile cannot be written\n");
		profile_free(&p);
	}
	close(fd);
}

static void simulate(struct scale *s)
{
	double next_drain_s = 0, next_second_s = 1, next_window_s = WINDOW_S;
	uint64_t all = s->seconds * s->machine.cpus * s->machine.hz;

	while (s->arrived < all) {
		s->now_s = s->now_s > next_drain_s ? s->now_s : next_drain_s;
		next_drain_s = s->now_s + DRAIN_MS / 1000.0;
		arrive(s);
		s->taking_s += spend(s, drain);
		if (s->now_s >= next_second_s) {
			s->taking_s += spend(s, every_second);
			next_second_s = s->now_s + 1;
		}
		if (s->mode == AGENT && s->now_s >= next_window_s) {
			look(s);
			s->ending_s += spend(s, end_window);
			next_window_s += WINDOW_S;
		}
	}
	if (s->mode == AGENT)
		return;
	look(s);
	s->ending_s += spend(s, finish);
}

/* --- what came of it --- */

/* Of all CPU time, in percent: what is counted under "other", and what is known for sure to be a request's. */
static void shares(const struct class_counters *counters, double *other, double *exact)
{
	struct metrics m = {0};
	double all = 0;

	*other = *exact = 0;
	class_counters_metrics(counters, &m);
	for (size_t i = 0; i < m.n_cpu_ns; i++)
		all += m.cpu_ns[i].value / 100.0;
	for (size_t i = 0; i < m.n_classes; i++)
		if (!strcmp(m.classes[i].labels[QUERY_LABEL_DB_OPERATION_NAME], "other"))
			*other += m.classes[i].cpu_ns / all;
	*exact = m.cpu_ns[ATTRIBUTION_EXACT].value / all;
}

static void report_windows(const struct agent *a)
{
	struct pusher_counts c;
	double other, exact;

	shares(a->classes, &other, &exact);
	pusher_counts(a->pusher, &c);
	printf("  pushed     %llu windows, %llu lost; %llu profiles, %.2f MiB a window on disk\n", (unsigned long long)a->n_windows,
	       (unsigned long long)a->n_failed, (unsigned long long)c.submitted, c.queued_bytes / 1048576.0 / a->n_windows);
	printf("  classes    %.1f %% of the CPU time is known exactly to be a request's, %.1f %% counted as \"other\"\n", exact, other);
}

static void report(const struct scale *s, double cpu_s)
{
	const struct recorder *r = &s->agent.recorder;
	double n = s->arrived - s->lost, per_s = (double)s->machine.cpus * s->machine.hz, per_sample = s->taken_bytes / n;
	uint64_t truncated = 0;

	for (size_t i = 0; i < N_STOPS; i++)
		truncated += i == STOP_END || i == STOP_ZERO ? 0 : r->stops[i];
	printf("%s: %u CPUs at %u Hz, %.0f s, %u threads, %u connections, %u classes\n", mode_names[s->mode], s->machine.cpus,
	       s->machine.hz, s->seconds, s->machine.threads, s->machine.connections, s->machine.classes);
	printf("  samples    %llu fired, %llu lost (ring full), %llu dropped (no room), %llu malformed, %llu truncated\n",
	       (unsigned long long)s->arrived, (unsigned long long)s->lost,
	       (unsigned long long)(r->aggregate.dropped / PROFILE_SAMPLE_WEIGHT), (unsigned long long)r->malformed,
	       (unsigned long long)truncated);
	printf("  CPU        %.2f s, %.2f %% of one: drains %.2f s (%.2f us a sample), ends of windows %.2f s, other threads %.2f s\n", cpu_s,
	       100 * cpu_s / s->seconds, s->taking_s, 1e6 * s->taking_s / n, s->ending_s, cpu_s - s->taking_s - s->ending_s);
	printf("  memory     %.0f MiB resident at most, with the ring %.0f\n", status_mib("VmHWM:") - s->before_mib,
	       status_mib("VmHWM:") - s->before_mib + 2 * s->ring.capacity / 1048576.0);
	printf("  tables     %u classes, %zu label sets, %zu stacks, %zu different samples, %zu KiB (the last window)\n", s->classes, s->labelsets, s->stacks, s->samples,
	       s->bytes >> 10);
	if (s->mode == AGENT)
		report_windows(&s->agent);
	printf("  ring       %zu MiB, %.0f bytes a sample, %.1f MB/s: full in %.2f s; filled to %.1f MiB at most; the longest stall %.2f s\n",
	       s->ring.capacity >> 20, per_sample, per_sample * per_s / 1e6, s->ring.capacity / (per_sample * per_s), s->ring.most / 1048576.0,
	       s->longest_s);
}

/* How long one drain takes of a ring that is full. */
static void drain_full(struct scale *s)
{
	uint64_t event[MADE_SAMPLE_BYTES / 8 + 1], n = 0;
	double took;

	while (ring_put(&s->ring, event, machine_sample(&s->machine, monotonic_ns(), event)))
		n++;
	took = spend(s, drain);
	printf("  full ring  %llu samples are drained in %.2f s, %.2f us each\n", (unsigned long long)n, took, 1e6 * took / n);
}

/* What the page takes, which everything else waits for: the first route is its. */
static void make_page(struct scale *s)
{
	char *body = NULL;
	size_t bytes = 0;
	double start = clock_s(CLOCK_THREAD_CPUTIME_ID);
	int err = agent_routes[0].make(&s->agent, "", &body, &bytes);

	printf("  page       %s, %.1f MiB in %.2f s\n", err ? strerror(-err) : "made", bytes / 1048576.0,
	       clock_s(CLOCK_THREAD_CPUTIME_ID) - start);
	free(body);
}

/* --- all of it --- */

static int start_agent(struct scale *s)
{
	char pid[16];
	char *argv[] = {"agent", "-p", pid, "--pyroscope", "http://127.0.0.1:9", "--queue-dir", s->queue, NULL};
	struct agent *a = &s->agent;
	int err;

	snprintf(pid, sizeof(pid), "%d", s->machine.servers[0]);
	snprintf(s->queue, sizeof(s->queue), "/tmp/wireprof-scale.XXXXXX");
	if (!mkdtemp(s->queue))
		return -errno;
	err = agent_options_parse(7, argv, &s->options);
	if (err)
		return err;
	s->options.frequency_hz = s->machine.hz;
	a->options = &s->options;
	a->targets.options = &s->options.target;
	a->containers = containers_new("");
	a->classes = class_counters_new(CLASS_COUNTERS_MAX, CLASS_COUNTERS_IDLE_NS);
	if (!a->containers || !a->classes)
		return -ENOMEM;
	return s->mode == AGENT ? pusher_start(&(struct pusher_options){.url = s->options.pyroscope, .queue_dir = s->queue}, &a->pusher) : 0;
}

static int start_recorder(struct scale *s)
{
	const struct recorder_options options = {
		.frequency_hz = s->machine.hz,
		.requests = true,
		.threads = s->mode == RECORD,
		.texts = s->mode == RECORD,
		.redis_keys = s->options.redis_keys,
		.containers = s->agent.containers,
	};
	struct recorder *r = &s->agent.recorder;
	int err = recorder_open(r, &options);

	for (size_t i = 0; i < SERVERS && !err; i++)
		err = recorder_add(r, s->machine.servers[i]);
	if (err)
		return err;
	unwind_tables_settle(r->processes.objects.tables, SETTLE_MS);
	agent_begin_window(&s->agent, monotonic_ns(), utc_ns());
	return machine_make_stacks(&s->machine, processes_find(&r->processes, s->machine.servers[0]));
}

static int forget_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/* What is measured, of the machine and the agent that are ready. */
static int measure(struct scale *s)
{
	double start_s = clock_s(CLOCK_PROCESS_CPUTIME_ID);

	if (s->mode == MAPS) {
		printf("maps:\n");
		return large_maps_measure(s->agent.recorder.kernel, s->machine.servers[0]);
	}
	simulate(s);
	report(s, clock_s(CLOCK_PROCESS_CPUTIME_ID) - start_s - s->making_s);
	if (s->mode != AGENT)
		return 0;
	drain_full(s);
	make_page(s);
	return 0;
}

static int run(struct scale *s)
{
	double before_mib = status_mib("VmRSS:");
	int err = machine_start(&s->machine);

	s->ring.capacity = kernel_ring_bytes(s->machine.hz, s->machine.cpus);
	s->ring.bytes = malloc(s->ring.capacity);
	if (err || !s->ring.bytes)
		return err ? err : -ENOMEM;
	memset(s->ring.bytes, 0xff, s->ring.capacity);
	s->before_mib = status_mib("VmRSS:") - before_mib;
	if (s->mode == AGENT)
		agent_keep_memory_small();
	err = start_agent(s);
	if (!err)
		err = start_recorder(s);
	if (!err) {
		err = measure(s);
		recorder_close(&s->agent.recorder);
	}
	pusher_stop(s->agent.pusher, 0);
	nftw(s->queue, forget_file, 8, FTW_DEPTH | FTW_PHYS);
	machine_stop(&s->machine);
	return err;
}

/* A process each, so that each has its own peak of memory. */
static int run_apart(struct scale *s, enum mode mode)
{
	int status = 0, err;
	pid_t pid = fork();

	if (!pid) {
		s->mode = mode;
		err = run(s);
		if (err)
			fprintf(stderr, "scale: %s\n", strerror(-err));
		fflush(stdout);
		_exit(err != 0);
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid || status;
}

static int usage(void)
{
	fprintf(stderr, "usage: scale [-c CPUS] [-F HZ] [-d SECONDS] [-t THREADS] [-n CONNECTIONS] [-q CLASSES] [-m agent|record|maps]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static struct scale s = {
		.machine = {.cpus = 128, .hz = 99, .threads = 20000, .connections = 100000, .classes = 5000, .seed = 1},
		.seconds = 300,
	};
	const char *only = NULL;
	int option, failed = 0;

	while ((option = getopt(argc, argv, "c:F:d:t:n:q:m:")) != -1) {
		unsigned int value = optarg ? strtoul(optarg, NULL, 10) : 0;

		if (option == 'm')
			only = optarg;
		else if (!value)
			return usage();
		else if (option == 'c')
			s.machine.cpus = value;
		else if (option == 'F')
			s.machine.hz = value;
		else if (option == 'd')
			s.seconds = value;
		else if (option == 't')
			s.machine.threads = value;
		else if (option == 'n')
			s.machine.connections = value;
		else if (option == 'q')
			s.machine.classes = value;
	}
	if (only && strcmp(only, "agent") && strcmp(only, "record") && strcmp(only, "maps"))
		return usage();
	for (enum mode mode = AGENT; mode < N_MODES; mode++)
		if (!only || !strcmp(only, mode_names[mode]))
			failed |= run_apart(&s, mode);
	return failed;
}

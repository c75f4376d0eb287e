/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What wireprof costs the server it watches, beside other profilers: extra CPU per request.
 *
 * One server, kept busy by one steady load from start to end. Only what is attached changes, in windows
 * of random length; every window with something attached ("arm") stands between two with nothing, and counts as
 * the difference to their mean, so that slow noise (neighbours, clock speed, the allocator's mood) cancels:
 *
 *	nothing | hook | nothing | complete | nothing | empty | nothing | complete | nothing ...
 *
 * A window has the server's CPU time, exact to the nanosecond, and the number of requests. The arm `null`
 * attaches nothing either: it must come out as zero within its error, or the meter itself is wrong.
 *
 * Then a cross-check by another way, quiet but blind to what is outside the programs: the kernel's own clock
 * around each run of a program (bpf_stats), less that of an empty program at the same place.
 *
 * overhead.py starts the servers and makes one table of all loads.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "overhead.h"

#define SERVER_CPU	 0
#define CLIENT_CPU	 1
#define SETTLE_MS	 30 /* detached programs go after a grace period */
#define WINDOW_MS	 200 /* and up to half of it more */
#define QUIET_NS	 60000
#define GOVERNED_WINDOWS 12 /* times as long: the hook comes and goes */
#define RESTARTED_WINDOWS 5 /* likewise, where a start takes a second */
#define MAX_WINDOWS	 100000

uint64_t clock_now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static unsigned int random_below(unsigned int n)
{
	uint32_t value = 0;

	getrandom(&value, sizeof(value), 0);
	return value % n;
}

void run_for(struct recorder *r, double ms)
{
	uint64_t end_ns = clock_now_ns(CLOCK_MONOTONIC) + ms * 1e6;
	struct pollfd ring = {.fd = r ? kernel_poll_fd(r->kernel) : -1, .events = POLLIN};

	for (;;) {
		int64_t left_ms = ((int64_t)(end_ns - clock_now_ns(CLOCK_MONOTONIC)) + 999999) / 1000000;

		if (left_ms <= 0)
			return;
		poll(&ring, 1, r && left_ms > recorder_timeout_ms(r) ? recorder_timeout_ms(r) : left_ms);
		if (r)
			recorder_drain(r);
	}
}

/* The count of replies when it has stood still for a while. */
static uint64_t quiet_replies(const struct load *load)
{
	uint64_t seen, since_ns;

	do {
		seen = *load->replies;
		since_ns = clock_now_ns(CLOCK_MONOTONIC);
		while (clock_now_ns(CLOCK_MONOTONIC) < since_ns + QUIET_NS && *load->replies == seen)
			;
	} while (*load->replies != seen);
	return seen;
}

/*
 * Reads the server's CPU time and the number of its requests, at the same instant. The kernel brings a thread's
 * time up to date at ticks (4 ms: 2 % of a window) and when it stops running: so we take its CPU for a moment, and
 * let the client eat up the replies that are under way.
 */
struct reading meter_read(const struct meter *m)
{
	const struct load *load = &m->load;
	struct reading now;

	if (!load->replies) {
		now.time_ns = clock_now_ns(CLOCK_MONOTONIC);
		now.requests = now.time_ns / 1e9;
		now.server_ns = schedstat_ns(load->server);
		return now;
	}
	pin_to(load->server_cpu);
	for (int tries = 0; tries < 20; tries++) {
		uint64_t seen = quiet_replies(load);

		now.requests = seen;
		now.time_ns = clock_now_ns(CLOCK_MONOTONIC);
		now.server_ns = schedstat_ns(load->server);
		if (*load->replies == seen && schedstat_ns(load->server) == now.server_ns)
			break;
	}
	pin_to(load->client_cpu);
	return now;
}

/* --- windows --- */

static double window_ms(const struct meter *m, enum arm arm)
{
	double ms = m->window_ms + random_below(m->window_ms / 2 + 1);

	if (arm == ARM_GOVERNED)
		return ms * GOVERNED_WINDOWS;
	return arm >= ARM_PEER && !m->peers[arm - ARM_PEER].controlled ? ms * RESTARTED_WINDOWS : ms;
}

static int measure_window(struct meter *m, enum arm arm)
{
	struct window *w = &m->windows[m->n_windows];
	struct recorder *r = arm_recorder(m, arm);
	struct reading start, end;
	uint64_t own_ns;
	double requests;
	int err = arm_attach(m, arm);

	if (err) {
		fprintf(stderr, "cannot attach %s: %s\n", arm_text(m, arm), strerror(-err));
		return err;
	}
	run_for(r, SETTLE_MS);
	start = meter_read(m);
	own_ns = arm_own_ns(m, arm);
	run_for(r, window_ms(m, arm));
	if (r)
		recorder_drain(r);
	own_ns = arm_own_ns(m, arm) - own_ns;
	end = meter_read(m);
	if (r)
		recorder_check_live(r);
	arm_detach(m, arm);
	requests = end.requests - start.requests;
	if (requests <= 0) {
		fprintf(stderr, "the load has stopped\n");
		return -EIO;
	}
	*w = (struct window){
		.arm = arm,
		.requests = requests,
		.server_ns = (end.server_ns - start.server_ns) / requests,
		.agent_ns = own_ns / requests,
		.busy = (double)(end.server_ns - start.server_ns) / (end.time_ns - start.time_ns),
	};
	if (arm == ARM_COMPLETE)
		m->complete_server_s += (end.server_ns - start.server_ns) / 1e9;
	m->n_windows++;
	return 0;
}

static void shuffle(enum arm *arms, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = random_below(i);
		enum arm other = arms[i - 1];

		arms[i - 1] = arms[j];
		arms[j] = other;
	}
}

/* A round that does not count: caches, first stacks, first symbols. A peer that does not run on this machine is left out. */
static int warm_up(struct meter *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_round; i++) {
		int err = measure_window(m, m->round[i]);

		if (err && m->round[i] < ARM_PEER)
			return err;
		if (!err)
			m->round[n++] = m->round[i];
	}
	m->n_round = n;
	return 0;
}

static int measure_windows(struct meter *m)
{
	uint64_t end_ns;
	int err;

	err = warm_up(m);
	if (err)
		return err;
	m->n_windows = 0;
	m->complete_server_s = 0;
	kernel_counters(m->complete->kernel, m->samples);
	end_ns = clock_now_ns(CLOCK_MONOTONIC) + m->seconds * 1e9;
	err = measure_window(m, ARM_NONE);
	while (!err && clock_now_ns(CLOCK_MONOTONIC) < end_ns) {
		shuffle(m->round, m->n_round);
		for (size_t i = 0; !err && i < m->n_round && m->n_windows + 2 < MAX_WINDOWS; i++) {
			err = measure_window(m, m->round[i]);
			if (!err)
				err = measure_window(m, ARM_NONE);
		}
	}
	return err;
}

/* --- from the command line to the tables --- */

static bool bpf_stats_are_on(void)
{
	FILE *f = fopen("/proc/sys/kernel/bpf_stats_enabled", "re");
	bool on = f && fgetc(f) == '1';

	if (f)
		fclose(f);
	return on;
}

/* Ahead of everybody else: nice works within a session, and between sessions it is the session's own that counts. */
static void take_priority(void)
{
	FILE *f;

	setsid();
	f = fopen("/proc/self/autogroup", "we");
	if (f) {
		fputs("-20", f);
		fclose(f);
	}
	setpriority(PRIO_PROCESS, 0, -20);
}

static int open_recorder(const struct meter *m, struct recorder *r, bool requests, double budget)
{
	const struct recorder_options options = {.frequency_hz = m->frequency_hz, .requests = requests, .budget = budget};
	int err = recorder_open(r, &options);

	return err ? err : recorder_add(r, m->load.server);
}

static int open_all(struct meter *m)
{
	int err = open_recorder(m, m->complete, true, 0);

	if (!err)
		err = open_recorder(m, m->governed, true, TARGET / 100);
	if (!err)
		err = open_recorder(m, m->no_requests, false, 0);
	m->windows = calloc(MAX_WINDOWS, sizeof(*m->windows));
	m->empty = empty_bpf__open_and_load();
	if (!err && (!m->windows || !m->empty))
		err = -ENOMEM;
	return err ? err : pin_to(m->load.client_cpu);
}

/* raw PORT CONNECTIONS PIPELINE REQUEST_FILE | text SOCKET | prepared SOCKET | idle */
static int start_load(struct meter *m, char **words, int n)
{
	static struct raw_load raw;
	FILE *f;

	if (n == 1 && !strcmp(words[0], "idle"))
		return 0;
	if (n == 2 && (!strcmp(words[0], "text") || !strcmp(words[0], "prepared")))
		return load_start_mysql(&m->load, words[1], !strcmp(words[0], "prepared"));
	if (n != 5 || strcmp(words[0], "raw"))
		return -1;
	f = fopen(words[4], "re");
	raw = (struct raw_load){.port = atoi(words[1]), .connections = atoi(words[2]), .pipeline = atoi(words[3])};
	raw.request_bytes = f ? fread(raw.request, 1, sizeof(raw.request), f) : 0;
	if (f)
		fclose(f);
	if (!raw.port || !raw.connections || !raw.pipeline || !raw.request_bytes ||
	    raw.pipeline * raw.request_bytes > MAX_REPLY)
		return -1;
	return load_start_raw(&m->load, &raw);
}

/* NAME=COMMAND */
static int add_peer(struct meter *m, char *words, bool controlled)
{
	char *command = strchr(words, '=');

	if (!command || m->n_peers == MAX_PEERS)
		return -1;
	*command++ = '\0';
	m->peers[m->n_peers++] = (struct peer){.name = words, .command = command, .controlled = controlled};
	return 0;
}

static int parse_round(struct meter *m, char *list)
{
	m->n_round = 0;
	for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
		enum arm arm = arm_named(m, word);

		if (arm == N_ARMS || m->n_round == MAX_ROUND)
			return -1;
		m->round[m->n_round++] = arm;
	}
	return m->n_round ? 0 : -1;
}

static int parse_option(struct meter *m, int option, char *arg)
{
	switch (option) {
	case 'd':
		m->seconds = atof(arg);
		return 0;
	case 'b':
		m->stats_seconds = atof(arg);
		return 0;
	case 'F':
		m->frequency_hz = atoi(arg);
		return m->frequency_hz ? 0 : -1;
	case 'w':
		m->window_ms = atoi(arg);
		return m->window_ms ? 0 : -1;
	case 'n':
		m->name = arg;
		return 0;
	case 'o':
		m->json = fopen(arg, "we");
		return m->json ? 0 : -1;
	case 'c':
	case 'p':
		return add_peer(m, arg, option == 'c');
	case 'a':
		return parse_round(m, arg);
	}
	return -1;
}

static int parse(struct meter *m, int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "+d:b:F:w:n:o:c:p:a:")) != -1)
		if (parse_option(m, option, optarg))
			return -1;
	m->load.server = optind < argc ? atoi(argv[optind]) : 0;
	return m->load.server > 0 && m->n_round ? 0 : -1;
}

static int measure(struct meter *m)
{
	int err = open_all(m);

	if (m->json)
		fprintf(m->json, "{\"load\": \"%s\"", m->name);
	if (!err && m->seconds > 0) {
		err = measure_windows(m);
		if (!err)
			err = report_windows(m);
	}
	arms_end(m);
	if (!err && m->stats_seconds > 0 && m->load.replies)
		err = cross_check(m);
	if (m->json)
		fprintf(m->json, "}\n");
	return err;
}

int main(int argc, char **argv)
{
	static struct recorder complete, no_requests, governed; /* large */
	struct meter m = {.name = "load", .complete = &complete, .no_requests = &no_requests, .governed = &governed,
			  .seconds = 120, .stats_seconds = 9, .frequency_hz = 99, .window_ms = WINDOW_MS,
			  .load = {.server_cpu = SERVER_CPU, .client_cpu = CLIENT_CPU}};
	int err;

	if (parse(&m, argc, argv)) {
		fprintf(stderr, "usage: overhead [-d SECONDS] [-b BPF_STATS_SECONDS] [-F HZ] [-w WINDOW_MS] [-n NAME] [-o JSON]\n"
				"                [-c|-p PEER=COMMAND] -a ARM,ARM... SERVER_PID LOAD: see overhead.py\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (bpf_stats_are_on())
		fprintf(stderr, "kernel.bpf_stats_enabled is on: every program costs more than it does\n");
	take_priority();
	err = start_load(&m, argv + optind + 1, argc - optind - 1) ? -ECHILD : measure(&m);
	load_stop(&m.load);
	recorder_close(&complete);
	recorder_close(&no_requests);
	recorder_close(&governed);
	empty_bpf__destroy(m.empty);
	free(m.windows);
	if (m.json)
		fclose(m.json);
	if (err)
		fprintf(stderr, "overhead: %s\n", strerror(-err));
	return err ? 1 : 0;
}

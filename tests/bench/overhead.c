/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What wireprof costs the server it watches: extra CPU per request.
 *
 * One redis-server, saturated by one steady load from start to end. Only what is attached changes, in windows
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
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "overhead.h"
#include "statistics.h"

#define SETTLE_MS     30 /* detached programs go after a grace period */
#define WINDOW_MS     200 /* and up to half of it more */
#define TRIM	      0.2
#define MAX_WINDOWS   100000
#define TARGET	      1.0 /* % */
#define QUIET	      0.85 /* of the server's usual share of its CPU; with less, others were at work in the window */

#define X(name, word, text) word,
static const char *const arm_words[] = {ARMS(X)};
#undef X
#define X(name, word, text) text,
static const char *const arm_texts[] = {ARMS(X)};
#undef X

struct window {
	enum arm arm;
	double server_ns, agent_ns; /* a request */
	double busy;		    /* the server's share of its CPU */
	double requests;
};

static uint64_t clock_ns(clockid_t clock)
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

/* Waits; a recorder that is attached is drained as `wireprof record` does it. */
void run_for(struct recorder *r, double ms)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + ms * 1e6;
	struct pollfd ring = {.fd = r ? kernel_poll_fd(r->kernel) : -1, .events = POLLIN};

	for (;;) {
		int64_t left_ms = ((int64_t)(end_ns - clock_ns(CLOCK_MONOTONIC)) + 999999) / 1000000;

		if (left_ms <= 0)
			return;
		poll(&ring, 1, r && left_ms > DRAIN_MS ? DRAIN_MS : left_ms);
		if (r)
			recorder_drain(r);
	}
}

/*
 * Reads the server's CPU time and the number of its requests, at the same instant. The kernel brings a thread's
 * time up to date at ticks (4 ms: 2 % of a window) and when it stops running: so we take its CPU for a moment, and
 * let the client eat up the replies that are under way.
 */
struct reading meter_read(const struct meter *m)
{
	const struct redis_under_load *load = &m->load;
	struct reading now;

	pin_to(load->server_cpu);
	for (int tries = 0; tries < 20; tries++) {
		uint64_t seen, quiet_since;

		do {
			seen = load->counters->replies;
			quiet_since = clock_ns(CLOCK_MONOTONIC);
			while (clock_ns(CLOCK_MONOTONIC) < quiet_since + 30000 &&
			       load->counters->replies == seen)
				;
		} while (load->counters->replies != seen);
		now.requests = seen;
		now.time_ns = clock_ns(CLOCK_MONOTONIC);
		now.server_ns = redis_cpu_ns(load);
		if (load->counters->replies == seen && redis_cpu_ns(load) == now.server_ns)
			break;
	}
	pin_to(load->client_cpu);
	return now;
}

/* --- the arms --- */

struct bpf_program *receive_program(const struct kernel *k)
{
	if (k->hook == HOOK_TRACEPOINT)
		return k->skel->progs.receive_tracepoint;
	return k->hook == HOOK_SYS_EXIT ? k->skel->progs.receive_sys_exit : NULL;
}

static struct recorder *recorder_of(const struct meter *m, enum arm arm)
{
	return arm == ARM_COMPLETE ? m->complete : arm == ARM_SAMPLER ? m->no_requests : NULL;
}

int attach_empty(struct meter *m)
{
	m->empty_link = bpf_program__attach(m->empty->progs.empty_receive);
	return m->empty_link ? 0 : -errno;
}

void detach_empty(struct meter *m)
{
	bpf_link__destroy(m->empty_link);
	m->empty_link = NULL;
}

static int arm_attach(struct meter *m, enum arm arm)
{
	struct kernel *k = m->complete->kernel;

	if (recorder_of(m, arm))
		return kernel_attach(recorder_of(m, arm)->kernel);
	if (arm == ARM_EMPTY)
		return attach_empty(m);
	if (arm != ARM_HOOK)
		return 0;
	k->hook_link = bpf_program__attach(receive_program(k));
	return k->hook_link ? 0 : -errno;
}

static void arm_detach(struct meter *m, enum arm arm)
{
	if (recorder_of(m, arm)) {
		kernel_detach(recorder_of(m, arm)->kernel);
		recorder_drain(recorder_of(m, arm));
	} else if (arm == ARM_HOOK) {
		kernel_detach(m->complete->kernel);
	} else if (arm == ARM_EMPTY) {
		detach_empty(m);
	}
}

/* --- windows --- */

static int measure_window(struct meter *m, enum arm arm)
{
	struct window *w = &m->windows[m->n_windows];
	struct recorder *r = recorder_of(m, arm);
	struct reading start, end;
	uint64_t agent_ns;
	double requests;
	int err = arm_attach(m, arm);

	if (err) {
		fprintf(stderr, "cannot attach the arm %s: %s\n", arm_words[arm], strerror(-err));
		return err;
	}
	run_for(r, SETTLE_MS);
	start = meter_read(m);
	agent_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	run_for(r, m->window_ms + random_below(m->window_ms / 2 + 1));
	if (r)
		recorder_drain(r);
	agent_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - agent_ns;
	end = meter_read(m);
	arm_detach(m, arm);
	requests = end.requests - start.requests;
	if (requests < 1) {
		fprintf(stderr, "the load has stopped\n");
		return -EIO;
	}
	*w = (struct window){
		.arm = arm,
		.requests = requests,
		.server_ns = (end.server_ns - start.server_ns) / requests,
		.agent_ns = r ? agent_ns / requests : 0,
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

static int measure_windows(struct meter *m)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + m->seconds * 1e9;
	int err;

	/* A round that does not count: caches, first stacks, first symbols. */
	for (size_t i = 0; i < m->n_round; i++) {
		err = measure_window(m, m->round[i]);
		if (err)
			return err;
	}
	m->n_windows = 0;
	m->complete_server_s = 0;
	kernel_counters(m->complete->kernel, m->samples);
	err = measure_window(m, ARM_NONE);
	while (!err && clock_ns(CLOCK_MONOTONIC) < end_ns) {
		shuffle(m->round, m->n_round);
		for (size_t i = 0; !err && i < m->n_round && m->n_windows + 2 < MAX_WINDOWS; i++) {
			err = measure_window(m, m->round[i]);
			if (!err)
				err = measure_window(m, ARM_NONE);
		}
	}
	return err;
}

/* --- what the windows say --- */

/*
 * What counts as quiet follows the run itself: a client that cannot saturate the server is no disturbance. On a
 * machine that was seldom quiet every window counts.
 */
static void judge_quiet(struct meter *m, double *values)
{
	for (size_t i = 0; i < m->n_windows; i++)
		values[i] = m->windows[i].busy;
	qsort(values, m->n_windows, sizeof(*values), by_value);
	m->quiet_share = QUIET * values[m->n_windows * 9 / 10];
	if (values[m->n_windows / 4] < m->quiet_share)
		m->quiet_share = 0;
}

static bool is_quiet(const struct meter *m, size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++)
		if (m->windows[i].busy < m->quiet_share)
			return false;
	return true;
}

static struct estimate level(const struct meter *m, enum arm arm, double *values)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_windows; i++)
		if (m->windows[i].arm == arm && is_quiet(m, i, 1))
			values[n++] = m->windows[i].server_ns;
	return trimmed_mean(values, n, TRIM);
}

/* To the mean of the windows before and after. */
static struct estimate difference(const struct meter *m, enum arm arm, bool with_agent, double *values)
{
	size_t n = 0;

	for (size_t i = 1; i + 1 < m->n_windows; i++) {
		const struct window *w = &m->windows[i];

		if (w->arm == arm && is_quiet(m, i - 1, 3))
			values[n++] = w->server_ns + (with_agent ? w->agent_ns : 0) -
				      (w[-1].server_ns + w[1].server_ns) / 2;
	}
	return trimmed_mean(values, n, TRIM);
}

/* The server's mean share of its CPU in quiet windows, and the number of these. */
static double busy_share(const struct meter *m, size_t *n_quiet)
{
	double sum = 0;

	*n_quiet = 0;
	for (size_t i = 0; i < m->n_windows; i++)
		if (is_quiet(m, i, 1)) {
			sum += m->windows[i].busy;
			++*n_quiet;
		}
	return sum / *n_quiet;
}

static void print_difference(struct estimate d, double baseline)
{
	printf("  %7.1f +- %5.1f  %6.2f +- %4.2f", d.mean, d.error, 100 * d.mean / baseline,
	       100 * d.error / baseline);
}

static void print_samples(const struct meter *m)
{
	uint64_t now[N_COUNTERS], taken, lost;

	kernel_counters(m->complete->kernel, now);
	taken = now[COUNTER_SAMPLES] - m->samples[COUNTER_SAMPLES];
	lost = now[COUNTER_SAMPLES_LOST] - m->samples[COUNTER_SAMPLES_LOST];
	printf("wireprof attached: %llu samples (%.0f due inside the windows), %llu lost (%.3f %%, target < 0.1 %%), "
	       "%llu receives bypassed\n",
	       (unsigned long long)taken, m->complete_server_s * m->frequency_hz,
	       (unsigned long long)lost, taken ? 100.0 * lost / taken : 0,
	       (unsigned long long)(now[COUNTER_RECEIVES_BYPASS] - m->samples[COUNTER_RECEIVES_BYPASS]));
}

static void print_load(const struct meter *m, double baseline_ns)
{
	size_t n_quiet;
	double busy = busy_share(m, &n_quiet);

	printf("server on CPU %d, load on CPU %d: %u connections with one GET each in flight%s\n",
	       m->load.server_cpu, m->load.client_cpu, m->connections,
	       m->spin ? ", the client never sleeps" : "");
	printf("server busy %.1f %% of its CPU, %.0f requests/s; %zu of %zu windows count%s\n\n", 100 * busy,
	       busy * 1e9 / baseline_ns, n_quiet, m->n_windows,
	       m->quiet_share > 0 ? "" : " (the machine was too busy to choose the quiet ones: repeat with -p)");
}

static void print_arm(const struct meter *m, enum arm arm, double baseline_ns, double *values)
{
	struct estimate here = level(m, arm, values), d = difference(m, arm, false, values);

	if (!here.n)
		return;
	printf("%-32s %7zu %8.1f", arm_texts[arm], arm == ARM_NONE ? here.n : d.n, here.mean);
	if (arm != ARM_NONE)
		print_difference(d, baseline_ns);
	if (recorder_of(m, arm))
		print_difference(difference(m, arm, true, values), baseline_ns);
	printf("\n");
}

static int print_windows(struct meter *m)
{
	double *values = malloc(m->n_windows * sizeof(*values));
	struct estimate baseline, d;

	if (!values)
		return -ENOMEM;
	judge_quiet(m, values);
	baseline = level(m, ARM_NONE, values);
	print_load(m, baseline.mean);
	printf("%-32s %7s %8s  %-32s  %s\n", "", "", "ns per", "difference, the server's CPU:",
	       "with the agent's own CPU:");
	printf("%-32s %7s %8s  %16s  %14s  %16s  %14s\n", "attached", "windows", "request", "ns", "%", "ns",
	       "%");
	for (enum arm arm = 0; arm < N_ARMS; arm++)
		print_arm(m, arm, baseline.mean, values);
	print_samples(m);
	d = difference(m, ARM_COMPLETE, true, values);
	if (d.n)
		printf("overhead: %.2f +- %.2f %% of the server's CPU per request, agent included (target <= %.1f %%)\n",
		       100 * d.mean / baseline.mean, 100 * d.error / baseline.mean, TARGET);
	free(values);
	return 0;
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

static int open_all(struct meter *m)
{
	struct recorder_options options = {.frequency_hz = m->frequency_hz, .requests = true};
	int err;

	m->windows = calloc(MAX_WINDOWS, sizeof(*m->windows));
	if (!m->windows)
		return -ENOMEM;
	err = recorder_open(m->complete, &options);
	if (err)
		return err;
	options.requests = false;
	err = recorder_open(m->no_requests, &options);
	if (err)
		return err;
	m->empty = empty_bpf__open_and_load();
	if (!m->empty)
		return -errno;
	if (redis_start(&m->load, m->redis, 0, 1, m->connections, m->spin))
		return -ECHILD;
	err = recorder_add(m->complete, m->load.server);
	if (!err)
		err = recorder_add(m->no_requests, m->load.server);
	return err ? err : pin_to(m->load.client_cpu);
}

static int parse_round(struct meter *m, char *list)
{
	m->n_round = 0;
	for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
		enum arm arm = ARM_NULL;

		while (arm < N_ARMS && strcmp(word, arm_words[arm]))
			arm++;
		if (arm == N_ARMS || m->n_round == MAX_ROUND)
			return -1;
		m->round[m->n_round++] = arm;
	}
	return m->n_round ? 0 : -1;
}

static int parse(struct meter *m, int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "d:b:F:c:a:r:w:sp")) != -1) {
		if (option == 'd')
			m->seconds = atof(optarg);
		else if (option == 'b')
			m->stats_seconds = atof(optarg);
		else if (option == 'F')
			m->frequency_hz = atoi(optarg);
		else if (option == 'c')
			m->connections = atoi(optarg);
		else if (option == 'r')
			m->redis = optarg;
		else if (option == 'w')
			m->window_ms = atoi(optarg);
		else if (option == 'p')
			m->priority = true;
		else if (option == 's')
			m->spin = true;
		else if (option != 'a' || parse_round(m, optarg))
			return -1;
	}
	return optind == argc && m->connections && m->frequency_hz && m->window_ms ? 0 : -1;
}

int main(int argc, char **argv)
{
	char round[] = "complete,complete,complete,no-requests,hook,empty,null";
	static struct recorder complete, no_requests; /* large */
	struct meter m = {.complete = &complete, .no_requests = &no_requests,
			  .seconds = 120, .stats_seconds = 9, .frequency_hz = 99, .connections = 50,
			  .window_ms = WINDOW_MS, .redis = "redis-server"};
	int err;

	parse_round(&m, round);
	if (parse(&m, argc, argv)) {
		fprintf(stderr,
			"usage: overhead [-d SECONDS] [-b BPF_STATS_SECONDS] [-F HZ] [-c CONNECTIONS] [-w WINDOW_MS]\n"
			"                [-r REDIS_SERVER] [-a ARM,ARM...] [-s] [-p]\n"
			"arms: null empty hook no-requests complete; one named twice gets twice the windows\n"
			"-s: the client never sleeps; -p: server, client and agent go before everybody else\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (bpf_stats_are_on())
		fprintf(stderr, "kernel.bpf_stats_enabled is on: every program costs more than it does\n");
	if (m.priority)
		take_priority();
	err = open_all(&m);
	if (!err && m.seconds > 0) {
		err = measure_windows(&m);
		if (!err)
			err = print_windows(&m);
	}
	if (!err && m.stats_seconds > 0)
		err = cross_check(&m);
	redis_stop(&m.load);
	recorder_close(&complete);
	recorder_close(&no_requests);
	empty_bpf__destroy(m.empty);
	free(m.windows);
	return err ? 1 : 0;
}

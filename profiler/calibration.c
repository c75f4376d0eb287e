/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See calibration.h.
 *
 * The hook is measured in a loop that does what a server does for a small request, with itself as client: as the caches are then, a run
 * takes 137 ns, and 122 +- 5 in a saturated redis-server by the meter of `make bench` (in a loop that does nothing else: 98). A sample's
 * interrupt is measured in an empty loop. Time is that of the thread's CPU, as the machine may be busy.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <math.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "calibration.h"
#include "kernel.h"
#include "message.h"

#define ROUNDS		8
#define RUNS		8 /* in a round, with the hook and without */
#define REQUESTS	100 /* a run: half a millisecond */
#define SPINS		12000000
#define SPIN_HZ		5000
#define FOOTPRINT_BYTES (12u << 10)
#define RUN_NS_USUAL	130
#define OTHER_NS_USUAL	90
#define FALLBACK_RUNS	5 /* of the fallback hook, a request: one a system call */
#define SAMPLE_NS_USUAL 15000
#define RUN_NS_MOST	5000
#define SAMPLE_NS_MOST	200000

/* A connection to ourselves. */
struct loop {
	int client, server, epoll;
	unsigned int sum; /* so that nothing is left out */
	char footprint[FOOTPRINT_BYTES];
};

static uint64_t thread_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int connect_to_ourselves(struct loop *l)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, err = 0;
	const struct timeval soon = {.tv_sec = 1};
	struct epoll_event event = {.events = EPOLLIN};
	socklen_t size = sizeof(at);

	l->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	setsockopt(l->client, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon));
	if (bind(listener, (struct sockaddr *)&at, size) || listen(listener, 1) || getsockname(listener, (struct sockaddr *)&at, &size) ||
	    connect(l->client, (struct sockaddr *)&at, size))
		err = -errno;
	l->server = err ? -1 : accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (!err && (l->server < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->server, &event)))
		err = -errno;
	setsockopt(l->client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(l->server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	close(listener);
	return err;
}

static void hang_up(const struct loop *l)
{
	close(l->client);
	close(l->server);
	close(l->epoll);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* About what a request is for a small server, in code and data. */
static void work(struct loop *l, unsigned int i)
{
	char text[128];
	int numbers[24];

	for (unsigned int k = 0; k < 24; k++)
		numbers[k] = (i * 7919 + k * 104729) % 1000;
	qsort(numbers, 24, sizeof(*numbers), by_number);
	snprintf(text, sizeof(text), "%.12g %d", i * 3.14159, numbers[3]);
	l->sum += (unsigned int)strtod(text, NULL);
	for (size_t k = 0; k < sizeof(l->footprint); k += 64)
		l->sum += l->footprint[k]++;
}

/* One request of the client, served. Its own receive passes no hook. Returns whether that went well. */
static bool serve(struct loop *l, unsigned int i)
{
	static const char request[40], reply[5];
	struct tcp_zerocopy_receive call = {0};
	socklen_t call_size = sizeof(call);
	struct epoll_event event;
	char bytes[64];

	call.copybuf_address = (uintptr_t)bytes;
	call.copybuf_len = sizeof(bytes);
	if (write(l->client, request, sizeof(request)) != sizeof(request) || epoll_wait(l->epoll, &event, 1, 1000) != 1 ||
	    read(l->server, bytes, sizeof(bytes)) != sizeof(request))
		return false;
	work(l, i);
	return write(l->server, reply, sizeof(reply)) == sizeof(reply) &&
	       !getsockopt(l->client, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &call, &call_size);
}

/* Nanoseconds a request, of RUNS runs. Returns whether that went well. */
static bool time_requests(struct loop *l, double *out)
{
	for (int run = 0; run < RUNS; run++) {
		uint64_t start = thread_ns();

		for (unsigned int i = 0; i < REQUESTS; i++)
			if (!serve(l, i))
				return false;
		out[run] = (double)(thread_ns() - start) / REQUESTS;
	}
	return true;
}

static double time_spins(void)
{
	uint64_t start = thread_ns();

	for (unsigned int i = 0; i < SPINS; i++)
		__asm__ volatile("" : "+r"(i));
	return thread_ns() - start;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* A figure, if it is possible at all; else what is usual. */
static double judge(const char *what, double value, double most, double usual)
{
	if (value > 0 && value < most)
		return value;
	message_verbose("what %s costs could not be measured: taken as %.0f ns", what, usual);
	return usual;
}

/* The least of some runs: whatever else happens on the machine only adds. The first, after a rest, does not count. */
static double least(const double *runs)
{
	double least = runs[1];

	for (int run = 2; run < RUNS; run++)
		least = fmin(least, runs[run]);
	return least;
}

/* What the hook adds to a request: the median of rounds, in each of which it is attached and then not. 0: that could not be measured. */
static double measure_hook(struct kernel *k, struct loop *l)
{
	double with[RUNS], without[RUNS], added[ROUNDS];

	for (int round = 0; round < ROUNDS; round++) {
		bool ok = !kernel_attach_hook(k) && time_requests(l, with);

		kernel_detach_hook(k);
		if (!ok || !time_requests(l, without))
			return 0;
		added[round] = least(with) - least(without);
	}
	qsort(added, ROUNDS, sizeof(*added), by_value);
	return (added[ROUNDS / 2 - 1] + added[ROUNDS / 2]) / 2;
}

/* Before this process is a target, and as one. Of the fallback hook's runs, one is that of a target's receive. */
static void calibrate_hook(struct kernel *k, struct calibration *out)
{
	struct loop *l = calloc(1, sizeof(*l));
	int runs = kernel_hook(k) == HOOK_SYS_EXIT ? FALLBACK_RUNS : 1;
	double others = 0, target = 0;

	if (l && !connect_to_ourselves(l)) {
		others = measure_hook(k, l);
		if (!kernel_add_target(k, getpid()))
			target = measure_hook(k, l);
		kernel_remove_target(k, getpid());
	}
	if (l)
		hang_up(l);
	free(l);
	out->other_ns = judge("a run of the hook for others", others / runs, fmin(target / runs, RUN_NS_MOST), OTHER_NS_USUAL);
	out->run_ns = judge("a run of the hook", target - (runs - 1) * out->other_ns, RUN_NS_MOST, RUN_NS_USUAL);
}

static double calibrate_sample(void)
{
	double with = INFINITY, without = INFINITY;

	for (int i = 0; i < ROUNDS; i++) {
		int fd = kernel_open_clock(-1, 1000000000u / SPIN_HZ);

		if (fd < 0)
			return judge("an interrupt", 0, SAMPLE_NS_MOST, SAMPLE_NS_USUAL);
		with = fmin(with, time_spins());
		close(fd);
		without = fmin(without, time_spins());
	}
	return judge("an interrupt", (with - without) / (with / 1e9 * SPIN_HZ), SAMPLE_NS_MOST, SAMPLE_NS_USUAL);
}

void calibrate(struct kernel *k, struct calibration *out)
{
	*out = (struct calibration){.run_ns = 0};
	if (kernel_hook(k) != HOOK_NONE)
		calibrate_hook(k, out);
	out->sample_ns = calibrate_sample();
	message_verbose("here, a run of the receive hook takes %.0f ns (%.0f for others), a sample's interrupt %.1f us", out->run_ns,
			out->other_ns, out->sample_ns / 1e3);
}

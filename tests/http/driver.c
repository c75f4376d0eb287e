/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's HTTP server in a loop like the agent's, for tests that attack it from outside:
 *
 *	driver LISTEN [request_ms [answer_ms [allowed name]...]]
 *
 * It prints where it listens, and ends when its standard input does. /state tells what the loop has done meanwhile.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "out/writer.h"
#include "profiler/agent/http.h"
#include "profiler/agent/http_connections.h"
#include "profiler/clock.h"
#include "tests/http/sample_metrics.h"
#include "tests/sample_profile.h"

#define TICK_MS	  10
#define BIG_BYTES (5u << 20)
#define NOISE_BYTES 3333333u

struct driver {
	struct http *http;
	uint64_t turns, ticks, longest_ms; /* of the loop; ticks are TICK_MS apart, longest_ms is the longest turn */
	unsigned int made;		   /* answers of /kept */
};

static int copy(const char *text, size_t len, char **body, size_t *bytes)
{
	*body = malloc(len + 1);
	if (!*body)
		return -ENOMEM;
	memcpy(*body, text, len + 1);
	*bytes = len;
	return 0;
}

static int make_state(void *context, const char *query, char **body, size_t *bytes)
{
	struct driver *d = context;
	struct http_counts counts;
	char text[512];
	int n;

	(void)query;
	http_counts(d->http, &counts);
	n = snprintf(text, sizeof(text),
		     "{\"turns\": %" PRIu64 ", \"ticks\": %" PRIu64 ", \"longest_ms\": %" PRIu64 ", \"ok\": %" PRIu64
		     ", \"refused\": %" PRIu64 ", \"refused_host\": %" PRIu64 ", \"failed\": %" PRIu64
		     ", \"accepted\": %" PRIu64 ", \"too_slow\": %" PRIu64 ", \"connections\": %" PRIu64
		     ", \"body_bytes\": %" PRIu64 "}\n",
		     d->turns, d->ticks, d->longest_ms, counts.ok, counts.refused, counts.refused_host, counts.failed,
		     counts.accepted, counts.too_slow, counts.connections, counts.body_bytes);
	return copy(text, (size_t)n, body, bytes);
}

static int make_query(void *context, const char *query, char **body, size_t *bytes)
{
	(void)context;
	return copy(query, strlen(query), body, bytes);
}

static int make_random(char **body, size_t *bytes, size_t n, unsigned int bits)
{
	uint32_t seed = 1;

	*body = malloc(n);
	if (!*body)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525 + 1013904223;
		(*body)[i] = (char)('a' + (seed >> (32 - bits)));
	}
	*bytes = n;
	return 0;
}

/* Text that compresses, but not to nothing; and one that does not compress. */
static int make_big(void *context, const char *query, char **body, size_t *bytes)
{
	(void)context;
	(void)query;
	return make_random(body, bytes, BIG_BYTES, 3);
}

static int make_noise(void *context, const char *query, char **body, size_t *bytes)
{
	(void)context;
	(void)query;
	return make_random(body, bytes, NOISE_BYTES, 8);
}

static int make_kept(void *context, const char *query, char **body, size_t *bytes)
{
	struct driver *d = context;
	char text[32];

	(void)query;
	return copy(text, (size_t)snprintf(text, sizeof(text), "%u", ++d->made), body, bytes);
}

static int make_metrics(void *context, const char *query, char **body, size_t *bytes)
{
	struct metrics m;

	(void)context;
	(void)query;
	sample_metrics(&m);
	return metrics_text(&m, body, bytes);
}

static int make_page(void *context, const char *query, char **body, size_t *bytes)
{
	struct sample_profile *s = sample_profile_new();
	int ret = profile_to_memory(flamegraph_put, &s->p, body, bytes);

	(void)context;
	(void)query;
	sample_profile_free(s);
	return ret;
}

static int make_not_ready(void *context, const char *query, char **body, size_t *bytes)
{
	(void)context, (void)query, (void)body, (void)bytes;
	return -EAGAIN;
}

static int make_broken(void *context, const char *query, char **body, size_t *bytes)
{
	(void)context, (void)query, (void)body, (void)bytes;
	return -EIO;
}

static const struct http_route routes[] = {
	{.path = "/", .content_type = "text/plain; charset=utf-8", .make = make_query, .takes_query = true},
	{.path = "/state", .content_type = "application/json", .make = make_state},
	{.path = "/big", .content_type = "text/html; charset=utf-8", .make = make_big},
	{.path = "/noise", .content_type = "application/octet-stream", .make = make_noise},
	{.path = "/kept", .content_type = "text/plain", .make = make_kept, .keep_ms = 60000, .takes_query = true},
	{.path = "/same", .content_type = "text/plain", .make = make_kept, .keep_ms = 60000},
	{.path = "/briefly", .content_type = "text/plain", .make = make_kept, .keep_ms = 1},
	{.path = "/metrics", .content_type = METRICS_CONTENT_TYPE, .make = make_metrics},
	{.path = "/page", .content_type = "text/html; charset=utf-8", .make = make_page, .keep_ms = 1000},
	{.path = "/not-ready", .content_type = "text/plain", .make = make_not_ready},
	{.path = "/broken", .content_type = "text/plain", .make = make_broken},
};

static void loop(struct driver *d)
{
	struct pollfd fds[] = {{.fd = http_fd(d->http), .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
	uint64_t tick = monotonic_ms();

	while (!fds[1].revents) {
		uint64_t before, now = monotonic_ms();
		int wait = tick + TICK_MS > now ? (int)(tick + TICK_MS - now) : 0;
		int http_wait = http_timeout_ms(d->http);

		if (poll(fds, 2, http_wait >= 0 && http_wait < wait ? http_wait : wait) < 0 && errno != EINTR)
			return;
		before = monotonic_ms();
		http_run(d->http);
		now = monotonic_ms();
		d->turns++;
		if (now - before > d->longest_ms)
			d->longest_ms = now - before;
		if (now >= tick + TICK_MS) {
			d->ticks++;
			tick = now;
		}
	}
}

int main(int argc, char **argv)
{
	struct driver d = {0};
	struct http_options options = {.listen = argc > 1 ? argv[1] : "0"};

	options.request_ms = argc > 2 ? (unsigned int)atoi(argv[2]) : 0;
	options.answer_ms = argc > 3 ? (unsigned int)atoi(argv[3]) : 0;
	options.allowed_hosts = (const char *const *)argv + 4;
	options.n_allowed_hosts = argc > 4 ? (size_t)argc - 4 : 0;
	if (http_start(&options, routes, sizeof(routes) / sizeof(*routes), &d, &d.http))
		return 1;
	printf("%s\n", http_address(d.http));
	fflush(stdout);
	loop(&d);
	http_stop(d.http);
	return 0;
}

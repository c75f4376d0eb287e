/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pusher without the profiler, for tests/live/test_push.py: commands on stdin, one a line,
 * answers on stdout.
 *
 *	submit N		N windows, each with its number as the label "window"	-> submitted NUMBER, for each
 *	services N		the same, but with the services that the samples have	-> submitted NUMBER
 *	large N			the same, of 24 000 samples each	-> submitted NUMBER
 *	counts			-> counts, and all of struct pusher_counts as name=value
 *	stop MS			-> stopped MS, how long it took; ends the program
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "out/pyroscope.h"
#include "profiler/agent/pusher.h"
#include "sample_profile.h"

static unsigned long next_window;

static int submit_body(void *context, const void *body, size_t bytes, size_t n)
{
	(void)n;
	pusher_submit(context, body, bytes);
	return 0;
}

static void submit(struct pusher *p, struct sample_profile *s, const char *service)
{
	char window[32];
	struct pyroscope_label label = {"window", window};
	struct pyroscope_options options = {.service = service, .labels = &label, .n_labels = 1};
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	s->p.time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	snprintf(window, sizeof(window), "%lu", next_window);
	if (pyroscope_encode(&s->p, &options, submit_body, p))
		abort();
	printf("submitted %lu\n", next_window++);
}

static void submit_large(struct pusher *p, unsigned long n)
{
	struct sample_profile *s = sample_profile_big(12000, 200);

	while (n--)
		submit(p, s, "driver");
	sample_profile_free(s);
}

static void counts(struct pusher *p)
{
	struct pusher_counts c;

	pusher_counts(p, &c);
#define SHOW(name) printf(" " #name "=%" PRIu64, c.name)
	printf("counts");
	SHOW(submitted);
	SHOW(pushed);
	SHOW(pushed_bytes);
	SHOW(retried);
	SHOW(rejected);
	SHOW(dropped_full);
	SHOW(broken);
	SHOW(disk_errors);
	SHOW(auth_errors);
	SHOW(timeouts);
	SHOW(queued);
	SHOW(queued_bytes);
	SHOW(queued_in_memory);
	SHOW(last_push_ns);
	printf("\n");
}

static void stop(struct pusher *p, unsigned int grace_ms)
{
	struct timespec before, after;

	clock_gettime(CLOCK_MONOTONIC, &before);
	pusher_stop(p, grace_ms);
	clock_gettime(CLOCK_MONOTONIC, &after);
	printf("stopped %ld\n",
	       (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000);
}

static void set_option(struct pusher_options *o, const char *name, const char *value)
{
	struct {
		const char *name, **text;
		unsigned int *number;
	} all[] = {
		{"url", &o->url, NULL},
		{"tenant", &o->tenant, NULL},
		{"basic-auth-file", &o->basic_auth_file, NULL},
		{"bearer-file", &o->bearer_file, NULL},
		{"header-file", &o->header_file, NULL},
		{"ca-file", &o->ca_file, NULL},
		{"queue-dir", &o->queue_dir, NULL},
		{"timeout-ms", NULL, &o->timeout_ms},
		{"backoff-min-ms", NULL, &o->backoff_min_ms},
		{"backoff-max-ms", NULL, &o->backoff_max_ms},
	};

	if (!strcmp(name, "queue-bytes"))
		o->queue_bytes = strtoull(value, NULL, 10);
	if (!strcmp(name, "first-window"))
		next_window = strtoul(value, NULL, 10);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(all[i].name, name) != 0)
			continue;
		if (all[i].text)
			*all[i].text = value;
		else
			*all[i].number = (unsigned int)strtoul(value, NULL, 10);
	}
}

int main(int argc, char **argv)
{
	struct sample_profile *s = sample_profile_new();
	struct pusher_options options = {0};
	struct pusher *p;
	char line[256];
	int ended = 0;

	for (int i = 1; i + 1 < argc; i += 2)
		set_option(&options, argv[i] + 2, argv[i + 1]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (pusher_start(&options, &p)) {
		sample_profile_free(s);
		return 1;
	}
	printf("started\n");
	while (!ended && fgets(line, sizeof(line), stdin)) {
		unsigned long n = strtoul(line + strcspn(line, " \n"), NULL, 10);

		if (!strncmp(line, "submit", 6))
			while (n--)
				submit(p, s, "driver");
		else if (!strncmp(line, "services", 8))
			while (n--)
				submit(p, s, NULL);
		else if (!strncmp(line, "large", 5))
			submit_large(p, n);
		else if (!strncmp(line, "counts", 6))
			counts(p);
		else if ((ended = !strncmp(line, "stop", 4)))
			stop(p, (unsigned int)n);
	}
	if (!ended)
		pusher_stop(p, 0);
	sample_profile_free(s);
	return 0;
}

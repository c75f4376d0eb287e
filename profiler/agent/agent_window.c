/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a window, see agent.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "../../out/pyroscope.h"
#include "../../symbolizer/debuginfod.h"
#include "../clock.h"
#include "agent.h"
#include "class_limit.h"
#include "../intern.h"
#include "../late_names.h"
#include "../message.h"

/* Beyond these, what was sampled is forgotten: names, stacks, and the files that they came from. */
#define DICTIONARY_BYTES (8u << 20)
#define IDLE_OBJECTS	 64
#define LINES_MS	 2000 /* to read source lines: nothing else is done meanwhile */

void agent_begin_window(struct agent *a, uint64_t now_ns, uint64_t now_utc_ns)
{
	a->window_ns = now_ns;
	a->window_utc_ns = now_utc_ns;
	recorder_begin_window(&a->recorder);
}

/* Bodies to be pushed, until the profile that they were made of is gone. */
struct bodies {
	struct body {
		void *data;
		size_t bytes;
	} *list;
	size_t n, capacity;
};

static int take_body(void *context, const void *data, size_t bytes, size_t n_profiles)
{
	struct bodies *b = context;
	void *copy = malloc(bytes);

	(void)n_profiles;
	if (!copy || array_reserve((void **)&b->list, &b->capacity, b->n, sizeof(*b->list))) {
		free(copy);
		return -ENOMEM;
	}
	memcpy(copy, data, bytes);
	b->list[b->n++] = (struct body){copy, bytes};
	return 0;
}

static int encode(const struct agent *a, const struct profile *p, struct bodies *bodies)
{
	const struct agent_options *o = a->options;

	return pyroscope_encode(p, &(struct pyroscope_options){o->service, o->labels, o->n_labels}, take_body, bodies);
}

/* Each waits for the disk. Samples come meanwhile: those of the next window. */
static void submit(struct agent *a, struct bodies *bodies)
{
	for (size_t i = 0; i < bodies->n; i++) {
		pusher_submit(a->pusher, bodies->list[i].data, bodies->list[i].bytes);
		free(bodies->list[i].data);
		recorder_drain(&a->recorder);
	}
	free(bodies->list);
}

/* Names that debuginfod has sent since the last window. */
static void take_late_names(struct agent *a)
{
	struct debuginfod_counts c;

	debuginfod_counts(&c);
	if (c.found == a->late_found)
		return;
	a->late_found = c.found;
	late_names_take(&a->recorder.aggregate);
	source_lines_fini(&a->lines); /* they hold names */
}

static int build(struct agent *a, uint64_t duration_ns, struct profile *p)
{
	struct aggregate *aggregate = &a->recorder.aggregate;
	int err = a->options->inlines ? source_lines_read(aggregate, LINES_MS, &a->lines) : 0;

	if (!err)
		err = profile_build(aggregate, aggregate->weights, a->options->parts, a->options->inlines ? &a->lines : NULL, p);
	if (err)
		return err;
	p->period_ns = 1000000000ull / a->options->frequency_hz;
	p->time_ns = a->window_utc_ns;
	p->duration_ns = duration_ns;
	p->command = "wireprof agent";
	err = class_limit(p, a->options->top);
	if (err)
		profile_free(p);
	return err;
}

static int give_out(struct agent *a, uint64_t now_ns, struct bodies *bodies)
{
	struct profile p;
	int err = build(a, now_ns - a->window_ns, &p);

	if (err)
		return err;
	class_counters_add_profile(a->classes, &p, a->options->service, now_ns);
	if (a->pusher && p.n_samples)
		err = encode(a, &p, bodies);
	if (a->out_dir && p.n_samples)
		out_dir_write(a->out_dir, &p); /* it says itself what fails, and counts */
	profile_free(&p);
	return err;
}

/* So that weeks need no more memory than hours: what is not seen any more goes, with all numbers. */
static void forget(struct agent *a)
{
	size_t bytes = aggregate_bytes(&a->recorder.aggregate), idle = processes_idle_objects(&a->recorder.processes);

	if (bytes <= DICTIONARY_BYTES && idle <= IDLE_OBJECTS)
		return;
	message_verbose("forgetting %zu KiB of names and stacks, and %zu files", bytes >> 10, idle);
	windows_forget(&a->windows);
	source_lines_fini(&a->lines);
	recorder_forget(&a->recorder);
}

void agent_end_window(struct agent *a)
{
	struct bodies bodies = {0};
	uint64_t now_ns, now_utc_ns;

	recorder_drain(&a->recorder);
	now_ns = monotonic_ns();
	now_utc_ns = utc_ns();
	recorder_end_window(&a->recorder);
	take_late_names(a);
	a->n_windows++;
	if (give_out(a, now_ns, &bodies)) {
		a->n_failed++;
		message_warn("a window of %.0f s is lost: no memory", (now_ns - a->window_ns) / 1e9);
	} else if (a->http) {
		windows_keep(&a->windows, &a->recorder.aggregate, a->window_utc_ns, now_ns - a->window_ns);
	}
	class_counters_expire(a->classes, now_ns);
	forget(a);
	agent_begin_window(a, now_ns, now_utc_ns); /* what was sampled since is still to be drained */
	submit(a, &bodies);
}

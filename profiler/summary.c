/* SPDX-License-Identifier: Apache-2.0 */
/* See summary.h. Everything is read off the finished profile and the counters, so it says what the file says. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../out/writer.h"
#include "message.h"
#include "summary.h"

#define TOP_CLASSES 12

struct class_total {
	uint32_t name; /* string */
	uint64_t weight;
};

struct totals {
	uint64_t all, in_request, named, idle;
	struct class_total *classes; /* one a summary */
	size_t n_classes;
};

PRINTF_LIKE static char *text(const char *format, ...)
{
	char *line = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&line, format, args) < 0)
		line = NULL;
	va_end(args);
	return line;
}

static void add_line(struct summary *s, char *line)
{
	if (line && s->n < SUMMARY_LINES)
		s->lines[s->n++] = line;
	else
		free(line);
}

static void add_class(struct totals *t, uint32_t name, uint64_t weight)
{
	for (size_t i = 0; i < t->n_classes; i++)
		if (t->classes[i].name == name) {
			t->classes[i].weight += weight;
			return;
		}
	t->classes[t->n_classes++] = (struct class_total){name, weight};
}

static int by_weight(const void *a, const void *b)
{
	const struct class_total *x = a, *y = b;

	return (x->weight < y->weight) - (x->weight > y->weight);
}

static int add_up(const struct profile *p, struct totals *t)
{
	*t = (struct totals){.classes = calloc(p->n_labelsets + 1, sizeof(*t->classes))};
	if (!t->classes)
		return -1;
	for (size_t i = 0; i < p->n_samples; i++) {
		const struct profile_sample *s = &p->samples[i];
		const char *phase = p->strings[label_find(p, s->labelset, "phase")];
		uint32_t class = label_find(p, s->labelset, "db_query_summary");
		bool in_request = !strcmp(phase, "execute") || !strcmp(phase, "reply");

		t->all += s->weight;
		t->in_request += in_request ? s->weight : 0;
		t->named += class ? s->weight : 0;
		t->idle += !strcmp(phase, "idle") ? s->weight : 0;
		if (class)
			add_class(t, class, s->weight);
	}
	qsort(t->classes, t->n_classes, sizeof(*t->classes), by_weight);
	return 0;
}

static double share(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * part / whole : 0;
}

static double seconds(const struct profile *p, uint64_t weight)
{
	return (double)weight / PROFILE_SAMPLE_WEIGHT * p->period_ns / 1e9;
}

static void class_lines(const struct profile *p, const struct totals *t, struct summary *out)
{
	uint64_t rest = t->all;
	size_t shown = 0;

	add_line(out, text("%7s %9s %9s  %s", "CPU %", "CPU s", "samples", "query class"));
	for (; shown < t->n_classes && shown < TOP_CLASSES; shown++) {
		const struct class_total *c = &t->classes[shown];

		add_line(out, text("%7.2f %9.3f %9.1f  %s", share(c->weight, t->all), seconds(p, c->weight),
				   (double)c->weight / PROFILE_SAMPLE_WEIGHT, p->strings[c->name]));
		rest -= c->weight;
	}
	if (shown < t->n_classes) {
		uint64_t others = rest - (t->all - t->named);

		add_line(out, text("%7.2f %9.3f %9.1f  (%zu more classes)", share(others, t->all),
				   seconds(p, others), (double)others / PROFILE_SAMPLE_WEIGHT,
				   t->n_classes - shown));
		rest -= others;
	}
	add_line(out, text("%7.2f %9.3f %9.1f  (no query)", share(rest, t->all), seconds(p, rest),
			   (double)rest / PROFILE_SAMPLE_WEIGHT));
}

static void stop_lines(const struct recorder *r, struct summary *out)
{
#define X(name, words) words,
	static const char *const reasons[] = {STOPS(X)};
#undef X
	uint64_t user = 0, cut;

	for (int i = STOP_END; i < N_STOPS; i++)
		user += r->stops[i];
	cut = user - r->stops[STOP_END] - r->stops[STOP_ZERO];
	add_line(out, text("stacks: %.2f %% reach the thread's entry, %llu of %llu truncated",
			   share(user - cut, user), (unsigned long long)cut, (unsigned long long)user));
	for (int i = STOP_DEPTH; i < N_STOPS; i++)
		if (r->stops[i])
			message_verbose("%llu stacks truncated: %s", (unsigned long long)r->stops[i],
					reasons[i]);
}

static void loss_lines(const struct recorder *r, const uint64_t *counters, struct summary *out)
{
#define X(name, words) words,
	static const char *const meanings[] = {COUNTERS(X)};
#undef X
	struct unwind_tables_totals tables;
	uint64_t lost = counters[COUNTER_SAMPLES_LOST] +
			r->aggregate.dropped / PROFILE_SAMPLE_WEIGHT + r->malformed;

	add_line(out, text("samples: %llu taken, %llu lost (%.2f %%)",
			   (unsigned long long)counters[COUNTER_SAMPLES], (unsigned long long)lost,
			   share(lost, counters[COUNTER_SAMPLES])));
	for (int i = COUNTER_SAMPLES_LOST; i < N_COUNTERS; i++)
		if (counters[i])
			message_verbose("%llu %s", (unsigned long long)counters[i], meanings[i]);
	unwind_tables_report(r->processes.objects.tables, &tables);
	message_verbose("unwind tables: %zu ready (%llu rows, %llu kernel bytes, %.2f a row), %zu given back, %zu without "
			"rows, %llu refused; %llu changes not published",
			tables.ready, (unsigned long long)tables.rows, (unsigned long long)tables.kernel_bytes,
			tables.rows ? (double)tables.kernel_bytes / tables.rows : 0, tables.evicted, tables.failed,
			(unsigned long long)tables.refused,
			(unsigned long long)publisher_failures(kernel_publisher(r->kernel)));
	if (r->processes.objects.unreadable)
		add_line(out, text("objects: %zu could not be read (see --verbose)",
				   r->processes.objects.unreadable));
}

static void overhead_line(const struct recorder *r, double own_cpu_s, double wall, struct summary *out)
{
	struct governor_report g;

	governor_report(&r->governor, false, &g);
	if (kernel_hook(r->kernel) == HOOK_NONE)
		add_line(out, text("hook: none; own CPU: %.2f s, %.2f %% of one CPU", own_cpu_s, wall > 0 ? 100 * own_cpu_s / wall : 0));
	else
		add_line(out, text("hook: %s, attached %.3g %% of the time; own CPU: %.2f s, %.2f %% of one CPU",
				   receive_hook_name(kernel_hook(r->kernel)), 100 * g.duty, own_cpu_s,
				   wall > 0 ? 100 * own_cpu_s / wall : 0));
	add_line(out, text("overhead: about %.2f %% of the targets' CPU (budget %.4g %%): receive hook %.2f %%, samples %.2f %%, wireprof itself "
			   "%.2f %%",
			   100 * (g.hook + g.samples + g.own), 100 * r->budget, 100 * g.hook, 100 * g.samples, 100 * g.own));	if (g.thinning < 0.95)
		add_line(out, text("for that, samples are taken at %.0f %% of the frequency that was asked for", 100 * g.thinning));
}

void summary_make(const struct recorder *r, const struct profile *p, double own_cpu_s,
		  struct summary *out)
{
	uint64_t counters[N_COUNTERS];
	struct totals t;
	double wall = p->duration_ns / 1e9;

	*out = (struct summary){0};
	if (add_up(p, &t))
		return;
	kernel_counters(r->kernel, counters);
	if (r->requests) {
		class_lines(p, &t, out);
		add_line(out, text("attributed: %.2f %% of the CPU inside requests (execute, reply), "
				   "%.2f %% of all CPU",
				   share(t.named, t.in_request), share(t.named, t.all)));
	}
	stop_lines(r, out);
	loss_lines(r, counters, out);
	overhead_line(r, own_cpu_s, wall, out);
	free(t.classes);
}

void summary_free(struct summary *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->lines[i]);
}

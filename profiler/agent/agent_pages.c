/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent's HTTP server answers, see agent.h. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../../out/metrics.h"
#include "../../out/writer.h"
#include "../clock.h"
#include "agent.h"
#include "counter_metrics.h"
#include "../version.h"

#define PAGE_SECONDS	 60    /* shown where nothing else is asked for */
#define PAGE_SECONDS_MAX 86400
#define PAGE_KEEP_MS	 1000
#define METRICS_KEEP_MS	 500
#define MAX_PROGRAMS	 (METER_PROGRAMS + 1)

/* --- the page --- */

/* The number N of "name=N" in a query, at most `most`; `otherwise` where there is none. */
static unsigned int asked_number(const char *query, const char *name, unsigned int otherwise, unsigned int most)
{
	size_t n = strlen(name);

	for (const char *at = query; at; at = strchr(at, '&') ? strchr(at, '&') + 1 : NULL) {
		unsigned int number;

		if (strncmp(at, name, n) || at[n] != '=' || sscanf(at + n + 1, "%9u", &number) != 1 || !number)
			continue;
		return number < most ? number : most;
	}
	return otherwise;
}

/* Has the browser ask again every so many seconds; what is selected is in the URL, and stays. Returns 0 or -ENOMEM. */
static int add_refresh(char **body, size_t *bytes, unsigned int seconds)
{
	static const char head[] = "<head>";
	char *at = strstr(*body, head), *page;
	size_t before;
	int n;

	if (!at || !seconds)
		return 0;
	before = at - *body + sizeof(head) - 1;
	n = asprintf(&page, "%.*s<meta http-equiv=\"refresh\" content=\"%u\">%s", (int)before, *body, seconds, *body + before);
	if (n < 0)
		return -ENOMEM;
	free(*body);
	*body = page;
	*bytes = n;
	return 0;
}

/* Of the windows that have ended; before the first has, of what there is. */
static int build_page(struct agent *a, unsigned int seconds, struct profile *p)
{
	struct aggregate *aggregate = &a->recorder.aggregate;
	uint64_t time_ns = a->window_utc_ns, duration_ns;
	uint64_t *sum = windows_sum(&a->windows, aggregate, seconds * 1000000000ull, &time_ns, &duration_ns);
	int err;

	if (!sum)
		recorder_settle(&a->recorder);
	err = profile_build(aggregate, sum ? sum : aggregate->weights, a->options->parts, a->options->inlines ? &a->lines : NULL, p);
	free(sum);
	if (err)
		return err;
	p->period_ns = 1000000000ull / a->options->frequency_hz;
	p->time_ns = time_ns;
	p->duration_ns = sum ? duration_ns : monotonic_ns() - a->window_ns;
	return 0;
}

static int make_page(void *context, const char *query, char **body, size_t *bytes)
{
	struct agent *a = context;
	char target[300], title[350];
	struct profile p;
	int err = build_page(a, asked_number(query, "seconds", PAGE_SECONDS, PAGE_SECONDS_MAX), &p);

	if (err)
		return err;
	targets_describe(&a->targets, target, sizeof(target));
	snprintf(title, sizeof(title), "%s, the last %.0f s", target, p.duration_ns / 1e9);
	p.command = title;
	err = profile_to_memory(flamegraph_put, &p, body, bytes);
	profile_free(&p);
	if (err)
		return err;
	err = add_refresh(body, bytes, asked_number(query, "refresh", 0, PAGE_SECONDS_MAX));
	if (err)
		free(*body);
	return err;
}

/* --- metrics --- */

static uint64_t resident_bytes(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	fclose(f);
	return (uint64_t)pages * sysconf(_SC_PAGESIZE);
}

static uint64_t open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (!d)
		return 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n - 3; /* ".", "..", and this directory's own */
}

/* What the snapshot points to. */
struct storage {
	struct counter_metrics counters;
	struct metrics_program programs[MAX_PROGRAMS];
	struct metrics_overhead overhead;
	struct metrics_map maps[KERNEL_MAPS];
	struct metrics_count windows_dropped;
	struct metrics_tables tables;
	struct metrics_push push;
	struct metrics_out_dir out_dir;
	struct metrics_http http;
};

static void fill_overhead(const struct agent *a, struct storage *s, struct metrics *m)
{
	struct governor_report g;

	governor_report(&a->recorder.governor, true, &g);
	s->overhead = (struct metrics_overhead){
		.budget = g.budget * 1e9,
		.hook = g.hook * 1e9,
		.samples = g.samples * 1e9,
		.own = g.own * 1e9,
		.attached = g.duty * 1e9,
	};
	m->overhead = &s->overhead;
}

/* The sampler measures itself; what the hooks take, the kernel may tell. */
static void fill_programs(const struct agent *a, const struct agent_counts *counts, struct storage *s, struct metrics *m)
{
	size_t n = 0;

	s->programs[n++] = (struct metrics_program){"sample", counts->counters[COUNTER_SAMPLE_NS], counts->counters[COUNTER_SAMPLES]};
	for (size_t i = 0; kernel_meter_knows(&a->meter) && i < a->meter.n; i++) {
		const struct metered *from = &a->meter.programs[i];

		if (strcmp(from->name, "sample"))
			s->programs[n++] = (struct metrics_program){from->name, from->run_ns, from->runs};
	}
	m->programs = s->programs;
	m->n_programs = n;
}

static void fill_maps(const struct agent *a, struct storage *s, struct metrics *m)
{
	struct kernel_map maps[KERNEL_MAPS];

	m->n_maps = kernel_map_sizes(a->recorder.kernel, maps);
	for (size_t i = 0; i < m->n_maps; i++)
		s->maps[i] = (struct metrics_map){maps[i].name, maps[i].entries, maps[i].max_entries};
	m->maps = s->maps;
}

static void fill_tables(const struct agent *a, struct storage *s, struct metrics *m)
{
	struct unwind_tables_totals t;

	unwind_tables_report(a->recorder.processes.objects.tables, &t);
	s->tables = (struct metrics_tables){
		.ready = t.ready,
		.rows = t.rows,
		.kernel_bytes = t.kernel_bytes,
		.evicted = t.evicted,
		.without_rows = t.failed,
		.refused = t.refused,
		.not_published = publisher_failures(kernel_publisher(a->recorder.kernel)),
	};
	m->tables = &s->tables;
}

static void fill_push(const struct agent *a, struct storage *s, struct metrics *m)
{
	struct pusher_counts c;

	if (!a->pusher)
		return;
	pusher_counts(a->pusher, &c);
	s->push = (struct metrics_push){
		.ok = c.pushed,
		.retried = c.retried,
		.rejected = c.rejected,
		.queued = c.queued,
		.queued_bytes = c.queued_bytes,
		.dropped = c.dropped_full + c.broken,
		.disk_errors = c.disk_errors,
		.auth_errors = c.auth_errors,
	};
	m->push = &s->push;
}

static void fill_out_dir(const struct agent *a, struct storage *s, struct metrics *m)
{
	struct out_dir_counts c;

	if (!a->out_dir)
		return;
	out_dir_counts(a->out_dir, &c);
	s->out_dir = (struct metrics_out_dir){c.bytes, c.files, c.written, c.removed, c.failed};
	m->out_dir = &s->out_dir;
}

static void fill_http(const struct agent *a, struct storage *s, struct metrics *m)
{
	struct http_counts c;

	http_counts(a->http, &c);
	s->http = (struct metrics_http){c.ok, c.refused, c.refused_host, c.failed, c.accepted, c.too_slow, c.connections};
	m->http = &s->http;
}

static int make_metrics(void *context, const char *query, char **body, size_t *bytes)
{
	const struct agent *a = context;
	struct agent_counts counts;
	struct user_losses losses;
	struct storage s = {0};
	struct metrics m = {
		.version = WIREPROF_VERSION,
		.hook = receive_hook_name(kernel_hook(a->recorder.kernel)),
		.start_time_ns = a->started_utc_ns,
		.own_cpu_ns = own_cpu_ns(true),
		.resident_bytes = resident_bytes(),
		.open_descriptors = open_descriptors(),
		.targets = a->recorder.live,
		.frequency_hz = a->options->frequency_hz,
		.windows = a->n_windows,
		.windows_dropped = &s.windows_dropped,
		.n_windows_dropped = 1,
	};

	(void)query;
	agent_count(a, &counts);
	losses = (struct user_losses){counts.no_room, counts.malformed};
	counter_metrics_fill(counts.counters, counts.stops, &losses, &s.counters, &m);
	s.windows_dropped = (struct metrics_count){"no_memory", a->n_failed};
	fill_overhead(a, &s, &m);
	fill_programs(a, &counts, &s, &m);
	fill_maps(a, &s, &m);
	fill_tables(a, &s, &m);
	fill_push(a, &s, &m);
	fill_out_dir(a, &s, &m);
	fill_http(a, &s, &m);
	class_counters_metrics(a->classes, &m);
	return metrics_text(&m, body, bytes);
}

/* --- health --- */

/* The loop runs, or nobody would answer. */
static int make_health(void *context, const char *query, char **body, size_t *bytes)
{
	(void)context;
	(void)query;
	*body = strdup("ok\n");
	*bytes = *body ? strlen(*body) : 0;
	return *body ? 0 : -ENOMEM;
}

const struct http_route agent_routes[] = {
	{"/", "text/html; charset=utf-8", make_page, PAGE_KEEP_MS, true},
	{"/metrics", METRICS_CONTENT_TYPE, make_metrics, METRICS_KEEP_MS, false},
	{"/healthz", "text/plain; charset=utf-8", make_health, 0, false},
};
const size_t agent_n_routes = sizeof(agent_routes) / sizeof(*agent_routes);

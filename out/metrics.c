/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See metrics.h. The format: prometheus.io/docs/instrumenting/exposition_formats. All lines of a family stand together,
 * behind its HELP and TYPE; a line is
 *
 *	name{key="value",...} number
 *
 * where a value may be any UTF-8, with \ " and newline escaped. One line that is not of this form, or two of the same name
 * and labels, and Prometheus takes nothing of the whole answer: so label values are made valid here, whatever comes.
 */
#include "out/metrics.h"
#include "out/writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void family(struct stream *s, const char *name, const char *type, const char *help)
{
	stream_puts(s, "# HELP ");
	stream_puts(s, name);
	stream_puts(s, " ");
	stream_puts(s, help);
	stream_puts(s, "\n# TYPE ");
	stream_puts(s, name);
	stream_puts(s, " ");
	stream_puts(s, type);
	stream_puts(s, "\n");
}

static void label_value(struct stream *s, const char *text)
{
	while (*text) {
		uint32_t c;
		size_t n = utf8_decode(text, &c);

		if (c == '\\' || c == '"') {
			stream_puts(s, c == '"' ? "\\\"" : "\\\\");
		} else if (c == '\n') {
			stream_puts(s, "\\n");
		} else if (c == UTF8_REPLACEMENT) {
			stream_puts(s, "\xef\xbf\xbd");
		} else {
			stream_write(s, text, n);
		}
		text += n;
	}
}

/* Opens or goes on with the labels of a line. An empty value is the same as no label: it is left out. */
static void label(struct stream *s, const char **separator, const char *key, const char *value)
{
	if (!value || !*value)
		return;
	stream_puts(s, *separator);
	stream_puts(s, key);
	stream_puts(s, "=\"");
	label_value(s, value);
	stream_puts(s, "\"");
	*separator = ",";
}

static void labels_end(struct stream *s, const char *separator)
{
	stream_puts(s, *separator == ',' ? "} " : " ");
}

static void put_seconds(struct stream *s, uint64_t ns)
{
	char text[40];

	snprintf(text, sizeof(text), "%" PRIu64 ".%09u\n", ns / 1000000000, (unsigned int)(ns % 1000000000));
	stream_puts(s, text);
}

static void put_number(struct stream *s, uint64_t number)
{
	stream_number(s, number);
	stream_puts(s, "\n");
}

/* Families of one line, without labels. */
static void one(struct stream *s, const char *name, const char *type, const char *help, uint64_t number)
{
	family(s, name, type, help);
	stream_puts(s, name);
	stream_puts(s, " ");
	put_number(s, number);
}

static void counter(struct stream *s, const char *name, const char *help, uint64_t number)
{
	one(s, name, "counter", help, number);
}

static void gauge(struct stream *s, const char *name, const char *help, uint64_t number)
{
	one(s, name, "gauge", help, number);
}

static void one_seconds(struct stream *s, const char *name, const char *type, const char *help, uint64_t ns)
{
	family(s, name, type, help);
	stream_puts(s, name);
	stream_puts(s, " ");
	put_seconds(s, ns);
}

static void labelled(struct stream *s, const char *name, const char *key, const char *value)
{
	const char *separator = "{";

	stream_puts(s, name);
	label(s, &separator, key, value);
	labels_end(s, separator);
}

/* A counter that is split by one label. Without values there is no family. */
static void counts(struct stream *s, const char *name, const char *help, const char *key,
		   const struct metrics_count *values, size_t n)
{
	if (n)
		family(s, name, "counter", help);
	for (size_t i = 0; i < n; i++) {
		labelled(s, name, key, values[i].name);
		put_number(s, values[i].value);
	}
}

/* --- the families, in the order of the output --- */

static void put_agent(const struct metrics *m, struct stream *s)
{
	const char *separator = "{";

	family(s, "wireprof_build_info", "gauge", "Version of the agent, and the hook that sees what targets receive.");
	stream_puts(s, "wireprof_build_info");
	label(s, &separator, "version", m->version);
	label(s, &separator, "hook", m->hook);
	labels_end(s, separator);
	put_number(s, 1);
	one_seconds(s, "wireprof_start_time_seconds", "gauge", "When the agent started, in seconds since 1970.",
		    m->start_time_ns);
	one_seconds(s, "wireprof_own_cpu_seconds_total", "counter",
		    "CPU time of the agent itself, user and system; without what its BPF programs take inside targets.",
		    m->own_cpu_ns);
	gauge(s, "wireprof_resident_memory_bytes", "Memory of the agent that is resident.", m->resident_bytes);
	gauge(s, "wireprof_open_descriptors", "File descriptors that the agent has open.", m->open_descriptors);
	gauge(s, "wireprof_targets", "Processes that are followed.", m->targets);
	gauge(s, "wireprof_frequency_hertz", "Samples a second that are taken of each busy CPU.", m->frequency_hz);
}

static void put_overhead(const struct metrics_overhead *o, struct stream *s)
{
	const struct {
		const char *part;
		uint64_t ratio;
	} parts[] = {{"hook", o->hook}, {"samples", o->samples}, {"agent", o->own}};

	family(s, "wireprof_overhead_ratio", "gauge",
	       "What wireprof costs, as it estimates, of the CPU time that the targets use, by part.");
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		labelled(s, "wireprof_overhead_ratio", "part", parts[i].part);
		put_seconds(s, parts[i].ratio);
	}
	one_seconds(s, "wireprof_overhead_budget_ratio", "gauge", "What it may cost: --max-overhead.", o->budget);
	one_seconds(s, "wireprof_hook_attached_ratio", "gauge", "Part of the time that the receive hook is attached.", o->attached);
}

static void put_samples(const struct metrics *m, struct stream *s)
{
	counter(s, "wireprof_samples_total", "Samples taken of the targets.", m->samples);
	counts(s, "wireprof_samples_lost_total", "Samples taken and then lost, by reason.", "reason", m->samples_lost,
	       m->n_samples_lost);
	counts(s, "wireprof_stacks_truncated_total", "Stacks that do not reach the thread's entry, by reason.", "reason",
	       m->stacks_truncated, m->n_stacks_truncated);
	counter(s, "wireprof_guessed_samples_total",
		"Samples with frames left by frame pointer or by a return address on the stack.", m->guessed_samples);
	counter(s, "wireprof_guessed_frames_total", "Such frames.", m->guessed_frames);
	counts(s, "wireprof_requests_missed_total", "Requests that were not seen or not kept, by reason.", "reason",
	       m->requests_missed, m->n_requests_missed);
	counts(s, "wireprof_processes_missed_total", "Processes and their events that were not followed, by reason.",
	       "reason", m->processes_missed, m->n_processes_missed);
	counter(s, "wireprof_statements_prepared_total", "MySQL statements that were seen being prepared.",
		m->statements_prepared);
}

static void put_bpf(const struct metrics *m, struct stream *s)
{
	if (m->n_programs)
		family(s, "wireprof_bpf_seconds_total", "counter", "Time spent in BPF programs, by program.");
	for (size_t i = 0; i < m->n_programs; i++) {
		labelled(s, "wireprof_bpf_seconds_total", "program", m->programs[i].name);
		put_seconds(s, m->programs[i].run_ns);
	}
	if (m->n_programs)
		family(s, "wireprof_bpf_runs_total", "counter", "Runs of BPF programs, by program.");
	for (size_t i = 0; i < m->n_programs; i++) {
		labelled(s, "wireprof_bpf_runs_total", "program", m->programs[i].name);
		put_number(s, m->programs[i].runs);
	}
	if (m->n_maps)
		family(s, "wireprof_map_entries", "gauge", "Entries of BPF maps that are in use, by map.");
	for (size_t i = 0; i < m->n_maps; i++) {
		labelled(s, "wireprof_map_entries", "map", m->maps[i].name);
		put_number(s, m->maps[i].entries);
	}
	if (m->n_maps)
		family(s, "wireprof_map_max_entries", "gauge", "Entries that BPF maps have room for, by map.");
	for (size_t i = 0; i < m->n_maps; i++) {
		labelled(s, "wireprof_map_max_entries", "map", m->maps[i].name);
		put_number(s, m->maps[i].max_entries);
	}
}

static void put_tables(const struct metrics_tables *t, struct stream *s)
{
	if (!t)
		return;
	gauge(s, "wireprof_unwind_tables", "Unwind tables that are ready, one an executable or library.", t->ready);
	gauge(s, "wireprof_unwind_rows", "Rows in them.", t->rows);
	gauge(s, "wireprof_unwind_kernel_bytes", "Kernel memory that they take.", t->kernel_bytes);
	gauge(s, "wireprof_unwind_tables_without_rows", "Executables and libraries that have no unwind rows.",
	      t->without_rows);
	counter(s, "wireprof_unwind_tables_evicted_total", "Unwind tables that were given back.", t->evicted);
	counter(s, "wireprof_unwind_tables_refused_total", "Unwind tables that there was no room for.", t->refused);
	counter(s, "wireprof_unwind_not_published_total", "Changes of tables and mappings that the kernel did not take.",
		t->not_published);
}

static void put_push(const struct metrics_push *p, struct stream *s)
{
	if (!p)
		return;
	counts(s, "wireprof_push_total", "Pushes to the profile server, by result.", "result",
	       (const struct metrics_count[]){{"ok", p->ok}, {"retried", p->retried}, {"rejected", p->rejected}}, 3);
	gauge(s, "wireprof_queue_windows", "Windows that wait in the queue on disk.", p->queued);
	gauge(s, "wireprof_queue_bytes", "Bytes that wait in the queue on disk.", p->queued_bytes);
	counter(s, "wireprof_queue_dropped_total", "Windows dropped because the queue was full, or their files were damaged or gone.", p->dropped);
	counter(s, "wireprof_disk_errors_total", "Errors of the disk under the queue.", p->disk_errors);
	counter(s, "wireprof_auth_errors_total", "Pushes that the server refused for their credentials.", p->auth_errors);
}

static void put_out_dir(const struct metrics_out_dir *d, struct stream *s)
{
	if (!d)
		return;
	gauge(s, "wireprof_out_dir_bytes", "Bytes of the profiles in the output directory.", d->bytes);
	gauge(s, "wireprof_out_dir_files", "Profiles in the output directory.", d->files);
	counter(s, "wireprof_out_dir_written_total", "Profiles written to the output directory.", d->written);
	counter(s, "wireprof_out_dir_removed_total", "Profiles removed from it to make room.", d->removed);
	counter(s, "wireprof_out_dir_errors_total", "Profiles that could not be written to it.", d->errors);
}

static void put_http(const struct metrics_http *h, struct stream *s)
{
	if (!h)
		return;
	counts(s, "wireprof_http_responses_total", "Answers of the agent's HTTP server, by result.", "result",
	       (const struct metrics_count[]){{"ok", h->ok},
					      {"refused", h->refused},
					      {"refused_host", h->refused_host},
					      {"failed", h->failed}},
	       4);
	gauge(s, "wireprof_http_connections", "Connections to it that are open.", h->connections);
	counter(s, "wireprof_http_connections_total", "Connections that it accepted.", h->accepted);
	counter(s, "wireprof_http_connections_too_slow_total", "Connections closed because the client was too slow.",
		h->too_slow);
}

static void put_cpu(const struct metrics *m, struct stream *s)
{
	if (m->n_cpu_ns)
		family(s, "wireprof_cpu_seconds_total", "counter",
		       "CPU time of the targets, by how surely it is known what query it was for.");
	for (size_t i = 0; i < m->n_cpu_ns; i++) {
		labelled(s, "wireprof_cpu_seconds_total", "attribution", m->cpu_ns[i].name);
		put_seconds(s, m->cpu_ns[i].value);
	}
}

static void put_class(const struct metrics_class *class, struct stream *s)
{
#define X(name, text) text,
	static const char *const keys[] = {QUERY_LABELS(X)};
#undef X
	const char *separator = "{";

	stream_puts(s, "wireprof_query_cpu_seconds_total");
	for (size_t i = 0; i < N_QUERY_LABELS; i++)
		label(s, &separator, keys[i], class->labels[i]);
	labels_end(s, separator);
	put_seconds(s, class->cpu_ns);
}

static void put_classes(const struct metrics *m, struct stream *s)
{
	if (m->n_classes)
		family(s, "wireprof_query_cpu_seconds_total", "counter",
		       "CPU time of the targets by query class. Classes without CPU time for long end, "
		       "and start again from 0.");
	for (size_t i = 0; i < m->n_classes; i++)
		put_class(&m->classes[i], s);
	gauge(s, "wireprof_query_classes", "Label sets of wireprof_query_cpu_seconds_total.", m->n_classes);
	counter(s, "wireprof_query_classes_ended_total", "Label sets that ended for want of CPU time.", m->classes_evicted);
}

int metrics_write(const struct metrics *m, struct stream *s)
{
	put_agent(m, s);
	if (m->overhead)
		put_overhead(m->overhead, s);
	put_samples(m, s);
	put_bpf(m, s);
	put_tables(m->tables, s);
	counter(s, "wireprof_windows_total", "Windows that ended.", m->windows);
	counts(s, "wireprof_windows_dropped_total", "Windows that were lost, by reason.", "reason", m->windows_dropped,
	       m->n_windows_dropped);
	put_push(m->push, s);
	put_out_dir(m->out_dir, s);
	put_http(m->http, s);
	put_cpu(m, s);
	put_classes(m, s);
	return s->err;
}

int metrics_text(const struct metrics *m, char **text, size_t *bytes)
{
	struct stream_block block;
	struct stream s;

	stream_init_memory(&s, &block);
	metrics_write(m, &s);
	return stream_take(&s, text, bytes);
}

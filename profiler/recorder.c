/* SPDX-License-Identifier: Apache-2.0 */
/* See recorder.h. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "../symbolizer/go_layout.h"
#include "message.h"
#include "recorder.h"

/* A process whose addresses do not resolve is read again, but not more often than this. */
#define REFRESH_MIN_NS (DRAIN_MS * 1000000ull)
/* A process loads its libraries so soon after exec(), and is looked after so often meanwhile. */
#define STARTING_NS	  50000000ull
#define STARTING_DRAIN_MS 2
#define MAX_LABELS     16 /* of a sample; twelve are in use */

/* Code that was mapped, not yet in the process's mappings: samples older than it come first. */
struct late_mapping {
	uint64_t time_ns;
	pid_t pid;
	struct mapping_line line; /* owns its path */
};

static void mapped(void *context, pid_t pid, uint64_t time_ns, const struct mapping_line *m);
static void kernel_code(void *context, const struct kernel_code *code);

static void intern_label_keys(struct recorder *r)
{
	struct aggregate *a = &r->aggregate;

	r->key_system = aggregate_string(a, "db_system_name");
	r->key_operation = aggregate_string(a, "db_operation_name");
	r->key_summary = aggregate_string(a, "db_query_summary");
	r->key_text = aggregate_string(a, "db_query_text");
	r->key_collection = aggregate_string(a, "db_collection_name");
	r->key_namespace = aggregate_string(a, "db_namespace");
	r->key_phase = aggregate_string(a, "phase");
	r->key_attribution = aggregate_string(a, "attribution");
	r->key_comm = aggregate_string(a, "comm");
	r->key_thread = aggregate_string(a, "thread");
	r->key_pid = aggregate_string(a, "pid");
	r->key_tid = aggregate_string(a, "tid");
	r->unit_id = aggregate_string(a, "id");
}

int recorder_open(struct recorder *r, const struct recorder_options *options)
{
	struct kernel_options kernel_options = {
		.frequency_hz = options->frequency_hz,
		.requests = options->requests,
	};
	int err;

	memset(r, 0, sizeof(*r));
	r->requests = options->requests;
	err = kernel_open(&kernel_options, &r->kernel);
	if (err)
		return err;
	err = processes_init(&r->processes, r->kernel);
	if (err) {
		message_error("cannot start a thread: %s", strerror(-err));
		processes_fini(&r->processes);
		kernel_free(r->kernel);
		return err;
	}
	r->attributor = (struct attributor){
		.processes = &r->processes,
		.inflater = inflater_new(),
		.redis_keys = options->redis_keys,
	};
	aggregate_init(&r->aggregate, &r->processes);
	intern_label_keys(r);
	err = mmap_watch_open(&r->watch);
	if (err) {
		message_warn("libraries loaded while recording are noticed late: %s", strerror(-err));
		r->watch = NULL;
	}
	kernel_names_open(&r->kernel_names, r->watch);
	r->aggregate.kernel_names = &r->kernel_names;
	return 0;
}

void recorder_close(struct recorder *r)
{
	for (size_t i = 0; i < r->n_late; i++)
		free((char *)r->late[i].line.path);
	free(r->late);
	aggregate_fini(&r->aggregate);
	processes_fini(&r->processes);
	kernel_names_close(&r->kernel_names);
	mmap_watch_free(r->watch);
	inflater_free(r->attributor.inflater);
	kernel_free(r->kernel);
}

/* In a Go program, requests are those of goroutines. */
static void notice_go(struct recorder *r, struct process *process)
{
	struct elf_object *program = process_program(&r->processes, process);
	struct go_layout layout = {.tls = 0};
	struct go_target go = {.generation = 0};
	int err = program ? elf_object_go_layout(program, &layout) : -ENOENT;

	if (err == -EOPNOTSUPP)
		message_warn("%s (%d) is a Go program of a version that is not known: its goroutines cannot be told apart, and its "
			     "samples carry no requests", process->comm, process->pid);
	else if (err)
		return;
	go.tls = layout.tls;
	go.g_m = layout.g_m;
	go.g_goid = layout.g_goid;
	go.m_curg = layout.m_curg;
	kernel_set_go(r->kernel, process->pid, &process->maps, &go);
}

/*
 * Of a MySQL server by its functions' names, what comes in needs no other proof; of a MongoDB server, the first cursor may
 * be opened before a first message was seen and its event was read.
 */
static void notice_server(struct recorder *r, struct process *process)
{
	const struct server_names *names;

	if (!r->requests)
		return;
	names = process_server(&r->processes, process);
	if (names->mysql)
		kernel_set_flags(r->kernel, process->pid, &process->maps, TARGET_MYSQL);
	if (names->mongo)
		kernel_watch_replies(r->kernel);
	notice_go(r, process);
}

int recorder_add(struct recorder *r, pid_t pid)
{
	struct process *process = processes_get(&r->processes, pid);
	int err;

	if (!process)
		return -ENOMEM;
	err = kernel_add_target(r->kernel, pid);
	if (err)
		return err;
	r->live++;
	err = process_refresh(&r->processes, process);
	process_runs(&r->processes, process);
	notice_server(r, process);
	return err;
}

static void process_gone(struct recorder *r, struct process *process)
{
	if (process->gone)
		return;
	process->gone = true;
	process->gone_ns = monotonic_ns();
	aggregate_finish_jit(&r->aggregate, process);
	kernel_drop_maps(r->kernel, &process->maps);
	r->live--;
}

static void add_number(struct profile_label *labels, size_t *n, uint32_t key, int64_t number,
		       uint32_t unit)
{
	labels[*n].key = key;
	labels[*n].number = number;
	labels[(*n)++].unit = unit;
}

static void add_text(struct recorder *r, struct profile_label *labels, size_t *n, uint32_t key,
		     const char *text)
{
	if (!*text)
		return;
	labels[*n].key = key;
	labels[(*n)++].value = aggregate_string(&r->aggregate, text);
}

/* Labels that do not depend on the class. */
static size_t common_labels(struct recorder *r, const struct process *process,
			    const struct sample_event *e, struct profile_label *labels)
{
	const struct attribution *by = &r->attribution;
	char thread[COMM_BYTES + 1] = "";
	size_t n = 0;

	memcpy(thread, e->thread, COMM_BYTES);
	add_text(r, labels, &n, r->key_comm, process->comm);
	add_text(r, labels, &n, r->key_thread, thread);
	add_number(labels, &n, r->key_pid, e->h.pid, r->unit_id);
	add_number(labels, &n, r->key_tid, e->tid, r->unit_id);
	if (!r->requests)
		return n;
	if (by->phase != PHASE_NONE)
		add_text(r, labels, &n, r->key_phase, phase_names[by->phase]);
	add_text(r, labels, &n, r->key_attribution, attribution_names[by->kind]);
	add_text(r, labels, &n, r->key_system, by->system);
	add_text(r, labels, &n, r->key_namespace, by->namespace);
	return n;
}

static void add_sample(struct recorder *r, const struct process *process, const struct sample *s,
		       uint32_t stack)
{
	struct profile_label labels[MAX_LABELS];
	const struct attribution *by = &r->attribution;
	size_t n_common, n;

	memset(labels, 0, sizeof(labels)); /* label sets are compared as bytes */
	n_common = common_labels(r, process, s->event, labels);
	if (!by->n)
		aggregate_add(&r->aggregate, stack, labels, n_common, PROFILE_SAMPLE_WEIGHT);
	for (size_t i = 0; i < by->n; i++) {
		const struct attributed_class *c = &by->classes[i];

		n = n_common;
		memset(labels + n, 0, (MAX_LABELS - n) * sizeof(*labels));
		add_text(r, labels, &n, r->key_operation, c->operation);
		add_text(r, labels, &n, r->key_summary, c->summary);
		add_text(r, labels, &n, r->key_text, c->text);
		add_text(r, labels, &n, r->key_collection, c->collection);
		aggregate_add(&r->aggregate, stack, labels, n, c->weight);
	}
}

static int by_time(const void *a, const void *b)
{
	const struct late_mapping *x = a, *y = b;

	return (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

static void watch(struct recorder *r)
{
	if (!r->watch)
		return;
	r->watched_ns = monotonic_ns();
	mmap_watch_drain(r->watch, &(struct mmap_watch_calls){mapped, kernel_code, r});
	if (r->n_late)
		qsort(r->late, r->n_late, sizeof(*r->late), by_time); /* each CPU has a ring */
}

/* Maps what was mapped up to a time, so that a sample of then finds what lay there then. */
static void apply_late(struct recorder *r, uint64_t until_ns)
{
	size_t n = 0;

	for (; n < r->n_late && r->late[n].time_ns <= until_ns; n++) {
		struct late_mapping *late = &r->late[n];
		struct process *process = processes_find(&r->processes, late->pid);

		if (process && late->time_ns > process->refreshed_ns)
			process_mapped(&r->processes, process, &late->line);
		free((char *)late->line.path);
	}
	if (!n)
		return;
	r->n_late -= n;
	memmove(r->late, r->late + n, r->n_late * sizeof(*r->late));
}

/*
 * How long a process is let alone after its mappings were read. One whose mappings change all the time, as with some
 * JIT compilers, is read for at most a fiftieth of the time; one that just started maps its libraries now.
 */
static uint64_t refresh_interval_ns(const struct process *process)
{
	bool starting = process->refreshed_ns < process->started_ns + STARTING_NS;
	uint64_t least = starting ? STARTING_DRAIN_MS * 1000000ull : REFRESH_MIN_NS;
	uint64_t rare = (starting ? 4 : 50) * process->refresh_cost_ns;

	return rare > least ? rare : least;
}

static bool is_entry(uint8_t stop)
{
	return stop == STOP_END || stop == STOP_ZERO;
}

/* Whether the process's mappings must be read again before this sample's addresses are looked up. */
static bool is_outdated(const struct process *process, const struct sample *s)
{
	if (process->changed_ns == 1) /* records were lost */
		return true;
	if (s->stop != STOP_NO_MAPS && s->stop != STOP_NO_MAPPING)
		return false;
	return s->event->h.time_ns > process->refreshed_ns + refresh_interval_ns(process);
}

/* Sees to it that the next stack like this one gets farther. */
static void help_unwinder(struct recorder *r, struct process *process, const struct sample *s)
{
	process_runs(&r->processes, process);
	if (s->stop == STOP_NO_TABLE && s->n_user)
		process_want_rows(&r->processes, process, s->user[s->n_user - 1] - (s->n_user > 1));
	if (is_entry(s->stop) && !r->complete_ns) {
		r->complete_ns = s->event->h.time_ns;
		message_verbose("first complete stack %.1f ms after attaching",
				(int64_t)(r->complete_ns - r->attached_ns) / 1e6);
	}
}

static void take_sample(struct recorder *r, const struct event_header *h, size_t size)
{
	struct process *process;
	struct sample s;
	uint32_t stack;

	if (sample_decode(h, size, &s)) {
		r->malformed++;
		return;
	}
	process = processes_find(&r->processes, h->pid);
	if (!process) { /* its fork was lost: say so in the losses */
		r->aggregate.dropped += PROFILE_SAMPLE_WEIGHT;
		return;
	}
	if (h->time_ns > r->watched_ns)
		watch(r);
	apply_late(r, h->time_ns);
	if (!process->gone && is_outdated(process, &s))
		process_refresh(&r->processes, process);
	r->n_samples++;
	process_cut_stack(&r->processes, process, &s);
	r->stops[s.stop < N_STOPS ? s.stop : STOP_NONE]++;
	help_unwinder(r, process, &s);
	stack = aggregate_stack(&r->aggregate, process, &s);
	if (stack == INTERN_NONE) {
		r->aggregate.dropped += PROFILE_SAMPLE_WEIGHT;
		return;
	}
	if (r->requests)
		attribute(&r->attributor, process, &s, aggregate_evidence(&r->aggregate, stack), &r->attribution);
	add_sample(r, process, &s, stack);
}

static void take_fork(struct recorder *r, const struct process_event *e)
{
	struct process *parent = processes_find(&r->processes, e->parent);
	struct process *child = processes_get(&r->processes, e->h.pid);

	if (!child)
		return;
	r->live++;
	if (parent)
		process_inherit(child, parent);
	/* It is unwound by its parent's mappings; most children exec() at once, so nothing is read yet. */
}

static void process_started(struct recorder *r, struct process *process)
{
	process->started_ns = monotonic_ns();
	r->starting_until_ns = process->started_ns + STARTING_NS;
	aggregate_finish_jit(&r->aggregate, process);
	process_reset(&r->processes, process);
	notice_server(r, process);
}

int recorder_timeout_ms(const struct recorder *r)
{
	return monotonic_ns() < r->starting_until_ns ? STARTING_DRAIN_MS : DRAIN_MS;
}

static void take_event(void *context, const struct event_header *h, size_t size)
{
	struct recorder *r = context;
	struct process *process;

	if (h->type == EVENT_SAMPLE) {
		take_sample(r, h, size);
		return;
	}
	if (size < sizeof(struct process_event)) {
		r->malformed++;
		return;
	}
	if (h->type == EVENT_FORK) {
		take_fork(r, (const struct process_event *)h);
		return;
	}
	if (h->type == EVENT_REPLIES)
		kernel_watch_replies(r->kernel);
	process = processes_find(&r->processes, h->pid);
	if (!process)
		return;
	if (h->type == EVENT_EXEC)
		process_started(r, process);
	else if (h->type == EVENT_EXIT)
		process_gone(r, process);
}

static void mapped(void *context, pid_t pid, uint64_t time_ns, const struct mapping_line *m)
{
	struct recorder *r = context;
	struct process *known = pid ? processes_find(&r->processes, pid) : NULL;

	if (!pid)
		kernel_names_lost(&r->kernel_names);
	if (known && !known->gone && !array_reserve((void **)&r->late, &r->late_capacity, r->n_late, sizeof(*r->late))) {
		r->late[r->n_late] = (struct late_mapping){time_ns, pid, *m};
		r->late[r->n_late].line.path = strdup(m->path);
		r->n_late += !!r->late[r->n_late].line.path;
	}

	for (size_t i = 0; i < r->processes.n; i++) {
		struct process *process = r->processes.list[i];

		if ((!pid || process->pid == pid) && !process->gone && !process->changed_ns &&
		    (!pid || time_ns > process->refreshed_ns))
			process->changed_ns = pid ? time_ns : 1;
	}
}

/* A drain may come a little early. */
static bool is_due(const struct process *process)
{
	return monotonic_ns() - process->refreshed_ns >= refresh_interval_ns(process) * 4 / 5;
}

static void kernel_code(void *context, const struct kernel_code *code)
{
	struct recorder *r = context;

	kernel_names_code(&r->kernel_names, code);
}

void recorder_drain(struct recorder *r)
{
	watch(r);
	kernel_drain(r->kernel, take_event, r);
	apply_late(r, UINT64_MAX);
	for (size_t i = 0; i < r->processes.n; i++) {
		struct process *process = r->processes.list[i];

		if (process->changed_ns && !process->gone && is_due(process))
			process_refresh(&r->processes, process);
	}
}

void recorder_finish(struct recorder *r)
{
	for (size_t i = 0; i < r->processes.n; i++)
		aggregate_finish_jit(&r->aggregate, r->processes.list[i]);
}

void recorder_check_live(struct recorder *r)
{
	processes_sweep(&r->processes);
	kernel_drop_maps_now(r->kernel);
	kernel_sweep(r->kernel);
	for (size_t i = 0; i < r->processes.n; i++) {
		struct process *process = r->processes.list[i];

		if (!process->gone && kill(process->pid, 0) && errno == ESRCH)
			process_gone(r, process);
	}
}

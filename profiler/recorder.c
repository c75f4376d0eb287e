/* SPDX-License-Identifier: Apache-2.0 */
/* See recorder.h. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include "../symbolizer/go_layout.h"
#include "clock.h"
#include "message.h"
#include "recorder.h"

/* A process whose addresses do not resolve is read again, but not more often than this. */
#define REFRESH_MIN_NS (DRAIN_MS * 1000000ull)
/* A process loads its libraries so soon after exec(), and is looked after so often meanwhile. */
#define STARTING_NS	  50000000ull
#define STARTING_DRAIN_MS 2

int recorder_open(struct recorder *r, const struct recorder_options *options)
{
	struct kernel_options kernel_options = {
		.frequency_hz = options->frequency_hz,
		.requests = options->requests,
	};
	int err;

	memset(r, 0, sizeof(*r));
	r->requests = options->requests;
	r->threads = options->threads;
	r->texts = options->texts;
	r->containers = options->containers;
	r->budget = options->budget;
	r->frequency_hz = options->frequency_hz;
	r->jiffy_ns = jiffy_ns();
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
	cpu_accounts_init(&r->accounts);
	aggregate_init(&r->aggregate, &r->processes);
	recorder_make_keys(r);
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
	recorder_forget_late(r);
	cpu_accounts_fini(&r->accounts);
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

/* total_ns: CPU time that it used, or CPU_NOT_KNOWN. */
static void process_gone(struct recorder *r, struct process *process, uint64_t total_ns)
{
	if (process->gone)
		return;
	process->gone = true;
	cpu_accounts_end(&r->accounts, process->pid, total_ns);
	process->gone_ns = monotonic_ns();
	aggregate_finish_jit(&r->aggregate, process);
	kernel_drop_maps(r->kernel, &process->maps);
	r->live--;
}

/*
 * A process that was not there before: what is known under its number ended unseen. It is sampled since it had used
 * from_ns of CPU time. NULL where memory is out.
 */
static struct process *new_process(struct recorder *r, pid_t pid, uint64_t from_ns)
{
	struct process *process = processes_find(&r->processes, pid);

	if (process)
		process_gone(r, process, CPU_NOT_KNOWN);
	process = processes_get(&r->processes, pid);
	if (!process)
		return NULL;
	r->live++;
	cpu_accounts_add(&r->accounts, pid, from_ns);
	return process;
}

/* A process is a target, and runs already. */
static int look_at(struct recorder *r, struct process *process)
{
	int err = process_refresh(&r->processes, process);

	process_runs(&r->processes, process);
	notice_server(r, process);
	return err;
}

int recorder_add(struct recorder *r, pid_t pid)
{
	int err = process_is_over(pid) ? -ESRCH : kernel_add_target(r->kernel, pid);
	struct process *process;

	if (err == -EEXIST)
		return 0;
	process = err ? NULL : new_process(r, pid, process_cpu_ns(pid));
	if (!process)
		return err ? err : -ENOMEM;
	err = look_at(r, process);
	if (err == -ESRCH)
		kernel_remove_target(r->kernel, pid);
	return err;
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
	if (s->stop == STOP_NONE && !process->kernel_thread)
		process_is_kernel_thread(process);
	process_runs(&r->processes, process);
	if (s->stop == STOP_NO_TABLE && s->n_user)
		process_want_rows(&r->processes, process, s->user[s->n_user - 1] - (s->n_user > 1));
	if (is_entry(s->stop) && !r->complete_ns) {
		r->complete_ns = s->event->h.time_ns;
		message_verbose("first complete stack %.1f ms after attaching",
				(int64_t)(r->complete_ns - r->attached_ns) / 1e6);
	}
}

/* Whether an event tells of a process that has been added since: by a look at /proc, which the event overtook. */
static bool is_known(const struct recorder *r, const struct event_header *h)
{
	const struct process *process = processes_find(&r->processes, h->pid);

	return process && !process->gone && process->added_ns > h->time_ns;
}

static void take_fork(struct recorder *r, const struct process_event *e)
{
	struct process *parent = processes_find(&r->processes, e->parent);
	struct process *child = is_known(r, &e->h) ? NULL : new_process(r, e->h.pid, 0);

	kernel_wake_clocks(r->kernel);
	/* It is unwound by its parent's mappings; most children exec() at once, so nothing is read yet. */
	if (child && parent)
		process_inherit(child, parent);
}

/* It may have been started just now, and load its libraries. */
static void is_starting(struct recorder *r, struct process *process)
{
	process->started_ns = process->added_ns = monotonic_ns();
	r->starting_until_ns = process->started_ns + STARTING_NS;
	kernel_wake_clocks(r->kernel);
}

static void take_join(struct recorder *r, const struct event_header *h)
{
	struct process *process = is_known(r, h) ? NULL : new_process(r, h->pid, CPU_NOT_KNOWN);

	if (!process)
		return;
	is_starting(r, process);
	look_at(r, process);
}

/* The process of a sample. Of one that is not known, or whose id another had, what told of it was lost: it is a target, or would not be sampled. */
static struct process *sampled_process(struct recorder *r, const struct event_header *h)
{
	struct process *process = processes_find(&r->processes, h->pid);

	if (process && (!process->gone || h->time_ns <= process->gone_ns))
		return process;
	take_join(r, h);
	return processes_find(&r->processes, h->pid);
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
	process = sampled_process(r, h);
	if (!process) {
		r->aggregate.dropped += PROFILE_SAMPLE_WEIGHT;
		return;
	}
	if (h->time_ns > r->watched_ns)
		recorder_watch(r);
	recorder_apply_late(r, h->time_ns);
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
	recorder_add_sample(r, process, &s, stack);
}

static void process_started(struct recorder *r, struct process *process)
{
	is_starting(r, process);
	aggregate_finish_jit(&r->aggregate, process);
	process_reset(&r->processes, process);
	notice_server(r, process);
}

int recorder_timeout_ms(const struct recorder *r)
{
	uint64_t now_ns = monotonic_ns(), left_ms = 0;
	int timeout_ms = now_ns < r->starting_until_ns ? STARTING_DRAIN_MS : DRAIN_MS;

	if (r->governor_due_ns > now_ns)
		left_ms = (r->governor_due_ns - now_ns) / 1000000;
	return left_ms < (uint64_t)timeout_ms ? (int)left_ms + 1 : timeout_ms;
}

/* Where the kernel side does not know it, /proc still does, until the process is reaped. */
static uint64_t cpu_at_exit(const struct process_event *e)
{
	return e->cpu_ns == CPU_NOT_KNOWN ? process_cpu_ns(e->h.pid) : e->cpu_ns;
}

void recorder_take(void *recorder, const struct event_header *h, size_t size)
{
	struct recorder *r = recorder;
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
	if (h->type == EVENT_JOIN) {
		take_join(r, h);
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
		process_gone(r, process, cpu_at_exit((const struct process_event *)h));
}

/* A drain may come a little early. */
static bool is_due(const struct process *process)
{
	return monotonic_ns() - process->refreshed_ns >= refresh_interval_ns(process) * 4 / 5;
}

void recorder_drain(struct recorder *r)
{
	if (r->sampling) {
		kernel_watch_clocks(r->kernel);
		r->governor_due_ns = monotonic_ns() + governor_run(&r->governor);
	}
	recorder_watch(r);
	kernel_drain(r->kernel, recorder_take, r);
	recorder_apply_late(r, UINT64_MAX);
	for (size_t i = 0; i < r->processes.n; i++) {
		struct process *process = r->processes.list[i];

		if (process->gone)
			continue;
		if (process->changed_ns && is_due(process))
			process_refresh(&r->processes, process);
		else
			process_publish_news(&r->processes, process);
	}
}

int recorder_attach(struct recorder *r)
{
	int err;

	if (r->calibration.sample_ns <= 0)
		calibrate(r->kernel, &r->calibration);
	r->attached_ns = monotonic_ns();
	err = kernel_attach(r->kernel);
	if (err)
		return err;
	r->sampling = true;
	governor_start(&r->governor, r->kernel, r->budget, r->frequency_hz, &r->calibration);
	cpu_accounts_end_window(&r->accounts);
	recorder_begin_window(r);
	return 0;
}

void recorder_detach(struct recorder *r)
{
	if (r->sampling)
		governor_stop(&r->governor);
	kernel_detach(r->kernel);
	if (r->sampling)
		cpu_accounts_end_window(&r->accounts);
	r->sampling = false;
}

void recorder_begin_window(struct recorder *r)
{
	cpu_accounts_begin_window(&r->accounts);
	aggregate_begin_window(&r->aggregate);
}

void recorder_settle(struct recorder *r)
{
	aggregate_settle(&r->aggregate, &r->accounts, 1000000000u / r->frequency_hz);
}

void recorder_end_window(struct recorder *r)
{
	if (r->sampling)
		cpu_accounts_end_window(&r->accounts);
	recorder_settle(r);
	for (size_t i = 0; i < r->processes.n; i++)
		aggregate_retry_jit(&r->aggregate, r->processes.list[i]);
}

void recorder_forget(struct recorder *r)
{
	aggregate_forget(&r->aggregate);
	recorder_make_keys(r);
	processes_forget_objects(&r->processes);
}

void recorder_finish(struct recorder *r)
{
	for (size_t i = 0; i < r->processes.n; i++)
		aggregate_finish_jit(&r->aggregate, r->processes.list[i]);
	recorder_settle(r);
}

/* Its end may not have been told: it came before the kernel side was attached, or the event was lost. */
static bool has_ended(struct recorder *r, struct process *process)
{
	bool over = process->seen_alive ? kill(process->pid, 0) && errno == ESRCH : process_is_over(process->pid);

	process->seen_alive = true;
	if (over)
		kernel_remove_target(r->kernel, process->pid);
	return over || !kernel_has_target(r->kernel, process->pid);
}

void recorder_check_live(struct recorder *r)
{
	processes_sweep(&r->processes);
	kernel_drop_maps_now(r->kernel);
	kernel_sweep(r->kernel);
	for (size_t i = 0; i < r->processes.n; i++) {
		struct process *process = r->processes.list[i];

		if (!process->gone && has_ended(r, process))
			process_gone(r, process, CPU_NOT_KNOWN);
	}
}

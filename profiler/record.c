/* SPDX-License-Identifier: Apache-2.0 */
/* `wireprof record`: from the command line to a file and a table. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "child.h"
#include "../symbolizer/debuginfod.h"
#include "clock.h"
#include "commands.h"
#include "late_names.h"
#include "message.h"
#include "options.h"
#include "recorder.h"
#include "summary.h"
#include "targets/targets.h"
#include "truncated_files.h"

#define SETTLE_MS      300 /* for unwind rows of the targets, before the first sample */
#define CHILD_GRACE_MS 2000
#define LINES_MS       60000 /* to read source lines; mariadbd's 20 000 addresses take about a second */

static volatile sig_atomic_t stop_asked;

static void ask_stop(int signal_number)
{
	(void)signal_number;
	stop_asked = 1;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = ask_stop};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

/* --- the output file: opened before anything is recorded, so that ten minutes are not recorded in vain --- */

struct output {
	const char *path;
	enum output_format format;
	int fd;
	bool created;
};

struct outputs {
	struct output list[MAX_OUTPUTS];
	size_t n;
};

static int output_open(struct output *o, const char *path)
{
	struct stat st;

	o->path = path;
	o->created = false;
	if (!strcmp(path, "-")) {
		o->fd = STDOUT_FILENO;
		return 0;
	}
	o->created = stat(path, &st) && errno == ENOENT;
	o->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (o->fd >= 0)
		return 0;
	message_error("cannot write %s: %s: choose another file with -o", path, strerror(errno));
	return -1;
}

static void outputs_discard(struct outputs *outputs)
{
	for (size_t i = 0; i < outputs->n; i++) {
		struct output *o = &outputs->list[i];

		if (o->fd != STDOUT_FILENO)
			close(o->fd);
		if (o->created)
			unlink(o->path);
	}
	outputs->n = 0;
}

static int outputs_open(struct outputs *outputs, const struct record_options *o)
{
	for (outputs->n = 0; outputs->n < o->n_outputs; outputs->n++) {
		struct output *output = &outputs->list[outputs->n];

		output->format = o->outputs[outputs->n].format;
		if (output_open(output, o->outputs[outputs->n].path)) {
			outputs_discard(outputs);
			return -1;
		}
	}
	return 0;
}

static int output_write(struct output *o, const struct profile *p)
{
	struct stat st;
	int err = 0;

	if (!fstat(o->fd, &st) && S_ISREG(st.st_mode) && o->fd != STDOUT_FILENO && ftruncate(o->fd, 0))
		err = -errno;
	if (!err && o->format == FORMAT_PPROF)
		err = pprof_write(p, o->fd);
	else if (!err && o->format == FORMAT_FOLDED)
		err = folded_write(p, o->fd);
	else if (!err)
		err = flamegraph_write(p, o->fd);
	if (o->fd != STDOUT_FILENO && close(o->fd) && !err)
		err = -errno;
	if (err)
		message_error("cannot write %s: %s", o->path, strerror(-err));
	return err;
}

/* Writes them all, even if one fails. Returns the first error. */
static int outputs_write(struct outputs *outputs, const struct profile *p)
{
	int first = 0, err;

	for (size_t i = 0; i < outputs->n; i++) {
		err = output_write(&outputs->list[i], p);
		if (!first)
			first = err;
		if (!err && outputs->list[i].fd != STDOUT_FILENO)
			message_info("wrote %s", outputs->list[i].path);
	}
	return first;
}

/* --- the recording --- */

/* The command is there, but waits to be let go. */
static int start_command(struct recorder *r, const struct record_options *o, struct child *child)
{
	int err;

	if (!o->target.command)
		return 0;
	err = child_start(o->target.command, child);
	if (!err)
		err = recorder_add(r, child->pid);
	if (err)
		message_error("cannot start %s: %s", o->target.command[0], strerror(-err));
	return err;
}

static void show_progress(const struct recorder *r, const struct record_options *o, double elapsed)
{
	if (o->duration_s > 0)
		progress("recording: %.0f of %.0f s, %llu samples (Ctrl-C ends it early)", elapsed,
			 o->duration_s, (unsigned long long)r->n_samples);
	else
		progress("recording: %.0f s, %llu samples (Ctrl-C ends it)", elapsed,
			 (unsigned long long)r->n_samples);
}

/* Those that were named are gone; of a rule, others may come. */
static bool is_over(const struct recorder *r, const struct record_options *o)
{
	return !r->live && (o->target.kind == TARGET_PIDS || o->target.kind == TARGET_COMMAND);
}

static void record_until_done(struct recorder *r, const struct record_options *o, struct targets *targets,
			      struct child *child, uint64_t start_ns)
{
	struct pollfd ring = {.fd = kernel_poll_fd(r->kernel), .events = POLLIN};
	uint64_t next_tick_ns = start_ns;

	while (!stop_asked && !is_over(r, o)) {
		uint64_t now = monotonic_ns(), elapsed = now - start_ns;
		int timeout_ms = recorder_timeout_ms(r);

		if (o->duration_s > 0) {
			double left_ms = o->duration_s * 1e3 - elapsed / 1e6;

			if (left_ms <= 0)
				break;
			if (left_ms < timeout_ms)
				timeout_ms = left_ms + 1;
		}
		if (now >= next_tick_ns) {
			show_progress(r, o, elapsed / 1e9);
			recorder_check_live(r);
			next_tick_ns = now + 1000000000ull;
		}
		poll(&ring, 1, timeout_ms);
		recorder_drain(r);
		targets_check(targets);
		if (child->pid && waitpid(child->pid, NULL, WNOHANG) == child->pid)
			child->pid = 0;
	}
	progress_end();
}

/* A command that outlives its recording is ended, it was started for it: asked first, then killed. */
static void end_child(struct child *child)
{
	if (!child->pid)
		return;
	kill(child->pid, SIGTERM);
	for (int waited_ms = 0; waited_ms < CHILD_GRACE_MS; waited_ms += 10) {
		if (waitpid(child->pid, NULL, WNOHANG) == child->pid) {
			child->pid = 0;
			return;
		}
		poll(NULL, 0, 10);
	}
	message_warn("%d ignores SIGTERM: killed", child->pid);
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	child->pid = 0;
}

static int build_profile(struct recorder *r, const struct record_options *o, struct profile *out)
{
	struct source_lines lines = {0};
	int err = o->inlines ? source_lines_read(&r->aggregate, LINES_MS, &lines) : 0;

	if (!err)
		err = profile_build(&r->aggregate, r->aggregate.weights, o->parts, o->inlines ? &lines : NULL, out);
	source_lines_fini(&lines);
	return err;
}

static int finish(struct recorder *r, const struct record_options *o, const struct targets *targets, struct outputs *outputs,
		  uint64_t start_ns, uint64_t end_ns, uint64_t start_utc_ns)
{
	struct summary summary;
	struct profile profile;
	char target[300];
	int err;

	err = build_profile(r, o, &profile);
	if (err) {
		message_error("cannot build the profile: %s", strerror(-err));
		outputs_discard(outputs);
		return err;
	}
	targets_describe(targets, target, sizeof(target));
	profile.period_ns = 1000000000ull / o->frequency_hz;
	profile.time_ns = start_utc_ns;
	profile.duration_ns = end_ns - start_ns;
	profile.command = target;
	summary_make(r, &profile, own_cpu_ns(false) / 1e9, &summary);
	profile.comments = (const char *const *)summary.lines;
	profile.n_comments = summary.n;
	if (!r->n_samples)
		message_warn("nothing sampled: %s used no CPU in %.1f s; give it load, or record longer (-d)",
			     target, profile.duration_ns / 1e9);
	else
		for (size_t i = 0; i < summary.n; i++)
			message_info("%s", summary.lines[i]);
	err = outputs_write(outputs, &profile);
	summary_free(&summary);
	profile_free(&profile);
	return err;
}

static int run(struct recorder *r, const struct record_options *o, struct targets *targets, struct outputs *outputs)
{
	struct child child = {0};
	uint64_t start_ns, end_ns, start_utc_ns;
	int err;

	err = targets_start(targets, r);
	if (!err)
		err = start_command(r, o, &child);
	unwind_tables_settle(r->processes.objects.tables, SETTLE_MS);
	if (!err)
		err = recorder_attach(r);
	if (err)
		goto discard;
	start_ns = monotonic_ns();
	start_utc_ns = utc_ns();
	if (child.pid) {
		err = child_release(&child);
		if (err) {
			message_error("cannot run %s: %s", o->target.command[0], strerror(-err));
			goto discard;
		}
	}
	record_until_done(r, o, targets, &child, start_ns);
	end_ns = monotonic_ns();
	recorder_detach(r);
	recorder_drain(r);
	end_child(&child);
	recorder_finish(r);
	stop_asked = 0; /* what ended the recording does not end the wait */
	late_names(&r->aggregate, &stop_asked);
	return finish(r, o, targets, outputs, start_ns, end_ns, start_utc_ns);
discard:
	child_abandon(&child);
	outputs_discard(outputs);
	return err;
}

int command_record(int argc, char **argv)
{
	struct recorder_options recorder_options;
	static struct recorder recorder; /* large: it holds a stack and a batch of requests */
	struct record_options options;
	struct containers *containers;
	struct targets targets;
	struct outputs outputs;
	int err;

	err = record_options_parse(argc, argv, &options);
	if (err > 0) {
		fputs(record_usage, stdout);
		return EXIT_DONE;
	}
	if (err)
		return EXIT_USAGE;
	containers = containers_new("");
	if (!containers)
		return EXIT_FAILED;
	if (targets_find(&targets, &options.target, containers, false) || outputs_open(&outputs, &options)) {
		containers_free(containers);
		return EXIT_FAILED;
	}
	catch_signals();
	survive_truncated_files();
	err = debuginfod_start();
	if (err)
		message_warn("debuginfod is not asked: %s", strerror(-err));
	recorder_options = (struct recorder_options){
		.frequency_hz = options.frequency_hz,
		.requests = options.requests,
		.budget = options.max_overhead / 100,
		.threads = true,
		.texts = true,
		.redis_keys = options.redis_keys,
		.containers = containers,
	};
	err = recorder_open(&recorder, &recorder_options);
	if (!err) {
		recorder.processes.keep_first = true;
		err = run(&recorder, &options, &targets, &outputs);
		recorder_close(&recorder);
	} else {
		outputs_discard(&outputs);
	}
	debuginfod_stop();
	containers_free(containers);
	return err ? EXIT_FAILED : EXIT_DONE;
}

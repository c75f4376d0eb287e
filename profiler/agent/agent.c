/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's loop, see agent.h. */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "../../symbolizer/debuginfod.h"
#include "../clock.h"
#include "agent.h"
#include "../commands.h"
#include "../message.h"
#include "../truncated_files.h"

#define SETTLE_MS   300	 /* for unwind rows of the targets, before the first sample */
#define STOP_MS	    5000 /* for what is queued, when the agent ends */
#define RELOAD_MS   300 /* at SIGHUP, so that a push under way is not made twice; samples wait meanwhile */
#define LARGE_BYTES (256 << 10)

static volatile sig_atomic_t stop_asked, reload_asked;

static void on_signal(int signal_number)
{
	if (signal_number == SIGHUP)
		reload_asked = 1;
	else
		stop_asked = 1;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file too large is an error as others are */
}

void agent_keep_memory_small(void)
{
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
	mallopt(M_TRIM_THRESHOLD, LARGE_BYTES);
}

/* --- where windows go --- */

static int start_pusher(struct agent *a)
{
	const struct agent_options *o = a->options;
	const struct pusher_options options = {
		.url = o->pyroscope,
		.tenant = o->tenant,
		.basic_auth_file = o->basic_auth_file,
		.bearer_file = o->bearer_file,
		.header_file = o->header_file,
		.ca_file = o->ca_file,
		.queue_dir = o->queue_dir,
		.queue_bytes = o->queue_bytes,
	};

	return o->pyroscope ? pusher_start(&options, &a->pusher) : 0;
}

static int start_http(struct agent *a)
{
	const struct agent_options *o = a->options;
	const struct http_options options = {
		.listen = o->listen,
		.allowed_hosts = o->allow_hosts,
		.n_allowed_hosts = o->n_allow_hosts,
	};
	int err = o->listen ? http_start(&options, agent_routes, agent_n_routes, a, &a->http) : 0;

	if (a->http)
		message_info("listening on http://%s/", http_address(a->http));
	return err;
}

static void stop_outputs(struct agent *a, unsigned int grace_ms)
{
	http_stop(a->http);
	pusher_stop(a->pusher, grace_ms);
	out_dir_close(a->out_dir);
	a->http = NULL;
	a->pusher = NULL;
	a->out_dir = NULL;
}

static int start_out_dir(struct agent *a)
{
	return a->options->out_dir ? out_dir_open(a->options->out_dir, a->options->out_dir_bytes, &a->out_dir) : 0;
}

/*
 * What cannot be started, which is said, ends all, or, with `go_on`, is left out. Returns 0 or -errno; then none runs.
 */
static int start_outputs(struct agent *a, bool go_on)
{
	static const struct {
		int (*start)(struct agent *a);
		const char *without;
	} outputs[] = {
		{start_pusher, "nothing is pushed"},
		{start_out_dir, "no files are written"},
		{start_http, "nothing is served"},
	};

	for (size_t i = 0; i < sizeof(outputs) / sizeof(*outputs); i++) {
		int err = outputs[i].start(a);

		if (err && !go_on) {
			stop_outputs(a, 0);
			return err;
		}
		if (err)
			message_warn("%s until SIGHUP finds it mended", outputs[i].without);
	}
	return 0;
}

/* --- what is sampled --- */

void agent_count(const struct agent *a, struct agent_counts *out)
{
	const struct recorder *r = &a->recorder;
	uint64_t counters[N_COUNTERS];

	*out = a->before;
	if (!r->kernel)
		return;
	kernel_counters(r->kernel, counters);
	for (size_t i = 0; i < N_COUNTERS; i++)
		out->counters[i] += counters[i];
	for (size_t i = 0; i < N_STOPS; i++)
		out->stops[i] += r->stops[i];
	out->no_room += r->aggregate.dropped / PROFILE_SAMPLE_WEIGHT;
	out->malformed += r->malformed;
}

static int sample(struct agent *a)
{
	int err = targets_start(&a->targets, &a->recorder);

	if (err)
		return err;
	unwind_tables_settle(a->recorder.processes.objects.tables, SETTLE_MS);
	return recorder_attach(&a->recorder);
}

static int start_recorder(struct agent *a)
{
	const struct agent_options *o = a->options;
	const struct recorder_options options = {
		.frequency_hz = o->frequency_hz,
		.requests = o->requests,
		.budget = o->max_overhead / 100,
		.texts = o->query_text,
		.redis_keys = o->redis_keys,
		.containers = a->containers,
	};
	int err = recorder_open(&a->recorder, &options);

	if (err)
		return err;
	err = sample(a);
	if (err) {
		recorder_close(&a->recorder);
		a->recorder.kernel = NULL;
		return err;
	}
	kernel_meter_init(&a->meter, a->recorder.kernel);
	agent_begin_window(a, monotonic_ns(), utc_ns());
	return 0;
}

static void stop_recorder(struct agent *a)
{
	recorder_detach(&a->recorder);
	recorder_drain(&a->recorder);
	recorder_finish(&a->recorder);
	agent_end_window(a);
	agent_count(a, &a->before);
	windows_forget(&a->windows);
	source_lines_fini(&a->lines);
	kernel_meter_fini(&a->meter);
	recorder_close(&a->recorder);
	a->recorder.kernel = NULL;
}

/* --- all of it --- */

/*
 * Starts what does not run. With `go_on`, the agent ran before, and does without what cannot be started any more. Returns 0 or
 * -errno after a message; then nothing goes anywhere.
 */
static int start(struct agent *a, const struct agent_options *options, bool go_on)
{
	int err = 0;

	a->options = options;
	a->targets.options = &options->target;
	if (!a->recorder.kernel)
		err = targets_find(&a->targets, &options->target, a->containers, true);
	if (err == -ESRCH && a->n_windows)
		err = 0; /* processes that have ended meanwhile */
	if (!options->listen)
		windows_forget(&a->windows); /* what comes later does not follow on them */
	if (!err || go_on)
		err = start_outputs(a, go_on);
	if (!err && !a->recorder.kernel)
		err = start_recorder(a);
	if (err)
		stop_outputs(a, 0);
	return err;
}

static void stop(struct agent *a, bool recorder_too, unsigned int grace_ms)
{
	if (recorder_too && a->recorder.kernel)
		stop_recorder(a);
	else if (a->recorder.kernel)
		agent_end_window(a);
	stop_outputs(a, grace_ms);
}

/* Of two sets of options, one is in use. Returns -errno where nothing can be sampled any more. */
static int reload(struct agent *a, int argc, char **argv, struct agent_options options[static 2], int *used)
{
	struct agent_options *old = &options[*used], *new = &options[!*used];

	if (agent_options_parse(argc, argv, new)) {
		message_warn("the configuration stays as it was");
		return 0;
	}
	stop(a, !agent_options_same_kernel(old, new), RELOAD_MS);
	if (start(a, new, false)) {
		message_verbosity = old->verbosity;
		message_warn("going on with the configuration as it was");
		agent_options_fini(new);
		return start(a, old, true);
	}
	message_info("the configuration was read again");
	agent_options_fini(old);
	*used = !*used;
	return 0;
}

static int least(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void wait_for_work(const struct agent *a)
{
	struct pollfd fds[] = {
		{.fd = kernel_poll_fd(a->recorder.kernel), .events = POLLIN},
		{.fd = a->http ? http_fd(a->http) : -1, .events = POLLIN},
	};
	int timeout_ms = recorder_timeout_ms(&a->recorder);
	uint64_t elapsed_ms = (monotonic_ns() - a->window_ns) / 1000000;
	int64_t left_ms = (int64_t)a->options->window_s * 1000 - (int64_t)elapsed_ms;

	timeout_ms = least(timeout_ms, left_ms > 0 ? (int)left_ms : 0);
	if (a->http)
		timeout_ms = least(timeout_ms, http_timeout_ms(a->http));
	poll(fds, 2, timeout_ms);
}

static void every_second(struct agent *a)
{
	bool given = a->options->target.kind == TARGET_PIDS, over = given && !a->recorder.live;

	if (over && !a->told_over)
		message_warn("the processes given with -p have ended: there is nothing to profile any more");
	a->told_over = over;
	recorder_check_live(&a->recorder);
	kernel_meter_tick(&a->meter);
}

static int loop(struct agent *a, int argc, char **argv, struct agent_options options[static 2], int *used)
{
	uint64_t next_second_ns = 0;
	int err = 0;

	while (!stop_asked && !err) {
		wait_for_work(a);
		recorder_drain(&a->recorder);
		targets_check(&a->targets);
		if (a->http)
			http_run(a->http);
		if (monotonic_ns() >= next_second_ns) {
			every_second(a);
			next_second_ns = monotonic_ns() + 1000000000ull;
		}
		if (monotonic_ns() - a->window_ns >= a->options->window_s * 1000000000ull)
			agent_end_window(a);
		if (reload_asked) {
			reload_asked = 0;
			err = reload(a, argc, argv, options, used);
		}
	}
	return err;
}

static void tell(const struct agent *a)
{
	char target[300];

	targets_describe(&a->targets, target, sizeof(target));
	message_info("profiling %s at %u Hz, in windows of %u s; SIGTERM ends it", target, a->options->frequency_hz,
		     a->options->window_s);
}

static int run(struct agent *a, int argc, char **argv, struct agent_options options[static 2])
{
	int used = 0, err;

	a->containers = containers_new("");
	a->classes = class_counters_new(CLASS_COUNTERS_MAX, CLASS_COUNTERS_IDLE_NS);
	err = a->containers && a->classes ? start(a, &options[0], false) : -ENOMEM;
	if (!err) {
		tell(a);
		err = loop(a, argc, argv, options, &used);
		stop(a, true, STOP_MS);
	}
	class_counters_free(a->classes);
	containers_free(a->containers);
	agent_options_fini(&options[used]);
	return err;
}

int command_agent(int argc, char **argv)
{
	static struct agent agent; /* large: it holds a recorder */
	struct agent_options options[2];
	int err = agent_options_parse(argc, argv, &options[0]);

	if (err > 0) {
		agent_options_usage(stdout);
		return EXIT_DONE;
	}
	if (err)
		return EXIT_USAGE;
	agent_keep_memory_small();
	catch_signals();
	survive_truncated_files();
	agent.started_utc_ns = utc_ns();
	err = debuginfod_start();
	if (err)
		message_warn("debuginfod is not asked: %s", strerror(-err));
	err = run(&agent, argc, argv, options);
	debuginfod_stop();
	return err ? EXIT_FAILED : EXIT_DONE;
}

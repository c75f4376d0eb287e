/* SPDX-License-Identifier: Apache-2.0 */
/* See options.h. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "message.h"
#include "options.h"

#define DEFAULT_HZ 99
#define DEFAULT_OVERHEAD 1
#define MAX_HZ	   10000
#define MAX_SECONDS (366 * 86400.0)

const char record_usage[] =
	"usage: wireprof record TARGET [options]\n"
	"       wireprof record [options] -- CMD [ARG ...]\n"
	"\n"
	"Samples the CPU of processes, each sample with its stack and the database request it served.\n"
	"\n"
	"  -p PID[,PID...]       these processes, and the children they start\n"
	"      --comm NAME       every process of this name, and the children they start\n"
	"  -c CONTAINER          every process of a container: its name, or its id or 6 or more digits of that\n"
	"      --cgroup PATH     every process of a cgroup and of those below it\n"
	"  -a                    every process of the machine\n"
	"  -- CMD [ARG ...]      start this command and follow it until it ends\n"
	"  -F HZ                 samples per second and CPU (default 99)\n"
	"  -d SECONDS            how long (default: until Ctrl-C or the target's end)\n"
	"  -o FILE               where to; .pb.gz pprof, .folded, .html flame graph; - for stdout\n"
	"                        (default wireprof.html); several -o write several files\n"
	"  -f FORMAT             pprof, folded or flamegraph, whatever the file is called\n"
	"      --user-only       stacks without their kernel frames\n"
	"      --kernel-only     stacks without their user frames\n"
	"      --no-inlines      no inlined functions and source lines: do not read DWARF\n"
	"      --no-requests     do not look at requests: no receive hook\n"
	"      --redis-keys HOW  prefix: keys as \"user:*\" (default); none: no keys\n"
	"      --max-overhead P  at most so many percent of the targets' CPU (default 1); above, the receive hook is attached for\n"
	"                        part of the time only; 100: always\n"
	"      --quiet           only errors\n"
	"      --verbose         also which hook, which object, which reason\n";

static int parse_number(const char *option, const char *text, double least, double most,
			double *out)
{
	char *end;

	errno = 0;
	*out = strtod(text, &end);
	if (end == text || *end || errno || !isfinite(*out) || *out < least || *out > most) {
		message_error("%s takes a number from %.10g to %.10g, not \"%s\"", option, least, most, text);
		return -EINVAL;
	}
	return 0;
}

static int parse_frequency(const char *text, struct record_options *o)
{
	double hz;

	if (parse_number("-F", text, 1, MAX_HZ, &hz))
		return -EINVAL;
	if (hz != floor(hz)) {
		message_error("-F takes a whole number, not \"%s\"", text);
		return -EINVAL;
	}
	o->frequency_hz = hz;
	return 0;
}

static bool ends_with(const char *text, const char *ending)
{
	size_t n = strlen(text), m = strlen(ending);

	return n >= m && !strcmp(text + n - m, ending);
}

static int parse_format(const char *text, enum output_format *out)
{
	if (!strcmp(text, "pprof"))
		*out = FORMAT_PPROF;
	else if (!strcmp(text, "folded"))
		*out = FORMAT_FOLDED;
	else if (!strcmp(text, "flamegraph"))
		*out = FORMAT_FLAMEGRAPH;
	else {
		message_error("-f takes pprof, folded or flamegraph, not \"%s\"", text);
		return -EINVAL;
	}
	return 0;
}

static int format_of_file(const char *path, enum output_format *out)
{
	if (ends_with(path, ".pb.gz"))
		*out = FORMAT_PPROF;
	else if (ends_with(path, ".folded"))
		*out = FORMAT_FOLDED;
	else if (ends_with(path, ".html"))
		*out = FORMAT_FLAMEGRAPH;
	else {
		message_error("cannot tell the format of \"%s\": end it in .pb.gz, .folded or .html, or use -f",
			      path);
		return -EINVAL;
	}
	return 0;
}

static int add_output(const char *path, struct record_options *o)
{
	if (o->n_outputs == MAX_OUTPUTS) {
		message_error("-o can be given at most %d times", MAX_OUTPUTS);
		return -EINVAL;
	}
	o->outputs[o->n_outputs++].path = path;
	return 0;
}

/* Each file's format: the one that -f gives (here a pointer to it), else by the file's ending. */
static int choose_formats(struct record_options *o, const enum output_format *given)
{
	int err = 0;

	if (!o->n_outputs)
		add_output("wireprof.html", o);
	for (size_t i = 0; i < o->n_outputs && !err; i++) {
		if (given)
			o->outputs[i].format = *given;
		else
			err = format_of_file(o->outputs[i].path, &o->outputs[i].format);
	}
	return err;
}

static int parse_keys(const char *text, struct record_options *o)
{
	if (!strcmp(text, "prefix"))
		o->redis_keys = REDIS_KEYS_PREFIX;
	else if (!strcmp(text, "none"))
		o->redis_keys = REDIS_KEYS_NONE;
	else {
		message_error("--redis-keys takes prefix or none, not \"%s\"", text);
		return -EINVAL;
	}
	return 0;
}

static int parse_parts(enum stack_parts parts, struct record_options *o)
{
	if (o->parts != STACKS_ALL && o->parts != parts) {
		message_error("--user-only and --kernel-only exclude each other");
		return -EINVAL;
	}
	o->parts = parts;
	return 0;
}

enum { OPT_COMM = 256, OPT_CGROUP, OPT_USER_ONLY, OPT_KERNEL_ONLY, OPT_NO_INLINES, OPT_NO_REQUESTS, OPT_REDIS_KEYS, OPT_MAX_OVERHEAD, OPT_QUIET, OPT_VERBOSE };

static const struct option long_options[] = {
	{"pid", required_argument, NULL, 'p'},
	{"comm", required_argument, NULL, OPT_COMM},
	{"container", required_argument, NULL, 'c'},
	{"cgroup", required_argument, NULL, OPT_CGROUP},
	{"all", no_argument, NULL, 'a'},
	{"user-only", no_argument, NULL, OPT_USER_ONLY},
	{"kernel-only", no_argument, NULL, OPT_KERNEL_ONLY},
	{"no-inlines", no_argument, NULL, OPT_NO_INLINES},
	{"no-requests", no_argument, NULL, OPT_NO_REQUESTS},
	{"redis-keys", required_argument, NULL, OPT_REDIS_KEYS},
	{"max-overhead", required_argument, NULL, OPT_MAX_OVERHEAD},
	{"quiet", no_argument, NULL, OPT_QUIET},
	{"verbose", no_argument, NULL, OPT_VERBOSE},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static int take_option(int c, struct record_options *o, enum output_format *format,
		       bool *format_given)
{
	switch (c) {
	case 'p':
		return target_option_pids(&o->target, optarg);
	case OPT_COMM:
		return target_option_name(&o->target, TARGET_COMM, optarg);
	case 'c':
		return target_option_name(&o->target, TARGET_CONTAINER, optarg);
	case OPT_CGROUP:
		return target_option_name(&o->target, TARGET_CGROUP, optarg);
	case 'a':
		return target_option_all(&o->target);
	case 'F':
		return parse_frequency(optarg, o);
	case 'd':
		return parse_number("-d", optarg, 0.1, MAX_SECONDS, &o->duration_s);
	case 'o':
		return add_output(optarg, o);
	case 'f':
		*format_given = true;
		return parse_format(optarg, format);
	case OPT_USER_ONLY:
		return parse_parts(STACKS_USER_ONLY, o);
	case OPT_KERNEL_ONLY:
		return parse_parts(STACKS_KERNEL_ONLY, o);
	case OPT_NO_INLINES:
		o->inlines = false;
		return 0;
	case OPT_NO_REQUESTS:
		o->requests = false;
		return 0;
	case OPT_REDIS_KEYS:
		return parse_keys(optarg, o);
	case OPT_MAX_OVERHEAD:
		return parse_number("--max-overhead", optarg, 0.1, 100, &o->max_overhead);
	case OPT_QUIET:
		message_verbosity = MESSAGE_QUIET;
		return 0;
	case OPT_VERBOSE:
		message_verbosity = MESSAGE_VERBOSE;
		return 0;
	case 'h':
		return 1;
	}
	return -EINVAL;
}

static int check_target(struct record_options *o, int argc, char **argv)
{
	if (optind < argc) {
		/* Only what stands behind "--" is a command: a stray word is more likely a mistake. */
		if (strcmp(argv[optind - 1], "--")) {
			message_error("unexpected \"%s\"; a command to start goes behind --", argv[optind]);
			return -EINVAL;
		}
		if (target_option_command(&o->target, argv + optind))
			return -EINVAL;
	}
	if (!o->target.kind) {
		message_error("what to record? Give -p PID, --comm NAME, -c CONTAINER, --cgroup PATH, -a, or a command behind --");
		return -EINVAL;
	}
	return 0;
}

int record_options_parse(int argc, char **argv, struct record_options *out)
{
	enum output_format format;
	bool format_given = false;
	int c, err;

	*out = (struct record_options){
		.frequency_hz = DEFAULT_HZ,
		.inlines = true,
		.requests = true,
		.max_overhead = DEFAULT_OVERHEAD,
	};
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:p:c:aF:d:o:f:h", long_options, NULL)) != -1) {
		const char *word = argv[optind - 1];
		const char letter[] = {'-', (char)optopt, '\0'};

		if (c == '?') {
			/* Of letters in one word, "-xq", getopt() knows the letter, and has not left the word. */
			message_error("unknown option \"%s\"; see wireprof record --help",
				      strncmp(word, "--", 2) && optopt ? letter : word);
			return -EINVAL;
		}
		if (c == ':') {
			message_error("option \"%s\" wants a value; see wireprof record --help", word);
			return -EINVAL;
		}
		err = take_option(c, out, &format, &format_given);
		if (err)
			return err;
	}
	err = check_target(out, argc, argv);
	if (!err)
		err = choose_formats(out, format_given ? &format : NULL);
	return err;
}

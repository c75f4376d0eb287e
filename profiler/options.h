/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `wireprof record`, see DESIGN of the options in README.md. */
#ifndef WIREPROF_OPTIONS_H
#define WIREPROF_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>
#include "../protocols/redis.h"
#include "profile_build.h"
#include "targets/target_options.h"

#define MAX_OUTPUTS 4

enum output_format { FORMAT_PPROF, FORMAT_FOLDED, FORMAT_FLAMEGRAPH };

struct record_options {
	struct target_options target;
	unsigned int frequency_hz;
	double duration_s; /* 0: until Ctrl-C, or until the targets are gone */
	struct {
		const char *path; /* "-": stdout */
		enum output_format format;
	} outputs[MAX_OUTPUTS]; /* -o may be given several times */
	size_t n_outputs;
	enum stack_parts parts;
	bool inlines; /* and source lines */
	bool requests;
	double max_overhead; /* percent of the targets' CPU */
	enum redis_keys redis_keys;
};

extern const char record_usage[];

/*
 * Returns 0; 1 where --help was asked for; -EINVAL after a message that says what is wrong.
 */
int record_options_parse(int argc, char **argv, struct record_options *out);

#endif

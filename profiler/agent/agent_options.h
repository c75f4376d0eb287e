/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `wireprof agent` is told, from three sources: the command line goes before the environment (WIREPROF_WINDOW
 * for --window), that before the configuration file, that before the defaults. One table knows the options:
 * agent_option_table.c.
 */
#ifndef WIREPROF_AGENT_OPTIONS_H
#define WIREPROF_AGENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "../../out/pyroscope.h"
#include "../../protocols/redis.h"
#include "../message.h"
#include "../profile_build.h"
#include "../targets/target_options.h"

#define AGENT_MAX_LABELS 16
#define AGENT_MAX_HOSTS	 16

/* All text is the options' own, so it is there until agent_options_fini(); NULL: not given. */
struct agent_options {
	struct target_options target; /* never TARGET_COMMAND */
	unsigned int frequency_hz;
	unsigned int window_s;
	enum stack_parts parts;
	enum redis_keys redis_keys;
	bool requests;
	bool inlines;
	double max_overhead; /* percent of the targets' CPU */
	unsigned int top;
	bool query_text;

	const char *pyroscope;	     /* an http or https URL without user, query and fragment */
	const char *tenant;	     /* visible ASCII, so fit for a header */
	const char *basic_auth_file; /* of these two, one at most */
	const char *bearer_file;
	const char *header_file;
	const char *ca_file;
	const char *queue_dir; /* never NULL */
	uint64_t queue_bytes;
	const char *service;
	struct pyroscope_label labels[AGENT_MAX_LABELS]; /* none that wireprof uses itself */
	size_t n_labels;

	const char *out_dir;
	uint64_t out_dir_bytes;

	const char *listen;			  /* PORT, :PORT, HOST:PORT or [V6]:PORT */
	const char *allow_hosts[AGENT_MAX_HOSTS]; /* names without a port */
	size_t n_allow_hosts;

	const char *config; /* the file that was read */
	enum verbosity verbosity;

	char **strings; /* private: what all of these point to */
	size_t n_strings;
};

/*
 * Returns 0, and then message_verbosity is as asked; 1 where --help was asked for; -EINVAL after one message that says
 * what is wrong, and where: "FILE:LINE: ..." or "WIREPROF_WINDOW: ..." if it is not the command line. After anything
 * but 0, `out` is empty, and agent_options_fini() is not needed, but harmless. Call it again for SIGHUP: the file is read as it is then.
 */
int agent_options_parse(int argc, char **argv, struct agent_options *out);

void agent_options_fini(struct agent_options *o);

/* Whether what the recorder and the kernel were told is unchanged: target, frequency, requests, keys, texts. */
bool agent_options_same_kernel(const struct agent_options *a, const struct agent_options *b);

/* The text of --help, made from the table. */
void agent_options_usage(FILE *to);

#endif

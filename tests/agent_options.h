/* SPDX-License-Identifier: Apache-2.0 */
/* Parses the agent's options, and keeps what is printed meanwhile: each refusal has to be one line that says where. */
#ifndef WIREPROF_TESTS_AGENT_OPTIONS_H
#define WIREPROF_TESTS_AGENT_OPTIONS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "profiler/agent/agent_config.h"
#include "profiler/agent/agent_option_table.h"

#define MAX_WORDS 64

static struct agent_options o;
static char path[64]; /* of a configuration file */
static char *said;    /* what the last parse printed on stderr */
static size_t said_bytes;

/* --- a parse, with what it prints --- */

static int parse_words(int argc, char **argv, struct agent_options *out)
{
	FILE *before = stderr;
	int err;

	free(said);
	said = NULL;
	stderr = open_memstream(&said, &said_bytes);
	assert_non_null(stderr);
	err = agent_options_parse(argc, argv, out);
	fclose(stderr);
	stderr = before;
	message_verbosity = MESSAGE_NORMAL;
	return err;
}

/* Words separated by blanks. */
static int parse(const char *words)
{
	char *copy = strdup(words), *argv[MAX_WORDS] = {(char *)"agent"}, *word;
	int argc = 1, err;

	for (char *next = copy; (word = strsep(&next, " ")); )
		if (*word) {
			assert_true(argc < MAX_WORDS - 1);
			argv[argc++] = word;
		}
	agent_options_fini(&o);
	err = parse_words(argc, argv, &o);
	free(copy); /* so that nothing in `o` can point into it */
	return err;
}

static inline void accepted(const char *words)
{
	int err = parse(words);

	if (err || *said)
		fail_msg("%s: %d, %s", words, err, said);
}

/* One line that holds all of these, separated by |. */
static void said_in_one_line(const char *what, const char *parts)
{
	char *copy = strdup(parts), *part;

	if (strncmp(said, "wireprof: ", 10) || strchr(said, '\n') != said + said_bytes - 1)
		fail_msg("%s: not one line: %s", what, said);
	for (char *next = copy; (part = strsep(&next, "|")); )
		if (!strstr(said, part))
			fail_msg("%s: no \"%s\" in: %s", what, part, said);
	free(copy);
}

static inline void refused(const char *words, const char *parts)
{
	int err = parse(words);

	if (err != -EINVAL)
		fail_msg("%s: %d, %s", words, err, said);
	said_in_one_line(words, parts);
	assert_int_equal(o.n_strings, 0);
	assert_null(o.strings);
}

static inline void write_file(const void *text, size_t bytes)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, bytes, f), bytes);
	assert_int_equal(fclose(f), 0);
}

/* A file with this text; the words of the command line follow --config FILE. */
static inline int parse_file(const char *text, const char *words)
{
	char all[512];

	write_file(text, strlen(text));
	snprintf(all, sizeof(all), "--config %s %s", path, words);
	return parse(all);
}

static inline void file_accepted(const char *text, const char *words)
{
	int err = parse_file(text, words);

	if (err || *said)
		fail_msg("%s: %d, %s", text, err, said);
}

static inline void file_refused(const char *text, const char *line, const char *parts)
{
	char where[96];

	if (parse_file(text, "--listen 1 -a") != -EINVAL)
		fail_msg("accepted: %s: %s", text, said);
	said_in_one_line(text, parts);
	snprintf(where, sizeof(where), "wireprof: %s:%s: ", path, line);
	if (strncmp(said, where, strlen(where)))
		fail_msg("%s: not at line %s: %s", text, line, said);
}

static int set_up(void **state)
{
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/wireprof-test-XXXXXX");
	fd = mkstemp(path);
	return fd < 0 || close(fd);
}

static int tear_down(void **state)
{
	(void)state;
	agent_options_fini(&o);
	free(said);
	said = NULL;
	return unlink(path);
}

#endif

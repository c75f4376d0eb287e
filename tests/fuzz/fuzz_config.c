/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: a configuration file of the agent. What must hold: it is refused, with one line that says where, or what
 * comes out is within the limits that the rest of the agent builds on; and the same file gives the same options again.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "out/writer.h"
#include "profiler/agent/agent_options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned int fuzz_accepted; /* for who wants to know that it was not all refused */

static int parse(char *path, struct agent_options *o, char **said)
{
	char *argv[] = {(char *)"agent", (char *)"--config", path, NULL};
	FILE *before = stderr;
	size_t bytes;
	int err;

	stderr = open_memstream(said, &bytes);
	assert(stderr);
	err = agent_options_parse(3, argv, o);
	fclose(stderr);
	stderr = before;
	message_verbosity = MESSAGE_NORMAL;
	return err;
}

static void check_message(const char *said)
{
	const char *end = strchr(said, '\n');

	assert(!strncmp(said, "wireprof: ", 10) && end && !end[1]);
	for (const char *p = said; p < end; p++)
		assert((unsigned char)*p >= ' ' && *p != 0x7f);
}

static void check_options(const struct agent_options *o)
{
	assert(o->target.kind != TARGET_NOTHING && o->target.kind != TARGET_COMMAND);
	assert(o->target.kind != TARGET_PIDS || (o->target.n_pids && o->target.n_pids <= MAX_PIDS));
	assert(o->pyroscope || o->out_dir || o->listen);
	assert(!o->pyroscope || !strncasecmp(o->pyroscope, "http", 4));
	assert(o->frequency_hz >= 1 && o->window_s >= 1 && o->window_s <= 3600 && o->top >= 1 && o->top <= 1000);
	assert(o->queue_bytes >= 1 << 20 && o->out_dir_bytes >= 1 << 20 && o->queue_dir && *o->queue_dir);
	assert(!o->basic_auth_file || !o->bearer_file);
	assert(o->n_labels <= AGENT_MAX_LABELS && o->n_allow_hosts <= AGENT_MAX_HOSTS);
	for (size_t i = 0; i < o->n_labels; i++) {
		assert(strncmp(o->labels[i].name, "db_", 3) && *o->labels[i].name);
		assert(utf8_valid(o->labels[i].value) && strlen(o->labels[i].value) <= 2048);
	}
	for (size_t i = 0; i < o->n_allow_hosts; i++)
		assert(*o->allow_hosts[i] && !strpbrk(o->allow_hosts[i], ": /\r\n"));
	for (const char *p = o->tenant; p && *p; p++)
		assert(*p > ' ' && *p <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct agent_options a, b;
	char path[32], *said = NULL;
	int fd = memfd_create("fuzz", MFD_CLOEXEC), err;

	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	err = parse(path, &a, &said);
	assert(!err || err == -EINVAL);
	if (err)
		check_message(said);
	free(said);
	if (!err) {
		fuzz_accepted++;
		check_options(&a);
		assert(!parse(path, &b, &said));
		assert(agent_options_same_kernel(&a, &b) && a.n_labels == b.n_labels);
		free(said);
		agent_options_fini(&b);
	}
	agent_options_fini(&a);
	close(fd);
	return 0;
}

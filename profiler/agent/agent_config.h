/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration file:
 *
 *	# a comment has a line of its own
 *	comm = redis-server
 *	service = "a value in quotes keeps its blanks; \" and \\ stand for themselves"
 *	out-dir = 'in these quotes nothing is special'
 *
 * Blank lines and blanks around keys and values do not count. A value goes to the end of its line; one with a #
 * after a blank has to be in quotes, as it could be meant as a comment. LF or CR LF end a line, a byte order mark
 * may come first. What the keys mean is not known here.
 */
#ifndef WIREPROF_AGENT_CONFIG_H
#define WIREPROF_AGENT_CONFIG_H

#include <stddef.h>

#define AGENT_CONFIG_MAX_BYTES      (1 << 20)
#define AGENT_CONFIG_MAX_LINE_BYTES 8192

/* Of one line: key and value are valid during the call only. Messages say by themselves where. */
typedef int (*agent_config_fn)(void *context, const char *key, const char *value, unsigned int line);

/* Returns 0; what `setting` returned; -EINVAL or another -errno after a message. */
int agent_config_read(const char *path, agent_config_fn setting, void *context);

/* The same of text in memory, which is changed; text[bytes] must be writable. `name` is for messages. */
int agent_config_parse(const char *name, char *text, size_t bytes, agent_config_fn setting, void *context);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* See agent_config.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agent_config.h"
#include "../message.h"
#include "../read_up_to.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static char *skip_blanks(char *p)
{
	while (is_blank(*p))
		p++;
	return p;
}

static void cut_blanks(char *text)
{
	size_t n = strlen(text);

	while (n && is_blank(text[n - 1]))
		n--;
	text[n] = '\0';
}

static bool is_key_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
	       c == '_';
}

/* Lines of a file that was never meant to be one: their bytes must not reach a terminal. */
static int check_text(const char *line, size_t bytes)
{
	if (bytes > AGENT_CONFIG_MAX_LINE_BYTES) {
		message_error("the line is longer than %d bytes", AGENT_CONFIG_MAX_LINE_BYTES);
		return -EINVAL;
	}
	for (size_t i = 0; i < bytes; i++) {
		unsigned char c = line[i];

		if ((c < ' ' && c != '\t') || c == 0x7f) {
			message_error("byte %zu of the line is 0x%02x: this is no text file", i + 1, c);
			return -EINVAL;
		}
	}
	return 0;
}

/* Takes the quotes off in place. */
static int unquote(char *value)
{
	const char quote = *value, *from = value + 1;
	char *to = value;

	for (; *from && *from != quote; from++) {
		if (quote == '"' && *from == '\\') {
			from++;
			if (*from != '"' && *from != '\\') {
				message_error(
					"between \" and \", a backslash stands before \" or \\ only: write \\\\, or use '");
				return -EINVAL;
			}
		}
		*to++ = *from;
	}
	if (*from != quote) {
		message_error("the value begins with %c and does not end with it", quote);
		return -EINVAL;
	}
	if (from[1]) {
		message_error("there is more behind the value's closing %c", quote);
		return -EINVAL;
	}
	*to = '\0';
	return 0;
}

static int parse_value(char *value)
{
	if (*value == '"' || *value == '\'')
		return unquote(value);
	for (const char *p = value; *p; p++) {
		if (*p == '#' && (p == value || is_blank(p[-1]))) {
			message_error(
				"a comment goes on a line of its own; if the # belongs to the value, put the value in quotes");
			return -EINVAL;
		}
	}
	return 0;
}

static int parse_line(char *line, unsigned int number, agent_config_fn setting, void *context)
{
	char *key = skip_blanks(line), *end = key, *value;
	int err;

	if (!*key || *key == '#')
		return 0;
	while (is_key_character(*end))
		end++;
	value = skip_blanks(end);
	if (end == key || *value != '=') {
		message_error("a line is KEY = VALUE, a comment (#), or blank");
		return -EINVAL;
	}
	*end = '\0';
	value = skip_blanks(value + 1);
	cut_blanks(value);
	err = parse_value(value);
	return err ? err : setting(context, key, value, number);
}

int agent_config_parse(const char *name, char *text, size_t bytes, agent_config_fn setting, void *context)
{
	char where[PATH_MAX + 16], *end = text + bytes;
	unsigned int number = 0;
	int err = 0;

	if (bytes >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		text += 3;
	for (char *next; text < end && !err; text = next) {
		char *newline = memchr(text, '\n', end - text);
		size_t n = (newline ? newline : end) - text;

		next = newline ? newline + 1 : end;
		if (n && text[n - 1] == '\r')
			n--;
		text[n] = '\0';
		snprintf(where, sizeof(where), "%s:%u", name, ++number);
		message_where(where);
		err = check_text(text, n);
		if (!err)
			err = parse_line(text, number, setting, context);
	}
	message_where(NULL);
	return err;
}

/* O_NONBLOCK: nobody may write to a FIFO, and a second reading, after SIGHUP, would find it empty. */
static int open_file(const char *path, int *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int err;

	if (fd < 0 || fstat(fd, &st)) {
		err = -errno;
		message_error("cannot read the configuration file %s: %s", path, strerror(-err));
		if (fd >= 0)
			close(fd);
		return err;
	}
	if (!S_ISREG(st.st_mode)) {
		message_error("cannot read the configuration file %s: it is %s, not a regular file", path,
			      S_ISDIR(st.st_mode) ? "a directory" : "a pipe or device");
		close(fd);
		return -EINVAL;
	}
	*out = fd;
	return 0;
}

int agent_config_read(const char *path, agent_config_fn setting, void *context)
{
	char *text;
	size_t n = 0;
	int fd = -1, err;

	err = open_file(path, &fd);
	if (err)
		return err;
	text = malloc(AGENT_CONFIG_MAX_BYTES + 2);
	err = text ? read_up_to(fd, text, AGENT_CONFIG_MAX_BYTES + 1, &n) : -ENOMEM;
	close(fd);
	if (err) {
		message_error("cannot read the configuration file %s: %s", path, strerror(-err));
	} else if (n > AGENT_CONFIG_MAX_BYTES) {
		err = -EINVAL;
		message_error("the configuration file %s is larger than %d bytes: is it one?", path,
			      AGENT_CONFIG_MAX_BYTES);
	} else {
		err = agent_config_parse(path, text, n, setting, context);
	}
	free(text);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See message.h. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "message.h"

enum verbosity message_verbosity = MESSAGE_NORMAL;
static bool progress_shown;
static _Thread_local const char *place;

void message_where(const char *where)
{
	place = where;
}

/* Names of files, processes and containers are other people's text: no byte of it may be a command to the terminal. */
static void clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

/* In one piece, as threads may have something to say at the same time. */
static void print(const char *prefix, const char *format, va_list args)
{
	char *text;

	progress_end();
	if (vasprintf(&text, format, args) < 0) {
		fprintf(stderr, "%s(out of memory)\n", prefix);
		return;
	}
	clean(text);
	if (place && *prefix)
		fprintf(stderr, "%s%s: %s\n", prefix, place, text);
	else
		fprintf(stderr, "%s%s\n", prefix, text);
	free(text);
}

#define MESSAGE_FUNCTION(name, least, prefix)                                                      \
	void message_##name(const char *format, ...)                                               \
	{                                                                                          \
		va_list args;                                                                      \
                                                                                                   \
		if (message_verbosity < (least))                                                   \
			return;                                                                    \
		va_start(args, format);                                                            \
		print(prefix, format, args);                                                       \
		va_end(args);                                                                      \
	}

MESSAGE_FUNCTION(error, MESSAGE_QUIET, "wireprof: ")
MESSAGE_FUNCTION(warn, MESSAGE_NORMAL, "wireprof: warning: ")
MESSAGE_FUNCTION(info, MESSAGE_NORMAL, "")
MESSAGE_FUNCTION(verbose, MESSAGE_VERBOSE, "wireprof: ")

void progress(const char *format, ...)
{
	va_list args;

	if (message_verbosity < MESSAGE_NORMAL || !isatty(STDERR_FILENO))
		return;
	va_start(args, format);
	fputs("\r\033[K", stderr);
	vfprintf(stderr, format, args);
	fflush(stderr);
	va_end(args);
	progress_shown = true;
}

void progress_end(void)
{
	if (!progress_shown)
		return;
	fputs("\r\033[K", stderr);
	progress_shown = false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See message.h. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>
#include "message.h"

enum verbosity message_verbosity = MESSAGE_NORMAL;
static bool progress_shown;

static void print(const char *prefix, const char *format, va_list args)
{
	progress_end();
	fputs(prefix, stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
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

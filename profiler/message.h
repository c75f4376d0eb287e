/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to the user: one line each, on stderr. Data never goes through here. */
#ifndef WIREPROF_MESSAGE_H
#define WIREPROF_MESSAGE_H

enum verbosity { MESSAGE_QUIET, MESSAGE_NORMAL, MESSAGE_VERBOSE };
extern enum verbosity message_verbosity;

#define PRINTF_LIKE __attribute__((format(printf, 1, 2)))

PRINTF_LIKE void message_error(const char *format, ...);   /* always: "wireprof: ..." */
PRINTF_LIKE void message_warn(const char *format, ...);    /* unless --quiet */
PRINTF_LIKE void message_info(const char *format, ...);    /* unless --quiet */
PRINTF_LIKE void message_verbose(const char *format, ...); /* with --verbose */

/* Until NULL, this thread's errors and warnings say that they are about this place: "wireprof: FILE:3: ...". Not copied. */
void message_where(const char *where);

/* A line that the next one overwrites, on a terminal only; progress_end() removes it. */
PRINTF_LIKE void progress(const char *format, ...);
void progress_end(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debug files from debuginfod servers, only where the user names some in DEBUGINFOD_URLS.
 *
 * A server may be slow or silent, and its client library brings libcurl and whatever that brings. So both live in
 * processes of their own, which are asked and answer when they can:
 *
 *	debug_file.c: debuginfod_get() --- build-id ---> socket <-- whichever helper is free
 *	                               <-- path of the file in the client's cache ---
 *
 * No call here blocks, but for debuginfod_wait(). The state is that of the process, as the environment is.
 */
#ifndef WIREPROF_DEBUGINFOD_H
#define WIREPROF_DEBUGINFOD_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define DEBUGINFOD_HELPERS	4
#define DEBUGINFOD_ASKED_MAX	4096 /* build-ids; of others there is nothing to be had */
#define DEBUGINFOD_BUILD_ID_MAX 128  /* hex digits */

/*
 * Starts the helpers, if DEBUGINFOD_URLS is set and not empty; else nothing is ever asked. Call it before there are
 * threads, and before anything is open that should end with this process. Returns 0 or -errno.
 */
int debuginfod_start(void);
/* Ends the helpers at once, whatever they are at. */
void debuginfod_stop(void);

/*
 * The debug file for a build-id (lower-case hex). Returns 0 with its path; -EAGAIN: a server was asked, now or
 * before, and has not answered; -ENOENT: there is none, or nobody to ask. Any thread may call it.
 */
int debuginfod_get(const char *build_id, char path[static PATH_MAX]);

/* Whether its debug file has come. Nobody is asked. */
bool debuginfod_has(const char *build_id);

/* Waits for an answer, at most so long. Returns early on a signal. */
void debuginfod_wait(int timeout_ms);

struct debuginfod_counts {
	size_t pending, found, absent;
	size_t failed;	     /* a server could not be reached, or timed out */
	size_t refused;	     /* beyond DEBUGINFOD_ASKED_MAX */
	bool no_library;     /* libdebuginfod is not installed */
	int error;	     /* the last failure's -errno */
};
void debuginfod_counts(struct debuginfod_counts *out);

#endif

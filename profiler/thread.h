/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIREPROF_THREAD_H
#define WIREPROF_THREAD_H

#include <pthread.h>

/*
 * Starts a thread that gets no signals, as those are the main thread's, but for SIGBUS: that is of a file which shrinks
 * while it is read (truncated_files.c). Returns 0 or -errno.
 */
int thread_start(pthread_t *thread, void *(*run)(void *), void *arg);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells when a process maps new code (dlopen, a JIT), and when the kernel itself gets some (BPF programs), from the
 * kernel's own PERF_RECORD_MMAP2 and PERF_RECORD_KSYMBOL records: they need no program on any path, and come with a time that
 * orders them with the samples.
 */
#ifndef WIREPROF_MMAP_WATCH_H
#define WIREPROF_MMAP_WATCH_H

#include <stdint.h>
#include <sys/types.h>

struct mmap_watch; /* opaque */

int mmap_watch_open(struct mmap_watch **out); /* 0 or -errno */
void mmap_watch_free(struct mmap_watch *w);   /* NULL is fine */

/*
 * Calls back for every executable mapping made since the last time, of any process of the machine; with pid 0 where
 * records were lost, so that anything may have changed. For code of the kernel that came or went, likewise.
 */
struct mapping_line;
struct kernel_code;
struct mmap_watch_calls {
	void (*mapped)(void *context, pid_t pid, uint64_t time_ns, const struct mapping_line *m);
	void (*kernel_code)(void *context, const struct kernel_code *code);
	void *context;
};
void mmap_watch_drain(struct mmap_watch *w, const struct mmap_watch_calls *calls);

#endif

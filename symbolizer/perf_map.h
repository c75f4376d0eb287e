/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of code that a JIT compiler made, from the map that it writes: /tmp/perf-PID.map, lines of
 *
 *	START SIZE NAME		hexadecimal, hexadecimal, the rest of the line
 *
 * The file only grows as code is made; where ranges overlap the later line holds, as memory is used
 * again. Names stay in the file: they are read when one is asked for, so a line costs 16 bytes here.
 * The file is hostile input.
 */
#ifndef WIREPROF_PERF_MAP_H
#define WIREPROF_PERF_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct perf_map; /* opaque */

#define PERF_MAP_BYTES_MAX  (1u << 30) /* of a file; what lies behind is ignored */
#define PERF_MAP_RANGES_MAX (1u << 20) /* 16 MiB; twice that for a moment */
#define PERF_MAP_NAME_BYTES 1024       /* with its NUL; longer names are cut */
#define PERF_MAP_LINE_BYTES 65536      /* of a longer line the start counts, the rest is skipped */

/* What was met, for messages. */
struct perf_map_counts {
	uint64_t lines, malformed, long_lines;
	uint64_t ignored_lines; /* beyond PERF_MAP_RANGES_MAX */
	uint64_t ignored_bytes; /* beyond PERF_MAP_BYTES_MAX */
	uint64_t restarts;	/* the file was replaced, or cut and written anew */
};

/* NULL where memory is out. */
struct perf_map *perf_map_new(void);
void perf_map_free(struct perf_map *m); /* NULL is fine */

/*
 * The file to read from now on, which the map owns then. It is read from its start; what was known is
 * forgotten. -1: none any more.
 */
void perf_map_set_file(struct perf_map *m, int fd);
/* Whether `st` is of the file in use. */
bool perf_map_is_file(const struct perf_map *m, const struct stat *st);

/*
 * Reads at most `budget` bytes (but whole lines) that were appended since the last call; all anew where
 * the file shrank or was written over. A last line without its end waits. Returns 0, -EAGAIN where
 * there is more to read than the budget, or another -errno; the map is usable after any of them.
 */
int perf_map_read(struct perf_map *m, size_t budget);

/* Grows by one each time that what was known is forgotten: line numbers below are of one generation. */
uint32_t perf_map_generation(const struct perf_map *m);
/* The line that holds for an address, as its offset in the file; false where none does. */
bool perf_map_find(const struct perf_map *m, uint64_t address, uint32_t *line);
/* Its name, read from the file; false where the line is not there any more. */
bool perf_map_name(const struct perf_map *m, uint32_t line, uint64_t address,
		   char name[static PERF_MAP_NAME_BYTES]);
void perf_map_counts(const struct perf_map *m, struct perf_map_counts *out);

/* --- perf_map_file.c: the file of a process --- */

/* Who writes the map. */
struct perf_map_writer {
	pid_t pid;	  /* as we know it */
	pid_t inner_pid;  /* in its own, innermost pid namespace */
	uid_t uid;	  /* effective */
	int64_t start_ns; /* CLOCK_REALTIME; 0: not known */
};
/* From "/proc/42" (any thread of the process). Returns 0 or -errno. */
int perf_map_writer_read(const char *proc, struct perf_map_writer *out);

/*
 * Looks for /tmp/perf-N.map below the process's root (a descriptor of that directory), N being its
 * inner_pid, then below ours, N being `pid`. Symbolic links on the way there are resolved inside the
 * root; the file itself must be a regular file (nothing else is opened for reading, so a FIFO or a
 * device does nothing), owned by root or by the writer, and not older than the process, or it is
 * another's that had the id before.
 * Returns a descriptor, or -errno (-ENOENT, -EPERM: another's, -ESTALE: older, -EINVAL: no file);
 * -EALREADY where it is the file that `m` has in use.
 */
int perf_map_open_file(const struct perf_map *m, const struct perf_map_writer *writer, int root);

#endif

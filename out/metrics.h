/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's numbers in Prometheus' text format 0.0.4, out of a plain snapshot.
 *
 *	# HELP wireprof_samples_total Samples taken of the targets.
 *	# TYPE wireprof_samples_total counter
 *	wireprof_samples_total 4711
 *
 * Times are given here in nanoseconds and written in seconds, the base unit. What the agent cannot know (BPF times where
 * the kernel's statistics are off) or does not do (pushes without a server) is left out, never written as 0.
 */
#ifndef WIREPROF_OUT_METRICS_H
#define WIREPROF_OUT_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct stream;

/* One value of a family that is split by reason, or the like. */
struct metrics_count {
	const char *name; /* the label's value */
	uint64_t value;
};

struct metrics_program {
	const char *name;
	uint64_t run_ns, runs;
};

struct metrics_map {
	const char *name;
	uint64_t entries, max_entries;
};

/* Labels of wireprof_query_cpu_seconds_total, the same as in a profile. "" is as good as none. */
#define QUERY_LABELS(X)                                                                            \
	X(DB_SYSTEM_NAME, "db_system_name")                                                        \
	X(DB_OPERATION_NAME, "db_operation_name")                                                  \
	X(DB_QUERY_SUMMARY, "db_query_summary")                                                    \
	X(SERVICE_NAME, "service_name")                                                            \
	X(CONTAINER, "container")                                                                  \
	X(COMM, "comm")
#define X(name, text) QUERY_LABEL_##name,
enum query_label { QUERY_LABELS(X) N_QUERY_LABELS };
#undef X

struct metrics_class {
	const char *labels[N_QUERY_LABELS];
	uint64_t cpu_ns;
};

struct metrics_push {
	uint64_t ok, retried, rejected; /* requests to the server: taken, to be sent again, refused for good */
	uint64_t queued, queued_bytes;	/* in the queue on disk, now */
	uint64_t dropped;		/* because the queue was full */
	uint64_t disk_errors, auth_errors;
};

struct metrics_out_dir {
	uint64_t bytes, files; /* of ours in it, now */
	uint64_t written, removed, errors;
};

struct metrics_tables {
	uint64_t ready, rows, kernel_bytes; /* now */
	uint64_t evicted, without_rows, refused, not_published;
};

struct metrics_http {
	uint64_t ok, refused, refused_host, failed; /* answers */
	uint64_t accepted, too_slow, connections;
};

/* What wireprof costs, in billionths of the CPU time that the targets use; over the last seconds. */
struct metrics_overhead {
	uint64_t budget, hook, samples, own;
	uint64_t attached; /* billionths of the time that the receive hook is attached */
};

struct metrics {
	const char *version, *hook; /* of wireprof_build_info */
	uint64_t start_time_ns;	    /* of the agent, UTC */
	uint64_t own_cpu_ns, resident_bytes, open_descriptors;
	uint64_t targets; /* processes followed, now */
	uint64_t frequency_hz;
	const struct metrics_overhead *overhead; /* NULL: not known */

	/* Since the agent started, as all that is counted here. */
	uint64_t samples, guessed_samples, guessed_frames, statements_prepared;
	const struct metrics_count *samples_lost, *stacks_truncated, *requests_missed, *processes_missed; /* by reason */
	size_t n_samples_lost, n_stacks_truncated, n_requests_missed, n_processes_missed;

	const struct metrics_program *programs; /* NULL: not known */
	size_t n_programs;
	const struct metrics_map *maps; /* NULL: not known */
	size_t n_maps;

	uint64_t windows;
	const struct metrics_count *windows_dropped; /* by reason */
	size_t n_windows_dropped;

	const struct metrics_tables *tables;   /* NULL: not known */
	const struct metrics_push *push;       /* NULL: no server to push to */
	const struct metrics_out_dir *out_dir; /* NULL: no such directory */
	const struct metrics_http *http;       /* NULL: no server */

	const struct metrics_count *cpu_ns; /* of the targets, by attribution; all of it */
	size_t n_cpu_ns;
	const struct metrics_class *classes;
	size_t n_classes;
	uint64_t classes_evicted; /* label sets that gave up their place */
};

/* Returns 0 or the -errno that stuck to the stream. The stream is not flushed. */
int metrics_write(const struct metrics *m, struct stream *s);
/* The same into memory: *text is NUL-terminated and malloc'ed. Returns 0 or -ENOMEM. */
int metrics_text(const struct metrics *m, char **text, size_t *bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A finished profile, ready to be written: the one input of every writer in out/.
 *
 * Everything is an index into an array of this struct, so that a profile is a handful of flat arrays.
 * The profiler builds it from its aggregation; a writer only reads it.
 *
 *	sample -> stack -> frames[] -> location -> lines[] -> function -> strings[]
 *	       -> labelset -> labels[]                        mapping  -> strings[]
 *
 * Weights are integers in micro-samples (1e-6 of one sample), because a sample of a pipelined batch is
 * split over the batch's commands. Writers round with a running sum, so totals stay exact.
 */
#ifndef WIREPROF_PROFILE_H
#define WIREPROF_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#define PROFILE_SAMPLE_WEIGHT 1000000u /* the weight of one whole sample */
#define PROFILE_NONE	      UINT32_MAX

enum profile_kind { PROFILE_USER, PROFILE_KERNEL, PROFILE_MARK }; /* MARK: [truncated] and the like */

struct profile_mapping {
	uint64_t start, limit, offset; /* virtual address range [start, limit), file offset of start */
	uint32_t file, build_id;       /* strings; build_id is hex or "" */
	uint8_t has_functions;	       /* 1 where symbols were found */
};

struct profile_function {
	uint32_t name, system_name, file; /* strings: readable, as in the symbol table, source or "" */
	uint32_t start_line;		  /* in the file; 0: unknown */
};

struct profile_line {
	uint32_t function, line; /* line 0: unknown */
};

struct profile_location {
	uint32_t mapping; /* PROFILE_NONE for marks */
	uint32_t first_line, n_lines; /* lines[0] is the innermost inlined function; n_lines >= 1 */
	uint64_t address;
	uint8_t kind; /* enum profile_kind */
};

struct profile_stack {
	uint32_t first, count; /* into frames[], leaf first */
};

struct profile_label {
	uint32_t key;	/* string: [A-Za-z_][A-Za-z0-9_]* */
	uint32_t value; /* string; ignored where unit != 0 */
	uint32_t unit;	/* string; 0: a string label, else a numeric label of that unit */
	int64_t number;
};

struct profile_labelset {
	uint32_t first, count; /* into labels[]; at most one value per key */
};

struct profile_sample {
	uint32_t stack, labelset;
	uint64_t weight; /* micro-samples */
};

struct profile {
	const char *const *strings; /* [0] is ""; all valid UTF-8 */
	const struct profile_mapping *mappings; /* [0] is the main program, if there is any */
	const struct profile_function *functions;
	const struct profile_line *lines;
	const struct profile_location *locations;
	const uint32_t *frames; /* location indices */
	const struct profile_stack *stacks;
	const struct profile_label *labels;
	const struct profile_labelset *labelsets;
	const struct profile_sample *samples;
	size_t n_strings, n_mappings, n_functions, n_lines, n_locations, n_frames, n_stacks, n_labels,
		n_labelsets, n_samples;

	uint64_t period_ns;   /* CPU time that one sample stands for */
	uint64_t time_ns;     /* UTC, start of recording */
	uint64_t duration_ns; /* wall time of recording */
	const char *command;  /* what was recorded, for titles: "redis-server (pid 42)" */
	const char *const *comments; /* the summary's lines, for readers */
	size_t n_comments;
};

/*
 * Rounds a weight to whole units so that the sum over all calls is the rounded sum: no drift.
 * `scale` is units per sample (1 for counts, period_ns for nanoseconds). `state` starts {0}.
 */
struct profile_rounding {
	unsigned __int128 weight_sum;
	uint64_t given;
};
uint64_t profile_round(struct profile_rounding *state, uint64_t weight, uint64_t scale);

/*
 * Writers. Each writes the whole profile to the descriptor and returns 0 or -errno.
 * Nothing here closes `fd`.
 */
int pprof_write(const struct profile *p, int fd);
int folded_write(const struct profile *p, int fd);
int flamegraph_write(const struct profile *p, int fd);

#endif

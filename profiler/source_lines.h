/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source lines of all addresses that were sampled, and the functions inlined there: looked up once,
 * after the recording, or at the end of a window.
 */
#ifndef WIREPROF_SOURCE_LINES_H
#define WIREPROF_SOURCE_LINES_H

#include "aggregate.h"

struct source_line {
	uint32_t name, system_name, file; /* strings; file may be 0 */
	uint32_t line, start_line;	  /* 0: unknown */
};

/* By location: list[first[i]] .. list[first[i] + count[i] - 1], the innermost first. */
struct source_lines {
	struct source_line *list;
	size_t n, capacity;
	size_t n_locations; /* read so far */
	uint32_t *first;
	uint8_t *count; /* 0: nothing known */
};

/*
 * Reads the lines of every location that `a` has and that was not read before; {0} to begin with. What is not read within the limit has none. An object whose DWARF cannot be read has none, and
 * --verbose says why. Returns 0 or -ENOMEM. source_lines_fini() either way.
 */
int source_lines_read(struct aggregate *a, unsigned int limit_ms, struct source_lines *out);
void source_lines_fini(struct source_lines *s);

#endif

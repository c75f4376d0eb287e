/* SPDX-License-Identifier: Apache-2.0 */
/* An object's unwind rows as the chunks that bpf/events.h describes. */
#ifndef WIREPROF_TABLE_LAYOUT_H
#define WIREPROF_TABLE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>
#include "../bpf/events.h"

struct table_layout {
	const struct unwind_row *rows; /* sorted; both stay the caller's */
	const struct unwind_rule *rules;
	size_t n_rows, n_rules;
	uint32_t levels;
	uint32_t first_directory, first_rows, n_chunks; /* chunk numbers */
};

/* Returns 0, or -EINVAL: no rows, more than MAX_TABLE_ROWS, or more than MAX_TABLE_RULES. */
int table_layout_init(struct table_layout *t, const struct unwind_row *rows, size_t n_rows,
		      const struct unwind_rule *rules, size_t n_rules);
/* Chunk number `chunk` (below n_chunks) into `out`, which is all ones before. */
void table_layout_fill(const struct table_layout *t, uint32_t chunk, struct table_chunk *out);

#endif

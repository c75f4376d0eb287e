/* SPDX-License-Identifier: Apache-2.0 */
/* See table_layout.h. */
#include <errno.h>
#include <string.h>
#include "table_layout.h"

static size_t chunks_for(size_t n, size_t per_chunk)
{
	return (n + per_chunk - 1) / per_chunk;
}

int table_layout_init(struct table_layout *t, const struct unwind_row *rows, size_t n_rows,
		      const struct unwind_rule *rules, size_t n_rules)
{
	size_t row_chunks = chunks_for(n_rows, ROWS_PER_CHUNK), directories = 0;

	if (!n_rows || n_rows > MAX_TABLE_ROWS || n_rules > MAX_TABLE_RULES)
		return -EINVAL;
	*t = (struct table_layout){rows, rules, n_rows, n_rules, 2, 0, 0, 0};
	if (n_rows < ROWS_PER_CHUNK) {
		t->levels = 1; /* the header takes the place of one row */
		row_chunks = 0;
	} else if (row_chunks > TABLE_FANOUT) {
		t->levels = 3;
		directories = chunks_for(row_chunks, TABLE_FANOUT);
	}
	t->first_directory = 1 + chunks_for(n_rules, RULES_PER_CHUNK);
	t->first_rows = t->first_directory + directories;
	t->n_chunks = t->first_rows + row_chunks;
	return 0;
}

/* A directory of row chunks from `at` on, every `stride`th; its first child is in chunk `child`. */
static void fill_directory(const struct table_layout *t, size_t at, size_t stride, uint32_t child,
			   uint32_t *first)
{
	first[0] = TABLE_HEADER(t->levels, child);
	for (size_t i = 1; i < TABLE_FANOUT && (at + i * stride) * ROWS_PER_CHUNK < t->n_rows; i++)
		first[i] = t->rows[(at + i * stride) * ROWS_PER_CHUNK].pc;
}

static void fill_root(const struct table_layout *t, struct table_chunk *out)
{
	if (t->levels == 3) {
		fill_directory(t, 0, TABLE_FANOUT, t->first_directory, out->first);
	} else if (t->levels == 2) {
		fill_directory(t, 0, 1, t->first_rows, out->first);
	} else {
		out->row[0] = (struct unwind_row){.pc = TABLE_HEADER(1, 0), .kind = UNWIND_NONE};
		memcpy(out->row + 1, t->rows, t->n_rows * sizeof(*t->rows));
	}
}

/* How many of `n` elements are in the chunk that begins with element `at`. */
static size_t share(size_t n, size_t at, size_t per_chunk)
{
	return n - at < per_chunk ? n - at : per_chunk;
}

void table_layout_fill(const struct table_layout *t, uint32_t chunk, struct table_chunk *out)
{
	size_t at;

	if (!chunk) {
		fill_root(t, out);
	} else if (chunk < t->first_directory) {
		at = (size_t)(chunk - 1) * RULES_PER_CHUNK;
		memcpy(out->rule, t->rules + at, share(t->n_rules, at, RULES_PER_CHUNK) * sizeof(*t->rules));
	} else if (chunk < t->first_rows) {
		at = (size_t)(chunk - t->first_directory) * TABLE_FANOUT;
		fill_directory(t, at, 1, t->first_rows + at, out->first);
	} else {
		at = (size_t)(chunk - t->first_rows) * ROWS_PER_CHUNK;
		memcpy(out->row, t->rows + at, share(t->n_rows, at, ROWS_PER_CHUNK) * sizeof(*t->rows));
	}
}

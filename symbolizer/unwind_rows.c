/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object's unwind rows, from all that speaks of its frames, the best source first. A later
 * source fills the gaps of those before, and overrides nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cfi_x86_64.h"
#include "frame_section.h"

static row_source *const sources[] = {
	eh_frame_rows,
	sigreturn_rows, /* before those that take musl's and Go's for a function */
	go_rows,	/* before .debug_frame, which says nothing of rbp in Go's functions */
	debug_frame_rows,
	code_rows, /* last: what is read out of code is not as good as what was said of it */
};

#define N_SOURCES (sizeof(sources) / sizeof(sources[0]))

static int add_source(row_source *source, const struct elf_object *o, struct row_sink *rows,
		      uint64_t *bad_fdes)
{
	struct row_sink more = {
		.base = rows->base,
		.end = rows->end,
		.floor = rows->base,
		.rules = rows->rules,
	};
	int err = source(o, rows, &more, bad_fdes);

	if (!err)
		err = rows->rules->err;
	if (!err && rows->n == 0) { /* the usual case, without a copy */
		free(rows->rows);
		*rows = more;
		return 0;
	}
	if (!err)
		err = row_sink_fill(rows, &more);
	free(more.rows);
	return err;
}

static uint64_t unsupported_bytes(const struct row_sink *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->rows[i].kind == UNWIND_UNSUPPORTED)
			sum += row_sink_end(s, i) - (s->base + s->rows[i].pc);
	return sum;
}

static int rows_of(const struct elf_object *o, struct unwind_rows *out, size_t n_sources)
{
	struct rule_table rules = {0};
	struct row_sink rows = {.rules = &rules};
	int err = 0;

	memset(out, 0, sizeof(*out));
	if (o->machine != CFI_ARCH_MACHINE)
		return -EOPNOTSUPP;
	if (!elf_object_text(o, &rows.base, &rows.end))
		return 0;
	if (rows.end - rows.base > UINT32_MAX)
		return -EFBIG;
	rows.floor = rows.base;
	for (size_t i = 0; i < n_sources && !err; i++)
		err = add_source(sources[i], o, &rows, &out->bad_fdes);
	if (err) {
		out->bad_fdes = 0;
		free(rows.rows);
		rule_table_free(&rules);
		return err;
	}
	out->rows = rows.rows;
	out->n_rows = rows.n;
	out->base = rows.base;
	out->unsupported_bytes = unsupported_bytes(&rows);
	out->rules = rules.rules;
	out->n_rules = rules.n;
	rules.rules = NULL;
	rule_table_free(&rules);
	return 0;
}

int elf_object_unwind_rows(const struct elf_object *o, struct unwind_rows *out)
{
	return rows_of(o, out, N_SOURCES);
}

int elf_object_described_rows(const struct elf_object *o, struct unwind_rows *out)
{
	return rows_of(o, out, N_SOURCES - 1);
}

void unwind_rows_free(struct unwind_rows *r)
{
	if (!r)
		return;
	free(r->rows);
	free(r->rules);
	memset(r, 0, sizeof(*r));
}

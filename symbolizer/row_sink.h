/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unwind rows under construction, and the rules that their EXTENDED rows refer to.
 *
 * Each source of rows (.eh_frame, .debug_frame, ...) fills a sink of its own in ascending order of
 * pc; row_sink_fill() puts them together. The rules are one table for all of an object's sources.
 */
#ifndef WIREPROF_ROW_SINK_H
#define WIREPROF_ROW_SINK_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../bpf/unwind_row.h"

/* What a row's 16 bits can count; libcrypto has 300. */
#define UNWIND_RULES_MAX 65535

/* Distinct rules. */
struct rule_table {
	struct unwind_rule *rules;
	size_t n, capacity;
	uint32_t *slots; /* by hash: index + 1, 0 is empty */
	size_t n_slots;  /* power of 2 */
	int err;         /* -ENOMEM once memory ran out */
};

/* The index of a rule that may be there already. Returns 0, -ENOSPC, -ENOMEM. */
int rule_table_index(struct rule_table *t, const struct unwind_rule *rule, uint16_t *index);
void rule_table_free(struct rule_table *t);

struct row_sink {
	struct unwind_row *rows;
	size_t n, capacity;
	uint64_t base;  /* vaddr of row.pc == 0: where the text starts */
	uint64_t end;   /* where it ends; at most 4 GiB later */
	uint64_t floor; /* vaddr below which all is said: the end of the last function */
	struct rule_table *rules;
};

/* Makes room for `extra` more rows. Returns 0 or -ENOMEM. */
int row_sink_reserve(struct row_sink *s, size_t extra);
/* Where `s` has NONE rows, or none at all, it gets what `more` has there. Returns 0 or -ENOMEM. */
int row_sink_fill(struct row_sink *s, const struct row_sink *more);

/* Where row i ends. */
static inline uint64_t row_sink_end(const struct row_sink *s, size_t i)
{
	return i + 1 < s->n ? s->base + s->rows[i + 1].pc : s->end;
}

/* From vaddr on, `row` holds (its pc is filled in here). There must be room. */
static inline void row_sink_put(struct row_sink *s, uint64_t vaddr, struct unwind_row row)
{
	const struct unwind_row *last = s->n ? &s->rows[s->n - 1] : NULL;

	/* Functions that overlap: the first one keeps what it has. */
	row.pc = (uint32_t)((vaddr > s->floor ? vaddr : s->floor) - s->base);
	if (last && last->cfa == row.cfa && last->rbp == row.rbp && last->kind == row.kind)
		return;
	assert(s->rows);
	s->rows[s->n++] = row;
}

#endif

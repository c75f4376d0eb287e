/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting rows of several sources together, and telling rules apart.
 *
 * Rules come from files that may be hostile, so looking one up has a bounded cost: a hash table
 * that is at most half full, and a walk of at most PROBES_MAX slots. Whoever makes collisions on
 * purpose gets the same rule stored twice.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "row_sink.h"

#define PROBES_MAX 64

static uint64_t hash_rule(const struct unwind_rule *rule)
{
	uint64_t words[sizeof(*rule) / sizeof(uint64_t)], h = 0;

	memcpy(words, rule, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		h = (h ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 32;
	}
	return h;
}

/* The slot of a rule: its own, or the empty one that it should have; NULL where that is too far. */
static uint32_t *find_slot(struct rule_table *t, const struct unwind_rule *rule)
{
	uint64_t h = hash_rule(rule);

	for (uint64_t i = 0; i < PROBES_MAX; i++) {
		uint32_t *slot = &t->slots[(h + i) & (t->n_slots - 1)];

		if (*slot == 0 || memcmp(&t->rules[*slot - 1], rule, sizeof(*rule)) == 0)
			return slot;
	}
	return NULL;
}

static int grow(struct rule_table *t)
{
	size_t capacity = t->capacity ? 2 * t->capacity : 32;
	struct unwind_rule *rules;
	uint32_t *slots;

	rules = realloc(t->rules, capacity * sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	t->rules = rules;
	slots = calloc(2 * capacity, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	free(t->slots);
	t->slots = slots;
	t->capacity = capacity;
	t->n_slots = 2 * capacity;
	for (size_t i = 0; i < t->n; i++) {
		uint32_t *slot = find_slot(t, &t->rules[i]);

		if (slot)
			*slot = (uint32_t)i + 1;
	}
	return 0;
}

int rule_table_index(struct rule_table *t, const struct unwind_rule *rule, uint16_t *index)
{
	uint32_t *slot = t->n_slots ? find_slot(t, rule) : NULL;

	if (slot && *slot) {
		*index = (uint16_t)(*slot - 1);
		return 0;
	}
	if (t->n == UNWIND_RULES_MAX)
		return -ENOSPC;
	if (t->n == t->capacity) {
		int err = grow(t);

		if (err) {
			t->err = err;
			return err;
		}
		slot = find_slot(t, rule);
	}
	t->rules[t->n++] = *rule;
	if (slot)
		*slot = (uint32_t)t->n;
	*index = (uint16_t)(t->n - 1);
	return 0;
}

void rule_table_free(struct rule_table *t)
{
	free(t->rules);
	free(t->slots);
	memset(t, 0, sizeof(*t));
}

int row_sink_reserve(struct row_sink *s, size_t extra)
{
	size_t capacity = s->capacity ? s->capacity : 256;
	struct unwind_row *rows;

	if (extra <= s->capacity - s->n)
		return 0;
	while (capacity - s->n < extra) {
		if (capacity > SIZE_MAX / (4 * sizeof(*rows)))
			return -ENOMEM;
		capacity *= 2;
	}
	rows = realloc(s->rows, capacity * sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	s->rows = rows;
	s->capacity = capacity;
	return 0;
}

/* What `more` says of [from, to); *i is the row of it where the last call stopped. */
static void fill_gap(struct row_sink *s, const struct row_sink *more, size_t *i, uint64_t from,
		     uint64_t to)
{
	const struct unwind_row none = {.kind = UNWIND_NONE};

	if (from >= to)
		return;
	while (*i < more->n && row_sink_end(more, *i) <= from)
		++*i;
	if (*i == more->n || more->base + more->rows[*i].pc > from)
		row_sink_put(s, from, none);
	while (*i < more->n && more->base + more->rows[*i].pc < to) {
		uint64_t start = more->base + more->rows[*i].pc;

		row_sink_put(s, start > from ? start : from, more->rows[*i]);
		if (row_sink_end(more, *i) > to)
			break;
		++*i;
	}
}

int row_sink_fill(struct row_sink *s, const struct row_sink *more)
{
	struct row_sink out = {.base = s->base, .end = s->end, .rules = s->rules};
	const struct unwind_row none = {.kind = UNWIND_NONE};
	size_t k = 0;
	int err;

	if (more->n == 0)
		return 0;
	err = row_sink_reserve(&out, 2 * s->n + more->n + 2);
	if (err)
		return err;
	assert(out.rows);
	out.floor = s->base;
	fill_gap(&out, more, &k, s->base, s->n ? s->base + s->rows[0].pc : s->end);
	for (size_t i = 0; i < s->n; i++) {
		if (s->rows[i].kind == UNWIND_NONE)
			fill_gap(&out, more, &k, s->base + s->rows[i].pc, row_sink_end(s, i));
		else
			row_sink_put(&out, s->base + s->rows[i].pc, s->rows[i]);
	}
	row_sink_put(&out, s->end, none);
	free(s->rows);
	*s = out;
	return 0;
}

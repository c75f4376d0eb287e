/* SPDX-License-Identifier: Apache-2.0 */
/* Every row of tables of one, two and three levels is found by its address, as bpf/unwind.h searches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "profiler/table_layout.h"

struct table {
	struct table_layout layout;
	struct unwind_row *rows;
	struct unwind_rule *rules;
	struct table_chunk *chunks;
};

/* Rows 16 bytes apart from address 4096 on, each with its number as the CFA. */
static void make_table(struct table *t, size_t n_rows, size_t n_rules)
{
	t->rows = calloc(n_rows, sizeof(*t->rows));
	t->rules = calloc(n_rules + 1, sizeof(*t->rules));
	assert_non_null(t->rows);
	assert_non_null(t->rules);
	for (size_t i = 0; i < n_rows; i++)
		t->rows[i] = (struct unwind_row){.pc = 4096 + 16 * i, .cfa = (uint16_t)i, .kind = UNWIND_RSP};
	for (size_t i = 0; i < n_rules; i++)
		t->rules[i].cfa_offset = (int32_t)i;
	assert_int_equal(table_layout_init(&t->layout, t->rows, n_rows, t->rules, n_rules), 0);
	t->chunks = malloc(t->layout.n_chunks * sizeof(*t->chunks));
	assert_non_null(t->chunks);
	memset(t->chunks, 0xff, t->layout.n_chunks * sizeof(*t->chunks));
	for (uint32_t i = 0; i < t->layout.n_chunks; i++)
		table_layout_fill(&t->layout, i, &t->chunks[i]);
}

static void free_table(struct table *t)
{
	free(t->rows);
	free(t->rules);
	free(t->chunks);
}

/* A linear search down the tree. Returns NULL where no row covers the address. */
static const struct unwind_row *find(const struct table *t, uint32_t pc)
{
	const struct table_chunk *chunk = t->chunks;
	uint32_t levels = TABLE_LEVELS(chunk->first[0]);
	size_t at;

	assert_in_range(levels, 1, 3);
	for (; levels > 1; levels--) {
		for (at = 0; at + 1 < TABLE_FANOUT && chunk->first[at + 1] <= pc;)
			at++;
		at += TABLE_CHILD(chunk->first[0]);
		assert_true(at < t->layout.n_chunks);
		chunk = t->chunks + at;
	}
	for (at = 0; at + 1 < ROWS_PER_CHUNK && chunk->row[at + 1].pc <= pc;)
		at++;
	if (chunk->row[at].pc > pc || chunk->row[at].kind == UNWIND_NONE)
		return NULL;
	return &chunk->row[at];
}

static void check(size_t n_rows, size_t n_rules, uint32_t levels)
{
	size_t step = n_rows > 5000 ? 61 : 1;
	struct table t;

	make_table(&t, n_rows, n_rules);
	assert_int_equal(t.layout.levels, levels);
	for (size_t i = 0; i < n_rows; i += step) {
		assert_int_equal(find(&t, t.rows[i].pc)->cfa, (uint16_t)i);
		assert_int_equal(find(&t, t.rows[i].pc + 15)->cfa, (uint16_t)i);
	}
	assert_null(find(&t, 4095));
	assert_int_equal(find(&t, 0xfffffff0)->cfa, (uint16_t)(n_rows - 1));
	for (size_t i = 0; i < n_rules; i++)
		assert_int_equal(t.chunks[1 + i / RULES_PER_CHUNK].rule[i % RULES_PER_CHUNK].cfa_offset, i);
	free_table(&t);
}

static void test_levels(void **state)
{
	(void)state;
	check(1, 0, 1);
	check(ROWS_PER_CHUNK - 1, 3, 1);
	check(ROWS_PER_CHUNK, 0, 2);
	check(ROWS_PER_CHUNK + 1, RULES_PER_CHUNK, 2);
	check(ROWS_PER_CHUNK * TABLE_FANOUT, RULES_PER_CHUNK + 1, 2);
	check(ROWS_PER_CHUNK * TABLE_FANOUT + 1, 0, 3);
	check(ROWS_PER_CHUNK * TABLE_FANOUT * 3 + 77, 100, 3);
}

static void test_limits(void **state)
{
	struct unwind_row row = {.kind = UNWIND_RSP};
	struct table_layout t;

	(void)state;
	assert_int_equal(table_layout_init(&t, &row, 0, NULL, 0), -EINVAL);
	assert_int_equal(table_layout_init(&t, &row, MAX_TABLE_ROWS + 1, NULL, 0), -EINVAL);
	assert_int_equal(table_layout_init(&t, &row, 1, NULL, MAX_TABLE_RULES + 1), -EINVAL);
	assert_int_equal(table_layout_init(&t, &row, MAX_TABLE_ROWS, NULL, 0), 0);
	assert_true(t.n_chunks <= TABLE_CHILD(0xffffffff));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels), cmocka_unit_test(test_limits)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

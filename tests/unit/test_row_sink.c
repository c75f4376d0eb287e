/* SPDX-License-Identifier: Apache-2.0 */
/* The table of rules up to its limit, and gaps filled by another source's rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "symbolizer/row_sink.h"

static struct unwind_rule rule_of(int32_t n)
{
	return (struct unwind_rule){.cfa_register = 7, .cfa_offset = n, .ra = {.offset = -n}};
}

static void test_rules_are_distinct(void **state)
{
	struct rule_table t = {0};
	struct unwind_rule rule;
	uint16_t index;

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int32_t i = 0; i < UNWIND_RULES_MAX; i++) {
			rule = rule_of(i);
			assert_int_equal(rule_table_index(&t, &rule, &index), 0);
			assert_int_equal(index, i);
		}
		assert_int_equal(t.n, UNWIND_RULES_MAX);
	}
	/* full: what is there is still found, what is not is refused */
	rule = rule_of(UNWIND_RULES_MAX);
	assert_int_equal(rule_table_index(&t, &rule, &index), -ENOSPC);
	rule = rule_of(UNWIND_RULES_MAX - 1);
	assert_int_equal(rule_table_index(&t, &rule, &index), 0);
	assert_int_equal(index, UNWIND_RULES_MAX - 1);
	assert_int_equal(t.err, 0);
	rule_table_free(&t);
	assert_null(t.rules);
}

#define BASE 0x1000
#define END  0x1100

/* Rows by letters, eight bytes each: '.' none, others a kind of their own. */
static struct row_sink sink_of(const char *letters)
{
	struct row_sink s = {.base = BASE, .end = END, .floor = BASE};

	assert_int_equal(row_sink_reserve(&s, strlen(letters) + 1), 0);
	for (size_t i = 0; letters[i]; i++) {
		struct unwind_row row = {.kind = letters[i] == '.' ? UNWIND_NONE : UNWIND_RSP,
					 .cfa = letters[i] == '.' ? 0 : (uint16_t)letters[i]};

		row_sink_put(&s, BASE + 8 * i, row);
	}
	return s;
}

static void expect_fill(const char *first, const char *second, const char *want)
{
	struct row_sink a = sink_of(first), b = sink_of(second), w = sink_of(want);

	assert_int_equal(row_sink_fill(&a, &b), 0);
	/* from where the letters end, `want` goes on as it stopped */
	for (size_t i = 0; i < a.n && i < w.n; i++) {
		assert_int_equal(a.rows[i].pc, w.rows[i].pc);
		assert_int_equal(a.rows[i].kind, w.rows[i].kind);
		assert_int_equal(a.rows[i].cfa, w.rows[i].cfa);
	}
	assert_int_equal(a.n, w.n);
	free(a.rows);
	free(b.rows);
	free(w.rows);
}

static void test_fill(void **state)
{
	(void)state;
	expect_fill("a.b.", "cccccc.", "acbccc.");
	expect_fill("..a..b.", "cd.efg.", "cdaefb.");
	expect_fill("aa..", ".c..", "aa..");
	expect_fill("aa..", ".cd.", "aad.");
	expect_fill(".a.", "..", ".a.");
	expect_fill(".a.", "", ".a.");
	expect_fill(".", ".b.b.", ".b.b.");
	expect_fill("", ".b.", ".b.");
	/* what meets and says the same is one row */
	expect_fill("a..b.", ".ab.", "aabb.");
	expect_fill("...", ".b.", ".b.");
}

/* A source that begins late, or ends early. */
static void test_fill_ends(void **state)
{
	const struct unwind_row row = {.kind = UNWIND_RSP, .cfa = 'x'};
	struct row_sink a = sink_of("a..b."), late = sink_of("");

	(void)state;
	row_sink_put(&late, BASE + 12, row);
	assert_int_equal(row_sink_fill(&a, &late), 0);
	/* a at 0, nothing at 8, x at 12, b at 24, x to the end of the text, nothing there */
	assert_int_equal(a.n, 6);
	assert_int_equal(a.rows[1].pc, 8);
	assert_int_equal(a.rows[1].kind, UNWIND_NONE);
	assert_int_equal(a.rows[2].pc, 12);
	assert_int_equal(a.rows[4].pc, 32);
	assert_int_equal(a.rows[4].cfa, 'x');
	assert_int_equal(a.rows[5].pc, END - BASE);
	assert_int_equal(a.rows[5].kind, UNWIND_NONE);
	free(a.rows);
	free(late.rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules_are_distinct),
		cmocka_unit_test(test_fill),
		cmocka_unit_test(test_fill_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

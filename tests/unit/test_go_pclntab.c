/* SPDX-License-Identifier: Apache-2.0 */
/* Go's pclntab, on a program assembled in memory (go_image.h) in each format, and on broken ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "go_image.h"
#include "symbolizer/elf_object.h"
#include "symbolizer/go_pclntab.h"

enum { MAIN, GENERIC, GOEXIT, MCALL, SYSTEMSTACK, ASYNC_PREEMPT };
enum { RBP = 6, RSP = 7 };

static const unsigned int versions[] = {2, 16, 18, 20};
static struct go_image image;

static uint64_t at(unsigned int function, unsigned int byte)
{
	return GO_TEXT_VADDR + function * GO_FUNCTION_BYTES + byte;
}

static struct elf_object *open_image(void)
{
	struct elf_object *o;

	assert_int_equal(elf_object_open_memory(image.bytes, sizeof(image.bytes), "go", &o), 0);
	return o;
}

static struct elf_object *open_version(unsigned int version)
{
	go_image_build(&image, version);
	return open_image();
}

static void names_are_as_go_prints_them(void **state)
{
	(void)state;
	for (unsigned int v = 0; v < 4; v++) {
		struct elf_object *o = open_version(versions[v]);
		const char *kept;
		struct elf_symbol s;

		assert_true(elf_object_symbol(o, at(MAIN, 5), &s));
		assert_string_equal(s.name, "main.main");
		assert_int_equal(s.vaddr, at(MAIN, 0));
		assert_int_equal(s.size, GO_FUNCTION_BYTES);
		assert_true(elf_object_symbol(o, at(GENERIC, GO_FUNCTION_BYTES - 1), &s));
		assert_string_equal(s.name, "main.F[...]");
		kept = s.name;
		assert_true(elf_object_symbol(o, at(GENERIC, 0), &s));
		assert_ptr_equal(s.name, kept);
		assert_false(elf_object_symbol(o, at(GO_FUNCTIONS, 0), &s));
		assert_false(elf_object_symbol(o, at(MAIN, 0) - 1, &s));
		assert_true(elf_object_has_symbols(o));
		elf_object_free(o);
	}
}

static void assert_line(const struct elf_line *line, const char *name, const char *file,
			uint32_t number)
{
	assert_string_equal(line->name, name);
	assert_string_equal(line->file, file);
	assert_int_equal(line->line, number);
}

static void lines_and_inlined_calls(void **state)
{
	(void)state;
	for (unsigned int v = 0; v < 4; v++) {
		struct elf_object *o = open_version(versions[v]);
		struct elf_line lines[4];

		assert_int_equal(elf_object_go_lines(o, at(MAIN, 0), lines, 4), 1);
		assert_line(&lines[0], "main.main", "/src/main.go", 11);
		assert_int_equal(lines[0].start_line, versions[v] >= 20 ? 7 : 0);
		if (versions[v] < 18) {
			assert_int_equal(elf_object_go_lines(o, at(MAIN, 9), lines, 4), 1);
			assert_line(&lines[0], "main.main", "/src/inner.go", 30);
		} else {
			assert_int_equal(elf_object_go_lines(o, at(MAIN, 9), lines, 4), 2);
			assert_line(&lines[0], "main.inner", "/src/inner.go", 30);
			assert_line(&lines[1], "main.main", "/src/main.go", 12);
			assert_int_equal(lines[0].start_line, versions[v] >= 20 ? 29 : 0);
			assert_int_equal(elf_object_go_lines(o, at(MAIN, 9), lines, 1), 1);
			assert_line(&lines[0], "main.main", "/src/main.go", 12);
		}
		assert_int_equal(elf_object_go_lines(o, at(MAIN, 9), lines, 0), 0);
		assert_int_equal(elf_object_go_lines(o, 1, lines, 4), 0);
		elf_object_free(o);
	}
}

static const struct unwind_row *row_of(const struct unwind_rows *u, uint64_t vaddr)
{
	const struct unwind_row *found = NULL;

	for (size_t i = 0; i < u->n_rows && u->base + u->rows[i].pc <= vaddr; i++)
		found = &u->rows[i];
	assert_non_null(found);
	return found;
}

static void assert_row(const struct unwind_rows *u, unsigned int function, unsigned int byte,
		       int kind, int cfa, int rbp)
{
	const struct unwind_row *row = row_of(u, at(function, byte));

	assert_int_equal(row->kind, kind);
	assert_int_equal(row->cfa, cfa);
	assert_int_equal(row->rbp, rbp);
}

static void rows_of_prologues(void **state)
{
	(void)state;
	for (unsigned int v = 0; v < 4; v++) {
		struct elf_object *o = open_version(versions[v]);
		struct unwind_rows u;

		assert_int_equal(elf_object_unwind_rows(o, &u), 0);
		assert_row(&u, MAIN, 0, UNWIND_RSP, 1, 0);
		assert_row(&u, MAIN, 1, UNWIND_RSP, 2, 2);
		assert_row(&u, MAIN, 8, UNWIND_RSP, 5, 2);
		assert_row(&u, MAIN, 16, UNWIND_RSP, 2, 2);
		assert_row(&u, MAIN, 17, UNWIND_RSP, 1, 0);
		assert_row(&u, GENERIC, 3, UNWIND_RSP, 1, 0);
		assert_row(&u, GENERIC, 4, UNWIND_RSP, 4, 0); /* before it is stored */
		assert_row(&u, GENERIC, 8, UNWIND_RSP, 4, 0);
		assert_row(&u, GENERIC, 9, UNWIND_RSP, 4, 2);
		assert_row(&u, GENERIC, 23, UNWIND_RSP, 4, 2);
		assert_row(&u, GENERIC, 24, UNWIND_RSP, 1, 0);
		assert_row(&u, GO_FUNCTIONS, 0, UNWIND_NONE, 0, 0);
		unwind_rows_free(&u);
		elf_object_free(o);
	}
}

static void rows_of_functions_that_switch_stacks(void **state)
{
	(void)state;
	for (unsigned int v = 0; v < 4; v++) {
		struct elf_object *o = open_version(versions[v]);
		struct unwind_rows u;

		assert_int_equal(elf_object_unwind_rows(o, &u), 0);
		assert_row(&u, GOEXIT, 0, UNWIND_END, 0, 0);
		assert_row(&u, GOEXIT, 6, UNWIND_END, 0, 0);
		assert_row(&u, MCALL, 8, UNWIND_RSP, 2, 2);
		assert_row(&u, MCALL, 9, UNWIND_END, 0, 0);
		assert_row(&u, MCALL, 13, UNWIND_END, 0, 0);
		assert_row(&u, SYSTEMSTACK, 0, UNWIND_RSP, 1, 0);
		assert_row(&u, SYSTEMSTACK, 1, UNWIND_RSP, 2, 2);
		assert_row(&u, SYSTEMSTACK, 4, UNWIND_RBP, 2, 2);
		assert_row(&u, SYSTEMSTACK, 10, UNWIND_RBP, 2, 2);
		assert_row(&u, SYSTEMSTACK, 11, UNWIND_RSP, 1, 0);
		unwind_rows_free(&u);
		elf_object_free(o);
	}
}

static void an_interrupting_function_has_rules(void **state)
{
	struct elf_object *o = open_version(20);
	const struct unwind_row *row;
	struct unwind_rows u;

	(void)state;
	assert_int_equal(elf_object_unwind_rows(o, &u), 0);
	row = row_of(&u, at(ASYNC_PREEMPT, 5));
	assert_int_equal(row->kind, UNWIND_EXTENDED);
	assert_true(row->cfa < u.n_rules);
	assert_int_equal(u.rules[row->cfa].cfa_register, RSP);
	assert_int_equal(u.rules[row->cfa].cfa_offset, 24);
	assert_int_equal(u.rules[row->cfa].signal, 1);
	assert_int_equal(u.rules[row->cfa].ra.where, UNWIND_AT_CFA);
	assert_int_equal(u.rules[row->cfa].ra.offset, -8);
	assert_int_equal(u.rules[row->cfa].fp.where, UNWIND_AT_CFA);
	assert_int_equal(u.rules[row->cfa].fp.offset, -16);
	unwind_rows_free(&u);
	elf_object_free(o);
}

/* Everything that can be asked of an image, which must not crash, hang or leak. */
static void ask_all(void)
{
	struct elf_line lines[8];
	struct elf_object *o;
	struct unwind_rows u;
	struct elf_symbol s;

	if (elf_object_open_memory(image.bytes, sizeof(image.bytes), "go", &o) != 0)
		return;
	if (elf_object_unwind_rows(o, &u) == 0)
		unwind_rows_free(&u);
	for (unsigned int i = 0; i < GO_FUNCTIONS * GO_FUNCTION_BYTES; i += 5) {
		elf_object_symbol(o, GO_TEXT_VADDR + i, &s);
		assert_true(elf_object_go_lines(o, GO_TEXT_VADDR + i, lines, 8) <= 8);
	}
	elf_object_free(o);
}

static void any_byte_may_be_wrong(void **state)
{
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};

	(void)state;
	for (unsigned int v = 0; v < 4; v++)
		for (unsigned int i = 0; i < GO_IMAGE_BYTES; i++)
			for (unsigned int k = v; k < sizeof(values); k += 2) {
				go_image_build(&image, versions[v]);
				image.bytes[i] = values[k];
				ask_all();
			}
}

static void inlined_calls_that_never_end(void **state)
{
	struct elf_line lines[8];
	struct elf_object *o;

	(void)state;
	go_image_build(&image, 20);
	memcpy(image.bytes + image.tree + 8, &(uint32_t){9}, 4); /* its own parent */
	o = open_image();
	assert_int_equal(elf_object_go_lines(o, at(MAIN, 9), lines, 8), 8);
	assert_string_equal(lines[7].name, "main.inner");
	elf_object_free(o);
}

static void what_is_not_go_has_no_table(void **state)
{
	struct go_pclntab *g = NULL;
	struct elf_object *o;

	(void)state;
	go_image_build(&image, 20);
	memset(image.bytes + 0x1c0, 0, 20); /* the note: nothing is searched without one */
	o = open_image();
	assert_int_equal(go_pclntab_open(o, &g), -ENOENT);
	elf_object_free(o);
	go_image_build(&image, 20);
	image.bytes[GO_RODATA + 7] = 4; /* a 32-bit program's */
	o = open_image();
	assert_int_equal(go_pclntab_open(o, &g), -ENOENT);
	assert_null(g);
	go_pclntab_free(g);
	elf_object_free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_as_go_prints_them),
		cmocka_unit_test(lines_and_inlined_calls),
		cmocka_unit_test(rows_of_prologues),
		cmocka_unit_test(rows_of_functions_that_switch_stacks),
		cmocka_unit_test(an_interrupting_function_has_rules),
		cmocka_unit_test(any_byte_may_be_wrong),
		cmocka_unit_test(inlined_calls_that_never_end),
		cmocka_unit_test(what_is_not_go_has_no_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

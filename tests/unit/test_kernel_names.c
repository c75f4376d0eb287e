/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel code that comes and goes: BPF programs at one address one after the other, modules that are loaded late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "profiler/kernel_names.h"

#define SECOND 1000000000ull

static void expect(const struct ksymbols *k, uint64_t address, uint64_t time_ns, const char *name)
{
	uint32_t number = ksymbols_find(k, address, time_ns);
	struct kernel_symbol s;

	if (!name) {
		assert_int_equal(number, 0);
		return;
	}
	assert_true(ksymbols_get(k, number, &s));
	assert_string_equal(s.name, name);
	assert_string_equal(s.module, "bpf");
}

static void test_one_address_after_the_other(void **state)
{
	struct ksymbols *k = ksymbols_new();

	(void)state;
	expect(k, 0x1000, 1, NULL);
	ksymbols_add(k, 0x1000, 0x100, 10 * SECOND, "first", "bpf");
	ksymbols_remove(k, 0x1000, 20 * SECOND);
	/* records of two CPUs: the later one comes first */
	ksymbols_add(k, 0x1080, 0x200, 50 * SECOND, "third", "bpf");
	ksymbols_add(k, 0x1000, 0x40, 30 * SECOND, "second", "bpf");
	ksymbols_remove(k, 0x1000, 40 * SECOND);
	ksymbols_remove(k, 0x2000, 40 * SECOND);
	expect(k, 0x1000, 10 * SECOND - 1, NULL);
	expect(k, 0xfff, 15 * SECOND, NULL);
	expect(k, 0x1000, 10 * SECOND, "first");
	expect(k, 0x10ff, 15 * SECOND, "first");
	expect(k, 0x1100, 15 * SECOND, NULL);
	expect(k, 0x1000, 20 * SECOND + 1000, "first"); /* a CPU may be in it still */
	expect(k, 0x1000, 25 * SECOND, NULL);
	expect(k, 0x103f, 35 * SECOND, "second");
	expect(k, 0x1040, 35 * SECOND, NULL);
	expect(k, 0x1080, 60 * SECOND, "third");
	expect(k, 0x127f, 60 * SECOND, "third");
	expect(k, 0x1280, 60 * SECOND, NULL);
	ksymbols_free(k);
	expect(NULL, 0x1000, 1, NULL);
}

static void test_more_than_there_is_room_for(void **state)
{
	struct ksymbols *k = ksymbols_new();
	struct kernel_symbol s;
	uint32_t first;

	(void)state;
	for (uint32_t i = 0; i < KSYMBOLS_MAX; i++)
		ksymbols_add(k, 0x1000 + i * 64, 64, 10, "program", "bpf");
	ksymbols_add(k, 0x10, 64, 20, "one too many", "bpf");
	assert_int_equal(ksymbols_dropped(k), 1);
	expect(k, 0x10, 20, NULL);
	first = ksymbols_find(k, 0x1000, 20);
	ksymbols_remove(k, 0x1000, 30);
	ksymbols_add(k, 0x10, 64, 40, "has room now", "bpf");
	assert_int_equal(ksymbols_dropped(k), 1);
	expect(k, 0x10, 50, "has room now");
	expect(k, 0x1000, 20, NULL);
	assert_false(ksymbols_get(k, first, &s));
	expect(k, 0x1000 + 64 * (KSYMBOLS_MAX - 1), 20, "program");
	ksymbols_add(k, UINT64_MAX - 8, 64, 40, "wraps around", "bpf");
	ksymbols_free(k);
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_module_loaded_late(void **state)
{
	char kallsyms[] = "/tmp/wireprof-kallsyms-XXXXXX", modules[] = "/tmp/wireprof-modules-XXXXXX";
	struct kernel_names n = {.kallsyms_path = kallsyms, .modules_path = modules, .told = true};
	struct kernel_symbol s;

	(void)state;
	close(mkstemp(kallsyms));
	close(mkstemp(modules));
	write_text(kallsyms, "ffffffff81000000 T _stext\n");
	assert_int_equal(kallsyms_open(kallsyms, &n.kallsyms), 0);
	n.modules = 0xcbf29ce484222325u; /* none */
	assert_true(kernel_names_find(&n, 0xffffffff81000010, 0, &s));
	/* too far behind the last symbol to lie in it, and no module has come: nothing */
	assert_false(kernel_names_find(&n, 0xffffffffc0000010, 0, &s));
	write_text(kallsyms, "ffffffff81000000 T _stext\nffffffffc0000000 t late_one\t[late]\n");
	write_text(modules, "late 4096 0 - Live 0xffffffffc0000000\n");
	assert_false(kernel_names_find(&n, 0xffffffffc0000010, 0, &s)); /* it was looked at just now */
	n.checked_ns = 0;
	assert_true(kernel_names_find(&n, 0xffffffffc0000010, 0, &s));
	assert_string_equal(s.name, "late_one");
	assert_string_equal(s.module, "late");
	/* only the use count changes: not read again */
	write_text(kallsyms, "ffffffffc0000000 t other\t[late]\n");
	write_text(modules, "late 4096 1 user, Live 0xffffffffc0000000\n");
	n.checked_ns = n.read_ns = 0;
	assert_true(kernel_names_find(&n, 0xffffffffc0000010, 0, &s));
	assert_string_equal(s.name, "late_one");
	/* records were lost: it is */
	kernel_names_lost(&n);
	n.checked_ns = n.read_ns = 0;
	assert_true(kernel_names_find(&n, 0xffffffffc0000010, 0, &s));
	assert_string_equal(s.name, "other");
	kernel_names_close(&n);
	unlink(kallsyms);
	unlink(modules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_address_after_the_other),
		cmocka_unit_test(test_more_than_there_is_room_for),
		cmocka_unit_test(test_module_loaded_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

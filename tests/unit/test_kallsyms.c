/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/kallsyms: parsing, aliases, lookups; the real one too, where it may be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "symbolizer/kallsyms.h"

static char path[] = "/tmp/wireprof-kallsyms-XXXXXX";

static int open_text(const char *text, struct kallsyms **k)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return kallsyms_open(path, k);
}

static void expect(const struct kallsyms *k, uint64_t address, uint64_t start, const char *name,
		   const char *module)
{
	struct kernel_symbol s;

	assert_true(kallsyms_find(k, address, &s));
	assert_int_equal(s.address, start);
	assert_string_equal(s.name, name);
	assert_string_equal(s.module, module);
}

static void test_lookup(void **state)
{
	struct kernel_symbol s;
	struct kallsyms *k;

	(void)state;
	/* not sorted, as /proc/kallsyms is not: modules and BPF programs come last */
	assert_int_equal(open_text("ffffffff81000000 T _stext\n"
				   "ffffffff81000100 t do_one\n"
				   "ffffffff81000200 D some_data\n"
				   "ffffffffc0100000 t nft_do_chain\t[nf_tables]\n"
				   "ffffffffc0100040 t nft_next\t[nf_tables]\n"
				   "ffffffffc0000000 T early\t[xfs]\n"
				   "ffffffffc0200000 t bpf_prog_6deef7357e7b4530_egress\t[bpf]\n",
				   &k),
			 0);
	assert_false(kallsyms_find(k, 0, &s));
	assert_false(kallsyms_find(k, 0xffffffff80ffffff, &s));
	expect(k, 0xffffffff81000000, 0xffffffff81000000, "_stext", "");
	expect(k, 0xffffffff810000ff, 0xffffffff81000000, "_stext", "");
	expect(k, 0xffffffff81000100, 0xffffffff81000100, "do_one", "");
	/* data is nobody's code */
	expect(k, 0xffffffff81000210, 0xffffffff81000100, "do_one", "");
	expect(k, 0xffffffffc0000001, 0xffffffffc0000000, "early", "xfs");
	expect(k, 0xffffffffc010003f, 0xffffffffc0100000, "nft_do_chain", "nf_tables");
	expect(k, 0xffffffffc0100040, 0xffffffffc0100040, "nft_next", "nf_tables");
	expect(k, UINT64_MAX, 0xffffffffc0200000, "bpf_prog_6deef7357e7b4530_egress", "bpf");
	kallsyms_free(k);
	assert_false(kallsyms_find(NULL, 1, &s));
	kallsyms_free(NULL);
}

static void test_aliases(void **state)
{
	static const char *const orders[] = {
		"10 W __weak\n10 t local\n10 T global\n10 T global_too\n",
		"10 T global_too\n10 T global\n10 t local\n10 W __weak\n",
	};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct kallsyms *k;

		assert_int_equal(open_text(orders[i], &k), 0);
		expect(k, 0x10, 0x10, "global", "");
		kallsyms_free(k);
	}
}

static void test_lines_that_do_not_parse(void **state)
{
	char text[4096] = "20 T before\n";
	struct kallsyms *k;

	(void)state;
	strcat(text,
	       "\n\n30\n30 \n30 T\n30 T \nxyz T name\n30  T name\n30T name\n-30 T name\n0x30 T n\n"
	       "fffffffffffffffff T too_large\n30 TT name\n30 T \t[module]\n");
	/* a line that is too long is skipped, all of it */
	strcat(text, "30 T ");
	memset(text + strlen(text), 'a', 2000);
	strcat(text, " 30 T tail\n40 T after\t[unclosed\n50 t last");
	assert_int_equal(open_text(text, &k), 0);
	expect(k, 0x3f, 0x20, "before", "");
	expect(k, 0x4f, 0x40, "after", "");
	expect(k, 0x50, 0x50, "last", ""); /* no newline at the end */
	kallsyms_free(k);
}

static void test_errors(void **state)
{
	struct kallsyms *k = (struct kallsyms *)1;

	(void)state;
	assert_int_equal(open_text("0000000000000000 T _stext\n0000000000000000 t x\t[m]\n", &k),
			 -EPERM);
	assert_int_equal(open_text("", &k), -ENODATA);
	assert_int_equal(open_text("10 D data\n", &k), -ENODATA);
	assert_int_equal(kallsyms_open("/nonexistent", &k), -ENOENT);
	assert_ptr_equal(k, (struct kallsyms *)1);
}

static void test_many_modules(void **state)
{
	FILE *f = fopen(path, "w");
	struct kallsyms *k;

	(void)state;
	assert_non_null(f);
	for (unsigned int i = 1; i <= 1000; i++)
		fprintf(f, "%x t f%u\t[m%u]\n", i * 16, i, i);
	fclose(f);
	assert_int_equal(kallsyms_open(path, &k), 0);
	for (unsigned int i = 1; i <= 1000; i++) {
		char name[16], module[16];

		snprintf(name, sizeof(name), "f%u", i);
		snprintf(module, sizeof(module), "m%u", i);
		expect(k, i * 16 + 5, i * 16, name, module);
	}
	kallsyms_free(k);
}

static void test_the_real_one(void **state)
{
	struct kernel_symbol s;
	struct kallsyms *k;
	char line[1024], name[512], type;
	unsigned long long address;
	FILE *f = fopen("/proc/kallsyms", "r");
	unsigned int n = 0;
	int err = kallsyms_open("/proc/kallsyms", &k);

	(void)state;
	if (!f || err) {
		assert_true(!f || err == -EPERM);
		if (f)
			fclose(f);
		skip();
	}
	/* each function's address finds a symbol that starts there */
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx %c %511s", &address, &type, name) != 3 ||
		    !strchr("tT", type) || !address)
			continue;
		assert_true(kallsyms_find(k, address, &s));
		assert_int_equal(s.address, address);
		n++;
	}
	assert_true(n > 1000);
	fclose(f);
	kallsyms_free(k);
}

static int setup(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_lines_that_do_not_parse),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_many_modules),
		cmocka_unit_test(test_the_real_one),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

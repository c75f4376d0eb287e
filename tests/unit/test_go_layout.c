/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf_object_go_layout(): every way in which a program says its version, every row of the table, both ways in which the code
 * reads g; and each of them broken. The programs are those of tests/go_image.h, with a version and code of ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "go_image.h"
#include "symbolizer/elf_object.h"
#include "symbolizer/go_layout.h"

#define INFO	   0xd80u /* behind the module's record */
#define INFO_VADDR (GO_DATA_VADDR + INFO - GO_DATA)
#define INFO_BYTES (GO_IMAGE_BYTES - INFO)
#define CODE	   (GO_TEXT + 4 * GO_FUNCTION_BYTES) /* of runtime.systemstack */
#define RELOCS	   (GO_TEXT + GO_FUNCTIONS * GO_FUNCTION_BYTES)
#define DYNAMIC	   0x158u
#define MAGIC	   "\xff Go buildinf:\x08"

/* As Go 1.26 has it: push %rbp; mov %rsp,%rbp; mov 16(%rsp),%rdi; mov %fs:-8,%rax; mov 48(%rax),%rbx */
#define ENTRY	"\x55\x48\x89\xe5\x48\x8b\x7c\x24\x10"
#define READ_G	"\x64\x48\x8b\x04\x25\xf8\xff\xff\xff"
#define READ_M	"\x48\x8b\x58\x30"
#define PIE_SET "\x48\xc7\xc1\x58\xff\xff\xff" /* mov $-168,%rcx */
#define PIE_GET "\x64\x48\x8b\x01"	       /* mov %fs:(%rcx),%rax */

static struct go_image image;

static void put_code(const void *code, size_t n)
{
	assert_true(n <= GO_FUNCTION_BYTES);
	memset(image.bytes + CODE, 0x90, GO_FUNCTION_BYTES);
	memcpy(image.bytes + CODE, code, n);
}
#define PUT_CODE(code) put_code(code, sizeof(code) - 1)

static void put_info(size_t at, const void *bytes, size_t n)
{
	assert_true(at + n <= INFO_BYTES);
	memcpy(image.bytes + INFO + at, bytes, n);
}

static void begin(unsigned int format)
{
	go_image_build(&image, format);
	PUT_CODE(ENTRY READ_G READ_M);
}

/* Go 1.18 and later */
static void put_inline(const char *version)
{
	uint8_t length = (uint8_t)strlen(version);

	memset(image.bytes + INFO, 0, INFO_BYTES);
	put_info(0, MAGIC "\2", 16);
	put_info(32, &length, 1);
	put_info(33, version, length);
}

/* Until Go 1.17. The addresses that the pointers have in the file. */
static void put_pointers(const char *version, uint64_t header, uint64_t text)
{
	uint64_t length = strlen(version);

	memset(image.bytes + INFO, 0, INFO_BYTES);
	put_info(0, MAGIC "\0", 16);
	put_info(16, &header, 8);
	put_info(32, &text, 8);
	put_info(40, &length, 8);
	put_info(48, version, length);
}

static int layout_of(const uint8_t *bytes, size_t size, struct go_layout *out)
{
	struct elf_object *o;
	int err;

	assert_int_equal(elf_object_open_memory(bytes, size, "test", &o), 0);
	err = elf_object_go_layout(o, out);
	elf_object_free(o);
	return err;
}

static void expect_error(int err)
{
	struct go_layout l = {.tls = 1};

	assert_int_equal(layout_of(image.bytes, sizeof(image.bytes), &l), err);
	assert_int_equal(l.tls, 1);
}

static void expect_layout(int32_t tls, unsigned int goid, unsigned int curg)
{
	struct go_layout l;

	assert_int_equal(layout_of(image.bytes, sizeof(image.bytes), &l), 0);
	assert_int_equal(l.tls, tls);
	assert_int_equal(l.g_m, 48);
	assert_int_equal(l.g_goid, goid);
	assert_int_equal(l.m_curg, curg);
}

/* --- versions --- */

static const struct {
	const char *version;
	unsigned int goid, curg; /* 0: not known */
} versions[] = {
	{"go1.13", 152, 192},
	{"go1.13.8", 152, 192},
	{"go1.14.2", 152, 192},
	{"go1.15", 152, 192},
	{"go1.16beta1", 152, 192},
	{"go1.17.13", 152, 192},
	{"go1.18", 152, 192},
	{"go1.19.8", 152, 192},
	{"go1.20.4 X:boringcrypto", 152, 192},
	{"go1.21.13 (Red Hat 1.21.13-1.el9)", 152, 192},
	{"go1.22rc2", 152, 192},
	{"go1.22.12", 152, 192},
	{"go1.23rc1", 160, 192},
	{"go1.23.0", 160, 192},
	{"go1.24.11", 160, 192},
	{"go1.25.5", 152, 184},
	{"go1.26rc1", 152, 184},
	{"go1.27.3", 152, 184},
	{"go1.27.3-fips", 152, 184},
	/* on the way from one release to the next: known if both are alike */
	{"devel go1.22-d8392e6997 Tue Aug 1 01:15:21 2023 +0000", 152, 192},
	{"devel go1.24-abcdef", 160, 192},
	{"devel go1.26-abcdef", 152, 184},
	{"go1.27-devel_d8392e6997 Tue Aug 1 01:15:21 2026", 152, 184},
	{"devel go1.23-abcdef", 0, 0},
	{"devel go1.25-abcdef", 0, 0},
	{"go1.23-devel_abcdef", 0, 0},
	{"go1.25-20250709-RC00 cl/1 +abc", 0, 0},
	{"devel go1.13-abcdef", 0, 0},
	{"devel +d8392e6997 Tue Aug 1 01:15:21 2017 +0000", 0, 0},
	/* not known */
	{"go1.28", 0, 0},
	{"go1.28-devel_abcdef", 0, 0},
	{"go1.28rc1", 0, 0},
	{"go1.100.1", 0, 0},
	{"go1.4294967312", 0, 0},
	{"go1.12.17", 0, 0},
	{"go1.2", 0, 0},
	{"go1.0", 0, 0},
	{"devel go1.0", 0, 0},
	{"go2.13", 0, 0},
	{"go1", 0, 0},
	{"go1.", 0, 0},
	{"go1.x", 0, 0},
	{"go", 0, 0},
	{"1.22.3", 0, 0},
	{"devel ", 0, 0},
	{"", 0, 0},
};

static void expect_version(size_t i)
{
	if (versions[i].goid)
		expect_layout(-8, versions[i].goid, versions[i].curg);
	else
		expect_error(-EOPNOTSUPP);
}

static void test_versions(void **state)
{
	static const unsigned int formats[] = {2, 16, 18, 20};

	(void)state;
	for (size_t f = 0; f < sizeof(formats) / sizeof(formats[0]); f++) {
		begin(formats[f]);
		for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
			put_inline(versions[i].version);
			expect_version(i);
			put_pointers(versions[i].version, INFO_VADDR + 32, INFO_VADDR + 48);
			expect_version(i);
		}
	}
}

/* Nothing behind the text counts, whatever it looks like. */
static void test_length(void **state)
{
	(void)state;
	begin(20);
	put_inline("go1.22.3");
	put_info(32, "\5", 1); /* go1.2 */
	expect_error(-EOPNOTSUPP);
	put_info(32, "\6", 1); /* go1.22 */
	expect_layout(-8, 152, 192);
	put_pointers("go1.22.3", INFO_VADDR + 32, INFO_VADDR + 48);
	put_info(40, "\5", 1);
	expect_error(-EOPNOTSUPP);
	put_info(40, "\6", 1);
	expect_layout(-8, 152, 192);
}

/* In a position-independent program that C's linker made, the pointers are 0 in the file. */
static void test_relocated(void **state)
{
	const Elf64_Rela rela[] = {
		{INFO_VADDR + 8, ELF64_R_INFO(0, R_X86_64_RELATIVE), 1},
		{INFO_VADDR + 32, ELF64_R_INFO(0, R_X86_64_RELATIVE), INFO_VADDR + 48},
		{INFO_VADDR + 16, ELF64_R_INFO(0, R_X86_64_64), 1},
		{INFO_VADDR + 16, ELF64_R_INFO(0, R_X86_64_RELATIVE), INFO_VADDR + 32},
	};
	const Elf64_Dyn dynamic[] = {
		{DT_RELA, {GO_TEXT_VADDR + RELOCS - GO_TEXT}}, {DT_RELASZ, {sizeof(rela)}}, {DT_NULL, {0}}};
	Elf64_Phdr ph = {.p_type = PT_DYNAMIC, .p_offset = DYNAMIC, .p_filesz = sizeof(dynamic)};
	Elf64_Ehdr *eh = (Elf64_Ehdr *)image.bytes;

	(void)state;
	begin(16);
	put_pointers("go1.17.1", 0, 0);
	expect_error(-EOPNOTSUPP);
	assert_int_equal(eh->e_phnum, 4);
	eh->e_phnum = 5;
	memcpy(image.bytes + eh->e_phoff + 4 * sizeof(ph), &ph, sizeof(ph));
	memcpy(image.bytes + DYNAMIC, dynamic, sizeof(dynamic));
	memcpy(image.bytes + RELOCS, rela, sizeof(rela));
	expect_layout(-8, 152, 192);
	memset(image.bytes + RELOCS + sizeof(rela[0]), 0, sizeof(rela[0]));
	expect_error(-EOPNOTSUPP);
}

static void test_broken_info(void **state)
{
	uint64_t value;

	(void)state;
	begin(20);
	expect_error(-EOPNOTSUPP); /* none */
	put_inline("go1.22.3");
	put_info(1, "g", 1);
	expect_error(-EOPNOTSUPP);
	put_inline("go1.22.3");
	put_info(32, "\x60", 1); /* past the end */
	expect_error(-EOPNOTSUPP);
	put_info(32, "\x88\x80\0", 3); /* too long a number */
	put_info(35, "go1.22.3", 8);
	expect_error(-EOPNOTSUPP);
	put_info(32, "\x88\0", 2); /* two bytes are fine: 8 */
	put_info(34, "go1.22.3", 8);
	expect_layout(-8, 152, 192);
	put_pointers("go1.17.1", INFO_VADDR + 32, INFO_VADDR + 48);
	expect_layout(-8, 152, 192);
	put_info(14, "\4", 1);
	expect_error(-EOPNOTSUPP);
	put_info(14, "\x8\1", 2);
	expect_error(-EOPNOTSUPP);
	for (int i = 0; i < 2; i++) {
		static const uint64_t bad[] = {0, 1, 0x300000, INFO_VADDR + INFO_BYTES - 4, INFO_VADDR + INFO_BYTES,
					       UINT64_MAX, UINT64_MAX - 7};

		for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
			put_pointers("go1.17.1", i ? INFO_VADDR + 32 : bad[k], i ? bad[k] : INFO_VADDR + 48);
			expect_error(-EOPNOTSUPP);
		}
	}
	put_pointers("go1.17.1", INFO_VADDR + 32, INFO_VADDR + 48);
	for (value = INFO_BYTES - 48; value < INFO_BYTES - 46; value++) {
		put_info(40, &value, 8);
		if (value == INFO_BYTES - 48)
			expect_layout(-8, 152, 192);
		else
			expect_error(-EOPNOTSUPP);
	}
	value = UINT64_MAX;
	put_info(40, &value, 8);
	expect_error(-EOPNOTSUPP);
}

/* The magic counts at multiples of 16 only: a program that reads others' has it elsewhere. */
static void test_alignment(void **state)
{
	(void)state;
	begin(20);
	put_inline("go1.22.3");
	memmove(image.bytes + INFO + 8, image.bytes + INFO, 64);
	memset(image.bytes + INFO, 0, 8);
	expect_error(-EOPNOTSUPP);
	memmove(image.bytes + INFO + 32, image.bytes + INFO + 8, 64);
	expect_layout(-8, 152, 192);
	memset(image.bytes + INFO, 0, INFO_BYTES);
	memcpy(image.bytes + INFO + INFO_BYTES - 16, MAGIC "\2", 16); /* no room for the rest */
	expect_error(-EOPNOTSUPP);
}

/* Where there are sections, it may lie wherever the section is; AT is in read-only data. */
enum { AT = 0xb00, NAMES = GO_IMAGE_BYTES, HEADERS = NAMES + 0x40, WITH_SECTIONS = HEADERS + 3 * sizeof(Elf64_Shdr) };

static void expect_with_section(uint64_t size, unsigned int goid)
{
	static const char names[] = "\0.shstrtab\0.go.buildinfo";
	static uint8_t bytes[WITH_SECTIONS];
	const Elf64_Shdr sh[3] = {
		[1] = {.sh_name = 1, .sh_type = SHT_STRTAB, .sh_offset = NAMES, .sh_size = sizeof(names)},
		[2] = {.sh_name = 11, .sh_type = SHT_PROGBITS, .sh_addr = GO_RODATA_VADDR + AT - GO_RODATA, .sh_offset = AT,
		       .sh_size = size},
	};
	Elf64_Ehdr *eh = (Elf64_Ehdr *)image.bytes;
	struct go_layout l;

	eh->e_shoff = HEADERS;
	eh->e_shnum = 3;
	eh->e_shentsize = sizeof(sh[0]);
	eh->e_shstrndx = 1;
	memcpy(bytes, image.bytes, sizeof(image.bytes));
	memcpy(bytes + NAMES, names, sizeof(names));
	memcpy(bytes + HEADERS, sh, sizeof(sh));
	assert_int_equal(layout_of(bytes, sizeof(bytes), &l), 0);
	assert_int_equal(l.g_goid, goid);
}

static void test_section(void **state)
{
	char *info = (char *)image.bytes + AT;

	(void)state;
	begin(20);
	assert_true(image.n <= AT);
	put_inline("go1.24.1");
	memcpy(info, image.bytes + INFO, 48);
	memset(image.bytes + INFO, 0, INFO_BYTES);
	expect_error(-EOPNOTSUPP);
	put_inline("go1.22.1"); /* which comes second */
	expect_with_section(48, 160);
	expect_with_section(31, 152);
	memset(info, 0, 48);
	expect_with_section(48, 152);
	/* a long version: 130 bytes, the first of which are needed */
	memcpy(info, MAGIC "\2", 16);
	snprintf(info + 32, 135, "\x82\1go1.24.1 X:%0119d", 1);
	expect_with_section(164, 160);
}

/* --- the code --- */

static void test_code(void **state)
{
	(void)state;
	begin(20);
	put_inline("go1.22.3");
	PUT_CODE("\x48\x8b\x7c\x24\x08" READ_G READ_M); /* without a frame, until Go 1.20 */
	expect_layout(-8, 152, 192);
	PUT_CODE(ENTRY "\x64\x48\x8b\x0c\x25\x58\xff\xff\xff"); /* mov %fs:-168,%rcx */
	expect_layout(-168, 152, 192);
	PUT_CODE(ENTRY PIE_SET PIE_GET);
	expect_layout(-168, 152, 192);
	PUT_CODE(ENTRY "\x48\xc7\xc0\xf8\xff\xff\xff\x64\x48\x8b\x08"); /* mov $-8,%rax; mov %fs:(%rax),%rcx */
	expect_layout(-8, 152, 192);
	PUT_CODE(ENTRY PIE_SET "\x48\xc7\xc2\xf8\xff\xff\xff\x64\x48\x8b\x02"); /* the second of two */
	expect_layout(-8, 152, 192);
}

static void test_other_code(void **state)
{
	(void)state;
	begin(20);
	put_inline("go1.22.3");
	PUT_CODE(ENTRY READ_M); /* reads none */
	expect_error(-EOPNOTSUPP);
	PUT_CODE(ENTRY "\x48\x8b\x0d\x80\x1f\x10\0\x64\x48\x8b\x01"); /* mov place(%rip),%rcx; mov %fs:(%rcx),%rax */
	expect_error(-EOPNOTSUPP);
	PUT_CODE(ENTRY PIE_SET "\x64\x48\x8b\x02"); /* mov %fs:(%rdx),%rax */
	expect_error(-EOPNOTSUPP);
	PUT_CODE(ENTRY PIE_SET "\x90" PIE_GET);
	expect_error(-EOPNOTSUPP);
	PUT_CODE(ENTRY PIE_GET READ_G); /* the first counts */
	expect_error(-EOPNOTSUPP);
	PUT_CODE(ENTRY "\x64\x48\x89\x04\x25\xf8\xff\xff\xff"); /* mov %rax,%fs:-8 */
	expect_error(-EOPNOTSUPP);
	PUT_CODE(ENTRY "\x64\x48\x8b\x04\x25\x08\0\0\0"); /* above the thread pointer */
	expect_error(-EOPNOTSUPP);
	PUT_CODE(ENTRY "\x64\x48\x8b\x04\x25\xf9\xff\xff\xff"); /* no word */
	expect_error(-EOPNOTSUPP);
	PUT_CODE(ENTRY "\x64\x48\x8b\x84\x25\xf8\xff\xff\xff"); /* mov %fs:-8(%rbp),%rax */
	expect_error(-EOPNOTSUPP);
	PUT_CODE(ENTRY "\x64\x48\x8b\x04\x0d\xf8\xff\xff\xff"); /* mov %fs:-8(,%rcx),%rax */
	expect_error(-EOPNOTSUPP);
	PUT_CODE(ENTRY "\xff\xd7" READ_G); /* after a call */
	expect_error(-EOPNOTSUPP);
	PUT_CODE(ENTRY "\x06" READ_G); /* after what is no instruction */
	expect_error(-EOPNOTSUPP);
	PUT_CODE("\x48\xb8" READ_G "\x90"); /* within an instruction */
	expect_error(-EOPNOTSUPP);
	/* cut by the function's end */
	memset(image.bytes + CODE, 0x90, GO_FUNCTION_BYTES);
	memcpy(image.bytes + CODE + GO_FUNCTION_BYTES - 9, READ_G, 9);
	expect_layout(-8, 152, 192);
	memset(image.bytes + CODE, 0x90, GO_FUNCTION_BYTES);
	memcpy(image.bytes + CODE + GO_FUNCTION_BYTES - 8, READ_G, 9);
	expect_error(-EOPNOTSUPP);
}

static void test_no_systemstack(void **state)
{
	uint8_t *name;

	(void)state;
	begin(20);
	put_inline("go1.22.3");
	name = memmem(image.bytes, sizeof(image.bytes), "runtime.systemstack", 19);
	assert_non_null(name);
	name[18] = 'K';
	expect_error(-EOPNOTSUPP);
}

/* --- what is no Go program --- */

static void test_not_go(void **state)
{
	Elf64_Ehdr *eh = (Elf64_Ehdr *)image.bytes;

	(void)state;
	begin(20);
	put_inline("go1.22.3");
	expect_layout(-8, 152, 192);
	eh->e_machine = EM_AARCH64;
	expect_error(-ENOENT);
	eh->e_machine = EM_X86_64;
	image.bytes[GO_RODATA] = 0xee; /* another pclntab's magic */
	expect_error(-ENOENT);
}

static void try_image(size_t size)
{
	struct go_layout l = {.g_m = 0};
	struct elf_object *o;

	if (elf_object_open_memory(image.bytes, size, "test", &o) != 0)
		return;
	if (elf_object_go_layout(o, &l) == 0)
		assert_true(l.tls < 0 && l.g_m == 48 && l.g_goid >= 152 && l.m_curg >= 184);
	elf_object_free(o);
}

static void test_every_byte_changed(void **state)
{
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};

	(void)state;
	for (int pointers = 0; pointers < 2; pointers++) {
		begin(pointers ? 16 : 20);
		if (pointers)
			put_pointers("go1.17.1", INFO_VADDR + 32, INFO_VADDR + 48);
		else
			put_inline("go1.22.3");
		for (size_t i = 0; i < sizeof(image.bytes); i++) {
			uint8_t before = image.bytes[i];

			for (size_t k = 0; k < sizeof(values); k++) {
				image.bytes[i] = values[k];
				try_image(sizeof(image.bytes));
			}
			image.bytes[i] = before;
		}
		for (size_t size = 0; size < sizeof(image.bytes); size++)
			try_image(size);
		expect_layout(-8, 152, 192);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_relocated),
		cmocka_unit_test(test_broken_info),
		cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_section),
		cmocka_unit_test(test_code),
		cmocka_unit_test(test_other_code),
		cmocka_unit_test(test_no_systemstack),
		cmocka_unit_test(test_not_go),
		cmocka_unit_test(test_every_byte_changed),
	};

	return cmocka_run_group_tests_name("go_layout", tests, NULL, NULL);
}

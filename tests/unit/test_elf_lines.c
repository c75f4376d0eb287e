/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source lines and inlined functions: of this very program, whose inlining is known; and of DWARF
 * that is broken on purpose, where the reader may die, but neither this process nor its time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dwarf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "elf_image.h"
#include "symbolizer/elf_lines.h"

#define always_inline static inline __attribute__((always_inline))

/* --- this program --- */

static __attribute__((noinline, noclone)) uintptr_t caller(void)
{
	return (uintptr_t)__builtin_return_address(0) - 1;
}

enum { INNER_LINE = __LINE__ + 3 };
always_inline uintptr_t inner(void)
{
	return caller() + 0 * (uintptr_t)getpid();
}

enum { MIDDLE_LINE = __LINE__ + 3 };
always_inline uintptr_t middle(void)
{
	return inner();
}

enum { OUTER_LINE = __LINE__ + 3 };
static __attribute__((noinline, noclone)) uintptr_t outer(void)
{
	return middle();
}

static int first_object(struct dl_phdr_info *info, size_t size, void *base)
{
	(void)size;
	*(uintptr_t *)base = info->dlpi_addr;
	return 1;
}

static struct elf_object *open_self(void)
{
	struct elf_object *o;
	int fd = open("/proc/self/exe", O_RDONLY);

	assert_int_equal(elf_object_open(fd, "/proc/self/exe", "", &o), 0);
	close(fd);
	return o;
}

static uint64_t address_in_inner(void)
{
	uintptr_t base;

	dl_iterate_phdr(first_object, &base);
	return outer() - base;
}

static void check_chain(const struct elf_line *lines, size_t n)
{
	static const char *const names[] = {"inner", "middle", "outer"};
	static const uint32_t numbers[] = {INNER_LINE, MIDDLE_LINE, OUTER_LINE};

	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(lines[i].name, names[i]);
		assert_int_equal(lines[i].line, numbers[i]);
		assert_int_equal(lines[i].start_line, numbers[i] - 2);
		assert_non_null(strstr(lines[i].file, "test_elf_lines.c"));
	}
}

static void test_inlined_functions(void **state)
{
	struct elf_line lines[ELF_LINES_MAX];
	struct elf_object *o = open_self();
	uint64_t at = address_in_inner();
	uint64_t start, end;

	(void)state;
	assert_true(elf_object_has_lines(o));
	check_chain(lines, elf_object_lines(o, at, lines, ELF_LINES_MAX));
	/* Too little room leaves out the innermost. */
	assert_int_equal(elf_object_lines(o, at, lines, 2), 2);
	assert_string_equal(lines[0].name, "middle");
	assert_string_equal(lines[1].name, "outer");
	assert_int_equal(elf_object_lines(o, at, lines, 0), 0);
	/* Outside of all code. */
	assert_true(elf_object_text(o, &start, &end));
	assert_int_equal(elf_object_lines(o, 0, lines, ELF_LINES_MAX), 0);
	assert_int_equal(elf_object_lines(o, end, lines, ELF_LINES_MAX), 0);
	assert_int_equal(elf_object_lines(o, UINT64_MAX, lines, ELF_LINES_MAX), 0);
	elf_object_free(o);
}

struct found {
	size_t n, last;
};

static void found_chain(void *context, size_t index, const struct elf_line *lines, size_t n)
{
	struct found *found = context;

	found->n++;
	found->last = index;
	check_chain(lines, n);
}

static void test_in_a_process(void **state)
{
	uint64_t at = address_in_inner();
	const uint64_t vaddrs[] = {0, at, at, UINT64_MAX};
	struct elf_object *o = open_self();
	struct found found = {0};

	(void)state;
	assert_int_equal(elf_lines_resolve(o, vaddrs, 4, 60000, found_chain, &found), 0);
	assert_int_equal(found.n, 2);
	assert_int_equal(found.last, 2);
	assert_int_equal(elf_lines_resolve(o, vaddrs, 0, 60000, found_chain, &found), 0);
	assert_int_equal(elf_lines_resolve(o, vaddrs, 4, 0, found_chain, &found), -ETIME);
	assert_int_equal(found.n, 2);
	elf_object_free(o);
}

static void count_any(void *context, size_t index, const struct elf_line *lines, size_t n)
{
	struct found *found = context;

	assert_true(n > 0 && n <= ELF_LINES_MAX);
	for (size_t i = 0; i < n; i++)
		assert_true((!lines[i].name || *lines[i].name) && (!lines[i].file || *lines[i].file));
	found->last = index;
	found->n++;
}

/* More than can be done in the time: it is over in time, and what was found counts. */
static void test_reader_that_does_not_end(void **state)
{
	const size_t n = 1u << 24;
	uint64_t *vaddrs = malloc(n * sizeof(*vaddrs)), at = address_in_inner();
	struct elf_object *o = open_self();
	struct found found = {0};

	(void)state;
	assert_non_null(vaddrs);
	for (size_t i = 0; i < n; i++)
		vaddrs[i] = at;
	assert_int_equal(elf_lines_resolve(o, vaddrs, n, 300, count_any, &found), -ETIME);
	assert_true(found.n > 0 && found.n < n);
	elf_object_free(o);
	free(vaddrs);
}

/* The file shrinks while it is mapped, and nothing catches the signal: the reader dies of it. */
static void test_reader_that_dies(void **state)
{
	char path[] = "/tmp/wireprof-test-XXXXXX", buffer[65536];
	int from = open("/proc/self/exe", O_RDONLY), fd = mkstemp(path);
	uint64_t at = address_in_inner();
	struct found found = {0};
	struct elf_object *o;
	ssize_t n;

	(void)state;
	unlink(path);
	while ((n = read(from, buffer, sizeof(buffer))) > 0)
		assert_int_equal(write(fd, buffer, (size_t)n), n);
	assert_int_equal(elf_object_open(fd, path, "", &o), 0);
	assert_true(elf_object_has_lines(o));
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(elf_lines_resolve(o, &at, 1, 60000, count_any, &found), -EIO);
	assert_int_equal(found.n, 0);
	elf_object_free(o);
	close(fd);
	close(from);
}

/* --- DWARF made here --- */

struct bytes {
	uint8_t data[1024];
	size_t n;
};

static void put(struct bytes *b, uint64_t value, size_t size)
{
	assert_true(b->n + size <= sizeof(b->data));
	memcpy(b->data + b->n, &value, size);
	b->n += size;
}

static void put_text(struct bytes *b, const char *text)
{
	while (*text)
		put(b, (uint8_t)*text++, 1);
	put(b, 0, 1);
}

enum { A_UNIT = 1, A_FUNCTION, A_INLINED, A_ABSTRACT, A_BLOCK };

static void put_abbrev(struct bytes *b, uint8_t code, uint8_t tag, bool children,
		       const uint8_t *attributes)
{
	put(b, code, 1);
	put(b, tag, 1);
	put(b, children, 1);
	while (*attributes)
		put(b, *attributes++, 1);
	put(b, 0, 2);
}

static void make_abbrevs(struct bytes *b)
{
	put_abbrev(b, A_UNIT, DW_TAG_compile_unit, true,
		   (uint8_t[]){DW_AT_low_pc, DW_FORM_addr, DW_AT_high_pc, DW_FORM_data4, 0});
	put_abbrev(b, A_FUNCTION, DW_TAG_subprogram, true,
		   (uint8_t[]){DW_AT_name, DW_FORM_string, DW_AT_low_pc, DW_FORM_addr, DW_AT_high_pc,
			       DW_FORM_data4, 0});
	put_abbrev(b, A_INLINED, DW_TAG_inlined_subroutine, true,
		   (uint8_t[]){DW_AT_abstract_origin, DW_FORM_ref4, DW_AT_low_pc, DW_FORM_addr,
			       DW_AT_high_pc, DW_FORM_data4, DW_AT_call_line, DW_FORM_data1, 0});
	put_abbrev(b, A_ABSTRACT, DW_TAG_subprogram, false,
		   (uint8_t[]){DW_AT_abstract_origin, DW_FORM_ref4, 0});
	put_abbrev(b, A_BLOCK, DW_TAG_lexical_block, true,
		   (uint8_t[]){DW_AT_sibling, DW_FORM_ref4, 0});
	put(b, 0, 1);
}

#define CODE_SIZE 0x100u
#define HEADER	  11u /* of a unit, DWARF 4, 7.5.1.1 */

struct dwarf {
	struct bytes abbrev, info;
	uint64_t code;
};

/* Unit and function, both open; the function's children follow. */
static void begin_dwarf(struct dwarf *d, uint64_t code)
{
	memset(d, 0, sizeof(*d));
	d->code = code;
	make_abbrevs(&d->abbrev);
	put(&d->info, 0, 4); /* length: finish_dwarf() */
	put(&d->info, 4, 2);
	put(&d->info, 0, 4);
	put(&d->info, 8, 1);
	put(&d->info, A_UNIT, 1);
	put(&d->info, code, 8);
	put(&d->info, CODE_SIZE, 4);
	put(&d->info, A_FUNCTION, 1);
	put_text(&d->info, "whole");
	put(&d->info, code, 8);
	put(&d->info, CODE_SIZE, 4);
}

static size_t put_inlined(struct dwarf *d, uint32_t origin)
{
	size_t at = d->info.n;

	put(&d->info, A_INLINED, 1);
	put(&d->info, origin, 4);
	put(&d->info, d->code, 8);
	put(&d->info, CODE_SIZE / 2, 4);
	put(&d->info, 42, 1);
	return at;
}

static void finish_dwarf(struct dwarf *d, unsigned int open, struct image *m)
{
	uint32_t length;

	put(&d->info, 0, 1 * open);
	length = (uint32_t)d->info.n - 4;
	memcpy(d->info.data, &length, sizeof(length));
	image_section(m, ".debug_abbrev", SHT_PROGBITS, d->abbrev.data, d->abbrev.n);
	image_section(m, ".debug_info", SHT_PROGBITS, d->info.data, d->info.n);
	image_finish(m);
}

static uint64_t begin_image(struct image *m)
{
	static const uint8_t code[CODE_SIZE];

	image_init(m);
	return m->sections[image_section(m, ".text", SHT_PROGBITS, code, sizeof(code))].sh_addr;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* How the reader fares with an image: its error, after at most a second or so. */
static int resolve_image(const struct image *m, size_t size, struct found *found)
{
	uint64_t vaddrs[16], start = now_ms();
	struct elf_object *o;
	int err;

	*found = (struct found){0};
	if (elf_object_open_memory(m->bytes, size, "/nonexistent/image", &o))
		return -ENOEXEC;
	for (uint64_t i = 0; i < 16; i++)
		vaddrs[i] = IMAGE_TEXT + 0x200 + i * 0x10;
	err = elf_lines_resolve(o, vaddrs, 16, 300, count_any, found);
	elf_object_free(o);
	assert_true(now_ms() - start < 5000);
	return err;
}

static void make_sound(struct image *m)
{
	struct dwarf d;

	begin_dwarf(&d, begin_image(m));
	put_inlined(&d, HEADER + 13); /* the function itself: a strange thing to inline, but sound */
	finish_dwarf(&d, 3, m);
}

static void sound_lines(void *context, size_t index, const struct elf_line *lines, size_t n)
{
	struct found *found = context;

	assert_int_equal(n, index < 8 ? 2 : 1);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(lines[i].name, "whole");
	assert_int_equal(lines[n - 1].line, n == 2 ? 42 : 0);
	found->n++;
}

static void test_image_is_read(void **state)
{
	static struct image m;
	struct elf_object *o;
	struct found found = {0};
	uint64_t vaddrs[16];

	(void)state;
	make_sound(&m);
	assert_int_equal(elf_object_open_memory(m.bytes, m.size, "/nonexistent/image", &o), 0);
	for (uint64_t i = 0; i < 16; i++)
		vaddrs[i] = IMAGE_TEXT + 0x200 + i * 0x10;
	assert_int_equal(elf_lines_resolve(o, vaddrs, 16, 60000, sound_lines, &found), 0);
	assert_int_equal(found.n, 16);
	elf_object_free(o);
}

/* Whose name is the other's: neither has one. */
static void test_cyclic_origins(void **state)
{
	static struct image m;
	struct found found;
	struct dwarf d;
	size_t a, at;

	(void)state;
	begin_dwarf(&d, begin_image(&m));
	at = put_inlined(&d, 0);
	put(&d.info, 0, 1); /* its children */
	a = d.info.n;
	put(&d.info, A_ABSTRACT, 1);
	put(&d.info, a + 5, 4);
	put(&d.info, A_ABSTRACT, 1);
	put(&d.info, a, 4);
	memcpy(d.info.data + at + 1, &(uint32_t){(uint32_t)a}, 4);
	finish_dwarf(&d, 2, &m);
	assert_int_equal(resolve_image(&m, m.size, &found), 0);
	assert_int_equal(found.n, 16);
}

/* A sibling that is an ancestor, or itself, and a tree that is deeper than any compiler's. */
static void test_cyclic_siblings(void **state)
{
	static struct image m;
	struct found found;

	(void)state;
	for (int inside = 0; inside < 2; inside++) {
		struct dwarf d;
		size_t block;

		begin_dwarf(&d, begin_image(&m));
		if (inside)
			put_inlined(&d, HEADER);
		block = d.info.n;
		put(&d.info, A_BLOCK, 1);
		put(&d.info, block, 4);
		finish_dwarf(&d, 3 + (unsigned int)inside, &m);
		/* In whatever way it ends, it ends. */
		resolve_image(&m, m.size, &found);
	}
}

static void test_deep_tree(void **state)
{
	static struct image m;
	struct found found;
	struct dwarf d;

	(void)state;
	begin_dwarf(&d, begin_image(&m));
	for (int i = 0; i < 180; i++) {
		put(&d.info, A_BLOCK, 1);
		put(&d.info, 0, 4);
	}
	finish_dwarf(&d, 8, &m);
	resolve_image(&m, m.size, &found);
}

static void test_wild_offsets(void **state)
{
	static const uint32_t offsets[] = {0, 1, 1000, 0x7fffffff, 0xfffffff0, 0xffffffff};
	static struct image m;
	struct found found;

	(void)state;
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		struct dwarf d;

		begin_dwarf(&d, begin_image(&m));
		put_inlined(&d, offsets[i]);
		finish_dwarf(&d, 3, &m);
		resolve_image(&m, m.size, &found);
	}
}

static void test_truncated(void **state)
{
	static struct image m;
	struct found found;

	(void)state;
	make_sound(&m);
	for (size_t size = 0; size < m.size; size += 13)
		resolve_image(&m, size, &found);
}

/* Each field of each section header in turn says something else. */
static void test_lying_sections(void **state)
{
	static const uint64_t lies[] = {1, 0xffffffff, UINT64_C(1) << 32, UINT64_MAX - 0x100, UINT64_MAX};
	static struct image m;
	struct found found;

	(void)state;
	for (uint32_t section = 2; section < 4; section++)
		for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
			for (int field = 0; field < 4; field++) {
				Elf64_Shdr *sh;

				make_sound(&m);
				sh = (Elf64_Shdr *)(m.bytes + m.size - m.n_sections * sizeof(*sh)) +
				     section;
				if (field == 0)
					sh->sh_size = lies[i];
				else if (field == 1)
					sh->sh_offset = lies[i];
				else if (field == 2)
					sh->sh_link = (uint32_t)lies[i];
				else
					sh->sh_flags = lies[i]; /* SHF_COMPRESSED among others */
				resolve_image(&m, m.size, &found);
			}
}

/* --- debug files that are none --- */

static void test_debug_file_is_a_fifo_or_directory(void **state)
{
	char directory[] = "/tmp/wireprof-test-XXXXXX", path[64], link[64];
	uint8_t section[16] = "p.debug\0\1\2\3\4";
	static struct image m;
	struct found found = {0};
	struct elf_object *o;
	uint64_t at = begin_image(&m);

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/p", directory);
	snprintf(link, sizeof(link), "%s/p.debug", directory);
	image_section(&m, ".gnu_debuglink", SHT_PROGBITS, section, 12);
	image_finish(&m);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(i ? mkdir(link, 0755) : mkfifo(link, 0644), 0);
		assert_int_equal(elf_object_open_memory(m.bytes, m.size, path, &o), 0);
		assert_false(elf_object_has_lines(o));
		assert_int_equal(elf_lines_resolve(o, &at, 1, 1000, count_any, &found), 0);
		elf_object_free(o);
		assert_int_equal(i ? rmdir(link) : unlink(link), 0);
	}
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inlined_functions),
		cmocka_unit_test(test_in_a_process),
		cmocka_unit_test(test_reader_that_does_not_end),
		cmocka_unit_test(test_reader_that_dies),
		cmocka_unit_test(test_image_is_read),
		cmocka_unit_test(test_cyclic_origins),
		cmocka_unit_test(test_cyclic_siblings),
		cmocka_unit_test(test_deep_tree),
		cmocka_unit_test(test_wild_offsets),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_lying_sections),
		cmocka_unit_test(test_debug_file_is_a_fifo_or_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

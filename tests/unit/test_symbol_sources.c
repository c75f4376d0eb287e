/* SPDX-License-Identifier: Apache-2.0 */
/* Where names come from other than .symtab: .gnu_debugdata together with .dynsym, and the PLT. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <lzma.h>
#include <stdlib.h>
#include "elf_image.h"
#include "symbolizer/elf_object.h"

static struct elf_object *open_image(const struct image *m)
{
	struct elf_object *o;

	assert_int_equal(elf_object_open_memory(m->bytes, m->size, "/nonexistent/image", &o), 0);
	return o;
}

static void assert_name(struct elf_object *o, uint64_t vaddr, const char *name)
{
	struct elf_symbol s;
	bool found = elf_object_symbol(o, vaddr, &s);

	assert_int_equal(found, name != NULL);
	if (name)
		assert_string_equal(s.name, name);
}

/* --- symbol tables --- */

#define CODE_SIZE 0x100u

static uint64_t add_code(struct image *m)
{
	static const uint8_t code[CODE_SIZE];

	return m->sections[image_section(m, ".text", SHT_PROGBITS, code, sizeof(code))].sh_addr;
}

/* A table of one function, or of none where size is 0. */
static void add_table(struct image *m, uint32_t type, const char *name, uint64_t vaddr, uint64_t size)
{
	Elf64_Sym symbols[2] = {{0}};
	char strings[64] = "";
	uint32_t table;

	symbols[1] = (Elf64_Sym){.st_name = 1,
				 .st_info = ELF64_ST_INFO(STB_GLOBAL, size ? STT_FUNC : STT_OBJECT),
				 .st_shndx = 1,
				 .st_value = vaddr,
				 .st_size = size};
	memcpy(strings + 1, name, strlen(name) + 1);
	table = image_section(m, type == SHT_DYNSYM ? ".dynsym" : ".symtab", type, symbols,
			      sizeof(symbols));
	m->sections[table].sh_entsize = sizeof(Elf64_Sym);
	m->sections[table].sh_link = image_section(m, ".strtab", SHT_STRTAB, strings, sizeof(strings));
}

static size_t pack(const void *data, size_t size, uint8_t *out, size_t room)
{
	size_t packed = 0;

	assert_int_equal(lzma_easy_buffer_encode(9, LZMA_CHECK_CRC64, NULL, data, size, out, &packed,
						 room),
			 LZMA_OK);
	return packed;
}

/* A stripped object: `exported` in .dynsym at its code, and what is packed in .gnu_debugdata. */
static uint64_t make_stripped(struct image *m, const void *packed, size_t size)
{
	uint64_t code;

	image_init(m);
	code = add_code(m);
	add_table(m, SHT_DYNSYM, "exported", code, 0x10);
	image_section(m, ".gnu_debugdata", SHT_PROGBITS, packed, size);
	image_finish(m);
	return code;
}

static size_t make_mini(uint64_t code, uint8_t *out, size_t room)
{
	static struct image mini;

	image_init(&mini);
	add_code(&mini);
	add_table(&mini, SHT_SYMTAB, "hidden", code + 0x10, 0x10);
	image_finish(&mini);
	return pack(mini.bytes, mini.size, out, room);
}

static void test_mini_debug_information(void **state)
{
	static struct image m;
	uint8_t packed[4096];
	size_t n = make_mini(IMAGE_TEXT + 0x200, packed, sizeof(packed));
	uint64_t code = make_stripped(&m, packed, n);
	struct elf_object *o = open_image(&m);

	(void)state;
	assert_int_equal(code, IMAGE_TEXT + 0x200);
	assert_name(o, code, "exported");
	assert_name(o, code + 0x1f, "hidden");
	assert_name(o, code + 0x20, NULL);
	assert_true(elf_object_has_symbol(o, "hidden"));
	assert_true(elf_object_has_symbol(o, "exported"));
	elf_object_free(o);
}

/* What is cut, damaged, not xz, or no ELF file inside is as good as none. */
static void test_broken_mini_debug_information(void **state)
{
	static struct image m;
	uint8_t packed[4096];
	size_t n = make_mini(IMAGE_TEXT + 0x200, packed, sizeof(packed));

	(void)state;
	for (size_t i = 0; i < n; i++) {
		uint64_t code = make_stripped(&m, packed, i);
		struct elf_object *o = open_image(&m);

		assert_name(o, code, "exported");
		assert_name(o, code + 0x10, NULL);
		elf_object_free(o);
	}
	for (size_t i = 0; i < n; i++) {
		struct elf_object *o;
		uint64_t code;

		packed[i] ^= 0x41;
		code = make_stripped(&m, packed, n);
		packed[i] ^= 0x41;
		o = open_image(&m);
		assert_name(o, code, "exported");
		elf_object_free(o);
	}
}

/* 80 MiB of zeroes in 12 kB, and a dictionary of 1.5 GiB. */
static void test_bombs(void **state)
{
	const size_t bomb = 80u << 20;
	static uint8_t packed[65536];
	static struct image m;
	lzma_options_lzma options;
	lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, NULL}};
	uint8_t *zeroes = calloc(1, bomb);
	struct elf_object *o;
	uint8_t *filter;
	size_t n = 0, in = 0;
	uint64_t code;

	(void)state;
	assert_non_null(zeroes);
	assert_false(lzma_lzma_preset(&options, 0));
	assert_int_equal(lzma_stream_buffer_encode(filters, LZMA_CHECK_NONE, NULL, zeroes, bomb, packed, &n,
						   sizeof(packed)),
			 LZMA_OK);
	free(zeroes);
	code = make_stripped(&m, packed, n);
	o = open_image(&m);
	assert_name(o, code, "exported");
	elf_object_free(o);

	/* The size of the dictionary is a byte of the block's header, whose CRC is fixed here. */
	n = make_mini(IMAGE_TEXT + 0x200, packed, sizeof(packed));
	in = (packed[12] + 1u) * 4;
	filter = memmem(packed + 14, in - 2, "\x21\x01", 2); /* LZMA2, with one byte of properties */
	assert_non_null(filter);
	filter[2] = 39;
	memcpy(packed + 12 + in - 4, &(uint32_t){lzma_crc32(packed + 12, in - 4, 0)}, 4);
	code = make_stripped(&m, packed, n);
	o = open_image(&m);
	assert_name(o, code, "exported");
	assert_name(o, code + 0x10, NULL);
	elf_object_free(o);
}

/* --- the PLT --- */

static void put_jump(uint8_t *code, uint64_t at, uint64_t slot)
{
	uint32_t distance = (uint32_t)(slot - (at + 6));

	memcpy(code, "\xff\x25", 2);
	memcpy(code + 2, &distance, 4);
}

#define SLOTS UINT64_C(0x500000)

/* Slot i of the GOT is to hold the address of symbol i + 1. */
static void add_relocations(struct image *m, uint32_t n)
{
	static const char strings[] = "\0puts\0memcpy\0_ZN1a1bEv\0";
	Elf64_Sym symbols[4] = {{0}, {.st_name = 1}, {.st_name = 6}, {.st_name = 13}};
	Elf64_Rela relocations[5] = {{0}};
	uint32_t table = image_section(m, ".dynsym", SHT_DYNSYM, symbols, sizeof(symbols)), i;

	m->sections[table].sh_entsize = sizeof(Elf64_Sym);
	m->sections[table].sh_link = image_section(m, ".dynstr", SHT_STRTAB, strings, sizeof(strings));
	for (i = 0; i < n; i++) {
		relocations[i].r_offset = SLOTS + 8 * i;
		relocations[i].r_info = ELF64_R_INFO(i + 1, i ? R_X86_64_JUMP_SLOT : R_X86_64_GLOB_DAT);
	}
	table = image_section(m, ".rela.plt", SHT_RELA, relocations, n * sizeof(*relocations));
	m->sections[table].sh_entsize = sizeof(Elf64_Rela);
	m->sections[table].sh_flags = SHF_ALLOC;
}

static uint64_t add_plt(struct image *m, const char *name, const uint8_t *code, size_t size)
{
	uint32_t plt = image_section(m, name, SHT_PROGBITS, code, size);

	m->sections[plt].sh_flags = SHF_ALLOC | SHF_EXECINSTR;
	return m->sections[plt].sh_addr;
}

static uint64_t next_section(const struct image *m)
{
	return IMAGE_TEXT + ((m->size + 15) & ~(size_t)15);
}

static void test_plt(void **state)
{
	uint8_t plt[0x50] = {0xff, 0x35}, got[16] = {0};
	static struct image m;
	struct elf_object *o;
	uint64_t at;

	(void)state;
	image_init(&m);
	add_relocations(&m, 4); /* the last one's symbol does not exist */
	at = next_section(&m);
	put_jump(plt + 0x10, at + 0x10, SLOTS + 8);
	memcpy(plt + 0x20, "\xf3\x0f\x1e\xfa\xf2", 5); /* endbr64, bnd */
	put_jump(plt + 0x25, at + 0x25, SLOTS + 16);
	memcpy(plt + 0x30, "\xf3\x0f\x1e\xfa\x68\0\0\0\0", 9); /* endbr64, push 0 */
	put_jump(plt + 0x40, at + 0x40, SLOTS + 24);
	assert_int_equal(add_plt(&m, ".plt", plt, sizeof(plt)), at);
	put_jump(got, next_section(&m), SLOTS);
	memcpy(got + 6, "\x66\x90", 2);
	put_jump(got + 8, next_section(&m) + 8, SLOTS + 8);
	memcpy(got + 14, "\x66\x90", 2);
	add_plt(&m, ".plt.got", got, sizeof(got));
	image_finish(&m);
	o = open_image(&m);
	assert_name(o, at, NULL);
	assert_name(o, at + 0x10, "memcpy@plt");
	assert_name(o, at + 0x1f, "memcpy@plt");
	assert_name(o, at + 0x20, "_ZN1a1bEv@plt");
	assert_name(o, at + 0x30, "puts@plt");
	assert_name(o, at + 0x40, NULL);
	assert_name(o, at + 0x50, "puts@plt");
	assert_name(o, at + 0x58, "memcpy@plt");
	assert_name(o, at + 0x60, NULL);
	assert_false(elf_object_has_symbol(o, "puts@plt"));
	elf_object_free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mini_debug_information),
		cmocka_unit_test(test_broken_mini_debug_information),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_plt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

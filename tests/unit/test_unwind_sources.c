/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where unwind rows come from besides .eh_frame: .debug_frame in all its wrappings, a separate
 * debug file, the bytes of rt_sigreturn; and that sources fill each other's gaps.
 *
 * Each test puts an ELF image together: TEXT_SIZE bytes of text at TEXT, and sections as needed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "symbolizer/elf_object.h"

#define TEXT         0x400000u
#define TEXT_OFFSET  0x1000u
#define TEXT_SIZE    0x3000u
#define CONTENT      0x4000u
#define IMAGE_MAX    0x10000u
#define SECTIONS_MAX 8

struct buffer {
	uint8_t bytes[0x4000];
	size_t n;
};

static struct {
	uint8_t bytes[IMAGE_MAX];
	size_t n;
	Elf64_Shdr sh[SECTIONS_MAX];
	unsigned int n_sections;
	char names[256];
	size_t n_names;
} image;

static void put(struct buffer *b, const void *data, size_t n)
{
	assert_true(b->n + n <= sizeof(b->bytes));
	memcpy(b->bytes + b->n, data, n);
	b->n += n;
}

static void put_u32(struct buffer *b, uint32_t v)
{
	put(b, &v, sizeof(v));
}

static void put_u64(struct buffer *b, uint64_t v)
{
	put(b, &v, sizeof(v));
}

static void begin_image(void)
{
	memset(&image, 0, sizeof(image));
	image.n = CONTENT;
	image.n_sections = 1;
	image.n_names = 1;
	memset(image.bytes + TEXT_OFFSET, 0x90, TEXT_SIZE);
}

static Elf64_Shdr *add_section(const char *name, uint32_t type, uint64_t flags, const void *data,
			       size_t n)
{
	Elf64_Shdr *sh = &image.sh[image.n_sections++];

	assert_true(image.n_sections <= SECTIONS_MAX && image.n + n <= IMAGE_MAX);
	sh->sh_name = (uint32_t)image.n_names;
	sh->sh_type = type;
	sh->sh_flags = flags;
	sh->sh_offset = image.n;
	sh->sh_size = n;
	memcpy(image.names + image.n_names, name, strlen(name) + 1);
	image.n_names += strlen(name) + 1;
	memcpy(image.bytes + image.n, data, n);
	image.n += (n + 7) & ~(size_t)7;
	return sh;
}

static void add_frame(const char *name, const struct buffer *b)
{
	Elf64_Shdr *sh = add_section(name, SHT_PROGBITS, 0, b->bytes, b->n);

	sh->sh_addr = sh->sh_offset;
}

static void finish_image(void)
{
	Elf64_Ehdr eh = {.e_type = ET_DYN,
			 .e_machine = EM_X86_64,
			 .e_phoff = sizeof(eh),
			 .e_phnum = 1,
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_shentsize = sizeof(Elf64_Shdr)};
	Elf64_Phdr ph = {.p_type = PT_LOAD,
			 .p_flags = PF_R | PF_X,
			 .p_offset = TEXT_OFFSET,
			 .p_vaddr = TEXT,
			 .p_filesz = TEXT_SIZE,
			 .p_memsz = TEXT_SIZE};
	Elf64_Shdr *text = add_section(".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, "", 0);

	text->sh_addr = TEXT;
	text->sh_offset = TEXT_OFFSET;
	text->sh_size = TEXT_SIZE;
	image.names[image.n_names] = 0;
	add_section(".shstrtab", SHT_STRTAB, 0, image.names, sizeof(image.names));
	memcpy(image.bytes + image.sh[image.n_sections - 1].sh_offset, image.names,
	       sizeof(image.names));
	eh.e_shnum = (uint16_t)image.n_sections;
	eh.e_shstrndx = eh.e_shnum - 1;
	eh.e_shoff = image.n;
	memcpy(eh.e_ident, ELFMAG, SELFMAG);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	memcpy(image.bytes, &eh, sizeof(eh));
	memcpy(image.bytes + sizeof(eh), &ph, sizeof(ph));
	assert_true(image.n + sizeof(image.sh) <= IMAGE_MAX);
	memcpy(image.bytes + image.n, image.sh, sizeof(image.sh));
	image.n += sizeof(image.sh);
}

/* --- records --- */

static size_t begin_record(struct buffer *b, bool wide)
{
	if (wide)
		put_u32(b, UINT32_MAX);
	return b->n + (wide ? 8 : 4);
}

static void end_record(struct buffer *b, size_t start, bool wide)
{
	size_t field = start - (wide ? 8 : 4);
	uint64_t length;

	while (b->n % 8)
		put(b, "", 1);
	length = b->n - start;
	memcpy(b->bytes + field, &length, wide ? 8 : 4);
}

/* A CIE of .debug_frame: CFA = rsp + 8. Returns its offset. */
static size_t debug_cie(struct buffer *b, uint8_t version, const char *augmentation, bool wide)
{
	static const uint8_t rules[] = {0x0c, 7, 8, 0x90, 1};
	size_t offset = b->n, start = begin_record(b, wide);

	put_u64(b, 0);
	b->n = start;
	put_u64(b, UINT64_MAX);
	b->n = start + (wide ? 8 : 4);
	put(b, &version, 1);
	put(b, augmentation, strlen(augmentation) + 1);
	if (version == 4)
		put(b, "\x08", 2);
	put(b, "\x01\x78\x10", 3);
	put(b, rules, sizeof(rules));
	end_record(b, start, wide);
	return offset;
}

/* A function whose CFA is rsp + cfa. */
static void debug_fde(struct buffer *b, size_t cie, uint64_t start, uint64_t size, uint8_t cfa,
		      bool wide)
{
	size_t record = begin_record(b, wide);

	b->n = record;
	if (wide)
		put_u64(b, cie);
	else
		put_u32(b, (uint32_t)cie);
	put_u64(b, start);
	put_u64(b, size);
	put(b, (const uint8_t[]){0x0e, cfa}, 2);
	end_record(b, record, wide);
}

/* .eh_frame with absolute addresses: functions {start, size, cfa}. */
static struct buffer eh_frame(const uint64_t (*functions)[3], size_t n)
{
	static const uint8_t cie[] = {1,  'z', 'R', 0, 1, 0x78, 16, 1, 0x04, 0x0c,
				      7,  8,   0x90, 1};
	struct buffer b = {.n = 4};
	size_t record = 4;

	put_u32(&b, 0);
	put(&b, cie, sizeof(cie));
	end_record(&b, record, false);
	for (size_t i = 0; i < n; i++) {
		record = b.n += 4;
		put_u32(&b, (uint32_t)b.n);
		put_u64(&b, functions[i][0]);
		put_u64(&b, functions[i][1]);
		put(&b, (const uint8_t[]){0, 0x0e, (uint8_t)functions[i][2]}, 3);
		end_record(&b, record, false);
	}
	return b;
}

/* --- results --- */

struct want {
	uint32_t offset;
	uint8_t kind;
	uint16_t cfa;
};

static void compare_rows(const struct elf_object *o, const struct want *want, size_t n)
{
	struct unwind_rows u;

	assert_int_equal(elf_object_described_rows(o, &u), 0);
	for (size_t i = 0; i < n && i < u.n_rows; i++) {
		assert_int_equal(u.base + u.rows[i].pc, TEXT + want[i].offset);
		assert_int_equal(u.rows[i].kind, want[i].kind);
		assert_int_equal(u.rows[i].cfa, want[i].cfa);
	}
	assert_int_equal(u.n_rows, n);
	unwind_rows_free(&u);
}

static void compare_image(const struct want *want, size_t n)
{
	struct elf_object *o;

	finish_image();
	assert_int_equal(elf_object_open_memory(image.bytes, image.n, "test", &o), 0);
	compare_rows(o, want, n);
	elf_object_free(o);
}

#define EXPECT(...)                                                                                \
	do {                                                                                       \
		const struct want want_[] = {__VA_ARGS__};                                         \
		compare_image(want_, sizeof(want_) / sizeof(want_[0]));                            \
	} while (0)
#define EXPECT_NOTHING compare_image(NULL, 0)

#define NONE_AT(offset) {offset, UNWIND_NONE, 0}
#define RSP_AT(offset, words) {offset, UNWIND_RSP, words}
#define SIGNAL_AT(offset) {offset, UNWIND_SIGNAL, 0}

/* Two functions with a gap. */
static struct buffer two_functions(uint8_t version, const char *augmentation, bool wide)
{
	struct buffer b = {0};
	size_t cie = debug_cie(&b, version, augmentation, wide);

	debug_fde(&b, cie, TEXT + 0x100, 0x100, 16, wide);
	debug_fde(&b, cie, TEXT + 0x40, 0x40, 24, wide);
	return b;
}
#define TWO_FUNCTIONS                                                                              \
	NONE_AT(0), RSP_AT(0x40, 3), NONE_AT(0x80), RSP_AT(0x100, 2), NONE_AT(0x200)

static void test_debug_frame(void **state)
{
	static const uint8_t versions[] = {1, 3, 4};

	(void)state;
	for (int i = 0; i < 6; i++) {
		struct buffer b = two_functions(versions[i / 2], "", i % 2);

		begin_image();
		add_frame(".debug_frame", &b);
		EXPECT(TWO_FUNCTIONS);
	}
}

static void test_debug_frame_oddities(void **state)
{
	struct buffer b = {0};
	size_t cie;

	(void)state;
	/* zeroes between an object file's records and the next one's: no end */
	cie = debug_cie(&b, 1, "", false);
	debug_fde(&b, cie, TEXT + 0x100, 0x100, 16, false);
	put_u32(&b, 0);
	cie = debug_cie(&b, 1, "", false);
	debug_fde(&b, cie, TEXT + 0x40, 0x40, 24, false);
	/* functions that the linker dropped */
	debug_fde(&b, cie, 0, 0x40, 24, false);
	begin_image();
	add_frame(".debug_frame", &b);
	EXPECT(TWO_FUNCTIONS);
	/* an FDE whose CIE is an FDE, itself, behind it, behind the section */
	for (int i = 0; i < 4; i++) {
		size_t first;

		memset(&b, 0, sizeof(b));
		cie = debug_cie(&b, 1, "", false);
		first = b.n;
		debug_fde(&b, cie, TEXT, 0x40, 16, false);
		debug_fde(&b, i == 0 ? first : i == 1 ? b.n : i == 2 ? b.n + 40 : 1u << 30,
			  TEXT + 0x40, 0x40, 24, false);
		begin_image();
		add_frame(".debug_frame", &b);
		EXPECT(RSP_AT(0, 2), NONE_AT(0x40));
	}
	/* other sizes of address, and augmentations that nobody knows */
	b = two_functions(4, "", false);
	b.bytes[8 + 2] = 4;
	begin_image();
	add_frame(".debug_frame", &b);
	EXPECT_NOTHING;
	b = two_functions(1, "armcc", false);
	begin_image();
	add_frame(".debug_frame", &b);
	EXPECT_NOTHING;
}

/* Functions that the linker dropped are at zero, which may be text: that of the file's headers. */
static void test_dropped_functions(void **state)
{
	struct buffer b = {0};
	struct unwind_rows u;
	struct elf_object *o;
	size_t cie = debug_cie(&b, 1, "", false);

	(void)state;
	debug_fde(&b, cie, 0, 0x80, 24, false);
	debug_fde(&b, cie, 0x40, 0x40, 16, false);
	begin_image();
	add_frame(".debug_frame", &b);
	finish_image();
	((Elf64_Phdr *)(image.bytes + sizeof(Elf64_Ehdr)))->p_vaddr = 0;
	assert_int_equal(elf_object_open_memory(image.bytes, image.n, "test", &o), 0);
	assert_int_equal(elf_object_described_rows(o, &u), 0);
	assert_int_equal(u.bad_fdes, 0);
	assert_int_equal(u.n_rows, 3);
	assert_int_equal(u.rows[0].kind, UNWIND_NONE);
	assert_int_equal(u.rows[1].pc, 0x40);
	assert_int_equal(u.rows[1].cfa, 2);
	unwind_rows_free(&u);
	elf_object_free(o);
}

static void test_signal_frame_in_debug_frame(void **state)
{
	struct buffer b = two_functions(1, "S", false);
	struct unwind_rows u;
	struct elf_object *o;

	(void)state;
	begin_image();
	add_frame(".debug_frame", &b);
	finish_image();
	assert_int_equal(elf_object_open_memory(image.bytes, image.n, "test", &o), 0);
	assert_int_equal(elf_object_described_rows(o, &u), 0);
	assert_int_equal(u.n_rows, 5);
	assert_int_equal(u.rows[1].kind, UNWIND_EXTENDED);
	assert_int_equal(u.rules[u.rows[1].cfa].signal, 1);
	unwind_rows_free(&u);
	elf_object_free(o);
}

/* Where .eh_frame speaks it is not overridden. */
static void test_gaps_are_filled(void **state)
{
	const uint64_t functions[][3] = {{TEXT + 0x60, 0x40, 8}, {TEXT + 0x180, 0x40, 32}};
	struct buffer eh = eh_frame(functions, 2), debug = {0};
	size_t cie = debug_cie(&debug, 1, "", false);

	(void)state;
	debug_fde(&debug, cie, TEXT + 0x40, 0x80, 24, false);   /* on both sides of the first */
	debug_fde(&debug, cie, TEXT + 0x190, 0x20, 40, false);  /* inside the second */
	debug_fde(&debug, cie, TEXT + 0x2000, 0x20, 40, false); /* far behind it */
	debug_fde(&debug, cie, TEXT + TEXT_SIZE - 0x20, 0x20, 48, false); /* the last bytes */
	begin_image();
	add_frame(".eh_frame", &eh);
	add_frame(".debug_frame", &debug);
	EXPECT(NONE_AT(0), RSP_AT(0x40, 3), RSP_AT(0x60, 1), RSP_AT(0xa0, 3), NONE_AT(0xc0),
	       RSP_AT(0x180, 4), NONE_AT(0x1c0), RSP_AT(0x2000, 5), NONE_AT(0x2020),
	       RSP_AT(TEXT_SIZE - 0x20, 6), NONE_AT(TEXT_SIZE));
}

/* --- compression --- */

static struct buffer compressed(const struct buffer *b, uint32_t type, uint64_t claimed_size)
{
	Elf64_Chdr ch = {.ch_type = type, .ch_size = claimed_size, .ch_addralign = 1};
	struct buffer out = {0};
	uLongf n = sizeof(out.bytes) - sizeof(ch);

	put(&out, &ch, sizeof(ch));
	assert_int_equal(compress(out.bytes + out.n, &n, b->bytes, b->n), Z_OK);
	out.n += n;
	return out;
}

static void add_compressed(const struct buffer *b)
{
	add_section(".debug_frame", SHT_PROGBITS, SHF_COMPRESSED, b->bytes, b->n);
}

static void test_compressed(void **state)
{
	struct buffer plain = two_functions(1, "", false), b, z = {0};
	uint64_t size = __builtin_bswap64(plain.n);

	(void)state;
	b = compressed(&plain, ELFCOMPRESS_ZLIB, plain.n);
	begin_image();
	add_compressed(&b);
	EXPECT(TWO_FUNCTIONS);
	/* the older form */
	put(&z, "ZLIB", 4);
	put(&z, &size, sizeof(size));
	put(&z, b.bytes + sizeof(Elf64_Chdr), b.n - sizeof(Elf64_Chdr));
	begin_image();
	add_section(".zdebug_frame", SHT_PROGBITS, 0, z.bytes, z.n);
	EXPECT(TWO_FUNCTIONS);
}

static void test_bad_compression(void **state)
{
	struct buffer plain = two_functions(1, "", false), b;
	const uint64_t sizes[] = {0,         1, plain.n - 1, plain.n + 1, 200000, UINT64_C(1) << 40,
				  UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		b = compressed(&plain, ELFCOMPRESS_ZLIB, sizes[i]);
		begin_image();
		add_compressed(&b);
		EXPECT_NOTHING;
	}
	b = compressed(&plain, 2, plain.n); /* zstd: not read */
	begin_image();
	add_compressed(&b);
	EXPECT_NOTHING;
	for (size_t cut = 0; cut < b.n; cut++) {
		b = compressed(&plain, ELFCOMPRESS_ZLIB, plain.n);
		b.n = cut;
		begin_image();
		add_compressed(&b);
		EXPECT_NOTHING;
	}
}

/* A bomb: 200 MB of zeroes in 200 kB. What it claims is refused before memory is taken. */
static void test_bomb(void **state)
{
	const size_t size = (size_t)200 << 20;
	struct buffer b = {0};
	Elf64_Chdr ch = {.ch_type = ELFCOMPRESS_ZLIB, .ch_size = size};

	(void)state;
	put(&b, &ch, sizeof(ch));
	memset(b.bytes + b.n, 0, 0x1000);
	b.n += 0x1000;
	begin_image();
	add_compressed(&b);
	EXPECT_NOTHING;
}

/* --- the separate debug file --- */

static void write_file(const char *dir, const char *name)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(image.bytes, 1, image.n, f), image.n);
	assert_int_equal(fclose(f), 0);
}

static void test_separate_debug_file(void **state)
{
	const struct want want[] = {TWO_FUNCTIONS};
	char dir[] = "/tmp/test_unwind_sources.XXXXXX", path[64], other[64];
	struct buffer b = two_functions(3, "", false), link = {0};
	struct elf_object *o;
	Elf64_Sym symbol = {0};
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	begin_image();
	add_frame(".debug_frame", &b);
	add_section(".symtab", SHT_SYMTAB, 0, &symbol, sizeof(symbol));
	finish_image();
	write_file(dir, "it.debug");
	put(&link, "it.debug\0\0\0", 12);
	put_u32(&link, (uint32_t)crc32_z(0, image.bytes, image.n));
	begin_image();
	add_section(".gnu_debuglink", SHT_PROGBITS, 0, link.bytes, link.n);
	finish_image();
	write_file(dir, "it");
	snprintf(path, sizeof(path), "%s/it", dir);
	snprintf(other, sizeof(other), "%s/it.debug", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(elf_object_open(fd, path, "", &o), 0);
	close(fd);
	compare_rows(o, want, sizeof(want) / sizeof(want[0]));
	/* another file of that name is none of ours */
	image.bytes[TEXT_OFFSET] ^= 1;
	write_file(dir, "it.debug");
	compare_rows(o, NULL, 0);
	elf_object_free(o);
	unlink(path);
	unlink(other);
	rmdir(dir);
}

/* --- rt_sigreturn --- */

static const uint8_t mov_rax[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
static const uint8_t mov_eax[] = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};

static void put_text(uint32_t offset, const uint8_t *code, size_t n)
{
	memcpy(image.bytes + TEXT_OFFSET + offset, code, n);
}

static void test_sigreturn(void **state)
{
	const uint64_t functions[][3] = {{TEXT, 0x100, 16}, {TEXT + 0x200, 0x100, 16}};
	struct buffer eh = eh_frame(functions, 2);
	struct buffer debug = {0};

	(void)state;
	begin_image();
	EXPECT_NOTHING;
	/* no CFI at all */
	begin_image();
	put_text(0x80, mov_rax, sizeof(mov_rax));
	put_text(0x200, mov_eax, sizeof(mov_eax));
	EXPECT(NONE_AT(0), SIGNAL_AT(0x7f), NONE_AT(0x89), SIGNAL_AT(0x1ff), NONE_AT(0x207));
	/* first and last bytes, one after another */
	begin_image();
	put_text(0, mov_rax, sizeof(mov_rax));
	put_text(9, mov_rax, sizeof(mov_rax));
	put_text(TEXT_SIZE - 7, mov_eax, sizeof(mov_eax));
	EXPECT(SIGNAL_AT(0), NONE_AT(18), SIGNAL_AT(TEXT_SIZE - 8), NONE_AT(TEXT_SIZE));
	/* other bytes, half of them, another system call */
	begin_image();
	put_text(0x80, mov_rax, sizeof(mov_rax) - 1);
	put_text(0x100, mov_rax + 2, sizeof(mov_rax) - 2);
	put_text(0x200, mov_eax, sizeof(mov_eax));
	image.bytes[TEXT_OFFSET + 0x201] = 14;
	put_text(TEXT_SIZE - 8, mov_rax, 8);
	EXPECT_NOTHING;
	/* only where .eh_frame says nothing; before what .debug_frame says */
	begin_image();
	put_text(0x40, mov_rax, sizeof(mov_rax));
	put_text(0x100, mov_rax, sizeof(mov_rax));
	put_text(0x300, mov_rax, sizeof(mov_rax));
	put_text(0x1fc, mov_rax, sizeof(mov_rax)); /* half of it */
	debug_fde(&debug, debug_cie(&debug, 1, "", false), TEXT + 0x300, 0x10, 32, false);
	add_frame(".eh_frame", &eh);
	add_frame(".debug_frame", &debug);
	EXPECT(RSP_AT(0, 2), SIGNAL_AT(0x100), NONE_AT(0x109), RSP_AT(0x200, 2), SIGNAL_AT(0x300),
	       RSP_AT(0x309, 4), NONE_AT(0x310));
}

/* Data that looks like it is not searched, where sections tell; without them all of it is. */
static void test_sigreturn_in_sections(void **state)
{
	const struct want want[] = {NONE_AT(0), SIGNAL_AT(0x7f), NONE_AT(0x89)};
	struct elf_object *o;

	(void)state;
	begin_image();
	put_text(0x80, mov_rax, sizeof(mov_rax));
	finish_image();
	image.sh[1].sh_flags = SHF_ALLOC;
	memcpy(image.bytes + image.n - sizeof(image.sh), image.sh, sizeof(image.sh));
	assert_int_equal(elf_object_open_memory(image.bytes, image.n, "test", &o), 0);
	compare_rows(o, NULL, 0);
	elf_object_free(o);
	((Elf64_Ehdr *)image.bytes)->e_shoff = 0;
	assert_int_equal(elf_object_open_memory(image.bytes, image.n, "test", &o), 0);
	compare_rows(o, want, 3);
	elf_object_free(o);
}

static void test_many_sigreturns(void **state)
{
	struct unwind_rows u;
	struct elf_object *o;

	(void)state;
	begin_image();
	for (uint32_t i = 0; i < 100; i++)
		put_text(0x20 * i, mov_rax, sizeof(mov_rax));
	finish_image();
	assert_int_equal(elf_object_open_memory(image.bytes, image.n, "test", &o), 0);
	assert_int_equal(elf_object_described_rows(o, &u), 0);
	assert_true(u.n_rows > 8 && u.n_rows < 100);
	unwind_rows_free(&u);
	elf_object_free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_debug_frame),
		cmocka_unit_test(test_debug_frame_oddities),
		cmocka_unit_test(test_dropped_functions),
		cmocka_unit_test(test_signal_frame_in_debug_frame),
		cmocka_unit_test(test_gaps_are_filled),
		cmocka_unit_test(test_compressed),
		cmocka_unit_test(test_bad_compression),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_separate_debug_file),
		cmocka_unit_test(test_sigreturn),
		cmocka_unit_test(test_sigreturn_in_sections),
		cmocka_unit_test(test_many_sigreturns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

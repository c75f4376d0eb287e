/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF objects: segments, build-ids, symbols, debug files; on real files (libelf and libdw being the
 * oracles), on a small image made here, and on that image broken in every place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "symbolizer/elf_object.h"

/* --- a small image: one text section with symbols --- */

#define NOTE       0x100u
#define TEXT       0x200u
#define TEXT_SIZE  0x200u
#define SYMTAB     0x400u
#define STRTAB     0x700u
#define STRTAB_MAX 0x200u
#define DEBUGLINK  0x900u
#define SHSTRTAB   0x940u
#define SECTIONS   0xa00u
#define IMAGE_SIZE 0xc00u
#define BASE       0x400000u
#define CODE(at)   (BASE + TEXT + (at))

enum { S_NULL, S_TEXT, S_SYMTAB, S_STRTAB, S_SHSTRTAB, S_DEBUGLINK, S_DATA, N_SECTIONS };

struct image {
	uint8_t bytes[IMAGE_SIZE];
	unsigned int n_symbols;
	uint32_t strings;
};

static const uint8_t build_id[] = {0xab, 0xcd, 0xef, 0x01, 0x23};

static void add_symbol(struct image *m, const char *name, int bind, int type, uint16_t section,
		       uint32_t at, uint64_t size)
{
	Elf64_Sym s = {.st_name = m->strings,
		       .st_info = ELF64_ST_INFO(bind, type),
		       .st_shndx = section,
		       .st_value = CODE(at),
		       .st_size = size};

	assert_true(SYMTAB + (m->n_symbols + 1) * sizeof(s) <= STRTAB);
	assert_true(m->strings + strlen(name) < STRTAB_MAX);
	memcpy(m->bytes + STRTAB + m->strings, name, strlen(name) + 1);
	m->strings += (uint32_t)strlen(name) + 1;
	memcpy(m->bytes + SYMTAB + m->n_symbols++ * sizeof(s), &s, sizeof(s));
}

static void init_image(struct image *m)
{
	memset(m, 0, sizeof(*m));
	m->n_symbols = 1;
	m->strings = 1;
}

/* Headers, last: they tell how many symbols there are. symtab_type 0: no symbol table. */
static void finish_image(struct image *m, uint32_t symtab_type, bool with_build_id)
{
	static const char names[] = "\0.text\0.symtab\0.strtab\0.shstrtab\0.gnu_debuglink\0.data";
	const Elf64_Ehdr eh = {
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(eh),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
		.e_shoff = SECTIONS,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = N_SECTIONS,
		.e_shstrndx = S_SHSTRTAB,
		.e_ehsize = sizeof(eh),
	};
	const Elf64_Nhdr note = {4, sizeof(build_id), NT_GNU_BUILD_ID};
	const Elf64_Phdr ph[2] = {
		{.p_type = PT_LOAD,
		 .p_flags = PF_R | PF_X,
		 .p_offset = TEXT,
		 .p_vaddr = CODE(0),
		 .p_filesz = TEXT_SIZE,
		 .p_memsz = TEXT_SIZE},
		{.p_type = with_build_id ? PT_NOTE : PT_NULL,
		 .p_offset = NOTE,
		 .p_filesz = sizeof(note) + 4 + 8},
	};
	const Elf64_Shdr sh[N_SECTIONS] = {
		[S_TEXT] = {.sh_name = 1,
			    .sh_type = SHT_PROGBITS,
			    .sh_addr = CODE(0),
			    .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
			    .sh_offset = TEXT,
			    .sh_size = 0x180},
		[S_SYMTAB] = {.sh_name = 7,
			      .sh_type = symtab_type,
			      .sh_offset = SYMTAB,
			      .sh_size = m->n_symbols * sizeof(Elf64_Sym),
			      .sh_link = S_STRTAB,
			      .sh_entsize = sizeof(Elf64_Sym)},
		[S_STRTAB] = {.sh_name = 15,
			      .sh_type = SHT_STRTAB,
			      .sh_offset = STRTAB,
			      .sh_size = m->strings},
		[S_SHSTRTAB] = {.sh_name = 23,
				.sh_type = SHT_STRTAB,
				.sh_offset = SHSTRTAB,
				.sh_size = sizeof(names)},
		[S_DEBUGLINK] = {.sh_name = 33,
				 .sh_type = SHT_PROGBITS,
				 .sh_offset = DEBUGLINK,
				 .sh_size = 0x40},
		[S_DATA] = {.sh_name = 48,
			    .sh_type = SHT_PROGBITS,
			    .sh_addr = CODE(0x180),
			    .sh_flags = SHF_ALLOC,
			    .sh_offset = TEXT + 0x180,
			    .sh_size = 0x80},
	};

	memcpy(m->bytes, &eh, sizeof(eh));
	memcpy(m->bytes + sizeof(eh), ph, sizeof(ph));
	memcpy(m->bytes + NOTE, &note, sizeof(note));
	memcpy(m->bytes + NOTE + sizeof(note), "GNU", 4);
	memcpy(m->bytes + NOTE + sizeof(note) + 4, build_id, sizeof(build_id));
	memcpy(m->bytes + SHSTRTAB, names, sizeof(names));
	memcpy(m->bytes + SECTIONS, sh, sizeof(sh));
}

static struct elf_object *open_image(const struct image *m)
{
	struct elf_object *o = NULL;

	assert_int_equal(elf_object_open_memory(m->bytes, sizeof(m->bytes), "test", &o), 0);
	return o;
}

static void expect_name(struct elf_object *o, uint32_t at, const char *name, uint32_t start,
			uint32_t size)
{
	struct elf_symbol s;

	assert_true(elf_object_symbol(o, CODE(at), &s));
	assert_string_equal(s.name, name);
	assert_int_equal(s.vaddr, CODE(start));
	assert_int_equal(s.size, size);
}

static void expect_nothing(struct elf_object *o, uint32_t at)
{
	struct elf_symbol s;

	assert_false(elf_object_symbol(o, CODE(at), &s));
}

static void test_symbols(void **state)
{
	struct elf_object *o;
	struct image m;

	(void)state;
	init_image(&m);
	add_symbol(&m, "second", STB_GLOBAL, STT_FUNC, S_TEXT, 0x40, 0x10);
	add_symbol(&m, "first", STB_LOCAL, STT_FUNC, S_TEXT, 0x10, 0x20);
	add_symbol(&m, "variable", STB_GLOBAL, STT_OBJECT, S_TEXT, 0x100, 0x10);
	add_symbol(&m, "undefined", STB_GLOBAL, STT_FUNC, SHN_UNDEF, 0x108, 0x10);
	add_symbol(&m, "ifunc", STB_GLOBAL, STT_GNU_IFUNC, S_TEXT, 0x60, 0x10);
	finish_image(&m, SHT_SYMTAB, true);
	o = open_image(&m);
	assert_true(elf_object_has_symbols(o));
	expect_nothing(o, 0);
	expect_name(o, 0x10, "first", 0x10, 0x20);
	expect_name(o, 0x2f, "first", 0x10, 0x20);
	expect_nothing(o, 0x30);
	expect_nothing(o, 0x3f);
	expect_name(o, 0x40, "second", 0x40, 0x10);
	expect_nothing(o, 0x50);
	expect_name(o, 0x60, "ifunc", 0x60, 0x10);
	expect_nothing(o, 0x100);
	expect_nothing(o, 0x108);
	expect_nothing(o, 0u - CODE(0));
	assert_true(elf_object_has_symbol(o, "first"));
	assert_false(elf_object_has_symbol(o, "firs"));
	assert_false(elf_object_has_symbol(o, ""));
	assert_false(elf_object_has_symbol(o, "variable"));
	assert_false(elf_object_has_symbol(o, "undefined"));
	elf_object_free(o);
}

static void test_aliases(void **state)
{
	(void)state;
	for (int order = 0; order < 2; order++) { /* the table's order does not matter */
		struct elf_object *o;
		struct image m;

		init_image(&m);
		for (int i = 0; i < 5; i++) {
			switch (order ? 4 - i : i) {
			case 0:
				add_symbol(&m, "weak", STB_WEAK, STT_FUNC, S_TEXT, 0, 0x10);
				break;
			case 1:
				add_symbol(&m, "local", STB_LOCAL, STT_FUNC, S_TEXT, 0, 0x10);
				break;
			case 2:
				add_symbol(&m, "zglobal", STB_GLOBAL, STT_FUNC, S_TEXT, 0, 0x10);
				break;
			case 3:
				add_symbol(&m, "global", STB_GLOBAL, STT_FUNC, S_TEXT, 0, 0x10);
				break;
			case 4: /* says less */
				add_symbol(&m, "a_sizeless", STB_GLOBAL, STT_FUNC, S_TEXT, 0, 0);
				break;
			}
		}
		finish_image(&m, SHT_SYMTAB, true);
		o = open_image(&m);
		expect_name(o, 5, "global", 0, 0x10);
		assert_true(elf_object_has_symbol(o, "weak"));
		assert_true(elf_object_has_symbol(o, "a_sizeless"));
		elf_object_free(o);
	}
}

static void test_sizeless_and_labels(void **state)
{
	struct elf_object *o;
	struct image m;

	(void)state;
	init_image(&m);
	add_symbol(&m, "_start", STB_GLOBAL, STT_NOTYPE, S_TEXT, 0, 0);
	add_symbol(&m, "sized", STB_GLOBAL, STT_FUNC, S_TEXT, 0x20, 0x40);
	add_symbol(&m, "loop", STB_LOCAL, STT_NOTYPE, S_TEXT, 0x30, 0); /* inside */
	add_symbol(&m, "entry", STB_GLOBAL, STT_FUNC, S_TEXT, 0x50, 8); /* inside, with a size */
	add_symbol(&m, "$x", STB_LOCAL, STT_NOTYPE, S_TEXT, 0x80, 0);
	add_symbol(&m, ".Ltmp0", STB_LOCAL, STT_NOTYPE, S_TEXT, 0x90, 0);
	add_symbol(&m, "last", STB_GLOBAL, STT_FUNC, S_TEXT, 0x100, 0);
	add_symbol(&m, "etext", STB_GLOBAL, STT_NOTYPE, S_TEXT, 0x180, 0); /* past the section */
	add_symbol(&m, "table", STB_GLOBAL, STT_NOTYPE, S_DATA, 0x190, 0); /* not executable */
	add_symbol(&m, "absolute", STB_GLOBAL, STT_FUNC, SHN_ABS, 0x1a0, 0);
	finish_image(&m, SHT_SYMTAB, true);
	o = open_image(&m);
	expect_name(o, 0, "_start", 0, 0x20);
	expect_name(o, 0x1f, "_start", 0, 0x20);
	expect_name(o, 0x2f, "sized", 0x20, 0x40);
	expect_name(o, 0x30, "sized", 0x20, 0x40);
	expect_name(o, 0x57, "entry", 0x50, 8);
	expect_name(o, 0x58, "sized", 0x20, 0x40); /* behind the inner one */
	expect_nothing(o, 0x60);
	expect_nothing(o, 0x80);
	expect_nothing(o, 0x90);
	expect_name(o, 0x100, "last", 0x100, 0x80);
	expect_name(o, 0x17f, "last", 0x100, 0x80);
	expect_nothing(o, 0x180);
	expect_nothing(o, 0x190);
	expect_nothing(o, 0x1a0);
	elf_object_free(o);
}

static void test_hostile_symbols(void **state)
{
	struct elf_symbol found;
	struct elf_object *o;
	struct image m;
	Elf64_Sym s;

	(void)state;
	init_image(&m);
	add_symbol(&m, "huge", STB_GLOBAL, STT_FUNC, S_TEXT, 0x10, UINT64_MAX);
	add_symbol(&m, "bad_name", STB_GLOBAL, STT_FUNC, S_TEXT, 0x20, 8);
	add_symbol(&m, "bad_section", STB_GLOBAL, STT_FUNC, 0x1234, 0x30, 0);
	add_symbol(&m, "", STB_GLOBAL, STT_FUNC, S_TEXT, 0x40, 8);
	add_symbol(&m, "outside", STB_GLOBAL, STT_FUNC, S_TEXT, TEXT_SIZE, 8);
	add_symbol(&m, "odd", 15, STT_FUNC, S_TEXT, 0x1f0, 8);
	memcpy(&s, m.bytes + SYMTAB + 2 * sizeof(s), sizeof(s));
	s.st_name = 0x7fffffff;
	memcpy(m.bytes + SYMTAB + 2 * sizeof(s), &s, sizeof(s));
	finish_image(&m, SHT_SYMTAB, true);
	o = open_image(&m);
	expect_name(o, 0x28, "huge", 0x10, TEXT_SIZE - 0x10);
	expect_name(o, 0x40, "huge", 0x10, TEXT_SIZE - 0x10);
	expect_name(o, 0x1f0, "odd", 0x1f0, 8);
	expect_nothing(o, TEXT_SIZE);
	elf_object_free(o);
	/* the last name has no end in its table: the image's end is its end */
	init_image(&m);
	add_symbol(&m, "name", STB_GLOBAL, STT_FUNC, S_TEXT, 0, 8);
	finish_image(&m, SHT_SYMTAB, true);
	memset(m.bytes + STRTAB + 1, 'x', SHSTRTAB - STRTAB - 1);
	o = open_image(&m);
	assert_true(elf_object_symbol(o, CODE(0), &found));
	assert_true(strlen(found.name) < IMAGE_SIZE);
	elf_object_free(o);
}

/* --- identity, segments --- */

static void test_identity(void **state)
{
	struct elf_object *o;
	struct elf_segment s;
	uint64_t start, end;
	struct image m;

	(void)state;
	init_image(&m);
	finish_image(&m, 0, true);
	assert_int_equal(elf_object_open_memory(m.bytes, sizeof(m.bytes), "/lib/a/libx.so", &o), 0);
	assert_string_equal(elf_object_path(o), "/lib/a/libx.so");
	assert_string_equal(elf_object_name(o), "libx.so");
	assert_string_equal(elf_object_build_id(o), "abcdef0123");
	assert_true(elf_object_text(o, &start, &end));
	assert_int_equal(start, CODE(0));
	assert_int_equal(end, CODE(TEXT_SIZE));
	assert_true(elf_object_segment_at(o, TEXT + 5, &s));
	assert_int_equal(s.vaddr, CODE(0));
	assert_int_equal(s.offset, TEXT);
	assert_int_equal(s.size, TEXT_SIZE);
	assert_true(elf_object_segment_at(o, 0, &s)); /* its page's mapping begins there */
	assert_false(elf_object_segment_at(o, TEXT + TEXT_SIZE, &s));
	assert_false(elf_object_segment_at(o, UINT64_MAX, &s));
	assert_false(elf_object_has_symbols(o));
	elf_object_free(o);
	finish_image(&m, 0, false);
	o = open_image(&m);
	assert_string_equal(elf_object_build_id(o), "");
	elf_object_free(o);
	elf_object_free(NULL);
}

static void test_not_elf(void **state)
{
	struct elf_object *o = (struct elf_object *)1;
	struct image m;
	int fd;

	(void)state;
	init_image(&m);
	finish_image(&m, SHT_SYMTAB, true);
	m.bytes[EI_CLASS] = ELFCLASS32;
	assert_int_equal(elf_object_open_memory(m.bytes, sizeof(m.bytes), "x", &o), -ENOEXEC);
	m.bytes[EI_CLASS] = ELFCLASS64;
	m.bytes[EI_DATA] = ELFDATA2MSB;
	assert_int_equal(elf_object_open_memory(m.bytes, sizeof(m.bytes), "x", &o), -ENOEXEC);
	assert_int_equal(elf_object_open_memory("", 0, "x", &o), -ENOEXEC);
	assert_int_equal(elf_object_open_memory("text", 4, "x", &o), -ENOEXEC);
	assert_int_equal(elf_object_open(-1, "x", "", &o), -EBADF);
	fd = open("/dev/null", O_RDONLY);
	assert_int_equal(elf_object_open(fd, "x", "", &o), -ENOEXEC);
	close(fd);
	fd = open("/", O_RDONLY);
	assert_int_equal(elf_object_open(fd, "x", "", &o), -ENOEXEC);
	close(fd);
	assert_ptr_equal(o, (struct elf_object *)1);
}

/* --- broken in every place: input ends at a guard page --- */

static uint8_t *guarded;
static size_t guarded_room;

static void use_object(const uint8_t *bytes, size_t size)
{
	struct elf_object *o;
	struct elf_symbol s;
	struct unwind_rows u;
	struct elf_segment g;
	uint8_t *at = guarded + guarded_room - size;

	memcpy(at, bytes, size);
	if (elf_object_open_memory(at, size, "/nonexistent/x", &o) != 0)
		return;
	for (uint32_t i = 0; i < TEXT_SIZE; i += 8)
		if (elf_object_symbol(o, CODE(i), &s))
			assert_true(CODE(i) - s.vaddr < s.size && strlen(s.name) > 0);
	elf_object_segment_at(o, TEXT, &g);
	elf_object_has_symbol(o, "main");
	if (elf_object_unwind_rows(o, &u) == 0)
		unwind_rows_free(&u);
	elf_object_free(o);
}

static void fill_image(struct image *m)
{
	init_image(m);
	for (uint32_t i = 0; i < 16; i++)
		add_symbol(m, &"some_name"[i % 5], (int)i % 3, i % 4 ? STT_FUNC : STT_NOTYPE,
			   S_TEXT, i * 0x10, i % 2 * 0x10);
	finish_image(m, SHT_SYMTAB, true);
}

static void test_every_truncation(void **state)
{
	struct image m;

	(void)state;
	fill_image(&m);
	for (size_t n = 0; n <= sizeof(m.bytes); n++)
		use_object(m.bytes, n);
}

static void test_every_byte_changed(void **state)
{
	static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	struct image m;

	(void)state;
	fill_image(&m);
	for (size_t i = 0; i < sizeof(m.bytes); i++) {
		uint8_t before = m.bytes[i];

		if (i >= NOTE + 0x20 && i < SYMTAB)
			continue; /* code: nobody reads it */
		for (size_t k = 0; k < sizeof(values); k++) {
			m.bytes[i] = values[k];
			use_object(m.bytes, sizeof(m.bytes));
		}
		m.bytes[i] = before;
	}
}

/* --- debug files, below a root of our own --- */

static char root[] = "/tmp/wireprof-elf-XXXXXX";

static void in_root(char *out, size_t size, const char *path)
{
	snprintf(out, size, "%s%s", root, path);
}

static void make_dirs(const char *path)
{
	char whole[256];

	in_root(whole, sizeof(whole), path);
	for (char *p = whole + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(whole, 0755);
		*p = '/';
	}
}

static void write_file(const char *path, const struct image *m)
{
	char whole[256];
	int fd;

	make_dirs(path);
	in_root(whole, sizeof(whole), path);
	fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, m->bytes, sizeof(m->bytes)), sizeof(m->bytes));
	close(fd);
}

static void remove_file(const char *path)
{
	char whole[256];

	in_root(whole, sizeof(whole), path);
	unlink(whole);
}

/* What names CODE(0) in the stripped object at this path of the root? NULL: nothing. */
static const char *name_of_stripped(const char *path)
{
	static char name[64];
	struct elf_object *o;
	struct elf_symbol s;
	char whole[256];
	bool found;
	int fd;

	in_root(whole, sizeof(whole), path);
	fd = open(whole, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(elf_object_open(fd, path, root, &o), 0);
	close(fd);
	found = elf_object_symbol(o, CODE(0), &s);
	if (found)
		snprintf(name, sizeof(name), "%s", s.name);
	elf_object_free(o);
	return found ? name : NULL;
}

static void debug_image(struct image *m, const char *name, bool with_build_id)
{
	init_image(m);
	add_symbol(m, name, STB_GLOBAL, STT_FUNC, S_TEXT, 0, 8);
	finish_image(m, SHT_SYMTAB, with_build_id);
}

#define BY_ID "/usr/lib/debug/.build-id/ab/cdef0123.debug"

static void test_debug_file_by_build_id(void **state)
{
	struct image stripped, debug;

	(void)state;
	init_image(&stripped);
	add_symbol(&stripped, "exported", STB_GLOBAL, STT_FUNC, S_TEXT, 0, 8);
	finish_image(&stripped, SHT_DYNSYM, true);
	write_file("/bin/prog", &stripped);
	assert_string_equal(name_of_stripped("/bin/prog"), "exported");
	debug_image(&debug, "from_debug", true);
	write_file(BY_ID, &debug);
	assert_string_equal(name_of_stripped("/bin/prog"), "from_debug");
	/* another build's */
	debug.bytes[NOTE + sizeof(Elf64_Nhdr) + 4] ^= 1;
	write_file(BY_ID, &debug);
	assert_string_equal(name_of_stripped("/bin/prog"), "exported");
	/* none at all: stripped too */
	write_file(BY_ID, &stripped);
	assert_string_equal(name_of_stripped("/bin/prog"), "exported");
	remove_file(BY_ID);
}

/* A FIFO would block, a link out of the root would be another file. */
static void test_debug_files_that_are_traps(void **state)
{
	struct image stripped, debug;
	char whole[256], target[256];

	(void)state;
	init_image(&stripped);
	finish_image(&stripped, 0, true);
	write_file("/bin/prog", &stripped);
	make_dirs(BY_ID);
	in_root(whole, sizeof(whole), BY_ID);
	assert_int_equal(mkfifo(whole, 0644), 0);
	assert_null(name_of_stripped("/bin/prog"));
	remove_file(BY_ID);
	debug_image(&debug, "linked", true);
	write_file("/opt/debug", &debug);
	in_root(target, sizeof(target), "/opt/debug");
	assert_int_equal(symlink(target, whole), 0); /* as seen from our root: not this root's */
	assert_null(name_of_stripped("/bin/prog"));
	remove_file(BY_ID);
	assert_int_equal(symlink("/opt/debug", whole), 0); /* as seen from its own */
	assert_string_equal(name_of_stripped("/bin/prog"), "linked");
	remove_file(BY_ID);
	remove_file("/opt/debug");
}

static void test_debug_file_by_link(void **state)
{
	static const char *const places[] = {"/bin/prog.debug", "/bin/.debug/prog.debug",
					     "/usr/lib/debug/bin/prog.debug"};
	struct image stripped, debug;
	uint32_t crc;

	(void)state;
	for (int has_id = 0; has_id < 2; has_id++) {
		debug_image(&debug, "by_link", has_id);
		crc = (uint32_t)crc32(0, debug.bytes, sizeof(debug.bytes));
		init_image(&stripped);
		memcpy(stripped.bytes + DEBUGLINK, "prog.debug", 11);
		memcpy(stripped.bytes + DEBUGLINK + 12, &crc, sizeof(crc));
		finish_image(&stripped, 0, has_id);
		write_file("/bin/prog", &stripped);
		for (size_t i = 0; i < 3; i++) {
			assert_null(name_of_stripped("/bin/prog"));
			write_file(places[i], &debug);
			assert_string_equal(name_of_stripped("/bin/prog"), "by_link");
			debug.bytes[has_id ? NOTE + 17 : TEXT] ^= 1; /* not the one meant */
			write_file(places[i], &debug);
			assert_null(name_of_stripped("/bin/prog"));
			debug.bytes[has_id ? NOTE + 17 : TEXT] ^= 1;
			remove_file(places[i]);
		}
	}
	/* a name that is a path, a name without an end */
	write_file("/etc/prog.debug", &debug);
	memcpy(stripped.bytes + DEBUGLINK, "../etc/prog.debug", 18);
	memcpy(stripped.bytes + DEBUGLINK + 20, &crc, sizeof(crc));
	write_file("/bin/prog", &stripped);
	assert_null(name_of_stripped("/bin/prog"));
	memset(stripped.bytes + DEBUGLINK, 'x', 0x40);
	write_file("/bin/prog", &stripped);
	assert_null(name_of_stripped("/bin/prog"));
	remove_file("/etc/prog.debug");
}

/* --- real files --- */

/* Each function of a real symbol table is found at its first byte; libelf reads the table. */
static size_t check_functions(Elf *elf, struct elf_object *o, uint32_t type)
{
	Elf_Scn *scn = NULL;
	size_t checked = 0;

	while ((scn = elf_nextscn(elf, scn))) {
		Elf_Data *data;
		GElf_Shdr sh;
		GElf_Sym sym;

		if (!gelf_getshdr(scn, &sh) || sh.sh_type != type)
			continue;
		data = elf_getdata(scn, NULL);
		for (int i = 0; gelf_getsym(data, i, &sym); i++) {
			struct elf_symbol s;

			if (GELF_ST_TYPE(sym.st_info) != STT_FUNC || sym.st_shndx == SHN_UNDEF ||
			    sym.st_size == 0)
				continue;
			assert_true(elf_object_symbol(o, sym.st_value, &s));
			assert_int_equal(s.vaddr, sym.st_value);
			/* not by its name here: a debug file may have another */
			if (checked++ % 50 == 0)
				assert_true(elf_object_has_symbol(o, s.name));
			assert_true(elf_object_symbol(o, sym.st_value + sym.st_size - 1, &s));
		}
	}
	return checked;
}

static void check_real_file(const char *path, uint32_t symtab_type, const char *known)
{
	int fd = open(path, O_RDONLY);
	struct elf_object *o;
	const void *id;
	char hex[129] = "";
	ssize_t n;
	Elf *elf;

	if (fd < 0)
		return;
	assert_int_equal(elf_object_open(fd, path, "", &o), 0);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	assert_non_null(elf);
	n = dwelf_elf_gnu_build_id(elf, &id);
	for (ssize_t i = 0; i < n; i++)
		snprintf(hex + 2 * i, 3, "%02x", ((const uint8_t *)id)[i]);
	assert_string_equal(elf_object_build_id(o), hex);
	assert_true(elf_object_has_symbols(o));
	assert_true(check_functions(elf, o, symtab_type) > 10);
	assert_true(elf_object_has_symbol(o, known));
	elf_end(elf);
	elf_object_free(o);
	close(fd);
}

static void test_real_files(void **state)
{
	(void)state;
	elf_version(EV_CURRENT);
	check_real_file("/proc/self/exe", SHT_SYMTAB, "test_real_files");
	check_real_file("/usr/lib/x86_64-linux-gnu/libc.so.6", SHT_DYNSYM, "malloc");
	check_real_file("/usr/bin/redis-server", SHT_DYNSYM, "main");
}

/* The whole way: from an address of this process, by /proc/self/maps, to this function's name. */
static void test_own_address(void **state)
{
	uint64_t pc = (uint64_t)(uintptr_t)&test_own_address, vaddr = 0;
	FILE *f = fopen("/proc/self/maps", "r");
	int fd = open("/proc/self/exe", O_RDONLY);
	struct elf_segment g;
	struct elf_object *o;
	struct elf_symbol s;
	char line[512];

	(void)state;
	assert_true(f && fd >= 0);
	assert_int_equal(elf_object_open(fd, "/proc/self/exe", "", &o), 0);
	while (fgets(line, sizeof(line), f)) {
		unsigned long long start, end, offset;

		if (sscanf(line, "%llx-%llx r-xp %llx", &start, &end, &offset) != 3 || pc < start ||
		    pc >= end)
			continue;
		assert_true(elf_object_segment_at(o, offset + (pc - start), &g));
		vaddr = offset + (pc - start) - g.offset + g.vaddr;
	}
	assert_true(elf_object_symbol(o, vaddr, &s));
	assert_string_equal(s.name, "test_own_address");
	elf_object_free(o);
	fclose(f);
	close(fd);
}

/* The vdso has a dynamic symbol table and CFI. */
static void test_vdso(void **state)
{
	FILE *f = fopen("/proc/self/maps", "r");
	struct unwind_rows u;
	struct elf_object *o;
	char line[512];

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long start, end;

		if (!strstr(line, "[vdso]") || sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		assert_int_equal(elf_object_open_memory((void *)start, end - start, "[vdso]", &o),
				 0);
		assert_true(elf_object_has_symbol(o, "__vdso_clock_gettime"));
		assert_int_equal(elf_object_unwind_rows(o, &u), 0);
		assert_true(u.n_rows > 5);
		unwind_rows_free(&u);
		elf_object_free(o);
	}
	fclose(f);
}

static int setup(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	(void)state;
	guarded_room = (IMAGE_SIZE + page - 1) & ~(page - 1);
	guarded = mmap(NULL, guarded_room + page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (guarded == MAP_FAILED || mprotect(guarded + guarded_room, page, PROT_NONE) != 0)
		return -1;
	return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const dirs[] = {"/usr/lib/debug/.build-id/ab",
					   "/usr/lib/debug/.build-id",
					   "/usr/lib/debug/bin",
					   "/usr/lib/debug",
					   "/usr/lib",
					   "/usr",
					   "/bin/.debug",
					   "/bin",
					   "/etc",
					   "/opt",
					   ""};
	char whole[256];

	(void)state;
	remove_file("/bin/prog");
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		in_root(whole, sizeof(whole), dirs[i]);
		if (rmdir(whole) != 0)
			fprintf(stderr, "%s: %s\n", whole, strerror(errno));
	}
	munmap(guarded, guarded_room + (size_t)sysconf(_SC_PAGESIZE));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_symbols),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_sizeless_and_labels),
		cmocka_unit_test(test_hostile_symbols),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_not_elf),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_every_byte_changed),
		cmocka_unit_test(test_debug_file_by_build_id),
		cmocka_unit_test(test_debug_files_that_are_traps),
		cmocka_unit_test(test_debug_file_by_link),
		cmocka_unit_test(test_real_files),
		cmocka_unit_test(test_own_address),
		cmocka_unit_test(test_vdso),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * .eh_frame to rows, on hand-assembled records: each rule, each encoding, and what an attacker
 * would write.
 *
 * Each test assembles an ELF image in memory: text at TEXT, .eh_frame at FRAME, on demand
 * .eh_frame_hdr at HDR. The functions' default is the usual CIE: CFA = rsp + 8, return address at
 * CFA - 8.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "symbolizer/elf_object.h"

#define FRAME      0x400u
#define FRAME_MAX  0x6000u
#define HDR        0x7000u
#define HDR_MAX    0x800u
#define SECTIONS   0x7f00u
#define IMAGE_SIZE 0x8000u
/* The text is the whole file as far as offsets go; its addresses are elsewhere. */
#define TEXT      0x100000u
#define TEXT_SIZE 0x8000u

struct image {
	uint8_t bytes[IMAGE_SIZE];
	size_t n;         /* end of .eh_frame so far */
	size_t record;    /* start of the record being written */
	size_t cie;       /* start of the last CIE */
	uint8_t encoding; /* of its FDE pointers */
	unsigned int n_hdr;
};

static struct image image;

static void put(const void *data, size_t n)
{
	assert_true(image.n + n <= FRAME + FRAME_MAX);
	memcpy(image.bytes + image.n, data, n);
	image.n += n;
}

static void put_u8(uint8_t v)
{
	put(&v, sizeof(v));
}

static void put_u32(uint32_t v)
{
	put(&v, sizeof(v));
}

static void put_u64(uint64_t v)
{
	put(&v, sizeof(v));
}

static void begin_image(void)
{
	memset(&image, 0, sizeof(image));
	image.n = FRAME;
}

static void begin_record(void)
{
	image.record = image.n;
	put_u32(0);
}

static void end_record(void)
{
	uint32_t length;

	while ((image.n - image.record) % 4)
		put_u8(0); /* DW_CFA_nop */
	length = (uint32_t)(image.n - image.record - 4);
	memcpy(image.bytes + image.record, &length, sizeof(length));
}

struct bytes {
	const void *data;
	size_t n;
};
#define BYTES(...)                                                                                 \
	((struct bytes){(const uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__})})
#define NOTHING     ((struct bytes){"", 0})
#define USUAL_RULES BYTES(0x0c, 7, 8, 0x90, 1)

/* augmentation data is given whole; the encoding is what FDEs written after this use. */
static void cie_with(const char *augmentation, struct bytes data, uint8_t encoding, uint8_t ra,
		     struct bytes rules)
{
	begin_record();
	image.cie = image.record;
	image.encoding = encoding;
	put_u32(0);
	put_u8(1);
	put(augmentation, strlen(augmentation) + 1);
	put_u8(1);    /* code alignment */
	put_u8(0x78); /* data alignment -8 */
	put_u8(ra);
	if (augmentation[0] == 'z') {
		put_u8((uint8_t)data.n);
		put(data.data, data.n);
	}
	put(rules.data, rules.n);
	end_record();
}

static void usual_cie(void)
{
	cie_with("zR", BYTES(0x1b), 0x1b, 16, USUAL_RULES);
}

static void put_pointer(uint64_t vaddr, bool is_size)
{
	uint64_t v = (image.encoding & 0x70) == 0x10 && !is_size ? vaddr - image.n : vaddr;

	switch (image.encoding & 0x0f) {
	case 0x00:
	case 0x04:
	case 0x0c:
		put_u64(v);
		break;
	case 0x01: /* uleb128, padded */
	case 0x09:
		for (int i = 0; i < 4; i++, v >>= 7)
			put_u8((uint8_t)((v & 0x7f) | (i < 3 ? 0x80 : 0)));
		break;
	case 0x02:
	case 0x0a:
		put(&v, 2);
		break;
	default:
		put_u32((uint32_t)v);
	}
}

static void add_hdr_entry(uint64_t vaddr, size_t record)
{
	int32_t entry[2] = {(int32_t)(vaddr - HDR), (int32_t)record - (int32_t)HDR};

	assert_true(12 + 8 * (image.n_hdr + 1) <= HDR_MAX);
	memcpy(image.bytes + HDR + 12 + 8 * image.n_hdr++, entry, sizeof(entry));
}

/* A function at TEXT + offset. */
static void fde(uint32_t offset, uint32_t size, struct bytes rules)
{
	begin_record();
	put_u32((uint32_t)(image.n - image.cie));
	put_pointer(TEXT + offset, false);
	put_pointer(size, true);
	if (image.bytes[image.cie + 9] == 'z')
		put_u8(0);
	put(rules.data, rules.n);
	end_record();
}

static void put_headers(bool with_hdr)
{
	static const char names[] = "\0.eh_frame\0.shstrtab";
	Elf64_Ehdr eh = {.e_type = ET_DYN,
			 .e_machine = EM_X86_64,
			 .e_version = EV_CURRENT,
			 .e_phoff = sizeof(eh),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 2,
			 .e_shoff = SECTIONS,
			 .e_shentsize = sizeof(Elf64_Shdr),
			 .e_shnum = 3,
			 .e_shstrndx = 2,
			 .e_ehsize = sizeof(eh)};
	Elf64_Phdr ph[2] = {
		{.p_type = PT_LOAD,
		 .p_flags = PF_R | PF_X,
		 .p_vaddr = TEXT,
		 .p_filesz = TEXT_SIZE,
		 .p_memsz = TEXT_SIZE},
		{.p_type = with_hdr ? PT_GNU_EH_FRAME : PT_NULL,
		 .p_offset = HDR,
		 .p_vaddr = HDR,
		 .p_filesz = 12 + 8 * image.n_hdr},
	};
	Elf64_Shdr sh[3] = {
		{0},
		{.sh_name = 1,
		 .sh_type = SHT_PROGBITS,
		 .sh_addr = FRAME,
		 .sh_offset = FRAME,
		 .sh_size = image.n - FRAME},
		{.sh_name = 11,
		 .sh_type = SHT_STRTAB,
		 .sh_offset = HDR + HDR_MAX,
		 .sh_size = sizeof(names)},
	};
	uint8_t hdr[4] = {1, 0x1b, 0x03, 0x3b};
	int32_t frame = (int32_t)FRAME - (int32_t)(HDR + 4);

	memcpy(eh.e_ident, ELFMAG, SELFMAG);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	memcpy(image.bytes, &eh, sizeof(eh));
	memcpy(image.bytes + sizeof(eh), ph, sizeof(ph));
	memcpy(image.bytes + SECTIONS, sh, sizeof(sh));
	memcpy(image.bytes + HDR + HDR_MAX, names, sizeof(names));
	memcpy(image.bytes + HDR, hdr, sizeof(hdr));
	memcpy(image.bytes + HDR + 4, &frame, sizeof(frame));
	memcpy(image.bytes + HDR + 8, &image.n_hdr, 4);
}

static int try_rows(struct unwind_rows *u)
{
	struct elf_object *o;
	int err = elf_object_open_memory(image.bytes, sizeof(image.bytes), "test", &o);

	if (err)
		return err;
	err = elf_object_described_rows(o, u);
	elf_object_free(o);
	return err;
}

struct want {
	uint32_t offset;
	uint8_t kind;
	uint16_t cfa;
	uint8_t rbp;
};

static void compare_rows(const struct want *want, size_t n, uint64_t bad_fdes)
{
	struct unwind_rows u;

	assert_int_equal(try_rows(&u), 0);
	assert_int_equal(u.bad_fdes, bad_fdes);
	for (size_t i = 0; i < n && i < u.n_rows; i++) {
		assert_int_equal(u.base + u.rows[i].pc, TEXT + want[i].offset);
		assert_int_equal(u.rows[i].kind, want[i].kind);
		assert_int_equal(u.rows[i].cfa, want[i].cfa);
		assert_int_equal(u.rows[i].rbp, want[i].rbp);
	}
	assert_int_equal(u.n_rows, n);
	unwind_rows_free(&u);
}

#define EXPECT(bad_fdes, ...)                                                                      \
	do {                                                                                       \
		const struct want want_[] = {__VA_ARGS__};                                         \
		put_headers(false);                                                                \
		compare_rows(want_, sizeof(want_) / sizeof(want_[0]), bad_fdes);                   \
	} while (0)

/* One function at TEXT, of 0x40 bytes, under the usual CIE; then nothing. */
#define EXPECT_FUNCTION(rules, ...)                                                                \
	do {                                                                                       \
		begin_image();                                                                     \
		usual_cie();                                                                       \
		fde(0, 0x40, rules);                                                               \
		EXPECT(0, __VA_ARGS__, {0x40, UNWIND_NONE, 0, 0});                                 \
	} while (0)

#define EXPECT_BAD(rules)                                                                          \
	do {                                                                                       \
		begin_image();                                                                     \
		usual_cie();                                                                       \
		fde(0, 0x40, rules);                                                               \
		EXPECT(1, {0, UNWIND_NONE, 0, 0});                                                 \
	} while (0)

/* One function, all of which one rule describes. */
static void compare_rule(struct unwind_rule want)
{
	struct unwind_rows u;

	put_headers(false);
	assert_int_equal(try_rows(&u), 0);
	assert_int_equal(u.n_rows, 2);
	assert_int_equal(u.rows[0].kind, UNWIND_EXTENDED);
	assert_int_equal(u.rows[0].cfa, 0);
	assert_int_equal(u.rows[0].rbp, 0);
	assert_int_equal(u.rows[1].kind, UNWIND_NONE);
	assert_int_equal(u.n_rules, 1);
	assert_memory_equal(&u.rules[0], &want, sizeof(want));
	assert_int_equal(u.unsupported_bytes, 0);
	unwind_rows_free(&u);
}

#define EXPECT_RULE(rules, ...)                                                                    \
	do {                                                                                       \
		begin_image();                                                                     \
		usual_cie();                                                                       \
		fde(0, 0x40, rules);                                                               \
		compare_rule((struct unwind_rule){__VA_ARGS__});                                   \
	} while (0)

#define EXPECT_UNSUPPORTED(rules) EXPECT_FUNCTION(rules, {0, UNWIND_UNSUPPORTED, 0, 0})

#define USUAL_RA     .ra = {.where = UNWIND_AT_CFA, .offset = -8}
#define AT_CFA(n)    {.where = UNWIND_AT_CFA, .offset = n}
#define IS_CFA(n)    {.where = UNWIND_IS_CFA, .offset = n}
#define AT_REG(r, n) {.where = UNWIND_AT_REGISTER, .reg = r, .offset = n}
#define IN_REG(r, n) {.where = UNWIND_IN_REGISTER, .reg = r, .offset = n}
#define CFA(r, n)    .cfa_register = r, .cfa_offset = n
#define CFA_AT(r, n, m)                                                                            \
	.cfa_register = r, .cfa_offset = n, .cfa_dereference = 1, .cfa_add = m

#define FIRST                                                                                      \
	{                                                                                          \
		0, UNWIND_RSP, 1, 0                                                                \
	}

static void test_rules_of_compilers(void **state)
{
	(void)state;
	EXPECT_FUNCTION(NOTHING, FIRST);
	/* push rbp; mov rbp, rsp; ...; leave */
	EXPECT_FUNCTION(BYTES(0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x60, 0xc6, 0x0c, 7, 8),
			FIRST, {1, UNWIND_RSP, 2, 2}, {4, UNWIND_RBP, 2, 2},
			{0x24, UNWIND_RSP, 1, 0});
	/* sub rsp, 0x2000 */
	EXPECT_FUNCTION(BYTES(0x44, 0x0e, 0x88, 0x40), FIRST, {4, UNWIND_RSP, 0x401, 0});
	/* early return: state remembered and restored, CFA and all */
	EXPECT_FUNCTION(BYTES(0x41, 0x0e, 16, 0x86, 2, 0x44, 0x0a, 0x0e, 8, 0xc6, 0x41, 0x0b),
			FIRST, {1, UNWIND_RSP, 2, 2}, {5, UNWIND_RSP, 1, 0}, {6, UNWIND_RSP, 2, 2});
	/* rules for registers that no row speaks of make no row */
	EXPECT_FUNCTION(BYTES(0x41, 0x83, 2, 0x41, 0x8c, 3, 0x41, 0xc3, 0x2e, 16), FIRST);
	/* _start: no caller */
	EXPECT_FUNCTION(BYTES(0x07, 16), {0, UNWIND_END, 0, 0});
}

static void test_advances(void **state)
{
	(void)state;
	EXPECT_FUNCTION(BYTES(0x02, 2, 0x0e, 16, 0x03, 2, 0, 0x0e, 24, 0x04, 2, 0, 0, 0, 0x0e, 32,
			      0x1d, 2, 0, 0, 0, 0, 0, 0, 0, 0x0e, 40),
			FIRST, {2, UNWIND_RSP, 2, 0}, {4, UNWIND_RSP, 3, 0}, {6, UNWIND_RSP, 4, 0},
			{8, UNWIND_RSP, 5, 0});
	/* advances of nothing: the last word counts */
	EXPECT_FUNCTION(BYTES(0x40, 0x0e, 16, 0x02, 0, 0x0e, 24), {0, UNWIND_RSP, 3, 0});
	/* past the function's end: not this function's */
	EXPECT_FUNCTION(BYTES(0x41, 0x0e, 16, 0x02, 0x3f, 0x0e, 24, 0x41, 0x0e, 32), FIRST,
			{1, UNWIND_RSP, 2, 0});
	/* the same again is the same row */
	EXPECT_FUNCTION(BYTES(0x41, 0x0e, 16, 0x41, 0x0e, 16), FIRST, {1, UNWIND_RSP, 2, 0});
	/* set_loc, absolute addresses */
	begin_image();
	cie_with("zR", BYTES(0x03), 0x03, 16, USUAL_RULES);
	fde(0, 0x40, BYTES(0x01, 8, 0, 0x10, 0, 0x0e, 16));
	EXPECT(0, FIRST, {8, UNWIND_RSP, 2, 0}, {0x40, UNWIND_NONE, 0, 0});
}

static void test_signed_and_extended_forms(void **state)
{
	(void)state;
	EXPECT_FUNCTION(BYTES(0x12, 6, 0x7e), {0, UNWIND_RBP, 2, 0}); /* def_cfa_sf */
	EXPECT_FUNCTION(BYTES(0x13, 0x7d), {0, UNWIND_RSP, 3, 0});    /* def_cfa_offset_sf */
	EXPECT_FUNCTION(BYTES(0x05, 6, 2), {0, UNWIND_RSP, 1, 2});    /* offset_extended */
	EXPECT_FUNCTION(BYTES(0x11, 6, 2), {0, UNWIND_RSP, 1, 2});    /* offset_extended_sf */
	EXPECT_FUNCTION(BYTES(0x86, 2, 0x06, 6), FIRST);              /* restore_extended */
	EXPECT_FUNCTION(BYTES(0x86, 2, 0x08, 6), FIRST);              /* same_value */
	EXPECT_FUNCTION(BYTES(0x14, 7, 0), FIRST);                    /* rsp is the CFA */
	EXPECT_FUNCTION(BYTES(0x2f, 3, 1), FIRST);                    /* negative offset of rbx */
	EXPECT_FUNCTION(BYTES(0x09, 3, 12, 0x10, 12, 1, 0x50, 0x16, 13, 1, 0x50), FIRST);
}

static void test_plt(void **state)
{
	(void)state;
	EXPECT_FUNCTION(BYTES(0x0e, 16, 0x46, 0x0e, 24, 0x4a, 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f,
			      0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22),
			{0, UNWIND_RSP, 2, 0}, {6, UNWIND_RSP, 3, 0}, {16, UNWIND_PLT, 11, 0});
	EXPECT_FUNCTION(BYTES(0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3a, 0x2a, 0x33, 0x24, 0x22),
			{0, UNWIND_PLT, 10, 0});
	/* after it, the CFA can be anything again */
	EXPECT_FUNCTION(BYTES(0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3a, 0x2a, 0x33, 0x24, 0x22,
			      0x41, 0x0c, 7, 16),
			{0, UNWIND_PLT, 10, 0}, {1, UNWIND_RSP, 2, 0});
	/* libgcrypt: only the register after an expression; the offset is the one of before */
	EXPECT_FUNCTION(BYTES(0x0e, 56, 0x0f, 1, 0x70, 0x41, 0x0d, 7),
			{0, UNWIND_UNSUPPORTED, 0, 0}, {1, UNWIND_RSP, 7, 0});
	EXPECT_FUNCTION(BYTES(0x0f, 1, 0x70, 0x41, 0x0e, 16), {0, UNWIND_UNSUPPORTED, 0, 0});
	/* one byte short, one different: another expression */
	EXPECT_FUNCTION(BYTES(0x0f, 10, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3a, 0x2a, 0x33, 0x24),
			{0, UNWIND_UNSUPPORTED, 0, 0});
	EXPECT_FUNCTION(BYTES(0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3a, 0x2a, 0x32, 0x24, 0x22),
			{0, UNWIND_UNSUPPORTED, 0, 0});
	/* rbp saved in a PLT entry: no row says that */
	EXPECT_FUNCTION(BYTES(0x86, 2, 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3a, 0x2a, 0x33,
			      0x24, 0x22),
			{0, UNWIND_UNSUPPORTED, 0, 0});
}

/* What no row says, a rule says. */
static void test_edges_of_what_rows_say(void **state)
{
	(void)state;
	EXPECT_FUNCTION(BYTES(0x0e, 0xf8, 0xff, 0x1f), {0, UNWIND_RSP, 65535, 0});
	EXPECT_RULE(BYTES(0x0e, 0x80, 0x80, 0x20), CFA(7, 0x80000), USUAL_RA);
	EXPECT_RULE(BYTES(0x0e, 12), CFA(7, 12), USUAL_RA);
	EXPECT_FUNCTION(BYTES(0x0e, 0), {0, UNWIND_RSP, 0, 0});
	EXPECT_RULE(BYTES(0x13, 1), CFA(7, -8), USUAL_RA);
	EXPECT_FUNCTION(BYTES(0x86, 0xff, 1), {0, UNWIND_RSP, 1, 255});
	EXPECT_RULE(BYTES(0x86, 0x80, 2), CFA(7, 8), USUAL_RA, .fp = AT_CFA(-2048));
	EXPECT_RULE(BYTES(0x86, 0), CFA(7, 8), USUAL_RA, .fp = AT_CFA(0));
	EXPECT_RULE(BYTES(0x11, 6, 0x7f), CFA(7, 8), USUAL_RA, .fp = AT_CFA(8));
	EXPECT_RULE(BYTES(0x0d, 10), CFA(10, 8), USUAL_RA);
	EXPECT_RULE(BYTES(0x0c, 15, 0x90, 0x7f), CFA(15, 0x3f90), USUAL_RA);
	EXPECT_RULE(BYTES(0x90, 2), CFA(7, 8), .ra = AT_CFA(-16));
	EXPECT_UNSUPPORTED(BYTES(0x0c, 0x87, 0x80, 0x80, 0x80, 0x10, 8)); /* register 7 + 2^32 */
	EXPECT_UNSUPPORTED(BYTES(0x0c, 16, 8)); /* the CFA in rip */
	EXPECT_UNSUPPORTED(BYTES(0x0e, 0x80, 0x80, 0x80, 0x80, 8)); /* 2^31 */
	EXPECT_UNSUPPORTED(BYTES(0x11, 6, 0x80, 0x80, 0x80, 0x80, 2)); /* -2^32 */
	EXPECT_UNSUPPORTED(BYTES(0x07, 6));
	EXPECT_UNSUPPORTED(BYTES(0x08, 16));
	EXPECT_UNSUPPORTED(BYTES(0x08, 7));
	EXPECT_UNSUPPORTED(BYTES(0x07, 7));
}

static void test_rules_of_registers(void **state)
{
	(void)state;
	/* vfork keeps the return address in rdi */
	EXPECT_RULE(BYTES(0x09, 16, 5), CFA(7, 8), .ra = IN_REG(5, 0));
	EXPECT_RULE(BYTES(0x09, 6, 3), CFA(7, 8), USUAL_RA, .fp = IN_REG(3, 0));
	EXPECT_UNSUPPORTED(BYTES(0x09, 6, 17)); /* xmm0 */
	EXPECT_UNSUPPORTED(BYTES(0x09, 6, 0x83, 0x80, 0x80, 0x80, 0x10));
	EXPECT_RULE(BYTES(0x14, 6, 2), CFA(7, 8), USUAL_RA, .fp = IS_CFA(-16));
	EXPECT_RULE(BYTES(0x15, 6, 0x7e), CFA(7, 8), USUAL_RA, .fp = IS_CFA(16));
	/* expressions: saved at rbp - 16; at CFA + 8 - 12; its value is r10 + 1; is CFA - 24 */
	EXPECT_RULE(BYTES(0x10, 6, 2, 0x76, 0x70), CFA(7, 8), USUAL_RA, .fp = AT_REG(6, -16));
	EXPECT_RULE(BYTES(0x10, 6, 5, 0x23, 8, 0x08, 12, 0x1c), CFA(7, 8), USUAL_RA,
		    .fp = AT_CFA(-4));
	EXPECT_FUNCTION(BYTES(0x10, 6, 5, 0x23, 8, 0x08, 24, 0x1c), {0, UNWIND_RSP, 1, 2});
	EXPECT_RULE(BYTES(0x16, 6, 2, 0x7a, 1), CFA(7, 8), USUAL_RA, .fp = IN_REG(10, 1));
	EXPECT_RULE(BYTES(0x16, 6, 3, 0x09, 0xe8, 0x22), CFA(7, 8), USUAL_RA, .fp = IS_CFA(-24));
	/* a value that is loaded is a value saved there */
	EXPECT_RULE(BYTES(0x16, 6, 3, 0x77, 16, 0x06), CFA(7, 8), USUAL_RA, .fp = AT_REG(7, 16));
	EXPECT_FUNCTION(BYTES(0x16, 16, 3, 0x38, 0x1c, 0x06), FIRST);
	EXPECT_UNSUPPORTED(BYTES(0x16, 6, 5, 0x77, 16, 0x06, 0x23, 1)); /* loaded, and one more */
	EXPECT_UNSUPPORTED(BYTES(0x10, 6, 3, 0x77, 16, 0x06)); /* saved where a pointer says */
	EXPECT_UNSUPPORTED(BYTES(0x10, 6, 1, 0x50)); /* DW_OP_reg0: no value on the stack */
	EXPECT_RULE(BYTES(0x10, 16, 2, 0x30, 0x22), CFA(7, 8), .ra = AT_CFA(0));
}

static void test_rules_of_the_cfa(void **state)
{
	(void)state;
	/* a realigned stack, as gcc describes it: CFA = *(rbp - 8), rbp saved where it points */
	EXPECT_RULE(BYTES(0x10, 6, 2, 0x76, 0, 0x0f, 3, 0x76, 0x78, 0x06), CFA_AT(6, -8, 0),
		    USUAL_RA, .fp = AT_REG(6, 0));
	/* OpenSSL: *(rsp + 40) + 8, rbp at CFA - 16 */
	EXPECT_RULE(BYTES(0x86, 2, 0x0f, 5, 0x77, 40, 0x06, 0x23, 8), CFA_AT(7, 40, 8), USUAL_RA,
		    .fp = AT_CFA(-16));
	/* the same in other words */
	EXPECT_RULE(BYTES(0x0f, 8, 0x92, 7, 32, 0x38, 0x22, 0x06, 0x38, 0x22), CFA_AT(7, 40, 8),
		    USUAL_RA);
	EXPECT_RULE(BYTES(0x0f, 8, 0x38, 0x77, 40, 0x06, 0x96, 0x22, 0x40, 0x1c),
		    CFA_AT(7, 40, 8 - 16), USUAL_RA);
	EXPECT_RULE(BYTES(0x0f, 9, 0x77, 0, 0x0c, 40, 0, 0, 0, 0x22, 0x06), CFA_AT(7, 40, 0),
		    USUAL_RA);
	/* no memory: register + offset, in an expression */
	EXPECT_RULE(BYTES(0x0f, 3, 0x7a, 0x88, 1), CFA(10, 136), USUAL_RA);
	EXPECT_RULE(BYTES(0x0f, 5, 0x7a, 0, 0x11, 0x78, 0x22), CFA(10, -8), USUAL_RA);
	/* OpenSSL's Montgomery multiplication: *(rsp + 8 + 8 * r9) + 8; the same by a shift, the other way round */
	EXPECT_RULE(BYTES(0x0f, 10, 0x77, 8, 0x79, 0, 0x38, 0x1e, 0x22, 0x06, 0x23, 8), CFA_AT(7, 8, 8), .cfa_scale = 8,
		    .cfa_index = 9, USUAL_RA);
	EXPECT_RULE(BYTES(0x0f, 10, 0x79, 1, 0x33, 0x24, 0x77, 0, 0x22, 0x06, 0x23, 8), CFA_AT(7, 8, 8), .cfa_scale = 8,
		    .cfa_index = 9, USUAL_RA);
	/* what is computed from three registers, or from two that are added or subtracted, or loaded twice, or not at all */
	EXPECT_UNSUPPORTED(BYTES(0x0f, 12, 0x77, 8, 0x79, 0, 0x38, 0x1e, 0x22, 0x79, 0, 0x32, 0x1e, 0x22));
	EXPECT_UNSUPPORTED(BYTES(0x0f, 7, 0x77, 8, 0x79, 0, 0x38, 0x1e, 0x1c));
	EXPECT_UNSUPPORTED(BYTES(0x0f, 5, 0x79, 0, 0x79, 0, 0x1e));
	EXPECT_UNSUPPORTED(BYTES(0x0f, 5, 0x77, 8, 0x76, 8, 0x22));
	EXPECT_UNSUPPORTED(BYTES(0x0f, 5, 0x77, 8, 0x76, 8, 0x1c));
	EXPECT_UNSUPPORTED(BYTES(0x0f, 4, 0x77, 8, 0x06, 0x06));
	EXPECT_UNSUPPORTED(BYTES(0x0f, 2, 0x38, 0x06));
	EXPECT_UNSUPPORTED(BYTES(0x0f, 1, 0x38));
	EXPECT_UNSUPPORTED(BYTES(0x0f, 0));
	EXPECT_UNSUPPORTED(BYTES(0x0f, 2, 0x80, 0));       /* rip */
	EXPECT_UNSUPPORTED(BYTES(0x0f, 1, 0x22));          /* nothing to add */
	EXPECT_UNSUPPORTED(BYTES(0x0f, 3, 0x77, 0, 0x22)); /* half of it */
	EXPECT_UNSUPPORTED(BYTES(0x0f, 2, 0x77, 0x80));    /* ends in a number */
	EXPECT_UNSUPPORTED(BYTES(0x0f, 9, 0x30, 0x30, 0x30, 0x30, 0x30, 0x30, 0x30, 0x30, 0x30));
}

/* The caller's rsp is not the CFA: then it is the rule's, and the rest is told without the CFA. */
static void test_rules_of_the_stack_pointer(void **state)
{
	(void)state;
	EXPECT_RULE(BYTES(0x14, 7, 1), CFA(7, 0), .ra = AT_REG(7, 0));
	EXPECT_RULE(BYTES(0x87, 2, 0x86, 3), CFA_AT(7, -8, 0), .ra = AT_REG(7, 0),
		    .fp = AT_REG(7, -16));
	/* glibc's __longjmp: rsp in r8, rbp in r9, the return address in rdx */
	EXPECT_RULE(BYTES(0x0c, 5, 0, 0x09, 7, 8, 0x09, 6, 9, 0x09, 16, 1), CFA(8, 0),
		    .ra = IN_REG(1, 0), .fp = IN_REG(9, 0));
	EXPECT_RULE(BYTES(0x10, 7, 2, 0x73, 24), CFA_AT(3, 24, 0), .ra = AT_REG(7, 0));
	EXPECT_RULE(BYTES(0x14, 6, 2, 0x10, 7, 2, 0x73, 24), CFA_AT(3, 24, 0), .ra = AT_REG(7, 0),
		    .fp = IN_REG(7, -8));
	/* the same place by two names */
	EXPECT_RULE(BYTES(0x0f, 3, 0x76, 0x78, 0x06, 0x10, 7, 2, 0x76, 0x78), CFA_AT(6, -8, 0),
		    USUAL_RA);
	/* relative to a CFA that is in memory, and is not rsp */
	EXPECT_UNSUPPORTED(BYTES(0x0f, 3, 0x76, 0x78, 0x06, 0x10, 7, 2, 0x73, 24));
	EXPECT_UNSUPPORTED(BYTES(0x0f, 3, 0x76, 0x78, 0x06, 0x87, 2));
}

static void test_unsupported_bytes_are_counted(void **state)
{
	struct unwind_rows u;

	(void)state;
	begin_image();
	usual_cie();
	fde(0, 0x40, BYTES(0x44, 0x0d, 16, 0x48, 0x0c, 7, 8)); /* 8 bytes with the CFA in rip */
	put_headers(false);
	assert_int_equal(try_rows(&u), 0);
	assert_int_equal(u.unsupported_bytes, 8);
	unwind_rows_free(&u);
}

static void test_bad_instructions_drop_the_function(void **state)
{
	(void)state;
	EXPECT_BAD(BYTES(0x41, 0x0e, 16, 0x41, 0x3f)); /* unknown opcode, rows before */
	EXPECT_BAD(BYTES(0x0b));                       /* nothing to restore */
	EXPECT_BAD(BYTES(0x0a, 0x0b, 0x0b));
	EXPECT_BAD(BYTES(0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a,
			 0x0a, 0x0a, 0x0a, 0x0a, 0x0a)); /* 17 deep */
	/* (three bytes: no padding follows) */
	EXPECT_BAD(BYTES(0x00, 0x0f, 0x7f)); /* expression past the end */
	EXPECT_BAD(BYTES(0x00, 0x0e, 0x80)); /* number past the end */
	EXPECT_BAD(BYTES(0x00, 0x00, 0x04));
	EXPECT_BAD(BYTES(0x16, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1));
	EXPECT_BAD(BYTES(0x1d, 255, 255, 255, 255, 255, 255, 255, 255)); /* pc wraps */
	EXPECT_BAD(BYTES(0x41, 0x01, 0, 0, 0, 0));                       /* set_loc back */
}

static void test_bad_function_spares_its_neighbours(void **state)
{
	(void)state;
	begin_image();
	usual_cie();
	fde(0, 0x40, NOTHING);
	fde(0x40, 0x8, BYTES(0x41, 0x0e, 16, 0x3f));
	fde(0x48, 0x8, NOTHING);
	EXPECT(1, FIRST, {0x40, UNWIND_NONE, 0, 0}, {0x48, UNWIND_RSP, 1, 0},
	       {0x50, UNWIND_NONE, 0, 0});
}

static void test_gaps(void **state)
{
	(void)state;
	begin_image();
	usual_cie();
	fde(0x10, 0x10, NOTHING);         /* a gap at the beginning is one, however small */
	fde(0x30, 0x10, BYTES(0x0e, 16)); /* padding of 16: folded */
	fde(0x51, 0x10, BYTES(0x0e, 16)); /* 17: not */
	EXPECT(0, {0, UNWIND_NONE, 0, 0}, {0x10, UNWIND_RSP, 1, 0}, {0x30, UNWIND_RSP, 2, 0},
	       {0x40, UNWIND_NONE, 0, 0}, {0x51, UNWIND_RSP, 2, 0}, {0x61, UNWIND_NONE, 0, 0});
}

static void test_overlaps_and_order(void **state)
{
	(void)state;
	begin_image();
	usual_cie();
	fde(0x80, 0x10, BYTES(0x0e, 32));
	fde(0x20, 0x20, BYTES(0x0e, 24, 0x48, 0x0e, 32, 0x50, 0x0e, 40)); /* rows at 20 28 38 */
	fde(0x00, 0x30, BYTES(0x0e, 16)); /* ends inside it, and wins */
	fde(0x24, 0x04, BYTES(0x0e, 48)); /* all inside */
	fde(0x60, 0, NOTHING);            /* empty */
	EXPECT(0, {0, UNWIND_RSP, 2, 0}, {0x30, UNWIND_RSP, 4, 0}, {0x38, UNWIND_RSP, 5, 0},
	       {0x40, UNWIND_NONE, 0, 0}, {0x80, UNWIND_RSP, 4, 0}, {0x90, UNWIND_NONE, 0, 0});
}

static void test_pointer_encodings(void **state)
{
	static const uint8_t good[] = {0x00, 0x01, 0x03, 0x04, 0x09, 0x0b,
				       0x0c, 0x10, 0x13, 0x14, 0x1b, 0x1c};
	static const uint8_t bad[] = {0x9b, 0x80, 0x2b, 0x3b, 0x4b, 0x50, 0x05, 0x0f, 0xff};

	(void)state;
	for (size_t i = 0; i < sizeof(good); i++) {
		begin_image();
		cie_with("zR", BYTES(good[i]), good[i], 16, USUAL_RULES);
		fde(0, 0x40, NOTHING);
		EXPECT(0, FIRST, {0x40, UNWIND_NONE, 0, 0});
	}
	for (size_t i = 0; i < sizeof(bad); i++) {
		struct unwind_rows u;

		begin_image();
		cie_with("zR", BYTES(bad[i]), bad[i], 16, USUAL_RULES);
		fde(0, 0x40, NOTHING);
		put_headers(false);
		assert_int_equal(try_rows(&u), 0);
		assert_int_equal(u.n_rows, 0);
		assert_int_equal(u.bad_fdes, 1);
		unwind_rows_free(&u);
	}
}

static void test_augmentations(void **state)
{
	const struct want usual[] = {FIRST, {0x40, UNWIND_NONE, 0, 0}};
	const struct want unsupported[] = {{0, UNWIND_UNSUPPORTED, 0, 0},
					   {0x40, UNWIND_NONE, 0, 0}};

	(void)state;
	begin_image();
	cie_with("zPLR", BYTES(0x9b, 1, 2, 3, 4, 0x1b, 0x1b), 0x1b, 16, USUAL_RULES);
	fde(0, 0x40, NOTHING);
	put_headers(false);
	compare_rows(usual, 2, 0);
	begin_image();
	cie_with("zRB", BYTES(0x1b), 0x1b, 16, USUAL_RULES);
	fde(0, 0x40, NOTHING);
	put_headers(false);
	compare_rows(usual, 2, 0);
	begin_image();
	cie_with("", NOTHING, 0x00, 16, USUAL_RULES); /* no 'R': absolute */
	fde(0, 0x40, NOTHING);
	put_headers(false);
	compare_rows(usual, 2, 0);
	begin_image();
	cie_with("zR", BYTES(0x1b), 0x1b, 15, USUAL_RULES); /* return address in r15 */
	fde(0, 0x40, NOTHING);
	put_headers(false);
	compare_rows(unsupported, 2, 0);
}

static void test_signal_frames(void **state)
{
	/* glibc's __restore_rt: CFA = *(rsp + 160), registers in the ucontext at rsp */
	static const uint8_t restore_rt[] = {
		0x0f, 4, 0x77, 0xa0, 1, 0x06,    /* CFA */
		0x10, 6, 3, 0x77, 0xf8, 0,       /* rbp */
		0x10, 7, 3, 0x77, 0xa0, 1,       /* rsp */
		0x10, 16, 3, 0x77, 0xa8, 1,      /* rip */
		0x10, 3, 3, 0x77, 0x80, 1,       /* rbx: nothing to us */
	};
	const struct want signal[] = {{0, UNWIND_SIGNAL, 0, 0}, {0x40, UNWIND_NONE, 0, 0}};
	const struct want end[] = {{0, UNWIND_END, 0, 0}, {0x40, UNWIND_NONE, 0, 0}};
	uint8_t other[sizeof(restore_rt)];

	(void)state;
	begin_image();
	cie_with("zRS", BYTES(0x1b), 0x1b, 16, USUAL_RULES);
	fde(0, 0x40, (struct bytes){restore_rt, sizeof(restore_rt)});
	put_headers(false);
	compare_rows(signal, 2, 0);
	/* not a signal's by its CIE: an ordinary rule */
	EXPECT_RULE(((struct bytes){restore_rt, sizeof(restore_rt)}), CFA_AT(7, 160, 0),
		    .ra = AT_REG(7, 168), .fp = AT_REG(7, 120));
	/* a signal's, but another layout */
	memcpy(other, restore_rt, sizeof(other));
	other[10] = 0xf0;
	begin_image();
	cie_with("zRS", BYTES(0x1b), 0x1b, 16, USUAL_RULES);
	fde(0, 0x40, (struct bytes){other, sizeof(other)});
	compare_rule((struct unwind_rule){CFA_AT(7, 160, 0), .signal = 1, .ra = AT_REG(7, 168),
					  .fp = AT_REG(7, 112)});
	/* or none, as in code that only runs where a signal would */
	begin_image();
	cie_with("zRS", BYTES(0x1b), 0x1b, 16, USUAL_RULES);
	fde(0, 0x40, NOTHING);
	compare_rule((struct unwind_rule){CFA(7, 8), .signal = 1, USUAL_RA});
	begin_image();
	cie_with("zRS", BYTES(0x1b), 0x1b, 16, USUAL_RULES);
	fde(0, 0x40, BYTES(0x07, 16));
	put_headers(false);
	compare_rows(end, 2, 0);
}

/* A rule is stored once; when no more fit, what is left is not supported. */
static void test_many_rules(void **state)
{
	struct unwind_rows u;
	size_t extended = 0;

	(void)state;
	begin_image();
	usual_cie();
	fde(0, 0x4000, NOTHING);
	for (int i = 0; i < 2000; i++) { /* CFA = rsp + 2i + 1, each twice */
		put_u8(0x41);
		put_u8(0x0e);
		put_u8((uint8_t)((2 * (i % 1000) + 1) | 0x80));
		put_u8((uint8_t)((2 * (i % 1000) + 1) >> 7));
	}
	end_record();
	put_headers(false);
	assert_int_equal(try_rows(&u), 0);
	assert_int_equal(u.n_rules, 1000);
	for (size_t i = 0; i < u.n_rows; i++) {
		if (u.rows[i].kind != UNWIND_EXTENDED)
			continue;
		assert_int_equal(u.rules[u.rows[i].cfa].cfa_offset, 2 * (extended % 1000) + 1);
		extended++;
	}
	assert_int_equal(extended, 2000);
	unwind_rows_free(&u);
}

static void test_bad_cies(void **state)
{
	static const struct {
		const char *augmentation;
		struct bytes data, rules;
	} cies[] = {
		{"zRx", {"\x1b\0", 2}, {"", 0}}, /* who knows what x is */
		{"q", {"", 0}, {"", 0}},
		{"zPR", {"\x03\x01", 2}, {"", 0}},         /* data ends inside the pointer */
		{"zPR", {"\x50\0\0\0\0\x1b", 6}, {"", 0}}, /* aligned */
		{"zR", {"", 0}, {"", 0}},
		{"zR", {"\x1b", 1}, {"\x41", 1}}, /* a CIE that advances */
		{"zR", {"\x1b", 1}, {"\xc6", 1}}, /* restores */
		{"zR", {"\x1b", 1}, {"\x0b", 1}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cies) / sizeof(cies[0]); i++) {
		struct unwind_rows u;

		begin_image();
		cie_with(cies[i].augmentation, cies[i].data, 0x1b, 16, cies[i].rules);
		fde(0, 0x40, NOTHING);
		usual_cie();
		fde(0x40, 0x40, NOTHING);
		put_headers(false);
		assert_int_equal(try_rows(&u), 0);
		assert_int_equal(u.bad_fdes, 1);
		assert_int_equal(u.n_rows, 3); /* the good one, and what is around it */
		unwind_rows_free(&u);
	}
}

/* A CIE that defines no CFA leaves its functions nothing to change. */
static void test_no_cfa(void **state)
{
	(void)state;
	begin_image();
	cie_with("zR", BYTES(0x1b), 0x1b, 16, BYTES(0x90, 1));
	fde(0, 0x40, BYTES(0x0d, 7));
	fde(0x40, 0x40, BYTES(0x0e, 7));
	fde(0x80, 0x40, NOTHING);
	EXPECT(2, {0, UNWIND_NONE, 0, 0}, {0x80, UNWIND_UNSUPPORTED, 0, 0},
	       {0xc0, UNWIND_NONE, 0, 0});
}

static void test_versions_and_wide_records(void **state)
{
	static const uint8_t v4[] = {4,  'z', 'R',  0,    8, 0, 1,    0x78,
				     16, 1,   0x1b, 0x0c, 7, 8, 0x90, 1};
	uint64_t length;

	(void)state;
	begin_image();
	begin_record();
	image.cie = image.record;
	image.encoding = 0x1b;
	put_u32(0);
	put(v4, sizeof(v4));
	end_record();
	fde(0, 0x40, NOTHING);
	/* 64-bit DWARF: an escape, eight bytes of length, eight of CIE pointer */
	image.record = image.n;
	put_u32(UINT32_MAX);
	put_u64(0);
	put_u64(image.n - image.cie);
	put_pointer(TEXT + 0x40, false);
	put_pointer(0x10, true);
	put(BYTES(0, 0x0e, 16).data, 3);
	length = image.n - image.record - 12;
	memcpy(image.bytes + image.record + 4, &length, sizeof(length));
	EXPECT(0, FIRST, {0x40, UNWIND_RSP, 2, 0}, {0x50, UNWIND_NONE, 0, 0});
}

static void test_outside_text(void **state)
{
	(void)state;
	begin_image();
	usual_cie();
	fde(TEXT_SIZE - 0x10, 0x11, NOTHING); /* ends outside */
	fde(TEXT_SIZE, 0x10, NOTHING);        /* is outside */
	fde(0u - 0x10, 0x20, NOTHING);        /* begins outside */
	fde(0x10, 0xfffffff0u, NOTHING);      /* huge */
	fde(TEXT_SIZE - 0x10, 0x10, NOTHING); /* good */
	EXPECT(4, {0, UNWIND_NONE, 0, 0}, {TEXT_SIZE - 0x10, UNWIND_RSP, 1, 0},
	       {TEXT_SIZE, UNWIND_NONE, 0, 0});
}

static void test_broken_records(void **state)
{
	(void)state;
	/* the length runs past the section: what is before it counts */
	begin_image();
	usual_cie();
	fde(0, 0x40, NOTHING);
	put_u32(0x1000);
	EXPECT(1, FIRST, {0x40, UNWIND_NONE, 0, 0});
	/* behind the end mark is nothing */
	begin_image();
	usual_cie();
	fde(0, 0x40, NOTHING);
	put_u32(0);
	fde(0x40, 0x40, BYTES(0x0e, 16));
	EXPECT(0, FIRST, {0x40, UNWIND_NONE, 0, 0});
	/* the CIE pointer leads to an FDE, before the section, into the middle of things */
	for (int i = 0; i < 3; i++) {
		begin_image();
		usual_cie();
		fde(0, 0x40, NOTHING);
		image.cie = i == 0 ? image.record : i == 1 ? FRAME - 4 : image.cie + 2;
		fde(0x40, 0x40, NOTHING);
		EXPECT(1, FIRST, {0x40, UNWIND_NONE, 0, 0});
	}
}

static void test_header_table(void **state)
{
	const struct want want[] = {FIRST, {0x40, UNWIND_RSP, 2, 0}, {0x80, UNWIND_NONE, 0, 0}};

	(void)state;
	/* in order of addresses though the section is not; what it omits is not there */
	begin_image();
	usual_cie();
	fde(0x40, 0x40, BYTES(0x0e, 16));
	size_t second = image.record;
	fde(0, 0x40, NOTHING);
	add_hdr_entry(TEXT, image.record);
	add_hdr_entry(TEXT + 0x40, second);
	fde(0x80, 0x40, BYTES(0x0e, 24));
	put_headers(true);
	compare_rows(want, 3, 0);
	/* section headers gone: found through the table */
	memset(image.bytes + SECTIONS, 0, IMAGE_SIZE - SECTIONS);
	((Elf64_Phdr *)(image.bytes + sizeof(Elf64_Ehdr)))[1].p_vaddr = TEXT + HDR;
	for (int i = 0; i < 2; i++) /* now the file's text is where the table counts from */
		((int32_t *)(image.bytes + HDR + 12))[2 * i] -= (int32_t)TEXT;
	struct unwind_rows u;
	assert_int_equal(try_rows(&u), 0);
	unwind_rows_free(&u);
}

static void test_header_table_that_lies(void **state)
{
	const struct want want[] = {FIRST, {0x40, UNWIND_RSP, 2, 0}, {0x80, UNWIND_NONE, 0, 0}};

	(void)state;
	for (int lie = 0; lie < 7; lie++) {
		begin_image();
		usual_cie();
		fde(0x40, 0x40, BYTES(0x0e, 16));
		size_t second = image.record;
		fde(0, 0x40, NOTHING);
		size_t first = image.record;
		if (lie == 6) { /* one of two that start there: an empty one, as in BOLT's output */
			fde(0, 0, NOTHING);
			add_hdr_entry(TEXT, image.record);
			add_hdr_entry(TEXT + 0x40, second);
		}
		if (lie == 0) { /* not sorted */
			add_hdr_entry(TEXT + 0x40, second);
			add_hdr_entry(TEXT, first);
		} else if (lie == 1) { /* another function's address */
			add_hdr_entry(TEXT + 0x20, first);
		} else if (lie == 2) { /* points to a CIE */
			add_hdr_entry(TEXT, image.cie);
		} else if (lie == 3) { /* outside the section */
			add_hdr_entry(TEXT, image.n + 0x100);
		} else if (lie == 4) { /* the same record again and again: more than the section */
			for (int i = 0; i < 40; i++)
				add_hdr_entry(TEXT, first);
		}
		put_headers(true);
		if (lie == 5) { /* more entries than bytes */
			uint32_t n = UINT32_MAX;

			memcpy(image.bytes + HDR + 8, &n, sizeof(n));
		}
		compare_rows(want, 3, 0);
	}
}

/* Rows are bounded by the section's bytes, whatever those are. */
static void test_random_bytes(void **state)
{
	static const size_t sizes[] = {8, 64, 500, 4000};
	uint32_t seed = 12345;

	(void)state;
	for (int round = 0; round < 400; round++) {
		size_t size = sizes[round % 4];
		struct unwind_rows u;

		begin_image();
		usual_cie();
		fde(0, 0x4000, NOTHING);
		size_t from = image.n - 2;
		for (size_t i = 0; i < size; i++) {
			seed = seed * 1664525 + 1013904223;
			put_u8((uint8_t)(seed >> 24));
		}
		/* make them this function's instructions */
		uint32_t length = (uint32_t)(image.n - image.record - 4);
		memcpy(image.bytes + image.record, &length, sizeof(length));
		image.bytes[from] = 0x41;
		put_headers(false);
		assert_int_equal(try_rows(&u), 0);
		assert_true(u.n_rows <= image.n - FRAME);
		for (size_t i = 1; i < u.n_rows; i++)
			assert_true(u.rows[i - 1].pc < u.rows[i].pc);
		unwind_rows_free(&u);
	}
}

static void test_other_machine_and_huge_text(void **state)
{
	struct unwind_rows u;
	Elf64_Phdr ph;

	(void)state;
	begin_image();
	usual_cie();
	fde(0, 0x40, NOTHING);
	put_headers(false);
	((Elf64_Ehdr *)image.bytes)->e_machine = EM_AARCH64;
	assert_int_equal(try_rows(&u), -EOPNOTSUPP);
	put_headers(false);
	/* a second segment, 8 GiB away */
	memcpy(&ph, image.bytes + sizeof(Elf64_Ehdr), sizeof(ph));
	ph.p_vaddr += UINT64_C(8) << 30;
	memcpy(image.bytes + sizeof(Elf64_Ehdr) + sizeof(ph), &ph, sizeof(ph));
	assert_int_equal(try_rows(&u), -EFBIG);
	/* no CFI at all */
	put_headers(false);
	memset(image.bytes + SECTIONS, 0, 3 * sizeof(Elf64_Shdr));
	assert_int_equal(try_rows(&u), 0);
	assert_int_equal(u.n_rows, 0);
	unwind_rows_free(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules_of_compilers),
		cmocka_unit_test(test_advances),
		cmocka_unit_test(test_signed_and_extended_forms),
		cmocka_unit_test(test_plt),
		cmocka_unit_test(test_edges_of_what_rows_say),
		cmocka_unit_test(test_rules_of_registers),
		cmocka_unit_test(test_rules_of_the_cfa),
		cmocka_unit_test(test_rules_of_the_stack_pointer),
		cmocka_unit_test(test_signal_frames),
		cmocka_unit_test(test_many_rules),
		cmocka_unit_test(test_unsupported_bytes_are_counted),
		cmocka_unit_test(test_bad_instructions_drop_the_function),
		cmocka_unit_test(test_bad_function_spares_its_neighbours),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_overlaps_and_order),
		cmocka_unit_test(test_pointer_encodings),
		cmocka_unit_test(test_augmentations),
		cmocka_unit_test(test_bad_cies),
		cmocka_unit_test(test_no_cfa),
		cmocka_unit_test(test_versions_and_wide_records),
		cmocka_unit_test(test_outside_text),
		cmocka_unit_test(test_broken_records),
		cmocka_unit_test(test_header_table),
		cmocka_unit_test(test_header_table_that_lies),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_other_machine_and_huge_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tiny Go program, as far as an ELF file tells: six functions, their pclntab in each of its
 * formats, and the module's record. It has no section headers, so all must be searched for.
 */
#ifndef WIREPROF_TESTS_GO_IMAGE_H
#define WIREPROF_TESTS_GO_IMAGE_H

#include <assert.h>
#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { GO_TEXT = 0x200, GO_RODATA = 0x400, GO_DATA = 0xc00, GO_IMAGE_BYTES = 0xe00 };
#define GO_TEXT_VADDR   0x400200u
#define GO_RODATA_VADDR 0x500400u
#define GO_DATA_VADDR   0x600c00u
/* Function i is at GO_TEXT_VADDR + GO_FUNCTION_BYTES * i. */
enum { GO_FUNCTIONS = 6, GO_FUNCTION_BYTES = 0x40 };

struct go_image {
	uint8_t bytes[GO_IMAGE_BYTES];
	unsigned int version; /* 2, 16, 18 or 20, as in Go 1.20 */
	size_t n;             /* end of what is written of the read-only data */
	uint32_t pcsp[GO_FUNCTIONS], pcfile, pcln, pcinline, tree;
	size_t parts[5]; /* where names, cutab, files, pctab, functab begin; from the header */
};

struct go_run {
	int32_t value;
	uint32_t bytes;
};

static const struct go_image_function {
	const char *name, *code;
	size_t code_bytes;
	uint8_t flags;
	struct go_run delta[6];
} go_image_functions[GO_FUNCTIONS] = {
	/* push %rbp; mov %rsp,%rbp; sub $24,%rsp; nop...; add $24,%rsp; pop %rbp; ret */
	{"main.main",
	 "\x55\x48\x89\xe5\x48\x83\xec\x18\x90\x90\x90\x90\x48\x83\xc4\x18\x5d\xc3",
	 18,
	 0,
	 {{0, 1}, {8, 7}, {32, 8}, {8, 1}, {0, 1}}},
	/* sub $24,%rsp; mov %rbp,16(%rsp); lea 16(%rsp),%rbp; nop; mov 16(%rsp),%rbp; add $24,%rsp;
	   ret */
	{"main.F[go.shape.int]",
	 "\x48\x83\xec\x18\x48\x89\x6c\x24\x10\x48\x8d\x6c\x24\x10\x90\x48\x8b\x6c\x24\x10\x48\x83"
	 "\xc4\x18\xc3",
	 25,
	 0,
	 {{0, 4}, {24, 20}, {0, 1}}},
	{"runtime.goexit", "\x90\xe8\0\0\0\0\x90", 7, 1, {{0, 7}}},
	/* push %rbp; mov %rsp,%rbp; nop; mov 56(%r14),%rsp; push %rax; call *%r12 */
	{"runtime.mcall",
	 "\x55\x48\x89\xe5\x90\x49\x8b\x66\x38\x50\x41\xff\xd4\x90",
	 14,
	 2,
	 {{0, 1}, {8, 9}, {16, 4}}},
	/* push %rbp; mov %rsp,%rbp; mov 56(%rdx),%rsp; call *%rdi; pop %rbp; ret */
	{"runtime.systemstack",
	 "\x55\x48\x89\xe5\x48\x8b\x62\x38\xff\xd7\x5d\xc3",
	 12,
	 2,
	 {{0, 1}, {8, 10}, {0, 1}}},
	{"runtime.asyncPreempt",
	 "\x55\x48\x89\xe5\x9c\x90\x9d\x5d\xc3",
	 9,
	 0,
	 {{0, 1}, {8, 4}, {16, 2}, {8, 1}, {0, 1}}},
};

static inline void go_put(struct go_image *m, const void *data, size_t n)
{
	assert(m->n + n <= GO_DATA);
	memcpy(m->bytes + m->n, data, n);
	m->n += n;
}

static inline void go_put32(struct go_image *m, uint32_t v)
{
	go_put(m, &v, sizeof(v));
}

static inline void go_put64(struct go_image *m, uint64_t v)
{
	go_put(m, &v, sizeof(v));
}

static inline uint32_t go_put_string(struct go_image *m, const char *s, size_t from)
{
	uint32_t at = (uint32_t)(m->n - from);

	go_put(m, s, strlen(s) + 1);
	return at;
}

static inline uint32_t go_put_runs(struct go_image *m, const struct go_run *run, size_t from)
{
	uint32_t at = (uint32_t)(m->n - from);
	int32_t before = -1;

	for (; run->bytes; before = run++->value) {
		int32_t delta = run->value - before;
		uint8_t pair[] = {(uint8_t)(delta < 0 ? ~(2 * delta) : 2 * delta),
				  (uint8_t)run->bytes};

		go_put(m, pair, 2);
	}
	go_put(m, "", 1);
	return at;
}

/* The record of function i; the funcdata, 4 offsets, has the tree of inlined calls of the first. */
static inline void go_put_record(struct go_image *m, unsigned int i, uint32_t name)
{
	uint32_t entry = (uint32_t)(i * GO_FUNCTION_BYTES);

	if (m->version >= 18)
		go_put32(m, entry);
	else
		go_put64(m, GO_TEXT_VADDR + entry);
	go_put32(m, name);
	go_put64(m, 0); /* args, deferreturn */
	go_put32(m, m->pcsp[i]);
	go_put32(m, m->pcfile);
	go_put32(m, m->pcln);
	go_put32(m, 3);
	if (m->version >= 16)
		go_put32(m, 0);
	if (m->version >= 20)
		go_put32(m, 7 + i);
	go_put32(m, (uint32_t)go_image_functions[i].flags << 8 | 4u << 24);
	for (int k = 0; k < 2; k++)
		go_put32(m, 0);
	go_put32(m, i == 0 ? m->pcinline : 0);
	for (int k = 0; k < 3; k++)
		go_put32(m, UINT32_MAX);
	go_put32(m, i == 0 ? 0 : UINT32_MAX);
}

static inline void go_put_functab(struct go_image *m, const uint32_t *names, size_t from)
{
	size_t table = m->n, each = m->version >= 18 ? 8 : 16;

	m->n += GO_FUNCTIONS * each + each / 2 + (m->version == 2 ? 4 : 0);
	m->n = (m->n + 7) & ~(size_t)7;
	for (unsigned int i = 0; i <= GO_FUNCTIONS; i++) {
		uint64_t wide[] = {GO_TEXT_VADDR + i * GO_FUNCTION_BYTES, m->n - from};
		uint32_t narrow[] = {(uint32_t)(i * GO_FUNCTION_BYTES), (uint32_t)(m->n - from)};

		memcpy(m->bytes + table + i * each,
		       m->version >= 18 ? (void *)narrow : (void *)wide,
		       i < GO_FUNCTIONS ? each : each / 2);
		if (i < GO_FUNCTIONS)
			go_put_record(m, i, names[i]);
	}
}

static inline void go_put_elf(struct go_image *m)
{
	const uint32_t note[] = {4, 4, 4, 0x6f47, 0x12345678};
	Elf64_Ehdr eh = {.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_phoff = 64, .e_phnum = 4};
	Elf64_Phdr ph[] = {
		{PT_LOAD, PF_R | PF_X, GO_TEXT, GO_TEXT_VADDR, 0, 0x200, 0x200, 1},
		{PT_LOAD, PF_R, GO_RODATA, GO_RODATA_VADDR, 0, 0x800, 0x800, 1},
		{PT_LOAD, PF_R | PF_W, GO_DATA, GO_DATA_VADDR, 0, 0x200, 0x200, 1},
		{PT_NOTE, PF_R, 0x1c0, 0, 0, sizeof(note), sizeof(note), 4},
	};

	memcpy(eh.e_ident, ELFMAG "\2\1\1", 7);
	eh.e_phentsize = sizeof(ph[0]);
	memcpy(m->bytes, &eh, sizeof(eh));
	memcpy(m->bytes + 64, ph, sizeof(ph));
	memcpy(m->bytes + 0x1c0, note, sizeof(note));
	for (int i = 0; i < GO_FUNCTIONS; i++) {
		uint8_t *code = m->bytes + GO_TEXT + i * GO_FUNCTION_BYTES;

		memset(code, 0xcc, GO_FUNCTION_BYTES);
		memcpy(code, go_image_functions[i].code, go_image_functions[i].code_bytes);
	}
}

/* {pointers to the header and the names, ..., [22] text, ..., function data} */
static inline void go_put_module(struct go_image *m)
{
	uint64_t word[48] = {GO_RODATA_VADDR, GO_RODATA_VADDR + m->parts[0]};

	word[22] = GO_TEXT_VADDR;
	word[m->version >= 20 ? 40 : 38] = GO_RODATA_VADDR + m->tree - GO_RODATA;
	memcpy(m->bytes + GO_DATA, word, sizeof(word));
}

static inline void go_image_build(struct go_image *m, unsigned int version)
{
	static const uint8_t magic[] = {[2] = 0xfb, [16] = 0xfa, [18] = 0xf0, [20] = 0xf1};
	/* main.inner is inlined into main.main at [8, 12), called from line 12. */
	static const struct go_run files[] = {{0, 8}, {1, 4}, {0, 52}, {0, 0}};
	static const struct go_run lines[] = {{11, 7}, {12, 1}, {30, 4}, {13, 52}, {0, 0}};
	static const struct go_run inlines[] = {{-1, 8}, {0, 4}, {-1, 52}, {0, 0}};
	size_t from = GO_RODATA, header = version == 2 ? 16 : version == 16 ? 64 : 72;
	uint32_t names[GO_FUNCTIONS], inner, cutab[2], functab_2 = 0;

	memset(m, 0, sizeof(*m));
	m->version = version;
	m->n = GO_RODATA + header;
	if (version == 2) { /* here the functions come first */
		functab_2 = (uint32_t)(GO_FUNCTIONS * 16 + 8 + 4);
		m->n += functab_2 + GO_FUNCTIONS * 80;
	}
	m->parts[0] = m->n - GO_RODATA;
	from = version == 2 ? GO_RODATA : m->n;
	inner = go_put_string(m, "main.inner", from);
	for (int i = 0; i < GO_FUNCTIONS; i++)
		names[i] = go_put_string(m, go_image_functions[i].name, from);
	m->parts[1] = m->n - GO_RODATA;
	m->n += 8;
	m->parts[2] = m->n - GO_RODATA;
	from = version == 2 ? GO_RODATA : m->n;
	cutab[0] = go_put_string(m, "/src/main.go", from);
	cutab[1] = go_put_string(m, "/src/inner.go", from);
	memcpy(m->bytes + GO_RODATA + m->parts[1], cutab, sizeof(cutab));
	m->parts[3] = m->n - GO_RODATA;
	from = version == 2 ? GO_RODATA : m->n;
	go_put(m, "", 1);
	m->pcfile = go_put_runs(m, files, from);
	m->pcln = go_put_runs(m, lines, from);
	m->pcinline = go_put_runs(m, inlines, from);
	for (int i = 0; i < GO_FUNCTIONS; i++)
		m->pcsp[i] = go_put_runs(m, go_image_functions[i].delta, from);
	m->n = (m->n + 7) & ~(size_t)7;
	m->parts[4] = m->n - GO_RODATA;
	from = version == 2 ? GO_RODATA : m->n;
	if (version == 2)
		m->n = GO_RODATA + header;
	go_put_functab(m, names, from);
	if (version == 2) {
		uint32_t at = (uint32_t)m->parts[1];

		memcpy(m->bytes + GO_RODATA + header + GO_FUNCTIONS * 16 + 8, &at, 4);
		m->n = GO_RODATA + m->parts[4];
	}
	m->tree = (uint32_t)m->n;
	if (version >= 20) {
		const uint32_t call[] = {0, inner, 7, 29};

		go_put(m, call, sizeof(call));
	} else {
		const uint32_t call[] = {0xffff, 0, 12, inner, 7};

		go_put(m, call, sizeof(call));
	}
	m->n = GO_RODATA;
	go_put(m, (const uint8_t[]){magic[version], 0xff, 0xff, 0xff, 0, 0, 1, 8}, 8);
	go_put64(m, GO_FUNCTIONS);
	if (version >= 16)
		go_put64(m, 2);
	if (version >= 18)
		go_put64(m, 0); /* the text's address, as Go 1.26 leaves it */
	for (int i = 0; version >= 16 && i < 5; i++)
		go_put64(m, m->parts[i]);
	go_put_elf(m);
	go_put_module(m);
}

#endif

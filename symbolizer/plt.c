/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for the entries of procedure linkage tables, which have no symbols: "memcpy@plt".
 *
 * What an entry is called for is found the way the processor does: it jumps through a slot of the
 * GOT, and a relocation says whose address the dynamic linker puts there. So the layout of the
 * tables, which differs with the linker and its options, does not matter. On x86-64 (psABI 5.2):
 *
 *	.plt, .plt.got, .plt.sec, .iplt	[endbr64] [bnd] jmp *slot(%rip)		slot -> relocation
 *	.plt with IBT, or unresolved	[endbr64] push $n; [bnd] jmp .plt	n -> .rela.plt[n]
 *
 * A slot without a symbol (IRELATIVE: strlen and the like inside libc) has the address of the
 * function that chooses the implementation; its symbol is the name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "elf_internal.h"

#define RELOCATIONS_MAX (1u << 22) /* looked at */
#define ENTRIES_MAX	(1u << 18)
#define NAME_MAX_BYTES	4096

struct slot {
	uint64_t address;
	uint32_t symbol; /* in .dynsym; 0: none */
	uint64_t chooser;
};

struct plt_entry {
	uint64_t vaddr;
	uint32_t size;
	char *name;
};

struct plt {
	struct plt_entry *entries; /* by vaddr */
	size_t n, capacity;
};

/* While the table is made. */
struct making {
	const struct elf_object *o;
	const struct symbol_table *symbols;
	struct elf_bytes dynsym, dynstr;
	struct slot *slots; /* by address */
	size_t n_slots, slots_capacity;
	struct elf_bytes lazy; /* .rela.plt */
	struct plt *plt;
};

static bool grow(void **list, size_t *capacity, size_t n, size_t element)
{
	size_t wanted = *capacity ? 2 * *capacity : 256;
	void *grown;

	if (n < *capacity)
		return true;
	grown = realloc(*list, wanted * element);
	if (!grown)
		return false;
	*list = grown;
	*capacity = wanted;
	return true;
}

static bool is_slot(const Elf64_Rela *r, struct slot *out)
{
	switch (ELF64_R_TYPE(r->r_info)) {
	case R_X86_64_JUMP_SLOT:
	case R_X86_64_GLOB_DAT:
		*out = (struct slot){r->r_offset, (uint32_t)ELF64_R_SYM(r->r_info), 0};
		return out->symbol != 0;
	case R_X86_64_IRELATIVE:
		*out = (struct slot){r->r_offset, 0, (uint64_t)r->r_addend};
		return true;
	}
	return false;
}

static void read_slots(struct making *m, struct elf_bytes relocations)
{
	size_t n = relocations.size / sizeof(Elf64_Rela);
	Elf64_Rela r;

	for (size_t i = 0; i < n && i < RELOCATIONS_MAX; i++) {
		struct slot slot;

		memcpy(&r, relocations.data + i * sizeof(r), sizeof(r));
		if (!is_slot(&r, &slot))
			continue;
		if (!grow((void **)&m->slots, &m->slots_capacity, m->n_slots, sizeof(*m->slots)))
			return;
		m->slots[m->n_slots++] = slot;
	}
}

static int by_address(const void *pa, const void *pb)
{
	uint64_t a = ((const struct slot *)pa)->address, b = ((const struct slot *)pb)->address;

	return (a > b) - (a < b);
}

static int by_vaddr(const void *pa, const void *pb)
{
	uint64_t a = ((const struct plt_entry *)pa)->vaddr, b = ((const struct plt_entry *)pb)->vaddr;

	return (a > b) - (a < b);
}

static bool section_is(const struct elf_object *o, const Elf64_Shdr *sh, const char *name)
{
	size_t n = strlen(name) + 1;
	struct elf_bytes names;
	Elf64_Shdr table;

	return elf_shdr(o, o->shstrndx, &table) && elf_section_bytes(o, &table, &names) &&
	       sh->sh_name < names.size && names.size - sh->sh_name >= n &&
	       memcmp(names.data + sh->sh_name, name, n) == 0;
}

static bool read_relocations(struct making *m)
{
	Elf64_Shdr sh, str;
	struct elf_bytes b;

	if (!elf_section_by_type(m->o, SHT_DYNSYM, &sh) || !elf_section_bytes(m->o, &sh, &m->dynsym) ||
	    !elf_shdr(m->o, sh.sh_link, &str) || !elf_section_bytes(m->o, &str, &m->dynstr))
		m->dynsym = m->dynstr = (struct elf_bytes){0}; /* static: there is IRELATIVE still */
	for (uint32_t i = 0; elf_shdr(m->o, i, &sh); i++) {
		if (sh.sh_type != SHT_RELA || !(sh.sh_flags & SHF_ALLOC) ||
		    sh.sh_entsize != sizeof(Elf64_Rela) || !elf_section_bytes(m->o, &sh, &b))
			continue;
		read_slots(m, b);
		if (section_is(m->o, &sh, ".rela.plt"))
			m->lazy = b;
	}
	if (m->n_slots)
		qsort(m->slots, m->n_slots, sizeof(*m->slots), by_address);
	return m->n_slots;
}

static const char *dynamic_name(const struct making *m, uint32_t symbol)
{
	Elf64_Sym sym;

	if (symbol >= m->dynsym.size / sizeof(sym))
		return NULL;
	memcpy(&sym, m->dynsym.data + symbol * sizeof(sym), sizeof(sym));
	/* Strings end in the image at the latest, see elf_internal.h. */
	return sym.st_name < m->dynstr.size ? (const char *)m->dynstr.data + sym.st_name : NULL;
}

/* What a slot will hold the address of, or NULL. */
static const char *slot_name(const struct making *m, const struct slot *slot)
{
	struct elf_symbol s;

	if (slot->symbol)
		return dynamic_name(m, slot->symbol);
	return m->symbols && symbol_table_find(m->symbols, slot->chooser, &s) ? s.name : NULL;
}

static size_t skip_bytes(const uint8_t *code, size_t at, const char *bytes, size_t n)
{
	return memcmp(code + at, bytes, n) == 0 ? at + n : at;
}

/* What an entry at vaddr is called for. `code` has 16 bytes. */
static const char *entry_name(const struct making *m, const uint8_t *code, uint64_t vaddr)
{
	size_t at = skip_bytes(code, 0, "\xf3\x0f\x1e\xfa", 4), jump; /* endbr64 */
	struct slot key, *slot;
	Elf64_Rela r;
	int32_t operand;

	jump = skip_bytes(code, at, "\xf2", 1); /* bnd */
	if (code[jump] == 0xff && code[jump + 1] == 0x25) {
		memcpy(&operand, code + jump + 2, sizeof(operand));
		key.address = vaddr + jump + 6 + (uint64_t)(int64_t)operand;
		slot = bsearch(&key, m->slots, m->n_slots, sizeof(key), by_address);
		return slot ? slot_name(m, slot) : NULL;
	}
	if (code[at] != 0x68)
		return NULL;
	memcpy(&operand, code + at + 1, sizeof(operand));
	if (operand < 0 || (size_t)operand >= m->lazy.size / sizeof(r))
		return NULL;
	memcpy(&r, m->lazy.data + (size_t)operand * sizeof(r), sizeof(r));
	return is_slot(&r, &key) ? slot_name(m, &key) : NULL;
}

static bool add_entry(struct plt *p, uint64_t vaddr, uint32_t size, const char *name)
{
	size_t n = strnlen(name, NAME_MAX_BYTES);
	const char *version = memchr(name, '@', n);
	char *copy;

	if (version)
		n = (size_t)(version - name);
	if (n == 0)
		return true;
	copy = malloc(n + sizeof("@plt"));
	if (!copy || !grow((void **)&p->entries, &p->capacity, p->n, sizeof(*p->entries))) {
		free(copy);
		return false;
	}
	memcpy(copy, name, n);
	memcpy(copy + n, "@plt", sizeof("@plt"));
	p->entries[p->n++] = (struct plt_entry){vaddr, size, copy};
	return true;
}

/* Entries are 16 bytes; 8 in .plt.got without IBT: a jump of 6, a nop of 2. */
static uint32_t entry_size(const Elf64_Shdr *sh, struct elf_bytes b)
{
	bool is_short = b.size >= 8 && memcmp(b.data, "\xff\x25", 2) == 0 &&
			memcmp(b.data + 6, "\x66\x90", 2) == 0;

	return sh->sh_entsize == 8 || is_short ? 8 : 16;
}

static void read_section(struct making *m, const Elf64_Shdr *sh)
{
	uint8_t code[16];
	struct elf_bytes b;
	uint32_t step;

	if (!elf_section_bytes(m->o, sh, &b))
		return;
	step = entry_size(sh, b);
	for (size_t at = 0; at + step <= b.size && m->plt->n < ENTRIES_MAX; at += step) {
		size_t left = b.size - at < sizeof(code) ? b.size - at : sizeof(code);
		const char *name;

		memset(code, 0, sizeof(code));
		memcpy(code, b.data + at, left);
		name = entry_name(m, code, sh->sh_addr + at);
		if (name && !add_entry(m->plt, sh->sh_addr + at, step, name))
			return;
	}
}

static void read_sections(struct making *m)
{
	static const char *const names[] = {".plt", ".plt.got", ".plt.sec", ".plt.bnd", ".iplt"};
	Elf64_Shdr sh;

	for (uint32_t i = 0; elf_shdr(m->o, i, &sh); i++)
		for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++)
			if ((sh.sh_flags & SHF_EXECINSTR) && section_is(m->o, &sh, names[j]))
				read_section(m, &sh);
}

struct plt *plt_new(const struct elf_object *o, const struct symbol_table *symbols)
{
	struct plt *p = o->machine == EM_X86_64 ? calloc(1, sizeof(*p)) : NULL;
	struct making m = {.o = o, .symbols = symbols, .plt = p};

	if (p && read_relocations(&m))
		read_sections(&m);
	free(m.slots);
	if (p && !p->n) {
		plt_free(p);
		return NULL;
	}
	if (p)
		qsort(p->entries, p->n, sizeof(*p->entries), by_vaddr);
	return p;
}

void plt_free(struct plt *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		free(p->entries[i].name);
	free(p->entries);
	free(p);
}

bool plt_find(const struct plt *p, uint64_t vaddr, struct elf_symbol *out)
{
	size_t low = 0, high = p->n;

	while (low < high) { /* the entries before low start at or below vaddr */
		size_t middle = low + (high - low) / 2;

		if (p->entries[middle].vaddr <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || vaddr - p->entries[low - 1].vaddr >= p->entries[low - 1].size)
		return false;
	*out = (struct elf_symbol){p->entries[low - 1].vaddr, p->entries[low - 1].size,
				   p->entries[low - 1].name};
	return true;
}

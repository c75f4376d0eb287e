/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of an object, sorted by address: twelve bytes each, names stay in the mapped file.
 *
 *	.symtab, else the debug file's .symtab, else .gnu_debugdata's .symtab and .dynsym together
 *	(the former leaves out what is in the latter), else .dynsym
 *	   -> candidates (functions; labels in executable sections, as assembler has no functions)
 *	   -> sort by address, the best name of each address first
 *	   -> one entry an address; no labels inside functions; size 0 reaches to the next one
 *
 * An address past the end of every function is nobody's: a wrong name is worse than none.
 */
#include <stdlib.h>
#include <string.h>
#include "elf_internal.h"

/* Functions that enclose others are looked for this many entries back. */
#define ENCLOSING_MAX 8
/* Symbols looked at; a table with more is cut. 16 Mi symbols are 384 MiB of file. */
#define SYMBOLS_MAX (1u << 24)

struct entry {
	uint32_t vaddr; /* less the table's base */
	uint32_t size;
	uint32_t name; /* offset in the strings of a part; the top bit tells which */
};

#define PARTS_MAX  2
#define NAME_PART  (UINT32_C(1) << 31)
#define PART_OF(e) ((e)->name / NAME_PART)

struct part {
	const struct elf_object *o; /* whose table, and whose sections */
	struct elf_bytes symbols, strings;
};

struct symbol_table {
	struct elf_object *mini; /* made of .gnu_debugdata; owner of the first part's bytes */
	struct part parts[PARTS_MAX];
	size_t n_parts;
	uint64_t base, end; /* of the text */
	size_t n_entries;
	struct entry *entries;
};

struct candidate {
	struct entry e;
	uint32_t limit; /* end of the section, as far as text goes; where a size of 0 ends */
	uint8_t rank;   /* the lower, the better a name for the address */
	bool label;
};

/* Adds an object's symbol table of a type to the parts; false where it has none. */
static bool add_part(struct symbol_table *t, const struct elf_object *o, uint32_t type)
{
	struct part *part = &t->parts[t->n_parts];
	Elf64_Shdr sh, str;

	if (!elf_section_by_type(o, type, &sh) || sh.sh_entsize != sizeof(Elf64_Sym) ||
	    !elf_section_bytes(o, &sh, &part->symbols) || !elf_shdr(o, sh.sh_link, &str) ||
	    !elf_section_bytes(o, &str, &part->strings))
		return false;
	part->o = o;
	t->n_parts++;
	return true;
}

static size_t n_symbols(struct elf_bytes symbols)
{
	size_t n = symbols.size / sizeof(Elf64_Sym);

	return n < SYMBOLS_MAX ? n : SYMBOLS_MAX;
}

static void symbol_at(struct elf_bytes symbols, size_t i, Elf64_Sym *out)
{
	memcpy(out, symbols.data + i * sizeof(*out), sizeof(*out));
}

/*
 * A name, or NULL. It may run past the end of a broken string table, but not past the image, which
 * ends in zeroes.
 */
static const char *name_at(struct elf_bytes strings, uint32_t offset)
{
	return offset && offset < strings.size && offset < NAME_PART ? (const char *)strings.data + offset : NULL;
}

static bool is_function(const Elf64_Sym *sym)
{
	int type = ELF64_ST_TYPE(sym->st_info);

	return (type == STT_FUNC || type == STT_GNU_IFUNC) && sym->st_shndx != SHN_UNDEF;
}

/*
 * Global names are the ones that people know, then weak ones (libc's `write` is one); local ones are
 * often aliases for internal use (`__GI___libc_write`).
 */
static uint8_t rank_of(const Elf64_Sym *sym)
{
	static const uint8_t by_binding[] = {[STB_LOCAL] = 2, [STB_GLOBAL] = 0, [STB_WEAK] = 1};
	int binding = ELF64_ST_BIND(sym->st_info);
	uint8_t rank = binding <= STB_WEAK ? by_binding[binding] : 0;

	if (!is_function(sym))
		rank += 4;
	if (sym->st_size == 0)
		rank += 8;
	return rank;
}

/* Labels count in executable sections only, and not those that assemblers and mapping symbols use.
 */
static bool is_label(const Elf64_Sym *sym, const Elf64_Shdr *sh, const char *name)
{
	return ELF64_ST_TYPE(sym->st_info) == STT_NOTYPE && (sh->sh_flags & SHF_EXECINSTR) &&
	       name[0] != '$' && strncmp(name, ".L", 2) != 0;
}

static const char *name_of(const struct symbol_table *t, const struct entry *e)
{
	return name_at(t->parts[PART_OF(e)].strings, e->name % NAME_PART);
}

static bool make_candidate(const struct symbol_table *t, const struct part *part,
			   const Elf64_Sym *sym, struct candidate *c)
{
	const char *name = name_at(part->strings, sym->st_name);
	Elf64_Shdr sh = {0};
	uint64_t limit, size;

	if (!name || !*name || sym->st_shndx == SHN_UNDEF || sym->st_value < t->base ||
	    sym->st_value >= t->end)
		return false;
	if (sym->st_shndx < SHN_LORESERVE)
		elf_shdr(part->o, sym->st_shndx, &sh);
	c->label = !is_function(sym);
	if (c->label && !is_label(sym, &sh, name))
		return false;
	/* In an unknown section a size of 0 reaches nowhere. */
	limit = sh.sh_addr > UINT64_MAX - sh.sh_size ? 0 : sh.sh_addr + sh.sh_size;
	if (limit > t->end)
		limit = t->end;
	if (sym->st_size == 0 && (sym->st_value < sh.sh_addr || sym->st_value >= limit))
		return false;
	size = t->end - sym->st_value;
	if (sym->st_size < size)
		size = sym->st_size;
	c->e.vaddr = (uint32_t)(sym->st_value - t->base);
	c->e.size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
	c->e.name = sym->st_name + NAME_PART * (uint32_t)(part - t->parts);
	c->limit = limit > t->base ? (uint32_t)(limit - t->base) : 0;
	c->rank = rank_of(sym);
	return true;
}

static int three_way(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* By address; then the best name first, in an order that does not depend on the table's. */
static int compare(const void *pa, const void *pb, void *table)
{
	const struct candidate *a = pa, *b = pb;
	int d = three_way(a->e.vaddr, b->e.vaddr);
	const char *name_a, *name_b;

	if (!d)
		d = three_way(a->rank, b->rank);
	if (d)
		return d;
	name_a = name_of(table, &a->e);
	name_b = name_of(table, &b->e);
	d = three_way(strspn(name_a, "_"), strspn(name_b, "_")); /* `write` before `__write` */
	if (!d)
		d = strcmp(name_a, name_b);
	return d ? d : three_way(b->e.size, a->e.size);
}

/* A part's candidates, in c if that is given. Returns their number, at most `room`. */
static size_t collect_part(const struct symbol_table *t, const struct part *part,
			   struct candidate *c, size_t room)
{
	size_t n = 0;
	Elf64_Sym sym;

	for (size_t i = 0; n < room && i < n_symbols(part->symbols); i++) {
		struct candidate one;

		symbol_at(part->symbols, i, &sym);
		if (!make_candidate(t, part, &sym, &one))
			continue;
		if (c)
			c[n] = one;
		n++;
	}
	return n;
}

static size_t collect(struct symbol_table *t, struct candidate **out)
{
	size_t n_all = 0, n = 0;
	struct candidate *c;

	/* Counted first: a table of variables should not cost their room. */
	for (size_t i = 0; i < t->n_parts; i++)
		n_all += collect_part(t, &t->parts[i], NULL, SIZE_MAX);
	c = n_all ? malloc(n_all * sizeof(*c)) : NULL;
	if (!c)
		return 0;
	*out = c;
	for (size_t i = 0; i < t->n_parts; i++)
		n += collect_part(t, &t->parts[i], c + n, n_all - n);
	qsort_r(c, n, sizeof(*c), compare, t);
	return n;
}

/* From sorted candidates to entries, in place of a fresh array: the table's. Returns their number.
 */
static size_t fill_entries(struct candidate *c, size_t n, struct entry *entries)
{
	uint64_t reach = 0; /* end of the sized functions so far */
	size_t n_entries = 0;

	for (size_t i = 0; i < n; i++) {
		if (n_entries && entries[n_entries - 1].vaddr == c[i].e.vaddr)
			continue; /* an alias */
		if (c[i].label && c[i].e.vaddr < reach)
			continue; /* a jump target */
		if ((uint64_t)c[i].e.vaddr + c[i].e.size > reach)
			reach = (uint64_t)c[i].e.vaddr + c[i].e.size;
		c[n_entries] = c[i];
		entries[n_entries++] = c[i].e;
	}
	for (size_t i = 0; i < n_entries; i++) {
		uint32_t to = c[i].limit;

		if (entries[i].size)
			continue;
		if (i + 1 < n_entries && entries[i + 1].vaddr < to)
			to = entries[i + 1].vaddr;
		entries[i].size = to - entries[i].vaddr;
	}
	return n_entries;
}

/* Makes the entries from the parts. Returns whether there are any. */
static bool build(struct symbol_table *t)
{
	struct candidate *c = NULL;
	size_t n = collect(t, &c);

	if (n)
		t->entries = malloc(n * sizeof(*t->entries));
	if (t->entries)
		t->n_entries = fill_entries(c, n, t->entries);
	free(c);
	if (!t->entries) {
		t->n_parts = 0; /* on to the next table */
		return false;
	}
	if (t->n_entries && t->n_entries < n) {
		struct entry *less = realloc(t->entries, t->n_entries * sizeof(*less));

		t->entries = less ? less : t->entries;
	}
	return true;
}

static bool build_any(struct symbol_table *t, const struct elf_object *o,
		      const struct elf_object *debug)
{
	if (add_part(t, o, SHT_SYMTAB) && build(t))
		return true;
	if (debug && add_part(t, debug, SHT_SYMTAB) && build(t))
		return true;
	if (mini_debug_open(o, &t->mini) == 0)
		add_part(t, t->mini, SHT_SYMTAB);
	add_part(t, o, SHT_DYNSYM);
	return build(t);
}

struct symbol_table *symbol_table_new(const struct elf_object *o, const struct elf_object *debug)
{
	struct symbol_table *t = calloc(1, sizeof(*t));

	if (t && elf_object_text(o, &t->base, &t->end) && t->end - t->base <= UINT32_MAX &&
	    build_any(t, o, debug))
		return t;
	symbol_table_free(t);
	return NULL;
}

void symbol_table_free(struct symbol_table *t)
{
	if (!t)
		return;
	elf_object_free(t->mini);
	free(t->entries);
	free(t);
}

bool symbol_table_find(const struct symbol_table *t, uint64_t vaddr, struct elf_symbol *out)
{
	size_t low = 0, high = t->n_entries;
	uint64_t rel = vaddr - t->base;

	if (vaddr < t->base)
		return false;
	while (low < high) { /* the entries before low are at or below the address */
		size_t middle = low + (high - low) / 2;

		if (t->entries[middle].vaddr <= rel)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t i = low; i > 0 && low - i < ENCLOSING_MAX; i--) {
		const struct entry *e = &t->entries[i - 1];

		if (rel - e->vaddr >= e->size)
			continue;
		out->vaddr = t->base + e->vaddr;
		out->size = e->size;
		out->name = name_of(t, e);
		return out->name != NULL;
	}
	return false;
}

static bool part_has(const struct part *part, const char *name)
{
	for (size_t i = 0; i < n_symbols(part->symbols); i++) {
		const char *found;
		Elf64_Sym sym;

		symbol_at(part->symbols, i, &sym);
		found = name_at(part->strings, sym.st_name);
		if (is_function(&sym) && found && strcmp(found, name) == 0)
			return true;
	}
	return false;
}

bool symbol_table_has(const struct symbol_table *t, const char *name)
{
	for (size_t i = 0; i < t->n_parts; i++)
		if (part_has(&t->parts[i], name))
			return true;
	return false;
}

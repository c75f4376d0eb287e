/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of an object, sorted by address: twelve bytes each, names stay in the mapped file.
 *
 *	.symtab, else the debug file's .symtab, else .dynsym
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
	uint32_t name; /* offset in strings */
};

struct symbol_table {
	struct elf_object *debug; /* owner of the bytes, if that is not the object itself */
	struct elf_bytes symbols, strings;
	uint64_t base;
	size_t n_entries;
	struct entry *entries;
};

struct candidate {
	struct entry e;
	uint32_t limit; /* end of the section, as far as text goes; where a size of 0 ends */
	uint8_t rank;   /* the lower, the better a name for the address */
	bool label;
};

/* What the candidates are taken from. */
struct source {
	const struct elf_object *o; /* whose table, and whose sections */
	struct elf_bytes symbols, strings;
	uint64_t text, text_end;
};

static bool table_bytes(const struct elf_object *o, uint32_t type, struct source *s)
{
	Elf64_Shdr sh, str;

	if (!elf_section_by_type(o, type, &sh) || sh.sh_entsize != sizeof(Elf64_Sym) ||
	    !elf_section_bytes(o, &sh, &s->symbols) || !elf_shdr(o, sh.sh_link, &str) ||
	    !elf_section_bytes(o, &str, &s->strings))
		return false;
	s->o = o;
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
	return offset && offset < strings.size ? (const char *)strings.data + offset : NULL;
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

static bool make_candidate(const struct source *s, const Elf64_Sym *sym, struct candidate *c)
{
	const char *name = name_at(s->strings, sym->st_name);
	Elf64_Shdr sh = {0};
	uint64_t limit, size;

	if (!name || !*name || sym->st_shndx == SHN_UNDEF || sym->st_value < s->text ||
	    sym->st_value >= s->text_end)
		return false;
	if (sym->st_shndx < SHN_LORESERVE)
		elf_shdr(s->o, sym->st_shndx, &sh);
	c->label = !is_function(sym);
	if (c->label && !is_label(sym, &sh, name))
		return false;
	/* In an unknown section a size of 0 reaches nowhere. */
	limit = sh.sh_addr > UINT64_MAX - sh.sh_size ? 0 : sh.sh_addr + sh.sh_size;
	if (limit > s->text_end)
		limit = s->text_end;
	if (sym->st_size == 0 && (sym->st_value < sh.sh_addr || sym->st_value >= limit))
		return false;
	size = s->text_end - sym->st_value;
	if (sym->st_size < size)
		size = sym->st_size;
	c->e.vaddr = (uint32_t)(sym->st_value - s->text);
	c->e.size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
	c->e.name = sym->st_name;
	c->limit = limit > s->text ? (uint32_t)(limit - s->text) : 0;
	c->rank = rank_of(sym);
	return true;
}

static int three_way(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* By address; then the best name first, in an order that does not depend on the table's. */
static int compare(const void *pa, const void *pb, void *strings)
{
	const struct candidate *a = pa, *b = pb;
	const char *base = strings;
	int d = three_way(a->e.vaddr, b->e.vaddr);

	if (!d)
		d = three_way(a->rank, b->rank);
	if (!d) /* `write` before `__write` */
		d = three_way(strspn(base + a->e.name, "_"), strspn(base + b->e.name, "_"));
	if (!d)
		d = strcmp(base + a->e.name, base + b->e.name);
	return d ? d : three_way(b->e.size, a->e.size);
}

static size_t collect(const struct source *s, struct candidate **out)
{
	size_t n_all = n_symbols(s->symbols), n = 0;
	struct candidate *c = NULL;
	Elf64_Sym sym;

	/* Counted first: a table of variables should not cost their room. */
	for (size_t i = 0; i < n_all; i++) {
		struct candidate ignored;

		symbol_at(s->symbols, i, &sym);
		n += make_candidate(s, &sym, &ignored);
	}
	if (n)
		c = malloc(n * sizeof(*c));
	if (!c)
		return 0;
	*out = c;
	n_all = n;
	n = 0;
	for (size_t i = 0; n < n_all && i < n_symbols(s->symbols); i++) {
		symbol_at(s->symbols, i, &sym);
		n += make_candidate(s, &sym, &c[n]);
	}
	qsort_r(c, n, sizeof(*c), compare, (void *)s->strings.data);
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

static struct symbol_table *build(const struct source *s)
{
	struct symbol_table *t = calloc(1, sizeof(*t));
	struct candidate *c = NULL;
	size_t n = 0;

	if (t)
		n = collect(s, &c);
	if (n)
		t->entries = malloc(n * sizeof(*t->entries));
	if (!n || !t->entries) {
		free(c);
		free(t);
		return NULL;
	}
	t->symbols = s->symbols;
	t->strings = s->strings;
	t->base = s->text;
	t->n_entries = fill_entries(c, n, t->entries);
	free(c);
	if (t->n_entries < n) {
		struct entry *less = realloc(t->entries, t->n_entries * sizeof(*less));

		t->entries = less ? less : t->entries;
	}
	return t;
}

struct symbol_table *symbol_table_new(const struct elf_object *o)
{
	struct elf_object *debug = NULL;
	struct symbol_table *t = NULL;
	struct source s = {0};

	if (!elf_object_text(o, &s.text, &s.text_end) || s.text_end - s.text > UINT32_MAX)
		return NULL;
	if (table_bytes(o, SHT_SYMTAB, &s))
		t = build(&s);
	if (!t && debug_file_open(o, &debug) == 0) {
		if (table_bytes(debug, SHT_SYMTAB, &s))
			t = build(&s);
		if (t)
			t->debug = debug;
		else
			elf_object_free(debug);
	}
	if (!t && table_bytes(o, SHT_DYNSYM, &s))
		t = build(&s);
	return t;
}

void symbol_table_free(struct symbol_table *t)
{
	if (!t)
		return;
	elf_object_free(t->debug);
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
		out->name = name_at(t->strings, e->name);
		return out->name != NULL;
	}
	return false;
}

bool symbol_table_has(const struct symbol_table *t, const char *name)
{
	for (size_t i = 0; i < n_symbols(t->symbols); i++) {
		const char *found;
		Elf64_Sym sym;

		symbol_at(t->symbols, i, &sym);
		found = name_at(t->strings, sym.st_name);
		if (is_function(&sym) && found && strcmp(found, name) == 0)
			return true;
	}
	return false;
}

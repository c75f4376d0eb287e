/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening Go's table, and from a pc to its function's record and name.
 *
 * Nothing is indexed: the table is sorted by pc, and stays in the mapped file. Only names that are
 * shown otherwise than they are stored (those of generic functions) are copied, once each.
 */
#include <errno.h>
#include <stdlib.h>
#include "go_internal.h"

/* Functions of one program: kubernetes' largest have 200 000. */
#define FUNCTIONS_MAX (1u << 24)
/* Records that must make sense before the table is believed. */
#define PROBES 16
/* Program headers of an object that we bother with: Go writes a dozen. Each look into it reads all.
 */
#define SEGMENTS_MAX 64
/* Of names that are shown otherwise than they are stored, and of one of them. */
#define SHOWN_BYTES_MAX (16u << 20)
#define NAME_MAX_BYTES  4096
/* Where the module's record has the text's beginning, and where from the function data's may be. */
#define MODULE_TEXT     22
#define MODULE_FUNCDATA 34

static struct elf_bytes part(struct elf_bytes all, uint64_t from, uint64_t to)
{
	if (to > all.size)
		to = all.size;
	if (from > to)
		from = to;
	return (struct elf_bytes){.data = all.data + from, .size = to - from};
}

/* The header of Go 1.16 and later names the parts, which follow one another. */
static bool read_parts_1_16(struct go_pclntab *g)
{
	unsigned int first = g->version >= GO_1_18 ? 32 : 24;
	uint64_t at[5], n;

	if (!go_u64(g->all, 8, &n) || n == 0 || n > FUNCTIONS_MAX)
		return false;
	for (unsigned int i = 0; i < 5; i++)
		if (!go_u64(g->all, first + 8 * i, &at[i]) || at[i] < first ||
		    at[i] >= g->all.size || (i && at[i] < at[i - 1]))
			return false;
	g->names = part(g->all, at[0], at[1]);
	g->cutab = part(g->all, at[1], at[2]);
	g->files = part(g->all, at[2], at[3]);
	g->pctab = part(g->all, at[3], at[4]);
	g->functab = part(g->all, at[4], g->all.size);
	g->n_functions = (uint32_t)n;
	return true;
}

static bool read_parts_1_2(struct go_pclntab *g)
{
	uint32_t files;
	uint64_t n;

	if (!go_u64(g->all, 8, &n) || n == 0 || n > FUNCTIONS_MAX)
		return false;
	g->functab_at = 16;
	if (!go_u32(g->all, g->functab_at + n * 16 + 8, &files) || files >= g->all.size)
		return false;
	g->names = g->files = g->pctab = g->functab = g->all;
	g->cutab = part(g->all, files, g->all.size);
	g->n_functions = (uint32_t)n;
	return true;
}

bool go_read_parts(struct go_pclntab *g)
{
	static const uint8_t last[] = {
		[GO_1_2] = 0xfb, [GO_1_16] = 0xfa, [GO_1_18] = 0xf0, [GO_1_20] = 0xf1};

	if (g->all.size < 16 || memcmp(g->all.data + 1, "\xff\xff\xff\0\0\1\10", 7) != 0)
		return false;
	for (unsigned int i = 0; i < sizeof(last); i++) {
		if (g->all.data[0] != last[i])
			continue;
		g->version = (enum go_version)i;
		return g->version == GO_1_2 ? read_parts_1_2(g) : read_parts_1_16(g);
	}
	return false;
}

static unsigned int entry_bytes(const struct go_pclntab *g)
{
	return g->version >= GO_1_18 ? 8 : 16;
}

/* Where the i-th function starts; the n-th is the last one's end. */
static bool function_start(const struct go_pclntab *g, uint32_t i, uint64_t *out)
{
	uint64_t at = g->functab_at + (uint64_t)i * entry_bytes(g);
	uint32_t start;

	if (g->version < GO_1_18)
		return go_u64(g->functab, at, out);
	if (!go_u32(g->functab, at, &start))
		return false;
	*out = g->text + start;
	return true;
}

static bool record_offset(const struct go_pclntab *g, uint32_t i, uint64_t *out)
{
	uint64_t at = g->functab_at + (uint64_t)i * entry_bytes(g) + entry_bytes(g) / 2;
	uint32_t offset;

	if (g->version < GO_1_18)
		return go_u64(g->functab, at, out);
	if (!go_u32(g->functab, at, &offset))
		return false;
	*out = offset;
	return true;
}

/*
 * The record begins with its entry, of 8 bytes, or 4 from Go 1.18 on; what follows moved little.
 *
 *	+0 name +4 args +8 deferreturn +12 pcsp +16 pcfile +20 pcln +24 n pcdata
 *	+28 unit (1.16)  +32 start line (1.20)  then: id, flags, -, n funcdata, u32 pcdata[],
 *funcdata[]
 */
static bool read_record(const struct go_pclntab *g, uint64_t at, struct go_func *f)
{
	uint64_t tail;
	uint32_t last;

	if (at > g->functab.size)
		return false;
	at += g->version >= GO_1_18 ? 4 : 8;
	tail = at + (g->version >= GO_1_20 ? 36 : g->version >= GO_1_16 ? 32 : 28);
	f->cu = f->start_line = 0;
	if (!go_u32(g->functab, at, &f->name) || !go_u32(g->functab, at + 12, &f->pcsp) ||
	    !go_u32(g->functab, at + 16, &f->pcfile) || !go_u32(g->functab, at + 20, &f->pcln) ||
	    !go_u32(g->functab, at + 24, &f->n_pcdata) || !go_u32(g->functab, tail, &last) ||
	    (g->version >= GO_1_16 && !go_u32(g->functab, at + 28, &f->cu)) ||
	    (g->version >= GO_1_20 && !go_u32(g->functab, at + 32, &f->start_line)))
		return false;
	f->flags = (uint8_t)(last >> 8);
	f->n_funcdata = (uint8_t)(last >> 24);
	f->pcdata = tail + 4;
	return true;
}

bool go_func_at(const struct go_pclntab *g, uint32_t i, struct go_func *out)
{
	uint64_t at;

	return i < g->n_functions && function_start(g, i, &out->start) &&
	       function_start(g, i + 1, &out->end) && out->start >= g->text_start &&
	       out->start < out->end && out->end <= g->text_end && record_offset(g, i, &at) &&
	       read_record(g, at, out);
}

bool go_func_of(const struct go_pclntab *g, uint64_t vaddr, struct go_func *out)
{
	uint32_t low = 0, high = g->n_functions;
	uint64_t start;

	while (low < high) { /* the functions before low start at or below the address */
		uint32_t middle = low + (high - low) / 2;

		if (!function_start(g, middle, &start))
			return false;
		if (start <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low && go_func_at(g, low - 1, out) && vaddr >= out->start && vaddr < out->end;
}

bool go_func_named(const struct go_pclntab *g, const char *name, struct go_func *out)
{
	for (uint32_t i = 0; i < g->n_functions; i++) {
		const char *stored = go_func_at(g, i, out) ? go_stored_name(g, out->name) : NULL;

		if (stored && strcmp(stored, name) == 0)
			return true;
	}
	return false;
}

const char *go_stored_name(const struct go_pclntab *g, uint32_t offset)
{
	return offset < g->names.size ? (const char *)g->names.data + offset : NULL;
}

bool go_is_name(const struct go_pclntab *g, uint32_t offset)
{
	return offset < g->names.size && g->names.data[offset] &&
	       (offset == 0 || !g->names.data[offset - 1]);
}

static uint32_t slot_of(const struct go_pclntab *g, const char *stored)
{
	uint64_t h = (uint64_t)(uintptr_t)stored * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)((h >> 32) & (g->shown_slots - 1));
}

/* Where the name is, or would be. There is always an empty slot. */
static struct go_name *shown_slot(const struct go_pclntab *g, const char *stored)
{
	uint32_t i = slot_of(g, stored);

	while (g->shown[i].stored && g->shown[i].stored != stored)
		i = (i + 1) & (uint32_t)(g->shown_slots - 1);
	return &g->shown[i];
}

static bool make_room(struct go_pclntab *g)
{
	size_t n = g->shown_slots, more = n ? 2 * n : 64;
	struct go_name *old = g->shown, *slots;

	if (2 * (g->n_shown + 1) <= n)
		return true;
	slots = calloc(more, sizeof(*slots));
	if (!slots)
		return false;
	g->shown = slots;
	g->shown_slots = more;
	for (size_t i = 0; i < n; i++)
		if (old[i].stored)
			*shown_slot(g, old[i].stored) = old[i];
	free(old);
	return true;
}

/* Type arguments are shown as "[...]", from the first bracket to the last. */
static char *shorten(const char *stored, const char *open, const char *close)
{
	size_t before = (size_t)(open - stored), after = strlen(close);
	char *shown = malloc(before + 4 + after + 1);

	if (!shown)
		return NULL;
	memcpy(shown, stored, before);
	memcpy(shown + before, "[...", 4);
	memcpy(shown + before + 4, close, after);
	shown[before + 4 + after] = 0;
	return shown;
}

const char *go_shown_name(struct go_pclntab *g, const char *stored)
{
	size_t bytes = strnlen(stored, NAME_MAX_BYTES);
	const char *open = memchr(stored, '[', bytes);
	const char *close = open ? memrchr(open, ']', bytes - (size_t)(open - stored)) : NULL;
	struct go_name *slot;

	if (!close || bytes == NAME_MAX_BYTES || g->shown_bytes > SHOWN_BYTES_MAX ||
	    (close - open == 4 && memcmp(open, "[...", 4) == 0))
		return stored;
	if (!make_room(g))
		return NULL;
	slot = shown_slot(g, stored);
	if (!slot->stored) {
		char *shown = shorten(stored, open, close);

		if (!shown)
			return NULL;
		*slot = (struct go_name){.stored = stored, .shown = shown};
		g->n_shown++;
		g->shown_bytes += bytes;
	}
	return slot->shown;
}

bool go_pclntab_function(struct go_pclntab *g, uint64_t vaddr, struct go_function *out)
{
	const char *name;
	struct go_func f;

	if (!go_func_of(g, vaddr, &f))
		return false;
	name = go_stored_name(g, f.name);
	out->start = f.start;
	out->end = f.end;
	out->name = name && *name ? go_shown_name(g, name) : NULL;
	return out->name != NULL;
}

/* Functions spread over the table: in order, named, and in the object's text. */
static bool makes_sense(const struct go_pclntab *g)
{
	uint32_t step = g->n_functions / PROBES + 1;
	uint64_t last;
	struct go_func f;

	if (!function_start(g, g->n_functions, &last) || last > g->text_end)
		return false;
	for (uint32_t i = 0; i < g->n_functions; i += step)
		if (!go_func_at(g, i, &f) || !go_is_name(g, f.name))
			return false;
	return true;
}

/*
 * What entries count from: the header says it until Go 1.25, but not where it is relocated; the
 * module's record says it; and without C code the text section begins there.
 */
static bool find_text(struct go_pclntab *g)
{
	uint64_t names = (uint64_t)(g->names.data - g->all.data), text;
	bool has_module;
	struct go_module m;
	Elf64_Shdr sh;

	if (g->version < GO_1_18)
		return makes_sense(g);
	has_module = go_find_module(g->o, g->vaddr, g->vaddr + names, &m);
	if (has_module) {
		g->text = m.word[MODULE_TEXT];
		if (makes_sense(g)) {
			for (int i = MODULE_FUNCDATA; i < GO_MODULE_WORDS && !g->funcdata; i++)
				if (go_is_funcdata(g, m.word[i]))
					g->funcdata = m.word[i];
			return true;
		}
	}
	if (go_u64(g->all, 24, &text) && text) {
		g->text = text;
		if (makes_sense(g))
			return true;
	}
	g->text = elf_section_by_name(g->o, ".text", &sh) ? sh.sh_addr : g->text_start;
	return makes_sense(g);
}

int go_pclntab_open(const struct elf_object *o, struct go_pclntab **out)
{
	struct go_pclntab *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->o = o;
	if (o->machine == EM_X86_64 && o->n_phdr <= SEGMENTS_MAX &&
	    elf_object_text(o, &g->text_start, &g->text_end) && go_locate(g) && find_text(g)) {
		*out = g;
		return 0;
	}
	free(g);
	return -ENOENT;
}

void go_pclntab_free(struct go_pclntab *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->shown_slots; i++)
		free(g->shown[i].shown);
	free(g->shown);
	free(g);
}

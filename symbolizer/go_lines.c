/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files, lines and inlined calls of Go's functions.
 *
 *	pcfile, pcln	the file and line of the innermost call at a pc
 *	pcdata[2]	the index of that call in the function's tree of inlined calls; -1: not
 *inlined funcdata[3]	the tree: {name, parent pc}; the parent pc has the caller's place in all
 *three
 *
 * So a pc is looked up, then the parent pc of what it is in, and so on up to the function itself.
 */
#include "go_internal.h"

#define PCDATA_INLINE_INDEX  2
#define FUNCDATA_INLINE_TREE 3
#define NO_FUNCDATA          UINT32_MAX
/* Calls inlined into one another: a tree that has no end is cut. */
#define INLINE_DEPTH_MAX 64
/* Runs of one function that are walked for a value: a generated one of 1 MB has 100 000. */
#define RUNS_MAX (1u << 20)
/* Functions whose inlined calls are looked at before the function data's address is believed. */
#define INLINE_PROBES 32
/* Functions that are looked at for such. */
#define INLINE_PROBES_WITHIN 4096

struct inlined_call {
	uint32_t name, parent, start_line;
};

void go_pcvalue_begin(const struct go_pclntab *g, uint32_t offset, uint64_t pc,
		      struct go_pcvalue *v)
{
	*v = (struct go_pcvalue){.pc = pc, .next = pc, .value = -1};
	v->end = g->pctab.data + g->pctab.size;
	v->p = offset && offset < g->pctab.size ? g->pctab.data + offset : v->end;
}

/* A number of at most five bytes; what does not end ends the table. */
static inline bool read_number(struct go_pcvalue *v, uint32_t *out)
{
	uint32_t number = 0;

	for (unsigned int shift = 0; shift < 35 && v->p < v->end; shift += 7) {
		uint8_t byte = *v->p++;

		number |= shift < 32 ? (uint32_t)(byte & 0x7f) << shift : 0;
		if (!(byte & 0x80)) {
			*out = number;
			return true;
		}
	}
	v->p = v->end;
	return false;
}

bool go_pcvalue_step(struct go_pcvalue *v)
{
	uint32_t value, pc;

	if (!read_number(v, &value) || (value == 0 && v->begun) || !read_number(v, &pc) ||
	    pc == 0) {
		v->p = v->end;
		return false;
	}
	v->begun = true;
	v->value = (int32_t)((uint32_t)v->value + ((value >> 1) ^ -(value & 1)));
	v->pc = v->next;
	v->next += pc;
	return true;
}

bool go_pcvalue_at(const struct go_pclntab *g, const struct go_func *f, uint32_t offset,
		   uint64_t pc, int32_t *value)
{
	struct go_pcvalue v;

	go_pcvalue_begin(g, offset, f->start, &v);
	for (uint32_t i = 0; i < RUNS_MAX && go_pcvalue_step(&v); i++) {
		if (pc < v.next) {
			*value = v.value;
			return true;
		}
		if (v.next >= f->end)
			break;
	}
	return false;
}

static const char *file_at(const struct go_pclntab *g, const struct go_func *f, int32_t index)
{
	uint32_t offset;

	if (index < 0 || !go_u32(g->cutab, ((uint64_t)f->cu + (uint32_t)index) * 4, &offset) ||
	    offset >= g->files.size || !g->files.data[offset])
		return NULL;
	return (const char *)g->files.data + offset;
}

static void line_at(const struct go_pclntab *g, const struct go_func *f, uint64_t pc,
		    struct elf_line *out)
{
	int32_t value;

	out->file = NULL;
	out->line = 0;
	if (go_pcvalue_at(g, f, f->pcfile, pc, &value))
		out->file = file_at(g, f, value);
	if (out->file && go_pcvalue_at(g, f, f->pcln, pc, &value) && value > 0)
		out->line = (uint32_t)value;
}

/* Where the function's tree of inlined calls is. */
static bool inline_tree(const struct go_pclntab *g, const struct go_func *f, uint64_t funcdata,
			struct elf_bytes *out)
{
	uint64_t at = f->pcdata + (uint64_t)f->n_pcdata * 4 + FUNCDATA_INLINE_TREE * 4;
	uint32_t offset;

	return funcdata && f->n_funcdata > FUNCDATA_INLINE_TREE &&
	       f->n_pcdata > PCDATA_INLINE_INDEX && go_u32(g->functab, at, &offset) &&
	       offset != NO_FUNCDATA && elf_vaddr_bytes(g->o, funcdata + offset, out);
}

/*
 * Until Go 1.19 {parent, id, file, line, name, parent pc}, 20 bytes; then {id, name, parent pc,
 * start line}, 16 bytes.
 */
static bool inlined_call(const struct go_pclntab *g, const struct go_func *f, struct elf_bytes tree,
			 uint32_t i, struct inlined_call *out)
{
	uint64_t at = (uint64_t)i * (g->version >= GO_1_20 ? 16 : 20);

	at += g->version >= GO_1_20 ? 4 : 12;
	out->start_line = 0;
	return go_u32(tree, at, &out->name) && go_u32(tree, at + 4, &out->parent) &&
	       (g->version < GO_1_20 || go_u32(tree, at + 8, &out->start_line)) &&
	       go_is_name(g, out->name) && out->parent < f->end - f->start;
}

bool go_is_funcdata(const struct go_pclntab *g, uint64_t vaddr)
{
	uint32_t found = 0;
	struct elf_bytes tree;
	struct inlined_call call;
	struct go_func f;

	if (!elf_vaddr_bytes(g->o, vaddr, &tree))
		return false;
	for (uint32_t i = 0; i < INLINE_PROBES_WITHIN && found < INLINE_PROBES; i++) {
		if (!go_func_at(g, i, &f) || !inline_tree(g, &f, vaddr, &tree))
			continue;
		if (!inlined_call(g, &f, tree, 0, &call))
			return false;
		found++;
	}
	return found > 0;
}

/* The inlined call that holds pc; false where none does. */
static bool call_at(const struct go_pclntab *g, const struct go_func *f, uint64_t pc,
		    struct inlined_call *out)
{
	struct elf_bytes tree;
	uint32_t offset;
	int32_t i;

	return inline_tree(g, f, g->funcdata, &tree) &&
	       go_u32(g->functab, f->pcdata + PCDATA_INLINE_INDEX * 4, &offset) &&
	       go_pcvalue_at(g, f, offset, pc, &i) && i >= 0 &&
	       inlined_call(g, f, tree, (uint32_t)i, out);
}

size_t go_pclntab_lines(struct go_pclntab *g, uint64_t vaddr, struct elf_line *out, size_t room)
{
	struct inlined_call call = {0};
	bool inlined = true;
	struct go_func f;
	size_t n = 0;

	if (room == 0 || !go_func_of(g, vaddr, &f))
		return 0;
	for (int depth = 0; inlined && depth < INLINE_DEPTH_MAX; depth++) {
		struct elf_line line = {0};
		const char *name;

		inlined = call_at(g, &f, vaddr, &call);
		name = go_stored_name(g, inlined ? call.name : f.name);
		line.name = name && *name ? go_shown_name(g, name) : NULL;
		if (!line.name)
			break;
		line_at(g, &f, vaddr, &line);
		line.start_line = inlined ? call.start_line : f.start_line;
		if (n == room) /* the innermost go */
			memmove(out, out + 1, --n * sizeof(*out));
		out[n++] = line;
		vaddr = f.start + call.parent;
	}
	return n;
}

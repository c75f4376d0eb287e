/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files behind go_pclntab.h share: the parts of the table, and checked reads from them.
 *
 *	header   magic, 0, 0, 1 (bytes of the smallest instruction), 8 (of a pointer), n functions,
 *... names    NUL-terminated cutab    u32 per file of each compilation unit: where in `files` its
 *path is files    NUL-terminated paths pctab    per function and topic, a run of {value delta, pc
 *delta}: see go_pcvalue functab  n x {start, where the record is}, end; then a record per function
 *
 * Until Go 1.15 these parts were one, and offsets counted from its beginning. (Go's sources:
 * cmd/link/internal/ld/pcln.go, runtime/symtab.go, debug/gosym.)
 */
#ifndef WIREPROF_GO_INTERNAL_H
#define WIREPROF_GO_INTERNAL_H

#include <string.h>
#include "elf_internal.h"
#include "go_pclntab.h"

enum go_version { GO_1_2, GO_1_16, GO_1_18, GO_1_20 }; /* in which the format changed */

/* Flags of a function record (Go 1.17 and later; 0 before). */
enum { GO_TOP_FRAME = 1, GO_WRITES_SP = 2 };

struct go_name {
	const char *stored; /* in the image; NULL: an empty slot */
	char *shown;
};

struct go_pclntab {
	const struct elf_object *o;
	uint64_t vaddr; /* of the header */
	enum go_version version;
	struct elf_bytes all, names, cutab, files, pctab, functab;
	uint32_t functab_at; /* of its first entry, in functab */
	uint32_t n_functions;
	uint64_t text;     /* what entries count from (Go 1.18 and later) */
	uint64_t funcdata; /* what function data counts from; 0: unknown, so are inlined calls */
	uint64_t text_start, text_end; /* of the object: what lies outside is no function */
	struct go_name *shown;         /* names that are shown otherwise than they are stored */
	size_t n_shown, shown_slots, shown_bytes;
};

/* A function's record. */
struct go_func {
	uint64_t start, end;
	uint32_t name, pcsp, pcfile, pcln; /* offsets; 0: none */
	uint32_t n_pcdata, cu, start_line;
	uint8_t flags, n_funcdata;
	uint64_t pcdata; /* where u32[n_pcdata] and the function data are, in functab */
};

static inline bool go_u32(struct elf_bytes b, uint64_t at, uint32_t *out)
{
	if (at > b.size || b.size - at < sizeof(*out))
		return false;
	memcpy(out, b.data + at, sizeof(*out));
	return true;
}

static inline bool go_u64(struct elf_bytes b, uint64_t at, uint64_t *out)
{
	if (at > b.size || b.size - at < sizeof(*out))
		return false;
	memcpy(out, b.data + at, sizeof(*out));
	return true;
}

/* A walk over pctab: value holds on [pc, next), pc beginning at the function's. */
struct go_pcvalue {
	const uint8_t *p, *end;
	uint64_t pc, next;
	int32_t value;
	bool begun;
};
void go_pcvalue_begin(const struct go_pclntab *g, uint32_t offset, uint64_t pc,
		      struct go_pcvalue *v);
/* To the next run; false where there is none. */
bool go_pcvalue_step(struct go_pcvalue *v);
/* The value at a pc of the function; false where there is none. */
bool go_pcvalue_at(const struct go_pclntab *g, const struct go_func *f, uint32_t offset,
		   uint64_t pc, int32_t *value);

/* The i-th function's record; false where the table is broken there. */
bool go_func_at(const struct go_pclntab *g, uint32_t i, struct go_func *out);
bool go_func_of(const struct go_pclntab *g, uint64_t vaddr, struct go_func *out);
/* The function that is stored under a name; looks at all of them. */
bool go_func_named(const struct go_pclntab *g, const char *name, struct go_func *out);
/* The name as stored, or NULL. It ends before the image does. */
const char *go_stored_name(const struct go_pclntab *g, uint32_t offset);
/* Whether a name begins there: what an offset that means a name satisfies, and few others do. */
bool go_is_name(const struct go_pclntab *g, uint32_t offset);
/* The name as Go prints it; NULL where memory is short. */
const char *go_shown_name(struct go_pclntab *g, const char *stored);

/* Reads the header at g->all, which may be longer than the table; false where there is none. */
bool go_read_parts(struct go_pclntab *g);
/* go_locate.c: finds the header of g->o, and reads it. */
bool go_locate(struct go_pclntab *g);
/* The beginning of the module's record, found by its pointers to the header and to the names. */
#define GO_MODULE_WORDS 48
struct go_module {
	uint64_t word[GO_MODULE_WORDS];
};
bool go_find_module(const struct elf_object *o, uint64_t header, uint64_t names,
		    struct go_module *out);

/* The pointer in the data at an address, whether it is relocated or not. */
bool go_pointer(const struct elf_object *o, uint64_t vaddr, uint64_t *out);

/* go_release.c: which Go built the program; false where it does not say, or is no Go 1. */
struct go_release {
	unsigned int minor; /* 22 of "go1.22.3" */
	bool development;   /* it is of between the release before and this one */
};
bool go_release_of(const struct elf_object *o, struct go_release *out);

/* go_lines.c: whether the function data at an address looks like the inlined calls of functions. */
bool go_is_funcdata(const struct go_pclntab *g, uint64_t vaddr);

#endif

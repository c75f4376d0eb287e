/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unwind rows for text that no call frame information covers: the gaps that the other sources of
 * rows left are handed to code_chunk.c. Only sections with code, as far as the file has section
 * headers: what lies between them in an executable segment is not code.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "code_chunk.h"
#include "frame_section.h"
#include "go_internal.h"

/* Smaller gaps are padding between functions. */
#define GAP_MIN 16
/* Sections with code: programs have five. */
#define RANGES_MAX 64

struct range {
	uint64_t vaddr, end;
	struct elf_bytes bytes;
};

struct sweep {
	struct range ranges[RANGES_MAX];
	unsigned int n_ranges;
	uint64_t entry;
	uint64_t go_start, go_end; /* Go's functions: go_rows.c knows better */
	struct code_chunk *chunk;
	struct row_sink *out;
};

static void add_range(struct sweep *w, uint64_t vaddr, struct elf_bytes bytes)
{
	if (w->n_ranges == RANGES_MAX || vaddr < w->out->base || vaddr >= w->out->end ||
	    bytes.size > w->out->end - vaddr || bytes.size == 0)
		return;
	if (w->n_ranges && vaddr < w->ranges[w->n_ranges - 1].end)
		return; /* in order and apart, as linkers have them */
	w->ranges[w->n_ranges++] = (struct range){vaddr, vaddr + bytes.size, bytes};
}

static void find_ranges(const struct elf_object *o, struct sweep *w)
{
	const uint64_t code = SHF_ALLOC | SHF_EXECINSTR;
	struct elf_bytes bytes;
	Elf64_Shdr sh;
	Elf64_Phdr ph;

	for (uint32_t i = 0; elf_shdr(o, i, &sh); i++)
		if (sh.sh_type == SHT_PROGBITS && (sh.sh_flags & code) == code &&
		    elf_section_bytes(o, &sh, &bytes))
			add_range(w, sh.sh_addr, bytes);
	if (w->n_ranges)
		return;
	for (uint32_t i = 0; elf_phdr(o, i, &ph); i++)
		if (elf_phdr_is_text(o, &ph) && elf_image_bytes(o, ph.p_offset, ph.p_filesz, &bytes))
			add_range(w, ph.p_vaddr, bytes);
}

/* Nobody's text from `from` to `to`, which lies in one range. Returns 0 or -ENOMEM. */
static int sweep_gap(struct sweep *w, const struct range *r, uint64_t from, uint64_t to)
{
	const struct unwind_row none = {.kind = UNWIND_NONE};
	int err;

	if (to - from <= GAP_MIN || (from < w->go_end && to > w->go_start))
		return 0;
	while (from < to) {
		int64_t n = code_chunk_rows(w->chunk, r->bytes.data + (from - r->vaddr), to - from,
					    from, w->entry, w->out);

		if (n < 0)
			return (int)n;
		from += (uint64_t)n;
	}
	err = row_sink_reserve(w->out, 1);
	if (err)
		return err;
	assert(w->out->rows);
	row_sink_put(w->out, to, none);
	return 0;
}

/* The part of a gap that is in ranges. *k: the first range that may overlap it. */
static int sweep_ranges(struct sweep *w, unsigned int *k, uint64_t from, uint64_t to)
{
	while (*k < w->n_ranges && w->ranges[*k].end <= from)
		++*k;
	for (unsigned int i = *k; i < w->n_ranges && w->ranges[i].vaddr < to; i++) {
		const struct range *r = &w->ranges[i];
		int err = sweep_gap(w, r, from > r->vaddr ? from : r->vaddr,
				    to < r->end ? to : r->end);

		if (err)
			return err;
	}
	return 0;
}

static int sweep_gaps(struct sweep *w, const struct row_sink *so_far)
{
	unsigned int k = 0;
	int err = 0;

	if (so_far->n == 0)
		return sweep_ranges(w, &k, w->out->base, w->out->end);
	if (so_far->rows[0].pc)
		err = sweep_ranges(w, &k, so_far->base, so_far->base + so_far->rows[0].pc);
	for (size_t i = 0; i < so_far->n && !err; i++)
		if (so_far->rows[i].kind == UNWIND_NONE)
			err = sweep_ranges(w, &k, so_far->base + so_far->rows[i].pc,
					   row_sink_end(so_far, i));
	return err;
}

static int find_go_text(const struct elf_object *o, struct sweep *w)
{
	struct go_pclntab *g;
	struct go_func first, last;
	int err = go_pclntab_open(o, &g);

	if (err)
		return err == -ENOENT ? 0 : err;
	if (g->n_functions && go_func_at(g, 0, &first) &&
	    go_func_at(g, g->n_functions - 1, &last)) {
		w->go_start = first.start;
		w->go_end = last.end;
	}
	go_pclntab_free(g);
	return 0;
}

static uint64_t entry_of(const struct elf_object *o)
{
	Elf64_Ehdr header;
	struct elf_bytes bytes;

	if (!elf_image_bytes(o, 0, sizeof(header), &bytes))
		return 0;
	memcpy(&header, bytes.data, sizeof(header));
	return header.e_entry;
}

int code_rows(const struct elf_object *o, const struct row_sink *so_far, struct row_sink *out,
	      uint64_t *bad_fdes)
{
	struct sweep w = {.out = out};
	int err;

	(void)bad_fdes;
	err = find_go_text(o, &w);
	if (err)
		return err;
	find_ranges(o, &w);
	w.entry = entry_of(o);
	w.chunk = code_chunk_new();
	if (!w.chunk)
		return -ENOMEM;
	err = sweep_gaps(&w, so_far);
	code_chunk_free(w.chunk);
	return err;
}

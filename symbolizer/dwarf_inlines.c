/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inlined calls of a function, read once a function and searched once an address.
 *
 *	DW_TAG_subprogram handle
 *	  DW_TAG_lexical_block            transparent: what is inside counts as the function's
 *	    DW_TAG_inlined_subroutine     abstract_origin -> lookup, call_file, call_line, ranges
 *	      DW_TAG_inlined_subroutine   abstract_origin -> hash
 *
 * becomes an array in this order, each element knowing where its subtree ends. An address that is
 * not in an element's ranges skips its subtree (DWARF 5, 3.3.8.2).
 *
 * Neither the names nor the first lines are at the call: they are where abstract_origin and, for
 * members of classes, specification point to. Broken files chain these in circles.
 */
#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>
#include "dwarf_internal.h"

#define INLINED_MAX (1u << 20) /* calls a function */

static int grow(void **list, size_t *capacity, size_t n, size_t element)
{
	size_t wanted = *capacity ? 2 * *capacity : 64;
	void *grown;

	if (n < *capacity)
		return 0;
	grown = realloc(*list, wanted * element);
	if (!grown)
		return -ENOMEM;
	*list = grown;
	*capacity = wanted;
	return 0;
}

int dwarf_ranges_add(struct dwarf_ranges *r, Dwarf_Die *die, uint64_t text, uint64_t text_end,
		     uint32_t owner)
{
	Dwarf_Addr base, low, high;
	ptrdiff_t at = 0;

	while ((at = dwarf_ranges(die, at, &base, &low, &high)) > 0) {
		/* Code that the linker threw away starts at 0, or 1, or -1. */
		if (low < text || high > text_end || low >= high)
			continue;
		if (grow((void **)&r->list, &r->capacity, r->n, sizeof(*r->list)))
			return -ENOMEM;
		r->list[r->n++] = (struct dwarf_range){low, high, owner};
	}
	return 0;
}

static int by_start(const void *pa, const void *pb)
{
	const struct dwarf_range *a = pa, *b = pb;

	if (a->low != b->low)
		return a->low < b->low ? -1 : 1;
	/* The narrower one last, as it is found first. */
	if (a->high != b->high)
		return a->high > b->high ? -1 : 1;
	return (a->owner > b->owner) - (a->owner < b->owner);
}

void dwarf_ranges_sort(struct dwarf_ranges *r)
{
	if (r->n)
		qsort(r->list, r->n, sizeof(*r->list), by_start);
}

int64_t dwarf_ranges_find(const struct dwarf_ranges *r, uint64_t vaddr)
{
	size_t low = 0, high = r->n;

	while (low < high) { /* the ranges before low start at or below vaddr */
		size_t middle = low + (high - low) / 2;

		if (r->list[middle].low <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	/* Ranges overlap in broken files only, and in units of assembler: a few are looked at. */
	for (size_t back = 0; back < 8 && back < low; back++)
		if (vaddr < r->list[low - 1 - back].high)
			return r->list[low - 1 - back].owner;
	return -1;
}

bool dwarf_next_sibling(Dwarf_Die *die, size_t *left)
{
	if (!*left)
		return false;
	--*left;
	return dwarf_siblingof(die, die) == 0;
}

struct reading {
	struct inlines *in;
	uint64_t text, text_end;
	size_t left;
};

static int read_children(struct reading *r, Dwarf_Die *parent, unsigned int depth);

static int read_inlined(struct reading *r, Dwarf_Die *die, unsigned int depth)
{
	struct inlines *in = r->in;
	struct inlined *call;
	size_t index = in->n;
	int err;

	if (index >= INLINED_MAX)
		return 0;
	if (grow((void **)&in->list, &in->capacity, in->n, sizeof(*in->list)))
		return -ENOMEM;
	call = &in->list[in->n++];
	*call = (struct inlined){.die = *die, .first_range = (uint32_t)in->ranges.n};
	err = dwarf_ranges_add(&in->ranges, die, r->text, r->text_end, (uint32_t)index);
	call->n_ranges = (uint32_t)in->ranges.n - call->first_range;
	if (!err)
		err = read_children(r, die, depth + 1);
	in->list[index].end = (uint32_t)in->n;
	return err;
}

static int read_children(struct reading *r, Dwarf_Die *parent, unsigned int depth)
{
	Dwarf_Die die;
	int err = 0;

	if (depth > DWARF_DEPTH_MAX || dwarf_child(parent, &die) != 0)
		return 0;
	do {
		switch (dwarf_tag(&die)) {
		case DW_TAG_inlined_subroutine:
			err = read_inlined(r, &die, depth);
			break;
		case DW_TAG_lexical_block:
		case DW_TAG_try_block:
		case DW_TAG_catch_block:
			err = read_children(r, &die, depth + 1);
			break;
		}
	} while (!err && dwarf_next_sibling(&die, &r->left));
	return err;
}

int inlines_read(struct inlines *in, Dwarf_Die *function, uint64_t text, uint64_t text_end,
		 size_t left)
{
	struct reading r = {.in = in, .text = text, .text_end = text_end, .left = left};

	in->n = 0;
	in->ranges.n = 0;
	return read_children(&r, function, 0);
}

void inlines_fini(struct inlines *in)
{
	free(in->list);
	free(in->ranges.list);
}

static bool holds(const struct inlines *in, const struct inlined *call, uint64_t vaddr)
{
	for (uint32_t i = 0; i < call->n_ranges; i++) {
		const struct dwarf_range *r = &in->ranges.list[call->first_range + i];

		if (vaddr >= r->low && vaddr < r->high)
			return true;
	}
	return false;
}

size_t inlines_at(const struct inlines *in, uint64_t vaddr, Dwarf_Die **out, size_t room)
{
	size_t n = 0, end = in->n;

	for (size_t i = 0; i < end && n < room;) {
		if (!holds(in, &in->list[i], vaddr)) {
			i = in->list[i].end;
			continue;
		}
		out[n++] = &in->list[i].die;
		end = in->list[i].end;
		i++;
	}
	return n;
}

static const char *text_of(Dwarf_Die *die, unsigned int name)
{
	Dwarf_Attribute attr;

	return dwarf_attr(die, name, &attr) ? dwarf_formstring(&attr) : NULL;
}

void dwarf_function_names(Dwarf_Die *die, struct elf_line *out)
{
	const char *plain = NULL;
	Dwarf_Attribute attr;
	Dwarf_Die at = *die;
	Dwarf_Word line;

	out->name = NULL;
	out->start_line = 0;
	for (int i = 0; i < DWARF_ORIGIN_MAX && !(out->name && out->start_line); i++) {
		if (!out->name)
			out->name = text_of(&at, DW_AT_linkage_name);
		if (!out->name)
			out->name = text_of(&at, DW_AT_MIPS_linkage_name);
		if (!plain)
			plain = text_of(&at, DW_AT_name);
		if (!out->start_line && dwarf_attr(&at, DW_AT_decl_line, &attr) &&
		    !dwarf_formudata(&attr, &line) && line <= INT32_MAX)
			out->start_line = (uint32_t)line;
		if ((!dwarf_attr(&at, DW_AT_abstract_origin, &attr) &&
		     !dwarf_attr(&at, DW_AT_specification, &attr)) ||
		    !dwarf_formref_die(&attr, &at))
			break;
	}
	if (!out->name)
		out->name = plain;
}

void dwarf_call_site(Dwarf_Die *inlined, Dwarf_Files *files, struct elf_line *out)
{
	Dwarf_Attribute attr;
	Dwarf_Word value;

	out->file = NULL;
	out->line = 0;
	if (files && dwarf_attr(inlined, DW_AT_call_file, &attr) && !dwarf_formudata(&attr, &value))
		out->file = dwarf_filesrc(files, value, NULL, NULL);
	if (dwarf_attr(inlined, DW_AT_call_line, &attr) && !dwarf_formudata(&attr, &value) &&
	    value <= INT32_MAX)
		out->line = (uint32_t)value;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two files that read DWARF share: dwarf_units.c (which unit, which function, which line)
 * and dwarf_inlines.c (what is inlined where in a function).
 *
 * Both run where they may crash, see elf_lines.h. Their own loops are bounded all the same: a
 * sibling that points backwards must not cost the whole time limit where we can tell.
 */
#ifndef WIREPROF_DWARF_INTERNAL_H
#define WIREPROF_DWARF_INTERNAL_H

#include <elfutils/libdw.h>
#include "elf_lines.h"

#define DWARF_DEPTH_MAX  256 /* of nested DIEs: templates reach 60 */
#define DWARF_ORIGIN_MAX 8   /* steps from an inlined function to the DIE that has its name */

struct dwarf_range {
	uint64_t low, high; /* [low, high) */
	uint32_t owner;	    /* a number in the array that the ranges belong to */
};

struct dwarf_ranges {
	struct dwarf_range *list;
	size_t n, capacity;
};

/*
 * Adds the code ranges of a DIE that lie in [text, text_end) for `owner`. Returns 0 or -ENOMEM; a
 * DIE without ranges, or with broken ones, adds none.
 */
int dwarf_ranges_add(struct dwarf_ranges *r, Dwarf_Die *die, uint64_t text, uint64_t text_end,
		     uint32_t owner);
void dwarf_ranges_sort(struct dwarf_ranges *r);
/* The owner of the last range, by start, that holds vaddr; -1 where none does. Sorted ranges. */
int64_t dwarf_ranges_find(const struct dwarf_ranges *r, uint64_t vaddr);

/* The next DIE of a level in *die, or false at its end. `left` counts down over all that are read. */
bool dwarf_next_sibling(Dwarf_Die *die, size_t *left);

/* An inlined call; its ranges, its place in the tree. The array is in the order of the DIEs. */
struct inlined {
	Dwarf_Die die;
	uint32_t first_range, n_ranges;
	uint32_t end; /* the first that is not inside this one */
};

/* The inlined calls of one function. */
struct inlines {
	struct inlined *list;
	size_t n, capacity;
	struct dwarf_ranges ranges;
};

/* Reads the inlined calls of a function anew. `left`: DIEs that may be read. 0 or -ENOMEM. */
int inlines_read(struct inlines *in, Dwarf_Die *function, uint64_t text, uint64_t text_end,
		 size_t left);
void inlines_fini(struct inlines *in);
/* Those that hold vaddr, the outermost first. Returns how many of at most `room`. */
size_t inlines_at(const struct inlines *in, uint64_t vaddr, Dwarf_Die **out, size_t room);

/* Name and first line of a function or inlined call. */
void dwarf_function_names(Dwarf_Die *die, struct elf_line *out);
/* Where the inlined call was made: file and line. */
void dwarf_call_site(Dwarf_Die *inlined, Dwarf_Files *files, struct elf_line *out);

/* elf_debug.c: whether there is DWARF to read. Opens debug files. */
bool elf_object_has_dwarf(struct elf_object *o);
/* elf_lines_process.c: as elf_lines_resolve(), from DWARF alone. */
int dwarf_lines_resolve(struct elf_object *o, const uint64_t *vaddrs, size_t n, unsigned int limit_ms,
			elf_lines_found found, void *context);

#endif

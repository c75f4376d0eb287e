/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sources of unwind rows: what each is told and what it gives. (Private to the files behind
 * elf_object_unwind_rows.)
 */
#ifndef WIREPROF_FRAME_SECTION_H
#define WIREPROF_FRAME_SECTION_H

#include "cfi.h"
#include "elf_internal.h"

/*
 * A source puts rows into `out`, which is empty and knows the text's range; `so_far` is what the
 * sources before it found: only its gaps are of interest. A source that has nothing to say leaves
 * `out` empty. bad_fdes is added to. Returns 0 or -errno (which ends it all: -ENOMEM).
 */
typedef int row_source(const struct elf_object *o, const struct row_sink *so_far,
		       struct row_sink *out, uint64_t *bad_fdes);

row_source eh_frame_rows;    /* eh_frame.c */
row_source sigreturn_rows;   /* sigreturn.c */
row_source go_rows;	     /* go_rows.c */
row_source debug_frame_rows; /* debug_frame.c */
row_source code_rows;	     /* code_rows.c */

/* frame_section.c: the records of .eh_frame or .debug_frame. */
struct frame_section {
	struct elf_bytes bytes;
	uint64_t vaddr;   /* of the section, for pc-relative pointers */
	bool debug_frame; /* .debug_frame, which differs a little */
};

/* .eh_frame_hdr's table: n x {pc, FDE}, each relative to vaddr. */
struct frame_table {
	uint64_t n; /* 0: there is none */
	uint64_t vaddr;
	struct cursor c;
};

/*
 * Puts the rows of a section's functions, in the table's order if the table is true. bad_fdes is
 * added to: functions that do not parse or lie outside the text. Returns 0 or -ENOMEM.
 */
int frame_section_rows(const struct frame_section *section, const struct frame_table *table,
		       struct row_sink *out, uint64_t *bad_fdes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unwind rows in the kernel: one table an object, built by a thread when a sample needs it, the most needed first, and
 * given back when no process maps the object any more.
 *
 *	idle --want--> wanted --> building --> ready --release--> idle
 *
 * A table's index is given out before it is built, so that mappings can name it at once: until its rows are there,
 * stacks stop with NO_TABLE, which is how the need shows. Only an object with more than MAX_TABLE_ROWS rows takes
 * several indices, and its mappings are published again when they are known.
 */
#ifndef WIREPROF_UNWIND_TABLES_H
#define WIREPROF_UNWIND_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../symbolizer/elf_object.h"
#include "publisher.h"

#define MAX_TABLE_PIECES 16 /* of MAX_TABLE_ROWS rows */

struct unwind_tables; /* opaque: all of them, and the thread */
struct unwind_table;  /* opaque: one object's */

/* What is known of a part of an object's text. */
struct unwind_piece {
	uint64_t start, end; /* vaddr */
	uint64_t row_base;   /* vaddr of row pc 0 */
	uint32_t index;	     /* in the kernel's map, or NO_TABLE */
};

struct unwind_tables_totals {
	size_t ready, failed, evicted;
	uint64_t rows, kernel_bytes; /* of those that are ready */
	uint64_t refused;	     /* wanted tables that found no index or memory */
};

int unwind_tables_start(struct publisher *publisher, struct unwind_tables **out);
/* Ends the thread and frees all tables. NULL is fine. */
void unwind_tables_stop(struct unwind_tables *t);

/* The table of an object, which must stay until unwind_tables_stop(). NULL: it has no text, or no memory is left. */
struct unwind_table *unwind_table_new(struct unwind_tables *t, const struct elf_object *elf);

/*
 * Says that `samples` samples need it: the more, the sooner it is built. With 0 it is built when nothing else is
 * wanted, unless it is large.
 */
void unwind_table_want(struct unwind_tables *t, struct unwind_table *table, unsigned int samples);
/* No process maps the object: its rows and indices are given back, unless they are just being built. */
void unwind_table_release(struct unwind_tables *t, struct unwind_table *table);

/* The pieces that mappings of the object are to name, in order of address. Returns their number, at least 1. */
size_t unwind_table_pieces(struct unwind_tables *t, struct unwind_table *table,
			   struct unwind_piece out[static MAX_TABLE_PIECES]);

/* Whether a table's pieces changed since the last call: mappings are to be published again. */
bool unwind_tables_changed(struct unwind_tables *t);

/* Waits until all that is wanted is built and published, but not for longer than this. */
void unwind_tables_settle(struct unwind_tables *t, unsigned int timeout_ms);

void unwind_tables_report(struct unwind_tables *t, struct unwind_tables_totals *out);

#endif

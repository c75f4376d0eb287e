/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unwind rows in the kernel: one table an object, built by a thread when a sample needs it, the most needed first, and
 * given back when no process maps the object any more.
 *
 *	idle --want--> wanted --> building --> ready --release--> idle
 *
 * A table's index is given out before it is built, so that mappings can name it at once: until its rows are there,
 * stacks stop with NO_TABLE, which is how the need shows.
 */
#ifndef WIREPROF_UNWIND_TABLES_H
#define WIREPROF_UNWIND_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../symbolizer/elf_object.h"
#include "publisher.h"

struct unwind_tables; /* opaque: all of them, and the thread */
struct unwind_table;  /* opaque: one object's */

struct unwind_tables_totals {
	size_t ready, failed, evicted;
	uint64_t rows, kernel_bytes; /* of those that are ready */
	uint64_t refused;	     /* wanted tables that found no index or memory */
};

int unwind_tables_start(struct publisher *publisher, struct unwind_tables **out);
/* Ends the thread and frees all tables. NULL is fine. */
void unwind_tables_stop(struct unwind_tables *t);

/* The table of an object, which must stay until unwind_table_free() or unwind_tables_stop(). NULL: it has no text, or no memory is left. */
struct unwind_table *unwind_table_new(struct unwind_tables *t, const struct elf_object *elf);

/*
 * Says that `samples` samples need it: the more, the sooner it is built. With 0 it is built when nothing else is
 * wanted, unless it is large.
 */
void unwind_table_want(struct unwind_tables *t, struct unwind_table *table, unsigned int samples);
/* No process maps the object: its rows and its index are given back. Returns whether they are: not while they are being built. */
bool unwind_table_release(struct unwind_tables *t, struct unwind_table *table);

/*
 * The object goes. Returns whether its table is freed: not while it is being built.
 */
bool unwind_table_free(struct unwind_tables *t, struct unwind_table *table);

/*
 * What a mapping of the object is to name: the index in the kernel's map (NO_TABLE: there is none left), and the vaddr
 * of row pc 0.
 */
uint32_t unwind_table_index(struct unwind_tables *t, struct unwind_table *table, uint64_t *row_base);

/* Whether the object's rows are, or are to be, at this index. */
bool unwind_table_is_at(struct unwind_tables *t, struct unwind_table *table, uint32_t index);
/*
 * The row that covers a vaddr, read from the file again: to compare, now and then. False where there is none, or where
 * the object is too large to read it for that. For one thread only.
 */
bool unwind_table_row(struct unwind_table *table, uint64_t vaddr, struct unwind_row *out);

/* Waits until all that is wanted is built and published, but not for longer than this. */
void unwind_tables_settle(struct unwind_tables *t, unsigned int timeout_ms);

void unwind_tables_report(struct unwind_tables *t, struct unwind_tables_totals *out);

#endif

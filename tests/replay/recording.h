/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stack that was recorded, or written by hand: text, one thing a line, numbers in hex but for counts.
 *
 *	# anything
 *	regs PC R0 .. R15			by DWARF number
 *	map START END VADDR TABLE ROW_BASE NAME	VADDR: of START in its object; TABLE: its number, nocfi, or missing
 *	row TABLE PC KIND CFA RBP		struct unwind_row, sorted
 *	rule TABLE INDEX REG OFFSET DEREF ADD SIGNAL  WHERE REG OFFSET  WHERE REG OFFSET	then ra and fp
 *	readable START END			memory that exists; what no word says is ae ae ae ..
 *	word ADDRESS VALUE			eight bytes of it
 *	words ADDRESS STRIDE COUNT VALUE	COUNT times the same
 *	nomaps					the process's mappings are not loaded
 *
 * It holds only what the unwinder looked at: the rows that it used, each with the next one, where it ends.
 */
#ifndef RECORDING_H
#define RECORDING_H

#include <stdio.h>
#include "host_unwind.h"

#define RECORDING_FILL	0xae
#define RECORDING_NAME	64
#define RECORDING_BYTES (64u << 20) /* of memory, at most */

struct recorded_mapping {
	uint64_t start, end, vaddr;
	uint32_t table; /* number, NO_CFI or NO_TABLE */
	uint32_t row_base;
	char name[RECORDING_NAME];
};

struct recorded_table {
	struct unwind_row *rows;
	struct unwind_rule *rules;
	size_t n_rows, n_rules;
};

struct recorded_range {
	uint64_t start, end;
	uint8_t *bytes;
};

struct recording {
	uint64_t pc, reg[HOST_REGS];
	bool no_maps;
	struct recorded_mapping *mappings;
	struct recorded_table *tables;
	struct recorded_range *ranges;
	size_t n_mappings, n_tables, n_ranges;
};

/* From a file. 0 or -errno (-EPROTO: a line that is not as above, its number is in *line). */
int recording_read(FILE *f, struct recording *r, unsigned int *line);
void recording_free(struct recording *r);

/* Writes what is in `r`, and these words of memory, sorted by address; they are used up. */
struct recorded_word {
	uint64_t address, value;
};
void recording_write(const struct recording *r, const char *text, uint64_t pc, const uint64_t reg[static HOST_REGS],
		     struct recorded_word *words, size_t n_words, FILE *f);

/* What the pieces of a recording are made with; 0 or -errno. */
int recording_add_mapping(struct recording *r, const struct recorded_mapping *m);
struct recorded_table *recording_table(struct recording *r, uint32_t number); /* NULL: no memory */
int recording_add_row(struct recording *r, uint32_t table, const struct unwind_row *row);
int recording_set_rule(struct recording *r, uint32_t table, uint32_t index, const struct unwind_rule *rule);

const struct recorded_mapping *recording_mapping(const struct recording *r, uint64_t address);

/*
 * Unwinds it. The same records can be laid out in several ways: tables of few rows or of many (rows are repeated within
 * their range, which says the same), mappings with a directory or without. `read` with its context is the memory; NULL:
 * the recording's own. Returns 0 or -errno.
 */
struct recording_layout {
	size_t min_rows;	   /* of each table */
	size_t mappings_per_chunk; /* where there are more, there is a directory */
};
int recording_unwind(const struct recording *r, const struct recording_layout *layout,
		     bool (*read)(void *, uint64_t, void *, size_t), void *context, struct host_stack *out);

/* The stack as text: "name+0xvaddr" a frame, leaf first, repetitions as one line, then the stop. */
void recording_print_stack(const struct recording *r, const struct host_stack *stack, FILE *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* See recording.h: a recording as text. */
#include <inttypes.h>
#include <stdlib.h>
#include "recording.h"

#define RANGE_GAP    65536 /* words nearer than that lie in the same memory */
#define RANGE_BEYOND 4096  /* so far memory goes on behind the last word noted */

static void write_mappings(const struct recording *r, FILE *f)
{
	for (size_t i = 0; i < r->n_mappings; i++) {
		const struct recorded_mapping *m = &r->mappings[i];
		char table[16] = "nocfi";

		if (m->table != NO_CFI)
			snprintf(table, sizeof(table), "%u", m->table);
		fprintf(f, "map %" PRIx64 " %" PRIx64 " %" PRIx64 " %s %x %s\n", m->start, m->end, m->vaddr, table,
			m->row_base, m->name);
	}
}

static void write_value(const struct unwind_value *v, FILE *f)
{
	fprintf(f, "  %x %x %s%x", v->where, v->reg, v->offset < 0 ? "-" : "", abs(v->offset));
}

static void write_tables(const struct recording *r, FILE *f)
{
	for (size_t t = 0; t < r->n_tables; t++) {
		const struct recorded_table *table = &r->tables[t];

		for (size_t i = 0; i < table->n_rows; i++) {
			const struct unwind_row *row = &table->rows[i];

			fprintf(f, "row %zx %x %x %x %x\n", t, row->pc, row->kind, row->cfa, row->rbp);
		}
		for (size_t i = 0; i < table->n_rules; i++) {
			const struct unwind_rule *u = &table->rules[i];

			if (!u->ra.where)
				continue; /* not needed */
			fprintf(f, "rule %zx %zx %x %s%x %x %s%x %x", t, i, u->cfa_register,
				u->cfa_offset < 0 ? "-" : "", abs(u->cfa_offset),
				u->cfa_dereference | u->cfa_scale << 4 | u->cfa_index << 12,
				u->cfa_add < 0 ? "-" : "", abs(u->cfa_add), u->signal);
			write_value(&u->ra, f);
			write_value(&u->fp, f);
			fputc('\n', f);
		}
	}
}

static void write_ranges(const struct recorded_word *words, size_t n_words, FILE *f)
{
	for (size_t i = 0, end; i < n_words; i = end) {
		for (end = i + 1; end < n_words; end++)
			if (words[end].address - words[end - 1].address > RANGE_GAP)
				break;
		fprintf(f, "readable %" PRIx64 " %" PRIx64 "\n", words[i].address,
			((words[end - 1].address + 8 - 1) | (RANGE_BEYOND - 1)) + 1);
	}
}

/* Words of one value at equal distances are one line: deep recursion is that. */
static void write_words(struct recorded_word *words, size_t n_words, FILE *f)
{
	for (size_t i = 0; i < n_words; i++) {
		const struct recorded_word *w = &words[i];
		uint64_t stride = 0, last = w->address;
		unsigned int count = 1;

		if (w->address == UINT64_MAX)
			continue; /* written */
		for (size_t j = i + 1; j < n_words; j++) {
			struct recorded_word *v = &words[j];

			if (v->address == UINT64_MAX || v->value != w->value)
				continue;
			if (!stride)
				stride = v->address - last;
			if (v->address - last > stride)
				break;
			if (v->address - last < stride)
				continue;
			last = v->address;
			v->address = UINT64_MAX;
			count++;
		}
		if (count > 1)
			fprintf(f, "words %" PRIx64 " %" PRIx64 " %u %" PRIx64 "\n", w->address, stride, count,
				w->value);
		else
			fprintf(f, "word %" PRIx64 " %" PRIx64 "\n", w->address, w->value);
	}
}

void recording_write(const struct recording *r, const char *text, uint64_t pc, const uint64_t reg[static HOST_REGS],
		     struct recorded_word *words, size_t n_words, FILE *f)
{
	fprintf(f, "# %s\nregs %" PRIx64, text, pc);
	for (int i = 0; i < HOST_REGS; i++)
		fprintf(f, " %" PRIx64, reg[i]);
	fputc('\n', f);
	write_mappings(r, f);
	write_tables(r, f);
	write_ranges(words, n_words, f);
	write_words(words, n_words, f);
}

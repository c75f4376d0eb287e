/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: arbitrary bytes as a Go program. What must hold of any: rows ascend and refer to rules
 * that are there, functions cover what they were found for, names are not empty and every text
 * ends; the pointer to g is a word below the thread pointer.
 *
 * The seeds are the programs of tests/go_image.h: one of each format of the table.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "symbolizer/elf_object.h"
#include "symbolizer/go_layout.h"
#include "symbolizer/go_pclntab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_rows(const struct elf_object *o)
{
	struct unwind_rows u;

	if (elf_object_unwind_rows(o, &u) != 0)
		return;
	for (size_t i = 0; i < u.n_rows; i++) {
		assert(u.rows[i].kind < UNWIND_KINDS);
		assert(u.rows[i].kind != UNWIND_EXTENDED || u.rows[i].cfa < u.n_rules);
		assert(i == 0 || u.rows[i - 1].pc < u.rows[i].pc);
	}
	unwind_rows_free(&u);
}

static void check_address(struct elf_object *o, struct go_pclntab *g, uint64_t vaddr)
{
	struct go_function f;
	struct elf_line lines[16];
	size_t n = go_pclntab_lines(g, vaddr, lines, 16), text = 0;

	assert(n <= 16);
	for (size_t i = 0; i < n; i++) {
		assert(*lines[i].name && (lines[i].file || !lines[i].line));
		text += strlen(lines[i].name) + (lines[i].file ? strlen(lines[i].file) : 0);
	}
	if (!go_pclntab_function(g, vaddr, &f))
		return;
	assert(f.start <= vaddr && vaddr < f.end && *f.name);
	assert(n == 0 || elf_object_has_symbols(o) || text == 0);
}

static void check_layout(const struct elf_object *o)
{
	struct go_layout l;

	if (elf_object_go_layout(o, &l) == 0)
		assert(l.tls < 0 && l.tls % 8 == 0 && l.g_m && l.g_goid && l.m_curg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_object *o;
	struct go_pclntab *g;
	uint64_t start, end;

	if (elf_object_open_memory(data, size, "/nonexistent/fuzz", &o) != 0)
		return 0;
	check_rows(o);
	check_layout(o);
	if (go_pclntab_open(o, &g) == 0) {
		if (elf_object_text(o, &start, &end))
			for (uint64_t i = 0; i < 64; i++)
				check_address(o, g, start + (end - start) / 64 * i);
		check_address(o, g, 0);
		check_address(o, g, UINT64_MAX);
		go_pclntab_free(g);
	}
	elf_object_free(o);
	return 0;
}

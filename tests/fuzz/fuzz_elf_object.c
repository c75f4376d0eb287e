/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: arbitrary bytes as an ELF object. Everything that is computed from a file is computed,
 * and what must hold of any file is asserted: rows ascend, symbols cover what they were found for,
 * names end.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "symbolizer/elf_object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_rows(const struct elf_object *o)
{
	struct unwind_rows u;

	if (elf_object_unwind_rows(o, &u) != 0)
		return;
	/* a compressed section may be as large as its limit */
	assert(u.n_rules <= UINT16_MAX);
	for (size_t i = 0; i < u.n_rows; i++) {
		assert(u.rows[i].kind < UNWIND_KINDS);
		assert(u.rows[i].kind != UNWIND_EXTENDED || u.rows[i].cfa < u.n_rules);
		assert(i == 0 || u.rows[i - 1].pc < u.rows[i].pc);
	}
	unwind_rows_free(&u);
}

static void check_symbol(struct elf_object *o, uint64_t vaddr)
{
	struct elf_symbol s;

	if (!elf_object_symbol(o, vaddr, &s))
		return;
	assert(s.vaddr <= vaddr && vaddr - s.vaddr < s.size && strlen(s.name) > 0);
	elf_object_has_symbols(o); /* not for sure: PLT entries have names without any table */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_segment segment;
	struct elf_object *o;
	uint64_t start, end;

	if (elf_object_open_memory(data, size, "/nonexistent/fuzz", &o) != 0)
		return 0;
	assert(strlen(elf_object_build_id(o)) % 2 == 0);
	for (uint64_t offset = 0; offset < size; offset += 64)
		if (elf_object_segment_at(o, offset, &segment))
			assert(segment.size > 0 && segment.offset <= size);
	check_rows(o);
	check_symbol(o, 0);
	check_symbol(o, UINT64_MAX);
	if (elf_object_text(o, &start, &end)) {
		assert(start < end);
		for (int i = 0; i < 64; i++)
			check_symbol(o, start + (end - start) / 64 * (uint64_t)i);
	}
	elf_object_has_symbol(o, "main");
	elf_object_free(o);
	return 0;
}

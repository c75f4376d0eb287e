/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: arbitrary bytes as an ELF object with DWARF, read in this process: our part of it, and libdw's. A crash
 * inside libdw is not ours to repair and costs a profiler only lines (symbolizer/elf_lines.h), but is good to know.
 */
#include <assert.h>
#include "symbolizer/elf_lines.h"

#define ADDRESSES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_line lines[ELF_LINES_MAX];
	uint64_t start, end;
	struct elf_object *o;

	if (elf_object_open_memory(data, size, "/nonexistent/fuzz", &o) != 0)
		return 0;
	if (elf_object_text(o, &start, &end)) {
		for (uint64_t i = 0; i < ADDRESSES; i++) {
			size_t room = i % 8 ? ELF_LINES_MAX : i / 8;
			uint64_t at = start + (end - start) / ADDRESSES * i;

			assert(elf_object_lines(o, at, lines, room) <= room);
		}
	}
	elf_object_free(o);
	return 0;
}

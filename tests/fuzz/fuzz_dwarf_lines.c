/* SPDX-License-Identifier: Apache-2.0 */
int LLVMFuzzerTestOneInput(const unsigned char *data, unsigned long size);
#include <stdlib.h>
#include <assert.h>
#include <string.h>
#include "symbolizer/elf_lines.h"
int LLVMFuzzerTestOneInput(const unsigned char *data, unsigned long size)
{
	struct elf_line lines[ELF_LINES_MAX];
	struct elf_object *o;
	uint64_t start, end;

	if (elf_object_open_memory(data, size, "/nonexistent/fuzz", &o) != 0)
		return 0;
	if (elf_object_text(o, &start, &end))
		for (uint64_t i = 0; i < 256; i++)
			elf_object_lines(o, start + (end - start) / 256 * i, lines, ELF_LINES_MAX);
	elf_object_free(o);
	return 0;
}

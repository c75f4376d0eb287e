/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which file has an object's DWARF: the object itself, else its separate debug file, either perhaps
 * with a third one that dwz made.
 *
 * Debug files are opened together with the symbols, when the process still runs: its root is where
 * they may lie, and lines are asked for when it may be gone.
 */
#include <stddef.h>
#include "elf_internal.h"

bool elf_has_dwarf(const struct elf_object *o)
{
	Elf64_Shdr sh;

	return (elf_section_by_name(o, ".debug_info", &sh) ||
		elf_section_by_name(o, ".zdebug_info", &sh)) &&
	       sh.sh_type != SHT_NOBITS && sh.sh_size;
}

/* Whose DWARF to read; NULL if there is none. */
static const struct elf_object *dwarf_source(const struct elf_object *o)
{
	if (elf_has_dwarf(o))
		return o;
	return o->debug && elf_has_dwarf(o->debug) ? o->debug : NULL;
}

void elf_object_open_debug(struct elf_object *o)
{
	const struct elf_object *from;
	Elf64_Shdr sh;

	if (o->debug_opened)
		return;
	o->debug_opened = true;
	if (!elf_section_by_type(o, SHT_SYMTAB, &sh) || !elf_has_dwarf(o))
		debug_file_open(o, &o->debug);
	from = dwarf_source(o);
	o->has_lines = from && debug_alt_open(from, &o->alt) == 0;
}

bool elf_object_has_dwarf(struct elf_object *o)
{
	elf_object_open_debug(o);
	return o->has_lines;
}

size_t elf_object_lines(struct elf_object *o, uint64_t vaddr, struct elf_line *out, size_t room)
{
	if (!o->lines_opened && elf_object_has_dwarf(o))
		o->lines = dwarf_lines_new(o, dwarf_source(o), o->alt);
	o->lines_opened = true;
	return o->lines ? dwarf_lines_at(o->lines, vaddr, out, room) : 0;
}

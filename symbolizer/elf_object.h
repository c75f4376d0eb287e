/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One ELF object (program, library, vdso): what is needed to unwind and to name its addresses.
 *
 * Addresses are ELF virtual addresses ("vaddr"), independent of where a process mapped the object.
 * ELF files are hostile input: every offset is checked; a broken section is as good as none.
 */
#ifndef WIREPROF_ELF_OBJECT_H
#define WIREPROF_ELF_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../bpf/unwind_row.h"

struct elf_object; /* opaque */

/*
 * Opens the object behind a descriptor, mapping the file read-only; `fd` may be closed afterwards.
 * `path` is what the process calls it (for messages and for finding debug files); it is copied.
 * `root` is the directory that stands for the process's root ("/proc/42/root", or "" for ours):
 * separate debug files are looked for below it, then below "/".
 * Returns 0 or -errno (-ENOEXEC: not an ELF file we can read). *out is left alone on failure.
 */
int elf_object_open(int fd, const char *path, const char *root, struct elf_object **out);
/* The same from memory, for the vdso. The bytes are copied. */
int elf_object_open_memory(const void *image, size_t size, const char *name,
			   struct elf_object **out);
void elf_object_free(struct elf_object *o); /* NULL is fine */
/* Gives the file's pages back, as far as nothing was written to them: they are read again when they are used. */
void elf_object_forget_pages(const struct elf_object *o);

const char *elf_object_path(const struct elf_object *o);
/* Last component of the path, as shown in "libfoo.so.1+0x12". */
const char *elf_object_name(const struct elf_object *o);
/* Lower-case hex, or "" where there is none. */
const char *elf_object_build_id(const struct elf_object *o);

/* The executable segment that holds a file offset. Returns false where there is none. */
struct elf_segment {
	uint64_t vaddr, offset, size; /* size: bytes in the file */
};
bool elf_object_segment_at(const struct elf_object *o, uint64_t file_offset,
			   struct elf_segment *out);
/* The executable segment that holds a vaddr. Returns false where there is none. */
bool elf_object_segment_of(const struct elf_object *o, uint64_t vaddr, struct elf_segment *out);
/* All executable segments together: [*start, *end). Returns false where there is none. */
bool elf_object_text(const struct elf_object *o, uint64_t *start, uint64_t *end);

/*
 * Symbols: loaded on first use, from .symtab, else the separate debug file's .symtab, else
 * .gnu_debugdata's and .dynsym; and the entries of procedure linkage tables, as "memcpy@plt".
 * The name is mangled as in the table and lives as long as the object.
 * Returns false where no symbol covers the address (a symbol of size 0 reaches to the next one, within
 * its section).
 */
struct elf_symbol {
	uint64_t vaddr, size;
	const char *name;
};
bool elf_object_symbol(struct elf_object *o, uint64_t vaddr, struct elf_symbol *out);
/* Whether a function of exactly this name is in the table. */
bool elf_object_has_symbol(struct elf_object *o, const char *name);
/* Whether a debug file was looked for, and not found. */
bool elf_object_lacks_debug(const struct elf_object *o);
/*
 * If so: it has come. Symbols and lines are loaded again when they are asked for; names given before are void. No other
 * thread may use the object's symbols at that time.
 */
void elf_object_look_again(struct elf_object *o);
/* True once any symbol table was found. */
bool elf_object_has_symbols(struct elf_object *o);

/*
 * Unwind rows from .eh_frame (found by .eh_frame_hdr or by section) and the sources that fill its
 * gaps, at last the code itself (see unwind_rows.c), sorted by pc, neighbours that say
 * the same merged. row.pc = vaddr - base. Every gap between functions is an UNWIND_NONE row (gaps of at
 * most 16 bytes, which are padding, may be folded into the row before).
 * An object whose text is larger than 4 GiB is refused (-EFBIG). No executable segment: 0 rows, returns 0.
 */
struct unwind_rows {
	struct unwind_row *rows;
	struct unwind_rule *rules; /* of EXTENDED rows */
	size_t n_rows, n_rules;
	uint64_t base;		   /* vaddr of row.pc == 0 */
	uint64_t unsupported_bytes; /* of text, covered by UNWIND_UNSUPPORTED rows */
	uint64_t bad_fdes;	   /* FDEs that were dropped because they do not parse */
};
int elf_object_unwind_rows(const struct elf_object *o, struct unwind_rows *out);
/* The same without the rows that are read out of code which nothing describes (code_rows.c). */
int elf_object_described_rows(const struct elf_object *o, struct unwind_rows *out);
void unwind_rows_free(struct unwind_rows *r);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files behind elf_object.h share: the mapped file, and checked views into it.
 *
 * Headers are read afresh, by copy, each time they are needed: nothing that was checked once is
 * trusted later, as whoever owns the file may rewrite it under the mapping.
 */
#ifndef WIREPROF_ELF_INTERNAL_H
#define WIREPROF_ELF_INTERNAL_H

#include <elf.h>
#include "elf_lines.h"
#include "elf_object.h"

struct symbol_table; /* symbol_table.c */
struct plt;	     /* plt.c */
struct dwarf_lines;  /* dwarf_units.c */

#define ELF_BUILD_ID_MAX 64 /* bytes */
struct go_pclntab;   /* go_pclntab.h */

struct elf_object {
	/*
	 * The file, followed by at least one page of zeroes: a string that starts in the image ends
	 * there, whatever becomes of the file.
	 */
	const uint8_t *image;
	size_t size, mapped_bytes;
	char *path, *root;
	char build_id[2 * ELF_BUILD_ID_MAX + 1];
	uint16_t type, machine;
	uint64_t phoff, shoff;
	uint32_t n_phdr, n_shdr, shstrndx;
	bool is_file; /* the image is mapped, not copied */
	bool symbols_loaded, debug_opened, lines_opened, go_loaded;
	bool has_lines;		      /* there is DWARF, and all that it refers to */
	struct elf_object *debug;     /* the separate debug file; NULL: none */
	struct elf_object *alt;	      /* what dwz moved out of the DWARF; NULL: none */
	struct symbol_table *symbols; /* NULL: none */
	struct plt *plt;	      /* NULL: none */
	struct dwarf_lines *lines;    /* NULL: none */
	struct go_pclntab *go;	      /* NULL: none */
};

/* A part of the image. */
struct elf_bytes {
	const uint8_t *data;
	size_t size;
};

/* The image's bytes [offset, offset + size), if they all exist. */
bool elf_image_bytes(const struct elf_object *o, uint64_t offset, uint64_t size,
		     struct elf_bytes *out);
/* The i-th header, i < n_phdr or n_shdr; false where the file does not have it. */
bool elf_phdr(const struct elf_object *o, uint32_t i, Elf64_Phdr *out);
bool elf_shdr(const struct elf_object *o, uint32_t i, Elf64_Shdr *out);
/* Whether it is a Go program, whose pclntab can be read. */
bool elf_object_is_go(struct elf_object *o);
bool elf_section_by_name(const struct elf_object *o, const char *name, Elf64_Shdr *out);
bool elf_section_by_type(const struct elf_object *o, uint32_t type, Elf64_Shdr *out);
/* Whether [vaddr, vaddr + filesz) is code that this file has. */
bool elf_phdr_is_text(const struct elf_object *o, const Elf64_Phdr *ph);
/* A section's bytes; false for one that is empty, compressed, NOBITS or past the file's end. */
bool elf_section_bytes(const struct elf_object *o, const Elf64_Shdr *sh, struct elf_bytes *out);
/* A build-id's bytes in hex; false for none, or too many. */
bool elf_build_id_text(struct elf_bytes id, char out[static 2 * ELF_BUILD_ID_MAX + 1]);
/* From vaddr to the end of the loaded segment that holds it. */
bool elf_vaddr_bytes(const struct elf_object *o, uint64_t vaddr, struct elf_bytes *out);

/*
 * debug_file.c: opens the separate debug file of an object, once its identity is verified.
 * Returns 0 or -errno (-ENOENT: there is none).
 */
int debug_file_open(const struct elf_object *o, struct elf_object **out);
/*
 * The file that holds what dwz found to be common to several debug files (.gnu_debugaltlink of `o`),
 * once its build-id is verified. Returns 0 with *out NULL where `o` refers to none; or -errno.
 */
int debug_alt_open(const struct elf_object *o, struct elf_object **out);

/*
 * elf_debug.c: opens debug files, while the process whose root they may lie under is there.
 */
void elf_object_open_debug(struct elf_object *o);
bool elf_has_dwarf(const struct elf_object *o);

/*
 * dwarf_units.c: o's lines, from the DWARF of `from` (o, or its debug file) and `alt` (or NULL).
 * NULL if there is none. The objects must outlive it.
 */
struct dwarf_lines *dwarf_lines_new(const struct elf_object *o, const struct elf_object *from,
				    const struct elf_object *alt);
void dwarf_lines_free(struct dwarf_lines *d);
size_t dwarf_lines_at(struct dwarf_lines *d, uint64_t vaddr, struct elf_line *out, size_t room);

/*
 * mini_debug.c: the ELF file that is packed in .gnu_debugdata. Returns 0 or -errno (-ENOENT: there is
 * none; -EFBIG: it unpacks to too much).
 */
int mini_debug_open(const struct elf_object *o, struct elf_object **out);

/*
 * plt.c: names of the entries of procedure linkage tables, "memcpy@plt". NULL if there are none. The
 * object's own symbols name what has none in the relocation.
 */
struct plt *plt_new(const struct elf_object *o, const struct symbol_table *symbols);
void plt_free(struct plt *p);
bool plt_find(const struct plt *p, uint64_t vaddr, struct elf_symbol *out);

/* symbol_table.c: NULL if neither the object nor its debug file (or NULL) names a function. */
struct symbol_table *symbol_table_new(const struct elf_object *o, const struct elf_object *debug);
void symbol_table_free(struct symbol_table *t);
bool symbol_table_find(const struct symbol_table *t, uint64_t vaddr, struct elf_symbol *out);
bool symbol_table_has(const struct symbol_table *t, const char *name);

#endif

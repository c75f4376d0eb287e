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
#include "elf_object.h"

struct symbol_table; /* symbol_table.c */

struct elf_object {
	/*
	 * The file, followed by at least one page of zeroes: a string that starts in the image ends
	 * there, whatever becomes of the file.
	 */
	const uint8_t *image;
	size_t size, mapped_bytes;
	char *path, *root;
	char build_id[2 * 64 + 1];
	uint16_t type, machine;
	uint64_t phoff, shoff;
	uint32_t n_phdr, n_shdr, shstrndx;
	bool is_file; /* the image is mapped, not copied */
	bool symbols_loaded;
	struct symbol_table *symbols; /* NULL: none */
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
bool elf_section_by_name(const struct elf_object *o, const char *name, Elf64_Shdr *out);
bool elf_section_by_type(const struct elf_object *o, uint32_t type, Elf64_Shdr *out);
/* Whether [vaddr, vaddr + filesz) is code that this file has. */
bool elf_phdr_is_text(const struct elf_object *o, const Elf64_Phdr *ph);
/* A section's bytes; false for one that is empty, compressed, NOBITS or past the file's end. */
bool elf_section_bytes(const struct elf_object *o, const Elf64_Shdr *sh, struct elf_bytes *out);
/* From vaddr to the end of the loaded segment that holds it. */
bool elf_vaddr_bytes(const struct elf_object *o, uint64_t vaddr, struct elf_bytes *out);

/*
 * debug_file.c: opens the separate debug file of an object, once its identity is verified.
 * Returns 0 or -errno (-ENOENT: there is none).
 */
int debug_file_open(const struct elf_object *o, struct elf_object **out);

/* symbol_table.c: NULL if the object names no function. */
struct symbol_table *symbol_table_new(const struct elf_object *o);
void symbol_table_free(struct symbol_table *t);
bool symbol_table_find(const struct symbol_table *t, uint64_t vaddr, struct elf_symbol *out);
bool symbol_table_has(const struct symbol_table *t, const char *name);

#endif

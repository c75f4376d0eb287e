/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source lines and inlined functions of an object's addresses, from its DWARF (or its debug file's); those
 * of Go's functions from the pclntab, which is always there, cheap, and read by code of ours.
 *
 * libdw reads the DWARF, and libdw is not hardened: a broken file can crash it or keep it busy for
 * ever. So a profiler asks elf_lines_resolve(), which reads in a process of its own, limited in
 * time and memory, and which costs lines at worst. elf_object_lines() is what that process calls;
 * only tests call it in theirs.
 */
#ifndef WIREPROF_ELF_LINES_H
#define WIREPROF_ELF_LINES_H

#include "elf_object.h"

/* Whether there is anything to read: DWARF, or Go's pclntab. Opens debug files, as asking for symbols does. */
bool elf_object_has_lines(struct elf_object *o);

/* Functions that one address is shown in: of deeper ones, the innermost are left out. */
#define ELF_LINES_MAX 64

/* A function that an address lies in, and where in that function. */
struct elf_line {
	const char *name;    /* mangled, else as in the source; NULL: unknown */
	const char *file;    /* of `line`; NULL: unknown */
	uint32_t line;	     /* 0: unknown */
	uint32_t start_line; /* of `file`, where the function begins; 0: unknown, or another file */
};

/*
 * The functions that vaddr lies in: the innermost inlined one first, the one that is no inlined one
 * last, from DWARF. Returns how many of at most `room`; 0 where that says nothing. The text lives until the
 * object is freed. Quickest by ascending addresses.
 */
size_t elf_object_lines(struct elf_object *o, uint64_t vaddr, struct elf_line *out, size_t room);

/* Called for an address that has lines, once; the text lives until it returns. */
typedef void (*elf_lines_found)(void *context, size_t index, const struct elf_line *lines, size_t n);

/*
 * The same for n addresses (ascending is quickest), in a child process that has `limit_ms` for all.
 * `found` is called in this process; what was found before a failure counts. Returns 0, at once
 * where the object has no DWARF, or -errno: -ETIME (out of time), -EIO (the reader died).
 */
int elf_lines_resolve(struct elf_object *o, const uint64_t *vaddrs, size_t n, unsigned int limit_ms,
		      elf_lines_found found, void *context);

#endif

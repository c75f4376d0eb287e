/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the Go linker leaves in every program, stripped or not: the table by which Go's own runtime
 * names a pc, its file and line, and the size of its frame ("pclntab").
 *
 * The table is untrusted: each read is checked, and each walk bounded. Go 1.2 and later on x86-64.
 */
#ifndef WIREPROF_GO_PCLNTAB_H
#define WIREPROF_GO_PCLNTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "elf_lines.h"

struct elf_object;
struct go_pclntab; /* opaque */

/*
 * Finds the table of an object, which must outlive it. Costs next to nothing where the object is
 * not Go's. Returns 0 or -errno (-ENOENT: there is none that we can read).
 */
int go_pclntab_open(const struct elf_object *o, struct go_pclntab **out);
void go_pclntab_free(struct go_pclntab *g); /* NULL is fine */

/* The text lives as long as the table. */
struct go_function {
	uint64_t start, end; /* padding after the function is its own */
	const char *name;    /* as Go prints it: "main.(*tree[...]).walk" */
};
/* The function that holds a vaddr; false where there is none. */
bool go_pclntab_function(struct go_pclntab *g, uint64_t vaddr, struct go_function *out);

/*
 * The functions that vaddr lies in: the innermost inlined one first, the one that is no inlined one
 * last. Returns how many of at most `room`, 0 where the address is in no function of Go's. start_line is known from Go 1.20 on. Inlined
 * calls are known from Go 1.18 on; before, the line is that of the innermost.
 */
size_t go_pclntab_lines(struct go_pclntab *g, uint64_t vaddr, struct elf_line *out, size_t room);
/* The same by the object's own table, opened on first use (elf_object.c); 0 where it has none. */
size_t elf_object_go_lines(struct elf_object *o, uint64_t vaddr, struct elf_line *out, size_t room);

#endif

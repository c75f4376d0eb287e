/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unwind rows from code itself: one chunk of it (see code_chunk.c).
 */
#ifndef WIREPROF_CODE_CHUNK_H
#define WIREPROF_CODE_CHUNK_H

#include "row_sink.h"

struct code_chunk; /* opaque: the memory that one chunk after another uses, about 4 MiB */

/* Returns NULL where there is no memory. */
struct code_chunk *code_chunk_new(void);
void code_chunk_free(struct code_chunk *c); /* NULL is fine */

/*
 * Puts the rows of the code at the start of [code, code + size), which lies at vaddr, into `out`.
 * Returns how many bytes of it that covers, at least one if size is not zero; or -ENOMEM.
 * `entry` is the program's first instruction, or 0.
 */
int64_t code_chunk_rows(struct code_chunk *c, const uint8_t *code, size_t size, uint64_t vaddr,
			uint64_t entry, struct row_sink *out);

#endif

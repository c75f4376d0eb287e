/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf/unwind.h on the host: the same C, steppable in gdb, with stubs in place of the kernel's helpers.
 *
 * A process is what its maps and its memory say: chunk maps laid out as bpf/events.h has it, each chunk an
 * allocation of its own so that a sanitizer sees a step outside, and a function that reads memory.
 */
#ifndef HOST_UNWIND_H
#define HOST_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "bpf/events.h"

#define HOST_REGS 16 /* by DWARF number */

struct chunk_map {
	uint32_t n;
	void *chunk[]; /* of CHUNK_BYTES, 0xff where nothing was stored */
};

struct host {
	const struct chunk_map *mappings; /* NULL: not loaded */
	const struct chunk_map *const *tables;
	uint32_t n_tables;
	bool (*read)(void *context, uint64_t address, void *out, size_t size);
	void *context;
};

struct host_stack {
	uint32_t n, stop, guessed;
	uint64_t frame[MAX_USER_FRAMES]; /* as struct sample_event has them */
};

/* NULL: no memory. */
struct chunk_map *chunk_map_new(uint32_t n);
void chunk_map_free(struct chunk_map *m);

/*
 * An inner map of `n` sorted records of `size` bytes each, `per_chunk` of them in a chunk (what the user side fills
 * whole may be filled thinly here, so that few records take several chunks), with room for `more` chunks behind. The
 * first `key_size` bytes of a record are its key, which the directory repeats.
 */
struct chunk_map *chunk_map_of(const void *records, size_t n, size_t size, size_t per_chunk, size_t key_size,
			       uint32_t more);

void host_unwind(const struct host *host, uint64_t pc, const uint64_t reg[static HOST_REGS], struct host_stack *out);

const char *host_stop_name(uint32_t stop);

#endif

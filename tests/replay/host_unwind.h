/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf/unwind.h on the host: the same C, steppable in gdb, with stubs in place of the kernel's helpers.
 *
 * A process is what its maps and its memory say: chunks laid out as bpf/events.h has it, each an allocation of its own
 * so that a sanitizer sees a step outside, and a function that reads memory.
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
	void *chunk[];
};

struct host {
	const struct chunk_map *mappings; /* NULL: not loaded; more than one: the first is the directory */
	const struct chunk_map *const *tables;
	uint32_t n_tables;
	bool (*read)(void *context, uint64_t address, void *out, size_t size);
	void *context;
};

struct host_stack {
	uint32_t n, stop, guessed;
	uint64_t frame[MAX_USER_FRAMES]; /* as struct sample_event has them */
};

/* `n` chunks of so many bytes, all 0xff; NULL: no memory. */
struct chunk_map *chunk_map_new(uint32_t n, size_t chunk_bytes);
void chunk_map_free(struct chunk_map *m);

void host_unwind(const struct host *host, uint64_t pc, const uint64_t reg[static HOST_REGS], struct host_stack *out);

const char *host_stop_name(uint32_t stop);

#endif

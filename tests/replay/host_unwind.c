/* SPDX-License-Identifier: Apache-2.0 */
/* See host_unwind.h. The only file that includes bpf/unwind.h for the host. */
#include <stdlib.h>
#include <string.h>
#include "host_unwind.h"
#include "bpf/unwind.h"

static const struct host *current;
static struct scratch host_scratch;

struct chunk_map *chunk_map_new(uint32_t n, size_t chunk_bytes)
{
	struct chunk_map *m = calloc(1, sizeof(*m) + n * sizeof(m->chunk[0]));

	if (!m)
		return NULL;
	for (; m->n < n; m->n++) {
		m->chunk[m->n] = malloc(chunk_bytes);
		if (!m->chunk[m->n]) {
			chunk_map_free(m);
			return NULL;
		}
		memset(m->chunk[m->n], 0xff, chunk_bytes);
	}
	return m;
}

void chunk_map_free(struct chunk_map *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->n; i++)
		free(m->chunk[i]);
	free(m);
}

void *bpf_map_lookup_elem(const void *map, const void *key)
{
	const struct chunk_map *m = map == &process_maps ? current->mappings : map;
	uint32_t index = map == &process_maps ? ((const struct mapping_key *)key)->chunk : *(const u32 *)key;

	if (map == &tables)
		return index < current->n_tables ? (void *)current->tables[index] : NULL;
	return m && index < m->n ? m->chunk[index] : NULL;
}

long bpf_probe_read_user(void *to, u32 size, const void *address)
{
	if (current->read(current->context, (uint64_t)address, to, size))
		return 0;
	memset(to, 0, size); /* as the kernel does */
	return -1;
}

long bpf_loop(u32 n, long (*function)(u32, void *), void *context, u64 flags)
{
	u32 i;

	(void)flags;
	for (i = 0; i < n; i++)
		if (function(i, context))
			return i + 1;
	return i;
}

void host_unwind(const struct host *host, uint64_t pc, const uint64_t reg[static HOST_REGS], struct host_stack *out)
{
	struct unwind *u = &host_scratch.unwind;

	_Static_assert(ARCH_REGS == HOST_REGS, "recordings have the registers of this machine");
	current = host;
	memset(&host_scratch, 0xee, sizeof(host_scratch)); /* what an earlier sample may have left */
	u->regs.pc = pc;
	for (int i = 0; i < HOST_REGS; i++)
		u->regs.reg[i] = reg[i];
	unwind_user(&host_scratch, host->mappings && host->mappings->n > 1 ? 1 | MAPS_DIRECTORY : 1, 0);
	*out = (struct host_stack){.n = u->n, .stop = u->stop, .guessed = u->guessed};
	memcpy(out->frame, host_scratch.data, u->n * sizeof(out->frame[0]));
	current = NULL;
}

const char *host_stop_name(uint32_t stop)
{
#define X(name, text) #name,
	static const char *const names[] = {STOPS(X)};
#undef X

	return stop < N_STOPS ? names[stop] : "?";
}

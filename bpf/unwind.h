/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The user stack, by unwind rows: pc -> mapping -> table -> row -> the caller's registers.
 *
 * Both searches have two levels, a directory chunk and the chunk that it names; within a chunk a step
 * is a masked load that the verifier can follow, not a helper call. bpf_loop() takes the frames, so that
 * one frame is verified once.
 */
#ifndef WIREPROF_UNWIND_H
#define WIREPROF_UNWIND_H

#include "arch_x86_64.h"
#include "maps.h"

struct unwind {
	struct frame_regs regs;
	u64 start, end; /* the mapping of the last frame: the next is often in the same */
	u32 table, row_base;
	u32 maps; /* key in process_maps */
	u32 n;	  /* frames so far */
	u32 first; /* where user frames begin in scratch */
	u32 stop; /* enum stop */
};

/*
 * Always zero, but the verifier does not know: a search that starts here is one state a step to it,
 * where a constant would make it follow every path of the search.
 */
volatile unsigned int opaque_zero;

/* Finds the mapping of an address in the process. Returns a stop reason, or STOP_NONE if found. */
static __always_inline u32 find_mapping(struct unwind *u, u64 pc)
{
	struct mapping_directory *dir;
	struct mapping_chunk *chunk;
	struct exec_mapping *m;
	u32 key = 0, lo = opaque_zero;
	void *maps;

	maps = bpf_map_lookup_elem(&process_maps, &u->maps);
	if (!maps)
		return STOP_NO_MAPS;
	dir = bpf_map_lookup_elem(maps, &key);
	if (!dir)
		return STOP_NO_MAPPING;
	for (int s = 8; s >= 0; s--) {
		u32 at = lo + (1u << s);

		if (dir->first[at & (MAPPING_CHUNKS - 1)] <= pc)
			lo = at;
	}
	key = lo + 1;
	chunk = bpf_map_lookup_elem(maps, &key);
	if (!chunk)
		return STOP_NO_MAPPING;
	lo = opaque_zero;
	for (int s = 6; s >= 0; s--) {
		u32 at = lo + (1u << s);

		if (chunk->mapping[at & (MAPPINGS_PER_CHUNK - 1)].start <= pc)
			lo = at;
	}
	m = &chunk->mapping[lo & (MAPPINGS_PER_CHUNK - 1)];
	if (pc < m->start || pc >= m->end)
		return STOP_NO_MAPPING;
	u->start = m->start;
	u->end = m->end;
	u->table = m->table;
	u->row_base = m->row_base;
	return STOP_NONE;
}

/* Finds the row of an address in the current mapping. Returns NULL with *stop set if there is none. */
static __always_inline struct unwind_row *find_row(struct unwind *u, u64 address, u32 *stop)
{
	u32 pc = address - u->start + u->row_base;
	struct row_directory *dir;
	struct row_chunk *chunk;
	struct unwind_row *row;
	u32 key = 0, lo = opaque_zero;
	void *table;

	*stop = STOP_NO_TABLE;
	table = bpf_map_lookup_elem(&tables, &u->table);
	if (!table)
		return NULL;
	dir = bpf_map_lookup_elem(table, &key);
	if (!dir)
		return NULL;
	*stop = STOP_NO_ROW;
	for (int s = 9; s >= 0; s--) {
		u32 at = lo + (1u << s);

		if (dir->first[at & (ROW_CHUNKS - 1)] <= pc)
			lo = at;
	}
	key = lo + 1;
	chunk = bpf_map_lookup_elem(table, &key);
	if (!chunk)
		return NULL;
	lo = opaque_zero;
	for (int s = 8; s >= 0; s--) {
		u32 at = lo + (1u << s);

		if (chunk->row[at & (ROWS_PER_CHUNK - 1)].pc <= pc)
			lo = at;
	}
	row = &chunk->row[lo & (ROWS_PER_CHUNK - 1)];
	return row->pc <= pc ? row : NULL;
}

/* One row applied to the registers. Returns a stop reason, or STOP_NONE for another frame. */
static __always_inline u32 apply_row(struct unwind *u, const struct unwind_row *row)
{
	struct frame_regs *regs = &u->regs;
	u64 cfa, pc, bp = regs->bp;

	switch (row->kind) {
	case UNWIND_RSP:
		cfa = regs->sp + 8 * (u64)row->cfa;
		break;
	case UNWIND_RBP:
		cfa = regs->bp + 8 * (u64)row->cfa;
		break;
	case UNWIND_PLT:
		cfa = regs->sp + 8 + ((regs->pc & 15) >= row->cfa ? 8 : 0);
		break;
	case UNWIND_END:
		return STOP_END;
	case UNWIND_NONE:
		return STOP_NO_ROW;
	default:
		return STOP_UNSUPPORTED;
	}
	/* The stack grows down: a caller's frame lies above. */
	if (cfa <= regs->sp)
		return STOP_BAD_STACK;
	if (bpf_probe_read_user(&pc, sizeof(pc), (void *)(cfa - 8)))
		return STOP_READ_FAILED;
	if (row->rbp && bpf_probe_read_user(&bp, sizeof(bp), (void *)(cfa - 8 * (u64)row->rbp)))
		return STOP_READ_FAILED;
	regs->pc = pc;
	regs->sp = cfa;
	regs->bp = bp;
	return pc ? STOP_NONE : STOP_ZERO;
}

static long unwind_frame(u32 i, void *ctx)
{
	struct unwind *u = ctx;
	u32 at = u->first + u->n, zero = 0;
	struct unwind_row *row;
	struct scratch *s;
	u64 lookup;

	s = bpf_map_lookup_elem(&scratch, &zero);
	if (!s || at >= MAX_FRAMES)
		return 1;
	((u64 *)s->data)[at] = u->regs.pc;
	u->n++;
	/* A return address points behind its call, perhaps already at the next function. */
	lookup = i ? u->regs.pc - 1 : u->regs.pc;
	if (lookup < u->start || lookup >= u->end) {
		u->stop = find_mapping(u, lookup);
		if (u->stop) {
			u->start = u->end = 0;
			return 1;
		}
	}
	row = find_row(u, lookup, &u->stop);
	if (!row)
		return 1;
	u->stop = apply_row(u, row);
	return u->stop != STOP_NONE;
}

/* Unwinds from u->regs; frames go to scratch from index u->first. Leaves u->n and u->stop. */
static __always_inline void unwind_user(struct unwind *u)
{
	u->stop = STOP_NONE;
	bpf_loop(MAX_USER_FRAMES, unwind_frame, u, 0);
	if (u->stop == STOP_NONE)
		u->stop = STOP_DEPTH;
}

#endif

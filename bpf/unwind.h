/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The user stack: pc -> mapping -> table -> row or rule -> the caller's registers.
 *
 *	row RSP, RBP, PLT	CFA from rsp or rbp; the return address and rbp from the stack
 *	row EXTENDED		the same, as a rule of the table says
 *	row SIGNAL		all registers from the ucontext that the kernel pushed
 *	no row			one step by frame pointer, or by a return address found on the stack; then rows again
 *
 * Of the registers, a caller's pc, sp and fp are known. All others are known only where a frame was interrupted,
 * in the sampled frame and below a signal handler: they are not followed through calls, as compiled code that needs
 * one for its CFA (x86-64: stack realignment) does so in its first and last instructions, where it makes no calls.
 * Assembler may count on its own assembler: there, what a register held is tried, and must lead to a call.
 *
 * Both searches go from a directory chunk to the chunk that it names; within a chunk a step is a masked
 * load that the verifier can follow, not a helper call. bpf_loop() takes the frames, so that one frame is verified
 * once. All state is in map memory, where the verifier does not follow values. The same code is compiled for the
 * host and fed with recordings (tests/replay).
 */
#ifndef WIREPROF_UNWIND_H
#define WIREPROF_UNWIND_H

#include "maps.h"

/* Frames of one function are smaller than that: what a frame pointer is believed. */
#define FRAME_BYTES_MAX (1u << 20)
/* Signal stacks and Go's system stack lie anywhere: so often may a caller's frame be below its callee's. */
#define STACK_SWITCHES_MAX 8

/* Functions without CFI that were interrupted: so many words of the stack may be looked at for a return address. */
#define SCAN_WORDS 24
#define SCAN_STEPS (4 * 2 * SCAN_WORDS) /* the iterations that this takes; signals may have interrupted several */

enum { LOOK_FRAME, LOOK_SCAN, LOOK_TRIAL, LOOK_GIVE_UP };

/*
 * Always zero, but the verifier does not know: a search that starts here is one state a step to it,
 * where a constant would make it follow every path of the search.
 */
volatile unsigned int opaque_zero;

/* Finds the mapping of an address in the process. Returns a stop reason, or STOP_NONE if found. */
static __always_inline u32 find_mapping(struct unwind *u, u64 pc)
{
	struct mapping_key key = {.maps = u->maps};
	struct mapping_chunk *chunk = bpf_map_lookup_elem(&process_maps, &key);
	u32 lo = opaque_zero;
	struct exec_mapping *m;

	if (!chunk)
		return STOP_NO_MAPS;
	if (key.maps & MAPS_DIRECTORY) {
		struct mapping_directory *dir = (void *)chunk;

		for (int s = 8; s >= 0; s--) {
			u32 at = lo + (1u << s);

			if (dir->first[at & (MAPPING_CHUNKS - 1)] <= pc)
				lo = at;
		}
		key.chunk = lo + 1;
		chunk = bpf_map_lookup_elem(&process_maps, &key);
		if (!chunk)
			return STOP_NO_MAPS;
		lo = opaque_zero;
	}
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

/* What a look-up leaves: a copy of the row, and its rule where the row is EXTENDED. */
struct found {
	struct unwind_row row; /* NONE: none covers the address */
	const struct unwind_rule *rule;
};

static __always_inline const struct unwind_rule *find_rule(void *table, u32 index)
{
	u32 key = 1 + index / RULES_PER_CHUNK;
	struct table_chunk *chunk = bpf_map_lookup_elem(table, &key);

	return chunk ? &chunk->rule[index & (RULES_PER_CHUNK - 1)] : NULL;
}

/* The child of a directory that has an address; NULL: the table is not as it should be. */
static __always_inline struct table_chunk *find_child(void *table, const struct table_chunk *dir, u32 pc)
{
	u32 lo = opaque_zero, key;

	for (int s = 7; s >= 0; s--) {
		u32 at = lo + (1u << s);

		if (dir->first[at & (TABLE_FANOUT - 1)] <= pc)
			lo = at;
	}
	key = TABLE_CHILD(dir->first[0]) + lo;
	return bpf_map_lookup_elem(table, &key);
}

/* Finds the row of an address in the current mapping. Returns a stop reason, or STOP_NONE with *out filled in. */
static __always_inline u32 find_row(const struct unwind *u, u64 address, struct found *out)
{
	u32 pc = address - u->start + u->row_base;
	u32 key = 0, table_key = u->table, lo = opaque_zero, levels;
	struct table_chunk *chunk;
	void *table;

	out->row.kind = UNWIND_NONE;
	if (table_key == NO_CFI)
		return STOP_NONE;
	table = bpf_map_lookup_elem(&tables, &table_key);
	if (!table)
		return STOP_NO_TABLE;
	chunk = bpf_map_lookup_elem(table, &key);
	if (!chunk)
		return STOP_BAD_TABLE;
	levels = TABLE_LEVELS(chunk->first[0]);
	if (levels > 2)
		chunk = find_child(table, chunk, pc);
	if (chunk && levels > 1)
		chunk = find_child(table, chunk, pc);
	if (!chunk)
		return STOP_BAD_TABLE;
	for (int s = 6; s >= 0; s--) {
		u32 at = lo + (1u << s);

		if (chunk->row[at & (ROWS_PER_CHUNK - 1)].pc <= pc)
			lo = at;
	}
	if (chunk->row[lo & (ROWS_PER_CHUNK - 1)].pc > pc)
		return STOP_NONE;
	out->row = chunk->row[lo & (ROWS_PER_CHUNK - 1)];
	if (out->row.kind != UNWIND_EXTENDED)
		return STOP_NONE;
	out->rule = find_rule(table, out->row.cfa);
	return out->rule ? STOP_NONE : STOP_BAD_TABLE;
}

/* A word of the stack. Most frames are small: what one read fetches has several frames' words. */
static __always_inline bool read_word(struct unwind *u, u64 address, u64 *word)
{
	u64 at = address - u->window_start;

	if (at > sizeof(u->window) - sizeof(*word) || at & 7) {
		if (bpf_probe_read_user(u->window, sizeof(u->window), (void *)address)) {
			/* its end lies beyond the stack's, or there is no memory at all */
			u->window_start = NO_WINDOW;
			return !bpf_probe_read_user(word, sizeof(*word), (void *)address);
		}
		u->window_start = address;
		at = 0;
	}
	*word = u->window[at / 8 & (STACK_WINDOW - 1)];
	return true;
}

/*
 * Makes the caller's frame the current one. The stack grows down, so a caller's lies above, but for a switch of
 * stacks. Returns a stop reason.
 */
static __always_inline u32 go_to_caller(struct unwind *u, u64 pc, u64 sp, u64 fp, bool may_switch)
{
	if (sp <= u->regs.reg[ARCH_SP] && (!may_switch || u->switches++ >= STACK_SWITCHES_MAX))
		return STOP_BAD_STACK;
	u->regs.pc = pc;
	u->regs.reg[ARCH_SP] = sp;
	u->regs.reg[ARCH_FP] = fp;
	u->interrupted = 0;
	u->all_regs = 0;
	u->scanned = 0;
	return pc ? STOP_NONE : STOP_ZERO;
}

/* RSP, RBP and PLT rows. */
static __always_inline u32 apply_row(struct unwind *u, const struct unwind_row *row)
{
	u64 cfa, pc, fp = u->regs.reg[ARCH_FP];

	if (row->kind == UNWIND_RBP)
		cfa = fp + 8 * (u64)row->cfa;
	else if (row->kind == UNWIND_RSP)
		cfa = u->regs.reg[ARCH_SP] + 8 * (u64)row->cfa;
	else
		cfa = u->regs.reg[ARCH_SP] + arch_plt_bytes(u->regs.pc, row->cfa);
	/* The lower address first: one read has both. */
	if (row->rbp && !read_word(u, cfa - 8 * (u64)row->rbp, &fp))
		return STOP_READ_FAILED;
	if (!read_word(u, cfa + ARCH_RETURN_ADDRESS, &pc))
		return STOP_READ_FAILED;
	return go_to_caller(u, pc, cfa, fp, row->kind == UNWIND_RBP);
}

/* A register's value in this frame. False: it may have changed since then. */
static __always_inline bool get_register(const struct unwind *u, u32 reg, u64 *value)
{
	*value = u->regs.reg[reg & (ARCH_REGS - 1)];
	return reg == ARCH_SP || reg == ARCH_FP || (reg < ARCH_REGS && u->all_regs);
}

/* A value of the caller's that is not unchanged. Returns a stop reason, or STOP_NONE with *value filled in. */
static __always_inline u32 get_value(struct unwind *u, const struct unwind_value *v, u64 cfa, u64 *value)
{
	u32 where = v->where;
	u64 base = cfa;

	if (where == UNWIND_UNCHANGED || where > UNWIND_IN_REGISTER)
		return STOP_UNSUPPORTED;
	if ((where == UNWIND_AT_REGISTER || where == UNWIND_IN_REGISTER) && !get_register(u, v->reg, &base))
		return STOP_NO_REGISTER;
	base += (s64)v->offset;
	if (where == UNWIND_IS_CFA || where == UNWIND_IN_REGISTER)
		*value = base;
	else if (!read_word(u, base, value))
		return STOP_READ_FAILED;
	return STOP_NONE;
}

static __always_inline bool is_behind_call(u64 pc)
{
	u64 code;

	return pc >> 12 && !bpf_probe_read_user(&code, sizeof(code), (void *)(pc - sizeof(code))) &&
	       arch_is_call(code);
}

static __always_inline u32 apply_rule(struct unwind *u, const struct unwind_rule *rule)
{
	u64 cfa = 0, pc = 0, index = 0, fp = u->regs.reg[ARCH_FP], sp = u->regs.reg[ARCH_SP];
	bool interrupted = rule->signal;
	u32 stop;

	bool sure = get_register(u, rule->cfa_register, &cfa);

	if (rule->cfa_scale) {
		sure &= get_register(u, rule->cfa_index, &index);
		cfa += index * rule->cfa_scale;
	}
	cfa += (s64)rule->cfa_offset;
	if (rule->cfa_dereference) {
		if (!read_word(u, cfa, &cfa))
			return STOP_READ_FAILED;
		cfa += (s64)rule->cfa_add;
	}
	if (rule->fp.where != UNWIND_UNCHANGED) {
		stop = get_value(u, &rule->fp, cfa, &fp);
		if (stop)
			return stop;
	}
	stop = get_value(u, &rule->ra, cfa, &pc);
	if (stop)
		return stop;
	/* Assembler counts on registers that its own assembler does not touch: if so, this is a caller's frame. */
	if (!sure && (cfa & 7 || cfa - sp > FRAME_BYTES_MAX || !is_behind_call(pc)))
		return STOP_NO_REGISTER;
	stop = go_to_caller(u, pc, cfa, fp, true);
	u->interrupted = interrupted;
	return stop;
}

/* The kernel pushed all registers before it called a handler; they come back when that returns. */
static __always_inline u32 apply_signal(struct unwind *u)
{
	u64 sp = u->regs.reg[ARCH_SP];

	u->window_start = NO_WINDOW;
	if (bpf_probe_read_user(u->window, 8 * ARCH_SIGCONTEXT_WORDS, (void *)(sp + ARCH_SIGCONTEXT)))
		return STOP_READ_FAILED;
	arch_signal_regs(u->window, &u->regs);
	u->scanned = 0;
	u->interrupted = 1;
	u->all_regs = 1;
	if (u->regs.reg[ARCH_SP] <= sp && u->switches++ >= STACK_SWITCHES_MAX)
		return STOP_BAD_STACK;
	return u->regs.pc ? STOP_NONE : STOP_ZERO;
}

/* The frame whose caller is looked for on the stack, to come back to. */
static __always_inline u32 start_scan(struct unwind *u)
{
	u->phase = LOOK_SCAN;
	u->scanned = 1;
	u->scan = 0;
	u->from_n = u->n;
	u->from = u->regs;
	return STOP_NONE;
}

/* What else it may be: a frame as frame pointers make it, or one that is not made yet. */
static __always_inline u32 apply_frame_pointer(struct unwind *u, u64 code)
{
	u64 sp = u->regs.reg[ARCH_SP], fp = u->regs.reg[ARCH_FP], offset, pc;

	if (u->interrupted && arch_no_frame_yet(code, &offset)) {
		if (read_word(u, sp + offset, &pc) && pc)
			return go_to_caller(u, pc, sp + offset + 8, fp, false);
	} else if (!(fp & 7) && fp - sp <= FRAME_BYTES_MAX) { /* not below sp either */
		sp = fp + 16;
		if (read_word(u, sp - 16, &fp) && read_word(u, sp - 8, &pc) && pc)
			return go_to_caller(u, pc, sp, fp, false);
	}
	if (u->interrupted && !u->scanned)
		return start_scan(u);
	return u->table == NO_CFI ? STOP_NO_FRAME : STOP_NO_ROW;
}

/*
 * Code without CFI. What a JIT compiler writes keeps frame pointers, as a rule. What is written in assembler does
 * not, but leaves the frame pointer to its caller, whom a step by it would skip: so where such a function was
 * interrupted, its return address is looked for on the stack first.
 */
static __always_inline u32 apply_no_row(struct unwind *u)
{
	u64 code = 0;

	bpf_probe_read_user(&code, sizeof(code), (void *)u->regs.pc);
	if (arch_is_sigreturn(code))
		return apply_signal(u);
	u->guessed += !u->scanned || !u->interrupted;
	if (u->interrupted && !u->scanned && u->table != NO_CFI)
		return start_scan(u);
	return apply_frame_pointer(u, code);
}

/* Looks at one word of the stack. Where it is no return address, the next one is looked at, or it is given up. */
static __always_inline void scan_word(struct unwind *u)
{
	u64 at = u->from.reg[ARCH_SP] + 8 * (u64)u->scan, pc, fp = u->from.reg[ARCH_FP], saved;

	if (u->scan++ >= SCAN_WORDS || !read_word(u, at, &pc)) {
		u->phase = LOOK_GIVE_UP;
		u->regs = u->from;
		u->interrupted = u->scanned = 1; /* a trial may have cleared them */
		return;
	}
	if (!is_behind_call(pc))
		return;
	/* It may have saved its caller's frame pointer and use the register: then that does not point up the stack. */
	if (fp - at > FRAME_BYTES_MAX && u->scan > ARCH_SAVED_FP &&
	    read_word(u, at - 8 * ARCH_SAVED_FP, &saved) && saved - at <= FRAME_BYTES_MAX)
		fp = saved;
	u->regs.pc = pc;
	u->regs.reg[ARCH_SP] = at + 8;
	u->regs.reg[ARCH_FP] = fp;
	u->interrupted = u->all_regs = 0;
	u->phase = LOOK_TRIAL;
}

/* A word that only looks like a return address has no caller in its turn. */
static __always_inline void judge_trial(struct unwind *u)
{
	u->phase = LOOK_FRAME;
	if (u->stop == STOP_END || u->stop == STOP_ZERO || u->stop == STOP_NO_TABLE)
		return;
	if (u->stop == STOP_NONE && is_behind_call(u->regs.pc))
		return;
	u->phase = LOOK_SCAN;
	u->stop = STOP_NONE;
	u->n = u->from_n;
}

static __always_inline u32 unwind_step(struct unwind *u, u64 address)
{
	struct found found = {};
	u32 stop = find_row(u, address, &found);

	if (stop)
		return stop;
	switch (found.row.kind) {
	case UNWIND_RSP:
	case UNWIND_RBP:
	case UNWIND_PLT:
		return apply_row(u, &found.row);
	case UNWIND_EXTENDED:
		return found.rule ? apply_rule(u, found.rule) : STOP_BAD_TABLE;
	case UNWIND_SIGNAL:
		return apply_signal(u);
	case UNWIND_END:
		return STOP_END;
	case UNWIND_NONE:
		return apply_no_row(u);
	}
	return STOP_UNSUPPORTED;
}

struct unwind_context {
	struct scratch *scratch;
};

/* The frame at u->regs: its entry in the stack, unless it has one, and the step to its caller. */
static __always_inline void unwind_one(struct scratch *s, struct unwind *u)
{
	u32 is_call = !u->interrupted, at = u->first + u->n;
	u64 address = u->regs.pc;

	if (u->phase == LOOK_GIVE_UP)
		at--;
	else
		u->n++;
	if (at >= MAX_FRAMES) {
		u->stop = STOP_DEPTH;
		return;
	}
	/* The reader of these steps back into the call, from all but the first: so it must from an interrupted one. */
	((u64 *)s->data)[at] = at > u->first && !is_call ? address + 1 : address;
	/* A return address points behind its call, perhaps already at the next function. */
	if (is_call)
		address--;
	if (address < u->start || address >= u->end) {
		u->stop = find_mapping(u, address);
		if (u->stop) {
			u->start = u->end = 0;
			return;
		}
	}
	u->stop = unwind_step(u, address);
	/* What a handler returns to was not called by anybody, it is entered at its start. */
	if (is_call && u->all_regs)
		((u64 *)s->data)[at] = address + 2;
}

static long unwind_iteration(u32 i, void *context)
{
	struct scratch *s = ((struct unwind_context *)context)->scratch;
	struct unwind *u = &s->unwind;
	u32 phase = u->phase;

	(void)i;
	if (phase == LOOK_SCAN) {
		scan_word(u);
		return 0;
	}
	if (u->n >= MAX_USER_FRAMES)
		return 1;
	unwind_one(s, u);
	if (phase == LOOK_TRIAL)
		judge_trial(u);
	else if (phase == LOOK_GIVE_UP)
		u->phase = LOOK_FRAME;
	return u->stop != STOP_NONE;
}

/*
 * Unwinds from s->unwind.regs, all of which are known, in the mappings `maps`; frames go to s->data from word
 * `first` on. Leaves s->unwind.n and .stop.
 */
static __always_inline void unwind_user(struct scratch *s, u32 maps, u32 first)
{
	struct unwind_context context = {.scratch = s};
	struct unwind *u = &s->unwind;

	u->maps = maps;
	u->first = first;
	u->n = 0;
	u->start = u->end = 0;
	u->window_start = NO_WINDOW;
	u->guessed = u->switches = 0;
	u->phase = LOOK_FRAME;
	u->scanned = 0;
	u->interrupted = u->all_regs = 1;
	u->stop = STOP_NONE;
	bpf_loop(MAX_USER_FRAMES + SCAN_STEPS, unwind_iteration, &context, 0);
	if (u->stop == STOP_NONE)
		u->stop = STOP_DEPTH;
}

#endif

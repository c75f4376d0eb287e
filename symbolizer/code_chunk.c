/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the frame is in code that nothing describes, from the code: written in assembler, or
 * generated without call frame information.
 *
 * One decoding of the bytes leaves events (instructions that move the stack or control) and labels
 * (addresses that control may reach other than by falling in: targets of jumps, and what stands
 * behind a jump or return). Then events are walked:
 *
 *	forward		from functions' starts, where CFA = rsp + 8; jumps carry the state to labels
 *	backward	from returns, where CFA = rsp + 8 as well: what a label needs to have
 *
 * until labels do not change; and once more to put rows. A label that two sides speak of differently
 * keeps what both say. Behind a call that perhaps does not return, the code behind is believed
 * more than what falls in. What stays unknown is a NONE row: a wrong row is worse.
 *
 * Hostile bytes: all of this is linear in a chunk, and chunks are bounded in bytes and in events.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "code_events.h"

/* Walks each way; more do not find more. */
#define ROUNDS 3

struct code_chunk *code_chunk_new(void)
{
	struct code_chunk *c = malloc(sizeof(*c));

	if (c)
		memset(c->noreturn, 0, sizeof(c->noreturn));
	return c;
}

void code_chunk_free(struct code_chunk *c)
{
	free(c);
}

/* --- labels --- */

/* Where a jump goes to; false: out of the chunk. */
static bool target_of(const struct code_chunk *c, const struct code_event *e, uint32_t *at)
{
	int64_t target = (int64_t)e->at + e->length + e->imm;

	if (target < 0 || target >= (int64_t)c->size)
		return false;
	*at = (uint32_t)target;
	return true;
}

static bool has_target(const struct code_event *e)
{
	return e->op == X86_CALL || e->op == X86_JUMP || e->op == X86_BRANCH;
}

static struct label *label_at(struct code_chunk *c, uint32_t at)
{
	uint64_t word = c->is_label[at / 64], mask = UINT64_C(1) << at % 64;

	if (!(word & mask))
		return NULL;
	return &c->labels[c->rank[at / 64] + (uint32_t)__builtin_popcountll(word & (mask - 1))];
}

static struct label *label_of(struct code_chunk *c, const struct code_event *e)
{
	uint32_t at;

	return target_of(c, e, &at) ? label_at(c, at) : NULL;
}

static bool is_packed(const struct code_chunk *c)
{
	uint32_t aligned = 0, others = 0;

	for (uint32_t i = 0; i < c->n_labels; i++) {
		const struct label *l = &c->labels[i];

		if ((l->flags & (CALLED | BREAK)) != (CALLED | BREAK))
			continue;
		if ((c->vaddr + l->at) % CODE_ALIGN == 0)
			aligned++;
		else
			others++;
	}
	return others > aligned;
}

static void place_labels(struct code_chunk *c)
{
	uint32_t words = (uint32_t)((c->size + 63) / 64), at;

	memset(c->is_label, 0, words * sizeof(c->is_label[0]));
	for (uint32_t i = 0; i < c->n_events; i++) {
		const struct code_event *e = &c->events[i];

		if (e->flags && e->at < c->size)
			c->is_label[e->at / 64] |= UINT64_C(1) << e->at % 64;
		else if (has_target(e) && target_of(c, e, &at))
			c->is_label[at / 64] |= UINT64_C(1) << at % 64;
	}
	c->n_labels = 0;
	for (uint32_t w = 0; w < words; w++) {
		c->rank[w] = c->n_labels;
		for (uint64_t rest = c->is_label[w]; rest; rest &= rest - 1) {
			struct label *l = &c->labels[c->n_labels++];

			l->at = w * 64 + (uint32_t)__builtin_ctzll(rest);
			l->flags = 0;
			l->state.known = l->need.known = false;
		}
	}
	for (uint32_t i = 0; i < c->n_events; i++) {
		const struct code_event *e = &c->events[i];
		struct label *l = NULL;

		if (e->flags && e->at < c->size)
			label_at(c, e->at)->flags |= e->flags;
		else if (has_target(e))
			l = label_of(c, e);
		if (l)
			l->flags |= e->op == X86_CALL ? CALLED : JUMPED;
	}
	c->packed = is_packed(c);
}

/* --- backward --- */

/* Whether what falls in is what the code takes for granted. */
static bool fits(const struct stack_state *s, const struct stack_state *need)
{
	if (!s->known || !need->known)
		return false;
	if (s->sp != STACK_UNKNOWN && need->sp != STACK_UNKNOWN)
		return s->sp == need->sp;
	return s->fp != STACK_UNKNOWN && s->fp == need->fp;
}

static bool agrees(const struct stack_state *a, const struct stack_state *b)
{
	return a->sp == STACK_UNKNOWN || b->sp == STACK_UNKNOWN || a->sp == b->sp;
}

static void need_at_label(struct label *l, struct stack_state *need)
{
	if (need->known)
		l->need = *need;
	if (l->flags & (BREAK | DOUBTFUL | CALLED))
		need->known = false;
	else if (l->state.known)
		*need = l->state;
}

static void need_of_target(struct code_chunk *c, const struct code_event *e,
			   struct stack_state *need)
{
	struct label *l = label_of(c, e);
	bool falls_on = e->op == X86_BRANCH && need->known;

	if (l && l->state.known && (!falls_on || (!l->state.weak && fits(&l->state, need))))
		*need = l->state;
	else if (l && l->need.known && !falls_on)
		*need = l->need;
	else if (!falls_on)
		need->known = false;
}

static void walk_backward(struct code_chunk *c)
{
	struct stack_state need = {.known = false};
	uint32_t l = c->n_labels;

	for (uint32_t i = c->n_events; i-- > 0;) {
		const struct code_event *e = &c->events[i];

		while (l && c->labels[l - 1].at >= e->at + e->length)
			need_at_label(&c->labels[--l], &need);
		if (e->op == X86_RET)
			need = stack_at_entry();
		else if (e->op == X86_JUMP || e->op == X86_BRANCH)
			need_of_target(c, e, &need);
		else if (e->op == X86_JUMP_AWAY || e->op == X86_TRAP)
			need.known = false;
		else if (need.known)
			stack_undo(&need, e);
	}
	while (l)
		need_at_label(&c->labels[--l], &need);
}

/* --- forward --- */

static void jump_to(struct code_chunk *c, struct label *l, const struct stack_state *s)
{
	if (!l || !s->known)
		return;
	if (!l->state.known) {
		l->state = *s;
		c->changed = true;
	} else if (!(l->flags & CALLED)) {
		c->changed |= stack_intersect(&l->state, s);
	}
}

/* What is inferred: without what only this path may have. */
static struct stack_state weakened(const struct stack_state *from)
{
	struct stack_state s = *from;

	s.end = false;
	s.weak = true;
	s.alias = X86_ENC_NONE;
	s.slot = STACK_UNKNOWN;
	return s;
}

/* The state at a label into which nothing is known to come, or nothing that can be trusted. */
static struct stack_state guess(struct code_chunk *c, const struct label *l, bool last_resort)
{
	const struct stack_state unknown = {.known = false};
	bool aligned = (c->vaddr + l->at) % CODE_ALIGN == 0;

	if (l->need.known && l->need.sp == 8 && l->need.fp == STACK_UNKNOWN)
		return stack_at_entry();
	if (l->need.known && c->away.known && fits(&c->away, &l->need))
		return weakened(&c->away);
	if (l->need.known && c->away.known && !(l->flags & JUMPED))
		return unknown;
	if (l->need.known)
		return weakened(&l->need);
	if (l->flags & GARBAGE || !last_resort)
		return unknown;
	if (aligned && l->flags & PROLOGUE && (!(l->flags & JUMPED) || l->flags & (AFTER_RET | AFTER_TRAP)))
		return stack_at_entry();
	if (l->flags & JUMPED)
		return unknown;
	/* Targets of an indirect jump that no label tells of: the cases of a switch. */
	if (c->away.known && c->away.sp != 8)
		return l->flags & AFTER_AWAY ? weakened(&c->away) : unknown;
	if (l->flags & (aligned ? AFTER_RET | AFTER_TRAP : c->packed ? AFTER_RET : 0))
		return stack_at_entry();
	return unknown;
}

/* What holds from a label on, where *s is what falls in. */
static void enter_label(struct code_chunk *c, struct label *l, struct stack_state *s,
			bool last_resort)
{
	if (l->flags & DATA) {
		s->known = false;
		return;
	}
	if (l->flags & CALLED || (c->entry && c->vaddr + l->at == c->entry)) {
		*s = stack_at_entry();
	} else if (l->flags & BREAK) {
		*s = l->state;
		if (!s->known || s->weak)
			*s = guess(c, l, last_resort);
		if (!s->known)
			*s = l->state;
	} else if (l->flags & DOUBTFUL && l->state.known) {
		*s = l->state;
	} else if (l->flags & DOUBTFUL) {
		if (!fits(s, &l->need))
			*s = guess(c, l, last_resort);
	} else if (l->state.known) {
		jump_to(c, l, s);
		*s = l->state;
	}
	if (s->known && (!l->state.known || l->state.weak)) {
		c->changed |= !l->state.known || l->state.sp != s->sp || l->state.fp != s->fp;
		l->state = *s;
	}
	if (l->flags & (BREAK | DOUBTFUL) && s->known && s->sp == 8 && l->flags & PROLOGUE)
		c->away.known = false; /* another function */
}

/* The row from `at` on: instead of one that was put there, if so. Behind the chunk it has no say. */
static void put(struct code_chunk *c, uint32_t at, const struct stack_state *s,
		struct row_sink *out)
{
	if (at >= c->size)
		return;
	if (out->n && out->rows[out->n - 1].pc == c->vaddr + at - out->base)
		out->n--;
	row_sink_put(out, c->vaddr + at, stack_row(s, out->rules));
}

/* The labels of [from, to]. What jumps into the middle of an instruction, before `from`, is no code. */
static void enter_labels(struct code_chunk *c, uint32_t *l, uint32_t from, uint32_t to,
			 struct stack_state *s, bool last_resort, struct row_sink *out)
{
	for (; *l < c->n_labels && c->labels[*l].at <= to; ++*l) {
		struct label *label = &c->labels[*l];

		if (label->at < from)
			continue;
		enter_label(c, label, s, last_resort);
		if (!out)
			continue;
		/* What is behind takes another height for granted: one of both is wrong. */
		if (s->known && label->need.known && !agrees(s, &label->need))
			s->sp = STACK_UNKNOWN;
		put(c, label->at, s, out);
	}
}

/*
 * xor %ebp,%ebp is what the ABI has a thread's first function do. As a number, rbp is zeroed by
 * others, but not before they saved it; so it is the first instruction of those, or the first
 * after a system call returned in a new thread.
 */
static bool is_outermost(struct code_chunk *c, uint32_t i, const struct stack_state *s)
{
	const struct code_event *e = &c->events[i];

	if (s->rbp || s->sp != 8)
		return false;
	if (i && c->events[i - 1].op == X86_BRANCH)
		return i > 1 && c->events[i - 2].op == X86_SYSCALL;
	return i && c->events[i - 1].flags && e->at - c->events[i - 1].at <= 4;
}

/* With `out`: puts rows. Rows for all events and labels fit. */
static void walk_forward(struct code_chunk *c, bool last_resort, struct row_sink *out)
{
	struct stack_state s = {.known = false};
	uint32_t l = 0, from = 0;

	c->away.known = false;
	for (uint32_t i = 0; i < c->n_events; i++) {
		const struct code_event *e = &c->events[i];

		enter_labels(c, &l, from, e->at, &s, last_resort, out);
		if (e->flags)
			continue;
		from = e->at + e->length;
		if (e->op == X86_JUMP || e->op == X86_BRANCH)
			jump_to(c, label_of(c, e), &s);
		if (e->op == X86_JUMP_AWAY)
			c->away = s;
		if (code_events_end_flow(e->op)) {
			s.known = false;
			continue;
		}
		if (!s.known)
			continue;
		if (e->op == X86_ZERO_RBP && is_outermost(c, i, &s))
			s.end = true;
		/* Assembler code knows which registers its own functions leave alone. */
		if (e->op != X86_CALL || !label_of(c, e))
			stack_apply(&s, e);
		if (out)
			put(c, e->at + e->length, &s, out);
	}
	enter_labels(c, &l, from, (uint32_t)c->size, &s, last_resort, out);
}

int64_t code_chunk_rows(struct code_chunk *c, const uint8_t *code, size_t size, uint64_t vaddr,
			uint64_t entry, struct row_sink *out)
{
	c->code = code;
	c->size = size;
	c->vaddr = vaddr;
	c->entry = entry;
	code_events_decode(c);
	place_labels(c);
	for (int round = 0; round < ROUNDS; round++) {
		c->changed = false;
		walk_backward(c);
		walk_forward(c, round > 0, NULL);
		if (!c->changed && round > 0)
			break;
	}
	if (row_sink_reserve(out, (size_t)c->n_events + c->n_labels + 1) != 0)
		return -ENOMEM;
	assert(out->rows);
	row_sink_put(out, vaddr, (struct unwind_row){.kind = UNWIND_NONE});
	walk_forward(c, true, out);
	return (int64_t)c->size;
}

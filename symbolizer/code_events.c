/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding a chunk of code, once: instructions that move the stack or control become events, and
 * places where control does not fall in become events with flags.
 *
 *	push  sub  mov  mov  call  nop nop | push ...  ret  nop | ...
 *	 *     *              *              *          *
 *	                       break, doubtful ^             ^ break
 *
 * Bytes that are no instruction make all since the last break data; the next attempt is at the next
 * aligned address.
 */
#include "code_events.h"

struct decoder {
	uint32_t at;
	uint32_t alias_regs; /* registers that may hold a copy of rsp */
	uint8_t before;	     /* the last instruction's op, padding aside */
	uint64_t called;     /* by the last call */
	bool padded, garbage;
	uint32_t fragment;	  /* the event behind the last break */
	uint32_t reaches;	  /* the furthest target of a jump */
	uint32_t cut, cut_events; /* the last place where a chunk may end: no jump goes across it */
};

bool code_events_end_flow(uint8_t op)
{
	return op == X86_JUMP || op == X86_JUMP_AWAY || op == X86_RET || op == X86_TRAP;
}

static struct code_event *add_event(struct code_chunk *c, uint32_t at)
{
	struct code_event *e = &c->events[c->n_events++];

	*e = (struct code_event){.at = at, .op = X86_OTHER, .reg = X86_ENC_NONE};
	return e;
}

static bool starts_as_function(const struct x86_insn *i)
{
	return i->op == X86_ENDBR || (i->op == X86_FROM_SP && i->imm == 0) ||
	       (i->op == X86_PUSH && i->reg != X86_ENC_NONE) ||
	       (i->op == X86_ADD_SP && i->imm < 0);
}

static uint64_t *noreturn_slot(struct code_chunk *c, uint64_t function)
{
	return &c->noreturn[(function >> 4 ^ function >> 12) % NORETURN_SLOTS];
}

/* Control does not, or may not, fall into the instruction at d->at. */
static void note_break(struct code_chunk *c, struct decoder *d, const struct x86_insn *i)
{
	bool ended = d->garbage || code_events_end_flow(d->before);
	struct code_event *e;

	/* Behind a call that returns there is no landing pad and no function. */
	if (!ended && !(d->before == X86_CALL && (d->padded || i->op == X86_ENDBR)))
		return;
	/* What is behind this call is entered from elsewhere: so it will be behind others of it. */
	if (!ended && (i->op == X86_ENDBR || (i->op == X86_PUSH && (c->vaddr + d->at) % CODE_ALIGN == 0)))
		*noreturn_slot(c, d->called) = d->called;
	if (ended && !d->garbage && d->padded && d->reaches < d->at && d->at > 0) {
		d->cut = d->at;
		d->cut_events = c->n_events;
	}
	e = add_event(c, d->at);
	e->flags = ended ? BREAK : DOUBTFUL;
	e->flags |= d->padded ? PADDED : 0;
	e->flags |= starts_as_function(i) ? PROLOGUE : 0;
	e->flags |= d->before == X86_JUMP_AWAY && !d->garbage ? AFTER_AWAY : 0;
	e->flags |= d->garbage ? GARBAGE : 0;
	e->flags |= d->before == X86_RET ? AFTER_RET : d->before == X86_TRAP ? AFTER_TRAP : 0;
	if (ended) {
		d->alias_regs = 0;
		d->fragment = c->n_events;
	}
}

static bool matters(const struct decoder *d, const struct x86_insn *i)
{
	const unsigned int stack_regs = 1u << X86_ENC_RSP | 1u << X86_ENC_RBP;

	if (i->op == X86_STORE)
		return i->reg == X86_ENC_RBP || d->alias_regs & 1u << i->reg;
	if (i->op == X86_LOAD)
		return (stack_regs | d->alias_regs) & 1u << i->reg;
	if (i->op == X86_OTHER)
		return i->writes & (stack_regs | d->alias_regs);
	return i->op != X86_PADDING && i->op != X86_ENDBR;
}

static void note(struct code_chunk *c, struct decoder *d, const struct x86_insn *i)
{
	struct code_event *e;

	if (i->op == X86_FROM_SP)
		d->alias_regs |= 1u << i->reg;
	if (!matters(d, i))
		return;
	e = add_event(c, d->at);
	e->length = i->length;
	e->op = i->op;
	e->reg = i->reg;
	e->imm = i->imm;
	e->writes = i->writes;
	if ((i->op == X86_JUMP || i->op == X86_BRANCH) && i->imm > 0 &&
	    i->imm < (int32_t)CHUNK_BYTES && d->at + i->length + (uint32_t)i->imm > d->reaches)
		d->reaches = d->at + i->length + (uint32_t)i->imm;
	if (i->op == X86_CALL && i->imm == 0) /* call next; pop: where am I? */
		e->op = X86_PUSH;
}

/* No code since the last break: nothing of it is believed. Functions start at aligned addresses. */
static void resynchronise(struct code_chunk *c, struct decoder *d)
{
	if (d->fragment) {
		c->n_events = d->fragment;
		c->events[c->n_events - 1].flags |= DATA;
	}
	d->at += CODE_ALIGN - (uint32_t)((c->vaddr + d->at) % CODE_ALIGN);
	d->garbage = true;
	d->padded = false;
}

/* Fills events, up to the chunk's end, which it sets. */
void code_events_decode(struct code_chunk *c)
{
	struct decoder d = {.before = X86_RET};
	uint32_t end = c->size < CHUNK_BYTES ? (uint32_t)c->size : CHUNK_BYTES;

	c->n_events = 0;
	while (d.at < end && c->n_events < EVENTS_MAX - 2) {
		struct x86_insn i;

		if (!x86_decode(c->code + d.at, c->size - d.at, &i)) {
			resynchronise(c, &d);
			continue;
		}
		if (i.op == X86_PADDING || (i.op == X86_TRAP && code_events_end_flow(d.before))) {
			d.padded = true;
			d.at += i.length;
			continue;
		}
		note_break(c, &d, &i);
		note(c, &d, &i);
		d.garbage = d.padded = false;
		d.at += i.length;
		d.before = i.op;
		if (i.op == X86_CALL) {
			d.called = c->vaddr + d.at + (uint64_t)(int64_t)i.imm;
			if (*noreturn_slot(c, d.called) == d.called)
				d.before = X86_TRAP;
		}
	}
	if (d.at >= c->size) {
		c->size = d.at > c->size ? c->size : d.at;
	} else if (d.cut) {
		c->size = d.cut;
		c->n_events = d.cut_events;
	} else {
		c->size = d.at;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a row of eight bytes cannot say: from a state of the CFI interpreter to an unwind_rule.
 *
 * DWARF's expressions are programs for a stack machine (DWARF 5, section 2.5). Those that compilers
 * and people write come down to few forms, which are found by running them on symbols:
 *
 *	DW_OP_breg6 -8; deref			CFA = *(rbp - 8): a stack that was realigned
 *	DW_OP_breg7 40; deref; plus_uconst 8	CFA = *(rsp + 40) + 8: assembler that did the same
 *	DW_OP_breg6 0				rbp is saved where rbp points to
 *
 *	breg7 8; breg9 0; lit8; mul; plus; deref	CFA = *(rsp + 8 + 8 * r9): assembler, by an array's length
 *
 * A value on the stack is a number, or base + offset, or *(base + inner) + offset, where the base is
 * a register or the CFA; an index may be added to it. What leads out of these forms (an address that
 * is loaded twice) no rule can say.
 *
 * The caller's stack pointer is the CFA, unless a rule for it says otherwise (longjmp, a frame that
 * a signal made). Then what it says becomes the rule's CFA, and what was relative to the old CFA is
 * told relative to the register that the old CFA is computed from.
 */
#include <stdlib.h>
#include <string.h>
#include "cfi_x86_64.h"

#define EXPRESSION_DEPTH 8

enum cfi_operation {
	OP_DEREF = 0x06,
	OP_CONST1U = 0x08,
	OP_CONST1S = 0x09,
	OP_CONST2U = 0x0a,
	OP_CONST2S = 0x0b,
	OP_CONST4U = 0x0c,
	OP_CONST4S = 0x0d,
	OP_CONST8U = 0x0e,
	OP_CONST8S = 0x0f,
	OP_CONSTU = 0x10,
	OP_CONSTS = 0x11,
	OP_MINUS = 0x1c,
	OP_MUL = 0x1e,
	OP_PLUS = 0x22,
	OP_PLUS_UCONST = 0x23,
	OP_SHL = 0x24,
	OP_LIT0 = 0x30,
	OP_LIT31 = 0x4f,
	OP_BREG0 = 0x70,
	OP_BREG31 = 0x8f,
	OP_BREGX = 0x92,
	OP_NOP = 0x96,
};

enum base { BASE_NONE, BASE_REGISTER, BASE_CFA };

/*
 * base + index * scale + offset; or, where dereferenced, *(base + index * scale + inner) + offset. All numbers wrap,
 * as DWARF's.
 */
struct symbol {
	enum base base;
	uint32_t reg, index;
	uint8_t scale; /* 0: there is no index */
	bool dereferenced;
	uint64_t inner, offset;
};

struct machine {
	struct symbol stack[EXPRESSION_DEPTH];
	unsigned int depth;
	bool bad;
};

static void push(struct machine *m, struct symbol s)
{
	if (m->depth == EXPRESSION_DEPTH)
		m->bad = true;
	else
		m->stack[m->depth++] = s;
}

static void push_number(struct machine *m, uint64_t n)
{
	push(m, (struct symbol){.offset = n});
}

static void push_register(struct machine *m, uint64_t reg, int64_t offset)
{
	if (reg >= CFI_ARCH_REGISTERS)
		m->bad = true;
	else
		push(m, (struct symbol){
				.base = BASE_REGISTER,
				.reg = (uint32_t)reg,
				.offset = (uint64_t)offset,
			});
}

static struct symbol pop(struct machine *m)
{
	if (m->depth == 0) {
		m->bad = true;
		return (struct symbol){0};
	}
	return m->stack[--m->depth];
}

static void add(struct machine *m, bool negative)
{
	struct symbol b = pop(m), a = pop(m);

	if (b.base != BASE_NONE && a.base == BASE_NONE && !negative) {
		struct symbol s = a;

		a = b;
		b = s;
	}
	if (b.base != BASE_NONE || (b.scale && (negative || a.scale || a.dereferenced))) {
		m->bad = true;
		return;
	}
	a.offset += negative ? -b.offset : b.offset;
	if (b.scale) {
		a.scale = b.scale;
		a.index = b.index;
	}
	push(m, a);
}

/* A register times a small number: an index. */
static void multiply(struct machine *m, bool shift)
{
	struct symbol b = pop(m), a = pop(m);
	uint64_t scale = b.offset;

	if (shift)
		scale = scale < 8 ? UINT64_C(1) << scale : 0;
	if (a.base != BASE_REGISTER || a.dereferenced || a.scale || b.base != BASE_NONE || b.scale || !scale ||
	    scale > UINT8_MAX) {
		m->bad = true;
		return;
	}
	push(m, (struct symbol){.index = a.reg, .scale = (uint8_t)scale, .offset = a.offset * scale});
}

static void dereference(struct machine *m)
{
	struct symbol s = pop(m);

	if (s.dereferenced || s.base == BASE_NONE) {
		m->bad = true;
		return;
	}
	s.dereferenced = true;
	s.inner = s.offset;
	s.offset = 0;
	push(m, s);
}

static uint64_t constant(struct cursor *c, uint8_t op)
{
	switch (op) {
	case OP_CONST1U:
		return cursor_u8(c);
	case OP_CONST1S:
		return (uint64_t)(int64_t)(int8_t)cursor_u8(c);
	case OP_CONST2U:
		return cursor_u16(c);
	case OP_CONST2S:
		return (uint64_t)(int64_t)(int16_t)cursor_u16(c);
	case OP_CONST4U:
		return cursor_u32(c);
	case OP_CONST4S:
		return (uint64_t)(int64_t)(int32_t)cursor_u32(c);
	case OP_CONST8U:
	case OP_CONST8S:
		return cursor_u64(c);
	case OP_CONSTU:
		return cursor_uleb(c);
	default:
		return (uint64_t)cursor_sleb(c);
	}
}

static void step(struct machine *m, struct cursor *c)
{
	uint8_t op = cursor_u8(c);
	uint64_t reg;

	switch (op) {
	case OP_LIT0 ... OP_LIT31:
		push_number(m, op - OP_LIT0);
		break;
	case OP_CONST1U ... OP_CONSTS:
		push_number(m, constant(c, op));
		break;
	case OP_BREG0 ... OP_BREG31:
		push_register(m, op - OP_BREG0, cursor_sleb(c));
		break;
	case OP_BREGX:
		reg = cursor_uleb(c);
		push_register(m, reg, cursor_sleb(c));
		break;
	case OP_PLUS_UCONST:
		push_number(m, cursor_uleb(c));
		add(m, false);
		break;
	case OP_PLUS:
	case OP_MINUS:
		add(m, op == OP_MINUS);
		break;
	case OP_MUL:
	case OP_SHL:
		multiply(m, op == OP_SHL);
		break;
	case OP_DEREF:
		dereference(m);
		break;
	case OP_NOP:
		break;
	default:
		m->bad = true;
	}
}

/* Runs an expression. False where its result is not of our forms. */
static bool evaluate(struct cursor c, bool starts_with_cfa, struct symbol *out)
{
	struct machine m;

	m.depth = 0;
	m.bad = false;
	if (starts_with_cfa)
		push(&m, (struct symbol){.base = BASE_CFA});
	while (c.p < c.end && !m.bad)
		step(&m, &c);
	if (m.bad || c.bad || m.depth == 0)
		return false;
	*out = m.stack[m.depth - 1];
	return out->base != BASE_NONE;
}

struct cfi_rule cfi_expression_rule(struct cursor expression, bool is_value)
{
	struct cfi_rule rule = {.how = CFI_COMPLEX};
	struct symbol s;

	if (!evaluate(expression, true, &s) || s.scale)
		return rule;
	if (s.dereferenced && (!is_value || s.offset != 0))
		return rule;
	if (s.dereferenced) { /* a value that is loaded is a value that is saved there */
		s.offset = s.inner;
		is_value = false;
	}
	rule.offset = (int64_t)s.offset;
	rule.reg = s.reg;
	if (s.base == BASE_CFA)
		rule.how = is_value ? CFI_IS_CFA : CFI_AT_CFA;
	else
		rule.how = is_value ? CFI_IN_REGISTER : CFI_AT_REGISTER;
	return rule;
}

/* The CFA, as a symbol. False where it is not one. */
static bool cfa_symbol(const struct cfi_state *s, struct symbol *out)
{
	struct cursor c = {0};

	*out = (struct symbol){0};
	switch (s->cfa_how) {
	case CFI_CFA_REGISTER:
		out->base = BASE_REGISTER;
		out->reg = (uint32_t)s->cfa_register;
		out->offset = (uint64_t)s->cfa_offset;
		return s->cfa_register < CFI_ARCH_REGISTERS;
	case CFI_CFA_EXPRESSION:
		c.p = s->expression;
		c.end = s->expression + s->expression_bytes;
		return evaluate(c, false, out);
	default:
		return false;
	}
}

static bool same_symbol(const struct symbol *a, const struct symbol *b)
{
	return a->base == b->base && a->reg == b->reg && a->dereferenced == b->dereferenced &&
	       a->inner == b->inner && a->offset == b->offset && a->scale == b->scale && a->index == b->index;
}

/* What the rule for the stack pointer says, as a symbol. */
static bool sp_symbol(const struct cfi_rule *sp, const struct symbol *cfa, struct symbol *out)
{
	*out = *cfa;
	switch (sp->how) {
	case CFI_UNSPECIFIED:
		return true;
	case CFI_IS_CFA:
		out->offset += (uint64_t)sp->offset;
		return true;
	case CFI_AT_CFA:
		out->inner = cfa->offset + (uint64_t)sp->offset;
		out->offset = 0;
		out->dereferenced = true;
		return !cfa->dereferenced;
	case CFI_AT_REGISTER:
		*out = (struct symbol){.base = BASE_REGISTER,
				       .reg = sp->reg,
				       .dereferenced = true,
				       .inner = (uint64_t)sp->offset};
		return true;
	case CFI_IN_REGISTER:
		*out = (struct symbol){.base = BASE_REGISTER,
				       .reg = sp->reg,
				       .offset = (uint64_t)sp->offset};
		return true;
	default:
		return false;
	}
}

static bool fits(uint64_t offset, int32_t *out)
{
	*out = (int32_t)offset;
	return (uint64_t)(int64_t)*out == offset;
}

/*
 * A register's rule. Where the CFA is not what the rule's CFA will be (the stack pointer's), what
 * is relative to it is told by the register that it is computed from.
 */
static bool value_of(const struct cfi_rule *r, const struct symbol *cfa, const struct symbol *sp,
		     struct unwind_value *out)
{
	bool of_cfa = r->how == CFI_AT_CFA || r->how == CFI_IS_CFA;
	uint64_t offset = (uint64_t)r->offset;

	memset(out, 0, sizeof(*out));
	switch (r->how) {
	case CFI_UNSPECIFIED:
	case CFI_SAME:
		return true;
	case CFI_AT_CFA:
		out->where = UNWIND_AT_CFA;
		break;
	case CFI_IS_CFA:
		out->where = UNWIND_IS_CFA;
		break;
	case CFI_AT_REGISTER:
		out->where = UNWIND_AT_REGISTER;
		break;
	case CFI_IN_REGISTER:
		out->where = UNWIND_IN_REGISTER;
		break;
	default:
		return false;
	}
	if (of_cfa && !same_symbol(cfa, sp)) {
		if (cfa->dereferenced || cfa->scale)
			return false;
		out->where = r->how == CFI_AT_CFA ? UNWIND_AT_REGISTER : UNWIND_IN_REGISTER;
		out->reg = (uint8_t)cfa->reg;
		offset += cfa->offset;
	} else if (!of_cfa) {
		out->reg = (uint8_t)r->reg;
	}
	return fits(offset, &out->offset);
}

bool cfi_extended_rule(const struct cfi_state *s, bool signal, struct unwind_rule *rule)
{
	struct symbol cfa, sp;

	memset(rule, 0, sizeof(*rule));
	if (!cfa_symbol(s, &cfa) || !sp_symbol(&s->rule[CFI_SP], &cfa, &sp))
		return false;
	if (!value_of(&s->rule[CFI_RA], &cfa, &sp, &rule->ra) ||
	    !value_of(&s->rule[CFI_FP], &cfa, &sp, &rule->fp))
		return false;
	rule->cfa_register = (uint8_t)sp.reg;
	rule->cfa_dereference = sp.dereferenced;
	rule->cfa_scale = sp.scale;
	rule->cfa_index = (uint8_t)sp.index;
	rule->signal = signal;
	if (!fits(sp.dereferenced ? sp.inner : sp.offset, &rule->cfa_offset) ||
	    !fits(sp.dereferenced ? sp.offset : 0, &rule->cfa_add))
		return false;
	return cfi_arch_rule_ok(rule);
}

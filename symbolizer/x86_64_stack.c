/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfer functions of the stack-height analysis: x86_64_stack.h.
 */
#include <string.h>
#include "x86_64_stack.h"

/* What a row can say: 65535 words, and 255 for rbp. */
#define CFA_MAX (8 * 65535)
#define RBP_MAX (8 * 255)
#define RETURN_ADDRESS_BYTES 8 /* CFA - 8 is where it is */
/* push %rbp; mov %rsp,%rbp: CFA = rbp + 16 */
#define FRAME_POINTER_CFA 16
/* Callee-saved: rbx, rbp, r12 to r15. */
#define SAVED_BY_CALLEE 0xf028
/* DWARF's numbers of the registers (System V ABI, figure 3.36). */
static const uint8_t dwarf_number[16] = {0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15};

struct stack_state stack_at_entry(void)
{
	return (struct stack_state){
		.known = true,
		.alias = X86_ENC_NONE,
		.sp = 8,
		.fp = STACK_UNKNOWN,
		.slot = STACK_UNKNOWN,
	};
}

/* An offset that moved; unknown where it becomes nonsense. */
static int32_t moved(int32_t offset, int64_t by)
{
	int64_t sum = offset + by;

	if (offset == STACK_UNKNOWN || sum < 0 || sum > CFA_MAX)
		return STACK_UNKNOWN;
	return (int32_t)sum;
}

/*
 * The same of rsp. Code that pops its own return address (V8's builtins, to put arguments below it) is not spoken of
 * from there on: nothing would tell whether what it pushes is that address again.
 */
static int32_t moved_sp(int32_t offset, int64_t by)
{
	int32_t sp = moved(offset, by);

	return sp >= RETURN_ADDRESS_BYTES ? sp : STACK_UNKNOWN;
}

static void add_sp(struct stack_state *s, int64_t by)
{
	s->sp = moved_sp(s->sp, -by);
	s->slot = moved(s->slot, -by);
}

static void lose_writes(struct stack_state *s, uint16_t writes)
{
	if (writes & 1u << X86_ENC_RSP)
		s->sp = s->slot = STACK_UNKNOWN;
	if (writes & 1u << X86_ENC_RBP)
		s->fp = STACK_UNKNOWN;
	if (s->alias != X86_ENC_NONE && writes & 1u << s->alias)
		s->alias = X86_ENC_NONE;
}

static void save_rbp(struct stack_state *s, int32_t below_cfa)
{
	if (s->rbp == 0 && s->fp == STACK_UNKNOWN && below_cfa > 8 && below_cfa <= RBP_MAX &&
	    below_cfa % 8 == 0)
		s->rbp = (uint8_t)(below_cfa / 8);
}

static void restore_rbp(struct stack_state *s, int32_t below_cfa)
{
	if (8 * (int32_t)s->rbp == below_cfa)
		s->rbp = 0;
	s->fp = STACK_UNKNOWN;
}

static void lose_copies(struct stack_state *s)
{
	s->alias = X86_ENC_NONE;
	s->slot = STACK_UNKNOWN;
}

static void apply_push(struct stack_state *s, uint8_t reg)
{
	add_sp(s, -8);
	if (reg == X86_ENC_RBP && s->sp != STACK_UNKNOWN)
		save_rbp(s, s->sp);
	else if (reg == X86_ENC_RBP) /* no rule tells where it was, if it is written later */
		lose_copies(s);
	else if (reg != X86_ENC_NONE && reg == s->alias && s->sp == STACK_UNKNOWN &&
		 s->slot == STACK_UNKNOWN) {
		s->slot = 0;
		s->slot_offset = s->alias_offset;
	}
}

static void apply_pop(struct stack_state *s, uint8_t reg)
{
	if (reg == X86_ENC_RSP) {
		lose_writes(s, 1u << X86_ENC_RSP);
		return;
	}
	if (reg == X86_ENC_RBP)
		restore_rbp(s, s->sp);
	else if (reg < 16)
		lose_writes(s, (uint16_t)(1u << reg));
	add_sp(s, 8);
}

/* reg = rsp + imm */
static void apply_from_sp(struct stack_state *s, uint8_t reg, int32_t imm)
{
	if (reg == X86_ENC_RBP) {
		s->fp = s->sp == STACK_UNKNOWN ? STACK_UNKNOWN : moved(s->sp, -(int64_t)imm);
	} else if (s->sp != STACK_UNKNOWN && imm >= -CFA_MAX && imm <= CFA_MAX) {
		s->alias = reg;
		s->alias_offset = s->sp - imm;
	} else if (reg == s->alias) {
		s->alias = X86_ENC_NONE;
	}
}

/* rsp = reg + imm */
static void apply_to_sp(struct stack_state *s, uint8_t reg, int32_t imm)
{
	int32_t sp = STACK_UNKNOWN;

	if (reg == X86_ENC_RBP && s->fp != STACK_UNKNOWN)
		sp = moved(s->fp, -(int64_t)imm);
	else if (reg != X86_ENC_NONE && reg == s->alias)
		sp = moved(s->alias_offset, -(int64_t)imm);
	s->sp = sp;
	s->slot = STACK_UNKNOWN;
}

static void apply_memory(struct stack_state *s, const struct code_event *e)
{
	int32_t below_cfa = s->sp == STACK_UNKNOWN ? 0 : moved(s->sp, -(int64_t)e->imm);

	if (e->op == X86_STORE) {
		if (e->reg == X86_ENC_RBP && below_cfa > 0)
			save_rbp(s, below_cfa);
		else if (e->reg == s->alias && e->imm >= 0) {
			s->slot = moved(e->imm, 0);
			s->slot_offset = s->alias_offset;
		}
		return;
	}
	if (e->reg == X86_ENC_RBP)
		restore_rbp(s, below_cfa);
	else
		lose_writes(s, (uint16_t)(1u << e->reg));
}

static void apply_leave(struct stack_state *s)
{
	int32_t fp = s->fp;

	apply_to_sp(s, X86_ENC_RBP, 0);
	restore_rbp(s, fp);
	s->sp = moved_sp(s->sp, -8);
}

void stack_apply(struct stack_state *s, const struct code_event *e)
{
	switch (e->op) {
	case X86_PUSH:
		apply_push(s, e->reg);
		break;
	case X86_POP:
		apply_pop(s, e->reg);
		break;
	case X86_ADD_SP:
		add_sp(s, e->imm);
		break;
	case X86_FROM_SP:
		apply_from_sp(s, e->reg, e->imm);
		break;
	case X86_TO_SP:
		apply_to_sp(s, e->reg, e->imm);
		break;
	case X86_LOAD_SP:
		s->sp = e->imm == s->slot ? s->slot_offset : STACK_UNKNOWN;
		s->slot = STACK_UNKNOWN;
		break;
	case X86_STORE:
	case X86_LOAD:
		apply_memory(s, e);
		break;
	case X86_LEAVE:
		apply_leave(s);
		break;
	case X86_CALL:
	case X86_CALL_AWAY:
		lose_writes(s, (uint16_t)~(SAVED_BY_CALLEE | 1u << X86_ENC_RSP));
		break;
	case X86_ZERO_RBP:
		s->fp = STACK_UNKNOWN;
		break;
	default:
		lose_writes(s, e->writes);
		break;
	}
}

void stack_undo(struct stack_state *s, const struct code_event *e)
{
	switch (e->op) {
	case X86_PUSH:
		s->sp = moved_sp(s->sp, -8);
		if (e->reg == X86_ENC_RBP)
			s->rbp = 0;
		break;
	case X86_POP:
		s->sp = moved_sp(s->sp, 8);
		if (e->reg == X86_ENC_RBP) {
			s->fp = STACK_UNKNOWN;
			s->rbp = s->sp > 8 && s->sp <= RBP_MAX ? (uint8_t)(s->sp / 8) : 0;
		}
		if (e->reg == X86_ENC_RSP)
			s->sp = STACK_UNKNOWN;
		break;
	case X86_ADD_SP:
		s->sp = moved_sp(s->sp, e->imm);
		break;
	case X86_FROM_SP:
		if (e->reg == X86_ENC_RBP && s->sp == STACK_UNKNOWN)
			s->sp = moved(s->fp, e->imm);
		if (e->reg == X86_ENC_RBP)
			s->fp = STACK_UNKNOWN;
		break;
	case X86_TO_SP:
		if (e->reg == X86_ENC_RBP)
			s->fp = moved(s->sp, e->imm);
		s->sp = STACK_UNKNOWN;
		break;
	case X86_LOAD: /* perhaps of something else: a pop tells where rbp was saved, this does not */
		if (e->reg == X86_ENC_RBP)
			s->fp = STACK_UNKNOWN;
		break;
	case X86_LEAVE:
		s->fp = moved(s->sp, 8);
		s->sp = STACK_UNKNOWN;
		s->rbp = s->fp != STACK_UNKNOWN && s->fp <= RBP_MAX ? (uint8_t)(s->fp / 8) : 0;
		break;
	case X86_LOAD_SP:
		s->sp = STACK_UNKNOWN;
		break;
	default:
		if (e->writes & 1u << X86_ENC_RSP)
			s->sp = STACK_UNKNOWN;
		if (e->writes & 1u << X86_ENC_RBP)
			s->fp = STACK_UNKNOWN;
		break;
	}
	if (s->fp != FRAME_POINTER_CFA) /* a frame pointer of another kind: nothing to build upon */
		s->fp = STACK_UNKNOWN;
	s->known = s->sp != STACK_UNKNOWN || s->fp != STACK_UNKNOWN;
}

bool stack_intersect(struct stack_state *s, const struct stack_state *other)
{
	struct stack_state before = *s;

	if (other->weak && !s->weak)
		return false;
	if (s->weak && !other->weak) {
		*s = *other;
		return true;
	}
	if (s->sp != other->sp)
		s->sp = STACK_UNKNOWN;
	if (s->fp != other->fp)
		s->fp = STACK_UNKNOWN;
	if (s->alias != other->alias || s->alias_offset != other->alias_offset)
		s->alias = X86_ENC_NONE;
	if (s->slot != other->slot || s->slot_offset != other->slot_offset)
		s->slot = STACK_UNKNOWN;
	/* Saved on one side, or twice: what was saved first is what the caller had. */
	if (other->rbp && (s->rbp == 0 || other->rbp < s->rbp))
		s->rbp = other->rbp;
	s->end = s->end && other->end;
	return s->sp != before.sp || s->fp != before.fp || s->alias != before.alias ||
	       s->slot != before.slot || s->rbp != before.rbp || s->end != before.end;
}

static struct unwind_row rule_row(const struct stack_state *s, struct rule_table *rules)
{
	struct unwind_row row = {.kind = UNWIND_NONE};
	struct unwind_rule rule = {
		.ra = {.where = UNWIND_AT_CFA, .offset = -8},
	};

	if (s->sp != STACK_UNKNOWN) { /* not a multiple of eight: libx265 has some */
		rule.cfa_register = dwarf_number[X86_ENC_RSP];
		rule.cfa_offset = s->sp;
	} else if (s->slot != STACK_UNKNOWN) {
		rule.cfa_register = dwarf_number[X86_ENC_RSP];
		rule.cfa_dereference = 1;
		rule.cfa_offset = s->slot;
		rule.cfa_add = s->slot_offset;
	} else if (s->alias != X86_ENC_NONE) {
		rule.cfa_register = dwarf_number[s->alias];
		rule.cfa_offset = s->alias_offset;
	} else {
		return row;
	}
	if (s->rbp)
		rule.fp = (struct unwind_value){.where = UNWIND_AT_CFA, .offset = -8 * s->rbp};
	if (rule_table_index(rules, &rule, &row.cfa) == 0)
		row.kind = UNWIND_EXTENDED;
	return row;
}

#define RETURN_ADDRESS_BYTES 8 /* CFA - 8 is where it is */
/* push %rbp; mov %rsp,%rbp: better than rsp, which a callee may leave elsewhere (V8: arguments). */
static bool is_frame_pointer(const struct stack_state *s)
{
	return s->fp == FRAME_POINTER_CFA && s->rbp == FRAME_POINTER_CFA / 8;
}

struct unwind_row stack_row(const struct stack_state *s, struct rule_table *rules)
{
	struct unwind_row row = {.kind = UNWIND_NONE};

	if (!s->known)
		return row;
	if (s->end) {
		row.kind = UNWIND_END;
		return row;
	}
	if (s->fp != STACK_UNKNOWN && s->fp % 8 == 0 &&
	    (s->sp == STACK_UNKNOWN || is_frame_pointer(s))) {
		row.kind = UNWIND_RBP;
		row.cfa = (uint16_t)(s->fp / 8);
	} else if (s->sp != STACK_UNKNOWN && s->sp % 8 == 0) {
		row.kind = UNWIND_RSP;
		row.cfa = (uint16_t)(s->sp / 8);
	} else {
		return rule_row(s, rules);
	}
	row.rbp = s->rbp;
	return row;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interpreter of call frame instructions (DWARF 5, section 6.4.2; LSB for the GNU ones).
 *
 * Written for speed, since an object such as libLLVM has a million rows: libdw's
 * dwarf_cfi_addrframe starts the function's program anew for each address, this runs it once and
 * puts a row at each advance.
 *
 *	instructions    state                       rows
 *	DW_CFA_...   -> CFA, rbp, rsp, ra rules
 *	advance_loc ------------------------------> [pc, pc + delta) has the state of before
 *
 * The instructions are hostile input: a program that is not well formed yields no row at all. Work
 * is bounded by its length, as there are no jumps; memory by the rows reserved, one for each byte of
 * instructions.
 */
#include <errno.h>
#include "cfi_x86_64.h"

enum cfi_opcode {
	CFA_ADVANCE_LOC = 0x40, /* the high two bits; the low six are the operand */
	CFA_OFFSET = 0x80,
	CFA_RESTORE = 0xc0,
	CFA_NOP = 0x00,
	CFA_SET_LOC = 0x01,
	CFA_ADVANCE_LOC1 = 0x02,
	CFA_ADVANCE_LOC2 = 0x03,
	CFA_ADVANCE_LOC4 = 0x04,
	CFA_OFFSET_EXTENDED = 0x05,
	CFA_RESTORE_EXTENDED = 0x06,
	CFA_UNDEFINED = 0x07,
	CFA_SAME_VALUE = 0x08,
	CFA_REGISTER = 0x09,
	CFA_REMEMBER_STATE = 0x0a,
	CFA_RESTORE_STATE = 0x0b,
	CFA_DEF_CFA = 0x0c,
	CFA_DEF_CFA_REGISTER = 0x0d,
	CFA_DEF_CFA_OFFSET = 0x0e,
	CFA_DEF_CFA_EXPRESSION = 0x0f,
	CFA_EXPRESSION = 0x10,
	CFA_OFFSET_EXTENDED_SF = 0x11,
	CFA_DEF_CFA_SF = 0x12,
	CFA_DEF_CFA_OFFSET_SF = 0x13,
	CFA_VAL_OFFSET = 0x14,
	CFA_VAL_OFFSET_SF = 0x15,
	CFA_VAL_EXPRESSION = 0x16,
	CFA_MIPS_ADVANCE_LOC8 = 0x1d,
	CFA_GNU_ARGS_SIZE = 0x2e,
	CFA_GNU_NEGATIVE_OFFSET_EXTENDED = 0x2f,
};

/* One execution. The CIE's own has no sink, and nothing to restore to. */
struct cfi_run {
	struct cursor c;
	const struct cfi_cie *cie;
	struct row_sink *sink;
	uint64_t pc, end;
	struct cfi_state state;
	unsigned int depth;
	struct cfi_state stack[CFI_STATE_DEPTH];
};

/* A state that is not a row's: rare, and worth the work. */
static __attribute__((noinline)) struct unwind_row uncommon_row(const struct cfi_run *r)
{
	struct unwind_row row = {.kind = UNWIND_UNSUPPORTED};
	struct unwind_rule rule;

	if (r->cie->unsupported)
		return row;
	if (r->state.rule[CFI_RA].how == CFI_UNDEFINED)
		row.kind = UNWIND_END;
	else if (cfi_extended_rule(&r->state, r->cie->signal, &rule)) {
		if (rule.signal && cfi_arch_is_signal_frame(&rule))
			row.kind = UNWIND_SIGNAL;
		else if (rule_table_index(r->sink->rules, &rule, &row.cfa) == 0)
			row.kind = UNWIND_EXTENDED;
	}
	return row;
}

static inline struct unwind_row row_of_state(const struct cfi_run *r)
{
	struct unwind_row row;

	if (!r->cie->unsupported && !r->cie->signal && cfi_arch_row(&r->state, &row))
		return row;
	return uncommon_row(r);
}

/* The state holds on [r->pc, to). */
static inline void run_advance(struct cfi_run *r, uint64_t to)
{
	if (!r->sink) { /* a CIE speaks of no address */
		r->c.bad = true;
		return;
	}
	if (to <= r->pc)
		return;
	if (r->pc < r->end && to > r->sink->floor)
		row_sink_put(r->sink, r->pc, row_of_state(r));
	r->pc = to;
}

static inline void run_advance_by(struct cfi_run *r, uint64_t delta)
{
	uint64_t bytes, to;

	if (__builtin_mul_overflow(delta, r->cie->code_align, &bytes) ||
	    __builtin_add_overflow(r->pc, bytes, &to))
		r->c.bad = true;
	else
		run_advance(r, to);
}

static inline void set_rule(struct cfi_run *r, uint64_t dwarf_register, enum cfi_how how,
			    int64_t offset)
{
	int slot = cfi_arch_slot(dwarf_register);

	if (slot >= 0) {
		r->state.rule[slot].how = how;
		r->state.rule[slot].offset = offset;
	}
}

/* Hostile factors may overflow: then the product wraps, and is just another number. */
static inline int64_t factored(const struct cfi_run *r, uint64_t n)
{
	return (int64_t)(n * (uint64_t)r->cie->data_align);
}

static inline void restore_rule(struct cfi_run *r, uint64_t dwarf_register)
{
	int slot = cfi_arch_slot(dwarf_register);

	if (!r->sink)
		r->c.bad = true; /* a CIE has no state to restore to */
	else if (slot >= 0)
		r->state.rule[slot] = r->cie->initial.rule[slot];
}

static inline void set_cfa(struct cfi_run *r, uint64_t dwarf_register, int64_t offset)
{
	r->state.cfa_how = CFI_CFA_REGISTER;
	r->state.cfa_register = dwarf_register;
	r->state.cfa_offset = offset;
}

static void set_cfa_expression(struct cfi_run *r)
{
	uint64_t bytes = cursor_uleb(&r->c);

	r->state.cfa_how = CFI_CFA_EXPRESSION;
	r->state.expression = r->c.p;
	cursor_skip(&r->c, bytes);
	r->state.expression_bytes = r->c.bad ? 0 : bytes;
}

/*
 * What changes the CFA. DWARF lets its parts be changed only while it is register + offset.
 * Assembler in libgcrypt names a register after an expression, though, and means the offset of
 * before it: so it is with libgcc and gdb (libdw refuses). An offset alone does not end an
 * expression.
 */
static void run_cfa(struct cfi_run *r, uint8_t opcode)
{
	struct cursor *c = &r->c;
	uint64_t reg;

	switch (opcode) {
	case CFA_DEF_CFA:
		reg = cursor_uleb(c);
		set_cfa(r, reg, (int64_t)cursor_uleb(c));
		return;
	case CFA_DEF_CFA_SF:
		reg = cursor_uleb(c);
		set_cfa(r, reg, factored(r, (uint64_t)cursor_sleb(c)));
		return;
	case CFA_DEF_CFA_EXPRESSION:
		set_cfa_expression(r);
		return;
	}
	if (r->state.cfa_how == CFI_CFA_NONE)
		c->bad = true;
	else if (opcode == CFA_DEF_CFA_REGISTER)
		set_cfa(r, cursor_uleb(c), r->state.cfa_offset);
	else if (opcode == CFA_DEF_CFA_OFFSET)
		r->state.cfa_offset = (int64_t)cursor_uleb(c);
	else
		r->state.cfa_offset = factored(r, (uint64_t)cursor_sleb(c));
}

/* DW_CFA_expression and DW_CFA_val_expression. */
static void run_expression(struct cfi_run *r, uint64_t dwarf_register, bool is_value)
{
	uint64_t bytes = cursor_uleb(&r->c);
	int slot = cfi_arch_slot(dwarf_register);
	struct cursor expression = r->c;

	cursor_skip(&r->c, bytes);
	if (slot < 0 || r->c.bad)
		return;
	expression.end = r->c.p;
	r->state.rule[slot] = cfi_expression_rule(expression, is_value);
}

static void run_in_register(struct cfi_run *r, uint64_t dwarf_register)
{
	uint64_t other = cursor_uleb(&r->c);
	int slot = cfi_arch_slot(dwarf_register);

	if (slot >= 0)
		r->state.rule[slot] = (struct cfi_rule){
			.how = other < CFI_ARCH_REGISTERS ? CFI_IN_REGISTER : CFI_COMPLEX,
			.reg = (uint32_t)other,
		};
}

/* What changes the rule of one register. */
static void run_register(struct cfi_run *r, uint8_t opcode)
{
	struct cursor *c = &r->c;
	uint64_t reg = cursor_uleb(c);

	switch (opcode) {
	case CFA_OFFSET_EXTENDED:
		set_rule(r, reg, CFI_AT_CFA, factored(r, cursor_uleb(c)));
		break;
	case CFA_OFFSET_EXTENDED_SF:
		set_rule(r, reg, CFI_AT_CFA, factored(r, (uint64_t)cursor_sleb(c)));
		break;
	case CFA_GNU_NEGATIVE_OFFSET_EXTENDED:
		set_rule(r, reg, CFI_AT_CFA, factored(r, -cursor_uleb(c)));
		break;
	case CFA_VAL_OFFSET:
		set_rule(r, reg, CFI_IS_CFA, factored(r, cursor_uleb(c)));
		break;
	case CFA_VAL_OFFSET_SF:
		set_rule(r, reg, CFI_IS_CFA, factored(r, (uint64_t)cursor_sleb(c)));
		break;
	case CFA_RESTORE_EXTENDED:
		restore_rule(r, reg);
		break;
	case CFA_UNDEFINED:
		set_rule(r, reg, CFI_UNDEFINED, 0);
		break;
	case CFA_SAME_VALUE:
		set_rule(r, reg, CFI_SAME, 0);
		break;
	case CFA_REGISTER:
		run_in_register(r, reg);
		break;
	case CFA_EXPRESSION:
	case CFA_VAL_EXPRESSION:
		run_expression(r, reg, opcode == CFA_VAL_EXPRESSION);
		break;
	}
}

static void run_state_stack(struct cfi_run *r, uint8_t opcode)
{
	if (opcode == CFA_REMEMBER_STATE && r->depth < CFI_STATE_DEPTH)
		r->stack[r->depth++] = r->state;
	else if (opcode == CFA_RESTORE_STATE && r->depth > 0)
		r->state = r->stack[--r->depth];
	else
		r->c.bad = true;
}

static void run_set_loc(struct cfi_run *r)
{
	uint64_t to = cursor_pointer(&r->c, r->cie->pointer_encoding);

	if (to < r->pc)
		r->c.bad = true; /* "the new location is always greater than the current one" */
	else
		run_advance(r, to);
}

static void run_extended(struct cfi_run *r, uint8_t opcode)
{
	switch (opcode) {
	case CFA_NOP:
		break;
	case CFA_SET_LOC:
		run_set_loc(r);
		break;
	case CFA_ADVANCE_LOC1:
		run_advance_by(r, cursor_u8(&r->c));
		break;
	case CFA_ADVANCE_LOC2:
		run_advance_by(r, cursor_u16(&r->c));
		break;
	case CFA_ADVANCE_LOC4:
		run_advance_by(r, cursor_u32(&r->c));
		break;
	case CFA_MIPS_ADVANCE_LOC8:
		run_advance_by(r, cursor_u64(&r->c));
		break;
	case CFA_REMEMBER_STATE:
	case CFA_RESTORE_STATE:
		run_state_stack(r, opcode);
		break;
	case CFA_DEF_CFA:
	case CFA_DEF_CFA_SF:
	case CFA_DEF_CFA_REGISTER:
	case CFA_DEF_CFA_OFFSET:
	case CFA_DEF_CFA_OFFSET_SF:
	case CFA_DEF_CFA_EXPRESSION:
		run_cfa(r, opcode);
		break;
	case CFA_OFFSET_EXTENDED ... CFA_REGISTER:
	case CFA_EXPRESSION:
	case CFA_OFFSET_EXTENDED_SF:
	case CFA_VAL_OFFSET:
	case CFA_VAL_OFFSET_SF:
	case CFA_VAL_EXPRESSION:
	case CFA_GNU_NEGATIVE_OFFSET_EXTENDED:
		run_register(r, opcode);
		break;
	case CFA_GNU_ARGS_SIZE: /* for landing pads: moves no register of ours */
		cursor_uleb(&r->c);
		break;
	default:
		r->c.bad = true;
	}
}

static void run(struct cfi_run *r)
{
	while (r->c.p < r->c.end && !r->c.bad) {
		uint8_t byte = *r->c.p++;

		switch (byte & 0xc0) {
		case CFA_ADVANCE_LOC:
			run_advance_by(r, byte & 0x3f);
			break;
		case CFA_OFFSET:
			set_rule(r, byte & 0x3f, CFI_AT_CFA, factored(r, cursor_uleb(&r->c)));
			break;
		case CFA_RESTORE:
			restore_rule(r, byte & 0x3f);
			break;
		default:
			run_extended(r, byte);
		}
	}
}

int cfi_run_cie(struct cfi_cie *cie, struct cursor instructions)
{
	struct cfi_run r;

	r.c = instructions;
	r.cie = cie;
	r.sink = NULL;
	r.pc = r.end = 0;
	r.depth = 0;
	r.state = cie->initial;
	run(&r);
	if (r.c.bad)
		return -EPROTO;
	cie->initial = r.state;
	return 0;
}

int cfi_run_fde(const struct cfi_cie *cie, struct cursor instructions, uint64_t pc, uint64_t end,
		struct row_sink *sink)
{
	size_t n_before = sink->n;
	struct cfi_run r; /* not initialised whole: the stack of states is large, and hardly used */

	r.c = instructions;
	r.cie = cie;
	r.sink = sink;
	r.pc = pc;
	r.end = end;
	r.depth = 0;
	r.state = cie->initial;
	run(&r);
	if (r.pc < end)
		run_advance(&r, end);
	if (r.c.bad) {
		sink->n = n_before;
		return -EPROTO;
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What call frame information means, in numbers: libdw's operations and our rows are both executed
 * on made-up registers and memory, and must find the same caller.
 *
 * Nothing of the symbolizer's is used: this is the other opinion. Memory is a function of the address
 * that no two addresses share a value of (but by chance), so where a value is loaded from matters.
 */
#ifndef FRAME_MEANING_H
#define FRAME_MEANING_H

#include <elfutils/libdw.h>
#include <dwarf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "bpf/unwind_row.h"

enum { RBP = 6, RSP = 7, RIP = 16, REGISTERS = 17 };

#define WORLDS 16
#define STACK  16

struct world {
	uint64_t reg[REGISTERS];
};

struct caller {
	uint64_t sp, ra, fp;
};

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static uint64_t memory(uint64_t address)
{
	return mix(address + UINT64_C(0x9e3779b97f4a7c15));
}

/* rip is `pc`, but in its low four bits, which take all values (PLT entries look at them). */
static struct world make_world(unsigned int n, uint64_t pc)
{
	struct world w;

	for (unsigned int i = 0; i < REGISTERS; i++)
		w.reg[i] = mix(64 * n + i + 1);
	w.reg[RIP] = (pc & ~UINT64_C(15)) | (n & 15);
	return w;
}

/* One operation on two numbers. */
static bool binary(uint8_t atom, uint64_t a, uint64_t b, uint64_t *out)
{
	switch (atom) {
	case DW_OP_plus:
		*out = a + b;
		return true;
	case DW_OP_minus:
		*out = a - b;
		return true;
	case DW_OP_mul:
		*out = a * b;
		return true;
	case DW_OP_and:
		*out = a & b;
		return true;
	case DW_OP_ge:
		*out = (int64_t)a >= (int64_t)b;
		return true;
	case DW_OP_shl:
		*out = b < 64 ? a << b : 0;
		return true;
	default:
		return false;
	}
}

/* An operation that pushes; false where it is another one. */
static bool pushes(const struct world *w, const Dwarf_Op *op, uint64_t cfa, uint64_t *out)
{
	uint8_t atom = op->atom;

	if (atom >= DW_OP_breg0 && atom <= DW_OP_breg16)
		*out = w->reg[atom - DW_OP_breg0] + op->number;
	else if (atom == DW_OP_bregx && op->number < REGISTERS)
		*out = w->reg[op->number] + op->number2;
	else if (atom >= DW_OP_lit0 && atom <= DW_OP_lit31)
		*out = atom - DW_OP_lit0;
	else if (atom >= DW_OP_const1u && atom <= DW_OP_consts)
		*out = op->number;
	else if (atom == DW_OP_call_frame_cfa)
		*out = cfa;
	else
		return false;
	return true;
}

/* False where an operation is none of those known here. */
static bool execute(const struct world *w, const Dwarf_Op *ops, size_t n, uint64_t cfa,
		    uint64_t *out)
{
	uint64_t stack[STACK + 1];
	size_t depth = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t v;

		if (pushes(w, &ops[i], cfa, &v)) {
			if (depth == STACK)
				return false;
			stack[depth++] = v;
		} else if (ops[i].atom == DW_OP_nop) {
			continue;
		} else if (depth == 0) {
			return false;
		} else if (ops[i].atom == DW_OP_deref) {
			stack[depth - 1] = memory(stack[depth - 1]);
		} else if (ops[i].atom == DW_OP_plus_uconst) {
			stack[depth - 1] += ops[i].number;
		} else {
			if (depth < 2 || !binary(ops[i].atom, stack[depth - 2], stack[depth - 1],
						 &stack[depth - 2]))
				return false;
			depth--;
		}
	}
	if (depth == 0)
		return false;
	*out = stack[depth - 1];
	return true;
}

/* A register of the caller, by libdw. */
static bool execute_register(const struct world *w, Dwarf_Frame *frame, int reg, uint64_t cfa,
			     uint64_t *out)
{
	Dwarf_Op space[3], *ops;
	bool is_value;
	size_t n;

	if (dwarf_frame_register(frame, reg, space, &ops, &n) != 0)
		return false;
	if (n == 0) { /* undefined, or unchanged: which the stack pointer and pc cannot be */
		*out = w->reg[reg];
		return ops != space && reg == RBP;
	}
	if (n == 1 && ops[0].atom == DW_OP_regx) {
		*out = ops[0].number < RIP ? w->reg[ops[0].number] : 0;
		return ops[0].number < RIP;
	}
	is_value = ops[n - 1].atom == DW_OP_stack_value;
	if (!execute(w, ops, n - is_value, cfa, out))
		return false;
	if (!is_value)
		*out = memory(*out);
	return true;
}

static bool execute_frame(const struct world *w, Dwarf_Frame *frame, struct caller *out)
{
	uint64_t cfa;
	Dwarf_Op *ops;
	size_t n;

	return dwarf_frame_cfa(frame, &ops, &n) == 0 && execute(w, ops, n, 0, &cfa) &&
	       execute_register(w, frame, RSP, cfa, &out->sp) &&
	       execute_register(w, frame, RIP, cfa, &out->ra) &&
	       execute_register(w, frame, RBP, cfa, &out->fp);
}

/* A value of a rule of ours. */
static uint64_t execute_value(const struct world *w, const struct unwind_value *v, uint64_t cfa,
			      int reg)
{
	uint64_t offset = (uint64_t)(int64_t)v->offset;

	switch (v->where) {
	case UNWIND_AT_CFA:
		return memory(cfa + offset);
	case UNWIND_IS_CFA:
		return cfa + offset;
	case UNWIND_AT_REGISTER:
		return memory(w->reg[v->reg] + offset);
	case UNWIND_IN_REGISTER:
		return w->reg[v->reg] + offset;
	default:
		return w->reg[reg];
	}
}

static struct caller execute_rule(const struct world *w, const struct unwind_rule *r)
{
	uint64_t cfa = w->reg[r->cfa_register] + (uint64_t)(int64_t)r->cfa_offset;

	cfa += r->cfa_scale * w->reg[r->cfa_index];
	if (r->cfa_dereference)
		cfa = memory(cfa) + (uint64_t)(int64_t)r->cfa_add;
	return (struct caller){
		.sp = cfa,
		.ra = execute_value(w, &r->ra, cfa, RIP),
		.fp = execute_value(w, &r->fp, cfa, RBP),
	};
}

/* False for rows that tell of no caller. */
static bool execute_row(const struct world *w, const struct unwind_row *row,
			const struct unwind_rule *rules, struct caller *out)
{
	uint64_t cfa;

	switch (row->kind) {
	case UNWIND_RSP:
	case UNWIND_RBP:
		cfa = w->reg[row->kind == UNWIND_RSP ? RSP : RBP] + 8 * (uint64_t)row->cfa;
		break;
	case UNWIND_PLT:
		cfa = w->reg[RSP] + 8 + ((w->reg[RIP] & 15) >= row->cfa ? 8 : 0);
		break;
	case UNWIND_EXTENDED:
		*out = execute_rule(w, &rules[row->cfa]);
		return true;
	case UNWIND_SIGNAL: /* struct ucontext: flags, link, stack, then r8 to rip */
		out->fp = memory(w->reg[RSP] + 120);
		out->sp = memory(w->reg[RSP] + 160);
		out->ra = memory(w->reg[RSP] + 168);
		return true;
	default:
		return false;
	}
	out->sp = cfa;
	out->ra = memory(cfa - 8);
	out->fp = row->rbp ? memory(cfa - 8 * (uint64_t)row->rbp) : w->reg[RBP];
	return true;
}

static bool same_caller(Dwarf_Frame *frame, uint64_t pc, const struct unwind_row *row,
			const struct unwind_rule *rules)
{
	for (unsigned int i = 0; i < WORLDS; i++) {
		struct world w = make_world(i, pc);
		struct caller want, have;

		if (!execute_frame(&w, frame, &want) || !execute_row(&w, row, rules, &have) ||
		    memcmp(&want, &have, sizeof(want)) != 0)
			return false;
	}
	return true;
}

/* At most one register and one load, sums otherwise, numbers of 31 bits: a rule can say that. */
static bool is_plain(const Dwarf_Op *ops, size_t n, unsigned int loads_max)
{
	unsigned int bases = 0, loads = 0;

	for (size_t i = 0; i < n; i++) {
		const Dwarf_Op *op = &ops[i];
		int64_t number = (int64_t)(op->atom == DW_OP_bregx ? op->number2 : op->number);

		bases += op->atom == DW_OP_call_frame_cfa || op->atom == DW_OP_bregx ||
			 (op->atom >= DW_OP_breg0 && op->atom <= DW_OP_breg15);
		loads += op->atom == DW_OP_deref;
		if (number > 100000000 || number < -100000000 ||
		    (op->atom == DW_OP_bregx && op->number >= RIP))
			return false;
		switch (op->atom) {
		case DW_OP_call_frame_cfa:
		case DW_OP_bregx:
		case DW_OP_breg0 ... DW_OP_breg15:
		case DW_OP_deref:
		case DW_OP_lit0 ... DW_OP_lit31:
		case DW_OP_plus:
		case DW_OP_plus_uconst:
			break;
		default:
			return false;
		}
	}
	return bases == 1 && loads <= loads_max;
}

static bool register_is_plain(Dwarf_Frame *frame, int reg)
{
	Dwarf_Op space[3], *ops;
	size_t n;

	if (dwarf_frame_register(frame, reg, space, &ops, &n) != 0)
		return false;
	if (n == 0)
		return ops != space && reg == RBP;
	if (n == 1 && ops[0].atom == DW_OP_regx)
		return ops[0].number < RIP;
	return is_plain(ops, n - (ops[n - 1].atom == DW_OP_stack_value), 0);
}

/* Whether there is no excuse for not supporting a frame. */
static bool is_expressible(Dwarf_Frame *frame)
{
	Dwarf_Op *ops, space[3];
	size_t n;

	if (dwarf_frame_cfa(frame, &ops, &n) != 0 || !is_plain(ops, n, 1))
		return false;
	/* the usual rule for rsp, by its form */
	if (dwarf_frame_register(frame, RSP, space, &ops, &n) != 0 || n != 2 ||
	    ops[0].atom != DW_OP_call_frame_cfa || ops[1].atom != DW_OP_stack_value)
		return false;
	return register_is_plain(frame, RIP) && register_is_plain(frame, RBP);
}

#endif

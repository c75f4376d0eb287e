/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the frame is, and how each instruction moves it: the x86-64 half of code_chunk.c.
 *
 * A state says of one address how the CFA (the stack pointer before the call) can be had. Several
 * ways may be known at a time; each instruction keeps, changes or loses some:
 *
 *	sp	CFA = rsp + sp
 *	fp	CFA = rbp + fp, while rbp is a frame pointer
 *	alias	CFA = alias + alias_offset: a register that kept a copy of rsp
 *	slot	CFA = *(rsp + slot) + slot_offset: that copy, saved by code that realigns the stack
 */
#ifndef WIREPROF_X86_64_STACK_H
#define WIREPROF_X86_64_STACK_H

#include <stdbool.h>
#include "row_sink.h"
#include "x86_64_length.h"

#define STACK_UNKNOWN INT32_MIN

struct stack_state {
	bool known;  /* false: nothing is, not even that this is code */
	bool end;    /* the thread's outermost frame */
	bool weak;   /* inferred from what the code needs, which may be other code's */
	uint8_t alias;
	uint8_t rbp; /* the caller's rbp is at CFA - 8 * rbp; 0: in rbp */
	int32_t sp, fp, alias_offset, slot, slot_offset;
};

/* What an address is known by after an instruction that is none of interest is left out. */
struct code_event {
	uint32_t at; /* from the chunk's start */
	int32_t imm;
	uint16_t writes;
	uint16_t flags; /* code_chunk.c's */
	uint8_t length, op, reg;
};

/* At a function's first instruction. */
struct stack_state stack_at_entry(void);
/* The state after an instruction, from that before. Jumps change nothing. */
void stack_apply(struct stack_state *s, const struct code_event *e);
/*
 * The other way round: the state before, as far as it follows from that after. Of `s`, only sp, fp and rbp
 * count.
 */
void stack_undo(struct stack_state *s, const struct code_event *e);
/* Keeps what both say. Returns whether *s changed. */
bool stack_intersect(struct stack_state *s, const struct stack_state *other);
/* The row of a state; NONE where no row or rule can say it. */
struct unwind_row stack_row(const struct stack_state *s, struct rule_table *rules);

#endif

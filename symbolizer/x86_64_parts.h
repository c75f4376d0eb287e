/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of an instruction. (Private to x86_64_length.c, which reads them, and x86_64_writes.c.) */
#ifndef WIREPROF_X86_64_PARTS_H
#define WIREPROF_X86_64_PARTS_H

#include <stdbool.h>
#include "x86_64_length.h"

enum { REX_B = 1, REX_X = 2, REX_R = 4, REX_W = 8 };

/* What the parts of an instruction are, while it is read. */
struct parts {
	const uint8_t *start, *p, *end;
	uint8_t rex;	   /* its low four bits */
	bool operand16, address32, repeat, repne;
	bool vector;	   /* VEX, EVEX, XOP */
	uint8_t map;	   /* 0, 1 (0f), 2 (0f38), 3 (0f3a), 5 and 6 (EVEX), 8 to 10 (XOP) */
	uint8_t vvvv;	   /* the register that VEX adds */
	uint8_t opcode;
	uint8_t mod, reg, rm; /* with REX; mod 3: rm is a register */
	uint8_t base;	   /* of an operand in memory that is base + disp; else NONE */
	int32_t disp;
	int64_t imm;
};

static inline uint16_t x86_bit(unsigned int reg)
{
	return (uint16_t)(reg < 16 ? 1u << reg : 0);
}

/* The general registers that it writes, as far as this is not plain from its enum x86_op. */
uint16_t x86_writes(const struct parts *d);

#endif

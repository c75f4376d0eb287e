/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86-64 machine code: how long an instruction is, and what it does to the stack.
 *
 * Lengths are those of the processor (Intel SDM, volume 2, chapter 2 and appendix A: legacy prefixes,
 * REX, the maps 0f, 0f38 and 0f3a, VEX, EVEX, and AMD's XOP). Of the meaning only that is told which
 * matters to the stack pointer, to the frame pointer and to where control goes.
 */
#ifndef WIREPROF_X86_64_LENGTH_H
#define WIREPROF_X86_64_LENGTH_H

#include <stddef.h>
#include <stdint.h>

/* Registers by their numbers in instructions, which are not DWARF's. */
enum x86_register {
	X86_ENC_RAX = 0,
	X86_ENC_RCX = 1,
	X86_ENC_RSP = 4,
	X86_ENC_RBP = 5,
	X86_ENC_NONE = 16, /* an immediate, memory, flags */
};

enum x86_op {
	X86_OTHER = 0,
	X86_PADDING,   /* nop, of whatever length; two zeroes */
	X86_ENDBR,     /* endbr64: control arrives here from elsewhere */
	X86_ZERO_RBP,  /* xor %ebp,%ebp: by the ABI, the mark of the outermost frame */
	X86_PUSH,      /* reg, or NONE */
	X86_POP,       /* reg, or NONE */
	X86_ADD_SP,    /* rsp += imm */
	X86_FROM_SP,   /* reg = rsp + imm */
	X86_TO_SP,     /* rsp = reg + imm */
	X86_LOAD_SP,   /* rsp = *(rsp + imm) */
	X86_STORE,     /* *(rsp + imm) = reg */
	X86_LOAD,      /* reg = *(rsp + imm) */
	X86_LEAVE,
	X86_CALL,      /* imm: from the instruction's end to its target */
	X86_CALL_AWAY, /* indirect */
	X86_JUMP,      /* imm as of CALL */
	X86_JUMP_AWAY, /* indirect */
	X86_BRANCH,    /* conditional, imm as of CALL */
	X86_SYSCALL,
	X86_RET,
	X86_TRAP,      /* ud2, hlt, int3, far returns: what follows is not reached from here */
};

struct x86_insn {
	uint8_t length; /* bytes, 1 to 15 */
	uint8_t op;	/* enum x86_op */
	uint8_t reg;	/* enum x86_register */
	uint16_t writes; /* bit i: general register i is written (POP, CALL and such: see op) */
	int32_t imm;
};

/*
 * Decodes the instruction at p, of n bytes that may be read. Returns its length; 0: it is none, or
 * does not end within them (*out is then undefined).
 */
unsigned int x86_decode(const uint8_t *p, size_t n, struct x86_insn *out);

#endif

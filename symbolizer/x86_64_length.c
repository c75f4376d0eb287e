/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instruction decoder: x86_64_length.h.
 *
 *	prefixes  REX  escape  opcode  ModRM  SIB  displacement  immediate
 *	          VEX/EVEX/XOP (instead of REX and escape)
 *
 * A table per map says which of the parts behind the opcode there are. Nothing is read beyond the n
 * bytes that the caller has.
 */
#include <stdbool.h>
#include "x86_64_parts.h"

#define LENGTH_MAX 15

enum {
	M = 1,   /* ModRM */
	I1 = 2,  /* one byte of immediate */
	I2 = 4,  /* two */
	IZ = 8,  /* four; two with an operand size prefix */
	REL = 16, /* four: a relative target */
	P = 32,  /* a prefix or an escape */
	X = 64,  /* not an instruction */
	U = 128, /* one more look is needed */
};

/* clang-format off */
static const uint8_t map_0[256] = {
	M, M, M, M, I1, IZ, X, X,  M, M, M, M, I1, IZ, X, P,
	M, M, M, M, I1, IZ, X, X,  M, M, M, M, I1, IZ, X, X,
	M, M, M, M, I1, IZ, P, X,  M, M, M, M, I1, IZ, P, X,
	M, M, M, M, I1, IZ, P, X,  M, M, M, M, I1, IZ, P, X,
	P, P, P, P, P, P, P, P,  P, P, P, P, P, P, P, P,
	0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0,
	X, X, P, M, P, P, P, P,  IZ, M|IZ, I1, M|I1, 0, 0, 0, 0,
	I1, I1, I1, I1, I1, I1, I1, I1,  I1, I1, I1, I1, I1, I1, I1, I1,
	M|I1, M|IZ, X, M|I1, M, M, M, M,  M, M, M, M, M, M, M, M,
	0, 0, 0, 0, 0, 0, 0, 0,  0, 0, X, U, 0, 0, 0, 0,
	U, U, U, U, 0, 0, 0, 0,  I1, IZ, 0, 0, 0, 0, 0, 0,
	I1, I1, I1, I1, I1, I1, I1, I1,  U, U, U, U, U, U, U, U,
	M|I1, M|I1, I2, 0, P, P, M|I1, M|IZ,  I1|I2, 0, I2, 0, 0, I1, X, 0,
	M, M, M, M, X, X, X, 0,  M, M, M, M, M, M, M, M,
	I1, I1, I1, I1, I1, I1, I1, I1,  REL, REL, X, I1, 0, 0, 0, 0,
	P, 0, P, P, 0, 0, M|U, M|U,  0, 0, 0, 0, 0, 0, M, M,
};

static const uint8_t map_0f[256] = {
	M, M, M, M, X, 0, 0, 0,  0, 0, X, 0, X, M, 0, M|I1,
	M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M,
	M, M, M, M, X, X, X, X,  M, M, M, M, M, M, M, M,
	0, 0, 0, 0, 0, 0, X, 0,  P, X, P, X, X, X, X, X,
	M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M,
	M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M,
	M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M,
	M|I1, M|I1, M|I1, M|I1, M, M, M, 0,  M|U, M, M, M, M, M, M, M,
	REL, REL, REL, REL, REL, REL, REL, REL,  REL, REL, REL, REL, REL, REL, REL, REL,
	M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M,
	0, 0, 0, M, M|I1, M, M, M,  0, 0, 0, M, M|I1, M, M, M,
	M, M, M, M, M, M, M, M,  M, M, M|I1, M, M, M, M, M,
	M, M, M|I1, M, M|I1, M|I1, M|I1, M,  0, 0, 0, 0, 0, 0, 0, 0,
	M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M,
	M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M,
	M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M,
};
/* clang-format on */

static bool have(const struct parts *d, size_t n)
{
	return (size_t)(d->end - d->p) >= n;
}

static int32_t get_le32(const uint8_t *p)
{
	return (int32_t)(p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24);
}

/* Legacy prefixes and REX, which counts only right in front of the opcode. */
static bool read_prefixes(struct parts *d)
{
	for (; have(d, 1); d->p++) {
		uint8_t b = *d->p;

		if (!(map_0[b] & P) || b == 0x0f || b == 0x62)
			return true;
		if (b == 0xc4 || b == 0xc5)
			return true;
		if (b >= 0x40 && b <= 0x4f) {
			d->rex = b & 15;
			d->rex |= 0x40;
			continue;
		}
		d->rex = 0;
		d->operand16 |= b == 0x66;
		d->address32 |= b == 0x67;
		d->repeat |= b == 0xf3;
		d->repne |= b == 0xf2;
	}
	return false;
}

/* The bits of VEX and such that are REX's, inverted there. */
static uint8_t rex_bits(uint8_t rxb, bool w)
{
	return (uint8_t)((~rxb >> 5 & 7) | (w ? REX_W : 0));
}

/* vector prefixes: two or three bytes of VEX, four of EVEX, three of XOP. */
static bool read_vector(struct parts *d, uint8_t first)
{
	const uint8_t *p = d->p;

	d->vector = true;
	if (first == 0xc5) {
		if (!have(d, 2))
			return false;
		d->map = 1;
		d->rex = p[1] & 0x80 ? 0 : REX_R;
		d->vvvv = ~p[1] >> 3 & 15;
		d->p += 2;
		return true;
	}
	if (!have(d, first == 0x62 ? 4 : 3))
		return false;
	d->map = p[1] & (first == 0x62 ? 7 : 31);
	d->rex = rex_bits(p[1], p[2] & 0x80);
	d->vvvv = ~p[2] >> 3 & 15;
	d->p += first == 0x62 ? 4 : 3;
	if (first == 0x62)
		return (p[2] & 4) && d->map != 0 && d->map != 4 && d->map != 7;
	return first == 0x8f ? d->map >= 8 && d->map <= 10 : d->map >= 1 && d->map <= 3;
}

/* Escapes and the opcode. Returns the parts that follow. */
static uint8_t read_opcode(struct parts *d)
{
	uint8_t b = *d->p;

	if (b == 0xc4 || b == 0xc5 || b == 0x62 || (b == 0x8f && have(d, 2) && d->p[1] & 0x18)) {
		if (d->rex || !read_vector(d, b))
			return X;
	} else if (b == 0x0f) {
		d->p++;
		d->map = 1;
		if (have(d, 1) && (*d->p == 0x38 || *d->p == 0x3a))
			d->map = *d->p++ == 0x38 ? 2 : 3;
	}
	if (!have(d, 1))
		return X;
	d->opcode = *d->p++;
	switch (d->map) {
	case 0:
		return map_0[d->opcode];
	case 1:
		if (!d->vector)
			return map_0f[d->opcode];
		if (d->opcode == 0x77)
			return 0;
		return M | (map_0f[d->opcode] & I1);
	case 3:
	case 8:
		return M | I1;
	case 10:
		return M | REL; /* four bytes, whatever the operands' size */
	default:
		return M;
	}
}

static bool read_modrm(struct parts *d)
{
	unsigned int disp_bytes = 0;
	uint8_t b, sib, index = 4;

	if (!have(d, 1))
		return false;
	b = *d->p++;
	d->mod = b >> 6;
	d->reg = (b >> 3 & 7) | (d->rex & REX_R ? 8 : 0);
	d->rm = (b & 7) | (d->rex & REX_B ? 8 : 0);
	if (d->mod == 3)
		return true;
	d->base = d->rm;
	disp_bytes = d->mod == 1 ? 1 : d->mod == 2 ? 4 : 0;
	if ((b & 7) == 4) {
		if (!have(d, 1))
			return false;
		sib = *d->p++;
		index = (sib >> 3 & 7) | (d->rex & REX_X ? 8 : 0);
		d->base = (sib & 7) | (d->rex & REX_B ? 8 : 0);
		b = sib;
	}
	if ((b & 7) == 5 && d->mod == 0) { /* rip, or no base */
		disp_bytes = 4;
		d->base = X86_ENC_NONE;
	}
	if (index != 4 || d->vector)
		d->base = X86_ENC_NONE;
	if (!have(d, disp_bytes))
		return false;
	if (disp_bytes == 1)
		d->disp = (int8_t)*d->p;
	else if (disp_bytes)
		d->disp = get_le32(d->p);
	d->p += disp_bytes;
	return true;
}

/* Parts that depend on more than the opcode. Returns those that remain, or X. */
static uint8_t refine(const struct parts *d, uint8_t parts, unsigned int *bytes)
{
	if (d->map == 1) /* 0f 78: extrq and insertq have two bytes, vmread none */
		return d->operand16 || d->repne ? parts | I2 : parts;
	if ((d->opcode & 0xfe) == 0xf6) { /* test has an immediate, its neighbours have none */
		if (d->reg & 6)
			return parts;
		return parts | (d->opcode & 1 ? IZ : I1);
	}
	if ((d->opcode & 0xfc) == 0xa0)
		*bytes += d->address32 ? 4 : 8;
	else if ((d->opcode & 0xf8) == 0xb8)
		*bytes += d->rex & REX_W ? 8 : d->operand16 ? 2 : 4;
	return parts;
}

static bool read_immediate(struct parts *d, uint8_t parts)
{
	unsigned int bytes = 0;

	if (parts & U)
		parts = refine(d, parts, &bytes);
	if (parts & I1)
		bytes += 1;
	if (parts & I2)
		bytes += 2;
	if (parts & IZ)
		bytes += d->operand16 && !(d->rex & REX_W) ? 2 : 4;
	if (parts & REL)
		bytes += 4;
	if (!have(d, bytes))
		return false;
	if (bytes == 1)
		d->imm = (int8_t)*d->p;
	else if (bytes >= 4)
		d->imm = get_le32(d->p);
	else if (bytes == 2)
		d->imm = (int16_t)(d->p[0] | d->p[1] << 8);
	d->p += bytes;
	return true;
}

static void set(struct x86_insn *out, enum x86_op op, unsigned int reg, int64_t imm)
{
	out->op = (uint8_t)op;
	out->reg = (uint8_t)reg;
	out->imm = (int32_t)imm;
	out->writes = 0;
}

/* mov and lea, of 64 bits, from, to, or by way of rsp. */
static void classify_move(const struct parts *d, struct x86_insn *out)
{
	bool store = d->opcode == 0x89;
	uint8_t from = store ? d->reg : d->rm, to = store ? d->rm : d->reg;

	if (!(d->rex & REX_W))
		return;
	if (d->mod != 3 && d->opcode != 0x8d) {
		if (d->base != X86_ENC_RSP)
			return;
		if (store)
			set(out, X86_STORE, d->reg, d->disp);
		else
			set(out, d->reg == X86_ENC_RSP ? X86_LOAD_SP : X86_LOAD, d->reg, d->disp);
		return;
	}
	if (d->opcode == 0x8d)
		from = d->base;
	if (to == X86_ENC_RSP && from == X86_ENC_RSP)
		set(out, X86_ADD_SP, to, d->disp);
	else if (to == X86_ENC_RSP && from != X86_ENC_NONE)
		set(out, X86_TO_SP, from, d->disp);
	else if (from == X86_ENC_RSP)
		set(out, X86_FROM_SP, to, d->disp);
}

static void classify_group(const struct parts *d, struct x86_insn *out)
{
	uint8_t which = d->reg & 7;

	switch (d->opcode) {
	case 0x81:
	case 0x83:
		if (d->mod != 3 || d->rm != X86_ENC_RSP || !(d->rex & REX_W))
			break;
		if (which == 0)
			set(out, X86_ADD_SP, X86_ENC_RSP, d->imm);
		else if (which == 5 && d->imm != INT32_MIN)
			set(out, X86_ADD_SP, X86_ENC_RSP, -d->imm);
		break;
	case 0x8f:
		if (which == 0 && !d->operand16)
			set(out, X86_POP, d->mod == 3 ? d->rm : X86_ENC_NONE, 0);
		break;
	case 0xff:
		if (which == 2 || which == 3)
			set(out, X86_CALL_AWAY, X86_ENC_NONE, 0);
		else if (which == 4 || which == 5)
			set(out, X86_JUMP_AWAY, X86_ENC_NONE, 0);
		else if (which == 6 && !d->operand16)
			set(out, X86_PUSH, d->mod == 3 ? d->rm : X86_ENC_NONE, 0);
		break;
	}
}

static void classify_0(const struct parts *d, struct x86_insn *out)
{
	uint8_t o = d->opcode, low = (o & 7) | (d->rex & REX_B ? 8 : 0);

	if (o >= 0x50 && o <= 0x5f && !d->operand16) {
		set(out, o < 0x58 ? X86_PUSH : X86_POP, low, 0);
		return;
	}
	if ((o & 0xf0) == 0x70 || (o >= 0xe0 && o <= 0xe3)) {
		set(out, X86_BRANCH, X86_ENC_NONE, d->imm);
		return;
	}
	switch (o) {
	case 0x00:
		if (d->mod == 0 && d->reg == 0 && d->rm == 0)
			set(out, X86_PADDING, X86_ENC_NONE, 0);
		break;
	case 0x31: case 0x33:
		if (d->mod == 3 && d->reg == X86_ENC_RBP && d->rm == X86_ENC_RBP)
			set(out, X86_ZERO_RBP, X86_ENC_RBP, 0);
		break;
	case 0x90:
		if (!d->repeat && !(d->rex & REX_B))
			set(out, X86_PADDING, X86_ENC_NONE, 0);
		break;
	case 0x68: case 0x6a: case 0x9c:
		if (!d->operand16)
			set(out, X86_PUSH, X86_ENC_NONE, 0);
		break;
	case 0x9d:
		set(out, X86_POP, X86_ENC_NONE, 0);
		break;
	case 0x89: case 0x8b: case 0x8d:
		classify_move(d, out);
		break;
	case 0x81: case 0x83: case 0x8f: case 0xff:
		classify_group(d, out);
		break;
	case 0xc8: /* enter */
		out->writes = x86_bit(X86_ENC_RSP) | x86_bit(X86_ENC_RBP);
		break;
	case 0xc9:
		set(out, X86_LEAVE, X86_ENC_NONE, 0);
		break;
	case 0xc2: case 0xc3:
		set(out, X86_RET, X86_ENC_NONE, 0);
		break;
	case 0xca: case 0xcb: case 0xcc: case 0xcf: case 0xf1: case 0xf4:
		set(out, X86_TRAP, X86_ENC_NONE, 0);
		break;
	case 0xe8:
		set(out, X86_CALL, X86_ENC_NONE, d->imm);
		break;
	case 0xe9: case 0xeb:
		set(out, X86_JUMP, X86_ENC_NONE, d->imm);
		break;
	}
}

static void classify_0f(const struct parts *d, struct x86_insn *out)
{
	uint8_t o = d->opcode;

	if ((o & 0xf0) == 0x80)
		set(out, X86_BRANCH, X86_ENC_NONE, d->imm);
	else if (o == 0x1f)
		set(out, X86_PADDING, X86_ENC_NONE, 0);
	else if (o == 0x1e && d->repeat && d->p[-1] == 0xfa)
		set(out, X86_ENDBR, X86_ENC_NONE, 0);
	else if (o == 0x0b || o == 0xb9 || o == 0xff)
		set(out, X86_TRAP, X86_ENC_NONE, 0);
	else if (o == 0x05)
		set(out, X86_SYSCALL, X86_ENC_NONE, 0);
	else if (o == 0xa0 || o == 0xa8)
		set(out, X86_PUSH, X86_ENC_NONE, 0);
	else if (o == 0xa1 || o == 0xa9)
		set(out, X86_POP, X86_ENC_NONE, 0);
}

unsigned int x86_decode(const uint8_t *p, size_t n, struct x86_insn *out)
{
	struct parts d = {.start = p, .p = p, .end = p + (n < LENGTH_MAX ? n : LENGTH_MAX)};
	uint8_t parts;

	d.base = X86_ENC_NONE;
	if (!read_prefixes(&d))
		return 0;
	parts = read_opcode(&d);
	if (parts & X || (parts & M && !read_modrm(&d)) || !read_immediate(&d, parts))
		return 0;
	*out = (struct x86_insn){.reg = X86_ENC_NONE, .writes = x86_writes(&d)};
	if (d.map == 0)
		classify_0(&d, out);
	else if (d.map == 1 && !d.vector)
		classify_0f(&d, out);
	out->length = (uint8_t)(d.p - p);
	return out->length;
}

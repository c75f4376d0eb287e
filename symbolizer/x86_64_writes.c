/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which general registers an instruction writes: what may be forgotten of a register only when it
 * does. A register too many costs a row; one too few may make a row wrong.
 */
#include "x86_64_parts.h"

static uint16_t rm_bit(const struct parts *d)
{
	return d->mod == 3 ? x86_bit(d->rm) : 0;
}

/* Byte operands without REX: 4 to 7 are ah to bh. */
static uint16_t byte_bit(const struct parts *d, uint8_t reg)
{
	return x86_bit(!d->rex && reg >= 4 && reg < 8 ? reg - 4u : reg);
}

/* The general registers that an instruction of the first map writes, where `op` does not tell. */
static uint16_t writes_0(const struct parts *d)
{
	uint8_t o = d->opcode;

	if (o < 0x40) { /* add, or, adc, sbb, and, sub, xor; cmp writes nothing */
		if (o >= 0x38)
			return 0;
		switch (o & 7) {
		case 0:
			return d->mod == 3 ? byte_bit(d, d->rm) : 0;
		case 1:
			return rm_bit(d);
		case 2:
			return byte_bit(d, d->reg);
		case 3:
			return x86_bit(d->reg);
		default:
			return x86_bit(X86_ENC_RAX);
		}
	}
	switch (o) {
	case 0x63: case 0x69: case 0x6b: case 0x8b: case 0x8d:
		return x86_bit(d->reg);
	case 0x8a:
		return byte_bit(d, d->reg);
	case 0x80:
		return (d->reg & 7) != 7 && d->mod == 3 ? byte_bit(d, d->rm) : 0;
	case 0x81: case 0x83:
		return (d->reg & 7) != 7 ? rm_bit(d) : 0;
	case 0x86: case 0x87:
		return x86_bit(d->reg) | rm_bit(d);
	case 0x88: case 0xc6: case 0xc0: case 0xd0: case 0xd2: case 0xfe:
		return d->mod == 3 ? byte_bit(d, d->rm) : 0;
	case 0x89: case 0xc7: case 0xc1: case 0xd1: case 0xd3: case 0x8f: case 0x8c:
		return rm_bit(d);
	case 0xff:
		return (d->reg & 7) < 2 ? rm_bit(d) : 0;
	case 0xf6: case 0xf7:
		return (d->reg & 6) == 2 ? rm_bit(d) : (d->reg & 7) >= 4 ? x86_bit(0) | x86_bit(2) : 0;
	default:
		break;
	}
	if (o >= 0x90 && o <= 0x97)
		return x86_bit(0) | x86_bit((o & 7) | (d->rex & REX_B ? 8 : 0));
	if (o >= 0xb0 && o <= 0xb7)
		return byte_bit(d, (o & 7) | (d->rex & REX_B ? 8 : 0));
	if (o >= 0xb8 && o <= 0xbf)
		return x86_bit((o & 7) | (d->rex & REX_B ? 8 : 0));
	return 0;
}

/* The same for 0f and its vector form. */
static uint16_t writes_0f(const struct parts *d)
{
	uint8_t o = d->opcode;

	if (!d->vector) {
		if ((o & 0xf0) == 0x40 || o == 0xaf || o == 0xb6 || o == 0xb7 || o == 0xb8 ||
		    (o >= 0xbc && o <= 0xbf) || o == 0x02 || o == 0x03)
			return x86_bit(d->reg);
		if ((o & 0xf0) == 0x90)
			return d->mod == 3 ? byte_bit(d, d->rm) : 0;
		if (o >= 0xc8 && o <= 0xcf)
			return x86_bit((o & 7) | (d->rex & REX_B ? 8 : 0));
		if (o == 0xc0 || o == 0xc1)
			return x86_bit(d->reg) | rm_bit(d);
		if (o == 0xb0 || o == 0xb1 || o == 0xab || o == 0xb3 || o == 0xbb || o == 0xa4 ||
		    o == 0xa5 || o == 0xac || o == 0xad || (o == 0xba && (d->reg & 7) > 4))
			return rm_bit(d);
	}
	if (o == 0x2c || o == 0x2d)
		return d->repeat || d->repne || d->vector ? x86_bit(d->reg) : 0;
	if (o == 0x50 || o == 0xd7 || o == 0xc5 || (d->vector && o == 0x93))
		return x86_bit(d->reg);
	return o == 0x7e && !d->repeat ? rm_bit(d) : 0;
}

uint16_t x86_writes(const struct parts *d)
{
	if (d->map == 0)
		return writes_0(d);
	if (d->map == 1)
		return writes_0f(d);
	if (d->map == 2 && d->opcode >= 0xf0) /* crc32, movbe, BMI */
		return x86_bit(d->reg) | (d->vector ? x86_bit(d->vvvv) : 0) | rm_bit(d);
	if (d->map == 3 && d->opcode >= 0x14 && d->opcode <= 0x17)
		return rm_bit(d);
	if (d->map == 3 && d->opcode == 0xf0)
		return x86_bit(d->reg);
	return 0;
}

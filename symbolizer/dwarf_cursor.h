/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading DWARF's primitive values out of untrusted bytes.
 *
 * A cursor never moves past its end. The first read that would sets `bad`, parks the cursor at the
 * end and yields 0, as does each read after it; so a parser reads a whole record, then checks `bad`
 * once.
 */
#ifndef WIREPROF_DWARF_CURSOR_H
#define WIREPROF_DWARF_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *p, *end;
	const uint8_t *
		start; /* `vaddr` is where this byte lies in memory: pc-relative pointers need it */
	uint64_t vaddr;
	bool bad;
};

/* How a pointer is encoded: LSB "DWARF extensions", DW_EH_PE_*. */
enum {
	PE_ABSPTR = 0x00,
	PE_ULEB128 = 0x01,
	PE_UDATA2 = 0x02,
	PE_UDATA4 = 0x03,
	PE_UDATA8 = 0x04,
	PE_SLEB128 = 0x09,
	PE_SDATA2 = 0x0a,
	PE_SDATA4 = 0x0b,
	PE_SDATA8 = 0x0c,
	PE_FORMAT = 0x0f,
	PE_PCREL = 0x10,
	PE_ALIGNED = 0x50,
	PE_BASE = 0x70,
	PE_INDIRECT = 0x80,
	PE_OMIT = 0xff,
};

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

static inline uint64_t cursor_vaddr(const struct cursor *c)
{
	return c->vaddr + (uint64_t)(c->p - c->start);
}

static inline void cursor_fail(struct cursor *c)
{
	c->bad = true;
	c->p = c->end;
}

static inline void cursor_skip(struct cursor *c, uint64_t n)
{
	if (n > cursor_left(c))
		cursor_fail(c);
	else
		c->p += n;
}

/* Little-endian hosts and files only; elf_object_open refuses the rest. */
#define CURSOR_FIXED(name, type)                                                                   \
	static inline type name(struct cursor *c)                                                  \
	{                                                                                          \
		type v = 0;                                                                        \
		if (cursor_left(c) < sizeof(v)) {                                                  \
			cursor_fail(c);                                                            \
			return 0;                                                                  \
		}                                                                                  \
		memcpy(&v, c->p, sizeof(v));                                                       \
		c->p += sizeof(v);                                                                 \
		return v;                                                                          \
	}
CURSOR_FIXED(cursor_u8, uint8_t)
CURSOR_FIXED(cursor_u16, uint16_t)
CURSOR_FIXED(cursor_u32, uint32_t)
CURSOR_FIXED(cursor_u64, uint64_t)
#undef CURSOR_FIXED

/* Bits past the 64th are dropped; an unterminated number is bad. */
static inline uint64_t cursor_uleb(struct cursor *c)
{
	uint64_t v = 0;
	unsigned int shift = 0;

	while (c->p < c->end) {
		uint8_t byte = *c->p++;

		if (shift < 64)
			v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
		shift += 7;
	}
	cursor_fail(c);
	return 0;
}

static inline int64_t cursor_sleb(struct cursor *c)
{
	uint64_t v = 0;
	unsigned int shift = 0;

	while (c->p < c->end) {
		uint8_t byte = *c->p++;

		if (shift < 64)
			v |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (!(byte & 0x80)) {
			if (shift < 64 && (byte & 0x40))
				v |= ~UINT64_C(0) << shift;
			return (int64_t)v;
		}
	}
	cursor_fail(c);
	return 0;
}

/* The number alone: what an encoding's low four bits say. */
static inline uint64_t cursor_encoded_value(struct cursor *c, uint8_t encoding)
{
	switch (encoding & PE_FORMAT) {
	case PE_ABSPTR:
	case PE_UDATA8:
	case PE_SDATA8:
		return cursor_u64(c);
	case PE_ULEB128:
		return cursor_uleb(c);
	case PE_UDATA2:
		return cursor_u16(c);
	case PE_UDATA4:
		return cursor_u32(c);
	case PE_SLEB128:
		return (uint64_t)cursor_sleb(c);
	case PE_SDATA2:
		return (uint64_t)(int64_t)(int16_t)cursor_u16(c);
	case PE_SDATA4:
		return (uint64_t)(int64_t)(int32_t)cursor_u32(c);
	default:
		cursor_fail(c);
		return 0;
	}
}

/*
 * A pointer, absolute or pc-relative. The other bases (text, data, function, aligned) need values
 * that a file does not have, and an indirect pointer needs a running process: all of these are bad.
 */
static inline uint64_t cursor_pointer(struct cursor *c, uint8_t encoding)
{
	uint64_t base = 0;

	if (encoding & PE_INDIRECT) {
		cursor_fail(c);
		return 0;
	}
	switch (encoding & PE_BASE) {
	case 0:
		break;
	case PE_PCREL:
		base = cursor_vaddr(c);
		break;
	default:
		cursor_fail(c);
		return 0;
	}
	return base + cursor_encoded_value(c, encoding);
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Unwind rows: what call frame information says, in eight bytes a row.
 *
 * symbolizer/ writes rows, the BPF unwinder (bpf/unwind.h) reads them; the host tests read them too.
 * Rows of one table are sorted by pc; a row holds from its pc up to the next row's pc.
 *
 *	 0       4     6    7    8
 *	+-------+-----+----+----+
 *	|  pc   | cfa |rbp |kind|	nearly all code: CFA = rsp or rbp + offset
 *	+-------+-----+----+----+
 *
 * x86-64: the return address is at CFA-8 in RSP, RBP and PLT rows, and the caller's rsp is the CFA.
 * What a row cannot say, a rule of the same table says (EXTENDED): few tables have any.
 */
#ifndef WIREPROF_UNWIND_ROW_H
#define WIREPROF_UNWIND_ROW_H

#include <linux/types.h>

enum unwind_kind {
	UNWIND_NONE = 0,    /* no CFI for this address: the gap after a function, code that has none */
	UNWIND_END,         /* return address undefined: the thread's outermost frame */
	UNWIND_RSP,         /* CFA = rsp + 8 * cfa */
	UNWIND_RBP,         /* CFA = rbp + 8 * cfa */
	UNWIND_PLT,         /* CFA = rsp + 8 + ((pc & 15) >= cfa ? 8 : 0); cfa is the threshold */
	UNWIND_EXTENDED,    /* cfa is an index into the table's rules */
	UNWIND_SIGNAL,      /* the kernel's signal frame: rsp points to a struct ucontext, the caller was interrupted */
	UNWIND_UNSUPPORTED, /* CFI that no rule can express */
	UNWIND_KINDS,
};

struct unwind_row {
	__u32 pc;  /* ELF virtual address, less the table's base */
	__u16 cfa; /* see enum unwind_kind */
	__u8 rbp;  /* RSP, RBP: caller's rbp is at CFA - 8 * rbp; 0: rbp is unchanged */
	__u8 kind; /* enum unwind_kind */
};

_Static_assert(sizeof(struct unwind_row) == 8, "a row is eight bytes on both sides");

/* Where a caller's value is. A register here has its DWARF number (x86-64: rbp 6, rsp 7). */
enum unwind_where {
	UNWIND_UNCHANGED = 0, /* still in its register */
	UNWIND_AT_CFA,        /* in memory at CFA + offset */
	UNWIND_IS_CFA,        /* it is CFA + offset */
	UNWIND_AT_REGISTER,   /* in memory at register + offset */
	UNWIND_IN_REGISTER,   /* it is register + offset */
};

struct unwind_value {
	__s32 offset;
	__u8 where; /* enum unwind_where */
	__u8 reg;
	__u16 reserved;
};

struct unwind_rule {
	__s32 cfa_offset; /* CFA = register + cfa_offset + index * scale, */
	__s32 cfa_add;	  /* or, where dereferenced, *(that) + cfa_add */
	__u8 cfa_register;
	__u8 cfa_dereference; /* 0 or 1 */
	__u8 signal;	      /* 1: the caller was interrupted: its pc is no return address */
	__u8 cfa_scale;	      /* 0: there is no index */
	__u8 cfa_index;	      /* register */
	__u8 reserved[3];
	struct unwind_value ra, fp; /* return address and frame pointer of the caller; its sp is the CFA */
};

_Static_assert(sizeof(struct unwind_rule) == 32, "a rule is 32 bytes on both sides");

#endif

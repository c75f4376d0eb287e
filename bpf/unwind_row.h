/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Unwind rows: what .eh_frame says, in eight bytes a row.
 *
 * symbolizer/eh_frame.c writes rows, the BPF unwinder (bpf/unwind.h) reads them; the host tests read
 * them too. Rows of one table are sorted by pc; a row holds from its pc up to the next row's pc.
 *
 *	 0       4     6    7    8
 *	+-------+-----+----+----+
 *	|  pc   | cfa |rbp |kind|
 *	+-------+-----+----+----+
 *
 * x86-64: the return address is always at CFA-8 in the kinds below, the caller's rsp is the CFA.
 */
#ifndef WIREPROF_UNWIND_ROW_H
#define WIREPROF_UNWIND_ROW_H

#include <linux/types.h>

enum unwind_kind {
	UNWIND_NONE = 0,    /* no CFI for this address: the gap after a function */
	UNWIND_END,         /* return address undefined: the thread's outermost frame */
	UNWIND_RSP,         /* CFA = rsp + 8 * cfa */
	UNWIND_RBP,         /* CFA = rbp + 8 * cfa */
	UNWIND_PLT,         /* CFA = rsp + 8 + ((pc & 15) >= cfa ? 8 : 0); cfa is the threshold */
	UNWIND_EXTENDED,    /* cfa is an index into the table's extended rules (not emitted yet) */
	UNWIND_UNSUPPORTED, /* CFI that no row can express yet */
	UNWIND_KINDS,
};

struct unwind_row {
	__u32 pc;  /* ELF virtual address, less the table's base */
	__u16 cfa; /* see enum unwind_kind */
	__u8 rbp;  /* caller's rbp is at CFA - 8 * rbp; 0: rbp is unchanged */
	__u8 kind; /* enum unwind_kind */
};

_Static_assert(sizeof(struct unwind_row) == 8, "a row is eight bytes on both sides");

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is particular to x86-64 in call frame information: register numbers (System V ABI,
 * figure 3.36) and how a decoded rule becomes a row. Another architecture is another file like this
 * one.
 */
#ifndef WIREPROF_CFI_X86_64_H
#define WIREPROF_CFI_X86_64_H

#include "cfi.h"

enum { X86_RBP = 6, X86_RSP = 7, X86_RIP = 16 };

static inline int cfi_arch_slot(uint64_t dwarf_register)
{
	switch (dwarf_register) {
	case X86_RBP:
		return CFI_FP;
	case X86_RSP:
		return CFI_SP;
	case X86_RIP:
		return CFI_RA;
	default:
		return -1;
	}
}

static inline bool cfi_arch_return_column_ok(uint64_t column)
{
	return column == X86_RIP;
}

/*
 * The linker describes a lazy PLT (16-byte entries that push one word after `threshold` bytes) by
 *	DW_OP_breg7 8; breg16 0; lit15; and; lit<threshold>; ge; lit3; shl; plus
 * that is, CFA = rsp + 8 + (((rip & 15) >= threshold) << 3).
 */
static inline bool cfi_arch_is_plt(const uint8_t *e, size_t n, uint16_t *threshold)
{
	static const uint8_t before[] = {0x77, 0x08, 0x80, 0x00, 0x3f, 0x1a};
	static const uint8_t after[] = {0x2a, 0x33, 0x24, 0x22};

	if (n != sizeof(before) + 1 + sizeof(after) || memcmp(e, before, sizeof(before)) != 0 ||
	    memcmp(e + sizeof(before) + 1, after, sizeof(after)) != 0)
		return false;
	if (e[sizeof(before)] < 0x30 || e[sizeof(before)] > 0x3f) /* DW_OP_lit0..lit15 */
		return false;
	*threshold = e[sizeof(before)] - 0x30;
	return true;
}

/* CFA - 8 * *words holds the caller's rbp; 0: it is still in rbp. False: no row can say it. */
static inline bool cfi_arch_rbp(const struct cfi_rule *r, uint8_t *words)
{
	*words = 0;
	if (r->how == CFI_UNSPECIFIED || r->how == CFI_SAME)
		return true;
	if (r->how != CFI_AT_CFA || r->offset >= 0 || r->offset < -8 * 255 || r->offset % 8 != 0)
		return false;
	*words = (uint8_t)(-r->offset / 8);
	return true;
}

/* The one place that decides what a row can express. Whatever it cannot is UNWIND_UNSUPPORTED. */
static inline struct unwind_row cfi_arch_row(const struct cfi_state *s, bool unsupported)
{
	const struct unwind_row no = {.kind = UNWIND_UNSUPPORTED};
	const struct cfi_rule *ra = &s->rule[CFI_RA], *sp = &s->rule[CFI_SP];
	struct unwind_row row = {0};

	if (unsupported)
		return no;
	if (ra->how == CFI_UNDEFINED) {
		row.kind = UNWIND_END;
		return row;
	}
	if (ra->how != CFI_AT_CFA || ra->offset != -8)
		return no;
	if (sp->how != CFI_UNSPECIFIED && (sp->how != CFI_IS_CFA || sp->offset != 0))
		return no;
	if (!cfi_arch_rbp(&s->rule[CFI_FP], &row.rbp))
		return no;
	if (s->cfa_how == CFI_CFA_EXPRESSION) {
		row.kind = UNWIND_PLT;
		if (row.rbp != 0 || !cfi_arch_is_plt(s->expression, s->expression_bytes, &row.cfa))
			return no;
		return row;
	}
	if (s->cfa_how != CFI_CFA_REGISTER || s->cfa_offset < 0 || s->cfa_offset % 8 != 0 ||
	    s->cfa_offset / 8 > UINT16_MAX)
		return no;
	if (s->cfa_register == X86_RSP)
		row.kind = UNWIND_RSP;
	else if (s->cfa_register == X86_RBP)
		row.kind = UNWIND_RBP;
	else
		return no;
	row.cfa = (uint16_t)(s->cfa_offset / 8);
	return row;
}

#endif

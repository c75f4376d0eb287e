/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is particular to x86-64 in call frame information: register numbers (System V ABI,
 * figure 3.36), which states a row says in its eight bytes, and what a signal frame looks like.
 * Another architecture is another file like this one.
 */
#ifndef WIREPROF_CFI_X86_64_H
#define WIREPROF_CFI_X86_64_H

#include <elf.h>
#include "cfi.h"

#define CFI_ARCH_MACHINE   EM_X86_64
#define CFI_ARCH_REGISTERS 16 /* the general ones: what a rule may refer to */

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

/* The row that says what a state says; false where it takes more than a row. */
static inline bool cfi_arch_row(const struct cfi_state *s, struct unwind_row *row)
{
	const struct cfi_rule *ra = &s->rule[CFI_RA], *sp = &s->rule[CFI_SP];

	*row = (struct unwind_row){0};
	if (ra->how == CFI_UNDEFINED) {
		row->kind = UNWIND_END;
		return true;
	}
	if (ra->how != CFI_AT_CFA || ra->offset != -8 || !cfi_arch_rbp(&s->rule[CFI_FP], &row->rbp))
		return false;
	if (sp->how != CFI_UNSPECIFIED && (sp->how != CFI_IS_CFA || sp->offset != 0))
		return false;
	if (s->cfa_how == CFI_CFA_EXPRESSION) {
		row->kind = UNWIND_PLT;
		return row->rbp == 0 &&
		       cfi_arch_is_plt(s->expression, s->expression_bytes, &row->cfa);
	}
	if (s->cfa_how != CFI_CFA_REGISTER || s->cfa_offset < 0 || s->cfa_offset % 8 != 0 ||
	    s->cfa_offset / 8 > UINT16_MAX)
		return false;
	row->cfa = (uint16_t)(s->cfa_offset / 8);
	row->kind = s->cfa_register == X86_RSP ? UNWIND_RSP : UNWIND_RBP;
	return s->cfa_register == X86_RSP || s->cfa_register == X86_RBP;
}

/* Whether a rule is sound here: a return address is in memory or, for a moment, in a register. */
static inline bool cfi_arch_rule_ok(const struct unwind_rule *r)
{
	return r->ra.where != UNWIND_UNCHANGED;
}

/*
 * The kernel's frame, as glibc describes it: rsp points to the struct ucontext, whose registers are
 *
 *	rsp + 40	struct sigcontext: r8 ... r15, rdi, rsi,
 *	rsp + 120	rbp
 *	rsp + 160	rsp	(rbx, rdx, rax, rcx are between)
 *	rsp + 168	rip
 */
enum { X86_UCONTEXT_RBP = 120, X86_UCONTEXT_RSP = 160, X86_UCONTEXT_RIP = 168 };

static inline bool cfi_arch_is_saved(const struct unwind_value *v, int32_t offset)
{
	return v->where == UNWIND_AT_REGISTER && v->reg == X86_RSP && v->offset == offset;
}

static inline bool cfi_arch_is_signal_frame(const struct unwind_rule *r)
{
	return r->cfa_dereference && r->cfa_register == X86_RSP &&
	       r->cfa_offset == X86_UCONTEXT_RSP && r->cfa_add == 0 &&
	       cfi_arch_is_saved(&r->ra, X86_UCONTEXT_RIP) &&
	       cfi_arch_is_saved(&r->fp, X86_UCONTEXT_RBP);
}

/*
 * What a signal handler returns to, in libraries that have no call frame information for it:
 *	48 c7 c0 0f 00 00 00	mov $15,%rax	(or b8 0f 00 00 00, mov $15,%eax)
 *	0f 05			syscall
 * Both forms end in the same bytes, which are looked for first.
 */
static const uint8_t cfi_arch_sigreturn[] = {0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};

/* How many bytes before them the sequence starts, of `n` that there are; 0: it is none. */
static inline size_t cfi_arch_sigreturn_lead(const uint8_t *at, size_t n)
{
	if (n >= 3 && at[-3] == 0x48 && at[-2] == 0xc7 && at[-1] == 0xc0)
		return 3;
	return n >= 1 && at[-1] == 0xb8;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call frame instructions (DWARF 5, section 6.4): the state machine that says, for each address of
 * a function, where its caller's registers are. eh_frame.c finds the records, this executes them.
 *
 * Only the registers that a row can speak of are followed; rules for the others are parsed and
 * dropped.
 */
#ifndef WIREPROF_CFI_H
#define WIREPROF_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "dwarf_cursor.h"
#include "row_sink.h"

/* DW_CFA_remember_state nests one or two deep in compiled code. */
#define CFI_STATE_DEPTH 16

enum cfi_how {
	CFI_UNSPECIFIED = 0, /* no instruction spoke of the register: what the ABI says */
	CFI_SAME,
	CFI_UNDEFINED,
	CFI_AT_CFA,      /* saved at CFA + offset */
	CFI_IS_CFA,      /* its value is CFA + offset */
	CFI_AT_REGISTER, /* saved at reg + offset */
	CFI_IN_REGISTER, /* its value is reg + offset */
	CFI_COMPLEX,     /* an expression that is none of these */
};

struct cfi_rule {
	int64_t offset;
	enum cfi_how how;
	uint32_t reg; /* DWARF number */
};

enum cfi_cfa_how { CFI_CFA_NONE = 0, CFI_CFA_REGISTER, CFI_CFA_EXPRESSION };

/* The registers that are followed; the architecture's header maps DWARF numbers to these. */
enum cfi_slot { CFI_FP, CFI_SP, CFI_RA, CFI_SLOTS };

struct cfi_state {
	enum cfi_cfa_how cfa_how;
	uint64_t cfa_register; /* DWARF number */
	int64_t cfa_offset;
	const uint8_t *expression; /* into the section */
	size_t expression_bytes;
	struct cfi_rule rule[CFI_SLOTS];
};

/* What the functions of one CIE have in common. */
struct cfi_cie {
	uint64_t code_align;
	int64_t data_align;
	uint8_t pointer_encoding;
	bool augmented;   /* 'z': each FDE has augmentation data to skip */
	bool unsupported; /* a return address column that is not the ABI's */
	bool signal;      /* 'S': its functions' callers were interrupted */
	bool bad;         /* does not parse: neither do its FDEs */
	struct cfi_state initial;
};

/* Executes a CIE's own instructions into cie->initial. Returns 0 or -EPROTO. */
int cfi_run_cie(struct cfi_cie *cie, struct cursor instructions);
/*
 * Executes the instructions of the function at [pc, end) and puts its rows; reserve one row for
 * each byte of instructions, and one more. Returns 0, or -EPROTO with the sink as it was.
 */
int cfi_run_fde(const struct cfi_cie *cie, struct cursor instructions, uint64_t pc, uint64_t end,
		struct row_sink *sink);

/*
 * cfi_rule.c: what no row says. Fills *rule; false where a rule cannot say it either.
 */
bool cfi_extended_rule(const struct cfi_state *s, bool signal, struct unwind_rule *rule);
/* The rule that DW_CFA_expression gives a register; DW_CFA_val_expression where is_value. */
struct cfi_rule cfi_expression_rule(struct cursor expression, bool is_value);

#endif

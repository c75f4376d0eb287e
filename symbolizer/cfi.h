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
#include "../bpf/unwind_row.h"
#include "dwarf_cursor.h"

/* DW_CFA_remember_state nests one or two deep in compiled code. */
#define CFI_STATE_DEPTH 16

enum cfi_how {
	CFI_UNSPECIFIED = 0, /* no instruction spoke of the register: what the ABI says */
	CFI_SAME,
	CFI_UNDEFINED,
	CFI_AT_CFA,  /* saved at CFA + offset */
	CFI_IS_CFA,  /* its value is CFA + offset */
	CFI_COMPLEX, /* in another register, or computed by an expression */
};

struct cfi_rule {
	int64_t offset;
	enum cfi_how how;
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
	bool unsupported; /* signal frame, or a return address column that is not the ABI's */
	bool bad;         /* does not parse: neither do its FDEs */
	struct cfi_state initial;
};

/* Rows under construction, in ascending order of pc. */
struct row_sink {
	struct unwind_row *rows;
	size_t n, capacity;
	uint64_t base;  /* vaddr of row.pc == 0 */
	uint64_t floor; /* vaddr below which all is said: the end of the last function */
};

/* Makes room for `extra` more rows. Returns 0 or -ENOMEM. */
int row_sink_reserve(struct row_sink *s, size_t extra);
/* From vaddr on, `row` holds (its pc is filled in here). There must be room. */
void row_sink_put(struct row_sink *s, uint64_t vaddr, struct unwind_row row);

/* Executes a CIE's own instructions into cie->initial. Returns 0 or -EPROTO. */
int cfi_run_cie(struct cfi_cie *cie, struct cursor instructions);
/*
 * Executes the instructions of the function at [pc, end) and puts its rows; reserve one row for
 * each byte of instructions, and one more. Returns 0, or -EPROTO with the sink as it was.
 */
int cfi_run_fde(const struct cfi_cie *cie, struct cursor instructions, uint64_t pc, uint64_t end,
		struct row_sink *sink);

#endif

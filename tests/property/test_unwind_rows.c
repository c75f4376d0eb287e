/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Property: our unwind rows say what libdw says, at each byte of each object's text.
 *
 * libdw (dwarf_cfi_addrframe) is slow, but everybody's reference. Two walks over an object:
 *
 *	libdw's intervals	each row of ours that overlaps one must say the same
 *	our rows		libdw is asked anew at a row's first and last byte
 *
 * Where we say UNSUPPORTED libdw must indeed have something that no row expresses; what rows
 * express is written down here once more, in terms of libdw's operations.
 *
 *	test_unwind_rows [FILE ...]	instead of the default objects; what is not ELF is skipped
 */
#include <elfutils/libdw.h>
#include <dwarf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "symbolizer/elf_object.h"

enum { RBP = 6, RSP = 7, RIP = 16 };

#define PADDING_MAX       16
#define SHOWN_DIFFERENCES 5

static const char *const default_objects[] = {
	"/usr/lib/x86_64-linux-gnu/libc.so.6",
	"/usr/lib64/ld-linux-x86-64.so.2",
	"/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
	"/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
	"/usr/bin/redis-server",
	"/usr/bin/bash",
	"/proc/self/exe",
};

struct totals {
	uint64_t objects, rows, differences, text, unsupported, bad_fdes, refused;
};

struct check {
	const char *path;
	Dwarf_CFI *cfi;
	struct unwind_rows u;
	uint64_t text, text_end;
	uint64_t differences;
	uint64_t refused; /* bytes that libdw cannot judge */
};

/* A register's rule, as libdw tells it. */
enum rule { SAME, UNDEFINED, AT_CFA, IS_CFA, OTHER };

static enum rule rule_of(Dwarf_Frame *frame, int reg, int64_t *offset)
{
	Dwarf_Op memory[3], *ops;
	size_t n;

	*offset = 0;
	if (dwarf_frame_register(frame, reg, memory, &ops, &n) != 0)
		return OTHER;
	if (n == 0)
		return ops == memory ? UNDEFINED : SAME;
	if (ops[0].atom != DW_OP_call_frame_cfa)
		return OTHER;
	if (n == 1)
		return AT_CFA;
	if (ops[1].atom == DW_OP_stack_value)
		return n == 2 ? IS_CFA : OTHER;
	if (ops[1].atom != DW_OP_plus_uconst)
		return OTHER;
	*offset = (int64_t)ops[1].number;
	if (n == 2)
		return AT_CFA;
	return n == 3 && ops[2].atom == DW_OP_stack_value ? IS_CFA : OTHER;
}

/* The PLT expression; returns its threshold, or -1. */
static int plt_threshold(const Dwarf_Op *ops, size_t n)
{
	static const int atoms[] = {DW_OP_breg7, DW_OP_breg16, DW_OP_lit15, DW_OP_and, -1,
				    DW_OP_ge,    DW_OP_lit3,   DW_OP_shl,   DW_OP_plus};

	if (n != sizeof(atoms) / sizeof(atoms[0]) || (int64_t)ops[0].number != 8 ||
	    ops[1].number != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (atoms[i] >= 0 && ops[i].atom != atoms[i])
			return -1;
	if (ops[4].atom < DW_OP_lit0 || ops[4].atom > DW_OP_lit15)
		return -1;
	return ops[4].atom - DW_OP_lit0;
}

static bool cfa_row(Dwarf_Frame *frame, struct unwind_row *row)
{
	int threshold;
	Dwarf_Op *ops;
	int64_t off;
	size_t n;

	if (dwarf_frame_cfa(frame, &ops, &n) != 0)
		return false;
	threshold = plt_threshold(ops, n);
	if (threshold >= 0) {
		row->kind = UNWIND_PLT;
		row->cfa = (uint16_t)threshold;
		return row->rbp == 0;
	}
	if (n != 1 || ops[0].atom != DW_OP_bregx)
		return false;
	off = (int64_t)ops[0].number2;
	if (off < 0 || off % 8 || off / 8 > 65535 || (ops[0].number != RSP && ops[0].number != RBP))
		return false;
	row->kind = ops[0].number == RSP ? UNWIND_RSP : UNWIND_RBP;
	row->cfa = (uint16_t)(off / 8);
	return true;
}

/* The row that we should have where libdw has `frame` (NULL: nothing). */
static struct unwind_row expected_row(Dwarf_Frame *frame)
{
	const struct unwind_row none = {.kind = UNWIND_NONE};
	const struct unwind_row unsupported = {.kind = UNWIND_UNSUPPORTED};
	const struct unwind_row end = {.kind = UNWIND_END};
	struct unwind_row row = {0};
	bool is_signal = false;
	enum rule ra, rsp, rbp;
	int64_t off;
	int column;

	if (!frame)
		return none;
	column = dwarf_frame_info(frame, NULL, NULL, &is_signal);
	if (is_signal || column != RIP)
		return unsupported;
	ra = rule_of(frame, RIP, &off);
	if (ra == UNDEFINED)
		return end;
	if (ra != AT_CFA || off != -8)
		return unsupported;
	rsp = rule_of(frame, RSP, &off);
	/* libdw knows the ABI's rule for rsp: its value is the CFA */
	if (rsp != IS_CFA || off != 0)
		return unsupported;
	rbp = rule_of(frame, RBP, &off);
	if (rbp == AT_CFA && off < 0 && off % 8 == 0 && off >= -8 * 255)
		row.rbp = (uint8_t)(-off / 8);
	else if (rbp != SAME)
		return unsupported;
	return cfa_row(frame, &row) ? row : unsupported;
}

/*
 * What libdw has at an address: a frame, or NULL. *refused: it calls the function's CFI invalid
 * from there on. We may know better: libgcrypt has some that libgcc and gdb take.
 */
static Dwarf_Frame *frame_at(struct check *c, uint64_t vaddr, bool *refused)
{
	Dwarf_Frame *frame = NULL;
	Dwarf_Op *ops;
	size_t n;

	*refused = false;
	if (dwarf_cfi_addrframe(c->cfi, vaddr, &frame) != 0) {
		*refused = !strstr(dwarf_errmsg(dwarf_errno()), "no matching");
		return NULL;
	}
	if (dwarf_frame_cfa(frame, &ops, &n) == 0)
		return frame;
	*refused = true;
	free(frame);
	return NULL;
}

static void compare(struct check *c, uint64_t vaddr, const struct unwind_row *row,
		    struct unwind_row want)
{
	if (row->kind == want.kind && row->cfa == want.cfa && row->rbp == want.rbp)
		return;
	if (c->differences++ < SHOWN_DIFFERENCES)
		fprintf(stderr,
			"%s: %#" PRIx64 ": kind %d cfa %d rbp %d, libdw: kind %d cfa %d rbp %d\n",
			c->path, vaddr, row->kind, row->cfa, row->rbp, want.kind, want.cfa,
			want.rbp);
}

static uint64_t row_start(const struct check *c, size_t i)
{
	return c->u.base + c->u.rows[i].pc;
}

static uint64_t row_end(const struct check *c, size_t i)
{
	return i + 1 < c->u.n_rows ? row_start(c, i + 1) : c->text_end;
}

/* The rows that overlap [from, to), in a walk of ascending addresses; *i is where it stands. */
static void compare_interval(struct check *c, size_t *i, uint64_t from, uint64_t to,
			     struct unwind_row want)
{
	const struct unwind_row none = {.kind = UNWIND_NONE};

	while (*i < c->u.n_rows && row_end(c, *i) <= from)
		++*i;
	if (*i == c->u.n_rows || row_start(c, *i) > from)
		compare(c, from, &none, want);
	for (size_t k = *i; k < c->u.n_rows && row_start(c, k) < to; k++)
		compare(c, row_start(c, k) > from ? row_start(c, k) : from, &c->u.rows[k], want);
}

static void walk_libdw(struct check *c)
{
	const struct unwind_row none = {.kind = UNWIND_NONE};
	uint64_t at = c->text, gap = c->text;
	bool any = false;
	size_t i = 0;

	while (at < c->text_end) {
		bool refused;
		Dwarf_Frame *frame = frame_at(c, at, &refused);
		Dwarf_Addr start, end;

		if (refused) {
			c->refused++;
			gap = ++at;
			continue;
		}
		if (!frame) {
			at++;
			continue;
		}
		dwarf_frame_info(frame, &start, &end, NULL);
		if (start < at)
			start = at;
		/* Padding may be folded into what is before it. */
		if (at > gap && (!any || at - gap > PADDING_MAX))
			compare_interval(c, &i, gap, at, none);
		compare_interval(c, &i, at, end, expected_row(frame));
		free(frame);
		any = true;
		at = gap = end;
	}
	if (at > gap)
		compare_interval(c, &i, gap, at, none);
}

/* How long is the run of bytes around vaddr that libdw knows nothing of? Counts up to PADDING_MAX
 * + 1. */
static unsigned int gap_around(struct check *c, uint64_t vaddr)
{
	unsigned int n = 1;
	bool refused;
	Dwarf_Frame *f;

	for (uint64_t a = vaddr; n <= PADDING_MAX && a > c->text; n++) {
		f = frame_at(c, --a, &refused);
		free(f);
		if (f || refused)
			break;
	}
	for (uint64_t a = vaddr; n <= PADDING_MAX && a + 1 < c->text_end; n++) {
		f = frame_at(c, ++a, &refused);
		free(f);
		if (f || refused)
			break;
	}
	return n;
}

static void walk_rows(struct check *c)
{
	for (size_t i = 0; i < c->u.n_rows; i++) {
		uint64_t at[2] = {row_start(c, i), row_end(c, i) - 1};

		if (i && row_start(c, i) <= row_start(c, i - 1)) {
			fprintf(stderr, "%s: rows out of order at %zu\n", c->path, i);
			c->differences++;
		}
		for (int k = 0; k < 2; k++) {
			Dwarf_Frame *frame;
			bool refused;

			if (row_start(c, i) >= c->text_end)
				break; /* the one after the last function */
			frame = frame_at(c, at[k], &refused);
			if (refused)
				continue;
			if (frame || gap_around(c, at[k]) > PADDING_MAX)
				compare(c, at[k], &c->u.rows[i], expected_row(frame));
			free(frame);
		}
	}
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void check_object(struct check *c, struct elf_object *o, struct totals *t)
{
	double start = now_ms(), ms;
	int err = elf_object_unwind_rows(o, &c->u);

	ms = now_ms() - start;
	if (err) {
		fprintf(stderr, "%s: no rows: %s\n", c->path, strerror(-err));
		c->differences++;
	} else if (c->cfi && elf_object_text(o, &c->text, &c->text_end)) {
		walk_libdw(c);
		walk_rows(c);
	}
	printf("%-50s rows %8zu  %7.2f ms  unsupported %.4f %%  bad FDEs %" PRIu64
	       "  differences %" PRIu64 "\n",
	       c->path, c->u.n_rows, ms,
	       c->text_end > c->text
		       ? 100.0 * (double)c->u.unsupported_bytes / (double)(c->text_end - c->text)
		       : 0.0,
	       c->u.bad_fdes, c->differences);
	t->objects++;
	t->rows += c->u.n_rows;
	t->text += c->text_end - c->text;
	t->unsupported += c->u.unsupported_bytes;
	t->bad_fdes += c->u.bad_fdes;
	t->refused += c->refused;
	t->differences += c->differences;
	unwind_rows_free(&c->u);
}

/* Returns false where the file is not an ELF object that either of us reads. */
static bool check_file(const char *path, struct totals *t)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct check c = {.path = path};
	struct elf_object *o = NULL;
	Elf *elf = NULL;
	bool ok = false;

	if (fd < 0)
		return false;
	if (elf_object_open(fd, path, "", &o) != 0)
		goto out;
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (!elf)
		goto out;
	c.cfi = dwarf_getcfi_elf(elf);
	check_object(&c, o, t);
	ok = true;
out:
	if (c.cfi)
		dwarf_cfi_end(c.cfi);
	elf_end(elf);
	elf_object_free(o);
	close(fd);
	return ok;
}

int main(int argc, char **argv)
{
	const size_t n_default = sizeof(default_objects) / sizeof(default_objects[0]);
	struct totals t = {0};

	elf_version(EV_CURRENT);
	if (argc > 1) {
		for (int i = 1; i < argc; i++)
			check_file(argv[i], &t);
	} else {
		for (size_t i = 0; i < n_default; i++)
			if (!check_file(default_objects[i], &t))
				printf("%s: not here, skipped\n", default_objects[i]);
	}
	printf("objects %" PRIu64 "  rows %" PRIu64 "  unsupported %.4f %% of %" PRIu64
	       " text bytes  bad FDEs %" PRIu64 "  bytes that libdw refuses %" PRIu64
	       "  differences %" PRIu64 "\n",
	       t.objects, t.rows, t.text ? 100.0 * (double)t.unsupported / (double)t.text : 0.0,
	       t.text, t.bad_fdes, t.refused, t.differences);
	if (t.objects == 0) {
		fprintf(stderr, "no object was checked\n");
		return 1;
	}
	return t.differences != 0;
}

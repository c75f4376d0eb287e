/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Property: our unwind rows say what libdw says, at each byte of each object's text.
 *
 * libdw (dwarf_cfi_addrframe) is slow, but everybody's reference. Two walks over an object:
 *
 *	libdw's intervals	each row of ours that overlaps one must say the same
 *	our rows		libdw is asked anew at a row's first and last byte
 *
 * libdw's word is that of .eh_frame, or where that has none, of .debug_frame. Plain rows are compared
 * by form, as what they express is written down here once more in terms of libdw's operations; the
 * others (EXTENDED, SIGNAL) by meaning: frame_meaning.h executes both. Where we say UNSUPPORTED libdw
 * must indeed have something that no rule expresses. Signal frames that we find without CFI must be
 * the bytes of rt_sigreturn. Go's functions, which .debug_frame knows less of than their own table,
 * are left to test_go_steps.
 *
 *	test_unwind_rows [FILE ...]	instead of the default objects; what is not ELF is skipped
 *	test_unwind_rows -		their names are read from standard input
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
#include "property/frame_meaning.h"
#include "symbolizer/elf_object.h"
#include "symbolizer/go_pclntab.h"

#define PADDING_MAX       16
#define SHOWN_DIFFERENCES 5
#define WORST_SHOWN       10
#define DEBUG_DIR         "/usr/lib/debug/.build-id"

static const char *const default_objects[] = {
	"/usr/lib/x86_64-linux-gnu/libc.so.6",
	"/usr/lib64/ld-linux-x86-64.so.2",
	"/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
	"/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
	"/usr/bin/redis-server",
	"/usr/bin/bash",
	"/proc/self/exe",
};

struct worst {
	char path[256];
	uint64_t unsupported, text;
};

struct totals {
	uint64_t objects, rows, differences, text, unsupported, bad_fdes, refused;
	uint64_t of_kind[UNWIND_KINDS], rules, rules_most, compared_by_meaning, left_to_go;
	struct worst worst[WORST_SHOWN];
};

struct check {
	const char *path;
	const struct elf_object *object;
	int fd;
	Dwarf_CFI *cfi;   /* .eh_frame; NULL: none */
	Dwarf_CFI *debug; /* .debug_frame */
	bool debug_is_cut; /* libdw takes a word of padding for that section's end */
	struct go_pclntab *go; /* NULL: not Go's */
	struct unwind_rows u;
	uint64_t compared_by_meaning, left_to_go;
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
 * What a section of libdw's has at an address: a frame, or NULL. *refused: it calls the function's
 * CFI invalid from there on. We may know better: libgcrypt has some that libgcc and gdb take.
 */
static Dwarf_Frame *frame_in(Dwarf_CFI *cfi, uint64_t vaddr, bool *refused)
{
	Dwarf_Frame *frame = NULL;
	Dwarf_Op *ops;
	size_t n;

	*refused = false;
	if (!cfi)
		return NULL;
	if (dwarf_cfi_addrframe(cfi, vaddr, &frame) != 0) {
		*refused = !strstr(dwarf_errmsg(dwarf_errno()), "no matching");
		return NULL;
	}
	if (dwarf_frame_cfa(frame, &ops, &n) == 0)
		return frame;
	*refused = true;
	free(frame);
	return NULL;
}

static Dwarf_Frame *frame_at(struct check *c, uint64_t vaddr, bool *refused)
{
	Dwarf_Frame *frame = frame_in(c->cfi, vaddr, refused);

	return frame || *refused ? frame : frame_in(c->debug, vaddr, refused);
}

/* Whether .eh_frame speaks of an address. */
static bool in_eh_frame(struct check *c, uint64_t vaddr)
{
	bool refused;
	Dwarf_Frame *frame = frame_in(c->cfi, vaddr, &refused);

	free(frame);
	return frame || refused;
}

/* How long is the run of bytes around vaddr that a section knows nothing of? Counts up to
 * PADDING_MAX + 1. */
static unsigned int gap_around(struct check *c, uint64_t vaddr, bool eh_frame_only)
{
	unsigned int n = 1;

	for (int step = -1; step <= 1; step += 2) {
		for (uint64_t a = vaddr; n <= PADDING_MAX; n++) {
			bool refused;
			Dwarf_Frame *f;

			a += (uint64_t)(int64_t)step;
			if (a < c->text || a >= c->text_end)
				break;
			f = eh_frame_only ? frame_in(c->cfi, a, &refused) : frame_at(c, a, &refused);
			free(f);
			if (f || refused)
				break;
		}
	}
	return n;
}

/* A SIGNAL row of ours, of which no CFI speaks: the bytes of rt_sigreturn, from one byte early on. */
static bool is_sigreturn(struct check *c, uint64_t start, uint64_t end)
{
	static const uint8_t forms[2][9] = {{0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05},
					    {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05}};
	struct elf_segment segment;
	uint8_t bytes[9];

	for (size_t k = 0; k < 2; k++) {
		size_t n = k == 0 ? 9 : 7;

		if (end - start < n || end - start > n + 1 ||
		    !elf_object_segment_of(c->object, end - n, &segment) ||
		    pread(c->fd, bytes, n, (off_t)(segment.offset + (end - n - segment.vaddr))) !=
			    (ssize_t)n)
			continue;
		if (memcmp(bytes, forms[k], n) == 0)
			return true;
	}
	return false;
}

/* Whether vaddr is in a function of Go's. */
static bool is_go(struct check *c, uint64_t vaddr)
{
	struct go_function f;

	return c->go && go_pclntab_function(c->go, vaddr, &f);
}

static bool agree(struct check *c, uint64_t vaddr, const struct unwind_row *row, Dwarf_Frame *frame)
{
	struct unwind_row want = expected_row(frame);
	bool is_signal = row->kind == UNWIND_SIGNAL, libdw_signal;
	int column;

	if (want.kind != UNWIND_UNSUPPORTED)
		return row->kind == want.kind && row->cfa == want.cfa && row->rbp == want.rbp;
	column = dwarf_frame_info(frame, NULL, NULL, &libdw_signal);
	if (row->kind == UNWIND_UNSUPPORTED || column != RIP)
		return row->kind == UNWIND_UNSUPPORTED && (column != RIP || !is_expressible(frame));
	c->compared_by_meaning++;
	if (row->kind == UNWIND_EXTENDED)
		is_signal = c->u.rules[row->cfa].signal;
	return is_signal == libdw_signal && same_caller(frame, vaddr, row, c->u.rules);
}

/* `end` is the row's. */
static void compare(struct check *c, uint64_t vaddr, const struct unwind_row *row, uint64_t start,
		    uint64_t end, Dwarf_Frame *frame)
{
	if (agree(c, vaddr, row, frame))
		return;
	if (!in_eh_frame(c, vaddr)) {
		if (row->kind == UNWIND_SIGNAL && is_sigreturn(c, start, end))
			return;
		if (is_go(c, vaddr)) {
			c->left_to_go++;
			return;
		}
		/* Padding may be folded into what is before it. */
		if (gap_around(c, vaddr, true) <= PADDING_MAX ||
		    (!frame && gap_around(c, vaddr, false) <= PADDING_MAX))
			return;
	}
	if (!frame && c->debug_is_cut && !in_eh_frame(c, vaddr)) {
		c->refused++;
		return;
	}
	if (c->differences++ < SHOWN_DIFFERENCES) {
		struct unwind_row want = expected_row(frame);

		fprintf(stderr,
			"%s: %#" PRIx64 ": kind %d cfa %d rbp %d, libdw: kind %d cfa %d rbp %d\n",
			c->path, vaddr, row->kind, row->cfa, row->rbp, want.kind, want.cfa,
			want.rbp);
	}
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
			     Dwarf_Frame *frame)
{
	const struct unwind_row none = {.kind = UNWIND_NONE};

	while (*i < c->u.n_rows && row_end(c, *i) <= from)
		++*i;
	if (*i == c->u.n_rows || row_start(c, *i) > from)
		compare(c, from, &none, from, to, frame);
	for (size_t k = *i; k < c->u.n_rows && row_start(c, k) < to; k++)
		compare(c, row_start(c, k) > from ? row_start(c, k) : from, &c->u.rows[k],
			row_start(c, k), row_end(c, k), frame);
}

/* Where a frame ends: that of .debug_frame where .eh_frame begins to speak. */
static uint64_t frame_end(struct check *c, Dwarf_Frame *frame, uint64_t at)
{
	Dwarf_Addr start, end;

	dwarf_frame_info(frame, &start, &end, NULL);
	if (c->cfi && !in_eh_frame(c, at))
		for (uint64_t a = at + 1; a < end; a++)
			if (in_eh_frame(c, a))
				return a;
	return end;
}

static void walk_libdw(struct check *c)
{
	uint64_t at = c->text, gap = c->text;
	bool any = false;
	size_t i = 0;

	while (at < c->text_end) {
		bool refused;
		Dwarf_Frame *frame = frame_at(c, at, &refused);
		uint64_t end;

		if (refused) {
			c->refused++;
			gap = ++at;
			continue;
		}
		if (!frame) {
			at++;
			continue;
		}
		end = frame_end(c, frame, at);
		/* Padding may be folded into what is before it. */
		if (at > gap && (!any || at - gap > PADDING_MAX))
			compare_interval(c, &i, gap, at, NULL);
		compare_interval(c, &i, at, end, frame);
		free(frame);
		any = true;
		at = gap = end;
	}
	if (at > gap)
		compare_interval(c, &i, gap, at, NULL);
}

static void walk_rows(struct check *c)
{
	for (size_t i = 0; i < c->u.n_rows; i++) {
		uint64_t at[2] = {row_start(c, i), row_end(c, i) - 1};

		if (i && row_start(c, i) <= row_start(c, i - 1)) {
			fprintf(stderr, "%s: rows out of order at %zu\n", c->path, i);
			c->differences++;
		}
		if (c->u.rows[i].kind == UNWIND_EXTENDED && c->u.rows[i].cfa >= c->u.n_rules) {
			fprintf(stderr, "%s: row %zu has no rule\n", c->path, i);
			c->differences++;
			continue;
		}
		for (int k = 0; k < 2; k++) {
			Dwarf_Frame *frame;
			bool refused;

			if (row_start(c, i) >= c->text_end)
				break; /* the one after the last function */
			frame = frame_at(c, at[k], &refused);
			if (!refused)
				compare(c, at[k], &c->u.rows[i], row_start(c, i), row_end(c, i),
					frame);
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

static uint64_t text_bytes(const struct check *c)
{
	return c->text_end > c->text ? c->text_end - c->text : 0;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0.0;
}

/* The list is in descending order of unsupported bytes. */
static void note_worst(struct totals *t, const struct check *c)
{
	size_t i = WORST_SHOWN;

	while (i && t->worst[i - 1].unsupported < c->u.unsupported_bytes)
		i--;
	if (i == WORST_SHOWN)
		return;
	memmove(&t->worst[i + 1], &t->worst[i], (WORST_SHOWN - 1 - i) * sizeof(t->worst[0]));
	snprintf(t->worst[i].path, sizeof(t->worst[i].path), "%s", c->path);
	t->worst[i].unsupported = c->u.unsupported_bytes;
	t->worst[i].text = text_bytes(c);
}

static void count(struct totals *t, const struct check *c)
{
	t->objects++;
	t->rows += c->u.n_rows;
	t->text += text_bytes(c);
	t->unsupported += c->u.unsupported_bytes;
	t->bad_fdes += c->u.bad_fdes;
	t->refused += c->refused;
	t->differences += c->differences;
	t->compared_by_meaning += c->compared_by_meaning;
	t->left_to_go += c->left_to_go;
	t->rules += c->u.n_rules;
	if (c->u.n_rules > t->rules_most)
		t->rules_most = c->u.n_rules;
	for (size_t i = 0; i < c->u.n_rows && c->u.rows[i].kind < UNWIND_KINDS; i++)
		t->of_kind[c->u.rows[i].kind] += row_end(c, i) - row_start(c, i);
	note_worst(t, c);
}

static void check_object(struct check *c, struct totals *t)
{
	double start = now_ms(), ms;
	int err = elf_object_described_rows(c->object, &c->u);

	ms = now_ms() - start;
	if (err && err != -EOPNOTSUPP) {
		fprintf(stderr, "%s: no rows: %s\n", c->path, strerror(-err));
		c->differences++;
	} else if (!err && elf_object_text(c->object, &c->text, &c->text_end)) {
		walk_libdw(c);
		walk_rows(c);
	}
	printf("%-50s rows %8zu  rules %4zu  %7.2f ms  unsupported %.4f %%  bad FDEs %" PRIu64
	       "  differences %" PRIu64 "\n",
	       c->path, c->u.n_rows, c->u.n_rules, ms,
	       percent(c->u.unsupported_bytes, text_bytes(c)), c->u.bad_fdes, c->differences);
	count(t, c);
	unwind_rows_free(&c->u);
}

/* Linkers put zeroes between the pieces of .debug_frame: readelf and we skip them. */
static bool is_cut(Dwarf *dwarf)
{
	Elf *elf = dwarf_getelf(dwarf);
	const uint8_t *ident = (const uint8_t *)elf_getident(elf, NULL);
	Dwarf_CFI_Entry entry;
	Elf_Scn *scn = NULL;
	size_t names;

	elf_getshdrstrndx(elf, &names);
	while ((scn = elf_nextscn(elf, scn))) {
		Dwarf_Off offset = 0, next;
		Elf_Data *data;
		GElf_Shdr sh;

		gelf_getshdr(scn, &sh);
		if (!sh.sh_name || strcmp(elf_strptr(elf, names, sh.sh_name), ".debug_frame") != 0)
			continue;
		data = elf_getdata(scn, NULL);
		while (data && dwarf_next_cfi(ident, data, false, offset, &next, &entry) == 0)
			offset = next;
		return data && offset < data->d_size;
	}
	return false;
}

/* .debug_frame, of the object or of its separate debug file (by build-id). */
static Dwarf *open_debug_frame(const struct elf_object *o, Elf *elf, int *debug_fd)
{
	Dwarf *dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
	const char *id = elf_object_build_id(o);
	char path[512];

	if ((dwarf && dwarf_getcfi(dwarf)) || strlen(id) < 4)
		return dwarf;
	snprintf(path, sizeof(path), DEBUG_DIR "/%.2s/%s.debug", id, id + 2);
	*debug_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*debug_fd < 0)
		return dwarf;
	dwarf_end(dwarf);
	return dwarf_begin(*debug_fd, DWARF_C_READ);
}

/* Returns false where the file is not an ELF object that either of us reads. */
static bool check_file(const char *path, struct totals *t)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), debug_fd = -1;
	struct check c = {.path = path, .fd = fd};
	struct elf_object *o = NULL;
	Dwarf *dwarf = NULL;
	Elf *elf = NULL;
	bool ok = false;

	if (fd < 0)
		return false;
	if (elf_object_open(fd, path, "", &o) != 0)
		goto out;
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (!elf)
		goto out;
	c.object = o;
	c.cfi = dwarf_getcfi_elf(elf);
	dwarf = open_debug_frame(o, elf, &debug_fd);
	c.debug = dwarf ? dwarf_getcfi(dwarf) : NULL;
	if (go_pclntab_open(o, &c.go) != 0)
		c.go = NULL;
	c.debug_is_cut = c.debug && is_cut(dwarf);
	check_object(&c, t);
	ok = true;
out:
	if (c.cfi)
		dwarf_cfi_end(c.cfi);
	dwarf_end(dwarf);
	elf_end(elf);
	go_pclntab_free(c.go);
	elf_object_free(o);
	if (debug_fd >= 0)
		close(debug_fd);
	close(fd);
	return ok;
}

static void check_listed(FILE *list, struct totals *t)
{
	char path[4096];

	while (fgets(path, sizeof(path), list)) {
		path[strcspn(path, "\n")] = 0;
		check_file(path, t);
	}
}

static void report(const struct totals *t)
{
	static const char *const kinds[] = {"none", "end",      "rsp",    "rbp",
					    "plt",  "extended", "signal", "unsupported"};

	printf("text bytes by kind:");
	for (size_t i = 0; i < UNWIND_KINDS; i++)
		printf(" %s %" PRIu64, kinds[i], t->of_kind[i]);
	printf("\nrules %" PRIu64 ", at most %" PRIu64 " an object; compared by meaning %" PRIu64
	       "; that differ in Go's functions %" PRIu64 "\n",
	       t->rules, t->rules_most, t->compared_by_meaning, t->left_to_go);
	for (size_t i = 0; i < WORST_SHOWN && t->worst[i].unsupported; i++)
		printf("unsupported: %8" PRIu64 " bytes, %.4f %%  %s\n", t->worst[i].unsupported,
		       percent(t->worst[i].unsupported, t->worst[i].text), t->worst[i].path);
	printf("objects %" PRIu64 "  rows %" PRIu64 "  unsupported %.6f %% of %" PRIu64
	       " text bytes  bad FDEs %" PRIu64 "  bytes that libdw refuses %" PRIu64
	       "  differences %" PRIu64 "\n",
	       t->objects, t->rows, percent(t->unsupported, t->text), t->text, t->bad_fdes,
	       t->refused, t->differences);
}

int main(int argc, char **argv)
{
	const size_t n_default = sizeof(default_objects) / sizeof(default_objects[0]);
	struct totals t = {0};

	elf_version(EV_CURRENT);
	if (argc == 2 && strcmp(argv[1], "-") == 0) {
		check_listed(stdin, &t);
	} else if (argc > 1) {
		for (int i = 1; i < argc; i++)
			check_file(argv[i], &t);
	} else {
		for (size_t i = 0; i < n_default; i++)
			if (!check_file(default_objects[i], &t))
				printf("%s: not here, skipped\n", default_objects[i]);
	}
	report(&t);
	if (t.objects == 0) {
		fprintf(stderr, "no object was checked\n");
		return 1;
	}
	return t.differences != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties of what is read from Go's pclntab, for each function of a program that has symbols and
 * DWARF:
 *
 *	names	are those of .symtab, shortened as Go shortens them
 *	rows	have libdw's CFA (of .debug_frame) at their first and last byte; but where the
 *function switches stacks or has no caller, of which .debug_frame does not know: those are listed
 *	rbp	is where the instructions of the prologue put it
 *	lines	the line of the innermost is libdw's
 *
 *	test_go_pclntab [FILE ...]	instead of a program that the installed Go builds
 */
#include <elfutils/libdw.h>
#include <dwarf.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "go_program.h"
#include "symbolizer/elf_object.h"
#include "symbolizer/go_pclntab.h"

enum { RSP = 7 };
#define SHOWN_DIFFERENCES 8

struct check {
	const char *path;
	struct elf_object *o;
	struct go_pclntab *g;
	Dwarf *dwarf;
	Dwarf_CFI *cfi;
	Elf *elf;
	uint64_t names, rows, lines, inlined, excused, differences;
};

/* Functions of which .debug_frame says what their stack was before they left it. */
static const char *const excused[] = {
	"runtime.goexit",
	"runtime.mstart",
	"runtime.rt0_go",
	"_rt0_amd64",
	"_rt0_amd64_linux",
	"runtime.mcall",
	"runtime.morestack",
	"runtime.gogo",
	"gogo",
	"runtime.clone",
	"runtime.systemstack",
	"runtime.asmcgocall",
	"runtime.cgocallback",
	"runtime.asyncPreempt",
	"runtime.sigpanic",
	"runtime.sigpanic0",
	"runtime.nanotime1",
	"runtime.walltime1",
	"runtime.vgetrandom1",
	"runtime.walltime",
	"time.now",
	"runtime.callCgoMmap",
	"runtime.callCgoMunmap",
	"runtime.sigfwd",
	"runtime.callCgoSigaction",
	"runtime.asmcgocall_no_g",
	"runtime.sigreturn",
	"runtime.sigreturn__sigaction",
	"runtime.switchToCrashStack0",
	"runtime.debugCallV2",
	"_rt0_amd64_lib",
	"time.runtimeNow",
	"syscall.rawVforkSyscall",
};

static bool is_excused(const char *name)
{
	for (size_t i = 0; i < sizeof(excused) / sizeof(excused[0]); i++)
		if (strcmp(name, excused[i]) == 0)
			return true;
	return false;
}

static void differ(struct check *c, const char *what, uint64_t pc, const char *name, const char *a,
		   const char *b)
{
	if (c->differences++ < SHOWN_DIFFERENCES)
		printf("%s: %s at %#" PRIx64 " in %s: %s, expected %s\n", c->path, what, pc, name,
		       a, b);
}

/* libdw's CFA as an offset from rsp in words; -1: another, or none. */
static int64_t expected_cfa(struct check *c, uint64_t pc)
{
	Dwarf_Frame *frame;
	int64_t words = -1;
	Dwarf_Op *ops;
	size_t n;

	if (dwarf_cfi_addrframe(c->cfi, pc, &frame) != 0)
		return -1;
	if (dwarf_frame_cfa(frame, &ops, &n) == 0 && n == 1 && ops[0].atom == DW_OP_bregx &&
	    ops[0].number == RSP)
		words = (int64_t)ops[0].number2 / 8;
	free(frame);
	return words;
}

static bool row_is(const struct unwind_rows *u, const struct unwind_row *row, int64_t words)
{
	const struct unwind_rule *rule;

	if (row->kind == UNWIND_RSP)
		return row->cfa == words;
	if (row->kind != UNWIND_EXTENDED || row->cfa >= u->n_rules)
		return false;
	rule = &u->rules[row->cfa];
	return rule->cfa_register == RSP && !rule->cfa_dereference && rule->cfa_offset == 8 * words;
}

static void check_row(struct check *c, const struct unwind_rows *u, const struct unwind_row *row,
		      uint64_t pc)
{
	char have[64], want[64];
	struct go_function f;
	int64_t words = expected_cfa(c, pc);

	if (words < 0 || !go_pclntab_function(c->g, pc, &f))
		return;
	c->rows++;
	if (row_is(u, row, words))
		return;
	if (is_excused(f.name)) {
		c->excused++;
		return;
	}
	snprintf(have, sizeof(have), "kind %u cfa %u", row->kind, row->cfa);
	snprintf(want, sizeof(want), "rsp + 8 * %" PRId64, words);
	differ(c, "row", pc, f.name, have, want);
}

/* Wherever rbp's place changes, an instruction that does it ends, or the frame does. */
static bool rbp_may_change(const uint8_t *code, uint64_t n, const struct unwind_row *before,
			   const struct unwind_row *row)
{
	if (row->rbp == 0) /* popped, or a frame dropped: after a return the frame is there again */
		return row->cfa < before->cfa || before->kind != UNWIND_RSP;
	if (n >= 1 && code[-1] == 0x55 && row->rbp == row->cfa)
		return true;
	if (n >= 8 && memcmp(code - 8, "\x48\x89\xac\x24", 4) == 0)
		return true;
	if ((n >= 5 && memcmp(code - 5, "\x48\x89\x6c\x24", 4) == 0) ||
	    (n >= 4 && memcmp(code - 4, "\x48\x89\x2c\x24", 4) == 0))
		return true;
	return n >= 1 && row->cfa > before->cfa; /* behind a return */
}

static void check_rbp(struct check *c, const struct unwind_row *before,
		      const struct unwind_row *row, uint64_t pc)
{
	struct go_function f;
	Elf_Data *data = NULL;
	Elf_Scn *scn = NULL;
	GElf_Shdr sh = {0};

	if (before->kind != UNWIND_RSP || row->kind != UNWIND_RSP || before->rbp == row->rbp ||
	    !go_pclntab_function(c->g, pc, &f) || f.start == pc)
		return;
	while ((scn = elf_nextscn(c->elf, scn)))
		if (gelf_getshdr(scn, &sh) && (sh.sh_flags & SHF_EXECINSTR) && pc >= sh.sh_addr &&
		    pc - sh.sh_addr < sh.sh_size)
			break;
	data = scn ? elf_rawdata(scn, NULL) : NULL;
	if (data && !rbp_may_change((const uint8_t *)data->d_buf + (pc - sh.sh_addr), pc - f.start,
				    before, row))
		differ(c, "rbp", pc, f.name, "moved", "an instruction that does it");
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double check_rows(struct check *c, size_t *n)
{
	double start = seconds(), took;
	struct unwind_rows u;
	int err = elf_object_unwind_rows(c->o, &u);

	took = seconds() - start;
	if (err) {
		differ(c, "rows", 0, "-", strerror(-err), "rows");
		return took;
	}
	*n = u.n_rows;
	for (size_t i = 0; i + 1 < u.n_rows; i++) {
		check_row(c, &u, &u.rows[i], u.base + u.rows[i].pc);
		check_row(c, &u, &u.rows[i], u.base + u.rows[i + 1].pc - 1);
		if (i)
			check_rbp(c, &u.rows[i - 1], &u.rows[i], u.base + u.rows[i].pc);
	}
	unwind_rows_free(&u);
	return took;
}

/* As Go's runtime shortens names, and without what the linker appends to those in .symtab. */
static void shorten(const char *name, char *out, size_t size)
{
	const char *open = strchr(name, '['), *close = open ? strrchr(open, ']') : NULL;
	size_t n;

	if (close)
		snprintf(out, size, "%.*s[...%s", (int)(open - name), name, close);
	else
		snprintf(out, size, "%s", name);
	n = strlen(out);
	if (n > 5 && strcmp(out + n - 5, ".abi0") == 0)
		out[n - 5] = 0;
	if (n > 12 && strcmp(out + n - 12, ".abiinternal") == 0)
		out[n - 12] = 0;
	/* A middle dot is a full stop in .symtab. */
	for (char *dot; (dot = strstr(out, "\302\267"));) {
		memmove(dot + 1, dot + 2, strlen(dot + 1));
		*dot = '.';
	}
}

static void check_symbol(struct check *c, const GElf_Sym *sym, const char *name)
{
	static char short_name[1 << 16], ours[1 << 16];
	struct go_function f;

	if (GELF_ST_TYPE(sym->st_info) != STT_FUNC || sym->st_size == 0 || !name ||
	    !go_pclntab_function(c->g, sym->st_value, &f) || f.start != sym->st_value)
		return;
	c->names++;
	shorten(name, short_name, sizeof(short_name));
	shorten(f.name, ours, sizeof(ours));
	if (strcmp(short_name, ours) != 0)
		differ(c, "name", f.start, name, f.name, short_name);
	if (f.end < sym->st_value + sym->st_size)
		differ(c, "end", f.start, name, "short", "the symbol's");
}

static void check_names(struct check *c)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(c->elf, scn))) {
		GElf_Shdr sh;
		Elf_Data *data;
		GElf_Sym sym;

		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_SYMTAB)
			continue;
		data = elf_getdata(scn, NULL);
		for (int i = 0; gelf_getsym(data, i, &sym); i++)
			check_symbol(c, &sym, elf_strptr(c->elf, sh.sh_link, sym.st_name));
	}
}

static void check_line(struct check *c, uint64_t pc, Dwarf_Line *line)
{
	const char *file = dwarf_linesrc(line, NULL, NULL);
	char have[300], want[300];
	struct elf_line ours[64];
	size_t n = go_pclntab_lines(c->g, pc, ours, 64);
	int number = 0;

	if (!n || !file || dwarf_lineno(line, &number) != 0 || number == 0)
		return;
	if (strncmp(file, "./", 2) == 0)
		file += 2;
	c->lines++;
	c->inlined += n > 1;
	if ((uint32_t)number == ours[0].line && ours[0].file && strcmp(ours[0].file, file) == 0)
		return;
	snprintf(have, sizeof(have), "%s:%u", ours[0].file, ours[0].line);
	snprintf(want, sizeof(want), "%s:%d", file, number);
	differ(c, "line", pc, ours[0].name, have, want);
}

/* The line of an address is that of the last entry there. */
static void check_lines(struct check *c)
{
	Dwarf_Off at = 0, next;
	size_t header;
	Dwarf_Die unit;

	for (; dwarf_nextcu(c->dwarf, at, &next, &header, NULL, NULL, NULL) == 0; at = next) {
		Dwarf_Lines *lines;
		size_t n = 0;

		if (!dwarf_offdie(c->dwarf, at + header, &unit) ||
		    dwarf_getsrclines(&unit, &lines, &n) != 0)
			continue;
		for (size_t i = 0; i + 1 < n; i++) {
			Dwarf_Line *line = dwarf_onesrcline(lines, i);
			Dwarf_Addr pc, after;
			bool ends;

			if (dwarf_lineaddr(line, &pc) == 0 &&
			    dwarf_lineaddr(dwarf_onesrcline(lines, i + 1), &after) == 0 &&
			    pc < after && dwarf_lineendsequence(line, &ends) == 0 && !ends)
				check_line(c, pc, line);
		}
	}
}

static uint64_t check_file(const char *path)
{
	struct check c = {.path = path};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	double took;

	if (fd < 0 || elf_object_open(fd, path, "", &c.o) != 0 || go_pclntab_open(c.o, &c.g) != 0) {
		printf("%s: no Go program\n", path);
		elf_object_free(c.o);
		close(fd);
		return 1;
	}
	c.dwarf = dwarf_begin(fd, DWARF_C_READ);
	c.elf = c.dwarf ? dwarf_getelf(c.dwarf) : NULL;
	c.cfi = c.dwarf ? dwarf_getcfi(c.dwarf) : NULL;
	took = check_rows(&c, &n);
	if (c.elf)
		check_names(&c);
	if (c.dwarf)
		check_lines(&c);
	printf("%s: %zu rows in %.1f ms; %" PRIu64 " names, %" PRIu64 " row ends (%" PRIu64
	       " excused), %" PRIu64 " lines (%" PRIu64 " inlined): %" PRIu64 " differences\n",
	       path, n, took * 1e3, c.names, c.rows, c.excused, c.lines, c.inlined, c.differences);
	dwarf_end(c.dwarf);
	go_pclntab_free(c.g);
	elf_object_free(c.o);
	close(fd);
	return c.differences + (c.cfi && c.rows == 0);
}

int main(int argc, char **argv)
{
	char path[] = "/tmp/wireprof-go-XXXXXX";
	uint64_t differences = 0;

	if (argc == 1 && !build_program(path)) {
		printf("skipped: no Go\n");
		return 0;
	}
	if (argc == 1)
		differences = check_file(path);
	unlink(path);
	for (int i = 1; i < argc; i++)
		differences += check_file(argv[i]);
	return differences != 0;
}

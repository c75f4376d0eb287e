/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Property: rows that are read out of code say what call frame information says, where there is some.
 *
 * The whole .text of an object is treated as code that nothing describes, and compared byte by byte
 * with the rows from .eh_frame:
 *
 *	same		the same CFA; the caller's rbp in the same place, or already back in rbp
 *	unknown		no row, where CFI has one: the price of caution
 *	wrong		another row: this has a limit
 *	other form	the CFA from another register: perhaps the same, which nothing here can tell
 *
 *	test_code_rows [FILE ...]	instead of the default objects
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "symbolizer/code_chunk.h"
#include "symbolizer/elf_internal.h"

#define WRONG_MAX_PERCENT 0.5
#define OTHER_MAX_PERCENT 1.5
#define SAME_MIN_PERCENT  75.0

static const char *const default_objects[] = {
	"/usr/lib/x86_64-linux-gnu/libc.so.6",
	"/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
	"/usr/bin/redis-server",
	"/usr/bin/bash",
};

struct totals {
	uint64_t same, unknown, wrong, other;
	unsigned int shown;
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static bool same_rule(const struct unwind_rule *a, const struct unwind_rule *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* CFI may say that rbp is still in memory where it has been restored: the slot is below rsp then. */
static bool same_row(const struct unwind_row *ours, const struct unwind_row *cfi,
		     const struct unwind_rule *our_rules, const struct unwind_rule *cfi_rules)
{
	if (ours->kind != cfi->kind)
		return false;
	if (ours->kind == UNWIND_EXTENDED)
		return same_rule(&our_rules[ours->cfa], &cfi_rules[cfi->cfa]);
	if (ours->kind == UNWIND_END)
		return true;
	if (ours->cfa != cfi->cfa)
		return false;
	return ours->rbp == cfi->rbp ||
	       (ours->kind == UNWIND_RSP && ours->rbp == 0 && cfi->rbp > cfi->cfa);
}

static void compare(struct totals *t, const struct row_sink *ours, const struct unwind_rows *cfi,
		    uint64_t text, uint64_t end)
{
	size_t i = 0, k = 0;
	uint64_t at = text;

	while (at < end && i < ours->n && k < cfi->n_rows) {
		uint64_t our_end = row_sink_end(ours, i), next;
		uint64_t cfi_end = k + 1 < cfi->n_rows ? cfi->base + cfi->rows[k + 1].pc : end;
		const struct unwind_row *a = &ours->rows[i], *b = &cfi->rows[k];
		bool same, apart = at < cfi->base + b->pc || at < ours->base + a->pc;

		next = our_end < cfi_end ? our_end : cfi_end;
		if (next > end)
			next = end;
		if (next > at && !apart && b->kind != UNWIND_NONE && b->kind != UNWIND_UNSUPPORTED) {
			same = same_row(a, b, ours->rules->rules, cfi->rules);
			if (a->kind == UNWIND_NONE)
				t->unknown += next - at;
			else if (same)
				t->same += next - at;
			else if (a->kind == b->kind && a->kind != UNWIND_EXTENDED)
				t->wrong += next - at;
			else
				t->other += next - at;
			if (!same && t->shown && (a->kind != UNWIND_NONE || getenv("SHOW_UNKNOWN"))) {
				t->shown--;
				printf("  %" PRIx64 "-%" PRIx64 ": ours %d %d %d, CFI %d %d %d\n", at,
				       next, a->kind, a->cfa, a->rbp, b->kind, b->cfa, b->rbp);
			}
		}
		if (next > at)
			at = next;
		if (our_end <= at)
			i++;
		if (cfi_end <= at)
			k++;
	}
}

static bool sweep(const struct elf_bytes *text, uint64_t vaddr, struct row_sink *out)
{
	struct code_chunk *c = code_chunk_new();
	size_t at = 0;
	int64_t n = 0;

	while (c && at < text->size) {
		n = code_chunk_rows(c, text->data + at, text->size - at, vaddr + at, 0, out);
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	code_chunk_free(c);
	return at == text->size;
}

static bool check_object(const struct elf_object *o, const char *path)
{
	struct totals t = {.shown = getenv("SHOW") ? (unsigned int)atoi(getenv("SHOW")) : 0};
	struct rule_table rules = {0};
	struct row_sink ours = {.rules = &rules};
	struct unwind_rows cfi;
	struct elf_bytes text;
	Elf64_Shdr sh;
	double start, ms, all;
	bool ok = false;

	if (!elf_section_by_name(o, ".text", &sh) || !elf_section_bytes(o, &sh, &text) ||
	    elf_object_described_rows(o, &cfi) != 0)
		return true;
	ours.base = ours.floor = sh.sh_addr;
	ours.end = sh.sh_addr + text.size;
	start = now_ms();
	ok = sweep(&text, sh.sh_addr, &ours);
	ms = now_ms() - start;
	if (ok)
		compare(&t, &ours, &cfi, ours.base, ours.end);
	all = (double)(t.same + t.unknown + t.wrong + t.other) / 100;
	if (all == 0)
		all = 1;
	printf("%-50s %5.1f MB/s  rows %7zu (CFI %7zu)  same %.3f %%  unknown %.3f %%  wrong "
	       "%.4f %%  other form %.4f %%\n",
	       path, (double)text.size / 1e3 / ms, ours.n, cfi.n_rows, (double)t.same / all,
	       (double)t.unknown / all, (double)t.wrong / all, (double)t.other / all);
	if (t.same && ((double)t.wrong / all > WRONG_MAX_PERCENT ||
		       (double)t.other / all > OTHER_MAX_PERCENT ||
		       (double)t.same / all < SAME_MIN_PERCENT))
		ok = false;
	free(ours.rows);
	rule_table_free(&rules);
	unwind_rows_free(&cfi);
	return ok;
}

static bool check_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_object *o = NULL;
	bool ok = true;

	if (fd >= 0 && elf_object_open(fd, path, "", &o) == 0)
		ok = check_object(o, path);
	else
		printf("%s: not here, skipped\n", path);
	elf_object_free(o);
	if (fd >= 0)
		close(fd);
	return ok;
}

int main(int argc, char **argv)
{
	const int n_default = (int)(sizeof(default_objects) / sizeof(default_objects[0]));
	bool ok = true;

	for (int i = 1; i < argc; i++)
		ok &= check_file(argv[i]);
	for (int i = 0; argc <= 1 && i < n_default; i++)
		ok &= check_file(default_objects[i]);
	return ok ? 0 : 1;
}

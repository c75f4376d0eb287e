/* SPDX-License-Identifier: Apache-2.0 */
/* See elf_lines.h: Go's own table first, DWARF for what that does not know. */
#include <errno.h>
#include <stdlib.h>
#include "dwarf_internal.h"
#include "elf_internal.h"
#include "go_pclntab.h"

/* Addresses of a Go program that are not Go's: which of the caller's they are. */
struct rest {
	uint64_t *vaddrs;
	size_t *index;
	size_t n;
	elf_lines_found found;
	void *context;
};

bool elf_object_has_lines(struct elf_object *o)
{
	return elf_object_is_go(o) || elf_object_has_dwarf(o);
}

static void found_in_rest(void *context, size_t index, const struct elf_line *lines, size_t n)
{
	const struct rest *r = context;

	r->found(r->context, r->index[index], lines, n);
}

int elf_lines_resolve(struct elf_object *o, const uint64_t *vaddrs, size_t n, unsigned int limit_ms,
		      elf_lines_found found, void *context)
{
	struct rest r = {.found = found, .context = context};
	struct elf_line lines[ELF_LINES_MAX];
	int err = -ENOMEM;

	if (!elf_object_is_go(o))
		return dwarf_lines_resolve(o, vaddrs, n, limit_ms, found, context);
	r.vaddrs = calloc(n + 1, sizeof(*r.vaddrs));
	r.index = calloc(n + 1, sizeof(*r.index));
	if (!r.vaddrs || !r.index)
		goto out;
	for (size_t i = 0; i < n; i++) {
		size_t n_lines = elf_object_go_lines(o, vaddrs[i], lines, ELF_LINES_MAX);

		if (n_lines) {
			found(context, i, lines, n_lines);
		} else {
			r.vaddrs[r.n] = vaddrs[i];
			r.index[r.n++] = i;
		}
	}
	err = dwarf_lines_resolve(o, r.vaddrs, r.n, limit_ms, found_in_rest, &r);
out:
	free(r.vaddrs);
	free(r.index);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signal frames of libraries that do not describe them (musl, Go): a handler returns to a few bytes
 * that do nothing but the system call rt_sigreturn. As that call never returns and takes the frame
 * at the stack pointer, its bytes say as much as CFI would.
 *
 *	         nop | mov $15,%rax | syscall | ...
 *	row:     [---- SIGNAL ----------------) NONE
 *
 * The row starts a byte early, as glibc's CFI does: the unwinder takes the address for a return
 * address, and looks those up at pc-1. Only text of which .eh_frame says nothing is searched; of a
 * segment that holds more than code (rodata, in libraries that were linked without
 * -z separate-code) only the sections that are code.
 */
#include <assert.h>
#include <string.h>
#include "cfi_x86_64.h"
#include "frame_section.h"

/* A library has one restorer, a program perhaps a few. */
#define MATCHES_MAX 16
/* Parts of the text that are searched: objects have some five sections or two segments. */
#define PARTS_MAX 16

static int put_match(struct row_sink *out, uint64_t start, uint64_t end)
{
	const struct unwind_row none = {.kind = UNWIND_NONE};
	const struct unwind_row signal = {.kind = UNWIND_SIGNAL};
	int err = row_sink_reserve(out, 3);

	if (err)
		return err;
	assert(out->rows);
	if (out->n && start <= out->floor)
		out->n--; /* no gap: the end of the one before */
	else if (start > out->base && out->n == 0)
		row_sink_put(out, out->base, none);
	row_sink_put(out, start, signal);
	row_sink_put(out, end, none);
	out->floor = end;
	return 0;
}

/*
 * The next place of the system call's bytes in [at, end), or NULL. Their last byte is rare in code
 * and memchr is ten times as fast as memmem: with no CFI at all there are megabytes to search.
 */
static const uint8_t *find_bytes(const uint8_t *at, const uint8_t *end)
{
	const size_t last = sizeof(cfi_arch_sigreturn) - 1;

	while ((size_t)(end - at) > last) {
		const uint8_t *p = memchr(at + last, cfi_arch_sigreturn[last],
					  (size_t)(end - at) - last);

		if (!p)
			return NULL;
		if (memcmp(p - last, cfi_arch_sigreturn, last) == 0)
			return p - last;
		at = p - last + 1;
	}
	return NULL;
}

/* [from, to) lies in the part. Returns 0 or -ENOMEM. */
static int search(const struct elf_object *o, const struct elf_segment *part, uint64_t from,
		  uint64_t to, struct row_sink *out, unsigned int *matches)
{
	const size_t needle = sizeof(cfi_arch_sigreturn);
	const uint8_t *at, *end;
	struct elf_bytes b;
	int err = 0;

	if (!elf_image_bytes(o, part->offset + (from - part->vaddr), to - from, &b))
		return 0;
	at = b.data;
	end = b.data + b.size;
	while (!err && *matches < MATCHES_MAX && (at = find_bytes(at, end))) {
		size_t before = (size_t)(at - b.data);
		size_t lead = cfi_arch_sigreturn_lead(at, before);

		if (lead) {
			uint64_t start = from + before - lead;

			err = put_match(out, start > from ? start - 1 : start,
					from + before + needle);
			++*matches;
		}
		at += needle;
	}
	return err;
}

/* In order and apart, as linkers make them; what is not is left out. */
static void add_part(struct elf_segment *parts, unsigned int *n, struct elf_segment part)
{
	if (*n == PARTS_MAX || part.vaddr > UINT64_MAX - part.size ||
	    (*n && part.vaddr < parts[*n - 1].vaddr + parts[*n - 1].size))
		return;
	parts[(*n)++] = part;
}

static unsigned int text_parts(const struct elf_object *o, struct elf_segment *parts)
{
	unsigned int n = 0;
	Elf64_Phdr ph;
	Elf64_Shdr sh;

	for (uint32_t i = 0; elf_shdr(o, i, &sh); i++)
		if (sh.sh_type == SHT_PROGBITS && (sh.sh_flags & SHF_EXECINSTR))
			add_part(parts, &n,
				 (struct elf_segment){sh.sh_addr, sh.sh_offset, sh.sh_size});
	for (uint32_t i = 0; o->n_shdr == 0 && elf_phdr(o, i, &ph); i++)
		if (elf_phdr_is_text(o, &ph))
			add_part(parts, &n,
				 (struct elf_segment){ph.p_vaddr, ph.p_offset, ph.p_filesz});
	return n;
}

/* The gaps in one part. Returns 0 or -ENOMEM. */
static int search_part(const struct elf_object *o, const struct elf_segment *part,
		       const struct row_sink *so_far, struct row_sink *out, unsigned int *matches)
{
	uint64_t start = part->vaddr, end = start + part->size;
	int err = 0;

	if (start < out->base || end > out->end)
		return 0; /* not in any segment */
	if (so_far->n == 0)
		return search(o, part, start, end, out, matches);
	for (size_t i = 0; i < so_far->n && !err && *matches < MATCHES_MAX; i++) {
		uint64_t from = so_far->base + so_far->rows[i].pc;
		uint64_t to = row_sink_end(so_far, i);

		if (from >= end)
			break;
		if (so_far->rows[i].kind == UNWIND_NONE && to > start)
			err = search(o, part, from > start ? from : start, to < end ? to : end,
				     out, matches);
	}
	return err;
}

int sigreturn_rows(const struct elf_object *o, const struct row_sink *so_far, struct row_sink *out,
		   uint64_t *bad_fdes)
{
	struct elf_segment parts[PARTS_MAX];
	unsigned int n = text_parts(o, parts), matches = 0;
	int err = 0;

	(void)bad_fdes;
	for (unsigned int i = 0; i < n && !err; i++)
		err = search_part(o, &parts[i], so_far, out, &matches);
	return err;
}

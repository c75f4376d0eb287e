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
 * address, and looks those up at pc-1. Only text of which .eh_frame says nothing is searched.
 */
#include <errno.h>
#include <string.h>
#include "cfi_x86_64.h"
#include "frame_section.h"

/* A library has one restorer, a program perhaps a few. */
#define MATCHES_MAX 16
/* Executable segments that are searched: objects have one or two. */
#define SEGMENTS_MAX 16

static int put_match(struct row_sink *out, uint64_t start, uint64_t end)
{
	const struct unwind_row none = {.kind = UNWIND_NONE};
	const struct unwind_row signal = {.kind = UNWIND_SIGNAL};
	int err = row_sink_reserve(out, 3);

	if (err)
		return err;
	if (out->n && start <= out->floor)
		out->n--; /* no gap: the end of the one before */
	else if (start > out->base && out->n == 0)
		row_sink_put(out, out->base, none);
	row_sink_put(out, start, signal);
	row_sink_put(out, end, none);
	out->floor = end;
	return 0;
}

/* [from, to) lies in the segment. Returns 0 or -ENOMEM. */
static int search(const struct elf_object *o, const struct elf_segment *segment, uint64_t from,
		  uint64_t to, struct row_sink *out, unsigned int *matches)
{
	const size_t needle = sizeof(cfi_arch_sigreturn);
	struct elf_bytes b;
	const uint8_t *at, *end;
	int err = 0;

	if (!elf_image_bytes(o, segment->offset + (from - segment->vaddr), to - from, &b))
		return 0;
	end = b.data + b.size;
	at = b.data;
	while (!err && *matches < MATCHES_MAX &&
	       (at = memmem(at, (size_t)(end - at), cfi_arch_sigreturn, needle))) {
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

static unsigned int text_segments(const struct elf_object *o, struct elf_segment *segments)
{
	unsigned int n = 0;
	Elf64_Phdr ph;

	/* In order and apart, as the ELF specification has it; what is not is left out. */
	for (uint32_t i = 0; n < SEGMENTS_MAX && elf_phdr(o, i, &ph); i++) {
		if (!elf_phdr_is_text(o, &ph) ||
		    (n && ph.p_vaddr < segments[n - 1].vaddr + segments[n - 1].size))
			continue;
		segments[n++] = (struct elf_segment){ph.p_vaddr, ph.p_offset, ph.p_filesz};
	}
	return n;
}

int sigreturn_rows(const struct elf_object *o, const struct row_sink *so_far, struct row_sink *out,
		   uint64_t *bad_fdes)
{
	struct elf_segment segments[SEGMENTS_MAX];
	unsigned int n_segments = text_segments(o, segments), matches = 0;

	(void)bad_fdes;
	for (unsigned int k = 0; k < n_segments; k++) {
		uint64_t start = segments[k].vaddr, end = start + segments[k].size;

		if (start < out->base || end > out->end)
			continue; /* the file has changed */
		if (so_far->n == 0) {
			int err = search(o, &segments[k], start, end, out, &matches);

			if (err)
				return err;
		}
		for (size_t i = 0; i < so_far->n && matches < MATCHES_MAX; i++) {
			uint64_t from = so_far->base + so_far->rows[i].pc;
			uint64_t to = row_sink_end(so_far, i);
			int err;

			if (so_far->rows[i].kind != UNWIND_NONE || from >= end || to <= start)
				continue;
			err = search(o, &segments[k], from > start ? from : start,
				     to < end ? to : end, out, &matches);
			if (err)
				return err;
		}
	}
	return 0;
}

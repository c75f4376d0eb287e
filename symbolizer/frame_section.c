/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the records of .eh_frame or .debug_frame to unwind rows. (LSB Core 5.0, section 10.6
 * "Exception Frames"; DWARF 5, section 6.4.1.)
 *
 *	.eh_frame	{length, 0, CIE: what functions share}
 *			{length, back to CIE, FDE: one function} ... {0}
 *	.debug_frame	{length, -1, CIE}
 *			{length, CIE's offset in the section, FDE} ...
 *
 * Functions are visited in ascending order of address, so rows need no sorting (which would cost
 * several times the parsing): in the order of .eh_frame_hdr's table, if all of it is true; otherwise
 * the section is walked and the functions, not the rows, are sorted.
 *
 * Between functions:
 *
 *	first FDE          second FDE (overlaps)    third FDE
 *	[..rows..][rows from here on..]  gap > 16   [..rows..]  end
 *	                               ^ NONE                 ^ NONE
 *
 * Hostile bytes: each record is read by a cursor that ends where the record's section ends, and
 * work is paid for out of a budget proportional to the section, as a table may name one long record
 * many times.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cfi_x86_64.h"
#include "frame_section.h"

/* A hole this small between functions is padding. */
#define PADDING_MAX 16
/* CIEs are few and functions of one CIE are neighbours. */
#define CIE_CACHE 64 /* power of 2 */
/* CIEs are parsed again after they fall out of the cache: this many times the section in all. */
#define CIE_BUDGET 16

struct cie_slot {
	uint64_t offset_plus_1; /* in the section; 0: empty */
	struct cfi_cie cie;
};

struct builder {
	const struct frame_section *section;
	struct row_sink *sink;
	uint64_t bad_fdes;
	uint64_t fde_budget, cie_budget; /* bytes that may still be interpreted */
	struct cie_slot cies[CIE_CACHE];
};

/* The body of a CIE or FDE. */
struct record {
	struct cursor c;     /* behind the CIE pointer, up to the record's end */
	uint64_t cie_offset; /* in the section: FDE only */
	uint64_t bytes;
	bool is_cie;
};

struct fde {
	const struct cfi_cie *cie;
	uint64_t start, end;
	uint64_t bytes;
	struct cursor instructions;
};

struct fde_at {
	uint64_t start, offset;
};

static struct cursor section_cursor(const struct builder *b, uint64_t offset)
{
	const uint8_t *data = b->section->bytes.data;

	return (struct cursor){
		.p = data + offset,
		.end = data + b->section->bytes.size,
		.start = data,
		.vaddr = b->section->vaddr,
	};
}

/*
 * Reads the record at an offset of at most the section's size. An empty one ends .eh_frame; in
 * .debug_frame it is padding, and given as a CIE (that does not parse).
 * Returns 0, -ENOENT at the end mark or the section's end, -EPROTO.
 */
static int read_record(const struct builder *b, uint64_t offset, struct record *r)
{
	bool debug_frame = b->section->debug_frame, wide = false;
	struct cursor c = section_cursor(b, offset);
	uint64_t length = 0, field, pointer;

	if (cursor_left(&c) < sizeof(uint32_t))
		return -ENOENT;
	length = cursor_u32(&c);
	if (length == 0 && !debug_frame)
		return -ENOENT;
	if (length == UINT32_MAX) {
		wide = true;
		length = cursor_u64(&c);
	}
	if (c.bad || length > cursor_left(&c))
		return -EPROTO;
	c.end = c.p + length;
	r->bytes = (uint64_t)(c.end - c.start) - offset;
	r->c = c;
	r->cie_offset = 0;
	r->is_cie = true;
	if (length == 0)
		return 0;
	field = (uint64_t)(c.p - c.start);
	pointer = wide ? cursor_u64(&c) : cursor_u32(&c);
	if (debug_frame) {
		r->is_cie = pointer == (wide ? UINT64_MAX : UINT32_MAX);
		r->cie_offset = pointer;
	} else {
		r->is_cie = pointer == 0;
		r->cie_offset = field - pointer;
	}
	if (c.bad || (!r->is_cie && r->cie_offset > field))
		return -EPROTO;
	r->c = c;
	return 0;
}

/* The letters after 'z', each with its piece of the augmentation data. */
static bool read_augmentation(struct cfi_cie *cie, const char *letters, struct cursor *c)
{
	uint64_t bytes = cursor_uleb(c);
	struct cursor data = *c;

	cursor_skip(c, bytes);
	if (c->bad)
		return false;
	data.end = c->p;
	for (; *letters; letters++) {
		switch (*letters) {
		case 'R':
			cie->pointer_encoding = cursor_u8(&data);
			break;
		case 'P': {
			uint8_t encoding = cursor_u8(&data);

			if ((encoding & PE_BASE) == PE_ALIGNED)
				return false;
			cursor_encoded_value(&data, encoding);
			break;
		}
		case 'L':
			cursor_u8(&data);
			break;
		case 'S':
			cie->signal = true;
			break;
		case 'B':
		case 'G': /* arm64: signed return addresses, tagged memory */
			break;
		default:
			return false; /* what it adds to the data, and to the meaning, is unknown */
		}
	}
	return !data.bad;
}

static bool parse_cie(struct cfi_cie *cie, struct cursor c)
{
	uint8_t version = cursor_u8(&c);
	const char *augmentation = (const char *)c.p;
	uint64_t return_column;

	memset(cie, 0, sizeof(*cie));
	if (c.bad || (version != 1 && version != 3 && version != 4) ||
	    !memchr(c.p, 0, cursor_left(&c)))
		return false;
	cursor_skip(&c, strlen(augmentation) + 1);
	if (strcmp(augmentation, "eh") == 0)
		cursor_skip(&c, 8); /* GCC 2: a pointer to the exception table */
	if (version == 4 && cursor_u16(&c) != 8)
		return false; /* address size 8, no segment selectors */
	cie->code_align = cursor_uleb(&c);
	cie->data_align = cursor_sleb(&c);
	return_column = version == 1 ? cursor_u8(&c) : cursor_uleb(&c);
	cie->unsupported = !cfi_arch_return_column_ok(return_column);
	if (*augmentation == 'z') {
		cie->augmented = true;
		if (!read_augmentation(cie, augmentation + 1, &c))
			return false;
	} else if (strcmp(augmentation, "S") == 0) { /* so in .debug_frame */
		cie->signal = true;
	} else if (*augmentation && strcmp(augmentation, "eh") != 0) {
		return false;
	}
	return !c.bad && cfi_run_cie(cie, c) == 0;
}

/* The CIE at an offset; NULL when it does not parse. Valid until the next call. */
static const struct cfi_cie *find_cie(struct builder *b, uint64_t offset)
{
	struct cie_slot *slot = &b->cies[(offset >> 2) % CIE_CACHE];
	struct record r;

	if (slot->offset_plus_1 != offset + 1) {
		slot->offset_plus_1 = 0;
		if (read_record(b, offset, &r) != 0 || !r.is_cie || r.bytes > b->cie_budget)
			return NULL;
		b->cie_budget -= r.bytes;
		slot->cie.bad = !parse_cie(&slot->cie, r.c);
		slot->offset_plus_1 = offset + 1;
	}
	return slot->cie.bad ? NULL : &slot->cie;
}

/*
 * Reads the FDE of a record up to its instructions. Returns 0, -EPROTO where it does not parse,
 * -ERANGE where it is not about this object's text.
 */
static int read_fde(struct builder *b, struct record *r, struct fde *f)
{
	const struct row_sink *s = b->sink;
	uint64_t size;

	f->cie = r->is_cie ? NULL : find_cie(b, r->cie_offset);
	if (!f->cie)
		return -EPROTO;
	f->bytes = r->bytes;
	f->start = cursor_pointer(&r->c, f->cie->pointer_encoding);
	size = cursor_encoded_value(&r->c, f->cie->pointer_encoding);
	if (f->cie->augmented)
		cursor_skip(&r->c, cursor_uleb(&r->c));
	if (r->c.bad)
		return -EPROTO;
	if (f->start < s->base || f->start >= s->end || size > s->end - f->start)
		return -ERANGE;
	f->end = f->start + size;
	f->instructions = r->c;
	return 0;
}

/* Adds a function's rows. It starts at or after the start of those before. Returns 0 or -errno. */
static int add_fde(struct builder *b, const struct fde *f)
{
	const struct unwind_row none = {.kind = UNWIND_NONE};
	struct row_sink *s = b->sink;
	int err;

	if (f->bytes > b->fde_budget)
		return -E2BIG; /* functions are not shared: a table that says so lies */
	b->fde_budget -= f->bytes;
	if (f->end <= s->floor || f->end == f->start)
		return 0;
	err = row_sink_reserve(s, cursor_left(&f->instructions) + 3);
	if (err)
		return err;
	if (f->start > s->floor && (s->n == 0 || f->start - s->floor > PADDING_MAX))
		row_sink_put(s, s->floor, none);
	if (cfi_run_fde(f->cie, f->instructions, f->start, f->end, s) != 0) {
		b->bad_fdes++;
		row_sink_put(s, f->start, none);
	}
	s->floor = f->end;
	return 0;
}

/* After the last function there is nothing. */
static int finish(struct builder *b)
{
	const struct unwind_row none = {.kind = UNWIND_NONE};
	struct row_sink *s = b->sink;
	int err;

	if (s->n == 0 || s->floor - s->base > UINT32_MAX)
		return 0;
	err = row_sink_reserve(s, 1);
	if (!err)
		row_sink_put(s, s->floor, none);
	return err;
}

static void reset(struct builder *b)
{
	b->sink->n = 0;
	b->sink->floor = b->sink->base;
	b->bad_fdes = 0;
	b->fde_budget = b->section->bytes.size;
	b->cie_budget = b->section->bytes.size * CIE_BUDGET;
}

/*
 * In the order of .eh_frame_hdr's table, which is taken only if each entry is in order and points
 * to a function that starts where it says. Returns 0 or -errno.
 */
static int build_by_table(struct builder *b, const struct frame_table *table)
{
	uint64_t before = 0, n = table->n;
	struct cursor c = table->c;
	int err = 0;

	if (n == 0 || n > cursor_left(&c) / 8)
		return -EPROTO;
	while (n-- && !err) {
		uint64_t start = table->vaddr + (uint64_t)(int64_t)(int32_t)cursor_u32(&c);
		uint64_t offset = table->vaddr + (uint64_t)(int64_t)(int32_t)cursor_u32(&c) -
				  b->section->vaddr;
		struct record r;
		struct fde f;

		if (start < before || offset >= b->section->bytes.size ||
		    read_record(b, offset, &r) != 0 || read_fde(b, &r, &f) != 0 || f.start != start)
			return -EPROTO;
		if (f.start == f.end) /* it may hide another of the same address */
			return -EPROTO;
		before = start;
		err = add_fde(b, &f);
	}
	return err;
}

static int compare_fde_at(const void *pa, const void *pb)
{
	const struct fde_at *a = pa, *b = pb;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return (a->offset > b->offset) - (a->offset < b->offset);
}

/* Where the section's functions are. Returns 0 or -ENOMEM. */
static int list_fdes(struct builder *b, struct fde_at **out, size_t *n_out)
{
	size_t n = 0, capacity = 0;
	uint64_t offset = 0;
	struct record r;
	struct fde f;
	int err;

	/* A record that is broken tells no longer where the next one is. */
	while ((err = read_record(b, offset, &r)) == 0) {
		uint64_t at = offset;

		offset += r.bytes;
		if (r.is_cie)
			continue;
		err = read_fde(b, &r, &f);
		/* .debug_frame still has the functions that the linker threw away, at zero. */
		if (err || (b->section->debug_frame && f.start == 0)) {
			b->bad_fdes += err == -EPROTO || !b->section->debug_frame;
			continue;
		}
		if (n == capacity) {
			struct fde_at *more;

			capacity = capacity ? 2 * capacity : 256;
			more = realloc(*out, capacity * sizeof(*more));
			if (!more)
				return -ENOMEM;
			*out = more;
		}
		(*out)[n++] = (struct fde_at){.start = f.start, .offset = at};
	}
	if (err == -EPROTO)
		b->bad_fdes++;
	*n_out = n;
	return 0;
}

/* In the order that sorting gives. Returns 0 or -errno. */
static int build_by_walk(struct builder *b)
{
	struct fde_at *at = NULL;
	size_t n = 0;
	int err = list_fdes(b, &at, &n);

	if (n)
		qsort(at, n, sizeof(*at), compare_fde_at);
	for (size_t i = 0; i < n && !err; i++) {
		struct record r;
		struct fde f;

		/* The file may have changed since it was listed. */
		if (read_record(b, at[i].offset, &r) != 0 || read_fde(b, &r, &f) != 0 ||
		    f.start != at[i].start)
			b->bad_fdes++;
		else
			err = add_fde(b, &f);
	}
	free(at);
	return err;
}

int frame_section_rows(const struct frame_section *section, const struct frame_table *table,
		       struct row_sink *out, uint64_t *bad_fdes)
{
	struct builder *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return -ENOMEM;
	b->section = section;
	b->sink = out;
	reset(b);
	err = build_by_table(b, table);
	if (err == -EPROTO || err == -E2BIG) {
		reset(b);
		err = build_by_walk(b);
	}
	if (!err || err == -E2BIG)
		err = finish(b);
	if (!err)
		*bad_fdes += b->bad_fdes;
	free(b);
	return err;
}

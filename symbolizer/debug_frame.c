/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding .debug_frame: call frame information for debuggers, in objects that have none for
 * exceptions (Go, musl, -fno-asynchronous-unwind-tables), and in separate debug files.
 *
 * Compilers write a function's CFI into one of the two sections, so this one matters only where
 * .eh_frame leaves text uncovered. It may be compressed:
 *
 *	.debug_frame, SHF_COMPRESSED	{Elf64_Chdr, zlib data}
 *	.zdebug_frame			{"ZLIB", size as 8 bytes big-endian, zlib data}
 *
 * How much memory that takes is decided before it is taken: by the compressed bytes, as zlib yields
 * at most 1032 times those, and by SECTION_MAX.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "frame_section.h"

/* The largest seen is 3 MB; .eh_frame of libLLVM has 9 MB. */
#define SECTION_MAX    ((uint64_t)64 << 20)
#define ZLIB_RATIO_MAX 1032
/*
 * Looking for a separate debug file takes a while, and may mean to read all of it. An object's
 * start and end code (crti.o, the PLT) never has CFI: it takes more than that.
 */
#define UNCOVERED_MIN 4096

static int inflate_section(struct elf_bytes in, uint64_t size, uint8_t **out)
{
	uLongf n = size;
	uint8_t *p;
	int err;

	if (size == 0 || size > SECTION_MAX || size / ZLIB_RATIO_MAX > in.size)
		return -EFBIG;
	p = malloc(size);
	if (!p)
		return -ENOMEM;
	err = uncompress(p, &n, in.data, in.size);
	if (err == Z_OK && n == size) {
		*out = p;
		return 0;
	}
	free(p);
	return -EPROTO;
}

/* SHF_COMPRESSED. zstd (ch_type 2) is left alone. */
static int read_compressed(const struct elf_object *o, const Elf64_Shdr *sh, uint8_t **out,
			   uint64_t *size)
{
	struct elf_bytes b;
	Elf64_Chdr ch;

	if (sh->sh_type == SHT_NOBITS || sh->sh_size < sizeof(ch) ||
	    !elf_image_bytes(o, sh->sh_offset, sh->sh_size, &b))
		return -EPROTO;
	memcpy(&ch, b.data, sizeof(ch));
	if (ch.ch_type != ELFCOMPRESS_ZLIB)
		return -EOPNOTSUPP;
	b.data += sizeof(ch);
	b.size -= sizeof(ch);
	*size = ch.ch_size;
	return inflate_section(b, ch.ch_size, out);
}

/* .zdebug_frame, of before SHF_COMPRESSED. */
static int read_zdebug(const struct elf_object *o, uint8_t **out, uint64_t *size)
{
	uint64_t header[2];
	struct elf_bytes b;
	Elf64_Shdr sh;

	if (!elf_section_by_name(o, ".zdebug_frame", &sh) || !elf_section_bytes(o, &sh, &b))
		return -ENOENT;
	if (b.size < 12 || memcmp(b.data, "ZLIB", 4) != 0)
		return -EPROTO;
	memcpy(header, b.data + 4, sizeof(header[0]));
	*size = __builtin_bswap64(header[0]);
	b.data += 12;
	b.size -= 12;
	return inflate_section(b, *size, out);
}

/*
 * The section of an object or debug file. *copy is to be freed. Returns 0, or -errno where there is
 * none that can be read.
 */
static int find_section(const struct elf_object *o, struct frame_section *section, uint8_t **copy)
{
	uint64_t size;
	Elf64_Shdr sh;
	int err;

	section->debug_frame = true;
	*copy = NULL;
	if (!elf_section_by_name(o, ".debug_frame", &sh))
		err = read_zdebug(o, copy, &size);
	else if (sh.sh_flags & SHF_COMPRESSED)
		err = read_compressed(o, &sh, copy, &size);
	else
		return elf_section_bytes(o, &sh, &section->bytes) ? 0 : -ENOENT;
	if (!err)
		section->bytes = (struct elf_bytes){*copy, size};
	return err;
}

/* How much text has no row yet. */
static uint64_t uncovered_bytes(const struct row_sink *s)
{
	uint64_t sum = s->n ? 0 : s->end - s->base;

	for (size_t i = 0; i < s->n; i++)
		if (s->rows[i].kind == UNWIND_NONE)
			sum += row_sink_end(s, i) - (s->base + s->rows[i].pc);
	return sum;
}

static int rows_of(const struct elf_object *o, struct row_sink *out, uint64_t *bad_fdes)
{
	const struct frame_table none = {0};
	struct frame_section section = {0};
	uint8_t *copy;
	int err = find_section(o, &section, &copy);

	if (!err)
		err = frame_section_rows(&section, &none, out, bad_fdes);
	free(copy);
	return err == -ENOMEM ? err : 0;
}

int debug_frame_rows(const struct elf_object *o, const struct row_sink *so_far,
		     struct row_sink *out, uint64_t *bad_fdes)
{
	struct elf_object *debug;
	int err = rows_of(o, out, bad_fdes);

	if (err || out->n || uncovered_bytes(so_far) < UNCOVERED_MIN ||
	    debug_file_open(o, &debug) != 0)
		return err;
	err = rows_of(debug, out, bad_fdes);
	elf_object_free(debug);
	return err;
}

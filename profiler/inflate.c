/* SPDX-License-Identifier: Apache-2.0 */
/* See inflate.h. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include "../protocols/mysql_wire.h"
#include "inflate.h"

#define ZSTD_WINDOW_LOG 21 /* 2 MiB: what a frame may make the library allocate */

struct inflater {
	z_stream zlib;
	ZSTD_DStream *zstd;
};

struct inflater *inflater_new(void)
{
	struct inflater *i = calloc(1, sizeof(*i));

	if (!i)
		return NULL;
	i->zstd = ZSTD_createDStream();
	if (i->zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(i->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG)) &&
	    inflateInit(&i->zlib) == Z_OK)
		return i;
	ZSTD_freeDStream(i->zstd);
	free(i);
	return NULL;
}

void inflater_free(struct inflater *i)
{
	if (!i)
		return;
	inflateEnd(&i->zlib);
	ZSTD_freeDStream(i->zstd);
	free(i);
}

/* RFC 1950. Returns the bytes written, as many as the input gives. */
static size_t inflate_zlib(struct inflater *i, struct slice in, uint8_t *out, size_t size)
{
	if (inflateReset(&i->zlib) != Z_OK)
		return 0;
	i->zlib.next_in = (Bytef *)in.ptr;
	i->zlib.avail_in = in.len;
	i->zlib.next_out = out;
	i->zlib.avail_out = size;
	inflate(&i->zlib, Z_SYNC_FLUSH);
	return size - i->zlib.avail_out;
}

/* RFC 8878; whole blocks only. */
static size_t inflate_zstd(struct inflater *i, struct slice in, uint8_t *out, size_t size)
{
	ZSTD_inBuffer from = {in.ptr, in.len, 0};
	ZSTD_outBuffer to = {out, size, 0};

	ZSTD_initDStream(i->zstd);
	ZSTD_decompressStream(i->zstd, &to, &from);
	return to.pos;
}

static uint32_t le24(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

/* Returns the bytes that the frame gave, at most what it declares. */
static size_t inflate_frame(struct inflater *i, struct slice in, uint32_t inflated, uint8_t *out, size_t size)
{
	static const uint8_t zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};

	if (!inflated) {
		if (size > in.len)
			size = in.len;
		memcpy(out, in.ptr, size);
		return size;
	}
	if (size > inflated)
		size = inflated;
	if (in.len >= sizeof(zstd_magic) && !memcmp(in.ptr, zstd_magic, sizeof(zstd_magic)))
		return inflate_zstd(i, in, out, size);
	return inflate_zlib(i, in, out, size);
}

size_t inflate_mysql(struct inflater *i, struct slice stream, uint64_t received, uint8_t *out, size_t size,
		     uint64_t *inner_received)
{
	uint64_t declared = 0;
	bool whole = true; /* what comes next has its place behind what was written */
	size_t used = 0;

	*inner_received = 0;
	while (stream.len >= MYSQL_FRAME_BYTES) {
		uint32_t length = le24(stream.ptr), inflated = le24(stream.ptr + 4), gives = inflated ? inflated : length;
		struct slice in = {stream.ptr + MYSQL_FRAME_BYTES, stream.len - MYSQL_FRAME_BYTES};
		size_t n = 0;

		if (in.len > length)
			in.len = length;
		if (whole)
			n = inflate_frame(i, in, inflated, out + used, size - used);
		whole = whole && n == gives;
		used += n;
		*inner_received += gives;
		declared += MYSQL_FRAME_BYTES + (uint64_t)length;
		stream.ptr = in.ptr + in.len;
		stream.len -= MYSQL_FRAME_BYTES + in.len;
	}
	/* Frames that are not here; how much is in them is not known. */
	if (received > declared)
		*inner_received += received - declared;
	return used;
}

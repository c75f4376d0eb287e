/* SPDX-License-Identifier: Apache-2.0 */
/* See inflate.h. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include "../protocols/little_endian.h"
#include "../protocols/mongo.h"
#include "../protocols/mongo_wire.h"
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

/* inflate_snappy.cc */
size_t inflate_snappy(const uint8_t *in, size_t length, uint8_t *out, size_t size);

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

/* --- MongoDB --- */

static void put_le32(uint8_t *p, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		p[i] = value >> 8 * i;
}

static size_t inflate_by(struct inflater *i, uint8_t compressor, struct slice in, uint8_t *out, size_t size)
{
	switch (compressor) {
	case MONGO_NOT_COMPRESSED:
		if (size > in.len)
			size = in.len;
		memcpy(out, in.ptr, size);
		return size;
	case MONGO_SNAPPY:
		return inflate_snappy(in.ptr, in.len, out, size);
	case MONGO_ZLIB:
		return inflate_zlib(i, in, out, size);
	case MONGO_ZSTD:
		return inflate_zstd(i, in, out, size);
	}
	return 0;
}

static bool is_deflated(const struct mongo_message *m)
{
	return m->opcode == OP_COMPRESSED && m->body.len >= MONGO_COMPRESSED_BYTES; /* else it is cut before that is said */
}

/* The message's length, header and all, before it was compressed. */
static uint32_t inflated_length(const struct mongo_message *m)
{
	uint32_t inflated = le32(m->body.ptr + 4);

	return MONGO_HEADER_BYTES + (inflated < MONGO_LONGEST_MESSAGE ? inflated : MONGO_LONGEST_MESSAGE);
}

/* A message with the header that it had before it was compressed. Returns the bytes written, at most what that declares. */
static size_t inflate_message(struct inflater *i, const uint8_t *header, struct slice body, uint32_t length, uint8_t *out,
			      size_t size)
{
	size_t room = (size < length ? size : length) - MONGO_HEADER_BYTES;

	memcpy(out, header, MONGO_HEADER_BYTES);
	put_le32(out, length);
	memcpy(out + 12, body.ptr, 4); /* the original opcode */
	return MONGO_HEADER_BYTES +
	       inflate_by(i, body.ptr[8],
			  (struct slice){body.ptr + MONGO_COMPRESSED_BYTES, body.len - MONGO_COMPRESSED_BYTES},
			  out + MONGO_HEADER_BYTES, room);
}

size_t inflate_mongo(struct inflater *i, struct slice stream, uint64_t received, uint8_t *out, size_t size,
		     uint64_t *inner_received)
{
	const uint8_t *header = stream.ptr;
	uint64_t declared = 0, inner = 0;
	struct mongo_message m;
	bool whole = true; /* what comes next has its place behind what was written */
	size_t used = 0;

	for (; mongo_next_message(&stream, &m); header = stream.ptr) {
		uint32_t gives = is_deflated(&m) ? inflated_length(&m) : m.length;
		size_t n = MONGO_HEADER_BYTES + m.body.len;

		if (!whole || size - used < MONGO_HEADER_BYTES || (m.opcode == OP_COMPRESSED && !is_deflated(&m))) {
			n = 0;
		} else if (is_deflated(&m)) {
			n = inflate_message(i, header, m.body, gives, out + used, size - used);
		} else {
			if (n > size - used)
				n = size - used;
			memcpy(out + used, header, n);
		}
		whole = whole && n == gives;
		used += n;
		inner += gives;
		declared += m.length;
	}
	/* What is not here; how much is in it is not known. */
	*inner_received = inner + (received > declared ? received - declared : 0);
	return used;
}

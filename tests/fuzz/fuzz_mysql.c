/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes all of mysql.h, and inflate_mysql() in front of it.
 *
 *	byte 0	   bits 0-1: the stream below is plain, or to be deflated as one frame (stored, zlib, zstd)
 *		   bit 2: it is one of frames already, deflated by whoever made the input
 *		   bit 3: more was received than is captured
 *	byte 1..2  how much of the stream is captured, as far as there is so much
 *	byte 3..   the stream
 *
 * What must hold for any input is asserted: bounds, counts, text that is printable UTF-8; and that what was deflated
 * whole comes back as it was.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include "check_text.h"
#include "profiler/inflate.h"
#include "protocols/mysql.h"
#include "protocols/mysql_wire.h"

#define STREAM_MAX 16384
#define PLAIN_ROOM 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum form { FORM_PLAIN, FORM_STORED, FORM_ZLIB, FORM_ZSTD };

static void put_le24(uint8_t *p, size_t value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
	p[2] = (uint8_t)(value >> 16);
}

/* One frame of the compressed protocol. Returns its size. */
static size_t make_frame(enum form form, struct slice in, uint8_t out[static STREAM_MAX])
{
	uLongf n = STREAM_MAX - MYSQL_FRAME_BYTES;
	uint8_t *to = out + MYSQL_FRAME_BYTES;

	if (form == FORM_STORED) {
		n = in.len;
		memcpy(to, in.ptr, n);
	} else if (form == FORM_ZLIB) {
		assert(compress2(to, &n, in.ptr, in.len, 1) == Z_OK);
	} else {
		n = ZSTD_compress(to, n, in.ptr, in.len, 1);
		assert(!ZSTD_isError(n));
	}
	put_le24(out, n);
	out[3] = 0;
	put_le24(out + 4, form == FORM_STORED ? 0 : in.len);
	return MYSQL_FRAME_BYTES + n;
}

static void check_all(const struct mysql_batch *batch)
{
	static struct query_batch out;
	char schema[MYSQL_SCHEMA_BYTES];
	struct query_frame frame;
	uint32_t id = mysql_statement_id(batch);

	mysql_classify(batch, &out);
	check_batch(&out);
	assert(!id || out.verdict == QUERY_UNKNOWN_STATEMENT);
	assert(!id || (out.n_commands == 1 && !out.cut));
	mysql_classify_prepared(batch, &out);
	check_batch(&out);
	assert(!out.cut || out.verdict == QUERY_COMMANDS);
	mysql_schema(batch->stream, schema);
	check_text(schema, sizeof(schema), true);
	assert(!mysql_is_request(batch->stream, batch->received) || out.n_classes);
	mysql_frame(batch->stream, &frame);
	assert((frame.kind == FRAME_COMMAND) == (frame.operations != NULL));
}

/* A copy of its own, so that a read beyond its end is seen; inflated into memory of its own likewise. */
static void check_frames(struct inflater *inflater, const uint8_t *frames, size_t n, uint64_t received, size_t room,
			 struct slice expected)
{
	uint8_t *copy = malloc(n), *plain = malloc(room);
	struct mysql_batch batch = {.stream = {plain, 0}};

	assert((copy || !n) && (plain || !room));
	if (n)
		memcpy(copy, frames, n);
	batch.stream.len = inflate_mysql(inflater, (struct slice){copy, n}, received, plain, room, &batch.received);
	assert(batch.stream.len <= room && batch.stream.len <= batch.received);
	if (expected.len)
		assert(!memcmp(plain, expected.ptr, batch.stream.len < expected.len ? batch.stream.len : expected.len));
	check_all(&batch);
	free(copy);
	free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct inflater *inflater;
	static uint8_t frame[STREAM_MAX];
	struct slice stream = {data + 3, size - 3};
	size_t captured, n;
	uint64_t more;

	if (!inflater)
		inflater = inflater_new();
	if (size < 3 || size > STREAM_MAX / 2)
		return 0;
	captured = data[1] | (size_t)data[2] << 8;
	more = data[0] & 8 ? 100 : 0;
	if (data[0] & 4) {
		n = captured < stream.len ? captured : stream.len;
		check_frames(inflater, stream.ptr, n, stream.len + more, PLAIN_ROOM, (struct slice){0});
	} else if (data[0] & 3 && stream.len) {
		n = make_frame(data[0] & 3, stream, frame);
		captured = captured < n ? captured : n;
		check_frames(inflater, frame, captured, n + more, captured == n ? stream.len : PLAIN_ROOM, stream);
	} else {
		struct mysql_batch batch = {stream, stream.len + more};
		uint8_t *copy = malloc(stream.len);

		if (captured < stream.len)
			batch.stream.len = captured;
		if (stream.len)
			memcpy(copy + stream.len - batch.stream.len, stream.ptr, batch.stream.len);
		batch.stream.ptr = copy + stream.len - batch.stream.len; /* its end is the copy's */
		check_all(&batch);
		free(copy);
	}
	return 0;
}

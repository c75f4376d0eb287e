/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of a MongoDB connection -> the classes of the commands in them.
 *
 *	length	    request id	response to  opcode	body
 *	6b 00 00 00 01 00 00 00 00 00 00 00  dd 07 00 00 flags, sections: OP_MSG
 *
 * Nearly always there is one. A client that wants no replies (w: 0) sends one behind the other: several in a receive.
 */
#include <errno.h>
#include <string.h>
#include "mongo_internal.h"

/* Whether no continuation of the bytes would be the header of a request, which responds to nothing. */
static bool is_other(struct slice bytes)
{
	uint32_t length = bytes.len >= 4 ? le32(bytes.ptr) : MONGO_LONGEST_MESSAGE;

	if (length < MONGO_HEADER_BYTES + 4 || length > MONGO_LONGEST_MESSAGE)
		return true;
	if (bytes.len >= 12 && le32(bytes.ptr + 8))
		return true;
	return bytes.len >= MONGO_HEADER_BYTES && !MONGO_ASKS(le32(bytes.ptr + 12));
}

bool mongo_next_message(struct slice *stream, struct mongo_message *out)
{
	size_t left, n;

	if (stream->len < MONGO_HEADER_BYTES || is_other(*stream))
		return false;
	left = stream->len - MONGO_HEADER_BYTES;
	out->length = le32(stream->ptr);
	out->opcode = le32(stream->ptr + 12);
	n = out->length - MONGO_HEADER_BYTES;
	out->whole = n <= left;
	out->body = (struct slice){stream->ptr + MONGO_HEADER_BYTES, out->whole ? n : left};
	*stream = (struct slice){out->body.ptr + out->body.len, left - out->body.len};
	return true;
}

/* Fills all of *out. Returns 0, -EAGAIN (cut before the command's name), -EPROTO. */
static int build(const struct mongo_message *m, struct query_class *out)
{
	struct mongo_command command;
	int err;

	if (m->opcode != OP_MSG)
		return mongo_legacy_build(m, out);
	err = mongo_open_message(m, &command);
	return err ? err : mongo_class_build(&command, out);
}

enum query_verdict mongo_classify(const struct mongo_batch *batch, struct query_batch *out)
{
	struct slice stream = batch->stream;
	struct mongo_message m;
	uint64_t end = 0; /* of the messages so far, as they declare it */
	bool other = is_other(stream), stale = false, unknown = false;

	query_batch_begin(out, QUERY_STALE);
	while (mongo_next_message(&stream, &m)) {
		struct query_class spare, *class = query_batch_next(out, &spare);
		int err = build(&m, class);

		end += m.length;
		other = other || err == -EPROTO;
		stale = stale || err == -EAGAIN;
		if (err)
			continue;
		unknown = unknown || !strcmp(class->operation, "getMore");
		query_batch_add(out, class);
	}
	if (out->n_commands) {
		out->verdict = unknown ? QUERY_UNKNOWN_STATEMENT : QUERY_COMMANDS;
		out->cut = stale || batch->received > end;
	} else if (other) {
		out->verdict = QUERY_OTHER;
	}
	return out->verdict;
}

/* Returns whether it is known. */
static bool message_database(const struct mongo_message *m, struct slice *out)
{
	struct mongo_command command;

	if (m->opcode != OP_MSG)
		return mongo_legacy_database(m, out);
	return !mongo_open_message(m, &command) && mongo_command_database(&command, out);
}

/* Whether this is the end of a document from an element "$db" on; its name. */
static bool ends_with_database(struct slice end, struct slice *out)
{
	struct bson_reader reader = {end, end.len};
	struct bson_element element;
	int err = bson_next(&reader, &element);

	if (err != 1 || element.key.len != 3 || memcmp(element.key.ptr, "$db", 3) || !bson_text(&element, out))
		return false;
	while (err == 1)
		err = bson_next(&reader, &element);
	return !err && reader.left <= 1;
}

/*
 * The database that a message's end names, in its last section, a body. A field "$db" of a document inside (DBRef) is
 * followed by the ends of the documents around it, which is none of one document.
 */
static bool end_database(const struct mongo_batch *batch, struct slice *out)
{
	const uint8_t *flags = batch->stream.ptr + MONGO_HEADER_BYTES;
	struct slice end = batch->end;

	if (batch->stream.len >= MONGO_HEADER_BYTES + 4 && le32(flags) & MONGO_CHECKSUM && end.len >= 4)
		end.len -= 4;
	for (; end.len; end.ptr++, end.len--)
		if (*end.ptr == BSON_STRING && ends_with_database(end, out))
			return true;
	return false;
}

void mongo_database(const struct mongo_batch *batch, char out[static MONGO_DATABASE_BYTES])
{
	struct slice stream = batch->stream, database, first = {0};
	struct mongo_message m;

	out[0] = '\0';
	while (mongo_next_message(&stream, &m)) {
		if (m.opcode == OP_KILL_CURSORS)
			continue;
		if (!message_database(&m, &database) && !end_database(batch, &database))
			return;
		if (!database.len)
			return;
		if (first.len && (first.len != database.len || memcmp(first.ptr, database.ptr, first.len)))
			return;
		first = database;
	}
	if (first.len)
		mongo_copy_name(out, MONGO_DATABASE_BYTES, first);
}

/* OP_COMPRESSED: the opcode and the compressor are ones that there are. */
static bool is_compressed(struct slice body)
{
	uint32_t opcode = body.len >= 4 ? le32(body.ptr) : OP_MSG;

	return MONGO_ASKS(opcode) && opcode != OP_COMPRESSED && (body.len < MONGO_COMPRESSED_BYTES || body.ptr[8] <= MONGO_ZSTD);
}

bool mongo_is_request(struct slice bytes)
{
	struct query_class class;
	struct mongo_message m;

	if (!mongo_next_message(&bytes, &m))
		return false;
	return m.opcode == OP_COMPRESSED ? is_compressed(m.body) : build(&m, &class) != -EPROTO;
}

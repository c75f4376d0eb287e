/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes all of mongo.h.
 *
 *	byte 0	   bit 0: more was received than is captured
 *	byte 1..2  how much of the stream is captured, as far as there is so much
 *	byte 3..   the stream
 *
 * What must hold for any input is asserted: bounds, counts, text that is printable UTF-8 and is whole or says that it is not.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "check_text.h"
#include "protocols/mongo.h"

#define STREAM_MAX 16384

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_shape(const struct query_class *class)
{
	size_t n = strlen(class->text);

	assert(!strchr(class->operation, ' ') && strchr(" ", class->summary[strlen(class->operation)]));
	if (!strcmp(class->operation, "other") || !strcmp(class->operation, "unknown"))
		return;
	assert(class->text[0] == '{' && (class->text[n - 1] == '}' || (n > 3 && !strcmp(class->text + n - 3, "..."))));
}

static void check_all(const struct mongo_batch *batch)
{
	static struct query_batch out;
	char database[MONGO_DATABASE_BYTES];
	struct query_frame frame;
	struct slice rest = batch->stream;
	struct mongo_message m;
	uint32_t n_messages = 0;

	mongo_classify(batch, &out);
	check_batch(&out);
	for (uint32_t i = 0; i < out.n_classes; i++)
		check_shape(&out.classes[i]);
	while (mongo_next_message(&rest, &m)) {
		assert(m.body.ptr + m.body.len <= batch->stream.ptr + batch->stream.len);
		n_messages++;
	}
	assert(out.n_commands <= n_messages);
	mongo_database(batch, database);
	check_text(database, sizeof(database), true);
	assert(!mongo_is_request(batch->stream) || out.verdict != QUERY_OTHER);
	mongo_frame(batch->stream, &frame);
	assert((frame.kind == FRAME_COMMAND) == (frame.operations != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mongo_batch batch;
	size_t captured;
	uint8_t *copy;

	if (size < 3 || size > STREAM_MAX)
		return 0;
	captured = data[1] | (size_t)data[2] << 8;
	if (captured > size - 3)
		captured = size - 3;
	copy = malloc(captured + !captured); /* of its own, so that a read beyond its end is seen */
	assert(copy);
	memcpy(copy, data + 3, captured);
	batch = (struct mongo_batch){.stream = {copy, captured}, .received = size - 3 + (data[0] & 1 ? 100 : 0)};
	check_all(&batch);
	free(copy);
	return 0;
}

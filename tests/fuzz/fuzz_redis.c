/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes redis_classify(), redis_frame() and the RESP reader behind them.
 *
 *	byte 0	   bit 0: mask keys away; bit 1: the message goes on behind the capture
 *	byte 1..2  length of the head window
 *	byte 3..4  length of the last receive, bytes of the tail window as far as there are any
 *	byte 5..   the message
 *
 * What must hold for any input is asserted: bounds, counts, and text that is printable UTF-8.
 */
#include <assert.h>
#include <string.h>
#include "protocols/redis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t size)
{
	const uint8_t *s = (const uint8_t *)text;
	size_t len = strnlen(text, size);

	assert(len && len < size);
	for (size_t i = 0; i < len; i++) {
		size_t more = s[i] >= 0xf0 ? 3 : s[i] >= 0xe0 ? 2 : s[i] >= 0xc0 ? 1 : 0;

		assert(s[i] >= ' ' && s[i] != 0x7f &&
		       (s[i] < 0x80 || (s[i] >= 0xc2 && s[i] <= 0xf4)));
		for (; more; more--)
			assert((s[++i] & 0xc0) == 0x80);
	}
}

static void check_batch(const struct query_batch *batch)
{
	uint32_t n = 0;

	assert(batch->verdict < QUERY_VERDICTS && batch->n_classes <= QUERY_BATCH_CLASSES);
	assert((batch->verdict == QUERY_COMMANDS) == (batch->n_classes > 0));
	assert(!batch->cut || batch->n_classes);
	for (uint32_t i = 0; i < batch->n_classes; i++) {
		const struct query_class *class = &batch->classes[i];

		assert(class->count);
		n += class->count;
		check_text(class->operation, sizeof(class->operation));
		check_text(class->summary, sizeof(class->summary));
		check_text(class->text, sizeof(class->text));
		assert(!strncmp(class->summary, class->operation, strlen(class->operation)));
	}
	assert(n == batch->n_commands);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct query_batch batch;
	struct redis_message message;
	struct query_frame frame;
	size_t head, last;

	if (size < 5)
		return 0;
	head = data[1] | (size_t)data[2] << 8;
	last = data[3] | (size_t)data[4] << 8;
	message.received = size - 5;
	if (head > size - 5)
		head = size - 5;
	if (last > size - 5)
		last = size - 5;
	message.head = (struct slice){data + 5, head};
	message.tail = (struct slice){data + size - last, last};
	message.last_received = last;
	if (data[0] & 2) {
		message.received += 4096;
		message.last_received += 4096;
	}
	redis_classify(&message, data[0] & 1 ? REDIS_KEYS_NONE : REDIS_KEYS_PREFIX, &batch);
	check_batch(&batch);
	redis_frame(message.tail, &frame);
	assert((frame.kind == FRAME_COMMAND) == (frame.operations != NULL));
	return 0;
}

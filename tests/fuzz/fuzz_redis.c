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
#include "check_text.h"
#include "protocols/redis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	assert(batch.verdict != QUERY_UNKNOWN_STATEMENT);
	redis_frame(message.tail, &frame);
	assert((frame.kind == FRAME_COMMAND) == (frame.operations != NULL));
	return 0;
}

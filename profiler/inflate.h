/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deflated request bytes -> plain ones, as far as they go: captures are usually cut, and never trusted. What comes out is
 * bounded by the caller's buffer, whatever the input declares. The libraries' states are made once.
 */
#ifndef WIREPROF_INFLATE_H
#define WIREPROF_INFLATE_H

#include "../protocols/slice.h"

struct inflater; /* opaque */

struct inflater *inflater_new(void); /* NULL: no memory */
void inflater_free(struct inflater *i); /* NULL is fine */

/*
 * A stream of frames of MySQL's compressed protocol (MySQL, "Compressed Packet"), of which `received` bytes have come and
 * fewer may be here -> the packets in them. Returns the bytes written to `out`; *inner_received is what they would be in
 * all, as declared.
 */
size_t inflate_mysql(struct inflater *i, struct slice stream, uint64_t received, uint8_t *out, size_t size,
		     uint64_t *inner_received);

/*
 * The same for MongoDB's messages, some of which are OP_COMPRESSED (MongoDB, "MongoDB Wire Protocol", OP_COMPRESSED): they
 * become what was compressed, the others stay as they are.
 */
size_t inflate_mongo(struct inflater *i, struct slice stream, uint64_t received, uint8_t *out, size_t size,
		     uint64_t *inner_received);

#endif

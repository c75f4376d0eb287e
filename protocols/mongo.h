/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MongoDB requests: messages of the wire protocol -> query classes, and function names -> what a stack says of them.
 * (MongoDB, "MongoDB Wire Protocol", "OP_MSG"; BSON 1.1.)
 *
 * Pure functions: no I/O, no allocation, no globals that change. Nothing about the bytes is trusted.
 */
#ifndef WIREPROF_MONGO_H
#define WIREPROF_MONGO_H

#include "query.h"
#include "slice.h"

#define MONGO_DATABASE_BYTES 256 /* with the NUL */

/*
 * A batch: the messages that came in one receive, nearly always one.
 *
 *	| length 4 | request id 4 | response to 4 | opcode 4 | body | length 4 | request id 4 ...
 *
 * The stream is usually whole, but may be cut anywhere.
 */
struct mongo_batch {
	struct slice stream; /* with no OP_COMPRESSED in it: see inflate_mongo() */
	uint64_t received;   /* its bytes so far; more than stream has where that is cut */
	struct slice end;    /* then, the last bytes of it, if they are known and it is one message; else empty */
};

/*
 * Classifies the commands of the batch. A getMore is QUERY_UNKNOWN_STATEMENT with the class "getMore COLLECTION": whoever
 * has the command that opened the cursor classifies that instead. OP_COMPRESSED, and what has no command's name in its
 * place, are "unknown". QUERY_STALE: cut before the command's name. QUERY_OTHER: no request of this protocol.
 *
 *	operation	the command's name as it was sent; of older opcodes, of the command that does the same
 *	summary		"find orders", "aggregate orders $match $lookup products", "explain find orders", "hello handshake"
 *	text		{find: "orders", filter: {status: ?, total: {$gt: ?}}, sort: {date: -1}, limit: ?}
 *
 * The text has no values, and does not depend on the order of fields, on how many documents there are of a shape, or on
 * whether they are in the body or in a section of their own. It ends in "..." where it is cut; then the field that is cut is
 * the last of its document.
 */
enum query_verdict mongo_classify(const struct mongo_batch *batch, struct query_batch *out);

/* The database that the batch's commands name; "" where that of one is in neither stream nor end, or where they name several. */
void mongo_database(const struct mongo_batch *batch, char out[static MONGO_DATABASE_BYTES]);

/* Whether these are the first bytes of a request (a message's header that asks, with an opcode that is known). */
bool mongo_is_request(struct slice bytes);

struct mongo_message {
	struct slice body; /* behind the header, as far as it is captured */
	uint32_t length;   /* as declared, with the header */
	uint32_t opcode;
	bool whole; /* captured to its end */
};
/* Takes the next message off the stream. Returns false where no whole header of a request is there any more. */
bool mongo_next_message(struct slice *stream, struct mongo_message *out);

/* Function names as in the symbol table; see struct query_frame. */
void mongo_frame(struct slice function, struct query_frame *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis requests: captured bytes -> query classes, and function names -> what a stack says of them.
 *
 * Pure functions: no I/O, no allocation, no globals that change. Captured bytes are usually cut, and
 * are read out of a live server's memory, so nothing about them is trusted.
 */
#ifndef WIREPROF_REDIS_H
#define WIREPROF_REDIS_H

#include "query.h"
#include "slice.h"

/*
 * One message as the kernel side saw it: `received` bytes so far, in one receive or several.
 *
 *	offset 0                        received - last_received          received
 *	|head, captured when received...|        ...|tail, read when the sample fired...|
 *
 * Either window may be empty, and each may hold less than was received (it is cut at the capture limit).
 */
struct redis_message {
	struct slice head;	/* first bytes of the message; empty unless captured on receipt */
	struct slice tail;	/* first bytes of the last receive, as they are in memory now */
	uint64_t received;	/* bytes of this message so far, the last receive's included */
	uint64_t last_received; /* bytes that the last receive returned; == received if it is the only one */
};

enum redis_keys { REDIS_KEYS_PREFIX, REDIS_KEYS_NONE };

/*
 * Classifies the commands that the last receive of `message` brought, wholly or in part.
 * Fills *out and returns out->verdict. Never fails: what cannot be read is QUERY_STALE.
 */
enum query_verdict redis_classify(const struct redis_message *message, enum redis_keys keys,
				  struct query_batch *out);

/* Function names as in the symbol table: compiler suffixes (".constprop.0", ".part.1") are ignored. */
void redis_frame(struct slice function, struct query_frame *out);

#endif

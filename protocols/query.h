/* SPDX-License-Identifier: Apache-2.0 */
/* What every protocol comes down to: the classes of the queries that a message asks for. */
#ifndef WIREPROF_QUERY_H
#define WIREPROF_QUERY_H

#include <stdbool.h>
#include <stdint.h>

/* With the NUL. Names of tables and schemas have at most 64 characters; qualified ones are cut. */
#define QUERY_OPERATION_BYTES  64   /* "CONFIG|GET", "SELECT" */
#define QUERY_SUMMARY_BYTES    256  /* "GET user:*", "SELECT orders customers" */
#define QUERY_TEXT_BYTES       1024 /* "SET user:* ?", "SELECT * FROM `orders` WHERE `id` = ?" */
#define QUERY_COLLECTION_BYTES 256  /* "orders", where the query has one only; else "" */
#define QUERY_BATCH_CLASSES    32   /* distinct classes kept of one batch; the rest: "other" */

/* Valid UTF-8 without control characters, and nothing of a query's values. */
struct query_class {
	char operation[QUERY_OPERATION_BYTES];
	char summary[QUERY_SUMMARY_BYTES]; /* begins with the operation */
	char text[QUERY_TEXT_BYTES];
	char collection[QUERY_COLLECTION_BYTES];
	uint32_t count; /* queries of this class in the batch */
};

enum query_verdict {
	QUERY_COMMANDS,	 /* classes[] holds what is in play */
	QUERY_ENCRYPTED, /* TLS */
	QUERY_STALE,	 /* not a request (any more): overwritten, trimmed, or cut before it says what it is */
	QUERY_OTHER,	 /* positively another protocol, such as HTTP */
	QUERY_VERDICTS,
};

struct query_batch {
	enum query_verdict verdict;
	uint32_t n_classes, n_commands; /* n_commands = sum of counts */
	bool cut;			/* more queries may have been there than the capture shows */
	struct query_class classes[QUERY_BATCH_CLASSES];
};

/*
 * Where the next class is to be built: the batch's next free place, or *spare where it has none left. All of the class
 * must be filled in. Then query_batch_add() counts it, joined with its like; the 33rd and later are counted as "other".
 */
struct query_class *query_batch_next(struct query_batch *batch, struct query_class *spare);
void query_batch_add(struct query_batch *batch, const struct query_class *built);

#endif

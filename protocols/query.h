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
	QUERY_UNKNOWN_STATEMENT, /* it executes what was prepared unseen: classes[] has the command */
	QUERY_VERDICTS,
};

struct query_batch {
	enum query_verdict verdict;
	uint32_t n_classes, n_commands; /* n_commands = sum of counts */
	bool cut;			/* more queries may have been there than the capture shows */
	struct query_class classes[QUERY_BATCH_CLASSES];
};

/* An empty batch. Its classes are left as they are: 50 kB, which nobody reads. */
void query_batch_begin(struct query_batch *batch, enum query_verdict verdict);

/*
 * Where the next class is to be built: the batch's next free place, or *spare where it has none left. All of the class
 * must be filled in. Then query_batch_add() counts it, joined with its like; the 33rd and later are counted as "other".
 */
struct query_class *query_batch_next(struct query_batch *batch, struct query_class *spare);
void query_batch_add(struct query_batch *batch, const struct query_class *built);

/*
 * What the name of a function on the stack says about the request that runs there.
 */
enum frame_kind {
	FRAME_PLAIN,	/* says nothing */
	FRAME_COMMAND,	/* implements one command, or one of a few (see operations) */
	FRAME_READ,	/* reads a client's bytes and runs what they ask, on this thread */
	FRAME_DETACHED,	/* runs commands whose bytes another thread, or an earlier turn, read */
	FRAME_REPLY,	/* writes replies of earlier requests */
	FRAME_BACKGROUND, /* serves no request: cron, expiry, persistence, background threads */
};

struct query_frame {
	enum frame_kind kind;
	/* COMMAND: the operations that this function implements, NULL-terminated; static storage. */
	const char *const *operations;
	const char *system; /* COMMAND: whose function it is, if its name alone says so: "mongodb"; else NULL */
};

#endif

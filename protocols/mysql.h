/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MySQL and MariaDB requests: packets of the client/server protocol -> query classes, and function names -> what a
 * stack says of them. (MySQL, "Client/Server Protocol"; MariaDB, "Clients & Utilities: Client/Server Protocol".)
 *
 * Pure functions: no I/O, no allocation, no globals that change. Nothing about the bytes is trusted.
 */
#ifndef WIREPROF_MYSQL_H
#define WIREPROF_MYSQL_H

#include "query.h"
#include "slice.h"

#define MYSQL_SCHEMA_BYTES 256 /* with the NUL */

/*
 * A batch: the commands that came in one receive, nearly always one.
 *
 *	| length 3 | sequence 1 | payload | length 3 | sequence 1 | payload ...
 *
 * The stream is usually whole, but may be cut anywhere.
 */
struct mysql_batch {
	struct slice stream; /* without the frames of the compressed protocol */
	uint64_t received;   /* its bytes so far; more than stream has where that is cut */
};

/* Classifies the commands of the batch. EXECUTE and its like are QUERY_UNKNOWN_STATEMENT: see below. */
enum query_verdict mysql_classify(const struct mysql_batch *batch, struct query_batch *out);

/*
 * Classifies a command that executes (or fetches from) a prepared statement: the class is that of the SQL that `prepare`,
 * the batch of a STMT_PREPARE or of PREPARE name FROM '...', gave it.
 */
enum query_verdict mysql_classify_prepared(const struct mysql_batch *prepare, struct query_batch *out);

/* The id of the statement that the batch, if it is one command, executes or fetches from; 0: it does not. */
uint32_t mysql_statement_id(const struct mysql_batch *batch);

/*
 * The schema that a command chose: the handshake response, CHANGE_USER, INIT_DB or USE, as the first bytes of its stream
 * (or of its frame in the compressed protocol, stored). "" where it chose none, or where that is cut off.
 */
void mysql_schema(struct slice origin, char out[static MYSQL_SCHEMA_BYTES]);

/* Whether these are the first bytes of what a client sends: a handshake response, or commands, and nothing else. */
bool mysql_is_request(struct slice bytes, uint64_t received);

/* Function names as in the symbol table, C++ mangled; see struct query_frame. */
void mysql_frame(struct slice function, struct query_frame *out);

#endif

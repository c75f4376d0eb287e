/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQL as MySQL and MariaDB speak it: statement -> query class, without any of its values.
 *
 * Pure functions: no I/O, no allocation, no globals that change. One pass over the text.
 */
#ifndef WIREPROF_SQL_H
#define WIREPROF_SQL_H

#include "query.h"
#include "slice.h"

/*
 * Reads the first statement of `text`, and fills in all of *out but the count:
 *	operation	its first keyword, SELECT; of DDL two, "CREATE TABLE"
 *	summary		operations and targets in the order in which they come (OpenTelemetry, database spans, "Generating
 *			a summary of the query"), cut at a word
 *	text		what the server has as its DIGEST_TEXT, with "?" for values; ends in "..." where it is cut
 *	collection	the table, where the statement has just one
 * `whole`: the text ends here. Else it was cut at a capture limit: what the end may have cut through is left out.
 *
 * Returns the bytes read, up to and with the ';' that ends the statement, so that the caller can go on with the next;
 * 0 where there is no statement (any more): *out is then untouched.
 */
size_t sql_classify(struct slice text, bool whole, struct query_class *out);

/*
 * The statement within a statement: PREPARE name FROM '...', EXECUTE IMMEDIATE '...'. Copies the literal, its escapes
 * undone, to `out`, at most `size` bytes; *whole tells whether that is all of it. Returns the number of bytes; 0 where
 * the text is no such statement, or takes its statement from a variable.
 */
size_t sql_inner_statement(struct slice text, uint8_t *out, size_t size, bool *whole);

#endif

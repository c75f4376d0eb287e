/* SPDX-License-Identifier: Apache-2.0 */
/* What the files behind mysql.h share. */
#ifndef WIREPROF_MYSQL_INTERNAL_H
#define WIREPROF_MYSQL_INTERNAL_H

#include "mysql.h"
#include "mysql_wire.h"

/* `n` bytes, little-endian. */
static inline uint32_t mysql_le(const uint8_t *p, size_t n)
{
	uint32_t value = 0;

	for (size_t i = n; i-- > 0;)
		value = value << 8 | p[i];
	return value;
}

struct mysql_packet {
	struct slice payload; /* as far as it is captured */
	uint32_t length;      /* as declared */
	uint8_t sequence;
	bool whole; /* the payload is captured to its end */
};

/* Takes the next packet off the stream. Returns false where there is no header any more. */
bool mysql_next_packet(struct slice *stream, struct mysql_packet *out);

/* STMT_CLOSE, SEND_LONG_DATA: clients send these along with their next command. */
bool mysql_is_unanswered(const struct mysql_packet *p);

/* Appends text to out[at], cut at a blank where it does not fit. */
void mysql_cut_at_word(char *out, size_t size, size_t at, const char *text);

/*
 * Takes attributes off the front of a query, if there are any. Returns false where they are cut, or make no sense: then
 * there is no telling where the SQL begins.
 */
bool mysql_skip_attributes(struct slice *sql);

#endif

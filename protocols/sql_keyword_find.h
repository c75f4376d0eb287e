/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this word a keyword? A perfect hash: one multiplication, two small tables, one comparison.
 *
 *	first 16 bytes, length -> hash -> bucket -> displacement -> slot -> the one it could be
 */
#ifndef WIREPROF_SQL_KEYWORD_FIND_H
#define WIREPROF_SQL_KEYWORD_FIND_H

#include <string.h>
#include "sql_internal.h"

/* See sql_keywords_hash.h. */
extern const uint64_t sql_keyword_seed;
extern const uint8_t sql_keyword_displacements[256];
extern const uint16_t sql_keyword_slots[1024];

/*
 * The row of the only keyword that the word could be; row 0, of none, where there is no such.
 * `low` and `high`: its first 16 bytes, upper case, NULs behind its end.
 */
static inline uint32_t sql_keyword_row(size_t len, uint64_t low, uint64_t high)
{
	uint64_t hash = (low + high + len) * sql_keyword_seed;

	return sql_keyword_slots[(hash >> 32 & 1023) ^ sql_keyword_displacements[hash >> 56]];
}

static inline bool sql_same_rest(const char *upper, const uint8_t *word, size_t len)
{
	for (size_t i = 16; i < len; i++)
		if (upper[i] != (word[i] >= 'a' && word[i] <= 'z' ? word[i] - 0x20 : word[i]))
			return false;
	return true;
}

/* The word's id, or NO_KEYWORD. `word`: all of it, as it came. */
static inline uint16_t sql_keyword_find(const uint8_t *word, size_t len, uint64_t low,
					uint64_t high)
{
	uint32_t row = sql_keyword_row(len, low, high);
	const struct sql_keyword *keyword = &sql_keywords[row];
	uint64_t have[2];

	memcpy(have, keyword->text, sizeof(have));
	if (keyword->len != len || have[0] != low || have[1] != high ||
	    (len > 16 && !sql_same_rest(keyword->text, word, len)))
		return NO_KEYWORD;
	return (uint16_t)(NO_KEYWORD + row);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this word a keyword? A perfect hash: one multiplication, two small tables, one comparison.
 *
 *	first 16 bytes, length -> hash -> bucket -> displacement -> slot -> the one keyword it could
 *be
 */
#ifndef WIREPROF_SQL_KEYWORD_FIND_H
#define WIREPROF_SQL_KEYWORD_FIND_H

#include <string.h>
#include "sql_internal.h"
#include "sql_keywords_hash.h"

static inline bool sql_same_rest(const char *upper, const uint8_t *word, size_t len)
{
	for (size_t i = 16; i < len; i++)
		if (upper[i] != (word[i] >= 'a' && word[i] <= 'z' ? word[i] - 0x20 : word[i]))
			return false;
	return true;
}

/*
 * The word's id, or NO_KEYWORD. `low` and `high`: its first 16 bytes, upper case, NULs behind its
 * end; `word`: all of it, as it came.
 */
static inline uint16_t sql_keyword_find(const uint8_t *word, size_t len, uint64_t low,
					uint64_t high)
{
	uint64_t hash = ((low ^ (high << 1 | high >> 63)) + len) * HASH_SEED;
	uint32_t slot = slots[(hash >> 32 & 1023) ^ displacements[hash >> 56]];
	const struct sql_keyword *keyword;
	uint64_t have[2];

	if (!slot)
		return NO_KEYWORD;
	keyword = &sql_keywords[slot - 1];
	memcpy(have, keyword->text, sizeof(have));
	if (keyword->len != len || have[0] != low || have[1] != high ||
	    (len > 16 && !sql_same_rest(keyword->text, word, len)))
		return NO_KEYWORD;
	return (uint16_t)(TOKEN_WORDS + slot - 1);
}

#endif

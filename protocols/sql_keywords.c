/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this word a keyword? A perfect hash: one multiplication, two small tables, one comparison.
 *
 *	first 16 bytes, length -> hash -> bucket -> displacement -> slot -> the one keyword it could be
 */
#include <string.h>
#include "sql_internal.h"
#include "sql_keywords_hash.h"

#define KEYWORD_ROW(word, shown, flags) {#word, sizeof(#word) - 1, flags},
#define KEYWORD_SHOWN(word, shown, flags) KW_##shown,

/* clang-format off */
const struct sql_keyword sql_keywords[KEYWORDS_END - TOKEN_WORDS] = {
	SQL_KEYWORDS(KEYWORD_ROW, KEYWORD_RESERVED, KEYWORD_STARTS_EXPRESSION, KEYWORD_FUNCTION)
};
const uint16_t sql_keyword_shown[KEYWORDS_END - TOKEN_WORDS] = {
	SQL_KEYWORDS(KEYWORD_SHOWN, 0, 0, 0)
};
/* clang-format on */

static bool same_rest(const char *upper, const uint8_t *word, size_t len)
{
	for (size_t i = 16; i < len; i++)
		if (upper[i] != (word[i] >= 'a' && word[i] <= 'z' ? word[i] - 0x20 : word[i]))
			return false;
	return true;
}

uint16_t sql_keyword_find(const uint8_t *word, size_t len, uint64_t low, uint64_t high)
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
	    (len > 16 && !same_rest(keyword->text, word, len)))
		return NO_KEYWORD;
	return (uint16_t)(TOKEN_WORDS + slot - 1);
}

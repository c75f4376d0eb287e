/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this word a keyword? A perfect hash: one multiplication, two small tables, one comparison.
 *
 *	first 16 bytes, length -> hash -> bucket -> displacement -> slot -> the one keyword it could
 *be
 */
#include <string.h>
#include "sql_internal.h"
#include "sql_keywords_hash.h"

#define KEYWORD_ROW(word, shown, flags)   {#word, sizeof(#word) - 1, flags},
#define KEYWORD_SHOWN(word, shown, flags) KW_##shown,

/* clang-format off */
const struct sql_keyword sql_keywords[KEYWORDS_END - TOKEN_WORDS] = {
	SQL_KEYWORDS(KEYWORD_ROW, KEYWORD_RESERVED, KEYWORD_STARTS_EXPRESSION, KEYWORD_FUNCTION,
		     KEYWORD_SUMMARY, KEYWORD_PASSWORD)
};
const uint16_t sql_keyword_shown[KEYWORDS_END - TOKEN_WORDS] = {
	SQL_KEYWORDS(KEYWORD_SHOWN, 0, 0, 0, 0, 0)
};
/* clang-format on */

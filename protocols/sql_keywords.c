/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of keywords and of what kinds of tokens do; names of character sets. */
#include <string.h>
#include "sql_internal.h"
#include "sql_keyword_find.h"
#include "sql_keywords_hash.h"

#define KEYWORD_ROW(word, shown, flags)   {#word, sizeof(#word) - 1, KW_##shown},
#define KEYWORD_FLAGS(word, shown, flags) [KW_##word] = flags,

/* clang-format off */
const struct sql_keyword sql_keywords[KEYWORDS_END - NO_KEYWORD] = {
	{"", 0, TOKEN_NAME},
	SQL_KEYWORDS(KEYWORD_ROW, 0, 0, 0, 0, 0)
};
const uint8_t sql_flags[KEYWORDS_END] = {
	[TOKEN_END] = KIND_STOPS,
	[TOKEN_BAD] = KIND_STOPS,
	[TOKEN_VALUE] = KIND_STOPS,
	[';'] = KIND_STOPS,
	['%'] = STARTS_EXPRESSION,
	['&'] = STARTS_EXPRESSION,
	['('] = STARTS_EXPRESSION | KIND_SUMMARY,
	[')'] = KIND_SUMMARY,
	['*'] = STARTS_EXPRESSION,
	['+'] = STARTS_EXPRESSION,
	[','] = STARTS_EXPRESSION | KIND_LIST,
	['-'] = STARTS_EXPRESSION,
	['/'] = STARTS_EXPRESSION,
	['^'] = STARTS_EXPRESSION,
	['|'] = STARTS_EXPRESSION,
	[TOKEN_AND] = STARTS_EXPRESSION,
	[TOKEN_OR] = STARTS_EXPRESSION,
	[TOKEN_SHIFT_LEFT] = STARTS_EXPRESSION,
	[TOKEN_SHIFT_RIGHT] = STARTS_EXPRESSION,
	SQL_KEYWORDS(KEYWORD_FLAGS, KEYWORD_RESERVED, STARTS_EXPRESSION, KEYWORD_FUNCTION,
		     KIND_SUMMARY, KEYWORD_PASSWORD)
};
/* clang-format on */

bool sql_is_charset(const uint8_t *word, size_t len)
{
	/* Each between blanks. */
	static const char names[] =
		" armscii8 ascii big5 binary cp1250 cp1251 cp1256 cp1257 cp850 cp852 cp866 cp932"
		" dec8 eucjpms euckr gb18030 gb2312 gbk geostd8 greek hebrew hp8 keybcs2 koi8r"
		" koi8u latin1 latin2 latin5 latin7 macce macroman sjis swe7 tis620 ucs2 ujis"
		" utf16 utf16le utf32 utf8 utf8mb3 utf8mb4 ";
	char name[16] = " ";

	if (len > sizeof(name) - 2)
		return false;
	for (size_t i = 1; i < len; i++)
		name[i] = (char)(word[i] | 0x20);
	name[len] = ' ';
	return strstr(names, name) != NULL;
}

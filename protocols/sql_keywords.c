/* SPDX-License-Identifier: Apache-2.0 */
/* The table of keywords; names of character sets. */
#include <string.h>
#include "sql_internal.h"

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

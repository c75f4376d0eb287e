/* SPDX-License-Identifier: Apache-2.0 */
/* Names of tables and columns as they may be printed: valid UTF-8, no control characters. */
#include <string.h>
#include "sql_internal.h"
#include "sql_scan.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Length of the valid UTF-8 character at `s`, which is no ASCII; 0 if it is none. */
static size_t utf8_length(const uint8_t *s, size_t left)
{
	size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;

	if (s[0] < 0xc2 || s[0] > 0xf4 || len > left)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	if (s[0] == 0xc2 && s[1] < 0xa0)
		return 0; /* control characters too */
	return len;
}

size_t sql_clean_name(char *out, size_t size, const uint8_t *name, size_t len, bool undouble,
		      bool *fits)
{
	size_t n = 0, part;

	*fits = true;
	if (len <= size && sql_copy_plain(out, name, len) && !memchr(name, '`', len))
		return len; /* mostly */
	for (size_t i = 0; i < len; i += part) {
		const char *from = (const char *)name + i;
		size_t bytes;

		part = bytes = 1;
		if (name[i] >= 0x80) {
			part = bytes = utf8_length(name + i, len - i);
			if (!part)
				part = 1;
		} else if (name[i] < ' ' || name[i] == 0x7f) {
			bytes = 0;
		} else if (undouble && name[i] == '`' && i + 1 < len) {
			part = 2;
		}
		if (!bytes) {
			from = REPLACEMENT;
			bytes = strlen(REPLACEMENT);
		}
		if (n + bytes > size) {
			*fits = false;
			return n;
		}
		memcpy(out + n, from, bytes);
		n += bytes;
	}
	return n;
}

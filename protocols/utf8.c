/* SPDX-License-Identifier: Apache-2.0 */
/* See utf8.h. */
#include <stdbool.h>
#include "utf8.h"

static bool is_printable(uint32_t c)
{
	if (c < 0xa1 || c == 0xad || c == 0x61c || c == 0xfeff || c > 0x3ffff)
		return false;
	if ((c >= 0x2000 && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f) || (c >= 0x2060 && c <= 0x206f) ||
	    (c >= 0xfff0 && c <= 0xffff))
		return false;
	return !(c >= 0xd800 && c <= 0xf8ff) && (c & 0xfffe) != 0xfffe;
}

size_t utf8_printable(const uint8_t *s, size_t len)
{
	size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	uint32_t c;

	if (s[0] < 0x80)
		return s[0] >= ' ' && s[0] < 0x7f;
	if (s[0] < 0xc2 || s[0] > 0xf4 || len < n)
		return 0;
	c = s[0] & (0x7f >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000))
		return 0;
	return is_printable(c) ? n : 0;
}

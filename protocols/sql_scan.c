/* SPDX-License-Identifier: Apache-2.0 */
/* What each byte may begin, and where numbers end. */
#include "sql_scan.h"

/* clang-format off */
#define B CLASS_BLANK
#define L CLASS_LETTER
#define D CLASS_DIGIT
#define Q CLASS_QUOTE
#define O CLASS_OPERATOR
#define S CLASS_SINGLE
#define X CLASS_BAD
#define C CLASS_COMMENT
#define L16 L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L

const uint8_t sql_class[256] = {
	X, X, X, X, X, X, X, X,  X, B, B, B, B, B, X, X,
	X, X, X, X, X, X, X, X,  X, X, X, X, X, X, X, X,
	/*   !  "  #  $  %  &  '   (  )  *  +  ,  -  .          / */
	B, O, Q, C, L, S, O, Q,  S, S, C, S, S, C, CLASS_DOT, C,
	/* 0                           :  ;  <  =  >  ? */
	D, D, D, D, D, D, D, D,  D, D, O, S, O, S, O, CLASS_PLACEHOLDER,
	CLASS_AT, L, L, L, L, L, L, L,  L, L, L, L, L, L, L, L,
	/*                             [  \  ]  ^  _ */
	L, L, L, L, L, L, L, L,  L, L, L, S, X, S, S, L,
	CLASS_BACKQUOTE, L, L, L, L, L, L, L,  L, L, L, L, L, L, L, L,
	/*                             {  |  }  ~ */
	L, L, L, L, L, L, L, L,  L, L, L, S, O, S, S, X,
	L16, L16, L16, L16, L16, L16, L16, L16,
};
/* clang-format on */

static const uint8_t *skip_digits(const uint8_t *at, const uint8_t *end)
{
	while (at < end && sql_class[*at] == CLASS_DIGIT)
		at++;
	return at;
}

static bool is_hex(uint8_t c)
{
	return sql_class[c] == CLASS_DIGIT || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* Behind 0x1f or 0b101; `at` if it is none, but a name. */
static const uint8_t *skip_prefixed(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *stop = at + 2;

	while (stop < end && (at[1] == 'x' ? is_hex(*stop) : *stop == '0' || *stop == '1'))
		stop++;
	return stop > at + 2 && (stop == end || !sql_is_name(*stop)) ? stop : at;
}

/* Behind the exponent at `at`, or `at` where there is none. */
static const uint8_t *skip_exponent(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *digits = at + 1;

	if (at == end || (*at | 0x20) != 'e')
		return at;
	if (digits < end && (*digits == '+' || *digits == '-'))
		digits++;
	return digits < end && sql_class[*digits] == CLASS_DIGIT ? skip_digits(digits, end) : at;
}

const uint8_t *sql_scan_number(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *stop = skip_digits(at, end), *more;

	if (*at == '0' && stop == at + 1 && stop < end && (*stop == 'x' || *stop == 'b'))
		return skip_prefixed(at, end);
	more = skip_exponent(stop, end);
	if (more > stop || stop == end)
		return more;
	if (*stop != '.')
		return sql_is_name(*stop) ? at : stop;
	if (end - stop > 1 && stop[1] == '.') /* 1..3 */
		return stop;
	return skip_exponent(skip_digits(stop + 1, end), end);
}

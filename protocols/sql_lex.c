/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQL bytes -> tokens, as the server's lexer sees them. What is easily got wrong:
 *
 *	t.select, t .1a		a '.' directly before a name makes it one: no keyword, no number
 *	count(*), count (*)	names of functions are keywords only directly before '('
 *	1e5, 1e, 1ea		a number, two names
 *	a--1, a -- 1		two signs; a comment
 *	x'1f', n'..', _utf8'..'	strings all
 *	@x, @@x, @`x`, @'x'	a value to us (as to the server), a name, a name, a value
 *	/+! 1 +/, /+M! 1 +/	with stars for plus signs: the server executes what is in them
 *
 * A capture may end anywhere. The last token of a cut text could go on in any way: it is left out.
 */
#include <string.h>
#include "sql_internal.h"
#include "sql_keyword_find.h"
#include "sql_scan.h"

/* Out of the way of what is done for each word. */
#define SLOW __attribute__((noinline))

void sql_lex_init(struct sql_lex *lex, struct slice text, bool whole)
{
	*lex = (struct sql_lex){.at = text.ptr,
				.end = text.ptr + text.len,
				.start = text.ptr,
				.whole = whole,
				.backslash = true};
}

static uint8_t peek(const struct sql_lex *lex, size_t ahead)
{
	return (size_t)(lex->end - lex->at) > ahead ? lex->at[ahead] : 0;
}

static void to_end(struct sql_lex *lex)
{
	lex->at = lex->end;
	lex->cut = true;
}

/* --- comments --- */

/* Behind the end of a comment. `nested`: one may be within it, where the server allows that. */
static void skip_comment(struct sql_lex *lex, bool nested)
{
	while (lex->at < lex->end) {
		const uint8_t *star = memchr(lex->at, '*', (size_t)(lex->end - lex->at));

		if (!star)
			break;
		if (nested && star > lex->at && star[-1] == '/') {
			lex->at = star + 1;
			skip_comment(lex, false);
			continue;
		}
		lex->at = star + 1;
		if (peek(lex, 0) == '/') {
			lex->at++;
			return;
		}
	}
	to_end(lex);
}

static void skip_line(struct sql_lex *lex)
{
	const uint8_t *newline = memchr(lex->at, '\n', (size_t)(lex->end - lex->at));

	if (newline)
		lex->at = newline + 1;
	else
		lex->at = lex->end;
	if (!newline && !lex->whole)
		lex->cut = true;
}

/*
 * At slash, star: a comment, or one whose content is for servers from some version on. 10.11 takes
 * 50700 to 99999 for versions of MySQL that it knows nothing of.
 */
SLOW static void read_comment(struct sql_lex *lex)
{
	uint32_t version = 0;
	size_t digits = 0;

	lex->at += 2;
	if (peek(lex, 0) == 'M' && peek(lex, 1) == '!')
		lex->at++;
	if (peek(lex, 0) != '!') {
		skip_comment(lex, false);
		return;
	}
	lex->at++;
	for (; digits < 6 && peek(lex, digits) >= '0' && peek(lex, digits) <= '9'; digits++)
		version = version * 10 + (peek(lex, digits) - '0');
	if (digits >= 5)
		lex->at += digits;
	if (digits >= 5 && version >= 50700 && version <= 99999)
		skip_comment(lex, true);
	else
		lex->in_version = true;
}

/* --- quotes --- */

bool sql_lex_string(struct sql_lex *lex, uint8_t quote)
{
	const uint8_t *at = lex->at, *end = lex->end;

	lex->escaped_quote = NULL;
	for (;;) {
		at = sql_scan_string(at, end, quote);
		if (at == end)
			break;
		if (*at == '\\') {
			if (!lex->backslash) {
				at++;
				continue;
			}
			if (end - at < 2)
				break;
			if (at[1] == quote && !lex->escaped_quote)
				lex->escaped_quote = at + 1;
			at += 2;
			continue;
		}
		if (end - at > 1 && at[1] == quote) {
			at += 2;
			continue;
		}
		lex->at = at + 1;
		return true;
	}
	to_end(lex);
	return false;
}

SLOW static void read_string(struct sql_lex *lex, struct sql_token *token, size_t prefix)
{
	uint8_t quote = lex->at[prefix];

	token->kind = TOKEN_VALUE;
	lex->at += prefix + 1;
	if (!sql_lex_string(lex, quote))
		token->kind = TOKEN_END;
}

SLOW static void read_quoted_name(struct sql_lex *lex, struct sql_token *token)
{
	const uint8_t *quote;

	lex->at++;
	for (;;) {
		quote = memchr(lex->at, '`', (size_t)(lex->end - lex->at));
		if (!quote) {
			to_end(lex);
			token->kind = TOKEN_END;
			return;
		}
		lex->at = quote + 1;
		if (peek(lex, 0) != '`')
			break;
		lex->at++;
	}
	token->kind = TOKEN_QUOTED_NAME;
}

/* --- words and numbers --- */

static void read_name(struct sql_lex *lex, struct sql_token *token, const uint8_t *end)
{
	token->kind = TOKEN_NAME;
	lex->at = end;
	if (peek(lex, 0) == '.' && sql_is_name(peek(lex, 1)))
		lex->state = LEX_DOT;
}

/* x'1f', _utf8'..': words that begin a literal. */
SLOW static bool read_prefix(struct sql_lex *lex, struct sql_token *token)
{
	const uint8_t *at = token->start;

	if (*at == '_') {
		if (!sql_is_charset(at, (size_t)(lex->at - at)))
			return false;
		token->kind = TOKEN_CHARSET;
		return true;
	}
	if (peek(lex, 0) != '\'' || !strchr("xXbBnN", *at))
		return false;
	lex->at = at;
	read_string(lex, token, 1);
	return true;
}

/*
 * At a letter, where the token starts. `system`: of @@global.x, where keywords may have a '.'
 * behind them, and functions are none.
 */
static void read_word(struct sql_lex *lex, struct sql_token *token, const uint8_t *at, bool system)
{
	const uint8_t *end = lex->end;
	struct sql_word word = sql_scan_word(at, end, lex->start);
	uint8_t next = word.end < end ? *word.end : 0;
	uint16_t id;

	lex->at = word.end;
	token->kind = TOKEN_NAME;
	if (next == '.' && end - word.end > 1 && sql_is_name(word.end[1])) {
		lex->state = LEX_DOT;
		if (!system)
			return;
	}
	if ((*at == '_' || (word.len == 1 && next == '\'')) && read_prefix(lex, token))
		return;
	if (word.len > KEYWORD_TEXT)
		return;
	id = sql_keyword_find(at, word.len, word.low, word.high);
	if (id == NO_KEYWORD || (sql_flags[id] & KEYWORD_FUNCTION && (next != '(' || system)))
		return;
	token->word = id;
	token->kind = sql_keyword(id)->shown;
}

SLOW static const uint8_t *word_end(const struct sql_lex *lex, const uint8_t *at)
{
	return sql_scan_word(at, lex->end, lex->start).end;
}

/* At a digit: a number, or a name that begins with one. What sticks to a number, 1.5abc, is shown
 * no more than it is. */
SLOW static void read_number(struct sql_lex *lex, struct sql_token *token)
{
	const uint8_t *stop = sql_scan_number(lex->at, lex->end);
	struct sql_word word;

	if (stop == lex->at) {
		read_name(lex, token, word_end(lex, stop));
		return;
	}
	token->kind = TOKEN_NUMBER;
	lex->at = stop;
	if (stop == lex->end || !sql_is_name(*stop))
		return;
	word = sql_scan_word(stop, lex->end, lex->start);
	if (word.len > KEYWORD_TEXT ||
	    sql_keyword_find(stop, word.len, word.low, word.high) == NO_KEYWORD)
		lex->at = word.end;
}

/* --- the others --- */

/* Of one character, if it is none of more. */
static uint16_t read_operator(struct sql_lex *lex)
{
	uint8_t next = peek(lex, 1);
	uint16_t kind = *lex->at;
	size_t len = 2;

	switch (*lex->at) {
	case '<':
		if (next == '=' && peek(lex, 2) == '>')
			len = 3;
		kind = len == 3      ? TOKEN_EQUAL
		       : next == '=' ? TOKEN_LE
		       : next == '>' ? TOKEN_NE
		       : next == '<' ? TOKEN_SHIFT_LEFT
				     : kind;
		break;
	case '>':
		kind = next == '=' ? TOKEN_GE : next == '>' ? TOKEN_SHIFT_RIGHT : kind;
		break;
	case '!':
		kind = next == '=' ? TOKEN_NE : kind;
		break;
	case '&':
		kind = next == '&' ? TOKEN_AND : kind;
		break;
	case '|':
		kind = next == '|' ? TOKEN_OR : kind;
		break;
	case ':':
		kind = next == '=' ? TOKEN_SET_VAR : kind;
		break;
	case '-':
		if (next == '>' && peek(lex, 2) == '>')
			len = 3;
		kind = len == 3 ? TOKEN_JSON_UNQUOTE : next == '>' ? TOKEN_JSON : kind;
		break;
	default:
		break;
	}
	lex->at += kind < TOKEN_BAD ? 1 : len;
	return kind;
}

static void read_at_sign(struct sql_lex *lex, struct sql_token *token)
{
	token->kind = *lex->at++;
	switch (peek(lex, 0)) {
	case '\'':
	case '"':
	case '`':
		break;
	case '@':
		lex->state = LEX_SYSTEM;
		break;
	default:
		lex->state = LEX_VARIABLE;
	}
}

/* Behind '@': letters, digits and dots, maybe none at all. Behind '@@': a word. */
static void read_variable(struct sql_lex *lex, struct sql_token *token, bool system)
{
	if (system && peek(lex, 0) == '@') {
		token->kind = *lex->at++;
		lex->state = peek(lex, 0) == '`' ? LEX_START : LEX_SYSTEM;
	} else if (system) {
		if (sql_is_name(peek(lex, 0)))
			read_word(lex, token, lex->at, true);
		else
			token->kind = TOKEN_BAD;
	} else {
		token->kind = TOKEN_VALUE;
		while (sql_is_name(peek(lex, 0)) || peek(lex, 0) == '.')
			lex->at++;
	}
}

static void read_dot(struct sql_lex *lex, struct sql_token *token)
{
	if (sql_class[peek(lex, 1)] == CLASS_DIGIT) {
		read_number(lex, token);
	} else if (peek(lex, 1) == '.') {
		lex->at += 2;
		token->kind = TOKEN_RANGE;
	} else {
		token->kind = *lex->at++;
		if (sql_is_name(peek(lex, 0)))
			lex->state = LEX_NAME;
	}
}

static void read_bad(struct sql_lex *lex, struct sql_token *token)
{
	if (*lex->at == '\\' && peek(lex, 1) == 'N') {
		lex->at += 2;
		token->kind = token->word = KW_NULL;
	} else {
		lex->at++;
		token->kind = TOKEN_BAD;
	}
}

/* Goes over a comment at lex->at. False if there is none. */
static bool read_if_comment(struct sql_lex *lex)
{
	uint8_t next = peek(lex, 1), after = peek(lex, 2);

	switch (*lex->at) {
	case '#':
		skip_line(lex);
		return true;
	case '-':
		if (next != '-' || (after > ' ' && after != 0x7f))
			return false;
		skip_line(lex);
		return true;
	case '/':
		if (next != '*')
			return false;
		read_comment(lex);
		return true;
	default: /* '*' */
		if (next != '/' || !lex->in_version)
			return false;
		lex->in_version = false;
		lex->at += 2;
		return true;
	}
}

/* A token of other than letters. False if it was a blank or comment, and none. */
SLOW static bool read_other(struct sql_lex *lex, struct sql_token *token)
{
	switch (sql_class[*lex->at]) {
	case CLASS_BLANK:
		lex->at++;
		return false;
	case CLASS_COMMENT:
		if (read_if_comment(lex))
			return false;
		token->kind = read_operator(lex);
		return true;
	case CLASS_DIGIT:
		read_number(lex, token);
		return true;
	case CLASS_QUOTE:
		read_string(lex, token, 0);
		return true;
	case CLASS_BACKQUOTE:
		read_quoted_name(lex, token);
		return true;
	case CLASS_OPERATOR:
		token->kind = read_operator(lex);
		return true;
	case CLASS_AT:
		read_at_sign(lex, token);
		return true;
	case CLASS_DOT:
		read_dot(lex, token);
		return true;
	case CLASS_BAD:
		read_bad(lex, token);
		return true;
	case CLASS_PLACEHOLDER:
		token->kind = TOKEN_VALUE;
		lex->at++;
		return true;
	default:
		token->kind = *lex->at++;
		return true;
	}
}

/* What the token before has left to expect. */
SLOW static void read_by_state(struct sql_lex *lex, struct sql_token *token)
{
	uint8_t state = lex->state;

	lex->state = LEX_START;
	switch (state) {
	case LEX_DOT:
		token->kind = *lex->at++;
		lex->state = LEX_NAME;
		break;
	case LEX_NAME:
		read_name(lex, token, word_end(lex, lex->at));
		break;
	default:
		read_variable(lex, token, state == LEX_SYSTEM);
	}
}

void sql_lex_next(struct sql_lex *lex, struct sql_token *token)
{
	const uint8_t *at = lex->at, *end = lex->end;

	token->word = NO_KEYWORD;
	token->kind = TOKEN_END;
	token->plain = false;
	if (lex->state == LEX_START) {
		/* Mostly one blank, or none: no branch for it. */
		at += at < end && *at == ' ';
		while (at < end && sql_class[*at] != CLASS_LETTER) {
			lex->at = token->start = at;
			if (read_other(lex, token))
				goto done;
			at = lex->at;
		}
		lex->at = token->start = at;
		if (at < end)
			read_word(lex, token, at, false);
	} else {
		token->start = at;
		read_by_state(lex, token);
	}
done:
	token->end = lex->at;
	if (token->end == end && !lex->whole) {
		token->kind = TOKEN_END;
		lex->cut = true;
	}
}

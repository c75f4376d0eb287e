/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens -> what the server has as DIGEST_TEXT of the statement (performance_schema), so that the
 * CPU time of a query class can be laid beside the server's own figures for it.
 *
 * The tokens are kept on a stack, with where each begins in the text. A new one may fold what is on
 * top:
 *
 *	start - NUMBER	?		start: anything an expression begins behind, but not '='
 *	? , NUMBER	?, ...		of any literals
 *	( ? )		(?)		and ( ?, ... ) is (...)
 *	(?) , (?)	(?) /+, ... +/	rows of INSERT, and of IN (with stars for the plus signs)
 *	NULL		?		where it is a value, and not IS NULL, NOT NULL, SET NULL
 *
 * Differences from MariaDB 10.11, all of them meant:
 *  - x'1f' is "?" as all literals are; the server has "(unknown)" for it, and no list around it.
 *  - The ".." of FOR i IN 1..3 is itself, and not "(unknown)".
 *  - 1.5abc is "?"; the server has "? `abc`".
 *  - No blank at the end, and no ';' where another statement follows in the same text.
 *  - What is too long ends in "..." at QUERY_TEXT_BYTES; the server cuts at max_digest_length of its
 *    tokens.
 *  - A statement that was captured in part ends in "..."; of a row that was cut behind other rows
 *    nothing is shown. So does one whose strings may end elsewhere, see sql.c, and a malformed one,
 *    of which the server has no digest at all.
 *  - Whether a NULL is a value depends on the grammar there; here on the token before it, see
 *    null_is_value().
 *  - What follows IDENTIFIED BY, or PASSWORD in SET, CREATE, ALTER, GRANT and CHANGE, is "?" even if
 *    it looks like a name. The server takes nothing but a string there.
 *  - Words that are keywords of other versions only are names: MySQL 8's LATERAL or OF.
 *  - Content of comments for versions: for 50700 to 99999 skipped (MySQL executes it), from 100000
 *    on shown.
 *  - Optimizer hints are dropped, as MariaDB 10.11 does; MySQL 8 has them in its digests.
 *  - Bytes of names that are no valid UTF-8, or control characters, are U+FFFD.
 */
#include <string.h>
#include "sql_internal.h"
#include "sql_quick.h"
#include "sql_scan.h"

#define SLOW   __attribute__((noinline)) /* out of the way of the others */
#define BOTTOM 5 /* empty tokens below the first, so that looking back needs no checks */
#define DOTS   4 /* "..." and NUL */

#define SIGN(kind, text) [(kind)-TOKEN_BAD] = {text, sizeof(text) - 1}

static const struct {
	char text[19];
	uint8_t len;
} signs[TOKEN_WORDS - TOKEN_BAD] = {
	SIGN(TOKEN_NUMBER, "?"),
	SIGN(TOKEN_VALUE, "?"),
	SIGN(TOKEN_CHARSET, "(_charset)"),
	SIGN(TOKEN_AND, "&&"),
	SIGN(TOKEN_OR, "||"),
	SIGN(TOKEN_LE, "<="),
	SIGN(TOKEN_GE, ">="),
	SIGN(TOKEN_NE, "!="),
	SIGN(TOKEN_EQUAL, "<=>"),
	SIGN(TOKEN_SHIFT_LEFT, "<<"),
	SIGN(TOKEN_SHIFT_RIGHT, ">>"),
	SIGN(TOKEN_SET_VAR, ":="),
	SIGN(TOKEN_RANGE, ".."),
	SIGN(TOKEN_JSON, "->"),
	SIGN(TOKEN_JSON_UNQUOTE, "->>"),
	SIGN(TOKEN_VALUE_LIST, "?, ..."),
	SIGN(TOKEN_ROW, "(?)"),
	SIGN(TOKEN_ROW_LIST, "(?) /* , ... */"),
	SIGN(TOKEN_WIDE_ROW, "(...)"),
	SIGN(TOKEN_WIDE_ROW_LIST, "(...) /* , ... */"),
};

/* May a sign behind it belong to a number? */
static bool starts_expression(uint16_t kind)
{
	return sql_flags[kind] & STARTS_EXPRESSION;
}

void sql_digest_init(struct sql_digest *digest, char *text)
{
	digest->text = text;
	digest->len = 0;
	digest->full = false;
	digest->seen = 0;
	digest->roomy = QUERY_TEXT_BYTES - SQL_QUICK_TEXT;
	digest->n = BOTTOM;
	memset(digest->tokens, 0, BOTTOM * sizeof(digest->tokens[0]));
}

/* The kind of the token `back` below the top: 0 is the top. */
static uint16_t top(const struct sql_digest *digest, uint32_t back)
{
	return digest->tokens[digest->n - 1 - back].kind;
}

static void pop(struct sql_digest *digest, uint32_t count)
{
	digest->n -= count;
	digest->len = digest->tokens[digest->n].at;
}

static void set_full(struct sql_digest *digest)
{
	digest->full = true;
	digest->roomy = 0;
}

/* Room for a token of `len` bytes, or NULL: then the text is full. */
static char *push(struct sql_digest *digest, uint16_t kind, size_t len)
{
	char *at = digest->text + digest->len;

	if (digest->len + len + 1 > QUERY_TEXT_BYTES) {
		set_full(digest);
		return NULL;
	}
	digest->tokens[digest->n].kind = kind;
	digest->tokens[digest->n++].at = (uint16_t)digest->len;
	digest->len += len + 1;
	at[len] = ' ';
	return at;
}

SLOW static void push_text(struct sql_digest *digest, uint16_t kind, const char *text, size_t len)
{
	char *at = push(digest, kind, len);

	if (at)
		memcpy(at, text, len);
}

/* Text that begins a row of a table: all of the row is copied, for the compiler knows its size, not
 * the text's. */
static inline void push_row(struct sql_digest *digest, uint16_t kind, const void *row, size_t size,
			    size_t len)
{
	if (digest->len + size + 1 > QUERY_TEXT_BYTES) {
		push_text(digest, kind, row, len);
		return;
	}
	memcpy(digest->text + digest->len, row, size);
	push(digest, kind, len);
}

static void push_keyword(struct sql_digest *digest, uint16_t kind)
{
	const struct sql_keyword *keyword = sql_keyword(kind);

	digest->seen |= sql_flags[kind];
	push_row(digest, kind, keyword, sizeof(*keyword), keyword->len);
}

static void push_sign(struct sql_digest *digest, uint16_t kind)
{
	char *at;

	if (kind >= TOKEN_BAD) {
		push_row(digest, kind, &signs[kind - TOKEN_BAD], sizeof(signs[0]),
			 signs[kind - TOKEN_BAD].len);
		return;
	}
	at = push(digest, kind, 1);
	if (!at)
		return;
	*at = (char)kind;
	digest->len -= kind == '@'; /* no blank behind it */
}

/* With characters that must be looked at, or too long. */
SLOW static void push_odd_name(struct sql_digest *digest, const struct sql_token *token)
{
	struct slice name = sql_token_name(token);
	size_t n, room = QUERY_TEXT_BYTES - digest->len;
	char *at = digest->text + digest->len;
	bool fits = room >= 4;

	n = fits ? sql_clean_name(at + 1, room - 3, name.ptr, name.len, false, &fits) : 0;
	if (!fits) {
		set_full(digest);
		return;
	}
	push(digest, TOKEN_NAME, n + 2);
	at[0] = at[n + 1] = '`';
}

static void push_name(struct sql_digest *digest, const struct sql_token *token)
{
	char *at = digest->text + digest->len;
	struct slice name = sql_token_name(token);
	size_t len = name.len;

	if (digest->len + len + 3 > QUERY_TEXT_BYTES || !sql_copy_plain(at + 1, name.ptr, len)) {
		push_odd_name(digest, token);
		return;
	}
	push(digest, TOKEN_NAME, len + 2);
	at[0] = at[len + 1] = '`';
}

/* A literal: the second of a list, or a value by itself. */
static void push_value(struct sql_digest *digest)
{
	uint16_t before = top(digest, 1);

	if (top(digest, 0) == ',' && (before == TOKEN_VALUE || before == TOKEN_VALUE_LIST)) {
		pop(digest, 2);
		push_sign(digest, TOKEN_VALUE_LIST);
	} else {
		push_sign(digest, TOKEN_VALUE);
	}
}

static void push_number(struct sql_digest *digest)
{
	while ((top(digest, 0) == '-' || top(digest, 0) == '+') &&
	       starts_expression(top(digest, 1)))
		pop(digest, 1);
	push_value(digest);
}

static void push_close(struct sql_digest *digest)
{
	uint16_t inner = top(digest, 0), row, list;

	if (top(digest, 1) != '(' || (inner != TOKEN_VALUE && inner != TOKEN_VALUE_LIST)) {
		push_sign(digest, ')');
		return;
	}
	row = inner == TOKEN_VALUE ? TOKEN_ROW : TOKEN_WIDE_ROW;
	list = inner == TOKEN_VALUE ? TOKEN_ROW_LIST : TOKEN_WIDE_ROW_LIST;
	pop(digest, 2);
	if (top(digest, 0) == ',' && (top(digest, 1) == row || top(digest, 1) == list)) {
		pop(digest, 2);
		row = list;
	}
	push_sign(digest, row);
}

/* Is a NULL behind it a value, and not part of IS NULL, of NOT NULL or of a column's type? */
SLOW static bool null_is_value(const struct sql_digest *digest)
{
	switch (top(digest, 0)) {
	case '=':
	case '<':
	case '>':
	case TOKEN_LE:
	case TOKEN_GE:
	case TOKEN_NE:
	case TOKEN_EQUAL:
	case TOKEN_SET_VAR:
	case '~':
	case '!':
	case KW_BY:
	case KW_WHERE:
	case KW_HAVING:
	case KW_THEN:
	case KW_ELSE:
	case KW_DO:
	case KW_DISTINCTROW:
	case KW_ALL:
	case KW_BINARY:
	case KW_BOTH:
	case KW_LEADING:
	case KW_TRAILING:
	case KW_FROM:
	case KW_ESCAPE:
	case KW_RETURNING:
	case KW_ON:
	case KW_USING:
	case KW_IN:
	case KW_HIGH_PRIORITY:
	case KW_SQL_BIG_RESULT:
	case KW_SQL_BUFFER_RESULT:
	case KW_SQL_SMALL_RESULT:
	case KW_SQL_CALC_FOUND_ROWS:
	case KW_SQL_NO_CACHE:
	case KW_SQL_CACHE:
	case KW_STRAIGHT_JOIN:
	case KW_FOR:
		return true;
	case KW_NOT:
		return starts_expression(top(digest, 1));
	default:
		return starts_expression(top(digest, 0));
	}
}

/* May this name be a password that somebody forgot to quote? */
SLOW static bool follows_password(const struct sql_digest *digest)
{
	uint16_t last = top(digest, 0), before = top(digest, 1);

	if (last == '=') {
		last = before;
		before = 0;
	}
	if (last == KW_BY || last == KW_USING || last == KW_AS)
		return before == KW_IDENTIFIED;
	if (last != KW_PASSWORD && last != KW_MASTER_PASSWORD && last != KW_OLD_PASSWORD)
		return false;
	switch (digest->tokens[BOTTOM].kind) {
	case KW_SET:
	case KW_CREATE:
	case KW_ALTER:
	case KW_GRANT:
	case KW_CHANGE:
		return true;
	default:
		return before == KW_BY;
	}
}

void sql_digest_add(struct sql_digest *digest, const struct sql_token *token)
{
	uint16_t kind = token->kind;

	if (digest->full)
		return;
	if (kind >= TOKEN_WORDS) {
		if (kind == KW_NULL && null_is_value(digest))
			push_value(digest);
		else
			push_keyword(digest, kind);
		return;
	}
	switch (kind) {
	case TOKEN_NAME:
	case TOKEN_QUOTED_NAME:
		if (digest->seen & KEYWORD_PASSWORD && follows_password(digest))
			push_value(digest);
		else
			push_name(digest, token);
		break;
	case TOKEN_NUMBER:
		push_number(digest);
		break;
	case TOKEN_VALUE:
		push_value(digest);
		break;
	case ')':
		push_close(digest);
		break;
	default:
		push_sign(digest, kind);
	}
}

/* "(...) , ( ?" -> "(...) /+ , ... +/": where a capture happens to end must not make many classes
 * of one INSERT. */
static void fold_open_row(struct sql_digest *digest)
{
	uint32_t n = digest->n;
	uint16_t kind;

	if (top(digest, 0) == ',')
		digest->n--;
	if (top(digest, 0) == TOKEN_VALUE || top(digest, 0) == TOKEN_VALUE_LIST)
		digest->n--;
	if (top(digest, 0) == '(' && top(digest, 1) == ',')
		digest->n -= 2;
	kind = top(digest, 0);
	if (digest->n == n || kind < TOKEN_ROW || kind > TOKEN_WIDE_ROW_LIST) {
		digest->n = n;
		return;
	}
	digest->n--;
	digest->len = digest->tokens[digest->n].at;
	push_sign(digest, kind == TOKEN_ROW        ? TOKEN_ROW_LIST
			  : kind == TOKEN_WIDE_ROW ? TOKEN_WIDE_ROW_LIST
						   : kind);
}

void sql_digest_finish(struct sql_digest *digest, bool cut)
{
	if (!cut && !digest->full) {
		if (digest->len && digest->text[digest->len - 1] == ' ')
			digest->len--;
		if (digest->len < QUERY_TEXT_BYTES) {
			digest->text[digest->len] = '\0';
			return;
		}
	}
	fold_open_row(digest);
	while (digest->len > QUERY_TEXT_BYTES - DOTS)
		pop(digest, 1);
	memcpy(digest->text + digest->len, "...", DOTS);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The statement within a statement: PREPARE name FROM '...', EXECUTE IMMEDIATE '...'. */
#include <string.h>
#include "sql_internal.h"

static uint8_t unescape(uint8_t c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	case 'b':
		return '\b';
	case '0':
		return '\0';
	case 'Z':
		return 0x1a;
	default:
		return c;
	}
}

/* The content of one string, up to its closing quote or the end of the text. */
static size_t copy_string(const uint8_t *at, const uint8_t *end, uint8_t quote, uint8_t *out,
			  size_t size, bool *whole)
{
	size_t n = 0;

	*whole = false;
	while (at < end) {
		uint8_t c = *at++;

		if (c == quote && (at == end || *at != quote)) {
			*whole = true;
			return n;
		}
		if (c == quote)
			at++;
		else if (c == '\\' && at == end)
			return n;
		else if (c == '\\' && *at != '%' && *at != '_')
			c = unescape(*at++);
		if (n == size)
			return n;
		out[n++] = c;
	}
	return n;
}

static bool is_string(const struct sql_lex *lex, const struct sql_token *token)
{
	return token->start < lex->end && (*token->start == '\'' || *token->start == '"');
}

/* Goes to the literal that holds the statement. False if there is none. */
static bool find_literal(struct sql_lex *lex, struct sql_token *token)
{
	sql_lex_next(lex, token);
	if (token->kind == KW_EXECUTE) {
		sql_lex_next(lex, token);
		if (token->kind != KW_IMMEDIATE)
			return false;
	} else if (token->kind == KW_PREPARE) {
		sql_lex_next(lex, token); /* its name */
		sql_lex_next(lex, token);
		if (token->kind != KW_FROM)
			return false;
	} else {
		return false;
	}
	sql_lex_next(lex, token);
	if (token->kind == TOKEN_CHARSET)
		sql_lex_next(lex, token);
	return is_string(lex, token);
}

size_t sql_inner_statement(struct slice text, uint8_t *out, size_t size, bool *whole)
{
	struct sql_token token;
	struct sql_lex lex;
	const uint8_t *end;
	size_t n = 0;
	bool part = true;

	*whole = false;
	if (!text.len)
		return 0;
	sql_lex_init(&lex, text, true);
	if (!find_literal(&lex, &token))
		return 0;
	while (part && is_string(&lex, &token)) {
		/* Where it may be that the string ends at an escaped quote, so does what we say of
		 * it. */
		bool doubt = lex.escaped_quote && sql_escapes_doubtful(&lex);

		end = doubt ? lex.escaped_quote - 1 : lex.end;
		n += copy_string(token.start + 1, end, *token.start, out + n, size - n, &part);
		sql_lex_next(&lex, &token);
	}
	*whole = part && !lex.cut;
	return n;
}

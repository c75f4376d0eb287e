/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One statement -> its class: drives the lexer, and decides where the statement ends and where too
 * little is known to go on.
 *
 * A ';' ends a statement, but not within a body: CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END.
 * What opens a block is seen by where it stands: IF at the start of a statement does, IF( elsewhere
 * is a function.
 *
 * What begins like no statement of SQL is "UNKNOWN", and its text just "...": it may be anything.
 *
 * With NO_BACKSLASH_ESCAPES (and in some Asian character sets) 'C:\' is a whole string, while to us
 * the quote goes on:
 *
 *	VALUES ('C:\', 'secret')	ours: 'C:\', ' then the name secret
 *	VALUES ('it\'s', 'fine')	theirs: 'it\' then the name s, directly behind a string
 *
 * A client sends either, and nothing tells which. So at the first string with such a quote the rest
 * is read the other way: mostly it makes no sense then, as in the second line, and the doubt is over
 * for this statement. Otherwise the text ends before that string.
 */
#include <string.h>
#include "sql_quick.h"
#include "sql_summary.h"

#define DOUBT_BYTES 4096 /* read this far and sensible still: it stays a doubt */

/* --- where does a statement end? --- */

struct body {
	bool possible;  /* of a statement that begins so */
	bool routine;   /* CREATE PROCEDURE and the like, or a compound statement */
	uint32_t depth; /* open blocks */
	uint32_t words; /* tokens so far, as far as they matter */
	uint16_t first, last;
};

static bool at_statement_start(const struct body *body)
{
	switch (body->last) {
	case TOKEN_END:
	case ';':
	case ':':
	case KW_BEGIN:
	case KW_ATOMIC:
	case KW_THEN:
	case KW_ELSE:
	case KW_DO:
	case KW_LOOP:
	case KW_REPEAT:
		return true;
	default:
		return false;
	}
}

/* Of the header of a routine without a block yet: is this the end of the header? */
static bool ends_header(uint16_t kind)
{
	switch (kind) {
	case ')':
	case TOKEN_VALUE:
	case KW_ROW:
	case KW_DO:
	case KW_DETERMINISTIC:
	case KW_DATA:
	case KW_SQL:
	case KW_DEFINER:
	case KW_INVOKER:
	case KW_INTEGER:
		return true;
	default:
		return false;
	}
}

static bool may_have_body(uint16_t first)
{
	switch (first) {
	case KW_CREATE:
	case KW_ALTER:
	case KW_BEGIN:
	case KW_IF:
	case KW_LOOP:
	case KW_WHILE:
	case KW_REPEAT:
	case KW_FOR:
	case KW_CASE:
		return true;
	default:
		return false;
	}
}

static void body_add(struct body *body, uint16_t kind)
{
	bool start = at_statement_start(body) || (!body->depth && ends_header(body->last));

	switch (kind) {
	case KW_PROCEDURE:
	case KW_FUNCTION:
	case KW_TRIGGER:
	case KW_EVENT:
	case KW_PACKAGE:
		body->routine |= body->first == KW_CREATE || body->first == KW_ALTER;
		break;
	case KW_NOT:
		body->routine |= body->first == KW_BEGIN && body->words == 1;
		body->depth += body->first == KW_BEGIN && body->words == 1;
		break;
	case KW_BEGIN:
		body->depth += body->routine;
		break;
	case KW_IF:
	case KW_LOOP:
	case KW_WHILE:
	case KW_REPEAT:
	case KW_FOR:
		if (!body->words)
			body->routine = true;
		body->depth += body->routine && start && body->last != KW_END;
		break;
	case KW_CASE:
		if (!body->words)
			body->routine = true;
		body->depth += body->routine && body->last != KW_END;
		break;
	case KW_END:
		body->depth -= body->depth > 0;
		break;
	default:
		break;
	}
	if (!body->words++)
		body->first = kind;
	body->last = kind;
}

/* --- the statement --- */

/* What there is to say of the text ends here. */
static void to_end(struct sql_lex *lex)
{
	lex->at = lex->end;
	lex->cut = true;
}

/*
 * Does the statement end before this token of a kind that KIND_STOPS? *certain: backslashes are
 * escapes in this session.
 */
static bool stops(struct sql_lex *lex, const struct sql_token *token, bool in_body, bool *certain)
{
	switch (token->kind) {
	case TOKEN_END:
		return true;
	case ';':
		return !in_body;
	case TOKEN_VALUE:
		if (!lex->escaped_quote || *certain)
			return false;
		*certain = !sql_escapes_doubtful(lex);
		lex->escaped_quote = NULL;
		if (*certain)
			return false;
		break;
	default:
		break;
	}
	to_end(lex);
	return true;
}

/* See sql_lex_quick(). */
static inline const uint8_t *next_token(struct sql_lex *lex, struct sql_token *token,
					const uint8_t *at)
{
	at = sql_lex_quick(lex, token, at);
	if (!at) {
		sql_lex_next(lex, token);
		at = lex->at;
		at += at < lex->end && *at == ' ';
	}
	return at;
}

size_t sql_classify(struct slice text, bool whole, struct query_class *out)
{
	struct body body = {0};
	struct sql_digest digest;
	struct sql_summary summary;
	struct sql_token token;
	struct sql_lex lex;
	const uint8_t *at = text.ptr;
	bool certain = false;

	if (!text.len)
		return 0;
	sql_lex_init(&lex, text, whole);
	do
		at = next_token(&lex, &token, at);
	while (token.kind == ';');
	if (token.kind == TOKEN_END && token.start == lex.end)
		return 0;

	body.possible = may_have_body(token.kind);
	sql_digest_init(&digest, out->text);
	sql_summary_init(&summary, out);
	for (;;) {
		uint8_t flags = sql_flags[token.kind];

		if (flags & KIND_STOPS && stops(&lex, &token, body.depth, &certain))
			break;
		if (body.possible)
			body_add(&body, token.kind);
		if ((flags | KIND_ANY) & summary.wants) {
			sql_summary_add(&summary, &token);
			if (summary.mode == SUMMARY_NO_STATEMENT) {
				to_end(&lex);
				break;
			}
		}
		summary.last = token.kind;
		if (!sql_digest_quick(&digest, &token, flags))
			sql_digest_add(&digest, &token);
		at = next_token(&lex, &token, at);
	}
	sql_summary_finish(&summary);
	sql_digest_finish(&digest, lex.cut);
	return (size_t)(lex.at - text.ptr);
}

/* --- the other reading --- */

/* May a string stand directly beside this word? Nobody writes so, but where a keyword asks for one.
 */
static bool takes_string(uint16_t word)
{
	switch (word) {
	case NO_KEYWORD:
		return false;
	case KW_COMMENT:
	case KW_DATE:
	case KW_ESCAPE:
	case KW_PASSWORD:
	case KW_PATH:
	case KW_TIME:
	case KW_TIMESTAMP:
		return true;
	default:
		return sql_flags[word] & KEYWORD_RESERVED;
	}
}

static bool is_quote(uint8_t c)
{
	return c == '\'' || c == '"';
}

static bool ends_string(const struct sql_token *token)
{
	return token->kind == TOKEN_VALUE && is_quote(token->end[-1]);
}

/* Is `token` a word directly behind a string, which can only be another name for it: SELECT 'x'a, ?
 */
static bool is_alias(const struct sql_token *last, const struct sql_token *token)
{
	return last->end == token->start && ends_string(last) &&
	       (token->kind == TOKEN_NAME ||
		(token->word != NO_KEYWORD && !takes_string(token->word)));
}

static bool follows_alias(const struct sql_token *token)
{
	return token->kind == ',' || token->kind == ')' || token->kind == ';' ||
	       (token->word != NO_KEYWORD && sql_flags[token->word] & KEYWORD_RESERVED);
}

/* Does `token` directly behind `last` make sense? A word and a string without a blank between them
 * hardly ever do. */
static bool may_touch(const struct sql_token *last, const struct sql_token *token)
{
	if (last->end != token->start)
		return true;
	if (ends_string(last))
		return token->kind != TOKEN_NUMBER;
	if (token->start == token->end || !is_quote(*token->start))
		return true;
	if (last->word != NO_KEYWORD)
		return takes_string(last->word);
	if (last->kind == '.') /* a."b", with ANSI_QUOTES */
		return *token->start == '"';
	return last->kind != TOKEN_NAME && last->kind != TOKEN_NUMBER;
}

bool sql_escapes_doubtful(const struct sql_lex *lex)
{
	struct sql_token last = {.kind = TOKEN_VALUE, .word = NO_KEYWORD, .end = lex->at}, token;
	struct sql_lex other = *lex;
	bool alias = false;
	uint32_t names = 0; /* one behind the other: three never are */

	/* Ours: does it make sense? */
	sql_lex_next(&other, &token);
	if (token.kind != TOKEN_END && (is_alias(&last, &token) || !may_touch(&last, &token)))
		return true;
	other = *lex;
	other.backslash = false;
	other.at = lex->escaped_quote;
	if (!sql_lex_string(&other, *lex->escaped_quote))
		return !lex->whole;
	for (last.end = other.at; other.at - lex->escaped_quote < DOUBT_BYTES; last = token) {
		sql_lex_next(&other, &token);
		if (token.kind == TOKEN_END)
			return !other.cut || !lex->whole;
		names = token.kind == TOKEN_NAME ? names + 1 : 0;
		if (token.kind == TOKEN_BAD || names > 2 || !may_touch(&last, &token) ||
		    (alias && !follows_alias(&token)))
			return false;
		alias = is_alias(&last, &token);
	}
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The short way through lexer and digest, for five of six tokens: short words of ASCII letters,
 * names in backquotes, whole numbers, strings, and signs that are always by themselves. Inline, 16
 * bytes at a time, with few branches. What is otherwise in any way is left to sql_lex_next() and
 * sql_digest_add(), which take these tokens too, with the same outcome.
 *
 *	o_custkey = ...		load 16 bytes: how many are of a word? upper case -> hash -> the one
 *	^^^^^^^^^		keyword it could be -> compare 16 bytes
 *
 * All of it only where enough bytes are left, so that these loads need not look for the end of the
 * text: its last few words go the long way. Without SSE2, all tokens do.
 */
#ifndef WIREPROF_SQL_QUICK_H
#define WIREPROF_SQL_QUICK_H

#include "sql_keyword_find.h"
#include "sql_scan.h"

#define SQL_QUICK_NAME 15 /* bytes of the longest word, whole number, name, string */
#define SQL_QUICK_TEXT 40 /* more than a token writes here: a row of a keyword, a blank */
/* Bytes that are looked at: a quote and 16 more, two behind a word of 15. */
#define SQL_QUICK_LEFT 18

#ifdef __SSE2__

/* A bit for each byte that is all ones. */
static inline uint32_t sql_bits(__m128i bytes)
{
	return (uint32_t)_mm_movemask_epi8(bytes);
}

static inline __m128i sql_load_16(const uint8_t *at)
{
	return _mm_loadu_si128((const __m128i *)(const void *)at);
}

static inline const uint8_t *sql_skip_blank(const uint8_t *at)
{
	return at + (*at == ' '); /* mostly one, or none: no branch for it */
}

/* How many of the 16 bytes are of a word of letters, digits and _? *upper: all in upper case. */
static inline size_t sql_plain_word(__m128i bytes, __m128i *upper)
{
	const __m128i bit = _mm_set1_epi8(0x20);
	__m128i letter = sql_in_range(_mm_or_si128(bytes, bit), 'a', 'z');
	__m128i name = _mm_or_si128(_mm_or_si128(letter, sql_in_range(bytes, '0', '9')),
				    _mm_cmpeq_epi8(bytes, _mm_set1_epi8('_')));

	*upper = _mm_andnot_si128(_mm_and_si128(letter, bit), bytes);
	return (size_t)__builtin_ctz(~sql_bits(name));
}

static inline void sql_quick_token(struct sql_lex *lex, struct sql_token *token, uint16_t kind,
				   const uint8_t *at, size_t len)
{
	token->kind = kind;
	token->word = NO_KEYWORD;
	token->plain = false;
	token->start = at;
	token->end = lex->at = at + len;
}

/* A word of n bytes that is a name by where it stands: before '.' and another, behind '.'. */
static inline const uint8_t *sql_quick_name(struct sql_lex *lex, struct sql_token *token,
					    const uint8_t *at, size_t n)
{
	bool dot = at[n] == '.' && sql_is_name(at[n + 1]);
	bool ends = sql_class[at[n]] > CLASS_AFTER_WORD && lex->state == LEX_NAME;

	if (!n || n > SQL_QUICK_NAME || (!dot && !ends))
		return NULL;
	sql_quick_token(lex, token, TOKEN_NAME, at, n);
	token->plain = true;
	lex->state = dot ? LEX_DOT : LEX_START;
	return sql_skip_blank(at + n);
}

/* At a letter. This is where most time goes. */
static inline const uint8_t *sql_quick_word(struct sql_lex *lex, struct sql_token *token,
					    const uint8_t *at)
{
	__m128i bytes = sql_load_16(at), upper, same;
	uint32_t blanks = sql_bits(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(' '))), row;
	size_t n = sql_plain_word(bytes, &upper);
	uint16_t id;

	if (n > SQL_QUICK_NAME || sql_class[at[n]] <= CLASS_AFTER_WORD || *at == '_')
		return sql_quick_name(lex, token, at, n);
	upper = _mm_and_si128(upper, sql_first_bytes(n));
	row = sql_keyword_row(n, (uint64_t)_mm_cvtsi128_si64(upper),
			      (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(upper, upper)));
	same = _mm_cmpeq_epi8(upper, sql_load_16((const uint8_t *)sql_keywords[row].text));
	id = sql_bits(same) == 0xffff ? (uint16_t)(NO_KEYWORD + row) : NO_KEYWORD;
	if (sql_flags[id] & KEYWORD_FUNCTION && at[n] != '(')
		id = NO_KEYWORD;
	sql_quick_token(lex, token, sql_keyword(id)->shown, at, n);
	token->word = id;
	token->plain = true;
	return at + n + (blanks >> n & 1); /* sooner there than by a look at the byte */
}

/* At a backquote. Not if the name is long, or has other than printable ASCII in it. */
static inline const uint8_t *sql_quick_quoted(struct sql_lex *lex, struct sql_token *token,
					      const uint8_t *at)
{
	__m128i bytes = sql_load_16(at + 1);
	__m128i odd = _mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(' ')),
				   _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)));
	uint32_t quotes = sql_bits(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('`')));
	uint32_t first = quotes & -quotes;
	size_t n;

	if (!first || (first - 1) & sql_bits(odd))
		return NULL;
	n = (size_t)__builtin_ctz(first) + 2;
	if (at[n] == '`')
		return NULL;
	sql_quick_token(lex, token, TOKEN_QUOTED_NAME, at, n);
	token->plain = true;
	return sql_skip_blank(at + n);
}

/* At a digit. Not if it is no whole number. */
static inline const uint8_t *sql_quick_number(struct sql_lex *lex, struct sql_token *token,
					      const uint8_t *at)
{
	uint32_t digits = sql_bits(sql_in_range(sql_load_16(at), '0', '9'));
	size_t n = (size_t)__builtin_ctz(~digits);

	if (n > SQL_QUICK_NAME || sql_class[at[n]] <= CLASS_AFTER_WORD)
		return NULL;
	sql_quick_token(lex, token, TOKEN_NUMBER, at, n);
	return sql_skip_blank(at + n);
}

/* At a quote. Not if the string is long, or has quotes or escapes in it. */
static inline const uint8_t *sql_quick_string(struct sql_lex *lex, struct sql_token *token,
					      const uint8_t *at)
{
	__m128i bytes = sql_load_16(at + 1);
	__m128i hit = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)*at)),
				   _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
	uint32_t hits = sql_bits(hit);
	size_t n;

	if (!hits)
		return NULL;
	n = (size_t)__builtin_ctz(hits) + 2;
	if (at[n - 1] != *at || at[n] == *at)
		return NULL;
	sql_quick_token(lex, token, TOKEN_VALUE, at, n);
	lex->escaped_quote = NULL;
	return sql_skip_blank(at + n);
}

/* Is the sign at `at` a token by itself, whatever it may be elsewhere? */
static inline bool sql_is_sign(const uint8_t *at)
{
	switch (sql_class[*at]) {
	case CLASS_OPERATOR:
		return at[1] == ' ';
	case CLASS_COMMENT:
		return *at == '*' ? at[1] != '/' : *at != '#' && at[1] == ' ';
	case CLASS_DOT:
		return at[1] == '`';
	default:
		return false;
	}
}

/* What the token before has left to expect. */
static inline const uint8_t *sql_quick_expected(struct sql_lex *lex, struct sql_token *token)
{
	const uint8_t *at = lex->at;
	__m128i upper;

	if (lex->state == LEX_DOT) {
		sql_quick_token(lex, token, *at, at, 1);
		lex->state = LEX_NAME;
		return at + 1;
	}
	if (lex->state == LEX_NAME)
		return sql_quick_name(lex, token, at, sql_plain_word(sql_load_16(at), &upper));
	return NULL;
}

/*
 * The next token, if it is one of these. `at`: lex->at, or behind the blank there. Returns the same
 * for the token after it, which then need not wait for memory. NULL if it is none of these: nothing
 * has been read then.
 */
static inline const uint8_t *sql_lex_quick(struct sql_lex *lex, struct sql_token *token,
					   const uint8_t *at)
{
	uint8_t class;

	if (lex->end - at < SQL_QUICK_LEFT)
		return NULL;
	if (lex->state != LEX_START)
		return sql_quick_expected(lex, token);
	class = sql_class[*at];
	if (class == CLASS_LETTER)
		return sql_quick_word(lex, token, at);
	if (class == CLASS_BACKQUOTE)
		return sql_quick_quoted(lex, token, at);
	if (class == CLASS_DIGIT)
		return sql_quick_number(lex, token, at);
	if (class == CLASS_QUOTE)
		return sql_quick_string(lex, token, at);
	if (class != CLASS_SINGLE && !sql_is_sign(at))
		return NULL;
	sql_quick_token(lex, token, *at, at, 1);
	return sql_skip_blank(at + 1);
}

/* Copies at most 15 bytes of a name of which 16 may be read, and nothing of what is behind it. */
static inline void sql_copy_short(char *out, const uint8_t *name, size_t len)
{
	__m128i bytes = sql_load_16(name);

	_mm_storeu_si128((__m128i *)(void *)out, _mm_and_si128(bytes, sql_first_bytes(len)));
}

#else

static inline const uint8_t *sql_lex_quick(struct sql_lex *lex, struct sql_token *token,
					   const uint8_t *at)
{
	(void)lex;
	(void)token;
	(void)at;
	return NULL;
}

static inline void sql_copy_short(char *out, const uint8_t *name, size_t len)
{
	memcpy(out, name, len);
}

#endif

/* A token of `len` bytes, which are there already, and a blank. */
static inline void sql_quick_push(struct sql_digest *digest, uint16_t kind, size_t len)
{
	digest->text[digest->len + len] = ' ';
	digest->tokens[digest->n].kind = kind;
	digest->tokens[digest->n++].at = (uint16_t)digest->len;
	digest->len += len + 1;
}

/* Adds a value, or ')', if there is nothing to fold, or what is folded just stays. */
static inline bool sql_digest_quick_value(struct sql_digest *digest, uint16_t kind)
{
	uint16_t last = digest->tokens[digest->n - 1].kind;

	if (kind == ')') {
		if (last == TOKEN_VALUE || last == TOKEN_VALUE_LIST)
			return false;
		digest->text[digest->len] = ')';
		sql_quick_push(digest, ')', 1);
		return true;
	}
	if (last == ',') {
		uint16_t before = digest->tokens[digest->n - 2].kind;

		if (before == TOKEN_VALUE)
			return false;
		if (before == TOKEN_VALUE_LIST) {
			digest->len = digest->tokens[--digest->n].at;
			return true;
		}
	} else if (last == '-' || last == '+') {
		return false;
	}
	digest->text[digest->len] = '?';
	sql_quick_push(digest, TOKEN_VALUE, 1);
	return true;
}

/* Adds the token, if it is a keyword, a plain name, or anything of one character for which nothing
 * is folded. `flags`: sql_flags[] of it. False if not: nothing has been added then. */
static inline bool sql_digest_quick(struct sql_digest *digest, const struct sql_token *token,
				    uint8_t flags)
{
	char *at = digest->text + digest->len;
	uint16_t kind = token->kind;

	if (digest->len >= digest->roomy)
		return false;
	if (kind >= TOKEN_WORDS) {
		const struct sql_keyword *keyword = sql_keyword(kind);

		if (kind == KW_NULL)
			return false;
		digest->seen |= flags;
		memcpy(at, keyword, sizeof(*keyword));
		sql_quick_push(digest, kind, keyword->len);
		return true;
	}
	if (token->plain) {
		struct slice name = sql_token_name(token);

		if (digest->seen & KEYWORD_PASSWORD)
			return false;
		*at = '`';
		sql_copy_short(at + 1, name.ptr, name.len);
		at[name.len + 1] = '`';
		sql_quick_push(digest, TOKEN_NAME, name.len + 2);
		return true;
	}
	if (kind == ')' || kind == TOKEN_NUMBER || kind == TOKEN_VALUE)
		return sql_digest_quick_value(digest, kind);
	if (kind >= TOKEN_BAD || kind == '@')
		return false;
	*at = (char)kind;
	sql_quick_push(digest, kind, 1);
	return true;
}

#endif

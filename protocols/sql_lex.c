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
 *	/ *! 1 * / / *M! 1 * /	no comment: the server executes what is in it, up to the version it is for
 *
 * A capture may end anywhere. The last token of a cut text could go on in any way, so it is left out.
 */
#include <string.h>
#include "sql_internal.h"
#include "sql_scan.h"

void sql_lex_init(struct sql_lex *lex, struct slice text, bool whole)
{
	*lex = (struct sql_lex){
		.at = text.ptr, .end = text.ptr + text.len, .whole = whole, .backslash = true};
}

static uint8_t peek(const struct sql_lex *lex, size_t ahead)
{
	return (size_t)(lex->end - lex->at) > ahead ? lex->at[ahead] : 0;
}

static void *to_end(struct sql_lex *lex)
{
	lex->at = lex->end;
	lex->cut = true;
	return NULL;
}

/* --- comments --- */

/* Behind the '*' and '/' that end a comment; one within it, where the server lets that be, is skipped. */
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
 * At slash, star: a comment, or one whose content is for servers from some version on. 10.11 takes 50700 to 99999 for
 * versions of MySQL that it knows nothing of.
 */
static void read_comment(struct sql_lex *lex)
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

/* Blanks and comments. */
static void skip_blanks(struct sql_lex *lex)
{
	for (;;) {
		while (lex->at < lex->end && sql_class[*lex->at] == CLASS_BLANK)
			lex->at++;
		if (peek(lex, 0) == '#') {
			skip_line(lex);
		} else if (peek(lex, 0) == '/' && peek(lex, 1) == '*') {
			read_comment(lex);
		} else if (peek(lex, 0) == '*' && peek(lex, 1) == '/' && lex->in_version) {
			lex->in_version = false;
			lex->at += 2;
		} else if (peek(lex, 0) == '-' && peek(lex, 1) == '-' &&
			   (peek(lex, 2) <= ' ' || peek(lex, 2) == 0x7f)) {
			skip_line(lex);
		} else {
			return;
		}
	}
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

static void read_string(struct sql_lex *lex, struct sql_token *token, size_t prefix)
{
	uint8_t quote = lex->at[prefix];

	token->kind = TOKEN_VALUE;
	lex->at += prefix + 1;
	if (!sql_lex_string(lex, quote))
		token->kind = TOKEN_END;
}

static void read_quoted_name(struct sql_lex *lex, struct sql_token *token)
{
	const uint8_t *quote;

	lex->at++;
	token->ptr = lex->at;
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
	token->len = (size_t)(quote - token->ptr);
}

/* --- words and numbers --- */

static bool is_charset(const uint8_t *word, size_t len)
{
	/* Each between blanks. */
	static const char names[] = " armscii8 ascii big5 binary cp1250 cp1251 cp1256 cp1257 cp850 cp852 cp866 cp932"
				    " dec8 eucjpms euckr gb18030 gb2312 gbk geostd8 greek hebrew hp8 keybcs2 koi8r koi8u"
				    " latin1 latin2 latin5 latin7 macce macroman sjis swe7 tis620 ucs2 ujis utf16 utf16le"
				    " utf32 utf8 utf8mb3 utf8mb4 ";
	char name[16] = " ";

	if (len > sizeof(name) - 2)
		return false;
	for (size_t i = 1; i < len; i++)
		name[i] = (char)(word[i] | 0x20);
	name[len] = ' ';
	return strstr(names, name) != NULL;
}

static void read_name(struct sql_lex *lex, struct sql_token *token, const uint8_t *end)
{
	token->kind = TOKEN_NAME;
	token->ptr = lex->at;
	token->len = (size_t)(end - lex->at);
	lex->at = end;
	if (peek(lex, 0) == '.' && sql_is_name(peek(lex, 1)))
		lex->state = LEX_DOT;
}

/* `system`: of @@global.x, where keywords may have a '.' behind them, and functions are none. */
static void read_word(struct sql_lex *lex, struct sql_token *token, bool system)
{
	struct sql_word word = sql_scan_word(lex->at, lex->end);
	uint8_t next = word.end < lex->end ? *word.end : 0;

	read_name(lex, token, word.end);
	if (lex->state == LEX_DOT && !system)
		return;
	if (word.len == 1 && next == '\'' && strchr("xXbBnN", *token->ptr)) {
		lex->at = token->ptr;
		read_string(lex, token, 1);
		return;
	}
	if (*token->ptr == '_' && is_charset(token->ptr, word.len)) {
		token->kind = TOKEN_CHARSET;
		return;
	}
	token->word = word.len < KEYWORD_TEXT
			      ? sql_keyword_find(token->ptr, word.len, word.low, word.high)
			      : NO_KEYWORD;
	if (token->word == NO_KEYWORD)
		return;
	if (sql_keyword(token->word)->flags & KEYWORD_FUNCTION && (next != '(' || system)) {
		token->word = NO_KEYWORD;
		return;
	}
	token->kind = sql_keyword_shown[token->word - TOKEN_WORDS];
}

static const uint8_t *skip_digits(const uint8_t *at, const uint8_t *end)
{
	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at;
}

static const uint8_t *skip_class(const uint8_t *at, const uint8_t *end, bool (*is)(uint8_t))
{
	while (at < end && is(*at))
		at++;
	return at;
}

static bool is_hex(uint8_t c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static bool is_bit(uint8_t c)
{
	return c == '0' || c == '1';
}

/* Behind the exponent at `at`, or `at` where there is none. */
static const uint8_t *skip_exponent(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *digits = at + 1;

	if (at == end || (*at | 0x20) != 'e')
		return at;
	if (digits < end && (*digits == '+' || *digits == '-'))
		digits++;
	return digits < end && *digits >= '0' && *digits <= '9' ? skip_digits(digits, end) : at;
}

/* At a digit: a number, or a name that begins with one. */
static void read_number(struct sql_lex *lex, struct sql_token *token)
{
	const uint8_t *end = lex->end, *at = skip_digits(lex->at, end), *stop;

	token->kind = TOKEN_NUMBER;
	if (*lex->at == '0' && at == lex->at + 1 && at < end && (*at == 'x' || *at == 'b')) {
		stop = skip_class(at + 1, end, *at == 'x' ? is_hex : is_bit);
		if (stop > at + 1 && (stop == end || !sql_is_name(*stop))) {
			lex->at = stop;
			return;
		}
	}
	stop = skip_exponent(at, end);
	if (stop > at) {
		lex->at = stop;
	} else if (at < end && *at == '.' && !(end - at > 1 && at[1] == '.')) {
		at = skip_digits(at + 1, end);
		lex->at = skip_exponent(at, end);
	} else if (at < end && sql_is_name(*at)) {
		read_name(lex, token, sql_scan_word(at, end).end);
	} else {
		lex->at = at;
	}
}

/* --- the others --- */

static const struct {
	char text[4];
	uint8_t kind;
} operators[] = {
	/* Longer ones first. */
	{"<=>", TOKEN_EQUAL}, {"->>", TOKEN_JSON_UNQUOTE}, {"<=", TOKEN_LE},
	{"<>", TOKEN_NE},     {"<<", TOKEN_SHIFT_LEFT},    {">=", TOKEN_GE},
	{">>", TOKEN_SHIFT_RIGHT}, {"!=", TOKEN_NE},	   {"&&", TOKEN_AND},
	{"||", TOKEN_OR},     {":=", TOKEN_SET_VAR},	   {"->", TOKEN_JSON},
};

static void read_operator(struct sql_lex *lex, struct sql_token *token)
{
	size_t left = (size_t)(lex->end - lex->at);

	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		size_t len = operators[i].text[2] ? 3 : 2;

		if (left >= len && !memcmp(lex->at, operators[i].text, len)) {
			token->kind = operators[i].kind;
			lex->at += len;
			return;
		}
	}
	token->kind = *lex->at++;
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
			read_word(lex, token, true);
		else
			token->kind = TOKEN_BAD;
	} else {
		token->kind = TOKEN_VALUE;
		while (sql_is_name(peek(lex, 0)) || peek(lex, 0) == '.')
			lex->at++;
	}
}

static void read_by_class(struct sql_lex *lex, struct sql_token *token)
{
	switch (sql_class[*lex->at]) {
	case CLASS_LETTER:
		read_word(lex, token, false);
		break;
	case CLASS_DIGIT:
		read_number(lex, token);
		break;
	case CLASS_QUOTE:
		read_string(lex, token, 0);
		break;
	case CLASS_BACKQUOTE:
		read_quoted_name(lex, token);
		break;
	case CLASS_OPERATOR:
		read_operator(lex, token);
		break;
	case CLASS_AT:
		read_at_sign(lex, token);
		break;
	case CLASS_DOT:
		if (peek(lex, 1) >= '0' && peek(lex, 1) <= '9') {
			lex->at = skip_exponent(skip_digits(lex->at + 1, lex->end), lex->end);
			token->kind = TOKEN_NUMBER;
			break;
		}
		if (peek(lex, 1) == '.') {
			lex->at += 2;
			token->kind = TOKEN_RANGE;
			break;
		}
		token->kind = *lex->at++;
		if (sql_is_name(peek(lex, 0)))
			lex->state = LEX_NAME;
		break;
	case CLASS_BAD:
		if (*lex->at == '\\' && peek(lex, 1) == 'N') {
			lex->at += 2;
			token->kind = token->word = KW_NULL;
			break;
		}
		lex->at++;
		token->kind = TOKEN_BAD;
		break;
	default:
		token->kind = *lex->at == '?' ? TOKEN_VALUE : *lex->at;
		lex->at++;
	}
}

void sql_lex_next(struct sql_lex *lex, struct sql_token *token)
{
	uint8_t state = lex->state;

	lex->state = LEX_START;
	if (state == LEX_START)
		skip_blanks(lex);
	token->start = lex->at;
	token->word = NO_KEYWORD;
	token->kind = TOKEN_END;
	if (state == LEX_DOT) {
		token->kind = *lex->at++;
		lex->state = LEX_NAME;
	} else if (state == LEX_NAME) {
		read_name(lex, token, sql_scan_word(lex->at, lex->end).end);
	} else if (state == LEX_VARIABLE || state == LEX_SYSTEM) {
		read_variable(lex, token, state == LEX_SYSTEM);
	} else if (lex->at < lex->end) {
		read_by_class(lex, token);
	}
	token->end = lex->at;
	if (lex->at == lex->end && !lex->whole) {
		token->kind = TOKEN_END;
		lex->cut = true;
	}
}

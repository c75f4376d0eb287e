/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts behind sql.h. A statement goes through in one pass, a token at a time:
 *
 *	bytes --sql_lex_next()--> token --+--> sql_digest_add()   the text
 *					  +--> sql_summary_add()  operation, summary, collection
 *
 * Most tokens are short words of letters, names and signs in the midst of a text: sql_quick.h has
 * the same for these alone, without calls.
 *
 * Only the lexer sees values; what it passes on of a value is its kind.
 */
#ifndef WIREPROF_SQL_INTERNAL_H
#define WIREPROF_SQL_INTERNAL_H

#include "query.h"
#include "slice.h"
#include "sql_keywords.h"

/* Kinds of tokens. Below 128: the character itself. From TOKEN_WORDS on: the keywords. */
enum sql_token_kind {
	TOKEN_END = 0,     /* of the text, or of what may be said of it: see sql_lex.cut */
	TOKEN_BAD = 128,   /* no SQL */
	TOKEN_NAME,        /* an identifier without quotes */
	TOKEN_QUOTED_NAME, /* `x`, without its quotes */
	TOKEN_NUMBER,
	TOKEN_VALUE, /* strings, hex, bits, placeholders, user variables */
	TOKEN_CHARSET,
	TOKEN_AND,   /* && */
	TOKEN_OR,    /* || */
	TOKEN_LE,    /* <= */
	TOKEN_GE,    /* >= */
	TOKEN_NE,    /* != <> */
	TOKEN_EQUAL, /* <=> */
	TOKEN_SHIFT_LEFT,
	TOKEN_SHIFT_RIGHT,
	TOKEN_SET_VAR,      /* := */
	TOKEN_RANGE,        /* .. */
	TOKEN_JSON,         /* -> */
	TOKEN_JSON_UNQUOTE, /* ->> */

	/* Made by the digest out of others. */
	TOKEN_VALUE_LIST, /* ?, ... */
	TOKEN_ROW,        /* (?) */
	TOKEN_ROW_LIST,
	TOKEN_WIDE_ROW, /* (...) */
	TOKEN_WIDE_ROW_LIST,

	TOKEN_WORDS = 160,
};

#define KEYWORD_ENUM(word, shown, flags) KW_##word,
enum sql_keyword_id {
	NO_KEYWORD = TOKEN_WORDS - 1,
	SQL_KEYWORDS(KEYWORD_ENUM, 0, 0, 0, 0, 0) KEYWORDS_END
};
#undef KEYWORD_ENUM

/* Of a kind of token; of a keyword as it was written, and as it is shown. */
enum sql_flags {
	KEYWORD_RESERVED = 1,
	STARTS_EXPRESSION = 2, /* a sign behind it may belong to a number */
	KEYWORD_FUNCTION = 4,
	KIND_SUMMARY = 8, /* the summary looks at it in the midst of a query */
	KEYWORD_PASSWORD = 16,
	KIND_LIST = 32,  /* so it does in a list of tables */
	KIND_STOPS = 64, /* may end a statement, or what is said of it */
	KIND_ANY = 128,  /* in no table: see sql_summary.wants */
};
extern const uint8_t sql_flags[KEYWORDS_END];

#define KEYWORD_TEXT 29 /* the longest */
struct sql_keyword {
	char text[KEYWORD_TEXT]; /* upper case, then NULs, if there is room */
	uint8_t len;
	uint16_t shown; /* the id of the word that a digest shows in its place */
};
_Static_assert(sizeof(struct sql_keyword) == 32,
	       "a row is compared and copied in words of 8 bytes");

/* By id - NO_KEYWORD. The first is of none: an empty word, shown as a name. */
extern const struct sql_keyword sql_keywords[KEYWORDS_END - NO_KEYWORD];

/* _utf8mb4 and the like, before a string. */
bool sql_is_charset(const uint8_t *word, size_t len);

static inline const struct sql_keyword *sql_keyword(uint16_t id)
{
	return &sql_keywords[id - NO_KEYWORD];
}

struct sql_token {
	uint16_t kind; /* of keywords: the one that digests show */
	uint16_t word; /* keywords: the one that was written; else NO_KEYWORD */
	bool plain;    /* a short name, or word, of printable ASCII: 16 bytes may be read */
	const uint8_t *start, *end; /* with quotes */
};

/* A name without its quotes; quotes within are still doubled. */
static inline struct slice sql_token_name(const struct sql_token *token)
{
	size_t quote = token->kind == TOKEN_QUOTED_NAME;

	return (struct slice){token->start + quote,
			      (size_t)(token->end - token->start) - 2 * quote};
}

/* What the lexer expects next, where that changes what characters mean. */
enum sql_lex_state {
	LEX_START,
	LEX_DOT,      /* a '.' that is none of a number */
	LEX_NAME,     /* behind a '.': names, never keywords */
	LEX_VARIABLE, /* behind '@' */
	LEX_SYSTEM,   /* behind '@@' */
};

struct sql_lex {
	const uint8_t *at, *end, *start;
	bool whole;      /* the text ends at `end` */
	bool backslash;  /* escapes in strings; not so with NO_BACKSLASH_ESCAPES */
	bool in_version; /* within a comment whose content the server executes */
	bool cut;        /* TOKEN_END came before the statement's end was seen */
	uint8_t state;
	const uint8_t *escaped_quote; /* the first of the last string, or NULL */
};

void sql_lex_init(struct sql_lex *lex, struct slice text, bool whole);
void sql_lex_next(struct sql_lex *lex, struct sql_token *token);
/* Goes behind the closing quote of a string whose content begins at lex->at. False if it has none. */
bool sql_lex_string(struct sql_lex *lex, uint8_t quote);

/*
 * Could the session be one without backslash escapes? `lex` has just read a string with an escaped
 * quote. False where the text would make no sense then.
 */
bool sql_escapes_doubtful(const struct sql_lex *lex);

/* Names, made valid UTF-8 without control characters. Returns bytes written; *fits if it was all. */
size_t sql_clean_name(char *out, size_t size, const uint8_t *name, size_t len, bool undouble,
		      bool *fits);

/* --- the text --- */
struct sql_digest {
	char *text;
	size_t len;   /* with a blank behind each token */
	bool full;    /* a token did not fit */
	uint8_t seen; /* flags of the keywords so far */
	size_t roomy; /* below this length most tokens fit: see sql_quick.h */
	uint32_t n;   /* tokens, with the empty ones at the bottom */
	struct {
		uint16_t kind, at; /* where in the text */
	} tokens[QUERY_TEXT_BYTES + 8];
};

void sql_digest_init(struct sql_digest *digest, char *text);
void sql_digest_add(struct sql_digest *digest, const struct sql_token *token);
void sql_digest_finish(struct sql_digest *digest, bool cut);

/* --- operation, summary, collection --- */
#define SUMMARY_DEPTH 64 /* parentheses; what is nested deeper is not looked at */
#define SUMMARY_CTES  16

struct sql_summary {
	struct query_class *out;
	size_t len; /* of the summary */
	size_t collection_len;
	bool full;             /* a word did not fit: the summary ends */
	bool named;            /* the operation is known */
	bool several;          /* more than one table */
	uint8_t mode;          /* what to look for next: enum sql_summary_mode */
	uint8_t target;        /* what the next name is the name of: enum sql_summary_target */
	bool joined;           /* a JOIN was seen */
	bool dotted;           /* a '.' was the last of the name so far */
	uint16_t verb, object; /* of DDL: CREATE, TABLE; of SHOW: the last word shown */
	uint16_t last;         /* kind of the token before: the caller's to set */
	uint8_t wants;         /* flags of the kinds that it wants to be told of */
	uint32_t depth;        /* open parentheses */
	uint32_t with_depth;   /* where the main verb of a WITH will be found */
	uint8_t bits;          /* of the innermost parenthesis: enum level_bits */
	uint8_t levels[SUMMARY_DEPTH]; /* of those around it */
	uint8_t n_names, n_ctes;
	struct slice names[3]; /* schema, table */
	struct slice ctes[SUMMARY_CTES];
};

#define SUMMARY_NO_STATEMENT UINT8_MAX /* mode: no statement begins so */

void sql_summary_init(struct sql_summary *summary, struct query_class *out);
void sql_summary_add(struct sql_summary *summary, const struct sql_token *token);
void sql_summary_finish(struct sql_summary *summary);

#endif

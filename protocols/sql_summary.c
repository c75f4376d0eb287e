/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens -> "INSERT shipping_details SELECT orders": operations and what they work on, in the order
 * in which they come (OpenTelemetry semantic conventions, database spans, "Generating a summary of
 * the query").
 *
 *	SELECT * FROM songs s, artists		SELECT songs artists
 *	SELECT a FROM (SELECT * FROM orders) t	SELECT SELECT orders
 *	WITH c AS (SELECT 1 FROM t) DELETE ..	DELETE SELECT t ..
 *	CREATE UNIQUE INDEX i ON t (a)		CREATE INDEX i t
 *	EXPLAIN SELECT 1 FROM t			EXPLAIN SELECT t
 *
 * The convention says nothing of common table expressions: their names are left out, being no
 * tables, and their queries are shown as those of anonymous tables are. The main verb comes first,
 * for it is the operation.
 *
 * No grammar: one set of bits for each open parenthesis says whether the next name is one of a
 * table. Names are left out of statements about accounts, prepared statements, savepoints and
 * variables.
 */
#include <assert.h>
#include <string.h>
#include <strings.h>
#include "sql_summary.h"

#define SLOW __attribute__((noinline)) /* out of the way of what is done for most tokens */

void sql_summary_init(struct sql_summary *summary, struct query_class *out)
{
	/* All but the arrays, which have counts. */
	memset(summary, 0, offsetof(struct sql_summary, levels));
	summary->n_names = summary->n_ctes = 0;
	summary->out = out;
	summary->with_depth = UINT32_MAX;
	summary->wants = KIND_ANY;
	out->operation[0] = out->summary[0] = out->collection[0] = '\0';
}

/* --- output --- */

static void add_word(struct sql_summary *summary, const char *word, size_t len)
{
	/* Room for the main verb of a WITH, which will come first. */
	size_t room = QUERY_SUMMARY_BYTES - 1 - (summary->named ? 0 : sizeof("REPLACE"));
	size_t blank = summary->len ? 1 : 0;

	if (summary->full || summary->len + blank + len > room) {
		summary->full = true;
		return;
	}
	summary->out->summary[summary->len] = ' ';
	memcpy(summary->out->summary + summary->len + blank, word, len);
	summary->len += blank + len;
}

/* All of a row is copied, for the compiler knows its size, where there is room. */
void sql_summary_keyword(struct sql_summary *summary, uint16_t word)
{
	const struct sql_keyword *keyword = sql_keyword(word);
	char *at = summary->out->summary + summary->len;
	size_t blank = summary->len ? 1 : 0;

	if (summary->full || summary->len + 2 * sizeof(*keyword) > QUERY_SUMMARY_BYTES) {
		add_word(summary, keyword->text, keyword->len);
		return;
	}
	*at = ' ';
	memcpy(at + blank, keyword, sizeof(*keyword));
	summary->len += blank + keyword->len;
}

/* The first word of the summary is the operation, or the first two of it are. */
void sql_summary_operation(struct sql_summary *summary, uint16_t word)
{
	struct query_class *out = summary->out;
	size_t len = sql_keyword(word)->len;

	if (summary->named && (summary->len != strlen(out->operation) ||
			       summary->len + 1 + len >= sizeof(out->operation))) {
		sql_summary_keyword(summary, word); /* behind names, where no statement has it */
		return;
	}
	if (!summary->named && summary->len) { /* WITH: the main verb goes to the front */
		memmove(out->summary + len + 1, out->summary, summary->len);
		memcpy(out->summary, sql_keyword(word)->text, len);
		out->summary[len] = ' ';
		summary->len += len + 1;
	} else {
		sql_summary_keyword(summary, word);
		len = summary->len;
	}
	summary->named = true;
	assert(len < sizeof(out->operation));
	memcpy(out->operation, out->summary, sizeof(out->operation));
	out->operation[len] = '\0';
}

/* --- names of tables --- */

static bool is_cte(const struct sql_summary *summary)
{
	const struct slice *name = &summary->names[0];

	for (uint8_t i = 0; i < summary->n_ctes && summary->n_names == 1; i++)
		if (summary->ctes[i].len == name->len &&
		    !strncasecmp((const char *)summary->ctes[i].ptr, (const char *)name->ptr,
				 name->len))
			return true;
	return false;
}

static void note_collection(struct sql_summary *summary, const char *name, size_t len)
{
	struct query_class *out = summary->out;

	if (summary->several)
		return;
	if (!summary->collection_len) {
		memcpy(out->collection, name, len);
		out->collection[len] = '\0';
		summary->collection_len = len;
	} else if (summary->collection_len != len || memcmp(out->collection, name, len)) {
		summary->several = true;
		out->collection[0] = '\0';
	}
}

/* The name that the tokens so far make up, if any. */
static void end_name(struct sql_summary *summary)
{
	char name[QUERY_COLLECTION_BYTES];
	size_t len = 0;
	bool fits = true, cte = is_cte(summary);

	for (uint8_t i = 0; i < summary->n_names && fits; i++) {
		if (i && len < sizeof(name))
			name[len++] = '.';
		len += sql_clean_name(name + len, sizeof(name) - 1 - len, summary->names[i].ptr,
				      summary->names[i].len, true, &fits);
		fits = fits && len + 1 < sizeof(name);
	}
	summary->n_names = 0;
	summary->dotted = false;
	summary->bits &= (uint8_t)~LEVEL_EXPECT;
	if (!len || cte || (len == 4 && !strncasecmp(name, "DUAL", 4)))
		return;
	if (fits)
		add_word(summary, name, len);
	if (!fits || summary->full) {
		summary->full = summary->several = true;
		summary->out->collection[0] = '\0';
	} else if (summary->target == TARGET_TABLE) {
		note_collection(summary, name, len);
	}
}

/* JSON_TABLE( in place of a table; but LATERAL( has a query in it. */
static void drop_function(struct sql_summary *summary)
{
	const struct slice *name = &summary->names[0];

	if (name->len != 7 || strncasecmp((const char *)name->ptr, "LATERAL", 7))
		summary->bits &= (uint8_t)~LEVEL_EXPECT;
	summary->n_names = 0;
}

bool sql_summary_may_name(const struct sql_token *token)
{
	return token->kind == TOKEN_NAME || token->kind == TOKEN_QUOTED_NAME ||
	       (token->word != NO_KEYWORD && !(sql_flags[token->word] & KEYWORD_RESERVED));
}

/* True if the token is part of a name. */
bool sql_summary_take_name(struct sql_summary *summary, const struct sql_token *token)
{
	if (summary->n_names && !summary->dotted) {
		if (token->kind != '.')
			return false;
		summary->dotted = true;
		return true;
	}
	if (!sql_summary_may_name(token) || summary->n_names == 3)
		return false;
	summary->names[summary->n_names++] =
		token->word != NO_KEYWORD
			? (struct slice){token->start, (size_t)(token->end - token->start)}
			: sql_token_name(token);
	summary->dotted = false;
	return true;
}

void sql_summary_expect(struct sql_summary *summary, uint8_t bits, uint8_t target)
{
	summary->bits = (uint8_t)((summary->bits & LEVEL_SELECT) | LEVEL_EXPECT | bits);
	summary->target = target;
}

/* --- statements --- */

void sql_summary_verb(struct sql_summary *summary, const struct sql_token *token)
{
	if (!summary->named &&
	    (summary->with_depth == UINT32_MAX || summary->depth == summary->with_depth))
		sql_summary_operation(summary, token->word);
	else
		sql_summary_keyword(summary, token->word);
	summary->mode = MODE_QUERY;
	summary->verb = token->kind;
	switch (token->kind) {
	case KW_INSERT:
	case KW_REPLACE:
		sql_summary_expect(summary, 0, TARGET_TABLE);
		break;
	case KW_UPDATE:
		sql_summary_expect(summary, LEVEL_LIST, TARGET_TABLE);
		break;
	default:
		summary->bits = LEVEL_SELECT;
	}
}

/* DELETE FROM a, b USING a JOIN c: the list behind USING has all of them. */
static void delete_using(struct sql_summary *summary)
{
	if (summary->verb != KW_DELETE || summary->joined || summary->depth)
		return;
	summary->joined = true;
	summary->len = strlen(summary->out->operation);
	summary->several = false;
	summary->collection_len = 0;
	summary->out->collection[0] = '\0';
	sql_summary_expect(summary, LEVEL_LIST, TARGET_TABLE);
}

SLOW static void query(struct sql_summary *summary, const struct sql_token *token)
{
	uint8_t *bits = &summary->bits;

	switch (token->kind) {
	case KW_SELECT:
		sql_summary_verb(summary, token);
		break;
	case KW_UPDATE:
	case KW_DELETE:
	case KW_INSERT:
	case KW_REPLACE:
		if (!summary->named && summary->depth == summary->with_depth)
			sql_summary_verb(summary, token);
		else if (summary->last == KW_FOR)
			*bits &= (uint8_t)~LEVEL_LIST;
		break;
	case KW_WITH:
		*bits = LEVEL_WITH;
		break;
	case KW_FROM:
		if (*bits & LEVEL_SELECT)
			sql_summary_expect(summary, LEVEL_LIST, TARGET_TABLE);
		break;
	case KW_JOIN:
	case KW_STRAIGHT_JOIN:
		if (*bits & LEVEL_LIST && summary->last != KW_FOR) {
			*bits |= LEVEL_EXPECT;
			summary->joined = true;
		}
		break;
	case ',':
		if (*bits & LEVEL_LIST)
			*bits |= LEVEL_EXPECT;
		break;
	case KW_USING:
		delete_using(summary);
		break;
	case KW_WHERE:
	case KW_GROUP:
	case KW_ORDER:
	case KW_HAVING:
	case KW_LIMIT:
	case KW_SET:
	case KW_UNION:
	case KW_EXCEPT:
	case KW_INTERSECT:
	case KW_WINDOW:
	case KW_LOCK:
	case KW_PROCEDURE:
	case KW_RETURNING:
	case KW_VALUES:
		*bits &= LEVEL_SELECT;
		break;
	case KW_INTO:
		if (*bits & LEVEL_LIST)
			*bits &= LEVEL_SELECT;
		break;
	default:
		break;
	}
}

static void open_parenthesis(struct sql_summary *summary)
{
	uint8_t expects = summary->bits & LEVEL_EXPECT;

	if (summary->depth < SUMMARY_DEPTH)
		summary->levels[summary->depth] = summary->bits & (uint8_t)~LEVEL_EXPECT;
	summary->bits = expects && summary->depth < SUMMARY_DEPTH ? LEVEL_EXPECT | LEVEL_LIST : 0;
	summary->depth++;
}

static void close_parenthesis(struct sql_summary *summary)
{
	if (!summary->depth)
		return;
	summary->depth--;
	summary->bits = summary->depth < SUMMARY_DEPTH ? summary->levels[summary->depth] : 0;
}

/* A word between the verb and the name: INSERT IGNORE INTO, DROP TABLE IF EXISTS, EXPLAIN FORMAT =
 * JSON. */
static bool is_skipped(const struct sql_summary *summary, uint16_t kind)
{
	switch (kind) {
	case KW_INTO:
	case KW_IGNORE:
	case KW_LOW_PRIORITY:
	case KW_HIGH_PRIORITY:
	case KW_DELAYED:
	case KW_IF:
	case KW_NOT:
	case KW_EXISTS:
	case '=':
		return true;
	case KW_EXTENDED:
	case KW_PARTITIONS:
	case KW_FORMAT:
	case KW_LOCAL:
		return summary->last == KW_EXPLAIN || summary->last == KW_DESC ||
		       summary->last == KW_ANALYZE;
	default:
		return summary->last == '=';
	}
}

/* Of other statements, and their beginnings. */
SLOW static void other(struct sql_summary *summary, const struct sql_token *token)
{
	switch (summary->mode) {
	case MODE_START:
		if (!sql_summary_begin(summary, token))
			summary->mode = SUMMARY_NO_STATEMENT;
		break;
	case MODE_SECOND_WORD:
		sql_summary_second_word(summary, token);
		break;
	case MODE_OBJECT:
		sql_summary_object(summary, token);
		break;
	case MODE_NAMES:
		sql_summary_after_name(summary, token);
		break;
	case MODE_SHOW:
		sql_summary_show(summary, token);
		break;
	case MODE_LOAD:
		if (token->kind == KW_TABLE) {
			summary->mode = MODE_NAMES;
			sql_summary_expect(summary, 0, TARGET_TABLE);
		}
		break;
	case MODE_SET:
		if (summary->last == KW_FOR && token->kind >= TOKEN_WORDS && !summary->depth)
			sql_summary_begin(summary, token);
		break;
	default:
		break;
	}
}

/* Most tokens are of no interest in the midst of a query. */
static uint8_t kinds_wanted(const struct sql_summary *summary)
{
	if (summary->mode == MODE_QUIET)
		return 0;
	if (summary->mode != MODE_QUERY || summary->bits & (LEVEL_EXPECT | LEVEL_WITH))
		return KIND_ANY;
	return summary->bits & LEVEL_LIST ? KIND_SUMMARY | KIND_LIST : KIND_SUMMARY;
}

/* Where a name may be. True if the token is part of it, or of the words before it. */
SLOW static bool look_for_name(struct sql_summary *summary, const struct sql_token *token)
{
	uint8_t *bits = &summary->bits;

	if (*bits & LEVEL_EXPECT) {
		if (!summary->n_names && is_skipped(summary, token->kind))
			return true;
		if (sql_summary_take_name(summary, token))
			return true;
		if (summary->n_names && token->kind == '(' && *bits & LEVEL_LIST)
			drop_function(summary);
		else if (summary->n_names)
			end_name(summary);
		else if (token->kind == TOKEN_VALUE)
			*bits &= (uint8_t)~LEVEL_EXPECT;
	} else if (summary->n_ctes < SUMMARY_CTES && sql_summary_may_name(token) &&
		   (summary->last == KW_WITH || summary->last == KW_RECURSIVE ||
		    summary->last == ',')) {
		summary->ctes[summary->n_ctes++] = sql_token_name(token);
	}
	return false;
}

void sql_summary_add(struct sql_summary *summary, const struct sql_token *token)
{
	if (summary->bits & (LEVEL_EXPECT | LEVEL_WITH) && look_for_name(summary, token))
		return;
	if (summary->mode != MODE_QUERY)
		other(summary, token);
	else if (token->kind != '(' && token->kind != ')')
		query(summary, token);
	if (token->kind == '(')
		open_parenthesis(summary);
	else if (token->kind == ')')
		close_parenthesis(summary);
	summary->wants = kinds_wanted(summary);
}

void sql_summary_finish(struct sql_summary *summary)
{
	struct query_class *out = summary->out;

	if (summary->dotted) /* cut behind a schema, whose table is not known */
		summary->n_names = 0;
	end_name(summary);
	if (!summary->named) {
		bool with = summary->with_depth != UINT32_MAX;

		if (with) {
			sql_summary_operation(summary, KW_WITH);
		} else {
			summary->len = sizeof("UNKNOWN") - 1;
			memcpy(out->summary, "UNKNOWN", sizeof("UNKNOWN"));
			memcpy(out->operation, "UNKNOWN", sizeof("UNKNOWN"));
		}
	}
	out->summary[summary->len] = '\0';
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens -> "INSERT shipping_details SELECT orders": operations and what they work on, in the order in which they come
 * (OpenTelemetry semantic conventions, database spans, "Generating a summary of the query").
 *
 *	SELECT * FROM songs s, artists		SELECT songs artists
 *	SELECT a FROM (SELECT * FROM orders) t	SELECT SELECT orders
 *	WITH c AS (SELECT 1 FROM t) UPDATE c..	UPDATE SELECT t		the main verb comes first; common table
 *								expressions are no tables
 *	CREATE UNIQUE INDEX i ON t (a)		CREATE INDEX i t
 *	EXPLAIN SELECT 1 FROM t			EXPLAIN SELECT t
 *
 * No grammar: one set of bits for each open parenthesis says whether the next name is one of a table. Names are
 * left out of statements about accounts, prepared statements, savepoints, variables.
 */
#include <string.h>
#include <strings.h>
#include "sql_internal.h"

enum sql_summary_mode {
	MODE_START,
	MODE_QUERY,
	MODE_SECOND_WORD, /* of an operation of two */
	MODE_OBJECT,	  /* of DDL: what kind of thing */
	MODE_NAMES,	  /* of things of that kind */
	MODE_SHOW,
	MODE_LOAD,	/* until INTO TABLE */
	MODE_SET,	/* SET STATEMENT .. FOR */
	MODE_QUIET,	/* nothing more to be said */
};

enum sql_summary_target { TARGET_TABLE, TARGET_OTHER };

enum level_bits {
	LEVEL_SELECT = 1, /* FROM names tables here: not so in EXTRACT(YEAR FROM x) */
	LEVEL_EXPECT = 2, /* a table's name, or a parenthesis in its place */
	LEVEL_LIST = 4,	  /* a comma or JOIN leads to the next table */
	LEVEL_WITH = 8,	  /* names of common table expressions */
};

static uint8_t *level(struct sql_summary *summary)
{
	return &summary->levels[summary->depth < SUMMARY_DEPTH ? summary->depth : SUMMARY_DEPTH - 1];
}

void sql_summary_init(struct sql_summary *summary, struct query_class *out)
{
	memset(summary, 0, sizeof(*summary));
	summary->out = out;
	summary->with_depth = UINT32_MAX;
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

static void add_keyword(struct sql_summary *summary, uint16_t word)
{
	add_word(summary, sql_keyword(word)->text, sql_keyword(word)->len);
}

/* The operation so far is the first word, or the first two, of the summary. */
static void name_operation(struct sql_summary *summary, uint16_t word)
{
	struct query_class *out = summary->out;

	if (!summary->named && summary->len) { /* WITH: the main verb goes to the front */
		size_t len = sql_keyword(word)->len;

		memmove(out->summary + len + 1, out->summary, summary->len);
		memcpy(out->summary, sql_keyword(word)->text, len);
		out->summary[len] = ' ';
		memcpy(out->operation, out->summary, len);
		out->operation[len] = '\0';
		summary->len += len + 1;
		summary->named = true;
		return;
	}
	summary->named = true;
	add_keyword(summary, word);
	memcpy(out->operation, out->summary, summary->len);
	out->operation[summary->len] = '\0';
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
	*level(summary) &= (uint8_t)~LEVEL_EXPECT;
	if (!len || cte || (len == 4 && !strncasecmp(name, "DUAL", 4)))
		return;
	if (!fits) {
		summary->full = summary->several = true;
		summary->out->collection[0] = '\0';
		return;
	}
	add_word(summary, name, len);
	if (summary->target == TARGET_TABLE)
		note_collection(summary, name, len);
}

/* JSON_TABLE( in place of a table; but LATERAL( has a query in it. */
static void drop_function(struct sql_summary *summary)
{
	const struct slice *name = &summary->names[0];

	if (name->len != 7 || strncasecmp((const char *)name->ptr, "LATERAL", 7))
		*level(summary) &= (uint8_t)~LEVEL_EXPECT;
	summary->n_names = 0;
}

static bool may_be_name(const struct sql_token *token)
{
	return token->kind == TOKEN_NAME || token->kind == TOKEN_QUOTED_NAME ||
	       (token->word != NO_KEYWORD && !(sql_keyword(token->word)->flags & KEYWORD_RESERVED));
}

/* True if the token is part of a name. */
static bool take_name(struct sql_summary *summary, const struct sql_token *token)
{
	if (summary->n_names && !summary->dotted) {
		if (token->kind != '.')
			return false;
		summary->dotted = true;
		return true;
	}
	if (!may_be_name(token) || summary->n_names == 3)
		return false;
	summary->names[summary->n_names++] =
		token->word != NO_KEYWORD
			? (struct slice){token->start, (size_t)(token->end - token->start)}
			: (struct slice){token->ptr, token->len};
	summary->dotted = false;
	return true;
}

static void expect(struct sql_summary *summary, uint8_t bits, uint8_t target)
{
	*level(summary) = (uint8_t)((*level(summary) & LEVEL_SELECT) | LEVEL_EXPECT | bits);
	summary->target = target;
}

/* --- statements --- */

static void begin_verb(struct sql_summary *summary, const struct sql_token *token)
{
	if (!summary->named && (summary->with_depth == UINT32_MAX || summary->depth == summary->with_depth))
		name_operation(summary, token->word);
	else
		add_keyword(summary, token->word);
	summary->mode = MODE_QUERY;
	summary->verb = token->kind;
	switch (token->kind) {
	case KW_INSERT:
	case KW_REPLACE:
		expect(summary, 0, TARGET_TABLE);
		break;
	case KW_UPDATE:
		expect(summary, LEVEL_LIST, TARGET_TABLE);
		break;
	default:
		*level(summary) = LEVEL_SELECT;
	}
}

static void begin_second_word(struct sql_summary *summary, const struct sql_token *token, uint8_t mode)
{
	summary->named = true;
	summary->verb = token->kind;
	summary->mode = mode;
	add_keyword(summary, token->word);
	memcpy(summary->out->operation, summary->out->summary, summary->len);
	summary->out->operation[summary->len] = '\0';
}

static void begin_names(struct sql_summary *summary, const struct sql_token *token, uint8_t bits,
			uint8_t target)
{
	name_operation(summary, token->word);
	summary->mode = MODE_NAMES;
	expect(summary, bits, target);
}

/* The first word. False if no statement begins so. */
static bool begin(struct sql_summary *summary, const struct sql_token *token)
{
	switch (token->kind) {
	case '(':
		return true;
	case KW_SELECT:
	case KW_INSERT:
	case KW_REPLACE:
	case KW_UPDATE:
	case KW_DELETE:
	case KW_VALUES:
		begin_verb(summary, token);
		return true;
	case KW_WITH:
		summary->mode = MODE_QUERY;
		summary->with_depth = summary->depth;
		*level(summary) = LEVEL_WITH;
		return true;
	case KW_EXPLAIN:
	case KW_DESC:
	case KW_ANALYZE:
		begin_names(summary, token, LEVEL_LIST, TARGET_TABLE);
		return true;
	case KW_HANDLER:
	case KW_TABLE:
		begin_names(summary, token, 0, TARGET_TABLE);
		return true;
	case KW_CALL:
	case KW_USE:
		begin_names(summary, token, 0, TARGET_OTHER);
		return true;
	case KW_CREATE:
	case KW_ALTER:
	case KW_DROP:
	case KW_RENAME:
	case KW_TRUNCATE:
	case KW_OPTIMIZE:
	case KW_CHECK:
	case KW_CHECKSUM:
	case KW_REPAIR:
		begin_second_word(summary, token, MODE_OBJECT);
		return true;
	case KW_LOCK:
	case KW_LOAD:
	case KW_START:
	case KW_STOP:
	case KW_XA:
	case KW_UNLOCK:
	case KW_FLUSH:
	case KW_RESET:
	case KW_CHANGE:
	case KW_PURGE:
	case KW_INSTALL:
	case KW_UNINSTALL:
	case KW_RELEASE:
	case KW_DEALLOCATE:
		begin_second_word(summary, token, MODE_SECOND_WORD);
		return true;
	case KW_SHOW:
		name_operation(summary, token->word);
		summary->object = token->kind;
		summary->mode = MODE_SHOW;
		return true;
	case KW_SET:
		name_operation(summary, token->word);
		summary->mode = MODE_SET;
		return true;
	case KW_BACKUP:
	case KW_BEGIN:
	case KW_BINLOG:
	case KW_CACHE:
	case KW_CASE:
	case KW_COMMIT:
	case KW_DO:
	case KW_EXECUTE:
	case KW_FOR:
	case KW_GET:
	case KW_GRANT:
	case KW_HELP:
	case KW_IF:
	case KW_IMPORT:
	case KW_KILL:
	case KW_LOOP:
	case KW_PREPARE:
	case KW_REPEAT:
	case KW_RESIGNAL:
	case KW_REVOKE:
	case KW_ROLLBACK:
	case KW_SAVEPOINT:
	case KW_SHUTDOWN:
	case KW_SIGNAL:
	case KW_WHILE:
		name_operation(summary, token->word);
		summary->mode = MODE_QUIET;
		return true;
	default:
		return false;
	}
}

static void second_word(struct sql_summary *summary, const struct sql_token *token)
{
	summary->mode = MODE_QUIET;
	if (token->word == NO_KEYWORD)
		return;
	name_operation(summary, token->word);
	if (summary->verb == KW_LOCK) {
		summary->mode = MODE_NAMES;
		expect(summary, LEVEL_LIST, TARGET_TABLE);
	} else if (summary->verb == KW_LOAD) {
		summary->mode = MODE_LOAD;
	}
}

/* CREATE OR REPLACE DEFINER = x@y ... until it says of what. */
static void find_object(struct sql_summary *summary, const struct sql_token *token)
{
	bool several = summary->verb != KW_CREATE && summary->verb != KW_ALTER;

	switch (token->kind) {
	case KW_TABLE:
	case KW_TABLES:
	case KW_VIEW:
	case KW_SEQUENCE:
		begin_names(summary, token, several ? LEVEL_LIST : 0, TARGET_TABLE);
		break;
	case KW_INDEX:
	case KW_TRIGGER:
	case KW_SCHEMA:
	case KW_PROCEDURE:
	case KW_FUNCTION:
	case KW_PACKAGE:
	case KW_EVENT:
	case KW_SERVER:
		begin_names(summary, token, 0, TARGET_OTHER);
		break;
	case KW_SYSTEM_USER:
	case KW_ROLE:
	case KW_PREPARE:
	case KW_TABLESPACE:
	case KW_LOGFILE:
		name_operation(summary, token->word);
		summary->mode = MODE_QUIET;
		return;
	default:
		if (summary->verb == KW_TRUNCATE && may_be_name(token)) { /* TABLE is optional */
			name_operation(summary, KW_TABLE);
			summary->mode = MODE_NAMES;
			expect(summary, 0, TARGET_TABLE);
			take_name(summary, token);
		}
		return;
	}
	summary->object = token->kind;
}

/* A token behind the name, or in its place. */
static void after_name(struct sql_summary *summary, const struct sql_token *token)
{
	uint8_t *bits = level(summary);

	if (summary->object == KW_ON && !(*bits & LEVEL_EXPECT)) { /* the table of an index */
		summary->mode = MODE_QUIET;
		return;
	}
	switch (token->kind) {
	case KW_SELECT:
	case KW_INSERT:
	case KW_REPLACE:
	case KW_UPDATE:
	case KW_DELETE:
	case KW_WITH:
		/* EXPLAIN of one, CREATE TABLE or VIEW from one. */
		if (token->kind != KW_WITH && (token->kind == KW_SELECT || *bits & LEVEL_EXPECT))
			begin_verb(summary, token);
		else if (token->kind == KW_WITH)
			*bits = LEVEL_WITH;
		break;
	case KW_TABLE:
		if (summary->last == KW_ANALYZE)
			begin_names(summary, token, LEVEL_LIST, TARGET_TABLE);
		break;
	case ',':
		if (*bits & LEVEL_LIST)
			*bits |= LEVEL_EXPECT;
		break;
	case KW_TO:
		if (summary->verb == KW_RENAME)
			*bits |= LEVEL_EXPECT;
		break;
	case KW_LIKE:
		if (summary->verb == KW_CREATE && summary->object == KW_TABLE && !summary->depth)
			expect(summary, 0, TARGET_TABLE);
		break;
	case KW_ON:
		if (summary->object == KW_INDEX || summary->object == KW_TRIGGER) {
			expect(summary, 0, TARGET_TABLE);
			summary->object = KW_ON;
		}
		break;
	case KW_FOR: /* EXPLAIN FOR CONNECTION */
		summary->mode = MODE_QUIET;
		break;
	default:
		break;
	}
	if (!(*bits & (LEVEL_EXPECT | LEVEL_LIST)) && summary->target == TARGET_OTHER &&
	    summary->object != KW_INDEX && summary->object != KW_TRIGGER)
		summary->mode = MODE_QUIET;
}

/* SHOW and its words, which are no names: CREATE TABLE, GLOBAL STATUS. */
static void show(struct sql_summary *summary, const struct sql_token *token)
{
	bool more = false;

	switch (summary->object) {
	case KW_SHOW:
	case KW_FULL:
	case KW_GLOBAL:
	case KW_SESSION:
	case KW_LOCAL:
	case KW_CREATE:
	case KW_OPEN:
	case KW_ALL:
	case KW_STORAGE:
		more = true;
		break;
	default:
		more = token->kind == KW_STATUS || token->kind == KW_LOGS || token->kind == KW_EVENTS;
	}
	if (more && token->word != NO_KEYWORD && token->kind != KW_COUNT) {
		add_keyword(summary, token->word);
		if (summary->object == KW_CREATE) {
			summary->mode = MODE_QUIET;
			if (token->kind == KW_TABLE || token->kind == KW_VIEW) {
				summary->mode = MODE_NAMES;
				expect(summary, 0, TARGET_TABLE);
			}
		}
		summary->object = token->kind;
		return;
	}
	summary->mode = MODE_QUIET;
	if ((token->kind == KW_FROM || token->kind == KW_IN) &&
	    (summary->object == KW_FIELDS || summary->object == KW_INDEX ||
	     summary->object == KW_INDEXES || summary->object == KW_KEYS)) {
		summary->mode = MODE_NAMES;
		expect(summary, 0, TARGET_TABLE);
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
	expect(summary, LEVEL_LIST, TARGET_TABLE);
}

static void query(struct sql_summary *summary, const struct sql_token *token)
{
	uint8_t *bits = level(summary);

	switch (token->kind) {
	case KW_SELECT:
		begin_verb(summary, token);
		break;
	case KW_UPDATE:
	case KW_DELETE:
	case KW_INSERT:
	case KW_REPLACE:
		if (!summary->named && summary->depth == summary->with_depth)
			begin_verb(summary, token);
		else if (summary->last == KW_FOR)
			*bits &= (uint8_t)~LEVEL_LIST;
		break;
	case KW_WITH:
		*bits = LEVEL_WITH;
		break;
	case KW_FROM:
		if (*bits & LEVEL_SELECT)
			expect(summary, LEVEL_LIST, TARGET_TABLE);
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
	uint8_t inner = *level(summary) & LEVEL_EXPECT ? LEVEL_EXPECT | LEVEL_LIST : 0;

	*level(summary) &= (uint8_t)~LEVEL_EXPECT;
	if (++summary->depth < SUMMARY_DEPTH)
		*level(summary) = inner;
	else
		*level(summary) = 0;
}

static void close_parenthesis(struct sql_summary *summary)
{
	if (summary->depth)
		summary->depth--;
}

/* A word between the verb and the name: INSERT IGNORE INTO, DROP TABLE IF EXISTS, EXPLAIN FORMAT = JSON. */
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

static void dispatch(struct sql_summary *summary, const struct sql_token *token)
{
	switch (summary->mode) {
	case MODE_START:
		if (!begin(summary, token))
			summary->mode = SUMMARY_NO_STATEMENT;
		break;
	case MODE_QUERY:
		query(summary, token);
		break;
	case MODE_SECOND_WORD:
		second_word(summary, token);
		break;
	case MODE_OBJECT:
		find_object(summary, token);
		break;
	case MODE_NAMES:
		after_name(summary, token);
		break;
	case MODE_SHOW:
		show(summary, token);
		break;
	case MODE_LOAD:
		if (token->kind == KW_TABLE) {
			summary->mode = MODE_NAMES;
			expect(summary, 0, TARGET_TABLE);
		}
		break;
	case MODE_SET:
		if (summary->last == KW_FOR && token->kind >= TOKEN_WORDS && !summary->depth)
			begin(summary, token);
		break;
	default:
		break;
	}
}

void sql_summary_add(struct sql_summary *summary, const struct sql_token *token)
{
	uint8_t *bits = level(summary);

	if (summary->mode == MODE_QUIET)
		return;
	if (*bits & LEVEL_EXPECT) {
		if (!summary->n_names && is_skipped(summary, token->kind))
			goto done;
		if (take_name(summary, token))
			goto done;
		if (summary->n_names && token->kind == '(' && *bits & LEVEL_LIST)
			drop_function(summary);
		else if (summary->n_names)
			end_name(summary);
		else if (token->kind == TOKEN_VALUE)
			*bits &= (uint8_t)~LEVEL_EXPECT;
	} else if (*bits & LEVEL_WITH && summary->n_ctes < SUMMARY_CTES && may_be_name(token) &&
		   (summary->last == KW_WITH || summary->last == KW_RECURSIVE || summary->last == ',')) {
		summary->ctes[summary->n_ctes++] = (struct slice){token->ptr, token->len};
	}
	dispatch(summary, token);
	if (token->kind == '(')
		open_parenthesis(summary);
	else if (token->kind == ')')
		close_parenthesis(summary);
done:
	summary->last = token->kind;
}

void sql_summary_finish(struct sql_summary *summary)
{
	struct query_class *out = summary->out;

	end_name(summary);
	if (!summary->named) {
		bool with = summary->with_depth != UINT32_MAX;

		if (with) {
			name_operation(summary, KW_WITH);
		} else {
			summary->len = sizeof("UNKNOWN") - 1;
			memcpy(out->summary, "UNKNOWN", sizeof("UNKNOWN"));
			memcpy(out->operation, "UNKNOWN", sizeof("UNKNOWN"));
		}
	}
	out->summary[summary->len] = '\0';
}

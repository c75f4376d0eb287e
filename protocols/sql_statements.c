/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Summaries of statements by their first words: which ones there are, what their operation is, and
 * whether the names that follow may be told. See sql_summary.c.
 *
 *	CREATE UNIQUE INDEX i ON t	verb, kind of thing, its name, then the one of a table
 *	SHOW FULL COLUMNS FROM t	words that are no names; a table in a few cases
 *	CREATE USER bob			no name: it is the one of an account
 */
#include <string.h>
#include "sql_summary.h"

static void begin_second_word(struct sql_summary *summary, const struct sql_token *token,
			      uint8_t mode)
{
	sql_summary_operation(summary, token->word);
	summary->verb = token->kind;
	summary->mode = mode;
}

static void begin_names(struct sql_summary *summary, const struct sql_token *token, uint8_t bits,
			uint8_t target)
{
	sql_summary_operation(summary, token->word);
	summary->mode = MODE_NAMES;
	sql_summary_expect(summary, bits, target);
}

enum beginning {
	NONE,        /* no statement begins so */
	QUIET,       /* nothing to be said but this word */
	TWO_WORDS,   /* START TRANSACTION */
	OBJECT,      /* CREATE ... TABLE */
	TABLE_NAMES, /* the words that follow are names of tables, or an own statement */
	TABLE_NAME,
	OTHER_NAME,
};

#define BEGINS(word, how) [KW_##word - TOKEN_WORDS] = how,

/* clang-format off */
static const uint8_t beginnings[KEYWORDS_END - TOKEN_WORDS] = {
	BEGINS(EXPLAIN, TABLE_NAMES) BEGINS(DESC, TABLE_NAMES) BEGINS(ANALYZE, TABLE_NAMES)
	BEGINS(HANDLER, TABLE_NAME) BEGINS(TABLE, TABLE_NAME) BEGINS(CALL, OTHER_NAME)
	BEGINS(USE, OTHER_NAME) BEGINS(CREATE, OBJECT) BEGINS(ALTER, OBJECT) BEGINS(DROP, OBJECT)
	BEGINS(RENAME, OBJECT) BEGINS(TRUNCATE, OBJECT) BEGINS(OPTIMIZE, OBJECT)
	BEGINS(CHECK, OBJECT) BEGINS(CHECKSUM, OBJECT) BEGINS(REPAIR, OBJECT)
	BEGINS(LOCK, TWO_WORDS) BEGINS(LOAD, TWO_WORDS) BEGINS(START, TWO_WORDS)
	BEGINS(STOP, TWO_WORDS) BEGINS(XA, TWO_WORDS) BEGINS(UNLOCK, TWO_WORDS)
	BEGINS(FLUSH, TWO_WORDS) BEGINS(RESET, TWO_WORDS) BEGINS(CHANGE, TWO_WORDS)
	BEGINS(PURGE, TWO_WORDS) BEGINS(INSTALL, TWO_WORDS) BEGINS(UNINSTALL, TWO_WORDS)
	BEGINS(RELEASE, TWO_WORDS) BEGINS(DEALLOCATE, TWO_WORDS) BEGINS(BACKUP, QUIET)
	BEGINS(BEGIN, QUIET) BEGINS(BINLOG, QUIET) BEGINS(CACHE, QUIET) BEGINS(CASE, QUIET)
	BEGINS(COMMIT, QUIET) BEGINS(DO, QUIET) BEGINS(EXECUTE, QUIET) BEGINS(FOR, QUIET)
	BEGINS(GET, QUIET) BEGINS(GRANT, QUIET) BEGINS(HELP, QUIET) BEGINS(IF, QUIET)
	BEGINS(IMPORT, QUIET) BEGINS(KILL, QUIET) BEGINS(LOOP, QUIET) BEGINS(PREPARE, QUIET)
	BEGINS(REPEAT, QUIET) BEGINS(RESIGNAL, QUIET) BEGINS(REVOKE, QUIET)
	BEGINS(ROLLBACK, QUIET) BEGINS(SAVEPOINT, QUIET) BEGINS(SHUTDOWN, QUIET)
	BEGINS(SIGNAL, QUIET) BEGINS(WHILE, QUIET)
};
/* clang-format on */

/* Of other statements than queries. */
static bool begin_other(struct sql_summary *summary, const struct sql_token *token)
{
	if (token->kind < TOKEN_WORDS)
		return false;
	switch (beginnings[token->kind - TOKEN_WORDS]) {
	case TABLE_NAMES:
		begin_names(summary, token, LEVEL_LIST, TARGET_TABLE);
		return true;
	case TABLE_NAME:
		begin_names(summary, token, 0, TARGET_TABLE);
		return true;
	case OTHER_NAME:
		begin_names(summary, token, 0, TARGET_OTHER);
		return true;
	case OBJECT:
		begin_second_word(summary, token, MODE_OBJECT);
		return true;
	case TWO_WORDS:
		begin_second_word(summary, token, MODE_SECOND_WORD);
		return true;
	case QUIET:
		sql_summary_operation(summary, token->word);
		summary->mode = MODE_QUIET;
		return true;
	default:
		return false;
	}
}

bool sql_summary_begin(struct sql_summary *summary, const struct sql_token *token)
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
		sql_summary_verb(summary, token);
		return true;
	case KW_WITH:
		summary->mode = MODE_QUERY;
		summary->with_depth = summary->depth;
		summary->bits = LEVEL_WITH;
		return true;
	case KW_SHOW:
		sql_summary_operation(summary, token->word);
		summary->object = token->kind;
		summary->mode = MODE_SHOW;
		return true;
	case KW_SET:
		sql_summary_operation(summary, token->word);
		summary->mode = MODE_SET;
		return true;
	default:
		return begin_other(summary, token);
	}
}

void sql_summary_second_word(struct sql_summary *summary, const struct sql_token *token)
{
	summary->mode = MODE_QUIET;
	if (token->word == NO_KEYWORD)
		return;
	sql_summary_operation(summary, token->word);
	if (summary->verb == KW_LOCK) {
		summary->mode = MODE_NAMES;
		sql_summary_expect(summary, LEVEL_LIST, TARGET_TABLE);
	} else if (summary->verb == KW_LOAD) {
		summary->mode = MODE_LOAD;
	}
}

void sql_summary_object(struct sql_summary *summary, const struct sql_token *token)
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
		sql_summary_operation(summary, token->word);
		summary->mode = MODE_QUIET;
		return;
	default:
		if (summary->verb == KW_TRUNCATE &&
		    sql_summary_may_name(token)) { /* TABLE is optional */
			sql_summary_operation(summary, KW_TABLE);
			summary->mode = MODE_NAMES;
			sql_summary_expect(summary, 0, TARGET_TABLE);
			sql_summary_take_name(summary, token);
		}
		return;
	}
	summary->object = token->kind;
}

void sql_summary_after_name(struct sql_summary *summary, const struct sql_token *token)
{
	uint8_t *bits = &summary->bits;

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
			sql_summary_verb(summary, token);
		else if (token->kind == KW_WITH)
			*bits = LEVEL_WITH;
		break;
	case KW_TABLE:
		if (summary->len == strlen("ANALYZE") &&
		    !strcmp(summary->out->operation, "ANALYZE"))
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
			sql_summary_expect(summary, 0, TARGET_TABLE);
		break;
	case KW_ON:
		if (summary->object == KW_INDEX || summary->object == KW_TRIGGER) {
			sql_summary_expect(summary, 0, TARGET_TABLE);
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

void sql_summary_show(struct sql_summary *summary, const struct sql_token *token)
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
		more = token->kind == KW_STATUS || token->kind == KW_LOGS ||
		       token->kind == KW_EVENTS;
	}
	if (more && token->word != NO_KEYWORD && token->kind != KW_COUNT) {
		sql_summary_keyword(summary, token->word);
		if (summary->object == KW_CREATE) {
			summary->mode = MODE_QUIET;
			if (token->kind == KW_TABLE || token->kind == KW_VIEW) {
				summary->mode = MODE_NAMES;
				sql_summary_expect(summary, 0, TARGET_TABLE);
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
		sql_summary_expect(summary, 0, TARGET_TABLE);
	}
}

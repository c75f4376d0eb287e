/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Summaries of statements by their first words: which ones there are, what their operation is, and
 *whether the names that follow may be told. See sql_summary.c.
 *
 *	CREATE UNIQUE INDEX i ON t	verb CREATE, then the kind of thing, INDEX, then its name,
 *then a table's SHOW FULL COLUMNS FROM t	words that are no names; a table in a few cases
 *	CREATE USER bob			no name: it is one of an account
 */
#include <string.h>
#include "sql_summary.h"

static void begin_second_word(struct sql_summary *summary, const struct sql_token *token,
			      uint8_t mode)
{
	summary->named = true;
	summary->verb = token->kind;
	summary->mode = mode;
	sql_summary_keyword(summary, token->word);
	memcpy(summary->out->operation, summary->out->summary, summary->len);
	summary->out->operation[summary->len] = '\0';
}

static void begin_names(struct sql_summary *summary, const struct sql_token *token, uint8_t bits,
			uint8_t target)
{
	sql_summary_operation(summary, token->word);
	summary->mode = MODE_NAMES;
	sql_summary_expect(summary, bits, target);
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
		sql_summary_operation(summary, token->word);
		summary->object = token->kind;
		summary->mode = MODE_SHOW;
		return true;
	case KW_SET:
		sql_summary_operation(summary, token->word);
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
		sql_summary_operation(summary, token->word);
		summary->mode = MODE_QUIET;
		return true;
	default:
		return false;
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

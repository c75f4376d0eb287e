/* SPDX-License-Identifier: Apache-2.0 */
/* What sql_summary.c, which has the rules of queries, and sql_statements.c, of all others, share.
 */
#ifndef WIREPROF_SQL_SUMMARY_H
#define WIREPROF_SQL_SUMMARY_H

#include "sql_internal.h"

enum sql_summary_mode {
	MODE_START,
	MODE_QUERY,
	MODE_SECOND_WORD, /* of an operation of two */
	MODE_OBJECT,      /* of DDL: what kind of thing */
	MODE_NAMES,       /* of things of that kind */
	MODE_SHOW,
	MODE_LOAD,  /* until INTO TABLE */
	MODE_SET,   /* SET STATEMENT .. FOR */
	MODE_QUIET, /* nothing more to be said */
};

enum sql_summary_target { TARGET_TABLE, TARGET_OTHER };

enum level_bits {
	LEVEL_SELECT = 1, /* FROM names tables here: not so in EXTRACT(YEAR FROM x) */
	LEVEL_EXPECT = 2, /* a table's name, or a parenthesis in its place */
	LEVEL_LIST = 4,   /* a comma or JOIN leads to the next table */
	LEVEL_WITH = 8,   /* names of common table expressions */
};

/* Appends a keyword; as (part of) the operation. */
void sql_summary_keyword(struct sql_summary *summary, uint16_t word);
void sql_summary_operation(struct sql_summary *summary, uint16_t word);

/* SELECT, INSERT, REPLACE, UPDATE, DELETE, VALUES: of a statement, or within one. */
void sql_summary_verb(struct sql_summary *summary, const struct sql_token *token);

/* The next name is one of that kind. */
void sql_summary_expect(struct sql_summary *summary, uint8_t bits, uint8_t target);
bool sql_summary_may_name(const struct sql_token *token);
/* True if the token is part of a name. */
bool sql_summary_take_name(struct sql_summary *summary, const struct sql_token *token);

/* --- sql_statements.c: one for each mode --- */

/* The first word. False if no statement begins so. */
bool sql_summary_begin(struct sql_summary *summary, const struct sql_token *token);
void sql_summary_second_word(struct sql_summary *summary, const struct sql_token *token);
/* CREATE OR REPLACE DEFINER = x@y ... until it says of what. */
void sql_summary_object(struct sql_summary *summary, const struct sql_token *token);
/* A token behind a name, or in its place. */
void sql_summary_after_name(struct sql_summary *summary, const struct sql_token *token);
/* SHOW and its words, which are no names: CREATE TABLE, GLOBAL STATUS. */
void sql_summary_show(struct sql_summary *summary, const struct sql_token *token);

#endif

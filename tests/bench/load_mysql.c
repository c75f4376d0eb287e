/* SPDX-License-Identifier: Apache-2.0 */
/* See load.h: clients by the MariaDB connector, each with one point select at a time. */
#include <mariadb/mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "load.h"

#define ROWS 10000 /* of the table item: tests/live/mysql_load.py */

__attribute__((noreturn)) static void fail(const char *what)
{
	fprintf(stderr, "the client: %s\n", what);
	_exit(1);
}

__attribute__((noreturn)) static void run_text(MYSQL *db, _Atomic uint64_t *statements)
{
	char sql[64];

	for (uint32_t i = 1;; i = i * 1664525 + 1013904223) {
		int length = snprintf(sql, sizeof(sql), "SELECT v FROM item WHERE id = %u", i % ROWS + 1);

		if (mysql_real_query(db, sql, length))
			fail(mysql_error(db));
		mysql_free_result(mysql_store_result(db));
		atomic_fetch_add_explicit(statements, 1, memory_order_relaxed);
	}
}

__attribute__((noreturn)) static void run_prepared(MYSQL *db, _Atomic uint64_t *statements)
{
	static const char sql[] = "SELECT v FROM item WHERE id = ?";
	MYSQL_STMT *stmt = mysql_stmt_init(db);
	int id;
	char row[100];
	MYSQL_BIND parameter = {.buffer_type = MYSQL_TYPE_LONG, .buffer = &id},
		   result = {.buffer_type = MYSQL_TYPE_STRING, .buffer = row, .buffer_length = sizeof(row)};

	if (mysql_stmt_prepare(stmt, sql, sizeof(sql) - 1) || mysql_stmt_bind_param(stmt, &parameter) ||
	    mysql_stmt_bind_result(stmt, &result))
		fail(mysql_stmt_error(stmt));
	for (uint32_t i = 1;; i = i * 1664525 + 1013904223) {
		id = i % ROWS + 1;
		if (mysql_stmt_execute(stmt))
			fail(mysql_stmt_error(stmt));
		while (!mysql_stmt_fetch(stmt))
			;
		atomic_fetch_add_explicit(statements, 1, memory_order_relaxed);
	}
}

__attribute__((noreturn)) static void run_client(const char *path, bool prepared, _Atomic uint64_t *statements)
{
	MYSQL *db = mysql_init(NULL);

	if (!mysql_real_connect(db, NULL, "root", "", "test", 0, path, 0))
		fail(mysql_error(db));
	if (prepared)
		run_prepared(db, statements);
	else
		run_text(db, statements);
}

int load_start_mysql(struct load *l, const char *path, bool prepared)
{
	_Atomic uint64_t *replies = load_counter(l);

	if (!replies)
		return -1;
	for (int i = 0; i < LOAD_CLIENTS; i++) {
		l->clients[i] = load_fork(l);
		if (!l->clients[i])
			run_client(path, prepared, replies);
		if (l->clients[i] < 0)
			return -1;
	}
	return load_warm_up(l);
}

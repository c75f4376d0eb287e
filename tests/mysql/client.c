// SPDX-License-Identifier: Apache-2.0
/*
 * A client of libmariadb that sends one of everything, and prints what it asks: a line for each command, COMMAND, tab,
 * text. It knows what it asks from the calls that it makes, not from the bytes; the server's log is the second witness.
 *
 *	client HOST PORT USER PASSWORD SCRIPT [compress]
 */
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "client: %s: %s\n", what, why);
	exit(1);
}

static void asked(const char *command, const char *text, size_t length)
{
	printf("%s\t", command);
	for (size_t i = 0; i < length; i++)
		switch (text[i]) {
		case '\n': fputs("\\n", stdout); break;
		case '\t': fputs("\\t", stdout); break;
		case '\\': fputs("\\\\", stdout); break;
		default: putchar(text[i]);
		}
	putchar('\n');
}

static void asks(const char *command, const char *text)
{
	asked(command, text, strlen(text));
}

static void query(MYSQL *db, const char *sql)
{
	asks("QUERY", sql);
	if (mysql_query(db, sql))
		fail(sql, mysql_error(db));
	do {
		mysql_free_result(mysql_store_result(db));
	} while (!mysql_next_result(db));
}

static void check(MYSQL_STMT *stmt, int failed, const char *what)
{
	if (failed)
		fail(what, mysql_stmt_error(stmt));
}

static void prepare(MYSQL_STMT *stmt, const char *sql)
{
	asks("STMT_PREPARE", sql);
	check(stmt, mysql_stmt_prepare(stmt, sql, strlen(sql)), sql);
}

static void execute(MYSQL_STMT *stmt, const char *sql)
{
	asks("STMT_EXECUTE", sql);
	check(stmt, mysql_stmt_execute(stmt), sql);
	check(stmt, mysql_stmt_store_result(stmt), sql);
	check(stmt, mysql_stmt_free_result(stmt), sql);
}

static void close_statement(MYSQL_STMT *stmt)
{
	asks("STMT_CLOSE", "");
	mysql_stmt_close(stmt);
}

static MYSQL_BIND text_parameter(const char *text, unsigned long *length)
{
	*length = strlen(text);
	return (MYSQL_BIND){.buffer_type = MYSQL_TYPE_STRING, .buffer = (char *)text, .buffer_length = *length,
			    .length = length};
}

static MYSQL_BIND int_parameter(int *value)
{
	return (MYSQL_BIND){.buffer_type = MYSQL_TYPE_LONG, .buffer = value};
}

/* Every kind of parameter, a NULL among them, twice: the second EXECUTE does not send the types again. */
static void parameters(MYSQL *db)
{
	static const char sql[] = "INSERT INTO types (a, b, c, d, e, f, g, h, i, j, k) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
	signed char tiny = -7;
	short small = 12345;
	int middle = -70000;
	long long large = 1LL << 40;
	float single = 1.5f;
	double twice = -2.25;
	MYSQL_TIME date = {.year = 2024, .month = 2, .day = 29, .time_type = MYSQL_TIMESTAMP_DATE};
	MYSQL_TIME clock = {.hour = 13, .minute = 14, .second = 15, .second_part = 160000, .time_type = MYSQL_TIMESTAMP_TIME};
	MYSQL_TIME moment = {.year = 2024, .month = 3, .day = 1, .hour = 1, .minute = 2, .second = 3,
			     .time_type = MYSQL_TIMESTAMP_DATETIME};
	unsigned long text_bytes, blob_bytes;
	char null = 1;
	MYSQL_BIND bind[11] = {
		{.buffer_type = MYSQL_TYPE_TINY, .buffer = &tiny},
		{.buffer_type = MYSQL_TYPE_SHORT, .buffer = &small},
		{.buffer_type = MYSQL_TYPE_LONG, .buffer = &middle},
		{.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &large, .is_unsigned = 1},
		{.buffer_type = MYSQL_TYPE_FLOAT, .buffer = &single},
		{.buffer_type = MYSQL_TYPE_DOUBLE, .buffer = &twice},
		{.buffer_type = MYSQL_TYPE_DATE, .buffer = &date},
		{.buffer_type = MYSQL_TYPE_TIME, .buffer = &clock},
		{.buffer_type = MYSQL_TYPE_DATETIME, .buffer = &moment},
		text_parameter("it's text", &text_bytes),
		text_parameter("SELECT bytes", &blob_bytes),
	};
	MYSQL_STMT *stmt = mysql_stmt_init(db);

	bind[10].buffer_type = MYSQL_TYPE_BLOB;
	prepare(stmt, sql);
	check(stmt, mysql_stmt_bind_param(stmt, bind), "bind");
	execute(stmt, sql);
	execute(stmt, sql);
	bind[9].is_null = &null;
	check(stmt, mysql_stmt_bind_param(stmt, bind), "bind");
	execute(stmt, sql);
	close_statement(stmt);
}

/* Statements side by side, one closed in the middle, one prepared again, and one that needs no parameters. */
static void interleaved(MYSQL *db)
{
	static const char *const sql[] = {"SELECT v FROM item WHERE id = ?", "UPDATE item SET v = v WHERE id = ?",
					  "SELECT COUNT(*) FROM item", "DELETE FROM item WHERE id = -?"};
	MYSQL_STMT *stmt[LENGTH(sql)];
	int id = 3;
	MYSQL_BIND bind = int_parameter(&id);

	for (size_t i = 0; i < LENGTH(sql); i++) {
		stmt[i] = mysql_stmt_init(db);
		prepare(stmt[i], sql[i]);
		if (mysql_stmt_param_count(stmt[i]))
			check(stmt[i], mysql_stmt_bind_param(stmt[i], &bind), "bind");
	}
	for (id = 1; id < 4; id++)
		for (size_t i = 0; i < LENGTH(sql); i++)
			execute(stmt[i], sql[i]);
	close_statement(stmt[1]);
	execute(stmt[2], sql[2]);
	execute(stmt[0], sql[0]);
	asks("STMT_RESET", sql[0]);
	check(stmt[0], mysql_stmt_reset(stmt[0]), "reset");
	execute(stmt[0], sql[0]);
	asks("STMT_CLOSE", ""); /* preparing again closes what was prepared */
	prepare(stmt[0], "SELECT id, v FROM item ORDER BY v LIMIT 2");
	execute(stmt[0], "SELECT id, v FROM item ORDER BY v LIMIT 2");
	query(db, "SELECT 'text between'");
	execute(stmt[3], sql[3]);
	close_statement(stmt[0]);
	close_statement(stmt[2]);
	close_statement(stmt[3]);
}

/* A cursor on the server: EXECUTE opens it, FETCH reads a few rows each. */
static void cursors(MYSQL *db)
{
	static const char sql[] = "SELECT id FROM item WHERE id < 6 ORDER BY id";
	unsigned long kind = CURSOR_TYPE_READ_ONLY, rows = 2;
	MYSQL_STMT *stmt = mysql_stmt_init(db);
	int id, got;
	MYSQL_BIND bind = int_parameter(&id);

	prepare(stmt, sql);
	mysql_stmt_attr_set(stmt, STMT_ATTR_CURSOR_TYPE, &kind);
	mysql_stmt_attr_set(stmt, STMT_ATTR_PREFETCH_ROWS, &rows);
	asks("STMT_EXECUTE", sql);
	check(stmt, mysql_stmt_execute(stmt), sql);
	check(stmt, mysql_stmt_bind_result(stmt, &bind), "bind");
	/* 5 rows are fetched in pairs; the last fetch finds the end. */
	for (int i = 0; i < 3; i++)
		asks("STMT_FETCH", sql);
	for (got = 0; !mysql_stmt_fetch(stmt); got++)
		;
	if (got != 5)
		fail("cursor", "not 5 rows");
	close_statement(stmt);
}

static void long_data(MYSQL *db)
{
	static const char sql[] = "INSERT INTO item (v) VALUES (?)";
	unsigned long length;
	MYSQL_BIND bind = text_parameter("", &length);
	MYSQL_STMT *stmt = mysql_stmt_init(db);
	static char piece[6000];

	memset(piece, 'l', sizeof(piece));
	prepare(stmt, sql);
	check(stmt, mysql_stmt_bind_param(stmt, &bind), "bind");
	for (int i = 0; i < 3; i++) {
		asks("STMT_SEND_LONG_DATA", sql);
		check(stmt, mysql_stmt_send_long_data(stmt, 0, piece, i == 1 ? 10 : sizeof(piece)), "long data");
	}
	execute(stmt, sql);
	close_statement(stmt);
}

static void bulk(MYSQL *db)
{
	static const char sql[] = "INSERT INTO item (id, v) VALUES (?, ?)";
	int ids[] = {101, 102, 103};
	const char *texts[] = {"one", "two", "SELECT three"};
	unsigned long lengths[] = {3, 3, 12};
	unsigned int rows = 3;
	MYSQL_BIND bind[2] = {{.buffer_type = MYSQL_TYPE_LONG, .buffer = ids},
			      {.buffer_type = MYSQL_TYPE_STRING, .buffer = texts, .length = lengths}};
	MYSQL_STMT *stmt = mysql_stmt_init(db);

	prepare(stmt, sql);
	mysql_stmt_attr_set(stmt, STMT_ATTR_ARRAY_SIZE, &rows);
	check(stmt, mysql_stmt_bind_param(stmt, bind), "bind");
	asks("STMT_BULK_EXECUTE", sql);
	check(stmt, mysql_stmt_execute(stmt), sql);
	close_statement(stmt);
	query(db, "DELETE FROM item WHERE id > 100");
}

/* PREPARE and EXECUTE without waiting for the id in between: statement 0xffffffff is the one just prepared. */
static void direct(MYSQL *db)
{
	static const char *const sql[] = {"SELECT v FROM item WHERE id = ?", "SELECT id FROM item WHERE id > ? LIMIT 2"};
	int id = 2;
	MYSQL_BIND bind = int_parameter(&id);

	for (size_t i = 0; i < LENGTH(sql); i++) {
		MYSQL_STMT *stmt = mysql_stmt_init(db);
		unsigned int parameters = 1;

		mysql_stmt_attr_set(stmt, STMT_ATTR_PREBIND_PARAMS, &parameters);
		check(stmt, mysql_stmt_bind_param(stmt, &bind), "bind");
		asks("STMT_PREPARE", sql[i]);
		asks("STMT_EXECUTE", sql[i]);
		check(stmt, mariadb_stmt_execute_direct(stmt, sql[i], -1), sql[i]);
		check(stmt, mysql_stmt_store_result(stmt), sql[i]);
		check(stmt, mysql_stmt_free_result(stmt), sql[i]);
		execute(stmt, sql[i]);
		close_statement(stmt);
	}
}

static void commands(MYSQL *db)
{
	MYSQL_STMT *stmt;

	asks("PING", "");
	mysql_ping(db);
	asks("STATISTICS", "");
	mysql_stat(db);
	asks("INIT_DB", "mysql");
	mysql_select_db(db, "mysql");
	query(db, "SELECT DATABASE()");
	asks("CHANGE_USER", "test");
	if (mysql_change_user(db, "secretive", "pass word", "test"))
		fail("change user", mysql_error(db));
	stmt = mysql_stmt_init(db);
	prepare(stmt, "SELECT 'before the reset'");
	asks("RESET_CONNECTION", "");
	mysql_reset_connection(db);
	query(db, "SELECT CURRENT_USER()");
	/* The reset has closed the statement on the server; the client knows that, and sends no close. */
	mysql_stmt_close(stmt);
	asks("SET_OPTION", "");
	mysql_set_server_option(db, MYSQL_OPTION_MULTI_STATEMENTS_ON);
	query(db, "SELECT 1; SELECT id FROM item LIMIT 1; SET @a = 2");
	asks("PING", "");
	mysql_ping(db);
}

static void errors(MYSQL *db)
{
	static const char bad[] = "SELEC 1 FROM nowhere", none[] = "SELECT * FROM nowhere";
	MYSQL_STMT *stmt = mysql_stmt_init(db);

	asks("STMT_PREPARE", bad);
	if (!mysql_stmt_prepare(stmt, bad, strlen(bad)))
		fail(bad, "no error");
	prepare(stmt, "SELECT 'good'");
	execute(stmt, "SELECT 'good'");
	asks("INIT_DB", "nowhere");
	if (!mysql_select_db(db, "nowhere"))
		fail("nowhere", "no error");
	query(db, "SELECT DATABASE()");
	asks("QUERY", none);
	if (!mysql_query(db, none))
		fail(none, "no error");
	asks("QUERY", bad);
	if (!mysql_query(db, bad))
		fail(bad, "no error");
	close_statement(stmt);
}

static const struct {
	const char *name;
	void (*run)(MYSQL *db);
} scripts[] = {{"parameters", parameters}, {"interleaved", interleaved}, {"cursors", cursors}, {"long_data", long_data},
	       {"bulk", bulk}, {"direct", direct}, {"commands", commands}, {"errors", errors}};

int main(int count, char **arguments)
{
	MYSQL *db = mysql_init(NULL);

	if (count < 6)
		fail("usage", "client HOST PORT USER PASSWORD SCRIPT [compress]");
	if (count > 6)
		mysql_options(db, MYSQL_OPT_COMPRESS, NULL);
	mysql_options(db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	asks("CONNECT", "test");
	if (!mysql_real_connect(db, arguments[1], arguments[3], arguments[4], "test", atoi(arguments[2]), NULL, 0))
		fail("connect", mysql_error(db));
	for (size_t i = 0; i < LENGTH(scripts); i++)
		if (!strcmp(arguments[5], scripts[i].name))
			scripts[i].run(db);
	asks("QUIT", "");
	mysql_close(db);
	return 0;
}

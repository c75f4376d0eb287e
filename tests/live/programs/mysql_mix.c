// SPDX-License-Identifier: Apache-2.0
/*
 * One connection of libmariadb that sends classes of statements in random order until its time is over.
 *
 *	mysql_mix SOCKET|PORT SCHEMA SECONDS [compress] < CLASSES
 *
 * CLASSES has lines of KIND WEIGHT LIMIT, tab, SQL. How often a class comes is by its weight; each ? of its SQL is a
 * number below LIMIT. The kinds are below. Prints "ready" once it is connected and has prepared, and at the end how
 * often each class came.
 */
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CLASSES_MAX 64
#define ROWS 100 /* of a bulk */
#define PARAMETERS_MAX 8
#define SECRET "ZQZQZQ" /* what tests look for where no value may be */

enum kind {
	TEXT = 'Q',      /* COM_QUERY */
	PREPARED = 'E',  /* prepared once, when connected */
	TEXTS = 'T',     /* the same, but each ? is a text: SECRET, and the number */
	ANEW = 'N',      /* prepared, executed, closed, each time */
	DIRECT = 'D',    /* prepared and executed at once: statement 0xffffffff */
	CURSOR = 'C',    /* prepared once, with a cursor: fetches of 50 rows */
	BULK = 'B',      /* prepared once, 100 rows at a time */
	LONG_DATA = 'L', /* prepared once, its parameter sent ahead in pieces */
	SCHEMA = 'S',    /* COM_INIT_DB; the SQL is the schema */
	USER = 'U',      /* COM_CHANGE_USER to the same user; the SQL is the schema */
	RECONNECT = 'R', /* a new connection */
};

struct class {
	char kind;
	int weight, limit;
	char sql[60000];
	long count;
	MYSQL_STMT *stmt;
};

static struct class *classes[CLASSES_MAX];
static int class_count, weights;
static const char *target, *schema;
static int compress;
static MYSQL *db;

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "mysql_mix: %.100s: %s\n", what, why);
	exit(1);
}

static void check(MYSQL_STMT *stmt, int failed, const char *what)
{
	if (failed)
		fail(what, mysql_stmt_error(stmt));
}

static unsigned int count_parameters(const char *sql)
{
	unsigned int n = 0;

	for (; *sql; sql++)
		n += *sql == '?';
	return n;
}

static MYSQL_STMT *prepare(const struct class *class)
{
	MYSQL_STMT *stmt = mysql_stmt_init(db);
	unsigned long kind = CURSOR_TYPE_READ_ONLY, fetched = 50;
	unsigned int rows = ROWS;

	check(stmt, mysql_stmt_prepare(stmt, class->sql, strlen(class->sql)), class->sql);
	if (class->kind == CURSOR) {
		mysql_stmt_attr_set(stmt, STMT_ATTR_CURSOR_TYPE, &kind);
		mysql_stmt_attr_set(stmt, STMT_ATTR_PREFETCH_ROWS, &fetched);
	}
	if (class->kind == BULK)
		mysql_stmt_attr_set(stmt, STMT_ATTR_ARRAY_SIZE, &rows);
	return stmt;
}

static void open_connection(void)
{
	int port = atoi(target);

	db = mysql_init(NULL);
	if (compress)
		mysql_options(db, MYSQL_OPT_COMPRESS, NULL);
	if (!mysql_real_connect(db, port ? "127.0.0.1" : NULL, "root", "", schema, port, port ? NULL : target,
				CLIENT_MULTI_STATEMENTS))
		fail("connect", mysql_error(db));
	for (int i = 0; i < class_count; i++)
		if (strchr("ETCBL", classes[i]->kind))
			classes[i]->stmt = prepare(classes[i]);
}

static void bind_numbers(MYSQL_STMT *stmt, const struct class *class, int *values, unsigned int rows)
{
	MYSQL_BIND bind[PARAMETERS_MAX] = {0};
	static char text[64];
	unsigned int count = count_parameters(class->sql);
	unsigned long length = sprintf(text, SECRET "%d", values[0]);

	if (count > PARAMETERS_MAX)
		fail(class->sql, "too many parameters");
	for (unsigned int i = 0; i < rows; i++)
		values[i] = rows > 1 ? rand() % class->limit : values[i];
	for (unsigned int i = 0; i < count; i++)
		bind[i] = class->kind == TEXTS ? (MYSQL_BIND){.buffer_type = MYSQL_TYPE_STRING, .buffer = text, .buffer_length = length}
					       : (MYSQL_BIND){.buffer_type = MYSQL_TYPE_LONG, .buffer = values};
	if (count)
		check(stmt, mysql_stmt_bind_param(stmt, bind), "bind");
}

static void read_rows(MYSQL_STMT *stmt, const struct class *class)
{
	MYSQL_BIND none[64] = {0};

	if (!mysql_stmt_field_count(stmt))
		return;
	if (class->kind != CURSOR) {
		check(stmt, mysql_stmt_store_result(stmt), class->sql);
	} else {
		char byte[64][8];

		for (unsigned int i = 0; i < mysql_stmt_field_count(stmt); i++)
			none[i] = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_STRING, .buffer = byte[i], .buffer_length = 8};
		check(stmt, mysql_stmt_bind_result(stmt, none), "bind");
		for (int got; (got = mysql_stmt_fetch(stmt)) != MYSQL_NO_DATA;)
			check(stmt, got == 1, class->sql);
	}
	check(stmt, mysql_stmt_free_result(stmt), class->sql);
}

static void run_statement(struct class *class, int value)
{
	MYSQL_STMT *stmt = class->stmt;
	int values[ROWS] = {value};
	unsigned int count = count_parameters(class->sql);

	if (class->kind == DIRECT) {
		stmt = mysql_stmt_init(db);
		mysql_stmt_attr_set(stmt, STMT_ATTR_PREBIND_PARAMS, &count);
	} else if (class->kind == ANEW) {
		stmt = prepare(class);
	}
	if (class->kind == LONG_DATA) {
		static char piece[100000];
		MYSQL_BIND bind = {.buffer_type = MYSQL_TYPE_STRING};

		for (size_t i = 0; i + 2 <= sizeof(piece); i += 2)
			memcpy(piece + i, SECRET, 2);
		check(stmt, mysql_stmt_bind_param(stmt, &bind), "bind");
		for (int i = 0; i < 4; i++)
			check(stmt, mysql_stmt_send_long_data(stmt, 0, piece, sizeof(piece)), "long data");
	} else {
		bind_numbers(stmt, class, values, class->kind == BULK ? ROWS : 1);
	}
	if (class->kind == DIRECT)
		check(stmt, mariadb_stmt_execute_direct(stmt, class->sql, strlen(class->sql)), class->sql);
	else
		check(stmt, mysql_stmt_execute(stmt), class->sql);
	read_rows(stmt, class);
	if (stmt != class->stmt)
		mysql_stmt_close(stmt);
}

static void run_text(const struct class *class, int value)
{
	static char sql[100000];
	char *out = sql;

	for (const char *in = class->sql; *in; in++)
		if (*in == '?')
			out += sprintf(out, "%d", value);
		else
			*out++ = *in;
	*out = 0;
	if (mysql_real_query(db, sql, out - sql))
		fail(class->sql, mysql_error(db));
	do {
		mysql_free_result(mysql_store_result(db));
	} while (!mysql_next_result(db));
}

static void run(struct class *class)
{
	int value = rand() % class->limit;

	class->count++;
	switch (class->kind) {
	case TEXT:
		run_text(class, value);
		break;
	case SCHEMA:
		if (mysql_select_db(db, class->sql))
			fail(class->sql, mysql_error(db));
		break;
	case USER:
		if (mysql_change_user(db, "root", "", class->sql))
			fail(class->sql, mysql_error(db));
		break;
	case RECONNECT:
		mysql_close(db);
		open_connection();
		break;
	default:
		run_statement(class, value);
	}
}

static void read_classes(void)
{
	struct class class = {0};

	while (scanf(" %c %d %d\t%59999[^\n]", &class.kind, &class.weight, &class.limit, class.sql) == 4) {
		if (class_count == CLASSES_MAX)
			fail("classes", "too many");
		classes[class_count] = memcpy(malloc(sizeof(class)), &class, sizeof(class));
		class_count++;
		weights += class.weight;
	}
	if (!class_count)
		fail("classes", "none");
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int count, char **arguments)
{
	if (count < 4)
		fail("usage", "mysql_mix SOCKET|PORT SCHEMA SECONDS [compress]");
	target = arguments[1];
	schema = arguments[2];
	compress = count > 4;
	srand(1);
	read_classes();
	open_connection();
	puts("ready");
	fflush(stdout);
	for (double end = now() + atof(arguments[3]); now() < end;) {
		int at = rand() % weights, i = 0;

		while ((at -= classes[i]->weight) >= 0)
			i++;
		run(classes[i]);
	}
	for (int i = 0; i < class_count; i++)
		printf("%ld\n", classes[i]->count);
	mysql_close(db);
	return 0;
}

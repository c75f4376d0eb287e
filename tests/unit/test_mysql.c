/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mysql_classify() and its like: packets -> commands. What SQL means is tested in test_sql.c; here it is short.
 *
 * Streams are built by put_...(), each packet behind the last, and looked at in front of a guard page.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "guard.h"
#include "protocols/mysql_internal.h"

static struct query_batch batch;

/* --- streams --- */

struct stream {
	uint8_t bytes[8192];
	size_t n;
};

static void put(struct stream *s, const void *bytes, size_t n)
{
	assert_true(s->n + n <= sizeof(s->bytes));
	memcpy(s->bytes + s->n, bytes, n);
	s->n += n;
}

static void put_header(struct stream *s, uint32_t length, uint8_t sequence)
{
	put(s, (uint8_t[]){(uint8_t)length, (uint8_t)(length >> 8), (uint8_t)(length >> 16), sequence}, 4);
}

static void put_command(struct stream *s, uint8_t command, const void *rest, size_t n)
{
	put_header(s, (uint32_t)n + 1, 0);
	put(s, &command, 1);
	put(s, rest, n);
}

static void put_sql(struct stream *s, uint8_t command, const char *sql)
{
	put_command(s, command, sql, strlen(sql));
}

/* A command about a statement, as long as EXECUTE is at least. */
static void put_statement(struct stream *s, uint8_t command, uint32_t id)
{
	uint8_t rest[9] = {(uint8_t)id, (uint8_t)(id >> 8), (uint8_t)(id >> 16), (uint8_t)(id >> 24), 0, 1};

	put_command(s, command, rest, sizeof(rest));
}

static enum query_verdict classify(const struct stream *s, size_t captured, uint64_t received)
{
	struct slice copy = guard_copy(s->bytes, captured);

	mysql_classify(&(struct mysql_batch){copy, received}, &batch);
	guard_free(copy);
	return batch.verdict;
}

static enum query_verdict classify_prepared(const struct stream *s, size_t captured)
{
	struct slice copy = guard_copy(s->bytes, captured);

	mysql_classify_prepared(&(struct mysql_batch){copy, captured}, &batch);
	guard_free(copy);
	return batch.verdict;
}

static uint32_t statement_id(const struct stream *s, size_t captured, uint64_t received)
{
	struct slice copy = guard_copy(s->bytes, captured);
	uint32_t id = mysql_statement_id(&(struct mysql_batch){copy, received});

	guard_free(copy);
	return id;
}

static void expect_class(uint32_t i, const char *operation, const char *summary, const char *text)
{
	assert_true(i < batch.n_classes);
	assert_string_equal(batch.classes[i].operation, operation);
	assert_string_equal(batch.classes[i].summary, summary);
	assert_string_equal(batch.classes[i].text, text);
}

/* The whole stream is one command of this class. */
static void expect(const struct stream *s, enum query_verdict verdict, const char *operation, const char *summary,
		   const char *text)
{
	assert_int_equal(classify(s, s->n, s->n), verdict);
	assert_int_equal(batch.n_classes, 1);
	assert_int_equal(batch.n_commands, 1);
	assert_false(batch.cut);
	expect_class(0, operation, summary, text);
}

static void expect_sql(uint8_t command, const char *sql, const char *operation, const char *summary, const char *text)
{
	struct stream s = {.n = 0};

	put_sql(&s, command, sql);
	expect(&s, QUERY_COMMANDS, operation, summary, text);
}

/* --- commands --- */

static void test_commands(void **state)
{
	static const struct {
		uint8_t command;
		const char *name;
	} named[] = {
		{0x01, "QUIT"}, {0x02, "INIT_DB"}, {0x04, "FIELD_LIST"}, {0x05, "CREATE_DB"}, {0x06, "DROP_DB"},
		{0x07, "REFRESH"}, {0x08, "SHUTDOWN"}, {0x09, "STATISTICS"}, {0x0a, "PROCESS_INFO"},
		{0x0c, "PROCESS_KILL"}, {0x0d, "DEBUG"}, {0x0e, "PING"}, {0x11, "CHANGE_USER"},
		{0x12, "BINLOG_DUMP"}, {0x13, "TABLE_DUMP"}, {0x15, "REGISTER_SLAVE"},
		{0x18, "STMT_SEND_LONG_DATA"}, {0x19, "STMT_CLOSE"}, {0x1a, "STMT_RESET"}, {0x1b, "SET_OPTION"},
		{0x1e, "BINLOG_DUMP_GTID"}, {0x1f, "RESET_CONNECTION"}, {0x00, "UNKNOWN"}, {0x0b, "UNKNOWN"},
		{0x0f, "UNKNOWN"}, {0x1d, "UNKNOWN"}, {0x20, "UNKNOWN"}, {0xf9, "UNKNOWN"}, {0xfb, "UNKNOWN"},
		{0xfe, "UNKNOWN"}, {0xff, "UNKNOWN"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		struct stream s = {.n = 0};

		put_command(&s, named[i].command, "secret", 6);
		expect(&s, QUERY_COMMANDS, named[i].name, named[i].name, named[i].name);
		assert_string_equal(batch.classes[0].collection, "");
	}
}

static void test_queries(void **state)
{
	(void)state;
	expect_sql(COM_QUERY, "select a from t where b = 'x'", "SELECT", "SELECT t", "SELECT `a` FROM `t` WHERE `b` = ?");
	assert_string_equal(batch.classes[0].collection, "t");
	expect_sql(COM_QUERY, "", "QUERY", "QUERY", "QUERY");
	expect_sql(COM_QUERY, " /* nothing */ ;", "QUERY", "QUERY", "QUERY");
	expect_sql(COM_STMT_PREPARE, "SELECT a FROM t WHERE b = ?", "PREPARE", "PREPARE SELECT t",
		   "SELECT `a` FROM `t` WHERE `b` = ?");
	expect_sql(COM_STMT_PREPARE, "", "PREPARE", "PREPARE", "PREPARE");
	/* Of the statements in a PREPARE there is only one. */
	expect_sql(COM_STMT_PREPARE, "SELECT 1 FROM t; DELETE FROM t", "PREPARE", "PREPARE SELECT t",
		   "SELECT ? FROM `t`");
}

static void test_statements_in_sql(void **state)
{
	struct stream s = {.n = 0};

	(void)state;
	put_sql(&s, COM_QUERY, "PREPARE p FROM 'SELECT a FROM t WHERE b = \\'x\\''");
	assert_int_equal(classify(&s, s.n, s.n), QUERY_COMMANDS);
	assert_string_equal(batch.classes[0].operation, "PREPARE");
	assert_string_equal(batch.classes[0].summary, "PREPARE SELECT t");
	expect_sql(COM_QUERY, "EXECUTE IMMEDIATE 'SELECT a FROM t WHERE b = 1'", "SELECT", "SELECT t",
		   "SELECT `a` FROM `t` WHERE `b` = ?");
	expect_sql(COM_QUERY, "EXECUTE IMMEDIATE 'SELECT a ' 'FROM t'", "SELECT", "SELECT t", "SELECT `a` FROM `t`");

	s.n = 0;
	put_sql(&s, COM_QUERY, "EXECUTE p USING @secret");
	assert_int_equal(classify(&s, s.n, s.n), QUERY_UNKNOWN_STATEMENT);
	assert_string_equal(batch.classes[0].summary, "EXECUTE");
	s.n = 0;
	put_sql(&s, COM_QUERY, "EXECUTE IMMEDIATE @secret");
	assert_int_equal(classify(&s, s.n, s.n), QUERY_UNKNOWN_STATEMENT);
	assert_string_equal(batch.classes[0].operation, "EXECUTE");
	s.n = 0;
	put_sql(&s, COM_QUERY, "PREPARE p FROM @secret");
	assert_int_equal(classify(&s, s.n, s.n), QUERY_COMMANDS);
	assert_string_equal(batch.classes[0].summary, "PREPARE");
	expect_sql(COM_QUERY, "DEALLOCATE PREPARE p", "DEALLOCATE PREPARE", "DEALLOCATE PREPARE", "DEALLOCATE PREPARE `p`");
}

static void test_several_statements(void **state)
{
	static const char sql[] = "SELECT 1 FROM t; INSERT INTO u VALUES (1);SELECT 2 FROM t ;; ";
	struct stream s = {.n = 0};

	(void)state;
	put_sql(&s, COM_QUERY, sql);
	assert_int_equal(classify(&s, s.n, s.n), QUERY_COMMANDS);
	assert_int_equal(batch.n_commands, 3);
	assert_int_equal(batch.n_classes, 2);
	expect_class(0, "SELECT", "SELECT t", "SELECT ? FROM `t`");
	expect_class(1, "INSERT", "INSERT u", "INSERT INTO `u` VALUES (?)");
	assert_int_equal(batch.classes[0].count, 2);
	assert_false(batch.cut);
	/* From the first ';' on there may be more than the capture shows. */
	for (size_t cut = 6; cut < s.n; cut++) {
		classify(&s, cut, s.n);
		assert_int_equal(batch.cut, cut >= 5 + strlen("SELECT 1 FROM t;"));
	}
}

static void test_executes(void **state)
{
	static const struct {
		uint8_t command;
		const char *name;
	} kinds[] = {{COM_STMT_EXECUTE, "EXECUTE"}, {COM_STMT_FETCH, "FETCH"}, {COM_STMT_BULK_EXECUTE, "BULK_EXECUTE"}};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct stream s = {.n = 0};
		char summary[64];

		put_statement(&s, kinds[i].command, 0x01020304);
		sprintf(summary, "%s #16909060", kinds[i].name);
		expect(&s, QUERY_UNKNOWN_STATEMENT, kinds[i].name, summary, summary);
		assert_int_equal(statement_id(&s, s.n, s.n), 0x01020304);
		for (size_t cut = 0; cut < s.n; cut++) {
			assert_int_equal(statement_id(&s, cut, s.n), cut < 9 ? 0 : 0x01020304);
			assert_int_equal(classify(&s, cut, s.n), cut < 5 ? QUERY_STALE : QUERY_UNKNOWN_STATEMENT);
			if (cut >= 5)
				expect_class(0, kinds[i].name, cut < 9 ? kinds[i].name : summary, cut < 9 ? kinds[i].name : summary);
		}
	}
}

/* The id is asked for of a batch that is one command: what is not answered, and comes with it, is none. */
static void test_statement_id(void **state)
{
	struct stream s = {.n = 0};

	(void)state;
	assert_int_equal(statement_id(&s, 0, 0), 0);
	put_statement(&s, COM_STMT_CLOSE, 1);
	assert_int_equal(statement_id(&s, s.n, s.n), 0);
	put_statement(&s, COM_STMT_SEND_LONG_DATA, 2);
	put_statement(&s, COM_STMT_EXECUTE, 2);
	assert_int_equal(statement_id(&s, s.n, s.n), 2);
	assert_int_equal(statement_id(&s, s.n, s.n + 1), 0); /* another command, perhaps */
	put_header(&s, 5, 1);
	put(&s, "\x17\x03\0\0\0", 5); /* goes on */
	assert_int_equal(statement_id(&s, s.n, s.n), 2);
	put_statement(&s, COM_STMT_EXECUTE, 3);
	assert_int_equal(statement_id(&s, s.n, s.n), 0);

	s.n = 0;
	put_statement(&s, COM_STMT_EXECUTE, 0);
	put_statement(&s, COM_STMT_EXECUTE, 3);
	assert_int_equal(statement_id(&s, s.n, s.n), 0);
	s.n = 0;
	put_sql(&s, COM_STMT_PREPARE, "SELECT 1");
	put_statement(&s, COM_STMT_EXECUTE, UINT32_MAX);
	assert_int_equal(statement_id(&s, s.n, s.n), 0);
	s.n = 0;
	put_header(&s, 10, 1);
	put(&s, "\x17\x01\0\0\0\0\1\0\0\0", 10); /* of a handshake */
	assert_int_equal(statement_id(&s, s.n, s.n), 0);
}

static void test_direct(void **state)
{
	struct stream s = {.n = 0};

	(void)state;
	put_sql(&s, COM_STMT_PREPARE, "DELETE FROM t WHERE a = ?");
	put_statement(&s, COM_STMT_EXECUTE, UINT32_MAX);
	assert_int_equal(classify(&s, s.n, s.n), QUERY_COMMANDS);
	assert_int_equal(batch.n_commands, 2);
	expect_class(0, "PREPARE", "PREPARE DELETE t", "DELETE FROM `t` WHERE `a` = ?");
	expect_class(1, "DELETE", "DELETE t", "DELETE FROM `t` WHERE `a` = ?");
	/* By its number it is another one. */
	put_statement(&s, COM_STMT_EXECUTE, 5);
	assert_int_equal(classify(&s, s.n, s.n), QUERY_UNKNOWN_STATEMENT);
	expect_class(2, "EXECUTE", "EXECUTE #5", "EXECUTE #5");
	/* Without a PREPARE nothing is known. */
	s.n = 0;
	put_statement(&s, COM_STMT_BULK_EXECUTE, UINT32_MAX);
	expect(&s, QUERY_UNKNOWN_STATEMENT, "BULK_EXECUTE", "BULK_EXECUTE #4294967295", "BULK_EXECUTE #4294967295");
}

static void test_prepared(void **state)
{
	struct stream s = {.n = 0};

	(void)state;
	put_statement(&s, COM_STMT_CLOSE, 1);
	put_sql(&s, COM_STMT_PREPARE, "SELECT a FROM t WHERE b = ? AND c = 'secret'");
	assert_int_equal(classify_prepared(&s, s.n), QUERY_COMMANDS);
	assert_int_equal(batch.n_commands, 1);
	expect_class(0, "SELECT", "SELECT t", "SELECT `a` FROM `t` WHERE `b` = ? AND `c` = ?");
	for (size_t cut = 0; cut < s.n; cut++) {
		classify_prepared(&s, cut);
		assert_int_equal(batch.verdict, cut <= 19 ? QUERY_UNKNOWN_STATEMENT : QUERY_COMMANDS);
		assert_int_equal(batch.n_commands, 1);
		assert_null(strstr(batch.classes[0].text, "secr"));
	}
	s.n = 0;
	put_sql(&s, COM_QUERY, "PREPARE p FROM 'UPDATE t SET a = ?'");
	assert_int_equal(classify_prepared(&s, s.n), QUERY_COMMANDS);
	expect_class(0, "UPDATE", "UPDATE t", "UPDATE `t` SET `a` = ?");
}

/* What prepares nothing, or nothing that is seen, leaves the EXECUTE unknown. */
static void test_not_prepared(void **state)
{
	static const char *const others[] = {"PREPARE p FROM @v", "SELECT 'PREPARE p FROM'", "", "EXECUTE p", "PREPARE p FROM"};
	struct stream s = {.n = 0};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		s.n = 0;
		put_sql(&s, COM_QUERY, others[i]);
		assert_int_equal(classify_prepared(&s, s.n), QUERY_UNKNOWN_STATEMENT);
		expect_class(0, "EXECUTE", "EXECUTE", "EXECUTE");
	}
	s.n = 0;
	put_header(&s, 9, 1); /* a handshake's bytes are no command */
	put(&s, "\x16SELECT 1", 9);
	assert_int_equal(classify_prepared(&s, s.n), QUERY_UNKNOWN_STATEMENT);
	s.n = 0;
	put_statement(&s, COM_STMT_CLOSE, 1);
	put_statement(&s, COM_STMT_EXECUTE, 1);
	assert_int_equal(classify_prepared(&s, s.n), QUERY_UNKNOWN_STATEMENT);
}

/* --- packets --- */

static void test_several_packets(void **state)
{
	struct stream s = {.n = 0};

	(void)state;
	put_sql(&s, COM_QUERY, "SELECT 1 FROM t");
	put_command(&s, COM_PING, "", 0);
	put_sql(&s, COM_QUERY, "SELECT 2 FROM t");
	put_statement(&s, COM_STMT_RESET, 1);
	assert_int_equal(classify(&s, s.n, s.n), QUERY_COMMANDS);
	assert_int_equal(batch.n_commands, 4);
	assert_int_equal(batch.n_classes, 3);
	assert_int_equal(batch.classes[0].count, 2);
	expect_class(1, "PING", "PING", "PING");
	expect_class(2, "STMT_RESET", "STMT_RESET", "STMT_RESET");
	assert_false(batch.cut);
}

/* What is sent along with a command, and not answered, is not what the server works for. */
static void test_unanswered(void **state)
{
	struct stream s = {.n = 0};

	(void)state;
	put_statement(&s, COM_STMT_CLOSE, 1);
	put_statement(&s, COM_STMT_CLOSE, 2);
	assert_int_equal(classify(&s, s.n, s.n), QUERY_COMMANDS);
	assert_int_equal(batch.n_classes, 1);
	assert_int_equal(batch.classes[0].count, 2);
	expect_class(0, "STMT_CLOSE", "STMT_CLOSE", "STMT_CLOSE");
	put_sql(&s, COM_QUERY, "SELECT 1 FROM t");
	expect(&s, QUERY_COMMANDS, "SELECT", "SELECT t", "SELECT ? FROM `t`");
	put_statement(&s, COM_STMT_SEND_LONG_DATA, 2);
	expect(&s, QUERY_COMMANDS, "SELECT", "SELECT t", "SELECT ? FROM `t`");
}

/* A stream that ends anywhere: what is there counts, and what may have been behind it is said. */
static void test_cut_streams(void **state)
{
	struct stream s = {.n = 0};
	size_t second, third;

	(void)state;
	put_sql(&s, COM_QUERY, "SELECT 1 FROM t");
	second = s.n;
	put_command(&s, COM_PING, "", 0);
	third = s.n;
	put_sql(&s, COM_QUERY, "DELETE FROM t");
	for (size_t cut = 0; cut <= s.n; cut++) {
		uint32_t n = (cut >= 5) + (cut >= second + 5) + (cut >= third + 5);

		assert_int_equal(classify(&s, cut, s.n), n ? QUERY_COMMANDS : QUERY_STALE);
		assert_int_equal(batch.n_commands, n);
		/* The first packets tell how long they are, not whether there are others. */
		assert_int_equal(batch.cut, cut >= 5 && cut < third + 5);
		/* Received so far, and no more. */
		assert_int_equal(classify(&s, cut, cut), n ? QUERY_COMMANDS : QUERY_STALE);
		assert_int_equal(batch.n_commands, n);
	}
}

/* Declared lengths up to the greatest, with less behind them. */
static void test_declared(void **state)
{
	static const uint32_t lengths[] = {17, 1000, 0xfffffe, 0xffffff};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct stream s = {.n = 0};

		put_header(&s, lengths[i], 0);
		put(&s, "\x03SELECT 1 FROM t", 16);
		assert_int_equal(classify(&s, s.n, lengths[i] + 4ull), QUERY_COMMANDS);
		assert_int_equal(batch.n_commands, 1);
		assert_false(batch.cut);
		assert_string_equal(batch.classes[0].operation, "SELECT");
		assert_int_equal(strcmp(batch.classes[0].text + strlen(batch.classes[0].text) - 3, "..."), 0);
		/* Behind the greatest packet comes the rest of the same command. */
		classify(&s, s.n, lengths[i] + 100ull);
		assert_int_equal(batch.cut, lengths[i] != 0xffffff);
	}
}

static void test_odd_packets(void **state)
{
	struct stream s = {.n = 0};

	(void)state;
	put_header(&s, 0, 0);
	assert_int_equal(classify(&s, s.n, s.n), QUERY_STALE);
	put_header(&s, 0, 3);
	put_command(&s, COM_PING, "", 0);
	put_header(&s, 0, 0);
	expect(&s, QUERY_COMMANDS, "PING", "PING", "PING");
	/* Other numbers go on with the command before: the contents of a file, say. */
	put_header(&s, 9, 1);
	put(&s, "\x03SELECT 1", 9);
	put_header(&s, 0, 2);
	expect(&s, QUERY_COMMANDS, "PING", "PING", "PING");
	/* In front there is the handshake response. */
	s.n = 0;
	put_header(&s, 9, 1);
	put(&s, "\x03SELECT 1", 9);
	expect(&s, QUERY_COMMANDS, "CONNECT", "CONNECT", "CONNECT");
	put_command(&s, COM_PING, "", 0);
	assert_int_equal(classify(&s, s.n, s.n), QUERY_COMMANDS);
	expect_class(0, "CONNECT", "CONNECT", "CONNECT");
	expect_class(1, "PING", "PING", "PING");
}

static void test_many_classes(void **state)
{
	struct stream s = {.n = 0};
	char sql[64];

	(void)state;
	for (uint32_t i = 0; i < 50; i++) {
		sprintf(sql, "SELECT 1 FROM t%c%c", 'a' + i / 10, 'a' + i % 10);
		put_sql(&s, COM_QUERY, sql);
		assert_int_equal(classify(&s, s.n, s.n), QUERY_COMMANDS);
		assert_int_equal(batch.n_commands, i + 1);
		assert_int_equal(batch.n_classes, i < QUERY_BATCH_CLASSES ? i + 1 : QUERY_BATCH_CLASSES);
	}
	expect_class(30, "SELECT", "SELECT tda", "SELECT ? FROM `tda`");
	expect_class(31, "other", "other", "other");
	assert_int_equal(batch.classes[31].count, 19);
	put_statement(&s, COM_STMT_EXECUTE, 1);
	assert_int_equal(classify(&s, s.n, s.n), QUERY_UNKNOWN_STATEMENT);
	assert_int_equal(batch.classes[31].count, 20);
}

/* Behind PREPARE there is less room than SQL's own summary has: it ends at a word. */
static void test_long_summary(void **state)
{
	char sql[2048] = "SELECT 1 FROM t";
	struct stream s = {.n = 0};
	size_t n;

	(void)state;
	for (int i = 0; i < 60; i++)
		sprintf(sql + strlen(sql), ", table_%c%c", 'a' + i / 10, 'a' + i % 10);
	put_sql(&s, COM_STMT_PREPARE, sql);
	classify(&s, s.n, s.n);
	n = strlen(batch.classes[0].summary);
	assert_true(n < QUERY_SUMMARY_BYTES && n > QUERY_SUMMARY_BYTES - 20);
	assert_int_equal(memcmp(batch.classes[0].summary, "PREPARE SELECT t table_aa", 25), 0);
	assert_int_equal(memcmp(batch.classes[0].summary + n - 9, " table_", 7), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),	 cmocka_unit_test(test_queries),
		cmocka_unit_test(test_statements_in_sql), cmocka_unit_test(test_several_statements),
		cmocka_unit_test(test_executes),	 cmocka_unit_test(test_statement_id),
		cmocka_unit_test(test_direct),		 cmocka_unit_test(test_prepared),
		cmocka_unit_test(test_not_prepared),	 cmocka_unit_test(test_several_packets),
		cmocka_unit_test(test_unanswered),	 cmocka_unit_test(test_cut_streams),
		cmocka_unit_test(test_declared),	 cmocka_unit_test(test_odd_packets),
		cmocka_unit_test(test_many_classes),	 cmocka_unit_test(test_long_summary),
	};

	return cmocka_run_group_tests_name("mysql", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* SQL: the whole corpus against what a server said of it; then one rule after the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "guard.h"
#include "protocols/sql.h"
#include "sql_corpus.h"

static struct query_class class;

static size_t classify_bytes(const char *sql, size_t len, bool whole)
{
	struct slice copy = guard_copy(sql, len);
	size_t used;

	memset(&class, 'x', sizeof(class));
	used = sql_classify(copy, whole, &class);
	guard_free(copy);
	return used;
}

static size_t classify(const char *sql)
{
	return classify_bytes(sql, strlen(sql), true);
}

static void check_text(const char *sql, const char *text)
{
	assert_int_equal(classify(sql), strlen(sql));
	if (strcmp(class.text, text))
		fail_msg("%s\n  is       %s\n  should be %s", sql, class.text, text);
}

static void check_cut(const char *sql, const char *text)
{
	classify_bytes(sql, strlen(sql), false);
	if (strcmp(class.text, text))
		fail_msg("%s\n  is       %s\n  should be %s", sql, class.text, text);
}

static void check_summary(const char *sql, const char *operation, const char *summary,
			  const char *collection)
{
	assert_int_equal(classify(sql), strlen(sql));
	if (strcmp(class.operation, operation) || strcmp(class.summary, summary) ||
	    strcmp(class.collection, collection))
		fail_msg("%s\n  is %s | %s | %s", sql, class.operation, class.summary,
			 class.collection);
}

/* --- the corpus --- */

static void check_file(const char *name, size_t *n)
{
	char *sql = sql_corpus_read(name, "sql"), *digests = sql_corpus_read(name, "digest"),
	     *summaries = sql_corpus_read(name, "summary");
	char *sqls = sql, *texts = digests, *sums = summaries, *line, ours[1024];

	while ((line = sql_corpus_line(&sqls))) {
		char *digest = sql_corpus_line(&texts), *summary = sql_corpus_line(&sums);
		char *meant;

		assert_non_null(digest);
		assert_non_null(summary);
		meant = strchr(digest, '\t');
		if (meant)
			digest = meant + 1;
		/* The server has no limit here. */
		assert_true(classify(line));
		if (strlen(digest) < QUERY_TEXT_BYTES && strcmp(class.text, digest))
			fail_msg("%s\n  is       %s\n  should be %s", line, class.text, digest);
		snprintf(ours, sizeof(ours), "%s\t%s\t%s", class.operation, class.summary,
			 class.collection);
		assert_string_equal(ours, summary);
		++*n;
	}
	free(sql);
	free(digests);
	free(summaries);
}

static void test_corpus(void **state)
{
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < SQL_CORPUS_FILES; i++)
		check_file(sql_corpus_files[i], &n);
	assert_true(n >= 300);
}

/* --- text --- */

static void test_lexer(void **state)
{
	(void)state;
	check_text("select a -- secret\n, b # secret\n, c /* secret */ from t",
		   "SELECT `a` , `b` , `c` FROM `t`");
	check_text("select a --\tsecret\nfrom t", "SELECT `a` FROM `t`");
	check_text("select 1 --", "SELECT ?");
	check_text("select a->'$.x', a->>'$.y' from t", "SELECT `a` -> ? , `a` ->> ? FROM `t`");
	check_text("select\v\f\r\n1", "SELECT ?");
	check_text("select 'multi\nline', \"a\nb\"", "SELECT ?, ...");
	check_text("select /*! 1 */, /*!50000 2 */ /*!99999 , 'secret' */", "SELECT ?, ...");
	check_text("select a_word_that_is_longer_than_any_keyword_of_all, "
		   "master_ssl_verify_server_cert from t",
		   "SELECT `a_word_that_is_longer_than_any_keyword_of_all` , "
		   "MASTER_SSL_VERIFY_SERVER_CERT FROM `t`");
	check_text(
		"select t.a_word_of_more_than_16_bytes, t.sixteen_bytes_it, t.sixteen_bytes_it2,\n"
		"`t`.`sixteen_bytes_it`, `fifteen_bytes__`, `a``b`, t.`b`, fifteen_bytes__ from t",
		"SELECT `t` . `a_word_of_more_than_16_bytes` , `t` . `sixteen_bytes_it` , "
		"`t` . `sixteen_bytes_it2` , `t` . `sixteen_bytes_it` , `fifteen_bytes__` , "
		"`a``b` , `t` . `b` , `fifteen_bytes__` FROM `t`");
	check_text("select \xff\xfe, `a\x01\x7f"
		   "b` from t",
		   "SELECT `\xef\xbf\xbd\xef\xbf\xbd` , `a\xef\xbf\xbd\xef\xbf\xbd"
		   "b` FROM `t`");
	check_text("select 1;", "SELECT ?");
	check_text("select * from t where a = ? and b = -? and c in (?, ?, ?) limit ?",
		   "SELECT * FROM `t` WHERE `a` = ? AND `b` = - ? AND `c` IN (...) LIMIT ?");
}

static void test_malformed(void **state)
{
	(void)state;
	check_text("select 'secret", "SELECT ...");
	check_text("select a, \"secret", "SELECT `a` , ...");
	check_text("select `secret", "SELECT ...");
	check_text("select 1 /* secret", "SELECT ? ...");
	check_text("select a \\ secret", "SELECT `a` ...");
	check_text("select \x01 secret", "SELECT ...");
	check_text("secret 'x'", "...");
	assert_string_equal(class.operation, "UNKNOWN");
	assert_string_equal(class.summary, "UNKNOWN");
	check_text("'secret'", "...");
	assert_int_equal(classify_bytes("select a\0secret", 15, true), 15);
	assert_string_equal(class.text, "SELECT `a` ...");
	check_text("create user a identified by secret", "CREATE SYSTEM_USER `a` IDENTIFIED BY ?");
	check_text("set password = secret", "SET PASSWORD = ?");
	check_text("alter user a identified by password secret",
		   "ALTER SYSTEM_USER `a` IDENTIFIED BY PASSWORD ?");
}

static void test_cut(void **state)
{
	(void)state;
	check_cut("select a, secr", "SELECT `a` , ...");
	check_cut("select a, 47", "SELECT `a` , ...");
	check_cut("select a, 'sec'", "SELECT `a` , ...");
	check_cut("select a, 'sec", "SELECT `a` , ...");
	check_cut("select a, 'sec\\", "SELECT `a` , ...");
	check_cut("select a, 'sec\\'", "SELECT `a` , ...");
	check_cut("select a from t where b ", "SELECT `a` FROM `t` WHERE `b` ...");
	check_cut("select a /* sec", "SELECT `a` ...");
	check_cut("select a -- sec", "SELECT `a` ...");
	check_cut("select a -", "SELECT `a` ...");
	check_cut("insert into t values (1, 'a'), (2, 'b'), (3",
		  "INSERT INTO `t` VALUES (...) /* , ... */ ...");
	check_cut("insert into t values (1, 'a'), (2, 'b'",
		  "INSERT INTO `t` VALUES (...) /* , ... */ ...");
	check_cut("insert into t values (1, 'a'), ",
		  "INSERT INTO `t` VALUES (...) /* , ... */ ...");
	check_cut("sel", "...");
	assert_string_equal(class.operation, "UNKNOWN");
	check_cut("create tab", "CREATE ...");
	assert_string_equal(class.operation, "CREATE");
	check_cut("select 1; ", "SELECT ?");
	check_cut("select a from db.t", "SELECT `a` FROM `db` . ...");
	assert_string_equal(class.summary, "SELECT");
}

/* Sessions with and without NO_BACKSLASH_ESCAPES send the same bytes for different things. */
static void test_two_readings(void **state)
{
	(void)state;
	/* One reading makes no sense: all is said. */
	check_text("insert into t values ('it\\'s', 'fine', x)",
		   "INSERT INTO `t` VALUES ( ?, ... , `x` )");
	check_text("insert into t values (1, 'rock \\'n\\' roll', x)",
		   "INSERT INTO `t` VALUES ( ?, ... , `x` )");
	check_text("select 'say \\'yes\\', then', x", "SELECT ? , `x`");
	check_text("select 'the dogs\\' home', x", "SELECT ? , `x`");
	check_text("select \"say \\\"hi\\\"\", x", "SELECT ? , `x`");
	check_text("select 'ends with \\'', x", "SELECT ? , `x`");
	check_text("select 'C:\\\\', x", "SELECT ? , `x`");
	check_cut("insert into t values ('it\\'s', 'fine', x, 'abc",
		  "INSERT INTO `t` VALUES ( ?, ... , `x` , ...");
	/* Both do: nothing from there on. */
	check_text("insert into t values ('C:\\', 'secret')", "INSERT INTO `t` VALUES ( ...");
	check_text("insert into t values ('C:\\', 'secret', 'D:\\')",
		   "INSERT INTO `t` VALUES ( ...");
	check_text("update t set a = 'C:\\' where b = 'secret'", "UPDATE `t` SET `a` = ...");
	check_text("select * from t where a='C:\\'and b='secret'",
		   "SELECT * FROM `t` WHERE `a` = ...");
	check_text("select * from t where a like 'C:\\'escape'!' and b = 'secret'",
		   "SELECT * FROM `t` WHERE `a` LIKE ...");
	check_text("select t.\"a\" from t where t.\"b\" = 'C:\\' and t.\"c\" = 'secret'",
		   "SELECT `t` . ? FROM `t` WHERE `t` . ? = ...");
	check_text("select \"C:\\\", \"secret\"", "SELECT ...");
	/* A ';' may be in a literal then. */
	assert_int_equal(classify("select 'C:\\', ' ; select secret from '"), 38);
}

static void test_length(void **state)
{
	static char sql[8192];
	size_t n;

	(void)state;
	for (size_t columns = 1; columns < 400; columns++) {
		n = (size_t)sprintf(sql, "select");
		for (size_t i = 0; i < columns; i++)
			n += (size_t)sprintf(sql + n, " c%zu,", i);
		sprintf(sql + n, " x from t");
		classify(sql);
		n = strlen(class.text);
		assert_true(n < QUERY_TEXT_BYTES);
		assert_string_equal(class.summary, "SELECT t");
		if (strstr(class.text, "FROM"))
			assert_true(columns < 150);
		else
			assert_string_equal(class.text + n - 4, " ...");
	}
}

/* --- where statements end --- */

static void test_statements(void **state)
{
	static const char several[] = " ;; select 1 ; update t set a = ';' ; -- end\n";
	size_t at = 0, used, n = 0;

	(void)state;
	while ((used = classify_bytes(several + at, strlen(several) - at, true))) {
		assert_string_equal(class.operation, n++ ? "UPDATE" : "SELECT");
		at += used;
	}
	assert_int_equal(n, 2);
	assert_int_equal(classify(""), 0);
	assert_int_equal(sql_classify((struct slice){NULL, 0}, true, &class), 0);
	assert_int_equal(classify(" /* nothing */ ; -- at all"), 0);
	assert_int_equal(classify("begin; select 1"), strlen("begin;"));
	assert_int_equal(classify("create table t (a int); select 1"), 23);
	check_text("create procedure p() begin if a then select 1; end if; select if(b, 2, 3); end",
		   "CREATE PROCEDURE `p` ( ) BEGIN IF `a` THEN SELECT ? ; END IF ; "
		   "SELECT IF ( `b` , ?, ... ) ; END");
	assert_int_equal(classify("create procedure p() select if(a, 1, 2); select 2"), 40);
	assert_int_equal(classify("create procedure if not exists p() select 1; select 2"), 44);
	assert_int_equal(classify("create trigger r after insert on t for each row begin "
				  "select case a when 1 then 2 end; end; select 2"),
			 54 + 37);
	check_text("begin not atomic while 1 do select 1; end while; end",
		   "BEGIN NOT ATOMIC WHILE ? DO SELECT ? ; END WHILE ; END");
}

static void test_summaries(void **state)
{
	static char deep[16384];
	size_t n = 0;

	(void)state;
	check_summary("SELECT * FROM songs, artists WHERE songs.artist_id = artists.id", "SELECT",
		      "SELECT songs artists", "");
	check_summary("SELECT d FROM (SELECT * FROM orders o JOIN customers c ON o.x = c.x) y",
		      "SELECT", "SELECT SELECT orders customers", "");
	check_summary("WITH c AS (SELECT a FROM t) DELETE FROM u WHERE a IN (SELECT a FROM C)",
		      "DELETE", "DELETE SELECT t u SELECT", "");
	check_summary("with c as (select 1), d (x) as (select 2 from t) update u join d set a = 1",
		      "UPDATE", "UPDATE SELECT SELECT t u", "");
	check_summary("(((select a from t)))", "SELECT", "SELECT t", "t");
	check_summary("select * from `a``b`.`c d` x", "SELECT", "SELECT a`b.c d", "a`b.c d");
	check_summary("select * from t, lateral (select 1 from u) x, v", "SELECT",
		      "SELECT t SELECT u v", "");
	check_summary("select * from t, json_table(t.doc, '$' columns (a int path '$')) j",
		      "SELECT", "SELECT t", "t");
	check_summary("select extract(year from a), trim(leading 'x' from b) from t", "SELECT",
		      "SELECT t", "t");
	check_summary("create table a (x int, check (x like y), key (z))", "CREATE TABLE",
		      "CREATE TABLE a", "a");
	check_summary("explain format=json select 1 from t", "EXPLAIN", "EXPLAIN SELECT t", "t");
	check_summary("explain for connection 5", "EXPLAIN", "EXPLAIN", "");
	check_summary("analyze local table t, u", "ANALYZE TABLE", "ANALYZE TABLE t u", "");
	check_summary("drop user bob", "DROP USER", "DROP USER", "");
	check_summary("show create user bob", "SHOW", "SHOW CREATE USER", "");
	check_summary("show grants for bob", "SHOW", "SHOW GRANTS", "");
	check_summary("prepare s from 'select 1'", "PREPARE", "PREPARE", "");
	check_summary("select 1 from t where a in (select b from t)", "SELECT", "SELECT t SELECT t",
		      "t");
	check_summary("select a from (t cross join u) left join (v, w) on 1, x", "SELECT",
		      "SELECT t u v w x", "");
	/* Cut at a word; parentheses deeper than it looks at. */
	n = (size_t)sprintf(deep, "select * from t0");
	for (int i = 1; i < 100; i++)
		n += (size_t)sprintf(deep + n, ", table%d", i);
	classify(deep);
	assert_true(strlen(class.summary) > 240);
	assert_string_equal(class.summary + strlen(class.summary) - 8, " table31");
	n = (size_t)sprintf(deep, "select * from a where 1");
	for (int i = 0; i < 200; i++)
		n += (size_t)sprintf(deep + n, " in (select 1 from b where 1");
	for (int i = 0; i < 200; i++)
		deep[n++] = ')';
	sprintf(deep + n, " union select 1 from a");
	classify(deep);
	assert_string_equal(class.operation, "SELECT");
}

static void check_inner(const char *sql, const char *inner, bool all)
{
	struct slice copy = guard_copy(sql, strlen(sql));
	uint8_t out[32];
	bool whole;
	size_t n = sql_inner_statement(copy, out, sizeof(out), &whole);

	guard_free(copy);
	assert_int_equal(n, strlen(inner));
	assert_memory_equal(out, inner, n);
	assert_int_equal(whole, all);
}

static void test_inner(void **state)
{
	(void)state;
	check_inner("prepare s from 'select 1'", "select 1", true);
	check_inner("PREPARE `s` FROM \"select 'a'\";", "select 'a'", true);
	check_inner("execute immediate 'it''s \\'so\\'\\n\\%\\\\'", "it's 'so'\n\\%\\", true);
	check_inner("/* x */ execute immediate _utf8mb4'select' ' 1' using 5", "select 1", true);
	check_inner("prepare s from 'select", "select", false);
	check_inner("prepare s from 'select\\", "select", false);
	check_inner("prepare s from 'a statement of more than 32 bytes, by far'",
		    "a statement of more than 32 byte", false);
	check_inner("prepare s from @x", "", false);
	check_inner("execute immediate concat('a', 'b')", "", false);
	check_inner("execute s", "", false);
	check_inner("select 'prepare'", "", false);
	check_inner("prepare", "", false);
	check_inner("", "", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_corpus),       cmocka_unit_test(test_lexer),
		cmocka_unit_test(test_malformed),    cmocka_unit_test(test_cut),
		cmocka_unit_test(test_two_readings), cmocka_unit_test(test_length),
		cmocka_unit_test(test_statements),   cmocka_unit_test(test_summaries),
		cmocka_unit_test(test_inner),
	};

	return cmocka_run_group_tests_name("sql", tests, NULL, NULL);
}

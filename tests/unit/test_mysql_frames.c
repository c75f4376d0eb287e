/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mysql_frame(): names as MariaDB 10.11 and MySQL 8.0 have them in their symbol tables; and names that merely begin alike.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "guard.h"
#include "protocols/mysql.h"

static struct query_frame look(const char *function)
{
	struct slice name = guard_copy(function, strlen(function));
	struct query_frame frame;

	mysql_frame(name, &frame);
	guard_free(name);
	return frame;
}

static void expect_kind(const char *function, enum frame_kind kind)
{
	struct query_frame frame = look(function);

	if (frame.kind != kind)
		fail_msg("%s: %d, not %d", function, frame.kind, kind);
	assert_int_equal(kind == FRAME_COMMAND, frame.operations != NULL);
}

static void expect_ops(const char *function, const char *joined)
{
	struct query_frame frame = look(function);
	char have[256] = "";

	expect_kind(function, FRAME_COMMAND);
	for (const char *const *op = frame.operations; *op; op++) {
		strcat(have, have[0] ? "," : "");
		strcat(have, *op);
	}
	assert_string_equal(have, joined);
}

static const struct {
	const char *function, *operations; /* NULL: it reads */
} mariadb[] = {
	{"_Z10do_commandP3THDb", NULL},
	{"_Z16dispatch_command19enum_server_commandP3THDPcjb", NULL},
	{"_Z16login_connectionP3THD", NULL},
	{"_Z22thd_prepare_connectionP3THD", NULL},
	{"_Z14end_connectionP3THD", NULL},
	{"_Z16close_connectionP3THDj", NULL},
	{"_Z12mysql_insertP3THDP10TABLE_LISTR4ListI4ItemERS3_IS5_ES6_S6_15enum_duplicatesbP13select_result", "INSERT,REPLACE"},
	{"_Z12mysql_updateP3THDP10TABLE_LISTR4ListI4ItemES6_PS4_jP8st_orderybPySA_", "UPDATE"},
	{"_Z18mysql_multi_updateP3THDP10TABLE_LISTP4ListI4ItemES6_PS4_y15enum_duplicatesbP18st_select_lex_unitP13st_select_lexPP12"
	 "multi_update",
	 "UPDATE"},
	{"_Z12mysql_deleteP3THDP10TABLE_LISTP4ItemP10SQL_I_ListI8st_orderEyyP13select_result", "DELETE"},
	{"_Z10mysql_loadP3THDPK12sql_exchangeP10TABLE_LISTR4ListI4ItemES9_S9_15enum_duplicatesbb", "LOAD DATA,LOAD XML"},
	{"_ZN12Sql_cmd_call7executeEP3THD", "CALL"},
	{"_ZN7sp_head17execute_procedureEP3THDP4ListI4ItemE", "CALL"},
	{"_ZN19Sql_cmd_alter_table7executeEP3THD", "ALTER TABLE"},
}, mysql8[] = {
	{"_Z10do_commandP3THD", NULL},
	{"_Z16dispatch_commandP3THDPK8COM_DATA19enum_server_command", NULL},
	{"_Z22thd_prepare_connectionP3THD", NULL},
	{"_Z16close_connectionP3THDjbb", NULL},
	{"_Z14end_connectionP3THD", NULL},
	{"_ZN21Sql_cmd_insert_values13execute_innerEP3THD", "INSERT,REPLACE"},
	{"_ZN21Sql_cmd_insert_select13execute_innerEP3THD", "INSERT,REPLACE"},
	{"_ZN14Sql_cmd_update13execute_innerEP3THD", "UPDATE"},
	{"_ZN14Sql_cmd_delete13execute_innerEP3THD", "DELETE"},
	{"_ZN18Sql_cmd_load_table7executeEP3THD", "LOAD DATA,LOAD XML"},
	{"_ZN18Sql_cmd_load_table13execute_innerEP3THD15enum_duplicates", "LOAD DATA,LOAD XML"},
	{"_ZN20Sql_cmd_create_table7executeEP3THD", "CREATE TABLE"},
	{"_ZN19Sql_cmd_alter_table7executeEP3THD", "ALTER TABLE"},
	{"_ZN7sp_head17execute_procedureEP3THDP10mem_root_dequeIP4ItemE", "CALL"},
};

static void expect_function(const char *function, const char *operations)
{
	char name[256];

	/* The rest of a function, split off by the compiler, is the same. */
	for (int i = 0; i < 3; i++) {
		static const char *const parts[] = {"", ".cold", ".part.0"};

		snprintf(name, sizeof(name), "%s%s", function, parts[i]);
		if (operations)
			expect_ops(name, operations);
		else
			expect_kind(name, FRAME_READ);
	}
}

static void test_functions(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mariadb) / sizeof(mariadb[0]); i++)
		expect_function(mariadb[i].function, mariadb[i].operations);
	for (size_t i = 0; i < sizeof(mysql8) / sizeof(mysql8[0]); i++)
		expect_function(mysql8[i].function, mysql8[i].operations);
}

static void test_others(void **state)
{
	static const char *const others[] = {
		"", "_", "_Z", "_ZN", "_Z10do_comman", "do_command", "mysql_insert", "10do_commandP3THD",
		/* longer names */
		"_Z14do_command_newP3THD", "_Z13mysql_insert2P3THD", "_Z14mysql_insertedP3THD",
		"_Z20mysql_install_pluginP3THDPK25st_mysql_const_lex_stringS3_",
		"_Z26mysql_multi_update_prepareP3THD", "_Z26mysql_multi_delete_prepareP3THD",
		"_Z27mysql_insert_select_prepareP3THDP13select_result",
		"_ZN12Sql_cmd_call8executeXEP3THD", "_ZN12Sql_cmd_call13execute_innerEP3THD",
		"_ZN13Sql_cmd_call27executeEP3THD", "_ZN7sp_head18execute_proceduresEP3THD",
		"_ZN25Sql_cmd_create_table_like7executeEP3THD", "_ZN23Sql_cmd_create_sequence7executeEP3THD",
		"_ZN26Sql_cmd_common_alter_table7executeEP3THD", "_ZN22Sql_cmd_alter_sequence7executeEP3THD",
		/* members of what has the name, not it */
		"_ZN12Sql_cmd_call7execute3fooEP3THD", "_ZN12Sql_cmd_call7executeIiEEvP3THD", "_ZN12Sql_cmd_call7execute",
		"_ZN14Sql_cmd_update13execute_inner4lessEi",
		/* other members, and other scopes */
		"_ZN12Sql_cmd_callD0Ev", "_ZNK12Sql_cmd_call16sql_command_codeEv", "_ZN7sp_head7executeEP3THDb",
		"_ZN5other12mysql_insertEP3THD", "_ZZ12mysql_insertP3THDE1x", "_ZTV12Sql_cmd_call", "_ZGVZ10do_commandP3THDE1x",
		"_Z12mysql_selectP3THD", "_ZL12mysql_insertP3THD", "_R10do_commandP3THD",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		expect_kind(others[i], FRAME_PLAIN);
}

/* The name of each operation is what the classification of such a statement says. */
static void test_operations(void **state)
{
	static const struct {
		const char *function, *sql;
	} pairs[] = {
		{"_Z12mysql_insertP3THD", "INSERT INTO t VALUES (1)"},
		{"_Z12mysql_insertP3THD", "REPLACE INTO t VALUES (1)"},
		{"_Z12mysql_updateP3THD", "UPDATE t SET a = 1"},
		{"_Z18mysql_multi_updateP3THD", "UPDATE t, u SET t.a = u.a"},
		{"_Z12mysql_deleteP3THD", "DELETE FROM t"},
		{"_Z10mysql_loadP3THD", "LOAD DATA LOCAL INFILE 'x' INTO TABLE t"},
		{"_Z10mysql_loadP3THD", "LOAD XML LOCAL INFILE 'x' INTO TABLE t"},
		{"_ZN12Sql_cmd_call7executeEP3THD", "CALL p(1)"},
		{"_ZN19Sql_cmd_alter_table7executeEP3THD", "ALTER TABLE t ADD a INT"},
		{"_ZN20Sql_cmd_create_table7executeEP3THD", "CREATE TABLE t (a INT)"},
		{"_ZN20Sql_cmd_create_table7executeEP3THD", "CREATE TEMPORARY TABLE IF NOT EXISTS t (a INT)"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		static struct query_batch batch;
		uint8_t stream[128] = {(uint8_t)(strlen(pairs[i].sql) + 1), 0, 0, 0, 3};
		struct query_frame frame = look(pairs[i].function);
		bool named = false;

		memcpy(stream + 5, pairs[i].sql, strlen(pairs[i].sql));
		mysql_classify(&(struct mysql_batch){{stream, 5 + strlen(pairs[i].sql)}, 5 + strlen(pairs[i].sql)}, &batch);
		assert_int_equal(batch.n_classes, 1);
		for (const char *const *op = frame.operations; *op; op++)
			named = named || !strcmp(*op, batch.classes[0].operation);
		if (!named)
			fail_msg("%s: %s", pairs[i].sql, batch.classes[0].operation);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_functions),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_operations),
	};

	return cmocka_run_group_tests_name("mysql_frames", tests, NULL, NULL);
}

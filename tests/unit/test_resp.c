/* SPDX-License-Identifier: Apache-2.0 */
/* The RESP reader: what is a command, what is partial, cut or bad, and where its arguments are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <stdint.h>
#include <cmocka.h>
#include "guard.h"
#include "protocols/resp.h"

static enum resp_status read_one(const void *bytes, size_t len, uint64_t received,
				 struct resp_command *command, char *args)
{
	struct slice tail = guard_copy(bytes, len);
	struct redis_message message = {
		.tail = tail, .received = received, .last_received = received};
	struct resp_reader reader;
	enum resp_status status;
	size_t n = 0;
	bool whole;

	resp_init(&reader, &message, 0);
	status = resp_next(&reader, command);
	for (uint32_t i = 0; args && i < command->n_kept; i++) {
		n += resp_arg_copy(&reader, &command->args[i], (uint8_t *)args + n, 100, &whole);
		args[n++] = whole ? '|' : '~';
	}
	if (args)
		args[n] = '\0';
	guard_free(tail);
	return status;
}

static void expect(const char *text, enum resp_status status, uint32_t n_args, const char *args)
{
	struct resp_command command;
	char have[1024];

	if (read_one(text, strlen(text), strlen(text), &command, have) != status)
		fail_msg("%s: wrong status", text);
	if (status == RESP_BAD)
		return;
	assert_int_equal(command.n_args, n_args);
	assert_string_equal(have, args);
	if (status == RESP_COMPLETE)
		assert_int_equal(command.end, strlen(text));
}

static void test_arrays(void **state)
{
	(void)state;
	expect("*1\r\n$4\r\nPING\r\n", RESP_COMPLETE, 1, "PING|");
	expect("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n", RESP_COMPLETE, 3, "SET|k||");
	expect("*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n", RESP_COMPLETE, 2, "GET|a\r\nb|");
	expect("*0\r\n", RESP_COMPLETE, 0, "");
	expect("*-1\r\n", RESP_COMPLETE, 0, "");
	expect("*2\r\n$3\r\nGET\r\n", RESP_PARTIAL, 2, "GET|");
	expect("*2\r\n$3\r\nGE", RESP_PARTIAL, 2, "GE~");
	expect("*", RESP_PARTIAL, 0, "");
	expect("", RESP_PARTIAL, 0, "");
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"*+1\r\n",
		"*01\r\n",
		"*-0\r\n",
		"*--1\r\n",
		"*\r\n",
		"*1\n$4\n",
		"*1\r\n*1\r\n",
		"*2147483648\r\n",
		"*99999999999999999999\r\n",
		"*1 \r\n",
		"*1\r\n$-1\r\n",
		"*1\r\n$536870913\r\n",
		"*1\r\n$4\r\nPINGxx",
		"*1\r\n:4\r\n",
		"*1\r\n$+4\r\n",
		"*1\r\n$4\r\nPING\rx",
		"GET \"a\n",
		"GET 'a\n",
		"GET \"a\"b\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect(bad[i], RESP_BAD, 0, "");
}

static void test_limits(void **state)
{
	static char line[RESP_INLINE_MAX + 16];
	struct resp_command command;
	char have[8];

	(void)state;
	expect("*2147483647\r\n", RESP_PARTIAL, INT_MAX, "");
	expect("*1\r\n$536870912\r\n", RESP_PARTIAL, 1, "~");
	memset(line, 'a', sizeof(line));
	assert_int_equal(read_one(line, sizeof(line), sizeof(line), &command, NULL), RESP_BAD);
	assert_int_equal(read_one(line, RESP_INLINE_MAX, RESP_INLINE_MAX, &command, have),
			 RESP_PARTIAL);
	line[RESP_INLINE_MAX] = '\n';
	assert_int_equal(read_one(line, RESP_INLINE_MAX + 1, RESP_INLINE_MAX + 1, &command, NULL),
			 RESP_COMPLETE);
}

static void test_inline(void **state)
{
	(void)state;
	expect("PING\n", RESP_COMPLETE, 1, "PING|");
	expect("  GET   key \r\n", RESP_COMPLETE, 2, "GET|key|");
	expect("SET \"a \\x41\\n\\\"\" 'b\\'\\n'\r\n", RESP_COMPLETE, 3, "SET|a A\n\"|b'\\n|");
	expect("SET \"\" ''\n", RESP_COMPLETE, 3, "SET|||");
	expect("\r\n", RESP_COMPLETE, 0, "");
	expect("GET ke", RESP_PARTIAL, 2, "GET|");
	expect("PIN", RESP_PARTIAL, 1, "");
	expect("SET \"op", RESP_PARTIAL, 2, "SET|");
}

/* Captured less than received: CUT, unless a declared length leads over the gap. */
static void test_cut(void **state)
{
	static const char set[] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\nxxxx";
	struct resp_command command;
	char have[2048];
	size_t body = strlen(set) - 4;

	(void)state;
	assert_int_equal(read_one(set, strlen(set), body + 1002, &command, have), RESP_COMPLETE);
	assert_int_equal(command.end, body + 1002);
	assert_string_equal(have, "SET|k|xxxx~");
	assert_int_equal(read_one(set, strlen(set), body + 1001, &command, NULL), RESP_PARTIAL);
	assert_int_equal(read_one(set, 10, body + 1002, &command, have), RESP_CUT);
	assert_string_equal(have, "SE~");
	assert_int_equal(read_one(set, 15, body + 1002, &command, have), RESP_CUT);
	assert_string_equal(have, "SET|");
}

static void test_windows(void **state)
{
	static const char text[] = "*2\r\n$3\r\nGET\r\n$6\r\nuser:1\r\n";
	size_t len = strlen(text);

	(void)state;
	for (size_t cut = 0; cut <= len; cut++) {
		struct slice head = guard_copy(text, cut), tail = guard_copy(text + cut, len - cut);
		struct redis_message message = {head, tail, len, len - cut};
		struct resp_command command;
		struct resp_reader reader;
		char key[8] = "";
		bool whole;

		resp_init(&reader, &message, 0);
		assert_int_equal(resp_next(&reader, &command), RESP_COMPLETE);
		assert_int_equal(command.end, len);
		resp_arg_copy(&reader, &command.args[1], (uint8_t *)key, 6, &whole);
		assert_true(whole);
		assert_string_equal(key, "user:1");
		guard_free(head);
		guard_free(tail);
	}
}

/* A trimmed buffer: NUL over byte 0, but only where bytes were read later. */
static void test_lost_first(void **state)
{
	static const char text[] = "\0002\r\n$3\r\nGET\r\n$1\r\nk\r\n";
	struct slice head = guard_copy(text, sizeof(text) - 1);
	struct redis_message message = {
		.head = head, .received = head.len, .last_received = head.len};
	struct resp_command command;
	struct resp_reader reader;
	char have[64];

	(void)state;
	assert_int_equal(read_one(text, head.len, head.len, &command, have), RESP_COMPLETE);
	assert_true(command.lost_first);
	assert_string_equal(have, "GET|k|");
	assert_int_equal(read_one("\0ING\r\n", 6, 6, &command, have), RESP_COMPLETE);
	assert_true(command.lost_first && command.is_inline);
	assert_string_equal(have, "ING|");
	resp_init(&reader, &message, 0);
	assert_int_equal(resp_next(&reader, &command), RESP_BAD);
	guard_free(head);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arrays),     cmocka_unit_test(test_bad),
		cmocka_unit_test(test_limits),     cmocka_unit_test(test_inline),
		cmocka_unit_test(test_cut),        cmocka_unit_test(test_windows),
		cmocka_unit_test(test_lost_first),
	};

	return cmocka_run_group_tests_name("resp", tests, NULL, NULL);
}

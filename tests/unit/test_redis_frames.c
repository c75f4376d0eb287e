/* SPDX-License-Identifier: Apache-2.0 */
/* Function names: the table is sorted, agrees with the command table, and suffixes do not matter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "guard.h"
#include "protocols/redis_internal.h"

static struct query_frame look(const char *function)
{
	struct slice name = guard_copy(function, strlen(function));
	struct query_frame frame;

	redis_frame(name, &frame);
	guard_free(name);
	return frame;
}

static void expect_ops(const char *function, const char *joined)
{
	struct query_frame frame = look(function);
	char have[1024] = "";

	assert_int_equal(frame.kind, FRAME_COMMAND);
	for (const char *const *op = frame.operations; *op; op++) {
		strcat(have, have[0] ? " " : "");
		strcat(have, *op);
	}
	assert_string_equal(have, joined);
}

static void test_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_redis_frames; i++) {
		const struct redis_frame_entry *entry = &redis_frame_table[i];
		struct query_frame frame = look(entry->function);

		if (i && strcmp(redis_frame_table[i - 1].function, entry->function) >= 0)
			fail_msg("%s is out of order", entry->function);
		assert_int_equal(frame.kind, entry->kind);
		assert_ptr_equal(frame.operations, entry->operations);
		assert_int_equal(entry->kind == FRAME_COMMAND, entry->operations != NULL);
		for (const char *const *op = entry->operations; op && *op; op++)
			if (!redis_command_find(*op, strlen(*op)))
				fail_msg("%s: no command %s", entry->function, *op);
	}
	for (size_t i = 0; i < n_redis_commands; i++) {
		const struct redis_command *command = &redis_commands[i];

		if (i && strcmp(command[-1].name, command->name) >= 0)
			fail_msg("%s is out of order", command->name);
		assert_true(command->len < QUERY_OPERATION_BYTES);
		assert_ptr_equal(redis_command_find(command->name, command->len), command);
	}
	assert_null(redis_command_find("", 0));
	assert_null(redis_command_find("GE", 2));
	assert_null(redis_command_find("GETS", 4));
}

/* Every command but those that only a Sentinel or a module has is reached from some function. */
static void test_every_command_has_a_function(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_redis_commands; i++) {
		const struct redis_command *command = &redis_commands[i];
		bool found = command->is_container || strchr(command->name, '|');

		for (size_t k = 0; k < n_redis_frames && !found; k++)
			for (const char *const *op = redis_frame_table[k].operations; op && *op;
			     op++)
				found = found || !strcmp(*op, command->name);
		if (!found && strcmp(command->name, "TRIMSLOTS"))
			fail_msg("no function for %s", command->name);
	}
}

static void test_commands(void **state)
{
	(void)state;
	expect_ops("getCommand", "GET");
	expect_ops("sortCommandGeneric", "SORT SORT_RO");
	expect_ops("setGenericCommand.constprop.0", "PSETEX SET SETEX SETNX");
	expect_ops("incrDecrCommand.part.1.cold", "DECR DECRBY INCR INCRBY");
	expect_ops("genericZrangebyscoreCommand",
		   "ZRANGE ZRANGEBYSCORE ZRANGESTORE ZREVRANGEBYSCORE");
	expect_ops("configGetCommand", "CONFIG|GET");
	expect_ops("hsetCommand", "HMSET HSET");
	expect_ops("execCommand", "EXEC");
	expect_ops("evalCommand", "EVAL EVAL_RO");
}

static void test_kinds(void **state)
{
	(void)state;
	assert_int_equal(look("readQueryFromClient").kind, FRAME_READ);
	assert_int_equal(look("processPendingCommandAndInputBuffer").kind, FRAME_DETACHED);
	assert_int_equal(look("processIOThreadsReadDone").kind, FRAME_DETACHED);
	assert_int_equal(look("writeToClient.isra.0").kind, FRAME_REPLY);
	assert_int_equal(look("serverCron").kind, FRAME_BACKGROUND);
	assert_int_equal(look("bioProcessBackgroundJobs").kind, FRAME_BACKGROUND);
	assert_int_equal(look("processInputBuffer").kind, FRAME_PLAIN);
	assert_int_equal(look("performEvictions").kind, FRAME_PLAIN);
	assert_int_equal(look("getCommandX").kind, FRAME_PLAIN);
	assert_int_equal(look("getComman").kind, FRAME_PLAIN);
	assert_int_equal(look("").kind, FRAME_PLAIN);
	assert_int_equal(look(".cold").kind, FRAME_PLAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_every_command_has_a_function),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests_name("redis_frames", tests, NULL, NULL);
}

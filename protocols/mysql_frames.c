/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The name of a function of mysqld or mariadbd on the stack -> what it says of the request that runs there.
 *
 *	do_command -> dispatch_command -> ... -> mysql_execute_command -> mysql_update -> ...
 *	read				 				  UPDATE
 *
 * The outermost COMMAND is the statement that the client sent: a procedure, a trigger or a function runs others inside.
 * Names are mangled (Itanium C++ ABI): _Z12mysql_updateP3THD... and, of members, _ZN7sp_head17execute_procedureE...
 */
#include <string.h>
#include "mysql.h"

#define OPERATIONS(...) ((const char *const[]){__VA_ARGS__, NULL})

/*
 * Without _Z. A name is followed by its parameters, so it is a prefix of what is looked up; as its length comes first, and
 * an E behind a member's, of no longer name.
 */
static const struct {
	const char *prefix;
	enum frame_kind kind;
	const char *const *operations;
} frames[] = {
	{"10do_command", FRAME_READ, NULL},
	{"16dispatch_command", FRAME_READ, NULL},
	{"16login_connection", FRAME_READ, NULL},
	{"22thd_prepare_connection", FRAME_READ, NULL},
	{"14end_connection", FRAME_READ, NULL},
	{"16close_connection", FRAME_READ, NULL},
	{"12mysql_insert", FRAME_COMMAND, OPERATIONS("INSERT", "REPLACE")},
	{"12mysql_update", FRAME_COMMAND, OPERATIONS("UPDATE")},
	{"18mysql_multi_update", FRAME_COMMAND, OPERATIONS("UPDATE")},
	{"12mysql_delete", FRAME_COMMAND, OPERATIONS("DELETE")},
	{"10mysql_load", FRAME_COMMAND, OPERATIONS("LOAD DATA", "LOAD XML")},
	{"N12Sql_cmd_call7executeE", FRAME_COMMAND, OPERATIONS("CALL")},
	{"N7sp_head17execute_procedureE", FRAME_COMMAND, OPERATIONS("CALL")},
	{"N21Sql_cmd_insert_values13execute_innerE", FRAME_COMMAND, OPERATIONS("INSERT", "REPLACE")},
	{"N21Sql_cmd_insert_select13execute_innerE", FRAME_COMMAND, OPERATIONS("INSERT", "REPLACE")},
	{"N14Sql_cmd_update13execute_innerE", FRAME_COMMAND, OPERATIONS("UPDATE")},
	{"N14Sql_cmd_delete13execute_innerE", FRAME_COMMAND, OPERATIONS("DELETE")},
	{"N18Sql_cmd_load_table", FRAME_COMMAND, OPERATIONS("LOAD DATA", "LOAD XML")},
	{"N19Sql_cmd_alter_table7executeE", FRAME_COMMAND, OPERATIONS("ALTER TABLE")},
	{"N20Sql_cmd_create_table7executeE", FRAME_COMMAND, OPERATIONS("CREATE TABLE")},
};

void mysql_frame(struct slice function, struct query_frame *out)
{
	*out = (struct query_frame){.kind = FRAME_PLAIN};
	if (function.len < 2 || memcmp(function.ptr, "_Z", 2))
		return;
	for (size_t i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
		size_t n = strlen(frames[i].prefix);

		if (function.len - 2 < n || memcmp(function.ptr + 2, frames[i].prefix, n))
			continue;
		out->kind = frames[i].kind;
		out->operations = frames[i].operations;
		return;
	}
}

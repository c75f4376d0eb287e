/* SPDX-License-Identifier: Apache-2.0 */
/* mongo_frame(): names as FerretDB 0.9 to 2.7 have them in their symbol tables; and names that merely begin alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "guard.h"
#include "protocols/mongo.h"

#define FERRETDB "github.com/FerretDB/FerretDB/"
#define HANDLER	 FERRETDB "internal/handler.(*Handler)."

static struct query_frame look(const char *function)
{
	struct slice name = guard_copy(function, strlen(function));
	struct query_frame frame;

	mongo_frame(name, &frame);
	guard_free(name);
	return frame;
}

static void expect(const char *function, enum frame_kind kind, const char *joined)
{
	struct query_frame frame = look(function);
	char have[256] = "";

	if (frame.kind != kind)
		fail_msg("%s: %d, not %d", function, frame.kind, kind);
	assert_int_equal(kind == FRAME_COMMAND, frame.operations != NULL);
	for (const char *const *op = frame.operations; op && *op; op++) {
		strcat(have, have[0] ? "," : "");
		strcat(have, *op);
	}
	assert_string_equal(have, joined);
}

static void test_functions(void **state)
{
	static const char *const finds[] = {
		HANDLER "MsgFind",
		HANDLER "MsgFind.func1",
		HANDLER "MsgFind.func1.2",
		HANDLER "MsgFind-fm",
		FERRETDB "v2/internal/handler.(*Handler).msgFind",
		FERRETDB "internal/handlers/sqlite.(*Handler).MsgFind",
		FERRETDB "internal/handlers/pg.(*Handler).MsgFind.func2",
		FERRETDB "internal/handlers/tigris.(*Handler).MsgFind",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(finds) / sizeof(finds[0]); i++)
		expect(finds[i], FRAME_COMMAND, "find");
	expect(HANDLER "MsgFindAndModify", FRAME_COMMAND, "findAndModify,findandmodify");
	expect(HANDLER "MsgFindAndModify.func3", FRAME_COMMAND, "findAndModify,findandmodify");
	expect(HANDLER "MsgIsMaster", FRAME_COMMAND, "isMaster,ismaster");
	expect(HANDLER "MsgDropDatabase", FRAME_COMMAND, "dropDatabase");
	expect(HANDLER "MsgDrop", FRAME_COMMAND, "drop");
	expect(HANDLER "MsgSASLStart", FRAME_COMMAND, "saslStart");
	expect(HANDLER "MsgWhatsMyURI", FRAME_COMMAND, "whatsmyuri");
	expect(HANDLER "MsgGetMore", FRAME_COMMAND, "getMore");
	expect(FERRETDB "internal/clientconn.(*conn).run", FRAME_READ, "");
	expect(FERRETDB "v2/internal/clientconn.(*conn).run", FRAME_READ, "");
}

static void test_others(void **state)
{
	static const char *const others[] = {
		"",
		"MsgFind",
		FERRETDB,
		FERRETDB "internal/handler",
		FERRETDB "internal/handlers/",
		FERRETDB "internal/handlers/pg",
		HANDLER,
		HANDLER "Msg",
		HANDLER "Find",
		HANDLER "MsgFinds",
		HANDLER "MsgFin",
		HANDLER "MsgNothing",
		HANDLER "CmdQuery",
		FERRETDB "internal/handler.(*Other).MsgFind",
		FERRETDB "internal/handler.MsgFind",
		FERRETDB "internal/handler/common.(*Handler).MsgFind",
		FERRETDB "v3/internal/handler.(*Handler).MsgFind",
		"github.com/other/FerretDB/internal/handler.(*Handler).MsgFind",
		FERRETDB "internal/clientconn.(*conn).runs",
		FERRETDB "internal/clientconn.(*conn).run.func1",
		FERRETDB "internal/clientconn.(*listener).run",
		"runtime.mallocgc",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		expect(others[i], FRAME_PLAIN, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_functions),
		cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests_name("mongo_frames", tests, NULL, NULL);
}

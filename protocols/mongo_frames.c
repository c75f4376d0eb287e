/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The name of a function of FerretDB on the stack -> what it says of the request that runs there.
 *
 *	github.com/FerretDB/FerretDB/internal/clientconn.(*conn).run		     reads, and runs what it read
 *	github.com/FerretDB/FerretDB/internal/handler.(*Handler).MsgFind	     1.16 to 1.24
 *	github.com/FerretDB/FerretDB/internal/handlers/sqlite.(*Handler).MsgFind.func1  older: pg, sqlite, hana, tigris
 *	github.com/FerretDB/FerretDB/v2/internal/handler.(*Handler).msgFind	     2.0 and later
 *
 * A closure (.func1) and the wrapper of a method value (-fm) of a handler's method are the method's. mongod's functions are not here: its releases
 * come without their names.
 */
#include <string.h>
#include "mongo.h"

#define OPERATIONS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define FERRETDB	"github.com/FerretDB/FerretDB/"

/* Methods of the handler, behind their "Msg" or "msg". */
static const struct {
	const char *method;
	const char *const *operations;
} methods[] = {
	{"Find", OPERATIONS("find")},
	{"Insert", OPERATIONS("insert")},
	{"Update", OPERATIONS("update")},
	{"Delete", OPERATIONS("delete")},
	{"Aggregate", OPERATIONS("aggregate")},
	{"GetMore", OPERATIONS("getMore")},
	{"FindAndModify", OPERATIONS("findAndModify", "findandmodify")},
	{"Count", OPERATIONS("count")},
	{"Distinct", OPERATIONS("distinct")},
	{"Explain", OPERATIONS("explain")},
	{"Hello", OPERATIONS("hello")},
	{"IsMaster", OPERATIONS("isMaster", "ismaster")},
	{"Ping", OPERATIONS("ping")},
	{"KillCursors", OPERATIONS("killCursors")},
	{"EndSessions", OPERATIONS("endSessions")},
	{"BuildInfo", OPERATIONS("buildInfo", "buildinfo")},
	{"CollMod", OPERATIONS("collMod")},
	{"CollStats", OPERATIONS("collStats")},
	{"Compact", OPERATIONS("compact")},
	{"ConnectionStatus", OPERATIONS("connectionStatus")},
	{"Create", OPERATIONS("create")},
	{"CreateIndexes", OPERATIONS("createIndexes")},
	{"CreateUser", OPERATIONS("createUser")},
	{"CurrentOp", OPERATIONS("currentOp")},
	{"DBStats", OPERATIONS("dbStats", "dbstats")},
	{"DataSize", OPERATIONS("dataSize")},
	{"DebugError", OPERATIONS("debugError")},
	{"Drop", OPERATIONS("drop")},
	{"DropAllUsersFromDatabase", OPERATIONS("dropAllUsersFromDatabase")},
	{"DropDatabase", OPERATIONS("dropDatabase")},
	{"DropIndexes", OPERATIONS("dropIndexes")},
	{"DropUser", OPERATIONS("dropUser")},
	{"FerretDebugError", OPERATIONS("ferretDebugError")},
	{"GetCmdLineOpts", OPERATIONS("getCmdLineOpts")},
	{"GetFreeMonitoringStatus", OPERATIONS("getFreeMonitoringStatus")},
	{"GetLog", OPERATIONS("getLog")},
	{"GetParameter", OPERATIONS("getParameter")},
	{"HostInfo", OPERATIONS("hostInfo")},
	{"KillAllSessions", OPERATIONS("killAllSessions")},
	{"KillAllSessionsByPattern", OPERATIONS("killAllSessionsByPattern")},
	{"KillSessions", OPERATIONS("killSessions")},
	{"ListCollections", OPERATIONS("listCollections")},
	{"ListCommands", OPERATIONS("listCommands")},
	{"ListDatabases", OPERATIONS("listDatabases")},
	{"ListIndexes", OPERATIONS("listIndexes")},
	{"Logout", OPERATIONS("logout")},
	{"ReIndex", OPERATIONS("reIndex")},
	{"RefreshSessions", OPERATIONS("refreshSessions")},
	{"RenameCollection", OPERATIONS("renameCollection")},
	{"SASLContinue", OPERATIONS("saslContinue")},
	{"SASLStart", OPERATIONS("saslStart")},
	{"ServerStatus", OPERATIONS("serverStatus")},
	{"SetFreeMonitoring", OPERATIONS("setFreeMonitoring")},
	{"StartSession", OPERATIONS("startSession")},
	{"UpdateUser", OPERATIONS("updateUser")},
	{"UsersInfo", OPERATIONS("usersInfo")},
	{"Validate", OPERATIONS("validate")},
	{"WhatsMyURI", OPERATIONS("whatsmyuri")},
};

/* Takes `text` off the front. */
static bool take(struct slice *name, const char *text)
{
	size_t n = strlen(text);

	if (name->len < n || memcmp(name->ptr, text, n))
		return false;
	name->ptr += n;
	name->len -= n;
	return true;
}

/* The name ends here, or what is inside of the function begins. */
static bool at_end(struct slice name)
{
	return !name.len || name.ptr[0] == '.' || name.ptr[0] == '-';
}

/* Takes the package of the handlers off the front: "handler", "handlers/pg". */
static bool take_package(struct slice *name)
{
	const uint8_t *dot;

	if (!take(name, "internal/handler"))
		return false;
	if (take(name, "s/")) {
		dot = name->len ? memchr(name->ptr, '.', name->len) : NULL;
		if (!dot)
			return false;
		name->len -= (size_t)(dot - name->ptr);
		name->ptr = dot;
	}
	return true;
}

void mongo_frame(struct slice function, struct query_frame *out)
{
	struct slice name = function;

	*out = (struct query_frame){.kind = FRAME_PLAIN};
	if (!take(&name, FERRETDB))
		return;
	take(&name, "v2/");
	if (take(&name, "internal/clientconn.(*conn).run")) { /* a closure of it is a goroutine beside it */
		out->kind = name.len ? FRAME_PLAIN : FRAME_READ;
		return;
	}
	if (!take_package(&name) || !take(&name, ".(*Handler).") || (!take(&name, "Msg") && !take(&name, "msg")))
		return;
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		struct slice rest = name;

		if (!take(&rest, methods[i].method) || !at_end(rest))
			continue;
		*out = (struct query_frame){FRAME_COMMAND, methods[i].operations, "mongodb"};
		return;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of `wireprof agent`: one table, from which the command line, the keys of the file, the names in the
 * environment and the usage are made. See agent_option_table.h.
 */
#include <errno.h>
#include <string.h>
#include "agent_option_setters.h"

#define DEFAULT_HZ	     99
#define MAX_HZ		     10000
#define DEFAULT_WINDOW_S     10
#define DEFAULT_TOP	     50
#define DEFAULT_OVERHEAD     1
#define DEFAULT_QUEUE_DIR    "/var/lib/wireprof/queue"
#define DEFAULT_QUEUE_MIB    256
#define DEFAULT_OUT_MIB	     1024
#define MOST_MIB	     (1 << 20)
#define TEXT_OF(number)	     #number
#define TEXT(number)	     TEXT_OF(number)
#define FIELD(name)	     offsetof(struct agent_options, name)

#define TARGET(kind) .group = GROUP_TARGET, .least = (kind)
#define PATH_IN(name) .set = set_path, .field = FIELD(name)
#define NUMBER(name, from, to) .set = set_number, .field = FIELD(name), .least = (from), .most = (to)
#define MIB(name) .set = set_mib, .field = FIELD(name), .least = 1, .most = MOST_MIB

const struct agent_option agent_option_table[] = {
	{"pid", 'p', "PID[,PID...]", "these processes, and the children they start",
	 TARGET(TARGET_PIDS), .repeatable = true, .set = set_pids,
	 .heading = "What to profile, one kind of these"},
	{"comm", 0, "NAME", "every process of this name, and the children they start",
	 TARGET(TARGET_COMM), .set = set_target_name},
	{"container", 'c', "CONTAINER", "every process of a container: its name, or its id or 6 or more\ndigits of that",
	 TARGET(TARGET_CONTAINER), .set = set_target_name},
	{"cgroup", 0, "PATH", "every process of a cgroup and of those below it",
	 TARGET(TARGET_CGROUP), .set = set_target_name},
	{"all", 'a', NULL, "every process of the machine", TARGET(TARGET_ALL), .set = set_all},

	{"frequency", 'F', "HZ", "samples per second and CPU (default " TEXT(DEFAULT_HZ) ")",
	 NUMBER(frequency_hz, 1, MAX_HZ),
	 .heading = "How"},
	{"window", 0, "SECONDS", "what one profile covers (default " TEXT(DEFAULT_WINDOW_S) "; 1 to 3600)",
	 NUMBER(window_s, 1, 3600)},
	{"user-only", 0, NULL, "stacks without their kernel frames",
	 .group = GROUP_PARTS, .set = set_parts, .least = STACKS_USER_ONLY},
	{"kernel-only", 0, NULL, "stacks without their user frames",
	 .group = GROUP_PARTS, .set = set_parts, .least = STACKS_KERNEL_ONLY},
	{"inlines", 0, NULL, "inlined functions and source lines: read DWARF; costs memory and CPU",
	 .set = set_flag, .field = FIELD(inlines), .least = true},
	{"no-requests", 0, NULL, "do not look at requests: no receive hook",
	 .set = set_flag, .field = FIELD(requests), .least = false},
	{"redis-keys", 0, "HOW", "prefix: keys as \"user:*\" (default); none: no keys", .set = set_keys},
	{"max-overhead", 0, "PERCENT", "at most so much of the targets' CPU (default " TEXT(DEFAULT_OVERHEAD) "; 0.1 to 100);\n"
	 "above, the receive hook is attached for part of the time only", .set = set_overhead},
	{"top", 0, "N", "classes of a window that keep their name, the rest is \"other\"\n(default " TEXT(DEFAULT_TOP)
	 "; 1 to 1000)", NUMBER(top, 1, 1000)},
	{"query-text", 0, NULL, "also the normalised text of a query, as label db_query_text",
	 .set = set_flag, .field = FIELD(query_text), .least = true},

	{"pyroscope", 0, "URL", "push each window to this server", .set = set_url, .field = FIELD(pyroscope),
	 .heading = "Where to, at least one of --pyroscope, --out-dir, --listen"},
	{"service", 0, "NAME", "service_name of what is pushed and counted (default: the container,\nelse the process name)",
	 .set = set_service},
	{"label", 0, "NAME=VALUE", "a label of what is pushed; up to " TEXT(AGENT_MAX_LABELS) " times",
	 .group = GROUP_LABELS, .repeatable = true, .needs = "pyroscope", .set = add_label},
	{"tenant", 0, "ID", "tenant of the server: X-Scope-OrgID", .needs = "pyroscope", .set = set_tenant},
	{"basic-auth-file", 0, "FILE", "holds user:password; or WIREPROF_BASIC_AUTH in the environment",
	 .group = GROUP_SECRET, .needs = "pyroscope", PATH_IN(basic_auth_file)},
	{"bearer-file", 0, "FILE", "holds a token; or WIREPROF_BEARER in the environment",
	 .group = GROUP_SECRET, .needs = "pyroscope", PATH_IN(bearer_file)},
	{"header-file", 0, "FILE", "holds more headers, one \"Name: value\" a line", .needs = "pyroscope",
	 PATH_IN(header_file)},
	{"ca-file", 0, "FILE", "certificates to trust instead of the system's (PEM)", .needs = "pyroscope",
	 PATH_IN(ca_file)},
	{"queue-dir", 0, "DIR", "what waits to be pushed (default " DEFAULT_QUEUE_DIR ")", .needs = "pyroscope",
	 PATH_IN(queue_dir)},
	{"queue-size", 0, "MIB", "at most this much; the oldest goes first (default " TEXT(DEFAULT_QUEUE_MIB) ")",
	 .needs = "pyroscope", MIB(queue_bytes)},

	{"out-dir", 0, "DIR", "write each window as a pprof file", PATH_IN(out_dir)},
	{"out-dir-size", 0, "MIB", "at most this much; the oldest file goes first (default " TEXT(DEFAULT_OUT_MIB) ")",
	 .needs = "out-dir", MIB(out_dir_bytes)},

	{"listen", 0, "ADDRESS", "serve the live page, /metrics and /healthz: PORT (on 127.0.0.1),\nHOST:PORT or [V6]:PORT",
	 .set = set_listen},
	{"allow-host", 0, "NAME", "a name besides localhost and IP addresses by which it may be asked\nfor; up to "
	 TEXT(AGENT_MAX_HOSTS) " times",
	 .group = GROUP_HOSTS, .repeatable = true, .needs = "listen", .set = add_host},

	{"config", 0, "FILE", "read options from it: lines \"window = 10\"; or WIREPROF_CONFIG",
	 .set = set_path, .field = FIELD(config),
	 .heading = "Else"},
	{"quiet", 0, NULL, "only errors", .group = GROUP_VERBOSITY, .set = set_verbosity, .least = MESSAGE_QUIET},
	{"verbose", 0, NULL, "also which hook, which object, which reason",
	 .group = GROUP_VERBOSITY, .set = set_verbosity, .least = MESSAGE_VERBOSE},
	{"help", 'h', NULL, "this text", .command_line_only = true},
};

const size_t agent_option_count = sizeof(agent_option_table) / sizeof(*agent_option_table);
_Static_assert(sizeof(agent_option_table) / sizeof(*agent_option_table) <= AGENT_OPTION_MAX, "room in option_taker");

const struct agent_option *agent_option_find(const char *name)
{
	for (size_t i = 0; i < agent_option_count; i++)
		if (!strcmp(agent_option_table[i].name, name))
			return &agent_option_table[i];
	return NULL;
}

int agent_options_default(struct agent_options *o)
{
	*o = (struct agent_options){
		.frequency_hz = DEFAULT_HZ,
		.window_s = DEFAULT_WINDOW_S,
		.requests = true,
		.max_overhead = DEFAULT_OVERHEAD,
		.top = DEFAULT_TOP,
		.queue_bytes = (uint64_t)DEFAULT_QUEUE_MIB << 20,
		.out_dir_bytes = (uint64_t)DEFAULT_OUT_MIB << 20,
		.verbosity = MESSAGE_NORMAL,
	};
	o->queue_dir = agent_options_keep(o, DEFAULT_QUEUE_DIR);
	return o->queue_dir ? 0 : -ENOMEM;
}

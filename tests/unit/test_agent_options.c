/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's options: the command line, and which values are refused. */
#include "agent_options.h"

/* --- the command line --- */

static void test_defaults(void **state)
{
	(void)state;
	accepted("-p 17 --listen 7072");
	assert_int_equal(o.target.kind, TARGET_PIDS);
	assert_int_equal(o.target.n_pids, 1);
	assert_int_equal(o.frequency_hz, 99);
	assert_int_equal(o.window_s, 10);
	assert_int_equal(o.top, 50);
	assert_int_equal(o.parts, STACKS_ALL);
	assert_int_equal(o.redis_keys, REDIS_KEYS_PREFIX);
	assert_true(o.requests);
	assert_false(o.inlines || o.query_text);
	assert_null(o.pyroscope);
	assert_null(o.tenant);
	assert_null(o.basic_auth_file);
	assert_null(o.bearer_file);
	assert_null(o.header_file);
	assert_null(o.ca_file);
	assert_null(o.service);
	assert_null(o.out_dir);
	assert_null(o.config);
	assert_string_equal(o.listen, "7072");
	assert_string_equal(o.queue_dir, "/var/lib/wireprof/queue");
	assert_int_equal(o.queue_bytes, 256ull << 20);
	assert_int_equal(o.out_dir_bytes, 1024ull << 20);
	assert_int_equal(o.n_labels + o.n_allow_hosts, 0);
	assert_int_equal(o.verbosity, MESSAGE_NORMAL);
}

static void test_every_option(void **state)
{
	(void)state;
	accepted("-c db1 -F 19 --window 60 --kernel-only --inlines --no-requests --redis-keys none --top 7 --query-text "
		 "--pyroscope https://p.example:4040/base --service shop --label env=prod --label=region=eu=1 --tenant t-1 "
		 "--bearer-file /b --header-file=/h --ca-file /ca --queue-dir /q --queue-size 1 --out-dir /o "
		 "--out-dir-size 1048576 --listen [::1]:7072 --allow-host a.example --allow-host b --verbose");
	assert_int_equal(o.target.kind, TARGET_CONTAINER);
	assert_string_equal(o.target.name, "db1");
	assert_int_equal(o.frequency_hz, 19);
	assert_int_equal(o.window_s, 60);
	assert_int_equal(o.parts, STACKS_KERNEL_ONLY);
	assert_true(o.inlines && o.query_text && !o.requests);
	assert_int_equal(o.redis_keys, REDIS_KEYS_NONE);
	assert_int_equal(o.top, 7);
	assert_string_equal(o.pyroscope, "https://p.example:4040/base");
	assert_string_equal(o.service, "shop");
	assert_int_equal(o.n_labels, 2);
	assert_string_equal(o.labels[0].name, "env");
	assert_string_equal(o.labels[0].value, "prod");
	assert_string_equal(o.labels[1].name, "region");
	assert_string_equal(o.labels[1].value, "eu=1");
	assert_string_equal(o.tenant, "t-1");
	assert_string_equal(o.bearer_file, "/b");
	assert_string_equal(o.header_file, "/h");
	assert_string_equal(o.ca_file, "/ca");
	assert_string_equal(o.queue_dir, "/q");
	assert_int_equal(o.queue_bytes, 1 << 20);
	assert_string_equal(o.out_dir, "/o");
	assert_int_equal(o.out_dir_bytes, 1ull << 40);
	assert_string_equal(o.listen, "[::1]:7072");
	assert_int_equal(o.n_allow_hosts, 2);
	assert_string_equal(o.allow_hosts[1], "b");
	assert_int_equal(o.verbosity, MESSAGE_VERBOSE);
}

static void test_targets(void **state)
{
	(void)state;
	accepted("-p 1,2 --pid 3 -p 2 --listen 1");
	assert_int_equal(o.target.n_pids, 3);
	accepted("--comm redis-server --listen 1");
	assert_int_equal(o.target.kind, TARGET_COMM);
	accepted("--cgroup /system.slice --listen 1");
	assert_int_equal(o.target.kind, TARGET_CGROUP);
	assert_string_equal(o.target.name, "/system.slice");
	accepted("-a --listen 1");
	assert_int_equal(o.target.kind, TARGET_ALL);
	accepted("--all=yes -a --listen 1");
	accepted("--all=no -p 1 --listen 1");
	accepted("-a --all=no -p 1 --listen 1");
	refused("--listen 1", "-p PID|--comm|-c|--cgroup|-a");
	refused("-a --all=no --listen 1", "-p PID");
	refused("-a -p 1 --listen 1", "--all|--pid|not both");
	refused("--comm a -c b --listen 1", "--comm|--container|not both");
	refused("--comm a --comm b --listen 1", "--comm|once");
	refused("-p 1,x --listen 1", "-p takes process ids");
	refused("--comm 1234567890123456 --listen 1", "--comm|15");
	refused("--comm= --listen 1", "--comm|\"\"");
	refused("-a --listen 1 -- redis-server", "redis-server|no command");
	refused("-a --listen 1 stray --top 3", "stray");
}

static void test_numbers(void **state)
{
	(void)state;
	accepted("-a --listen 1 --window 1 -F 1 --top 1");
	accepted("-a --listen 1 --window 3600 -F 10000 --top 1000");
	refused("-a --listen 1 --window 0", "--window|1 to 3600|\"0\"");
	refused("-a --listen 1 --window 3601", "--window|3601");
	refused("-a --listen 1 --window 10s", "--window|10s");
	refused("-a --listen 1 --window=", "--window|\"\"");
	refused("-a --listen 1 --window -5", "--window|-5");
	refused("-a --listen 1 --window 1.5", "--window|whole");
	refused("-a --listen 1 --window 0x10", "--window");
	refused("-a --listen 1 --window 4294967297", "--window");
	refused("-a --listen 1 -F 0", "--frequency|1 to 10000");
	refused("-a --listen 1 --top 1001", "--top|1 to 1000");
	refused("-a --listen 1 --queue-size 1048577", "--queue-size|1048576");
	refused("-a --listen 1 --out-dir-size 0", "--out-dir-size|1 to");
	accepted("-a --listen 1 --window 5 --window 6"); /* a script that adds to a command line */
	assert_int_equal(o.window_s, 6);
}

static void test_flags(void **state)
{
	(void)state;
	accepted("-a --listen 1 --inlines=yes --no-requests=no --query-text=true --query-text=false");
	assert_true(o.inlines && o.requests && !o.query_text);
	accepted("-a --listen 1 --user-only --user-only=0");
	assert_int_equal(o.parts, STACKS_ALL);
	accepted("-a --listen 1 --user-only --kernel-only=no");
	assert_int_equal(o.parts, STACKS_USER_ONLY);
	refused("-a --listen 1 --inlines=maybe", "--inlines|yes or no|maybe");
	refused("-a --listen 1 --inlines=", "--inlines|yes or no");
	refused("-a --listen 1 --user-only --kernel-only", "--user-only|--kernel-only|not both");
	refused("-a --listen 1 --quiet --verbose", "--quiet|--verbose");
	refused("-a --listen 1 --redis-keys all", "--redis-keys|prefix or none|all");
}

static void test_words_that_are_no_options(void **state)
{
	(void)state;
	refused("--bogus", "unknown option|--bogus|--help");
	refused("-x", "unknown option|\"-x\"");
	refused("-ax", "unknown option|\"-x\"");
	refused("--window", "--window|wants a value");
	refused("-a -F", "-F|wants a value");
	refused("--wind 5", "unknown option|--wind"); /* no starts of names: see the next */
	refused("--bearer geheim", "--bearer-file|command line");
	assert_null(strstr(said, "geheim"));
	refused("--bearer=geheim", "--bearer-file");
	assert_null(strstr(said, "geheim"));
	refused("--basic-auth=me:geheim", "--basic-auth-file");
	assert_null(strstr(said, "geheim"));
	refused("--bearer-fil geheim", "unknown option");
	assert_null(strstr(said, "geheim"));
}

static void test_help(void **state)
{
	char *text = NULL;
	size_t bytes;
	FILE *f;

	(void)state;
	assert_int_equal(parse("--help"), 1);
	assert_int_equal(parse("-h"), 1);
	assert_int_equal(parse("--config /no/such --window x --help"), 1);
	assert_string_equal(said, "");
	f = open_memstream(&text, &bytes);
	assert_non_null(f);
	agent_options_usage(f);
	fclose(f);
	for (size_t i = 0; i < agent_option_count; i++)
		assert_non_null(strstr(text, agent_option_table[i].name));
	for (char *next = text, *line; (line = strsep(&next, "\n")); )
		if (strlen(line) > 100)
			fail_msg("longer than 100: %s", line);
	free(text);
}

/* --- values --- */

static void test_urls(void **state)
{
	static const char *const bad[] = {
		"localhost:4040", "ftp://h/", "file:///etc/passwd", "http://", "://", "http:/h", "http://h:99999",
		"http://h:x", "unix:/s", "pyroscope", "http://h?x=1", "https://h/p#f", "http://h%20x",
	};
	static const char start[] = "-a --pyroscope http://";
	static char words[2100];

	(void)state;
	accepted("-a --pyroscope http://localhost:4040");
	accepted("-a --pyroscope HTTPS://[::1]:4040/path/");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(words, sizeof(words), "-a --pyroscope %s", bad[i]);
		refused(words, "--pyroscope takes");
	}
	refused("-a --pyroscope=", "--pyroscope");
	memset(words, 'a', sizeof(words) - 1);
	memcpy(words, start, strlen(start));
	refused(words, "--pyroscope takes|...");
	refused("-a --pyroscope http://me:geheim@h:4040", "--basic-auth-file");
	assert_null(strstr(said, "geheim"));
	refused("-a --pyroscope http://me@h", "--basic-auth-file");
	refused("-a --pyroscope me:geheim@h", "--pyroscope");
	assert_null(strstr(said, "geheim"));
}

static void test_addresses(void **state)
{
	static const char *const good[] = {"1", "0", "65535", ":7072", "127.0.0.1:1", "localhost:1", "0.0.0.0:80", "[::]:1",
					   "[fe80::1%eth0]:1", "my-host.example:1"};
	static const char *const bad[] = {"65536", "x", ":", "h:", "h:x", "::1:80", "[::1]", "[::1]80", "[]:1", "[h]:1",
					  "h:-1", "h:1x", "http://h:1", "1.2.3.4", "h/:1", ":99999", "[::1:1", "::1]:1",
					  "h:1:2", "a\\b:1"};
	char words[128];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		snprintf(words, sizeof(words), "-a --listen %s", good[i]);
		accepted(words);
		assert_string_equal(o.listen, good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(words, sizeof(words), "-a --listen %s", bad[i]);
		refused(words, "--listen takes PORT");
	}
	refused("-a --listen=", "--listen");
	refused("-a --listen 1 --allow-host h:80", "--allow-host|without a port");
	refused("-a --listen 1 --allow-host=", "--allow-host");
}

static void test_labels(void **state)
{
	static const char *const ours[] = {"service_name", "db_x", "db_query_text", "phase", "attribution", "comm", "container",
					   "thread", "pid", "tid", "__name__", "__x"};
	char words[5000], *argv[] = {(char *)"agent", (char *)"-a", (char *)"--pyroscope", (char *)"http://h", (char *)"--label", words};

	(void)state;
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
		snprintf(words, sizeof(words), "-a --pyroscope http://h --label %s=x", ours[i]);
		refused(words, "--label|own");
	}
	accepted("-a --pyroscope http://h --label _=x --label commit=1 --label dbx=2 --label A9=z --label pids=1");
	refused("-a --pyroscope http://h --label 9=x", "--label|\"9\"|name");
	refused("-a --pyroscope http://h --label a-b=x", "--label|\"a-b\"");
	refused("-a --pyroscope http://h --label =x", "--label|\"\"");
	refused("-a --pyroscope http://h --label a", "--label|NAME=VALUE|\"a\"");
	refused("-a --pyroscope http://h --label a=", "--label|1 to 2048");
	refused("-a --pyroscope http://h --label a=1 --label a=1", "--label|\"a\"|already");
	refused("-a --pyroscope http://h --label a=\xff", "--label|UTF-8");
	refused("-a --pyroscope http://h --label a=\xed\xa0\x80", "UTF-8");
	refused("-a --pyroscope http://h --service \xc3", "--service|UTF-8");
	snprintf(words, sizeof(words), "a=%02048d", 1);
	agent_options_fini(&o);
	assert_int_equal(parse_words(6, argv, &o), 0);
	assert_int_equal(strlen(o.labels[0].value), 2048);
	agent_options_fini(&o);
	snprintf(words, sizeof(words), "a=%02049d", 1);
	assert_int_equal(parse_words(6, argv, &o), -EINVAL);
	said_in_one_line("2049", "2048");
	for (int n = 16; n <= 17; n++) {
		size_t used = (size_t)snprintf(words, sizeof(words), "-a --pyroscope http://h");

		for (int i = 0; i < n; i++)
			used += (size_t)snprintf(words + used, sizeof(words) - used, " --label l%d=x", i);
		if (n == 16)
			accepted(words);
		else
			refused(words, "--label|16 times");
	}
}

static void test_tenant_is_fit_for_a_header(void **state)
{
	char *argv[] = {(char *)"agent", (char *)"-a", (char *)"--pyroscope", (char *)"http://h", (char *)"--tenant", NULL};
	static const char *const bad[] = {"", "a\r\nX-Evil: 1", "a b", "\x7f", "t\xc3\xa9"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		argv[5] = (char *)bad[i];
		agent_options_fini(&o);
		assert_int_equal(parse_words(6, argv, &o), -EINVAL);
		said_in_one_line(bad[i], "--tenant|visible");
	}
}

static void test_at_least_one_sink(void **state)
{
	(void)state;
	accepted("-a --out-dir /o");
	accepted("-a --pyroscope http://h");
	refused("-a", "--pyroscope|--out-dir|--listen");
	refused("-a --window 5 --tenant t", "where to?");
	refused("-a --out-dir=", "--out-dir|path");
}

static void test_options_without_effect(void **state)
{
	static const char *const needy[][2] = {
		{"--tenant t", "tenant"}, {"--bearer-file f", "bearer-file"}, {"--basic-auth-file f", "basic-auth-file"},
		{"--header-file f", "header-file"}, {"--ca-file f", "ca-file"}, {"--queue-dir q", "queue-dir"},
		{"--queue-size 5", "queue-size"}, {"--label a=b", "label"},
	};
	char words[128];

	(void)state;
	for (size_t i = 0; i < sizeof(needy) / sizeof(*needy); i++) {
		snprintf(words, sizeof(words), "-a --listen 1 %s", needy[i][0]);
		assert_int_equal(parse(words), 0);
		snprintf(words, sizeof(words), "warning: %s has no effect|pyroscope", needy[i][1]);
		said_in_one_line(needy[i][0], words);
	}
	assert_int_equal(parse("-a --listen 1 --out-dir-size 1"), 0);
	said_in_one_line("out-dir-size", "out-dir-size|without out-dir");
	assert_int_equal(parse("-a --out-dir o --allow-host h"), 0);
	said_in_one_line("allow-host", "without listen");
	assert_int_equal(parse("-a --pyroscope http://h --ca-file c"), 0);
	said_in_one_line("ca-file", "ca-file|http");
	assert_int_equal(parse("-a --listen 1 --tenant t --quiet"), 0);
	assert_string_equal(said, "");
	refused("-a --pyroscope http://h --bearer-file a --basic-auth-file b", "--bearer-file|--basic-auth-file|not both");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_option),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_words_that_are_no_options),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_tenant_is_fit_for_a_header),
		cmocka_unit_test(test_at_least_one_sink),
		cmocka_unit_test(test_options_without_effect),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

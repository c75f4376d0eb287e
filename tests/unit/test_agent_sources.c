/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's options: its file, the environment, which source holds, and what is done with them later. */
#include "agent_options.h"

/* --- the file --- */

static void test_file_values(void **state)
{
	(void)state;
	file_accepted("\xef\xbb\xbf# comment\r\n\r\n  \t \n  # another\npid=1,2\npid = 3\r\n\twindow\t=\t5 \t\n"
		      "label = a=b  c\nlabel = 'b= d # e '\nlabel = \"c=\\\"q\\\\ \"\nservice=x#y\nquery-text = true\n"
		      "inlines=0\nno-requests = 1\nuser-only = no\n"
		      "pyroscope = http://h:1\nallow-host = h1\nallow-host = h2\nlisten = :1", "");
	assert_int_equal(o.target.n_pids, 3);
	assert_int_equal(o.window_s, 5);
	assert_int_equal(o.n_labels, 3);
	assert_string_equal(o.labels[0].value, "b  c");
	assert_string_equal(o.labels[1].value, " d # e ");
	assert_string_equal(o.labels[2].value, "\"q\\ ");
	assert_string_equal(o.service, "x#y");
	assert_true(o.query_text && !o.inlines && !o.requests);
	assert_int_equal(o.parts, STACKS_ALL);
	assert_int_equal(o.n_allow_hosts, 2);
	assert_string_equal(o.config, path);
}

static void test_file_errors(void **state)
{
	static char line[AGENT_CONFIG_MAX_LINE_BYTES + 64];

	(void)state;
	file_refused("bogus = 1\n", "1", "unknown key \"bogus\"|--help");
	file_refused("\n\n--window = 1\n", "3", "unknown key \"--window\"");
	file_refused("help = yes", "1", "unknown key \"help\"");
	file_refused("config = /x", "1", "another");
	file_refused("window = 5\n#\nwindow = 5\n", "3", "window|already|line 1");
	file_refused("window = x\n", "1", "window takes|\"x\"");
	file_refused("window =\n", "1", "window takes|\"\"");
	file_refused("inlines = on\n", "1", "inlines takes yes or no|on");
	file_refused("inlines\n", "1", "KEY = VALUE");
	file_refused("= 5\n", "1", "KEY = VALUE");
	file_refused("[agent]\n", "1", "KEY = VALUE");
	file_refused("window 5\n", "1", "KEY = VALUE");
	file_refused("win dow = 5\n", "1", "KEY = VALUE");
	file_refused("w\xc3\xa4re = 5\n", "1", "KEY = VALUE");
	file_refused("window = 5 # seconds\n", "1", "comment|quotes");
	file_refused("service = # none\n", "1", "comment");
	file_refused("service = \"x\n", "1", "begins with \"");
	file_refused("service = 'x\"\n", "1", "begins with '");
	file_refused("service = \"x\" y\n", "1", "more behind");
	file_refused("service = \"\\n\"\n", "1", "backslash");
	file_refused("service = \"x\\", "1", "backslash");
	file_refused("service = \"", "1", "begins with");
	file_refused("service = ''", "1", "service|1 to 2048");
	file_refused("service = a\x1b[31mb\n", "1", "0x1b|no text file");
	file_refused("service = a\rb\n", "1", "0x0d");
	file_refused("comm = a\npid = 1\n", "2", "comm|pid|not both");
	file_refused("pid = 1; 2\n", "1", "-p takes process ids");
	file_refused("user-only = yes\nkernel-only = yes\n", "2", "user-only|kernel-only");
	file_refused("bearer = geheim\n", "1", "bearer-file");
	assert_null(strstr(said, "geheim"));
	file_refused("basic-auth = me:geheim\n", "1", "basic-auth-file");
	assert_null(strstr(said, "geheim"));
	memset(line, 'x', AGENT_CONFIG_MAX_LINE_BYTES + 1);
	file_refused(line, "1", "longer than 8192");
	memset(line, '#', AGENT_CONFIG_MAX_LINE_BYTES);
	line[AGENT_CONFIG_MAX_LINE_BYTES] = '\0';
	file_accepted(line, "-a --listen 1");
	write_file("window = 5\nto\0p = 3\n", 20);
	snprintf(line, sizeof(line), "--config %s -a --listen 1", path);
	refused(line, "0x00|:2: ");
}

static void test_files_that_cannot_be_read(void **state)
{
	char words[128], fifo[80], *big = calloc(1, AGENT_CONFIG_MAX_BYTES + 1);

	(void)state;
	refused("--config /no/such/file -a --listen 1", "/no/such/file|No such file");
	refused("--config /tmp -a --listen 1", "/tmp|directory");
	refused("--config /dev/zero -a --listen 1", "/dev/zero|device");
	refused("--config= -a --listen 1", "--config|path");
	snprintf(fifo, sizeof(fifo), "%s.fifo", path);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	snprintf(words, sizeof(words), "--config %s -a --listen 1", fifo);
	refused(words, "pipe");
	unlink(fifo);
	memset(big, '\n', AGENT_CONFIG_MAX_BYTES + 1);
	write_file(big, AGENT_CONFIG_MAX_BYTES + 1);
	snprintf(words, sizeof(words), "--config %s -a --listen 1", path);
	refused(words, "larger than");
	write_file(big, AGENT_CONFIG_MAX_BYTES);
	accepted(words);
	free(big);
}

/* --- the example that is installed: make test runs at the top --- */

#define EXAMPLE "deploy/wireprof-agent.conf"

static char *read_example(void)
{
	char *text = calloc(1, AGENT_CONFIG_MAX_BYTES);
	FILE *f = fopen(EXAMPLE, "r");

	assert_non_null(text);
	assert_non_null(f);
	assert_true(fread(text, 1, AGENT_CONFIG_MAX_BYTES - 1, f) > 1000);
	fclose(f);
	return text;
}

/* The option that the line, "key = value" or "#key = value", is about; NULL: a line of comment. */
static const struct agent_option *option_of_line(const char *line)
{
	const struct agent_option *option;
	size_t n;
	char *key;

	line += *line == '#';
	n = strcspn(line, " ");
	if (!n || strncmp(line + n, " = ", 3))
		return NULL;
	key = strndup(line, n);
	option = agent_option_find(key);
	if (!option)
		fail_msg("no option: %s", line);
	free(key);
	return option;
}

/* The example with those lines in force that `wanted` says; of them, which options were there is marked. */
static void use_example(bool (*wanted)(const struct agent_option *option, const char *line), bool *seen, const char *words)
{
	char *text = read_example(), *out = calloc(1, AGENT_CONFIG_MAX_BYTES), *next = text, *line;

	while ((line = strsep(&next, "\n"))) {
		const struct agent_option *option = option_of_line(line);

		if (option)
			seen[option - agent_option_table] = true;
		if (option && wanted(option, line))
			strcat(strcat(out, line + (*line == '#')), "\n");
		else
			strcat(strcat(strcat(out, "#"), line), "\n");
	}
	/* It shows an http URL and what is for https alone. */
	if (parse_file(out, words) || (*said && !strstr(said, "ca-file has no effect")))
		fail_msg("%s%s", out, said);
	free(text);
	free(out);
}

static bool as_it_stands(const struct agent_option *option, const char *line)
{
	(void)option;
	return *line != '#';
}

/* All lines but the others of a kind of which one at most can be given. */
static bool all_that_can_stand_together(const struct agent_option *option, const char *line)
{
	(void)line;
	return (option->group != GROUP_TARGET || !strcmp(option->name, "pid")) && strcmp(option->name, "basic-auth-file") != 0;
}

static const struct agent_option *alone;

static bool one_more(const struct agent_option *option, const char *line)
{
	return option == alone || !strcmp(option->name, "pyroscope") || !strcmp(option->name, "out-dir") ||
	       (*line != '#' && option->group != GROUP_TARGET);
}

static void test_example(void **state)
{
	bool seen[AGENT_OPTION_MAX] = {false};

	(void)state;
	use_example(as_it_stands, seen, "");
	assert_string_equal(o.target.name, "redis-server");
	assert_string_equal(o.listen, "127.0.0.1:7072");
	for (size_t i = 0; i < agent_option_count; i++)
		if (seen[i] == (agent_option_table[i].command_line_only || !strcmp(agent_option_table[i].name, "config")))
			fail_msg("%s: %d", agent_option_table[i].name, seen[i]);
	use_example(all_that_can_stand_together, seen, "");
	/* What it shows as defaults are those. */
	assert_int_equal(o.frequency_hz, 99);
	assert_int_equal(o.window_s, 10);
	assert_int_equal(o.top, 50);
	assert_int_equal(o.queue_bytes >> 20, 256);
	assert_int_equal(o.out_dir_bytes >> 20, 1024);
	assert_string_equal(o.queue_dir, "/var/lib/wireprof/queue");
	assert_true(o.requests && !o.inlines && !o.query_text && o.parts == STACKS_ALL && o.verbosity == MESSAGE_NORMAL);
	assert_int_equal(o.redis_keys, REDIS_KEYS_PREFIX);
	assert_int_equal(o.n_labels, 2);
	for (size_t i = 0; i < agent_option_count; i++) {
		alone = &agent_option_table[i];
		if (seen[i])
			use_example(one_more, seen, alone->group == GROUP_TARGET ? "" : "-a");
	}
}

/* --- the sources together --- */

static void test_which_source_holds(void **state)
{
	(void)state;
	setenv("WIREPROF_WINDOW", "20", 1);
	setenv("WIREPROF_TOP", "20", 1);
	setenv("WIREPROF_INLINES", "yes", 1);
	setenv("WIREPROF_QUEUE_DIR", "", 1); /* as if it were not there */
	file_accepted("window = 30\ntop = 30\nfrequency = 30\ninlines = no\nquery-text = yes\nlisten = 1\n",
		      "--window 10 --query-text=no -a");
	assert_int_equal(o.window_s, 10);
	assert_int_equal(o.top, 20);
	assert_int_equal(o.frequency_hz, 30);
	assert_true(o.inlines && !o.query_text);
	assert_string_equal(o.queue_dir, "/var/lib/wireprof/queue");
	unsetenv("WIREPROF_WINDOW");
	unsetenv("WIREPROF_TOP");
	unsetenv("WIREPROF_INLINES");
	unsetenv("WIREPROF_QUEUE_DIR");
	/* A wrong value is one also where another source overrides it. */
	assert_int_equal(parse_file("window = x\n", "--window 5 -a --listen 1"), -EINVAL);
}

static void test_groups_are_replaced(void **state)
{
	(void)state;
	file_accepted("comm = a\nlabel = x=1\nlabel = y=2\npyroscope = http://h\nbearer-file = b\nuser-only = yes\nquiet = yes\n",
		      "-p 7 --label z=3 --basic-auth-file c --kernel-only --verbose");
	assert_int_equal(o.target.kind, TARGET_PIDS);
	assert_null(o.target.name);
	assert_int_equal(o.n_labels, 1);
	assert_string_equal(o.labels[0].name, "z");
	assert_null(o.bearer_file);
	assert_string_equal(o.basic_auth_file, "c");
	assert_int_equal(o.parts, STACKS_KERNEL_ONLY);
	assert_int_equal(o.verbosity, MESSAGE_VERBOSE);
	/* The same kind of target: replaced too, not added to, and not "once only". */
	file_accepted("pid = 1\nlisten = 1", "-p 2");
	assert_int_equal(o.target.n_pids, 1);
	assert_int_equal(o.target.pids[0], 2);
	file_accepted("comm = a\nlisten = 1", "--comm b");
	assert_string_equal(o.target.name, "b");
	/* "no" takes back only what it names. */
	file_accepted("comm = a\nlisten = 1\nuser-only = yes\nverbose = yes", "--all=no --kernel-only=no --verbose=no");
	assert_string_equal(o.target.name, "a");
	assert_int_equal(o.parts, STACKS_USER_ONLY);
	assert_int_equal(o.verbosity, MESSAGE_NORMAL);
	file_accepted("all = yes\nlisten = 1\nuser-only = yes", "--all=no --comm b --user-only=no");
	assert_int_equal(o.target.kind, TARGET_COMM);
	assert_int_equal(o.parts, STACKS_ALL);
}

static void test_environment(void **state)
{
	(void)state;
	setenv("WIREPROF_PID", "1,2", 1);
	setenv("WIREPROF_LABEL", "a=1,b=2", 1);
	setenv("WIREPROF_ALLOW_HOST", "h1,h2,h3", 1);
	setenv("WIREPROF_LISTEN", "7072", 1);
	setenv("WIREPROF_PYROSCOPE", "http://h", 1);
	setenv("WIREPROF_HOOK", "auto", 1);
	setenv("WIREPROF_DUTY", "1", 1);
	setenv("WIREPROF_BASIC_AUTH", "me:geheim", 1);
	setenv("WIREPROF_BEARER", "geheim", 1);
	accepted("");
	assert_int_equal(o.target.n_pids, 2);
	assert_int_equal(o.n_labels, 2);
	assert_string_equal(o.labels[1].value, "2");
	assert_int_equal(o.n_allow_hosts, 3);
	write_file("top = 3\n", 8);
	setenv("WIREPROF_CONFIG", path, 1);
	accepted("");
	assert_int_equal(o.top, 3);
	assert_string_equal(o.config, path);
	refused("--config /no/such", "/no/such"); /* the command line's goes before that */
	unsetenv("WIREPROF_CONFIG");
	setenv("WIREPROF_COMM", "x", 1);
	refused("", "WIREPROF_COMM: |not both");
	unsetenv("WIREPROF_COMM");
	setenv("WIREPROF_TOP", "x", 1);
	refused("", "wireprof: WIREPROF_TOP: top takes");
	unsetenv("WIREPROF_TOP");
	setenv("WIREPROF_LABEL", "a=1,2", 1);
	refused("", "WIREPROF_LABEL: |NAME=VALUE|\"2\"");
	setenv("WIREPROF_LABEL", ",", 1);
	refused("", "WIREPROF_LABEL: |NAME=VALUE");
	unsetenv("WIREPROF_LABEL");
	setenv("WIREPROF_WINDOWS", "geheim", 1);
	setenv("WIREPROF_HELP", "1", 1);
	assert_int_equal(parse(""), 0);
	assert_non_null(strstr(said, "WIREPROF_WINDOWS"));
	assert_non_null(strstr(said, "WIREPROF_HELP"));
	assert_null(strstr(said, "geheim"));
	assert_null(strstr(said, "WIREPROF_HOOK"));
	assert_null(strstr(said, "WIREPROF_DUTY"));
	assert_int_equal(parse("--quiet"), 0);
	assert_string_equal(said, "");
	for (const char *const *name = (const char *const[]){"WIREPROF_PID", "WIREPROF_ALLOW_HOST", "WIREPROF_LISTEN", "WIREPROF_PYROSCOPE", "WIREPROF_HOOK", "WIREPROF_DUTY",
			"WIREPROF_BASIC_AUTH", "WIREPROF_BEARER", "WIREPROF_WINDOWS", "WIREPROF_HELP", NULL}; *name; name++)
		unsetenv(*name);
}

static void test_reload(void **state)
{
	char *argv[] = {(char *)"agent", (char *)"--config", path, (char *)"-a", (char *)"--listen", (char *)"1", NULL};
	struct agent_options a, b;

	(void)state;
	write_file("top = 3\nlabel = a=b\npyroscope = http://h\n", 41);
	assert_int_equal(agent_options_parse(6, argv, &a), 0);
	write_file("top = 4\n", 8);
	assert_int_equal(agent_options_parse(6, argv, &b), 0);
	assert_int_equal(a.top, 3);
	assert_int_equal(b.top, 4);
	assert_string_equal(a.labels[0].value, "b");
	assert_true(agent_options_same_kernel(&a, &b));
	agent_options_fini(&b);
	write_file("top = x\n", 8);
	assert_int_equal(parse_words(6, argv, &b), -EINVAL);
	assert_int_equal(a.top, 3);
	agent_options_fini(&b);
	agent_options_fini(&a);
	agent_options_fini(&a);
}

static void compare_with(const char *before, const char *words, bool same)
{
	struct agent_options first;

	accepted(before);
	first = o;
	o = (struct agent_options){0};
	accepted(words);
	if (agent_options_same_kernel(&first, &o) != same || agent_options_same_kernel(&o, &first) != same)
		fail_msg("%s", words);
	agent_options_fini(&first);
}

static void compare(const char *words, bool same)
{
	compare_with("-p 1,2 --listen 1", words, same);
}

static void test_same_kernel(void **state)
{
	(void)state;
	compare_with("--comm x --listen 1", "--comm x --out-dir o", true);
	compare_with("--comm x --listen 1", "--comm y --listen 1", false);
	compare_with("--comm x --listen 1", "-c x --listen 1", false);
	compare("-p 2,1 --out-dir o --window 3 --top 3 --user-only", true);
	compare("-p 1 --listen 1", false);
	compare("-p 1,3 --listen 1", false);
	compare("-p 1,2,3 --listen 1", false);
	compare("--comm x --listen 1", false);
	compare("-a --listen 1", false);
	compare("-p 1,2 --listen 1 -F 98", false);
	compare("-p 1,2 --listen 1 --no-requests", false);
	compare("-p 1,2 --listen 1 --redis-keys none", false);
	compare("-p 1,2 --listen 1 --query-text", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_values),
		cmocka_unit_test(test_file_errors),
		cmocka_unit_test(test_files_that_cannot_be_read),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_which_source_holds),
		cmocka_unit_test(test_groups_are_replaced),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_same_kernel),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

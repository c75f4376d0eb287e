/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of runtimes, when it is not what it should be: cut, deep, large, of other types, no file at all. And
 * Docker's socket, with servers that answer well, badly, too much, or never.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "fake_host.h"
#include "profiler/targets/container_state.h"

#define A "aaaaaaaaaaaa0000000000000000000000000000000000000000000000000001"
#define B "bbbbbbbbbbbb0000000000000000000000000000000000000000000000000002"

static struct container_state s;

static int setup(void **state)
{
	int ret = fake_setup(state);

	container_state_init(&s, fake_root);
	return ret;
}

static int teardown(void **state)
{
	container_state_fini(&s);
	return fake_teardown(state);
}

struct named {
	const char *id, *name;
	bool found;
};

static bool is_named(void *context, const struct container_file *f, const struct container_record *r)
{
	struct named *n = context;

	(void)f;
	n->found |= !strcmp(r->id, n->id) && r->name && !strcmp(r->name, n->name);
	return n->found;
}

static bool knows(const char *id, const char *name)
{
	struct named n = {id, name, false};

	container_state_each(&s, is_named, &n);
	return n.found;
}

static void scan(void)
{
	static uint64_t now;

	container_state_scan(&s, now += 1000000000ull);
}

/* --- files --- */

static const struct {
	const char *file, *text;
	enum container_format format;
} good[] = {
	{"/var/lib/docker/containers/" A "/config.v2.json",
	 "{\"Name\":\"/n\",\"Config\":{\"Labels\":{\"io.kubernetes.container.name\":\"n\",\"io.kubernetes.pod.name\":\"p\"}}}", FORMAT_DOCKER},
	{"/var/lib/containers/storage/overlay-containers/containers.json", "[{\"id\":\"" A "\",\"names\":[\"n\"]},{\"id\":\"x\"}]", FORMAT_STORAGE},
	{"/run/containerd/io.containerd.runtime.v2.task/k8s.io/" A "/config.json",
	 "{\"annotations\":{\"io.kubernetes.cri.container-name\":\"n\",\"io.kubernetes.cri.container-type\":\"container\"},"
	 "\"linux\":{\"cgroupsPath\":\"/x/y\"}}", FORMAT_BUNDLE},
	{"/run/runc/" A "/state.json", "{\"init_process_pid\":12,\"cgroup_paths\":{\"memory\":\"/sys/fs/cgroup/memory/x\",\"\":\"/y\"}}", FORMAT_RUNC},
	{"/run/crun/" A "/status", "{\"pid\":12,\"cgroup-path\":\"/x/y\"}", FORMAT_CRUN},
	{"", "[{\"Id\":\"" A "\",\"Names\":[\"/n\"],\"Labels\":{\"a\":\"b\"}}]", FORMAT_DOCKER_SOCKET},
};
#define N_GOOD (sizeof(good) / sizeof(good[0]))

static void parse(enum container_format format, const char *bytes, size_t n)
{
	char *copy = malloc(n ? n : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, n); /* without a NUL behind, and on the heap: sanitizers see what reads beyond */
	if (!s.n) {
		s.files = calloc(1, sizeof(*s.files));
		s.n = s.capacity = 1;
		s.files[0].path = strdup("none");
	}
	container_file_parse(&s, &s.files[0], format, A, copy, n);
	free(copy);
}

/* Every cut of every format, and every byte of it another. */
static void test_cut_and_changed(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GOOD; i++) {
		size_t n = strlen(good[i].text);
		char text[512];

		for (size_t cut = 0; cut < n; cut++)
			parse(good[i].format, good[i].text, cut);
		for (size_t at = 0; at < n; at++)
			for (int change = 1; change < 256; change <<= 1) {
				memcpy(text, good[i].text, n);
				text[at] ^= (char)change;
				parse(good[i].format, text, n);
			}
		container_state_fini(&s);
		container_state_init(&s, fake_root);
	}
}

/* Any value where another type belongs. */
static void test_wrong_types(void **state)
{
	static const char *const values[] = {"null", "true", "1", "-1", "1e300", "99999999999999999999", "\"\"", "\"x\"", "[]", "{}", "[[]]",
					     "[null]", "[{}]", "[1,2]", "{\"a\":1}", "{\"Labels\":1}", "{\"Labels\":[]}", "\"/\"", "\"k8s_\"",
					     "\"k8s____\"", "\"k8s_a_b\"", "[\"k8s_a_b_c_d\"]", "{\"cgroupsPath\":1}", "{\"\":1}", "{\"\":\"\"}"};
	static const char *const keys[] = {"Name", "Config", "id", "Id", "names", "Names", "Labels", "annotations", "linux",
					   "init_process_pid", "pid", "cgroup_paths", "cgroup-path", "io.kubernetes.container.name"};
	char text[256];

	(void)state;
	for (size_t f = 0; f < N_GOOD; f++)
		for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
			parse(good[f].format, values[v], strlen(values[v]));
			for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
				for (int in_array = 0; in_array < 2; in_array++) {
					snprintf(text, sizeof(text), "%s{\"id\":\"i\",\"Id\":\"i\",\"%s\":%s}%s", in_array ? "[" : "", keys[k],
						 values[v], in_array ? "]" : "");
					parse(good[f].format, text, strlen(text));
				}
		}
	for (size_t i = 0; i < s.files[0].n; i++) {
		assert_non_null(s.files[0].records[i].id);
		assert_true(s.files[0].records[i].init >= 0);
	}
}

static void test_deep_and_large(void **state)
{
	static const char list[] = "[{\"id\":\"" B "\",\"names\":[\"list\"]}]";
	static char text[CONTAINER_FILE_BYTES + 100];

	(void)state;
	for (size_t i = 0; i < N_GOOD; i++) {
		memset(text, '[', 1 << 19);
		parse(good[i].format, text, 1 << 19);
		for (size_t at = 0; at < 1 << 19; at += 8)
			memcpy(text + at, "[{\"id\":{", 8);
		parse(good[i].format, text, 1 << 19);
	}
	/* a list may be large, one container's file not as much: then it is as if it was not there */
	for (int large = 0; large < 3; large++) {
		size_t n = (large == 2 ? CONTAINER_FILE_BYTES : CONTAINER_FILE_BYTES / 8) + (large ? 1 : 0);

		memset(text, ' ', n);
		memcpy(text, "{\"Name\":\"/big\"}", 15);
		fake_bytes("/var/lib/docker/containers/" A "/config.v2.json", "w", text, n);
		memset(text, ' ', n);
		memcpy(text, list, strlen(list));
		fake_bytes("/var/lib/containers/storage/overlay-containers/containers.json", "w", text, n);
		scan();
		assert_int_equal(knows(A, "big"), large == 0);
		assert_int_equal(knows(B, "list"), large < 2);
	}
}

static void test_limits(void **state)
{
	static char text[CONTAINER_FILE_BYTES];
	size_t n = 1, count = 0;

	(void)state;
	text[0] = '[';
	for (; n < sizeof(text) - 100; count++)
		n += sprintf(text + n, "%s{\"id\":\"%zx\"}", count ? "," : "", count);
	text[n++] = ']';
	fake_bytes("/var/lib/containers/storage/overlay-containers/containers.json", "w", text, n);
	assert_true(count > CONTAINER_MAX_RECORDS);
	scan();
	assert_int_equal(s.n_records, CONTAINER_MAX_RECORDS);
	fake_file("/var/lib/containers/storage/overlay-containers/containers.json", "[{\"id\":\"" A "\",\"names\":[\"one\"]}]");
	scan();
	assert_int_equal(s.n_records, 1);
	assert_true(knows(A, "one"));
	/* cgroups of one container */
	n = sprintf(text, "{\"cgroup_paths\":{");
	for (int i = 0; i < 1000; i++)
		n += sprintf(text + n, "%s\"c%d\":\"/x\"", i ? "," : "", i);
	n += sprintf(text + n, "}}");
	container_state_fini(&s);
	container_state_init(&s, fake_root);
	parse(FORMAT_RUNC, text, n);
	for (count = 0; s.files[0].records[0].cgroups[count];)
		count++;
	assert_int_equal(count, CONTAINER_MAX_CGROUPS);
}

/* What is not a regular file is not waited for, nor followed. */
static void test_not_files(void **state)
{
	char path[512], other[512];

	(void)state;
	fake_file("/outside.json", "{\"Name\":\"/outside\"}");
	fake_directory("/var/lib/docker/containers/" A "/config.v2.json");
	fake_directory("/var/lib/docker/containers/" B);
	snprintf(path, sizeof(path), "%s/var/lib/docker/containers/" B "/config.v2.json", fake_root);
	assert_int_equal(mkfifo(path, 0600), 0);
	scan();
	assert_int_equal(s.n_records, 0);
	assert_int_equal(unlink(path), 0);
	snprintf(other, sizeof(other), "%s/outside.json", fake_root);
	assert_int_equal(symlink(other, path), 0);
	scan();
	assert_int_equal(s.n_records, 0);
	fake_file("/var/lib/docker/containers/file", "x");
	fake_file("/run/runc", "x");
	fake_file("/run/crun/x", "x");
	scan();
	assert_int_equal(s.n_records, 0);
}

static void test_good_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GOOD; i++)
		if (*good[i].file)
			fake_file(good[i].file, "%s", good[i].text);
	scan();
	assert_true(knows(A, "n"));
	assert_int_equal(s.n, N_GOOD - 1);
	assert_int_equal(s.n_records, N_GOOD); /* one has two */
}

/* --- Docker's socket --- */

struct server {
	const char *reply;
	size_t n;
	bool hangs;
	int fd;
	pthread_t thread;
	char request[2048];
};

/* Serves one connection. A client that has enough may close it at any time. */
static void *serve(void *context)
{
	struct server *server = context;
	int fd = accept(server->fd, NULL, NULL);
	size_t got = 0, sent = 0;
	ssize_t n;

	while (fd >= 0 && !strstr(server->request, "\r\n\r\n") &&
	       (n = read(fd, server->request + got, sizeof(server->request) - 1 - got)) > 0)
		got += n;
	while (fd >= 0 && sent < server->n && (n = send(fd, server->reply + sent, server->n - sent, MSG_NOSIGNAL)) > 0)
		sent += n;
	if (fd >= 0 && server->hangs) /* until the client gives up */
		n = read(fd, server->request, 1);
	if (fd >= 0)
		close(fd);
	return NULL;
}

static void start(struct server *server)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	memset(server->request, 0, sizeof(server->request));
	fake_directory("/var/run");
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/var/run/docker.sock", fake_root);
	unlink(a.sun_path);
	server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(server->fd >= 0);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(server->fd, 1), 0);
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void stop(struct server *server)
{
	shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->fd);
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define LIST	"[{\"Id\":\"" A "\",\"Names\":[\"/redis\"],\"Labels\":{}}]"

static void test_socket(void **state)
{
	struct server server = {0};
	char reply[512];

	(void)state;
	server.n = snprintf(reply, sizeof(reply), OK_HEAD "Transfer-Encoding: chunked\r\n\r\n%zx\r\n" LIST "\r\n0\r\n\r\n", strlen(LIST));
	server.reply = reply;
	setenv("http_proxy", "http://127.0.0.1:9", 1);
	start(&server);
	scan();
	stop(&server);
	unsetenv("http_proxy");
	assert_int_equal(strncmp(server.request, "GET /containers/json HTTP/1.1\r\n", 31), 0);
	assert_true(knows(A, "redis"));
	/* nobody there any more: what is known stays, and the socket has its rest */
	scan();
	scan();
	assert_true(knows(A, "redis"));
	assert_int_equal(s.socket_asked, 2);
	/* where the directory can be read, the socket is not asked, and what it said goes */
	fake_file("/var/lib/docker/containers/" B "/config.v2.json", "{\"Name\":\"/web\"}");
	scan();
	assert_true(knows(B, "web"));
	assert_false(knows(A, "redis"));
	assert_int_equal(s.socket_asked, 2);
}

static void test_socket_that_answers_badly(void **state)
{
	static const char *const replies[] = {
		"", "garbage\r\n\r\n", "HTTP/1.1 500 No\r\n\r\n" LIST, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
		OK_HEAD "Content-Length: 0\r\n\r\n", OK_HEAD "Content-Length: 9\r\n\r\n[{\"Id\":\"x", OK_HEAD "Content-Length: 1000\r\n\r\n[]",
		OK_HEAD "Content-Length: 2\r\n\r\n{}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		struct server server = {.reply = replies[i], .n = strlen(replies[i])};

		start(&server);
		s.socket_again_ns = 0;
		scan();
		stop(&server);
		assert_int_equal(s.n_records, 0);
		assert_int_equal(s.socket_asked, i + 1);
	}
}

static void test_socket_that_says_too_much(void **state)
{
	size_t n = 8 << 20;
	char *reply = malloc(n);
	struct server server = {.reply = reply, .n = n};

	(void)state;
	assert_non_null(reply);
	memset(reply, ' ', n);
	memcpy(reply, OK_HEAD "\r\n" LIST, strlen(OK_HEAD "\r\n" LIST));
	start(&server);
	scan();
	stop(&server);
	assert_int_equal(s.socket_asked, 1);
	assert_int_equal(s.n_records, 0);
	free(reply);
}

static void test_socket_that_hangs(void **state)
{
	struct server server = {.reply = OK_HEAD, .n = strlen(OK_HEAD), .hangs = true};

	(void)state;
	start(&server);
	scan(); /* returns */
	stop(&server);
	assert_int_equal(s.socket_asked, 1);
	/* and is left alone for a while */
	scan();
	assert_int_equal(s.socket_asked, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_good_files),
		TEST(test_cut_and_changed),
		TEST(test_wrong_types),
		TEST(test_deep_and_large),
		TEST(test_limits),
		TEST(test_not_files),
		TEST(test_socket),
		TEST(test_socket_that_answers_badly),
		TEST(test_socket_that_says_too_much),
		TEST(test_socket_that_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

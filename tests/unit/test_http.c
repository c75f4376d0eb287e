/* SPDX-License-Identifier: Apache-2.0 */
/* Where the HTTP server listens, whose Host headers it takes, what encodings a client accepts. The rest: tests/live/test_http.py. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "profiler/agent/http.h"
#include "profiler/agent/http_body.h"

/* What a bad address makes it say, on one line. */
static int parse(const char *text, struct sockaddr_storage *address, char *message, size_t size)
{
	int fds[2], saved = dup(STDERR_FILENO), ret;
	socklen_t length = 0;
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	memset(address, 0xff, sizeof(*address));
	ret = http_parse_address(text, address, &length);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = read(fds[0], message, size - 1);
	close(fds[0]);
	message[n > 0 ? n : 0] = 0;
	if (!ret)
		assert_int_equal(length, address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
									 : sizeof(struct sockaddr_in));
	return ret;
}

static void good_addresses(void **state)
{
	static const struct {
		const char *text, *host;
		int family;
		unsigned int port;
	} cases[] = {
		{"7777", "127.0.0.1", AF_INET, 7777},		{":7777", "127.0.0.1", AF_INET, 7777},
		{"127.0.0.1:7777", "127.0.0.1", AF_INET, 7777}, {"0.0.0.0:1", "0.0.0.0", AF_INET, 1},
		{"localhost:65535", "127.0.0.1", AF_INET, 65535}, {"LOCALHOST:80", "127.0.0.1", AF_INET, 80},
		{"[::1]:7777", "::1", AF_INET6, 7777},		{"[::]:07777", "::", AF_INET6, 7777},
		{"[2001:db8::17]:0", "2001:db8::17", AF_INET6, 0}, {"00080", "127.0.0.1", AF_INET, 80},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct sockaddr_storage a;
		const struct sockaddr_in *v4 = (const void *)&a;
		const struct sockaddr_in6 *v6 = (const void *)&a;
		char host[INET6_ADDRSTRLEN], message[512];

		assert_int_equal(parse(cases[i].text, &a, message, sizeof(message)), 0);
		assert_string_equal(message, "");
		assert_int_equal(a.ss_family, cases[i].family);
		assert_int_equal(ntohs(a.ss_family == AF_INET6 ? v6->sin6_port : v4->sin_port), cases[i].port);
		assert_non_null(inet_ntop(a.ss_family, a.ss_family == AF_INET6 ? (const void *)&v6->sin6_addr
									      : (const void *)&v4->sin_addr,
					  host, sizeof(host)));
		assert_string_equal(host, cases[i].host);
	}
}

static void bad_addresses(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"", "from 0 to 65535"},
		{":", "from 0 to 65535"},
		{"65536", "from 0 to 65535"},
		{"123456", "from 0 to 65535"},
		{"99999999999999999999", "from 0 to 65535"},
		{"127.0.0.1:", "from 0 to 65535"},
		{"127.0.0.1:+1", "from 0 to 65535"},
		{"127.0.0.1: 80", "from 0 to 65535"},
		{"127.0.0.1:80 ", "from 0 to 65535"},
		{"127.0.0.1", "the port is missing"},
		{"localhost", "the port is missing"},
		{"-1", "the port is missing"},
		{"::1:7777", "stands in brackets"},
		{"::1", "stands in brackets"},
		{"[::1]", "[ADDRESS]:PORT"},
		{"[::1", "[ADDRESS]:PORT"},
		{"[", "[ADDRESS]:PORT"},
		{"[]:80", "is not an IPv6 address"},
		{"[::1]x:80", "[ADDRESS]:PORT"},
		{"[127.0.0.1]:80", "127.0.0.1 is not an IPv6 address"},
		{"[localhost]:80", "is not an IPv6 address"},
		{"256.0.0.1:80", "256.0.0.1 is not an IPv4 address"},
		{"1.2.3:80", "1.2.3 is not an IPv4 address"},
		{"2130706433:80", "is not an IPv4 address"},
		{"http://localhost:80", "and nothing else"},
		{"local host:80", "and nothing else"},
		{"local/host:80", "and nothing else"},
		{"no-such-host.invalid:80", "cannot find the address of no-such-host.invalid"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct sockaddr_storage a;
		char message[512], prefix[128];

		assert_int_equal(parse(cases[i].text, &a, message, sizeof(message)), -EINVAL);
		snprintf(prefix, sizeof(prefix), "wireprof: --listen %s: ", cases[i].text);
		assert_memory_equal(message, prefix, strlen(prefix));
		assert_non_null(strstr(message, cases[i].says));
		assert_ptr_equal(strchr(message, '\n'), message + strlen(message) - 1);
	}
}

static void a_host_that_is_too_long(void **state)
{
	char text[3000], message[512];
	struct sockaddr_storage a;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text + sizeof(text) - 4, ":80", 4);
	assert_int_equal(parse(text, &a, message, sizeof(message)), -EINVAL);
}

static void hosts(void **state)
{
	static const char *const names[] = {"agent.example.org", "", "box"};
	static const char *const good[] = {
		"localhost", "LOCALHOST", "localhost:7777", "localhost.", "localhost.:1", "127.0.0.1", "127.0.0.1:0",
		"255.255.255.255:65535", "[::1]", "[::1]:7777", "[2001:DB8::1]:00080", "[::ffff:1.2.3.4]",
		"agent.example.org", "Agent.Example.Org.:80", "box", "box:1",
	};
	static const char *const bad[] = {
		"", " ", ":", ":80", ".", "..", ".:80", "localhost..", "localhost:", "localhost:x", "localhost:65536",
		"localhost: 80", "localhost:80 ", " localhost", "localhost ", "localhost:80:80", "xlocalhost",
		"localhostx", "local", "localhost/", "localhost@evil", "evil@localhost", "a.localhost", "127.0.0.1.",
		"127.0.0.256", "127.0.0", "127.1", "0177.0.0.1", "0x7f.0.0.1", "2130706433", "127.0.0.1x", "127.0.0.1.evil.org",
		"::1", "[::1", "::1]", "[]", "[]:80", "[::1]80", "[::1]:", "[::1]:x", "[[::1]]", "[127.0.0.1]", "[localhost]",
		"[::1%25lo]", "[::1].evil.org", "[::1]:80.evil.org", "evil.org", "evil.org:80", "agent.example.org.evil.org",
		"agent.example.orgx", "xagent.example.org", "agent-example.org", "boxx", "bo",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"[1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8:9]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (!http_host_allowed(good[i], names, 3))
			fail_msg("%s is fine", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (http_host_allowed(bad[i], names, 3))
			fail_msg("%s is not fine", bad[i]);
	assert_false(http_host_allowed("box", NULL, 0));
	assert_true(http_host_allowed("localhost", NULL, 0));
}

/* Whatever the bytes are: nothing is read outside of them, and no name that was not given gets through. */
static void random_hosts(void **state)
{
	static const char bytes[] = "localhst127.0:[]%@x\xff \t";
	static const char *const names[] = {"box"};
	uint32_t seed = 1;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		size_t len = (size_t)(i % 24);
		char *host = malloc(len + 1);

		for (size_t j = 0; j < len; j++) {
			seed = seed * 1664525 + 1013904223;
			host[j] = bytes[(seed >> 16) % (sizeof(bytes) - 1)];
		}
		host[len] = 0;
		if (http_host_allowed(host, names, 1))
			assert_true(strspn(host, "0123456789abcdef.:[]") == len || !strncmp(host, "localhost", 9));
		free(host);
	}
}

static void encodings(void **state)
{
	static const char *const yes[] = {"gzip", "GZip", "deflate, gzip", "gzip;q=1.0", "gzip; q=0.5", "gzip;q=0.001", ", ,gzip",
					  "br;q=0,gzip", "gzip;level=0", "gzip,identity;q=0"};
	static const char *const no[] = {"", "identity", "gzip;q=0", "gzip;q=0.000", "gzip ; q=0", "gzip;Q=0,identity", "gzi", "gzipp",
					 "x-gzip", "deflate;gzip", "*", ",", ";", "gzip;q=0.0, br"};

	(void)state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++)
		if (!http_accepts_gzip(yes[i]))
			fail_msg("%s has it", yes[i]);
	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
		if (http_accepts_gzip(no[i]))
			fail_msg("%s has it not", no[i]);
	assert_false(http_accepts_gzip(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_addresses), cmocka_unit_test(bad_addresses),
		cmocka_unit_test(a_host_that_is_too_long), cmocka_unit_test(hosts),
		cmocka_unit_test(random_hosts),	  cmocka_unit_test(encodings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in packets besides SQL: query attributes, which must be stepped over exactly; the schema; and whether it is
 * MySQL at all. Everything is cut at every byte, in front of a guard page.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "guard.h"
#include "protocols/mysql_internal.h"

struct stream {
	uint8_t bytes[8192];
	size_t n;
};

static void put(struct stream *s, const void *bytes, size_t n)
{
	assert_true(s->n + n <= sizeof(s->bytes));
	if (n)
		memcpy(s->bytes + s->n, bytes, n);
	s->n += n;
}

static void put_byte(struct stream *s, uint8_t byte)
{
	put(s, &byte, 1);
}

/* With its NUL. */
static void put_string(struct stream *s, const char *text)
{
	put(s, text, strlen(text) + 1);
}

/* Begins a packet, whose length end_packet() fills in. */
static size_t begin_packet(struct stream *s, uint8_t sequence)
{
	put(s, (uint8_t[]){0, 0, 0, sequence}, 4);
	return s->n;
}

static void end_packet(struct stream *s, size_t begin)
{
	size_t n = s->n - begin;

	s->bytes[begin - 4] = (uint8_t)n;
	s->bytes[begin - 3] = (uint8_t)(n >> 8);
	s->bytes[begin - 2] = (uint8_t)(n >> 16);
}

static void put_command(struct stream *s, uint8_t command, const char *rest, size_t n)
{
	size_t begin = begin_packet(s, 0);

	put_byte(s, command);
	put(s, rest, n);
	end_packet(s, begin);
}

/* --- query attributes --- */

static const struct {
	uint16_t type;
	const char *value; /* NULL: the value is NULL */
	size_t n;
} attributes[] = {
	{0x01, "\x85", 1}, {0x02, "\1\2", 2}, {0x0d, "\xe8\7", 2}, {0x03, "\1\2\3\4", 4}, {0x09, "\1\2\3\4", 4},
	{0x04, "\1\2\3\4", 4}, {0x05, "SELECT 1", 8}, {0x08, "\0\0\0\0\0\0\0\x80", 8}, {0x8008, "12345678", 8},
	{0x07, "\x0b" "12345678901", 12}, {0x0a, "\4abcd", 5}, {0x0a, "\0", 1}, {0x0b, "\x08" "12345678", 9},
	{0x0c, "\7abcdefg", 8}, {0x06, NULL, 0}, {0xfe, NULL, 0}, {0xfe, "\0", 1}, {0xfe, "\6secret", 7},
	{0xfd, "\xfc\x03\0abc", 6}, {0xfc, "\xfd\x03\0\0abc", 7}, {0xf6, "\xfe\x03\0\0\0\0\0\0\0abc", 12},
	{0xf5, "\2{}", 3}, {0x0f, "\1v", 2}, {0x10, "\1\1", 2}, {0xff, "\0", 1},
};
#define N_ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

/* `n` of them, from the first'th on; the list is a ring. */
static void put_attributes(struct stream *s, size_t first, size_t n)
{
	uint8_t nulls[16] = {0};

	put_byte(s, (uint8_t)n);
	put_byte(s, 1);
	if (!n)
		return;
	for (size_t i = 0; i < n; i++)
		if (!attributes[(first + i) % N_ATTRIBUTES].value)
			nulls[i / 8] |= (uint8_t)(1u << i % 8);
	put(s, nulls, (n + 7) / 8);
	put_byte(s, 1);
	for (size_t i = 0; i < n; i++) {
		uint16_t type = attributes[(first + i) % N_ATTRIBUTES].type;

		put(s, (uint8_t[]){(uint8_t)type, (uint8_t)(type >> 8), 4}, 3);
		put(s, "name", 4);
	}
	for (size_t i = 0; i < n; i++)
		put(s, attributes[(first + i) % N_ATTRIBUTES].value, attributes[(first + i) % N_ATTRIBUTES].n);
}

/* Cut within the attributes nothing is known; behind them, what is left is SQL. */
static void check_attributes(size_t first, size_t n)
{
	static const char sql[] = "SELECT 1";
	struct stream s = {.n = 0};
	size_t front;

	put_attributes(&s, first, n);
	front = s.n;
	put(&s, sql, strlen(sql));
	for (size_t cut = 2; cut <= s.n; cut++) {
		struct slice copy = guard_copy(s.bytes, cut), rest = copy;

		if (mysql_skip_attributes(&rest) != (cut >= front))
			fail_msg("%zu attributes from %zu on, cut at %zu of %zu", n, first, cut, front);
		if (cut >= front) {
			assert_int_equal(rest.len, cut - front);
			assert_ptr_equal(rest.ptr, copy.ptr + front);
		}
		guard_free(copy);
	}
}

static void test_attributes(void **state)
{
	(void)state;
	for (size_t first = 0; first < N_ATTRIBUTES; first++)
		check_attributes(first, 1);
	for (size_t n = 0; n <= 64; n++)
		check_attributes(n % N_ATTRIBUTES, n);
}

static bool skips(const char *bytes, size_t n)
{
	struct slice copy = guard_copy(bytes, n), rest = copy;
	bool ok = mysql_skip_attributes(&rest);

	assert_true(!ok || rest.ptr + rest.len == copy.ptr + copy.len);
	guard_free(copy);
	return ok;
}

static void test_odd_attributes(void **state)
{
	struct stream s = {.n = 0};

	(void)state;
	assert_false(skips("\x01\x01\0\0\xfe\0\0\0SELECT 1", 16));			   /* types not sent */
	assert_false(skips("\x01\x01\0\1\xfe\0\xfb\0SELECT 1", 16));			   /* no length */
	assert_false(skips("\x01\x01\0\1\xfe\0\xfe\xff\xff\xff\xff\xff\xff\xff\xff\0", 16)); /* a name as long as that */
	assert_false(skips("\xfe\1\xff\xff\xff\xff\xff\xff\xff\1\0\1", 12));		   /* so many */
	assert_false(skips("\xfb\1SELECT", 8));
	assert_false(skips("A\1\0\1\xfe\0\4name", 11)); /* 65 are more than is looked at */
	/* What is no attributes is left as it is. */
	assert_true(skips("", 0));
	assert_true(skips("S", 1));
	assert_true(skips("SELECT 1", 8));
	assert_true(skips("\n\tSELECT 1", 10));
	assert_true(skips("\xc3\xa4\1", 3));
	/* Through a whole packet: nothing of attributes is taken for SQL. */
	put_byte(&s, COM_QUERY);
	put_attributes(&s, 17, 33);
	put(&s, "SELECT 1 FROM t", 15);
	for (size_t cut = 0; cut <= s.n; cut++) {
		static struct query_batch batch;
		struct stream packet = {.n = 0};
		struct slice copy;

		begin_packet(&packet, 0);
		put(&packet, s.bytes, s.n);
		end_packet(&packet, 4);
		copy = guard_copy(packet.bytes, 4 + cut);
		mysql_classify(&(struct mysql_batch){copy, packet.n}, &batch);
		assert_int_equal(batch.n_classes, cut > 0);
		for (uint32_t i = 0; i < batch.n_classes; i++)
			assert_null(strstr(batch.classes[i].text, "name"));
		if (cut == s.n)
			assert_string_equal(batch.classes[0].text, "SELECT ? FROM `t`");
		guard_free(copy);
	}
}

/* --- the schema --- */

static const char *schema(const void *bytes, size_t n)
{
	static char out[MYSQL_SCHEMA_BYTES];
	struct slice copy = guard_copy(bytes, n);

	memset(out, 'x', sizeof(out));
	mysql_schema(copy, out);
	guard_free(copy);
	return out;
}

/* The schema is known as soon as `known` bytes are there, and not before. */
static void expect_schema(const struct stream *s, size_t known, const char *expected)
{
	for (size_t cut = 0; cut <= s->n; cut++) {
		const char *have = schema(s->bytes, cut);

		if (strcmp(have, cut >= known ? expected : ""))
			fail_msg("cut at %zu of %zu (%zu): %s, not %s", cut, s->n, known, have, expected);
	}
}

#define USUAL (CLIENT_PROTOCOL_41 | CLIENT_CONNECT_WITH_DB)

enum auth { AUTH_LENENC, AUTH_SECURE, AUTH_NUL };

/* HandshakeResponse41. Returns where its schema ends. */
static size_t put_handshake(struct stream *s, uint32_t capabilities, enum auth auth, const char *name)
{
	size_t begin = begin_packet(s, 1), end;
	uint8_t head[MYSQL_HANDSHAKE_BYTES] = {0};
	char scramble[300];

	capabilities |= auth == AUTH_LENENC ? CLIENT_LENENC_AUTH : auth == AUTH_SECURE ? CLIENT_SECURE_CONNECTION : 0;
	memcpy(head, &capabilities, 4);
	head[8] = 255;
	put(s, head, sizeof(head));
	put_string(s, "someone");
	memset(scramble, 's', sizeof(scramble));
	if (auth == AUTH_LENENC) {
		put(s, "\xfc\x2c\1", 3);
		put(s, scramble, 300);
	} else if (auth == AUTH_SECURE) {
		put_byte(s, 20);
		put(s, scramble, 20);
	} else {
		put_string(s, "password");
	}
	if (capabilities & CLIENT_CONNECT_WITH_DB)
		put_string(s, name);
	end = s->n;
	put_string(s, "mysql_native_password");
	end_packet(s, begin);
	return end;
}

static void test_handshakes(void **state)
{
	struct stream s = {.n = 0};
	size_t end;

	(void)state;
	for (enum auth auth = AUTH_LENENC; auth <= AUTH_NUL; auth++) {
		s.n = 0;
		end = put_handshake(&s, USUAL, auth, "shop");
		expect_schema(&s, end, "shop");
		s.n = 0;
		put_handshake(&s, USUAL, auth, "");
		expect_schema(&s, 0, "");
		s.n = 0;
		put_handshake(&s, CLIENT_PROTOCOL_41, auth, NULL);
		expect_schema(&s, 0, "");
		s.n = 0; /* an older protocol, with other fields */
		put_handshake(&s, CLIENT_CONNECT_WITH_DB, auth, "shop");
		expect_schema(&s, 0, "");
	}
	/* The length of both forms of authentication at once is the longer form. */
	s.n = 0;
	end = put_handshake(&s, USUAL | CLIENT_SECURE_CONNECTION, AUTH_LENENC, "shop");
	expect_schema(&s, end, "shop");
	/* SSLRequest: the rest comes encrypted. */
	s.n = 0;
	put_handshake(&s, USUAL | CLIENT_SSL, AUTH_SECURE, "shop");
	s.n = 4 + MYSQL_HANDSHAKE_BYTES;
	end_packet(&s, 4);
	expect_schema(&s, 0, "");
}

static void test_commands(void **state)
{
	struct stream s = {.n = 0};
	size_t begin;

	(void)state;
	put_command(&s, COM_INIT_DB, "shop", 4);
	expect_schema(&s, s.n, "shop");
	put_command(&s, COM_PING, "", 0); /* what is behind the packet is not its name */
	expect_schema(&s, 4 + 5, "shop");

	s.n = 0;
	begin = begin_packet(&s, 0);
	put_byte(&s, COM_CHANGE_USER);
	put_string(&s, "someone");
	put(&s, "\x14" "12345678901234567890", 21);
	put_string(&s, "shop");
	put(&s, "\x21\0", 2);
	put_string(&s, "mysql_native_password");
	end_packet(&s, begin);
	expect_schema(&s, begin + 1 + 8 + 21 + 5, "shop");

	s.n = 0;
	put_command(&s, COM_STMT_CLOSE, "\1\0\0\0", 4);
	put_command(&s, COM_INIT_DB, "shop", 4);
	expect_schema(&s, s.n, "shop");
	s.n = 0;
	put_command(&s, COM_PING, "", 0);
	put_command(&s, COM_INIT_DB, "shop", 4);
	expect_schema(&s, 0, "");
	s.n = 0;
	put_command(&s, COM_DROP_DB, "shop", 4);
	expect_schema(&s, 0, "");
}

/* `known`: bytes of the SQL that it takes. */
static void expect_use(const char *sql, size_t known, const char *expected)
{
	struct stream s = {.n = 0};

	put_command(&s, COM_QUERY, sql, strlen(sql));
	expect_schema(&s, 5 + known, expected);
	s.n = 0;
	begin_packet(&s, 0);
	put(&s, "\x03\0\1", 3); /* no attributes, said so */
	put(&s, sql, strlen(sql));
	end_packet(&s, 4);
	expect_schema(&s, 7 + known, expected);
}

static void test_use(void **state)
{
	(void)state;
	expect_use("USE shop", 8, "shop");
	expect_use("use shop;", 9, "shop");
	expect_use("USE\nshop ;", 9, "shop");
	expect_use(" \tuSe  shop", 11, "shop");
	expect_use("USE `shop`", 10, "shop");
	expect_use("USE`shop`", 9, "shop");
	expect_use("USE `my shop`;", 14, "my shop");
	expect_use("USE \"shop\"", 10, "shop");
	expect_use("USE `a``b`", 0, ""); /* rather nothing than another name */
	expect_use("USE `shop", 0, "");
	expect_use("USE ", 0, "");
	expect_use("USE", 0, "");
	expect_use("USE ;", 0, "");
	expect_use("US", 0, "");
	/* Nothing but USE. */
	expect_use("SELECT secret", 0, "");
	expect_use("USER secret", 0, "");
	expect_use("SET x = 'secret'", 0, "");
	expect_use("use/**/shop", 0, "");
}

/* Stored in a frame of the compressed protocol; deflated ones say nothing. */
static void test_frames(void **state)
{
	struct stream s = {.n = 0};

	(void)state;
	put(&s, "\x09\0\0\0\0\0\0", 7);
	put_command(&s, COM_INIT_DB, "shop", 4);
	expect_schema(&s, s.n, "shop");
	s.n = 0;
	put(&s, "\x12\0\0\0\0\0\0", 7);
	put_command(&s, COM_STMT_CLOSE, "\1\0\0\0", 4);
	put_command(&s, COM_INIT_DB, "shop", 4);
	expect_schema(&s, s.n, "shop");
	for (uint8_t length = 0; length < 8; length++) { /* 256 * length + COM_INIT_DB bytes, inflated */
		s.n = 0;
		put(&s, "\x09\0\0\0\x02", 5);
		put(&s, (uint8_t[]){length, 1}, 2);
		put_command(&s, COM_INIT_DB, "shop", 4);
		s.bytes[4] = 0;
		assert_string_equal(schema(s.bytes, s.n), "");
	}
}

static void expect_name(const char *name, size_t n, const char *expected)
{
	struct stream s = {.n = 0};

	put_command(&s, COM_INIT_DB, name, n);
	assert_string_equal(schema(s.bytes, s.n), expected);
}

static void test_names(void **state)
{
	char name[300], expected[300];

	(void)state;
	expect_name("\xd0\xbb\xd0\xb0\xd0\xb2\xd0\xba\xd0\xb0", 10, "\xd0\xbb\xd0\xb0\xd0\xb2\xd0\xba\xd0\xb0");
	expect_name("a\xf0\x9f\x90\xacz", 6, "a\xf0\x9f\x90\xacz");
	expect_name("a\xff" "b", 3, "a?b");
	expect_name("a\xc3", 2, "a?");
	expect_name("\xe2\x82", 2, "??");
	expect_name("\xf0\x9f\x90", 3, "???");
	expect_name("\xc0\x80", 2, "??");	    /* overlong */
	expect_name("\xe0\x80\x80", 3, "???");
	expect_name("\xf0\x80\x80\x80", 4, "????");
	expect_name("\xed\xa0\x80", 3, "???");	    /* a surrogate */
	expect_name("\xf4\x90\x80\x80", 4, "????"); /* beyond Unicode */
	expect_name("a\nb\0c\x7f", 6, "a?b?c?");
	expect_name("", 0, "");
	memset(name, 'n', sizeof(name));
	snprintf(expected, sizeof(expected), "%.255s", name);
	expect_name(name, 255, expected);
	expect_name(name, 256, "");
}

/* --- is it MySQL? --- */

static bool is_request(const void *bytes, size_t n, uint64_t received)
{
	struct slice copy = guard_copy(bytes, n);
	bool is = mysql_is_request(copy, received);

	guard_free(copy);
	return is;
}

static void expect_request(const struct stream *s, size_t known)
{
	for (size_t cut = 0; cut <= s->n; cut++) {
		assert_int_equal(is_request(s->bytes, cut, s->n), cut >= known);
		assert_false(is_request(s->bytes, cut, s->n + 1));
		assert_false(is_request(s->bytes, cut, s->n - 1));
	}
}

static void test_requests(void **state)
{
	struct stream s = {.n = 0};

	(void)state;
	put_command(&s, COM_QUERY, "SELECT 1", 8);
	expect_request(&s, 7);
	s.n = 0;
	put_command(&s, COM_QUERY, "\0\1SELECT 1", 10);
	expect_request(&s, 7);
	s.n = 0;
	put_command(&s, COM_STMT_PREPARE, "/* x */ SELECT 1", 16);
	expect_request(&s, 7);
	s.n = 0;
	put_command(&s, COM_PING, "", 0);
	expect_request(&s, 5);
	s.n = 0;
	put_command(&s, COM_STMT_EXECUTE, "\1\0\0\0\0\1\0\0\0", 9);
	expect_request(&s, 14);
	s.n = 0;
	put_handshake(&s, USUAL, AUTH_SECURE, "shop");
	expect_request(&s, 4 + MYSQL_HANDSHAKE_BYTES);
}

#define NO_REQUEST(bytes) assert_false(is_request(bytes, sizeof(bytes) - 1, sizeof(bytes) - 1))

static void test_others(void **state)
{
	(void)state;
	NO_REQUEST("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	NO_REQUEST("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
	NO_REQUEST("\x16\x03\x01\0\x05\x01\0\0\x01\x03");
	NO_REQUEST("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
	NO_REQUEST("PING\r\n");
	NO_REQUEST("\0\0\0\x08\x03SELECT");			     /* big-endian length */
	NO_REQUEST("\x14\0\0\0\x03\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0"); /* MongoDB: its length is of all */
	NO_REQUEST("\x06\0\0\0\x03\x08\x96\x01\x10\x02");	     /* protobuf behind its length */
	NO_REQUEST("\x06\0\0\0\x03\0\0\0\0\0");
	NO_REQUEST("\x06\0\0\0\x16\xff\xfe\0\0\0");
	NO_REQUEST("\x0a\0\0\0\x17\0\0\0\0\0\0\0\0\0");
	NO_REQUEST("\x01\0\0\0\x01");
	NO_REQUEST("\x02\0\0\0\x0e\0");
	NO_REQUEST("\0\0\0\0");
	NO_REQUEST("\x01\0\0\x02\x0e");
	NO_REQUEST("\x04\0\0\x01\x03SEL");
}

/* Frames of other protocols, by chance: of those whose length fits, few would pass; of others none. */
static void test_random_frames(void **state)
{
	uint64_t random = 42;
	int passed = 0;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		uint8_t bytes[64];
		size_t n = 5 + round % 59;

		for (size_t i = 0; i < n; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			bytes[i] = (uint8_t)(random >> 56);
		}
		assert_false(is_request(bytes, n, n));
		bytes[0] = (uint8_t)(n - 4);
		bytes[1] = bytes[2] = bytes[3] = 0;
		passed += is_request(bytes, n, n);
	}
	assert_true(passed < 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attributes), cmocka_unit_test(test_odd_attributes),
		cmocka_unit_test(test_handshakes), cmocka_unit_test(test_commands),
		cmocka_unit_test(test_use),	   cmocka_unit_test(test_frames),
		cmocka_unit_test(test_names),	   cmocka_unit_test(test_requests),
		cmocka_unit_test(test_others),	   cmocka_unit_test(test_random_frames),
	};

	return cmocka_run_group_tests_name("mysql_fields", tests, NULL, NULL);
}

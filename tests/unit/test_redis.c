/* SPDX-License-Identifier: Apache-2.0 */
/* redis_classify(): verdicts, classes, key masking, and that no literal gets out. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "guard.h"
#include "protocols/redis_internal.h"

static struct query_batch batch;

static enum query_verdict classify(const void *head, size_t head_len, const void *tail,
				   size_t tail_len, uint64_t received, uint64_t last)
{
	struct slice h = guard_copy(head, head_len), t = guard_copy(tail, tail_len);
	struct redis_message message = {h, t, received, last};

	redis_classify(&message, REDIS_KEYS_PREFIX, &batch);
	guard_free(h);
	guard_free(t);
	return batch.verdict;
}

static enum query_verdict classify_bytes(const void *bytes, size_t len)
{
	return classify("", 0, bytes, len, len, len);
}

/* "SET k v" -> an array of its words, appended at out + n. */
static size_t array(char *out, size_t n, const char *words)
{
	char copy[512], *save, *word;
	int count = 0;

	snprintf(copy, sizeof(copy), "%s", words);
	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		count++;
	n += (size_t)sprintf(out + n, "*%d\r\n", count);
	snprintf(copy, sizeof(copy), "%s", words);
	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		n += (size_t)sprintf(out + n, "$%zu\r\n%s\r\n", strlen(word), word);
	return n;
}

static void expect(const char *words, const char *operation, const char *summary, const char *text)
{
	char bytes[1024];
	size_t len = array(bytes, 0, words);

	if (classify_bytes(bytes, len) != QUERY_COMMANDS)
		fail_msg("%s: no command", words);
	assert_int_equal(batch.n_classes, 1);
	assert_int_equal(batch.n_commands, 1);
	assert_false(batch.cut);
	assert_string_equal(batch.classes[0].operation, operation);
	assert_string_equal(batch.classes[0].summary, summary);
	assert_string_equal(batch.classes[0].text, text);
}

static void expect_verdict(const void *bytes, size_t len, enum query_verdict verdict)
{
	if (classify_bytes(bytes, len) != verdict)
		fail_msg("%.*s: verdict %d", (int)len, (const char *)bytes, batch.verdict);
}

#define VERDICT(bytes, verdict) expect_verdict(bytes, sizeof(bytes) - 1, verdict)

static void test_classes(void **state)
{
	(void)state;
	expect("GET user:1000", "GET", "GET user:*", "GET user:*");
	expect("set user:1000 hello", "SET", "SET user:*", "SET user:* ?");
	expect("MSET a:1 x b:1 y", "MSET", "MSET a:*", "MSET a:* ? ? ?");
	expect("PING", "PING", "PING", "PING");
	expect("config get maxmemory", "CONFIG|GET", "CONFIG|GET", "CONFIG GET ?");
	expect("CLIENT mystery", "CLIENT", "CLIENT", "CLIENT ?");
	expect("DEBUG sleep 1", "DEBUG", "DEBUG", "DEBUG ? ?");
	expect("OBJECT ENCODING k:1", "OBJECT|ENCODING", "OBJECT|ENCODING k:*",
	       "OBJECT ENCODING k:*");
	expect("BITOP AND d:1 s:1", "BITOP", "BITOP d:*", "BITOP ? d:* ?");
	expect("ZUNION 2 a:1 b:1", "ZUNION", "ZUNION a:*", "ZUNION ? a:* ?");
	expect("BLMPOP 0 1 l:1 LEFT", "BLMPOP", "BLMPOP l:*", "BLMPOP ? ? l:* ?");
	expect("XREADGROUP GROUP g c COUNT 1 streams s:1 >", "XREADGROUP", "XREADGROUP s:*",
	       "XREADGROUP ? ? ? ? ? ? s:* ?");
	expect("RPUSH l:1 1 2 3 4 5 6 7", "RPUSH", "RPUSH l:*", "RPUSH l:* ? ? ? ? ? ? ?");
	expect("RPUSH l:1 1 2 3 4 5 6 7 8", "RPUSH", "RPUSH l:*", "RPUSH l:* ? ? ? ? ? ? ? ...");
	expect("KEYS user:*", "KEYS", "KEYS", "KEYS ?");
	expect("MIGRATE h 1 k:1 0 1 AUTH pw", "MIGRATE", "MIGRATE", "MIGRATE ? ? ? ? ? ? ?");
	expect("JSON.SET doc:1 $ {}", "JSON.SET", "JSON.SET doc:*", "JSON.SET doc:* ? ?");
	expect("FT.CONFIG GET x", "FT.CONFIG", "FT.CONFIG", "FT.CONFIG ? ?");
	expect("hunter2 abc", "UNKNOWN", "UNKNOWN", "UNKNOWN ?");
}

static void test_scripts(void **state)
{
	static const char eval[] = "*3\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n0\r\n";

	(void)state;
	assert_int_equal(classify_bytes(eval, strlen(eval)), QUERY_COMMANDS);
	assert_string_equal(batch.classes[0].summary, "EVAL e0e1f9fa");
	assert_string_equal(batch.classes[0].text, "EVAL e0e1f9fa ?");
	classify("", 0, eval, 22, strlen(eval), strlen(eval));
	assert_string_equal(batch.classes[0].summary, "EVAL");
	expect("EVALSHA E0E1F9FABFC9D4800C877A703B823AC0578FF8DB 0", "EVALSHA", "EVALSHA e0e1f9fa",
	       "EVALSHA e0e1f9fa ?");
	expect("EVALSHA secret 0", "EVALSHA", "EVALSHA", "EVALSHA ? ?");
	expect("EVALSHA e0e1f9fa 0", "EVALSHA", "EVALSHA", "EVALSHA ? ?");
	expect("FCALL my_fn 0", "FCALL", "FCALL my_fn", "FCALL my_fn ?");
	expect("FCALL my.fn 0", "FCALL", "FCALL", "FCALL ? ?");
}

static void expect_key(const char *key, size_t len, size_t captured, const char *pattern)
{
	struct slice copy = guard_copy(key, captured);
	char out[REDIS_KEY_BYTES];
	size_t n = redis_key_mask(copy, len, out);

	assert_int_equal(n, strlen(out));
	assert_string_equal(out, pattern);
	guard_free(copy);
}

#define KEY(key, pattern) expect_key(key, sizeof(key) - 1, sizeof(key) - 1, pattern)

static void test_keys(void **state)
{
	(void)state;
	KEY("user:1000", "user:*");
	KEY("user:", "user:*");
	KEY("app12:user:1", "app*:*");
	KEY("{user:1}:x", "{user:*");
	KEY("session4711", "session*");
	KEY("sort_list", "sort_list");
	KEY("12345", "*");
	KEY("cache-9f86d081884c7d65-de", "cache-*-de");
	KEY("550e8400-e29b-41d4-a716-446655440000", "*");
	KEY("u-550e8400-e29b-41d4-a716-446655440000:x", "u-*:*");
	KEY("deadbeefcafe1234:x", "*:*");
	KEY("alice@example.com", "alice*");
	KEY("alice@example.com:cart", "alice*");
	KEY("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.abc", "eyJhbGciOiJIUzI*");
	KEY("qwertyuiopasdfghjklzxcvbnmqwerty", "*");
	KEY("a_very_long_key_without_any_delimiter_at_all", "a_very_long_key_without_any_*");
	KEY("\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87:1", "\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87:*");
	KEY("\x01\xff:1", "\\x01\\xff:*");
	KEY("\x01\x02\x03\x04\x05\x06:1", "\\x01\\x02\\x03\\x04*");
	KEY("\x01\x02secret", "*");
	KEY("a\xe2\x80\xae:1", "a\\xe2\\x80\\xae:*");
	KEY("", "\"\"");
	expect_key("user:1000", 9, 2, "us*");
	expect_key("deadbeef1234", 12, 7, "*");
	expect_key("session4711secret", 17, 9, "session*");
	expect_key("", 9, 0, "*");
}

static void test_keys_none(void **state)
{
	static const char set[] = "*3\r\n$3\r\nSET\r\n$6\r\nuser:1\r\n$1\r\nx\r\n";
	struct redis_message message = {.tail = {(const uint8_t *)set, strlen(set)},
					.received = strlen(set),
					.last_received = strlen(set)};

	(void)state;
	redis_classify(&message, REDIS_KEYS_NONE, &batch);
	assert_string_equal(batch.classes[0].summary, "SET");
	assert_string_equal(batch.classes[0].text, "SET ? ?");
}

static void test_verdicts(void **state)
{
	(void)state;
	VERDICT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", QUERY_ENCRYPTED);
	VERDICT("\x17\x03\x03\x00\x13xxxxxxxxxxxxxxxxxxx", QUERY_ENCRYPTED);
	VERDICT("\x17\x03\x03\xff\xffxxx", QUERY_STALE);
	VERDICT("GET / HTTP/1.1\r\nHost: x\r\n\r\n", QUERY_OTHER);
	VERDICT("POST /api HTTP/1.1\r\n", QUERY_OTHER);
	VERDICT("HTTP/1.1 200 OK\r\n", QUERY_OTHER);
	VERDICT("GET /no/end/of/line", QUERY_STALE);
	VERDICT("+OK\r\n", QUERY_OTHER);
	VERDICT("-ERR unknown command\r\n", QUERY_OTHER);
	VERDICT(":1\r\n", QUERY_OTHER);
	VERDICT("$5\r\nhello\r\n", QUERY_OTHER);
	VERDICT("$-1\r\n", QUERY_OTHER);
	VERDICT("*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$2\r\nhi\r\n", QUERY_OTHER);
	VERDICT("", QUERY_STALE);
	VERDICT("hallo world\r\n", QUERY_STALE);
	VERDICT("\0\0\0\0\0\0", QUERY_STALE);
	VERDICT("*1\r\n$3\r\n\x01\x02\x03\r\n", QUERY_STALE);
	VERDICT("*2\r\n$3\r\nGE", QUERY_STALE);
	VERDICT("*2\r\n$3\r\nGET\r\n$1\r\nkxx", QUERY_STALE);
	VERDICT("get user:1\r\n", QUERY_COMMANDS);
	VERDICT("\r\n*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n", QUERY_COMMANDS);
}

static void test_lost_first(void **state)
{
	(void)state;
	VERDICT("\0002\r\n$3\r\nGET\r\n$3\r\na:1\r\n", QUERY_COMMANDS);
	assert_string_equal(batch.classes[0].summary, "GET a:*");
	VERDICT("\0ING\r\n", QUERY_COMMANDS);
	assert_string_equal(batch.classes[0].operation, "PING");
	VERDICT("\0ET a\r\n", QUERY_STALE); /* GET, SET */
	VERDICT("\0 ING\r\n", QUERY_STALE);
}

/* 1 MB in 64 pieces: from the head it is one SET, wherever the last receive is. */
static void test_big_set(void **state)
{
	char set[128];
	size_t n = (size_t)sprintf(set, "*3\r\n$3\r\nSET\r\n$5\r\nk:big\r\n$1048576\r\n");
	char piece[256];

	(void)state;
	memset(piece, 'v', sizeof(piece));
	for (uint64_t at = 16384; at <= n + 1048578; at += 16384) {
		classify(set, n, piece, sizeof(piece), at, 16384);
		assert_int_equal(batch.verdict, QUERY_COMMANDS);
		assert_int_equal(batch.n_commands, 1);
		assert_false(batch.cut);
		assert_string_equal(batch.classes[0].text, "SET k:* ?");
	}
	/* The last piece, with a PING behind it; then that PING's own receive. */
	memset(piece, 'v', 100);
	memcpy(piece + 100, "\r\n*1\r\n$4\r\nPING\r\n", 16);
	classify(set, n, piece, 116, n + 1048578 + 14, 116);
	assert_int_equal(batch.n_commands, 2);
	assert_string_equal(batch.classes[1].operation, "PING");
	classify(set, n, piece + 102, 14, n + 1048578 + 14, 14);
	assert_int_equal(batch.n_commands, 1);
	assert_string_equal(batch.classes[0].operation, "PING");
	assert_false(batch.cut);
	/* Without a head there is nothing to tell. */
	assert_int_equal(classify("", 0, piece, 90, 32768, 16384), QUERY_STALE);
}

static void test_resync(void **state)
{
	static const char tail[] =
		"lue\r\n*2\r\n$3\r\nGET\r\n$3\r\na:1\r\n*2\r\n$3\r\nGET\r\n$3\r\nb:1";
	static const char fake[] =
		"lue\r\n*1\r\n$3\r\nabc\r\n*3\r\n$3\r\nGET\r\n$1\r\nx\r\nyyyyyyyyy\r\n";

	(void)state;
	assert_int_equal(classify_bytes(tail, strlen(tail)), QUERY_COMMANDS);
	assert_true(batch.cut);
	assert_int_equal(batch.n_commands, 2);
	assert_string_equal(batch.classes[0].summary, "GET a:*");
	assert_int_equal(classify_bytes(fake, strlen(fake)), QUERY_STALE);
	/* The head is cut in a long command, and the tail is in the middle of it. */
	classify("*9\r\n$5\r\nRPUSH\r\n$3\r\nl:1\r\n", 24, "xxxxx\r\n$4\r\nyyyy\r\n", 17, 40000,
		 16384);
	assert_int_equal(batch.verdict, QUERY_COMMANDS);
	assert_true(batch.cut);
	assert_string_equal(batch.classes[0].summary, "RPUSH l:*");
	/* The head is cut, and the tail starts anew. */
	classify("*9\r\n$5\r\nRPUSH\r\n$3\r\nl:1\r\n", 24, "*1\r\n$4\r\nPING\r\n", 14, 4000, 14);
	assert_int_equal(batch.n_commands, 1);
	assert_false(batch.cut);
	assert_string_equal(batch.classes[0].operation, "PING");
}

static void test_batches(void **state)
{
	char bytes[8192], words[64];
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 16; i++)
		n = array(bytes, n, i % 4 ? "GET user:1" : "SET user:1 v");
	assert_int_equal(classify_bytes(bytes, n), QUERY_COMMANDS);
	assert_int_equal(batch.n_classes, 2);
	assert_int_equal(batch.classes[0].count, 4);
	assert_int_equal(batch.classes[1].count, 12);
	assert_false(batch.cut);
	classify("", 0, bytes, n - 33, n, n);
	assert_true(batch.cut);

	n = 0;
	for (int i = 0; i < 40; i++) {
		sprintf(words, "GET k%c%c:1", 'a' + i / 6, 'a' + i % 6);
		n = array(bytes, n, words);
		classify_bytes(bytes, n);
		assert_int_equal(batch.n_commands, i + 1);
		assert_int_equal(batch.n_classes, i < 32 ? i + 1 : 32);
	}
	assert_string_equal(batch.classes[31].operation, "other");
	assert_int_equal(batch.classes[31].count, 9);
	assert_string_equal(batch.classes[30].summary, "GET kfa:*");

	n = array(bytes, 0, "MULTI");
	n = array(bytes, n, "INCR n:1");
	n = array(bytes, n, "EXEC");
	classify_bytes(bytes, n);
	assert_int_equal(batch.n_classes, 3);
	assert_string_equal(batch.classes[2].operation, "EXEC");
}

/* Between what is captured of the beginning and of the end a terabyte is missing: nobody walks over that. */
static void test_gap(void **state)
{
	char head[512], tail[4096];

	(void)state;
	memset(head, 'h', sizeof(head));
	memset(tail, 't', sizeof(tail));
	classify(head, sizeof(head), tail, sizeof(tail), 1ull << 40, sizeof(tail));
	assert_int_equal(batch.verdict, QUERY_STALE);
	memcpy(tail + 100, "\r\n*1\r\n$4\r\nPING\r\n*1", 18);
	classify(head, sizeof(head), tail, 116, 1ull << 40, 116);
	assert_int_equal(batch.verdict, QUERY_COMMANDS);
	assert_string_equal(batch.classes[0].operation, "PING");
}

/* Bytes overwritten behind the first commands: nothing of it is believed. */
static void test_overwritten(void **state)
{
	char bytes[512];
	size_t n = array(bytes, 0, "GET a:1");

	(void)state;
	memcpy(bytes + n, "garbage here", 12);
	assert_int_equal(classify_bytes(bytes, n + 12), QUERY_STALE);
	/* Copied on receipt, it is what the server saw. */
	assert_int_equal(classify(bytes, n + 12, "", 0, n + 12, n + 12), QUERY_COMMANDS);
	assert_true(batch.cut);
}

/* --- privacy --- */

static bool has_secret(const char *text)
{
	char lower[QUERY_TEXT_BYTES];
	size_t n = 0;

	for (; text[n]; n++)
		lower[n] = (char)tolower((unsigned char)text[n]);
	lower[n] = '\0';
	return strstr(lower, "hunter") || strstr(lower, "s3cr") || strstr(lower, "4711");
}

static void check_private(const char *what, size_t cut)
{
	for (uint32_t i = 0; i < batch.n_classes; i++)
		if (has_secret(batch.classes[i].operation) ||
		    has_secret(batch.classes[i].summary) || has_secret(batch.classes[i].text))
			fail_msg("%s, cut at %zu: %s | %s | %s", what, cut,
				 batch.classes[i].operation, batch.classes[i].summary,
				 batch.classes[i].text);
}

/* Every window of the bytes, as captured in one piece, in two, and with the beginning missing. */
static void check_windows(const char *what, const char *bytes, size_t len)
{
	for (size_t cut = 0; cut <= len; cut++) {
		classify("", 0, bytes, cut, len, len);
		check_private(what, cut);
		classify("", 0, bytes, cut, cut, cut);
		check_private(what, cut);
		classify("", 0, bytes + cut, len - cut, len - cut, len - cut);
		check_private(what, cut);
		classify(bytes, cut / 2, bytes + cut, len - cut, len, len - cut);
		check_private(what, cut);
	}
}

static void test_privacy(void **state)
{
	static const char *const forms[] = {
		"AUTH hunter2",
		"AUTH bob hunter2",
		"HELLO 3 AUTH bob hunter2 SETNAME hunter2",
		"CONFIG SET requirepass hunter2",
		"CONFIG hunter2",
		"ACL SETUSER bob >hunter2",
		"MIGRATE host 6379 hunter2 0 100 AUTH hunter2 KEYS hunter2",
		"ECHO hunter2",
		"hunter2",
		"hunter2 s3cret",
		"x.hunter2",
		"JSON.SET d:4711 $ hunter2",
		"PUBLISH hunter2 s3cret",
		"SUBSCRIBE hunter2",
		"KEYS hunter2*",
		"SCAN 0 MATCH hunter2",
		"EVAL hunter2 1 k:4711",
		"EVALSHA hunter2 0",
		"SCRIPT LOAD hunter2",
		"FCALL f 1 hunter2",
		"DEBUG hunter2",
		"CLIENT SETNAME hunter2",
		"OBJECT hunter2",
		"XREAD STREAMS s:4711 0",
		"SORT k:4711 BY hunter2 GET s3cret",
		"SELECT 4711",
		"GEORADIUS g:4711 1 2 STORE hunter2",
	};
	char bytes[1024], words[256];

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		check_windows(forms[i], bytes, array(bytes, 0, forms[i]));
	for (size_t i = 0; i < n_redis_commands; i++) {
		if (strchr(redis_commands[i].name, '|') || strstr(redis_commands[i].name, "FCALL"))
			continue;
		sprintf(words, "%s key:4711s3cret key:s3cret key:hunter2 hunter2:4711",
			redis_commands[i].name);
		/* Whatever is taken for a key here loses all but "key:". */
		classify_bytes(bytes, array(bytes, 0, words));
		check_private(words, 0);
		sprintf(words, "%s k:4711 k:hunter2 k:s3cret k:hunter2", redis_commands[i].name);
		check_windows(words, bytes, array(bytes, 0, words));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classes),  cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_keys),     cmocka_unit_test(test_keys_none),
		cmocka_unit_test(test_verdicts), cmocka_unit_test(test_lost_first),
		cmocka_unit_test(test_big_set),  cmocka_unit_test(test_resync),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_batches),  cmocka_unit_test(test_overwritten),
		cmocka_unit_test(test_privacy),
	};

	return cmocka_run_group_tests_name("redis", tests, NULL, NULL);
}

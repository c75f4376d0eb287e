/* SPDX-License-Identifier: Apache-2.0 */
/*
 * However a message is cut into windows, what is said of it stays the same; however it is
 * truncated, less is said, never anything else; however it is damaged, nothing breaks.
 *
 * Also replays the fuzzer's corpus, with the fuzz target's own checks. Random, with a fixed seed.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "fuzz/fuzz_redis.c"
#include "guard.h"
#include "protocols/resp.h"

#define CORPUS    "tests/fuzz/corpus/fuzz_redis"
#define ROUNDS    60
#define BYTES_MAX 2048

static struct query_batch whole, part;

static uint32_t next_random(uint32_t below)
{
	static uint64_t state = 42;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % below;
}

static size_t put_bulk(char *out, const char *bytes, size_t len)
{
	size_t n = (size_t)sprintf(out, "$%zu\r\n", len);

	memcpy(out + n, bytes, len);
	memcpy(out + n + len, "\r\n", 2);
	return n + len + 2;
}

/* A command of a random name with random arguments, some of them nasty. */
static size_t put_command(char *out)
{
	static const char *const names[] = {"GET",    "set",    "PING",    "LPUSH",
					    "config", "EVAL",   "xread",   "JSON.SET",
					    "ZUNION", "NOSUCH", "EVALSHA", "hmset"};
	static const char *const args[] = {"user:1000",
					   "k",
					   "",
					   "get",
					   "STREAMS",
					   "\r\n",
					   "s:1",
					   "*1\r\n$3\r\nxyz\r\n",
					   "a long value, with blanks in it",
					   "\xff\x01:\x02",
					   "4711",
					   "alice@example.com"};
	uint32_t n_args = 1 + next_random(6);
	const char *word;
	size_t n;

	if (!next_random(8))
		return (size_t)sprintf(out, "SET inline:%u 'quoted value'\r\n", next_random(100));
	n = (size_t)sprintf(out, "*%u\r\n", n_args);
	for (uint32_t i = 0; i < n_args; i++) {
		word = i ? args[next_random(12)] : names[next_random(12)];
		n += put_bulk(out + n, word, strlen(word));
	}
	return n;
}

static size_t put_message(char *out)
{
	size_t n = 0;

	for (uint32_t left = 1 + next_random(4); left; left--)
		n += put_command(out + n);
	return n;
}

static void classify(struct query_batch *batch, const char *bytes, size_t head, size_t tail,
		     size_t tail_len, size_t received)
{
	struct slice h = guard_copy(bytes, head), t = guard_copy(bytes + tail, tail_len);
	struct redis_message message = {h, t, received, received - tail};

	redis_classify(&message, REDIS_KEYS_PREFIX, batch);
	check_batch(batch);
	guard_free(h);
	guard_free(t);
}

static void assert_same(void)
{
	assert_int_equal(part.verdict, whole.verdict);
	assert_int_equal(part.cut, whole.cut);
	assert_int_equal(part.n_classes, whole.n_classes);
	for (uint32_t i = 0; i < whole.n_classes; i++) {
		assert_string_equal(part.classes[i].summary, whole.classes[i].summary);
		assert_string_equal(part.classes[i].text, whole.classes[i].text);
		assert_int_equal(part.classes[i].count, whole.classes[i].count);
	}
}

static void test_windows(void **state)
{
	char bytes[BYTES_MAX];

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		size_t len = put_message(bytes);

		for (size_t cut = 0; cut < len; cut++) {
			size_t more = next_random((uint32_t)(len - cut + 1));

			classify(&whole, bytes, len, cut, 0, len);
			assert_int_equal(whole.verdict, QUERY_COMMANDS);
			classify(&part, bytes, cut, cut, len - cut, len);
			assert_same();
			classify(&part, bytes, cut + more, cut, len - cut, len);
			assert_same();
		}
		classify(&part, bytes, 0, 0, len, len);
		classify(&whole, bytes, len, 0, 0, len);
		assert_same();
	}
}

/* Is `operation` one of the whole batch's, or the container of one? */
static bool is_known(const char *operation)
{
	size_t len = strlen(operation);

	for (uint32_t i = 0; i < whole.n_classes; i++) {
		const char *have = whole.classes[i].operation;

		if (!strncmp(have, operation, len) && (!have[len] || have[len] == '|'))
			return true;
	}
	return false;
}

static void test_truncations(void **state)
{
	char bytes[BYTES_MAX];

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		size_t len = put_message(bytes);

		classify(&whole, bytes, len, 0, 0, len);
		for (size_t cut = 0; cut < 2 * len; cut++) {
			size_t captured = cut % len, received = cut < len ? len : captured;

			classify(&part, bytes, 0, 0, captured, received);
			assert_true(part.verdict == QUERY_COMMANDS || part.verdict == QUERY_STALE);
			assert_true(part.n_commands <= whole.n_commands);
			for (uint32_t i = 0; i < part.n_classes; i++)
				if (!is_known(part.classes[i].operation))
					fail_msg("%s", part.classes[i].operation);
		}
	}
}

/* A truncated command is partial if it was not received, else cut; never complete, never bad. */
static void test_statuses(void **state)
{
	char bytes[BYTES_MAX];

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		size_t len = put_command(bytes);

		for (size_t cut = 0; cut < len; cut++) {
			struct slice tail = guard_copy(bytes, cut);
			struct redis_message message = {
				.tail = tail, .received = cut, .last_received = cut};
			struct resp_command command;
			struct resp_reader reader;

			resp_init(&reader, &message, 0);
			assert_int_equal(resp_next(&reader, &command), RESP_PARTIAL);
			message.received = message.last_received = len;
			resp_init(&reader, &message, 0);
			/* Complete only by a jump over bytes of a declared length. */
			switch (resp_next(&reader, &command)) {
			case RESP_CUT:
				break;
			case RESP_COMPLETE:
				assert_int_equal(command.end, len);
				assert_int_equal(command.n_kept, command.n_args);
				break;
			default:
				fail();
			}
			guard_free(tail);
		}
	}
}

static void fuzz_one(const void *bytes, size_t len)
{
	struct slice copy = guard_copy(bytes, len);

	LLVMFuzzerTestOneInput(copy.ptr, copy.len);
	guard_free(copy);
}

static void test_mutations(void **state)
{
	char bytes[BYTES_MAX];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t len = 5 + put_message(bytes + 5);

		bytes[0] = (char)next_random(4);
		bytes[1] = bytes[2] = bytes[4] = 0;
		bytes[1] = (char)next_random(256);
		bytes[3] = (char)next_random(256);
		for (uint32_t n = next_random(4); n; n--) {
			uint32_t at = 5 + next_random((uint32_t)len - 5);

			bytes[at] = next_random(2) ? (char)next_random(256)
						   : "*$\r\n0-\"'"[next_random(8)];
		}
		fuzz_one(bytes, len);
	}
}

/* Hostile sizes: time stays linear in what is captured. */
static void test_garbage(void **state)
{
	static const char *const units[] = {"*1\r\n",     "\r\n*9\r\n$3\r\n",
					    "*0\r\n",     "\n",
					    "$0\r\n\r\n", "\r\n*2147483647\r\n$3\r\nGET\r\n",
					    "GET \"",     "\\x"};
	static char bytes[65536];

	(void)state;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t n = 0, len = strlen(units[i]);

		for (; n + len <= sizeof(bytes); n += len)
			memcpy(bytes + n, units[i], len);
		classify(&part, bytes, 0, 0, n, n);
		classify(&part, bytes, n / 2, n / 2, n - n / 2, n);
		classify(&part, bytes, 100, n / 2, 100, n);
	}
}

static void test_corpus(void **state)
{
	DIR *dir = opendir(CORPUS);
	struct dirent *entry;
	char path[512], bytes[8192];
	int n = 0;

	(void)state;
	if (!dir)
		fail_msg("no %s: run from the top of the tree", CORPUS);
	while ((entry = readdir(dir))) {
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), CORPUS "/%s", entry->d_name);
		file = fopen(path, "rb");
		assert_non_null(file);
		fuzz_one(bytes, fread(bytes, 1, sizeof(bytes), file));
		fclose(file);
		n++;
	}
	closedir(dir);
	assert_true(n >= 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_windows),  cmocka_unit_test(test_truncations),
		cmocka_unit_test(test_statuses), cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_garbage),  cmocka_unit_test(test_corpus),
	};

	return cmocka_run_group_tests_name("resp_split", tests, NULL, NULL);
}

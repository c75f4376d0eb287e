/* SPDX-License-Identifier: Apache-2.0 */
/*
 * However a stream of MySQL's packets is cut, less is said of it, never anything else; several packets say what each of
 * them says; and nothing of a value comes out, wherever it stands and however it is cut.
 *
 * Also replays the fuzzer's corpus, with the fuzz target's own checks. Random, with a fixed seed.
 */
#include <ctype.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "fuzz/fuzz_mysql.c"
#include "guard.h"

#define CORPUS	   "tests/fuzz/corpus/fuzz_mysql"
#define ROUNDS	   100
#define BYTES_MAX  4096
#define PACKET_MAX 400

static struct query_batch whole, part;

static uint32_t next_random(uint32_t below)
{
	static uint64_t state = 42;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % below;
}

struct stream {
	uint8_t bytes[BYTES_MAX];
	size_t n;
};

static void put_packet(struct stream *s, uint8_t sequence, uint8_t command, const void *rest, size_t n)
{
	put_le24(s->bytes + s->n, n + 1);
	s->bytes[s->n + 3] = sequence;
	s->bytes[s->n + 4] = command;
	if (n)
		memcpy(s->bytes + s->n + 5, rest, n);
	s->n += 5 + n;
	assert_true(s->n < BYTES_MAX);
}

static void put_statement(struct stream *s, uint8_t command, uint32_t id, const char *values)
{
	uint8_t rest[PACKET_MAX] = {(uint8_t)id, (uint8_t)(id >> 8), 0, 0, 0, 1, 0, 0, 0};
	size_t n = strlen(values);

	memcpy(rest + 9, values, n);
	put_packet(s, 0, command, rest, 9 + n);
}

/* SQL, for MySQL 8 sometimes behind an attribute. */
static void put_query(struct stream *s, const char *sql)
{
	static const char attribute[] = "\1\1\0\1\xfe\0\3key\7hunter2";
	char rest[PACKET_MAX];
	size_t n = 0;

	switch (next_random(3)) {
	case 0:
		memcpy(rest, attribute, n = sizeof(attribute) - 1);
		break;
	case 1:
		memcpy(rest, "\0\1", n = 2);
		break;
	}
	memcpy(rest + n, sql, strlen(sql));
	put_packet(s, 0, COM_QUERY, rest, n + strlen(sql));
}

/* Every value in these has "hunter", "s3cr" or "4711" in it, every name has not. */
static const char *const statements[] = {
	"SELECT a FROM t WHERE b = 'hunter2'",
	"SELECT a, 'it''s hunter2' FROM t AS u WHERE b IN (4711, 4711.5e3, 0x4711) LIMIT 4711",
	"INSERT INTO t (a, b) VALUES (4711, \"s3cret\"), (?, _utf8'hunter2')",
	"UPDATE t SET a = 'hunter\\'2', b = -4711 WHERE c = @x",
	"DELETE FROM db.t WHERE `a` = x'4711'",
	"/* hunter2 */ SELECT 1 FROM t -- s3cret\n",
	"REPLACE INTO t VALUES (4711)",
	"CREATE TABLE u (a INT DEFAULT 4711, b TEXT COMMENT 'hunter2')",
	"SET PASSWORD FOR 'bob'@'h' = 'hunter2'",
	"CREATE USER bob IDENTIFIED BY 'hunter2'",
	"CALL p('hunter2', 4711)",
	"PREPARE p FROM 'SELECT a FROM t WHERE b = \"hunter2\"'",
	"EXECUTE IMMEDIATE 'UPDATE t SET a = \\'hunter2\\''",
	"EXECUTE p USING @a",
	"SELECT 1; INSERT INTO t VALUES ('hunter2'); SELECT a FROM u",
	"SHOW TABLES LIKE 'hunter2'",
	"BEGIN",
	"LOAD DATA LOCAL INFILE '/s3cret' INTO TABLE t",
};
#define N_STATEMENTS (sizeof(statements) / sizeof(statements[0]))

static void put_random(struct stream *s)
{
	static const uint8_t plain[] = {COM_PING, COM_STATISTICS, COM_RESET_CONNECTION, COM_STMT_RESET};

	switch (next_random(10)) {
	case 0:
		put_packet(s, 0, plain[next_random(4)], "", 0);
		break;
	case 1:
		put_packet(s, 0, COM_STMT_PREPARE, statements[0], strlen(statements[0]));
		break;
	case 2:
		put_statement(s, COM_STMT_EXECUTE, next_random(400), "hunter2s3cret4711");
		break;
	case 3:
		put_statement(s, COM_STMT_BULK_EXECUTE, next_random(400), "hunter2");
		break;
	case 4:
		put_statement(s, COM_STMT_FETCH, next_random(400), "");
		break;
	case 5:
		put_statement(s, next_random(2) ? COM_STMT_CLOSE : COM_STMT_SEND_LONG_DATA, 1, "hunter2");
		break;
	default:
		put_query(s, statements[next_random(N_STATEMENTS)]);
	}
}

static void put_message(struct stream *s)
{
	s->n = 0;
	for (uint32_t left = 1 + next_random(5); left; left--)
		put_random(s);
}

static void classify(struct query_batch *batch, const uint8_t *bytes, size_t captured, uint64_t received)
{
	struct slice copy = guard_copy(bytes, captured);

	mysql_classify(&(struct mysql_batch){copy, received}, batch);
	check_batch(batch);
	guard_free(copy);
}

/* --- less, never anything else --- */

static bool begins(const char *longer, const char *shorter, size_t n)
{
	return !strncmp(longer, shorter, n);
}

/* Of one command of the whole: all of it, or its beginning. */
static bool says_no_more(const struct query_class *p, const struct query_class *w)
{
	static const char *const less[] = {"UNKNOWN", "EXECUTE"};
	size_t text = strlen(p->text);

	if (!strcmp(p->summary, w->summary) && !strcmp(p->text, w->text))
		return true;
	if (!strcmp(p->text, "QUERY") || !strcmp(p->text, "PREPARE") || !strcmp(p->text, "...")) /* and of its SQL nothing */
		return true;
	for (size_t i = 0; i < sizeof(less) / sizeof(less[0]); i++)
		if (!strcmp(p->operation, less[i]))
			return true;
	if (text > 3 && !strcmp(p->text + text - 3, "..."))
		text -= 3;
	/* Of two words the second may be missing. The last things of a text may look different in company. */
	return begins(w->operation, p->operation, strlen(p->operation)) && begins(w->text, p->text, text < 8 ? text : 8) &&
	       (begins(w->summary, p->summary, strlen(p->summary)) || !strcmp(p->summary, p->operation));
}

/* Returns whether the last command is cut itself. */
static bool check_part(size_t cut)
{
	uint32_t fresh = 0;

	assert_true(part.n_commands <= whole.n_commands);
	for (uint32_t i = 0; i < part.n_classes; i++) {
		const struct query_class *p = &part.classes[i];
		bool same = false, less = false;

		for (uint32_t k = 0; k < whole.n_classes; k++) {
			same = same || (!strcmp(p->summary, whole.classes[k].summary) && !strcmp(p->text, whole.classes[k].text));
			less = less || says_no_more(p, &whole.classes[k]);
		}
		if (!less)
			fail_msg("cut at %zu: %s | %s", cut, p->summary, p->text);
		fresh += !same;
	}
	assert_true(fresh <= 1);
	return fresh;
}

static bool has_unanswered(const struct query_batch *batch)
{
	return batch->n_classes && (!strcmp(batch->classes[0].operation, "STMT_CLOSE") ||
				    !strcmp(batch->classes[0].operation, "STMT_SEND_LONG_DATA"));
}

static void test_truncations(void **state)
{
	struct stream s;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		put_message(&s);
		classify(&whole, s.bytes, s.n, s.n);
		assert_true(whole.verdict == QUERY_COMMANDS || whole.verdict == QUERY_UNKNOWN_STATEMENT);
		assert_false(whole.cut);
		for (size_t cut = 0; cut < 2 * s.n; cut++) {
			size_t captured = cut % s.n;
			bool is_cut;

			classify(&part, s.bytes, captured, cut < s.n ? s.n : captured);
			assert_true(part.verdict != QUERY_STALE || captured <= 4);
			if (has_unanswered(&part)) /* in front of what is not seen yet */
				continue;
			is_cut = check_part(captured);
			/* That commands are missing is seen: they may be, or the last was cut itself. */
			if (cut < s.n && part.n_classes && part.n_commands < whole.n_commands)
				assert_true(part.cut || is_cut);
		}
	}
}

/* --- each as if alone --- */

/* Adds what the packet says alone to *sum. */
static void add_packet(struct query_batch *sum, const uint8_t *packet, size_t n)
{
	classify(&part, packet, n, n);
	for (uint32_t i = 0; i < part.n_classes; i++)
		for (uint32_t k = 0; k < part.classes[i].count; k++) {
			struct query_class spare, *class = query_batch_next(sum, &spare);

			*class = part.classes[i];
			query_batch_add(sum, class);
		}
	if (part.verdict == QUERY_UNKNOWN_STATEMENT)
		sum->verdict = QUERY_UNKNOWN_STATEMENT;
}

static void test_union(void **state)
{
	static struct query_batch answered, unanswered;
	const struct query_batch *sum;
	struct stream s;

	(void)state;
	for (int round = 0; round < 20 * ROUNDS; round++) {
		put_message(&s);
		answered = unanswered = (struct query_batch){.verdict = QUERY_COMMANDS};
		for (size_t at = 0; at < s.n;) {
			size_t n = 4u + s.bytes[at] + 256u * s.bytes[at + 1];
			uint8_t command = s.bytes[at + 4];

			add_packet(command == COM_STMT_CLOSE || command == COM_STMT_SEND_LONG_DATA ? &unanswered : &answered,
				   s.bytes + at, n);
			at += n;
		}
		sum = answered.n_commands ? &answered : &unanswered;
		classify(&whole, s.bytes, s.n, s.n);
		assert_int_equal(whole.verdict, sum->verdict);
		assert_int_equal(whole.n_commands, sum->n_commands);
		assert_int_equal(whole.n_classes, sum->n_classes);
		for (uint32_t i = 0; i < sum->n_classes; i++) {
			assert_string_equal(whole.classes[i].summary, sum->classes[i].summary);
			assert_string_equal(whole.classes[i].text, sum->classes[i].text);
			assert_int_equal(whole.classes[i].count, sum->classes[i].count);
		}
	}
}

/* --- values --- */

static bool has_value(const char *text)
{
	char lower[QUERY_TEXT_BYTES];
	size_t n = 0;

	for (; text[n]; n++)
		lower[n] = (char)tolower((unsigned char)text[n]);
	lower[n] = '\0';
	return strstr(lower, "hunt") || strstr(lower, "s3cr") || strstr(lower, "471");
}

static void check_private(const struct query_batch *batch, size_t cut)
{
	for (uint32_t i = 0; i < batch->n_classes; i++) {
		const struct query_class *c = &batch->classes[i];

		if (has_value(c->operation) || has_value(c->summary) || has_value(c->text) || has_value(c->collection))
			fail_msg("cut at %zu: %s | %s | %s", cut, c->summary, c->text, c->collection);
	}
}

static void check_stream(const uint8_t *bytes, size_t captured, uint64_t received)
{
	struct slice copy = guard_copy(bytes, captured);
	struct mysql_batch batch = {copy, received};
	char schema[MYSQL_SCHEMA_BYTES];

	mysql_classify(&batch, &part);
	check_private(&part, captured);
	mysql_classify_prepared(&batch, &part);
	check_private(&part, captured);
	mysql_schema(copy, schema);
	assert_false(has_value(schema));
	guard_free(copy);
}

static void check_windows(const struct stream *s)
{
	for (size_t cut = 0; cut <= s->n; cut++) {
		check_stream(s->bytes, cut, s->n);
		check_stream(s->bytes, cut, cut);
	}
}

static void test_values(void **state)
{
	struct stream s;

	(void)state;
	for (size_t i = 0; i < N_STATEMENTS; i++) {
		s.n = 0;
		put_packet(&s, 0, COM_QUERY, statements[i], strlen(statements[i]));
		check_windows(&s);
		s.n = 0;
		put_packet(&s, 0, COM_STMT_PREPARE, statements[i], strlen(statements[i]));
		check_windows(&s);
	}
	for (int command = 0; command < 256; command++) {
		if (command == COM_QUERY || command == COM_STMT_PREPARE || command == COM_INIT_DB)
			continue; /* these have SQL, or a name */
		s.n = 0;
		put_packet(&s, 0, (uint8_t)command, "hunter2\0s3cret", 14);
		check_windows(&s);
	}
	for (int round = 0; round < ROUNDS; round++) {
		put_message(&s);
		check_windows(&s);
	}
}

/* The user's name and the password's hash stand in front of the schema. */
static void test_handshake(void **state)
{
	static const char rest[] = "\xa2\2\0\0\0\0\1\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
				   "hunter2\0\x0ehunter2 s3cret\0s\0hunter2\0\x06s3cret";
	struct stream s = {.n = 0};

	(void)state;
	put_packet(&s, 1, 0x08, rest, sizeof(rest) - 1);
	check_windows(&s);
	s.n = 0;
	put_packet(&s, 0, COM_CHANGE_USER, "hunter2\0\x06s3cretshop\0hunter2", 27);
	check_windows(&s);
}

static void test_deflated_values(void **state)
{
	static uint8_t frames[STREAM_MAX], plain[PLAIN_ROOM];
	struct inflater *inflater = inflater_new();
	struct stream s;
	uint64_t received;

	(void)state;
	assert_non_null(inflater);
	for (int round = 0; round < ROUNDS; round++) {
		size_t n;

		put_message(&s);
		n = make_frame(FORM_STORED + round % 3, (struct slice){s.bytes, s.n}, frames);
		for (size_t cut = 0; cut <= n; cut++) {
			size_t out = inflate_mysql(inflater, (struct slice){frames, cut}, n, plain, sizeof(plain), &received);

			assert_true(out <= s.n && !memcmp(plain, s.bytes, out));
			check_stream(plain, out, received);
		}
	}
	inflater_free(inflater);
}

/* --- what breaks --- */

static void fuzz_one(const void *bytes, size_t len)
{
	struct slice copy = guard_copy(bytes, len);

	LLVMFuzzerTestOneInput(copy.ptr, copy.len);
	guard_free(copy);
}

static void test_mutations(void **state)
{
	uint8_t bytes[3 + BYTES_MAX];
	struct stream s;

	(void)state;
	for (int round = 0; round < 5000; round++) {
		put_message(&s);
		bytes[0] = (uint8_t)next_random(16);
		bytes[1] = (uint8_t)next_random(256);
		bytes[2] = (uint8_t)next_random(4);
		memcpy(bytes + 3, s.bytes, s.n);
		for (uint32_t n = next_random(6); n; n--)
			bytes[3 + next_random((uint32_t)s.n)] = next_random(2) ? (uint8_t)next_random(256) : "\0\1\3\x17'`;\xff"[next_random(8)];
		fuzz_one(bytes, 3 + s.n);
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
	assert_true(n >= 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_truncations), cmocka_unit_test(test_union),
		cmocka_unit_test(test_values),	    cmocka_unit_test(test_handshake),
		cmocka_unit_test(test_deflated_values), cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_corpus),
	};

	return cmocka_run_group_tests_name("mysql_cuts", tests, NULL, NULL);
}

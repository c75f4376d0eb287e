/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recorded MongoDB connections (tests/corpus/mongo), replayed through the kernel side's own code, compiled for the host, and
 * through the classification behind it: each command must come out as the client meant it, a getMore as what opened its
 * cursor, however a server reads and replies:
 *
 *	headers first	the header, then the rest, as mongod does; each in one receive, or in several
 *	by buffer	at most 4096 bytes at a time, as Go's bufio.Reader does
 *	greedily	whatever there is; sometimes in pieces
 *
 * NAME.mongo has the chunks {'C' or 'S', length 4, bytes}; NAME.txt a line a command: command, collection, database, summary.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include "bpf/mongo.h"
#include "conversation.h"
#include "profiler/inflate.h"
#include "protocols/mongo.h"

#define BUFFER_BYTES (4 << 20)
#define ROUNDS	     6
#define SOCK	     0xffff888000001000ull
#define SECRET	     "SECRET"
#define SECRET_DIGITS "719719719719"

/* --- the kernel's helpers, over maps of a few entries --- */

static struct mongo_connection connection;
static struct no_connection blank;
static struct open_cursor room;
static bool has_connection;
static struct {
	struct cursor_key key;
	struct open_cursor value;
} open_cursors[64];
static size_t n_cursors;

static struct open_cursor *find_cursor(const struct cursor_key *key)
{
	for (size_t i = 0; i < n_cursors; i++)
		if (!memcmp(&open_cursors[i].key, key, sizeof(*key)))
			return &open_cursors[i].value;
	return NULL;
}

void *bpf_map_lookup_elem(const void *map, const void *key)
{
	static u64 counter;

	if (map == &mongo_connections)
		return has_connection && *(const u64 *)key == SOCK ? &connection : NULL;
	if (map == &cursors)
		return find_cursor(key);
	if (map == &new_cursor)
		return &room;
	return map == &no_connection ? (void *)&blank : &counter;
}

long bpf_map_update_elem(const void *map, const void *key, const void *value, u64 flags)
{
	struct open_cursor *have;

	(void)flags;
	if (map == &mongo_connections) {
		connection = *(const struct mongo_connection *)value;
		has_connection = true;
		return 0;
	}
	have = find_cursor(key);
	if (!have) {
		assert(n_cursors < sizeof(open_cursors) / sizeof(*open_cursors));
		open_cursors[n_cursors].key = *(const struct cursor_key *)key;
		have = &open_cursors[n_cursors++].value;
	}
	memcpy(have, value, sizeof(*have));
	return 0;
}

long bpf_map_delete_elem(const void *map, const void *key)
{
	struct open_cursor *have = map == &cursors ? find_cursor(key) : NULL;

	if (map == &mongo_connections)
		has_connection = false;
	else if (have)
		open_cursors[((char *)have - (char *)&open_cursors[0].value) / sizeof(*open_cursors)] = open_cursors[--n_cursors];
	return 0;
}

/* --- what comes out --- */

static struct inflater *inflater;
static struct worker worker;
static size_t failures, n_commands, n_unknown;

static void fail(const struct conversation *r, size_t line, const char *what, const char *got)
{
	if (failures++ < 20)
		printf("%s, command %zu: \"%s\": %s: \"%s\"\n", r->name, line + 1, line < r->n_lines ? r->lines[line] : "", what, got);
}

/* As attribute_mongo.c does it. */
static enum query_verdict classify(struct query_batch *out, char database[static MONGO_DATABASE_BYTES])
{
	const struct prepared_statement *opener = mongo_opener(&connection, 0);
	struct slice stream = {connection.stream, connection.bytes};
	static uint8_t plain[STREAM_BYTES];
	struct mongo_batch in = {.received = connection.received};

	if (opener) {
		stream = (struct slice){opener->stream, opener->bytes};
		in.received = opener->bytes;
	}
	in.stream.len = inflate_mongo(inflater, stream, in.received, plain, sizeof(plain), &in.received);
	in.stream.ptr = plain;
	in.end = (struct slice){connection.end, connection.end_bytes};
	mongo_database(&in, database);
	return mongo_classify(&in, out);
}

static void check_no_secret(const struct conversation *r, size_t line, const char *text)
{
	if (strstr(text, SECRET) || strstr(text, SECRET_DIGITS))
		fail(r, line, "a value is in it", text);
}

static bool is_prefix(const char *prefix, const char *of)
{
	return !strncmp(prefix, of, strlen(prefix));
}

/* "hello" says in its summary whether it opens a connection or watches over one. */
static bool is_summary(const char *wanted, const char *got)
{
	return !strcmp(wanted, got) || (is_prefix(wanted, got) && (!strcmp(got + strlen(wanted), " handshake") ||
								   !strcmp(got + strlen(wanted), " heartbeat")));
}

/* Recordings of one session, plain and compressed, have the same classes: the texts of the one that came first. */
static void check_twin(const struct conversation *r, size_t line, const struct query_class *c)
{
	static char texts[64][QUERY_TEXT_BYTES];

	if (strncmp(r->name, "twin_", 5) || !strcmp(c->operation, "getMore"))
		return;
	assert(line < 64);
	if (!*texts[line])
		strcpy(texts[line], c->text);
	else if (strcmp(texts[line], c->text))
		fail(r, line, "its twin's text is another", c->text);
}

/* The batch has the class of this line, and its database, if all that can be captured is. */
static void check_line(const struct conversation *r, size_t line, const struct query_batch *got, const char *database, bool whole)
{
	char copy[1024], *field[4], *at = copy;
	bool unknown = got->verdict == QUERY_UNKNOWN_STATEMENT;

	snprintf(copy, sizeof(copy), "%s", r->lines[line]);
	for (int i = 0; i < 4; i++) {
		field[i] = at;
		at += strcspn(at, "\t");
		if (*at)
			*at++ = '\0';
	}
	n_commands++;
	n_unknown += unknown;
	for (uint32_t i = 0; i < got->n_classes; i++) {
		const struct query_class *c = &got->classes[i];

		check_no_secret(r, line, c->operation);
		check_no_secret(r, line, c->summary);
		check_no_secret(r, line, c->text);
		check_no_secret(r, line, c->collection);
		if (!strcmp(c->operation, field[0]) || !strcmp(field[0], "getMore")) {
			if (!unknown && !is_summary(field[3], c->summary))
				continue;
			if (strcmp(c->collection, field[1]))
				continue;
			if (!unknown)
				check_twin(r, line, c);
			if (*database ? strcmp(database, field[2]) : whole && *field[2])
				fail(r, line, "another database", database);
			return;
		}
	}
	fail(r, line, "came out as", got->n_classes ? got->classes[0].summary : "(nothing)");
}

/* --- how servers read --- */

enum reading { HEADERS_FIRST, HEADERS_IN_PIECES, BY_BUFFER, GREEDILY, IN_PIECES, N_READINGS };

struct server {
	struct conversation *conversation;
	enum reading reading;
	uint8_t bytes[BUFFER_BYTES]; /* what the client sent; not read yet from `read` on */
	size_t n, read;
	size_t begun, left; /* our own framing: messages that begin before `read`, and what of the last is to come */
	bool compressed;
};

/* How much the next receive asks for. */
static size_t wanted(const struct server *s)
{
	switch (s->reading) {
	case HEADERS_FIRST:
	case HEADERS_IN_PIECES:
		return s->left ? s->left : MONGO_HEADER_BYTES;
	case BY_BUFFER:
		return 4096;
	default:
		return 1 << 16;
	}
}

/* How much it gets. What begins a connection is told by a whole header. */
static size_t got(const struct server *s, size_t asked)
{
	size_t there = s->n - s->read, n = there < asked ? there : asked, least = has_connection ? 1 : MONGO_HEADER_BYTES;

	if ((s->reading == HEADERS_IN_PIECES || s->reading == IN_PIECES) && n > least && next_random(2))
		n = least + next_random(n - least);
	return n;
}

/* Follows n bytes by a framing of our own. */
static void follow(struct server *s, size_t n)
{
	static uint8_t header[MONGO_HEADER_BYTES];
	static size_t have;

	for (; n; n--, s->read++) {
		if (s->left) {
			size_t skip = s->left < n ? s->left : n;

			s->left -= skip;
			s->read += skip - 1;
			n -= skip - 1;
			continue;
		}
		if (!have)
			s->begun++;
		header[have++] = s->bytes[s->read];
		if (have == sizeof(header)) {
			s->compressed |= le32(header + 12) == OP_COMPRESSED;
			s->left = le32(header) - MONGO_HEADER_BYTES;
			have = 0;
		}
	}
}

static void check_batch(struct server *s)
{
	static struct query_batch batch;
	char database[MONGO_DATABASE_BYTES];
	enum query_verdict verdict;
	size_t line = s->begun - connection.messages;

	verdict = classify(&batch, database);
	if (verdict != QUERY_COMMANDS && verdict != QUERY_UNKNOWN_STATEMENT) {
		/* What comes behind a message longer than the capture is not in it. */
		if (connection.received <= STREAM_BYTES)
			fail(s->conversation, line, "not classified", "");
		return;
	}
	if (batch.n_commands != connection.messages && connection.received <= STREAM_BYTES)
		fail(s->conversation, line, "another number of commands", "");
	for (uint32_t i = 0; i < batch.n_commands && line + i < s->conversation->n_lines; i++)
		check_line(s->conversation, line + i, &batch, database, s->reading == HEADERS_FIRST && batch.n_commands == 1 && !s->compressed);
}

static void serve(struct server *s)
{
	while (s->read < s->n) {
		size_t asked = wanted(s), n = got(s, asked);
		struct receive r = {.sock = SOCK, .buffer = (u64)(s->bytes + s->read), .bytes = n, .wanted = asked, .inode = 7, .port = 27017,
				    .before = s->read, .proof = s->read + n};

		if (n < MONGO_HEADER_BYTES && !has_connection)
			return;
		if (!mongo_receive(&worker, &r)) {
			fail(s->conversation, s->begun, "a receive was not followed", "");
			s->read = s->n;
			return;
		}
		follow(s, n);
		if (!connection.left != !s->left)
			fail(s->conversation, s->begun - 1, "out of step", "");
		if (mongo_executes(&connection) && !connection.left && !connection.header_bytes)
			check_batch(s);
	}
}

/* The server sends it at once, or in pieces. */
static void reply(const uint8_t *bytes, size_t n)
{
	while (n && worker.awaits_reply) {
		size_t part = next_random(2) && n > MONGO_HEADER_BYTES ? MONGO_HEADER_BYTES + next_random(n - MONGO_HEADER_BYTES) : n;

		mongo_reply(&worker, SOCK, (u64)bytes, part);
		bytes += part;
		n -= part;
	}
}

static void replay(struct conversation *r, enum reading reading)
{
	static struct server s;
	size_t unknown = n_unknown;

	s = (struct server){.conversation = r, .reading = reading};
	worker = (struct worker){.who = 42, .generation = reading >= BY_BUFFER, .port = 27017};
	has_connection = false;
	memset(&connection, 0xee, sizeof(connection));
	memset(&room, 0xee, sizeof(room));
	n_cursors = 0;
	for (size_t at = 0; at + 5 <= r->size;) {
		size_t n = le32(r->bytes + at + 1);
		const uint8_t *chunk = r->bytes + at + 5;

		if (r->bytes[at] == 'C') {
			assert(s.n + n <= sizeof(s.bytes));
			memcpy(s.bytes + s.n, chunk, n);
			s.n += n;
			serve(&s);
		} else if (has_connection) {
			reply(chunk, n);
		}
		at += 5 + n;
	}
	if (s.begun != r->n_lines)
		fail(r, s.begun, "another number of commands was read", "");
	if (n_unknown != unknown && !s.compressed)
		fail(r, 0, "a getMore whose opener is not known", "");
	if (n_cursors && !s.compressed && is_prefix("closed_", r->name))
		fail(r, 0, "a cursor is remembered though it was read to its end", "");
}

static void replay_all(struct conversation *c)
{
	for (int reading = 0; reading < N_READINGS; reading++)
		for (int round = 0; round < ROUNDS; round++)
			replay(c, reading);
}

int main(void)
{
	int n;

	inflater = inflater_new();
	assert(inflater);
	n = conversations("tests/corpus/mongo", "mongo", replay_all);
	inflater_free(inflater);
	printf("%d connections, %zu commands, %zu of unknown cursors, %zu failures\n", n, n_commands, n_unknown, failures);
	return failures || !n_commands;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recorded MySQL connections (tests/corpus/mysql), replayed through the kernel side's own code, compiled for the host, and
 * through the classification behind it: each command must come out as the client meant it, however a server reads it:
 *
 *	headers first	the header, then the rest, as mysqld does; each in one receive, or in several
 *	greedily	whatever the client sent at once, in one receive
 *
 * NAME.mysql has the chunks {'C' or 'S', length 4, bytes}, NAME.txt a line a command: name, tab, SQL.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bpf/mysql.h"
#include "conversation.h"
#include "profiler/inflate.h"
#include "protocols/mysql.h"
#include "protocols/sql.h"

#define BUFFER_BYTES (1 << 20)
#define ROUNDS	     8
#define SOCK	     0xffff888000001000ull

/* --- the kernel's helpers, over maps of a few entries --- */

static struct mysql_connection connection, blank;
static bool has_connection;
static struct {
	struct prepared_key key;
	struct prepared_statement value;
} kept[256];
static size_t n_kept;

static struct prepared_statement *find_prepared(const struct prepared_key *key)
{
	for (size_t i = 0; i < n_kept; i++)
		if (!memcmp(&kept[i].key, key, sizeof(*key)))
			return &kept[i].value;
	return NULL;
}

void *bpf_map_lookup_elem(const void *map, const void *key)
{
	static u64 counter;

	if (map == &connections)
		return has_connection && *(const u64 *)key == SOCK ? &connection : NULL;
	if (map == &prepared)
		return find_prepared(key);
	return map == &no_connection ? (void *)&blank : &counter;
}

long bpf_map_update_elem(const void *map, const void *key, const void *value, u64 flags)
{
	struct prepared_statement *have;

	(void)flags;
	if (map == &connections) {
		connection = *(const struct mysql_connection *)value;
		has_connection = true;
		return 0;
	}
	have = find_prepared(key);
	if (!have) {
		assert(n_kept < sizeof(kept) / sizeof(*kept));
		kept[n_kept].key = *(const struct prepared_key *)key;
		have = &kept[n_kept++].value;
	}
	memcpy(have, value, sizeof(*have));
	return 0;
}

long bpf_map_delete_elem(const void *map, const void *key)
{
	struct prepared_statement *have = map == &prepared ? find_prepared(key) : NULL;

	if (map == &connections)
		has_connection = false;
	else if (have)
		kept[((char *)have - (char *)kept) / sizeof(*kept)] = kept[--n_kept];
	return 0;
}

/* Undoes \n, \t, \\ in place. */
static size_t unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		if (*from != '\\') {
			*to++ = *from;
			continue;
		}
		from++;
		*to++ = *from == 'n' ? '\n' : *from == 't' ? '\t' : *from;
	}
	return to - text;
}

/* --- what comes out --- */

static struct inflater *inflater;
static struct worker worker = {.who = 42};
static uint8_t buffer[BUFFER_BYTES], net[BUFFER_BYTES]; /* what the client sent; what the server received */
static size_t failures, n_commands, n_unknown;

static struct mysql_batch plain(const uint8_t *stream, size_t n, uint64_t received, uint8_t *room)
{
	struct mysql_batch out = {{stream, n}, received};

	if (connection.flags & MYSQL_COMPRESSED) {
		out.stream.len = inflate_mysql(inflater, out.stream, received, room, 2 * STREAM_BYTES, &out.received);
		out.stream.ptr = room;
	}
	return out;
}

/* As attribute_mysql.c does it. */
static enum query_verdict classify(struct query_batch *out)
{
	const struct prepared_statement *p = mysql_prepared(&connection, SOCK);
	uint8_t room[2 * STREAM_BYTES];
	struct mysql_batch in = plain(connection.stream, connection.bytes, connection.received, room);
	struct prepared_key key = {.sock = SOCK, .since_ns = connection.since_ns};

	if (connection.flags & MYSQL_COMPRESSED && !p) {
		key.id = mysql_statement_id(&in);
		p = key.id ? find_prepared(&key) : NULL;
	}
	if (!p)
		return mysql_classify(&in, out);
	in = plain(p->stream, p->bytes, p->bytes, room);
	return mysql_classify_prepared(&in, out);
}

static bool executes(const char *command)
{
	return !strcmp(command, "STMT_EXECUTE") || !strcmp(command, "STMT_FETCH") || !strcmp(command, "STMT_BULK_EXECUTE");
}

/* What the recording's line says should come out. */
static void expect(char *line, struct query_batch *out)
{
	char *sql = strchr(line, '\t'), *command = line;
	uint8_t stream[1 << 17];
	size_t n = 0;

	assert(sql);
	*sql++ = '\0';
	n = unescape(sql);
	if (n > sizeof(stream) - 5)
		n = sizeof(stream) - 5;
	if (!strcmp(command, "QUERY") || !strcmp(command, "STMT_PREPARE") || executes(command)) {
		stream[0] = (n + 1) & 0xff, stream[1] = (n + 1) >> 8 & 0xff, stream[2] = (n + 1) >> 16;
		stream[3] = 0;
		stream[4] = !strcmp(command, "STMT_PREPARE") ? COM_STMT_PREPARE : COM_QUERY;
		memcpy(stream + 5, sql, n);
		/* Of more than is captured, that much counts. */
		mysql_classify(&(struct mysql_batch){{stream, n + 5 < STREAM_BYTES ? n + 5 : STREAM_BYTES}, n + 5}, out);
		return;
	}
	*out = (struct query_batch){.n_classes = 1, .n_commands = 1};
	snprintf(out->classes[0].operation, sizeof(out->classes[0].operation), "%.63s", command);
}

static bool has_class(const struct query_batch *batch, const struct query_class *wanted)
{
	for (uint32_t i = 0; i < batch->n_classes; i++)
		if (!strcmp(batch->classes[i].operation, wanted->operation) &&
		    (!*wanted->text || !strcmp(batch->classes[i].text, wanted->text)))
			return true;
	return false;
}

static void fail(const struct conversation *r, size_t line, const struct query_batch *got)
{
	if (failures++ < 20)
		printf("%s, command %zu: \"%.100s\" came out as \"%.100s\"\n", r->name, line + 1, r->lines[line],
		       got->n_classes ? got->classes[0].text : "(nothing)");
}

/* Attributes in front of the SQL have no bound, and of zstd only whole blocks can be had. */
static bool is_beyond_capture(const struct query_batch *batch)
{
	if (connection.received <= STREAM_BYTES)
		return false;
	return batch->verdict == QUERY_STALE || !strcmp(batch->classes[0].text, "QUERY");
}

static bool is_unanswered(const char *operation)
{
	return !strcmp(operation, "STMT_CLOSE") || !strcmp(operation, "STMT_SEND_LONG_DATA");
}

/* The batch is what the lines from `line` on say. Returns the line behind them. */
static size_t check(struct conversation *r, size_t line, const struct query_batch *got)
{
	static struct query_batch wanted;
	char copy[1 << 17];
	uint32_t n = 0;

	do {
		if (line == r->n_lines) {
			failures++;
			printf("%s: more commands than there should be\n", r->name);
			return line;
		}
		snprintf(copy, sizeof(copy), "%s", r->lines[line]);
		expect(copy, &wanted);
		n_commands++;
		/* What is not answered comes with the next command, and does not count then. */
		if (is_unanswered(wanted.classes[0].operation) && !has_class(got, &wanted.classes[0])) {
			line++;
			continue;
		}
		n += wanted.n_commands;
		for (uint32_t i = 0; i < wanted.n_classes && !is_beyond_capture(got); i++)
			if (!has_class(got, &wanted.classes[i]))
				fail(r, line, got);
		line++;
	} while (n < got->n_commands);
	return line;
}

/* --- how servers read --- */

static bool receive(uint8_t *at, size_t n, size_t wanted)
{
	static u32 position;
	struct receive r = {.sock = SOCK, .buffer = (u64)at, .bytes = n, .wanted = wanted, .inode = 7,
			    .before = position, .proof = position + n};

	position += n;
	return mysql_notes_header(&worker, &r) || mysql_receive(&worker, &r);
}

static void reply(struct conversation *r, const uint8_t *bytes, size_t n)
{
	uint64_t inner;

	/* The plain reply is put together where the command came to. Only of some connections it is seen to be sent. */
	if (connection.flags & MYSQL_COMPRESSED)
		inflate_mysql(inflater, (struct slice){bytes, n}, n, (uint8_t *)connection.start, MYSQL_REPLY, &inner);
	else if (connection.flags & MYSQL_HEADERS)
		memcpy((uint8_t *)connection.start, bytes, n < MYSQL_REPLY ? n : MYSQL_REPLY);
	if (worker.awaits_reply && (!(connection.flags & MYSQL_HEADERS) || connection.flags & MYSQL_COMPRESSED))
		mysql_reply(&worker, SOCK, (u64)bytes, n);
}

struct server {
	struct conversation *recording;
	size_t pending; /* bytes of the client that are not read yet */
	size_t line;	/* next command to come */
	bool compressed, tls, pieces;
	bool answers; /* before it reads on */
	uint32_t capabilities;
};

/* Reads n bytes, which are there, in one receive or in pieces, the first of them at least so long. */
static void read_exactly(struct server *s, const uint8_t *bytes, size_t n, size_t first)
{
	uint8_t *at = net;

	memcpy(net, bytes, n); /* header and rest come to the same place */
	for (; n; first = 1) {
		size_t part = s->pieces && n > first ? first + next_random(n - first) : n;

		if (!receive(at, part, n) && !s->tls) {
			failures++;
			printf("%s: a receive of command %zu was not followed\n", s->recording->name, s->line + 1);
		}
		at += part;
		n -= part;
	}
}

static void after_packet(struct server *s, const uint8_t *header)
{
	static struct query_batch got;

	if (header[3] == 1 && !s->line && !s->compressed) {
		s->capabilities = le32(header + MYSQL_HEADER_BYTES);
		s->tls = s->capabilities & CLIENT_SSL;
	}
	if (s->tls || !has_connection || !mysql_executes(&connection) || connection.flags & MYSQL_DATA)
		return;
	if (classify(&got) == QUERY_UNKNOWN_STATEMENT)
		n_unknown++;
	s->line = check(s->recording, s->line, &got);
	s->answers = got.n_classes && !is_unanswered(got.classes[got.n_classes - 1].operation);
}

/* One packet after the other, as far as the client sent them, up to a command that is answered. */
static void serve_headers_first(struct server *s, uint8_t *at, size_t n)
{
	while (n >= MYSQL_HEADER_BYTES && !s->tls && !s->answers) {
		size_t header, length;

		if (!at[3] && s->line && s->capabilities & (CLIENT_COMPRESS | CLIENT_ZSTD))
			s->compressed = true;
		header = s->compressed ? MYSQL_FRAME_BYTES : MYSQL_HEADER_BYTES;
		length = le24(at);
		if (n < header + length)
			break;
		read_exactly(s, at, header, has_connection ? 1 : header);
		read_exactly(s, at + header, length, MYSQL_HANDSHAKE_BYTES);
		after_packet(s, at);
		at += header + length;
		n -= header + length;
	}
	memmove(buffer, at, n);
	s->pending = n;
}

static void replay_headers_first(struct conversation *r, bool pieces)
{
	struct server s = {.recording = r, .pieces = pieces};

	for (size_t at = 0; at + 5 <= r->size;) {
		size_t n = le32(r->bytes + at + 1);
		const uint8_t *chunk = r->bytes + at + 5;

		if (r->bytes[at] == 'C') {
			assert(s.pending + n < BUFFER_BYTES);
			while (s.pending && s.answers) { /* replies that were recorded as one */
				s.answers = false;
				serve_headers_first(&s, buffer, s.pending);
			}
			s.answers = false;
			memcpy(buffer + s.pending, chunk, n);
			serve_headers_first(&s, buffer, s.pending + n);
		} else if (!s.tls && s.line) {
			reply(r, chunk, n);
			s.answers = false;
			serve_headers_first(&s, buffer, s.pending);
		}
		at += 5 + n;
	}
	if (s.tls) {
		failures += !(connection.flags & MYSQL_ENCRYPTED);
		return;
	}
	if (s.line != r->n_lines) {
		failures++;
		printf("%s: %zu commands, not %zu\n", r->name, s.line, r->n_lines);
	}
}

/* All that the client sent at once, in one receive: the commands in it are one batch. */
static void replay_greedily(struct conversation *r)
{
	static struct query_batch got;
	size_t line = 0, begun = 0;

	look_for_mysql = true;
	for (size_t at = 0; at + 5 <= r->size;) {
		size_t n = le32(r->bytes + at + 1);
		const uint8_t *chunk = r->bytes + at + 5;

		if (r->bytes[at] == 'C') {
			memcpy(net, chunk, n);
			receive(net, n, sizeof(net));
			begun = has_connection && mysql_executes(&connection) && !(connection.flags & MYSQL_DATA) ? connection.commands : 0;
			if (connection.flags & MYSQL_ENCRYPTED)
				break;
			if (begun) {
				classify(&got);
				line = check(r, line, &got);
			}
		} else if (has_connection) {
			reply(r, chunk, n);
		}
		at += 5 + n;
	}
	look_for_mysql = false;
}

static void fresh(void)
{
	worker = (struct worker){.who = 42};
	has_connection = false;
	memset(&connection, 0xee, sizeof(connection));
	n_kept = 0;
}

static void replay(struct conversation *c)
{
	for (int round = 0; round < ROUNDS; round++) {
		fresh();
		replay_headers_first(c, round);
	}
	fresh();
	replay_greedily(c);
}

int main(void)
{
	int n;

	inflater = inflater_new();
	assert(inflater);
	n = conversations("tests/corpus/mysql", "mysql", replay);
	inflater_free(inflater);
	printf("%d connections, %zu commands, %zu of unknown statements, %zu failures\n", n, n_commands, n_unknown, failures);
	return failures || !n_commands;
}

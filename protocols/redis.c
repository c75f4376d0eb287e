/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Captured bytes of a Redis connection -> the classes of the commands in play.
 *
 * The walk goes from command to command and keeps those that overlap the last receive:
 *
 *	offset 0			     tail_start		  received
 *	| *2 GET a | *3 SET k $1048576 ........... (jumped over) .... | *1 PING |
 *	  not kept   kept: it reaches into the last receive	       kept
 *
 * Bytes come out of a live server's memory, some time after it read them. They are believed only as
 * far as they parse: a whole array command is followed by another, or by the end. If the first
 * bytes do not parse, they may be the rest of a command whose beginning an earlier read brought (a
 * pipeline longer than the server's buffer), and the walk looks for the next boundary
 *
 *	... \r\n *N\r\n $L\r\n NAME \r\n ...
 *
 * where a command of a known name starts and from where all else parses: values may hold RESP too.
 */
#include <string.h>
#include "redis_internal.h"

#define RESYNC_TRIES 16 /* boundaries that are tried: hostile bytes must not cost quadratic time   \
			 */

enum walk_end {
	WALK_DONE, /* up to the last byte received, or into a command that goes on */
	WALK_CUT,  /* to the end of the captured bytes */
	WALK_BAD,  /* to something that is no request */
};

struct walk {
	struct resp_reader reader;
	struct resp_command command; /* the last one looked at */
	enum redis_keys keys;
	struct query_batch *out;
	uint32_t n_arrays; /* array commands seen whole, in play or not */
};

/* --- what else the bytes may be --- */

/* First bytes at `offset`, for a look at the protocol. */
static size_t peek(const struct resp_reader *reader, uint64_t offset, char *out, size_t size)
{
	struct resp_arg arg = {.offset = offset, .length = size - 1};
	bool whole;
	size_t n = resp_arg_copy(reader, &arg, (uint8_t *)out, size - 1, &whole);

	out[n] = '\0';
	return n;
}

/* Record header of TLS (RFC 8446, section 5.1): type, version 3.x, length */
static bool is_tls(const char *bytes, size_t len)
{
	const uint8_t *b = (const uint8_t *)bytes;
	unsigned int length;

	if (len < 3 || b[0] < 0x14 || b[0] > 0x17 || b[1] != 3 || b[2] > 4)
		return false;
	if (len < 5)
		return true;
	length = (unsigned int)b[3] << 8 | b[4];
	return length > 0 && length <= 16384 + 2048;
}

static bool starts_with(const char *bytes, const char *prefix)
{
	return !strncmp(bytes, prefix, strlen(prefix));
}

/* A request line that no Redis command can be, or a status line. GET is told by its line's end. */
static bool is_http(const char *bytes)
{
	static const char *const starts[] = {"POST /",  "PUT /",         "HEAD /",   "DELETE /",
					     "PATCH /", "OPTIONS ",      "CONNECT ", "TRACE /",
					     "HTTP/1.", "PRI * HTTP/2.0"};
	size_t line = strcspn(bytes, "\r\n");

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (starts_with(bytes, starts[i]))
			return true;
	return starts_with(bytes, "GET ") && line >= 9 && bytes[line] &&
	       starts_with(bytes + line - 9, " HTTP/1.");
}

/* A reply (RESP2 or RESP3): the process is a client on this connection. */
static bool is_reply(const char *bytes)
{
	size_t digits;

	switch (bytes[0]) {
	case '+':
	case '-':
		return (bytes[1] | 0x20) >= 'a' && (bytes[1] | 0x20) <= 'z';
	case ':':
	case '$':
	case '%':
	case '~':
	case '>':
		bytes += 1 + (bytes[1] == '-');
		digits = strspn(bytes, "0123456789");
		return digits && starts_with(bytes + digits, "\r\n");
	case '_':
		return starts_with(bytes + 1, "\r\n");
	case '*':
		digits = 1 + strspn(bytes + 1, "0123456789");
		bytes += digits;
		return starts_with(bytes, "\r\n$7\r\nmessage\r\n") ||
		       starts_with(bytes, "\r\n$8\r\npmessage\r\n") ||
		       starts_with(bytes, "\r\n$8\r\nsmessage\r\n");
	default:
		return false;
	}
}

/* --- batch --- */

static void add(struct walk *walk, const struct redis_name *name)
{
	struct query_class spare, *class = query_batch_next(walk->out, &spare);

	redis_class_build(&walk->reader, &walk->command, name, walk->keys, class);
	query_batch_add(walk->out, class);
}

static void reset(struct walk *walk)
{
	walk->out->n_classes = 0;
	walk->out->n_commands = 0;
	walk->n_arrays = 0;
}

/* --- walk --- */

/* "GET /path" whose line is cut may yet end in HTTP/1.1; and one that does is no command. */
static bool may_be_http(const struct walk *walk, enum resp_status status)
{
	const struct resp_command *command = &walk->command;
	uint64_t offset;
	char last[9] = "";
	bool whole;

	if (!command->is_inline)
		return false;
	if (status == RESP_COMPLETE) {
		const struct resp_arg *arg = &command->args[command->n_kept - 1];

		if (command->n_kept > 1 && arg->length == 8)
			resp_arg_copy(&walk->reader, arg, (uint8_t *)last, 8, &whole);
		return starts_with(last, "HTTP/1.");
	}
	offset = command->args[0].offset + command->args[0].length;
	while (resp_byte(&walk->reader, offset) == ' ')
		offset++;
	return resp_byte(&walk->reader, offset) == '/';
}

/* Does what we know of the command reach into the last receive? */
static bool in_play(const struct walk *walk, enum resp_status status)
{
	uint64_t end = walk->command.end, tail = walk->reader.tail_start;

	return status == RESP_COMPLETE ? end > tail : status == RESP_PARTIAL || end >= tail;
}

/*
 * Looks at one command after the other from `from`, and adds those in play. Inline commands are
 * looked for only where a command surely starts.
 */
static enum walk_end walk_from(struct walk *walk, uint64_t from, bool allow_inline)
{
	struct resp_command *command = &walk->command;
	enum redis_name_status named;
	enum resp_status status;
	struct redis_name name;

	walk->reader.offset = from;
	for (;;) {
		status = resp_next(&walk->reader, command);
		if (status == RESP_BAD || (command->is_inline && !allow_inline))
			return WALK_BAD;
		if (status == RESP_COMPLETE && !command->n_args)
			continue;
		named = redis_name_read(&walk->reader, command, &name);
		if (named == REDIS_NAME_BAD || (named == REDIS_NAME_FOREIGN && command->is_inline))
			return WALK_BAD;
		if (named != REDIS_NAME_MISSING) {
			if (may_be_http(walk, status))
				return WALK_BAD;
			if (in_play(walk, status))
				add(walk, &name);
		}
		if (status != RESP_COMPLETE)
			return status == RESP_CUT ? WALK_CUT : WALK_DONE;
		walk->n_arrays += !command->is_inline;
	}
}

/* Does a command of a known name start at `offset`, as "*N\r\n$L\r\nNAME"? */
static bool starts_command(const struct walk *walk, uint64_t offset)
{
	struct resp_reader reader = walk->reader;
	struct resp_command command;
	struct redis_name name;

	reader.offset = offset;
	return resp_next(&reader, &command) != RESP_BAD && !command.is_inline &&
	       redis_name_read(&reader, &command, &name) == REDIS_NAME_KNOWN;
}

/* Walks from the first boundary behind `from` from which everything parses. */
static enum walk_end resync(struct walk *walk, uint64_t from)
{
	const struct resp_reader *reader = &walk->reader;
	uint64_t captured = reader->tail.len ? reader->tail_start + reader->tail.len : 0;
	enum walk_end end;
	int tries = 0;

	if (captured < reader->head.len)
		captured = reader->head.len;
	for (uint64_t at = from + 1; at < captured && tries < RESYNC_TRIES; at++) {
		if (at >= reader->head.len && at < reader->tail_start)
			at = reader->tail_start; /* what lies between, up to hundreds of megabytes, is not here */
		if (resp_byte(reader, at) != '*' || resp_byte(reader, at - 1) != '\n' ||
		    (at - from >= 2 && resp_byte(reader, at - 2) != '\r'))
			continue;
		tries++;
		if (!starts_command(walk, at))
			continue;
		reset(walk);
		end = walk_from(walk, at, true);
		if (end != WALK_BAD)
			return end;
	}
	reset(walk);
	return WALK_BAD;
}

/*
 * Walks from `from`, which should be a boundary. Bytes that turn bad behind a whole array command
 * are overwritten memory, unless they were copied on receipt: then the server, too, ran what came
 * before and gave up here. Bad from the start: perhaps `from` is no boundary.
 */
static enum walk_end walk_or_resync(struct walk *walk, uint64_t from, bool allow_inline)
{
	enum walk_end end = walk_from(walk, from, allow_inline);

	if (end != WALK_BAD)
		return end;
	if (walk->n_arrays) {
		if (walk->out->n_commands && walk->command.start < walk->reader.head.len)
			return WALK_CUT;
		reset(walk);
		return WALK_BAD;
	}
	reset(walk);
	walk->out->cut = true;
	return resync(walk, from);
}

/*
 * The head did not lead to the tail: headers between them were not captured. The tail may start at
 * a boundary of its own. Where it does not, the command that the head was cut in most likely goes
 * on: receives are one message only while the server has not consumed the first of them.
 */
static enum walk_end walk_tail(struct walk *walk, bool has_head)
{
	struct resp_command head = walk->command;
	struct redis_name name;
	enum walk_end end;

	reset(walk);
	end = walk_or_resync(walk, walk->reader.tail_start, false);
	if (!has_head || (walk->out->n_commands && !walk->out->cut))
		return end;
	walk->command = head;
	if (redis_name_read(&walk->reader, &head, &name) == REDIS_NAME_KNOWN && !head.is_inline) {
		add(walk, &name);
		end = end == WALK_BAD ? WALK_CUT : end;
	}
	return end;
}

enum query_verdict redis_classify(const struct redis_message *message, enum redis_keys keys,
				  struct query_batch *out)
{
	struct walk walk = {.keys = keys, .out = out};
	enum walk_end end;
	uint64_t start;
	char first[256];
	size_t len;

	out->verdict = QUERY_STALE;
	out->n_classes = out->n_commands = 0;
	out->cut = false;
	resp_init(&walk.reader, message, 0);
	start = walk.reader.head.len ? 0 : walk.reader.tail_start;

	len = peek(&walk.reader, start, first, sizeof(first));
	if (is_tls(first, len))
		return out->verdict = QUERY_ENCRYPTED;
	if (is_http(first))
		return out->verdict = QUERY_OTHER;

	if (start) {
		end = walk_tail(&walk, false);
	} else {
		end = walk_or_resync(&walk, 0, true);
		if (end != WALK_DONE && walk.command.end < walk.reader.tail_start)
			end = walk_tail(&walk, end == WALK_CUT);
	}
	if (end == WALK_BAD || (is_reply(first) && first[0] == '*'))
		reset(&walk);
	if (out->n_commands)
		out->verdict = QUERY_COMMANDS;
	else if (is_reply(first))
		out->verdict = QUERY_OTHER;
	out->cut = out->n_commands && (out->cut || end == WALK_CUT);
	return out->verdict;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of a MySQL connection -> the classes of the commands in them.
 *
 *	09 00 00 00  03 S E L E C T ' ' 1		COM_QUERY: the rest is SQL
 *	0a 00 00 00  17 01 00 00 00 00 01 00 00 00	COM_STMT_EXECUTE of statement 1: who remembers its PREPARE?
 *	21 00 00 01  85 a6 ff 01 ...			sequence 1: the handshake response
 *
 * Where both sides know CLIENT_QUERY_ATTRIBUTES, COM_QUERY has attributes in front of the SQL (MySQL, "COM_QUERY"):
 *
 *	03 | number of attributes | number of sets: 1 | NULL bitmap | 1 | (type 2, name)... | values... | SQL
 *
 * As SQL never begins with a byte below 0x20 other than a blank, and has no byte 1, they are told by their first two bytes.
 */
#include <stdio.h>
#include <string.h>
#include "mysql.h"
#include "mysql_internal.h"
#include "sql.h"

#define INNER_BYTES 4096 /* of a statement within a statement */

static const char *const command_names[] = {
	[COM_QUIT] = "QUIT",
	[COM_INIT_DB] = "INIT_DB",
	[COM_QUERY] = "QUERY",
	[COM_FIELD_LIST] = "FIELD_LIST",
	[COM_CREATE_DB] = "CREATE_DB",
	[COM_DROP_DB] = "DROP_DB",
	[COM_REFRESH] = "REFRESH",
	[COM_SHUTDOWN] = "SHUTDOWN",
	[COM_STATISTICS] = "STATISTICS",
	[COM_PROCESS_INFO] = "PROCESS_INFO",
	[COM_PROCESS_KILL] = "PROCESS_KILL",
	[COM_DEBUG] = "DEBUG",
	[COM_PING] = "PING",
	[COM_CHANGE_USER] = "CHANGE_USER",
	[COM_BINLOG_DUMP] = "BINLOG_DUMP",
	[COM_TABLE_DUMP] = "TABLE_DUMP",
	[COM_REGISTER_SLAVE] = "REGISTER_SLAVE",
	[COM_STMT_PREPARE] = "PREPARE",
	[COM_STMT_EXECUTE] = "EXECUTE",
	[COM_STMT_SEND_LONG_DATA] = "STMT_SEND_LONG_DATA",
	[COM_STMT_CLOSE] = "STMT_CLOSE",
	[COM_STMT_RESET] = "STMT_RESET",
	[COM_SET_OPTION] = "SET_OPTION",
	[COM_STMT_FETCH] = "FETCH",
	[COM_BINLOG_DUMP_GTID] = "BINLOG_DUMP_GTID",
	[COM_RESET_CONNECTION] = "RESET_CONNECTION",
	[COM_STMT_BULK_EXECUTE] = "BULK_EXECUTE",
};

static const char *command_name(uint8_t command)
{
	size_t n = sizeof(command_names) / sizeof(*command_names);

	return command < n ? command_names[command] : NULL;
}

static void add_text(char *out, size_t size, size_t at, const char *text)
{
	if (at < size)
		snprintf(out + at, size - at, "%s", text);
}

void mysql_cut_at_word(char *out, size_t size, size_t at, const char *text)
{
	size_t n = strlen(text), room = at < size ? size - 1 - at : 0;

	if (n > room)
		for (n = room; n && text[n] != ' '; n--)
			;
	memcpy(out + at, text, n);
	out[at + n] = '\0';
}

static void set_class(struct query_class *class, const char *operation, const char *summary)
{
	add_text(class->operation, sizeof(class->operation), 0, operation);
	add_text(class->summary, sizeof(class->summary), 0, summary);
	add_text(class->text, sizeof(class->text), 0, summary);
	class->collection[0] = '\0';
}

static void add_command(struct query_batch *out, const char *name)
{
	struct query_class spare, *class = query_batch_next(out, &spare);

	set_class(class, name, name);
	query_batch_add(out, class);
}

/* EXECUTE, FETCH, BULK_EXECUTE: statement id, 4 bytes; or SQL that is cut off */
static void add_unknown(struct query_batch *out, const char *name, struct slice payload)
{
	struct query_class spare, *class = query_batch_next(out, &spare);
	char summary[64];

	if (payload.len >= 5)
		snprintf(summary, sizeof(summary), "%s #%u", name, mysql_le(payload.ptr + 1, 4));
	else
		snprintf(summary, sizeof(summary), "%s", name);
	set_class(class, name, summary);
	query_batch_add(out, class);
	out->verdict = QUERY_UNKNOWN_STATEMENT;
}

/* PREPARE has the summary of what it prepares behind its own name. */
static void make_prepare(struct query_class *class)
{
	char summary[QUERY_SUMMARY_BYTES];

	add_text(summary, sizeof(summary), 0, class->summary);
	add_text(class->operation, sizeof(class->operation), 0, "PREPARE");
	add_text(class->summary, sizeof(class->summary), 0, "PREPARE ");
	mysql_cut_at_word(class->summary, sizeof(class->summary), strlen("PREPARE "), summary);
}

static bool is_operation(const struct query_class *class, const char *operation)
{
	return !strcmp(class->operation, operation);
}

/* PREPARE name FROM '...' says what it prepares; EXECUTE IMMEDIATE '...' is what it executes. */
static void look_inside(struct query_batch *out, struct query_class *class, struct slice text)
{
	uint8_t inner[INNER_BYTES];
	struct query_class spare;
	bool whole;
	size_t n;

	if (!is_operation(class, "PREPARE") && !is_operation(class, "EXECUTE"))
		return;
	n = sql_inner_statement(text, inner, sizeof(inner), &whole);
	n = n ? sql_classify((struct slice){inner, n}, whole, &spare) : 0;
	if (is_operation(class, "PREPARE")) {
		if (n) {
			make_prepare(&spare);
			add_text(class->summary, sizeof(class->summary), 0, spare.summary);
		}
	} else if (n) {
		*class = spare;
	} else {
		out->verdict = QUERY_UNKNOWN_STATEMENT; /* by a name whose PREPARE the caller does not know */
	}
}

/* Every statement of the text; of a prepared one there is only one. */
static void add_sql(struct query_batch *out, struct slice text, bool whole, bool is_prepare)
{
	struct query_class spare, *class;
	uint32_t before = out->n_commands;
	size_t n;

	for (;;) {
		class = query_batch_next(out, &spare);
		n = sql_classify(text, whole, class);
		if (!n)
			break;
		if (is_prepare)
			make_prepare(class);
		else
			look_inside(out, class, (struct slice){text.ptr, n});
		query_batch_add(out, class);
		text.ptr += n;
		text.len -= n;
		if (is_prepare)
			break;
	}
	/* Behind a ';' there may be more. */
	if (!whole && (out->n_commands > before + 1 || (out->n_commands > before && text.ptr[-1] == ';')))
		out->cut = true;
	if (out->n_commands == before)
		add_command(out, is_prepare ? "PREPARE" : "QUERY");
}

/* MariaDB: statement -1 is the one prepared last, here by the command in front. Returns whether that is so. */
static bool add_direct(struct query_batch *out, struct slice payload, struct slice prepare)
{
	if (!prepare.len || payload.len < 5 || mysql_le(payload.ptr + 1, 4) != UINT32_MAX)
		return false;
	add_sql(out, (struct slice){prepare.ptr + 1, prepare.len - 1}, true, false);
	return true;
}

/* `prepare`: the payload of the PREPARE in front, if there is one. */
static void add_payload(struct query_batch *out, struct slice payload, bool whole, struct slice prepare)
{
	struct slice sql = {payload.ptr + 1, payload.len - 1};
	const char *name = command_name(payload.ptr[0]);

	switch (payload.ptr[0]) {
	case COM_QUERY:
		if (mysql_skip_attributes(&sql))
			add_sql(out, sql, whole, false);
		else
			add_unknown(out, name, (struct slice){0});
		break;
	case COM_STMT_PREPARE:
		add_sql(out, sql, whole, true);
		break;
	case COM_STMT_EXECUTE:
	case COM_STMT_FETCH:
	case COM_STMT_BULK_EXECUTE:
		if (!add_direct(out, payload, prepare))
			add_unknown(out, name, payload);
		break;
	default:
		add_command(out, name ? name : "UNKNOWN");
	}
}

bool mysql_next_packet(struct slice *stream, struct mysql_packet *out)
{
	size_t n;

	if (stream->len < MYSQL_HEADER_BYTES)
		return false;
	out->length = mysql_le(stream->ptr, 3);
	out->sequence = stream->ptr[3];
	n = stream->len - MYSQL_HEADER_BYTES;
	out->whole = out->length <= n && out->length != MYSQL_LONGEST_PACKET;
	out->payload = (struct slice){stream->ptr + MYSQL_HEADER_BYTES, out->whole ? out->length : n};
	stream->ptr = out->payload.ptr + out->payload.len;
	stream->len = n - out->payload.len;
	return true;
}

bool mysql_is_unanswered(const struct mysql_packet *p)
{
	return !p->sequence && p->payload.len &&
	       (p->payload.ptr[0] == COM_STMT_CLOSE || p->payload.ptr[0] == COM_STMT_SEND_LONG_DATA);
}

/* Whether a command of the batch is answered: those that are not, and come along with it, are not meant. */
static bool has_answered(struct slice stream)
{
	struct mysql_packet p;

	while (mysql_next_packet(&stream, &p))
		if (!p.sequence && p.payload.len && !mysql_is_unanswered(&p))
			return true;
	return false;
}

enum query_verdict mysql_classify(const struct mysql_batch *batch, struct query_batch *out)
{
	struct slice stream = batch->stream, prepare = {0};
	bool answered = has_answered(stream);
	struct mysql_packet p = {0};
	uint64_t end = 0; /* of the packets so far, as they declare it */

	*out = (struct query_batch){.verdict = QUERY_STALE};
	while (mysql_next_packet(&stream, &p)) {
		bool first = !end;

		end += MYSQL_HEADER_BYTES + (p.payload.len ? p.length : 0);
		if (!p.payload.len || (p.sequence && !first) || (answered && mysql_is_unanswered(&p)))
			continue; /* the rest of a command */
		if (p.sequence)
			add_command(out, "CONNECT");
		else
			add_payload(out, p.payload, p.whole, prepare);
		if (!p.sequence && p.payload.ptr[0] == COM_STMT_PREPARE)
			prepare = p.payload;
	}
	if (batch->received > end && p.length != MYSQL_LONGEST_PACKET && out->n_commands)
		out->cut = true;
	if (out->n_commands && out->verdict == QUERY_STALE)
		out->verdict = QUERY_COMMANDS;
	return out->verdict;
}

static bool is_execution(const struct mysql_packet *p)
{
	const uint8_t *payload = p->payload.ptr;

	return !p->sequence && p->payload.len >= 5 &&
	       (payload[0] == COM_STMT_EXECUTE || payload[0] == COM_STMT_FETCH || payload[0] == COM_STMT_BULK_EXECUTE);
}

uint32_t mysql_statement_id(const struct mysql_batch *batch)
{
	struct slice stream = batch->stream;
	struct mysql_packet p;
	uint64_t end = 0;
	uint32_t id = 0;
	bool found = false;

	while (mysql_next_packet(&stream, &p)) {
		end += MYSQL_HEADER_BYTES + (uint64_t)p.length;
		if (p.sequence ? found : mysql_is_unanswered(&p))
			continue; /* the rest of it, or in front of it */
		if (found || !is_execution(&p))
			return 0;
		found = true;
		id = mysql_le(p.payload.ptr + 1, 4);
	}
	return found && batch->received > end && p.length != MYSQL_LONGEST_PACKET ? 0 : id;
}

/* The SQL that the batch prepares, in place or in `inner`; of no bytes where it prepares none. */
static struct slice prepared_sql(struct slice stream, uint8_t inner[static INNER_BYTES], bool *whole)
{
	struct mysql_packet p;
	struct slice sql;

	/* What a client closes along with it is not meant. */
	do
		if (!mysql_next_packet(&stream, &p))
			return (struct slice){0};
	while (!p.payload.len || mysql_is_unanswered(&p));
	*whole = p.whole;
	sql = (struct slice){p.payload.ptr + 1, p.payload.len - 1};
	if (p.sequence)
		return (struct slice){0};
	if (p.payload.ptr[0] == COM_STMT_PREPARE)
		return sql;
	if (p.payload.ptr[0] != COM_QUERY || !mysql_skip_attributes(&sql))
		return (struct slice){0};
	return (struct slice){inner, sql_inner_statement(sql, inner, INNER_BYTES, whole)};
}

enum query_verdict mysql_classify_prepared(const struct mysql_batch *prepare, struct query_batch *out)
{
	uint8_t inner[INNER_BYTES];
	bool whole;
	struct slice sql = prepared_sql(prepare->stream, inner, &whole);

	*out = (struct query_batch){.verdict = QUERY_UNKNOWN_STATEMENT};
	if (sql.len) {
		add_sql(out, sql, whole, false);
		out->verdict = QUERY_COMMANDS;
	} else {
		add_command(out, "EXECUTE");
	}
	return out->verdict;
}

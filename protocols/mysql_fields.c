/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in a payload besides SQL: query attributes, the schema, and whether it is a client's at all.
 *
 * A reader walks the payload and runs dry where that is cut; `ok` is asked once at the end.
 */
#include <string.h>
#include "mysql_internal.h"

struct reader {
	const uint8_t *at, *end;
	bool ok;
};

static const uint8_t *take(struct reader *r, uint64_t n)
{
	const uint8_t *p = r->at;

	if (!r->ok || n > (uint64_t)(r->end - r->at)) {
		r->ok = false;
		return NULL;
	}
	r->at += n;
	return p;
}

static uint64_t take_number(struct reader *r, size_t bytes)
{
	const uint8_t *p = take(r, bytes);
	uint64_t value = 0;

	for (size_t i = bytes; p && i-- > 0;)
		value = value << 8 | p[i];
	return value;
}

/* MySQL, "Length-Encoded Integer Type" */
static uint64_t take_length(struct reader *r)
{
	uint64_t first = take_number(r, 1);

	if (first < 0xfb)
		return first;
	if (first == 0xfc || first == 0xfd)
		return take_number(r, first - 0xfa);
	if (first == 0xfe)
		return take_number(r, 8);
	r->ok = false;
	return 0;
}

static struct slice take_until_nul(struct reader *r)
{
	const uint8_t *start = r->at, *nul = r->ok ? memchr(start, 0, (size_t)(r->end - start)) : NULL;

	if (!nul) {
		r->ok = false;
		return (struct slice){0};
	}
	r->at = nul + 1;
	return (struct slice){start, (size_t)(nul - start)};
}

/* --- query attributes --- */

#define ATTRIBUTES_MAX 64

/* A value in binary form (MySQL, "Binary Protocol Value"); `type` without its flags. */
static void take_value(struct reader *r, uint8_t type)
{
	switch (type) {
	case 0x06: /* NULL */
		break;
	case 0x01: /* TINY */
		take(r, 1);
		break;
	case 0x02: /* SHORT */
	case 0x0d: /* YEAR */
		take(r, 2);
		break;
	case 0x03: /* LONG */
	case 0x09: /* INT24 */
	case 0x04: /* FLOAT */
		take(r, 4);
		break;
	case 0x05: /* DOUBLE */
	case 0x08: /* LONGLONG */
		take(r, 8);
		break;
	case 0x07: /* TIMESTAMP */
	case 0x0a: /* DATE */
	case 0x0b: /* TIME */
	case 0x0c: /* DATETIME */
		take(r, take_number(r, 1));
		break;
	default:
		take(r, take_length(r));
	}
}

static void take_attributes(struct reader *r, uint64_t n)
{
	const uint8_t *nulls = take(r, (n + 7) / 8);
	uint8_t types[ATTRIBUTES_MAX];

	if (n > ATTRIBUTES_MAX || take_number(r, 1) != 1) {
		r->ok = false;
		return;
	}
	for (uint64_t i = 0; i < n && r->ok; i++) {
		types[i] = (uint8_t)take_number(r, 2);
		take(r, take_length(r));
	}
	for (uint64_t i = 0; i < n && r->ok; i++)
		if (!(nulls[i / 8] & 1u << i % 8))
			take_value(r, types[i]);
}

bool mysql_skip_attributes(struct slice *sql)
{
	struct reader r = {sql->ptr, sql->ptr + sql->len, true};
	uint64_t n;

	if (sql->len < 2 || sql->ptr[1] != 1)
		return true;
	n = take_length(&r);
	take(&r, 1);
	if (n)
		take_attributes(&r, n);
	if (!r.ok)
		return false;
	*sql = (struct slice){r.at, (size_t)(r.end - r.at)};
	return true;
}

/* --- the schema --- */

/* Length of the valid UTF-8 sequence at p (RFC 3629), or 0. */
static size_t utf8_length(const uint8_t *p, size_t len)
{
	size_t n = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : *p >= 0xe0 && *p < 0xf0 ? 3 : *p >= 0xf0 && *p < 0xf5 ? 4 : 0;

	if (!n || n > len || (*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] >= 0xa0) || (*p == 0xf0 && p[1] < 0x90) ||
	    (*p == 0xf4 && p[1] >= 0x90))
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* A name goes out as UTF-8, with '?' for what is none or cannot be seen; nothing of one that is too long. */
static void put_name(struct slice name, char out[static MYSQL_SCHEMA_BYTES])
{
	size_t used = 0, n;

	out[0] = '\0';
	if (name.len >= MYSQL_SCHEMA_BYTES)
		return;
	for (size_t i = 0; i < name.len; i += n ? n : 1) {
		n = utf8_length(name.ptr + i, name.len - i);
		if (n > 1 || (n == 1 && name.ptr[i] >= ' ' && name.ptr[i] != 0x7f))
			memcpy(out + used, name.ptr + i, n);
		else
			out[used] = '?';
		used += n ? n : 1;
	}
	out[used] = '\0';
}

/* MySQL, "Protocol::HandshakeResponse41" */
static struct slice handshake_schema(struct reader *r)
{
	uint32_t capabilities = (uint32_t)take_number(r, 4);

	if (!(capabilities & CLIENT_PROTOCOL_41))
		return (struct slice){0};
	take(r, MYSQL_HANDSHAKE_BYTES - 4);
	take_until_nul(r);
	if (capabilities & CLIENT_LENENC_AUTH)
		take(r, take_length(r));
	else if (capabilities & CLIENT_SECURE_CONNECTION)
		take(r, take_number(r, 1));
	else
		take_until_nul(r);
	return capabilities & CLIENT_CONNECT_WITH_DB ? take_until_nul(r) : (struct slice){0};
}

/* MySQL, "COM_CHANGE_USER" */
static struct slice change_user_schema(struct reader *r)
{
	take_until_nul(r);
	take(r, take_number(r, 1));
	return take_until_nul(r);
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_blanks(struct reader *r)
{
	while (r->at < r->end && is_blank(*r->at))
		r->at++;
}

static bool take_use(struct reader *r)
{
	const uint8_t *word;

	skip_blanks(r);
	word = take(r, 3);
	return word && (word[0] | 0x20) == 'u' && (word[1] | 0x20) == 's' && (word[2] | 0x20) == 'e' && r->at < r->end &&
	       (is_blank(*r->at) || *r->at == '`' || *r->at == '"');
}

/* USE name, quoted or not; quotes within the quotes are not undone. */
static struct slice use_schema(struct reader *r, bool whole)
{
	const uint8_t *start;
	uint8_t quote;

	if (!take_use(r))
		return (struct slice){0};
	skip_blanks(r);
	if (r->at == r->end)
		return (struct slice){0};
	quote = *r->at == '`' || *r->at == '"' ? *r->at++ : 0;
	start = r->at;
	while (r->at < r->end && (quote ? *r->at != quote : !is_blank(*r->at) && *r->at != ';'))
		r->at++;
	if (r->at == r->end ? quote || !whole : quote && (r->at + 1 == r->end ? !whole : r->at[1] == quote))
		return (struct slice){0};
	return (struct slice){start, (size_t)(r->at - start)};
}

/* The name that this packet chooses, where it is there to its end. */
static struct slice packet_schema(const struct mysql_packet *p)
{
	struct reader r = {p->payload.ptr, p->payload.ptr + p->payload.len, true};
	struct slice name = {0}, sql;
	uint8_t command;

	if (p->sequence) {
		name = handshake_schema(&r);
		return r.ok ? name : (struct slice){0};
	}
	command = (uint8_t)take_number(&r, 1);
	sql = (struct slice){r.at, (size_t)(r.end - r.at)};
	if (command == COM_CHANGE_USER) {
		name = change_user_schema(&r);
	} else if (command == COM_INIT_DB && p->whole) {
		name = sql;
	} else if (command == COM_QUERY && mysql_skip_attributes(&sql)) {
		r.at = sql.ptr;
		name = use_schema(&r, p->whole);
	}
	return r.ok ? name : (struct slice){0};
}

void mysql_schema(struct slice origin, char out[static MYSQL_SCHEMA_BYTES])
{
	struct mysql_packet p;

	out[0] = '\0';
	/* A frame of the compressed protocol: its third number is 0, which no command is. */
	if (origin.len > MYSQL_FRAME_BYTES && !origin.ptr[3] && !mysql_le(origin.ptr + MYSQL_HEADER_BYTES, 3))
		origin = (struct slice){origin.ptr + MYSQL_FRAME_BYTES, origin.len - MYSQL_FRAME_BYTES};
	do
		if (!mysql_next_packet(&origin, &p))
			return;
	while (mysql_is_unanswered(&p));
	put_name(packet_schema(&p), out);
}

/* --- is it MySQL? --- */

static bool is_handshake(const uint8_t *p, size_t len)
{
	static const uint8_t filler[19];

	return len >= MYSQL_HANDSHAKE_BYTES && mysql_le(p, 4) & CLIENT_PROTOCOL_41 && !memcmp(p + 9, filler, sizeof(filler) - 1);
}

/* Letters, comments, parentheses; or query attributes, of which there is one set. */
static bool is_sql(const uint8_t *p, size_t len)
{
	if (len < 2)
		return false;
	if (p[0] < ' ')
		return is_blank(p[0]) || p[1] == 1;
	return ((p[0] | 0x20) >= 'a' && (p[0] | 0x20) <= 'z') || strchr(" (/-#", p[0]);
}

/* The same as on the kernel side (bpf/mysql.h): commands that are as good as a proof. */
static bool is_command(const struct mysql_packet *p)
{
	const uint8_t *payload = p->payload.ptr;

	switch (payload[0]) {
	case COM_PING:
		return p->length == 1;
	case COM_QUERY:
	case COM_STMT_PREPARE:
		return is_sql(payload + 1, p->payload.len - 1);
	case COM_STMT_EXECUTE: /* flags, iterations */
		return p->payload.len >= 10 && payload[5] < 16 && mysql_le(payload + 6, 4) == 1;
	default:
		return false;
	}
}

bool mysql_is_request(struct slice bytes, uint64_t received)
{
	struct mysql_packet p;
	uint64_t end = 0;

	while (mysql_next_packet(&bytes, &p)) {
		bool first = !end;

		end += p.length + (uint64_t)MYSQL_HEADER_BYTES;
		if (!p.payload.len)
			return false;
		if (first && p.sequence == 1 && is_handshake(p.payload.ptr, p.payload.len))
			break;
		if (p.sequence || !is_command(&p))
			return false;
	}
	return end && end == received;
}

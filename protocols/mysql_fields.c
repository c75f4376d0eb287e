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

	if (sql->len < 2 || sql->ptr[1] != 1 || (sql->ptr[0] >= ' ' && sql->ptr[0] < 0xfb))
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

/* USE name, quoted or not */
static struct slice use_schema(struct reader *r)
{
	const uint8_t *start;
	uint8_t quote;

	while (r->at < r->end && is_blank(*r->at))
		r->at++;
	take(r, 3);
	while (r->ok && r->at < r->end && is_blank(*r->at))
		r->at++;
	if (!r->ok || r->at == r->end)
		return (struct slice){0};
	quote = *r->at == '`' || *r->at == '"' ? *r->at++ : 0;
	start = r->at;
	while (r->at < r->end && (quote ? *r->at != quote : !is_blank(*r->at) && *r->at != ';'))
		r->at++;
	if (quote && r->at == r->end)
		return (struct slice){0};
	return (struct slice){start, (size_t)(r->at - start)};
}

void mysql_schema(struct slice origin, char out[static MYSQL_SCHEMA_BYTES])
{
	struct slice name = {0}, sql;
	struct reader r;
	uint8_t command;

	out[0] = '\0';
	/* A frame of the compressed protocol: its third number is 0, which no command is. */
	if (origin.len > MYSQL_FRAME_BYTES + MYSQL_HEADER_BYTES && !origin.ptr[3] && !origin.ptr[MYSQL_HEADER_BYTES])
		origin = (struct slice){origin.ptr + MYSQL_FRAME_BYTES, origin.len - MYSQL_FRAME_BYTES};
	if (origin.len <= MYSQL_HEADER_BYTES)
		return;
	r = (struct reader){origin.ptr + MYSQL_HEADER_BYTES, origin.ptr + origin.len, true};
	if (origin.ptr[3]) {
		name = handshake_schema(&r);
	} else {
		command = (uint8_t)take_number(&r, 1);
		sql = (struct slice){r.at, (size_t)(r.end - r.at)};
		if (command == COM_CHANGE_USER) {
			name = change_user_schema(&r);
		} else if (command == COM_INIT_DB) {
			name = sql;
		} else if (command == COM_QUERY && mysql_skip_attributes(&sql)) {
			r.at = sql.ptr;
			name = use_schema(&r);
		}
	}
	if (r.ok)
		put_name(name, out);
}

/* --- is it MySQL? --- */

static bool is_handshake(const uint8_t *p, size_t len)
{
	static const uint8_t filler[19];

	return len >= MYSQL_HANDSHAKE_BYTES && mysql_le(p, 4) & CLIENT_PROTOCOL_41 && !memcmp(p + 9, filler, sizeof(filler) - 1);
}

bool mysql_is_request(struct slice bytes, uint64_t received)
{
	const uint8_t *payload = bytes.ptr + MYSQL_HEADER_BYTES;
	uint32_t length;

	if (bytes.len <= MYSQL_HEADER_BYTES)
		return false;
	length = mysql_le(bytes.ptr, 3);
	if (length + MYSQL_HEADER_BYTES != received)
		return false;
	if (bytes.ptr[3] == 1)
		return is_handshake(payload, bytes.len - MYSQL_HEADER_BYTES);
	if (bytes.ptr[3])
		return false;
	/* Of the others too little can be told from other protocols. */
	return payload[0] == COM_QUERY || payload[0] == COM_STMT_PREPARE || (payload[0] == COM_PING && length == 1) ||
	       (payload[0] == COM_STMT_EXECUTE && length >= 10);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the first bytes of a client's payload say: whether it is a command or a handshake response at all, and what of it
 * must be known later: statements that are prepared, closed or executed, and the schema.
 */
#ifndef WIREPROF_BPF_MYSQL_COMMAND_H
#define WIREPROF_BPF_MYSQL_COMMAND_H

#include "maps.h"

#define MYSQL_WORD 96 /* of SQL, with blanks before: names have up to 64 letters */

#define FNV_OFFSET   2166136261u
#define FNV_PRIME    16777619u
#define HASH_USE     0x5791c4f4u /* FNV-1a of the word */
#define HASH_EXECUTE 0xa01e3d98u
#define HASH_PREPARE 0x3cc870dcu

/* Whether a packet of this length can be this command. */
static __always_inline bool mysql_is_command(u8 command, u32 length)
{
	switch (command) {
	case COM_QUIT:
	case COM_STATISTICS:
	case COM_PROCESS_INFO:
	case COM_DEBUG:
	case COM_PING:
	case COM_RESET_CONNECTION:
		return length == 1;
	case COM_REFRESH:
	case COM_SHUTDOWN:
		return length <= 2;
	case COM_SET_OPTION:
		return length == 3;
	case COM_PROCESS_KILL:
	case COM_STMT_CLOSE:
	case COM_STMT_RESET:
		return length == 5;
	case COM_STMT_FETCH:
		return length == 9;
	case COM_STMT_EXECUTE:
		return length >= 10;
	case COM_STMT_SEND_LONG_DATA:
	case COM_STMT_BULK_EXECUTE:
		return length >= 7;
	case COM_INIT_DB:
	case COM_QUERY:
	case COM_FIELD_LIST:
	case COM_CREATE_DB:
	case COM_DROP_DB:
	case COM_CHANGE_USER:
	case COM_BINLOG_DUMP:
	case COM_TABLE_DUMP:
	case COM_REGISTER_SLAVE:
	case COM_STMT_PREPARE:
	case COM_BINLOG_DUMP_GTID:
		return length >= 1;
	}
	return false;
}

#define WORD(a, b, c, d) ((u32)(a) | (u32)(b) << 8 | (u32)(c) << 16 | (u32)(d) << 24)

/* Whether a statement begins with these four letters, made small; of shorter words with the blank behind. Global, so it is
 * verified once, not on every path. */
__noinline int mysql_is_verb(u32 letters)
{
	switch (letters | 0x20202020) {
	/* clang-format off */
	case WORD('a', 'l', 't', 'e'): case WORD('a', 'n', 'a', 'l'): case WORD('b', 'e', 'g', 'i'):
	case WORD('c', 'a', 'l', 'l'): case WORD('c', 'h', 'a', 'n'): case WORD('c', 'h', 'e', 'c'):
	case WORD('c', 'o', 'm', 'm'): case WORD('c', 'r', 'e', 'a'): case WORD('d', 'e', 'a', 'l'):
	case WORD('d', 'e', 'l', 'e'): case WORD('d', 'e', 's', 'c'): case WORD('d', 'o', ' ', ' '):
	case WORD('d', 'r', 'o', 'p'): case WORD('e', 'x', 'e', 'c'): case WORD('e', 'x', 'p', 'l'):
	case WORD('f', 'l', 'u', 's'): case WORD('g', 'r', 'a', 'n'): case WORD('h', 'a', 'n', 'd'):
	case WORD('h', 'e', 'l', 'p'): case WORD('i', 'n', 's', 'e'): case WORD('k', 'i', 'l', 'l'):
	case WORD('l', 'o', 'a', 'd'): case WORD('l', 'o', 'c', 'k'): case WORD('o', 'p', 't', 'i'):
	case WORD('p', 'r', 'e', 'p'): case WORD('p', 'u', 'r', 'g'): case WORD('r', 'e', 'l', 'e'):
	case WORD('r', 'e', 'n', 'a'): case WORD('r', 'e', 'p', 'a'): case WORD('r', 'e', 'p', 'l'):
	case WORD('r', 'e', 's', 'e'): case WORD('r', 'e', 'v', 'o'): case WORD('r', 'o', 'l', 'l'):
	case WORD('s', 'a', 'v', 'e'): case WORD('s', 'e', 'l', 'e'): case WORD('s', 'e', 't', ' '):
	case WORD('s', 'h', 'o', 'w'): case WORD('s', 't', 'a', 'r'): case WORD('t', 'a', 'b', 'l'):
	case WORD('t', 'r', 'u', 'n'): case WORD('u', 'n', 'l', 'o'): case WORD('u', 'p', 'd', 'a'):
	case WORD('u', 's', 'e', ' '): case WORD('v', 'a', 'l', 'u'): case WORD('w', 'i', 't', 'h'):
	case WORD('x', 'a', ' ', ' '):
	/* clang-format on */
		return true;
	}
	return false;
}

static __always_inline bool mysql_is_blank(u8 letter)
{
	return letter == ' ' || (letter >= '\t' && letter <= '\r');
}

/*
 * Of a connection whose handshake was not seen, in a process that is not known as a MySQL server: whether the payload is as
 * good as a proof. Other protocols have messages behind a length of four bytes, too, and some begin with a 3; but then there
 * is no SQL.
 */
static __always_inline bool mysql_proves_itself(const u8 *p)
{
	if (p[0] != COM_QUERY && p[0] != COM_STMT_PREPARE)
		return false;
	for (u32 i = 1; i < 14; i++)
		if (!mysql_is_blank(p[i]) && p[i] != '(')
			return mysql_is_verb(le32(p + i));
	return false;
}

/* Whether these first bytes of a payload are those of a HandshakeResponse41 or SSLRequest: its filler is zero. */
static __always_inline bool mysql_is_handshake(const u8 *p, u32 length)
{
	u64 filler, more;

	__builtin_memcpy(&filler, p + 9, sizeof(filler));
	__builtin_memcpy(&more, p + 17, sizeof(more));
	return length >= MYSQL_HANDSHAKE_BYTES && le32(p) & CLIENT_PROTOCOL_41 && !filler && !more && !p[25] && !p[26];
}

/* Deflated data: zlib (RFC 1950) or a frame of zstd (RFC 8878). */
static __always_inline bool mysql_is_deflated(const u8 *p)
{
	return p[0] == 0x78 || le32(p) == 0xfd2fb528;
}

static __always_inline void mysql_forget(u64 sock)
{
	bpf_map_delete_elem(&connections, &sock);
}

/*
 * Takes one letter of the word that c->scan stands in front of, or at. The state is in the map: the verifier would follow
 * every value of it elsewhere.
 */
static long mysql_scan_letter(u32 i, void *context)
{
	struct mysql_connection *c = *(struct mysql_connection **)context;
	u32 at = c->scan;
	u8 letter;

	if (at >= c->bytes || at >= STREAM_BYTES)
		return 1;
	letter = c->stream[at];
	if (mysql_is_blank(letter)) {
		if (c->word != FNV_OFFSET)
			return 1;
	} else if (letter == ';') {
		return 1;
	} else if (letter != '`' && letter != '"') {
		if (letter >= 'A' && letter <= 'Z')
			letter += 'a' - 'A';
		c->word = (c->word ^ letter) * FNV_PRIME;
	}
	c->scan = at + 1;
	return 0;
}

/* The hash (FNV-1a) of the next word of the stream, in small letters and without quotes. */
static __always_inline u32 mysql_next_word(struct mysql_connection *c)
{
	struct mysql_connection *context = c;

	c->word = FNV_OFFSET;
	bpf_loop(MYSQL_WORD, mysql_scan_letter, &context, 0);
	return c->word;
}

static __always_inline void mysql_remember(const struct mysql_connection *c, u64 sock, u32 id, u32 named)
{
	struct prepared_key key = {.sock = sock, .since_ns = c->since_ns, .id = id, .named = named};

	count(COUNTER_PREPARED);
	if (bpf_map_update_elem(&prepared, &key, &c->bytes, BPF_ANY))
		count(COUNTER_PREPARED_FULL);
}

/* SQL that is about a prepared statement, or about the schema. */
static __always_inline void mysql_query(struct mysql_connection *c, u64 sock)
{
	u32 at = MYSQL_HEADER_BYTES + 1 + (c->flags & MYSQL_COMPRESSED ? MYSQL_FRAME_BYTES : 0);
	u8 letter;

	/* Query attributes, of which a client that knows of them nearly always sends none: 0 of them, 1 set. */
	if (!c->stream[at] && c->stream[at + 1] == 1)
		at += 2;
	letter = c->stream[at] | 0x20;
	/* Most statements begin with another letter. */
	if (letter > ' ' + 16 && letter != 'p' && letter != 'e' && letter != 'u')
		return;
	c->scan = at;
	switch (mysql_next_word(c)) {
	case HASH_USE:
		c->flags |= MYSQL_SCHEMA;
		break;
	case HASH_EXECUTE:
		c->flags |= MYSQL_NAMED;
		c->statement = mysql_next_word(c);
		break;
	case HASH_PREPARE:
		mysql_remember(c, sock, mysql_next_word(c), 1 + c->gaps);
		break;
	}
}

/* The batch is whole: what of it must be known later. */
static __always_inline void mysql_complete(struct worker *worker, struct mysql_connection *c, u64 sock)
{
	u32 n = c->bytes;

	if (c->commands != 1)
		c->flags &= ~MYSQL_SCHEMA;
	else if (c->command == COM_QUERY)
		mysql_query(c, sock);
	if (c->flags & MYSQL_SCHEMA) {
		if (n > ORIGIN_BYTES)
			n = ORIGIN_BYTES;
		barrier_var(n);
		if (n <= ORIGIN_BYTES && !bpf_probe_read_kernel(c->origin, n, c->stream))
			c->origin_bytes = n;
	}
	worker->awaits_reply = !!(c->flags & (MYSQL_PREPARING | MYSQL_SCHEMA));
	if (!watches_replies && (!(c->flags & MYSQL_HEADERS) || c->flags & (MYSQL_COMPRESSED | MYSQL_COMPRESSES))) {
		watches_replies = true;
		send_process_event(EVENT_REPLIES, bpf_get_current_pid_tgid() >> 32, 0);
	}
}

/* The handshake response, or the request for TLS instead of it. */
static __always_inline bool mysql_handshake(struct mysql_connection *c, const u8 *p)
{
	u32 capabilities = le32(p);

	if (!mysql_is_handshake(p, c->left))
		return false;
	c->command = COM_CONNECT;
	c->flags |= MYSQL_SURE | MYSQL_SCHEMA;
	if (capabilities & (CLIENT_COMPRESS | CLIENT_ZSTD))
		c->flags |= MYSQL_COMPRESSES;
	if (capabilities & CLIENT_SSL && c->left == MYSQL_HANDSHAKE_BYTES)
		c->flags |= MYSQL_ENCRYPTED;
	return true;
}

static __always_inline bool mysql_command(struct mysql_connection *c, const u8 *p, u32 length, u64 sock)
{
	struct prepared_key key = {.sock = sock, .since_ns = c->since_ns, .id = le32(p + 1)};

	if (!mysql_is_command(p[0], length) || !(c->flags & (MYSQL_SURE | MYSQL_TRUSTED) || mysql_proves_itself(p)))
		return false;
	c->flags |= MYSQL_SURE;
	c->command = p[0];
	c->statement = key.id == 0xffffffff ? c->prepared : key.id;
	switch (p[0]) {
	case COM_STMT_PREPARE:
		if (c->commands == 1) /* what is sent first answers it */
			c->flags |= MYSQL_PREPARING;
		c->prepared = 0;
		break;
	case COM_STMT_CLOSE:
		bpf_map_delete_elem(&prepared, &key);
		break;
	case COM_INIT_DB:
		c->flags |= MYSQL_SCHEMA;
		break;
	case COM_CHANGE_USER:
		c->flags |= MYSQL_SCHEMA;
		/* fallthrough */
	case COM_RESET_CONNECTION:
		c->since_ns = bpf_ktime_get_ns();
		c->prepared = 0;
		break;
	}
	return true;
}

#define MYSQL_CLOSE_BYTES (MYSQL_HEADER_BYTES + 5)

/* A frame that is not deflated: the packet in it, or the one behind a STMT_CLOSE. */
static __always_inline bool mysql_stored(struct mysql_connection *c, const u8 *p, u32 n, u64 sock)
{
	const u8 *next = p + MYSQL_CLOSE_BYTES;

	if (p[3] || !mysql_command(c, p + MYSQL_HEADER_BYTES, le24(p), sock))
		return false;
	if (c->command != COM_STMT_CLOSE || n < MYSQL_CLOSE_BYTES + MYSQL_HEADER_BYTES + 5 || next[3])
		return true;
	return mysql_command(c, next + MYSQL_HEADER_BYTES, le24(next), sock);
}

/* The first bytes of a command's payload, at least MYSQL_HANDSHAKE_BYTES of memory. Returns whether they can be that. */
static __noinline int mysql_payload(struct mysql_connection *c, const u8 *p, u32 n, u64 sock)
{
	c->flags &= ~MYSQL_FRESH;
	if (c->header[3])
		return mysql_handshake(c, p);
	if (!(c->flags & MYSQL_COMPRESSED))
		return mysql_command(c, p, c->left, sock);
	if (!le24(c->header + MYSQL_HEADER_BYTES))
		return mysql_stored(c, p, n, sock);
	if (!mysql_is_deflated(p))
		return false;
	c->flags |= MYSQL_SURE;
	c->command = COM_OPAQUE;
	c->flags |= MYSQL_PREPARING; /* perhaps */
	return true;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * MySQL and MariaDB connections, followed packet by packet (MySQL, "Protocol Basics"; MariaDB, "0 - Packet"):
 *
 *	| length 3 | sequence 1 | payload ...			plain
 *	| length 3 | sequence 1 | inflated length 3 | ...	compressed: of the deflated packets in it
 *
 * Sequence 0 begins a command; what comes with another number belongs to the command before: authentication, the
 * contents of LOAD DATA LOCAL (whose numbers run through 255 to 0, and go on until an empty packet), the rest of 16 MB
 * and more.
 *
 * The servers ask for the header first, 4 or 7 bytes, and then for the rest: that is how a connection is told at once
 * from others, if it was open before we came; of one that opens, the handshake response tells. Servers that read whatever
 * is there (`look_for_mysql`) are told by content alone.
 *
 * Their buffers are overwritten while they answer, so the command is copied when it comes. The id of a prepared
 * statement is in the reply. Both servers have one buffer for what they receive and what they send, so at the next receive
 * the reply still lies where the command came to: less the bytes of the next header, if that is what was received. No hook
 * on sends is needed for that. It is where the reply would lose too much (the compressed protocol's header is longer), and
 * for servers that are built otherwise: they are seen to send the reply. What deflated command it answers is not known
 * then: the user side finds out, when a sample executes that id.
 */
#ifndef WIREPROF_BPF_MYSQL_H
#define WIREPROF_BPF_MYSQL_H

#include "mysql_command.h"

#define MYSQL_PACKETS	   4096 /* of a receive are followed */
#define TLS_HEADER	   5

/* Set by the user side, when it has seen a server that does not ask for the header alone. */
bool look_for_mysql;

static __always_inline bool mysql_read_payload(struct mysql_connection *c, u32 n, u64 sock)
{
	u8 p[MYSQL_HANDSHAKE_BYTES] = {};

	if (n > MYSQL_HANDSHAKE_BYTES)
		n = MYSQL_HANDSHAKE_BYTES;
	barrier_var(n);
	c->start = c->buffer + c->at;
	return n <= MYSQL_HANDSHAKE_BYTES && !bpf_probe_read_user(p, n, (void *)c->start) &&
	       mysql_payload(c, p, n, sock);
}

/* A batch begins with the packet whose header is whole. */
static __always_inline void mysql_batch(struct mysql_connection *c, u32 header_bytes)
{
	c->flags &= ~(MYSQL_DATA | MYSQL_PREPARING | MYSQL_SCHEMA | MYSQL_NAMED);
	c->flags |= MYSQL_COLLECT;
	c->began = bpf_jiffies64();
	c->commands = c->whole = 0;
	c->command = 0;
	c->statement = 0;
	__builtin_memcpy(c->stream, c->header, sizeof(c->header));
	c->bytes = c->received = header_bytes;
	c->from = c->at;
}

static __always_inline void mysql_packet(struct mysql_connection *c, u32 header_bytes)
{
	bool goes_on = c->flags & MYSQL_LONG, first = !(c->flags & MYSQL_SURE);
	bool wrapped = !c->header[3] && c->sequence == 255;

	c->left = le24(c->header);
	c->sequence = c->left ? c->header[3] : 0;
	c->flags &= ~MYSQL_LONG;
	if (c->left == MYSQL_LONGEST_PACKET && !(c->flags & MYSQL_COMPRESSED))
		c->flags |= MYSQL_LONG;
	if (goes_on)
		return;
	if ((c->header[3] || wrapped) && !first) {
		if (!(c->flags & MYSQL_IN_PLAY)) /* else it came right behind the command's first part */
			c->flags = (c->flags & ~MYSQL_COLLECT) | MYSQL_DATA;
		return;
	}
	/* Clients close statements, which is not answered, together with their next command: that counts. */
	if (!(c->flags & MYSQL_IN_PLAY) || c->command == COM_STMT_CLOSE || c->command == COM_STMT_SEND_LONG_DATA)
		mysql_batch(c, header_bytes);
	c->flags |= MYSQL_FRESH | MYSQL_IN_PLAY;
	c->commands++;
}

/* The next packet's header, as far as it came. */
static __always_inline bool mysql_header(struct mysql_connection *c)
{
	u32 wanted = c->flags & MYSQL_COMPRESSED ? MYSQL_FRAME_BYTES : MYSQL_HEADER_BYTES, have = c->header_bytes;
	u32 n = c->n - c->at;
	u8 p[MYSQL_FRAME_BYTES + 1] = {};

	if (have >= MYSQL_FRAME_BYTES || have >= wanted)
		return false;
	if (n > wanted - have)
		n = wanted - have;
	barrier_var(n);
	if (n > MYSQL_FRAME_BYTES || bpf_probe_read_user(p, n, (void *)(c->buffer + c->at)))
		return false;
	for (u32 i = 0; i < MYSQL_FRAME_BYTES; i++)
		if (i < n)
			c->header[(have + i) & 7] = p[i];
	c->at += n;
	c->header_bytes = have + n;
	if (c->header_bytes < wanted)
		return true;
	if (c->flags & MYSQL_COMPRESSES && !c->header[3]) {
		c->flags = (c->flags & ~MYSQL_COMPRESSES) | MYSQL_COMPRESSED; /* three more bytes */
		return true;
	}
	c->header_bytes = 0;
	mysql_packet(c, wanted);
	return true;
}

/* Follows the receive up to the next end of a header or of a payload. Returns false where this is no MySQL. */
static __noinline int mysql_step(struct mysql_connection *c, u64 sock)
{
	u32 n;

	if (!c->left && !(c->flags & MYSQL_FRESH))
		return mysql_header(c);
	n = c->n - c->at;
	if (n > c->left)
		n = c->left;
	if (c->flags & MYSQL_FRESH && !mysql_read_payload(c, n, sock))
		return false;
	if (c->flags & MYSQL_COLLECT)
		c->flags |= MYSQL_IN_PLAY;
	c->at += n;
	c->left -= n;
	if (!c->left && !(c->flags & MYSQL_LONG) && c->flags & MYSQL_COLLECT)
		c->whole++;
	return true;
}

struct mysql_walk {
	struct mysql_connection *connection;
	u64 sock;
	bool bad;
};

static long mysql_walk_packet(u32 i, void *context)
{
	struct mysql_walk *w = context;
	struct mysql_connection *c = w->connection;

	if (c->at >= c->n)
		return 1;
	w->bad = !mysql_step(c, w->sock);
	return w->bad;
}

/* Appends what of the receive is the batch's. */
static __always_inline void mysql_append(struct mysql_connection *c)
{
	u32 at = c->bytes, n = c->n - c->from;

	c->received += n;
	if (at >= STREAM_BYTES || !n)
		return;
	if (n > STREAM_BYTES - at)
		n = STREAM_BYTES - at;
	barrier_var(at);
	barrier_var(n);
	if (at < STREAM_BYTES && n <= STREAM_BYTES &&
	    !bpf_probe_read_user(&c->stream[at], n, (void *)(c->buffer + c->from)))
		c->bytes = at + n;
}

/* Whether this can be the header of a command or of a handshake response. */
static __always_inline bool mysql_is_header(const u8 *p)
{
	u32 length = le24(p);

	return p[3] ? p[3] == 1 && length >= MYSQL_HANDSHAKE_BYTES && length <= 0xffff : length;
}

/* Whether a connection that is not known may begin, or go on, with this receive. Sets *flags. */
static __always_inline bool mysql_may_begin(const struct receive *r, bool speaks_mysql, u32 *flags)
{
	u8 p[MYSQL_HEADER_BYTES + 1] = {};
	u32 bytes = r->bytes;

	*flags = 0;
	if (bytes < MYSQL_HEADER_BYTES || bpf_probe_read_user(p, MYSQL_HEADER_BYTES, (void *)r->buffer))
		return false;
	if (r->wanted == TLS_HEADER && speaks_mysql && bytes == TLS_HEADER && p[0] >= 0x14 && p[0] <= 0x17 &&
	    p[1] == 3 && p[2] <= 4) {
		*flags = MYSQL_SURE | MYSQL_ENCRYPTED;
		return true;
	}
	if (!mysql_is_header(p))
		return false;
	if (bytes == r->wanted && bytes == MYSQL_HEADER_BYTES)
		*flags = MYSQL_HEADERS;
	else if (bytes == r->wanted && bytes == MYSQL_FRAME_BYTES && !p[3])
		*flags = MYSQL_HEADERS | MYSQL_COMPRESSED;
	else
		return look_for_mysql && bytes > MYSQL_HEADER_BYTES && le24(p) + MYSQL_HEADER_BYTES <= bytes;
	return true;
}

/* `before`: what its first receive found (struct receive). */
static __always_inline struct mysql_connection *mysql_open(const struct receive *r, u32 flags, u32 before)
{
	struct no_connection *blank;
	struct mysql_connection *c;
	struct target *target;
	u32 zero = 0;

	target = bpf_map_lookup_elem(&targets, &r->tgid);
	if (target && target->flags & TARGET_MYSQL)
		flags |= MYSQL_TRUSTED;
	blank = bpf_map_lookup_elem(&no_connection, &zero);
	if (!blank || bpf_map_update_elem(&connections, &r->sock, &blank->mysql, BPF_ANY)) {
		count(COUNTER_CONNECTIONS_FULL);
		return NULL;
	}
	c = bpf_map_lookup_elem(&connections, &r->sock);
	if (!c)
		return NULL;
	c->flags = flags;
	c->inode = r->inode;
	c->tgid = r->tgid;
	c->proof = before;
	c->since_ns = bpf_ktime_get_ns();
	return c;
}

#define MYSQL_LASTING (MYSQL_SURE | MYSQL_HEADERS | MYSQL_COMPRESSES | MYSQL_COMPRESSED | MYSQL_ENCRYPTED | MYSQL_TRUSTED)

/*
 * Something was received unseen. The connection is followed again from this receive on, if a packet can begin here; what was
 * prepared under an id is still that, but the schema and what a name stands for may have changed.
 */
static __always_inline bool mysql_resumes(struct mysql_connection *c, const struct receive *r)
{
	u32 header = c->flags & MYSQL_COMPRESSED ? MYSQL_FRAME_BYTES : MYSQL_HEADER_BYTES, bytes = r->bytes;
	u8 p[MYSQL_HEADER_BYTES + 1] = {};

	c->flags &= MYSQL_LASTING;
	c->left = c->header_bytes = c->origin_bytes = c->commands = c->whole = c->sequence = 0;
	if (c->flags & MYSQL_ENCRYPTED)
		return true;
	if (c->flags & MYSQL_HEADERS ? r->wanted != header || bytes != header : bytes <= header)
		return false;
	if (bpf_probe_read_user(p, MYSQL_HEADER_BYTES, (void *)r->buffer) || p[3] || !le24(p) ||
	    (!(c->flags & MYSQL_HEADERS) && le24(p) + header > bytes))
		return false;
	c->gaps++;
	return true;
}

/* The connection, made if it has none; NULL where this is no MySQL, as far as the first bytes tell. */
static __always_inline struct mysql_connection *mysql_connection_of(const struct worker *worker,
								    const struct receive *r, bool has_header)
{
	struct mysql_connection *c = bpf_map_lookup_elem(&connections, &r->sock);
	u32 flags = MYSQL_HEADERS;

	if (c && c->inode == r->inode)
		return c;
	if (has_header ? !mysql_is_header(worker->header) : !mysql_may_begin(r, worker->speaks_mysql, &flags))
		return NULL;
	return mysql_open(r, flags, has_header ? worker->header_before : r->before);
}

/* All of a command's payload in one receive, behind the header: nearly every receive is so. Copies first, then looks. */
static __always_inline bool mysql_whole_payload(struct mysql_connection *c, u64 sock)
{
	u32 n = c->n < STREAM_BYTES - MYSQL_HEADER_BYTES ? c->n : STREAM_BYTES - MYSQL_HEADER_BYTES;

	barrier_var(n);
	if (n > STREAM_BYTES || bpf_probe_read_user(&c->stream[MYSQL_HEADER_BYTES], n, (void *)c->buffer))
		return false;
	if (!mysql_payload(c, &c->stream[MYSQL_HEADER_BYTES], n, sock))
		return false;
	c->start = c->buffer;
	c->bytes = MYSQL_HEADER_BYTES + n;
	c->received += c->n;
	c->from = c->at = c->n;
	c->left = 0;
	c->whole++;
	c->flags |= MYSQL_IN_PLAY;
	return true;
}

/* Follows the receive. Returns false where this is no MySQL, or not the server's side of it. */
static __always_inline bool mysql_follow(struct mysql_connection *c, const struct receive *r, const u8 *header)
{
	struct mysql_walk walk = {.connection = c, .sock = r->sock};

	c->buffer = r->buffer;
	c->n = r->bytes;
	c->at = c->from = 0;
	c->flags &= ~MYSQL_IN_PLAY;
	if (header) {
		__builtin_memcpy(c->header, header, MYSQL_HEADER_BYTES);
		c->header_bytes = 0;
		mysql_packet(c, MYSQL_HEADER_BYTES);
	}
	/* Who asks for headers first asks for the whole rest next. */
	if (c->flags & MYSQL_HEADERS && !(c->flags & MYSQL_SURE) && c->left && r->wanted != c->left)
		return false;
	if (c->flags & MYSQL_FRESH && c->n == c->left && c->bytes == MYSQL_HEADER_BYTES &&
	    !(c->flags & (MYSQL_COMPRESSED | MYSQL_LONG)))
		return mysql_whole_payload(c, r->sock);
	bpf_loop(MYSQL_PACKETS, mysql_walk_packet, &walk, 0);
	if (walk.bad || c->at < c->n)
		return false;
	return true;
}

/* ---- the reply ---- */

#define MYSQL_PREPARE_OK 12 /* bytes of its payload: 0, id 4, columns 2, parameters 2, 0, warnings 2 */
#define MYSQL_REPLY	 14 /* bytes of a reply that are looked at, its header included */

/* A reply to a PREPARE has the statement's id; a schema may have been refused. `bytes` of it are known, 0: nothing. */
static __always_inline void mysql_learn(struct mysql_connection *c, u64 sock, const u8 *p, u32 bytes)
{
	const u8 *payload = p + MYSQL_HEADER_BYTES;

	if (c->flags & MYSQL_SCHEMA && (!bytes || payload[0] == 0xff))
		c->origin_bytes = 0;
	if (c->flags & MYSQL_PREPARING && bytes && !payload[0] && !payload[9]) {
		c->prepared = le32(payload + 1);
		mysql_remember(c, sock, c->prepared, 0);
	}
	c->flags &= ~(MYSQL_PREPARING | MYSQL_SCHEMA);
}

static __always_inline bool mysql_is_prepare_ok(const u8 *p)
{
	return le24(p) == MYSQL_PREPARE_OK && p[3] <= 1; /* 0 behind a STMT_CLOSE in the same frame */
}

/* The next receive: the reply lies where the command came to, but for its first bytes, if they are overwritten. */
static __always_inline void mysql_reply_is_out(struct mysql_connection *c, u64 sock, u32 overwritten)
{
	u8 p[MYSQL_REPLY] = {};
	u32 bytes = 0;

	if (overwritten <= MYSQL_HEADER_BYTES && !bpf_probe_read_user(p, sizeof(p), (void *)c->start))
		bytes = sizeof(p);
	if (c->flags & MYSQL_PREPARING && (overwritten ? p[8] : !mysql_is_prepare_ok(p)))
		c->flags &= ~MYSQL_PREPARING; /* no id is so great */
	mysql_learn(c, sock, p, bytes);
}

/* What was sent begins at `buffer`. Of a deflated reply the plain form lies where the command came to. */
static __always_inline void mysql_reply(struct worker *worker, u64 sock, u64 buffer, s32 bytes)
{
	struct mysql_connection *c = bpf_map_lookup_elem(&connections, &sock);
	u8 p[MYSQL_REPLY] = {};

	if (!c || !(c->flags & (MYSQL_PREPARING | MYSQL_SCHEMA)))
		return;
	worker->awaits_reply = 0;
	if (c->flags & MYSQL_COMPRESSED) {
		if (bpf_probe_read_user(p, MYSQL_FRAME_BYTES, (void *)buffer))
			bytes = 0;
		buffer = le24(p + MYSQL_HEADER_BYTES) ? c->start : buffer + MYSQL_FRAME_BYTES;
	}
	if (bytes <= MYSQL_HEADER_BYTES || bpf_probe_read_user(p, sizeof(p), (void *)buffer))
		bytes = 0;
	if (!mysql_is_prepare_ok(p))
		c->flags &= ~MYSQL_PREPARING;
	mysql_learn(c, sock, p, bytes > 0 ? bytes : 0);
}

/* The header of the next packet on the connection that the thread has read to the end of one: nothing to look up yet. */
static __always_inline bool mysql_notes_header(struct worker *worker, const struct receive *r)
{
	if (worker->border != r->sock || r->wanted != MYSQL_HEADER_BYTES || r->bytes != MYSQL_HEADER_BYTES ||
	    worker->awaits_reply)
		return false;
	if (bpf_probe_read_user(worker->header, MYSQL_HEADER_BYTES, (void *)r->buffer) || !le24(worker->header))
		return false;
	worker->has_header = 1;
	worker->header_before = r->before;
	worker_serves(worker, r->sock, r->port, PROTOCOL_MYSQL);
	return true;
}

/*
 * A receive of a thread that speaks MySQL, or that may begin to. Returns false where it is not a MySQL server's: then it
 * is somebody else's.
 */
static __always_inline bool mysql_receive(struct worker *worker, const struct receive *r)
{
	bool has_header = worker->has_header && worker->border == r->sock;
	struct mysql_connection *c = mysql_connection_of(worker, r, has_header);

	worker->has_header = 0;
	worker->border = 0;
	if (!c)
		return false;
	worker->speaks_mysql = 1;
	if (c->proof != (has_header ? worker->header_before : r->before) && !mysql_resumes(c, r)) {
		worker->epoch = hook_epoch - 1; /* what it does is not known */
		return true;
	}
	c->proof = r->proof;
	c->write_seq = r->write_seq;
	if (c->flags & (MYSQL_PREPARING | MYSQL_SCHEMA) && c->flags & MYSQL_HEADERS && !c->left) {
		mysql_reply_is_out(c, r->sock, r->buffer == c->start ? r->bytes : 0);
		worker->awaits_reply = 0;
	}
	c->used = epoch;
	c->reader = worker->who;
	if (c->flags & MYSQL_ENCRYPTED) {
		c->began = bpf_jiffies64(); /* which receive begins a command is not known */
	} else {
		if (!mysql_follow(c, r, has_header ? worker->header : NULL)) {
			mysql_forget(r->sock);
			return false;
		}
		if (c->flags & MYSQL_COLLECT && c->flags & MYSQL_IN_PLAY) {
			mysql_append(c);
			if (!c->left && !c->header_bytes && !(c->flags & MYSQL_LONG))
				mysql_complete(worker, c, r->sock);
		}
		if (c->flags & MYSQL_HEADERS && !c->left && !c->header_bytes &&
		    !(c->flags & (MYSQL_ENCRYPTED | MYSQL_COMPRESSES | MYSQL_COMPRESSED)))
			worker->border = r->sock;
	}
	worker_serves(worker, r->sock, r->port, PROTOCOL_MYSQL);
	return true;
}

/* The PREPARE of the statement that the command executes; NULL where it is no such command, or that was not seen. */
static __always_inline const struct prepared_statement *mysql_prepared(const struct mysql_connection *c, u64 sock)
{
	struct prepared_key key = {.sock = sock, .since_ns = c->since_ns, .id = c->statement};

	if (c->commands != 1)
		return NULL;
	key.named = c->flags & MYSQL_NAMED ? 1 + c->gaps : 0;
	if (!key.named && c->command != COM_STMT_EXECUTE && c->command != COM_STMT_BULK_EXECUTE &&
	    c->command != COM_STMT_FETCH)
		return NULL;
	return bpf_map_lookup_elem(&prepared, &key);
}

/* Whether the reader is at work for the connection's command: that is whole, or has asked the client for data. */
static __always_inline bool mysql_executes(const struct mysql_connection *c)
{
	return c->flags & (MYSQL_DATA | MYSQL_ENCRYPTED) || c->whole;
}

#endif

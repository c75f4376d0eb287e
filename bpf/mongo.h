/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * MongoDB connections, followed message by message (MongoDB, "MongoDB Wire Protocol"):
 *
 *	| length 4 | request id 4 | response to 4 | opcode 4 | body ...
 *
 * Of a request, "response to" is 0: with an opcode that is one, that tells it from other protocols, and the server's side from
 * the client's. mongod asks for the header first, 16 bytes, and then for the rest; so such a server is known at once, as are
 * Go's, whatever they read; others (`look_for_mongo`) once a sample has shown a request.
 *
 * Requests are copied when they come: servers read into memory that they give away or use again. The command that opened a
 * cursor is kept under the id that its reply brings at its end, "id" and "ns" behind each other in the cursor's document,
 * for the getMores to come: on any connection, as drivers have pools of them.
 */
#ifndef WIREPROF_BPF_MONGO_H
#define WIREPROF_BPF_MONGO_H

#include "maps.h"

#define MONGO_MESSAGES 4096 /* of a receive are followed */

/* Set by the user side, when it has seen a server that does not ask for the header alone. */
bool look_for_mongo;

static __always_inline bool mongo_is_length(u32 length)
{
	return length > MONGO_HEADER_BYTES && length <= MONGO_LONGEST_MESSAGE;
}

/* Whether these are the header of a request. */
static __always_inline bool mongo_is_header(const u8 *p)
{
	u32 opcode = le32(p + 12);

	return !le32(p + 8) && mongo_is_length(le32(p)) && MONGO_ASKS(opcode);
}

static __always_inline struct mongo_connection *mongo_open(const struct receive *r, u32 flags)
{
	struct mongo_connection *c;
	struct no_connection *blank;
	u32 zero = 0;

	blank = bpf_map_lookup_elem(&no_connection, &zero);
	if (!blank || bpf_map_update_elem(&mongo_connections, &r->sock, &blank->mongo, BPF_ANY)) {
		count(COUNTER_CONNECTIONS_FULL);
		return NULL;
	}
	c = bpf_map_lookup_elem(&mongo_connections, &r->sock);
	if (!c)
		return NULL;
	c->flags = flags;
	c->inode = r->inode;
	c->tgid = r->tgid;
	c->proof = r->before;
	return c;
}

/* Whether a receive may be of a connection that is followed, or to be followed from now on. */
static __always_inline bool may_be_mongo(const struct worker *worker, const struct receive *r)
{
	return r->bytes > 0 && r->buffer &&
	       (worker->speaks_mongo || worker->generation || r->wanted == MONGO_HEADER_BYTES || look_for_mongo);
}

/* The connection, made if it has none; NULL where this is no request, as far as the first bytes tell. */
static __always_inline struct mongo_connection *mongo_connection_of(const struct worker *worker, const struct receive *r)
{
	struct mongo_connection *c = bpf_map_lookup_elem(&mongo_connections, &r->sock);
	bool alone = r->wanted == MONGO_HEADER_BYTES && r->bytes == MONGO_HEADER_BYTES;
	u8 p[MONGO_HEADER_BYTES];

	if (c && c->inode == r->inode && c->proof == r->before)
		return c;
	if (r->bytes < MONGO_HEADER_BYTES || !(alone || worker->generation || look_for_mongo))
		return NULL;
	if (bpf_probe_read_user(p, sizeof(p), (void *)r->buffer) || !mongo_is_header(p))
		return NULL;
	return mongo_open(r, alone ? MONGO_HEADERS : 0);
}

/* The next message's header, as far as it came. */
static __always_inline bool mongo_header(struct mongo_connection *c)
{
	u32 have = c->header_bytes, n = c->n - c->at;
	u8 p[MONGO_HEADER_BYTES] = {};

	if (have >= MONGO_HEADER_BYTES)
		return false;
	if (n > MONGO_HEADER_BYTES - have)
		n = MONGO_HEADER_BYTES - have;
	barrier_var(n);
	if (n > MONGO_HEADER_BYTES || bpf_probe_read_user(p, n, (void *)(c->buffer + c->at)))
		return false;
	if (!have) {
		c->last = c->received + c->at;
		c->messages++;
	}
	for (u32 i = 0; i < MONGO_HEADER_BYTES; i++)
		if (i < n)
			c->header[(have + i) & (MONGO_HEADER_BYTES - 1)] = p[i];
	c->at += n;
	c->header_bytes = have + n;
	if (c->header_bytes < MONGO_HEADER_BYTES)
		return true;
	c->header_bytes = 0;
	c->left = le32(c->header) - MONGO_HEADER_BYTES;
	return mongo_is_header(c->header);
}

struct mongo_walk {
	struct mongo_connection *connection;
	bool bad;
};

/* Follows the receive up to the next end of a header or of a message. */
static long mongo_walk_message(u32 i, void *context)
{
	struct mongo_walk *w = context;
	struct mongo_connection *c = w->connection;
	u32 n = c->n - c->at;

	if (c->at >= c->n)
		return 1;
	if (!c->left) {
		w->bad = !mongo_header(c);
		return w->bad;
	}
	if (n > c->left)
		n = c->left;
	c->at += n;
	c->left -= n;
	if (!c->left)
		c->whole++;
	return 0;
}

static __always_inline void mongo_append(struct mongo_connection *c)
{
	u32 at = c->bytes, n = c->n;

	if (at != c->received || at >= STREAM_BYTES) /* no gap */
		n = 0;
	else if (n > STREAM_BYTES - at)
		n = STREAM_BYTES - at;
	c->received += c->n;
	if (!n)
		return;
	barrier_var(at);
	barrier_var(n);
	if (at < STREAM_BYTES && n <= STREAM_BYTES && !bpf_probe_read_user(&c->stream[at], n, (void *)c->buffer))
		c->bytes = at + n;
}

/* What came before this receive is done, but for the last message, if that is not whole. */
static __always_inline void mongo_batch(struct mongo_connection *c)
{
	u32 at = c->last, n;

	if (!c->left && !c->header_bytes) {
		c->bytes = c->received = c->messages = c->whole = 0;
		c->began = bpf_jiffies64();
		return;
	}
	if (!c->whole)
		return;
	c->began = bpf_jiffies64();
	c->whole = 0;
	c->messages = 1;
	c->last = 0;
	n = c->bytes > at ? c->bytes - at : 0;
	barrier_var(at);
	barrier_var(n);
	if (at >= STREAM_BYTES || n > STREAM_BYTES || bpf_probe_read_kernel(c->stream, n, &c->stream[at]))
		n = 0;
	c->bytes = n;
	c->received -= at;
}

#define MONGO_KIND     20 /* of OP_MSG's first section, behind the flags */
#define MONGO_ELEMENT  25 /* its document's first element, behind the document's length: type, name, value */
#define MONGO_NAME     (MONGO_ELEMENT + 1)
#define BSON_INT64     0x12
#define LETTERS(a, b, c, d) ((u32)(a) | (u32)(b) << 8 | (u32)(c) << 16 | (u32)(d) << 24)

/* The message is whole, and alone: whether it opens a cursor, or asks for more of one. */
static __always_inline void mongo_look_for_cursor(struct mongo_connection *c)
{
	u32 opcode = le32(c->stream + 12), name = le32(c->stream + MONGO_NAME);
	u32 end = c->received - 8;

	if (c->bytes < MONGO_NAME + 16)
		return;
	if (opcode == OP_QUERY) {
		c->flags |= MONGO_OPENS;
	} else if (opcode == OP_GET_MORE) {
		barrier_var(end);
		if (end < STREAM_BYTES)
			c->cursor = le64(&c->stream[end]);
	} else if (opcode == OP_MSG && !c->stream[MONGO_KIND]) {
		if (name == LETTERS('g', 'e', 't', 'M') && c->stream[MONGO_ELEMENT] == BSON_INT64)
			c->cursor = le64(c->stream + MONGO_NAME + sizeof("getMore"));
		else if (name == LETTERS('f', 'i', 'n', 'd') ? !c->stream[MONGO_NAME + 4]
							      : name == LETTERS('a', 'g', 'g', 'r') ||
									name == LETTERS('l', 'i', 's', 't'))
			c->flags |= MONGO_OPENS;
	}
}

/* Drivers that put a bulk's documents into the command name its database behind them. */
static __always_inline void mongo_keep_end(struct mongo_connection *c)
{
	u32 n = c->n < END_BYTES ? c->n : END_BYTES;

	barrier_var(n);
	if (c->received > STREAM_BYTES && n <= END_BYTES &&
	    !bpf_probe_read_user(c->end, n, (void *)(c->buffer + c->n - n)))
		c->end_bytes = n;
}

/* A cursor that was exhausted is forgotten once its last getMore is done with: with the next message. */
static __always_inline void mongo_forget_cursor(struct mongo_connection *c)
{
	struct cursor_key key = {.id = c->cursor, .tgid = bpf_get_current_pid_tgid() >> 32};

	if (c->flags & MONGO_EXHAUSTS)
		bpf_map_delete_elem(&cursors, &key);
	c->flags &= ~MONGO_EXHAUSTS;
}

static __always_inline void mongo_complete(struct worker *worker, struct mongo_connection *c)
{
	mongo_forget_cursor(c);
	c->flags &= ~MONGO_OPENS;
	c->cursor = c->reply_left = c->tail_bytes = c->end_bytes = 0;
	if (c->messages == 1) {
		mongo_look_for_cursor(c);
		mongo_keep_end(c);
	}
	worker->awaits_reply = c->cursor || c->flags & MONGO_OPENS;
	if (!watches_replies) {
		watches_replies = true;
		send_process_event(EVENT_REPLIES, bpf_get_current_pid_tgid() >> 32, 0);
	}
}

/* Follows the receive. Returns false where this is no request, or no message any more. */
static __noinline int mongo_follow(struct mongo_connection *c)
{
	struct mongo_walk walk = {.connection = c};

	mongo_batch(c);
	bpf_loop(MONGO_MESSAGES, mongo_walk_message, &walk, 0);
	if (walk.bad || c->at < c->n)
		return false;
	mongo_append(c);
	return true;
}

/* A receive of a worker that speaks the protocol, or that may begin to. Returns false where it is somebody else's. */
static __noinline int mongo_receive(struct worker *worker, const struct receive *r)
{
	struct mongo_connection *c = mongo_connection_of(worker, r);

	if (!c)
		return false;
	c->used = epoch;
	c->reader = worker->who;
	c->proof = r->proof;
	c->write_seq = r->write_seq;
	c->buffer = r->buffer;
	c->n = r->bytes;
	c->at = 0;
	if (!mongo_follow(c)) {
		bpf_map_delete_elem(&mongo_connections, &r->sock);
		return false;
	}
	worker->awaits_reply = 0;
	if (!c->left && !c->header_bytes)
		mongo_complete(worker, c);
	worker_serves(worker, r->sock, r->port, PROTOCOL_MONGO);
	worker->speaks_mongo = 1;
	return true;
}

/* Whether the reader is at work for a message: one is whole. */
static __always_inline bool mongo_executes(const struct mongo_connection *c)
{
	return c->whole;
}

/* ---- the reply ---- */

#define REPLY_CURSOR 20 /* of OP_REPLY: the cursor's id, behind the flags */
#define ID_ELEMENT   LETTERS(BSON_INT64, 'i', 'd', 0)
#define NS_ELEMENT   LETTERS(2, 'n', 's', 0) /* a string */
#define ID_BYTES     16 /* the one, its value, and the other */

static long mongo_find_id(u32 i, void *context)
{
	struct mongo_connection *c = *(struct mongo_connection **)context;
	u32 at = i * 8 & (sizeof(c->tail) - 1);

	if (at + ID_BYTES > c->tail_bytes)
		return 1;
	for (u32 k = 0; k < 8; k++) {
		const u8 *p = &c->tail[at + k];

		if (le32(p) == ID_ELEMENT && le32(p + 12) == NS_ELEMENT)
			c->opened = le64(p + 4);
	}
	return 0;
}

/* The reply is out: what it says of a cursor. */
static __always_inline void learn(struct mongo_connection *c)
{
	struct cursor_key key = {.tgid = bpf_get_current_pid_tgid() >> 32};
	struct open_cursor *cursor;
	u32 zero = 0;

	if (c->cursor) {
		key.id = c->cursor;
		cursor = bpf_map_lookup_elem(&cursors, &key);
		if (cursor)
			cursor->used = epoch;
		if (!c->opened)
			c->flags |= MONGO_EXHAUSTS;
		return;
	}
	if (!c->opened)
		return;
	key.id = c->opened;
	cursor = bpf_map_lookup_elem(&new_cursor, &zero);
	if (!cursor || bpf_probe_read_kernel(&cursor->opener, sizeof(cursor->opener), &c->bytes))
		return;
	cursor->used = epoch;
	if (bpf_map_update_elem(&cursors, &key, cursor, BPF_ANY))
		count(COUNTER_CURSORS_FULL);
}

/* Keeps the end of the reply, which may be sent in pieces. */
static __always_inline void mongo_keep_tail(struct mongo_connection *c, u64 buffer, u32 bytes)
{
	u32 at = c->tail_bytes, n = bytes;

	if (n > REPLY_TAIL_BYTES)
		n = REPLY_TAIL_BYTES;
	if (n == REPLY_TAIL_BYTES)
		at = 0;
	if (at > REPLY_TAIL_BYTES) { /* only the end is needed */
		u32 from = at - REPLY_TAIL_BYTES;

		barrier_var(from);
		if (from > REPLY_TAIL_BYTES || bpf_probe_read_kernel(c->tail, REPLY_TAIL_BYTES, &c->tail[from]))
			return;
		at = REPLY_TAIL_BYTES;
	}
	barrier_var(at);
	barrier_var(n);
	if (at <= REPLY_TAIL_BYTES && n <= REPLY_TAIL_BYTES &&
	    !bpf_probe_read_user(&c->tail[at], n, (void *)(buffer + bytes - n)))
		c->tail_bytes = at + n;
}

/* What was sent begins at `buffer`. */
static __always_inline void mongo_reply(struct worker *worker, u64 sock, u64 buffer, u32 bytes)
{
	struct mongo_connection *c = bpf_map_lookup_elem(&mongo_connections, &sock);
	u8 p[REPLY_CURSOR + 8] = {};

	if (!c)
		return;
	if (!c->reply_left) {
		if (bytes < MONGO_HEADER_BYTES || bpf_probe_read_user(p, sizeof(p), (void *)buffer) ||
		    !mongo_is_length(le32(p)) || (le32(p + 12) != OP_MSG && le32(p + 12) != OP_REPLY)) {
			worker->awaits_reply = 0; /* compressed, or not known */
			return;
		}
		c->reply_left = le32(p);
		c->opened = le32(p + 12) == OP_REPLY ? le64(p + REPLY_CURSOR) : 0;
		c->tail_bytes = 0;
	}
	if (bytes > c->reply_left)
		bytes = c->reply_left;
	c->reply_left -= bytes;
	mongo_keep_tail(c, buffer, bytes);
	if (c->reply_left)
		return;
	worker->awaits_reply = 0;
	bpf_loop(sizeof(c->tail) / 8, mongo_find_id, &c, 0);
	learn(c);
}

/* The command that opened the cursor that the message asks for more of; NULL where it is no such message, or that was not seen. */
static __always_inline const struct prepared_statement *mongo_opener(const struct mongo_connection *c, u32 tgid)
{
	struct cursor_key key = {.id = c->cursor, .tgid = tgid};
	struct open_cursor *cursor;

	if (!c->cursor)
		return NULL;
	cursor = bpf_map_lookup_elem(&cursors, &key);
	return cursor ? &cursor->opener : NULL;
}

#endif

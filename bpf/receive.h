/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hot path: what happens on every receive of a target. It stores where the bytes are, not the bytes.
 *
 * One message may take several receives. A receive continues the connection's message when
 *	- the message's head declares more bytes than have come (a bulk string longer than the receive), or
 *	- nothing was queued for sending since the receive before (TCP: write_seq stands still), or
 *	- the receive before left bytes in the queue (AF_UNIX, which has no write_seq), or
 *	- it lands right behind the receive before, in memory.
 * A server that trims what it parsed (Redis) has lost the head of such a message by the time a sample
 * fires, so the head is copied when the receive is large (then the copy is noise beside it), and on
 * connections that were seen to send in pieces.
 */
#ifndef WIREPROF_RECEIVE_H
#define WIREPROF_RECEIVE_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "arch_x86_64.h"
#include "goroutine.h"
#include "mongo.h"
#include "mysql.h"

/*
 * Neighbours stay neighbours: kernel objects of one kind lie in few slabs, and buffers of one kind in few
 * arenas, so what is in use together shares pages of these tables too. (Measured: 16 ns a receive less than
 * with a hash that scatters them.)
 */
static __always_inline u32 socket_set(u64 sock)
{
	return (sock >> 11 ^ sock >> 25) * SOCKET_WAYS & (MAX_SOCKETS - 1);
}

static __always_inline u32 buffer_index(u64 buffer)
{
	return (buffer >> 10 ^ buffer >> 26) & (MAX_BUFFERS - 1);
}

/* The connection's slot, or NULL. */
static __always_inline struct socket_slot *slot_find(u64 sock)
{
	u32 set = socket_set(sock);

	for (u32 way = 0; way < SOCKET_WAYS; way++) {
		u32 i = set + way;
		struct socket_slot *slot = bpf_map_lookup_elem(&sockets, &i);

		if (slot && slot->sock == sock)
			return slot;
	}
	return NULL;
}

/* The connection's slot, made if it has none: an empty place, else the set's first (its owner is evicted). */
static __always_inline struct socket_slot *slot_claim(u64 sock)
{
	struct socket_slot *slot = slot_find(sock);
	u32 set = socket_set(sock);

	if (slot)
		return slot;
	for (u32 way = 0; way < SOCKET_WAYS; way++) {
		u32 i = set + way;

		slot = bpf_map_lookup_elem(&sockets, &i);
		if (slot && !slot->sock)
			break;
		slot = NULL;
	}
	if (!slot) {
		slot = bpf_map_lookup_elem(&sockets, &set);
		if (!slot)
			return NULL;
		count(COUNTER_SOCKETS_EVICTED);
	}
	__builtin_memset(slot, 0, sizeof(*slot));
	slot->sock = sock;
	return slot;
}

static __always_inline bool continues(const struct socket_slot *slot, const struct receive *r)
{
	if (!slot->received || slot->tgid != r->tgid || slot->proof != r->before)
		return false;
	if (slot->expected)
		return slot->received < slot->expected;
	if (r->buffer == slot->buffer + slot->last)
		return true;
	return r->family == AF_UNIX ? slot->flags & SLOT_MORE : slot->write_seq == r->write_seq;
}

#define HEAD_LINES 64 /* of a head are followed */
#define LINE_BYTES 12 /* '*' or '$', at most nine digits, CR, LF */

unsigned int heads_given; /* places in heads, so far */

/* The connection's place in heads, which another connection may have taken meanwhile; NULL: it has none. */
static __always_inline struct head_copy *head_of(const struct socket_slot *slot)
{
	u32 index = slot->head - 1;

	return bpf_map_lookup_elem(&heads, &index);
}

/* The position is kept in the map: the verifier would follow every value of it on the stack. */
struct head_walk {
	u32 head;  /* index in heads */
	u32 bytes; /* in the head */
};

/* Follows one "*N" or "$N" line of RESP; a bulk string's content is jumped over. */
static long walk_line(u32 i, void *context)
{
	struct head_walk *w = context;
	struct head_copy *head = bpf_map_lookup_elem(&heads, &w->head);
	u64 at, number = 0;
	u8 kind;

	if (!head)
		return 1;
	at = head->at;
	if (at >= HEAD_BYTES || at + LINE_BYTES > w->bytes)
		return 1;
	kind = head->bytes[at];
	if (kind != '*' && kind != '$')
		return 1;
	for (u32 digits = 1; digits < LINE_BYTES - 1; digits++) {
		u8 c = head->bytes[at + digits];

		if (c == '\r') {
			head->at = at + digits + 2 + (kind == '$' ? number + 2 : 0);
			return 0;
		}
		if (c < '0' || c > '9')
			return 1;
		number = number * 10 + (c - '0');
	}
	return 1;
}

/* The end of the last bulk string that the head declares, if it is still to come. */
static __always_inline void head_follow(struct socket_slot *slot)
{
	struct head_walk w = {.head = slot->head - 1, .bytes = slot->head_bytes};
	struct head_copy *head = head_of(slot);

	if (!head || head->sock != slot->sock)
		return;
	bpf_loop(HEAD_LINES, walk_line, &w, 0);
	slot->expected = head->at <= slot->received ? 0 : head->at < ~0u ? head->at : ~0u;
}

/* A message begins whose head is to be copied: the connection's place, if it still has one, or the next in turn. */
static __always_inline void head_claim(struct socket_slot *slot)
{
	const struct head_copy *head = head_of(slot);

	if (!head || head->sock != slot->sock)
		slot->head = 1 + (__sync_fetch_and_add(&heads_given, 1) & (MAX_HEADS - 1));
}

/* Appends the receive's first bytes to the copy of the message's head. */
static __always_inline void head_append(struct socket_slot *slot, const struct receive *r)
{
	struct head_copy *head;
	u32 at = slot->head_bytes, n = r->bytes;

	if (!at)
		head_claim(slot);
	head = head_of(slot);
	if (!head || at >= HEAD_BYTES || (at && head->sock != slot->sock))
		return;
	if (n > HEAD_BYTES - at)
		n = HEAD_BYTES - at;
	/* Or clang proves bounds away where the verifier cannot. */
	barrier_var(at);
	barrier_var(n);
	at &= HEAD_BYTES - 1; /* which it is: a bound that Linux 6.1 does not forget when it is spilled */
	if (n <= HEAD_BYTES && !bpf_probe_read_user(&head->bytes[at], n, (void *)r->buffer)) {
		head->sock = slot->sock;
		if (!at)
			head->at = 0;
		slot->head_bytes = at + n;
	}
}

static __always_inline void slot_update(struct socket_slot *slot, u64 reader, const struct receive *r)
{
	bool copied = false;

	if (continues(slot, r)) {
		slot->flags |= SLOT_PIECES;
		copied = slot->head_bytes == slot->received; /* so far, without a gap */
		slot->received += r->bytes;
		if (slot->received < (u32)r->bytes)
			slot->received = ~0u;
	} else {
		slot->received = r->bytes;
		slot->since = bpf_jiffies64();
		slot->head_bytes = 0;
		slot->expected = 0;
		copied = r->bytes >= HEAD_COPY_MIN || slot->flags & (SLOT_PIECES | SLOT_SHARED);
	}
	if (copied) {
		head_append(slot, r);
		if (r->bytes >= HEAD_COPY_MIN || slot->flags & SLOT_PIECES)
			head_follow(slot);
	}
	slot->buffer = r->buffer;
	slot->last = r->bytes;
	slot->tgid = r->tgid;
	slot->reader = reader;
	slot->write_seq = r->write_seq;
	slot->proof = r->proof;
	if (r->family == AF_UNIX)
		slot->flags = (slot->flags & ~SLOT_MORE) | (r->queued ? SLOT_MORE : 0);
}

/* Notes who receives into the buffer. Returns whether another connection did before. */
static __always_inline bool buffer_claim(u64 buffer, u64 sock)
{
	u32 i = buffer_index(buffer);
	struct buffer_owner *owner = bpf_map_lookup_elem(&buffers, &i);
	bool shared;

	if (!owner)
		return false;
	shared = owner->buffer == buffer && owner->sock != sock;
	owner->buffer = buffer;
	owner->sock = sock;
	return shared;
}

/* Whether the server of a connection that is followed reads headers first. */
static __always_inline bool is_headers_first(u64 sock, enum protocol protocol)
{
	const struct mysql_connection *mysql = NULL;
	const struct mongo_connection *mongo = NULL;

	if (protocol == PROTOCOL_MYSQL)
		mysql = bpf_map_lookup_elem(&connections, &sock);
	else if (protocol == PROTOCOL_MONGO)
		mongo = bpf_map_lookup_elem(&mongo_connections, &sock);
	return (mysql && mysql->flags & MYSQL_HEADERS) || (mongo && mongo->flags & MONGO_HEADERS);
}

/*
 * Whether a receive is none of the worker's business: it serves another connection, and this is one of its own to another
 * server. Of MySQL's and MongoDB's servers, those have a thread or goroutine a connection that read headers first; of other
 * goroutines that much is known if the connections have not come by the same port.
 */
static __always_inline bool is_aside(const struct worker *worker, const struct receive *r)
{
	if (worker->protocol == PROTOCOL_ANY || worker->sock == r->sock)
		return false;
	if (worker->generation && worker->port != r->port)
		return true;
	return is_headers_first(worker->sock, worker->protocol);
}

static __always_inline void reply_is_out(struct worker *worker, u64 sock)
{
	struct mysql_connection *c = bpf_map_lookup_elem(&connections, &sock);

	if (!c || !(c->flags & MYSQL_HEADERS) || c->left)
		return;
	worker->awaits_reply = 0;
	mysql_reply_is_out(c, sock, 0);
}


static __always_inline void serves_nobody(struct worker *worker)
{
	worker_serves(worker, 0, 0, PROTOCOL_ANY);
}

/* A receive that brings nothing ends the worker's request; end of stream also ends the connection. */
static __always_inline void receive_nothing(struct worker *worker, const struct receive *r)
{
	struct socket_slot *slot;
	bool aside = is_aside(worker, r);

	if (!aside)
		serves_nobody(worker);
	if (r->bytes == -ERRNO_EAGAIN) {
		if (worker->awaits_reply)
			reply_is_out(worker, r->sock);
		return;
	}
	if (worker->speaks_mysql)
		mysql_forget(r->sock);
	if (worker->speaks_mongo)
		bpf_map_delete_elem(&mongo_connections, &r->sock);
	if (worker->border == r->sock)
		worker->border = 0;
	slot = slot_find(r->sock);
	if (slot)
		slot->sock = 0;
	if (!aside)
		goroutine_forget(worker);
}

static __always_inline void receive_bytes(struct worker *worker, const struct receive *r)
{
	struct socket_slot *slot = slot_claim(r->sock);

	if (!slot)
		return;
	if (buffer_claim(r->buffer, r->sock))
		slot->flags |= SLOT_SHARED;
	slot_update(slot, worker->who, r);
	worker_serves(worker, r->sock, r->port, PROTOCOL_ANY);
}

/* TCP's proof is its position in the stream; others have the hook's epoch. */
static __always_inline void prove(struct receive *r, bool tcp, u32 copied_seq)
{
	r->proof = tcp ? copied_seq : hook_epoch;
	r->before = tcp && r->bytes > 0 ? copied_seq - r->bytes : r->proof;
}

static __always_inline bool receive_wanted(u16 family, u16 type)
{
	return type == SOCK_STREAM && (family == AF_INET || family == AF_INET6 || family == AF_UNIX);
}

/*
 * Where a receive puts its first byte, or a send takes it from: the buffer argument, or the first element of the vector
 * that the argument leads to; and its size. Returns 0 where the system call is of neither family.
 */
static __always_inline u64 first_buffer(s64 nr, u64 arg1, u64 arg2, u32 *bytes)
{
	u64 element[2] = {}, vector = arg1;

	switch (nr) {
	case SYS_READ:
	case SYS_RECVFROM:
	case SYS_WRITE:
	case SYS_SENDTO:
		*bytes = arg2;
		return arg1;
	case SYS_RECVMSG:
	case SYS_SENDMSG:
		/* struct msghdr: name, namelen, then the vector */
		if (bpf_probe_read_user(&vector, sizeof(vector), (void *)(arg1 + 16)))
			return 0;
		/* fallthrough */
	case SYS_READV:
	case SYS_WRITEV:
		if (bpf_probe_read_user(element, sizeof(element), (void *)vector))
			return 0;
		*bytes = element[1];
		return element[0];
	}
	return 0;
}

/* The verifier forbids arithmetic on a pointer; through memory it becomes a number. */
static __always_inline u64 pointer_number(struct thread_state *thread, struct sock *sk)
{
	*(volatile u64 *)&thread->number = (u64)sk;
	return *(volatile u64 *)&thread->number;
}

/* Whether a MySQL connection may have received this, and it has to be looked at: then with the socket's inode. */
static __always_inline bool may_be_mysql(const struct worker *worker, const struct receive *r)
{
	return r->bytes > 0 && r->buffer &&
	       (worker->speaks_mysql || r->wanted == MYSQL_HEADER_BYTES || r->wanted == MYSQL_FRAME_BYTES || look_for_mysql);
}

/* A function of its own, to be verified once for threads and goroutines. */
__noinline int receive(struct worker *worker, const struct receive *received)
{
	struct receive r;

	if (!worker || !received)
		return 0;
	r = *received; /* before Linux 6.2, keys of maps may lie in no memory but the function's own */
	if (may_be_mysql(worker, &r) && mysql_receive(worker, &r))
		return 0;
	if (may_be_mongo(worker, &r) && mongo_receive(worker, &r))
		return 0;
	if (r.bytes <= 0) {
		receive_nothing(worker, &r);
		return 0;
	}
	if (is_aside(worker, &r))
		return 0;
	if (r.buffer) {
		receive_bytes(worker, &r);
	} else {
		serves_nobody(worker);
		worker->bypass = 1;
		count(COUNTER_RECEIVES_BYPASS);
	}
	return 0;
}

#endif

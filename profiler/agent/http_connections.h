/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long clients may take. libmicrohttpd's own time-out starts anew with each byte, so a client that sends or takes one
 * now and then could keep its connection for ever. Here each connection has a time by which it must have got on: with a
 * request, with taking the answer. One that has not is shut down; the library then sees its end, and cleans up.
 *
 * And it can miss the end of what a client sends: where that comes together with data, it takes the data, and waits for
 * an event that was already. http_connections_show_ends() makes another one.
 */
#ifndef WIREPROF_HTTP_CONNECTIONS_H
#define WIREPROF_HTTP_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "http.h"

struct http_connection {
	int fd; /* -1: a free place */
	bool answering, shut;
	bool end_shown; /* the client sends no more, and the library had another event for it */
	uint64_t since_ms; /* of what it does now */
};

struct http_connections {
	/* Connections that have ended may still be there for a moment. */
	struct http_connection places[2 * HTTP_MAX_CONNECTIONS];
	uint64_t request_ms, answer_ms;
	uint64_t open, accepted, too_slow;
	int listen_fd, spare_fd; /* the latter is of nothing: see http_connections_turn_away() */
};


void http_connections_init(struct http_connections *c, uint64_t request_ms, uint64_t answer_ms);
void http_connections_listen(struct http_connections *c, int fd);
void http_connections_fini(struct http_connections *c); /* leaves the connections, and what is listened on */

/* Returns its place; NULL: there is none, and no limit for it but the library's. */
struct http_connection *http_connection_opened(struct http_connections *c, int fd);
void http_connection_closed(struct http_connections *c, struct http_connection *connection); /* NULL is fine */
/* From now on it takes an answer, or is to send a request. NULL is fine. */
void http_connection_turns(struct http_connection *connection, bool answering);

/* Whether further clients have to wait until one of these ends. */
bool http_connections_full(const struct http_connections *c);

/* When the next one is to be shut down; UINT64_MAX: none. */
uint64_t http_connections_next_ms(const struct http_connections *c);
void http_connections_end_slow(struct http_connections *c);
void http_connections_show_ends(struct http_connections *c);
/* Where there is no descriptor for the client that waits, it is turned away. */
void http_connections_turn_away(struct http_connections *c);

#endif

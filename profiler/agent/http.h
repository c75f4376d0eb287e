/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's HTTP server: a few fixed paths, read only, without a thread of its own.
 *
 * The agent's loop polls http_fd() for input, for at most http_timeout_ms(), and then calls http_run(), which never
 * blocks. Other people's browsers are the danger here, not only other people: a web page that a user of this machine
 * visits can send requests to 127.0.0.1, and by DNS rebinding read the answers. So the Host header must name what was
 * meant to be reached. Nothing that comes in a request is ever written anywhere or used as a file's name.
 */
#ifndef WIREPROF_HTTP_H
#define WIREPROF_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define HTTP_MAX_CONNECTIONS 32	      /* at a time; further ones wait in the kernel's queue */
#define HTTP_MAX_BODY_BYTES  (64u << 20) /* of all answers that are being sent, together; beyond: 503 */

struct http; /* opaque */

struct http_options {
	const char *listen;		  /* as http_parse_address() takes it */
	const char *const *allowed_hosts; /* names, besides localhost, that the Host header may have */
	size_t n_allowed_hosts;
	/* How long a client may take for a whole request, and for taking the answer; 0: 10 s and two minutes. */
	unsigned int request_ms, answer_ms;
};

/*
 * What one path answers. make() fills in *body (malloc'ed; the server frees it) and *bytes and returns 0; or it returns
 * -EAGAIN (not yet: the client gets a 503 and is told to come back) or another -errno (500). `query` is what stands
 * behind the ?, as it was sent; "" where nothing does, or the path takes none. While make() runs the loop stands still:
 * what takes long should be kept, so that no number of clients makes it be made more often.
 */
struct http_route {
	const char *path; /* "/metrics"; compared whole */
	const char *content_type;
	int (*make)(void *context, const char *query, char **body, size_t *bytes);
	unsigned int keep_ms; /* an answer serves for so long, to whoever sends the same query */
	bool takes_query;     /* else what stands behind the ? is ignored */
};

/*
 * Listens. The options and routes, and what they point to, must outlive the server. Returns 0, or -errno after one
 * message: a bad address, a port in use, no permission.
 */
int http_start(const struct http_options *options, const struct http_route *routes, size_t n_routes, void *context,
	       struct http **out);
/* Where it listens, with the port that the kernel chose where none was asked for (port 0): "127.0.0.1:7777". */
const char *http_address(const struct http *h);
int http_fd(const struct http *h);	   /* to be polled for input */
int http_timeout_ms(const struct http *h); /* as for poll(): -1 is forever */
void http_run(struct http *h);
void http_stop(struct http *h); /* closes all connections; NULL is fine */

struct http_counts {
	uint64_t ok;		 /* answers with status 200, */
	uint64_t refused;	 /* with 4xx, but for */
	uint64_t refused_host;	 /* those with a Host header that is not allowed, */
	uint64_t failed;	 /* and with 5xx */
	uint64_t accepted;	 /* connections, ever */
	uint64_t too_slow;	 /* of them, closed because a request or an answer took too long */
	uint64_t connections;	 /* open now */
	uint64_t body_bytes;	 /* of answers that are in memory now */
};
void http_counts(const struct http *h, struct http_counts *out);

/*
 * "7777", ":7777", "127.0.0.1:7777", "[::1]:7777", "localhost:7777", "name:7777"; without a host it is 127.0.0.1.
 * Returns 0, or -EINVAL after a message that says what is wrong with it.
 */
int http_parse_address(const char *text, struct sockaddr_storage *address, socklen_t *length);

/*
 * Listens there, and puts into `name` where that is, as in http_address(). Returns the socket, or -errno after a message.
 */
int http_listen(const char *text, char *name, size_t size);

/* What is wrong with the form of such a text, or NULL: whether there is such a host is not asked. */
const char *http_address_problem(const char *text);

/*
 * Whether a Host header is fine: an IP address, localhost, or one of `names`, with or without a port. Another name can
 * be made to point here by whoever owns it.
 */
bool http_host_allowed(const char *host, const char *const *names, size_t n_names);

#endif

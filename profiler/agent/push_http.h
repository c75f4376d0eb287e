/* SPDX-License-Identifier: Apache-2.0 */
/* One request at a time to one server, over one connection that is kept (libcurl). For pusher.c. */
#ifndef WIREPROF_PUSH_HTTP_H
#define WIREPROF_PUSH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "push_secrets.h"

/* Whether a server's URL will do: http or https, with a path perhaps, and nothing else. */
enum push_url {
	PUSH_URL_FINE,
	PUSH_URL_SCHEME, /* neither http:// nor https:// */
	PUSH_URL_NONE,	 /* no URL */
	PUSH_URL_SECRET, /* a user or password in it */
	PUSH_URL_MORE,	 /* a query or fragment */
};
enum push_url push_url_check(const char *url);

struct push_http; /* opaque */

struct push_http_options {
	const char *url, *tenant, *ca_file; /* as pusher_options */
	unsigned int timeout_ms;
};

/* Checks the options too. Returns 0 or -errno after a message. */
int push_http_new(const struct push_http_options *options, struct push_http **out);
void push_http_free(struct push_http *h);
/* Where it posts to; for messages. */
const char *push_http_url(const struct push_http *h);
/* Whether credentials would be sent in the clear, to another machine. */
bool push_http_clear(const struct push_http *h);

struct push_answer {
	bool failed; /* no whole answer: `error` says why, and nothing else is set */
	bool timed_out;
	bool aborted; /* by push_http_abort_at() */
	char error[300];
	long status;
	char *body; /* NUL-terminated; valid until the next request */
	size_t bytes;
	unsigned int retry_after_s; /* 0: not said */
};

void push_http_post(struct push_http *h, const struct push_headers *headers, const void *body,
		    size_t bytes, struct push_answer *out);
/* From any thread: the request that runs, and all later ones, end by then at the latest
 * (CLOCK_MONOTONIC; milliseconds). */
void push_http_abort_at(struct push_http *h, uint64_t when_ms);

#endif

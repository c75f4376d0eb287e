/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the HTTP server sends: a body that several answers share, and the way it goes out, in pieces and perhaps compressed.
 *
 * A page can be megabytes. Compressing it as the client takes it keeps each turn of the agent's loop short, and no
 * second copy of it is ever in memory.
 */
#ifndef WIREPROF_HTTP_BODY_H
#define WIREPROF_HTTP_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct MHD_Response;

struct http_body {
	unsigned int references;
	char *data;
	size_t bytes;
	size_t *total; /* bytes of all bodies that there are */
};

/* Takes `data` over, also where it fails (NULL: no memory). There is one reference. */
struct http_body *http_body_new(char *data, size_t bytes, size_t *total);
void http_body_put(struct http_body *body); /* gives up a reference; NULL is fine */

/* A response with this body; it has a reference of its own. NULL: no memory. */
struct MHD_Response *http_body_response(struct http_body *body, bool compressed);

/* Whether an Accept-Encoding header, which may be NULL, has gzip, and not with q=0. */
bool http_accepts_gzip(const char *header);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* See http_body.h. */
#include <limits.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/types.h>
#include <zlib.h>
#include "http_body.h"

#define PIECE_BYTES (32u << 10)

/* One answer that is under way. */
struct sending {
	struct http_body *body;
	size_t at; /* bytes of the body that were taken */
	z_stream zip;
};

struct http_body *http_body_new(char *data, size_t bytes, size_t *total)
{
	struct http_body *body = malloc(sizeof(*body));

	if (!body) {
		free(data);
		return NULL;
	}
	*body = (struct http_body){.references = 1, .data = data, .bytes = bytes, .total = total};
	*total += bytes;
	return body;
}

void http_body_put(struct http_body *body)
{
	if (!body || --body->references)
		return;
	*body->total -= body->bytes;
	free(body->data);
	free(body);
}

static ssize_t send_plain(void *context, uint64_t at, char *to, size_t room)
{
	struct sending *s = context;
	size_t left = at < s->body->bytes ? s->body->bytes - (size_t)at : 0, n = left < room ? left : room;

	if (!n)
		return MHD_CONTENT_READER_END_OF_STREAM;
	memcpy(to, s->body->data + at, n);
	return (ssize_t)n;
}

/* Returns at least a byte before the end: 0 would have the server ask again at once. */
static ssize_t send_gzip(void *context, uint64_t at, char *to, size_t room)
{
	struct sending *s = context;
	int ret = Z_OK;

	(void)at;
	s->zip.next_out = (Bytef *)to;
	s->zip.avail_out = room < UINT_MAX ? (uInt)room : UINT_MAX;
	room = s->zip.avail_out;
	while (ret == Z_OK && s->zip.avail_out == room) {
		size_t left = s->body->bytes - s->at, n = left < PIECE_BYTES ? left : PIECE_BYTES;

		s->zip.next_in = (Bytef *)s->body->data + s->at;
		s->zip.avail_in = (uInt)n;
		ret = deflate(&s->zip, n == left ? Z_FINISH : Z_NO_FLUSH);
		s->at += n - s->zip.avail_in;
	}
	if (ret != Z_OK && ret != Z_STREAM_END && ret != Z_BUF_ERROR)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (s->zip.avail_out == room)
		return MHD_CONTENT_READER_END_OF_STREAM;
	return (ssize_t)(room - s->zip.avail_out);
}

static void sent_plain(void *context)
{
	struct sending *s = context;

	http_body_put(s->body);
	free(s);
}

static void sent_gzip(void *context)
{
	struct sending *s = context;

	deflateEnd(&s->zip);
	sent_plain(s);
}

struct MHD_Response *http_body_response(struct http_body *body, bool compressed)
{
	struct sending *s = calloc(1, sizeof(*s));
	struct MHD_Response *response;

	if (!s)
		return NULL;
	if (compressed &&
	    deflateInit2(&s->zip, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + 16, MAX_MEM_LEVEL - 1, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(s);
		return NULL;
	}
	s->body = body;
	body->references++;
	response = MHD_create_response_from_callback(compressed ? MHD_SIZE_UNKNOWN : body->bytes, PIECE_BYTES,
						     compressed ? send_gzip : send_plain, s,
						     compressed ? sent_gzip : sent_plain);
	if (!response)
		(compressed ? sent_gzip : sent_plain)(s);
	return response;
}

/* Of the parameters behind a coding: "q=0", "q=0.000". */
static bool is_q_zero(const char *parameters, size_t len)
{
	size_t i = strspn(parameters, "; \t");

	if (i + 3 > len || strncasecmp(parameters + i, "q=0", 3) != 0)
		return false;
	for (i += 3; i < len; i++)
		if (strchr("123456789", parameters[i]))
			return false;
	return true;
}

bool http_accepts_gzip(const char *header)
{
	while (header && *header) {
		size_t len, name;

		header += strspn(header, ", \t");
		len = strcspn(header, ",");
		name = strcspn(header, ",; \t");
		if (name == 4 && !strncasecmp(header, "gzip", 4))
			return !is_q_zero(header + name, len - name);
		header += len;
	}
	return false;
}

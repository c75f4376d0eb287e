/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See http.h. libmicrohttpd parses; here is what is answered, to whom, and for how long.
 *
 * A request comes as several calls: first its line, whole (take_uri), then its headers (answer, the first time), then
 * its end (answer again), and at last that it is done with, however it ended (done). Only at its end is it answered, for
 * what is answered earlier costs the client its connection; that is right for a request with a body alone, which is
 * so never read.
 */
#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../clock.h"
#include "http.h"
#include "http_body.h"
#include "http_connections.h"
#include "../message.h"

#define CONNECTION_MEMORY_BYTES (32u << 10) /* which bounds a request's line and headers */
#define SILENT_SECONDS		10u
#define REQUEST_MS		10000 /* from the connection's begin or its last answer until a whole request is here */
#define ANSWER_MS		120000
#define HTTP_ADDRESS_BYTES	128
#define COMPRESSED_FROM_BYTES	1024

static const char content_security_policy[] =
	"default-src 'none'; script-src 'unsafe-inline'; script-src-attr 'none'; style-src 'unsafe-inline'; "
	"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static const char not_allowed_host[] =
	"The Host header of this request is neither an IP address, nor localhost, nor a name that this agent was told "
	"of.\nIf you reach it by another name, start it with --allow-host NAME.\n";

/* The last answer of a route, while it may serve again. */
struct kept {
	struct http_body *body;
	char *query;
	uint64_t until_ms;
};

struct http {
	const struct http_route *routes;
	size_t n_routes;
	void *context;
	struct kept *kept; /* one a route */
	const char **names; /* that the Host header may have */
	size_t n_names;
	char *own_name; /* the host in --listen */
	struct MHD_Daemon *daemon;
	int fd;
	char address[HTTP_ADDRESS_BYTES];
	size_t body_bytes; /* of all bodies */
	struct http_connections connections;
	uint64_t ok, refused, refused_host, failed; /* answers */
};

struct request {
	bool begun;
	char uri[]; /* as it was sent */
};

static struct http_connection *place_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* --- answers --- */

static void count_answer(struct http *h, unsigned int status)
{
	if (status < 400)
		h->ok++;
	else if (status == MHD_HTTP_FORBIDDEN)
		h->refused_host++;
	else if (status < 500)
		h->refused++;
	else
		h->failed++;
}

static enum MHD_Result queue(struct http *h, struct MHD_Connection *connection, unsigned int status,
			     const char *content_type, struct MHD_Response *response)
{
	const struct {
		const char *name, *value;
	} headers[] = {
		{MHD_HTTP_HEADER_CONTENT_TYPE, content_type},
		{MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
		{"X-Content-Type-Options", "nosniff"},
		{"Content-Security-Policy", content_security_policy},
		{"Referrer-Policy", "no-referrer"},
		{"X-Frame-Options", "DENY"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
	};
	enum MHD_Result ret = MHD_YES;

	if (http_connections_full(&h->connections)) /* others wait */
		ret = MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++)
		if (MHD_add_response_header(response, headers[i].name, headers[i].value) != MHD_YES)
			ret = MHD_NO;
	if (ret == MHD_YES)
		ret = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	if (ret != MHD_YES)
		return ret;
	count_answer(h, status);
	http_connection_turns(place_of(connection), true);
	return MHD_YES;
}

/* A short text; `header` and `value` may be NULL. `text` is static. */
static enum MHD_Result say(struct http *h, struct MHD_Connection *connection, unsigned int status, const char *text,
			   const char *header, const char *value)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_PERSISTENT);

	if (!response)
		return MHD_NO;
	if (header)
		MHD_add_response_header(response, header, value);
	return queue(h, connection, status, "text/plain; charset=utf-8", response);
}

static void forget(struct kept *k)
{
	http_body_put(k->body);
	free(k->query);
	*k = (struct kept){0};
}

/* What the route says, made now or not long ago; the caller gets a reference. */
static int route_body(struct http *h, size_t route, const char *query, struct http_body **out)
{
	const struct http_route *r = &h->routes[route];
	struct kept *k = &h->kept[route];
	char *data = NULL;
	size_t bytes = 0;
	int ret;

	if (k->body && monotonic_ms() < k->until_ms && !strcmp(k->query, query)) {
		k->body->references++;
		*out = k->body;
		return 0;
	}
	forget(k);
	ret = r->make(h->context, query, &data, &bytes);
	if (ret)
		return ret;
	if (bytes > HTTP_MAX_BODY_BYTES || h->body_bytes > HTTP_MAX_BODY_BYTES - bytes) {
		free(data);
		return -EAGAIN;
	}
	*out = http_body_new(data, bytes, &h->body_bytes);
	if (!*out)
		return -ENOMEM;
	k->query = r->keep_ms ? strdup(query) : NULL;
	if (k->query) {
		(*out)->references++;
		k->body = *out;
		k->until_ms = monotonic_ms() + r->keep_ms;
	}
	return 0;
}

static enum MHD_Result answer_route(struct http *h, struct MHD_Connection *connection, const char *method, size_t route,
				    const char *query)
{
	const char *encodings =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT_ENCODING);
	struct MHD_Response *response;
	struct http_body *body;
	bool compressed;
	int ret = route_body(h, route, query, &body);

	if (ret == -EAGAIN)
		return say(h, connection, MHD_HTTP_SERVICE_UNAVAILABLE, "Not ready yet. Try again in a second.\n",
			   MHD_HTTP_HEADER_RETRY_AFTER, "1");
	if (ret)
		return say(h, connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "The agent could not make this.\n", NULL, NULL);
	/* Not for HEAD: the end of a body of unknown length would be sent, by some versions of the library. */
	compressed = body->bytes > COMPRESSED_FROM_BYTES && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0 &&
		     http_accepts_gzip(encodings);
	response = http_body_response(body, compressed);
	http_body_put(body);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING);
	if (compressed)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	return queue(h, connection, MHD_HTTP_OK, h->routes[route].content_type, response);
}

/* --- requests --- */

struct host_headers {
	const struct http *h;
	size_t n, allowed;
};

static enum MHD_Result check_host(void *context, enum MHD_ValueKind kind, const char *key, size_t key_bytes,
				  const char *value, size_t value_bytes)
{
	struct host_headers *hosts = context;

	(void)kind;
	if (strcasecmp(key, MHD_HTTP_HEADER_HOST) != 0 || strlen(key) != key_bytes)
		return MHD_YES;
	hosts->n++;
	if (value && strlen(value) == value_bytes && http_host_allowed(value, hosts->h->names, hosts->h->n_names))
		hosts->allowed++;
	return MHD_YES;
}

static bool host_allowed(const struct http *h, struct MHD_Connection *connection)
{
	struct host_headers hosts = {.h = h};

	MHD_get_connection_values_n(connection, MHD_HEADER_KIND, check_host, &hosts);
	return hosts.n == 1 && hosts.allowed == 1;
}

static bool has_body(struct MHD_Connection *connection)
{
	const char *length =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) ||
	       (length && strcmp(length, "0") != 0);
}

static size_t find_route(const struct http *h, const char *path, size_t len)
{
	size_t i = 0;

	while (i < h->n_routes && (strlen(h->routes[i].path) != len || memcmp(h->routes[i].path, path, len) != 0))
		i++;
	return i;
}

static enum MHD_Result answer_request(struct http *h, struct MHD_Connection *connection, const char *method,
				      const char *uri)
{
	const char *mark = strchrnul(uri, '?');
	size_t route = find_route(h, uri, (size_t)(mark - uri));

	if (!host_allowed(h, connection))
		return say(h, connection, MHD_HTTP_FORBIDDEN, not_allowed_host, NULL, NULL);
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return say(h, connection, MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET and HEAD are served here.\n",
			   MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	if (has_body(connection))
		return say(h, connection, MHD_HTTP_CONTENT_TOO_LARGE, "Requests with a body are not served here.\n",
			   NULL, NULL);
	if (route == h->n_routes)
		return say(h, connection, MHD_HTTP_NOT_FOUND, "There is no such page.\n", NULL, NULL);
	return answer_route(h, connection, method, route, *mark && h->routes[route].takes_query ? mark + 1 : "");
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url, const char *method,
			      const char *version, const char *upload, size_t *upload_bytes, void **per_request)
{
	struct http *h = context;
	struct request *r = *per_request;

	(void)url;
	(void)version;
	(void)upload;
	if (!r || *upload_bytes) /* no memory for it; a body that no header announced */
		return MHD_NO;
	if (!r->begun && !has_body(connection)) {
		r->begun = true;
		return MHD_YES;
	}
	return answer_request(h, connection, method, r->uri);
}

static void *take_uri(void *context, const char *uri, struct MHD_Connection *connection)
{
	size_t bytes = strlen(uri) + 1;
	struct request *r = malloc(sizeof(*r) + bytes);

	(void)context;
	(void)connection;
	if (!r)
		return NULL;
	r->begun = false;
	memcpy(r->uri, uri, bytes);
	return r;
}

static void done(void *context, struct MHD_Connection *connection, void **per_request,
		 enum MHD_RequestTerminationCode code)
{
	(void)context;
	(void)code;
	free(*per_request);
	*per_request = NULL;
	http_connection_turns(place_of(connection), false);
}

/* --- connections --- */

static void opened_or_closed(void *context, struct MHD_Connection *connection, void **per_connection,
			     enum MHD_ConnectionNotificationCode code)
{
	struct http *h = context;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED)
		http_connection_closed(&h->connections, *per_connection);
	else
		*per_connection = http_connection_opened(
			&h->connections,
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
}

static void forget_old(struct http *h)
{
	uint64_t now = monotonic_ms();

	for (size_t i = 0; i < h->n_routes; i++)
		if (h->kept[i].body && now >= h->kept[i].until_ms)
			forget(&h->kept[i]);
}

void http_run(struct http *h)
{
	MHD_run(h->daemon);
	http_connections_turn_away(&h->connections);
	http_connections_show_ends(&h->connections);
	http_connections_end_slow(&h->connections);
	forget_old(h);
}

int http_timeout_ms(const struct http *h)
{
	uint64_t now = monotonic_ms(), until = UINT64_MAX;
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_get_timeout(h->daemon, &ms) == MHD_YES)
		until = now + ms;
	if (http_connections_next_ms(&h->connections) < until)
		until = http_connections_next_ms(&h->connections);
	for (size_t i = 0; i < h->n_routes; i++)
		if (h->kept[i].body && h->kept[i].until_ms < until)
			until = h->kept[i].until_ms;
	if (until == UINT64_MAX)
		return -1;
	if (until <= now)
		return 0;
	return until - now < INT_MAX ? (int)(until - now) : INT_MAX;
}

/* --- begin and end --- */

static int start_daemon(struct http *h, int listen_fd)
{
	const union MHD_DaemonInfo *info;

	errno = 0;
	h->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, answer, h,
				     MHD_OPTION_LISTEN_SOCKET, listen_fd,
				     MHD_OPTION_CONNECTION_LIMIT, (unsigned int)HTTP_MAX_CONNECTIONS,
				     MHD_OPTION_CONNECTION_TIMEOUT, SILENT_SECONDS,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
				     MHD_OPTION_STRICT_FOR_CLIENT, 1,
				     MHD_OPTION_URI_LOG_CALLBACK, take_uri, h,
				     MHD_OPTION_NOTIFY_COMPLETED, done, h,
				     MHD_OPTION_NOTIFY_CONNECTION, opened_or_closed, h,
				     MHD_OPTION_END);
	if (!h->daemon)
		return -errno ? -errno : -EIO;
	info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || info->epoll_fd < 0)
		return -ENOTSUP;
	h->fd = info->epoll_fd;
	return 0;
}

static int take_names(struct http *h, const struct http_options *options)
{
	const char *colon = strrchr(options->listen, ':');

	h->own_name = strndup(options->listen, colon ? (size_t)(colon - options->listen) : 0);
	h->names = calloc(options->n_allowed_hosts + 1, sizeof(*h->names));
	if (!h->own_name || !h->names)
		return -ENOMEM;
	for (size_t i = 0; i < options->n_allowed_hosts; i++)
		h->names[h->n_names++] = options->allowed_hosts[i];
	h->names[h->n_names++] = h->own_name;
	return 0;
}

int http_start(const struct http_options *options, const struct http_route *routes, size_t n_routes, void *context,
	       struct http **out)
{
	struct http *h = calloc(1, sizeof(*h));
	int fd, ret = -ENOMEM;

	if (!h) {
		message_error("--listen %s: out of memory", options->listen);
		return -ENOMEM;
	}
	*h = (struct http){.routes = routes, .n_routes = n_routes, .context = context};
	http_connections_init(&h->connections, options->request_ms ? options->request_ms : REQUEST_MS,
			      options->answer_ms ? options->answer_ms : ANSWER_MS);
	h->kept = calloc(n_routes + 1, sizeof(*h->kept));
	if (h->kept)
		ret = take_names(h, options);
	if (ret) {
		message_error("--listen %s: out of memory", options->listen);
		goto fail;
	}
	ret = fd = http_listen(options->listen, h->address, sizeof(h->address));
	if (fd < 0)
		goto fail;
	ret = start_daemon(h, fd);
	if (ret) {
		message_error("--listen %s: cannot start the HTTP server: %s", options->listen, strerror(-ret));
		if (!h->daemon)
			close(fd);
		goto fail;
	}
	http_connections_listen(&h->connections, fd);
	*out = h;
	return 0;
fail:
	http_stop(h);
	return ret;
}

void http_stop(struct http *h)
{
	if (!h)
		return;
	if (h->daemon)
		MHD_stop_daemon(h->daemon);
	http_connections_fini(&h->connections);
	for (size_t i = 0; h->kept && i < h->n_routes; i++)
		forget(&h->kept[i]);
	free(h->kept);
	free(h->names);
	free(h->own_name);
	free(h);
}

const char *http_address(const struct http *h)
{
	return h->address;
}

int http_fd(const struct http *h)
{
	return h->fd;
}

void http_counts(const struct http *h, struct http_counts *out)
{
	*out = (struct http_counts){
		.ok = h->ok,
		.refused = h->refused,
		.refused_host = h->refused_host,
		.failed = h->failed,
		.accepted = h->connections.accepted,
		.too_slow = h->connections.too_slow,
		.connections = h->connections.open,
		.body_bytes = h->body_bytes,
	};
}

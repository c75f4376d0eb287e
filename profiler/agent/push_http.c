/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See push_http.h. The multi interface runs the single transfer because it can be woken up: a
 * server that hangs must not hold up the end of the agent. Redirects are not followed: they would
 * take credentials to another host.
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../clock.h"
#include "../message.h"
#include "push_http.h"
#include "push_reply.h"

#define PUSH_PATH          "/push.v1.PusherService/Push"
#define REPLY_BYTES_MAX    65536
#define CONNECT_TIMEOUT_MS 5000L
#define POLL_MS            1000

struct push_http {
	CURLM *multi;
	CURL *easy;
	char *url, *tenant_line;
	bool clear;
	char error[CURL_ERROR_SIZE];
	char *reply;
	size_t reply_bytes;
	_Atomic uint64_t abort_at_ms; /* 0: never */
};

static char *url_part(CURLU *u, CURLUPart part)
{
	char *text = NULL;

	return curl_url_get(u, part, &text, 0) ? NULL : text;
}

static bool is_loopback(const char *host)
{
	return !strcmp(host, "localhost") || !strncmp(host, "127.", 4) || !strcmp(host, "[::1]");
}

static bool has_part(CURLU *u, CURLUPart part)
{
	char *text = url_part(u, part);

	curl_free(text);
	return text;
}

static enum push_url check_parts(CURLU *u, const char *url)
{
	if (curl_url_set(u, CURLUPART_URL, url, 0))
		return PUSH_URL_NONE;
	if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD))
		return PUSH_URL_SECRET;
	if (has_part(u, CURLUPART_QUERY) || has_part(u, CURLUPART_FRAGMENT) || strpbrk(url, "?#"))
		return PUSH_URL_MORE;
	return PUSH_URL_FINE;
}

enum push_url push_url_check(const char *url)
{
	CURLU *u = curl_url();
	enum push_url found = PUSH_URL_SCHEME;

	if (!u)
		return PUSH_URL_NONE;
	if (!strncasecmp(url, "http://", 7) || !strncasecmp(url, "https://", 8))
		found = check_parts(u, url);
	curl_url_cleanup(u);
	return found;
}

/* Sent as it is, over a network. */
static bool is_clear(const char *url)
{
	CURLU *u = curl_url();
	char *host = u && !curl_url_set(u, CURLUPART_URL, url, 0) ? url_part(u, CURLUPART_HOST) : NULL;
	bool clear = !strncasecmp(url, "http://", 7) && !(host && is_loopback(host));

	curl_free(host);
	curl_url_cleanup(u);
	return clear;
}

static int set_url(struct push_http *h, const char *url)
{
	static const char *const problems[] = {
		[PUSH_URL_SCHEME] = "it does not begin with http:// or https://",
		[PUSH_URL_NONE] = "it cannot be understood",
		[PUSH_URL_SECRET] = "it has a user or password in it; use --basic-auth-file",
		[PUSH_URL_MORE] = "it has a query or fragment",
	};
	enum push_url found = push_url_check(url ? url : "");

	if (found != PUSH_URL_FINE) {
		/* Not the URL itself: there may be a password in it. */
		message_error("cannot push to the URL that is given as --pyroscope: %s", problems[found]);
		return -EINVAL;
	}
	h->clear = is_clear(url);
	for (size_t len = strlen(url); !h->url; len--)
		if (url[len - 1] != '/' && asprintf(&h->url, "%.*s" PUSH_PATH, (int)len, url) < 0)
			return -ENOMEM;
	return 0;
}

static int set_tenant(struct push_http *h, const char *tenant)
{
	if (!tenant || !*tenant)
		return 0;
	for (const char *c = tenant; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f) {
			message_error("the tenant (--tenant) has a control character in it");
			return -EINVAL;
		}
	return asprintf(&h->tenant_line, "X-Scope-OrgID: %s", tenant) < 0 ? -ENOMEM : 0;
}

static size_t take_reply(char *data, size_t size, size_t n, void *context)
{
	struct push_http *h = context;

	if (h->reply_bytes + size * n > REPLY_BYTES_MAX)
		return 0; /* ends the transfer */
	memcpy(h->reply + h->reply_bytes, data, size * n);
	h->reply_bytes += size * n;
	h->reply[h->reply_bytes] = 0;
	return size * n;
}

static void set_options(struct push_http *h, const struct push_http_options *o)
{
	curl_easy_setopt(h->easy, CURLOPT_URL, h->url);
	curl_easy_setopt(h->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(h->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(h->easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(h->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(h->easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(h->easy, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms);
	curl_easy_setopt(h->easy, CURLOPT_ERRORBUFFER, h->error);
	curl_easy_setopt(h->easy, CURLOPT_WRITEFUNCTION, take_reply);
	curl_easy_setopt(h->easy, CURLOPT_WRITEDATA, h);
	curl_easy_setopt(h->easy, CURLOPT_USERAGENT, "wireprof");
	curl_easy_setopt(h->easy, CURLOPT_QUICK_EXIT,
			 1L); /* does not wait for a name server that is silent */
	if (o->ca_file && *o->ca_file)
		curl_easy_setopt(h->easy, CURLOPT_CAINFO, o->ca_file);
}

int push_http_new(const struct push_http_options *options, struct push_http **out)
{
	struct push_http *h;
	int ret = -ENOMEM;

	if (options->ca_file && *options->ca_file && access(options->ca_file, R_OK)) {
		ret = -errno;
		message_error("cannot read the certificates in %s (--ca-file): %s",
			      options->ca_file, strerror(-ret));
		return ret;
	}
	h = calloc(1, sizeof(*h));
	if (!h)
		return ret;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	h->multi = curl_multi_init();
	h->easy = curl_easy_init();
	h->reply = malloc(REPLY_BYTES_MAX + 1);
	if (h->multi && h->easy && h->reply)
		ret = set_url(h, options->url);
	if (!ret)
		ret = set_tenant(h, options->tenant);
	if (ret) {
		push_http_free(h);
		return ret;
	}
	set_options(h, options);
	*out = h;
	return 0;
}

void push_http_free(struct push_http *h)
{
	if (!h)
		return;
	if (h->easy)
		curl_easy_cleanup(h->easy);
	if (h->multi)
		curl_multi_cleanup(h->multi);
	free(h->reply);
	free(h->url);
	free(h->tenant_line);
	free(h);
	curl_global_cleanup();
}

const char *push_http_url(const struct push_http *h)
{
	return h->url;
}

bool push_http_clear(const struct push_http *h)
{
	return h->clear;
}

void push_http_abort_at(struct push_http *h, uint64_t when_ms)
{
	atomic_store(&h->abort_at_ms, when_ms);
	curl_multi_wakeup(h->multi);
}

static struct curl_slist *add(struct curl_slist *list, bool *failed, const char *line)
{
	struct curl_slist *longer = curl_slist_append(list, line);

	*failed |= !longer;
	return longer ? longer : list;
}

static struct curl_slist *header_list(const struct push_http *h, const struct push_headers *headers,
				      bool *failed)
{
	struct curl_slist *list = NULL;

	list = add(list, failed, "Content-Type: application/proto");
	list = add(list, failed, "Connect-Protocol-Version: 1");
	list = add(list, failed, "Accept: */*");
	list = add(list, failed, "Expect:"); /* no round trip before the body */
	if (h->tenant_line)
		list = add(list, failed, h->tenant_line);
	for (size_t i = 0; i < headers->n; i++)
		list = add(list, failed, headers->lines[i]);
	return list;
}

/* The lines are copies of secrets. */
static void wipe_list(struct curl_slist *list)
{
	for (struct curl_slist *l = list; l; l = l->next)
		explicit_bzero(l->data, strlen(l->data));
	curl_slist_free_all(list);
}

/* How long to wait for the network at most; 0 where the time is up. */
static int poll_ms(const struct push_http *h)
{
	uint64_t abort_at = atomic_load(&h->abort_at_ms), now = monotonic_ms();

	if (!abort_at)
		return POLL_MS;
	if (abort_at <= now)
		return 0;
	return abort_at - now < POLL_MS ? (int)(abort_at - now) : POLL_MS;
}

static CURLcode run(struct push_http *h, bool *aborted)
{
	CURLcode result = CURLE_FAILED_INIT;
	int running = 1, left;
	CURLMsg *message;

	*aborted = false;
	while (running) {
		int wait = poll_ms(h);

		*aborted = !wait;
		if (*aborted || curl_multi_perform(h->multi, &running) || !running ||
		    curl_multi_poll(h->multi, NULL, 0, wait, NULL))
			break;
	}
	while ((message = curl_multi_info_read(h->multi, &left)))
		if (message->msg == CURLMSG_DONE)
			result = message->data.result;
	return result;
}

static void explain(struct push_answer *a, const struct push_http *h, CURLcode code)
{
	const char *hint = "";
	char reason[200];

	if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
		hint = " (where its authority is your own, name that with --ca-file)";
	else if (code == CURLE_WRITE_ERROR)
		hint = " (its reply does not end)";
	push_printable(reason, sizeof(reason), h->error[0] ? h->error : curl_easy_strerror(code));
	snprintf(a->error, sizeof(a->error), "%s%s", reason, hint);
	a->failed = true;
	a->timed_out = code == CURLE_OPERATION_TIMEDOUT;
}

void push_http_post(struct push_http *h, const struct push_headers *headers, const void *body,
		    size_t bytes, struct push_answer *out)
{
	bool failed = false;
	struct curl_slist *list = header_list(h, headers, &failed);
	curl_off_t retry_after = 0;
	CURLcode code = CURLE_OUT_OF_MEMORY;

	*out = (struct push_answer){0};
	h->error[0] = 0;
	h->reply_bytes = 0;
	h->reply[0] = 0;
	curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, list);
	curl_easy_setopt(h->easy, CURLOPT_POST, 1L);
	curl_easy_setopt(h->easy, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(h->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)bytes);
	if (!failed && !curl_multi_add_handle(h->multi, h->easy)) {
		code = run(h, &out->aborted);
		curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &out->status);
		curl_easy_getinfo(h->easy, CURLINFO_RETRY_AFTER, &retry_after);
		curl_multi_remove_handle(h->multi, h->easy);
	}
	if (code || out->aborted)
		explain(out, h, code);
	out->body = h->reply;
	out->bytes = h->reply_bytes;
	out->retry_after_s =
		retry_after > 0 ? (unsigned int)(retry_after < 86400 ? retry_after : 86400) : 0;
	curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(h->easy, CURLOPT_POSTFIELDS, NULL);
	wipe_list(list);
}

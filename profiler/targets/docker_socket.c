/* SPDX-License-Identifier: Apache-2.0 */
/* See container_state.h: one question to Docker, by HTTP over its Unix socket. */
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "container_state.h"

#define TIMEOUT_MS 1000L

struct reply {
	char *bytes;
	size_t n, capacity;
};

/* Anything but all of the bytes makes curl give up. */
static size_t receive(char *bytes, size_t one, size_t n, void *context)
{
	struct reply *r = context;
	char *grown;

	n *= one;
	if (r->n + n > CONTAINER_FILE_BYTES)
		return 0;
	if (r->n + n > r->capacity) {
		size_t want = 2 * (r->n + n);

		grown = realloc(r->bytes, want);
		if (!grown)
			return 0;
		r->bytes = grown;
		r->capacity = want;
	}
	memcpy(r->bytes + r->n, bytes, n);
	r->n += n;
	return n;
}

int docker_socket_containers(const char *socket_path, char **body, size_t *n)
{
	CURL *curl = curl_easy_init();
	struct reply r = {0};
	CURLcode code;
	long status = 0;

	if (!curl)
		return -ENOMEM;
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
	curl_easy_setopt(curl, CURLOPT_URL, "http://localhost/containers/json");
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &r);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	if (code == CURLE_OK && status == 200 && r.bytes) {
		*body = r.bytes;
		*n = r.n;
		return 0;
	}
	free(r.bytes);
	return code == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT : code == CURLE_OK ? -EPROTO : -EIO;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See push_reply.h. */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "protocols/utf8.h"
#include "push_reply.h"
#include "push_secrets.h"

/* Of the Connect protocol (connectrpc.com/docs/protocol, "Error Codes"); those not here go by their
 * status: a body is given up only where both say so. */
static const struct {
	const char *code;
	enum push_verdict verdict;
} codes[] = {
	{"unavailable", PUSH_AGAIN},
	{"deadline_exceeded", PUSH_AGAIN},
	{"internal", PUSH_AGAIN},
	{"unknown", PUSH_AGAIN},
	{"aborted", PUSH_AGAIN},
	{"resource_exhausted", PUSH_AGAIN},
	{"canceled", PUSH_AGAIN},
	{"unauthenticated", PUSH_DENIED},
	{"permission_denied", PUSH_DENIED},
	{"unimplemented", PUSH_WRONG_URL},
};

static json_t *parse(const char *body, size_t bytes)
{
	json_t *json = json_loadb(body, bytes, JSON_REJECT_DUPLICATES, NULL);

	if (json && !json_is_object(json)) {
		json_decref(json);
		json = NULL;
	}
	return json;
}

static enum push_verdict judge_status(long status)
{
	if (status >= 300 && status < 400)
		return PUSH_WRONG_URL;
	if (status == 401 || status == 403 || status == 407)
		return PUSH_DENIED;
	if (status == 404 || status == 405 || status == 501)
		return PUSH_WRONG_URL;
	if (status == 408 || status == 429 || status < 300 || status >= 500)
		return PUSH_AGAIN;
	return PUSH_REFUSED;
}

enum push_verdict push_reply_judge(long status, const char *body, size_t bytes)
{
	enum push_verdict verdict = judge_status(status);
	const char *code;
	json_t *json;

	if (status >= 200 && status < 300)
		return PUSH_SENT;
	json = parse(body, bytes);
	code = json_string_value(json_object_get(json, "code"));
	for (size_t i = 0; code && i < sizeof(codes) / sizeof(codes[0]); i++)
		if (!strcmp(code, codes[i].code))
			verdict = codes[i].verdict;
	json_decref(json);
	return verdict;
}

void push_printable(char *out, size_t room, const char *text)
{
	size_t len = strlen(text), used = 0;
	bool gap = false;

	while (len) {
		size_t n = *text == ' ' ? 0 : utf8_printable((const uint8_t *)text, len);

		if (n) {
			if (used + gap + n + 1 > room)
				break;
			if (gap && used)
				out[used++] = ' ';
			memcpy(out + used, text, n);
			used += n;
		}
		gap = !n;
		text += n ? n : 1;
		len -= n ? n : 1;
	}
	out[used] = 0;
}

void push_reply_reason(long status, const char *body, size_t bytes,
		       const struct push_headers *secrets, char out[static PUSH_REASON_BYTES])
{
	json_t *json = parse(body, bytes);
	const char *code = json_string_value(json_object_get(json, "code"));
	const char *message = json_string_value(json_object_get(json, "message"));
	char *text = NULL;
	int n;

	if (asprintf(&text, "%s%s%s", code ? code : "", code && message ? ": " : "",
		     message ? message
		     : code  ? ""
			     : body) < 0)
		text = NULL;
	n = snprintf(out, PUSH_REASON_BYTES, "HTTP %ld", status);
	if (text && *text) {
		push_headers_mask(secrets, text); /* before it is cut: half a secret is one too */
		out[n++] = ' ';
		push_printable(out + n, PUSH_REASON_BYTES - (size_t)n, text);
	}
	free(text);
	json_decref(json);
}

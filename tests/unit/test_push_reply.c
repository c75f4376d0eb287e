/* SPDX-License-Identifier: Apache-2.0 */
/* What answers of a server mean, and that nothing in them can harm a terminal or show a secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "out/writer.h"
#include "profiler/agent/push_reply.h"
#include "profiler/agent/push_secrets.h"

static void verdicts(void **state)
{
	static const struct {
		long status;
		const char *body;
		enum push_verdict verdict;
	} all[] = {
		{200, "", PUSH_SENT},
		{204, "", PUSH_SENT},
		{200, "{\"code\":\"unavailable\"}", PUSH_SENT},
		{0, "", PUSH_AGAIN},
		{100, "", PUSH_AGAIN},
		{301, "", PUSH_WRONG_URL},
		{308, "", PUSH_WRONG_URL},
		{400, "", PUSH_REFUSED},
		{400, "{\"code\":\"invalid_argument\",\"message\":\"x\"}", PUSH_REFUSED},
		{400, "{\"code\":\"unavailable\"}", PUSH_AGAIN},
		{400, "{\"code\":\"deadline_exceeded\"}", PUSH_AGAIN},
		{400, "{\"code\":\"internal\"}", PUSH_AGAIN},
		{400, "{\"code\":\"unknown\"}", PUSH_AGAIN},
		{409, "{\"code\":\"aborted\"}", PUSH_AGAIN},
		{429, "{\"code\":\"resource_exhausted\"}", PUSH_AGAIN},
		{499, "{\"code\":\"canceled\"}", PUSH_AGAIN},
		{500, "{\"code\":\"invalid_argument\"}", PUSH_AGAIN},
		{401, "", PUSH_DENIED},
		{403, "", PUSH_DENIED},
		{407, "", PUSH_DENIED},
		{400, "{\"code\":\"unauthenticated\"}", PUSH_DENIED},
		{404, "404 page not found", PUSH_WRONG_URL},
		{405, "", PUSH_WRONG_URL},
		{501, "{\"code\":\"unimplemented\"}", PUSH_WRONG_URL},
		{408, "", PUSH_AGAIN},
		{409, "", PUSH_REFUSED},
		{413, "", PUSH_REFUSED},
		{415, "", PUSH_REFUSED},
		{422, "", PUSH_REFUSED},
		{429, "", PUSH_AGAIN},
		{500, "", PUSH_AGAIN},
		{502, "<html>", PUSH_AGAIN},
		{503, "{\"code\":\"what_is_this\"}", PUSH_AGAIN},
		{599, "", PUSH_AGAIN},
		/* not quite the Connect protocol's errors */
		{400, "{\"code\":5}", PUSH_REFUSED},
		{400, "{\"code\":[\"unavailable\"]}", PUSH_REFUSED},
		{400, "[{\"code\":\"unavailable\"}]", PUSH_REFUSED},
		{400, "\"unavailable\"", PUSH_REFUSED},
		{400, "{\"code\":\"unavailable\"} and more", PUSH_REFUSED},
		{400, "{\"code\":\"unavailable\"", PUSH_REFUSED},
		{400, "{\"code\":\"unavailable\",\"code\":\"internal\"}", PUSH_REFUSED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (push_reply_judge(all[i].status, all[i].body, strlen(all[i].body)) !=
		    all[i].verdict)
			fail_msg("%ld %s", all[i].status, all[i].body);
}

static void check_reason(const char *body, const char *expected)
{
	static const struct push_headers none;
	char reason[PUSH_REASON_BYTES];

	push_reply_reason(400, body, strlen(body), &none, reason);
	assert_string_equal(reason, expected);
}

static void reasons(void **state)
{
	(void)state;
	check_reason("", "HTTP 400");
	check_reason("{\"code\":\"a\",\"message\":\"b\"}", "HTTP 400 a: b");
	check_reason("{\"code\":\"a\"}", "HTTP 400 a");
	check_reason("{\"message\":\"b\"}", "HTTP 400 b");
	check_reason("{\"message\":5}", "HTTP 400 {\"message\":5}");
	check_reason("  spaces \r\n and \t lines\n", "HTTP 400 spaces and lines");
	check_reason("\x1b[2J\x07 \xc2\x9b"
		     "31m \xe2\x80\xae\xff\xc3",
		     "HTTP 400 [2J 31m");
	check_reason("{\"message\":\"\\u001b]0;x\\u0007 caf\\u00e9\"}",
		     "HTTP 400 ]0;x caf\xc3\xa9");
}

/* Any bytes: always one line of valid UTF-8, no longer than it may be. */
static void reasons_of_anything(void **state)
{
	static const struct push_headers none;
	uint32_t seed = 9;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		size_t n = (seed >> 9) % 900;
		char *body = malloc(n + 1), reason[PUSH_REASON_BYTES];

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1664525u + 1013904223u;
			body[i] = (char)(seed >> 24);
		}
		body[n] = 0;
		memset(reason, 0x55, sizeof(reason));
		push_reply_reason(400 + round % 100, body, n, &none, reason);
		assert_true(strlen(reason) < sizeof(reason));
		assert_true(utf8_valid(reason));
		for (const char *c = reason; *c; c++)
			assert_true((unsigned char)*c >= ' ' && *c != 0x7f);
		push_reply_judge(400, body, n);
		free(body);
	}
}

static void secrets_are_masked_before_the_text_is_cut(void **state)
{
	struct push_headers headers = {.secrets = {(char *)"hunter2-hunter2", (char *)"abc"},
				       .n_secrets = 2};
	char body[1000], reason[PUSH_REASON_BYTES];

	(void)state;
	for (int at = 200; at < 300; at++) {
		snprintf(body, sizeof(body), "%*shunter2-hunter2 hunter2-hunter2 abc", at, "x");
		memset(body, 'x', (size_t)at);
		push_reply_reason(400, body, strlen(body), &headers, reason);
		assert_null(strstr(reason, "hunt"));
	}
	/* written as JSON may write it */
	snprintf(body, sizeof(body), "{\"message\":\"token hunter2\\u002dhunter2!\"}");
	push_reply_reason(400, body, strlen(body), &headers, reason);
	assert_string_equal(reason, "HTTP 400 token ***************!");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts),
		cmocka_unit_test(reasons),
		cmocka_unit_test(reasons_of_anything),
		cmocka_unit_test(secrets_are_masked_before_the_text_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

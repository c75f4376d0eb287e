/* SPDX-License-Identifier: Apache-2.0 */
/* What a server's answer to a push means, and its reason as one line that is safe to print. */
#ifndef WIREPROF_PUSH_REPLY_H
#define WIREPROF_PUSH_REPLY_H

#include <stddef.h>

struct push_headers;

enum push_verdict {
	PUSH_SENT,      /* 2xx */
	PUSH_AGAIN,     /* the same body may well be taken later */
	PUSH_DENIED,    /* wrong credentials: kept, as they may be put right while we run */
	PUSH_WRONG_URL, /* nobody takes pushes there: kept, as well */
	PUSH_REFUSED,   /* this body will never be taken */
};

#define PUSH_REASON_BYTES 300

/*
 * `body` is NUL-terminated after `bytes`. The Connect protocol's errors are JSON: {"code": "...",
 * "message": "..."}; their code tells more than the status (an "unavailable" may come as 400
 * through a proxy), so it comes first.
 */
enum push_verdict push_reply_judge(long status, const char *body, size_t bytes);

/* "HTTP 400 invalid_argument: what the server said", with the secrets masked, and nothing that a
 * terminal would act on. */
void push_reply_reason(long status, const char *body, size_t bytes,
		       const struct push_headers *secrets, char out[static PUSH_REASON_BYTES]);

/* As much of the text as fits in `room`, without what is not printable; runs of that become one
 * space. */
void push_printable(char *out, size_t room, const char *text);

#endif

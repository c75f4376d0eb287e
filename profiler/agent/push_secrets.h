/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request says about who sends it: Authorization and extra headers, from files that may
 * change at any time (tokens are rotated), or from the environment. Their content is in no
 * message.
 */
#ifndef WIREPROF_PUSH_SECRETS_H
#define WIREPROF_PUSH_SECRETS_H

#include <stdbool.h>
#include <stddef.h>

#define PUSH_HEADERS 32 /* that a header file may have */

struct push_secrets; /* opaque */

/* Each may be NULL. The environment counts where neither of the first two is given. Returns 0 or
 * -errno after a message. */
int push_secrets_new(const char *basic_auth_file, const char *bearer_file, const char *header_file,
		     struct push_secrets **out);
void push_secrets_free(struct push_secrets *s);
bool push_secrets_any(const struct push_secrets *s);

struct push_headers {
	char *lines[PUSH_HEADERS + 1]; /* "Name: value" */
	size_t n;
	char *secrets[PUSH_HEADERS + 3]; /* what must not be seen anywhere */
	size_t n_secrets;
};

/* Reads the files. Returns 0, or -errno and one line for the user. To be ended with
 * push_headers_clear() in any case. */
int push_secrets_read(const struct push_secrets *s, struct push_headers *out, char *why,
		      size_t why_size);
void push_headers_clear(struct push_headers *h);
/* Replaces every secret in a text of others (a server may send back what it got) by as many stars.
 */
void push_headers_mask(const struct push_headers *h, char *text);

#endif

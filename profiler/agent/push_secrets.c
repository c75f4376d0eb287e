/* SPDX-License-Identifier: Apache-2.0 */
/* See push_secrets.h. Whatever held a secret is overwritten before it is freed. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../message.h"
#include "../read_up_to.h"
#include "push_secrets.h"

#define FILE_BYTES_MAX 65536
#define SECRET_MIN     4 /* shorter ones are in too many words to be masked */
#define ENV_BASIC      "WIREPROF_BASIC_AUTH"
#define ENV_BEARER     "WIREPROF_BEARER"

struct push_secrets {
	char *basic_file, *bearer_file, *header_file;
	char *basic, *bearer; /* of the environment */
};

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static char *copy_of(const char *text)
{
	return text && *text ? strdup(text) : NULL;
}

int push_secrets_new(const char *basic_auth_file, const char *bearer_file, const char *header_file,
		     struct push_secrets **out)
{
	bool files = (basic_auth_file && *basic_auth_file) || (bearer_file && *bearer_file);
	struct push_secrets *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->basic_file = copy_of(basic_auth_file);
	s->bearer_file = copy_of(bearer_file);
	s->header_file = copy_of(header_file);
	if (!files) {
		s->basic = copy_of(getenv(ENV_BASIC));
		s->bearer = copy_of(getenv(ENV_BEARER));
	}
	if ((s->basic_file && s->bearer_file) || (s->basic && s->bearer)) {
		message_error("both a password and a bearer token are given for the server (%s): "
			      "give one of them",
			      files ? "--basic-auth-file and --bearer-file"
				    : ENV_BASIC " and " ENV_BEARER);
		push_secrets_free(s);
		return -EINVAL;
	}
	*out = s;
	return 0;
}

void push_secrets_free(struct push_secrets *s)
{
	if (!s)
		return;
	free(s->basic_file);
	free(s->bearer_file);
	free(s->header_file);
	wipe(s->basic);
	wipe(s->bearer);
	free(s);
}

bool push_secrets_any(const struct push_secrets *s)
{
	return s->basic_file || s->bearer_file || s->header_file || s->basic || s->bearer;
}

static int read_descriptor(int fd, char *text, size_t room, size_t *len)
{
	struct stat st;
	int ret;

	*len = 0;
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode)) /* a pipe cannot be read for every request */
		return -EINVAL;
	ret = read_up_to(fd, text, room, len);
	return !ret && *len == room ? -EFBIG : ret;
}

/* The whole file, without the end of its last line. */
static int read_file(const char *path, char **out, char *why, size_t why_size)
{
	char *text = calloc(1, FILE_BYTES_MAX + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), ret = -errno;
	size_t len = 0;

	if (fd >= 0 && text)
		ret = read_descriptor(fd, text, FILE_BYTES_MAX, &len);
	if (fd >= 0)
		close(fd);
	if (!text)
		return -ENOMEM;
	while (!ret && len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		text[--len] = 0;
	if (ret == -EINVAL) {
		snprintf(why, why_size, "%s is not a regular file", path);
	} else if (ret) {
		snprintf(why, why_size, "cannot read %s: %s", path, strerror(-ret));
	} else if (!len) {
		snprintf(why, why_size, "%s is empty", path);
		ret = -ENODATA;
	} else if (strlen(text) != len) {
		snprintf(why, why_size, "%s has a NUL byte in it", path);
		ret = -EINVAL;
	}
	if (ret) {
		explicit_bzero(text, FILE_BYTES_MAX);
		free(text);
		return ret;
	}
	*out = text;
	return 0;
}

static int add_secret(struct push_headers *h, const char *text)
{
	char *copy = strdup(text);

	if (copy)
		h->secrets[h->n_secrets++] = copy;
	return copy ? 0 : -ENOMEM;
}

static int add_line(struct push_headers *h, const char *name, const char *value)
{
	char *line;

	if (asprintf(&line, "%s%s", name, value) < 0)
		return -ENOMEM;
	h->lines[h->n++] = line;
	return 0;
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	return false;
}

static char *base64(const char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t len = strlen(text);
	char *out = calloc(1, (len + 2) / 3 * 4 + 1), *to = out;

	for (size_t i = 0; out && i < len; i += 3) {
		uint32_t left = (uint32_t)(len - i < 3 ? len - i : 3), bits = 0;

		for (uint32_t j = 0; j < 3; j++)
			bits = bits << 8 | (j < left ? (uint8_t)text[i + j] : 0);
		for (uint32_t j = 0; j < 4; j++)
			*to++ = (char)(j <= left ? digits[bits >> (18 - 6 * j) & 63] : '=');
	}
	return out;
}

static int add_basic(struct push_headers *h, char *text, const char *where, char *why,
		     size_t why_size)
{
	const char *colon = strchr(text, ':');
	char *encoded;
	int ret;

	if (!colon || has_control(text)) {
		snprintf(why, why_size, "%s is not one line of user:password", where);
		return -EINVAL;
	}
	encoded = base64(text);
	if (!encoded)
		return -ENOMEM;
	ret = add_secret(h, encoded);
	if (!ret)
		ret = add_secret(h, text);
	if (!ret)
		ret = add_secret(h, colon + 1);
	if (!ret)
		ret = add_line(h, "Authorization: Basic ", encoded);
	wipe(encoded);
	return ret;
}

static int add_bearer(struct push_headers *h, char *text, const char *where, char *why,
		      size_t why_size)
{
	for (const char *c = text; *c; c++)
		if (*c <= ' ' || *c >= 0x7f) {
			snprintf(why, why_size,
				 "%s is not one token: it has a space, a line end or another odd "
				 "byte",
				 where);
			return -EINVAL;
		}
	if (add_secret(h, text))
		return -ENOMEM;
	return add_line(h, "Authorization: Bearer ", text);
}

/* Those that say what the body is and where it goes are not for users to change. */
static bool header_refused(const char *name, size_t len)
{
	static const char *const ours[] = {"Content-Type",
					   "Content-Length",
					   "Transfer-Encoding",
					   "Host",
					   "Connect-Protocol-Version",
					   "Content-Encoding",
					   "Connection",
					   "Expect"};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strlen(ours[i]) == len && !strncasecmp(ours[i], name, len))
			return true;
	return false;
}

static const char *header_problem(const struct push_headers *h, const char *line)
{
	size_t len = strspn(
		line,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~");
	const char *value = line + len + 1;

	if (!len || line[len] != ':')
		return "is not \"Name: value\"";
	if (has_control(value) || !value[strspn(value, " ")])
		return "has no value, or control characters in it";
	if (header_refused(line, len))
		return "sets a header that is not to be changed";
	if (len == strlen("Authorization") && !strncasecmp(line, "Authorization", len) && h->n &&
	    !strncmp(h->lines[0], "Authorization:", 14))
		return "is a second Authorization";
	if (h->n >= PUSH_HEADERS)
		return "is one too many";
	return NULL;
}

static int add_headers(struct push_headers *h, char *text, const char *path, char *why,
		       size_t why_size)
{
	int number = 0, ret = 0;

	for (char *line; !ret && (line = strsep(&text, "\n"));) {
		const char *problem;
		char *value, *end = line + strlen(line);

		number++;
		while (end > line && isspace((unsigned char)end[-1]))
			*--end = 0;
		if (!*line || *line == '#')
			continue;
		problem = header_problem(h, line);
		if (problem) { /* not the line itself: it may be a secret */
			snprintf(why, why_size, "line %d of %s %s", number, path, problem);
			return -EINVAL;
		}
		value = strchr(line, ':') + 1;
		ret = add_secret(h, value + strspn(value, " "));
		if (!ret)
			ret = add_line(h, line, "");
	}
	return ret;
}

typedef int adder(struct push_headers *h, char *text, const char *path, char *why, size_t why_size);

static int add_file(struct push_headers *h, const char *path, adder *add, char *why,
		    size_t why_size)
{
	char *text;
	int ret = read_file(path, &text, why, why_size);

	if (ret)
		return ret;
	ret = add(h, text, path, why, why_size);
	explicit_bzero(text, FILE_BYTES_MAX);
	free(text);
	return ret;
}

int push_secrets_read(const struct push_secrets *s, struct push_headers *out, char *why,
		      size_t why_size)
{
	int ret = 0;

	memset(out, 0, sizeof(*out));
	snprintf(why, why_size, "out of memory");
	if (s->basic_file)
		ret = add_file(out, s->basic_file, add_basic, why, why_size);
	else if (s->bearer_file)
		ret = add_file(out, s->bearer_file, add_bearer, why, why_size);
	else if (s->basic)
		ret = add_basic(out, s->basic, ENV_BASIC, why, why_size);
	else if (s->bearer)
		ret = add_bearer(out, s->bearer, ENV_BEARER, why, why_size);
	if (!ret && s->header_file)
		ret = add_file(out, s->header_file, add_headers, why, why_size);
	return ret;
}

void push_headers_clear(struct push_headers *h)
{
	for (size_t i = 0; i < h->n; i++)
		wipe(h->lines[i]);
	for (size_t i = 0; i < h->n_secrets; i++)
		wipe(h->secrets[i]);
	memset(h, 0, sizeof(*h));
}

void push_headers_mask(const struct push_headers *h, char *text)
{
	for (size_t i = 0; i < h->n_secrets; i++) {
		size_t len = strlen(h->secrets[i]);

		if (len < SECRET_MIN)
			continue;
		for (char *at = text; (at = strstr(at, h->secrets[i])); at += len)
			memset(at, '*', len);
	}
}

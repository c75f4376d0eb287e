/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream and the UTF-8 decoder of the writers.
 *
 * write() may take less than it was given (pipes, sockets, a disk that fills up) and may be interrupted:
 * Ctrl-C is the usual way to end a recording, so EINTR is an everyday event here.
 */
#include "out/writer.h"
#include "out/profile.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void stream_init(struct stream *s, int fd)
{
	s->fd = fd;
	s->err = 0;
	s->used = 0;
	s->block = NULL;
}

void stream_init_memory(struct stream *s, struct stream_block *block)
{
	stream_init(s, -1);
	*block = (struct stream_block){0};
	s->block = block;
}

void stream_fail(struct stream *s, int err)
{
	if (!s->err)
		s->err = err;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			struct pollfd writable = {.fd = fd, .events = POLLOUT};

			if (poll(&writable, 1, -1) < 0 && errno != EINTR)
				return -errno;
		} else if (n < 0 && errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

int reserve(void *array, size_t *room, size_t wanted, size_t element)
{
	void *grown;

	if (wanted <= *room)
		return 0;
	wanted += wanted / 2 + 16;
	memcpy(&grown, array, sizeof(grown));
	grown = realloc(grown, wanted * element);
	if (!grown)
		return -ENOMEM;
	memcpy(array, &grown, sizeof(grown));
	*room = wanted;
	return 0;
}

/* There is always room for a NUL behind the bytes. */
static int block_append(struct stream_block *block, const char *data, size_t len)
{
	int ret = reserve(&block->data, &block->room, block->bytes + len + 1, 1);

	if (ret)
		return ret;
	if (len)
		memcpy(block->data + block->bytes, data, len);
	block->bytes += len;
	block->data[block->bytes] = 0;
	return 0;
}

int stream_flush(struct stream *s)
{
	if (!s->err && s->used)
		s->err = s->block ? block_append(s->block, s->buffer, s->used)
				  : write_all(s->fd, s->buffer, s->used);
	s->used = 0;
	return s->err;
}

int stream_take(struct stream *s, char **data, size_t *bytes)
{
	stream_flush(s);
	if (!s->err)
		s->err = block_append(s->block, "", 0); /* nothing was written: still a string */
	if (s->err) {
		free(s->block->data);
		s->block->data = NULL;
		return s->err;
	}
	*data = s->block->data;
	*bytes = s->block->bytes;
	*s->block = (struct stream_block){0};
	return 0;
}

void stream_write(struct stream *s, const void *data, size_t len)
{
	const char *from = data;

	while (len && !s->err) {
		size_t room = sizeof(s->buffer) - s->used;
		size_t n = len < room ? len : room;

		memcpy(s->buffer + s->used, from, n);
		s->used += n;
		from += n;
		len -= n;
		if (s->used == sizeof(s->buffer))
			stream_flush(s);
	}
}

void stream_puts(struct stream *s, const char *text)
{
	stream_write(s, text, strlen(text));
}

void stream_number(struct stream *s, uint64_t number)
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%" PRIu64, number);

	stream_write(s, digits, (size_t)n);
}

/* Of the sequence that starts with this byte; 0 if none does. */
static size_t utf8_length(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc0 || first >= 0xf8)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

size_t utf8_decode(const char *s, uint32_t *code_point)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *b = (const unsigned char *)s;
	size_t len = utf8_length(b[0]);
	uint32_t c;
	size_t i;

	if (len <= 1) {
		*code_point = len ? b[0] : UTF8_REPLACEMENT;
		return 1;
	}
	c = b[0] & (0x7fu >> len);
	for (i = 1; i < len; i++) {
		/* The terminating NUL is no continuation byte: this never reads past it. */
		if ((b[i] & 0xc0) != 0x80)
			break;
		c = c << 6 | (b[i] & 0x3fu);
	}
	if (i < len || c < smallest[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
		*code_point = UTF8_REPLACEMENT;
		return 1;
	}
	*code_point = c;
	return len;
}

int utf8_valid(const char *s)
{
	while (*s) {
		uint32_t c;
		size_t n = utf8_decode(s, &c);

		if (c == UTF8_REPLACEMENT && n == 1)
			return 0;
		s += n;
	}
	return 1;
}

int profile_to_memory(int (*put)(const struct profile *, struct stream *), const struct profile *p, char **data,
		      size_t *bytes)
{
	struct stream_block block;
	struct stream s;
	int ret;

	stream_init_memory(&s, &block);
	ret = put(p, &s);
	if (ret)
		stream_fail(&s, ret);
	return stream_take(&s, data, bytes);
}

size_t utf8_copy(char *to, size_t max_bytes, const char *text)
{
	size_t used = 0;

	while (*text) {
		uint32_t c;
		size_t n = utf8_decode(text, &c), size = c == UTF8_REPLACEMENT ? 3 : n;

		if (size > max_bytes - used)
			break;
		memcpy(to + used, c == UTF8_REPLACEMENT ? "\xef\xbf\xbd" : text, size);
		used += size;
		text += n;
	}
	to[used] = 0;
	return used;
}

char *utf8_repaired(const char *text, size_t max_bytes)
{
	size_t most = 3 * strlen(text); /* an invalid byte may take three */
	char *copy;

	if (most > max_bytes)
		most = max_bytes;
	copy = malloc(most + 1);
	if (copy)
		utf8_copy(copy, most, text);
	return copy;
}

uint32_t label_find(const struct profile *p, uint32_t labelset, const char *key)
{
	const struct profile_labelset *set = &p->labelsets[labelset];

	for (uint32_t i = 0; i < set->count; i++) {
		const struct profile_label *label = &p->labels[set->first + i];

		if (!label->unit && p->strings[label->value][0] && !strcmp(p->strings[label->key], key))
			return label->value;
	}
	return 0;
}

const char *label_string(const struct profile *p, uint32_t labelset, const char *key)
{
	uint32_t found = label_find(p, labelset, key);

	return found ? p->strings[found] : NULL;
}

uint32_t label_service(const struct profile *p, uint32_t labelset)
{
	uint32_t found = label_find(p, labelset, "container");

	return found ? found : label_find(p, labelset, "comm");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the writers in out/ share: a buffered stream to a descriptor or into memory, UTF-8, and a look at a label.
 */
#ifndef WIREPROF_OUT_WRITER_H
#define WIREPROF_OUT_WRITER_H

#include <stddef.h>
#include <stdint.h>

struct profile;

/*
 * A buffered stream. The first error sticks and later writes do nothing, so that a writer can produce
 * its whole output and ask once, at stream_flush().
 */
struct stream {
	int fd;
	int err; /* 0 or -errno */
	size_t used;
	struct stream_block *block; /* where it goes instead of to fd; NULL: to fd */
	char buffer[16384];
};

void stream_init(struct stream *s, int fd);

/*
 * Into memory: a block that grows. stream_take() flushes, and gives the block away: NUL-terminated, *bytes long without
 * that, to be freed by the caller. It returns 0 or -errno, and then there is nothing to free. Call it once, always.
 */
struct stream_block {
	char *data;
	size_t bytes, room;
};
void stream_init_memory(struct stream *s, struct stream_block *block);
int stream_take(struct stream *s, char **data, size_t *bytes);

void stream_fail(struct stream *s, int err); /* err is -errno; the first one stays */
void stream_write(struct stream *s, const void *data, size_t len);
void stream_puts(struct stream *s, const char *text);
void stream_number(struct stream *s, uint64_t number);
int stream_flush(struct stream *s); /* 0 or the -errno that stuck */

/*
 * Decodes one code point of a NUL-terminated string that is not at its end. Returns the bytes consumed,
 * at least 1. Invalid bytes (overlong forms, surrogates, cut sequences) come out one at a time as U+FFFD.
 */
#define UTF8_REPLACEMENT 0xfffdu
size_t utf8_decode(const char *s, uint32_t *code_point);
int utf8_valid(const char *s);
/* Copies with every invalid byte replaced, and cut after the last code point that ends within max_bytes; a NUL follows. */
size_t utf8_copy(char *to, size_t max_bytes, const char *text);
/*
 * A copy, to be freed, with every invalid byte replaced, and cut after the last code point that ends within max_bytes.
 * NULL where memory is out.
 */
char *utf8_repaired(const char *text, size_t max_bytes);

/* Into a stream, which is not flushed. Returns 0 or -errno. */
int flamegraph_put(const struct profile *p, struct stream *stream);
/* A whole profile into memory, by a function like that. As stream_take(): *data is the caller's. */
int profile_to_memory(int (*put)(const struct profile *, struct stream *), const struct profile *p, char **data,
		      size_t *bytes);

/* Grows an array that is reused. Returns 0 or -ENOMEM. */
int reserve(void *array, size_t *room, size_t wanted, size_t element);

/* The value of a string label of the set, as a string's number; 0: it has none. Empty values count as absent, as they do in pprof. */
uint32_t label_find(const struct profile *p, uint32_t labelset, const char *key);
/* Likewise as text, or NULL. */
const char *label_string(const struct profile *p, uint32_t labelset, const char *key);
/* What service the set's samples are of, where nobody says so: the container, else the process's name. 0: unknown. */
uint32_t label_service(const struct profile *p, uint32_t labelset);
#define LABEL_SERVICE_UNKNOWN "unknown"

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RESP requests, read through two windows: what a Redis client sends (RESP specification, redis.io,
 * "Sending commands to a Redis server" and "Inline commands").
 *
 *	array	* 3 \r\n $ 3 \r\n S E T \r\n $ 6 \r\n u s e r : 7 \r\n $ 5 \r\n h e l l o \r\n
 *		  |        |     |                              |
 *		  arguments      bytes (any)                    declared length: 5, whether or not
 *they declared length                      are captured inline	S E T   u s e r : 7   " h e l l o "
 *\n		(\r before \n is dropped)
 *
 * A message is seen through the windows of struct redis_message, and what was received, what a
 * header declares and what is captured are three different lengths. A bulk string whose length is
 * declared is jumped over, be its bytes captured or not: from the head window into the tail.
 * No allocation, no state but the caller's; work is linear in the captured bytes.
 */
#ifndef WIREPROF_RESP_H
#define WIREPROF_RESP_H

#include <limits.h>
#include <stdbool.h>
#include "redis.h"
#include "slice.h"

/* Limits as the server has them; beyond is RESP_BAD. */
#define RESP_ARGS_MAX   INT_MAX
#define RESP_BULK_MAX   (512u << 20) /* proto-max-bulk-len */
#define RESP_INLINE_MAX (64u << 10)  /* PROTO_INLINE_MAX_SIZE */

#define RESP_ARGS_KEPT 24 /* arguments whose place is remembered; the rest are only counted */

enum resp_status {
	RESP_COMPLETE, /* one command, all of it received (its bulk bytes need not be captured) */
	RESP_PARTIAL,  /* the rest of it is not received yet */
	RESP_CUT,      /* the rest is received, but not captured */
	RESP_BAD,      /* not a request */
};

/* Where an argument is: `length` bytes as declared, or for inline commands as written. */
struct resp_arg {
	uint64_t offset, length;
	bool quoted; /* inline, with quotes: decode before use */
};

struct resp_command {
	uint64_t start, end; /* end: behind the command if COMPLETE, else where reading stopped */
	uint32_t n_args; /* declared; inline: as many as were seen. 0: "*0", "*-1", empty line */
	uint32_t n_kept; /* args[] whose header was captured */
	bool is_inline;
	bool lost_first; /* byte 0 reads NUL: the server has trimmed its buffer (see resp.c) */
	struct resp_arg args[RESP_ARGS_KEPT];
};

struct resp_reader {
	struct slice head, tail; /* clamped to what was received */
	uint64_t tail_start;     /* offset of the tail window, and of the last receive */
	uint64_t received;
	uint64_t offset; /* where the next command starts */
};

void resp_init(struct resp_reader *reader, const struct redis_message *message, uint64_t offset);

/*
 * Reads the command at reader->offset into *command. COMPLETE moves the offset behind it; all else
 * leaves it there, with what was learnt so far in *command (a name whose bytes are captured, say).
 */
enum resp_status resp_next(struct resp_reader *reader, struct resp_command *command);

/* The byte at `offset` of the message, or -1 if it is not captured. */
int resp_byte(const struct resp_reader *reader, uint64_t offset);

/* Captured bytes at `offset`, at most `length`, as many as are contiguous; empty if none are. */
struct slice resp_chunk(const struct resp_reader *reader, uint64_t offset, uint64_t length);

/*
 * Copies the first bytes of an argument, unquoted, joining the windows. Returns how many; *whole
 * tells whether that is the whole argument (else it did not fit, or was not received or captured).
 */
size_t resp_arg_copy(const struct resp_reader *reader, const struct resp_arg *arg, uint8_t *out,
		     size_t size, bool *whole);

#endif

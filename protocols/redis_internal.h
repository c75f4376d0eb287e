/* SPDX-License-Identifier: Apache-2.0 */
/* What the files behind redis.h share: command table, naming, key masking, frame table. */
#ifndef WIREPROF_REDIS_INTERNAL_H
#define WIREPROF_REDIS_INTERNAL_H

#include "redis.h"
#include "resp.h"

/* --- redis_commands.c --- */

#define REDIS_KEY_STREAMS -1 /* the key follows the word STREAMS */

struct redis_command {
	const char *name; /* "GET", "CONFIG|GET" */
	uint8_t len;
	int8_t key;        /* index of the first key argument, REDIS_KEY_STREAMS, or 0: none */
	bool is_container; /* its second argument is part of the name */
};

extern const struct redis_command redis_commands[]; /* sorted by name */
extern const size_t n_redis_commands;

/* `name` in upper case. NULL: unknown. */
const struct redis_command *redis_command_find(const char *name, size_t len);

/* --- redis_key.c --- */

#define REDIS_KEY_BYTES      128 /* of a key, enough to mask it: captured bytes in, and text out */
#define REDIS_KEY_PREFIX_MAX 64  /* longest prefix up to ':' that is kept, in bytes of output */
#define REDIS_KEY_WORD_MAX   32  /* the same for a key without ':' */

/*
 * Writes the pattern of a key: printable UTF-8, NUL-terminated, "user:*". `captured` are its first
 * bytes, `length` what was declared. Returns the length of the pattern.
 */
size_t redis_key_mask(struct slice captured, uint64_t length, char out[static REDIS_KEY_BYTES]);

/* --- redis_class.c --- */

#define REDIS_NAME_MAX 40 /* longest command name that is looked at */

enum redis_name_status {
	REDIS_NAME_KNOWN,   /* in the table */
	REDIS_NAME_FOREIGN, /* well formed: a module's, another server's, or a client's reply */
	REDIS_NAME_MISSING, /* not captured or not received to its end */
	REDIS_NAME_BAD,     /* no command name */
};

struct redis_name {
	char operation[QUERY_OPERATION_BYTES];
	uint32_t words; /* arguments that the name takes: 2 for "CONFIG|GET" */
	int key;        /* as in struct redis_command */
};

enum redis_name_status redis_name_read(const struct resp_reader *reader,
				       const struct resp_command *command, struct redis_name *name);

/* Fills all of *out, count = 1. */
void redis_class_build(const struct resp_reader *reader, const struct resp_command *command,
		       const struct redis_name *name, enum redis_keys keys,
		       struct query_class *out);

/* --- redis_frames_table.c --- */

struct redis_frame_entry {
	const char *function;
	enum frame_kind kind;
	const char *const *operations;
};

extern const struct redis_frame_entry redis_frame_table[]; /* sorted by function */
extern const size_t n_redis_frames;

#endif

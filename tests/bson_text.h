/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BSON from text, for tests: {find: "orders", filter: {total: {$gt: 5, $lt: 2.5}, tags: ["a", null, true]}}
 *
 * Numbers are int32, with an L int64, with a point double. Keys are bare, or in quotes. Strings are in "" or ''. Of other
 * types, with the text in parentheses where they have one:
 *
 *	@oid(12 bytes) @date @binary(text) @undefined @regex(text) @pointer(text) @code(text) @symbol(text) @scope(text)
 *	@timestamp @decimal(text) @min @max
 */
#ifndef WIREPROF_TESTS_BSON_TEXT_H
#define WIREPROF_TESTS_BSON_TEXT_H

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "protocols/bson.h"

struct bson_text {
	const char *at;
	uint8_t *bytes;
	size_t n, room;
};

static inline void bson_put(struct bson_text *b, const void *bytes, size_t n)
{
	assert(n <= b->room - b->n);
	memcpy(b->bytes + b->n, bytes, n);
	b->n += n;
}

static inline void bson_put_le32(uint8_t *p, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(value >> 8 * i);
}

static inline void bson_put_number(struct bson_text *b, uint64_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bson_put(b, &(uint8_t){(uint8_t)(value >> 8 * i)}, 1);
}

static inline void bson_put_string(struct bson_text *b, const char *text, size_t n)
{
	bson_put_number(b, n + 1, 4);
	bson_put(b, text, n);
	bson_put(b, "", 1);
}

static inline void bson_skip(struct bson_text *b)
{
	while (*b->at == ' ' || *b->at == ',')
		b->at++;
}

/* Up to one of the ends, which is taken as well. */
static inline const char *bson_until(struct bson_text *b, const char *ends, size_t *n)
{
	const char *start = b->at;

	*n = strcspn(start, ends);
	b->at += *n + 1;
	assert(start[*n]);
	return start;
}

static inline void bson_put_document(struct bson_text *b, char close);

static inline uint8_t bson_put_special(struct bson_text *b)
{
	static const struct {
		const char *name;
		uint8_t type;
	} types[] = {
		{"oid", BSON_OBJECT_ID}, {"date", BSON_DATE}, {"binary", BSON_BINARY}, {"undefined", BSON_UNDEFINED},
		{"regex", BSON_REGEX}, {"pointer", BSON_DB_POINTER}, {"code", BSON_CODE}, {"symbol", BSON_SYMBOL},
		{"scope", BSON_CODE_WITH_SCOPE}, {"timestamp", BSON_TIMESTAMP}, {"decimal", BSON_DECIMAL128},
		{"min", BSON_MIN_KEY}, {"max", BSON_MAX_KEY},
	};
	size_t len = strspn(++b->at, "abcdefghijklmnopqrstuvwxyz"), n = 0, start = b->n;
	const char *name = b->at, *text = "";
	char padded[17] = "................";
	uint8_t type = 0;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strlen(types[i].name) == len && !memcmp(types[i].name, name, len))
			type = types[i].type;
	assert(type);
	b->at += len;
	if (*b->at == '(') {
		b->at++;
		text = bson_until(b, ")", &n);
	}
	memcpy(padded, text, n < 16 ? n : 16);
	switch (type) {
	case BSON_OBJECT_ID:
		bson_put(b, padded, 12);
		break;
	case BSON_DATE:
	case BSON_TIMESTAMP:
		bson_put(b, padded, 8);
		break;
	case BSON_DECIMAL128:
		bson_put(b, padded, 16);
		break;
	case BSON_BINARY:
		bson_put_number(b, n, 4);
		bson_put(b, "", 1);
		bson_put(b, text, n);
		break;
	case BSON_REGEX:
		bson_put(b, text, n);
		bson_put(b, "\0i", 3);
		break;
	case BSON_DB_POINTER:
	case BSON_CODE:
	case BSON_SYMBOL:
		bson_put_string(b, text, n);
		bson_put(b, padded, type == BSON_DB_POINTER ? 12 : 0);
		break;
	case BSON_CODE_WITH_SCOPE: /* the scope: {s: text} */
		bson_put_number(b, 0, 4);
		bson_put_string(b, text, n);
		bson_put_number(b, 4 + 3 + 4 + n + 1 + 1, 4);
		bson_put(b, "\2s", 3);
		bson_put_string(b, text, n);
		bson_put(b, "", 1);
		bson_put_le32(b->bytes + start, (uint32_t)(b->n - start));
		break;
	default:
		break;
	}
	return type;
}

/* Returns the type. */
static inline uint8_t bson_put_value(struct bson_text *b)
{
	static const struct {
		const char *word;
		uint8_t type, value, n;
	} words[] = {{"true", BSON_BOOLEAN, 1, 1}, {"false", BSON_BOOLEAN, 0, 1}, {"null", BSON_NULL, 0, 0}};
	char *end = NULL;
	const char *text;
	double number;
	size_t n;

	bson_skip(b);
	if (*b->at == '{' || *b->at == '[') {
		bool array = *b->at++ == '[';

		bson_put_document(b, array ? ']' : '}');
		return array ? BSON_ARRAY : BSON_DOCUMENT;
	}
	if (*b->at == '"' || *b->at == '\'') {
		b->at++;
		text = bson_until(b, b->at[-1] == '"' ? "\"" : "'", &n);
		bson_put_string(b, text, n);
		return BSON_STRING;
	}
	if (*b->at == '@')
		return bson_put_special(b);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strncmp(b->at, words[i].word, strlen(words[i].word))) {
			b->at += strlen(words[i].word);
			bson_put(b, &words[i].value, words[i].n);
			return words[i].type;
		}
	number = strtod(b->at, &end);
	assert(end > b->at);
	n = (size_t)(end - b->at);
	text = b->at;
	b->at = end;
	if (*end == 'L') {
		b->at++;
		bson_put_number(b, (uint64_t)strtoll(text, NULL, 10), 8);
		return BSON_INT64;
	}
	if (!memchr(text, '.', n)) {
		bson_put_number(b, (uint64_t)strtoll(text, NULL, 10), 4);
		return BSON_INT32;
	}
	bson_put(b, &number, 8);
	return BSON_DOUBLE;
}

/* Behind its opening bracket. */
static inline void bson_put_document(struct bson_text *b, char close)
{
	size_t start = b->n;

	bson_put_number(b, 0, 4);
	for (unsigned int i = 0;; i++) {
		size_t type = b->n, n;
		const char *key;
		char index[3] = {(char)('0' + i / 10 % 10), (char)('0' + i % 10), 0};

		bson_skip(b);
		if (*b->at == close)
			break;
		bson_put(b, "", 1);
		if (close == ']') {
			bson_put(b, index + (i < 10), strlen(index + (i < 10)));
		} else if (*b->at == '"') {
			b->at++;
			key = bson_until(b, "\"", &n);
			bson_put(b, key, n);
			b->at++;
		} else {
			key = bson_until(b, ":", &n);
			bson_put(b, key, n);
		}
		bson_put(b, "", 1);
		b->bytes[type] = bson_put_value(b);
	}
	b->at++;
	bson_put(b, "", 1);
	bson_put_le32(b->bytes + start, (uint32_t)(b->n - start));
}

/* Appends the documents of the text, one behind the other, to bytes[*n]. */
static inline void bson_from_text(const char *text, uint8_t *bytes, size_t room, size_t *n)
{
	struct bson_text b = {text, bytes, *n, room};

	for (bson_skip(&b); *b.at; bson_skip(&b)) {
		assert(*b.at == '{');
		b.at++;
		bson_put_document(&b, '}');
	}
	*n = b.n;
}

/* --- messages --- */

struct mongo_stream {
	uint8_t bytes[16384];
	size_t n, start; /* of the last message */
};

static inline void mongo_put_bytes(struct mongo_stream *s, const void *bytes, size_t n)
{
	assert(n <= sizeof(s->bytes) - s->n);
	memcpy(s->bytes + s->n, bytes, n);
	s->n += n;
}

static inline void mongo_put_number(struct mongo_stream *s, uint32_t value)
{
	uint8_t bytes[4];

	bson_put_le32(bytes, value);
	mongo_put_bytes(s, bytes, 4);
}

static inline void mongo_begin(struct mongo_stream *s, uint32_t opcode)
{
	s->start = s->n;
	mongo_put_number(s, 0);
	mongo_put_number(s, 7);
	mongo_put_number(s, 0);
	mongo_put_number(s, opcode);
}

static inline void mongo_end(struct mongo_stream *s)
{
	bson_put_le32(s->bytes + s->start, (uint32_t)(s->n - s->start));
}

static inline void mongo_put_documents(struct mongo_stream *s, const char *text)
{
	bson_from_text(text, s->bytes, sizeof(s->bytes), &s->n);
}

static inline void mongo_put_body(struct mongo_stream *s, const char *text)
{
	mongo_put_bytes(s, "", 1);
	mongo_put_documents(s, text);
}

static inline void mongo_put_sequence(struct mongo_stream *s, const char *name, const char *documents)
{
	size_t size = s->n + 1;

	mongo_put_bytes(s, "\1\0\0\0\0", 5);
	mongo_put_bytes(s, name, strlen(name) + 1);
	mongo_put_documents(s, documents);
	bson_put_le32(s->bytes + size, (uint32_t)(s->n - size));
}

/* A message of the body alone. */
static inline void mongo_put_msg(struct mongo_stream *s, const char *body)
{
	mongo_begin(s, 2013);
	mongo_put_number(s, 0);
	mongo_put_body(s, body);
	mongo_end(s);
}

#endif

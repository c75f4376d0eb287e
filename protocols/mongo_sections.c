/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sections of an OP_MSG (MongoDB, "OP_MSG"), in any order:
 *
 *	| flags 4 | 0 | document | 1 | size 4 | name, NUL | document | document ... | checksum 4 |
 *		  body		 document sequence: size counts from itself
 *
 * A sequence says the same as an array of this name in the body.
 */
#include <errno.h>
#include <string.h>
#include "mongo_internal.h"

enum { SECTION_BODY, SECTION_SEQUENCE };

static struct slice at_most(struct slice bytes, size_t n)
{
	return (struct slice){bytes.ptr, bytes.len < n ? bytes.len : n};
}

static struct slice behind(struct slice bytes, size_t n)
{
	return (struct slice){bytes.ptr + n, bytes.len - n};
}

bool mongo_is(struct slice name, const char *text)
{
	size_t n = strlen(text);

	return name.len == n && !memcmp(name.ptr, text, n);
}

/* `rest` begins with the sequence's size, which is captured and fits. */
static int open_sequence(struct slice rest, size_t size, struct bson_element *out)
{
	struct slice inside = behind(at_most(rest, size), 4);
	const uint8_t *nul = inside.len ? memchr(inside.ptr, 0, inside.len) : NULL;
	size_t n;

	if (!nul)
		return inside.len == size - 4 ? -EPROTO : -EAGAIN;
	n = (size_t)(nul - inside.ptr);
	*out = (struct bson_element){MONGO_SEQUENCE, size <= rest.len, {inside.ptr, n}, behind(inside, n + 1)};
	return 1;
}

int mongo_next_section(struct mongo_sections *sections, struct bson_element *out)
{
	struct slice rest = sections->rest;
	size_t left = sections->left, size;
	int got = 1;

	if (!left)
		return 0;
	if (!rest.len)
		return -EAGAIN;
	if (rest.ptr[0] > SECTION_SEQUENCE || left < 1 + BSON_LEAST_BYTES)
		return -EPROTO;
	if (rest.len < 5)
		return -EAGAIN;
	size = le32(rest.ptr + 1);
	if (size < BSON_LEAST_BYTES || size > left - 1)
		return -EPROTO;
	if (rest.ptr[0] == SECTION_SEQUENCE)
		got = open_sequence(behind(rest, 1), size, out);
	else
		*out = (struct bson_element){BSON_DOCUMENT, size <= rest.len - 1, {0}, at_most(behind(rest, 1), size)};
	if (got == 1)
		*sections = (struct mongo_sections){behind(rest, size < rest.len ? 1 + size : rest.len), left - 1 - size};
	return got;
}

int mongo_open_message(const struct mongo_message *m, struct mongo_command *out)
{
	size_t left = m->length - MONGO_HEADER_BYTES, tail = 4;
	struct mongo_sections sections;
	uint32_t flags;
	int got;

	if (left < 4)
		return -EPROTO;
	if (m->body.len < 4)
		return -EAGAIN;
	flags = le32(m->body.ptr);
	if (flags & MONGO_REQUIRED_FLAGS & ~(MONGO_CHECKSUM | MONGO_MORE_TO_COME))
		return -EPROTO;
	tail += flags & MONGO_CHECKSUM ? 4 : 0;
	if (left < tail)
		return -EPROTO;
	left -= tail;
	out->sections = sections = (struct mongo_sections){at_most(behind(m->body, 4), left), left};
	out->database = (struct slice){0};
	do
		got = mongo_next_section(&sections, &out->body);
	while (got == 1 && out->body.type != BSON_DOCUMENT);
	return got == 1 ? 0 : got ? got : -EPROTO;
}

bool mongo_find(const struct mongo_command *command, const char *name, struct bson_element *out)
{
	struct mongo_sections sections = command->sections;
	struct bson_reader reader;

	if (!bson_open_value(&command->body, &reader))
		while (bson_next(&reader, out) == 1)
			if (mongo_is(out->key, name))
				return true;
	while (mongo_next_section(&sections, out) == 1)
		if (out->type == MONGO_SEQUENCE && mongo_is(out->key, name))
			return true;
	return false;
}

void mongo_items_begin(const struct bson_element *value, struct mongo_items *out)
{
	out->is_sequence = value->type == MONGO_SEQUENCE;
	out->reader = (struct bson_reader){value->value, value->whole ? value->value.len : SIZE_MAX};
	out->err = out->is_sequence ? 0 : bson_open_value(value, &out->reader);
}

int mongo_items_next(struct mongo_items *items, struct bson_element *out)
{
	struct bson_reader *reader = &items->reader;
	size_t n;

	if (items->err)
		return items->err;
	if (!items->is_sequence)
		return bson_next(reader, out);
	if (!reader->left)
		return 0;
	n = bson_length(reader->rest);
	if (!n || n > reader->left)
		return reader->rest.len < 4 && reader->rest.len < reader->left ? -EAGAIN : -EPROTO;
	*out = (struct bson_element){BSON_DOCUMENT, n <= reader->rest.len, {0}, at_most(reader->rest, n)};
	reader->rest = behind(reader->rest, out->value.len);
	reader->left -= n;
	return 1;
}

void mongo_split(struct slice name, struct slice *database, struct slice *collection)
{
	const uint8_t *dot = name.len ? memchr(name.ptr, '.', name.len) : NULL;
	size_t n = dot ? (size_t)(dot - name.ptr) : name.len;

	*database = (struct slice){name.ptr, n};
	*collection = dot ? behind(name, n + 1) : (struct slice){0};
}

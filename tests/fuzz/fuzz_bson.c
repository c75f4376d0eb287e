/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes bson.h.
 *
 *	byte 0..1  how much of the document is captured, as far as there is so much
 *	byte 2..   a document
 *
 * What must hold for any input is asserted: slices are within the bytes; and a document that is cut says what the whole
 * one says, as far as it goes: its elements are the first of the whole one's, and it is bad only if that is.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "protocols/bson.h"

#define DEPTH_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct slice part, struct slice all)
{
	assert(!part.len || (part.ptr >= all.ptr && part.ptr + part.len <= all.ptr + all.len));
}

static void check_element(const struct bson_element *e, struct slice all)
{
	struct slice text;
	int64_t number;

	check_inside(e->key, all);
	check_inside(e->value, all);
	if (bson_text(e, &text))
		check_inside(text, e->value);
	if (bson_integer(e, &number))
		assert(e->whole);
}

/* The cut one beside the whole one. Returns what ended the cut one. */
static int walk(struct bson_reader cut, struct bson_reader whole, unsigned int depth)
{
	struct slice all_cut = cut.rest, all = whole.rest;
	struct bson_reader inner, whole_inner;
	struct bson_element e, w;
	int got, whole_got;

	while ((got = bson_next(&cut, &e)) == 1) {
		check_element(&e, all_cut);
		whole_got = bson_next(&whole, &w);
		if (whole_got == -EPROTO && !e.whole) /* for what is behind the cut */
			return -EAGAIN;
		assert(whole_got == 1);
		check_element(&w, all);
		assert(e.type == w.type && e.key.len == w.key.len && !memcmp(e.key.ptr, w.key.ptr, e.key.len));
		assert(e.value.len <= w.value.len && (!e.value.len || !memcmp(e.value.ptr, w.value.ptr, e.value.len)));
		assert(!e.whole || (w.whole && e.value.len == w.value.len));
		assert(cut.left >= cut.rest.len);
		if (depth < DEPTH_MAX && !bson_open_value(&e, &inner)) {
			assert(!bson_open_value(&w, &whole_inner));
			walk(inner, whole_inner, depth + 1);
		}
	}
	whole_got = bson_next(&whole, &w);
	assert(got == -EAGAIN || got == whole_got);
	return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bson_reader cut, whole;
	size_t captured;
	uint8_t *copy;
	int got, whole_got;

	if (size < 2)
		return 0;
	captured = data[0] | (size_t)data[1] << 8;
	data += 2;
	size -= 2;
	if (captured > size)
		captured = size;
	copy = malloc(captured + !captured); /* of its own, so that a read beyond its end is seen */
	assert(copy);
	memcpy(copy, data, captured);
	got = bson_open((struct slice){copy, captured}, SIZE_MAX, &cut);
	whole_got = bson_open((struct slice){data, size}, SIZE_MAX, &whole);
	assert(got == -EAGAIN || got == whole_got);
	if (!got && !whole_got)
		walk(cut, whole, 0);
	free(copy);
	return 0;
}

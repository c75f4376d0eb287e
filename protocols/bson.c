/* SPDX-License-Identifier: Apache-2.0 */
/* See bson.h. What is left of a document as declared is at least what is left of it as captured, at any time. */
#include <errno.h>
#include <string.h>
#include "bson.h"
#include "little_endian.h"

#define SIZE_UNKNOWN SIZE_MAX /* of a value: it is cut before it says */

size_t bson_length(struct slice captured)
{
	uint32_t n = captured.len >= 4 ? le32(captured.ptr) : 0;

	return n >= BSON_LEAST_BYTES && n <= INT32_MAX ? n : 0;
}

int bson_open(struct slice captured, size_t room, struct bson_reader *out)
{
	size_t n = bson_length(captured);

	if (room < BSON_LEAST_BYTES)
		return -EPROTO;
	if (captured.len < 4)
		return -EAGAIN;
	if (!n || n > room)
		return -EPROTO;
	if (captured.len > n)
		captured.len = n;
	*out = (struct bson_reader){{captured.ptr + 4, captured.len - 4}, n - 4};
	return 0;
}

int bson_open_value(const struct bson_element *element, struct bson_reader *out)
{
	struct slice value = element->value;
	size_t skip;

	if (element->type == BSON_CODE_WITH_SCOPE) {
		if (value.len < 8)
			return -EAGAIN;
		skip = 8 + (size_t)le32(value.ptr + 4); /* length, code; its size was looked at */
		if (value.len < skip)
			return -EAGAIN;
		return bson_open((struct slice){value.ptr + skip, value.len - skip}, le32(value.ptr) - skip, out);
	}
	if (element->type != BSON_DOCUMENT && element->type != BSON_ARRAY)
		return -EPROTO;
	return bson_open(value, SIZE_MAX, out);
}

/* Takes a NUL-terminated string, of at most `room` bytes, off *rest. Returns 0, -EAGAIN, -EPROTO. */
static int take_cstring(struct slice *rest, size_t *left, struct slice *out)
{
	const uint8_t *nul = rest->len ? memchr(rest->ptr, 0, rest->len) : NULL;
	size_t n;

	if (!nul)
		return rest->len == *left ? -EPROTO : -EAGAIN;
	n = (size_t)(nul - rest->ptr);
	*out = (struct slice){rest->ptr, n};
	rest->ptr += n + 1;
	rest->len -= n + 1;
	*left -= n + 1;
	return 0;
}

static struct slice at_most(struct slice bytes, size_t n)
{
	return (struct slice){bytes.ptr, bytes.len < n ? bytes.len : n};
}

/* Length, then so many bytes, the last of them a NUL. */
static int string_size(struct slice value, size_t left, size_t *out)
{
	uint32_t n;

	*out = SIZE_UNKNOWN;
	if (left < 5)
		return -EPROTO;
	if (value.len < 4)
		return 0;
	n = le32(value.ptr);
	if (!n || n > INT32_MAX || n > left - 4)
		return -EPROTO;
	*out = 4 + (size_t)n;
	return value.len >= *out && value.ptr[*out - 1] ? -EPROTO : 0;
}

static int regex_size(struct slice value, size_t left, size_t *out)
{
	struct slice rest = value, text;

	*out = SIZE_UNKNOWN;
	for (int i = 0; i < 2; i++) {
		int err = take_cstring(&rest, &left, &text);

		if (err)
			return err == -EAGAIN ? 0 : err;
	}
	*out = value.len - rest.len;
	return 0;
}

/* Size of all, code, scope. */
static int scoped_size(struct slice value, size_t left, size_t *out)
{
	size_t code, code_left;
	uint32_t n;

	*out = SIZE_UNKNOWN;
	if (value.len < 4)
		return 0;
	n = le32(value.ptr);
	if (n < 4 + 5 + BSON_LEAST_BYTES || n > INT32_MAX || n > left)
		return -EPROTO;
	*out = n;
	code_left = n - 4 - BSON_LEAST_BYTES;
	return string_size(at_most((struct slice){value.ptr + 4, value.len - 4}, code_left), code_left, &code);
}

/* A string, then an id of 12 bytes. */
static int pointer_size(struct slice value, size_t left, size_t *out)
{
	int err;

	*out = SIZE_UNKNOWN;
	if (left < 12)
		return -EPROTO;
	err = string_size(at_most(value, left - 12), left - 12, out);
	if (!err && *out != SIZE_UNKNOWN)
		*out += 12;
	return err;
}

/* A length: of a document, its own included; of binary data, without it and the subtype. */
static int counted_size(uint8_t type, struct slice value, size_t *out)
{
	uint32_t n;

	*out = SIZE_UNKNOWN;
	if (value.len < 4)
		return 0;
	n = le32(value.ptr);
	if (n > INT32_MAX || (type != BSON_BINARY && n < BSON_LEAST_BYTES))
		return -EPROTO;
	*out = type == BSON_BINARY ? 5 + (size_t)n : n;
	return 0;
}

/*
 * The size of the value; the document has room for `left` bytes, of which `value` are captured. Returns 0 or -EPROTO; the
 * size is SIZE_UNKNOWN where the capture ends before it shows.
 */
static int value_size(uint8_t type, struct slice value, size_t left, size_t *out)
{
	switch (type) {
	case BSON_UNDEFINED:
	case BSON_NULL:
	case BSON_MIN_KEY:
	case BSON_MAX_KEY:
		*out = 0;
		return 0;
	case BSON_BOOLEAN:
		*out = 1;
		return 0;
	case BSON_INT32:
		*out = 4;
		return 0;
	case BSON_DOUBLE:
	case BSON_DATE:
	case BSON_TIMESTAMP:
	case BSON_INT64:
		*out = 8;
		return 0;
	case BSON_OBJECT_ID:
		*out = 12;
		return 0;
	case BSON_DECIMAL128:
		*out = 16;
		return 0;
	case BSON_REGEX:
		return regex_size(value, left, out);
	case BSON_CODE_WITH_SCOPE:
		return scoped_size(value, left, out);
	case BSON_STRING:
	case BSON_CODE:
	case BSON_SYMBOL:
		return string_size(value, left, out);
	case BSON_DB_POINTER:
		return pointer_size(value, left, out);
	case BSON_BINARY:
	case BSON_DOCUMENT:
	case BSON_ARRAY:
		return counted_size(type, value, out);
	default:
		return -EPROTO;
	}
}

int bson_next(struct bson_reader *reader, struct bson_element *out)
{
	struct slice rest = reader->rest, key, value;
	size_t left = reader->left, size;
	uint8_t type;
	int err;

	if (!rest.len)
		return left ? -EAGAIN : -EPROTO;
	type = rest.ptr[0];
	if (!type || left == 1)
		return !type && left == 1 ? 0 : -EPROTO;
	rest.ptr++;
	rest.len--;
	left--;
	err = take_cstring(&rest, &left, &key);
	if (err)
		return err;
	if (!left)
		return -EPROTO; /* the key's NUL is where the document's 0 belongs */
	value = at_most(rest, left - 1);
	err = value_size(type, value, left - 1, &size);
	if (err)
		return err;
	if (size == SIZE_UNKNOWN ? value.len == left - 1 : size > left - 1)
		return -EPROTO;
	*out = (struct bson_element){type, size <= value.len, key, at_most(value, size)};
	reader->rest = (struct slice){rest.ptr + out->value.len, rest.len - out->value.len};
	reader->left = left - out->value.len;
	return 1;
}

bool bson_text(const struct bson_element *element, struct slice *out)
{
	if (element->type != BSON_STRING || !element->whole)
		return false;
	*out = (struct slice){element->value.ptr + 4, element->value.len - 5};
	return true;
}

bool bson_integer(const struct bson_element *element, int64_t *out)
{
	const uint8_t *p = element->value.ptr;
	double number;
	uint64_t bits;

	if (!element->whole)
		return false;
	switch (element->type) {
	case BSON_BOOLEAN:
		*out = p[0];
		return true;
	case BSON_INT32:
		*out = (int32_t)le32(p);
		return true;
	case BSON_INT64:
	case BSON_DOUBLE:
		bits = le32(p) | (uint64_t)le32(p + 4) << 32;
		memcpy(&number, &bits, sizeof(number));
		if (element->type == BSON_INT64)
			*out = (int64_t)bits;
		else if (number >= -1e15 && number <= 1e15)
			*out = (int64_t)number;
		else
			return false;
		return element->type == BSON_INT64 || (double)*out == number;
	default:
		return false;
	}
}

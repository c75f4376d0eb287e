/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names as they are shown: of collections, of fields, of paths.
 *
 *	items.17.qty				items.*.qty	an index, or an id that is a number
 *	visits.507f1f77bcf86cd799439011		visits.*	8 or more hex digits, one of them decimal
 *	550e8400-e29b-41d4-a716-446655440000	*		a UUID
 *	first name				"first name"	other than letters, digits and _ . $ * -
 *
 * A part that is longer than any name is data, too.
 */
#include <string.h>
#include "mongo_internal.h"
#include "utf8.h"

#define PART_MAX  64 /* bytes of a part that may be a name */
#define HEX_MIN	  8
#define UUID_BYTES 36
#define PATH_BYTES 128 /* of the path of a field in an expression */

static bool is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

static bool is_letter(uint8_t byte)
{
	return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
}

static bool is_hex(uint8_t byte)
{
	return is_digit(byte) || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f');
}

static bool is_bare(struct slice key)
{
	for (size_t i = 0; i < key.len; i++)
		if (!is_letter(key.ptr[i]) && !is_digit(key.ptr[i]) && (!key.ptr[i] || !strchr("_.$*-", key.ptr[i])))
			return false;
	return key.len;
}

static bool is_uuid(struct slice part)
{
	for (size_t i = 0; i < part.len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? part.ptr[i] != '-' : !is_hex(part.ptr[i]))
			return false;
	}
	return part.len == UUID_BYTES;
}

static bool is_data(struct slice part)
{
	size_t digits = 0, hex = 0;

	if (!part.len)
		return false;
	for (size_t i = 0; i < part.len; i++) {
		digits += is_digit(part.ptr[i]);
		hex += is_hex(part.ptr[i]);
	}
	return digits == part.len || (hex == part.len && digits && hex >= HEX_MIN) || part.len > PART_MAX || is_uuid(part);
}

/* --- writing: what does not fit is left out, and the last place says so --- */

struct text {
	char *out;
	size_t n, size;
	bool full;
};

static void put(struct text *t, const void *bytes, size_t n)
{
	if (t->full || n > t->size - t->n) {
		t->full = true;
		return;
	}
	memcpy(t->out + t->n, bytes, n);
	t->n += n;
}

/* One character, so that it is fit for a string in quotes. Returns the bytes that it has in the name. */
static size_t put_character(struct text *t, struct slice rest)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = utf8_printable(rest.ptr, rest.len);
	uint8_t byte = rest.ptr[0];

	if (byte == '"' || byte == '\\') {
		put(t, (char[]){'\\', (char)byte}, 2);
		return 1;
	}
	if (!n) {
		put(t, (char[]){'\\', 'x', digits[byte >> 4], digits[byte & 15]}, 4);
		return 1;
	}
	put(t, rest.ptr, n);
	return n;
}

static void put_part(struct text *t, struct slice part, bool escape)
{
	if (is_data(part)) {
		put(t, "*", 1);
	} else if (!escape) {
		put(t, part.ptr, part.len);
	} else {
		while (part.len) {
			size_t n = put_character(t, part);

			part.ptr += n;
			part.len -= n;
		}
	}
}

static void put_parts(struct text *t, struct slice key, bool escape)
{
	while (!t->full) {
		const uint8_t *dot = key.len ? memchr(key.ptr, '.', key.len) : NULL;
		size_t n = dot ? (size_t)(dot - key.ptr) : key.len;

		put_part(t, (struct slice){key.ptr, n}, escape);
		if (!dot)
			return;
		put(t, ".", 1);
		key = (struct slice){dot + 1, key.len - n - 1};
	}
}

/* In quotes, and with "..." before the last where it does not fit. */
static size_t quote(struct slice name, bool mask, char *out, size_t size)
{
	struct text t = {out, 0, size - sizeof("...\"") + 1, false};

	put(&t, "\"", 1);
	if (mask)
		put_parts(&t, name, true);
	else
		while (name.len && !t.full) {
			size_t n = put_character(&t, name);

			name = (struct slice){name.ptr + n, name.len - n};
		}
	memcpy(out + t.n, t.full ? "...\"" : "\"", t.full ? 4 : 1);
	return t.n + (t.full ? 4 : 1);
}

size_t mongo_show_key(struct slice key, char out[static MONGO_KEY_BYTES])
{
	struct text t = {out, 0, MONGO_KEY_BYTES, false};

	if (!is_bare(key))
		return quote(key, true, out, MONGO_KEY_BYTES);
	put_parts(&t, key, false);
	return t.full ? quote(key, true, out, MONGO_KEY_BYTES) : t.n;
}

size_t mongo_show_path(struct slice path, char out[static MONGO_KEY_BYTES])
{
	struct text t = {out, 0, MONGO_KEY_BYTES - 1, false};

	put(&t, "\"", 1);
	for (; path.len && path.ptr[0] == '$'; path.ptr++, path.len--)
		put(&t, "$", 1);
	put_parts(&t, path, true);
	out[t.n] = '"';
	return t.n + 1;
}

size_t mongo_show_name(struct slice name, char out[static MONGO_NAME_BYTES])
{
	return quote(name, false, out, MONGO_NAME_BYTES);
}

/* Letters, digits, '_' and '.', and at least one. */
static bool is_dotted(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_letter(text.ptr[i]) && !is_digit(text.ptr[i]) && text.ptr[i] != '_' && text.ptr[i] != '.')
			return false;
	return text.len && text.len <= PATH_BYTES;
}

bool mongo_is_path(struct slice text)
{
	size_t signs = text.len < 2 || text.ptr[0] != '$' ? 0 : text.ptr[1] == '$' ? 2 : 1;

	return signs && is_dotted((struct slice){text.ptr + signs, text.len - signs});
}

bool mongo_is_key(struct slice text)
{
	return is_dotted(text);
}

size_t mongo_copy_name(char *out, size_t size, struct slice name)
{
	struct text t = {out, 0, size - 1, false};

	while (name.len && !t.full) {
		size_t n = utf8_printable(name.ptr, name.len);

		if (n)
			put(&t, name.ptr, n);
		else
			put(&t, "?", n = 1);
		name = (struct slice){name.ptr + n, name.len - n};
	}
	out[t.n] = '\0';
	return t.n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The BSON reader: every type, whole, cut at every byte, and bad in every way; in front of a guard page. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "bson_text.h"
#include "guard.h"

static const char all_types[] =
	"{a: 1.5, b: 'text', c: {x: 1, y: {z: 'deep'}}, d: ['one', 2], e: @binary(bytes), f: @undefined, g: @oid(123456789012), "
	"h: true, i: @date(12345678), j: null, k: @regex(^a), l: @pointer(db.coll), m: @code(f = 1), n: @symbol(sym), "
	"o: @scope(g=1), p: 7, q: @timestamp, r: 9L, s: @decimal, t: @min, u: @max}";
static const uint8_t types[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,
				0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13, 0xff, 0x7f};
#define N_TYPES (sizeof(types) / sizeof(types[0]))

static uint8_t document[4096];

static size_t make(const char *text)
{
	size_t n = 0;

	bson_from_text(text, document, sizeof(document), &n);
	return n;
}

/* Walks the document and all within. Returns what ended it; counts elements. */
static int walk(struct bson_reader reader, unsigned int *n_elements, unsigned int *n_cut)
{
	struct bson_element e;
	struct bson_reader inner;
	int got, got_inside;

	while ((got = bson_next(&reader, &e)) == 1) {
		assert_true(!e.value.len || e.value.ptr + e.value.len <= reader.rest.ptr + reader.rest.len);
		(*n_elements)++;
		*n_cut += !e.whole;
		got_inside = bson_open_value(&e, &inner);
		if (e.type != BSON_DOCUMENT && e.type != BSON_ARRAY && e.type != BSON_CODE_WITH_SCOPE) {
			assert_int_equal(got_inside, -EPROTO);
			continue;
		}
		if (!got_inside)
			got_inside = walk(inner, n_elements, n_cut);
		if (got_inside == -EPROTO)
			return got_inside;
		assert_int_equal(got_inside, e.whole ? 0 : -EAGAIN);
	}
	return got;
}

static int read_all(const uint8_t *bytes, size_t captured, size_t room, unsigned int *n_elements, unsigned int *n_cut)
{
	struct slice copy = guard_copy(bytes, captured);
	struct bson_reader reader;
	int got;

	*n_elements = *n_cut = 0;
	got = bson_open(copy, room, &reader);
	if (!got)
		got = walk(reader, n_elements, n_cut);
	guard_free(copy);
	return got;
}

static void test_types(void **state)
{
	size_t n = make(all_types);
	struct slice copy = guard_copy(document, n), text;
	struct bson_reader reader, scope;
	struct bson_element e;
	int64_t number;

	(void)state;
	assert_int_equal(bson_length(copy), n);
	assert_int_equal(bson_open(copy, n, &reader), 0);
	for (size_t i = 0; i < N_TYPES; i++) {
		assert_int_equal(bson_next(&reader, &e), 1);
		assert_int_equal(e.type, types[i]);
		assert_int_equal(e.key.len, 1);
		assert_int_equal(e.key.ptr[0], 'a' + (int)i);
		assert_true(e.whole);
		assert_int_equal(bson_text(&e, &text), e.type == BSON_STRING);
		if (e.type == BSON_STRING)
			assert_memory_equal(text.ptr, "text", text.len);
		if (bson_integer(&e, &number))
			assert_int_equal(number, e.type == BSON_INT32 ? 7 : e.type == BSON_INT64 ? 9 : 1);
		else
			assert_true(e.type != BSON_INT32 && e.type != BSON_INT64 && e.type != BSON_BOOLEAN);
		if (e.type == BSON_CODE_WITH_SCOPE) {
			assert_int_equal(bson_open_value(&e, &scope), 0);
			assert_int_equal(bson_next(&scope, &e), 1);
			assert_true(bson_text(&e, &text) && text.len == 3 && !memcmp(text.ptr, "g=1", 3));
			assert_int_equal(bson_next(&scope, &e), 0);
		}
	}
	assert_int_equal(bson_next(&reader, &e), 0);
	guard_free(copy);
}

static void test_cuts(void **state)
{
	unsigned int n_elements, n_cut, before = 0;
	size_t n = make(all_types);

	(void)state;
	for (size_t cut = 0; cut < n; cut++) {
		assert_int_equal(read_all(document, cut, n, &n_elements, &n_cut), -EAGAIN);
		assert_true(n_elements >= before); /* never fewer for more bytes */
		assert_true(n_cut <= 3);	   /* as deep as these are */
		before = n_elements;
	}
	assert_int_equal(read_all(document, n, n, &n_elements, &n_cut), 0);
	assert_int_equal(n_elements, N_TYPES + 3 + 2 + 1);
	assert_int_equal(n_cut, 0);
	assert_int_equal(read_all(document, n, SIZE_MAX, &n_elements, &n_cut), 0);
	assert_int_equal(read_all(document, n, n - 1, &n_elements, &n_cut), -EPROTO);
}

/* An element whose value is cut comes with what there is of it. */
static void test_cut_value(void **state)
{
	static const uint8_t bytes[] = "\x20\0\0\0\2k\0\x10\0\0\0abc";
	struct slice copy = guard_copy(bytes, 14), text;
	struct bson_reader reader;
	struct bson_element e;

	(void)state;
	assert_int_equal(bson_open(copy, 32, &reader), 0);
	assert_int_equal(bson_next(&reader, &e), 1);
	assert_false(e.whole);
	assert_int_equal(e.value.len, 7);
	assert_false(bson_text(&e, &text));
	assert_int_equal(bson_next(&reader, &e), -EAGAIN);
	guard_free(copy);
}

static void test_bad(void **state)
{
#define BYTES(s) s, sizeof(s) - 1
	static const struct {
		const char *what, *bytes;
		size_t n, room;
	} bad[] = {
		{"length below 5", BYTES("\4\0\0\0\0"), 100},
		{"negative length", BYTES("\xff\xff\xff\xff\0"), SIZE_MAX},
		{"no room for a document", BYTES("\5\0\0\0\0"), 4},
		{"longer than its room", BYTES("\5\0\0\1\0"), 100},
		{"end too early", BYTES("\x0a\0\0\0\0"), 100},
		{"end too late", BYTES("\5\0\0\0\x10"), 100},
		{"no such type", BYTES("\x0a\0\0\0\x14k\0"), 100},
		{"no such type, high", BYTES("\x0a\0\0\0\x80k\0"), 100},
		{"key without end", BYTES("\x0a\0\0\0\x0akkkkk"), 100},
		{"key that ends the document", BYTES("\7\0\0\0\x0ak\0"), 100},
		{"value that takes the end", BYTES("\x0b\0\0\0\x10k\0\1\0\0\0"), 100},
		{"string of 0 bytes", BYTES("\x10\0\0\0\2k\0\0\0\0\0"), 100},
		{"string without NUL", BYTES("\x0e\0\0\0\2k\0\2\0\0\0ab\0"), 100},
		{"string beyond the document", BYTES("\x0e\0\0\0\2k\0\x20\0\0\0a\0\0"), 100},
		{"negative string", BYTES("\x0e\0\0\0\2k\0\xff\xff\xff\xff""a\0\0"), 100},
		{"string, no room for its length", BYTES("\x0a\0\0\0\2k\0\1\0\0"), 100},
		{"binary beyond the document", BYTES("\x10\0\0\0\5k\0\x20\0\0\0\0"), 100},
		{"negative binary", BYTES("\x10\0\0\0\5k\0\xff\xff\xff\xff\0"), 100},
		{"document within of 4 bytes", BYTES("\x10\0\0\0\3k\0\4\0\0\0"), 100},
		{"document within beyond it", BYTES("\x10\0\0\0\3k\0\x10\0\0\0"), 100},
		{"array within beyond it", BYTES("\x10\0\0\0\4k\0\x10\0\0\0"), 100},
		{"regex without options", BYTES("\x0a\0\0\0\x0bk\0ab\0"), 100},
		{"regex without end", BYTES("\x0a\0\0\0\x0bk\0abc"), 100},
		{"pointer without id", BYTES("\x0f\0\0\0\x0ck\0\2\0\0\0a\0\0"), 100},
		{"scope: too short", BYTES("\x20\0\0\0\x0fk\0\x0d\0\0\0"), 100},
		{"scope: code takes it all", BYTES("\x20\0\0\0\x0fk\0\x18\0\0\0\x10\0\0\0"), 100},
		{"within: scope of the wrong length",
		 BYTES("\x17\0\0\0\x0fk\0\x0f\0\0\0\2\0\0\0a\0\4\0\0\0\0"), 100},
		{"within: end too early", BYTES("\x12\0\0\0\3k\0\x0a\0\0\0\0"), 100},
	};
	unsigned int n_elements, n_cut;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (read_all((const uint8_t *)bad[i].bytes, bad[i].n, bad[i].room, &n_elements, &n_cut) != -EPROTO)
			fail_msg("%s", bad[i].what);
		if (n_elements && strncmp(bad[i].what, "within", 6))
			fail_msg("an element: %s", bad[i].what);
	}
}

/* Any byte may be anything: it ends, and within bounds. */
static void test_mutations(void **state)
{
	unsigned int n_elements = 0, n_cut;
	size_t n = make(all_types);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		static const uint8_t nasty[] = {0, 1, 2, 3, 4, 5, 0x0c, 0x0f, 0x7f, 0x80, 0xff};
		uint8_t was = document[i];

		for (size_t k = 0; k < sizeof(nasty); k++) {
			struct slice copy;
			struct bson_reader reader;
			struct bson_element e;

			document[i] = nasty[k];
			copy = guard_copy(document, n);
			if (!bson_open(copy, n, &reader))
				while (bson_next(&reader, &e) == 1)
					n_elements++;
			guard_free(copy);
		}
		document[i] = was;
	}
	assert_int_equal(read_all(document, n, n, &n_elements, &n_cut), 0);
}

static void test_integers(void **state)
{
	static const struct {
		const char *text;
		int64_t value;
		bool is;
	} numbers[] = {
		{"{a: 1.0}", 1, true}, {"{a: -1.0}", -1, true}, {"{a: 1.5}", 0, false}, {"{a: -1.0e300}", 0, false},
		{"{a: -5L}", -5, true}, {"{a: -5}", -5, true}, {"{a: true}", 1, true}, {"{a: false}", 0, true},
		{"{a: 'x'}", 0, false}, {"{a: null}", 0, false}, {"{a: @date}", 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct bson_reader reader;
		struct bson_element e;
		int64_t value = 0;

		assert_int_equal(bson_open((struct slice){document, make(numbers[i].text)}, SIZE_MAX, &reader), 0);
		assert_int_equal(bson_next(&reader, &e), 1);
		assert_int_equal(bson_integer(&e, &value), numbers[i].is);
		if (numbers[i].is)
			assert_int_equal(value, numbers[i].value);
		e.whole = false;
		assert_false(bson_integer(&e, &value));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types), cmocka_unit_test(test_cuts),	cmocka_unit_test(test_cut_value),
		cmocka_unit_test(test_bad),   cmocka_unit_test(test_mutations), cmocka_unit_test(test_integers),
	};

	return cmocka_run_group_tests_name("bson", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inflate_mongo(): OP_COMPRESSED by each compressor, beside messages that are not compressed; whole, cut at every byte,
 * damaged, and hostile. Input and output both end at a guard page: one byte too many, read or written, crashes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>
#include <cmocka.h>
#include "guard.h"
#include "profiler/inflate.h"
#include "protocols/mongo_wire.h"

#define ROOM  8192
#define BODY  2000
#define PLAIN 255 /* in place of a compressor: not OP_COMPRESSED at all */

static const uint8_t forms[] = {MONGO_NOT_COMPRESSED, MONGO_SNAPPY, MONGO_ZLIB, MONGO_ZSTD, PLAIN};
#define N_FORMS (sizeof(forms) / sizeof(*forms))

static struct inflater *inflater;
static uint8_t stream[20 << 20], plain[1 << 16], wanted[1 << 16], body[1 << 24];
static size_t n_stream, n_wanted;

static void put_le32(uint8_t *p, size_t value)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(value >> 8 * i);
}

static void put_header(uint8_t *p, size_t length, uint32_t opcode)
{
	put_le32(p, length);
	put_le32(p + 4, 77);
	put_le32(p + 8, 0);
	put_le32(p + 12, opcode);
}

static size_t compress_by(uint8_t form, uint8_t *to, size_t room, size_t n)
{
	uLongf size = room;

	switch (form) {
	case MONGO_SNAPPY:
		assert_int_equal(snappy_compress((const char *)body, n, (char *)to, &room), SNAPPY_OK);
		return room;
	case MONGO_ZLIB:
		assert_int_equal(compress2(to, &size, body, n, 6), Z_OK);
		return size;
	case MONGO_ZSTD:
		return ZSTD_compress(to, room, body, n, 3);
	}
	memcpy(to, body, n);
	return n;
}

/* Appends a message of the first n bytes of `body`, and what it is to become. */
static void put(uint8_t form, size_t n)
{
	uint8_t *head = stream + n_stream, *to = head + MONGO_HEADER_BYTES + (form == PLAIN ? 0 : MONGO_COMPRESSED_BYTES);
	size_t size = compress_by(form, to, (size_t)(stream + sizeof(stream) - to), n);

	n_stream = (size_t)(to - stream) + size;
	put_header(head, (size_t)(to - head) + size, form == PLAIN ? OP_MSG : OP_COMPRESSED);
	if (form != PLAIN) {
		put_le32(head + 16, OP_MSG);
		put_le32(head + 20, n);
		head[24] = form;
	}
	if (n_wanted + MONGO_HEADER_BYTES + n > sizeof(wanted))
		return;
	put_header(wanted + n_wanted, MONGO_HEADER_BYTES + n, OP_MSG);
	memcpy(wanted + n_wanted + MONGO_HEADER_BYTES, body, n);
	n_wanted += MONGO_HEADER_BYTES + n;
}

static void begin(void)
{
	n_stream = n_wanted = 0;
}

static size_t inflate_into(size_t captured, uint64_t received, size_t room, uint64_t *inner)
{
	struct slice in = guard_copy(stream, captured), out = guard_copy(plain, room);
	size_t n;

	memset((void *)(uintptr_t)out.ptr, 0xee, room);
	n = inflate_mongo(inflater, in, received, (uint8_t *)(uintptr_t)out.ptr, room, inner);
	assert_true(n <= room);
	assert_true(n <= *inner);
	memcpy(plain, out.ptr, n);
	guard_free(in);
	guard_free(out);
	return n;
}

static void test_forms(void **state)
{
	uint64_t inner;

	(void)state;
	for (size_t f = 0; f < N_FORMS; f++) {
		begin();
		put(forms[f], BODY);
		put(forms[(f + 1) % N_FORMS], 30);
		put(forms[f], BODY);
		assert_int_equal(inflate_into(n_stream, n_stream, ROOM, &inner), n_wanted);
		assert_int_equal(inner, n_wanted);
		assert_memory_equal(plain, wanted, n_wanted);
	}
	assert_int_equal(inflate_into(0, 0, ROOM, &inner), 0);
	assert_int_equal(inner, 0);
}

/* Cut anywhere, what comes out is the beginning of what is whole; most of what is there comes out. */
static void test_cuts(void **state)
{
	uint64_t inner;

	(void)state;
	for (size_t f = 0; f < N_FORMS; f++) {
		size_t last = 0, end;

		begin();
		put(forms[f], BODY);
		end = n_stream;
		put(forms[f], BODY);
		for (size_t cut = 0; cut <= n_stream; cut++) {
			size_t out = inflate_into(cut, n_stream, ROOM, &inner);

			assert_true(out >= last && out <= n_wanted);
			assert_true(inner >= out);
			assert_memory_equal(plain, wanted, out);
			if (cut >= end)
				assert_true(out >= MONGO_HEADER_BYTES + BODY);
			last = out;
		}
		assert_int_equal(last, n_wanted);
		/* Half of what is compressed gives something, but for zstd, whose block is all or nothing. */
		if (forms[f] != MONGO_ZSTD)
			assert_true(inflate_into(end / 2, n_stream, ROOM, &inner) > BODY / 4);
	}
}

static void test_rooms(void **state)
{
	uint64_t inner;

	(void)state;
	for (size_t f = 0; f < N_FORMS; f++) {
		begin();
		put(forms[f], BODY);
		put(forms[f], 30);
		for (size_t room = 0; room <= n_wanted + 1; room++) {
			size_t out = inflate_into(n_stream, n_stream, room, &inner);

			assert_true(out <= room && out <= n_wanted);
			assert_memory_equal(plain, wanted, out);
			assert_int_equal(inner, n_wanted);
			if (room >= n_wanted)
				assert_int_equal(out, n_wanted);
		}
	}
}

/* Behind a damaged message nothing has its place any more. */
static void test_damage(void **state)
{
	uint64_t inner;

	(void)state;
	for (size_t f = 0; f < N_FORMS; f++) {
		size_t end;

		begin();
		put(forms[f], 300);
		end = n_stream;
		put(PLAIN, 30);
		for (size_t i = 16; i < end; i++)
			for (int bit = 0; bit < 8; bit++) {
				stream[i] ^= 1 << bit;
				inflate_into(n_stream, n_stream, ROOM, &inner);
				inflate_into(end, n_stream, ROOM, &inner);
				stream[i] ^= 1 << bit;
			}
	}
}

static void test_garbage(void **state)
{
	uint64_t random = 42, inner;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t n = (size_t)round % 300;

		for (size_t i = 0; i < n; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			stream[i] = (uint8_t)(random >> 56);
		}
		if (n > 30) {
			put_header(stream, n - (size_t)round % 3, OP_COMPRESSED);
			if (round % 2)
				put_le32(stream + 20, (size_t)round);
			stream[24] = (uint8_t)round % 5;
		}
		inflate_into(n, n + (size_t)round % 7, ROOM, &inner);
	}
}

/* A message gives no more than it declares, and declares no more than a server takes. */
static void test_declared(void **state)
{
	uint64_t inner;

	(void)state;
	for (size_t f = 0; f < N_FORMS; f++) {
		if (forms[f] == PLAIN)
			continue;
		begin();
		put(forms[f], BODY);
		put_le32(stream + 20, 10);
		assert_int_equal(inflate_into(n_stream, n_stream, ROOM, &inner), MONGO_HEADER_BYTES + 10);
		put_le32(stream + 20, 0xffffffff);
		inflate_into(n_stream, n_stream, ROOM, &inner);
		assert_true(inner <= MONGO_HEADER_BYTES + MONGO_LONGEST_MESSAGE);
	}
}

/* 16 MB of zeros, captured as far as the kernel side does, and whole: what comes out is bounded by the room. */
static void test_bombs(void **state)
{
	uint64_t inner;

	(void)state;
	memset(body, 0, sizeof(body));
	for (size_t f = 0; f < N_FORMS; f++) {
		if (forms[f] == PLAIN || forms[f] == MONGO_NOT_COMPRESSED)
			continue;
		begin();
		put(forms[f], sizeof(body));
		for (int i = 0; i < 3; i++) {
			size_t captured = i == 0 ? 64 : i == 1 && n_stream > 4096 ? 4096 : n_stream;
			size_t n = inflate_into(captured, n_stream, ROOM, &inner);

			assert_true(n >= MONGO_HEADER_BYTES && n <= ROOM);
			assert_int_equal(inner, MONGO_HEADER_BYTES + sizeof(body));
			for (size_t k = MONGO_HEADER_BYTES; k < n; k++)
				assert_int_equal(plain[k], 0);
			if (i == 2)
				assert_int_equal(n, ROOM);
		}
	}
}

static int setup(void **state)
{
	uint32_t random = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(body); i++) {
		random = random * 1664525 + 1013904223;
		body[i] = (uint8_t) "find orders \x02\x10_id$gt"[(random >> 24) % 20];
	}
	inflater = inflater_new();
	return inflater ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	inflater_free(inflater);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),	cmocka_unit_test(test_cuts),	 cmocka_unit_test(test_rooms),
		cmocka_unit_test(test_damage),	cmocka_unit_test(test_garbage), cmocka_unit_test(test_declared),
		cmocka_unit_test(test_bombs),
	};

	return cmocka_run_group_tests_name("inflate_mongo", tests, setup, teardown);
}

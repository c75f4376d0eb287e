/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inflate_mysql(): frames of the compressed protocol, whole, cut at every byte, damaged, and hostile. Input and output
 * both end at a guard page: one byte too many, read or written, crashes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <cmocka.h>
#include "guard.h"
#include "profiler/inflate.h"

enum form { FORM_STORED, FORM_ZLIB, FORM_ZSTD, N_FORMS };

#define FRAME_BYTES 7
#define ROOM	    8192

static struct inflater *inflater;
static uint8_t plain[1 << 20];

struct stream {
	uint8_t bytes[1 << 18];
	size_t n;
};
static struct stream stream;

static void put_le24(uint8_t *p, size_t value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
	p[2] = (uint8_t)(value >> 16);
}

/* A frame whose content is at its place already. */
static void put_frame(size_t n, size_t inflated)
{
	uint8_t *head = stream.bytes + stream.n;

	put_le24(head, n);
	head[3] = 0;
	put_le24(head + 4, inflated);
	stream.n += FRAME_BYTES + n;
	assert_true(stream.n <= sizeof(stream.bytes));
}

static void put(enum form form, const void *bytes, size_t n)
{
	uint8_t *to = stream.bytes + stream.n + FRAME_BYTES;
	uLongf room = sizeof(stream.bytes) - stream.n - FRAME_BYTES;

	if (form == FORM_STORED) {
		memcpy(to, bytes, n);
		put_frame(n, 0);
		return;
	}
	if (form == FORM_ZLIB)
		assert_int_equal(compress2(to, &room, bytes, n, 6), Z_OK);
	else
		room = ZSTD_compress(to, room, bytes, n, 3);
	put_frame(room, n);
}

/* What comes out of the first `captured` bytes is in `plain`; its number is returned. */
static size_t inflate_into(size_t captured, uint64_t received, size_t room, uint64_t *inner)
{
	struct slice in = guard_copy(stream.bytes, captured), out = guard_copy(plain, room);
	size_t n;

	memset((void *)(uintptr_t)out.ptr, 0xee, room);
	n = inflate_mysql(inflater, in, received, (uint8_t *)(uintptr_t)out.ptr, room, inner);
	assert_true(n <= room);
	assert_true(n <= *inner);
	memcpy(plain, out.ptr, n);
	guard_free(in);
	guard_free(out);
	return n;
}

static void expect(const char *whole, size_t len)
{
	uint64_t inner;
	size_t n = inflate_into(stream.n, stream.n, ROOM, &inner);

	assert_int_equal(n, len);
	assert_int_equal(inner, len);
	assert_memory_equal(plain, whole, len);
}

/* Text that is deflated to something, but not to nothing. */
static size_t make_text(char *out, size_t n)
{
	uint32_t random = 7;

	for (size_t i = 0; i < n; i++) {
		random = random * 1664525 + 1013904223;
		out[i] = "SELECT ,INSERTVALUES(1)"[(random >> 24) % 23];
	}
	return n;
}

static void test_forms(void **state)
{
	char text[2000];
	size_t n = make_text(text, sizeof(text));
	uint64_t inner;

	(void)state;
	for (enum form form = 0; form < N_FORMS; form++) {
		stream.n = 0;
		put(form, text, n);
		expect(text, n);
		put((form + 1) % N_FORMS, text, 1);
		put(form, text + 1, n - 1);
		assert_int_equal(inflate_into(stream.n, stream.n, ROOM, &inner), 2 * n);
		assert_int_equal(inner, 2 * n);
		assert_memory_equal(plain + n, text, n);
	}
	stream.n = 0;
	expect("", 0);
}

/*
 * What is declared by those of three frames of 1000 bytes that begin within the first `cut` bytes; bytes of a header that
 * is cut off are something, too.
 */
static uint64_t declared(size_t cut, const size_t begins[static 3])
{
	uint64_t n = 0;

	for (int i = 0; i < 3 && cut > begins[i]; i++)
		n += cut >= begins[i] + FRAME_BYTES ? 1000 : cut - begins[i];
	return n;
}

/* Cut anywhere, what comes out is the beginning of what is whole, and what is declared stays the same. */
static void test_cuts(void **state)
{
	char text[3000];
	size_t n = make_text(text, sizeof(text)), begins[4] = {0};
	uint64_t inner;

	(void)state;
	for (enum form form = 0; form < N_FORMS; form++) {
		stream.n = 0;
		for (int i = 0; i < 3; i++) {
			put(form, text + 1000 * i, 1000);
			begins[i + 1] = stream.n;
		}
		for (size_t cut = 0, last = 0; cut <= stream.n; cut++) {
			size_t out = inflate_into(cut, stream.n, ROOM, &inner);
			size_t whole = (cut >= begins[1]) + (cut >= begins[2]) + (cut >= begins[3]);

			assert_true(out >= 1000 * whole && out >= last && out <= n);
			assert_memory_equal(plain, text, out);
			if (cut >= begins[2] + FRAME_BYTES) /* all headers are seen */
				assert_int_equal(inner, n);
			else
				assert_true(inner > declared(cut, begins));
			last = out;
			inflate_into(cut, cut, ROOM, &inner); /* no more has come so far */
			assert_int_equal(inner, declared(cut, begins));
		}
	}
}

static void test_rooms(void **state)
{
	char text[1000];
	size_t n = make_text(text, sizeof(text));
	uint64_t inner;

	(void)state;
	for (enum form form = 0; form < N_FORMS; form++) {
		stream.n = 0;
		put(form, text, n);
		put(form, text, n);
		for (size_t room = 0; room <= 2 * n + 1; room++) {
			assert_int_equal(inflate_into(stream.n, stream.n, room, &inner), room < 2 * n ? room : 2 * n);
			assert_int_equal(inner, 2 * n);
		}
	}
}

/* Behind a damaged frame nothing has its place any more. */
static void test_damage(void **state)
{
	char text[1000];
	size_t n = make_text(text, sizeof(text)), first;
	uint64_t inner;

	(void)state;
	for (enum form form = FORM_ZLIB; form < N_FORMS; form++) {
		stream.n = 0;
		put(form, text, n);
		first = stream.n;
		put(FORM_STORED, "planted", 7);
		for (size_t i = FRAME_BYTES; i < first; i++) {
			size_t out;

			stream.bytes[i] ^= 0x55;
			out = inflate_into(stream.n, stream.n, ROOM, &inner);
			assert_int_equal(inner, n + 7);
			assert_true(out <= n || out == n + 7);
			if (out == n + 7)
				assert_memory_equal(plain + n, "planted", 7);
			stream.bytes[i] ^= 0x55;
		}
	}
}

static void test_garbage(void **state)
{
	uint64_t random = 42, inner;

	(void)state;
	for (int round = 0; round < 5000; round++) {
		size_t n = (size_t)round % 300;

		for (size_t i = 0; i < n; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			stream.bytes[i] = (uint8_t)(random >> 56);
		}
		if (n > FRAME_BYTES + 4 && round % 2)
			memcpy(stream.bytes + FRAME_BYTES, round % 4 == 1 ? "\x78\x9c" : "\x28\xb5\x2f\xfd", round % 4 == 1 ? 2 : 4);
		inflate_into(n, n + (size_t)round % 7, ROOM, &inner);
	}
	/* Headers alone, as many as there can be. */
	memset(stream.bytes, 0, sizeof(stream.bytes));
	assert_int_equal(inflate_into(sizeof(stream.bytes), sizeof(stream.bytes), ROOM, &inner), 0);
	memset(stream.bytes, 0xff, sizeof(stream.bytes));
	assert_int_equal(inflate_into(100, 100, ROOM, &inner), 0);
	assert_int_equal(inner, 0xffffff);
}

/* A frame gives no more than it declares, whatever is in it. */
static void test_more_than_declared(void **state)
{
	char text[1000];
	size_t n = make_text(text, sizeof(text));
	uint64_t inner;

	(void)state;
	for (enum form form = FORM_ZLIB; form < N_FORMS; form++) {
		stream.n = 0;
		put(form, text, n);
		put_le24(stream.bytes + 4, 10);
		assert_int_equal(inflate_into(stream.n, stream.n, ROOM, &inner), 10);
		assert_int_equal(inner, 10);
		put_le24(stream.bytes + 4, 0xffffff);
		assert_int_equal(inflate_into(stream.n, stream.n, ROOM, &inner), n);
		assert_int_equal(inner, 0xffffff);
	}
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* 16 MB of zeros in a few kilobytes, many times: what comes out, and the time, are bounded by the room. */
static void test_bombs(void **state)
{
	size_t size = 0xffffff;
	char *zeros = calloc(1, size);
	uint64_t inner;
	double start;

	(void)state;
	assert_non_null(zeros);
	for (enum form form = FORM_ZLIB; form < N_FORMS; form++) {
		stream.n = 0;
		put(form, zeros, size);
		for (int i = 0; i < 3; i++) { /* at the bomb's head, and whole */
			size_t captured = i == 0 ? 64 : i == 1 ? stream.n / 2 : stream.n;

			start = now_s();
			assert_true(inflate_into(captured, stream.n, ROOM, &inner) <= ROOM);
			assert_true(now_s() - start < 0.5);
			assert_int_equal(inner, size);
		}
		assert_int_equal(plain[0], 0);
	}
	free(zeros);
}

/* What a frame of zstd may make the library allocate is limited: such a frame gives nothing. */
static void test_zstd_window(void **state)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	uint8_t *to = stream.bytes + FRAME_BYTES;
	uint64_t inner;

	(void)state;
	assert_non_null(c);
	for (int log = 20; log <= 27; log++) {
		ZSTD_outBuffer out = {to, sizeof(stream.bytes) - FRAME_BYTES, 0};
		ZSTD_inBuffer in = {"SELECT 1 FROM t, SELECT 1 FROM t", 32, 0};

		/* As a stream, so that the window is not shrunk to the content. */
		ZSTD_CCtx_reset(c, ZSTD_reset_session_and_parameters);
		assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, log)));
		assert_false(ZSTD_isError(ZSTD_compressStream2(c, &out, &in, ZSTD_e_continue)));
		assert_int_equal(ZSTD_compressStream2(c, &out, &in, ZSTD_e_end), 0);
		stream.n = 0;
		put_frame(out.pos, 32);
		assert_int_equal(inflate_into(stream.n, stream.n, ROOM, &inner), log <= 21 ? 32 : 0);
		assert_int_equal(inner, 32);
	}
	ZSTD_freeCCtx(c);
	/* It goes on with the next. */
	stream.n = 0;
	put(FORM_ZSTD, "SELECT 1", 8);
	expect("SELECT 1", 8);
}

static int setup(void **state)
{
	(void)state;
	inflater_free(NULL);
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
		cmocka_unit_test(test_forms),	cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_rooms),	cmocka_unit_test(test_damage),
		cmocka_unit_test(test_garbage), cmocka_unit_test(test_more_than_declared),
		cmocka_unit_test(test_bombs),	cmocka_unit_test(test_zstd_window),
	};

	return cmocka_run_group_tests_name("inflate", tests, setup, teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where does a word end, where a string? 16 bytes at a time, and never a byte beyond the end of the
 * text.
 */
#ifndef WIREPROF_SQL_SCAN_H
#define WIREPROF_SQL_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum sql_char_class {
	CLASS_LETTER, /* of names: also _ $ and all from 0x80 on */
	CLASS_QUOTE,
	CLASS_DOT,
	CLASS_AFTER_WORD = CLASS_DOT, /* up to here: directly behind a word, it is no plain one */
	CLASS_DIGIT,
	CLASS_BAD, /* control characters, backslash */
	CLASS_BLANK,
	CLASS_BACKQUOTE,
	CLASS_OPERATOR, /* may be of several characters */
	CLASS_AT,
	CLASS_COMMENT, /* may begin or end one */
	CLASS_PLACEHOLDER,
	CLASS_SINGLE, /* a token by itself */
};

extern const uint8_t sql_class[256];

static inline bool sql_is_name(uint8_t c)
{
	return sql_class[c] == CLASS_LETTER || sql_class[c] == CLASS_DIGIT;
}

/* Behind the number at `at`, which is a digit, or a '.' before one. `at` if it is a name: 1a, 0xyz.
 */
const uint8_t *sql_scan_number(const uint8_t *at, const uint8_t *end);

struct sql_word {
	const uint8_t *end;
	size_t len;
	uint64_t low, high; /* its first 16 bytes, upper case, NULs behind its end */
};

#ifdef __SSE2__

/* 0xff where the byte is of [first, last]. */
static inline __m128i sql_in_range(__m128i bytes, uint8_t first, uint8_t last)
{
	/* Moves the range to the lowest signed bytes. */
	__m128i moved = _mm_sub_epi8(bytes, _mm_set1_epi8((char)(first + 0x80)));

	return _mm_cmplt_epi8(moved, _mm_set1_epi8((char)(last - first + 1 - 0x80)));
}

/* 16 bytes from `at` on, NULs for what is behind the end. Nothing outside of the text is read. */
static inline __m128i sql_load(const uint8_t *at, const uint8_t *end, const uint8_t *start)
{
	uint64_t low = 0, high = 0;
	size_t left = (size_t)(end - at);

	if (left >= 16)
		return _mm_loadu_si128((const __m128i *)(const void *)at);
	if (left >= 8) {
		memcpy(&low, at, 8);
		memcpy(&high, end - 8, 8);
		high = left > 8 ? high >> 8 * (16 - left) : 0;
	} else if (end - start >= 8 && left) {
		memcpy(&low, end - 8, 8);
		low >>= 8 * (8 - left);
	} else {
		memcpy(&low, at, left);
	}
	return _mm_set_epi64x((long long)high, (long long)low);
}

/* 0xff for the first n of 16 bytes. */
static inline __m128i sql_first_bytes(size_t n)
{
	static const uint8_t keep[32] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	};

	return _mm_loadu_si128((const __m128i *)(const void *)(keep + 16 - n));
}

/* At most 16 bytes of a word. */
static inline size_t sql_word_part(__m128i bytes, __m128i *upper)
{
	__m128i small = sql_in_range(bytes, 'a', 'z');
	__m128i name = _mm_or_si128(
		_mm_or_si128(small, sql_in_range(bytes, 'A', 'Z')),
		_mm_or_si128(
			sql_in_range(bytes, '0', '9'),
			_mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('_')),
				     _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('$')),
						  _mm_cmplt_epi8(bytes, _mm_setzero_si128())))));

	*upper = _mm_sub_epi8(bytes, _mm_and_si128(small, _mm_set1_epi8(0x20)));
	return (size_t)__builtin_ctz(~(uint32_t)_mm_movemask_epi8(name));
}

/* The word at `at`, of a text that begins at `start`. */
static inline __attribute__((always_inline)) struct sql_word
sql_scan_word(const uint8_t *at, const uint8_t *end, const uint8_t *start)
{
	struct sql_word word;
	__m128i upper, more;
	size_t n = sql_word_part(sql_load(at, end, start), &upper);

	word.len = n;
	upper = _mm_and_si128(upper, sql_first_bytes(n));
	word.low = (uint64_t)_mm_cvtsi128_si64(upper);
	word.high = (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(upper, upper));
	while (n == 16) {
		n = sql_word_part(sql_load(at + word.len, end, start), &more);
		word.len += n;
	}
	word.end = at + word.len;
	return word;
}

/* The first quote or backslash, or `end`. */
static inline const uint8_t *sql_scan_string(const uint8_t *at, const uint8_t *end, uint8_t quote)
{
	for (; end - at >= 16; at += 16) {
		__m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
		__m128i hit = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)quote)),
					   _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
		int mask = _mm_movemask_epi8(hit);

		if (mask)
			return at + __builtin_ctz((uint32_t)mask);
	}
	while (at < end && *at != quote && *at != '\\')
		at++;
	return at;
}

#else

static inline __attribute__((always_inline)) struct sql_word
sql_scan_word(const uint8_t *at, const uint8_t *end, const uint8_t *start)
{
	struct sql_word word = {.end = at};
	uint8_t upper[16] = {0};

	(void)start;
	for (; word.end < end && sql_is_name(*word.end); word.end++, word.len++)
		if (word.len < 16)
			upper[word.len] =
				*word.end >= 'a' && *word.end <= 'z' ? *word.end - 0x20 : *word.end;
	memcpy(&word.low, upper, 8);
	memcpy(&word.high, upper + 8, 8);
	return word;
}

static inline const uint8_t *sql_scan_string(const uint8_t *at, const uint8_t *end, uint8_t quote)
{
	while (at < end && *at != quote && *at != '\\')
		at++;
	return at;
}

#endif

/* A bit for each of eight bytes that is no printable ASCII character. */
static inline uint64_t sql_special(uint64_t bytes)
{
	const uint64_t ones = 0x0101010101010101, high = 0x8080808080808080;
	uint64_t delete = bytes ^ 0x7f * ones;

	return (bytes | ((bytes - 0x20 * ones) & ~bytes) | ((delete - ones) & ~delete)) & high;
}

/* Copies the name if it is all printable ASCII, in a few wide moves. */
static inline bool sql_copy_plain(char *out, const uint8_t *name, size_t len)
{
	uint64_t bytes, last;
	uint32_t four;

	if (len >= 8) {
		for (size_t i = 0; i + 8 < len; i += 8) {
			memcpy(&bytes, name + i, 8);
			memcpy(out + i, &bytes, 8);
			if (sql_special(bytes))
				return false;
		}
		memcpy(&last, name + len - 8, 8);
		memcpy(out + len - 8, &last, 8);
		return !sql_special(last);
	}
	if (len >= 4) {
		memcpy(&four, name, 4);
		memcpy(out, &four, 4);
		bytes = four;
		memcpy(&four, name + len - 4, 4);
		memcpy(out + len - 4, &four, 4);
		return !sql_special(bytes | (uint64_t)four << 32);
	}
	for (size_t i = 0; i < len; i++) {
		out[i] = (char)name[i];
		if (name[i] < ' ' || name[i] > '~')
			return false;
	}
	return true;
}

#endif

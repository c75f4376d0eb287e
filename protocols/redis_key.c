/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Masks a Redis key: keeps what names a family of keys, drops what names one.
 *
 *	user:1000			user:*		up to the first ':', whatever follows
 *	session4711			session*	a word ends at its first digit
 *	cache-9f86d081884c7d65-de	cache-*-de	8 or more hex digits, one of them decimal
 *	550e8400-e29b-41d4-a716-...	*		a UUID
 *	alice@example.com		alice*		an odd byte ends the pattern
 *	sort_list			sort_list
 *
 * The prefix before a ':' is masked by the same rules. A run of letters too long to be a word is
 * taken for a token. Keys are binary: control characters and bytes that are not UTF-8 come out as
 * \xNN, but only before a ':' and only a few of them, since a key full of them is data.
 *
 * A key that is cut by the capture must not show more than the whole key would: a run that touches
 * the cut is kept only if no continuation of it could be taken for a token or a hex string.
 */
#include <string.h>
#include "redis_internal.h"
#include "utf8.h"

#define WORD_MAX   20 /* letters in a run; more are a token */
#define HEX_MIN    8  /* hex digits in a run that are one number */
#define ESCAPE_MAX 4  /* bytes of a pattern that are shown as \xNN */
#define UUID_BYTES 36

struct pattern {
	const uint8_t *key;
	size_t len, at;  /* bytes to look at, and where we are */
	uint64_t length; /* of the whole key */
	char *out;
	size_t n, max; /* bytes written; never more than max, '*' and NUL aside */
	unsigned int escapes;
};

static bool is_letter(uint8_t byte)
{
	return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
}

static bool is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

static bool is_hex(uint8_t byte)
{
	return is_digit(byte) || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f');
}

static bool is_separator(uint8_t byte)
{
	return byte && strchr("_.-/{}", byte);
}

static bool put(struct pattern *p, const void *bytes, size_t n)
{
	if (p->n + n > p->max)
		return false;
	memcpy(p->out + p->n, bytes, n);
	p->n += n;
	return true;
}

static bool put_star(struct pattern *p)
{
	return (p->n && p->out[p->n - 1] == '*') || put(p, "*", 1);
}

/* Length of the UUID at the front, as far as it is there (cut or whole), or 0. */
static size_t uuid_len(const uint8_t *s, size_t len, bool is_cut)
{
	size_t i;

	for (i = 0; i < len && i < UUID_BYTES; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-' : !is_hex(s[i]))
			return 0;
	}
	return i == UUID_BYTES || (is_cut && i > 8) ? i : 0;
}

/* A run of ASCII letters and digits: the word that it starts with, '*' for the rest. */
static bool put_run(struct pattern *p)
{
	const uint8_t *run = p->key + p->at;
	size_t left = p->len - p->at, n = 0, word = 0;
	bool is_cut = p->len < p->length, all_hex = true, digit = false;

	n = uuid_len(run, left, is_cut);
	if (n) {
		p->at += n;
		return put_star(p);
	}
	while (n < left && (is_letter(run[n]) || is_digit(run[n]))) {
		all_hex = all_hex && is_hex(run[n]);
		digit = digit || is_digit(run[n]);
		word += !digit;
		n++;
	}
	p->at += n;
	if (is_cut && n == left && (all_hex || word + (p->length - p->len) > WORD_MAX))
		word = digit && !all_hex ? word : 0;
	if ((all_hex && digit && n >= HEX_MIN) || word > WORD_MAX)
		word = 0;
	return put(p, run, word) && (word == n || put_star(p));
}

/* One byte or character that is not of a run; false ends the pattern. */
static bool put_other(struct pattern *p, bool has_prefix)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t byte = p->key[p->at];
	size_t n = byte < 0x80 ? 0 : utf8_printable(p->key + p->at, p->len - p->at);

	if (n || is_separator(byte)) {
		n = n ? n : 1;
		p->at += n;
		return put(p, p->key + p->at - n, n);
	}
	if ((byte < ' ' || byte >= 0x7f) && has_prefix && p->escapes < ESCAPE_MAX) {
		char escaped[4] = {'\\', 'x', digits[byte >> 4], digits[byte & 15]};

		p->escapes++;
		p->at++;
		return put(p, escaped, sizeof(escaped));
	}
	return false;
}

size_t redis_key_mask(struct slice captured, uint64_t length, char out[static REDIS_KEY_BYTES])
{
	struct pattern p = {.key = captured.ptr, .len = captured.len, .length = length, .out = out};
	const uint8_t *colon = NULL;
	bool open = length > captured.len, more = true;

	if (!length) {
		memcpy(out, "\"\"", 3);
		return 2;
	}
	if (captured.len)
		colon = memchr(captured.ptr, ':',
			       captured.len < REDIS_KEY_PREFIX_MAX ? captured.len
								   : REDIS_KEY_PREFIX_MAX);
	p.max = colon ? REDIS_KEY_PREFIX_MAX - 1 : REDIS_KEY_WORD_MAX;
	if (colon) {
		p.len = (size_t)(colon - captured.ptr);
		p.length = p.len;
	}
	while (more && p.at < p.len) {
		uint8_t byte = p.key[p.at];

		more = is_letter(byte) || is_digit(byte) ? put_run(&p) : put_other(&p, colon);
		/* Long and without structure: the rest of it may be the rest of a token. */
		if (!colon && length > REDIS_KEY_WORD_MAX && p.n && p.out[p.n - 1] == '*')
			more = false;
	}
	if (more && colon) {
		p.max++;
		put(&p, ":", 1);
	}
	p.max = REDIS_KEY_BYTES - 1;
	if (!more || colon || open)
		put_star(&p);
	out[p.n] = '\0';
	return p.n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of any text that goes out, and of any batch of classes: asserted by fuzz targets and property tests. */
#ifndef WIREPROF_TESTS_CHECK_TEXT_H
#define WIREPROF_TESTS_CHECK_TEXT_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "protocols/query.h"

/* Length of the valid UTF-8 sequence at s (RFC 3629), which ends with a NUL if nothing else; 0: it is none. */
static inline size_t check_sequence(const uint8_t *s)
{
	static const struct {
		uint8_t first, last, least, most; /* range of the first byte, and of the second */
		uint8_t len;
	} forms[] = {
		{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	if (s[0] >= ' ' && s[0] < 0x7f)
		return 1;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		size_t n = 2;

		if (s[0] < forms[i].first || s[0] > forms[i].last || s[1] < forms[i].least || s[1] > forms[i].most)
			continue;
		while (n < forms[i].len && (s[n] & 0xc0) == 0x80)
			n++;
		return n == forms[i].len ? n : 0;
	}
	return 0;
}

/* Ends within `size` bytes; valid UTF-8 without control characters. */
static inline void check_text(const char *text, size_t size, bool may_be_empty)
{
	size_t len = strnlen(text, size), n;

	assert(len < size && (len || may_be_empty));
	for (size_t i = 0; i < len; i += n) {
		n = check_sequence((const uint8_t *)text + i);
		assert(n);
	}
}

static inline void check_class(const struct query_class *class)
{
	assert(class->count);
	check_text(class->operation, sizeof(class->operation), false);
	check_text(class->summary, sizeof(class->summary), false);
	check_text(class->text, sizeof(class->text), false);
	check_text(class->collection, sizeof(class->collection), true);
	assert(!strncmp(class->summary, class->operation, strlen(class->operation)));
}

static inline void check_batch(const struct query_batch *batch)
{
	uint32_t n = 0;

	assert(batch->verdict < QUERY_VERDICTS && batch->n_classes <= QUERY_BATCH_CLASSES);
	assert((batch->verdict == QUERY_COMMANDS || batch->verdict == QUERY_UNKNOWN_STATEMENT) == (batch->n_classes > 0));
	assert(!batch->cut || batch->n_classes);
	for (uint32_t i = 0; i < batch->n_classes; i++) {
		check_class(&batch->classes[i]);
		n += batch->classes[i].count;
	}
	assert(n == batch->n_commands);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes sql_classify(), statement by statement, and sql_inner_statement().
 *
 *	byte 0	   bit 0: the text was cut
 *	byte 1..   the text
 *
 * What must hold for any input is asserted: progress, bounds, text that is printable UTF-8, a
 *summary that begins with the operation.
 */
#include <assert.h>
#include <string.h>
#include "protocols/sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_printable(const char *text, size_t size)
{
	const uint8_t *s = (const uint8_t *)text;
	size_t len = strnlen(text, size);

	assert(len < size);
	for (size_t i = 0; i < len; i++) {
		size_t more = s[i] >= 0xf0 ? 3 : s[i] >= 0xe0 ? 2 : s[i] >= 0xc0 ? 1 : 0;

		assert(s[i] >= ' ' && s[i] != 0x7f &&
		       (s[i] < 0x80 || (s[i] >= 0xc2 && s[i] <= 0xf4)));
		assert(s[i] != 0xc2 || s[i + 1] >= 0xa0);
		for (; more; more--)
			assert((s[++i] & 0xc0) == 0x80);
	}
}

static void check_class(const struct query_class *class)
{
	size_t operation = strlen(class->operation);

	assert(operation && *class->text);
	check_printable(class->operation, sizeof(class->operation));
	check_printable(class->summary, sizeof(class->summary));
	check_printable(class->text, sizeof(class->text));
	check_printable(class->collection, sizeof(class->collection));
	assert(!strncmp(class->summary, class->operation, operation));
	assert(!class->summary[operation] || class->summary[operation] == ' ');
	assert(strstr(class->summary, class->collection));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct query_class class;
	uint8_t inner[256];
	struct slice text;
	bool whole;
	size_t used;

	if (!size)
		return 0;
	text = (struct slice){data + 1, size - 1};
	whole = !(data[0] & 1);
	while ((used = sql_classify(text, whole, &class))) {
		assert(used <= text.len);
		check_class(&class);
		text.ptr += used;
		text.len -= used;
	}
	text = (struct slice){data + 1, size - 1};
	used = sql_inner_statement(text, inner, sizeof(inner), &whole);
	assert(used <= sizeof(inner));
	return 0;
}

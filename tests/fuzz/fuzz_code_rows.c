/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: arbitrary bytes as machine code. The first byte chooses where in memory it lies, the
 * rest is swept; what must hold of any bytes is asserted.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "symbolizer/code_chunk.h"
#include "symbolizer/x86_64_length.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_lengths(const uint8_t *code, size_t size)
{
	for (size_t at = 0; at < size;) {
		struct x86_insn i;
		unsigned int n = x86_decode(code + at, size - at, &i);

		assert(n <= 15 && n <= size - at);
		assert(n == 0 || (i.length == n && i.reg <= X86_ENC_NONE));
		at += n ? n : 1;
	}
}

static void check_rows(const struct row_sink *out)
{
	for (size_t i = 0; i < out->n; i++) {
		assert(out->rows[i].kind < UNWIND_KINDS);
		assert(out->rows[i].kind != UNWIND_EXTENDED ||
		       out->rows[i].cfa < out->rules->n);
		assert(i == 0 || out->rows[i - 1].pc < out->rows[i].pc);
		assert(out->rows[i].pc <= out->end - out->base);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rule_table rules = {0};
	struct row_sink out = {.rules = &rules, .base = 0x1000};
	static struct code_chunk *c; /* megabytes, which need not be cleared each time */
	uint8_t *code;

	if (size < 2)
		return 0;
	size--;
	code = malloc(size); /* of its own size: one byte too far is seen */
	if (!c)
		c = code_chunk_new();
	assert(code && c);
	memcpy(code, data + 1, size);
	check_lengths(code, size);
	out.floor = 0x1000;
	out.end = out.base + data[0] + size;
	for (size_t at = 0; at < size;) {
		int64_t n = code_chunk_rows(c, code + at, size - at, out.base + data[0] + at,
					    out.base + 64, &out);

		assert(n > 0 && (size_t)n <= size - at);
		at += (size_t)n;
	}
	check_rows(&out);
	free(out.rows);
	rule_table_free(&rules);
	free(code);
	return 0;
}

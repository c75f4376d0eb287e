/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that are read out of code: instruction lengths and meanings, stack heights, where caution ends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "guard.h"
#include "symbolizer/code_chunk.h"
#include "symbolizer/x86_64_length.h"

#define BASE 0x1000

static const struct form {
	const char *bytes;
	unsigned int length;
	uint8_t op, reg;
	int32_t imm;
} forms[] = {
	{"\x90", 1, X86_PADDING, X86_ENC_NONE, 0},
	{"\x66\x90", 2, X86_PADDING, X86_ENC_NONE, 0},
	{"\xf3\x90", 2, X86_OTHER, X86_ENC_NONE, 0}, /* pause */
	{"\x66\x2e\x0f\x1f\x84\0\0\0\0\0", 10, X86_PADDING, X86_ENC_NONE, 0},
	{"\0\0", 2, X86_PADDING, X86_ENC_NONE, 0},
	{"\xf3\x0f\x1e\xfa", 4, X86_ENDBR, X86_ENC_NONE, 0},
	{"\x31\xed", 2, X86_ZERO_RBP, X86_ENC_RBP, 0},
	{"\x48\x31\xed", 3, X86_ZERO_RBP, X86_ENC_RBP, 0},
	{"\x55", 1, X86_PUSH, X86_ENC_RBP, 0},
	{"\x41\x57", 2, X86_PUSH, 15, 0},
	{"\x66\x55", 2, X86_OTHER, X86_ENC_NONE, 0}, /* two bytes: nobody's frame */
	{"\x6a\x08", 2, X86_PUSH, X86_ENC_NONE, 0},
	{"\x68\x01\x02\x03\x04", 5, X86_PUSH, X86_ENC_NONE, 0},
	{"\xff\x74\x24\x08", 4, X86_PUSH, X86_ENC_NONE, 0},
	{"\x9c", 1, X86_PUSH, X86_ENC_NONE, 0},
	{"\x5d", 1, X86_POP, X86_ENC_RBP, 0},
	{"\x8f\x44\x24\x08", 4, X86_POP, X86_ENC_NONE, 0},
	{"\x48\x83\xec\x18", 4, X86_ADD_SP, X86_ENC_RSP, -24},
	{"\x48\x81\xc4\x20\x01\0\0", 7, X86_ADD_SP, X86_ENC_RSP, 0x120},
	{"\x48\x8d\x64\x24\xf8", 5, X86_ADD_SP, X86_ENC_RSP, -8},
	{"\x83\xec\x18", 3, X86_OTHER, X86_ENC_NONE, 0}, /* sub $24,%esp */
	{"\x48\x83\xe4\xc0", 4, X86_OTHER, X86_ENC_NONE, 0},
	{"\x48\x89\xe5", 3, X86_FROM_SP, X86_ENC_RBP, 0},
	{"\x48\x8b\xec", 3, X86_FROM_SP, X86_ENC_RBP, 0},
	{"\x49\x89\xe2", 3, X86_FROM_SP, 10, 0},
	{"\x4c\x8d\x54\x24\x08", 5, X86_FROM_SP, 10, 8},
	{"\x48\x89\xec", 3, X86_TO_SP, X86_ENC_RBP, 0},
	{"\x4c\x89\xd4", 3, X86_TO_SP, 10, 0},
	{"\x48\x8d\x65\xd8", 4, X86_TO_SP, X86_ENC_RBP, -40},
	{"\x48\x8b\xa4\x24\0\x01\0\0", 8, X86_LOAD_SP, X86_ENC_RSP, 0x100},
	{"\x4c\x89\x94\x24\0\x01\0\0", 8, X86_STORE, 10, 0x100},
	{"\x48\x8b\x6c\x24\x08", 5, X86_LOAD, X86_ENC_RBP, 8},
	{"\xc9", 1, X86_LEAVE, X86_ENC_NONE, 0},
	{"\xe8\x10\0\0\0", 5, X86_CALL, X86_ENC_NONE, 16},
	{"\xff\xd0", 2, X86_CALL_AWAY, X86_ENC_NONE, 0},
	{"\x41\xff\x55\x08", 4, X86_CALL_AWAY, X86_ENC_NONE, 0},
	{"\xeb\xfe", 2, X86_JUMP, X86_ENC_NONE, -2},
	{"\xe9\xfb\xff\xff\xff", 5, X86_JUMP, X86_ENC_NONE, -5},
	{"\x3e\xff\xe0", 3, X86_JUMP_AWAY, X86_ENC_NONE, 0},
	{"\x74\x05", 2, X86_BRANCH, X86_ENC_NONE, 5},
	{"\x0f\x85\0\x01\0\0", 6, X86_BRANCH, X86_ENC_NONE, 256},
	{"\xe3\x02", 2, X86_BRANCH, X86_ENC_NONE, 2},
	{"\x0f\x05", 2, X86_SYSCALL, X86_ENC_NONE, 0},
	{"\xc3", 1, X86_RET, X86_ENC_NONE, 0},
	{"\xf3\xc3", 2, X86_RET, X86_ENC_NONE, 0},
	{"\xc2\x08\0", 3, X86_RET, X86_ENC_NONE, 0},
	{"\xf4", 1, X86_TRAP, X86_ENC_NONE, 0},
	{"\x0f\x0b", 2, X86_TRAP, X86_ENC_NONE, 0},
	/* lengths */
	{"\x48\xb8\1\2\3\4\5\6\7\x08", 10, X86_OTHER, X86_ENC_NONE, 0}, /* movabs */
	{"\xa0\1\2\3\4\5\6\7\x08", 9, X86_OTHER, X86_ENC_NONE, 0},
	{"\x67\xa0\1\2\3\4", 6, X86_OTHER, X86_ENC_NONE, 0},
	{"\xc8\x08\0\0", 4, X86_OTHER, X86_ENC_NONE, 0}, /* enter */
	{"\xf6\xc1\x01", 3, X86_OTHER, X86_ENC_NONE, 0}, /* test */
	{"\xf7\xd1", 2, X86_OTHER, X86_ENC_NONE, 0},     /* not */
	{"\x66\xf7\xc1\1\2", 5, X86_OTHER, X86_ENC_NONE, 0},
	{"\x66\x81\xc1\1\2", 5, X86_OTHER, X86_ENC_NONE, 0},
	{"\x8b\x04\x25\1\2\3\4", 7, X86_OTHER, X86_ENC_NONE, 0}, /* no base */
	{"\x8b\x05\1\2\3\4", 6, X86_OTHER, X86_ENC_NONE, 0},     /* rip */
	{"\x66\x0f\x3a\x0f\xc1\x08", 6, X86_OTHER, X86_ENC_NONE, 0},
	{"\x66\x0f\x38\0\xc1", 5, X86_OTHER, X86_ENC_NONE, 0},
	{"\x0f\x0f\xc1\xb4", 4, X86_OTHER, X86_ENC_NONE, 0}, /* 3DNow */
	{"\xc5\xf8\x77", 3, X86_OTHER, X86_ENC_NONE, 0},	 /* vzeroupper */
	{"\xc5\xf5\xfe\x17", 4, X86_OTHER, X86_ENC_NONE, 0},
	{"\xc4\xe3\x7d\x39\xc1\x01", 6, X86_OTHER, X86_ENC_NONE, 0},
	{"\x62\x63\x2d\x40\x3a\x14\x37\x01", 8, X86_OTHER, X86_ENC_NONE, 0},
	{"\x62\xf1\x7d\x48\x6f\x47\x01", 7, X86_OTHER, X86_ENC_NONE, 0},
	{"\x8f\xe8\x78\xc0\xc8\x01", 6, X86_OTHER, X86_ENC_NONE, 0}, /* XOP */
};

static void test_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const struct form *f = &forms[i];
		struct x86_insn insn;

		for (size_t n = 0; n <= f->length; n++) {
			struct slice s = guard_copy(f->bytes, n);

			assert_int_equal(x86_decode(s.ptr, n, &insn), n == f->length ? n : 0);
			guard_free(s);
		}
		if (insn.op != f->op || insn.reg != f->reg || insn.imm != f->imm)
			fail_msg("form %zu: op %d reg %d imm %d", i, insn.op, insn.reg, insn.imm);
	}
}

static void test_not_code(void **state)
{
	static const char *const bad[] = {"\x06\x06", "\xd6\x90", "\x0f\x04", "\x60\x90", "\xea\x90",
					  "\x62\xf1\x79\x48\x6f\x07" /* a bit that is fixed */};
	struct x86_insn insn;
	uint8_t prefixes[16];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(x86_decode((const uint8_t *)bad[i], 2 + 4 * (i == 5), &insn), 0);
	memset(prefixes, 0x66, sizeof(prefixes));
	prefixes[15] = 0x90;
	assert_int_equal(x86_decode(prefixes, 16, &insn), 0); /* at most 15 bytes */
	assert_int_equal(x86_decode(prefixes + 1, 15, &insn), 15);
}

static void expect_writes(const char *bytes, size_t n, unsigned int reg, bool yes)
{
	struct x86_insn i;

	assert_int_equal(x86_decode((const uint8_t *)bytes, n, &i), n);
	assert_int_equal(i.writes >> reg & 1, yes);
}

static void test_writes(void **state)
{
	(void)state;
	expect_writes("\x48\x83\xe4\xc0", 4, X86_ENC_RSP, true);  /* and $-64,%rsp */
	expect_writes("\x48\x29\xc4", 3, X86_ENC_RSP, true);	  /* sub %rax,%rsp */
	expect_writes("\x48\x39\xc4", 3, X86_ENC_RSP, false);	  /* cmp %rax,%rsp */
	expect_writes("\x48\x8b\x20", 3, X86_ENC_RSP, true);	  /* mov (%rax),%rsp */
	expect_writes("\xbd\1\0\0\0", 5, X86_ENC_RBP, true);	  /* mov $1,%ebp */
	expect_writes("\x0f\xb6\xe8", 3, X86_ENC_RBP, true);	  /* movzbl %al,%ebp */
	expect_writes("\x88\xc4", 2, X86_ENC_RSP, false);	  /* mov %al,%ah */
	expect_writes("\x40\x88\xc4", 3, X86_ENC_RSP, true);	  /* mov %al,%spl */
	expect_writes("\xc5\xfd\xd7\xe8", 4, X86_ENC_RBP, true); /* vpmovmskb %ymm0,%ebp */
}

struct rows {
	struct row_sink sink;
	struct rule_table rules;
	struct slice code;
};

static void sweep(struct rows *r, const void *code, size_t n)
{
	struct code_chunk *c = code_chunk_new();

	*r = (struct rows){.code = guard_copy(code, n)};
	r->sink = (struct row_sink){.rules = &r->rules, .base = BASE, .floor = BASE, .end = BASE + n};
	assert_int_equal(code_chunk_rows(c, r->code.ptr, n, BASE, 0, &r->sink), n);
	code_chunk_free(c);
}

static void done(struct rows *r)
{
	free(r->sink.rows);
	rule_table_free(&r->rules);
	guard_free(r->code);
}

static const struct unwind_row *row_at(const struct rows *r, uint32_t at)
{
	size_t i = 0;

	while (i + 1 < r->sink.n && r->sink.rows[i + 1].pc <= at)
		i++;
	return &r->sink.rows[i];
}

static void expect(const struct rows *r, uint32_t at, int kind, int cfa, int rbp)
{
	const struct unwind_row *row = row_at(r, at);

	if (row->kind != kind || (kind != UNWIND_NONE && kind != UNWIND_END &&
				  (row->cfa != cfa || row->rbp != rbp)))
		fail_msg("at %u: kind %d cfa %d rbp %d", at, row->kind, row->cfa, row->rbp);
}

static void test_frame(void **state)
{
	static const char code[] = "\x55\x48\x89\xe5\x53\x48\x83\xec\x18" /* push; mov; push; sub */
				   "\x48\x83\xc4\x18\x5b\xc9\xc3"	 /* 9: add; pop; leave; ret */
				   "\x53\x48\x83\xec\x10\x85\xff\x74\x05" /* 16: push; sub; test; je 30 */
				   "\x31\xc0\x90\xeb\x02"		 /* 25: xor; nop; jmp 32 */
				   "\x31\xc9"				 /* 30 */
				   "\x48\x83\xc4\x10\x5b\xc3";		 /* 32: add; pop; ret */
	struct rows r;

	(void)state;
	sweep(&r, code, sizeof(code) - 1);
	expect(&r, 0, UNWIND_RSP, 1, 0);
	expect(&r, 1, UNWIND_RSP, 2, 2);
	expect(&r, 4, UNWIND_RBP, 2, 2);
	expect(&r, 14, UNWIND_RBP, 2, 2);
	expect(&r, 15, UNWIND_RSP, 1, 0);
	expect(&r, 16, UNWIND_RSP, 1, 0);
	expect(&r, 17, UNWIND_RSP, 2, 0);
	expect(&r, 25, UNWIND_RSP, 4, 0);
	expect(&r, 30, UNWIND_RSP, 4, 0); /* behind a jump: carried by the branch */
	expect(&r, 36, UNWIND_RSP, 2, 0);
	expect(&r, 37, UNWIND_RSP, 1, 0);
	done(&r);
}

/* A stack that is aligned, its old top kept in a register, then in memory. */
static void test_realigned(void **state)
{
	static const char code[] = "\x53\x49\x89\xe2\x48\x81\xec\x20\x01\0\0" /* push; mov; sub */
				   "\x48\x83\xe4\xc0"			     /* 11: and */
				   "\x4c\x89\x94\x24\0\x01\0\0"		     /* 15: mov */
				   "\xff\xce"				     /* 23: dec */
				   "\x48\x8b\xa4\x24\0\x01\0\0\x5b\xc3";     /* 25: mov; pop; ret */
	const struct unwind_rule *rule;
	struct rows r;

	(void)state;
	sweep(&r, code, sizeof(code) - 1);
	expect(&r, 11, UNWIND_RSP, 38, 0);
	expect(&r, 15, UNWIND_EXTENDED, 0, 0);
	rule = &r.rules.rules[0];
	assert_int_equal(rule->cfa_register, 10);
	assert_int_equal(rule->cfa_dereference, 0);
	assert_int_equal(rule->cfa_offset, 16);
	expect(&r, 23, UNWIND_EXTENDED, 1, 0);
	rule = &r.rules.rules[1];
	assert_int_equal(rule->cfa_register, 7);
	assert_int_equal(rule->cfa_dereference, 1);
	assert_int_equal(rule->cfa_offset, 0x100);
	assert_int_equal(rule->cfa_add, 16);
	assert_int_equal(rule->ra.where, UNWIND_AT_CFA);
	assert_int_equal(rule->ra.offset, -8);
	expect(&r, 33, UNWIND_RSP, 2, 0);
	expect(&r, 34, UNWIND_RSP, 1, 0);
	done(&r);
}

/* A block that no jump goes to: what its way to the return takes for granted. */
static void test_backward(void **state)
{
	static const char code[] = "\x41\x54\x55\x48\x83\xec\x18\xff\xe0" /* push; push; sub; jmp *rax */
				   "\x31\xc0"				 /* 9 */
				   "\x48\x83\xc4\x18\x5d\x41\x5c\xc3";	 /* 11: add; pop; pop; ret */
	struct rows r;

	(void)state;
	sweep(&r, code, sizeof(code) - 1);
	expect(&r, 7, UNWIND_RSP, 6, 3);
	expect(&r, 9, UNWIND_RSP, 6, 3);
	expect(&r, 15, UNWIND_RSP, 3, 3);
	expect(&r, 16, UNWIND_RSP, 2, 0);
	done(&r);
}

static void test_outermost(void **state)
{
	static const char code[] = "\x48\x31\xed\x48\x89\xe7\x48\x83\xe4\xf0\xe8\x01\0\0\0\xf4" /* call 16 */
				   "\x53\x31\xed\x5b\xc3"; /* 16: push; xor; pop; ret: a number */
	struct rows r;

	(void)state;
	sweep(&r, code, sizeof(code) - 1);
	expect(&r, 3, UNWIND_END, 0, 0);
	expect(&r, 14, UNWIND_END, 0, 0);
	expect(&r, 16, UNWIND_RSP, 1, 0);
	expect(&r, 19, UNWIND_RSP, 2, 0);
	done(&r);
}

/* An instruction that ends where the code does says nothing of what is behind. */
static void test_end(void **state)
{
	struct rows r;

	(void)state;
	sweep(&r, "\x31\xc0\x53", 3);
	assert_int_equal(r.sink.n, 1);
	expect(&r, 2, UNWIND_RSP, 1, 0);
	done(&r);
}

/* What is not known is not said. */
static void test_unknown(void **state)
{
	/* rsp from nowhere */
	static const char lost[] = "\x48\x29\xc4\x90\x90\x48\x01\xc4\xc3";
	/* two ways to the same place, at different heights */
	static const char split[] = "\x85\xff\x74\x01\x53\x31\xc0\xff\xd0\xeb\xfa";
	/* bytes that are no code, then a function that starts as functions do */
	static const char data[] = "\x55\x48\x89\xe5\x06\x06\x06\x06\x06\x06\x06\x06\x06\x06\x06\x06"
				   "\x53\xff\xd0\x5b\xc3";
	/* the return address is popped, an argument put below it: what V8 does; pop push push push mov call leave ret */
	static const char pops[] = "\x58\x53\x50\x55\x48\x89\xe5\xff\xd2\xc9\xc3";
	struct rows r;

	(void)state;
	sweep(&r, pops, sizeof(pops) - 1);
	expect(&r, 0, UNWIND_RSP, 1, 0);
	expect(&r, 1, UNWIND_NONE, 0, 0);
	expect(&r, 2, UNWIND_NONE, 0, 0);
	expect(&r, 7, UNWIND_NONE, 0, 0); /* a frame pointer is there to follow */
	done(&r);
	sweep(&r, lost, sizeof(lost) - 1);
	expect(&r, 0, UNWIND_RSP, 1, 0);
	expect(&r, 3, UNWIND_NONE, 0, 0);
	done(&r);
	sweep(&r, split, sizeof(split) - 1);
	expect(&r, 4, UNWIND_RSP, 1, 0);
	expect(&r, 5, UNWIND_NONE, 0, 0);
	done(&r);
	sweep(&r, data, sizeof(data) - 1);
	expect(&r, 0, UNWIND_NONE, 0, 0);
	expect(&r, 15, UNWIND_NONE, 0, 0);
	expect(&r, 17, UNWIND_RSP, 2, 0);
	done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),	  cmocka_unit_test(test_not_code),
		cmocka_unit_test(test_writes),	  cmocka_unit_test(test_frame),
		cmocka_unit_test(test_realigned), cmocka_unit_test(test_backward),
		cmocka_unit_test(test_outermost), cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How to unwind Go's functions (x86-64).
 *
 * The table says how far rsp has moved since the function's entry (its "SP delta"), for each pc; so
 * CFA = rsp + delta + 8. It says nothing of rbp, which the C functions below a Go function need,
 *and which alone crosses from one stack to another. The code of the prologue does:
 *
 *	Go 1.21	push %rbp	      delta 0 before, 8 from the next instruction on: saved at
 *CFA-16 mov %rsp,%rbp	      from the next instruction on rbp + 16 is the CFA sub $n,%rsp before
 *sub $n+8,%rsp	      delta n+8 from the next instruction on mov %rbp,n(%rsp)      saved at CFA-16
 *from the next instruction on lea n(%rsp),%rbp
 *
 * Where the delta has gone back to what it was before, rbp has been restored: at returns, and in
 *the call of morestack, which stands behind the function's end. What is saved once is saved in all
 *of the function where the delta is as large: functions have one prologue.
 *
 * Functions that write another stack's address to rsp (systemstack, asmcgocall, cgocallback, calls
 *of the vdso) are unwound by rbp. Those of the runtime that have no caller, or none that could be
 *found, end the stack: where Go's own tracebacks end.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include "frame_section.h"
#include "go_internal.h"

/* What lies between the end of a function's code and the next function is padding. */
#define PADDING_MAX 64
#define REG_RSP     7
/* The largest frame: runtime.call1073741824 has a little more than 1 GiB. */
#define DELTA_MAX 0x7ffffff0

/* The functions that are searched for where they leave their stack have 100 to 300 bytes. */
#define LEAVE_WITHIN 1024

enum special {
	ORDINARY,
	OUTERMOST,  /* has no caller */
	LEAVES,     /* goes to a stack that nothing has called it on, and ends there */
	FRAMELESS,  /* goes to another stack, rbp being its caller's, which is skipped */
	HANDLER,    /* called by the kernel, and returns: to a signal frame (sigreturn.c) */
	INTERRUPTS, /* called as if the instruction that was interrupted had called it */
	SWITCHES,   /* writes rsp: by rbp once it has a frame */
};

static const struct special_name {
	const char *name;
	enum special how;
} special_names[] = {
	{"runtime.goexit", OUTERMOST},
	{"runtime.mstart", OUTERMOST},
	{"runtime.rt0_go", OUTERMOST},
	{"_rt0_amd64", OUTERMOST},
	{"_rt0_amd64_linux", OUTERMOST},
	{"runtime.mcall", LEAVES},
	{"runtime.morestack", LEAVES},
	{"runtime.gogo", LEAVES},
	{"gogo", LEAVES},
	{"runtime.clone", LEAVES},
	{"runtime.switchToCrashStack0", LEAVES},
	{"runtime.systemstack", FRAMELESS},
	{"runtime.asmcgocall", FRAMELESS},
	{"runtime.sigtramp", HANDLER},
	{"runtime.sigprofNonGoWrapper", HANDLER},
	{"runtime.asyncPreempt", INTERRUPTS},
	{"runtime.sigpanic", INTERRUPTS},
	{"runtime.sigpanic0", INTERRUPTS},
	/* Until Go 1.16 no flag says so. */
	{"runtime.cgocallback", SWITCHES},
	{"runtime.cgocallback_gofunc", SWITCHES},
	{"runtime.nanotime1", SWITCHES},
	{"runtime.walltime1", SWITCHES},
	{"runtime.callCgoMmap", SWITCHES},
	{"runtime.callCgoMunmap", SWITCHES},
	{"runtime.callCgoSigaction", SWITCHES},
	{"runtime.sigfwd", SWITCHES},
};

/* A function whose rows are being made. */
struct maker {
	struct row_sink *out;
	struct go_func f;
	struct elf_bytes code; /* from the function's start to its segment's end */
	enum special how;
	uint64_t left_at; /* LEAVES, FRAMELESS: the pc from which rsp is another stack's; or
			     UINT64_MAX */
	int32_t before;   /* delta of the run before */
	int32_t saved;    /* delta with rbp saved just below; 0: it is not saved, so far */
	uint64_t saved_at, frame_at; /* from which pc it is, and from which rbp points there */
	uint64_t copied_at;          /* Go 1.15: from which rbp is what rsp was; or UINT64_MAX */
	uint64_t budget;             /* runs that may still be looked at */
	int err;
};

static bool code_is(const struct maker *m, uint64_t pc, const char *bytes, size_t n)
{
	uint64_t at = pc - m->f.start;

	return pc >= m->f.start && at < m->code.size && m->code.size - at >= n &&
	       memcmp(m->code.data + at, bytes, n) == 0;
}

/*
 * Whether the instruction at pc is `opcode` with rbp and an address of rsp + displacement: its
 * length, or 0. (Modes 0, 1, 2: no displacement, 8 bits, 32 bits; SIB 0x24 is rsp alone.)
 */
static unsigned int rbp_and_stack(const struct maker *m, uint64_t pc, uint8_t opcode,
				  int32_t *offset)
{
	static const uint8_t modes[] = {0x2c, 0x6c, 0xac}, lengths[] = {4, 5, 8};
	struct elf_bytes b = {m->code.data, m->code.size};
	uint64_t at = pc - m->f.start;

	for (unsigned int i = 0; i < 3; i++) {
		const uint8_t start[] = {0x48, opcode, modes[i], 0x24};
		uint32_t wide = 0;

		if (!code_is(m, pc, (const char *)start, 4) || b.size - at < lengths[i])
			continue;
		if (i == 1)
			wide = (uint32_t)(int32_t)(int8_t)b.data[at + 4];
		if (i == 2)
			go_u32(b, at + 4, &wide);
		*offset = (int32_t)wide;
		return lengths[i];
	}
	return 0;
}

/* Until Go 1.15 calls of the vdso keep rsp in rbp: mov %rsp,%rbp. */
static void find_copied(struct maker *m)
{
	for (uint64_t pc = m->frame_at; pc < m->f.end && pc - m->f.start < LEAVE_WITHIN; pc++) {
		if (code_is(m, pc, "\x48\x89\xe5", 3)) {
			m->copied_at = pc + 3;
			return;
		}
	}
}

/* At pc the delta has just grown: did that save rbp, or is the next instruction about to? */
static void find_saved(struct maker *m, uint64_t pc, int32_t delta)
{
	bool moves = code_is(m, pc, "\x48\x89\xe5", 3); /* mov %rsp,%rbp */
	unsigned int length;
	int32_t offset;

	if (m->before < 0 || delta <= m->before || m->saved)
		return;
	if (delta == m->before + 8 && pc > m->f.start && code_is(m, pc - 1, "\x55", 1) &&
	    (moves || !code_is(m, pc - 2, "\x41", 1))) { /* 41 55: push %r13 */
		m->saved = delta;
		m->saved_at = pc;
		m->frame_at = moves ? pc + 3 : UINT64_MAX;
		return;
	}
	length = rbp_and_stack(m, pc, 0x89, &offset); /* mov %rbp,n(%rsp) */
	if (!length || offset < 0 || offset >= delta)
		return;
	m->saved = delta - offset;
	m->saved_at = pc + length;
	m->frame_at = UINT64_MAX;
	length = rbp_and_stack(m, m->saved_at, 0x8d, &offset); /* lea n(%rsp),%rbp */
	if (length && offset == delta - m->saved)
		m->frame_at = m->saved_at + length;
	if (m->how == SWITCHES && m->frame_at != UINT64_MAX)
		find_copied(m);
}

static void put(struct maker *m, uint64_t pc, struct unwind_row row)
{
	m->err = m->err ? m->err : row_sink_reserve(m->out, 1);
	if (m->err)
		return;
	assert(m->out->rows);
	row_sink_put(m->out, pc, row);
}

/* What a plain row cannot say: a large frame, or a caller that was interrupted. */
static struct unwind_row rule_row(struct maker *m, int32_t delta, unsigned int rbp)
{
	struct unwind_rule rule = {
		.cfa_offset = delta + 8,
		.cfa_register = REG_RSP,
		.signal = m->how == INTERRUPTS,
		.ra = {.where = UNWIND_AT_CFA, .offset = -8},
	};
	uint16_t index;

	if (rbp)
		rule.fp =
			(struct unwind_value){.where = UNWIND_AT_CFA, .offset = -8 * (int32_t)rbp};
	if (rule_table_index(m->out->rules, &rule, &index) != 0)
		return (struct unwind_row){.kind = UNWIND_UNSUPPORTED};
	return (struct unwind_row){.kind = UNWIND_EXTENDED, .cfa = index};
}

static struct unwind_row row_at(struct maker *m, uint64_t pc, int32_t delta)
{
	bool saved = m->saved && delta >= m->saved && pc >= m->saved_at;
	unsigned int rbp = saved ? (unsigned int)(m->saved + 8) / 8 : 0;
	bool by_rbp = saved && pc >= m->frame_at && (m->how == SWITCHES || m->how == FRAMELESS);

	if (pc >= m->left_at && m->how == LEAVES)
		return (struct unwind_row){.kind = UNWIND_END};
	if (pc >= m->left_at && !m->saved)
		return (struct unwind_row){.kind = UNWIND_RBP, .cfa = 2, .rbp = 2};
	if (delta < 0 || delta > DELTA_MAX || delta % 8 || m->saved % 8 || rbp > UINT8_MAX)
		return (struct unwind_row){.kind = UNWIND_UNSUPPORTED};
	if (by_rbp && pc >= m->copied_at && delta / 8 < UINT16_MAX)
		return (struct unwind_row){
			.kind = UNWIND_RBP, .cfa = (uint16_t)(delta / 8 + 1), .rbp = (uint8_t)rbp};
	if (by_rbp)
		return (struct unwind_row){
			.kind = UNWIND_RBP, .cfa = (uint16_t)rbp, .rbp = (uint8_t)rbp};
	if (m->how == INTERRUPTS || delta / 8 >= UINT16_MAX)
		return rule_row(m, delta, rbp);
	return (struct unwind_row){
		.kind = UNWIND_RSP, .cfa = (uint16_t)(delta / 8 + 1), .rbp = (uint8_t)rbp};
}

/* The length of the `add $n,%rsp` (or sub) that ends at pc; 0: there is none. */
static unsigned int add_before(const struct maker *m, uint64_t pc)
{
	if (code_is(m, pc - 4, "\x48\x83\xc4", 3) || code_is(m, pc - 4, "\x48\x83\xec", 3))
		return 4;
	return code_is(m, pc - 7, "\x48\x81\xc4", 3) ? 7 : 0;
}

/* Rows of [from, to), where the delta is one. */
static void put_run(struct maker *m, uint64_t from, uint64_t to, int32_t delta, int32_t next)
{
	uint64_t at[] = {m->saved_at, m->frame_at, m->left_at, m->copied_at};
	struct unwind_row row;

	put(m, from, row_at(m, from, delta));
	for (unsigned int i = 0; i < 4; i++)
		if (at[i] > from && at[i] < to)
			put(m, at[i], row_at(m, at[i], delta));
	/* Before Go 1.21 rbp is restored before rsp: between the two it is the caller's. */
	row = row_at(m, to - 1, delta);
	if (row.kind == UNWIND_RBP && next < m->saved && m->how == SWITCHES) {
		unsigned int length = add_before(m, to);

		if (length && to - length > from)
			put(m, to - length,
			    (struct unwind_row){.kind = UNWIND_RSP,
						.cfa = (uint16_t)(delta / 8 + 1),
						.rbp = row.rbp});
	}
}

/* The end of the first instruction that loads rsp from memory or from another register. */
static uint64_t find_left(const struct maker *m)
{
	static const struct {
		uint8_t n, bytes[4];
	} loads[] = {
		{3, {0x48, 0x8b, 0x23}},       /* mov (%rbx),%rsp */
		{4, {0x48, 0x8b, 0x62, 0x38}}, /* mov 56(%rdx),%rsp: g.sched.sp */
		{4, {0x48, 0x8b, 0x63, 0x38}}, /* %rbx */
		{4, {0x48, 0x8b, 0x66, 0x38}}, /* %rsi */
		{4, {0x49, 0x8b, 0x66, 0x38}}, /* %r14 */
		{3, {0x48, 0x89, 0xf4}},       /* mov %rsi,%rsp */
		{3, {0x48, 0x89, 0xdc}},       /* mov %rbx,%rsp */
	};

	for (uint64_t pc = m->f.start; pc < m->f.end && pc - m->f.start < LEAVE_WITHIN; pc++)
		for (unsigned int i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
			if (code_is(m, pc, (const char *)loads[i].bytes, loads[i].n))
				return pc + loads[i].n;
	return UINT64_MAX;
}

static enum special special_of(const struct go_pclntab *g, const struct go_func *f)
{
	const char *name = go_stored_name(g, f->name);
	bool may_be = name && (strncmp(name, "runtime.", 8) == 0 ||
			       strncmp(name, "_rt0_", 5) == 0 || strcmp(name, "gogo") == 0);

	for (unsigned int i = 0; may_be && i < sizeof(special_names) / sizeof(special_names[0]);
	     i++)
		if (strcmp(name, special_names[i].name) == 0)
			return special_names[i].how;
	if (f->flags & GO_TOP_FRAME)
		return OUTERMOST;
	return f->flags & GO_WRITES_SP ? SWITCHES : ORDINARY;
}

static void put_function(struct maker *m, const struct go_pclntab *g)
{
	struct row_sink *s = m->out;
	struct go_pcvalue v;
	bool more;

	m->before = -1;
	m->saved = 0;
	m->saved_at = m->frame_at = m->left_at = m->copied_at = UINT64_MAX;
	m->how = special_of(g, &m->f);
	if (m->how == OUTERMOST) {
		put(m, m->f.start, (struct unwind_row){.kind = UNWIND_END});
		s->floor = m->f.end;
		return;
	}
	if (m->how == LEAVES || m->how == FRAMELESS)
		m->left_at = find_left(m);
	go_pcvalue_begin(g, m->f.pcsp, m->f.start, &v);
	more = go_pcvalue_step(&v);
	if (!more)
		put(m, m->f.start, (struct unwind_row){.kind = UNWIND_NONE});
	while (more && v.pc < m->f.end && !m->err && m->budget) {
		uint64_t from = v.pc, to = v.next < m->f.end ? v.next : m->f.end;
		int32_t delta = v.value;

		find_saved(m, from, delta);
		more = go_pcvalue_step(&v);
		if (to > from)
			put_run(m, from, to, delta, more ? v.value : delta);
		m->before = delta;
		m->budget--;
		s->floor = to;
	}
	if (m->f.end - s->floor > PADDING_MAX)
		put(m, s->floor, (struct unwind_row){.kind = UNWIND_NONE});
	s->floor = m->f.end;
}

int go_rows(const struct elf_object *o, const struct row_sink *so_far, struct row_sink *out,
	    uint64_t *bad_fdes)
{
	struct maker m = {.out = out};
	struct go_pclntab *g;
	int err = go_pclntab_open(o, &g);

	(void)so_far;
	if (err)
		return err == -ENOENT ? 0 : err;
	/* Runs are shared between functions, but none is shorter than an instruction of the file.
	 */
	m.budget = o->size;
	for (uint32_t i = 0; i < g->n_functions && !m.err; i++) {
		if (!go_func_at(g, i, &m.f) || m.f.start < out->floor || !m.budget ||
		    !elf_vaddr_bytes(o, m.f.start, &m.code)) {
			++*bad_fdes;
			continue;
		}
		if (m.f.end - m.f.start > m.code.size)
			m.f.end = m.f.start + m.code.size;
		if (m.f.start > out->floor)
			put(&m, out->floor, (struct unwind_row){.kind = UNWIND_NONE});
		put_function(&m, g);
	}
	if (!m.err && out->n)
		put(&m, out->floor, (struct unwind_row){.kind = UNWIND_NONE});
	go_pclntab_free(g);
	return m.err;
}

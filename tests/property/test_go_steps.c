/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Property: rows of Go's functions are right at each instruction that a program executes.
 *
 * A Go program is run instruction by instruction. At each, the rows give the frame's CFA, return
 * address and caller's rbp, of which no table of Go's speaks. From one instruction to the next:
 *
 *	in a function	all three stay as they are
 *	after a call	the caller's rbp is what rbp was, the CFA what rsp was
 *	after a return	rbp, rsp and pc are what they were said to be
 *
 * Functions that switch stacks on purpose are left out, as is what is not the program's own (vdso).
 *
 *	test_go_steps [STEPS [FILE ...]]	instead of a program that the installed Go builds
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "go_program.h"
#include "symbolizer/elf_object.h"

#define STEPS             200000
#define SHOWN_DIFFERENCES 8

struct frame {
	uint64_t pc, rsp, rbp; /* registers */
	uint64_t cfa, ra, caller_rbp;
	bool known; /* the rows speak of it, and nothing that is left out does */
};

struct run {
	const char *path;
	pid_t pid;
	struct elf_object *o;
	struct unwind_rows u;
	uint64_t compared, calls, returns, unknown, differences;
};

/* Functions that change stacks, or are entered by other means than a call. */
static bool is_left_out(struct run *r, uint64_t pc)
{
	static const char *const names[] = {
		"runtime.mcall",       "gogo",
		"runtime.gogo",        "runtime.morestack",
		"runtime.systemstack", "runtime.asmcgocall",
		"runtime.cgocallback", "runtime.rt0_go",
		"runtime.goexit",      "runtime.mstart",
		"runtime.sigtramp",    "runtime.clone",
		"runtime.cgoSigtramp",
	};
	struct elf_symbol s;

	if (!elf_object_symbol(r->o, pc, &s) || strncmp(s.name, "_rt0_", 5) == 0)
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(s.name, names[i]) == 0)
			return true;
	return false;
}

static const struct unwind_row *row_of(const struct run *r, uint64_t pc)
{
	size_t low = 0, high = r->u.n_rows;

	if (pc < r->u.base || pc - r->u.base > UINT32_MAX)
		return NULL;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->u.rows[middle].pc <= pc - r->u.base)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &r->u.rows[low - 1] : NULL;
}

static uint64_t word(const struct run *r, uint64_t address)
{
	uint64_t value = 0;
	struct iovec to = {&value, sizeof(value)},
		     from = {(void *)(uintptr_t)address, sizeof(value)};

	return process_vm_readv(r->pid, &to, 1, &from, 1, 0) == sizeof(value) ? value : 0;
}

static struct frame frame_of(struct run *r, const struct user_regs_struct *regs)
{
	struct frame f = {.pc = regs->rip, .rsp = regs->rsp, .rbp = regs->rbp};
	const struct unwind_row *row = row_of(r, f.pc);

	if (!row || (row->kind != UNWIND_RSP && row->kind != UNWIND_RBP) || is_left_out(r, f.pc))
		return f;
	f.cfa = (row->kind == UNWIND_RSP ? f.rsp : f.rbp) + 8 * (uint64_t)row->cfa;
	f.ra = word(r, f.cfa - 8);
	f.caller_rbp = row->rbp ? word(r, f.cfa - 8 * (uint64_t)row->rbp) : f.rbp;
	f.known = true;
	return f;
}

static void expect(struct run *r, bool holds, const char *what, const struct frame *a,
		   const struct frame *b)
{
	struct elf_symbol s = {.name = "?"};

	r->compared++;
	if (holds || r->differences++ >= SHOWN_DIFFERENCES)
		return;
	elf_object_symbol(r->o, a->pc, &s);
	printf("%s: %s: %#" PRIx64 " in %s (cfa %#" PRIx64 " ra %#" PRIx64 " rbp %#" PRIx64
	       "), then %#" PRIx64 " (cfa %#" PRIx64 " ra %#" PRIx64 " rbp %#" PRIx64 ")\n",
	       r->path, what, a->pc, s.name, a->cfa, a->ra, a->caller_rbp, b->pc, b->cfa, b->ra,
	       b->caller_rbp);
}

/* One instruction took the thread from a to b. */
static void compare(struct run *r, const struct frame *a, const struct frame *b)
{
	if (!a->known || !b->known) {
		r->unknown++;
		return;
	}
	if (b->pc == a->ra && b->rsp == a->cfa) {
		expect(r, b->rbp == a->caller_rbp, "rbp after return", a, b);
		r->returns++;
	} else if (b->rsp == a->rsp - 8 && b->cfa == a->rsp && b->ra > a->pc &&
		   b->ra <= a->pc + 8) {
		expect(r, b->caller_rbp == a->rbp, "rbp after call", a, b);
		r->calls++;
	} else {
		expect(r, a->cfa == b->cfa && a->ra == b->ra && a->caller_rbp == b->caller_rbp,
		       "frame", a, b);
	}
}

static pid_t start(const char *path)
{
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDOUT_FILENO);
		setenv("GOMAXPROCS", "1", 1);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execl(path, path, (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* The signal that the thread has to be given, from how it stopped; -1: it has ended. */
static int stopped_by(int status)
{
	if (!WIFSTOPPED(status))
		return -1;
	return WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
}

static void run_steps(struct run *r, uint64_t steps)
{
	struct frame before = {0}, now;
	struct user_regs_struct regs;
	int status, sig = 0;

	if (waitpid(r->pid, &status, 0) != r->pid)
		return;
	while (steps-- && ptrace(PTRACE_SINGLESTEP, r->pid, NULL, (void *)(intptr_t)sig) == 0 &&
	       waitpid(r->pid, &status, 0) == r->pid && (sig = stopped_by(status)) >= 0 &&
	       ptrace(PTRACE_GETREGS, r->pid, NULL, &regs) == 0) {
		now = frame_of(r, &regs);
		if (sig == 0 &&
		    now.pc != before.pc) /* else a signal, or a rep instruction goes on */
			compare(r, &before, &now);
		before = now;
	}
}

static uint64_t check_file(const char *path, uint64_t steps)
{
	struct run r = {.path = path};
	int status, fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || elf_object_open(fd, path, "", &r.o) != 0 ||
	    elf_object_unwind_rows(r.o, &r.u) != 0) {
		printf("%s: cannot be read\n", path);
		return 1;
	}
	close(fd);
	r.pid = start(path);
	if (r.pid > 0) {
		alarm(300);
		run_steps(&r, steps);
		kill(r.pid, SIGKILL);
		waitpid(r.pid, &status, 0);
	}
	printf("%s: %" PRIu64 " instructions compared, %" PRIu64 " calls, %" PRIu64
	       " returns; %" PRIu64 " left out; %" PRIu64 " differences\n",
	       path, r.compared, r.calls, r.returns, r.unknown, r.differences);
	unwind_rows_free(&r.u);
	elf_object_free(r.o);
	return r.differences + (r.compared < steps / 2);
}

int main(int argc, char **argv)
{
	char path[] = "/tmp/wireprof-go-XXXXXX";
	uint64_t steps = argc > 1 ? strtoull(argv[1], NULL, 10) : STEPS, differences = 0;

	if (argc <= 2 && !build_program(path)) {
		printf("skipped: no Go\n");
		return 0;
	}
	if (argc <= 2)
		differences = check_file(path, steps);
	unlink(path);
	for (int i = 2; i < argc; i++)
		differences += check_file(argv[i], steps);
	return differences != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records the stack of a stopped thread for replay.c (recording.h says in what form).
 *
 *	record [-t TEXT] -o OUT -p TID			a running thread
 *	record [-t TEXT] -o OUT [-v] [-s LO-HI] -- COMMAND...
 *		-v	the child of its first vfork(), as it begins to run
 *		-s	where its pc first comes into these addresses (hex, of its program's ELF file), step by step
 *
 * The thread is unwound here, with all rows that our own builder makes of the objects it has mapped; what that
 * looks at is written. Reads of many words are refused, so that only the words that are needed get noted.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "recording.h"
#include "symbolizer/elf_object.h"

#define SECONDS_MAX  60
#define MAX_WORDS    65536
#define MAX_READ     (8 * 20) /* the registers of a signal frame, but no window of the stack */

struct recorder {
	const char *text, *out;
	bool vfork;
	uint64_t step_lo, step_hi;
	pid_t pid;
	struct recording all;  /* with all rows */
	struct recording part; /* with those needed */
	struct recorded_word words[MAX_WORDS];
	size_t n_words;
	struct host_stack stack;
};

static int fail(const char *doing)
{
	int err = errno;

	fprintf(stderr, "record: %s: %s\n", doing, strerror(err));
	return err ? -err : -EINVAL;
}

static bool read_process(pid_t pid, uint64_t address, void *out, size_t size)
{
	struct iovec to = {.iov_base = out, .iov_len = size};
	struct iovec from = {.iov_base = (void *)(uintptr_t)address, .iov_len = size};

	return process_vm_readv(pid, &to, 1, &from, 1, 0) == (ssize_t)size;
}

/* As the unwinder reads; notes what it saw. */
static bool read_noting(void *context, uint64_t address, void *out, size_t size)
{
	struct recorder *r = context;

	if (size > MAX_READ || !read_process(r->pid, address, out, size))
		return false;
	for (size_t i = 0; i + 8 <= size; i += 8) {
		struct recorded_word w = {.address = address + i};

		memcpy(&w.value, (char *)out + i, 8);
		if (r->n_words < MAX_WORDS)
			r->words[r->n_words++] = w;
	}
	return true;
}

/* --- what the process has mapped --- */

static struct elf_object *open_object(pid_t pid, uint64_t start, uint64_t end, const char *path)
{
	struct elf_object *elf = NULL;
	char file[64];
	void *image;
	int fd;

	if (!strcmp(path, "[vdso]")) {
		image = malloc(end - start);
		if (image && read_process(pid, start, image, end - start))
			elf_object_open_memory(image, end - start, path, &elf);
		free(image);
		return elf;
	}
	if (*path != '/')
		return NULL;
	snprintf(file, sizeof(file), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, start, end);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	if (elf_object_open(fd, path, "", &elf))
		elf = NULL;
	close(fd);
	return elf;
}

static int add_rows(struct recorder *r, const struct elf_object *elf, struct recorded_mapping *m)
{
	struct unwind_rows rows;
	uint32_t number = r->all.n_tables;
	int err = elf_object_unwind_rows(elf, &rows);

	if (err || !rows.n_rows) {
		if (!err)
			unwind_rows_free(&rows);
		return 0;
	}
	for (size_t i = 0; !err && i < rows.n_rows; i++)
		err = recording_add_row(&r->all, number, &rows.rows[i]);
	for (size_t i = 0; !err && i < rows.n_rules; i++)
		err = recording_set_rule(&r->all, number, i, &rows.rules[i]);
	m->table = number;
	m->row_base = m->vaddr - rows.base;
	unwind_rows_free(&rows);
	return err;
}

static int add_mapping(struct recorder *r, char *line)
{
	struct recorded_mapping m = {.table = NO_CFI, .name = "[anon]"};
	struct elf_segment segment;
	struct elf_object *elf;
	uint64_t offset;
	char perms[8], path[512] = "";
	const char *name;
	int err = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %*s %511s", &m.start, &m.end, perms,
		   &offset, path) < 4)
		return -EPROTO;
	if (perms[2] != 'x' || m.start >> 63)
		return 0;
	name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	if (*name)
		snprintf(m.name, sizeof(m.name), "%.60s", name);
	m.vaddr = offset;
	elf = open_object(r->pid, m.start, m.end, path);
	if (elf) {
		if (elf_object_segment_at(elf, offset, &segment))
			m.vaddr = segment.vaddr + (offset - segment.offset);
		err = add_rows(r, elf, &m);
	}
	elf_object_free(elf);
	return err ? err : recording_add_mapping(&r->all, &m);
}

static int add_mappings(struct recorder *r)
{
	char path[64], line[1024];
	FILE *f;
	int err = 0;

	snprintf(path, sizeof(path), "/proc/%d/maps", r->pid);
	f = fopen(path, "r");
	if (!f)
		return fail(path);
	while (!err && fgets(line, sizeof(line), f))
		err = add_mapping(r, line);
	fclose(f);
	return err;
}

/* --- stopping it --- */

static int wait_stopped(pid_t pid, int *status)
{
	if (waitpid(pid, status, __WALL) != pid)
		return fail("waiting for the thread");
	if (!WIFSTOPPED(*status)) {
		errno = ESRCH;
		return fail("the thread ended");
	}
	return 0;
}

/* Where the program of a process that has just been started is: address of its ELF vaddr 0. */
static int load_address(pid_t pid, uint64_t *base)
{
	char path[64], exe[512], line[1024], name[512] = "";
	uint64_t start, offset;
	struct elf_segment segment;
	struct elf_object *elf = NULL;
	ssize_t n;
	FILE *f;
	int fd, err = -ENOENT;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (n < 0 || fd < 0 || elf_object_open(fd, "exe", "", &elf))
		return fail(path);
	exe[n] = '\0';
	close(fd);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "r");
	while (err && f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 "-%*x %*2c%*1[x]%*c %" SCNx64 " %*s %*s %511s", &start, &offset, name) != 3 ||
		    strcmp(name, exe) || !elf_object_segment_at(elf, offset, &segment))
			continue;
		*base = start - (segment.vaddr + (offset - segment.offset));
		err = 0;
	}
	if (f)
		fclose(f);
	elf_object_free(elf);
	return err;
}

static int step_to(struct recorder *r)
{
	struct user_regs_struct regs;
	uint64_t base;
	int err = load_address(r->pid, &base), status;

	while (!err) {
		if (ptrace(PTRACE_GETREGS, r->pid, NULL, &regs))
			return fail("registers");
		if (regs.rip - base >= r->step_lo && regs.rip - base < r->step_hi)
			return 0;
		if (ptrace(PTRACE_SINGLESTEP, r->pid, NULL, NULL))
			return fail("step");
		err = wait_stopped(r->pid, &status);
	}
	return err;
}

/* To the first stop of the vfork's child; the parent is left to wait for it. */
static int to_vfork_child(struct recorder *r)
{
	unsigned long child;
	int status, err;

	if (ptrace(PTRACE_SETOPTIONS, r->pid, NULL, PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL))
		return fail("options");
	do {
		if (ptrace(PTRACE_CONT, r->pid, NULL, NULL))
			return fail("continue");
		err = wait_stopped(r->pid, &status);
	} while (!err && status >> 8 != (SIGTRAP | PTRACE_EVENT_VFORK << 8));
	if (err)
		return err;
	if (ptrace(PTRACE_GETEVENTMSG, r->pid, NULL, &child))
		return fail("child");
	r->pid = child;
	return wait_stopped(r->pid, &status);
}

static int start_command(struct recorder *r, char **command)
{
	int status, err;

	r->pid = fork();
	if (r->pid < 0)
		return fail("fork");
	if (!r->pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execv(command[0], command);
		_exit(127);
	}
	err = wait_stopped(r->pid, &status);
	if (!err && r->vfork)
		return to_vfork_child(r);
	return err ? err : step_to(r);
}

static int attach_to(struct recorder *r)
{
	int status;

	if (ptrace(PTRACE_ATTACH, r->pid, NULL, NULL))
		return fail("attach");
	return wait_stopped(r->pid, &status);
}

static int take_registers(struct recorder *r)
{
	struct user_regs_struct u;

	if (ptrace(PTRACE_GETREGS, r->pid, NULL, &u))
		return fail("registers");
	r->all.pc = u.rip;
	memcpy(r->all.reg,
	       (uint64_t[]){u.rax, u.rdx, u.rcx, u.rbx, u.rsi, u.rdi, u.rbp, u.rsp, u.r8, u.r9, u.r10, u.r11,
			    u.r12, u.r13, u.r14, u.r15},
	       sizeof(r->all.reg));
	return 0;
}

/* --- what is needed of it --- */

/* The row that covers a pc; NULL: none. */
static const struct unwind_row *row_of(const struct recorded_table *t, uint32_t pc)
{
	size_t lo = 0, hi = t->n_rows;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (t->rows[mid].pc <= pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &t->rows[lo - 1] : NULL;
}

static int copy_row(struct recorder *r, uint32_t table, const struct unwind_row *row)
{
	const struct recorded_table *from = &r->all.tables[table];
	struct recorded_table *to = recording_table(&r->part, table);
	int err;

	if (!to)
		return -ENOMEM;
	for (size_t i = 0; i < to->n_rows; i++)
		if (to->rows[i].pc == row->pc)
			return 0;
	err = recording_add_row(&r->part, table, row);
	if (!err && row->kind == UNWIND_EXTENDED)
		err = recording_set_rule(&r->part, table, row->cfa, &from->rules[row->cfa]);
	return err;
}

static int copy_frame(struct recorder *r, uint64_t address)
{
	const struct recorded_mapping *m = recording_mapping(&r->all, address);
	const struct recorded_table *t;
	const struct unwind_row *row;
	int err = 0;

	if (!m)
		return 0;
	if (!recording_mapping(&r->part, address))
		err = recording_add_mapping(&r->part, m);
	if (err || m->table >= r->all.n_tables)
		return err;
	t = &r->all.tables[m->table];
	row = row_of(t, address - m->start + m->row_base);
	if (!row)
		return 0;
	err = copy_row(r, m->table, row);
	if (!err && row + 1 < t->rows + t->n_rows)
		err = copy_row(r, m->table, row + 1);
	return err;
}

static int by_address(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int by_pc(const void *a, const void *b)
{
	const struct unwind_row *x = a, *y = b;

	return (x->pc > y->pc) - (x->pc < y->pc);
}

static void sort(struct recorder *r)
{
	size_t n = 0;

	qsort(r->part.mappings, r->part.n_mappings, sizeof(*r->part.mappings), by_address);
	for (size_t i = 0; i < r->part.n_tables; i++)
		if (r->part.tables[i].n_rows)
			qsort(r->part.tables[i].rows, r->part.tables[i].n_rows, sizeof(struct unwind_row), by_pc);
	qsort(r->words, r->n_words, sizeof(*r->words), by_address);
	for (size_t i = 0; i < r->n_words; i++)
		if (!n || r->words[i].address != r->words[n - 1].address)
			r->words[n++] = r->words[i];
	r->n_words = n;
}

static int write_recording(struct recorder *r)
{
	FILE *f = fopen(r->out, "w");

	if (!f)
		return fail(r->out);
	recording_write(&r->part, r->text, r->all.pc, r->all.reg, r->words, r->n_words, f);
	return fclose(f) ? fail(r->out) : 0;
}

static int record(struct recorder *r)
{
	const struct recording_layout as_they_are = {.mappings_per_chunk = MAPPINGS_PER_CHUNK};
	int err = take_registers(r);

	if (!err)
		err = add_mappings(r);
	if (!err)
		err = recording_unwind(&r->all, &as_they_are, read_noting, r, &r->stack);
	for (uint32_t i = 0; !err && i < r->stack.n; i++)
		err = copy_frame(r, r->stack.frame[i] - (i > 0));
	if (err)
		return err;
	sort(r);
	recording_print_stack(&r->all, &r->stack, stdout);
	return write_recording(r);
}

static int usage(void)
{
	fprintf(stderr, "usage: record [-t TEXT] -o OUT -p TID\n"
			"       record [-t TEXT] -o OUT [-v] [-s LO-HI] -- COMMAND...\n");
	return 2;
}

int main(int argc, char **argv)
{
	static struct recorder r = {.text = "a stack"}; /* large */
	pid_t attach = 0;
	int option, err;

	while ((option = getopt(argc, argv, "+t:o:p:vs:")) != -1) {
		if (option == 't')
			r.text = optarg;
		else if (option == 'o')
			r.out = optarg;
		else if (option == 'p')
			attach = r.pid = atoi(optarg);
		else if (option == 'v')
			r.vfork = true;
		else if (option != 's' || sscanf(optarg, "%" SCNx64 "-%" SCNx64, &r.step_lo, &r.step_hi) != 2)
			return usage();
	}
	if (!r.out || !attach == (optind == argc) || (optind < argc && !r.vfork && !r.step_hi))
		return usage();
	alarm(SECONDS_MAX);
	err = attach ? attach_to(&r) : start_command(&r, argv + optind);
	if (!err)
		err = record(&r);
	if (attach)
		ptrace(PTRACE_DETACH, attach, NULL, NULL);
	else if (r.pid > 0)
		kill(r.pid, SIGKILL);
	recording_free(&r.all);
	recording_free(&r.part);
	return err ? 1 : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines read by a child process, because libdw may crash on a broken file, or never end.
 *
 *	parent                      child
 *	  fork ------------------->  closes every descriptor but the pipe, limits its memory, gives up
 *	                             every system call but those that memory and the pipe need
 *	  elf_lines_found() <------  records, by pipe: a text when it is used first; an address's lines
 *	  waits until limit_ms, then kills
 *
 * A forked child has the mapped files and the descriptors' numbers of its parent: nothing is opened
 * again, so files that are deleted, and processes that are gone, do not matter. What comes by the
 * pipe is checked like a file: the child may be anybody's by then.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "dwarf_internal.h"
#include "elf_lines.h"

#define CHILD_MEMORY_MAX (UINT64_C(1) << 30) /* private memory: what libdw uncompresses and keeps */
#define TEXT_MAX	 4095		     /* a name, or a path; longer ones are cut */
#define TEXTS_MAX	 (1u << 20)	     /* different ones of an object */
#define PIPE_BYTES	 (1u << 18)

enum { RECORD_TEXT = 1, RECORD_LINES, RECORD_END };

/* Before a text of `n` bytes, before `n` lines of address `index`; both 0 at the end. */
struct record {
	uint32_t kind, n, index, zero;
};

/* Texts are numbered from 1 as they come; 0 is none. */
struct line_record {
	uint32_t name, file, line, start_line;
};

/* --- the child --- */

struct writer {
	int fd;
	size_t used;
	uint8_t buffer[PIPE_BYTES];
	/* Texts that were sent: number by hash, open addressing. */
	uint32_t *slots;
	size_t n_slots;
	char **texts;
	uint32_t n_texts;
};

static void flush_records(struct writer *w)
{
	size_t at = 0;

	while (at < w->used) {
		ssize_t n = write(w->fd, w->buffer + at, w->used - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1);
		at += (size_t)n;
	}
	w->used = 0;
}

static void put(struct writer *w, const void *data, size_t size)
{
	if (size > sizeof(w->buffer) - w->used)
		flush_records(w);
	memcpy(w->buffer + w->used, data, size);
	w->used += size;
}

static uint64_t hash(const char *text, size_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
	return h ^ h >> 32;
}

static void make_table(struct writer *w)
{
	w->n_slots = 2 * TEXTS_MAX;
	w->slots = calloc(w->n_slots, sizeof(*w->slots));
	w->texts = calloc(TEXTS_MAX + 1, sizeof(*w->texts));
	if (!w->slots || !w->texts)
		_exit(1);
}

/* The text's number; sends it if it is new. */
static uint32_t text_number(struct writer *w, const char *text)
{
	struct record r = {.kind = RECORD_TEXT};
	size_t n, slot;

	if (!text || !*text)
		return 0;
	n = strnlen(text, TEXT_MAX);
	for (slot = hash(text, n) % w->n_slots; w->slots[slot]; slot = (slot + 1) % w->n_slots) {
		const char *known = w->texts[w->slots[slot]];

		if (strncmp(known, text, n) == 0 && !known[n])
			return w->slots[slot];
	}
	if (w->n_texts == TEXTS_MAX)
		return 0;
	w->slots[slot] = ++w->n_texts;
	w->texts[w->n_texts] = strndup(text, n);
	if (!w->texts[w->n_texts])
		_exit(1);
	r.n = (uint32_t)n;
	put(w, &r, sizeof(r));
	put(w, text, n);
	return w->n_texts;
}

static void put_lines(struct writer *w, uint32_t index, const struct elf_line *lines, size_t n)
{
	struct record r = {.kind = RECORD_LINES, .n = (uint32_t)n, .index = index};
	struct line_record out[ELF_LINES_MAX];

	for (size_t i = 0; i < n; i++)
		out[i] = (struct line_record){text_number(w, lines[i].name),
					      text_number(w, lines[i].file), lines[i].line,
					      lines[i].start_line};
	put(w, &r, sizeof(r));
	put(w, out, n * sizeof(*out));
}

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1 /* its shadow is memory too, and its reports want to read /proc */
#else
#define SANITIZED 0
#endif

/* Whatever else the child tries fails with EPERM. By the native numbers; others than those are none. */
static int allow_few_calls(void)
{
#define ALLOW(number)                                                  \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1),           \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(__NR_write),
		ALLOW(__NR_mmap), /* the allocator; and the SIGBUS handler */
		ALLOW(__NR_munmap),
		ALLOW(__NR_mprotect),
		ALLOW(__NR_mremap),
		ALLOW(__NR_brk),
		ALLOW(__NR_madvise),
		ALLOW(__NR_rt_sigreturn),
		ALLOW(__NR_futex),
		ALLOW(__NR_getrandom),
		ALLOW(__NR_exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	const struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) ? -errno : 0;
}

/* Failures are no reason to give up: the limits are a second line of defence, the process the first. */
static void confine(int fd, unsigned int limit_ms)
{
	const struct rlimit memory = {CHILD_MEMORY_MAX, CHILD_MEMORY_MAX}, none = {0, 0};
	const struct rlimit cpu = {limit_ms / 1000 + 2, limit_ms / 1000 + 2};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int signal_number = 1; signal_number < NSIG; signal_number++)
		if (signal_number != SIGBUS) /* see profiler/truncated_files.c */
			signal(signal_number, SIG_DFL);
	signal(SIGINT, SIG_IGN); /* Ctrl-C is for the parent, which then wants what it asked for */
	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_CPU, &cpu);
	if (fd > 0)
		close_range(0, (unsigned int)fd - 1, 0);
	close_range((unsigned int)fd + 1, UINT32_MAX, 0);
	if (SANITIZED)
		return;
	setrlimit(RLIMIT_DATA, &memory);
	allow_few_calls();
}

static _Noreturn void read_lines(struct elf_object *o, const uint64_t *vaddrs, size_t n, int fd)
{
	static struct writer w; /* the child's own copy */
	const struct record end = {.kind = RECORD_END};

	w.fd = fd;
	make_table(&w);
	for (size_t i = 0; i < n; i++) {
		struct elf_line lines[ELF_LINES_MAX];
		size_t n_lines = elf_object_lines(o, vaddrs[i], lines, ELF_LINES_MAX);

		if (n_lines)
			put_lines(&w, (uint32_t)i, lines, n_lines);
	}
	put(&w, &end, sizeof(end));
	flush_records(&w);
	_exit(0);
}

/* --- the parent --- */

struct reader {
	int fd;
	uint64_t deadline_ns;
	size_t n, next; /* addresses, and the first that may come next */
	elf_lines_found found;
	void *context;
	char **texts; /* by number */
	uint32_t n_texts;
	size_t texts_capacity;
	size_t at, end;
	uint8_t buffer[PIPE_BYTES];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* More bytes behind those in the buffer; 0, -ETIME, or -EIO at the end of the pipe. */
static int read_more(struct reader *r)
{
	memmove(r->buffer, r->buffer + r->at, r->end - r->at);
	r->end -= r->at;
	r->at = 0;
	for (;;) {
		struct pollfd p = {.fd = r->fd, .events = POLLIN};
		uint64_t now = now_ns();
		ssize_t n;

		if (now >= r->deadline_ns)
			return -ETIME;
		if (poll(&p, 1, (int)((r->deadline_ns - now) / 1000000 + 1)) <= 0)
			continue; /* a signal, or time is up */
		n = read(r->fd, r->buffer + r->end, sizeof(r->buffer) - r->end);
		if (n > 0) {
			r->end += (size_t)n;
			return 0;
		}
		if (n == 0 || errno != EINTR)
			return -EIO;
	}
}

/* The next `size` bytes, at most a quarter of the buffer; valid until the next call. */
static int take(struct reader *r, size_t size, const void **out)
{
	while (r->end - r->at < size) {
		int err = read_more(r);

		if (err)
			return err;
	}
	*out = r->buffer + r->at;
	r->at += size;
	return 0;
}

static int take_text(struct reader *r, uint32_t n)
{
	const void *text;
	int err;

	if (n == 0 || n > TEXT_MAX || r->n_texts >= TEXTS_MAX)
		return -EIO;
	if (r->n_texts + 1 >= r->texts_capacity) {
		size_t wanted = r->texts_capacity ? 2 * r->texts_capacity : 1024;
		char **grown = realloc(r->texts, wanted * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		r->texts = grown;
		r->texts_capacity = wanted;
	}
	err = take(r, n, &text);
	if (err)
		return err;
	r->texts[++r->n_texts] = strndup(text, n);
	return r->texts[r->n_texts] ? 0 : -ENOMEM;
}

static const char *text_of(const struct reader *r, uint32_t number)
{
	return number && number <= r->n_texts ? r->texts[number] : NULL;
}

static int take_lines(struct reader *r, uint32_t index, uint32_t n)
{
	struct elf_line lines[ELF_LINES_MAX];
	struct line_record in;
	const void *bytes;
	int err;

	if (index < r->next || index >= r->n || n == 0 || n > ELF_LINES_MAX)
		return -EIO;
	err = take(r, n * sizeof(in), &bytes);
	if (err)
		return err;
	for (uint32_t i = 0; i < n; i++) {
		memcpy(&in, (const uint8_t *)bytes + i * sizeof(in), sizeof(in));
		lines[i] = (struct elf_line){text_of(r, in.name), text_of(r, in.file), in.line,
					     in.start_line};
	}
	r->next = (size_t)index + 1;
	r->found(r->context, index, lines, n);
	return 0;
}

static int take_records(struct reader *r)
{
	for (;;) {
		struct record record;
		const void *bytes;
		int err = take(r, sizeof(record), &bytes);

		if (err)
			return err;
		memcpy(&record, bytes, sizeof(record));
		switch (record.kind) {
		case RECORD_TEXT:
			err = take_text(r, record.n);
			break;
		case RECORD_LINES:
			err = take_lines(r, record.index, record.n);
			break;
		case RECORD_END:
			return 0;
		default:
			return -EIO;
		}
		if (err)
			return err;
	}
}

static void reader_free(struct reader *r)
{
	for (uint32_t i = 1; i <= r->n_texts; i++)
		free(r->texts[i]);
	free(r->texts);
	free(r);
}

int dwarf_lines_resolve(struct elf_object *o, const uint64_t *vaddrs, size_t n, unsigned int limit_ms,
		      elf_lines_found found, void *context)
{
	struct reader *r;
	int ends[2], err;
	pid_t child;

	if (!n || !elf_object_has_dwarf(o))
		return 0;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->deadline_ns = now_ns() + limit_ms * UINT64_C(1000000);
	r->n = n;
	r->found = found;
	r->context = context;
	if (pipe2(ends, O_CLOEXEC)) {
		err = -errno;
		goto out;
	}
	child = fork();
	if (child == 0) {
		confine(ends[1], limit_ms);
		read_lines(o, vaddrs, n, ends[1]);
	}
	err = child < 0 ? -errno : 0;
	close(ends[1]);
	r->fd = ends[0];
	if (!err) {
		err = take_records(r);
		kill(child, SIGKILL); /* whatever it still does; without effect if it has ended */
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close(ends[0]);
out:
	reader_free(r);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the perf map of a process; see perf_map.h for what is accepted.
 *
 * /tmp belongs to everyone, and the process's root is not ours: the file is looked at (O_PATH opens
 * nothing, so it neither blocks nor wakes a device) before it is opened for reading.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "perf_map.h"

#define NS_PER_S 1000000000ll
/* Clock ticks, and clocks that were set since: a file this much older may still be the process's. */
#define START_SLACK_NS NS_PER_S

/* "NStgid:\t4242\t17\t1": the last is the innermost. Not NSpid, which is that of a thread. */
static pid_t last_number(const char *text)
{
	long number = 0;
	char *end;

	for (;;) {
		long next = strtol(text, &end, 10);

		if (end == text)
			return (pid_t)number;
		number = next;
		text = end;
	}
}

static int read_status(const char *proc, struct perf_map_writer *w)
{
	char path[64], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/status", proc);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "Tgid:", 5))
			w->pid = last_number(line + 5);
		else if (!strncmp(line, "NStgid:", 7))
			w->inner_pid = last_number(line + 7);
		else if (!strncmp(line, "Uid:", 4))
			sscanf(line + 4, "%*u %u", &w->uid);
	}
	fclose(f);
	return w->inner_pid > 0 ? 0 : -ESRCH;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* Field 22 of proc(5)'s stat, in ticks since boot; the name, which may hold anything, ends at the last ')'. */
static void read_start(const char *proc, struct perf_map_writer *w)
{
	unsigned long long ticks;
	char path[64], text[1024];
	const char *p;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/stat", proc);
	f = fopen(path, "re");
	if (!f)
		return;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	p = strrchr(text, ')');
	if (p && sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
			       "%*d %llu", &ticks) == 1)
		w->start_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME) +
			      (int64_t)(ticks * (unsigned long long)(NS_PER_S / sysconf(_SC_CLK_TCK)));
}

int perf_map_writer_read(const char *proc, struct perf_map_writer *out)
{
	int err;

	*out = (struct perf_map_writer){0};
	err = read_status(proc, out);
	if (!err)
		read_start(proc, out);
	return err;
}

static int check_file(const struct perf_map_writer *w, const struct stat *st)
{
	int64_t written_ns = st->st_mtim.tv_sec * NS_PER_S + st->st_mtim.tv_nsec;

	if (!S_ISREG(st->st_mode))
		return -EINVAL;
	if (st->st_uid != 0 && st->st_uid != w->uid)
		return -EPERM;
	return w->start_ns && written_ns < w->start_ns - START_SLACK_NS ? -ESTALE : 0;
}

/* Returns a descriptor that can be read, or -errno. */
static int open_checked(const struct perf_map *m, const struct perf_map_writer *w, int root,
			pid_t pid)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	char path[64];
	struct stat st;
	int handle, fd;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", pid);
	handle = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	if (handle < 0)
		return -errno;
	if (fstat(handle, &st))
		fd = -errno;
	else if (m && perf_map_is_file(m, &st))
		fd = -EALREADY;
	else
		fd = check_file(w, &st);
	if (!fd) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", handle);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd < 0)
			fd = -errno;
	}
	close(handle);
	return fd;
}

int perf_map_open_file(const struct perf_map *m, const struct perf_map_writer *writer, int root)
{
	int inner = open_checked(m, writer, root, writer->inner_pid), outer, our_root;

	if (inner >= 0 || inner == -EALREADY)
		return inner;
	/* Agents outside of the container write there. */
	our_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (our_root < 0)
		return inner;
	outer = open_checked(m, writer, our_root, writer->pid);
	close(our_root);
	return outer == -ENOENT ? inner : outer;
}

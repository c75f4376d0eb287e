/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is in a cgroup: cgroup.procs of its directory, and of all below.
 *
 * In v2, a threaded cgroup holds threads, and refuses to list processes (EOPNOTSUPP). Those of one below the target
 * stand in the list of the domain above it. A target that is threaded itself lists its threads: they are looked up.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cgroup_mounts.h"
#include "cgroup_pids.h"
#include "../intern.h"
#include "../processes.h"

struct reading {
	void (*found)(void *context, pid_t pid);
	void *context;
	size_t left; /* directories */
};

/* Reads numbers, one a line. Returns 0 or -errno. */
static int read_numbers(int directory, const char *name, void (*number)(struct reading *r, pid_t n), struct reading *r)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), err = 0;
	char line[32];
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	if (!f) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	errno = 0;
	while (fgets(line, sizeof(line), f)) {
		char *end;
		long n = strtol(line, &end, 10);

		if (end != line && n >= 0 && n <= INT32_MAX)
			number(r, (pid_t)n);
	}
	if (ferror(f))
		err = -errno;
	fclose(f);
	return err;
}

static void give_process(struct reading *r, pid_t pid)
{
	r->found(r->context, pid);
}

static void give_process_of(struct reading *r, pid_t thread)
{
	pid_t pid = process_of_thread(thread);

	if (pid)
		r->found(r->context, pid);
}

static int read_directory(struct reading *r, int fd, bool is_target)
{
	int err = read_numbers(fd, "cgroup.procs", give_process, r);

	if (err == -EOPNOTSUPP)
		err = is_target ? read_numbers(fd, "cgroup.threads", give_process_of, r) : 0;
	/* One that vanishes meanwhile had no processes; open before that, it gives ENODEV. */
	return err == -ENODEV ? -ENOENT : err;
}

/* Consumes `fd`. */
static int read_below(struct reading *r, int fd, int depth)
{
	DIR *directory = fdopendir(fd);
	struct dirent *e;
	int err;

	if (!directory) {
		err = -errno;
		close(fd);
		return err;
	}
	err = read_directory(r, fd, depth == 0);
	if (err == -ENOENT && depth)
		err = 0;
	while (!err && depth < CGROUP_MAX_DEPTH && r->left && (e = readdir(directory))) {
		int below;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN))
			continue;
		below = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below < 0)
			continue;
		r->left--;
		err = read_below(r, below, depth + 1);
	}
	closedir(directory);
	return err;
}

static int read_all(const char *path, void (*found)(void *context, pid_t pid), void *context)
{
	struct reading r = {found, context, CGROUP_MAX_DIRECTORIES};
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : read_below(&r, fd, 0);
}

struct outside {
	void (*found)(void *context, pid_t pid);
	void *context;
};

/* Processes that our pid namespace does not show are listed as 0. */
static void unless_unseen(void *context, pid_t pid)
{
	struct outside *o = context;

	if (pid > 0)
		o->found(o->context, pid);
}

int cgroup_processes(const struct cgroup_target *t, void (*found)(void *context, pid_t pid), void *context)
{
	return read_all(t->path, unless_unseen, &(struct outside){found, context});
}

static void add_pid(void *context, pid_t pid)
{
	struct pid_list *l = context;

	if (!array_reserve((void **)&l->list, &l->capacity, l->n, sizeof(*l->list)))
		l->list[l->n++] = pid;
}

static int by_number(const void *a, const void *b)
{
	const pid_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int pid_list_read(struct pid_list *l, const char *directory)
{
	size_t n = 0;
	int err = read_all(directory, add_pid, l);

	if (err || !l->n)
		return err;
	qsort(l->list, l->n, sizeof(*l->list), by_number);
	for (size_t i = 0; i < l->n; i++)
		if (!n || l->list[n - 1] != l->list[i])
			l->list[n++] = l->list[i];
	l->n = n;
	return 0;
}

void pid_list_free(struct pid_list *l)
{
	free(l->list);
	*l = (struct pid_list){0};
}

bool pid_list_equal(const struct pid_list *a, const struct pid_list *b)
{
	return a->n == b->n && (!a->n || !memcmp(a->list, b->list, a->n * sizeof(*a->list)));
}

bool pid_list_has(const struct pid_list *l, pid_t pid)
{
	return l->n && bsearch(&pid, l->list, l->n, sizeof(*l->list), by_number);
}

bool pid_list_meets(const struct pid_list *a, const struct pid_list *b)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->list[i] > 0 && pid_list_has(b, a->list[i]))
			return true;
	return false;
}

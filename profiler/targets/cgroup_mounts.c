/* SPDX-License-Identifier: Apache-2.0 */
/* See cgroup_mounts.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cgroup_mounts.h"
#include "../intern.h"

#define MAX_MOUNTS	256
#define ORDER_UNIFIED	0
#define ORDER_NOTHING	1000 /* a v1 hierarchy without controllers */

/* What a mount option is called, and its enumerator in the kernel, without _cgrp_id; those that have most directories first. */
static const struct {
	const char *option, *name;
} controllers[] = {
	{"memory", "memory"},	{"cpu", "cpu"},		{"cpuacct", "cpuacct"},	  {"pids", "pids"},
	{"blkio", "io"},	{"cpuset", "cpuset"},	{"devices", "devices"},	  {"freezer", "freezer"},
	{"net_cls", "net_cls"}, {"net_prio", "net_prio"}, {"perf_event", "perf_event"}, {"hugetlb", "hugetlb"},
	{"rdma", "rdma"},	{"misc", "misc"},	{"dmem", "dmem"},	  {"debug", "debug"},
};

int cgroup_why_not(char *why, size_t why_size, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, why_size, format, args);
	va_end(args);
	return err;
}

const char *path_below(const char *path, const char *directory)
{
	size_t n = strlen(directory);

	while (n && directory[n - 1] == '/')
		n--;
	return !strncmp(path, directory, n) && (!path[n] || path[n] == '/') ? path + n : NULL;
}

/* Spaces, tabs, newlines and backslashes of a path stand as \040 and the like. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; to++) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] >= '0' && text[2] <= '7' &&
		    text[3] >= '0' && text[3] <= '7') {
			*to = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0'));
			text += 4;
		} else {
			*to = *text++;
		}
	}
	*to = '\0';
}

bool cgroup_option(const char *options, const char *option)
{
	size_t n = strlen(option);

	for (const char *at = options; (at = strstr(at, option)); at += n)
		if ((at == options || at[-1] == ',') && (!at[n] || at[n] == ','))
			return true;
	return false;
}

static void find_controller(struct cgroup_mount *m, const char *options)
{
	m->order = ORDER_NOTHING;
	for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++)
		if (cgroup_option(options, controllers[i].option)) {
			snprintf(m->controller, sizeof(m->controller), "%s", controllers[i].name);
			m->option = controllers[i].option;
			m->order = ORDER_UNIFIED + 1 + i;
			return;
		}
}

static void mount_fini(struct cgroup_mount *m)
{
	free(m->path);
	free(m->tree);
}

/* A mount hides an earlier one at the same place. */
static void drop_hidden(struct cgroup_mounts *m, const char *path)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		if (strcmp(m->list[i].path, path) != 0)
			m->list[n++] = m->list[i];
		else
			mount_fini(&m->list[i]);
	}
	m->n = n;
}

static int add_mount(struct cgroup_mounts *m, const char *path, const char *tree, bool v2, const char *options)
{
	struct cgroup_mount mount = {.v2 = v2};

	if (m->n >= MAX_MOUNTS || array_reserve((void **)&m->list, &m->capacity, m->n, sizeof(*m->list)))
		return -ENOMEM;
	if (!v2)
		find_controller(&mount, options);
	mount.path = strdup(path);
	mount.tree = strdup(tree);
	if (!mount.path || !mount.tree) {
		mount_fini(&mount);
		return -ENOMEM;
	}
	m->list[m->n++] = mount;
	return 0;
}

/* One line of mountinfo. Lines of another form, and mounts that cannot be reached, are none of ours. */
static int read_line(struct cgroup_mounts *m, const char *root, char *line)
{
	char *rest = strstr(line, " - "), *fields = line, *tree, *place;
	char path[PATH_MAX], real[PATH_MAX];
	const char *type, *options;

	if (!rest)
		return 0;
	*rest = '\0';
	rest += strlen(" - ");
	for (int i = 0; i < 3; i++)
		strsep(&fields, " ");
	tree = strsep(&fields, " ");
	place = strsep(&fields, " ");
	type = strsep(&rest, " ");
	strsep(&rest, " ");
	options = rest;
	if (!tree || !place || !options)
		return 0;
	unescape(tree);
	unescape(place);
	if (snprintf(path, sizeof(path), "%s%s", root, place) >= (int)sizeof(path) || !realpath(path, real))
		return 0;
	drop_hidden(m, real);
	if (strcmp(type, "cgroup2") != 0 && strcmp(type, "cgroup") != 0)
		return 0;
	return add_mount(m, real, tree, !strcmp(type, "cgroup2"), options);
}

static int by_order(const void *a, const void *b)
{
	const struct cgroup_mount *x = a, *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return strcmp(x->path, y->path);
}

int cgroup_mounts_read(const char *root, struct cgroup_mounts *m)
{
	char path[PATH_MAX], *line = NULL;
	size_t size = 0;
	int err = 0;
	FILE *f;

	*m = (struct cgroup_mounts){0};
	if (snprintf(path, sizeof(path), "%s/proc/self/mountinfo", root) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (!err && getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		err = read_line(m, root, line);
	}
	free(line);
	fclose(f);
	if (m->n)
		qsort(m->list, m->n, sizeof(*m->list), by_order);
	return err;
}

void cgroup_mounts_fini(struct cgroup_mounts *m)
{
	for (size_t i = 0; i < m->n; i++)
		mount_fini(&m->list[i]);
	free(m->list);
	*m = (struct cgroup_mounts){0};
}

bool cgroup_mount_usable(const struct cgroup_mount *m)
{
	return m->order < ORDER_NOTHING;
}

const struct cgroup_mount *cgroup_mount_of(const struct cgroup_mounts *m, const char *path)
{
	const struct cgroup_mount *best = NULL;

	for (size_t i = 0; i < m->n; i++)
		if (path_below(path, m->list[i].path) &&
		    (!best || strlen(best->path) < strlen(m->list[i].path)))
			best = &m->list[i];
	return best;
}

const char *cgroup_mount_prefix(const struct cgroup_mount *m)
{
	/* What lies above our namespace is shown from the top: no name is known for what "/../.." stands for. */
	return !strcmp(m->tree, "/") || !strncmp(m->tree, "/..", 3) ? "" : m->tree;
}

void cgroup_in_tree(const struct cgroup_mount *m, const char *path, char out[static CGROUP_TREE_BYTES])
{
	const char *below = path + strlen(m->path), *prefix = cgroup_mount_prefix(m);

	snprintf(out, CGROUP_TREE_BYTES, "%s%s", prefix, *below || *prefix ? below : "/");
}

int cgroup_target_at(const struct cgroup_mount *m, const char *path, struct cgroup_target *out)
{
	struct stat st;

	if (strlen(path) >= sizeof(out->path))
		return -ENAMETOOLONG;
	if (stat(path, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	*out = (struct cgroup_target){.id = st.st_ino};
	snprintf(out->path, sizeof(out->path), "%s", path);
	snprintf(out->controller, sizeof(out->controller), "%s", m->controller);
	return 0;
}

struct walk {
	const struct cgroup_mount *mount;
	void (*visit)(void *context, const struct cgroup_visit *v);
	void *context;
	size_t left;	     /* directories */
	char path[PATH_MAX]; /* of the directory that is looked at */
};

/* Consumes `fd`. */
static void walk_below(struct walk *w, int fd, int depth)
{
	DIR *directory = fdopendir(fd);
	char in_tree[CGROUP_TREE_BYTES];
	size_t end = strlen(w->path);
	struct dirent *e;

	if (!directory) {
		close(fd);
		return;
	}
	cgroup_in_tree(w->mount, w->path, in_tree);
	w->visit(w->context, &(struct cgroup_visit){w->mount, in_tree, w->path});
	while (depth < CGROUP_MAX_DEPTH && w->left && (e = readdir(directory))) {
		if (e->d_name[0] == '.' && (!e->d_name[1] || !strcmp(e->d_name, "..")))
			continue;
		if (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN)
			continue;
		if (end + strlen(e->d_name) + 2 > sizeof(w->path))
			continue;
		fd = openat(dirfd(directory), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			continue;
		w->left--;
		snprintf(w->path + end, sizeof(w->path) - end, "/%s", e->d_name);
		walk_below(w, fd, depth + 1);
		w->path[end] = '\0';
	}
	closedir(directory);
}

void cgroup_walk(const struct cgroup_mount *m, void (*visit)(void *context, const struct cgroup_visit *v), void *context)
{
	struct walk w = {.mount = m, .visit = visit, .context = context, .left = CGROUP_MAX_DIRECTORIES};
	int fd = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	snprintf(w.path, sizeof(w.path), "%s", m->path);
	walk_below(&w, fd, 0);
}

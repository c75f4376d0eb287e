/* SPDX-License-Identifier: Apache-2.0 */
/* See cgroups.h: from a path to a cgroup. Who is in it: cgroup_processes.c. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cgroup_mounts.h"
#include "cgroup_pids.h"

#define TRIES 3 /* to see the same processes in two hierarchies: they start and end meanwhile */

struct search {
	const char *root;
	struct cgroup_mounts mounts;
	struct cgroup_target *out;
	char *why;
	size_t why_size;
};

#define fail(s, err, ...) cgroup_why_not((s)->why, (s)->why_size, err, __VA_ARGS__)

/* A mount as the user sees it. */
static const char *shown(const struct search *s, const struct cgroup_mount *m)
{
	char real[PATH_MAX];
	const char *below = *s->root && realpath(s->root, real) ? path_below(m->path, real) : NULL;

	return below ? below : m->path;
}

static const struct cgroup_mount *first_usable(const struct search *s)
{
	return s->mounts.n && cgroup_mount_usable(&s->mounts.list[0]) ? &s->mounts.list[0] : NULL;
}

/* The directory that a path of /proc/PID/cgroup is in a mount. Returns 0, or -errno: it is not there. */
static int in_mount(const struct cgroup_mount *m, const char *in_tree, char out[static PATH_MAX])
{
	const char *below = path_below(in_tree, cgroup_mount_prefix(m));
	char path[PATH_MAX];

	if (!below)
		return -ENOENT;
	if (snprintf(path, sizeof(path), "%s%s", m->path, below) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (!realpath(path, out))
		return -errno;
	return path_below(out, m->path) ? 0 : -EINVAL;
}

static bool same_processes(const char *a, const char *b)
{
	bool same = false;

	for (int i = 0; i < TRIES && !same; i++) {
		struct pid_list x = {0}, y = {0};

		same = !pid_list_read(&x, a) && !pid_list_read(&y, b) && pid_list_meets(&x, &y) && pid_list_equal(&x, &y);
		pid_list_free(&x);
		pid_list_free(&y);
	}
	return same;
}

/* `real` is a directory of the mount. Where that has no controllers, another hierarchy's, if the same processes are in it. */
static int take(struct search *s, const struct cgroup_mount *m, const char *real)
{
	const struct cgroup_mount *instead;
	char in_tree[CGROUP_TREE_BYTES], other[PATH_MAX];
	int err;

	if (cgroup_mount_usable(m)) {
		err = cgroup_target_at(m, real, s->out);
		if (err == -ENOTDIR)
			return fail(s, -EINVAL, "is a file of a cgroup; give the cgroup's directory");
		return err ? fail(s, err, "cannot be looked at: %s", strerror(-err)) : 0;
	}
	cgroup_in_tree(m, real, in_tree);
	for (size_t i = 0; i < s->mounts.n && cgroup_mount_usable(&s->mounts.list[i]); i++)
		if (!in_mount(&s->mounts.list[i], in_tree, other) && same_processes(real, other))
			return take(s, &s->mounts.list[i], other);
	instead = first_usable(s);
	return instead ? fail(s, -EINVAL, "is in a hierarchy without controllers, which no other hierarchy agrees with; "
			      "give the cgroup's directory below %s", shown(s, instead))
		       : fail(s, -EINVAL, "is in a hierarchy without controllers, and this host has no other");
}

static bool has_dots(const char *path)
{
	for (const char *at = path; (at = strstr(at, "..")); at += 2)
		if ((at == path || at[-1] == '/') && (!at[2] || at[2] == '/'))
			return true;
	return false;
}

/* More ".." than directories before them. Symlinks are for realpath(). */
static bool leads_out(const char *path)
{
	int depth = 0;

	while (*(path += strspn(path, "/")) && depth >= 0) {
		size_t n = strcspn(path, "/");

		if (n == 2 && path[0] == '.' && path[1] == '.')
			depth--;
		else if (n != 1 || path[0] != '.')
			depth++;
		path += n;
	}
	return depth < 0;
}

static bool has_processes(const char *directory)
{
	struct pid_list l = {0};
	bool some = !pid_list_read(&l, directory) && l.n;

	pid_list_free(&l);
	return some;
}

/*
 * As /proc/PID/cgroup gives it: of the trees that have it, the first with a process in it, else the first. Runtimes
 * make directories in v2 that nobody is in. Returns 1 where no tree has it.
 */
static int resolve_in_tree(struct search *s, const char *path)
{
	char in_tree[PATH_MAX], real[PATH_MAX], first[PATH_MAX];
	const struct cgroup_mount *of_first = NULL;

	if (snprintf(in_tree, sizeof(in_tree), "%s%s", *path == '/' ? "" : "/", path) >= (int)sizeof(in_tree))
		return fail(s, -EINVAL, "is too long for a path");
	for (size_t i = 0; i < s->mounts.n && (!of_first || cgroup_mount_usable(&s->mounts.list[i])); i++) {
		int err = in_mount(&s->mounts.list[i], in_tree, real);

		if (err == -EINVAL)
			return fail(s, -EINVAL, "leads out of the cgroup tree");
		if (!err && has_processes(real))
			return take(s, &s->mounts.list[i], real);
		if (!err && !of_first) {
			of_first = &s->mounts.list[i];
			memcpy(first, real, sizeof(first));
		}
	}
	if (of_first)
		return take(s, of_first, first);
	return leads_out(in_tree) ? fail(s, -EINVAL, "leads out of the cgroup tree") : 1;
}

/* The longest part of a path that exists, without symlinks. Says whether what follows has a ".." in it. */
static bool existing_part(const char *path, char real[static PATH_MAX], bool *dots)
{
	char part[PATH_MAX], *slash;

	snprintf(part, sizeof(part), "%s", path);
	while ((slash = strrchr(part, '/'))) {
		*slash = '\0';
		if (realpath(*part ? part : "/", real)) {
			*dots = has_dots(path + (slash - part));
			return true;
		}
	}
	return false;
}

/* An absolute path that does not exist, in the file system at least. */
static int resolve_missing(struct search *s, const char *path)
{
	char full[PATH_MAX], real[PATH_MAX];
	const struct cgroup_mount *m = first_usable(s);
	bool dots = false;

	snprintf(full, sizeof(full), "%s%s", s->root, path);
	if (existing_part(full, real, &dots) && cgroup_mount_of(&s->mounts, real))
		return dots ? fail(s, -EINVAL, "has a \"..\" after a directory that does not exist")
			    : fail(s, -ENOENT, "no such cgroup (now)");
	if (path_below(path, "/sys/fs"))
		return fail(s, -EINVAL, "no cgroup tree is mounted there; the first of this host is at %s", shown(s, m));
	return fail(s, -ENOENT, "no cgroup tree of this host has it (now); they begin at %s", shown(s, m));
}

static int resolve_absolute(struct search *s, const char *path)
{
	char full[PATH_MAX], real[PATH_MAX];
	const struct cgroup_mount *m;
	bool exists;
	int ret;

	if (snprintf(full, sizeof(full), "%s%s", s->root, path) >= (int)sizeof(full))
		return fail(s, -EINVAL, "is too long for a path");
	exists = realpath(full, real);
	m = exists ? cgroup_mount_of(&s->mounts, real) : NULL;
	if (m)
		return take(s, m, real);
	ret = resolve_in_tree(s, path);
	if (ret <= 0)
		return ret;
	if (!exists)
		return resolve_missing(s, path);
	return fail(s, -EINVAL, "is not in a cgroup tree; those of this host begin at %s", shown(s, first_usable(s)));
}

static int resolve(struct search *s, const char *path)
{
	int ret;

	if (!*path)
		return fail(s, -EINVAL, "is empty; give a cgroup's directory, or its path as in /proc/PID/cgroup");
	if (!first_usable(s))
		return fail(s, -EINVAL, "this host has no cgroup tree mounted, neither v2 nor one with controllers");
	if (*path == '/')
		return resolve_absolute(s, path);
	ret = resolve_in_tree(s, path);
	return ret <= 0 ? ret : fail(s, -ENOENT, "no cgroup tree of this host has it (now); they begin at %s",
				     shown(s, first_usable(s)));
}

int cgroup_resolve(const char *root, const char *path, struct cgroup_target *out, char *why, size_t why_size)
{
	struct search s = {.root = root, .out = out, .why = why, .why_size = why_size};
	int ret = cgroup_mounts_read(root, &s.mounts);

	if (ret)
		fail(&s, ret, "%s/proc/self/mountinfo cannot be read: %s", root, strerror(-ret));
	else
		ret = resolve(&s, path);
	cgroup_mounts_fini(&s.mounts);
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the cgroup trees of this host are mounted, as /proc/self/mountinfo has it (proc(5)):
 *
 *	36 31 0:33 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
 *	           |  mounted where                               fstype        its controllers, or name=systemd
 *	           which directory of the tree is shown: "/", but in a container; "/../.." is above our cgroup namespace
 */
#ifndef WIREPROF_CGROUP_MOUNTS_H
#define WIREPROF_CGROUP_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include "cgroups.h"

#define CGROUP_MAX_DEPTH       64     /* of directories below a mount that are looked at */
#define CGROUP_MAX_DIRECTORIES 131072 /* of a mount */

struct cgroup_mount {
	char *path;	     /* of the mount, without symlinks, below `root` */
	char *tree;	     /* the directory of the tree that it shows */
	char controller[32]; /* as in struct cgroup_target; "" too for a v1 hierarchy that has none */
	const char *option;  /* the controller as a mount option, and in /proc/PID/cgroup: "blkio"; NULL for v2 */
	bool v2;
	unsigned int order;  /* which tree to prefer: least first */
};

struct cgroup_mounts {
	struct cgroup_mount *list; /* by order: v2, then controllers, then v1 hierarchies without controllers */
	size_t n, capacity;
};

/* Returns 0 or -errno; a host without cgroups has none. Free with cgroup_mounts_fini() in any case. */
int cgroup_mounts_read(const char *root, struct cgroup_mounts *m);
void cgroup_mounts_fini(struct cgroup_mounts *m);

/* Says in `why` why something is not to be had, and returns `err`. */
__attribute__((format(printf, 4, 5))) int cgroup_why_not(char *why, size_t why_size, int err, const char *format, ...);

/* "rw,cpu,cpuacct" has "cpu". */
bool cgroup_option(const char *options, const char *option);

/* The BPF side can tell who is in it: v2, or a controller's. */
bool cgroup_mount_usable(const struct cgroup_mount *m);

/* The mount that a path without symlinks is in or at, or NULL. */
const struct cgroup_mount *cgroup_mount_of(const struct cgroup_mounts *m, const char *path);

/* If `path` is `directory`, or below it: what follows, "" or "/...". Else NULL. */
const char *path_below(const char *path, const char *directory);

/* What a path in the tree begins with, for the mount's own directory: "" for the tree's root, else "/docker/...". */
const char *cgroup_mount_prefix(const struct cgroup_mount *m);

/* The path in the tree ("/", "/system.slice") of a path that is in the mount. */
#define CGROUP_TREE_BYTES 8192
void cgroup_in_tree(const struct cgroup_mount *m, const char *path, char out[static CGROUP_TREE_BYTES]);

/* Makes a target of a directory. Returns 0 or -errno. */
int cgroup_target_at(const struct cgroup_mount *m, const char *path, struct cgroup_target *out);

/*
 * Calls back for every cgroup of a mount, its root too, with its path in the tree ("/", "/system.slice") and where
 * that is mounted. Both end with the call.
 */
struct cgroup_visit {
	const struct cgroup_mount *mount;
	const char *in_tree, *path;
};
void cgroup_walk(const struct cgroup_mount *m, void (*visit)(void *context, const struct cgroup_visit *v), void *context);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cgroups as targets: from a path that the user gives to the directory, its number in the kernel, and its processes.
 *
 * A host has one unified tree (v2), or several hierarchies of controllers (v1), or both (hybrid: there the unified
 * tree lies at /sys/fs/cgroup/unified, and often holds all processes in its root). /proc/self/mountinfo says where.
 */
#ifndef WIREPROF_CGROUPS_H
#define WIREPROF_CGROUPS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONTAINER_LABEL_BYTES 128

struct cgroup_target {
	char controller[32]; /* "" for v2, else one controller of the v1 hierarchy, as its cgroup_subsys is called */
	uint64_t id;	     /* the directory's inode number, which is what kernfs calls it */
	char path[4096];     /* where the directory is mounted (below `root`) */
	char label[CONTAINER_LABEL_BYTES]; /* of a container, else "" */
};

/*
 * Finds the cgroup of a path: absolute below a mounted cgroup tree ("/sys/fs/cgroup/system.slice"), or as
 * /proc/PID/cgroup gives it ("/system.slice", "system.slice"): that is looked up in the unified tree, then in the
 * controllers' hierarchies; the first is taken where a process is in it, else the first that has it. `root` is a prefix
 * for /proc and /sys: "" but in tests.
 * Returns 0; -ENOENT: not there (now); -EINVAL: cannot be a cgroup at all, or a hierarchy without controllers.
 * `why` is one line for the user in every error, without the path's name at its front or a full stop.
 */
int cgroup_resolve(const char *root, const char *path, struct cgroup_target *out, char *why, size_t why_size);

/*
 * Calls back for every process in the cgroup and those below it. A process that moves or starts meanwhile may be
 * missed, or come twice. Returns 0 or -errno: -ENOENT if the cgroup itself is gone.
 */
int cgroup_processes(const struct cgroup_target *t, void (*found)(void *context, pid_t pid), void *context);

#endif

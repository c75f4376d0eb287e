/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cgroups of one container in the hierarchies of a host, and which of them is the one to profile.
 *
 * A container has a directory in each hierarchy, but not always its processes: on hybrid hosts, all processes may be in
 * the root of v2. So the first hierarchy is taken (v2, then controllers) that has all of the container's processes.
 */
#ifndef WIREPROF_CONTAINER_PLACES_H
#define WIREPROF_CONTAINER_PLACES_H

#include "cgroup_mounts.h"
#include "cgroup_pids.h"

struct container_place {
	const struct cgroup_mount *mount;
	char *path;    /* as it is mounted */
	char *in_tree; /* as /proc/PID/cgroup has it */
	struct pid_list pids; /* once read */
};

/* All zero is an empty one. */
struct container_places {
	struct container_place *list; /* by preference, once read */
	size_t n, capacity;
};

/* Adds one, unless it is there. Where there is no memory, it is missing. */
void container_places_add(struct container_places *p, const struct cgroup_mount *m, const char *path, const char *in_tree);
/* Takes those out that are above a cgroup of the tree, which belongs to somebody else. */
void container_places_drop_above(struct container_places *p, const char *in_tree);
void container_places_clear(struct container_places *p);
void container_places_fini(struct container_places *p);

/* Reads who is where; there has to be a place. Returns the one with most processes. */
const struct container_place *container_places_read(struct container_places *p);

/* Reads again, and returns the first place with all processes that any has. */
const struct container_place *container_places_best(struct container_places *p);

/* Places of one name, not of one id, may be different containers': one that has processes, but none of `of`'s; or NULL. */
const struct container_place *container_places_stranger(const struct container_places *p, const struct container_place *of);

#endif

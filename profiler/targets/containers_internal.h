/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What containers.c (labels) and containers_resolve.c (targets) share.
 *
 * Labels are kept by cgroup, not by process: a cgroup is in the same container for all its life. What the label is may
 * change, for runtimes write their state a moment after the first process is there, and containers can be renamed:
 *
 *	a name				is looked up again after a minute
 *	an id's digits, or none		every second for the first ten, then every half a minute
 *
 * and what is looked at on disk is at most a second old, or a second's first look.
 */
#ifndef WIREPROF_CONTAINERS_INTERNAL_H
#define WIREPROF_CONTAINERS_INTERNAL_H

#include <limits.h>
#include "container_path.h"
#include "container_state.h"
#include "containers.h"

#define CONTAINER_CACHE_ENTRIES 1024 /* of which the one that was not asked for longest makes room */
#define CONTAINER_SCAN_NS	1000000000ull
#define CONTAINER_NAMED_NS	60000000000ull
#define CONTAINER_YOUNG_NS	10000000000ull
#define CONTAINER_UNNAMED_NS	30000000000ull

struct cached_label {
	char *cgroup; /* of the container; where there is none, all that /proc/PID/cgroup says */
	uint64_t hash;
	uint64_t first_ns, looked_ns, used_ns;
	bool named;
	char label[CONTAINER_LABEL_BYTES];
};

struct containers {
	char root[PATH_MAX];
	struct container_state state;
	bool scanned;
	uint64_t scanned_ns;
	uint64_t (*now_ns)(void); /* monotonic; tests have their own */
	struct cached_label *cache;
	size_t n_cached, cache_capacity;
};

/* Looks at the runtimes' state, unless that was done within the last second. */
void containers_refresh(struct containers *c);

/* The record that names a container best, or NULL. `cgroup_path` is in the tree. */
const struct container_record *containers_find(const struct containers *c, const char *id, const char *cgroup_path);

/* Printable, cut where a character ends. */
void container_printable(const char *text, char out[static CONTAINER_LABEL_BYTES]);

/* A container's label: its name, or what its id has to say. */
void container_label(const struct container_record *r, const char *id, char out[static CONTAINER_LABEL_BYTES]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers as targets, and as labels of processes. What a container is called is in its runtime's state on disk
 * (Docker, podman, CRI-O, containerd, runc, crun); which processes it has is in the cgroup tree.
 */
#ifndef WIREPROF_CONTAINERS_H
#define WIREPROF_CONTAINERS_H

#include "cgroups.h"

struct containers; /* for one thread at a time */

struct containers *containers_new(const char *root); /* prefix of /proc, /sys, /run, /var: "" but in tests */
void containers_free(struct containers *c);	     /* NULL is fine */

/*
 * The container that a process is in: its name where that is known, else the first 12 digits of its id; "" for none.
 * Printable UTF-8. A container within a container counts as the outer one, whose name the host knows.
 */
void containers_label(struct containers *c, pid_t pid, char out[static CONTAINER_LABEL_BYTES]);

/*
 * Finds the one container that `wanted` means: a full id, a name ("redis"; in Kubernetes also "pod/name" and
 * "namespace/pod/name"), or at least 6 digits of an id. Returns 0; -ENOENT: not there (now); -ENOTUNIQ: several
 * match; -EINVAL: cannot be one at all. `why` is one line for the user in every error, as in cgroups.h.
 */
int containers_resolve(struct containers *c, const char *wanted, struct cgroup_target *out, char *why, size_t why_size);

#endif

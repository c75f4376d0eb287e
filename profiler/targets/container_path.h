/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which container the path of a cgroup is in, by how runtimes name their cgroups:
 *
 *	/docker/<id>					/system.slice/docker-<id>.scope
 *	/kubepods/burstable/pod<uid>/<id>		/kubepods.slice/.../cri-containerd-<id>.scope, crio-<id>.scope
 *	/system.slice/containerd.service/kubepods-burstable-pod<uid>.slice:cri-containerd:<id>
 *	/machine.slice/libpod-<id>.scope/container	/libpod_parent/libpod-<id>
 *	/ecs/<task>/<id>, where an id may also be 32 digits and a number
 *	/lxc.payload.<name>, /lxc/<name>		/machine.slice/machine-<name>.scope, systemd-nspawn@<name>.service
 *
 * An id is 64 hexadecimal digits. What only helps a container (libpod-conmon-<id>.scope) is not in it.
 * runc, crun and containerd by themselves take any text as an id, and put it anywhere: that is for container_state.h.
 */
#ifndef WIREPROF_CONTAINER_PATH_H
#define WIREPROF_CONTAINER_PATH_H

#include <stdbool.h>
#include <stddef.h>

#define CONTAINER_ID_BYTES 256

struct container_in_path {
	char id[CONTAINER_ID_BYTES]; /* or the name, where that is what the path has */
	bool is_id;
	bool nested;	    /* in a container that is in a container */
	size_t path_length; /* of the container's own cgroup: what follows is within it */
};

/* The outermost container of a path in a cgroup tree. */
bool container_in_path(const char *path, struct container_in_path *out);

/* The innermost one: another, and `nested`, for a container in a container. */
bool container_in_path_innermost(const char *path, struct container_in_path *out);

/* Consists of an id's digits only, as a whole id does or a part from its front. */
bool container_id_digits(const char *text);
/* A whole id. */
bool container_id_whole(const char *text);

#endif

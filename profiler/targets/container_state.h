/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the runtimes of containers have written down: which container is called how, and which cgroups it was given.
 *
 *	Docker		/var/lib/docker/containers/<id>/config.v2.json (also snap's, and the data-root of /etc/docker/daemon.json);
 *			where there is no such directory that can be read: GET /containers/json at /var/run/docker.sock
 *	podman, CRI-O	/var/lib/containers/storage/<driver>-containers/{,volatile-}containers.json, and the same of users,
 *			/run/containers/storage/<driver>-containers/<id>/userdata/config.json
 *	containerd	/run/containerd/io.containerd.runtime.v2.task/<namespace>/<id>/config.json, (k3s, microk8s, Docker's own)
 *	runc, crun	/run/runc/<id>/state.json, /run/docker/runtime-runc/moby, /run/containerd/runc/<namespace>, users' ones;
 *			/run/crun/<id>/status
 *
 * A file is read again only when it has changed: looking again costs a stat() a container. Files are bounded in size
 * and number, and those that do not say what they should are passed over. A user's own files may only speak of
 * containers in that user's slice: `owner`.
 */
#ifndef WIREPROF_CONTAINER_STATE_H
#define WIREPROF_CONTAINER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONTAINER_MAX_FILES   16384
#define CONTAINER_MAX_RECORDS 65536
#define CONTAINER_FILE_BYTES  (4u << 20) /* of a list of all containers; what is one container's, or a user's, may have an eighth */
#define CONTAINER_MAX_CGROUPS 32	 /* of a container */
#define CONTAINER_NAME_BYTES  256

/* One container, as one file has it: another may know the rest. Strings are NULL where it does not say. */
struct container_record {
	char *id;	 /* 64 digits, or any text for runc and crun */
	char *name;	 /* in Kubernetes the container's name within its pod */
	char *alias;	 /* Docker's name of it then */
	char *pod, *ns;	 /* in Kubernetes */
	char **cgroups;	 /* as cgroup_resolve() takes them; ends with NULL */
	pid_t init;	 /* its first process, 0: unknown */
	bool pause;	 /* holds a pod's namespaces, and does nothing */
	bool id_is_name; /* the id was chosen by somebody */
};

struct container_file {
	char *path;
	uid_t owner; /* 0: believed in everything */
	uint64_t device, inode, size, changed_ns, read_ns; /* as it was when it was read; both by CLOCK_REALTIME */
	bool seen; /* by the scan under way */
	struct container_record *records;
	size_t n, capacity;
};

struct container_state {
	const char *root;
	struct container_file *files;
	size_t n, capacity, n_records;
	size_t entries_left;   /* of directories, in the scan under way */
	bool has_users_files;
	bool docker_read;      /* Docker's directory could be read, so its socket need not be asked */
	uint64_t socket_again_ns;
	uint64_t scans, reads, socket_asked; /* counters */
};

void container_state_init(struct container_state *s, const char *root);
void container_state_fini(struct container_state *s);

/* Looks at all of it (again). */
void container_state_scan(struct container_state *s, uint64_t now_ns);

/* Calls back for every record, until true is returned. */
typedef bool (*container_record_fn)(void *context, const struct container_file *f, const struct container_record *r);
void container_state_each(const struct container_state *s, container_record_fn visit, void *context);

/* May this file speak of a container with such a cgroup? */
bool container_file_believed(const struct container_file *f, const char *cgroup_path);

/* --- for the readers of files: container_files.c, docker_socket.c --- */

/* Adds a record to a file, and takes over its strings. Records without an id, and those beyond the limits, are freed. */
void container_record_add(struct container_state *s, struct container_file *f, struct container_record *r);

/* What a file holds. `id` is what its place says, or NULL. Bytes that do not parse give no records. */
enum container_format { FORMAT_DOCKER, FORMAT_BUNDLE, FORMAT_STORAGE, FORMAT_RUNC, FORMAT_CRUN, FORMAT_DOCKER_SOCKET };
void container_file_parse(struct container_state *s, struct container_file *f, enum container_format format, const char *id,
			  const char *bytes, size_t n);

/* A directory of /etc/docker/daemon.json's data-root, or NULL. For free(). */
char *docker_data_root(const char *bytes, size_t n);

/* Asks Docker for the running containers. Returns 0 and the reply's body, for free(), or -errno. */
int docker_socket_containers(const char *socket_path, char **body, size_t *n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See container_state.h: what the files of each runtime say, all of them JSON.
 *
 * Values may be of any type, or missing: jansson's accessors answer NULL then, also for NULL. JSON strings are valid
 * UTF-8 without NUL, or jansson refuses the file.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "container_path.h"
#include "container_state.h"

#define K8S_PAUSE "POD" /* what the kubelet and CRI-O call a pod's first container */

static char *copy(const char *text)
{
	return text && *text && strlen(text) < CONTAINER_NAME_BYTES ? strdup(text) : NULL;
}

static const char *string_at(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* The first of some keys that has text. */
static const char *first_of(const json_t *object, const char *const *keys)
{
	const char *text = NULL;

	for (; *keys && !(text && *text); keys++)
		text = string_at(object, *keys);
	return text;
}

static void set(char **field, const char *text)
{
	char *made = copy(text);

	if (!made)
		return;
	free(*field);
	*field = made;
}

/* "k8s_redis_redis-0_default_<uid>_0": container, pod, namespace; none of these has a '_' in it. */
static void name_of_kubelet(struct container_record *r, const char *name)
{
	char *text, *at, *fields[4];

	if (!name || strncmp(name, "k8s_", 4) || !(text = copy(name)))
		return;
	at = text + 4;
	for (int i = 0; i < 4; i++)
		fields[i] = strsep(&at, "_");
	if (fields[3]) {
		set(&r->name, fields[0]);
		set(&r->pod, fields[1]);
		set(&r->ns, fields[2]);
	}
	free(text);
}

static void name_of_labels(struct container_record *r, const json_t *labels)
{
	static const char *const name[] = {"io.kubernetes.cri.container-name", "io.kubernetes.container.name", "nerdctl/name", NULL};
	static const char *const pod[] = {"io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name", NULL};
	static const char *const ns[] = {"io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace", NULL};
	static const char *const kind[] = {"io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType",
					   "io.kubernetes.docker.type", NULL};
	const char *type = first_of(labels, kind);

	set(&r->name, first_of(labels, name));
	set(&r->pod, first_of(labels, pod));
	set(&r->ns, first_of(labels, ns));
	r->pause |= (type && (!strcmp(type, "sandbox") || !strcmp(type, "podsandbox"))) || (r->name && !strcmp(r->name, K8S_PAUSE));
}

static const char *without_slash(const char *name)
{
	return name && *name == '/' ? name + 1 : name;
}

static void docker_names(struct container_record *r, const char *name, const json_t *labels)
{
	name = without_slash(name);
	set(&r->name, name);
	name_of_kubelet(r, name);
	name_of_labels(r, labels);
	if (r->name && name && strcmp(r->name, name) != 0)
		set(&r->alias, name);
}

static void docker(struct container_state *s, struct container_file *f, const char *id, const json_t *top)
{
	struct container_record r = {.id = copy(id)};

	docker_names(&r, string_at(top, "Name"), json_object_get(json_object_get(top, "Config"), "Labels"));
	container_record_add(s, f, &r);
}

/* Of containers, each with its id and names under these keys: what Docker answers, or the list of containers/storage. */
static void list(struct container_state *s, struct container_file *f, const json_t *top, const char *id, const char *names)
{
	const json_t *one;
	size_t i;

	json_array_foreach(top, i, one) {
		struct container_record r = {.id = copy(string_at(one, id))};

		docker_names(&r, json_string_value(json_array_get(json_object_get(one, names), 0)),
			     json_object_get(one, "Labels"));
		container_record_add(s, f, &r);
	}
}

static void add_cgroup(struct container_record *r, size_t *n, const char *path)
{
	if (!path || !*path || *n >= CONTAINER_MAX_CGROUPS)
		return;
	if (!r->cgroups)
		r->cgroups = calloc(CONTAINER_MAX_CGROUPS + 1, sizeof(*r->cgroups));
	if (r->cgroups && (r->cgroups[*n] = strdup(path)))
		++*n;
}

/* A bundle of the Open Container Initiative. Whose cgroup systemd makes, its cgroupsPath is "slice:prefix:name". */
static void bundle(struct container_state *s, struct container_file *f, const char *id, const json_t *top)
{
	struct container_record r = {.id = copy(id)};
	const char *path = string_at(json_object_get(top, "linux"), "cgroupsPath");
	size_t n = 0;

	name_of_labels(&r, json_object_get(top, "annotations"));
	if (path && *path == '/')
		add_cgroup(&r, &n, path);
	r.id_is_name = !container_id_whole(id);
	container_record_add(s, f, &r);
}

static pid_t process_id(const json_t *value)
{
	json_int_t n = json_integer_value(value);

	return n > 0 && n <= INT32_MAX ? (pid_t)n : 0;
}

static void runc(struct container_state *s, struct container_file *f, const char *id, json_t *top)
{
	struct container_record r = {.id = copy(id), .init = process_id(json_object_get(top, "init_process_pid"))};
	const char *controller;
	json_t *path;
	size_t n = 0;

	r.id_is_name = !container_id_whole(id);
	json_object_foreach(json_object_get(top, "cgroup_paths"), controller, path)
		add_cgroup(&r, &n, json_string_value(path));
	container_record_add(s, f, &r);
}

static void crun(struct container_state *s, struct container_file *f, const char *id, const json_t *top)
{
	struct container_record r = {.id = copy(id), .init = process_id(json_object_get(top, "pid"))};
	size_t n = 0;

	r.id_is_name = !container_id_whole(id);
	add_cgroup(&r, &n, string_at(top, "cgroup-path"));
	container_record_add(s, f, &r);
}

void container_file_parse(struct container_state *s, struct container_file *f, enum container_format format, const char *id,
			  const char *bytes, size_t n)
{
	json_t *top = json_loadb(bytes, n, 0, NULL);

	if (format == FORMAT_DOCKER)
		docker(s, f, id, top);
	else if (format == FORMAT_BUNDLE)
		bundle(s, f, id, top);
	else if (format == FORMAT_STORAGE)
		list(s, f, top, "id", "names"); /* podman's and CRI-O's; podman's metadata have the name once more */
	else if (format == FORMAT_RUNC)
		runc(s, f, id, top);
	else if (format == FORMAT_CRUN)
		crun(s, f, id, top);
	else
		list(s, f, top, "Id", "Names");
	json_decref(top);
}

char *docker_data_root(const char *bytes, size_t n)
{
	json_t *top = json_loadb(bytes, n, 0, NULL);
	const char *path = string_at(top, "data-root");
	char *made = path && *path == '/' ? strdup(path) : NULL;

	json_decref(top);
	return made;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See container_state.h: which files there are, and which of them to read (again). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "../clock.h"
#include "container_state.h"
#include "../intern.h"
#include "../read_up_to.h"

#define MAX_ENTRIES	  (8 * CONTAINER_MAX_FILES) /* of directories, in a scan */
#define SURE_AFTER_NS	  2000000000ull	 /* a file that changed this shortly before it was read may have changed again, unseen */
#define SOCKET_REST_NS	  30000000000ull /* after Docker did not answer */

enum place { SYSTEM, HOME, RUNTIME_DIRECTORY }; /* the latter two are a user's own */

/* A component with a '*' is any directory's of that form; the last of these is the container's id, but in lists. */
static const struct pattern {
	const char *path;
	enum container_format format;
	enum place place;
} patterns[] = {
	{"/var/lib/docker/containers/*/config.v2.json", FORMAT_DOCKER, SYSTEM},
	{"/var/lib/docker/*.*/containers/*/config.v2.json", FORMAT_DOCKER, SYSTEM}, /* userns-remap */
	{"/var/snap/docker/common/var-lib-docker/containers/*/config.v2.json", FORMAT_DOCKER, SYSTEM},
	{"/home/*/.local/share/docker/containers/*/config.v2.json", FORMAT_DOCKER, HOME},
	{"/run/containers/storage/*-containers/*/userdata/config.json", FORMAT_BUNDLE, SYSTEM},
	{"/var/run/containers/storage/*-containers/*/userdata/config.json", FORMAT_BUNDLE, SYSTEM},
	{"/var/lib/containers/storage/*-containers/containers.json", FORMAT_STORAGE, SYSTEM},
	{"/var/lib/containers/storage/*-containers/volatile-containers.json", FORMAT_STORAGE, SYSTEM},
	{"/run/containers/storage/*-containers/volatile-containers.json", FORMAT_STORAGE, SYSTEM},
	{"/home/*/.local/share/containers/storage/*-containers/containers.json", FORMAT_STORAGE, HOME},
	{"/home/*/.local/share/containers/storage/*-containers/volatile-containers.json", FORMAT_STORAGE, HOME},
	{"/run/user/*/containers/*-containers/volatile-containers.json", FORMAT_STORAGE, RUNTIME_DIRECTORY},
	{"/run/containerd/io.containerd.runtime.v2.task/*/*/config.json", FORMAT_BUNDLE, SYSTEM},
	{"/run/containerd/io.containerd.runtime.v1.linux/*/*/config.json", FORMAT_BUNDLE, SYSTEM},
	{"/run/k3s/containerd/io.containerd.runtime.v2.task/*/*/config.json", FORMAT_BUNDLE, SYSTEM},
	{"/var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task/*/*/config.json", FORMAT_BUNDLE, SYSTEM},
	{"/run/runc/*/state.json", FORMAT_RUNC, SYSTEM},
	{"/run/docker/runtime-runc/*/*/state.json", FORMAT_RUNC, SYSTEM},
	{"/run/containerd/runc/*/*/state.json", FORMAT_RUNC, SYSTEM},
	{"/run/user/*/runc/*/state.json", FORMAT_RUNC, RUNTIME_DIRECTORY},
	{"/run/crun/*/status", FORMAT_CRUN, SYSTEM},
	{"/run/user/*/crun/*/status", FORMAT_CRUN, RUNTIME_DIRECTORY},
};

void container_state_init(struct container_state *s, const char *root)
{
	*s = (struct container_state){.root = root};
}

static void record_free(struct container_record *r)
{
	for (char **path = r->cgroups; path && *path; path++)
		free(*path);
	free(r->cgroups);
	free(r->id);
	free(r->name);
	free(r->alias);
	free(r->pod);
	free(r->ns);
}

static void forget_records(struct container_state *s, struct container_file *f)
{
	for (size_t i = 0; i < f->n; i++)
		record_free(&f->records[i]);
	s->n_records -= f->n;
	f->n = 0;
}

static void file_free(struct container_state *s, struct container_file *f)
{
	forget_records(s, f);
	free(f->records);
	free(f->path);
}

void container_state_fini(struct container_state *s)
{
	for (size_t i = 0; i < s->n; i++)
		file_free(s, &s->files[i]);
	free(s->files);
}

void container_record_add(struct container_state *s, struct container_file *f, struct container_record *r)
{
	if (!r->id || s->n_records >= CONTAINER_MAX_RECORDS ||
	    array_reserve((void **)&f->records, &f->capacity, f->n, sizeof(*f->records))) {
		record_free(r);
		return;
	}
	f->records[f->n++] = *r;
	s->n_records++;
}

void container_state_each(const struct container_state *s, container_record_fn visit, void *context)
{
	for (size_t i = 0; i < s->n; i++)
		for (size_t j = 0; j < s->files[i].n; j++)
			if (visit(context, &s->files[i], &s->files[i].records[j]))
				return;
}

bool container_file_believed(const struct container_file *f, const char *cgroup_path)
{
	char slice[64];

	snprintf(slice, sizeof(slice), "/user.slice/user-%u.slice/", f->owner);
	return !f->owner || !strncmp(cgroup_path, slice, strlen(slice));
}

/* Files are kept in the order of their paths' numbers in a scan, which mostly stays: so the next one is looked at first. */
static struct container_file *file_of(struct container_state *s, const char *path, size_t *hint)
{
	for (size_t i = 0; i < s->n; i++) {
		size_t at = (*hint + i) % s->n;

		if (!strcmp(s->files[at].path, path)) {
			*hint = at + 1;
			return &s->files[at];
		}
	}
	return NULL;
}

static struct container_file *add_file(struct container_state *s, const char *path)
{
	struct container_file file = {.path = strdup(path)};

	if (!file.path || s->n >= CONTAINER_MAX_FILES ||
	    array_reserve((void **)&s->files, &s->capacity, s->n, sizeof(*s->files))) {
		free(file.path);
		return NULL;
	}
	s->files[s->n] = file;
	return &s->files[s->n++];
}

static uint64_t nanoseconds(struct timespec t)
{
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* All of a regular file that is not too large, for free(); or NULL. */
static char *read_whole(int fd, size_t limit, size_t *n)
{
	struct stat st;
	size_t room = !fstat(fd, &st) && st.st_size >= 0 && (size_t)st.st_size <= limit ? (size_t)st.st_size + 1 : 0;
	char *bytes = room ? malloc(room) : NULL;

	if (bytes && !read_up_to(fd, bytes, room, n) && *n < room) /* else it grew meanwhile */
		return bytes;
	free(bytes);
	return NULL;
}

static void parse(struct container_state *s, struct container_file *f, const struct pattern *p, const char *id, int fd)
{
	size_t n, limit = p->format == FORMAT_STORAGE && p->place == SYSTEM ? CONTAINER_FILE_BYTES : CONTAINER_FILE_BYTES / 8;
	char *bytes = read_whole(fd, limit, &n);

	forget_records(s, f);
	s->reads++;
	if (bytes)
		container_file_parse(s, f, p->format, id, bytes, n);
	free(bytes);
}

struct scan {
	struct container_state *state;
	const struct pattern *pattern;
	const char *id;
	size_t hint;
	char path[PATH_MAX];
};

static bool is_unchanged(const struct container_file *f, const struct stat *st)
{
	return f->device == st->st_dev && f->inode == st->st_ino && f->size == (uint64_t)st->st_size &&
	       f->changed_ns == nanoseconds(st->st_ctim) && f->read_ns > f->changed_ns + SURE_AFTER_NS;
}

static void take_file(struct scan *c, int fd, const struct stat *st)
{
	struct container_file *f = file_of(c->state, c->path, &c->hint);

	if (!f)
		f = add_file(c->state, c->path);
	if (!f)
		return;
	f->seen = true;
	c->state->has_users_files |= c->pattern->place != SYSTEM;
	if (is_unchanged(f, st))
		return;
	f->owner = c->pattern->place == SYSTEM ? 0 : st->st_uid;
	f->device = st->st_dev;
	f->inode = st->st_ino;
	f->size = st->st_size;
	f->changed_ns = nanoseconds(st->st_ctim);
	f->read_ns = utc_ns();
	parse(c->state, f, c->pattern, c->id, fd);
}

static void look_at_file(struct scan *c)
{
	int fd = open(c->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && (c->pattern->place == SYSTEM || st.st_uid))
		take_file(c, fd, &st);
	close(fd);
}

/* A home is only looked into while its user is here: another's may be on a server, mounted by the look. */
static bool has_session(const struct container_state *s, const char *home)
{
	char path[PATH_MAX];
	struct stat st;

	if (fstatat(AT_FDCWD, home, &st, AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW) || !st.st_uid)
		return false;
	return snprintf(path, sizeof(path), "%s/run/user/%u", s->root, st.st_uid) < (int)sizeof(path) && !access(path, F_OK);
}

static void expand(struct scan *c, const char *rest);

static void expand_component(struct scan *c, const char *name, const char *rest)
{
	size_t end = strlen(c->path);

	if (end + 1 + strlen(name) >= sizeof(c->path))
		return;
	c->path[end] = '/';
	memcpy(c->path + end + 1, name, strlen(name) + 1);
	/* /home/x: only this one, of a home's patterns, is directly below root */
	if (c->pattern->place != HOME || end != strlen(c->state->root) + strlen("/home") || has_session(c->state, c->path))
		expand(c, rest);
	c->path[end] = '\0';
}

static void expand_directory(struct scan *c, const char *component, const char *rest)
{
	DIR *directory = opendir(c->path);
	struct dirent *e;

	if (!directory)
		return;
	if (c->pattern->format == FORMAT_DOCKER && c->pattern->place == SYSTEM)
		c->state->docker_read |= !strcmp(rest, "/config.v2.json");
	while (c->state->entries_left && (e = readdir(directory))) {
		c->state->entries_left--;
		if (e->d_name[0] == '.' || fnmatch(component, e->d_name, 0))
			continue;
		c->id = e->d_name;
		expand_component(c, e->d_name, rest);
	}
	closedir(directory);
}

/* The path so far, and what of the pattern is left: "" or "/..." */
static void expand(struct scan *c, const char *rest)
{
	char component[NAME_MAX + 1];
	size_t n;

	if (!*rest) {
		look_at_file(c);
		return;
	}
	rest++;
	n = strcspn(rest, "/");
	if (n >= sizeof(component))
		return;
	memcpy(component, rest, n);
	component[n] = '\0';
	if (strchr(component, '*'))
		expand_directory(c, component, rest + n);
	else
		expand_component(c, component, rest + n);
}

static void scan_pattern(struct container_state *s, const struct pattern *p, size_t *hint)
{
	struct scan c = {.state = s, .pattern = p, .hint = *hint};

	if (snprintf(c.path, sizeof(c.path), "%s", s->root) >= (int)sizeof(c.path))
		return;
	expand(&c, p->path);
	*hint = c.hint;
}

/* Mostly, /var/run is a link to /run, which has a pattern of its own. */
static bool is_link(const struct container_state *s, const char *path)
{
	char full[PATH_MAX];
	struct stat st;

	return snprintf(full, sizeof(full), "%s%s", s->root, path) >= (int)sizeof(full) || lstat(full, &st) || S_ISLNK(st.st_mode);
}

static void scan_data_root(struct container_state *s, size_t *hint)
{
	char path[PATH_MAX], *bytes, *data_root = NULL;
	size_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/etc/docker/daemon.json", s->root);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return;
	bytes = read_whole(fd, CONTAINER_FILE_BYTES / 8, &n);
	close(fd);
	if (bytes)
		data_root = docker_data_root(bytes, n);
	free(bytes);
	if (data_root && !strpbrk(data_root, "*?[\\") && strcmp(data_root, "/var/lib/docker") != 0 &&
	    snprintf(path, sizeof(path), "%s/containers/*/config.v2.json", data_root) < (int)sizeof(path))
		scan_pattern(s, &(struct pattern){path, FORMAT_DOCKER, SYSTEM}, hint);
	free(data_root);
}

static void ask(struct container_state *s, const char *socket_path, uint64_t now_ns)
{
	size_t hint = 0, n;
	struct container_file *f = file_of(s, socket_path, &hint);
	char *body = NULL;

	if (!f)
		f = add_file(s, socket_path);
	if (!f)
		return;
	f->seen = true;
	if (now_ns < s->socket_again_ns)
		return;
	s->socket_asked++;
	if (docker_socket_containers(socket_path, &body, &n)) {
		s->socket_again_ns = now_ns + SOCKET_REST_NS;
		return;
	}
	forget_records(s, f);
	container_file_parse(s, f, FORMAT_DOCKER_SOCKET, NULL, body, n);
	free(body);
}

static void ask_docker(struct container_state *s, uint64_t now_ns)
{
	static const char *const places[] = {"/var/run/docker.sock", "/run/docker.sock"};
	char path[PATH_MAX];
	struct stat st;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (snprintf(path, sizeof(path), "%s%s", s->root, places[i]) < (int)sizeof(path) && !stat(path, &st) &&
		    S_ISSOCK(st.st_mode)) {
			ask(s, path, now_ns);
			return;
		}
}

void container_state_scan(struct container_state *s, uint64_t now_ns)
{
	bool var_run = !is_link(s, "/var/run");
	size_t hint = 0, n = 0;

	s->scans++;
	s->entries_left = MAX_ENTRIES;
	s->docker_read = s->has_users_files = false;
	for (size_t i = 0; i < s->n; i++)
		s->files[i].seen = false;
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		if (var_run || strncmp(patterns[i].path, "/var/run/", 9) != 0)
			scan_pattern(s, &patterns[i], &hint);
	scan_data_root(s, &hint);
	if (!s->docker_read)
		ask_docker(s, now_ns);
	for (size_t i = 0; i < s->n; i++) {
		if (s->files[i].seen)
			s->files[n++] = s->files[i];
		else
			file_free(s, &s->files[i]);
	}
	s->n = n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See containers.h: labels of processes. Targets: containers_resolve.c. When labels are looked up again: containers_internal.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../clock.h"
#include "cgroup_mounts.h"
#include "containers_internal.h"
#include "../intern.h"
#include "../processes.h"
#include "../read_up_to.h"
#include "protocols/utf8.h"

#define SHORT_ID	   12
#define PROC_CGROUP_BYTES  16384
#define MAX_LINES	   64
#define MAX_KEY		   1024

/* One line of /proc/PID/cgroup: "4:memory:/docker/<id>", "0::/system.slice". */
struct line {
	const char *controllers, *path; /* "" for v2 */
};

struct lines {
	char text[PROC_CGROUP_BYTES], split[PROC_CGROUP_BYTES];
	struct line list[MAX_LINES];
	size_t n;
};

struct containers *containers_new(const char *root)
{
	struct containers *c = calloc(1, sizeof(*c));
	size_t n = strlen(root);

	while (n && root[n - 1] == '/')
		n--;
	if (!c || n >= sizeof(c->root)) {
		free(c);
		return NULL;
	}
	snprintf(c->root, sizeof(c->root), "%.*s", (int)n, root);
	c->now_ns = monotonic_ns;
	container_state_init(&c->state, c->root);
	return c;
}

void containers_free(struct containers *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_cached; i++)
		free(c->cache[i].cgroup);
	free(c->cache);
	container_state_fini(&c->state);
	free(c);
}

void containers_refresh(struct containers *c)
{
	uint64_t now = c->now_ns();

	if (c->scanned && now - c->scanned_ns < CONTAINER_SCAN_NS)
		return;
	container_state_scan(&c->state, now);
	c->scanned = true;
	c->scanned_ns = now;
}

void container_printable(const char *text, char out[static CONTAINER_LABEL_BYTES])
{
	size_t left = strlen(text), n = 0;

	while (left) {
		size_t character = utf8_printable((const uint8_t *)text, left), bytes = character ? character : 1;

		if (n + bytes >= CONTAINER_LABEL_BYTES)
			break;
		if (character)
			memcpy(out + n, text, character);
		else
			out[n] = '?';
		n += bytes;
		text += bytes;
		left -= bytes;
	}
	out[n] = '\0';
}

void container_label(const struct container_record *r, const char *id, char out[static CONTAINER_LABEL_BYTES])
{
	container_printable(r && r->name ? r->name : id, out);
	if (!(r && r->name) && container_id_whole(id))
		out[SHORT_ID] = '\0';
}

struct naming {
	const char *id, *cgroup_path;
	const struct container_record *best;
};

/* Kubernetes' names are the better ones: what else is there for the same container is made of them. */
static int quality(const struct container_record *r)
{
	return !r ? -1 : r->name && r->pod ? 2 : r->name ? 1 : 0;
}

static bool take_better(void *context, const struct container_file *f, const struct container_record *r)
{
	struct naming *n = context;

	if (!strcmp(r->id, n->id) && container_file_believed(f, n->cgroup_path) && quality(r) > quality(n->best))
		n->best = r;
	return false;
}

const struct container_record *containers_find(const struct containers *c, const char *id, const char *cgroup_path)
{
	struct naming n = {id, cgroup_path, NULL};

	container_state_each(&c->state, take_better, &n);
	return n.best;
}

static void split_lines(struct lines *l)
{
	char *at = l->split, *text;

	memcpy(l->split, l->text, sizeof(l->split));
	for (l->n = 0; l->n < MAX_LINES && (text = strsep(&at, "\n"));) {
		struct line line = {NULL, NULL};
		size_t end;

		strsep(&text, ":");
		line.controllers = text ? strsep(&text, ":") : NULL;
		line.path = text;
		if (!line.controllers || !line.path)
			continue;
		/* of a cgroup that is gone, and this was its last process */
		end = strlen(line.path);
		if (end > 10 && !strcmp(line.path + end - 10, " (deleted)"))
			text[end - 10] = '\0';
		l->list[l->n++] = line;
	}
}

static bool read_lines(const struct containers *c, pid_t pid, struct lines *l)
{
	char path[PATH_MAX];
	size_t n = 0;
	int fd, err;

	if (snprintf(path, sizeof(path), "%s/proc/%d/cgroup", c->root, pid) >= (int)sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	err = read_up_to(fd, l->text, sizeof(l->text) - 1, &n);
	close(fd);
	l->text[n] = '\0';
	split_lines(l);
	return !err && n;
}

/* The container that the lines tell by themselves: v2's line first. */
static const struct line *line_with_container(const struct lines *l, struct container_in_path *in)
{
	for (int v1 = 0; v1 <= 1; v1++)
		for (size_t i = 0; i < l->n; i++)
			if ((*l->list[i].controllers != '\0') == v1 && container_in_path(l->list[i].path, in))
				return &l->list[i];
	return NULL;
}

/* --- a container of any id, by the cgroups that its runtime says it has --- */

struct covering {
	const struct containers *c;
	const struct lines *lines;
	struct cgroup_mounts mounts;
	const struct container_record *found;
};

/* "/sys/fs/cgroup/memory/x" is "/x" in the lines with memory. Elsewhere it is a path in any tree. */
static bool covers_line(const struct covering *v, const char *cgroup, const struct line *line)
{
	char full[PATH_MAX], in_tree[CGROUP_TREE_BYTES];
	const struct cgroup_mount *m;

	if (snprintf(full, sizeof(full), "%s%s", v->c->root, cgroup) >= (int)sizeof(full))
		return false;
	m = cgroup_mount_of(&v->mounts, full);
	if (m && (!cgroup_mount_usable(m) || (m->v2 ? *line->controllers : !cgroup_option(line->controllers, m->option))))
		return false;
	if (m)
		cgroup_in_tree(m, full, in_tree);
	else
		snprintf(in_tree, sizeof(in_tree), "%s", cgroup);
	return in_tree[strspn(in_tree, "/")] && path_below(line->path, in_tree);
}

static bool take_covering(void *context, const struct container_file *f, const struct container_record *r)
{
	struct covering *v = context;

	for (char **cgroup = r->cgroups; cgroup && *cgroup; cgroup++)
		for (size_t i = 0; i < v->lines->n; i++)
			if (container_file_believed(f, v->lines->list[i].path) && covers_line(v, *cgroup, &v->lines->list[i])) {
				v->found = r;
				return true;
			}
	return false;
}

/* Returns whether that is a name, or might become one. */
static bool label_by_state(const struct containers *c, const struct lines *l, char out[static CONTAINER_LABEL_BYTES])
{
	struct covering v = {.c = c, .lines = l};

	out[0] = '\0';
	if (!cgroup_mounts_read(c->root, &v.mounts))
		container_state_each(&c->state, take_covering, &v);
	cgroup_mounts_fini(&v.mounts);
	if (!v.found)
		return false;
	for (size_t i = 0; i < l->n; i++) {
		const struct container_record *named = containers_find(c, v.found->id, l->list[i].path);

		container_label(named, v.found->id, out);
		if (named && named->name)
			return true;
	}
	return v.found->id_is_name;
}

/* --- the cache --- */

static struct cached_label *cached(struct containers *c, const char *cgroup, uint64_t hash)
{
	for (size_t i = 0; i < c->n_cached; i++)
		if (c->cache[i].hash == hash && !strcmp(c->cache[i].cgroup, cgroup))
			return &c->cache[i];
	return NULL;
}

static uint64_t hash_of(const char *text)
{
	uint64_t h = 0xcbf29ce484222325ull; /* FNV-1a */

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3ull;
	return h;
}

/* A new entry, at the place of the one that was not asked for longest if there are too many. NULL: no memory. */
static struct cached_label *add_cached(struct containers *c, const char *cgroup, uint64_t hash)
{
	struct cached_label *e;
	char *copy = strdup(cgroup);

	if (!copy || (c->n_cached < CONTAINER_CACHE_ENTRIES &&
		      array_reserve((void **)&c->cache, &c->cache_capacity, c->n_cached, sizeof(*c->cache)))) {
		free(copy);
		return NULL;
	}
	if (c->n_cached < CONTAINER_CACHE_ENTRIES) {
		e = &c->cache[c->n_cached++];
	} else {
		e = &c->cache[0];
		for (size_t i = 1; i < c->n_cached; i++)
			if (c->cache[i].used_ns < e->used_ns)
				e = &c->cache[i];
		free(e->cgroup);
	}
	*e = (struct cached_label){.cgroup = copy, .hash = hash, .first_ns = c->now_ns()};
	return e;
}

static bool is_fresh(const struct cached_label *e, uint64_t now)
{
	uint64_t lasts = e->named				? CONTAINER_NAMED_NS
			 : now - e->first_ns < CONTAINER_YOUNG_NS ? CONTAINER_SCAN_NS
								  : CONTAINER_UNNAMED_NS;

	return e->looked_ns && now - e->looked_ns < lasts;
}

static bool look_up(const struct containers *c, const struct lines *l, const struct line *line, const struct container_in_path *in,
		    char out[static CONTAINER_LABEL_BYTES])
{
	const struct container_record *r;

	if (!line)
		return label_by_state(c, l, out);
	r = containers_find(c, in->id, line->path);
	container_label(r, in->id, out);
	return !in->is_id || (r && r->name);
}

void containers_label(struct containers *c, pid_t pid, char out[static CONTAINER_LABEL_BYTES])
{
	struct container_in_path in;
	struct cached_label *e;
	const struct line *line;
	struct lines l;
	char *key = l.text;
	uint64_t now = c->now_ns(), hash;

	out[0] = '\0';
	if (!read_lines(c, pid, &l))
		return;
	line = line_with_container(&l, &in);
	if (line)
		snprintf(key, sizeof(l.text), "%.*s", (int)in.path_length, line->path);
	hash = hash_of(key);
	if (strlen(key) > MAX_KEY)
		snprintf(key + MAX_KEY - 17, 18, "%016llx", (unsigned long long)hash);
	e = cached(c, key, hash);
	if (!e)
		e = add_cached(c, key, hash);
	if (!e)
		return;
	e->used_ns = now;
	if (!is_fresh(e, now)) {
		bool was_seen = e->looked_ns;

		/* What is known already may do for a new one. */
		e->named = !was_seen && look_up(c, &l, line, &in, e->label);
		if (!e->named) {
			containers_refresh(c);
			e->named = look_up(c, &l, line, &in, e->label);
		}
		e->looked_ns = now;
	}
	memcpy(out, e->label, sizeof(e->label));
}

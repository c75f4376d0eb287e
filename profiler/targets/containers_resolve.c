/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See containers.h: from a name, or digits of an id, to a container's cgroup.
 *
 * 1. All cgroups of the host are looked through for those of containers, by their names; that finds containers without
 *    a process too. The runtimes' state adds what containers are called, and cgroups whose names tell nothing.
 * 2. What `wanted` means best is what it means: a whole id, a name, a cgroup's last component, or an id's first digits.
 * 3. Of the container's cgroups, that of the best hierarchy is taken: container_places.h. Never one above the
 *    container's own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "container_places.h"
#include "containers_internal.h"
#include "../intern.h"

#define MIN_PREFIX   6
#define MAX_CHOICES  256
#define DESCRIPTION_BYTES (3 * CONTAINER_LABEL_BYTES + 16)
#define SHOWN	     3 /* of several that match */

enum rank { NOTHING, PREFIX, COMPONENT, NAME, WHOLE_ID };

/* A container that `wanted` may mean. */
struct choice {
	char id[CONTAINER_ID_BYTES];
	enum rank rank;
	bool outer; /* it is not (only) in another container */
	bool pause;
	bool has_processes;
	struct container_places places;
};

struct search {
	struct containers *c;
	const char *wanted;
	bool is_digits, too_short; /* too few digits of an id; some id begins with them */
	struct cgroup_mounts mounts;
	struct choice *choices;
	size_t n, capacity;
	char *why;
	size_t why_size;
};

#define fail(s, err, ...) cgroup_why_not((s)->why, (s)->why_size, err, __VA_ARGS__)

static struct choice *known_choice(const struct search *s, const char *id)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->choices[i].id, id))
			return &s->choices[i];
	return NULL;
}

/* The choice of an id, made if it is new. NULL: too many, or no memory. */
static struct choice *choice_of(struct search *s, const char *id, enum rank rank)
{
	struct choice *c = known_choice(s, id);

	if (!c) {
		if (s->n >= MAX_CHOICES || array_reserve((void **)&s->choices, &s->capacity, s->n, sizeof(*s->choices)))
			return NULL;
		c = &s->choices[s->n++];
		snprintf(c->id, sizeof(c->id), "%s", id);
	}
	if (rank > c->rank)
		c->rank = rank;
	return c;
}

/* --- what matches --- */

static enum rank rank_of_id(struct search *s, const char *id)
{
	bool whole = container_id_whole(id);

	if (!strcmp(id, s->wanted))
		return whole ? WHOLE_ID : NAME;
	if (!whole || !s->is_digits || strncmp(id, s->wanted, strlen(s->wanted)) != 0)
		return NOTHING;
	if (strlen(s->wanted) >= MIN_PREFIX)
		return PREFIX;
	s->too_short = true;
	return NOTHING;
}

static bool is_name(const char *name, const char *wanted)
{
	return name && !strcmp(name, wanted);
}

/* "name", "pod/name" or "namespace/pod/name". */
static enum rank rank_of_names(const struct container_record *r, const char *wanted)
{
	char text[3 * CONTAINER_NAME_BYTES];

	if (is_name(r->name, wanted) || is_name(r->alias, wanted))
		return NAME;
	if (!r->name || !r->pod)
		return NOTHING;
	snprintf(text, sizeof(text), "%s/%s/%s", r->ns ? r->ns : "", r->pod, r->name);
	return !strcmp(text, wanted) || !strcmp(strchr(text, '/') + 1, wanted) ? NAME : NOTHING;
}

static bool take_record(void *context, const struct container_file *f, const struct container_record *r)
{
	struct search *s = context;
	enum rank by_name = rank_of_names(r, s->wanted), by_id = rank_of_id(s, r->id), rank = by_name > by_id ? by_name : by_id;
	struct choice *c;

	/* A user's files are believed once the container's cgroup is known: below. */
	if (rank == NOTHING || f->owner)
		return false;
	c = choice_of(s, r->id, rank);
	if (c)
		c->pause |= r->pause && by_id == NOTHING;
	return false;
}

static bool is_unit(const char *name)
{
	static const char *const endings[] = {".slice", ".scope", ".service", ".mount", ".socket", ".swap"};
	size_t n = strlen(name);

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
		if (n > strlen(endings[i]) && !strcmp(name + n - strlen(endings[i]), endings[i]))
			return true;
	return false;
}

/* runc and crun with any --root: the cgroup has the container's id as its last component, or systemd's form of it. */
static bool is_component(const char *component, size_t length, const char *wanted)
{
	static const char *const forms[] = {"%s", "runc-%s.scope", "crun-%s.scope"};
	char text[CONTAINER_ID_BYTES + 32];

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		size_t n = snprintf(text, sizeof(text), forms[i], wanted);
#pragma GCC diagnostic pop

		if (n == length && !memcmp(text, component, n))
			return true;
	}
	return false;
}

/* The last component is the wanted one, and none above it. */
static bool ends_in_wanted(const char *in_tree, const char *wanted)
{
	for (const char *at = in_tree; *(at += strspn(at, "/"));) {
		size_t n = strcspn(at, "/");

		if (is_component(at, n, wanted))
			return !at[n];
		at += n;
	}
	return false;
}

/* Names that a user's own files give. */
static void take_believed(struct search *s, const char *id, const char *in_tree, enum rank *rank)
{
	const struct container_record *r = s->c->state.has_users_files ? containers_find(s->c, id, in_tree) : NULL;
	enum rank by_name = r ? rank_of_names(r, s->wanted) : NOTHING;

	if (by_name > *rank)
		*rank = by_name;
}

/* A container's own cgroup, by its name. */
static void visit_container(struct search *s, const struct cgroup_visit *v, const struct container_in_path *in)
{
	struct choice *c = known_choice(s, s->wanted);
	enum rank rank = rank_of_id(s, in->id);

	/* "/docker" is called like what is wanted, perhaps, and has all containers in it. */
	if (c && strcmp(in->id, s->wanted) != 0)
		container_places_drop_above(&c->places, v->in_tree);
	take_believed(s, in->id, v->in_tree, &rank);
	c = rank == NOTHING ? known_choice(s, in->id) : choice_of(s, in->id, rank);
	if (!c)
		return;
	/* A container can make cgroups that look like another container: the one that is in none counts. */
	if (!in->nested && !c->outer)
		container_places_clear(&c->places);
	c->outer |= !in->nested;
	if (!in->nested || !c->outer)
		container_places_add(&c->places, v->mount, v->path, v->in_tree);
}

static void visit(void *context, const struct cgroup_visit *v)
{
	struct search *s = context;
	struct container_in_path in;
	struct choice *c;

	if (container_in_path_innermost(v->in_tree, &in)) {
		if (!v->in_tree[in.path_length])
			visit_container(s, v, &in);
		return;
	}
	if (is_unit(s->wanted) || !ends_in_wanted(v->in_tree, s->wanted))
		return;
	c = choice_of(s, s->wanted, COMPONENT);
	if (!c)
		return;
	c->outer = true;
	container_places_add(&c->places, v->mount, v->path, v->in_tree);
}

/* --- cgroups that the runtimes' state tells --- */

static bool shown_in(const struct cgroup_mounts *m, const char *root, const char *cgroup, struct cgroup_target *t)
{
	char why[256];
	const struct cgroup_mount *of;

	if (cgroup_resolve(root, cgroup, t, why, sizeof(why)))
		return false;
	of = cgroup_mount_of(m, t->path);
	return of && strcmp(of->path, t->path) != 0; /* all of a tree is nobody's */
}

static bool take_cgroups(void *context, const struct container_file *f, const struct container_record *r)
{
	struct search *s = context;
	struct choice *c = known_choice(s, r->id);

	for (char **cgroup = r->cgroups; c && cgroup && *cgroup; cgroup++) {
		struct cgroup_target t;
		struct pid_list pids = {0};
		const struct cgroup_mount *m;
		char in_tree[CGROUP_TREE_BYTES];

		if (!shown_in(&s->mounts, s->c->root, *cgroup, &t))
			continue;
		m = cgroup_mount_of(&s->mounts, t.path);
		cgroup_in_tree(m, t.path, in_tree);
		/* A cgroup with processes, but without the container's first, is another's by now. */
		if (container_file_believed(f, in_tree) && !pid_list_read(&pids, t.path) &&
		    (!r->init || !pids.n || pid_list_has(&pids, r->init))) {
			c->outer = true;
			container_places_add(&c->places, m, t.path, in_tree);
		}
		pid_list_free(&pids);
	}
	return false;
}

struct sharing {
	const struct search *s;
	const struct choice *choice;
	const struct container_place *place;
	const char *with;
};

static bool shares(void *context, const struct container_file *f, const struct container_record *r)
{
	struct sharing *h = context;
	struct cgroup_target t;

	if (f->owner || !r->init || !strcmp(r->id, h->choice->id) || !pid_list_has(&h->place->pids, r->init))
		return false;
	for (char **cgroup = r->cgroups; cgroup && *cgroup; cgroup++)
		if (shown_in(&h->s->mounts, h->s->c->root, *cgroup, &t) && !strcmp(t.path, h->place->path))
			h->with = r->id;
	return h->with;
}

static int take(struct search *s, struct choice *c, struct cgroup_target *out)
{
	const struct container_place *p = container_places_best(&c->places);
	const struct container_place *other = container_id_whole(c->id) ? NULL : container_places_stranger(&c->places, p);
	struct sharing h = {s, c, p, NULL};
	char name[CONTAINER_LABEL_BYTES];
	int err;

	if (other)
		return fail(s, -ENOTUNIQ, "means several containers, with the cgroups %s and %s; give one with --cgroup", p->path,
			    other->path);
	container_state_each(&s->c->state, shares, &h);
	if (h.with) {
		container_printable(h.with, name);
		return fail(s, -EINVAL, "shares its cgroup with the container %s: they cannot be told apart", name);
	}
	err = cgroup_target_at(p->mount, p->path, out);
	if (err)
		return fail(s, err == -ENOENT ? err : -EINVAL, "has just ended");
	container_label(containers_find(s->c, c->id, p->in_tree), c->id, out->label);
	return 0;
}

/* --- several, or none --- */

static void describe(const struct search *s, const struct choice *c, char out[static DESCRIPTION_BYTES])
{
	const struct container_record *r = containers_find(s->c, c->id, c->places.list[0].in_tree);
	char name[CONTAINER_LABEL_BYTES], pod[CONTAINER_LABEL_BYTES] = "", id[CONTAINER_LABEL_BYTES];

	container_label(NULL, c->id, id);
	container_label(r, c->id, name);
	if (r && r->pod)
		container_printable(r->pod, pod);
	if (r && r->name)
		snprintf(out, DESCRIPTION_BYTES, "%s%s%s (%s)", pod, *pod ? "/" : "", name, id);
	else
		snprintf(out, DESCRIPTION_BYTES, "%s", id);
}

static int several(struct search *s, struct choice **list, size_t n)
{
	char text[SHOWN * DESCRIPTION_BYTES + 64] = "", one[DESCRIPTION_BYTES];
	size_t used = 0;

	for (size_t i = 0; i < n && i < SHOWN; i++) {
		describe(s, list[i], one);
		used += snprintf(text + used, sizeof(text) - used, "%s%s", i ? ", " : "", one);
	}
	if (n > SHOWN)
		snprintf(text + used, sizeof(text) - used, " and %zu more", n - SHOWN);
	return fail(s, -ENOTUNIQ, "means several containers: %s; give more digits of an id, or a pod's name as pod/name", text);
}

/* Processes elsewhere have paths like "/../../x" then, and no mount shows them. */
static bool sees_a_part(const struct search *s)
{
	char path[PATH_MAX], line[4096];
	bool part = false;
	FILE *f;

	for (size_t i = 0; i < s->mounts.n; i++)
		if (!strncmp(s->mounts.list[i].tree, "/..", 3))
			return false;
	if (snprintf(path, sizeof(path), "%s/proc/1/cgroup", s->c->root) >= (int)sizeof(path))
		return false;
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		part |= strstr(line, ":/..") != NULL;
	if (f)
		fclose(f);
	return part;
}

static int none(struct search *s, bool known)
{
	bool digits = s->is_digits && strlen(s->wanted) < MIN_PREFIX;

	if (s->too_short)
		return fail(s, -EINVAL, "is no container's name, and too short for an id: at least %d digits of one are needed", MIN_PREFIX);
	if (sees_a_part(s))
		return fail(s, -ENOENT, "no container of this name or id can be seen: this process has a cgroup namespace of its own; "
			    "run it in the host's, or with the host's /sys/fs/cgroup mounted");
	if (known)
		return fail(s, -ENOENT, "this container is not running (now)");
	return fail(s, -ENOENT, "no container has this name or id now%s", digits ? "; of an id, at least 6 digits are needed" : "");
}

static bool counts(const struct choice *c, enum rank rank, bool processes, bool outer, bool pause)
{
	return c->places.n && c->rank == rank && (c->has_processes || !processes) && (c->outer || !outer) && (!c->pause || pause);
}

/* The best there are: with processes before those without, containers before what is in them, workers before pauses. */
static size_t choose(struct search *s, enum rank rank, struct choice *list[static MAX_CHOICES])
{
	size_t n = 0;

	for (int relaxed = 0; relaxed < 8 && !n; relaxed++)
		for (size_t i = 0; i < s->n; i++)
			if (counts(&s->choices[i], rank, !(relaxed & 4), !(relaxed & 2), relaxed & 1))
				list[n++] = &s->choices[i];
	return n;
}

static int decide(struct search *s, struct cgroup_target *out)
{
	struct choice *list[MAX_CHOICES];
	bool known = false;

	for (enum rank rank = WHOLE_ID; rank > NOTHING; rank--) {
		size_t n = choose(s, rank, list);

		if (n)
			return n == 1 ? take(s, list[0], out) : several(s, list, n);
		for (size_t i = 0; i < s->n; i++)
			known |= s->choices[i].rank == rank && rank != COMPONENT;
		/* What is called so, but does not run, is not another whose id happens to begin so. */
		if (known && rank <= COMPONENT)
			break;
	}
	return none(s, known);
}

static int search(struct search *s, struct cgroup_target *out)
{
	int err = cgroup_mounts_read(s->c->root, &s->mounts);

	if (err)
		return fail(s, -EINVAL, "%s/proc/self/mountinfo cannot be read: %s", s->c->root, strerror(-err));
	if (!s->mounts.n || !cgroup_mount_usable(&s->mounts.list[0]))
		return fail(s, -EINVAL, "this host has no cgroup tree mounted, neither v2 nor one with controllers");
	containers_refresh(s->c);
	container_state_each(&s->c->state, take_record, s);
	for (size_t i = 0; i < s->mounts.n && cgroup_mount_usable(&s->mounts.list[i]); i++)
		cgroup_walk(&s->mounts.list[i], visit, s);
	container_state_each(&s->c->state, take_cgroups, s);
	for (size_t i = 0; i < s->n; i++)
		if (s->choices[i].places.n)
			s->choices[i].has_processes = container_places_read(&s->choices[i].places)->pids.n;
	return decide(s, out);
}

int containers_resolve(struct containers *c, const char *wanted, struct cgroup_target *out, char *why, size_t why_size)
{
	struct search s = {.c = c, .wanted = wanted, .why = why, .why_size = why_size};
	const char *scheme = strstr(wanted, "://"); /* Kubernetes writes "containerd://<id>", Docker "/name" */
	int ret;

	if (scheme || *wanted == '/')
		s.wanted = scheme ? scheme + 3 : wanted + 1;
	if (!*s.wanted)
		return fail(&s, -EINVAL, "is empty; give a container's name, or at least %d digits of its id", MIN_PREFIX);
	if (strlen(s.wanted) >= CONTAINER_ID_BYTES)
		return fail(&s, -EINVAL, "is too long for a container's name");
	s.is_digits = container_id_digits(s.wanted);
	ret = search(&s, out);
	for (size_t i = 0; i < s.n; i++)
		container_places_fini(&s.choices[i].places);
	free(s.choices);
	cgroup_mounts_fini(&s.mounts);
	return ret;
}

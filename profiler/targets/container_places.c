/* SPDX-License-Identifier: Apache-2.0 */
/* See container_places.h. */
#include <stdlib.h>
#include <string.h>
#include "container_places.h"
#include "../intern.h"

#define TRIES 3 /* to see the same processes in two hierarchies: they start and end meanwhile */

static void place_free(struct container_place *p)
{
	free(p->path);
	free(p->in_tree);
	pid_list_free(&p->pids);
}

void container_places_clear(struct container_places *p)
{
	while (p->n)
		place_free(&p->list[--p->n]);
}

void container_places_drop_above(struct container_places *p, const char *in_tree)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		if (path_below(in_tree, p->list[i].in_tree))
			place_free(&p->list[i]);
		else
			p->list[n++] = p->list[i];
	}
	p->n = n;
}

void container_places_fini(struct container_places *p)
{
	container_places_clear(p);
	free(p->list);
	*p = (struct container_places){0};
}

void container_places_add(struct container_places *p, const struct cgroup_mount *m, const char *path, const char *in_tree)
{
	struct container_place one = {.mount = m};

	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->list[i].path, path))
			return;
	one.path = strdup(path);
	one.in_tree = strdup(in_tree);
	if (!one.path || !one.in_tree || array_reserve((void **)&p->list, &p->capacity, p->n, sizeof(*p->list)))
		place_free(&one);
	else
		p->list[p->n++] = one;
}

static int by_preference(const void *a, const void *b)
{
	const struct container_place *x = a, *y = b;

	if (x->mount->order != y->mount->order)
		return x->mount->order < y->mount->order ? -1 : 1;
	if (strlen(x->path) != strlen(y->path))
		return strlen(x->path) < strlen(y->path) ? -1 : 1;
	return strcmp(x->path, y->path);
}

const struct container_place *container_places_read(struct container_places *p)
{
	struct container_place *fullest;

	qsort(p->list, p->n, sizeof(*p->list), by_preference);
	fullest = &p->list[0];
	for (size_t i = 0; i < p->n; i++) {
		struct container_place *one = &p->list[i];

		pid_list_free(&one->pids);
		pid_list_read(&one->pids, one->path);
		if (one->pids.n > fullest->pids.n)
			fullest = one;
	}
	return fullest;
}

static bool has_all(const struct pid_list *a, const struct pid_list *of)
{
	for (size_t i = 0; i < of->n; i++)
		if (!pid_list_has(a, of->list[i]))
			return false;
	return true;
}

const struct container_place *container_places_best(struct container_places *p)
{
	const struct container_place *fullest = NULL;

	for (int i = 0; i < TRIES; i++) {
		fullest = container_places_read(p);
		for (size_t j = 0; j < p->n; j++)
			if (has_all(&p->list[j].pids, &fullest->pids))
				return &p->list[j];
	}
	return fullest;
}

const struct container_place *container_places_stranger(const struct container_places *p, const struct container_place *of)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->list[i].pids.n && &p->list[i] != of && !pid_list_meets(&p->list[i].pids, &of->pids))
			return &p->list[i];
	return NULL;
}

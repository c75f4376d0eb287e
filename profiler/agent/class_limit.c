/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See class_limit.h.
 *
 *	sets of labels -> identities (what a set says of the class) -> the heaviest of these
 *	               -> sets without the others' labels -> the sets that differ -> samples that differ
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "class_limit.h"
#include "../intern.h"

#define MAX_SET_LABELS 32

enum fate { FATE_KEEP, FATE_OTHER, FATE_GO }; /* of a label, where its identity is a light one */

struct dimension {
	size_t most;
	struct {
		const char *key;
		enum fate fate;
	} labels[7];
};

struct limiter {
	struct profile *p;
	const struct dimension *d;
	struct intern identities;
	uint32_t *identity_of; /* by set */
	uint64_t *weights;     /* by identity */
	bool *light; /* by identity */
	struct intern sets, samples;
	uint32_t *set_of; /* new set, by old set */
	uint64_t *sample_weights;
	uint32_t other; /* string */
};

static const enum fate *fate_of(const struct limiter *l, const struct profile_label *label)
{
	for (size_t i = 0; l->d->labels[i].key; i++)
		if (!label->unit && !strcmp(l->p->strings[label->key], l->d->labels[i].key))
			return &l->d->labels[i].fate;
	return NULL;
}

/* The identity of a set: its labels of the dimension. 0 is that of sets without any. */
static uint32_t identity(struct limiter *l, const struct profile_labelset *set)
{
	uint64_t key[MAX_SET_LABELS];
	size_t n = 0;

	for (uint32_t i = 0; i < set->count; i++) {
		const struct profile_label *label = &l->p->labels[set->first + i];

		if (fate_of(l, label) && n < MAX_SET_LABELS)
			key[n++] = (uint64_t)label->key << 32 | label->value;
	}
	return intern(&l->identities, key, n * sizeof(*key));
}

static int weigh(struct limiter *l)
{
	const struct profile *p = l->p;

	intern(&l->identities, "", 0);
	for (size_t i = 0; i < p->n_labelsets; i++) {
		l->identity_of[i] = identity(l, &p->labelsets[i]);
		if (l->identity_of[i] == INTERN_NONE)
			return -ENOMEM;
	}
	l->weights = calloc(l->identities.n, sizeof(*l->weights));
	l->light = calloc(l->identities.n, sizeof(*l->light));
	if (!l->weights || !l->light)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_samples; i++)
		l->weights[l->identity_of[p->samples[i].labelset]] += p->samples[i].weight;
	return 0;
}

static int heaviest_first(const void *a, const void *b, void *weights)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	const uint64_t *w = weights;

	if (w[x] != w[y])
		return w[x] < w[y] ? 1 : -1;
	return (x > y) - (x < y);
}

/* Marks the light ones: all but the heaviest, and what has none of the labels. */
static int choose(struct limiter *l)
{
	size_t n = l->identities.n - 1;
	uint32_t *order = malloc((n + 1) * sizeof(*order));

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		order[i] = i + 1;
	qsort_r(order, n, sizeof(*order), heaviest_first, l->weights);
	for (size_t i = l->d->most; i < n; i++)
		l->light[order[i]] = true;
	free(order);
	return 0;
}

static uint32_t limited_set(struct limiter *l, size_t i)
{
	const struct profile_labelset *set = &l->p->labelsets[i];
	const struct profile_label *from = &l->p->labels[set->first];
	struct profile_label labels[MAX_SET_LABELS];
	size_t n = 0;

	if (!l->light[l->identity_of[i]] || set->count > MAX_SET_LABELS)
		return intern(&l->sets, from, set->count * sizeof(*from));
	memset(labels, 0, sizeof(labels));
	for (uint32_t j = 0; j < set->count; j++) {
		const enum fate *fate = fate_of(l, &from[j]);

		if (fate && *fate == FATE_GO)
			continue;
		labels[n] = from[j];
		if (fate && *fate == FATE_OTHER)
			labels[n].value = l->other;
		n++;
	}
	return intern(&l->sets, labels, n * sizeof(*labels));
}

static int merge(struct limiter *l)
{
	const struct profile *p = l->p;

	for (size_t i = 0; i < p->n_labelsets; i++) {
		l->set_of[i] = limited_set(l, i);
		if (l->set_of[i] == INTERN_NONE)
			return -ENOMEM;
	}
	for (size_t i = 0; i < p->n_samples; i++) {
		const uint32_t key[] = {p->samples[i].stack, l->set_of[p->samples[i].labelset]};
		uint32_t id = intern(&l->samples, key, sizeof(key));

		if (id == INTERN_NONE)
			return -ENOMEM;
		l->sample_weights[id] += p->samples[i].weight;
	}
	return 0;
}

/* Nothing fails from here on: what there is now is less. */
static void rewrite(struct limiter *l)
{
	struct profile *p = l->p;
	struct profile_sample *samples = (struct profile_sample *)p->samples;
	struct profile_labelset *sets = (struct profile_labelset *)p->labelsets;
	struct profile_label *labels = (struct profile_label *)p->labels;
	size_t size, n = 0;

	for (size_t i = 0; i < l->sets.n; i++) {
		const void *key = intern_key(&l->sets, i, &size);

		memcpy(labels + n, key, size);
		sets[i] = (struct profile_labelset){n, size / sizeof(*labels)};
		n += size / sizeof(*labels);
	}
	for (size_t i = 0; i < l->samples.n; i++) {
		const uint32_t *key = intern_key(&l->samples, i, NULL);

		samples[i] = (struct profile_sample){key[0], key[1], l->sample_weights[i]};
	}
	p->n_labels = n;
	p->n_labelsets = l->sets.n;
	p->n_samples = l->samples.n;
}

static int other_string(struct profile *p, uint32_t *out)
{
	const char **grown;

	for (*out = 0; *out < p->n_strings; (*out)++)
		if (!strcmp(p->strings[*out], "other"))
			return 0;
	grown = reallocarray((void *)p->strings, p->n_strings + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	grown[p->n_strings++] = "other";
	p->strings = grown;
	return 0;
}

static int limit(struct profile *p, const struct dimension *d)
{
	struct limiter l = {
		.p = p,
		.d = d,
		.identity_of = malloc((p->n_labelsets + 1) * sizeof(*l.identity_of)),
		.set_of = malloc((p->n_labelsets + 1) * sizeof(*l.set_of)),
		.sample_weights = calloc(p->n_samples + 1, sizeof(*l.sample_weights)),
	};
	int err = l.identity_of && l.set_of && l.sample_weights ? 0 : -ENOMEM;

	intern_init(&l.identities, UINT32_MAX);
	intern_init(&l.sets, UINT32_MAX);
	intern_init(&l.samples, UINT32_MAX);
	if (!err)
		err = weigh(&l);
	if (!err && l.identities.n - 1 > d->most) {
		err = other_string(p, &l.other);
		if (!err)
			err = choose(&l);
		if (!err)
			err = merge(&l);
		if (!err)
			rewrite(&l);
	}
	intern_fini(&l.identities);
	intern_fini(&l.sets);
	intern_fini(&l.samples);
	free(l.identity_of);
	free(l.set_of);
	free(l.sample_weights);
	free(l.weights);
	free(l.light);
	return err;
}

int class_limit(struct profile *p, size_t classes)
{
	const struct dimension dimensions[] = {
		{classes,
		 {{"db_system_name", FATE_KEEP},
		  {"db_operation_name", FATE_OTHER},
		  {"db_query_summary", FATE_OTHER},
		  {"db_query_text", FATE_GO},
		  {"db_collection_name", FATE_GO},
		  {"db_namespace", FATE_GO}}},
		{LIMIT_PROCESSES, {{"comm", FATE_OTHER}}},
		{LIMIT_PROCESSES, {{"container", FATE_OTHER}}},
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(dimensions) / sizeof(*dimensions) && !err; i++)
		err = limit(p, &dimensions[i]);
	return err;
}

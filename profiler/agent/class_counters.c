/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See class_counters.h. What the metrics show lies in one array without gaps, and what only this file needs to know of
 * each class beside it; a table of open addressing finds a class by its labels. There are three kinds of places:
 *
 *	FULL	max			a class with its own labels
 *	OTHER	CLASS_COUNTERS_OTHERS	"other" in place of operation and summary; or neither: no query
 *	REST	1			"other" in place of every label; it needs no memory, so there is always room
 */
#include <stdlib.h>
#include <string.h>
#include "../../out/writer.h"
#include "../attribute.h"
#include "class_counters.h"

enum place { PLACE_FULL, PLACE_OTHER, PLACE_REST, N_PLACES };

static const char other[] = "other";

struct labels {
	char text[N_QUERY_LABELS][CLASS_LABEL_BYTES];
};

struct class_state {
	uint64_t hash, last_ns;
	enum place place;
	char *text; /* all labels, one behind the other; NULL in REST */
};

struct class_counters {
	uint64_t idle_ns;
	size_t used[N_PLACES], most[N_PLACES];
	size_t n, room;
	struct metrics_class *classes; /* what is shown, */
	struct class_state *states;    /* and the rest of the same classes */
	uint32_t *slots;	       /* index + 1; 0 is empty */
	size_t n_slots;
	uint64_t ended;
	struct metrics_count cpu_ns[N_ATTRIBUTIONS];
};

struct class_counters *class_counters_new(size_t max, uint64_t idle_ns)
{
	struct class_counters *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->idle_ns = idle_ns;
	c->most[PLACE_FULL] = max;
	c->most[PLACE_OTHER] = CLASS_COUNTERS_OTHERS;
	c->most[PLACE_REST] = 1;
	c->room = max + CLASS_COUNTERS_OTHERS + 1;
	for (c->n_slots = 64; c->n_slots < 2 * c->room; c->n_slots *= 2)
		;
	c->classes = calloc(c->room, sizeof(*c->classes));
	c->states = calloc(c->room, sizeof(*c->states));
	c->slots = calloc(c->n_slots, sizeof(*c->slots));
	for (int i = 0; i < N_ATTRIBUTIONS; i++)
		c->cpu_ns[i].name = attribution_names[i];
	if (!c->classes || !c->states || !c->slots) {
		class_counters_free(c);
		return NULL;
	}
	return c;
}

void class_counters_free(struct class_counters *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		free(c->states[i].text);
	free(c->classes);
	free(c->states);
	free(c->slots);
	free(c);
}

/* Valid UTF-8, and not longer than its place: so that no two classes look the same once they are written. */
static void take_label(char to[static CLASS_LABEL_BYTES], const char *from)
{
	static const char replacement[] = "\xef\xbf\xbd";
	size_t used = 0;

	while (from && *from) {
		uint32_t c;
		size_t n = utf8_decode(from, &c), bytes = c == UTF8_REPLACEMENT ? 3 : n;

		if (used + bytes >= CLASS_LABEL_BYTES)
			break;
		memcpy(to + used, c == UTF8_REPLACEMENT ? replacement : from, bytes);
		used += bytes;
		from += n;
	}
	to[used] = 0;
}

static void set_other(struct labels *l, enum query_label label)
{
	memcpy(l->text[label], other, sizeof(other));
}

static bool is_other(const struct labels *l)
{
	return !strcmp(l->text[QUERY_LABEL_DB_OPERATION_NAME], other) &&
	       !strcmp(l->text[QUERY_LABEL_DB_QUERY_SUMMARY], other);
}

/* CPU time outside of queries. It has few label sets by itself, and never becomes a query's. */
static bool is_no_query(const struct labels *l)
{
	return !*l->text[QUERY_LABEL_DB_OPERATION_NAME] && !*l->text[QUERY_LABEL_DB_QUERY_SUMMARY];
}

/* FNV-1a, with the ends of the labels in it. */
static uint64_t hash_labels(const struct labels *l)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (int i = 0; i < N_QUERY_LABELS; i++)
		for (const char *p = l->text[i];; p++) {
			h = (h ^ (unsigned char)*p) * 0x100000001b3ull;
			if (!*p)
				break;
		}
	return h ^ h >> 32;
}

static bool same_labels(const struct metrics_class *class, const struct labels *l)
{
	for (int i = 0; i < N_QUERY_LABELS; i++)
		if (strcmp(class->labels[i], l->text[i]) != 0)
			return false;
	return true;
}

/* The slot of a class, or the empty one where it would be. */
static uint32_t *find_slot(const struct class_counters *c, uint64_t hash, const struct labels *l)
{
	for (size_t i = hash;; i++) {
		uint32_t *slot = &c->slots[i & (c->n_slots - 1)];

		if (!*slot || (c->states[*slot - 1].hash == hash && same_labels(&c->classes[*slot - 1], l)))
			return slot;
	}
}

/* In one block; NULL: no memory. The labels of the class point into it. */
static char *copy_labels(const struct labels *l, struct metrics_class *class)
{
	size_t bytes = 0, at = 0;
	char *text;

	for (int i = 0; i < N_QUERY_LABELS; i++)
		bytes += strlen(l->text[i]) + 1;
	text = malloc(bytes);
	if (!text)
		return NULL;
	for (int i = 0; i < N_QUERY_LABELS; i++) {
		size_t len = strlen(l->text[i]) + 1;

		class->labels[i] = memcpy(text + at, l->text[i], len);
		at += len;
	}
	return text;
}

/* Returns the index of the class, made if there is a place for it; else -1. */
static ssize_t find_or_make(struct class_counters *c, const struct labels *l, enum place place)
{
	uint64_t hash = hash_labels(l);
	uint32_t *slot = find_slot(c, hash, l);
	struct metrics_class *class = &c->classes[c->n];
	char *text = NULL;

	if (*slot)
		return (ssize_t)*slot - 1;
	if (c->used[place] >= c->most[place])
		return -1;
	if (place == PLACE_REST) {
		for (int i = 0; i < N_QUERY_LABELS; i++)
			class->labels[i] = other;
	} else {
		text = copy_labels(l, class);
		if (!text)
			return -1;
	}
	class->cpu_ns = 0;
	c->states[c->n] = (struct class_state){.hash = hash, .place = place, .text = text};
	c->used[place]++;
	*slot = (uint32_t)++c->n;
	return (ssize_t)c->n - 1;
}

void class_counters_add(struct class_counters *c, const char *const labels[static N_QUERY_LABELS], uint64_t cpu_ns,
			uint64_t now_ns)
{
	struct labels l;
	ssize_t at = -1;

	if (!cpu_ns)
		return;
	for (int i = 0; i < N_QUERY_LABELS; i++)
		take_label(l.text[i], labels[i]);
	if (!is_other(&l))
		at = find_or_make(c, &l, PLACE_FULL);
	if (at < 0) {
		if (!is_no_query(&l)) {
			set_other(&l, QUERY_LABEL_DB_OPERATION_NAME);
			set_other(&l, QUERY_LABEL_DB_QUERY_SUMMARY);
		}
		at = find_or_make(c, &l, PLACE_OTHER);
	}
	if (at < 0) {
		for (int i = 0; i < N_QUERY_LABELS; i++)
			set_other(&l, (enum query_label)i);
		at = find_or_make(c, &l, PLACE_REST);
	}
	c->classes[at].cpu_ns += cpu_ns;
	c->states[at].last_ns = now_ns;
}

void class_counters_expire(struct class_counters *c, uint64_t now_ns)
{
	size_t before = c->n;

	for (size_t i = 0; i < c->n;) {
		if (now_ns - c->states[i].last_ns <= c->idle_ns) {
			i++;
			continue;
		}
		free(c->states[i].text);
		c->used[c->states[i].place]--;
		c->n--;
		c->classes[i] = c->classes[c->n];
		c->states[i] = c->states[c->n];
		c->ended++;
	}
	if (c->n == before)
		return;
	memset(c->slots, 0, c->n_slots * sizeof(*c->slots));
	for (size_t i = 0; i < c->n; i++) {
		size_t at = c->states[i].hash;

		while (c->slots[at & (c->n_slots - 1)])
			at++;
		c->slots[at & (c->n_slots - 1)] = (uint32_t)i + 1;
	}
}

/* --- profiles --- */

static void add_attribution(struct class_counters *c, const char *name, uint64_t cpu_ns)
{
	for (int i = 0; name && i < N_ATTRIBUTIONS; i++)
		if (!strcmp(attribution_names[i], name)) {
			c->cpu_ns[i].value += cpu_ns;
			return;
		}
	c->cpu_ns[ATTRIBUTION_NONE].value += cpu_ns;
}

static void add_labelset(struct class_counters *c, const struct profile *p, uint32_t labelset, const char *service,
			 uint64_t cpu_ns, uint64_t now_ns)
{
#define X(name, text) text,
	static const char *const keys[] = {QUERY_LABELS(X)};
#undef X
	const char *labels[N_QUERY_LABELS];

	for (int i = 0; i < N_QUERY_LABELS; i++)
		labels[i] = label_string(p, labelset, keys[i]);
	if (service)
		labels[QUERY_LABEL_SERVICE_NAME] = service;
	else if (labels[QUERY_LABEL_CONTAINER])
		labels[QUERY_LABEL_SERVICE_NAME] = labels[QUERY_LABEL_CONTAINER];
	else if (labels[QUERY_LABEL_COMM])
		labels[QUERY_LABEL_SERVICE_NAME] = labels[QUERY_LABEL_COMM];
	else
		labels[QUERY_LABEL_SERVICE_NAME] = "unknown";
	class_counters_add(c, labels, cpu_ns, now_ns);
	add_attribution(c, label_string(p, labelset, "attribution"), cpu_ns);
}

/* Label sets are few, samples many: added up by label set first, where there is memory for that. */
void class_counters_add_profile(struct class_counters *c, const struct profile *p, const char *service,
				uint64_t now_ns)
{
	uint64_t *weights = calloc(p->n_labelsets + 1, sizeof(*weights));
	struct profile_rounding rounding = {0};

	for (size_t i = 0; i < p->n_samples; i++) {
		const struct profile_sample *s = &p->samples[i];

		if (weights)
			weights[s->labelset] += s->weight;
		else
			add_labelset(c, p, s->labelset, service, profile_round(&rounding, s->weight, p->period_ns),
				     now_ns);
	}
	for (uint32_t i = 0; weights && i < p->n_labelsets; i++)
		add_labelset(c, p, i, service, profile_round(&rounding, weights[i], p->period_ns), now_ns);
	free(weights);
}

void class_counters_metrics(const struct class_counters *c, struct metrics *out)
{
	out->classes = c->classes;
	out->n_classes = c->n;
	out->classes_evicted = c->ended;
	out->cpu_ns = c->cpu_ns;
	out->n_cpu_ns = N_ATTRIBUTIONS;
}

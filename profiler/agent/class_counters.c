/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See class_counters.h. A class is found by its labels, which are a key of `keys`; what was counted lies beside that, by the
 * key's number. There are three kinds of places:
 *
 *	FULL	max			a class with its own labels
 *	OTHER	CLASS_COUNTERS_OTHERS	"other" in place of operation and summary; or neither: no query
 *	REST	1			"other" in place of every label; it needs no memory, so there is always room
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "../../out/writer.h"
#include "../attribute.h"
#include "../intern.h"
#include "class_counters.h"

enum place { PLACE_FULL, PLACE_OTHER, N_PLACES };

static const char other[] = "other";

/* As a key: one label behind the other, each with its NUL. */
struct labels {
	char text[N_QUERY_LABELS * CLASS_LABEL_BYTES];
	size_t bytes;
};

struct count {
	uint64_t cpu_ns, last_ns;
	enum place place;
};

struct class_counters {
	uint64_t idle_ns;
	size_t used[N_PLACES], most[N_PLACES];
	struct intern keys;
	struct count *counts;	       /* by key, */
	struct count rest;	       /* and of what found no place */
	struct metrics_class *classes; /* what is shown of them: one more than there are places */
	uint64_t ended;
	struct metrics_count cpu_ns[N_ATTRIBUTIONS];
};

struct class_counters *class_counters_new(size_t max, uint64_t idle_ns)
{
	struct class_counters *c = calloc(1, sizeof(*c));
	size_t room = max + CLASS_COUNTERS_OTHERS;

	if (!c)
		return NULL;
	c->idle_ns = idle_ns;
	c->most[PLACE_FULL] = max;
	c->most[PLACE_OTHER] = CLASS_COUNTERS_OTHERS;
	intern_init(&c->keys, room);
	c->counts = calloc(room, sizeof(*c->counts));
	c->classes = calloc(room + 1, sizeof(*c->classes));
	for (int i = 0; i < N_ATTRIBUTIONS; i++)
		c->cpu_ns[i].name = attribution_names[i];
	if (!c->counts || !c->classes) {
		class_counters_free(c);
		return NULL;
	}
	return c;
}

void class_counters_free(struct class_counters *c)
{
	if (!c)
		return;
	intern_fini(&c->keys);
	free(c->counts);
	free(c->classes);
	free(c);
}

/* Valid UTF-8, and not longer than its place: so that no two classes look the same once they are written. */
static void make_key(const char *const labels[static N_QUERY_LABELS], struct labels *out)
{
	out->bytes = 0;
	for (int i = 0; i < N_QUERY_LABELS; i++)
		out->bytes += utf8_copy(out->text + out->bytes, CLASS_LABEL_BYTES - 1, labels[i] ? labels[i] : "") + 1;
}

static bool has(const char *const labels[static N_QUERY_LABELS], const char *value)
{
	const char *operation = labels[QUERY_LABEL_DB_OPERATION_NAME], *summary = labels[QUERY_LABEL_DB_QUERY_SUMMARY];

	return !strcmp(operation ? operation : "", value) && !strcmp(summary ? summary : "", value);
}

/* The index of a class' count, which is made if there is a place for it; else INTERN_NONE. */
static uint32_t find_or_make(struct class_counters *c, const char *const labels[static N_QUERY_LABELS], enum place place)
{
	struct labels key;
	uint32_t id, known = c->keys.n;

	make_key(labels, &key);
	if (c->used[place] >= c->most[place])
		return intern_find(&c->keys, key.text, key.bytes);
	id = intern(&c->keys, key.text, key.bytes);
	if (id == known) {
		c->counts[id] = (struct count){.place = place};
		c->used[place]++;
	}
	return id;
}

void class_counters_add(struct class_counters *c, const char *const labels[static N_QUERY_LABELS], uint64_t cpu_ns,
			uint64_t now_ns)
{
	const char *without[N_QUERY_LABELS];
	uint32_t id = INTERN_NONE;
	struct count *count;

	if (!cpu_ns)
		return;
	memcpy(without, labels, sizeof(without));
	if (!has(labels, other))
		id = find_or_make(c, labels, PLACE_FULL);
	if (!has(labels, "")) /* CPU time outside of queries has few label sets by itself, and never becomes a query's */
		without[QUERY_LABEL_DB_OPERATION_NAME] = without[QUERY_LABEL_DB_QUERY_SUMMARY] = other;
	if (id == INTERN_NONE)
		id = find_or_make(c, without, PLACE_OTHER);
	count = id == INTERN_NONE ? &c->rest : &c->counts[id];
	count->cpu_ns += cpu_ns;
	count->last_ns = now_ns;
}

static bool is_idle(const struct class_counters *c, const struct count *count, uint64_t now_ns)
{
	return now_ns - count->last_ns > c->idle_ns;
}

/* Keeps the others, with new numbers. Returns 0 or -ENOMEM: then it is as it was. */
static int keep_busy(struct class_counters *c, uint64_t now_ns)
{
	struct intern kept;
	uint32_t n = 0;
	size_t size;

	intern_init(&kept, c->keys.limit);
	for (uint32_t i = 0; i < c->keys.n; i++) {
		const void *key = intern_key(&c->keys, i, &size);

		if (!is_idle(c, &c->counts[i], now_ns) && intern(&kept, key, size) == INTERN_NONE) {
			intern_fini(&kept);
			return -ENOMEM;
		}
	}
	for (uint32_t i = 0; i < c->keys.n; i++) {
		if (is_idle(c, &c->counts[i], now_ns))
			c->used[c->counts[i].place]--;
		else
			c->counts[n++] = c->counts[i];
	}
	c->ended += c->keys.n - n;
	intern_fini(&c->keys);
	c->keys = kept;
	return 0;
}

void class_counters_expire(struct class_counters *c, uint64_t now_ns)
{
	if (c->rest.cpu_ns && is_idle(c, &c->rest, now_ns)) {
		c->rest.cpu_ns = 0;
		c->ended++;
	}
	for (uint32_t i = 0; i < c->keys.n; i++)
		if (is_idle(c, &c->counts[i], now_ns)) {
			keep_busy(c, now_ns);
			return;
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
	uint32_t own = label_service(p, labelset);

	for (int i = 0; i < N_QUERY_LABELS; i++)
		labels[i] = label_string(p, labelset, keys[i]);
	labels[QUERY_LABEL_SERVICE_NAME] = service ? service : own ? p->strings[own] : LABEL_SERVICE_UNKNOWN;
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
	size_t n = 0;

	for (; n < c->keys.n; n++) {
		const char *text = intern_key(&c->keys, n, NULL);

		for (int i = 0; i < N_QUERY_LABELS; i++, text += strlen(text) + 1)
			c->classes[n].labels[i] = text;
		c->classes[n].cpu_ns = c->counts[n].cpu_ns;
	}
	if (c->rest.cpu_ns) {
		for (int i = 0; i < N_QUERY_LABELS; i++)
			c->classes[n].labels[i] = other;
		c->classes[n++].cpu_ns = c->rest.cpu_ns;
	}
	out->classes = c->classes;
	out->n_classes = n;
	out->classes_evicted = c->ended;
	out->cpu_ns = c->cpu_ns;
	out->n_cpu_ns = N_ATTRIBUTIONS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* class_limit(): the heaviest classes keep their labels, nothing is lost, and what is the same is one sample. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out/profile.h"
#include "out/writer.h"
#include "profiler/agent/class_limit.h"
#include "profiler/profile_build.h"

#define MAX_STRINGS 4096
#define SET_LABELS  6

/* A profile that grows by samples, in blocks that profile_free() frees. */
struct made {
	struct profile p;
	char *texts[MAX_STRINGS];
	const char **strings;
	struct profile_label *labels;
	struct profile_labelset *sets;
	struct profile_sample *samples;
};

static uint32_t string(struct made *m, const char *text)
{
	for (size_t i = 0; i < m->p.n_strings; i++)
		if (!strcmp(m->strings[i], text))
			return i;
	assert_true(m->p.n_strings < MAX_STRINGS);
	m->texts[m->p.n_strings] = strdup(text);
	m->strings[m->p.n_strings] = m->texts[m->p.n_strings];
	return m->p.n_strings++;
}

static struct made *make(size_t room)
{
	struct made *m = calloc(1, sizeof(*m));

	m->p.strings = m->strings = calloc(MAX_STRINGS, sizeof(*m->strings));
	m->p.labels = m->labels = calloc(room * SET_LABELS, sizeof(*m->labels));
	m->p.labelsets = m->sets = calloc(room, sizeof(*m->sets));
	m->p.samples = m->samples = calloc(room, sizeof(*m->samples));
	string(m, "");
	return m;
}

static void unmake(struct made *m)
{
	profile_free(&m->p);
	for (size_t i = 0; i < MAX_STRINGS; i++)
		free(m->texts[i]);
	free(m);
}

/* "key=value" words; one label each, "pid=#7" a number. */
static void add(struct made *m, uint32_t stack, uint64_t weight, const char *const *words)
{
	struct profile_labelset *set = &m->sets[m->p.n_labelsets];

	*set = (struct profile_labelset){.first = m->p.n_labels};
	for (; *words; words++, set->count++) {
		struct profile_label *label = &m->labels[m->p.n_labels++];
		const char *equals = strchr(*words, '=');
		char key[64];

		snprintf(key, sizeof(key), "%.*s", (int)(equals - *words), *words);
		label->key = string(m, key);
		if (equals[1] == '#') {
			label->number = atoi(equals + 2);
			label->unit = string(m, "id");
		} else {
			label->value = string(m, equals + 1);
		}
	}
	m->samples[m->p.n_samples++] = (struct profile_sample){stack, m->p.n_labelsets++, weight};
}
#define ADD(m, stack, weight, ...) add(m, stack, weight, (const char *const[]){__VA_ARGS__, NULL})

static uint64_t total(const struct profile *p)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < p->n_samples; i++)
		sum += p->samples[i].weight;
	return sum;
}

/* Weight of the samples whose label has this value; NULL: that lack the label. */
static uint64_t weight_of(const struct profile *p, const char *key, const char *value)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < p->n_samples; i++) {
		const char *found = label_string(p, p->samples[i].labelset, key);

		if (value ? found && !strcmp(found, value) : !found)
			sum += p->samples[i].weight;
	}
	return sum;
}

static void few_classes_stay_as_they_are(void **state)
{
	struct made *m = make(8);

	(void)state;
	ADD(m, 1, 10, "db_operation_name=GET", "db_query_summary=GET a:*", "comm=redis");
	ADD(m, 1, 20, "db_operation_name=SET", "db_query_summary=SET a:*", "comm=redis");
	ADD(m, 2, 30, "comm=redis");
	assert_int_equal(class_limit(&m->p, 2), 0);
	assert_int_equal(m->p.n_samples, 3);
	assert_int_equal(m->p.n_labelsets, 3);
	assert_int_equal(weight_of(&m->p, "db_query_summary", "GET a:*"), 10);
	assert_int_equal(weight_of(&m->p, "db_query_summary", NULL), 30);
	unmake(m);
}

static void the_lightest_become_other(void **state)
{
	struct made *m = make(8);

	(void)state;
	ADD(m, 1, 10, "db_system_name=redis", "db_operation_name=GET", "db_query_summary=GET a:*", "pid=#1");
	ADD(m, 1, 11, "db_system_name=redis", "db_operation_name=GET", "db_query_summary=GET b:*", "pid=#1");
	ADD(m, 1, 50, "db_system_name=redis", "db_operation_name=SET", "db_query_summary=SET a:*", "pid=#1");
	ADD(m, 2, 12, "db_system_name=mysql", "db_operation_name=SELECT", "db_query_summary=SELECT t", "db_collection_name=t");
	ADD(m, 1, 100, "pid=#1");
	assert_int_equal(class_limit(&m->p, 1), 0);
	assert_int_equal(weight_of(&m->p, "db_query_summary", "SET a:*"), 50);
	assert_int_equal(weight_of(&m->p, "db_query_summary", "other"), 33);
	assert_int_equal(weight_of(&m->p, "db_operation_name", "other"), 33);
	assert_int_equal(weight_of(&m->p, "db_system_name", "mysql"), 12);
	assert_int_equal(weight_of(&m->p, "db_collection_name", "t"), 0);
	assert_int_equal(weight_of(&m->p, "db_query_summary", NULL), 100);
	assert_int_equal(m->p.n_samples, 4); /* both GETs have become one */
	assert_int_equal(total(&m->p), 183);
	unmake(m);
}

static void a_class_is_all_its_labels(void **state)
{
	struct made *m = make(8);

	(void)state;
	ADD(m, 1, 10, "db_query_summary=SELECT t", "db_namespace=a");
	ADD(m, 1, 20, "db_query_summary=SELECT t", "db_namespace=b");
	assert_int_equal(class_limit(&m->p, 1), 0);
	assert_int_equal(weight_of(&m->p, "db_namespace", "b"), 20);
	assert_int_equal(weight_of(&m->p, "db_namespace", "a"), 0);
	assert_int_equal(weight_of(&m->p, "db_query_summary", "other"), 10);
	unmake(m);
}

static void processes_are_limited_too(void **state)
{
	size_t n = 3 * LIMIT_PROCESSES;
	struct made *m = make(n);
	char comm[32], container[32];

	(void)state;
	for (size_t i = 0; i < n; i++) {
		snprintf(comm, sizeof(comm), "comm=job%zu", i);
		snprintf(container, sizeof(container), "container=c%zu", i);
		ADD(m, 1, i + 1, comm, container);
	}
	assert_int_equal(class_limit(&m->p, 50), 0);
	assert_int_equal(total(&m->p), n * (n + 1) / 2);
	assert_int_equal(weight_of(&m->p, "comm", "job299"), 300);
	assert_int_equal(weight_of(&m->p, "comm", "other"), 2 * LIMIT_PROCESSES * (2 * LIMIT_PROCESSES + 1) / 2);
	assert_int_equal(m->p.n_samples, LIMIT_PROCESSES + 1);
	unmake(m);
}

/* Many at random: whoever stays is at least as heavy as whoever does not, and all of it is there. */
static void random_profiles_keep_their_weight(void **state)
{
	(void)state;
	srandom(7);
	for (int round = 0; round < 50; round++) {
		size_t n = 1 + random() % 400, most = 1 + random() % 60, kept = 0;
		uint64_t weights[64] = {0}, least = UINT64_MAX, before;
		struct made *m = make(n);
		char summary[64];

		for (size_t i = 0; i < n; i++) {
			size_t class = random() % 64;
			uint64_t weight = 1 + random() % 1000;

			weights[class] += weight;
			snprintf(summary, sizeof(summary), "db_query_summary=Q%zu", class);
			ADD(m, random() % 8, weight, summary, random() % 2 ? "phase=execute" : "phase=reply");
		}
		before = total(&m->p);
		assert_int_equal(class_limit(&m->p, most), 0);
		assert_int_equal(total(&m->p), before);
		for (size_t class = 0; class < 64; class++) {
			snprintf(summary, sizeof(summary), "Q%zu", class);
			if (!weight_of(&m->p, "db_query_summary", summary))
				continue;
			assert_int_equal(weight_of(&m->p, "db_query_summary", summary), weights[class]);
			kept++;
			least = weights[class] < least ? weights[class] : least;
		}
		assert_true(kept <= most);
		for (size_t class = 0; class < 64; class++) {
			snprintf(summary, sizeof(summary), "Q%zu", class);
			if (!weight_of(&m->p, "db_query_summary", summary))
				assert_true(weights[class] <= least);
		}
		unmake(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_classes_stay_as_they_are),
		cmocka_unit_test(the_lightest_become_other),
		cmocka_unit_test(a_class_is_all_its_labels),
		cmocka_unit_test(processes_are_limited_too),
		cmocka_unit_test(random_profiles_keep_their_weight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

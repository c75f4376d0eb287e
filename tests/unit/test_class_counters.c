/* SPDX-License-Identifier: Apache-2.0 */
/* Counters per query class: what comes in is what they add up to, however many classes there are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "out/writer.h"
#include "profiler/agent/class_counters.h"
#include "sample_profile.h"

#define SECOND 1000000000ull
#define HOUR   (3600 * SECOND)

static void add(struct class_counters *c, const char *operation, const char *summary, const char *comm, uint64_t ns,
		uint64_t now)
{
	const char *labels[N_QUERY_LABELS] = {"redis", operation, summary, "shop", NULL, comm};

	class_counters_add(c, labels, ns, now);
}

static struct metrics shown(const struct class_counters *c)
{
	struct metrics m = {0};

	class_counters_metrics(c, &m);
	return m;
}

static uint64_t sum(const struct class_counters *c)
{
	struct metrics m = shown(c);
	uint64_t total = 0;

	for (size_t i = 0; i < m.n_classes; i++)
		total += m.classes[i].cpu_ns;
	return total;
}

/* Of the one counter with this summary and command; 0: there is none. */
static uint64_t value(const struct class_counters *c, const char *summary, const char *comm)
{
	struct metrics m = shown(c);
	uint64_t found = 0;

	for (size_t i = 0; i < m.n_classes; i++)
		if (!strcmp(m.classes[i].labels[QUERY_LABEL_DB_QUERY_SUMMARY], summary) &&
		    !strcmp(m.classes[i].labels[QUERY_LABEL_COMM], comm)) {
			assert_int_equal(found, 0);
			found = m.classes[i].cpu_ns;
		}
	return found;
}

static void assert_all_different(const struct class_counters *c)
{
	struct metrics m = shown(c);

	for (size_t i = 0; i < m.n_classes; i++)
		for (size_t j = 0; j < i; j++) {
			int same = 1;

			for (int k = 0; k < N_QUERY_LABELS; k++)
				same &= !strcmp(m.classes[i].labels[k], m.classes[j].labels[k]);
			assert_false(same);
		}
}

static void classes_are_told_apart(void **state)
{
	struct class_counters *c = class_counters_new(10, HOUR);

	(void)state;
	add(c, "GET", "GET a", "r", 5, 1);
	add(c, "GET", "GET b", "r", 7, 1);
	add(c, "GET", "GET a", "s", 11, 1);
	add(c, "GET", "GET a", "r", 13, 2);
	add(c, "GET", "GET c", "r", 0, 2); /* no CPU time: no class */
	assert_int_equal(shown(c).n_classes, 3);
	assert_int_equal(value(c, "GET a", "r"), 18);
	assert_int_equal(value(c, "GET b", "r"), 7);
	assert_int_equal(value(c, "GET a", "s"), 11);
	class_counters_free(c);
	class_counters_free(NULL);
}

/* "ab" + "c" is not "a" + "bc". */
static void labels_do_not_run_together(void **state)
{
	struct class_counters *c = class_counters_new(10, HOUR);

	(void)state;
	add(c, "ab", "c", "r", 1, 1);
	add(c, "a", "bc", "r", 2, 1);
	add(c, "", "abc", "r", 4, 1);
	add(c, "abc", "", "r", 8, 1);
	assert_int_equal(shown(c).n_classes, 4);
	class_counters_free(c);
}

/* Each class beyond the places counts in its system's, service's and command's "other". */
static void further_ones_are_other(void **state)
{
	struct class_counters *c = class_counters_new(3, HOUR);
	char summary[32];
	uint64_t total = 0;

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(summary, sizeof(summary), "GET %u", i);
		add(c, "GET", summary, i % 2 ? "a" : "b", 1000 + i, 1);
		total += 1000 + i;
	}
	assert_int_equal(shown(c).n_classes, 5);
	assert_int_equal(value(c, "GET 0", "b"), 1000);
	assert_int_equal(value(c, "other", "a") + value(c, "other", "b") + 1000 + 1001 + 1002, total);
	assert_int_equal(sum(c), total);
	add(c, "GET", "GET 1", "a", 5, 1); /* one that has its place keeps it */
	assert_int_equal(value(c, "GET 1", "a"), 1006);
	add(c, "other", "other", "a", 7, 1); /* named so before it came here: the same */
	assert_int_equal(sum(c), total + 12);
	assert_int_equal(shown(c).n_classes, 5);
	class_counters_free(c);
}

/* Time outside of queries never becomes a query's, unless every label is "other". */
static void no_query_stays_no_query(void **state)
{
	struct class_counters *c = class_counters_new(1, HOUR);

	(void)state;
	add(c, "GET", "GET a", "r", 1, 1);
	add(c, "", "", "r", 2, 1);
	add(c, NULL, NULL, "r", 4, 1);
	add(c, "GET", "GET b", "r", 8, 1);
	assert_int_equal(value(c, "", "r"), 6);
	assert_int_equal(value(c, "other", "r"), 8);
	class_counters_free(c);
}

/* More commands than there are places for "other": the last place takes them all, and it is one. */
static void the_rest_is_one(void **state)
{
	struct class_counters *c = class_counters_new(2, HOUR);
	char comm[32];
	uint64_t total = 0;

	(void)state;
	for (unsigned int i = 0; i < 5000; i++) {
		snprintf(comm, sizeof(comm), "comm %u", i % 1000);
		add(c, "GET", "GET a", comm, i, 1);
		total += i;
		assert_int_equal(sum(c), total);
	}
	assert_int_equal(shown(c).n_classes, 2 + CLASS_COUNTERS_OTHERS + 1);
	assert_true(value(c, "other", "other") > 0);
	assert_all_different(c);
	class_counters_free(c);
}

static void idle_classes_give_up_their_places(void **state)
{
	struct class_counters *c = class_counters_new(2, HOUR);

	(void)state;
	add(c, "GET", "GET a", "r", 1, 0);
	add(c, "GET", "GET b", "r", 2, 0);
	add(c, "GET", "GET c", "r", 4, 0); /* other */
	class_counters_expire(c, HOUR);
	assert_int_equal(shown(c).n_classes, 3);
	add(c, "GET", "GET b", "r", 8, HOUR);
	class_counters_expire(c, HOUR + 1);
	assert_int_equal(shown(c).n_classes, 1);
	assert_int_equal(shown(c).classes_evicted, 2);
	assert_int_equal(sum(c), 10); /* what was a's and the others' is nobody's now */
	add(c, "GET", "GET c", "r", 16, HOUR + 1); /* there is a place again */
	add(c, "GET", "GET d", "r", 32, HOUR + 1);
	add(c, "GET", "GET d", "r", 64, HOUR + 1);
	assert_int_equal(value(c, "GET c", "r"), 16);
	assert_int_equal(value(c, "other", "r"), 96);
	class_counters_expire(c, 2 * HOUR + 1); /* b's last was at HOUR */
	add(c, "GET", "GET b", "r", 128, 2 * HOUR + 1); /* comes back, from 0 */
	assert_int_equal(value(c, "GET b", "r"), 128);
	class_counters_free(c);
}

/* Random classes come and go; a plain list of what each one must have says the same. */
static void against_a_plain_list(void **state)
{
	enum { CLASSES = 60, PLACES = 40 };
	struct class_counters *c = class_counters_new(PLACES, 100);
	uint64_t expected[CLASSES] = {0}, last[CLASSES] = {0}, now = 0;
	uint32_t seed = 3;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		unsigned int which;
		char summary[32];

		seed = seed * 1664525 + 1013904223;
		which = (seed >> 8) % (PLACES - 5) + (seed >> 31) * (i / 1000 % 25);
		now += seed >> 30;
		class_counters_expire(c, now);
		for (int j = 0; j < CLASSES; j++)
			if (expected[j] && now - last[j] > 100)
				expected[j] = 0;
		snprintf(summary, sizeof(summary), "GET %u", which);
		add(c, "GET", summary, "r", 1 + which, now);
		if (value(c, summary, "r")) {
			expected[which] += 1 + which;
			last[which] = now;
		}
		for (unsigned int j = 0; i % 100 == 0 && j < CLASSES; j++) {
			snprintf(summary, sizeof(summary), "GET %u", j);
			assert_int_equal(value(c, summary, "r"), expected[j]);
		}
	}
	assert_all_different(c);
	class_counters_free(c);
}

/* Two values that would be written the same are the same class: Prometheus refuses a line that stands twice. */
static void labels_are_made_valid_first(void **state)
{
	struct class_counters *c = class_counters_new(10, HOUR);
	char longer[1000], cut[1000];

	(void)state;
	add(c, "GET", "a\xff", "r", 1, 1);
	add(c, "GET", "a\xfe", "r", 2, 1);
	add(c, "GET", "a\xef\xbf\xbd", "r", 4, 1);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[999] = 0;
	add(c, "GET", longer, "r", 8, 1);
	longer[998] = 0;
	add(c, "GET", longer, "r", 16, 1);
	assert_int_equal(shown(c).n_classes, 2);
	assert_int_equal(value(c, "a\xef\xbf\xbd", "r"), 7);
	snprintf(cut, sizeof(cut), "%.*s", CLASS_LABEL_BYTES - 1, longer);
	assert_int_equal(value(c, cut, "r"), 24);
	/* A character is not cut in two. */
	for (int i = 0; i < 3; i++) {
		memset(longer, 'y', 254);
		memcpy(longer + 252 + i, "\xe2\x82\xac", 4);
		add(c, "GET", longer, "euro", 1, 1);
	}
	for (size_t i = 0; i < shown(c).n_classes; i++)
		assert_true(utf8_valid(shown(c).classes[i].labels[QUERY_LABEL_DB_QUERY_SUMMARY]));
	class_counters_free(c);
}

/* A profile's classes and attributions each add up to its CPU time, to the nanosecond. */
static void profiles_add_up(void **state)
{
	struct class_counters *c = class_counters_new(4, HOUR);
	struct sample_profile *s = sample_profile_new();
	struct profile_rounding rounding = {0};
	uint64_t weight = 0, total, attributed = 0;
	struct metrics m;

	(void)state;
	for (size_t i = 0; i < s->p.n_samples; i++)
		weight += s->samples[i].weight;
	total = profile_round(&rounding, weight, s->p.period_ns);
	assert_true(total > 0);
	for (int i = 0; i < 3; i++)
		class_counters_add_profile(c, &s->p, i == 1 ? "named" : NULL, SECOND);
	m = shown(c);
	assert_int_equal(sum(c), 3 * total);
	for (size_t i = 0; i < m.n_cpu_ns; i++)
		attributed += m.cpu_ns[i].value;
	assert_int_equal(attributed, 3 * total);
	assert_all_different(c);
	sample_profile_free(s);
	class_counters_free(c);
}

static void services_are_named_as_in_what_is_pushed(void **state)
{
	struct class_counters *c = class_counters_new(10, HOUR);
	struct sample_profile *s = sample_profile_empty(100);
	static const char *const expected[] = {"web-1", "redis-server", "unknown"};
	uint32_t frame, stack;

	(void)state;
	sample_mapping(s, "/bin/a", 0x400000);
	frame = sample_location(s, 0, PROFILE_USER, NULL, "main");
	stack = sample_stack(s, &frame, 1);
	for (int i = 0; i < 3; i++) {
		uint32_t set = sample_labelset(s);

		if (i == 0)
			sample_label(s, "container", "web-1");
		if (i < 2)
			sample_label(s, "comm", "redis-server");
		if (i == 1)
			sample_label(s, "attribution", "exact");
		sample_add(s, stack, set, PROFILE_SAMPLE_WEIGHT);
	}
	class_counters_add_profile(c, &s->p, NULL, 1);
	assert_int_equal(shown(c).n_classes, 3);
	for (int i = 0; i < 3; i++) {
		assert_string_equal(shown(c).classes[i].labels[QUERY_LABEL_SERVICE_NAME], expected[i]);
		assert_int_equal(shown(c).classes[i].cpu_ns, SAMPLE_PERIOD_NS);
	}
	for (size_t i = 0; i < shown(c).n_cpu_ns; i++)
		assert_int_equal(shown(c).cpu_ns[i].value,
				 !strcmp(shown(c).cpu_ns[i].name, "exact")  ? SAMPLE_PERIOD_NS
				 : !strcmp(shown(c).cpu_ns[i].name, "none") ? 2 * SAMPLE_PERIOD_NS
									     : 0);
	sample_profile_free(s);
	class_counters_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes_are_told_apart),
		cmocka_unit_test(labels_do_not_run_together),
		cmocka_unit_test(further_ones_are_other),
		cmocka_unit_test(no_query_stays_no_query),
		cmocka_unit_test(the_rest_is_one),
		cmocka_unit_test(idle_classes_give_up_their_places),
		cmocka_unit_test(against_a_plain_list),
		cmocka_unit_test(labels_are_made_valid_first),
		cmocka_unit_test(profiles_add_up),
		cmocka_unit_test(services_are_named_as_in_what_is_pushed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

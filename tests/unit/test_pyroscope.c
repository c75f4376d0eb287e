/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of pushes to Pyroscope: every one is decoded again (protobuf-c both ways;
 * tests/live/pyroscope_server.py has a decoder of its own) and held against the server's rules;
 * the sums against the profile it came from.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "out/pyroscope.h"
#include "out/writer.h"
#include "push_body.h"
#include "sample_profile.h"

#include <errno.h>
#include <stdbool.h>

#define BURST                                                                                      \
	(2u << 20) /* of the server's rate limit, in which a profile has to fit with its labels */

struct seen {
	const struct profile *p;
	size_t bodies, samples, most_samples, most_plain, strings;
	uint64_t count, cpu;
	char services[128][2100];
	uint64_t service_count[128];
	size_t n_services;
	char ids[256][40];
	char times[256][2200]; /* service and time: no two are the same */
	int fail_at, err;      /* the callback's own failure */
};

static const char *label_of(const Push__V1__RawProfileSeries *s, const char *name)
{
	for (size_t i = 0; i < s->n_labels; i++)
		if (!strcmp(s->labels[i]->name, name))
			return s->labels[i]->value;
	return NULL;
}

static bool valid_name(const char *s)
{
	return *s &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") ==
		       strlen(s) &&
	       !(*s >= '0' && *s <= '9');
}

static void check_label(const char *name, const char *value)
{
	assert_true(valid_name(name));
	assert_true(strlen(name) <= 1024);
	assert_true(*value);
	assert_true(strlen(value) <= 2048);
	assert_true(utf8_valid(value));
}

static void check_uuid(struct seen *s, const char *id)
{
	assert_int_equal(strlen(id), 36);
	for (int i = 0; i < 36; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23)
			assert_int_equal(id[i], '-');
		else
			assert_non_null(strchr("0123456789abcdef", id[i]));
	}
	assert_int_equal(id[14], '4');
	assert_non_null(strchr("89ab", id[19]));
	for (size_t i = 0; i < s->bodies; i++)
		assert_string_not_equal(s->ids[i], id);
	strcpy(s->ids[s->bodies], id);
}

/* References lead somewhere, and everything is used. */
static void check_references(const Decoded *d)
{
	bool *strings = calloc(d->n_string_table, 1), *functions = calloc(d->n_function + 1, 1);
	bool *locations = calloc(d->n_location + 1, 1), *mappings = calloc(d->n_mapping + 1, 1);

	for (size_t i = 0; i < d->n_sample; i++) {
		const Perftools__Profiles__Sample *s = d->sample[i];

		assert_int_equal(s->n_value, 2);
		assert_true(s->value[0] >= 0 && s->value[1] >= 0 && s->value[0] + s->value[1] > 0);
		for (size_t j = 0; j < s->n_location_id; j++) {
			assert_in_range(s->location_id[j], 1, d->n_location);
			locations[s->location_id[j] - 1] = true;
		}
		for (size_t j = 0; j < s->n_label; j++) {
			assert_in_range(s->label[j]->key, 1, d->n_string_table - 1);
			assert_in_range(s->label[j]->str, 1, d->n_string_table - 1);
			assert_int_equal(s->label[j]->num_unit, 0);
			check_label(d->string_table[s->label[j]->key],
				    d->string_table[s->label[j]->str]);
			strings[s->label[j]->key] = strings[s->label[j]->str] = true;
			for (size_t k = 0; k < j; k++)
				assert_true(s->label[k]->key != s->label[j]->key);
		}
	}
	for (size_t i = 0; i < d->n_location; i++) {
		assert_int_equal(d->location[i]->id, i + 1);
		assert_true(locations[i]);
		assert_in_range(d->location[i]->mapping_id, 0, d->n_mapping);
		if (d->location[i]->mapping_id)
			mappings[d->location[i]->mapping_id - 1] = true;
		for (size_t j = 0; j < d->location[i]->n_line; j++) {
			assert_in_range(d->location[i]->line[j]->function_id, 1, d->n_function);
			functions[d->location[i]->line[j]->function_id - 1] = true;
		}
	}
	for (size_t i = 0; i < d->n_function; i++) {
		const Perftools__Profiles__Function *f = d->function[i];
		int64_t used[] = {f->name, f->system_name, f->filename};

		assert_int_equal(f->id, i + 1);
		assert_true(functions[i]);
		for (size_t j = 0; j < 3; j++) {
			assert_in_range(used[j], 0, d->n_string_table - 1);
			strings[used[j]] = true;
		}
	}
	for (size_t i = 0; i < d->n_mapping; i++) {
		assert_int_equal(d->mapping[i]->id, i + 1);
		assert_true(mappings[i]);
		strings[d->mapping[i]->filename] = strings[d->mapping[i]->build_id] = true;
	}
	for (size_t i = 1; i < d->n_string_table; i++) /* the last four are the format's own */
		assert_true(strings[i] || i >= d->n_string_table - 4);
	free(strings);
	free(functions);
	free(locations);
	free(mappings);
}

static void check_series(struct seen *s, const Push__V1__RawProfileSeries *series, const Decoded *d)
{
	const char *service = label_of(series, "service_name");
	char time[2200];
	size_t i;

	assert_non_null(service);
	assert_string_equal(label_of(series, "__name__"), "process_cpu");
	for (i = 0; i < series->n_labels; i++) {
		check_label(series->labels[i]->name, series->labels[i]->value);
		if (i)
			assert_true(strcmp(series->labels[i - 1]->name, series->labels[i]->name) <
				    0);
	}
	for (i = 0; i < d->n_sample; i++) {
		assert_true(d->sample[i]->n_label + series->n_labels <= 30);
		for (size_t j = 0; j < d->sample[i]->n_label; j++)
			assert_null(label_of(series, d->string_table[d->sample[i]->label[j]->key]));
	}
	for (i = 0; i < s->n_services && strcmp(s->services[i], service) != 0;)
		i++;
	if (i == s->n_services)
		strcpy(s->services[s->n_services++], service);
	for (size_t j = 0; j < d->n_sample; j++)
		s->service_count[i] += (uint64_t)d->sample[j]->value[0];
	snprintf(time, sizeof(time), "%s %lld", service, (long long)d->time_nanos);
	for (size_t j = 0; j < s->bodies; j++)
		assert_string_not_equal(s->times[j], time);
	strcpy(s->times[s->bodies], time);
}

static int check_body(void *context, const void *body, size_t bytes, size_t n_profiles)
{
	struct seen *s = context;
	Push__V1__PushRequest *request = push__v1__push_request__unpack(NULL, bytes, body);
	const Push__V1__RawProfileSeries *series;
	size_t plain, labels = 0;
	Decoded *d;

	if (s->err && (int)s->bodies == s->fail_at) {
		push__v1__push_request__free_unpacked(request, NULL);
		return s->err;
	}
	assert_non_null(request);
	assert_int_equal(n_profiles, 1);
	assert_int_equal(pyroscope_profiles(body, bytes), 1);
	assert_int_equal(request->n_series, 1);
	series = request->series[0];
	assert_int_equal(series->n_samples, 1);
	d = unzip(&series->samples[0]->raw_profile, &plain);
	assert_true(d->n_sample > 0 && d->n_sample <= 16000);
	for (size_t i = 0; i < series->n_labels; i++)
		labels += strlen(series->labels[i]->name) + strlen(series->labels[i]->value);
	assert_true(plain + labels < BURST);
	assert_string_equal(d->string_table[0], "");
	assert_int_equal(d->n_sample_type, 2);
	assert_string_equal(d->string_table[d->period_type->type], "cpu");
	assert_int_equal(d->period, s->p->period_ns);
	assert_in_range((uint64_t)d->time_nanos - s->p->time_ns, 0, 1000000000);
	for (size_t i = 0; i < d->n_string_table; i++) {
		assert_true(utf8_valid(d->string_table[i]));
		assert_true(strlen(d->string_table[i]) < 65536);
	}
	check_references(d);
	check_series(s, series, d);
	check_uuid(s, series->samples[0]->id);
	for (size_t i = 0; i < d->n_sample; i++) {
		s->count += (uint64_t)d->sample[i]->value[0];
		s->cpu += (uint64_t)d->sample[i]->value[1];
	}
	s->samples += d->n_sample;
	s->strings += d->n_string_table;
	s->most_samples = d->n_sample > s->most_samples ? d->n_sample : s->most_samples;
	s->most_plain = plain > s->most_plain ? plain : s->most_plain;
	s->bodies++;
	perftools__profiles__profile__free_unpacked(d, NULL);
	push__v1__push_request__free_unpacked(request, NULL);
	return 0;
}

/* Encodes, checks everything, and the sums to the last nanosecond. */
static struct seen *encode(const struct sample_profile *sample,
			   const struct pyroscope_options *options)
{
	static const struct pyroscope_options none;
	struct seen *s = calloc(1, sizeof(*s));
	unsigned __int128 weight = 0;

	s->p = &sample->p;
	assert_int_equal(pyroscope_encode(&sample->p, options ? options : &none, check_body, s), 0);
	for (size_t i = 0; i < sample->p.n_samples; i++)
		weight += sample->p.samples[i].weight;
	assert_true(s->count == (uint64_t)((weight + 500000) / 1000000));
	assert_true(s->cpu == (uint64_t)((weight * sample->p.period_ns + 500000) / 1000000));
	return s;
}

static bool has_service(const struct seen *s, const char *name)
{
	for (size_t i = 0; i < s->n_services; i++)
		if (!strcmp(s->services[i], name))
			return true;
	return false;
}

static void services_come_from_comm(void **state)
{
	struct sample_profile *sample = sample_profile_new();
	struct seen *s = encode(sample, NULL);

	(void)state;
	assert_true(has_service(s, "redis-server") && has_service(s, "mysqld"));
	assert_int_equal(s->bodies, s->n_services);
	/* those that differ by their tid alone are one: fewer than there were */
	assert_true(s->samples < sample->p.n_samples);
	free(s);
	sample_profile_free(sample);
}

static void the_container_comes_before_comm_and_the_option_before_both(void **state)
{
	struct sample_profile *sample = sample_profile_empty(100);
	uint32_t stack = sample_stack(sample, NULL, 0), set = sample_labelset(sample);
	struct pyroscope_options options = {.service = "mine"};
	struct seen *s;

	(void)state;
	sample_label(sample, "comm", "mysqld");
	sample_label(sample, "container", "shop-db-1");
	sample_add(sample, stack, set, 1000000);
	set = sample_labelset(sample);
	sample_label(sample, "phase", "execute");
	sample_add(sample, stack, set, 2000000);
	s = encode(sample, NULL);
	assert_int_equal(s->n_services, 2);
	assert_true(has_service(s, "shop-db-1") && has_service(s, "unknown"));
	free(s);
	s = encode(sample, &options);
	assert_int_equal(s->n_services, 1);
	assert_true(has_service(s, "mine"));
	assert_int_equal(s->bodies, 1);
	free(s);
	options.service = "";
	s = encode(sample, &options);
	assert_int_equal(s->n_services, 2);
	free(s);
	sample_profile_free(sample);
}

static void too_many_services_are_one(void **state)
{
	struct sample_profile *sample = sample_profile_empty(1000);
	uint32_t stack = sample_stack(sample, NULL, 0);
	struct seen *s;
	char name[32];

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		uint32_t set = sample_labelset(sample);

		snprintf(name, sizeof(name), i == 50 ? "other" : "service-%02u", i);
		sample_label(sample, "comm", name);
		sample_add(sample, stack, set, (100 - i) * 1000000ull);
	}
	s = encode(sample, NULL);
	assert_true(s->n_services <= PYROSCOPE_SERVICES);
	assert_int_equal(s->bodies, s->n_services); /* no two series of one name */
	assert_true(has_service(s, "service-00") && has_service(s, "service-62") &&
		    has_service(s, "other"));
	assert_false(has_service(s, "service-63"));
	for (size_t i = 0; i < s->n_services; i++)
		if (!strcmp(s->services[i], "other")) /* 37 .. 1, and its own 50 */
			assert_int_equal(s->service_count[i], 37 * 38 / 2 + 50);
	free(s);
	sample_profile_free(sample);
}

static void exactly_as_many_services_as_there_may_be(void **state)
{
	struct sample_profile *sample = sample_profile_empty(1000);
	uint32_t stack = sample_stack(sample, NULL, 0);
	struct seen *s;
	char name[32];

	(void)state;
	for (uint32_t i = 0; i < PYROSCOPE_SERVICES; i++) {
		uint32_t set = sample_labelset(sample);

		snprintf(name, sizeof(name), "service-%02u", i);
		sample_label(sample, "comm", name);
		sample_add(sample, stack, set, 333333);
	}
	s = encode(sample, NULL);
	assert_int_equal(s->n_services, PYROSCOPE_SERVICES);
	assert_false(has_service(s, "other"));
	free(s);
	sample_profile_free(sample);
}

/* 40 000 samples that stay apart: at most 16 000 and 1.75 MiB in each part. */
static void a_large_profile_is_split(void **state)
{
	struct sample_profile *sample = sample_profile_big(40000, 700);
	struct seen *s;

	(void)state;
	assert_int_equal(sample->p.n_samples, 80000);
	for (size_t i = 0; i < sample->p.n_samples; i++) /* thirds: rounding must not add up */
		sample->samples[i].weight = 333333 + i % 3;
	s = encode(sample, NULL);
	assert_true(s->bodies >= 5);
	assert_true(s->samples > 60000);
	assert_true(s->most_plain <= PYROSCOPE_PLAIN_BYTES);
	assert_true(s->most_plain > PYROSCOPE_PLAIN_BYTES / 2); /* and no confetti */
	assert_true(s->bodies <= 16);
	free(s);
	sample_profile_free(sample);
}

static void the_number_of_samples_is_a_limit_of_its_own(void **state)
{
	struct sample_profile *sample = sample_profile_empty(40000);
	uint32_t set = sample_labelset(sample);
	struct seen *s;

	(void)state;
	sample_mapping(sample, "/bin/a", 0x400000);
	for (int i = 0; i < 200; i++)
		sample_location(sample, 0, PROFILE_USER, NULL, "f");
	for (uint32_t i = 0; i < 200; i++)
		for (uint32_t j = 0; j < 199; j++) {
			uint32_t frames[2] = {i, j};

			sample_add(sample, sample_stack(sample, frames, 2), set, 500000);
		}
	s = encode(sample, NULL);
	assert_int_equal(s->samples, 200 * 199);
	assert_int_equal(s->most_samples, 16000);
	assert_int_equal(s->bodies, 3);
	free(s);
	sample_profile_free(sample);
}

static char *long_text(size_t n, const char *unit)
{
	char *text = malloc(n + strlen(unit) + 1);
	size_t at = 0;

	while (at < n) {
		strcpy(text + at, unit);
		at += strlen(unit);
	}
	return text;
}

/* One sample whose names alone are beyond every limit, and many that are so together. */
static void huge_strings_are_cut(void **state)
{
	struct sample_profile *sample = sample_profile_empty(4000);
	uint32_t locations[400], set = sample_labelset(sample);
	char *text = long_text(200000, "\xe2\x82\xac"); /* euro signs: three bytes each */
	struct seen *s;

	(void)state;
	sample_label(sample, "comm", "big");
	sample_label(sample, "db_query_text", text);
	sample_mapping(sample, "/bin/a", 0x400000);
	for (uint32_t i = 0; i < 400; i++) {
		snprintf(text, 8, "%06u", i);
		text[6] = 'x'; /* the snprintf's NUL; the euro's rest is invalid */
		locations[i] = sample_location(sample, 0, PROFILE_USER, NULL, text);
	}
	sample_add(sample, sample_stack(sample, locations, 400), set, 1500000);
	for (uint32_t i = 0; i < 400; i++)
		sample_add(sample, sample_stack(sample, &locations[i], 1), set, 1250000);
	s = encode(sample, NULL);
	assert_true(s->bodies > 2);
	assert_int_equal(s->samples, 401);
	free(text);
	free(s);
	sample_profile_free(sample);
}

/* More frames than can be: the outermost stay. */
static void an_endless_stack_is_cut(void **state)
{
	struct sample_profile *sample = sample_profile_empty(60000);
	uint32_t *locations = calloc(1000000, sizeof(*locations)), set = sample_labelset(sample);
	struct seen *s;

	(void)state;
	sample_mapping(sample, "/bin/a", 0x400000);
	for (uint32_t i = 0; i < 200; i++)
		sample_location(sample, 0, PROFILE_USER, NULL, "f");
	for (uint32_t i = 0; i < 1000000; i++)
		locations[i] = i % 200;
	sample_label(sample, "comm", "deep");
	sample_add(sample, sample_stack(sample, locations, 1000000), set, 2500000);
	s = encode(sample, NULL);
	assert_int_equal(s->bodies, 1);
	assert_int_equal(s->count, 3);
	free(locations);
	free(s);
	sample_profile_free(sample);
}

static void hostile_labels_are_made_valid(void **state)
{
	struct sample_profile *sample = sample_profile_empty(200);
	uint32_t stack = sample_stack(sample, NULL, 0), set = sample_labelset(sample);
	char *text = long_text(5000, "\xc3\xa9"), *odd = long_text(5000, "\xff");
	struct pyroscope_label labels[] = {
		{"env", "prod"},      {"1st.name", "x"},        {"env", "twice"},
		{"__name__", "mine"}, {"service_name", "mine"}, {"zone", text},
		{"bad", odd},         {"", "empty name"},       {"empty", ""}};
	struct pyroscope_options options = {.labels = labels, .n_labels = 9};
	struct seen *s;

	(void)state;
	sample_label(sample, "comm",
		     "a\xff\xfe"
		     "b");
	sample_label(sample, "9lives", "x");
	sample_label(sample, "db.operation-name", "GET");
	sample_label(sample, "db_operation_name", "twice, once mended");
	sample_label(sample, "env", "the series has it");
	sample_label(sample, "service_name", "not from here");
	sample_label(sample, "__name__", "nor this");
	sample_label(sample, "phase", "");
	sample_label(sample, text, odd);
	sample_label(sample, HOSTILE_LINES, HOSTILE_BYTES);
	sample_number(sample, "pid", 0, "id");
	for (int i = 0; i < 60; i++) {
		char name[16];

		snprintf(name, sizeof(name), "l%d", i);
		sample_label(sample, name, "v");
	}
	sample_add(sample, stack, set, 1000000);
	s = encode(sample, &options);
	assert_int_equal(s->bodies, 1);
	assert_true(has_service(s, "a\xef\xbf\xbd\xef\xbf\xbd"
				   "b"));
	free(s);
	free(text);
	free(odd);
	sample_profile_free(sample);
}

static void many_labels_of_options_are_cut(void **state)
{
	struct sample_profile *sample = sample_profile_new();
	struct pyroscope_label labels[100];
	struct pyroscope_options options = {.labels = labels, .n_labels = 100};
	char names[100][16];
	struct seen *s;

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(names[i], sizeof(names[i]), "x%d", i);
		labels[i] = (struct pyroscope_label){names[i], "v"};
	}
	s = encode(sample, &options);
	assert_int_equal(s->bodies, 2);
	free(s);
	sample_profile_free(sample);
}

static void nothing_has_no_body(void **state)
{
	static const struct pyroscope_options none;
	struct sample_profile *sample = sample_profile_empty(10);
	struct profile nothing = {.period_ns = 1};
	struct seen s = {.p = &sample->p};

	(void)state;
	assert_int_equal(pyroscope_encode(&sample->p, &none, check_body, &s), 0);
	assert_int_equal(pyroscope_encode(&nothing, &none, check_body, &s), 0);
	sample_labelset(sample);
	sample_add(sample, sample_stack(sample, NULL, 0), 0, 0); /* no weight */
	assert_int_equal(pyroscope_encode(&sample->p, &none, check_body, &s), 0);
	assert_int_equal(s.bodies, 0);
	sample_profile_free(sample);
}

/* Fractions far below a unit, each in a service of its own, are not lost either: they count for the
 * next. */
static void fractions_are_carried_over(void **state)
{
	struct sample_profile *sample = sample_profile_empty(1000);
	uint32_t stack = sample_stack(sample, NULL, 0);
	struct seen *s;
	char name[32];

	(void)state;
	sample->p.period_ns = 1;
	for (uint32_t i = 0; i < 50; i++) {
		uint32_t set = sample_labelset(sample);

		snprintf(name, sizeof(name), "s%u", i);
		sample_label(sample, "comm", name);
		sample_add(sample, stack, set, 300000);
	}
	s = encode(sample, NULL);
	assert_int_equal(s->count, 15);
	assert_int_equal(s->bodies, 15); /* no body with nothing in it */
	free(s);
	sample_profile_free(sample);
}

static void the_callbacks_error_ends_it(void **state)
{
	static const struct pyroscope_options none;
	struct sample_profile *sample = sample_profile_new();
	struct seen *s = calloc(1, sizeof(*s));

	(void)state;
	s->p = &sample->p;
	s->fail_at = 1;
	s->err = -ENOSPC;
	assert_int_equal(pyroscope_encode(&sample->p, &none, check_body, s), -ENOSPC);
	assert_int_equal(s->bodies, 1);
	free(s);
	sample_profile_free(sample);
}

static void counting_takes_anything(void **state)
{
	uint8_t bytes[64];
	uint32_t seed = 1;

	(void)state;
	assert_int_equal(pyroscope_profiles("", 0), 0);
	assert_int_equal(pyroscope_profiles("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12),
			 0);
	assert_int_equal(pyroscope_profiles("\x0a\x04\x12\x00\x12\x00\x0a\x02\x12\x00", 10), 3);
	for (int round = 0; round < 20000; round++) {
		size_t n = (seed >> 8) % sizeof(bytes);
		uint8_t *copy = malloc(n + 1);

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1664525u + 1013904223u;
			bytes[i] = (uint8_t)(seed >> 24) & (round % 2 ? 0xff : 0x1f);
		}
		memcpy(copy, bytes, n);
		assert_true(pyroscope_profiles(copy, n) <= n);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(services_come_from_comm),
		cmocka_unit_test(the_container_comes_before_comm_and_the_option_before_both),
		cmocka_unit_test(too_many_services_are_one),
		cmocka_unit_test(exactly_as_many_services_as_there_may_be),
		cmocka_unit_test(a_large_profile_is_split),
		cmocka_unit_test(the_number_of_samples_is_a_limit_of_its_own),
		cmocka_unit_test(huge_strings_are_cut),
		cmocka_unit_test(an_endless_stack_is_cut),
		cmocka_unit_test(hostile_labels_are_made_valid),
		cmocka_unit_test(many_labels_of_options_are_cut),
		cmocka_unit_test(nothing_has_no_body),
		cmocka_unit_test(fractions_are_carried_over),
		cmocka_unit_test(the_callbacks_error_ends_it),
		cmocka_unit_test(counting_takes_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* However a profile is grouped and split into pushes: the same stacks with the same labels come out, as often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "out/pyroscope.h"
#include "out/writer.h"
#include "push_body.h"
#include "sample_profile.h"

/* A sample as a number: its string labels, sorted as they are, and its frames' names, files and
 * lines; and its weight. */
struct content {
	uint64_t hash;
	uint64_t count;
};

struct contents {
	struct content *list;
	size_t n;
};

static uint64_t hash_text(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (uint8_t)*text) * 1099511628211u;
	while (*text++);
	return hash;
}

static uint64_t hash_number(uint64_t hash, uint64_t number)
{
	return (hash ^ number) * 1099511628211u;
}

static int compare_contents(const void *a, const void *b)
{
	const struct content *x = a, *y = b;

	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* Sorts, and adds up what is equal. */
static void merge_contents(struct contents *c)
{
	size_t used = 0;

	qsort(c->list, c->n, sizeof(*c->list), compare_contents);
	for (size_t i = 0; i < c->n; i++) {
		if (used && c->list[used - 1].hash == c->list[i].hash)
			c->list[used - 1].count += c->list[i].count;
		else
			c->list[used++] = c->list[i];
	}
	c->n = used;
}

static struct content content_before(const struct profile *p, const struct profile_sample *s)
{
	struct content c = {1, s->weight / PROFILE_SAMPLE_WEIGHT};
	const struct profile_stack *stack = &p->stacks[s->stack];

	for (uint32_t i = 0; i < p->labelsets[s->labelset].count; i++) {
		const struct profile_label *label = &p->labels[p->labelsets[s->labelset].first + i];

		if (!label->unit)
			c.hash = hash_text(hash_text(c.hash, p->strings[label->key]),
					   p->strings[label->value]);
	}
	for (uint32_t i = 0; i < stack->count; i++) {
		const struct profile_location *l = &p->locations[p->frames[stack->first + i]];

		c.hash = hash_number(c.hash, l->address);
		if (l->mapping != PROFILE_NONE)
			c.hash = hash_text(c.hash, p->strings[p->mappings[l->mapping].file]);
		for (uint32_t j = 0; j < l->n_lines; j++) {
			const struct profile_line *line = &p->lines[l->first_line + j];

			c.hash = hash_text(c.hash, p->strings[p->functions[line->function].name]);
			c.hash = hash_number(c.hash, line->line);
		}
	}
	return c;
}

static struct content content_after(const Decoded *d, const Perftools__Profiles__Sample *s)
{
	struct content c = {1, (uint64_t)s->value[0]};

	for (size_t i = 0; i < s->n_label; i++)
		c.hash = hash_text(hash_text(c.hash, d->string_table[s->label[i]->key]),
				   d->string_table[s->label[i]->str]);
	for (size_t i = 0; i < s->n_location_id; i++) {
		const Perftools__Profiles__Location *l = d->location[s->location_id[i] - 1];

		c.hash = hash_number(c.hash, l->address);
		if (l->mapping_id)
			c.hash = hash_text(
				c.hash, d->string_table[d->mapping[l->mapping_id - 1]->filename]);
		for (size_t j = 0; j < l->n_line; j++) {
			c.hash = hash_text(
				c.hash,
				d->string_table[d->function[l->line[j]->function_id - 1]->name]);
			c.hash = hash_number(c.hash, (uint64_t)l->line[j]->line);
		}
	}
	return c;
}

static int collect_contents(void *context, const void *body, size_t bytes, size_t n_profiles)
{
	struct contents *c = context;
	Push__V1__PushRequest *request = push__v1__push_request__unpack(NULL, bytes, body);
	size_t plain;
	Decoded *d = unzip(&request->series[0]->samples[0]->raw_profile, &plain);

	(void)n_profiles;
	for (size_t i = 0; i < d->n_sample; i++)
		c->list[c->n++] = content_after(d, d->sample[i]);
	perftools__profiles__profile__free_unpacked(d, NULL);
	push__v1__push_request__free_unpacked(request, NULL);
	return 0;
}

/* However it is grouped and split: the same stacks with the same labels, as often as before. */
static void assert_same_content(struct sample_profile *sample)
{
	static const struct pyroscope_options none;
	size_t n = sample->p.n_samples;
	struct contents before = {calloc(n, sizeof(*before.list)), 0},
			after = {calloc(n, sizeof(*after.list)), 0};

	for (size_t i = 0; i < n; i++) /* whole samples: no rounding */
		sample->samples[i].weight = (1 + i % 5) * PROFILE_SAMPLE_WEIGHT;
	for (size_t i = 0; i < n; i++)
		before.list[before.n++] = content_before(&sample->p, &sample->samples[i]);
	assert_int_equal(pyroscope_encode(&sample->p, &none, collect_contents, &after), 0);
	merge_contents(&before);
	merge_contents(&after);
	assert_int_equal(before.n, after.n);
	for (size_t i = 0; i < before.n; i++) {
		assert_true(before.list[i].hash == after.list[i].hash);
		assert_true(before.list[i].count == after.list[i].count);
	}
	free(before.list);
	free(after.list);
}

static void every_stack_keeps_its_labels_and_names(void **state)
{
	struct sample_profile *sample = sample_profile_new();

	(void)state;
	for (size_t i = 0; i < sample->p.n_strings; i++) /* bytes that are not UTF-8 do change */
		if (!utf8_valid(sample->strings[i]))
			strcpy(sample->strings[i], "valid");
	assert_same_content(sample);
	sample_profile_free(sample);
	sample = sample_profile_big(40000, 700);
	assert_same_content(sample);
	sample_profile_free(sample);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_stack_keeps_its_labels_and_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

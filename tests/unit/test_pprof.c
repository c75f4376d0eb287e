/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pprof: what is written is inflated and decoded again, and compared with the profile it came from.
 * The protobuf side is protobuf-c both ways; Go's own reader has its say in tests/live/test_pprof_go.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "profile.pb-c.h"
#include "sample_profile.h"
#include "write_to_memory.h"

#include <zlib.h>

typedef Perftools__Profiles__Profile Decoded;

static Decoded *decode(char *zipped, size_t len)
{
	size_t room = 1 << 22;
	uint8_t *plain = malloc(room);
	z_stream zip = {.next_in = (Bytef *)zipped,
			.avail_in = (uInt)len,
			.next_out = plain,
			.avail_out = (uInt)room};
	Decoded *decoded;

	assert_int_equal((uint8_t)zipped[0], 0x1f); /* gzip, not bare zlib */
	assert_int_equal((uint8_t)zipped[1], 0x8b);
	assert_int_equal(inflateInit2(&zip, 15 + 16), Z_OK);
	assert_int_equal(inflate(&zip, Z_FINISH), Z_STREAM_END);
	assert_int_equal(zip.avail_in, 0);
	decoded = perftools__profiles__profile__unpack(NULL, zip.total_out, plain);
	inflateEnd(&zip);
	free(plain);
	assert_non_null(decoded);
	return decoded;
}

static Decoded *write_and_decode(const struct sample_profile *s)
{
	size_t len;
	char *zipped = write_to_memory(pprof_write, &s->p, &len);
	Decoded *decoded = decode(zipped, len);

	free(zipped);
	return decoded;
}

static const char *text_of(const Decoded *d, int64_t string)
{
	assert_in_range(string, 0, d->n_string_table - 1);
	return d->string_table[string];
}

static void the_header(void **state)
{
	struct sample_profile *s = sample_profile_new();
	Decoded *d = write_and_decode(s);

	(void)state;
	assert_string_equal(d->string_table[0], "");
	assert_int_equal(d->n_sample_type, 2);
	assert_string_equal(text_of(d, d->sample_type[0]->type), "samples");
	assert_string_equal(text_of(d, d->sample_type[0]->unit), "count");
	assert_string_equal(text_of(d, d->sample_type[1]->type), "cpu");
	assert_string_equal(text_of(d, d->sample_type[1]->unit), "nanoseconds");
	assert_string_equal(text_of(d, d->period_type->type), "cpu");
	assert_string_equal(text_of(d, d->period_type->unit), "nanoseconds");
	assert_string_equal(text_of(d, d->default_sample_type), "cpu");
	assert_int_equal(d->period, SAMPLE_PERIOD_NS);
	assert_int_equal(d->time_nanos, s->p.time_ns);
	assert_int_equal(d->duration_nanos, s->p.duration_ns);
	assert_int_equal(d->n_comment, 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(text_of(d, d->comment[i]), s->p.comments[i]);
	perftools__profiles__profile__free_unpacked(d, NULL);
	sample_profile_free(s);
}

static void mappings_and_their_flags(void **state)
{
	struct sample_profile *s = sample_profile_new();
	Decoded *d;

	(void)state;
	s->mappings[1].has_functions = 0;
	d = write_and_decode(s);
	assert_int_equal(d->n_mapping, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct profile_mapping *from = &s->mappings[i];
		const Perftools__Profiles__Mapping *m = d->mapping[i];

		assert_int_equal(m->id, i + 1);
		assert_int_equal(m->memory_start, from->start);
		assert_int_equal(m->memory_limit, from->limit);
		assert_int_equal(m->file_offset, from->offset);
		assert_string_equal(text_of(d, m->filename), s->strings[from->file]);
		assert_string_equal(text_of(d, m->build_id), s->strings[from->build_id]);
	}
	/* redis: everything; mysqld: no symbols, so left to the reader; kernel: functions only */
	assert_true(d->mapping[0]->has_functions && d->mapping[0]->has_filenames &&
		    d->mapping[0]->has_line_numbers);
	assert_true(d->mapping[0]->has_inline_frames);
	assert_false(d->mapping[1]->has_functions || d->mapping[1]->has_filenames ||
		     d->mapping[1]->has_line_numbers);
	assert_true(d->mapping[2]->has_functions);
	assert_false(d->mapping[2]->has_filenames || d->mapping[2]->has_line_numbers ||
		     d->mapping[2]->has_inline_frames);
	perftools__profiles__profile__free_unpacked(d, NULL);
	sample_profile_free(s);
}

static void assert_same_or_repaired(const char *got, const char *wrote)
{
	if (strncmp(wrote, "bad\xff", 4))
		assert_string_equal(got, wrote);
	else
		assert_int_equal(strlen(got), 3 + 12 * strlen("\xef\xbf\xbd"));
}

static void locations_and_functions(void **state)
{
	struct sample_profile *s = sample_profile_new();
	Decoded *d = write_and_decode(s);
	int marks = 0, inlined = 0;

	(void)state;
	assert_int_equal(d->n_function, s->p.n_functions);
	for (size_t i = 0; i < d->n_function; i++) {
		assert_int_equal(d->function[i]->id, i + 1);
		assert_same_or_repaired(text_of(d, d->function[i]->name),
					s->strings[s->functions[i].name]);
		assert_int_equal(d->function[i]->system_name, s->functions[i].system_name);
		assert_int_equal(d->function[i]->filename, s->functions[i].file);
	}
	assert_int_equal(d->n_location, s->p.n_locations);
	for (size_t i = 0; i < d->n_location; i++) {
		const struct profile_location *from = &s->locations[i];
		const Perftools__Profiles__Location *l = d->location[i];

		assert_int_equal(l->id, i + 1);
		assert_int_equal(l->address, from->address);
		assert_int_equal(l->mapping_id, from->kind == PROFILE_MARK ? 0 : from->mapping + 1);
		assert_int_equal(l->n_line, from->n_lines);
		for (size_t j = 0; j < l->n_line; j++) {
			assert_int_equal(l->line[j]->function_id,
					 s->lines[from->first_line + j].function + 1);
			assert_int_equal(l->line[j]->line, s->lines[from->first_line + j].line);
		}
		marks += from->kind == PROFILE_MARK;
		inlined += l->n_line > 1;
	}
	assert_true(marks && inlined);
	perftools__profiles__profile__free_unpacked(d, NULL);
	sample_profile_free(s);
}

static void assert_labels(const Decoded *d, const Perftools__Profiles__Sample *got,
			  const struct sample_profile *s, uint32_t labelset)
{
	const struct profile_labelset *set = &s->labelsets[labelset];

	assert_int_equal(got->n_label, set->count);
	for (uint32_t i = 0; i < set->count; i++) {
		const struct profile_label *from = &s->labels[set->first + i];
		const Perftools__Profiles__Label *label = got->label[i];

		assert_string_equal(text_of(d, label->key), s->strings[from->key]);
		if (from->unit) {
			assert_int_equal(label->str, 0);
			assert_int_equal(label->num, from->number);
			assert_string_equal(text_of(d, label->num_unit), s->strings[from->unit]);
		} else {
			assert_string_equal(text_of(d, label->str), s->strings[from->value]);
		}
	}
}

/* The order of the file: by label set, then stack. */
static int compare_for_test(const void *a, const void *b)
{
	const struct profile_sample *x = a, *y = b;

	if (x->labelset != y->labelset)
		return x->labelset < y->labelset ? -1 : 1;
	return x->stack < y->stack ? -1 : x->stack > y->stack;
}

static void every_sample_and_the_exact_sums(void **state)
{
	struct sample_profile *s = sample_profile_new();
	Decoded *d = write_and_decode(s);
	uint64_t weight = 0, count = 0, cpu = 0;
	size_t next = 0;

	(void)state;
	qsort(s->samples, s->p.n_samples, sizeof(*s->samples), compare_for_test);
	for (size_t i = 0; i < s->p.n_samples; i++) {
		const struct profile_sample *from = &s->samples[i];
		const struct profile_stack *stack = &s->stacks[from->stack];
		const Perftools__Profiles__Sample *got;

		weight += from->weight;
		if (!from->weight)
			continue;
		assert_true(next < d->n_sample);
		got = d->sample[next++];
		assert_int_equal(got->n_value, 2);
		count += (uint64_t)got->value[0];
		cpu += (uint64_t)got->value[1];
		/* the running sums are the rounded ones after each sample */
		assert_int_equal(count, (weight + 500000) / 1000000);
		assert_int_equal(cpu, (weight * SAMPLE_PERIOD_NS + 500000) / 1000000);
		assert_int_equal(got->n_location_id, stack->count);
		for (uint32_t j = 0; j < stack->count; j++)
			assert_int_equal(got->location_id[j], s->frames[stack->first + j] + 1);
		assert_labels(d, got, s, from->labelset);
	}
	assert_int_equal(next, d->n_sample);
	assert_int_equal(weight % PROFILE_SAMPLE_WEIGHT, 0);
	assert_int_equal(count * SAMPLE_PERIOD_NS, cpu);
	perftools__profiles__profile__free_unpacked(d, NULL);
	sample_profile_free(s);
}

/* Halves of one sample, one by one: neither command may get all of them. */
static void split_samples_favour_nobody(void **state)
{
	static const char *const commands[] = {"GET", "SET"};
	struct sample_profile *s = sample_profile_empty(200);
	uint32_t location = 0, sets[2];
	int64_t counts[2] = {0};
	Decoded *d;

	(void)state;
	sample_mapping(s, "/bin/a", 0x400000);
	for (int i = 0; i < 2; i++) {
		sets[i] = sample_labelset(s);
		sample_label(s, "db_operation_name", commands[i]);
	}
	for (int i = 0; i < 100; i++) {
		location = sample_location(s, 0, PROFILE_USER, NULL, "f");
		sample_add(s, sample_stack(s, &location, 1), sets[0], PROFILE_SAMPLE_WEIGHT / 2);
		sample_add(s, (uint32_t)s->p.n_stacks - 1, sets[1], PROFILE_SAMPLE_WEIGHT / 2);
	}
	d = write_and_decode(s);
	for (size_t i = 0; i < d->n_sample; i++)
		counts[!strcmp(text_of(d, d->sample[i]->label[0]->str), "SET")] +=
			d->sample[i]->value[0];
	assert_int_equal(counts[0], 50);
	assert_int_equal(counts[1], 50);
	perftools__profiles__profile__free_unpacked(d, NULL);
	sample_profile_free(s);
}

static void empty_label_values_are_left_out(void **state)
{
	struct sample_profile *s = sample_profile_empty(10);
	Decoded *d;

	(void)state;
	sample_labelset(s);
	sample_label(s, "phase", "");
	sample_number(s, "tid", 0, "id");
	sample_add(s, sample_stack(s, NULL, 0), 0, PROFILE_SAMPLE_WEIGHT);
	d = write_and_decode(s);
	assert_int_equal(d->n_sample, 1);
	assert_int_equal(d->sample[0]->n_label, 1);
	assert_string_equal(text_of(d, d->sample[0]->label[0]->num_unit), "id");
	perftools__profiles__profile__free_unpacked(d, NULL);
	sample_profile_free(s);
}

static void an_empty_profile_decodes(void **state)
{
	struct sample_profile *s = sample_profile_empty(10);
	Decoded *d = write_and_decode(s);

	(void)state;
	assert_int_equal(d->n_sample, 0);
	assert_int_equal(d->n_sample_type, 2);
	perftools__profiles__profile__free_unpacked(d, NULL);
	sample_profile_free(s);
}

static void short_writes_lose_nothing(void **state)
{
	struct sample_profile *s = sample_profile_big(2000, 50);
	size_t len, slow_len;
	char *zipped = write_to_memory(pprof_write, &s->p, &len);
	char *slow = write_to_slow_pipe(pprof_write, &s->p, &slow_len);

	(void)state;
	assert_true(len > 3 * 16384);
	assert_int_equal(len, slow_len);
	assert_memory_equal(zipped, slow, len);
	free(zipped);
	free(slow);
	sample_profile_free(s);
}

static void errors_are_reported(void **state)
{
	struct sample_profile *s = sample_profile_new();
	int fd = dup(1);

	(void)state;
	close(fd);
	assert_int_equal(pprof_write(&s->p, fd), -EBADF);
	assert_int_equal(write_full_disk(pprof_write, &s->p), -ENOSPC);
	assert_int_equal(write_read_only(pprof_write, &s->p), -EBADF);
	sample_profile_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_header),
		cmocka_unit_test(mappings_and_their_flags),
		cmocka_unit_test(locations_and_functions),
		cmocka_unit_test(every_sample_and_the_exact_sums),
		cmocka_unit_test(split_samples_favour_nobody),
		cmocka_unit_test(empty_label_values_are_left_out),
		cmocka_unit_test(an_empty_profile_decodes),
		cmocka_unit_test(short_writes_lose_nothing),
		cmocka_unit_test(errors_are_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

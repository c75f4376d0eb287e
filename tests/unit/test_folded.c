/* SPDX-License-Identifier: Apache-2.0 */
/* Folded stacks: the exact text of small profiles, and the shape of the hostile one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sample_profile.h"
#include "write_to_memory.h"

static void assert_folded(const struct sample_profile *s, const char *expected)
{
	size_t len;
	char *text = write_to_memory(folded_write, &s->p, &len);

	assert_string_equal(text, expected);
	assert_int_equal(strlen(text), len);
	free(text);
}

static struct sample_profile *small_profile(void)
{
	struct sample_profile *s = sample_profile_empty(100);

	sample_mapping(s, "/bin/a", 0x400000);
	sample_mapping(s, "[kernel.kallsyms]", 0xffffffff80000000);
	sample_labelset(s);
	return s;
}

static void root_first_inlines_expanded_kernel_suffixed(void **state)
{
	struct sample_profile *s = small_profile();
	uint32_t path[] = {
		sample_location(s, 0, PROFILE_USER, NULL, "main"),
		sample_location(s, 0, PROFILE_USER, "inner", "outer"),
		sample_location(s, 1, PROFILE_KERNEL, NULL, "do_syscall_64"),
	};

	(void)state;
	sample_add(s, sample_stack(s, path, 3), 0, 12 * PROFILE_SAMPLE_WEIGHT);
	assert_folded(s, "main;outer;inner;do_syscall_64_[k] 12\n");
	sample_label(s, "comm", "redis-server");
	assert_folded(s, "redis-server;main;outer;inner;do_syscall_64_[k] 12\n");
	sample_profile_free(s);
}

/* Two addresses of one function, two label sets: one line. Different commands: two. */
static void equal_stacks_are_one_line(void **state)
{
	struct sample_profile *s = small_profile();
	uint32_t first = sample_location(s, 0, PROFILE_USER, NULL, "f");
	uint32_t second = sample_location(s, 0, PROFILE_USER, NULL, "f");
	uint32_t stacks[] = {sample_stack(s, &first, 1), sample_stack(s, &second, 1)};
	uint32_t sets[3];

	(void)state;
	sample_label(s, "comm", "a");
	sets[0] = 0;
	sets[1] = sample_labelset(s);
	sample_label(s, "db_operation_name", "GET");
	sample_label(s, "comm", "a");
	sets[2] = sample_labelset(s);
	sample_label(s, "comm", "b");
	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 2; j++)
			sample_add(s, stacks[j], sets[i],
				   (uint64_t)(i + 1) * PROFILE_SAMPLE_WEIGHT / 2);
	assert_folded(s, "a;f 3\nb;f 3\n");
	sample_profile_free(s);
}

static void separators_in_names_are_replaced(void **state)
{
	struct sample_profile *s = small_profile();
	uint32_t path[] = {
		sample_location(s, 0, PROFILE_USER, NULL, HOSTILE_LINES),
		sample_location(s, 0, PROFILE_USER, NULL, ""),
		sample_location(s, 0, PROFILE_USER, NULL, "\xff"),
	};

	(void)state;
	sample_add(s, sample_stack(s, path, 3), 0, PROFILE_SAMPLE_WEIGHT);
	assert_folded(s, "semi:colon_new_line___|;[unknown];\xef\xbf\xbd 1\n");
	sample_profile_free(s);
}

static void sorted_and_without_zeros(void **state)
{
	struct sample_profile *s = small_profile();
	static const char *const names[] = {"c", "a", "b", "nothing"};

	(void)state;
	for (int i = 0; i < 4; i++) {
		uint32_t location = sample_location(s, 0, PROFILE_USER, NULL, names[i]);

		sample_add(s, sample_stack(s, &location, 1), 0,
			   i < 3 ? PROFILE_SAMPLE_WEIGHT : 400000);
	}
	/* a stack that could not be taken */
	sample_add(s, sample_stack(s, NULL, 0), 0, PROFILE_SAMPLE_WEIGHT);
	assert_folded(s, "[unknown] 1\na 1\nb 1\nc 1\n");
	sample_profile_free(s);
}

static void an_empty_profile_is_an_empty_file(void **state)
{
	struct sample_profile *s = sample_profile_empty(10);

	(void)state;
	assert_folded(s, "");
	sample_profile_free(s);
}

/* Every line is "text count", lines rise, and the counts sum to the profile's samples. */
static void hostile_profile_keeps_its_sum(void **state)
{
	struct sample_profile *s = sample_profile_new();
	uint64_t weight = 0, sum = 0;
	size_t len;
	char *text = write_to_memory(folded_write, &s->p, &len), *rest = text, *line,
	     last[4096] = "";

	(void)state;
	for (size_t i = 0; i < s->p.n_samples; i++)
		weight += s->samples[i].weight;
	while ((line = strsep(&rest, "\n")) && *line) {
		char *count = strrchr(line, ' ');

		assert_non_null(count);
		*count++ = 0;
		assert_true(strcmp(last, line) < 0);
		snprintf(last, sizeof(last), "%s", line);
		sum += strtoull(count, &count, 10);
		assert_int_equal(*count, 0);
	}
	assert_null(rest);
	assert_int_equal(sum, (weight + PROFILE_SAMPLE_WEIGHT / 2) / PROFILE_SAMPLE_WEIGHT);
	free(text);
	sample_profile_free(s);
}

static void errors_are_reported(void **state)
{
	struct sample_profile *s = sample_profile_new();

	(void)state;
	assert_int_equal(write_full_disk(folded_write, &s->p), -ENOSPC);
	assert_int_equal(write_read_only(folded_write, &s->p), -EBADF);
	assert_int_equal(folded_write(&s->p, -1), -EBADF);
	sample_profile_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_first_inlines_expanded_kernel_suffixed),
		cmocka_unit_test(equal_stacks_are_one_line),
		cmocka_unit_test(separators_in_names_are_replaced),
		cmocka_unit_test(sorted_and_without_zeros),
		cmocka_unit_test(an_empty_profile_is_an_empty_file),
		cmocka_unit_test(hostile_profile_keeps_its_sum),
		cmocka_unit_test(errors_are_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* profile_round(): whatever the weights and the scale, the steps sum to the rounded sum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "out/profile.h"

static uint64_t seed;

static uint64_t random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint64_t rounded(unsigned __int128 weight_sum, uint64_t scale)
{
	return (uint64_t)((weight_sum * scale + PROFILE_SAMPLE_WEIGHT / 2) / PROFILE_SAMPLE_WEIGHT);
}

static void whole_samples_pass_through(void **state)
{
	struct profile_rounding rounding = {0};

	(void)state;
	for (uint64_t n = 0; n < 1000; n++)
		assert_int_equal(profile_round(&rounding, n * PROFILE_SAMPLE_WEIGHT, 1), n);
}

static void thirds_make_a_whole(void **state)
{
	struct profile_rounding count = {0}, ns = {0};
	const uint64_t weights[] = {333333, 333333, 333334};
	uint64_t counts = 0, nanoseconds = 0;

	(void)state;
	for (int i = 0; i < 3; i++) {
		counts += profile_round(&count, weights[i], 1);
		nanoseconds += profile_round(&ns, weights[i], 10101010);
	}
	assert_int_equal(counts, 1);
	assert_int_equal(nanoseconds, 10101010);
}

/* After every step, not only at the end: a contiguous run is right as well. */
static void every_prefix_is_the_rounded_sum(void **state)
{
	const uint64_t scales[] = {1, 10101010, 52631579, 1000000000};

	(void)state;
	seed = 88172645463325252ull;
	for (int round = 0; round < 400; round++) {
		struct profile_rounding rounding = {0};
		uint64_t scale = scales[round % 4], largest = 1ull << (round % 40), given = 0;
		unsigned __int128 sum = 0;

		for (int i = 0; i < 200; i++) {
			uint64_t weight = random64() % largest;

			sum += weight;
			given += profile_round(&rounding, weight, scale);
			assert_int_equal(given, rounded(sum, scale));
		}
	}
}

static void each_value_is_within_one(void **state)
{
	struct profile_rounding rounding = {0};

	(void)state;
	seed = 42;
	for (int i = 0; i < 10000; i++) {
		uint64_t weight = random64() % 5000000, value = profile_round(&rounding, weight, 1);

		assert_true(value * PROFILE_SAMPLE_WEIGHT <= weight + PROFILE_SAMPLE_WEIGHT);
		assert_true(value * PROFILE_SAMPLE_WEIGHT + PROFILE_SAMPLE_WEIGHT >= weight);
	}
}

static void a_year_of_a_large_machine_does_not_overflow(void **state)
{
	struct profile_rounding rounding = {0};
	/* 8e11; in ns 8e18, near the end of int64 */
	const uint64_t samples = 365ull * 86400 * 99 * 256;
	uint64_t got = profile_round(&rounding, samples * PROFILE_SAMPLE_WEIGHT / 100, 10101010);

	(void)state;
	got += profile_round(&rounding, samples * PROFILE_SAMPLE_WEIGHT / 100 * 99, 10101010);
	assert_int_equal(got, samples * 10101010);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_samples_pass_through),
		cmocka_unit_test(thirds_make_a_whole),
		cmocka_unit_test(every_prefix_is_the_rounded_sum),
		cmocka_unit_test(each_value_is_within_one),
		cmocka_unit_test(a_year_of_a_large_machine_does_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "profiler/intern.h"

static void test_same_key_same_number(void **state)
{
	struct intern t;
	size_t size;

	(void)state;
	intern_init(&t, 1000);
	assert_int_equal(intern(&t, "", 0), 0);
	assert_int_equal(intern(&t, "GET", 3), 1);
	assert_int_equal(intern(&t, "GETX", 3), 1);
	assert_int_equal(intern(&t, "GETX", 4), 2);
	assert_int_equal(intern(&t, "", 0), 0);
	assert_memory_equal(intern_key(&t, 2, &size), "GETX", 5);
	assert_int_equal(size, 4);
	assert_int_equal((uintptr_t)intern_key(&t, 2, NULL) % 8, 0);
	intern_fini(&t);
}

static void test_many_keys(void **state)
{
	uint64_t key[3] = {0};
	struct intern t;

	(void)state;
	intern_init(&t, UINT32_MAX);
	for (uint64_t round = 0; round < 2; round++)
		for (uint64_t i = 0; i < 100000; i++) {
			key[i % 3] = i;
			assert_int_equal(intern(&t, key, sizeof(key)), i);
			key[i % 3] = 0;
		}
	intern_fini(&t);
}

static void test_limit(void **state)
{
	struct intern t;

	(void)state;
	intern_init(&t, 2);
	assert_int_equal(intern(&t, "a", 1), 0);
	assert_int_equal(intern(&t, "b", 1), 1);
	assert_int_equal(intern(&t, "c", 1), INTERN_NONE);
	assert_int_equal(intern(&t, "b", 1), 1);
	intern_fini(&t);
}

static void test_array_grows_zeroed(void **state)
{
	size_t capacity = 0;
	uint64_t *a = NULL;

	(void)state;
	assert_int_equal(array_reserve((void **)&a, &capacity, 5000, sizeof(*a)), 0);
	assert_true(capacity > 5000);
	for (size_t i = 0; i <= 5000; i++)
		assert_int_equal(a[i], 0);
	free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_key_same_number),
		cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_array_grows_zeroed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

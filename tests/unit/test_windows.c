/* SPDX-License-Identifier: Apache-2.0 */
/* Windows: what several of them weigh together, and how many fit into a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/agent/windows.h"

#define S 1000000000ull

static struct processes processes;

/* A window of samples 0 .. n-1 that weigh `weight` each; the tables know them from then on. */
static void window(struct windows *w, struct aggregate *a, uint32_t n, uint64_t weight, uint64_t at_s)
{
	const struct raw_weight raw = {.weight = weight};
	const struct sample_origin origin = {.pid = 1};
	struct profile_label none;

	memset(&none, 0, sizeof(none));
	for (uint32_t stack = 0; stack < n; stack++)
		aggregate_add(a, stack, &none, 0, &origin, &raw);
	aggregate_settle(a, NULL, 1);
	assert_int_equal(windows_keep(w, a, at_s * S, 10 * S), 0);
	aggregate_begin_window(a);
}

static void windows_add_up(void **state)
{
	static struct windows w;
	struct aggregate a;
	uint64_t time_ns, duration_ns, *sum;

	(void)state;
	memset(&w, 0, sizeof(w));
	aggregate_init(&a, &processes);
	assert_null(windows_sum(&w, &a, 60 * S, &time_ns, &duration_ns));
	window(&w, &a, 1, 5, 100);
	window(&w, &a, 3, 7, 110);
	window(&w, &a, 2, 9, 120);
	sum = windows_sum(&w, &a, 20 * S, &time_ns, &duration_ns);
	assert_non_null(sum);
	assert_int_equal(duration_ns, 20 * S);
	assert_int_equal(time_ns, 110 * S);
	assert_int_equal(sum[0], 16);
	assert_int_equal(sum[1], 16);
	assert_int_equal(sum[2], 7);
	free(sum);
	sum = windows_sum(&w, &a, 1 * S, &time_ns, &duration_ns); /* the last is always there */
	assert_int_equal(duration_ns, 10 * S);
	assert_int_equal(sum[0], 9);
	assert_int_equal(sum[2], 0);
	free(sum);
	windows_forget(&w);
	assert_null(windows_sum(&w, &a, 60 * S, &time_ns, &duration_ns));
	window(&w, &a, 1, 3, 130);
	sum = windows_sum(&w, &a, 60 * S, &time_ns, &duration_ns);
	assert_int_equal(duration_ns, 10 * S);
	assert_int_equal(sum[0], 3);
	free(sum);
	windows_forget(&w);
	aggregate_fini(&a);
}

static void old_windows_make_room(void **state)
{
	static struct windows w;
	struct aggregate a;
	uint64_t time_ns, duration_ns, *sum;

	(void)state;
	memset(&w, 0, sizeof(w));
	aggregate_init(&a, &processes);
	for (unsigned int i = 0; i < 3 * WINDOWS_KEPT; i++)
		window(&w, &a, 1, i + 1, 10 * i);
	sum = windows_sum(&w, &a, UINT64_MAX, &time_ns, &duration_ns);
	assert_int_equal(duration_ns, 10 * S * WINDOWS_KEPT);
	assert_int_equal(time_ns, 10 * S * 2 * WINDOWS_KEPT);
	assert_int_equal(sum[0], WINDOWS_KEPT * (2 * WINDOWS_KEPT + 1 + 3 * WINDOWS_KEPT) / 2);
	free(sum);
	windows_forget(&w);
	aggregate_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows_add_up),
		cmocka_unit_test(old_windows_make_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What samples weigh: the kernel's account is met, what was missed is given to what was seen, and never more than that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>
#include "out/profile.h"
#include "profiler/governor.h"
#include "profiler/weights.h"

#define ONE	  PROFILE_SAMPLE_WEIGHT
#define PERIOD_NS 10000000ull
#define MS	  1000000ull

enum { LABELLED, OTHER, MISSED, BETWEEN, N };

/* An account of a process that has ended and used so much; 0: no account. */
static void settle(const struct raw_weight *raw, uint64_t used_ns, uint64_t *out)
{
	static const enum sample_kind kinds[N] = {SAMPLE_TAGGED, SAMPLE_TAGGED, SAMPLE_MISSED, SAMPLE_BETWEEN};
	pid_t pid = getpid();
	struct sample_origin of[N];
	struct cpu_accounts accounts;

	cpu_accounts_init(&accounts);
	if (used_ns) {
		cpu_accounts_add(&accounts, pid, 0);
		cpu_accounts_end(&accounts, pid, used_ns);
	}
	for (int i = 0; i < N; i++)
		of[i] = (struct sample_origin){pid, kinds[i]};
	assert_int_equal(weights_settle(raw, of, N, &accounts, PERIOD_NS, out), 0);
	cpu_accounts_fini(&accounts);
}

static void test_without_account_as_sampled(void **state)
{
	const struct raw_weight raw[N] = {{30 * ONE, 0, 30}, {10 * ONE, 0, 10}, {0, 0, 0}, {0, 0, 0}};
	uint64_t out[N];

	(void)state;
	settle(raw, 0, out);
	assert_int_equal(out[LABELLED], 30 * ONE);
	assert_int_equal(out[OTHER], 10 * ONE);
}

static void test_adds_up_to_the_kernels_account(void **state)
{
	const struct raw_weight raw[N] = {{30 * ONE, 0, 30}, {10 * ONE, 0, 10}, {0, 0, 0}, {0, 0, 0}};
	uint64_t out[N];

	(void)state;
	settle(raw, 44 * PERIOD_NS, out);
	assert_int_equal(out[LABELLED], 33 * ONE);
	assert_int_equal(out[OTHER], 11 * ONE);
}

static void test_few_samples_are_left_alone(void **state)
{
	const struct raw_weight raw[N] = {{ONE, 0, 1}, {0, 0, 0}, {0, 0, 0}, {2 * ONE, 0, 2}};
	uint64_t out[N];

	(void)state;
	settle(raw, 10 * PERIOD_NS, out);
	assert_int_equal(out[LABELLED], ONE);
	assert_int_equal(out[BETWEEN], 2 * ONE);
	settle(raw, 0, out);
	assert_int_equal(out[LABELLED], ONE);
	/* unless the kernel says that they are few by chance */
	settle(raw, 30 * PERIOD_NS, out);
	assert_int_equal(out[LABELLED], 10 * ONE);
	assert_int_equal(out[BETWEEN], 20 * ONE);
}

static void test_tagged_ones_stand_for_those_between(void **state)
{
	const struct raw_weight raw[N] = {{30 * ONE, 0, 30}, {10 * ONE, 0, 10}, {0, 0, 0}, {120 * ONE, 0, 120}};
	uint64_t out[N];

	(void)state;
	settle(raw, 0, out); /* by samples */
	assert_int_equal(out[LABELLED], 120 * ONE);
	assert_int_equal(out[OTHER], 40 * ONE);
	assert_int_equal(out[BETWEEN], 0);
	settle(raw, 200 * PERIOD_NS, out); /* by the kernel */
	assert_int_equal(out[LABELLED], 150 * ONE);
	assert_int_equal(out[OTHER], 50 * ONE);
}

static void test_missed_ones_go_to_those_seen(void **state)
{
	struct raw_weight raw[N] = {{20 * ONE, 15 * ONE, 20}, {50 * ONE, 0, 50}, {30 * ONE, 0, 30}, {0, 0, 0}};
	uint64_t out[N];

	(void)state;
	settle(raw, 0, out);
	assert_int_equal(out[LABELLED], 35 * ONE);
	assert_int_equal(out[OTHER], 50 * ONE);
	assert_int_equal(out[MISSED], 15 * ONE);
	raw[LABELLED].extra = 130 * ONE; /* more than was missed: all others have less */
	settle(raw, 0, out);
	assert_int_equal(out[LABELLED], 75 * ONE);
	assert_int_equal(out[OTHER], 25 * ONE);
	assert_int_equal(out[MISSED], 0);
}

/* A process of which not all is known is not made to fit; one whose number is used again counts twice. */
static void test_accounts(void **state)
{
	struct cpu_accounts a;

	(void)state;
	cpu_accounts_init(&a);
	cpu_accounts_add(&a, 70000, 5 * MS);
	cpu_accounts_end(&a, 70000, 25 * MS);
	assert_int_equal(cpu_accounts_used(&a, 70000), 20 * MS);
	cpu_accounts_add(&a, 70000, 0);
	cpu_accounts_end(&a, 70000, 7 * MS);
	assert_int_equal(cpu_accounts_used(&a, 70000), 27 * MS);
	cpu_accounts_add(&a, 70001, 0);
	cpu_accounts_end(&a, 70001, CPU_NOT_KNOWN);
	assert_int_equal(cpu_accounts_used(&a, 70001), 0);
	assert_int_equal(cpu_accounts_used(&a, 70002), 0);
	cpu_accounts_fini(&a);
}

/* Our own, which goes on: what is used in a window is the difference of what was read at its ends. */
static void test_windows(void **state)
{
	uint64_t start = process_cpu_ns(getpid()), first, before, after, used;
	struct cpu_accounts a;

	(void)state;
	cpu_accounts_init(&a);
	cpu_accounts_add(&a, getpid(), start);
	while (process_cpu_ns(getpid()) < start + 2 * MS)
		;
	cpu_accounts_end_window(&a);
	first = cpu_accounts_used(&a, getpid());
	assert_in_range(first, 2 * MS, 1000 * MS);
	cpu_accounts_begin_window(&a);
	before = process_cpu_ns(getpid());
	used = cpu_accounts_used(&a, getpid());
	after = process_cpu_ns(getpid());
	assert_in_range(used, before - start - first, after - start - first);
	cpu_accounts_fini(&a);
}

/* Attached for 100 ms of each 400 ms: after 50 ms half of it is still seen, after 100 ms nothing, after 400 ms all. */
static void test_inclusion(void **state)
{
	struct governor g = {.duty = 0.25, .n_phases = 100};
	uint64_t now_ns;

	(void)state;
	for (uint64_t i = 0; i < g.n_phases; i++)
		g.phases[i] = (struct hook_phase){i * 400 * MS, i * 400 * MS + 100 * MS};
	now_ns = g.n_phases * 400 * MS;
	assert_int_equal(1000 * governor_inclusion(&g, 0, now_ns, true) + 0.5, 1000);
	assert_in_range(1000 * governor_inclusion(&g, 50 * MS, now_ns, true), 499, 505);
	assert_int_equal(1000 * governor_inclusion(&g, 200 * MS, now_ns, true) + 0.5, 20); /* the least that it says */
	assert_int_equal(1000 * governor_inclusion(&g, 400 * MS, now_ns, true) + 0.5, 1000);
	assert_in_range(1000 * governor_inclusion(&g, 425 * MS, now_ns, true), 745, 752);
	assert_int_equal(1000 * governor_inclusion(&g, 100000 * MS, now_ns, true) + 0.5, 250); /* before all that is remembered */
	/* Where it has to have been attached ever since. */
	assert_in_range(1000 * governor_inclusion(&g, 50 * MS, now_ns, false), 499, 505);
	assert_in_range(1000 * governor_inclusion(&g, 425 * MS, now_ns, false), 19, 21);
	g.n_phases = 1;
	g.attached = true;
	g.phases[0].to_ns = UINT64_MAX;
	assert_int_equal(1000 * governor_inclusion(&g, 50 * MS, now_ns, true) + 0.5, 1000);
}

/*
 * A thread that serves a long request, then short ones for as long, and so on, under a hook that comes and goes as the governor has it:
 * who begins while it is attached is seen.
 */
struct story {
	struct governor g;
	double long_ms, mean_ms, duty; /* of the phases */
	bool lasting;
	double request_ms, request_end_ms, phase_end_ms; /* on a clock of its own */
	bool is_long, seen;
	uint64_t seen_phase;
};

static double chance(void)
{
	return (rand() + 0.5) / (RAND_MAX + 1.0);
}

static void next_request(struct story *s, double now_ms)
{
	s->is_long = !s->is_long;
	s->request_ms = now_ms;
	s->request_end_ms = now_ms + s->long_ms * (0.8 + 0.4 * chance());
	s->seen = s->g.attached;
	s->seen_phase = s->g.n_phases;
}

static void next_phase(struct story *s, double now_ms)
{
	double mean_ms = s->mean_ms;

	s->g.attached = !s->g.attached;
	if (s->g.attached) {
		s->g.phases[s->g.n_phases++ % GOVERNOR_PHASES] = (struct hook_phase){now_ms * MS, UINT64_MAX};
	} else {
		s->g.phases[(s->g.n_phases - 1) % GOVERNOR_PHASES].to_ns = now_ms * MS;
		mean_ms *= (1 - s->duty) / s->duty;
	}
	s->phase_end_ms = now_ms + governor_phase_ns(mean_ms * 1e6) / 1e6;
}

static void sample(const struct story *s, double now_ms, struct raw_weight *raw)
{
	double age_ms = now_ms - s->request_ms;
	int kind = !s->is_long ? OTHER : s->seen && (s->lasting || s->seen_phase == s->g.n_phases) ? LABELLED : MISSED;

	raw[kind].weight += ONE * s->duty;
	raw[kind].n++;
	if (kind == LABELLED)
		raw[kind].extra += ONE * s->duty * (1 / governor_inclusion(&s->g, age_ms * MS, now_ms * MS, s->lasting) - 1);
}

#define WARM_UP_MS 20000 /* phases to remember */

/* What part of what is named is the long requests', in one window of so many milliseconds. */
static double long_share(double long_ms, double duty, bool lasting, double window_ms)
{
	struct story s = {.long_ms = long_ms, .duty = duty, .lasting = lasting, .mean_ms = fmax(1000 * duty, 40), .g = {.duty = duty}};
	struct raw_weight raw[N] = {{0}};
	uint64_t out[N];

	for (double now_ms = 0, step_ms = 10 * duty; now_ms < WARM_UP_MS + window_ms; now_ms += step_ms) {
		if (now_ms >= s.phase_end_ms)
			next_phase(&s, now_ms);
		if (now_ms >= s.request_end_ms)
			next_request(&s, now_ms);
		if (s.g.attached && now_ms > WARM_UP_MS)
			sample(&s, now_ms, raw);
	}
	settle(raw, window_ms * MS, out);
	return (double)out[LABELLED] / (out[LABELLED] + out[OTHER]);
}

static void assert_half(double long_ms, double duty, bool lasting, double window_ms, double off)
{
	double sum = 0;

	srand(1);
	for (int i = 0; i < 100; i++)
		sum += long_share(long_ms, duty, lasting, window_ms);
	print_message("%4.0f ms, attached %.0f %%, windows of %3.0f s: %.1f %%\n", long_ms, 100 * duty, window_ms / 1000, sum);
	assert_true(fabs(sum / 100 - 0.5) < off);
}

/* Of requests shorter and longer than the hook is attached at a time, of those that cannot be told to last, and at a small duty. */
static void test_long_requests_keep_their_share(void **state)
{
	(void)state;
	assert_half(30, 0.25, true, 60000, 0.02);
	assert_half(100, 0.25, true, 60000, 0.02);
	assert_half(300, 0.25, true, 60000, 0.02);
	assert_half(600, 0.25, true, 60000, 0.02);
	assert_half(100, 0.25, false, 60000, 0.02);
	assert_half(100, 0.05, true, 60000, 0.04);
	assert_half(300, 0.25, true, 10000, 0.06); /* few phases in a window */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_account_as_sampled),
		cmocka_unit_test(test_adds_up_to_the_kernels_account),
		cmocka_unit_test(test_few_samples_are_left_alone),
		cmocka_unit_test(test_tagged_ones_stand_for_those_between),
		cmocka_unit_test(test_missed_ones_go_to_those_seen),
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_inclusion),
		cmocka_unit_test(test_long_requests_keep_their_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

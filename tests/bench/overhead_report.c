/* SPDX-License-Identifier: Apache-2.0 */
/* What the windows of overhead.c say: a table for people, and the same as members of a JSON object. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include "overhead.h"
#include "statistics.h"

#define TRIM  0.2
#define QUIET 0.85 /* of the server's usual share of its CPU; with less, others were at work in the window */

/*
 * What counts as quiet follows the run itself: a client that cannot saturate the server is no disturbance. On a
 * machine that was seldom quiet every window counts.
 */
static void judge_quiet(struct meter *m, double *values)
{
	for (size_t i = 0; i < m->n_windows; i++)
		values[i] = m->windows[i].busy;
	qsort(values, m->n_windows, sizeof(*values), by_value);
	m->quiet_share = QUIET * values[m->n_windows * 9 / 10];
	if (values[m->n_windows / 4] < m->quiet_share)
		m->quiet_share = 0;
}

static bool is_quiet(const struct meter *m, size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++)
		if (m->windows[i].busy < m->quiet_share)
			return false;
	return true;
}

static struct estimate level(const struct meter *m, enum arm arm, double *values)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_windows; i++)
		if (m->windows[i].arm == arm && is_quiet(m, i, 1))
			values[n++] = m->windows[i].server_ns;
	return trimmed_mean(values, n, TRIM);
}

/* To the mean of the windows before and after. */
static struct estimate difference(const struct meter *m, enum arm arm, bool with_agent, double *values)
{
	size_t n = 0;

	for (size_t i = 1; i + 1 < m->n_windows; i++) {
		const struct window *w = &m->windows[i];

		if (w->arm == arm && is_quiet(m, i - 1, 3))
			values[n++] = w->server_ns + (with_agent ? w->agent_ns : 0) -
				      (w[-1].server_ns + w[1].server_ns) / 2;
	}
	return trimmed_mean(values, n, TRIM);
}

/* The server's mean share of its CPU in quiet windows, and the number of these. */
static double busy_share(const struct meter *m, size_t *n_quiet)
{
	double sum = 0;

	*n_quiet = 0;
	for (size_t i = 0; i < m->n_windows; i++)
		if (is_quiet(m, i, 1)) {
			sum += m->windows[i].busy;
			++*n_quiet;
		}
	return sum / *n_quiet;
}

/* Of a request; without a load, of a second, whose parts are parts of a core. */
static double whole_ns(const struct meter *m, double baseline_ns)
{
	return m->load.replies ? baseline_ns : 1e9;
}

static void print_load(const struct meter *m, double baseline_ns)
{
	size_t n_quiet;
	double busy = busy_share(m, &n_quiet);

	if (m->load.replies)
		printf("%s: server on CPU %d, busy %.1f %% of it, %.0f requests/s of %.0f ns; %zu of %zu windows count%s\n\n", m->name,
		       m->load.server_cpu, 100 * busy, busy * 1e9 / baseline_ns, baseline_ns, n_quiet, m->n_windows,
		       m->quiet_share > 0 ? "" : " (the machine was too busy to choose the quiet ones)");
	else
		printf("%s: the server takes %.3f %% of a core; %zu windows; percent are of a core\n\n", m->name, 100 * busy, n_quiet);
	if (m->json)
		fprintf(m->json, ", \"ns_per_request\": %.1f, \"busy\": %.4f, \"windows\": %zu, \"unit\": \"%s\", \"arms\": {",
			baseline_ns, busy, n_quiet, m->load.replies ? "% of the server's CPU per request" : "% of a core");
}

static void print_difference(struct estimate d, double whole)
{
	printf("  %8.1f +- %6.1f  %6.2f +- %4.2f", d.mean, d.error, 100 * d.mean / whole, 100 * d.error / whole);
}

/* Returns whether there is anything to say. */
static bool print_arm(const struct meter *m, enum arm arm, bool first, double whole, double *values)
{
	struct estimate server = difference(m, arm, false, values), all;

	if (server.n < 2)
		return false;
	all = difference(m, arm, true, values);
	printf("%-32s %7zu", arm_text(m, arm), server.n);
	print_difference(server, whole);
	print_difference(all, whole);
	printf("\n");
	if (m->json)
		fprintf(m->json,
			"%s\"%s\": {\"windows\": %zu, \"server_percent\": %.4f, \"server_error\": %.4f, \"percent\": %.4f, \"error\": %.4f}",
			first ? "" : ", ", arm_text(m, arm), server.n, 100 * server.mean / whole, 100 * server.error / whole,
			100 * all.mean / whole, 100 * all.error / whole);
	return true;
}

static void print_samples(const struct meter *m)
{
	uint64_t now[N_COUNTERS], taken, lost;

	kernel_counters(m->complete->kernel, now);
	taken = now[COUNTER_SAMPLES] - m->samples[COUNTER_SAMPLES];
	lost = now[COUNTER_SAMPLES_LOST] - m->samples[COUNTER_SAMPLES_LOST];
	if (taken)
		printf("wireprof --max-overhead 100: %llu samples (%.0f due inside the windows), %llu lost\n", (unsigned long long)taken,
		       m->complete_server_s * m->frequency_hz, (unsigned long long)lost);
}

/* What wireprof itself thinks, beside what was measured. */
static void print_estimate(const struct meter *m, double *values, double whole)
{
	struct estimate d = difference(m, ARM_GOVERNED, true, values);
	struct governor_report g;
	double sum;

	if (d.n < 2 || !m->load.replies)
		return;
	governor_report(&m->governed->governor, false, &g);
	sum = g.hook + g.samples + g.own;
	printf("wireprof: %.2f +- %.2f %% by the meter; by its own estimate %.2f %%: hook %.2f (attached %.1f %% of the time), samples %.2f, "
	       "own %.2f; a run %.0f ns, an interrupt %.1f us\n",
	       100 * d.mean / whole, 100 * d.error / whole, 100 * sum, 100 * g.hook, 100 * g.duty, 100 * g.samples, 100 * g.own,
	       m->governed->calibration.run_ns, m->governed->calibration.sample_ns / 1e3);
	if (m->json)
		fprintf(m->json, ", \"estimate\": {\"percent\": %.4f, \"hook\": %.4f, \"samples\": %.4f, \"own\": %.4f, \"duty\": %.4f}",
			100 * sum, 100 * g.hook, 100 * g.samples, 100 * g.own, g.duty);
}

int report_windows(struct meter *m)
{
	double *values = malloc(m->n_windows * sizeof(*values)), whole;
	struct estimate baseline;
	bool first = true;

	if (!values)
		return -ENOMEM;
	judge_quiet(m, values);
	baseline = level(m, ARM_NONE, values);
	whole = whole_ns(m, baseline.mean);
	print_load(m, baseline.mean);
	printf("%-32s %7s  %-36s  %s\n", "", "", "difference, the server's CPU:", "with the profiler's own CPU:");
	printf("%-32s %7s  %18s  %14s  %18s  %14s\n", "attached", "windows", "ns", "%", "ns", "%");
	for (enum arm arm = ARM_NULL; arm < N_ARMS; arm++)
		first &= !print_arm(m, arm, first, whole, values);
	if (m->json)
		fprintf(m->json, "}");
	print_samples(m);
	print_estimate(m, values, whole);
	free(values);
	return 0;
}

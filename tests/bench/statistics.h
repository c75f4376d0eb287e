/* SPDX-License-Identifier: Apache-2.0 */
/* The trimmed mean and its standard error: what noisy machines call for, since a few windows are hit hard. */
#ifndef BENCH_STATISTICS_H
#define BENCH_STATISTICS_H

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

struct estimate {
	double mean, error;
	size_t n;
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/*
 * Mean of what is left without the lowest and the highest `trim` of the values, which get sorted. Its standard
 * error is that of the winsorized values over (1 - 2 trim) sqrt(n) (Tukey and McLaughlin 1963).
 */
static struct estimate trimmed_mean(double *values, size_t n, double trim)
{
	size_t cut = (size_t)(trim * n);
	double sum = 0, mean, squares = 0;

	if (n < 2)
		return (struct estimate){.mean = n ? values[0] : NAN, .error = NAN, .n = n};
	qsort(values, n, sizeof(*values), by_value);
	for (size_t i = cut; i < n - cut; i++)
		sum += values[i];
	for (size_t i = 0; i < cut; i++) {
		values[i] = values[cut];
		values[n - 1 - i] = values[n - 1 - cut];
	}
	mean = 0;
	for (size_t i = 0; i < n; i++)
		mean += values[i] / n;
	for (size_t i = 0; i < n; i++)
		squares += (values[i] - mean) * (values[i] - mean);
	return (struct estimate){
		.mean = sum / (n - 2 * cut),
		.error = sqrt(squares / (n - 1) / n) / (1 - 2 * trim),
		.n = n,
	};
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* See windows.h. */
#include <errno.h>
#include <stdlib.h>
#include "windows.h"

int windows_keep(struct windows *w, const struct aggregate *a, uint64_t time_ns, uint64_t duration_ns)
{
	struct window *window = &w->list[w->n % WINDOWS_KEPT];
	struct window_weight *list;
	size_t n = 0;

	for (size_t i = 0; i < a->samples.n; i++)
		n += !!a->weights[i];
	list = malloc((n + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < a->samples.n; i++)
		if (a->weights[i])
			list[n++] = (struct window_weight){i, a->weights[i]};
	free(window->list);
	*window = (struct window){time_ns, duration_ns, list, n};
	w->n++;
	return 0;
}

void windows_forget(struct windows *w)
{
	for (size_t i = 0; i < WINDOWS_KEPT; i++) {
		free(w->list[i].list);
		w->list[i].list = NULL;
	}
	w->first = w->n;
}

uint64_t *windows_sum(const struct windows *w, const struct aggregate *a, uint64_t span_ns, uint64_t *time_ns,
		      uint64_t *duration_ns)
{
	uint64_t *sum = calloc(a->samples.n + 1, sizeof(*sum));

	*duration_ns = 0;
	for (size_t at = w->n; sum && at > w->first && w->n - at < WINDOWS_KEPT; at--) {
		const struct window *window = &w->list[(at - 1) % WINDOWS_KEPT];

		if (*duration_ns && *duration_ns + window->duration_ns > span_ns)
			break;
		for (size_t i = 0; i < window->n; i++)
			sum[window->list[i].sample] += window->list[i].weight;
		*duration_ns += window->duration_ns;
		*time_ns = window->time_ns;
	}
	if (*duration_ns)
		return sum;
	free(sum);
	return NULL;
}

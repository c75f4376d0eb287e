/* SPDX-License-Identifier: Apache-2.0 */
/* See weights.h. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include "../out/profile.h"
#include "intern.h"
#include "weights.h"

/* Of one process. */
struct sums {
	uint64_t weight[SAMPLE_BETWEEN + 1], n[SAMPLE_BETWEEN + 1]; /* by kind */
	uint64_t extra;
	double factor[SAMPLE_BETWEEN + 1]; /* by kind */
	double factor_extra;
};

struct settling {
	struct intern pids;
	struct sums *sums;
	size_t capacity;
};

static struct sums *sums_of(struct settling *s, pid_t pid)
{
	uint32_t known = s->pids.n, id;

	if (array_reserve((void **)&s->sums, &s->capacity, known, sizeof(*s->sums)))
		return NULL;
	id = intern(&s->pids, &pid, sizeof(pid));
	if (id == INTERN_NONE)
		return NULL;
	if (id == known)
		s->sums[id] = (struct sums){.extra = 0};
	return &s->sums[id];
}

static int add_up(struct settling *s, const struct raw_weight *raw, const struct sample_origin *of, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct sums *sums = raw[i].weight ? sums_of(s, of[i].pid) : NULL;

		if (raw[i].weight && !sums)
			return -ENOMEM;
		if (!sums)
			continue;
		sums->weight[of[i].kind] += raw[i].weight;
		sums->extra += raw[i].extra;
		sums->n[of[i].kind] += raw[i].n;
	}
	return 0;
}

/* What each kind of samples counts, so that all add up to `used`, micro-samples; 0: to what was sampled. */
static void find_factors(struct sums *s, uint64_t used)
{
	uint64_t attached = s->weight[SAMPLE_TAGGED] + s->weight[SAMPLE_MISSED], missed = s->weight[SAMPLE_MISSED];
	uint64_t n_attached = s->n[SAMPLE_TAGGED] + s->n[SAMPLE_MISSED], n = n_attached + s->n[SAMPLE_BETWEEN];
	/* Not by the number that happened to be taken, where another says it: those with few would keep it, the others be scaled. */
	bool many = used ? used >= WEIGHTS_ENOUGH * PROFILE_SAMPLE_WEIGHT : n >= WEIGHTS_ENOUGH;
	bool enough = many && n_attached >= (used ? WEIGHTS_LEAST : WEIGHTS_ENOUGH);
	double moved = s->extra < missed ? s->extra : missed, extra = many ? s->extra : moved;
	double all = attached + s->weight[SAMPLE_BETWEEN], counted = (enough ? attached : all) + extra - moved;
	double factor = many ? (used ? used : all) / counted : 1;

	s->factor[SAMPLE_TAGGED] = factor;
	s->factor_extra = s->extra ? factor * extra / s->extra : 0;
	s->factor[SAMPLE_MISSED] = missed ? factor * (missed - moved) / missed : 0;
	s->factor[SAMPLE_BETWEEN] = enough ? 0 : factor;
}

static void settle_process(struct sums *s, const struct cpu_accounts *accounts, pid_t pid, uint64_t period_ns)
{
	uint64_t used_ns = accounts ? cpu_accounts_used(accounts, pid) : 0;

	find_factors(s, (double)used_ns / period_ns * PROFILE_SAMPLE_WEIGHT);
}

static uint64_t settled(const struct sums *s, const struct raw_weight *raw, enum sample_kind kind)
{
	return llround(raw->weight * s->factor[kind] + raw->extra * s->factor_extra);
}

int weights_settle(const struct raw_weight *raw, const struct sample_origin *of, size_t n, const struct cpu_accounts *accounts,
		   uint64_t period_ns, uint64_t *out)
{
	struct settling s = {.sums = NULL};
	int err;

	intern_init(&s.pids, UINT32_MAX);
	err = add_up(&s, raw, of, n);
	for (uint32_t i = 0; !err && i < s.pids.n; i++)
		settle_process(&s.sums[i], accounts, *(const pid_t *)intern_key(&s.pids, i, NULL), period_ns);
	for (size_t i = 0; i < n; i++)
		out[i] = raw[i].weight && !err ? settled(&s.sums[intern_find(&s.pids, &of[i].pid, sizeof(of[i].pid))], &raw[i], of[i].kind) :
						 raw[i].weight;
	intern_fini(&s.pids);
	free(s.sums);
	return err;
}

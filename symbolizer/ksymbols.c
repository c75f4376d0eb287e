/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See ksymbols.h. An array sorted by address; several entries may share one, each with its time. Changes are rare (a
 * program loaded), look-ups happen for each kernel frame: those outside of all entries cost two comparisons.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ksymbols.h"

/* Code runs on for a moment after its symbol is taken away, until all CPUs have left it. */
#define LINGER_NS 1000000000ull

struct ksymbol {
	uint64_t start, end;
	uint64_t from_ns, until_ns; /* UINT64_MAX: still there */
	uint32_t number;
	const char *module;
	char name[KSYMBOL_NAME_BYTES];
};

struct ksymbols {
	struct ksymbol *list; /* by start, then by from_ns */
	size_t n;
	uint64_t low, high;  /* all of them lie in [low, high) */
	uint64_t longest;    /* bytes of the longest: how far back an address may begin */
	uint32_t last_number;
	uint64_t dropped;
};

struct ksymbols *ksymbols_new(void)
{
	struct ksymbols *k = calloc(1, sizeof(*k));

	if (k)
		k->low = UINT64_MAX;
	return k;
}

void ksymbols_free(struct ksymbols *k)
{
	if (!k)
		return;
	free(k->list);
	free(k);
}

/* Number of entries that start before (address, time), or at it. */
static size_t up_to(const struct ksymbols *k, uint64_t address, uint64_t time_ns)
{
	size_t low = 0, high = k->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct ksymbol *s = &k->list[middle];

		if (s->start < address || (s->start == address && s->from_ns <= time_ns))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Takes out what was removed first. Returns whether there was anything. */
static bool make_room(struct ksymbols *k)
{
	size_t first = 0;

	for (size_t i = 1; i < k->n; i++)
		if (k->list[i].until_ns < k->list[first].until_ns)
			first = i;
	if (k->list[first].until_ns == UINT64_MAX)
		return false;
	memmove(&k->list[first], &k->list[first + 1], (k->n - first - 1) * sizeof(*k->list));
	k->n--;
	return true;
}

void ksymbols_add(struct ksymbols *k, uint64_t address, uint32_t size, uint64_t time_ns, const char *name,
		  const char *module)
{
	struct ksymbol *s;
	size_t at;

	if (!size || address > UINT64_MAX - size)
		return;
	if (!k->list)
		k->list = calloc(KSYMBOLS_MAX, sizeof(*k->list)); /* touched as it fills */
	if (!k->list || (k->n == KSYMBOLS_MAX && !make_room(k))) {
		k->dropped++;
		return;
	}
	at = up_to(k, address, time_ns);
	s = &k->list[at];
	memmove(s + 1, s, (k->n++ - at) * sizeof(*s));
	*s = (struct ksymbol){
		.start = address,
		.end = address + size,
		.from_ns = time_ns,
		.until_ns = UINT64_MAX,
		.number = ++k->last_number,
		.module = module,
	};
	snprintf(s->name, sizeof(s->name), "%s", name);
	if (address < k->low)
		k->low = address;
	if (s->end > k->high)
		k->high = s->end;
	if (size > k->longest)
		k->longest = size;
}

void ksymbols_remove(struct ksymbols *k, uint64_t address, uint64_t time_ns)
{
	size_t i = up_to(k, address, time_ns);

	if (i && k->list[i - 1].start == address && k->list[i - 1].until_ns == UINT64_MAX)
		k->list[i - 1].until_ns = time_ns;
}

uint32_t ksymbols_find(const struct ksymbols *k, uint64_t address, uint64_t time_ns)
{
	const struct ksymbol *best = NULL;

	if (!k || address < k->low || address >= k->high)
		return 0;
	for (size_t i = up_to(k, address, UINT64_MAX); i-- > 0;) {
		const struct ksymbol *s = &k->list[i];

		if (address - s->start >= k->longest)
			break;
		if (address < s->end && s->from_ns <= time_ns && (!best || s->from_ns > best->from_ns))
			best = s;
	}
	if (!best || (best->until_ns < time_ns && time_ns - best->until_ns > LINGER_NS))
		return 0;
	return best->number;
}

bool ksymbols_get(const struct ksymbols *k, uint32_t number, struct kernel_symbol *out)
{
	for (size_t i = 0; k && i < k->n; i++) {
		const struct ksymbol *s = &k->list[i];

		if (s->number != number)
			continue;
		*out = (struct kernel_symbol){.address = s->start, .name = s->name, .module = s->module};
		return true;
	}
	return false;
}

uint64_t ksymbols_dropped(const struct ksymbols *k)
{
	return k ? k->dropped : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See intern.h. Keys lie one behind the other in one buffer; entries say where. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "intern.h"

struct intern_entry {
	uint64_t hash;
	size_t offset;
	uint32_t size;
};

void intern_init(struct intern *t, uint32_t limit)
{
	*t = (struct intern){.limit = limit};
}

void intern_fini(struct intern *t)
{
	free(t->slots);
	free(t->entries);
	free(t->bytes);
	*t = (struct intern){0};
}

int array_reserve(void **array, size_t *capacity, size_t index, size_t element)
{
	size_t want = *capacity ? *capacity : 64;
	void *grown;

	if (index < *capacity)
		return 0;
	while (want <= index)
		want *= 2;
	grown = reallocarray(*array, want, element);
	if (!grown)
		return -ENOMEM;
	memset((char *)grown + *capacity * element, 0, (want - *capacity) * element);
	*array = grown;
	*capacity = want;
	return 0;
}

/* FNV-1a over 8-byte words, finished by a multiply and shift: keys are short and never hostile by hash. */
static uint64_t hash_bytes(const uint8_t *p, size_t size)
{
	uint64_t h = 0xcbf29ce484222325ull ^ size, word;

	for (; size >= 8; p += 8, size -= 8) {
		memcpy(&word, p, 8);
		h = (h ^ word) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	for (; size; p++, size--)
		h = (h ^ *p) * 0x100000001b3ull;
	return h ^ h >> 32;
}

static int rehash(struct intern *t, uint32_t n_slots)
{
	uint32_t *slots = calloc(n_slots, sizeof(*slots));
	uint32_t id, i;

	if (!slots)
		return -ENOMEM;
	for (id = 0; id < t->n; id++) {
		for (i = t->entries[id].hash & (n_slots - 1); slots[i]; i = (i + 1) & (n_slots - 1))
			;
		slots[i] = id + 1;
	}
	free(t->slots);
	t->slots = slots;
	t->n_slots = n_slots;
	return 0;
}

static uint32_t append(struct intern *t, const void *key, size_t size, uint64_t hash)
{
	size_t end = t->n_bytes + ((size + 8) & ~(size_t)7); /* a NUL, and alignment */
	struct intern_entry *e;

	if (t->n >= t->limit || size > UINT32_MAX)
		return INTERN_NONE;
	if (array_reserve((void **)&t->entries, &t->entries_capacity, t->n, sizeof(*t->entries)) ||
	    array_reserve((void **)&t->bytes, &t->bytes_capacity, end, 1))
		return INTERN_NONE;
	e = &t->entries[t->n];
	*e = (struct intern_entry){.hash = hash, .offset = t->n_bytes, .size = size};
	memcpy(t->bytes + e->offset, key, size);
	memset(t->bytes + e->offset + size, 0, end - e->offset - size);
	t->n_bytes = end;
	return t->n++;
}

/* The slot of a key, or the empty one where it would be. There is at least one that is empty. */
static uint32_t *find_slot(const struct intern *t, const void *key, size_t size, uint64_t hash)
{
	uint32_t i;

	for (i = hash & (t->n_slots - 1); t->slots[i]; i = (i + 1) & (t->n_slots - 1)) {
		const struct intern_entry *e = &t->entries[t->slots[i] - 1];

		if (e->hash == hash && e->size == size && !memcmp(t->bytes + e->offset, key, size))
			break;
	}
	return &t->slots[i];
}

uint32_t intern_find(const struct intern *t, const void *key, size_t size)
{
	uint32_t found = t->n_slots ? *find_slot(t, key, size, hash_bytes(key, size)) : 0;

	return found ? found - 1 : INTERN_NONE;
}

uint32_t intern(struct intern *t, const void *key, size_t size)
{
	uint64_t hash = hash_bytes(key, size);
	uint32_t *slot, id;

	if (t->n_slots <= 2 * t->n && rehash(t, t->n_slots ? 2 * t->n_slots : 256))
		return INTERN_NONE;
	slot = find_slot(t, key, size, hash);
	if (*slot)
		return *slot - 1;
	id = append(t, key, size, hash);
	if (id != INTERN_NONE)
		*slot = id + 1;
	return id;
}

const void *intern_key(const struct intern *t, uint32_t id, size_t *size)
{
	if (size)
		*size = t->entries[id].size;
	return t->bytes + t->entries[id].offset;
}

size_t intern_bytes(const struct intern *t)
{
	return t->n_slots * sizeof(*t->slots) + t->entries_capacity * sizeof(*t->entries) + t->bytes_capacity;
}

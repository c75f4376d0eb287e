/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte strings to small dense numbers, and growing arrays indexed by such numbers.
 *
 * Strings, stacks, label sets and (stack, label set) pairs are all interned here: whole keys are compared, never
 * hashes alone. A key that is known costs no allocation.
 */
#ifndef WIREPROF_INTERN_H
#define WIREPROF_INTERN_H

#include <stddef.h>
#include <stdint.h>

#define INTERN_NONE UINT32_MAX

struct intern {
	uint32_t *slots; /* open addressing; id + 1, 0 is empty */
	uint32_t n_slots;
	uint32_t n; /* ids are 0 .. n-1 */
	uint32_t limit;
	struct intern_entry *entries;
	size_t entries_capacity;
	uint8_t *bytes;
	size_t n_bytes, bytes_capacity;
};

/* An empty table for at most `limit` keys. Nothing is allocated before the first key. */
void intern_init(struct intern *t, uint32_t limit);
void intern_fini(struct intern *t);

/* The key's number, made if it is new; INTERN_NONE where the table is full or memory is out. */
uint32_t intern(struct intern *t, const void *key, size_t size);
/* Only if it is known; else INTERN_NONE. */
uint32_t intern_find(const struct intern *t, const void *key, size_t size);
/* The key of a number, 8-byte aligned and followed by a NUL; valid until the next intern(). */
const void *intern_key(const struct intern *t, uint32_t id, size_t *size);

/* Memory that the table takes. */
size_t intern_bytes(const struct intern *t);

/*
 * Makes room for element `index` in an array of `element` bytes each; new room is zeroed.
 * Returns 0 or -ENOMEM.
 */
int array_reserve(void **array, size_t *capacity, size_t index, size_t element);

#endif

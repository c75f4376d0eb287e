/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of test input whose last byte is the last of a page, with a PROT_NONE page behind: one
 * byte read too many crashes the test, sanitizers or not.
 */
#ifndef WIREPROF_TESTS_GUARD_H
#define WIREPROF_TESTS_GUARD_H

#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "protocols/slice.h"

/* Bytes of the mapping in front of the guard page. */
static inline size_t guard_room(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (len + page - 1) / page * page;
}

static inline struct slice guard_copy(const void *bytes, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = guard_room(len);
	uint8_t *map =
		mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct slice copy = {map + room - len, len};

	assert(map != MAP_FAILED);
	if (len)
		memcpy(map + room - len, bytes, len);
	assert(!mprotect(map + room, page, PROT_NONE));
	return copy;
}

static inline void guard_free(struct slice copy)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = guard_room(copy.len);

	munmap((void *)(uintptr_t)(copy.ptr + copy.len - room), room + page);
}

#endif

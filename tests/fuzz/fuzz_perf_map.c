/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: a perf map that grows step by step, is cut, and is written over. The first bytes say how it is
 * cut up. What must hold: reading it in steps finds what reading it at once finds, and that is what
 * a plain reading of the lines from the last to the first says.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "symbolizer/perf_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(int fd, const uint8_t *data, size_t from, size_t to)
{
	assert(pwrite(fd, data + from, to - from, (off_t)from) == (ssize_t)(to - from));
}

static void read_all(struct perf_map *m)
{
	int err;

	do
		err = perf_map_read(m, 128);
	while (err == -EAGAIN);
	assert(err == 0);
}

static struct perf_map *open_map(int fd)
{
	struct perf_map *m = perf_map_new();

	assert(m);
	perf_map_set_file(m, dup(fd));
	return m;
}

static void compare(const struct perf_map *steps, const struct perf_map *once, uint64_t address)
{
	char a[PERF_MAP_NAME_BYTES], b[PERF_MAP_NAME_BYTES];
	uint32_t x = 0, y = 0;
	bool found = perf_map_find(steps, address, &x);

	assert(found == perf_map_find(once, address, &y) && x == y);
	if (!found)
		return;
	found = perf_map_name(steps, x, address, a);
	assert(found == perf_map_name(once, y, address, b));
	assert(!found || (*a && !strcmp(a, b)));
	for (const char *p = a; found && *p; p++)
		assert((unsigned char)*p >= ' ');
}

/* What the text says of an address, the plain way: the last whole line that covers it. */
static bool plain_find(const char *text, size_t size, uint64_t address, uint32_t *line)
{
	bool found = false;

	for (size_t at = 0; at < size;) {
		const char *newline = memchr(text + at, '\n', size - at);
		unsigned long long start, bytes;
		char copy[128], *p = copy;
		size_t n, digits, size_digits = 0;

		if (!newline)
			break;
		n = (size_t)(newline - text) - at;
		n = n < sizeof(copy) - 1 ? n : sizeof(copy) - 1;
		memcpy(copy, text + at, n);
		copy[n] = '\0';
		/* only lines of the usual shape: others are the parser's own affair */
		digits = strspn(p, "0123456789abcdef");
		start = strtoull(p, &p, 16);
		bytes = 0;
		if (digits && digits <= 16 && p == copy + digits && *p++ == ' ') {
			const char *size_at = p;

			size_digits = strspn(p, "0123456789abcdef");
			bytes = strtoull(p, &p, 16);
			if (size_digits > 8 || p != size_at + size_digits)
				bytes = 0;
		}
		if (size_digits && *p == ' ' &&
		    p[1] > ' ' && bytes && address - start < bytes && start <= UINT64_MAX - bytes) {
			*line = (uint32_t)at;
			found = true;
		}
		at = (size_t)(newline - text) + 1;
	}
	return found;
}

static void check(const struct perf_map *steps, const struct perf_map *once, const uint8_t *data, size_t size)
{
	for (size_t at = 0; at + 4 <= size && at < 512; at++) {
		uint64_t address = strtoull((const char *)data + at, NULL, 16);
		uint32_t plain, line = 0;

		compare(steps, once, address);
		compare(steps, once, address - 1);
		if (plain_find((const char *)data, size, address, &plain))
			assert(perf_map_find(once, address, &line) && line >= plain);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct perf_map *steps, *once;
	size_t at = 0, step;
	uint8_t *text;
	int fd;

	if (size < 2)
		return 0;
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	assert(fd >= 0);
	step = data[0] + 1u;
	size -= 2;
	text = malloc(size + 1); /* for strtoull: with a NUL */
	assert(text);
	memcpy(text, data + 2, size);
	text[size] = '\0';
	steps = open_map(fd);
	if (data[1] & 1) { /* first something else, which is then written over */
		assert(write(fd, "10 20 old\n30 8 old too\n40 4", 27) == 27);
		read_all(steps);
		assert(!ftruncate(fd, 0));
		if (data[1] & 2)
			read_all(steps);
	}
	for (; at < size; at += step) {
		put(fd, text, at, at + step < size ? at + step : size);
		read_all(steps);
	}
	read_all(steps);
	once = open_map(fd);
	read_all(once);
	if (!(data[1] & 1) || data[1] & 2)
		check(steps, once, text, size);
	perf_map_free(steps);
	perf_map_free(once);
	free(text);
	close(fd);
	return 0;
}

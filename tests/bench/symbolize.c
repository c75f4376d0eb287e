/* SPDX-License-Identifier: Apache-2.0 */
/*
 * symbolize FILE < ADDRESSES: names all addresses (hex, ELF virtual, one a line; of samples, so most come often) with
 * inlined functions and lines, as record does at its end, and prints how long that took and what it needed:
 *
 *	addresses unique with-lines lines symbols-ms lines-ms own-KiB child-KiB
 *
 * See symbolize.py, which asks perf for the addresses and for its own time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "symbolizer/demangle.h"
#include "symbolizer/elf_lines.h"

struct count {
	size_t addresses, lines;
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* The most that was resident since exec(): ru_maxrss counts what was before. */
static long resident_kib(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	long kib = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

static void count_lines(void *context, size_t index, const struct elf_line *lines, size_t n)
{
	struct count *c = context;
	char name[4096];

	(void)index;
	c->addresses++;
	c->lines += n;
	for (size_t i = 0; i < n; i++) /* the profiler does it once a name */
		if (lines[i].name)
			demangle(lines[i].name, name, sizeof(name));
}

static int by_value(const void *pa, const void *pb)
{
	uint64_t a = *(const uint64_t *)pa, b = *(const uint64_t *)pb;

	return (a > b) - (a < b);
}

/* Reads all, returns their number; *out has them sorted, each once, *n_unique of them. */
static size_t read_addresses(uint64_t **out, size_t *n_unique)
{
	size_t n = 0, room = 1u << 24, unique = 0;
	uint64_t *list = malloc(room * sizeof(*list));
	char line[64];

	while (list && n < room && fgets(line, sizeof(line), stdin))
		list[n++] = strtoull(line, NULL, 16);
	*out = list;
	if (!list || !n)
		return 0;
	qsort(list, n, sizeof(*list), by_value);
	for (size_t i = 0; i < n; i++)
		if (!i || list[i] != list[i - 1])
			list[unique++] = list[i];
	*n_unique = unique;
	return n;
}

int main(int argc, char **argv)
{
	struct rusage child;
	struct count count = {0};
	struct elf_object *o;
	struct elf_symbol s;
	size_t n, unique = 0;
	uint64_t *vaddrs;
	double start, named, done;
	int fd, err;

	if (argc != 2) {
		fputs("usage: symbolize FILE < ADDRESSES\n", stderr);
		return 2;
	}
	n = read_addresses(&vaddrs, &unique);
	start = now_ms();
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	err = fd < 0 ? -errno : elf_object_open(fd, argv[1], "", &o);
	if (err) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(-err));
		return 1;
	}
	for (size_t i = 0; i < unique; i++)
		elf_object_symbol(o, vaddrs[i], &s);
	named = now_ms();
	err = elf_lines_resolve(o, vaddrs, unique, 600000, count_lines, &count);
	done = now_ms();
	if (err)
		fprintf(stderr, "%s: lines: %s\n", argv[1], strerror(-err));
	getrusage(RUSAGE_CHILDREN, &child);
	printf("%zu %zu %zu %zu %.1f %.1f %ld %ld\n", n, unique, count.addresses, count.lines, named - start, done - named,
	       resident_kib(), child.ru_maxrss);
	elf_object_free(o);
	close(fd);
	free(vaddrs);
	return 0;
}

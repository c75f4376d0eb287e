/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast unwind rows are built, and what they take: an object's rows are built again and again,
 * its file being in memory.
 *
 *	rows [-n TIMES] [FILE ...]	default: the libLLVM that is installed, 20 times
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "symbolizer/elf_object.h"

#define TIMES_MAX 1000

static const char *const default_objects[] = {
	"/usr/lib/x86_64-linux-gnu/libLLVM*.so*",
	"/usr/lib/llvm-*/lib/libLLVM*.so*",
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Builds the rows once, from opening the file on. Returns 0 or -errno. */
static int build(const char *path, struct unwind_rows *out, double *seconds)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err;
	struct elf_object *o;
	double start;

	if (fd < 0)
		return -errno;
	start = now();
	err = elf_object_open(fd, path, "", &o);
	close(fd);
	if (err)
		return err;
	err = elf_object_unwind_rows(o, out);
	*seconds = now() - start;
	elf_object_free(o);
	return err;
}

static int measure(const char *path, unsigned int times)
{
	static double seconds[TIMES_MAX];
	size_t rows = 0, rules = 0;
	uint64_t unsupported = 0;
	double bytes;

	for (unsigned int i = 0; i < times; i++) {
		struct unwind_rows u;
		int err = build(path, &u, &seconds[i]);

		if (err) {
			fprintf(stderr, "%s: no rows: %s\n", path, strerror(-err));
			return 1;
		}
		rows = u.n_rows;
		rules = u.n_rules;
		unsupported = u.unsupported_bytes;
		unwind_rows_free(&u);
	}
	qsort(seconds, times, sizeof(*seconds), by_value);
	bytes = (double)(rows * sizeof(struct unwind_row) + rules * sizeof(struct unwind_rule));
	printf("%s\n  %zu rows, %zu rules, %.3f bytes a row, %llu bytes of text unsupported\n"
	       "  best %.2f ms, %.1f M rows/s; median of %u %.2f ms, %.1f M rows/s\n",
	       path, rows, rules, rows ? bytes / (double)rows : 0,
	       (unsigned long long)unsupported, seconds[0] * 1e3, (double)rows / seconds[0] / 1e6,
	       times, seconds[times / 2] * 1e3, (double)rows / seconds[times / 2] / 1e6);
	return 0;
}

static int measure_default(unsigned int times)
{
	glob_t found = {0};
	int err = 1;

	for (size_t i = 0; i < sizeof(default_objects) / sizeof(default_objects[0]); i++)
		if (glob(default_objects[i], 0, NULL, &found) == 0)
			break;
	if (found.gl_pathc)
		err = measure(found.gl_pathv[0], times);
	else
		fprintf(stderr, "no libLLVM here: name files, or install libllvm14\n");
	globfree(&found);
	return err;
}

int main(int argc, char **argv)
{
	unsigned long times = 20;
	int opt, err = 0;

	while ((opt = getopt(argc, argv, "n:")) != -1) {
		times = opt == 'n' ? strtoul(optarg, NULL, 10) : 0;
		if (times == 0 || times > TIMES_MAX) {
			fprintf(stderr, "usage: %s [-n TIMES] [FILE ...]   (TIMES: 1 to %d)\n",
				argv[0], TIMES_MAX);
			return 2;
		}
	}
	if (optind == argc)
		return measure_default((unsigned int)times);
	for (int i = optind; i < argc; i++)
		err |= measure(argv[i], (unsigned int)times);
	return err;
}

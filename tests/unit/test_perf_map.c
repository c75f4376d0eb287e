/* SPDX-License-Identifier: Apache-2.0 */
/* Perf maps: overlaps, growth, replacement, limits; and which file is a process's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "symbolizer/perf_map.h"

#define ALL SIZE_MAX

static int file_fd; /* the map's file; each test starts with an empty one */
static struct perf_map *map;

static int setup(void **state)
{
	(void)state;
	file_fd = memfd_create("perf-map", MFD_CLOEXEC);
	map = perf_map_new();
	if (file_fd < 0 || !map)
		return -1;
	perf_map_set_file(map, dup(file_fd));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	perf_map_free(map);
	return close(file_fd);
}

static void append_bytes(const char *bytes, size_t n)
{
	assert_int_equal(pwrite(file_fd, bytes, n, lseek(file_fd, 0, SEEK_END)), n);
}

static void append(const char *text)
{
	append_bytes(text, strlen(text));
}

static void expect(uint64_t address, const char *name)
{
	char found[PERF_MAP_NAME_BYTES];
	uint32_t line;

	if (!name) {
		assert_false(perf_map_find(map, address, &line));
		return;
	}
	assert_true(perf_map_find(map, address, &line));
	assert_true(perf_map_name(map, line, address, found));
	assert_string_equal(found, name);
}

static void read_map(void)
{
	assert_int_equal(perf_map_read(map, ALL), 0);
}

static struct perf_map_counts counts(void)
{
	struct perf_map_counts c;

	perf_map_counts(map, &c);
	return c;
}

static void test_names(void **state)
{
	(void)state;
	append("7f0000001000 40 JS:*foo /a b/x.js:3:5\n"
	       "7f0000001040 80 LazyCompile:~bar\n"
	       "7F0000002000 0x10  std::vector<int, std::allocator<int> >::push\r\n"
	       "0x7f0000003000 10 \xc3\xa9t\x01\n");
	read_map();
	expect(0x7f0000000fff, NULL);
	expect(0x7f0000001000, "JS:*foo /a b/x.js:3:5");
	expect(0x7f000000103f, "JS:*foo /a b/x.js:3:5");
	expect(0x7f0000001040, "LazyCompile:~bar");
	expect(0x7f00000010bf, "LazyCompile:~bar");
	expect(0x7f00000010c0, NULL);
	expect(0x7f000000200f, "std::vector<int, std::allocator<int> >::push");
	expect(0x7f0000003000, "\xc3\xa9t?");
	assert_int_equal(counts().lines, 4);
	assert_int_equal(counts().malformed, 0);
}

static void test_last_line_wins(void **state)
{
	(void)state;
	append("100 100 a\n140 10 inner\n");
	read_map();
	expect(0x13f, "a");
	expect(0x140, "inner");
	expect(0x150, "a");
	append("f0 20 front\n1f0 20 back\n");
	read_map();
	expect(0xef, NULL);
	expect(0xf0, "front");
	expect(0x10f, "front");
	expect(0x110, "a");
	expect(0x1ef, "a");
	expect(0x1f0, "back");
	expect(0x20f, "back");
	expect(0x210, NULL);
	append("100 100 again\n");
	read_map();
	expect(0xff, "front");
	expect(0x140, "again");
	expect(0x1ff, "again");
	expect(0x200, "back");
	append("0 1000 all\n");
	read_map();
	expect(0xf0, "all");
	expect(0x140, "all");
	expect(0xfff, "all");
}

/* Many lines, in no order: against an array of who wrote to each address last. */
static void test_random_overlaps(void **state)
{
	static unsigned int last[4096];
	char line[64];

	(void)state;
	srandom(7);
	for (unsigned int i = 1; i <= 3000; i++) {
		unsigned int start = (unsigned int)random() % 4000;
		unsigned int size = 1 + (unsigned int)random() % (i % 7 ? 24 : 96);

		snprintf(line, sizeof(line), "%x %x f%u\n", start, size, i);
		append(line);
		for (unsigned int at = start; at < start + size && at < 4096; at++)
			last[at] = i;
		if (i % 97 && i != 3000)
			continue;
		read_map();
		for (unsigned int at = 0; at < 4096; at++) {
			snprintf(line, sizeof(line), "f%u", last[at]);
			expect(at, last[at] ? line : NULL);
		}
	}
}

static void test_incomplete_line_waits(void **state)
{
	(void)state;
	append("100 10 one\n110 1");
	read_map();
	expect(0x100, "one");
	expect(0x110, NULL);
	append("0 tw");
	read_map();
	expect(0x110, NULL);
	append("o\n");
	read_map();
	expect(0x110, "two");
	expect(0x11f, "two");
	assert_int_equal(counts().lines, 2);
}

static void test_budget(void **state)
{
	char line[64];
	int reads = 1;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		snprintf(line, sizeof(line), "%x 10 function_with_a_name_%d\n", i * 16, i);
		append(line);
	}
	while (perf_map_read(map, 1) == -EAGAIN)
		reads++;
	assert_in_range(reads, 8, 20000 * 40 / PERF_MAP_LINE_BYTES + 2);
	expect(0, "function_with_a_name_0");
	expect(19999 * 16 + 15, "function_with_a_name_19999");
}

static void test_cut_and_written_anew(void **state)
{
	uint32_t generation = perf_map_generation(map), line;
	char name[PERF_MAP_NAME_BYTES];

	(void)state;
	append("100 10 old_one\n200 10 old_two\n");
	read_map();
	assert_true(perf_map_find(map, 0x200, &line));
	assert_int_equal(ftruncate(file_fd, 0), 0);
	append("100 10 new\n");
	/* not read again yet: the name is not there any more, and no other is given */
	assert_false(perf_map_name(map, line, 0x200, name));
	read_map();
	expect(0x100, "new");
	expect(0x200, NULL);
	assert_int_not_equal(perf_map_generation(map), generation);
	assert_int_equal(counts().restarts, 1);
	/* longer than what was there */
	assert_int_equal(ftruncate(file_fd, 0), 0);
	append("300 10 third\n400 10 fourth\n");
	read_map();
	expect(0x100, NULL);
	expect(0x400, "fourth");
	assert_int_equal(ftruncate(file_fd, 0), 0);
	read_map();
	expect(0x400, NULL);
}

static void test_replaced(void **state)
{
	int other = memfd_create("other", MFD_CLOEXEC);

	(void)state;
	append("100 10 old\n");
	read_map();
	assert_int_equal(write(other, "200 10 new\n", 11), 11);
	perf_map_set_file(map, other);
	read_map();
	expect(0x100, NULL);
	expect(0x200, "new");
}

static void test_lines_that_do_not_parse(void **state)
{
	(void)state;
	append("100 10 good\n"
	       "\n \n100\n100 \n100 10\n100 10 \nxyz 10 name\n100 zz name\n100  name\n-100 10 name\n"
	       "11111111111111111 10 long\nfffffffffffffff8 10 wraps\n100 100000000 large\n100 0 empty\n"
	       "10010 name\n+100 10 name\n 100 10 name\n");
	append_bytes("100 10 \0nul\n", 12);
	read_map();
	expect(0x100, "good");
	expect(0xfffffffffffffff8, NULL);
	assert_int_equal(counts().lines, 19);
	assert_int_equal(counts().malformed, 18);
}

static void test_long_lines(void **state)
{
	static char text[3 * PERF_MAP_LINE_BYTES];
	char name[PERF_MAP_NAME_BYTES];
	uint32_t line;

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	append("100 10 ");
	append(text);
	read_map(); /* no newline: its start is taken */
	assert_true(perf_map_find(map, 0x100, &line));
	assert_true(perf_map_name(map, line, 0x100, name));
	assert_int_equal(strlen(name), PERF_MAP_NAME_BYTES - 1);
	append("\n200 10 after\n");
	read_map();
	expect(0x200, "after");
	assert_int_equal(counts().long_lines, 1);
	assert_int_equal(counts().lines, 2);
}

/* A file of zeroes, GBs of it (sparse): read in bounded steps up to the limit. */
static void test_large_file(void **state)
{
	int err, reads = 0;

	(void)state;
	assert_int_equal(ftruncate(file_fd, PERF_MAP_BYTES_MAX + (off_t)4096), 0);
	while ((err = perf_map_read(map, 64u << 20)) == -EAGAIN)
		reads++;
	assert_int_equal(err, 0);
	assert_in_range(reads, 15, 17);
	assert_int_equal(counts().ignored_bytes, 4096);
	assert_int_equal(counts().lines, 1);
}

static void test_too_many_lines(void **state)
{
	static char text[64 << 10];
	size_t n = 0, used = 0;

	(void)state;
	while (n < PERF_MAP_RANGES_MAX + 100000) {
		used += (size_t)sprintf(text + used, "%zx 8 f\n", 16 * n++);
		if (used > sizeof(text) - 64) {
			append_bytes(text, used);
			used = 0;
		}
	}
	append_bytes(text, used);
	read_map();
	expect(0, "f");
	assert_true(counts().ignored_lines >= 100000 - 1);
	assert_true(counts().ignored_lines <= 100000 + PERF_MAP_RANGES_MAX / 8);
}

/* --- which file --- */

static char directory[] = "/tmp/wireprof-perf-map-XXXXXX";

static void in_root(char *out, size_t size, const char *name)
{
	snprintf(out, size, "%s%s", directory, name);
}

static void write_file(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	in_root(path, sizeof(path), name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int open_below(const struct perf_map_writer *w)
{
	int root = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	assert_true(root >= 0);
	fd = perf_map_open_file(map, w, root);
	close(root);
	return fd;
}

static void test_which_file(void **state)
{
	struct perf_map_writer w = {.pid = 2147483646, .inner_pid = 17, .uid = getuid()};
	char path[256], target[256];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(directory));
	in_root(path, sizeof(path), "/private");
	assert_int_equal(mkdir(path, 0755), 0);
	/* links are resolved inside the root: /private is the root's */
	in_root(target, sizeof(target), "/tmp");
	assert_int_equal(symlink("/private", target), 0);
	assert_int_equal(open_below(&w), -ENOENT);
	write_file("/private/perf-17.map", "100 10 here\n");
	fd = open_below(&w);
	assert_true(fd >= 0);
	perf_map_set_file(map, fd);
	read_map();
	expect(0x100, "here");
	assert_int_equal(open_below(&w), -EALREADY);
	perf_map_set_file(map, -1);

	w.start_ns = INT64_MAX;
	assert_int_equal(open_below(&w), -ESTALE);
	w.start_ns = 0;
	w.uid = getuid() + 1;
	assert_int_equal(open_below(&w) >= 0 ? 0 : -EPERM, getuid() == 0 ? 0 : -EPERM);
	in_root(path, sizeof(path), "/private/perf-17.map");
	if (getuid() == 0) {
		assert_int_equal(chown(path, 1234, 0), 0);
		assert_int_equal(open_below(&w), -EPERM);
		w.uid = 1234;
		assert_true(open_below(&w) >= 0);
	}
	/* these must neither block nor be read */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(open_below(&w), -EINVAL);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(open_below(&w), -EINVAL);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("/private/other", path), 0);
	write_file("/private/other", "100 10 x\n");
	assert_int_equal(open_below(&w), -EINVAL);
	unlink(path);
	in_root(path, sizeof(path), "/private/other");
	unlink(path);
	unlink(target);
	in_root(path, sizeof(path), "/private");
	rmdir(path);
	rmdir(directory);
}

static void test_ourselves_as_writer(void **state)
{
	struct perf_map_writer w;
	struct timespec now;
	int64_t age_ns;

	(void)state;
	assert_int_equal(perf_map_writer_read("/proc/self", &w), 0);
	assert_int_equal(w.pid, getpid());
	assert_int_equal(w.inner_pid, getpid());
	assert_int_equal(w.uid, geteuid());
	clock_gettime(CLOCK_REALTIME, &now);
	age_ns = now.tv_sec * 1000000000ll + now.tv_nsec - w.start_ns;
	assert_in_range(age_ns + 1000000000, 0, 600 * 1000000000ll);
	assert_int_equal(perf_map_writer_read("/proc/2147483646", &w), -ENOENT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_last_line_wins),
		TEST(test_random_overlaps),
		TEST(test_incomplete_line_waits),
		TEST(test_budget),
		TEST(test_cut_and_written_anew),
		TEST(test_replaced),
		TEST(test_lines_that_do_not_parse),
		TEST(test_long_lines),
		TEST(test_large_file),
		TEST(test_too_many_lines),
		TEST(test_which_file),
		TEST(test_ourselves_as_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

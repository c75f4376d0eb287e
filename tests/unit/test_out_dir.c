/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of pprof files: names, limits, what is not ours, and disks that are full or gone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "profiler/agent/out_dir.h"
#include "queue_directory.h"
#include "sample_profile.h"

#define PLENTY   (64u << 20)
#define FIRST_NS 1764065730ull * 1000000000u /* 2025-11-25 10:15:30 UTC */

static struct test_directory dir;
static char path[128];
static struct sample_profile *sample;
static uint64_t file_bytes; /* of one of them, as the disk counts */

static int make_directory(void **state)
{
	(void)state;
	dir = test_directory_new();
	snprintf(path, sizeof(path), "%s/profiles", dir.path);
	sample = sample_profile_new();
	sample->p.time_ns = FIRST_NS;
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	sample_profile_free(sample);
	test_directory_free(&dir);
	return 0;
}

static struct out_dir *open_dir(uint64_t max)
{
	struct out_dir *d = NULL;

	assert_int_equal(out_dir_open(path, max, &d), 0);
	return d;
}

static struct out_dir_counts counts(struct out_dir *d)
{
	struct out_dir_counts c;

	out_dir_counts(d, &c);
	return c;
}

static void write_at(struct out_dir *d, uint64_t second)
{
	sample->p.time_ns = FIRST_NS + second * 1000000000u + 999999999u;
	assert_int_equal(out_dir_write(d, &sample->p), 0);
}

static bool exists(const char *name)
{
	char full[300];

	snprintf(full, sizeof(full), "%s/%s", path, name);
	return !access(full, F_OK);
}

static void measure(void)
{
	struct out_dir *d = open_dir(PLENTY);

	write_at(d, 100000);
	file_bytes = counts(d).bytes;
	out_dir_close(d);
	test_directory_empty(path);
	assert_true(file_bytes >= 4096 && file_bytes % 4096 == 0);
}

static void names_are_the_windows_time(void **state)
{
	struct out_dir *d = open_dir(PLENTY);
	struct stat st;
	char name[300];

	(void)state;
	write_at(d, 0);
	write_at(d, 0);
	write_at(d, 0);
	write_at(d, 30);
	assert_true(exists("wireprof-20251125T101530Z.pb.gz"));
	assert_true(exists("wireprof-20251125T101530Z-2.pb.gz"));
	assert_true(exists("wireprof-20251125T101530Z-3.pb.gz"));
	assert_true(exists("wireprof-20251125T101600Z.pb.gz"));
	assert_int_equal(test_directory_files(path), 4);
	test_directory_name(path, 0, name);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 07777 & ~0640, 0);
	assert_int_equal(counts(d).written, 4);
	assert_int_equal(counts(d).files, 4);
	sample->p.time_ns = 0;
	assert_int_equal(out_dir_write(d, &sample->p), 0);
	assert_true(exists("wireprof-19700101T000000Z.pb.gz"));
	sample->p.time_ns = UINT64_MAX;
	assert_int_equal(out_dir_write(d, &sample->p), 0);
	out_dir_close(d);
}

static void the_oldest_go(void **state)
{
	struct out_dir *d;

	(void)state;
	measure();
	d = open_dir(5 * file_bytes);
	for (uint64_t i = 0; i < 12; i++)
		write_at(d, i);
	assert_int_equal(test_directory_files(path), 5);
	assert_true(exists("wireprof-20251125T101541Z.pb.gz") &&
		    exists("wireprof-20251125T101537Z.pb.gz"));
	assert_int_equal(counts(d).removed, 7);
	/* the clock is put back: what is written now is the newest all the same */
	sample->p.time_ns = FIRST_NS - 3600 * 1000000000ull;
	assert_int_equal(out_dir_write(d, &sample->p), 0);
	assert_true(exists("wireprof-20251125T091530Z.pb.gz"));
	assert_false(exists("wireprof-20251125T101537Z.pb.gz"));
	out_dir_close(d);
	d = open_dir(2 * file_bytes); /* a smaller one, over a restart */
	assert_int_equal(test_directory_files(path), 2);
	write_at(d, 60);
	assert_int_equal(test_directory_files(path), 2);
	out_dir_close(d);
	d = open_dir(1); /* the last one stays, whatever it takes */
	write_at(d, 61);
	assert_int_equal(test_directory_files(path), 1);
	assert_true(exists("wireprof-20251125T101631Z.pb.gz"));
	out_dir_close(d);
}

static void what_is_not_ours_stays(void **state)
{
	static const char *const foreign[] = {"wireprof.pb.gz",
					      "wireprof-20251125T101530Z.pb.gz.bak",
					      "wireprof-20251125T101530Z-1.pb.gz",
					      "wireprof-20251125T101530Z-02.pb.gz",
					      "wireprof-20251125T101530Z-+2.pb.gz",
					      "wireprof-20251125T101530Z- 2.pb.gz",
					      "wireprof-20251125T101530Z-.pb.gz",
					      "wireprof-20251125T101530Z-99999.pb.gz",
					      "wireprof-20251125T101530.pb.gz",
					      "wireprof-2025112T101530Z.pb.gz",
					      "wireprof-20251125T101530Z.html",
					      "xwireprof-20251125T101530Z.pb.gz",
					      ".wireprof-20251125T101530Z.pb.gz.tmp2",
					      "notes"};
	size_t n = sizeof(foreign) / sizeof(foreign[0]);
	struct out_dir *d;
	char link[300];

	(void)state;
	measure();
	for (size_t i = 0; i < n; i++)
		test_file(path, foreign[i], "mine", 4);
	snprintf(link, sizeof(link), "%s/wireprof-20251125T101530Z.pb.gz", path);
	assert_int_equal(symlink("/etc/passwd", link), 0);
	d = open_dir(file_bytes);
	assert_int_equal(counts(d).files, 0);
	for (uint64_t i = 0; i < 4; i++)
		write_at(d, i);
	for (size_t i = 0; i < n; i++)
		assert_true(exists(foreign[i]));
	assert_true(exists("wireprof-20251125T101530Z.pb.gz")); /* the link; ours took the next
								   number, and is gone */
	assert_int_equal(test_directory_files(path), (int)n + 2);
	out_dir_close(d);
}

static void leftovers_are_removed(void **state)
{
	struct out_dir *d = open_dir(PLENTY);

	(void)state;
	out_dir_close(d);
	test_file(path, ".wireprof-20251125T101530Z.pb.gz.tmp", "half", 4);
	test_file(path, ".wireprof-20251125T101530Z-12.pb.gz.tmp", "half", 4);
	d = open_dir(PLENTY);
	assert_int_equal(test_directory_files(path), 0);
	out_dir_close(d);
}

static void directories_that_cannot_be(void **state)
{
	static const char *const bad[] = {"/a/b/c", "/etc/passwd", "/proc", ""};
	struct out_dir *d = NULL, *first = open_dir(PLENTY);
	struct said said;
	char *text;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		said = said_begin();
		assert_true(out_dir_open(bad[i], PLENTY, &d) < 0 || !strcmp(bad[i], "/proc"));
		text = said_end(&said);
		if (d)
			out_dir_close(d);
		else
			assert_int_equal(said_times(text, "\n"), 1);
		d = NULL;
		free(text);
	}
	said = said_begin();
	assert_int_equal(out_dir_open(path, PLENTY, &d), -EBUSY);
	text = said_end(&said);
	assert_int_equal(said_times(text, "another wireprof writes"), 1);
	assert_int_equal(said_times(text, "\n"), 1);
	free(text);
	out_dir_close(first);
	out_dir_close(NULL);
}

static void a_directory_that_is_removed_is_made_again(void **state)
{
	struct out_dir *d = open_dir(PLENTY);

	(void)state;
	write_at(d, 0);
	test_directory_empty(path);
	assert_int_equal(rmdir(path), 0);
	write_at(d, 1);
	assert_int_equal(test_directory_files(path), 1);
	assert_int_equal(counts(d).files, 1);
	assert_int_equal(counts(d).failed, 0);
	out_dir_close(d);
}

static bool small_disk(const char *options)
{
	test_directory_free(&dir);
	if (!test_directory_small(&dir, options))
		return false;
	snprintf(path, sizeof(path), "%s/profiles", dir.path);
	return true;
}

static void a_full_disk_takes_the_oldest(void **state)
{
	struct said said;
	struct out_dir *d;
	char *text;

	(void)state;
	if (!small_disk("size=100k"))
		skip();
	said = said_begin();
	d = open_dir(PLENTY);
	for (uint64_t i = 0; i < 100; i++)
		write_at(d, i);
	assert_int_equal(counts(d).written, 100);
	assert_int_equal(counts(d).written - counts(d).removed, test_directory_files(path));
	assert_true(exists("wireprof-20251125T101709Z.pb.gz"));
	out_dir_close(d);
	text = said_end(&said);
	assert_string_equal(text, "");
	free(text);
}

/* By others: nothing of ours helps. Told once, and once more when it works again. */
static void a_disk_that_others_fill(void **state)
{
	char *block = calloc(1, 1 << 20), other[200], *text;
	struct out_dir *d;
	struct said said;
	int fd;

	(void)state;
	if (!small_disk("size=1m"))
		skip();
	said = said_begin();
	d = open_dir(PLENTY);
	snprintf(other, sizeof(other), "%s/other", dir.path);
	fd = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(write(fd, block, 1 << 20) > 0);
	close(fd);
	for (int i = 0; i < 5; i++)
		assert_int_equal(out_dir_write(d, &sample->p), -ENOSPC);
	assert_int_equal(test_directory_files(path), 0);
	unlink(other);
	write_at(d, 1);
	write_at(d, 2);
	assert_int_equal(counts(d).failed, 5);
	out_dir_close(d);
	text = said_end(&said);
	assert_int_equal(said_times(text, "No space left"), 1);
	assert_int_equal(said_times(text, "profiles are written to"), 1);
	assert_int_equal(said_times(text, "\n"), 2);
	free(text);
	free(block);
}

static void a_disk_that_becomes_read_only(void **state)
{
	struct said said;
	struct out_dir *d;

	(void)state;
	if (!small_disk("size=1m"))
		skip();
	said = said_begin();
	d = open_dir(PLENTY);
	assert_int_equal(mount("tmpfs", dir.path, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=1m"), 0);
	assert_int_equal(out_dir_write(d, &sample->p), -EROFS);
	assert_int_equal(mount("tmpfs", dir.path, "tmpfs", MS_REMOUNT, "size=1m"), 0);
	write_at(d, 1);
	out_dir_close(d);
	free(said_end(&said));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_are_the_windows_time),
		TEST(the_oldest_go),
		TEST(what_is_not_ours_stays),
		TEST(leftovers_are_removed),
		TEST(directories_that_cannot_be),
		TEST(a_directory_that_is_removed_is_made_again),
		TEST(a_full_disk_takes_the_oldest),
		TEST(a_disk_that_others_fill),
		TEST(a_disk_that_becomes_read_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

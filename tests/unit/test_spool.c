/* SPDX-License-Identifier: Apache-2.0 */
/* The queue on the disk: order, limits, crashes, disks that are full or read-only, and files that
 * somebody else made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include "profiler/agent/spool.h"
#include "queue_directory.h"

#define PLENTY (64u << 20)
#define BODY   3000 /* bytes of a body, where nothing else is said: one block with its header */

static struct test_directory dir;
static char queue[128];

static int make_directory(void **state)
{
	(void)state;
	dir = test_directory_new();
	snprintf(queue, sizeof(queue), "%s/queue", dir.path);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	chmod(queue, 0700);
	test_directory_free(&dir);
	return 0;
}

static struct spool *open_spool(uint64_t max)
{
	struct spool *s = NULL;

	assert_int_equal(spool_open(queue, max, &s), 0);
	assert_non_null(s);
	return s;
}

static void fill(uint8_t *body, size_t bytes, uint32_t number)
{
	for (size_t i = 0; i < bytes; i++)
		body[i] = (uint8_t)(number * 31 + i * 7 + (i >> 8));
	memcpy(body, &number, sizeof(number));
}

static int put_bytes(struct spool *s, uint32_t number, size_t bytes)
{
	uint8_t *body = malloc(bytes);
	int ret;

	fill(body, bytes, number);
	ret = spool_put(s, body, bytes);
	free(body);
	return ret;
}

static int put(struct spool *s, uint32_t number)
{
	return put_bytes(s, number, BODY);
}

/* The number in the next body, whose bytes are all looked at; -1: none. */
static int64_t take_id(struct spool *s, uint64_t after, uint64_t *id)
{
	struct spool_body b;
	uint32_t number;
	uint8_t *expected;

	if (spool_get(s, after, &b))
		return -1;
	memcpy(&number, b.data, sizeof(number));
	expected = malloc(b.bytes);
	fill(expected, b.bytes, number);
	assert_memory_equal(b.data, expected, b.bytes);
	free(expected);
	free(b.data);
	assert_true(b.id > after);
	*id = b.id;
	return number;
}

static int64_t take(struct spool *s)
{
	uint64_t id;
	int64_t number = take_id(s, 0, &id);

	if (number >= 0)
		spool_remove(s, id);
	return number;
}

static struct spool_counts counts(struct spool *s)
{
	struct spool_counts c;

	spool_counts(s, &c);
	return c;
}

static void first_in_first_out_over_restarts(void **state)
{
	struct spool *s = open_spool(PLENTY);
	struct stat st;
	char name[300];
	uint64_t id;

	(void)state;
	assert_int_equal(take(s), -1);
	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(put(s, i), 0);
	for (uint32_t i = 0; i < 50; i++)
		assert_int_equal(take(s), i);
	assert_int_equal(take_id(s, 0, &id), 50); /* still there until it is removed */
	assert_int_equal(take_id(s, id, &id), 51);
	spool_remove(s, id);
	assert_int_equal(counts(s).bodies, 149);
	assert_int_equal(counts(s).bytes, 149 * 4096);
	spool_close(s);
	assert_int_equal(stat(queue, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	test_directory_name(queue, 0, name);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	s = open_spool(PLENTY);
	assert_int_equal(put(s, 200), 0);
	assert_int_equal(counts(s).bodies, 150);
	assert_int_equal(take(s), 50);
	for (uint32_t i = 52; i <= 200; i++)
		assert_int_equal(take(s), i);
	assert_int_equal(take(s), -1);
	assert_int_equal(counts(s).bodies + counts(s).bytes, 0);
	spool_close(s);
	assert_int_equal(test_directory_files(queue), 0);
}

/* A clock that was ahead left names from the future: what comes now is newer all the same. */
static void order_does_not_depend_on_the_clock(void **state)
{
	struct spool *s = open_spool(PLENTY);
	char name[300], future[300];

	(void)state;
	put(s, 1);
	spool_close(s);
	test_directory_name(queue, 0, name);
	snprintf(future, sizeof(future), "%s/00099999999999999999.push", queue);
	assert_int_equal(rename(name, future), 0);
	s = open_spool(PLENTY);
	put(s, 2);
	put(s, 3);
	spool_close(s);
	s = open_spool(PLENTY);
	for (int i = 1; i <= 3; i++)
		assert_int_equal(take(s), i);
	assert_int_equal(take(s), -1);
	spool_close(s);
}

static void the_oldest_go_when_it_is_full(void **state)
{
	struct said said = said_begin();
	struct spool *s = open_spool(10 * 4096);
	char *text;

	(void)state;
	for (uint32_t i = 0; i < 25; i++)
		assert_int_equal(put(s, i), 0);
	assert_int_equal(counts(s).bodies, 10);
	assert_int_equal(counts(s).dropped, 15);
	assert_int_equal(test_directory_files(queue), 10);
	assert_int_equal(put_bytes(s, 25, 20000), 0); /* five of the old ones */
	assert_int_equal(counts(s).dropped, 20);
	assert_int_equal(put_bytes(s, 26, 41000), -EFBIG);
	assert_int_equal(counts(s).bodies, 6);
	assert_int_equal(counts(s).dropped, 21);
	for (uint32_t i = 20; i <= 25; i++)
		assert_int_equal(take(s), i);
	spool_close(s);
	s = open_spool(PLENTY);
	for (uint32_t i = 0; i < 8; i++)
		put(s, i);
	spool_close(s);
	s = open_spool(4 * 4096); /* a smaller one than before */
	assert_int_equal(counts(s).bodies, 4);
	assert_int_equal(take(s), 4);
	spool_close(s);
	text = said_end(&said);
	assert_int_equal(said_times(text, "is full"), 2);
	assert_int_equal(said_times(text, "\n"), 2);
	free(text);
}

static void broken_and_foreign_files_are_never_sent(void **state)
{
	struct said said = said_begin();
	struct spool *s = open_spool(PLENTY);
	char name[300], text_path[300], *text;
	int fd;

	(void)state;
	for (uint32_t i = 0; i < 6; i++)
		put(s, i);
	spool_close(s);
	test_directory_name(queue, 0, name); /* cut */
	assert_int_equal(truncate(name, 1000), 0);
	test_directory_name(queue, 1, name); /* one bit */
	fd = open(name, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "\x55", 1, 2000), 1);
	close(fd);
	test_directory_name(queue, 2, name); /* longer */
	assert_int_equal(truncate(name, 100000), 0);
	test_directory_name(queue, 3, name); /* nothing */
	assert_int_equal(truncate(name, 0), 0);
	test_file(queue, "00000000000000000007.push", "hello", 5);
	test_file(queue, "README", "hello", 5);
	test_file(queue, "1.push", "hello", 5);
	test_file(queue, "99999999999999999999.push", "hello", 5);
	test_file(queue, "00000000000000000000.push", "hello", 5);
	test_file(queue, "00001764109000123456.pushed", "hello", 5);
	test_file(queue, ".hidden.tmp", "hello", 5);
	snprintf(text_path, sizeof(text_path), "%s/00000000000000000004.push",
		 queue); /* all holes */
	fd = open(text_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 1ll << 40), 0);
	close(fd);
	snprintf(text_path, sizeof(text_path), "%s/00000000000000000001.push", queue);
	assert_int_equal(mkdir(text_path, 0700), 0);
	snprintf(text_path, sizeof(text_path), "%s/00000000000000000002.push", queue);
	assert_int_equal(symlink("/etc/passwd", text_path), 0);
	snprintf(text_path, sizeof(text_path), "%s/00000000000000000003.push", queue);
	assert_int_equal(mkfifo(text_path, 0600), 0);
	s = open_spool(PLENTY);
	assert_int_equal(take(s), 4);
	assert_int_equal(take(s), 5);
	assert_int_equal(take(s), -1);
	assert_int_equal(counts(s).broken, 5);
	spool_close(s);
	/* six foreign names, a directory, a link, a pipe, and what is too large to be ours */
	assert_int_equal(test_directory_files(queue), 10);
	text = said_end(&said);
	assert_int_equal(said_times(text, "\n"), 1);
	free(text);
}

static void files_that_vanish_are_counted(void **state)
{
	struct said said = said_begin();
	struct spool *s = open_spool(PLENTY);
	char name[300];

	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		put(s, i);
	test_directory_name(queue, 0, name);
	unlink(name);
	assert_int_equal(take(s), 1);
	/* the directory itself */
	test_directory_empty(queue);
	assert_int_equal(rmdir(queue), 0);
	assert_int_equal(put(s, 7), 0);
	assert_int_equal(take(s), 7);
	assert_int_equal(take(s), -1);
	assert_int_equal(counts(s).broken, 2);
	spool_close(s);
	free(said_end(&said));
}

static void leftovers_are_removed(void **state)
{
	struct spool *s = open_spool(PLENTY);

	(void)state;
	put(s, 1);
	spool_close(s);
	test_file(queue, ".00001764109000123456.tmp", "half", 4);
	test_file(queue, ".00001764109000123457.tmp", "", 0);
	assert_int_equal(test_directory_files(queue), 3);
	s = open_spool(PLENTY);
	assert_int_equal(test_directory_files(queue), 1);
	assert_int_equal(take(s), 1);
	spool_close(s);
}

/* A child puts bodies and says so once each is put; it is killed at whatever it is doing. */
static void writer_child(int told)
{
	struct spool *s;

	if (spool_open(queue, PLENTY, &s))
		_exit(1);
	for (uint32_t i = 0;; i++) {
		if (put_bytes(s, i, 200 + i * 977 % 30000))
			_exit(2);
		if (write(told, &i, sizeof(i)) != sizeof(i))
			_exit(3);
	}
}

static void killed_at_any_point_it_loses_nothing(void **state)
{
	uint32_t most = 0, total = 0;

	(void)state;
	for (uint32_t round = 0; round < 60; round++) {
		uint32_t told = 0, number;
		struct spool *s;
		int fds[2], status;
		pid_t child;

		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		child = fork();
		if (!child)
			writer_child(fds[1]);
		close(fds[1]);
		/* at least one, then some more microseconds */
		assert_int_equal(read(fds[0], &number, sizeof(number)), sizeof(number));
		usleep(round * 137 % 6000);
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		assert_true(WIFSIGNALED(status));
		told = number + 1;
		while (read(fds[0], &number, sizeof(number)) == sizeof(number))
			told = number + 1;
		close(fds[0]);
		s = open_spool(PLENTY);
		for (uint32_t i = 0; i < told; i++)
			assert_int_equal(take(s), i);
		while (take(s) >= 0) /* put, but not told yet: at most one */
			told++;
		assert_int_equal(counts(s).broken, 0);
		spool_close(s);
		assert_int_equal(test_directory_files(queue), 0);
		most = told > most ? told : most;
		total += told;
	}
	assert_true(most > 1 && total > 60);
}

static void two_on_one_directory_exclude_each_other(void **state)
{
	struct spool *s = open_spool(PLENTY), *other = NULL;
	struct said said = said_begin();
	char *text;

	(void)state;
	assert_int_equal(spool_open(queue, PLENTY, &other), -EBUSY);
	text = said_end(&said);
	assert_int_equal(said_times(text, "\n"), 1);
	assert_int_equal(said_times(text, "another wireprof uses the queue"), 1);
	free(text);
	assert_int_equal(put(s, 1), 0);
	spool_close(s);
	s = open_spool(PLENTY);
	spool_close(s);
}

static void a_directory_that_cannot_be_is_an_error(void **state)
{
	static const char *const bad[] = {"/a/b/c/d", "/etc/passwd", "/dev/null/x", ""};
	struct spool *s = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct said said = said_begin();
		char *text;

		assert_true(spool_open(bad[i], PLENTY, &s) < 0);
		text = said_end(&said);
		assert_int_equal(said_times(text, "\n"), 1);
		free(text);
	}
	snprintf(queue, sizeof(queue), "%s/parent/queue/", dir.path);
	s = open_spool(PLENTY);
	assert_int_equal(put(s, 1), 0);
	assert_int_equal(take(s), 1);
	spool_close(s);
}

static bool small_disk(const char *options)
{
	test_directory_free(&dir);
	if (!test_directory_small(&dir, options))
		return false;
	snprintf(queue, sizeof(queue), "%s/queue", dir.path);
	return true;
}

/* Somebody else's data fills the disk, then goes away. */
static void a_full_disk(void **state)
{
	struct said said;
	struct spool *s;
	char *block = calloc(1, 1 << 20), path[200], *text;
	uint32_t i = 0;
	int fd;

	(void)state;
	if (!small_disk("size=1m"))
		skip();
	said = said_begin();
	s = open_spool(PLENTY);
	for (; i < 3; i++)
		assert_int_equal(put(s, i), 0);
	snprintf(path, sizeof(path), "%s/other", dir.path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(write(fd, block, 1 << 20) > 0); /* as much as there is room for */
	close(fd);
	for (; i < 3 + SPOOL_MEMORY_BODIES; i++)
		assert_int_equal(put(s, i), SPOOL_IN_MEMORY);
	assert_int_equal(counts(s).in_memory, SPOOL_MEMORY_BODIES);
	assert_int_equal(counts(s).bodies, 3 + SPOOL_MEMORY_BODIES);
	assert_int_equal(counts(s).dropped, 0);
	assert_int_equal(put(s, i++),
			 SPOOL_IN_MEMORY); /* the oldest goes, for the disk that it has */
	assert_int_equal(counts(s).dropped, 1);
	assert_int_equal(take(s), 1); /* whether from a file or from memory, in their order */
	assert_int_equal(take(s), 2);
	assert_int_equal(take(s), 3);
	assert_int_equal(unlink(path), 0);
	spool_settle(s);
	assert_int_equal(counts(s).in_memory, 0);
	assert_int_equal(put(s, i++), 0);
	spool_close(s);
	assert_int_equal(test_directory_files(queue), (int)i - 4);
	s = open_spool(PLENTY);
	for (uint32_t j = 4; j < i; j++)
		assert_int_equal(take(s), j);
	spool_close(s);
	text = said_end(&said);
	assert_int_equal(said_times(text, "No space left on device"), 1);
	assert_int_equal(said_times(text, "can be written again\n"), 1);
	assert_int_equal(said_times(text, "\n"), 2);
	free(text);
	free(block);
}

/* A queue that may be larger than its disk: the newest stay, the oldest go. */
static void a_disk_that_is_smaller_than_the_queue(void **state)
{
	struct said said;
	struct spool *s;
	int64_t number, before = -1;
	uint32_t n = 0;
	char *text;

	(void)state;
	if (!small_disk("size=256k"))
		skip();
	said = said_begin();
	s = open_spool(PLENTY);
	for (uint32_t i = 0; i < 400; i++)
		assert_true(put_bytes(s, i, 5000 + i * 13 % 9000) >= 0);
	assert_true(counts(s).bodies > SPOOL_MEMORY_BODIES + 8);
	assert_int_equal(counts(s).bodies + counts(s).dropped, 400);
	while ((number = take(s)) >= 0) {
		assert_true(number > before);
		before = number;
		n++;
	}
	assert_int_equal(before, 399);
	assert_true(n > SPOOL_MEMORY_BODIES);
	spool_close(s);
	text = said_end(&said);
	assert_true(said_times(text, "\n") <= 2);
	free(text);
}

static void a_read_only_disk(void **state)
{
	struct said said;
	struct spool *s;
	char *text;

	(void)state;
	if (!small_disk("size=1m"))
		skip();
	said = said_begin();
	s = open_spool(PLENTY);
	put(s, 0);
	assert_int_equal(mount("tmpfs", dir.path, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=1m"), 0);
	for (uint32_t i = 1; i < 30; i++)
		assert_int_equal(put(s, i), SPOOL_IN_MEMORY);
	assert_int_equal(counts(s).bodies, 1 + SPOOL_MEMORY_BODIES);
	assert_int_equal(take(s), 0);
	assert_int_equal(
		take(s),
		14); /* the file's removal cannot be seen through, but it is not sent again */
	assert_int_equal(mount("tmpfs", dir.path, "tmpfs", MS_REMOUNT, "size=1m"), 0);
	assert_int_equal(put(s, 30), 0);
	assert_int_equal(counts(s).in_memory, 0);
	spool_close(s);
	/* and from the start */
	assert_int_equal(mount("tmpfs", dir.path, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=1m"), 0);
	s = open_spool(PLENTY);
	assert_int_equal(counts(s).bodies, 17);
	assert_int_equal(put(s, 31), SPOOL_IN_MEMORY);
	spool_close(s);
	text = said_end(&said);
	assert_int_equal(said_times(text, "Read-only file system"), 2);
	assert_int_equal(said_times(text, "1 profiles could be neither sent nor written"), 1);
	assert_int_equal(said_times(text, "\n"), 4);
	free(text);
}

static void a_directory_that_is_read_only_at_first(void **state)
{
	struct said said;
	struct spool *s;

	(void)state;
	if (!small_disk("size=1m"))
		skip();
	said = said_begin();
	assert_int_equal(mount("tmpfs", dir.path, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=1m"), 0);
	s = open_spool(PLENTY); /* cannot even be made */
	assert_int_equal(put(s, 1), SPOOL_IN_MEMORY);
	assert_int_equal(mount("tmpfs", dir.path, "tmpfs", MS_REMOUNT, "size=1m"), 0);
	assert_int_equal(put(s, 2), 0);
	assert_int_equal(test_directory_files(queue), 2);
	assert_int_equal(take(s), 1);
	assert_int_equal(take(s), 2);
	spool_close(s);
	free(said_end(&said));
}

static void memory_is_bounded_in_bytes(void **state)
{
	struct said said;
	struct spool *s;

	(void)state;
	if (!small_disk("size=64k"))
		skip();
	said = said_begin();
	s = open_spool(PLENTY);
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(put_bytes(s, i, 3 << 20), SPOOL_IN_MEMORY);
	assert_int_equal(counts(s).in_memory, 5);
	assert_int_equal(put_bytes(s, 9, 17 << 20), -EFBIG);
	assert_int_equal(take(s), 3);
	spool_close(s);
	free(said_end(&said));
}

static void many_files_open_quickly_and_go_in_order(void **state)
{
	struct spool *s = open_spool(PLENTY);
	uint64_t id = 0;

	(void)state;
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(put_bytes(s, i, 64), 0);
	spool_close(s);
	s = open_spool(PLENTY);
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(take_id(s, id, &id), i);
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(take(s), i);
	spool_close(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first_in_first_out_over_restarts),
		TEST(order_does_not_depend_on_the_clock),
		TEST(the_oldest_go_when_it_is_full),
		TEST(broken_and_foreign_files_are_never_sent),
		TEST(files_that_vanish_are_counted),
		TEST(leftovers_are_removed),
		TEST(killed_at_any_point_it_loses_nothing),
		TEST(two_on_one_directory_exclude_each_other),
		TEST(a_directory_that_cannot_be_is_an_error),
		TEST(a_full_disk),
		TEST(a_disk_that_is_smaller_than_the_queue),
		TEST(a_read_only_disk),
		TEST(a_directory_that_is_read_only_at_first),
		TEST(memory_is_bounded_in_bytes),
		TEST(many_files_open_quickly_and_go_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A file that shrinks while it is mapped reads as zeroes, and does not end the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "profiler/truncated_files.h"

static void test_reads_zeroes(void **state)
{
	char path[] = "/tmp/wireprof-test-XXXXXX";
	int fd = mkstemp(path);
	volatile const char *p;

	(void)state;
	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, "ELF", 3), 3);
	assert_int_equal(ftruncate(fd, 3 * 4096), 0);
	p = mmap(NULL, 3 * 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	survive_truncated_files();
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(p[2], 0);
	assert_int_equal(p[3 * 4096 - 1], 0);
	munmap((void *)p, 3 * 4096);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_reads_zeroes)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

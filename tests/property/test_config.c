/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration files of the agent, good and bad: the fuzzer's corpus and all its truncations, pieces of good files in
 * any order, and anything at all; with the fuzz target's own checks. Random, with a fixed seed.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "fuzz/fuzz_config.c"

#define CORPUS "tests/fuzz/corpus/fuzz_config"
#define ROUNDS 5000

static void test_corpus(void **state)
{
	DIR *dir = opendir(CORPUS);
	struct dirent *entry;
	int n = 0;

	(void)state;
	if (!dir)
		fail_msg("no %s: run from the top of the tree", CORPUS);
	while ((entry = readdir(dir))) {
		unsigned char bytes[4096];
		char path[512];
		size_t size;
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), CORPUS "/%s", entry->d_name);
		file = fopen(path, "rb");
		assert_non_null(file);
		size = fread(bytes, 1, sizeof(bytes), file);
		fclose(file);
		for (size_t cut = 0; cut <= size; cut++)
			LLVMFuzzerTestOneInput(bytes, cut);
		n++;
	}
	closedir(dir);
	assert_true(n > 5 && fuzz_accepted > 50);
	fuzz_accepted = 0;
}

static size_t random_text(unsigned char *out, size_t size, unsigned int *seed)
{
	static const char *const pieces[] = {
		"pid = 1\n", "comm = a\n", "label = ", "a=b\n", "c=\"d\"\n", "window = 5\n", "pyroscope = http://h\n", "listen = ", "[::1]:1\n",
		"all = yes\n", "top = 9\n", "=", "\n", "\r\n", "\"", "'", "#", " ", "\\", "5", "out-dir = o\n", "\xef\xbb\xbf",
		"user-only = yes\n", "kernel-only = no\n", "config = x\n", "quiet = 1\n", "# c\n", "service = '", "x'\n", "allow-host = h\n",
	};
	static const char good[] = "all = yes\nout-dir = o\n";
	size_t used = rand_r(seed) % 2 ? 0 : sizeof(good) - 1, n = rand_r(seed) % 12;

	memcpy(out, good, used);
	for (size_t i = 0; i < n; i++) {
		const char *piece = pieces[rand_r(seed) % (sizeof(pieces) / sizeof(*pieces))];
		size_t bytes = strlen(piece);

		if (rand_r(seed) % 16 == 0) {
			out[used++] = rand_r(seed);
		} else if (used + bytes < size) {
			memcpy(out + used, piece, bytes);
			used += bytes;
		}
	}
	return used;
}

static void test_random_files(void **state)
{
	unsigned char text[1024];
	unsigned int seed = 7;

	(void)state;
	for (int round = 0; round < ROUNDS; round++)
		LLVMFuzzerTestOneInput(text, random_text(text, sizeof(text), &seed));
	assert_true(fuzz_accepted > ROUNDS / 50 && fuzz_accepted < ROUNDS / 2);
}

/* Anything at all, of any length up to a few lines. */
static void test_random_bytes(void **state)
{
	unsigned char bytes[300];
	unsigned int seed = 8;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		size_t n = rand_r(&seed) % sizeof(bytes);

		for (size_t i = 0; i < n; i++)
			bytes[i] = rand_r(&seed);
		LLVMFuzzerTestOneInput(bytes, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_corpus),
		cmocka_unit_test(test_random_files),
		cmocka_unit_test(test_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

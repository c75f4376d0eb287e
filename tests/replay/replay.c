/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unwinds each recording with the BPF unwinder's own C and compares the stack with FILE.golden, failures included:
 * a stack that stops early stops at the same frame, for the same reason.
 *
 *	replay [FILE ...]	default: tests/replay/recordings; with -u the golden texts are written anew
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "recording.h"

#define FOLDER	      "tests/replay/recordings"
#define SUFFIX	      ".recording"
#define STACK_BYTES   (256u << 10) /* of text */
#define MAX_BYTES     20480	   /* of a recording */
#define PATH_BYTES    512

static bool update;

/* Tables of one, two and three levels, mappings with a directory and without: the same stack must come out. */
static const struct recording_layout layouts[] = {
	{.min_rows = 0, .mappings_per_chunk = MAPPINGS_PER_CHUNK},
	{.min_rows = 2 * ROWS_PER_CHUNK, .mappings_per_chunk = 2},
	{.min_rows = 2 * ROWS_PER_CHUNK * TABLE_FANOUT, .mappings_per_chunk = 1},
};

static int golden_path(const char *path, char *out, size_t size)
{
	size_t n = strlen(path), m = strlen(SUFFIX);

	if (n <= m || strcmp(path + n - m, SUFFIX))
		return -EINVAL;
	return snprintf(out, size, "%.*s.golden", (int)(n - m), path) < (int)size ? 0 : -ENAMETOOLONG;
}

static int compare(const char *path, const char *got)
{
	static char expected[STACK_BYTES];
	char golden[PATH_BYTES];
	FILE *f;
	size_t n;

	if (golden_path(path, golden, sizeof(golden)))
		return -EINVAL;
	f = fopen(golden, update ? "w" : "r");
	if (!f)
		return -errno;
	if (update) {
		fputs(got, f);
		return fclose(f) ? -errno : 0;
	}
	n = fread(expected, 1, sizeof(expected) - 1, f);
	expected[n] = '\0';
	fclose(f);
	if (!strcmp(expected, got))
		return 0;
	fprintf(stderr, "%s\n--- expected\n%s--- got\n%s", path, expected, got);
	return -EPROTO;
}

static int stack_text(const struct recording *r, const struct recording_layout *layout, char *text)
{
	static struct host_stack stack;
	FILE *f;
	int err = recording_unwind(r, layout, NULL, NULL, &stack);

	if (err)
		return err;
	f = fmemopen(text, STACK_BYTES, "w");
	if (!f)
		return -errno;
	recording_print_stack(r, &stack, f);
	return fclose(f) ? -errno : 0;
}

static int replay(const char *path)
{
	static char text[STACK_BYTES];
	struct recording r;
	unsigned int line;
	FILE *f = fopen(path, "r");
	int err;

	if (!f)
		return -errno;
	err = recording_read(f, &r, &line);
	if (!err && ftell(f) > MAX_BYTES)
		fprintf(stderr, "%s is larger than %u bytes\n", path, MAX_BYTES), err = -EFBIG;
	fclose(f);
	if (err == -EPROTO)
		fprintf(stderr, "%s:%u: no such line\n", path, line);
	for (size_t i = 0; !err && i < sizeof(layouts) / sizeof(*layouts); i++) {
		err = stack_text(&r, &layouts[i], text);
		if (!err)
			err = compare(path, text);
	}
	recording_free(&r);
	return err;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_recording(const struct dirent *d)
{
	size_t n = strlen(d->d_name), m = strlen(SUFFIX);

	return n > m && !strcmp(d->d_name + n - m, SUFFIX);
}

static int show(const char *path)
{
	int err = replay(path);

	printf("%-8s %s%s%s\n", err ? "FAILED" : "ok", path, err ? ": " : "", err ? strerror(-err) : "");
	return !!err;
}

int main(int argc, char **argv)
{
	struct dirent **list = NULL;
	char path[PATH_BYTES];
	int failed = 0, option, n;

	while ((option = getopt(argc, argv, "u")) != -1) {
		if (option != 'u')
			return 2;
		update = true;
	}
	for (int i = optind; i < argc; i++)
		failed += show(argv[i]);
	if (optind < argc)
		return failed ? 1 : 0;
	n = scandir(FOLDER, &list, is_recording, by_name);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%.255s", FOLDER, list[i]->d_name);
		failed += show(path);
		free(list[i]);
	}
	free(list);
	printf("%d recordings, %d failed\n", n, failed);
	return n <= 0 || failed ? 1 : 0;
}

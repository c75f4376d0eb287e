/* SPDX-License-Identifier: Apache-2.0 */
/* Directories for tests of what is written to disks, small and full ones among them; and what was
 * said on stderr. */
#ifndef WIREPROF_TESTS_QUEUE_DIRECTORY_H
#define WIREPROF_TESTS_QUEUE_DIRECTORY_H

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

struct test_directory {
	char path[64];
	bool mounted;
};

static inline struct test_directory test_directory_new(void)
{
	struct test_directory d = {.path = "/tmp/wireprof-test-XXXXXX"};

	assert(mkdtemp(d.path));
	return d;
}

/* False where this may not be mounted here. */
static inline bool test_directory_small(struct test_directory *d, const char *options)
{
	*d = test_directory_new();
	d->mounted = !mount("tmpfs", d->path, "tmpfs", MS_NOSUID | MS_NODEV, options);
	return d->mounted;
}

static inline int test_directory_files(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	assert(dir);
	for (struct dirent *e; (e = readdir(dir));)
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	closedir(dir);
	return n;
}

/* The name of the nth file, in order of names. */
static inline void test_directory_name(const char *path, int n, char out[static 300])
{
	struct dirent **list;
	int count = scandir(path, &list, NULL, alphasort), at = 0;

	out[0] = 0;
	for (int i = 0; i < count; i++) {
		if (strcmp(list[i]->d_name, ".") && strcmp(list[i]->d_name, "..") && at++ == n)
			assert(snprintf(out, 300, "%s/%s", path, list[i]->d_name) < 300);
		free(list[i]);
	}
	free(list);
}

static inline void test_directory_empty(const char *path)
{
	DIR *dir = opendir(path);

	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") &&
		    unlinkat(dirfd(dir), e->d_name, 0) && (errno == EISDIR || errno == EPERM)) {
			char below[400];

			snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
			test_directory_empty(below);
			rmdir(below);
		}
	closedir(dir);
}

static inline void test_directory_free(struct test_directory *d)
{
	if (d->mounted)
		umount2(d->path, MNT_DETACH);
	else
		test_directory_empty(d->path);
	rmdir(d->path);
}

static inline void test_file(const char *directory, const char *name, const void *data,
			     size_t bytes)
{
	char path[400];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert(fd >= 0);
	assert(write(fd, data, bytes) == (ssize_t)bytes);
	close(fd);
}

/* Everything on stderr until said_end(), which gives it back; free() that. */
struct said {
	int stderr_before, fd;
};

static inline struct said said_begin(void)
{
	struct said s = {dup(STDERR_FILENO), memfd_create("said", MFD_CLOEXEC)};

	assert(s.stderr_before >= 0 && s.fd >= 0);
	dup2(s.fd, STDERR_FILENO);
	return s;
}

static inline char *said_end(struct said *s)
{
	struct stat st;
	char *text;

	dup2(s->stderr_before, STDERR_FILENO);
	close(s->stderr_before);
	assert(!fstat(s->fd, &st));
	text = calloc((size_t)st.st_size + 1, 1);
	assert(text && pread(s->fd, text, (size_t)st.st_size, 0) == st.st_size);
	close(s->fd);
	return text;
}

static inline int said_times(const char *text, const char *what)
{
	int n = 0;

	while ((text = strstr(text, what))) {
		n++;
		text += strlen(what);
	}
	return n;
}

#endif

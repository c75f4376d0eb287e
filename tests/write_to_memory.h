/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a writer of out/ and gives back what it wrote; and the errors that every writer must report. */
#ifndef WIREPROF_TESTS_WRITE_TO_MEMORY_H
#define WIREPROF_TESTS_WRITE_TO_MEMORY_H

#include "out/profile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef int profile_writer(const struct profile *, int fd);

/* NUL-terminated; free() it. */
static inline char *write_to_memory(profile_writer *writer, const struct profile *p, size_t *len)
{
	int fd = memfd_create("written", MFD_CLOEXEC);
	struct stat status;
	char *text;

	assert(fd >= 0);
	assert(writer(p, fd) == 0);
	assert(!fstat(fd, &status));
	text = malloc((size_t)status.st_size + 1);
	assert(text && pread(fd, text, (size_t)status.st_size, 0) == status.st_size);
	text[status.st_size] = 0;
	*len = (size_t)status.st_size;
	close(fd);
	return text;
}

/* A pipe takes 4 KB at a time here, and its end is non-blocking: short writes and EAGAIN in plenty. */
struct slow_pipe {
	int fds[2];
	char *text;
	size_t len;
};

static inline void *slow_pipe_read(void *context)
{
	struct slow_pipe *slow = context;
	char chunk[777];
	ssize_t n;

	while ((n = read(slow->fds[0], chunk, sizeof(chunk))) > 0) {
		slow->text = realloc(slow->text, slow->len + (size_t)n);
		for (ssize_t i = 0; i < n; i++)
			slow->text[slow->len++] = chunk[i];
	}
	return NULL;
}

static inline char *write_to_slow_pipe(profile_writer *writer, const struct profile *p, size_t *len)
{
	struct slow_pipe slow = {0};
	pthread_t reader;

	assert(!pipe2(slow.fds, O_CLOEXEC));
	assert(fcntl(slow.fds[1], F_SETPIPE_SZ, 4096) > 0);
	assert(!fcntl(slow.fds[1], F_SETFL, O_NONBLOCK));
	assert(!pthread_create(&reader, NULL, slow_pipe_read, &slow));
	assert(writer(p, slow.fds[1]) == 0);
	close(slow.fds[1]);
	pthread_join(reader, NULL);
	close(slow.fds[0]);
	*len = slow.len;
	return slow.text;
}

static inline int write_error(profile_writer *writer, const struct profile *p, const char *path,
			      int flags)
{
	int fd = open(path, flags | O_CLOEXEC), ret;

	assert(fd >= 0);
	ret = writer(p, fd);
	close(fd);
	return ret;
}

static inline int write_full_disk(profile_writer *writer, const struct profile *p)
{
	return write_error(writer, p, "/dev/full", O_WRONLY); /* expects -ENOSPC */
}

static inline int write_read_only(profile_writer *writer, const struct profile *p)
{
	return write_error(writer, p, "/dev/null", O_RDONLY); /* expects -EBADF */
}

#endif

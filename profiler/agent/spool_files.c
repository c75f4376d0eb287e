/* SPDX-License-Identifier: Apache-2.0 */
/* See spool_files.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "../../out/writer.h"
#include "../message.h"
#include "../read_up_to.h"
#include "spool_files.h"

#define ID_DIGITS     20
#define NAME_BYTES    32
#define ENDING        ".push"
#define TMP_ENDING    ".tmp"
#define MAGIC         0x314c4f4f50535057ull /* "WPSPOOL1" */
#define BLOCK         4096u                 /* what file systems give out at a time */
#define LOCK_TRIES    20 /* an agent that is replaced may still be about to end */
#define LOCK_PAUSE_US 50000

struct header {
	uint64_t magic, bytes;
	uint32_t crc, reserved;
};

static void body_name(char name[static NAME_BYTES], uint64_t id)
{
	snprintf(name, NAME_BYTES, "%020" PRIu64 ENDING, id);
}

static void tmp_name(char name[static NAME_BYTES], uint64_t id)
{
	snprintf(name, NAME_BYTES, ".%020" PRIu64 TMP_ENDING, id);
}

/* The number that a name of ours holds, 0 for any other name. */
static uint64_t parse_name(const char *name, const char *ending)
{
	uint64_t id = 0;

	for (int i = 0; i < ID_DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return 0;
		id = id * 10 + (uint64_t)(name[i] - '0');
		if (id > INT64_MAX / 16)
			return 0;
	}
	return strcmp(name + ID_DIGITS, ending) != 0 ? 0 : id;
}

uint64_t spool_files_bytes(size_t bytes)
{
	return (bytes + sizeof(struct header) + BLOCK - 1) / BLOCK * BLOCK;
}

static int make_directory(const char *path)
{
	char *parent, *slash;
	int ret = 0;

	if (!mkdir(path, 0700) || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return -errno;
	parent = strdup(path);
	if (!parent)
		return -ENOMEM;
	slash = parent + strlen(parent);
	while (slash > parent && slash[-1] == '/')
		*--slash = 0;
	slash = strrchr(parent, '/');
	if (!slash || slash == parent) {
		ret = -ENOENT;
	} else {
		*slash = 0;
		if ((mkdir(parent, 0700) && errno != EEXIST) || mkdir(path, 0700))
			ret = -errno;
	}
	free(parent);
	return ret;
}

/* A lock goes with the descriptor, however the agent ends. */
static int lock_directory(int fd, const char *path, bool patient)
{
	for (int i = patient ? 0 : LOCK_TRIES - 1; i < LOCK_TRIES; i++) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR) {
			message_warn(
				"cannot lock %s (%s): make sure that no other wireprof uses it",
				path, strerror(errno));
			return 0;
		}
		if (patient)
			usleep(LOCK_PAUSE_US);
	}
	return -EBUSY;
}

/* The directory opened anew, as a stream of its own. */
static DIR *list_directory(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

static void remove_leftovers(int dir_fd)
{
	DIR *dir = list_directory(dir_fd);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] == '.' && parse_name(entry->d_name + 1, TMP_ENDING))
			unlinkat(dir_fd, entry->d_name, 0);
	if (dir)
		closedir(dir);
}

int spool_files_open(struct spool_files *f, bool patient)
{
	int ret = make_directory(f->path), fd;

	f->dir_fd = -1;
	fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ret && errno == ENOENT ? ret : -errno;
	ret = lock_directory(fd, f->path, patient);
	if (ret) {
		close(fd);
		return ret;
	}
	remove_leftovers(fd);
	f->dir_fd = fd;
	return 0;
}

void spool_files_close(struct spool_files *f)
{
	if (f->dir_fd >= 0)
		close(f->dir_fd);
	f->dir_fd = -1;
}

int spool_files_scan(const struct spool_files *f,
		     void (*found)(void *context, uint64_t id, uint64_t bytes), void *context)
{
	DIR *dir = list_directory(f->dir_fd);
	struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		uint64_t id = parse_name(entry->d_name, ENDING);
		struct stat st;

		if (id && !fstatat(f->dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
		    S_ISREG(st.st_mode) &&
		    st.st_size <= (off_t)(SPOOL_BODY_BYTES + sizeof(struct header)))
			found(context, id, (uint64_t)st.st_size);
	}
	closedir(dir);
	return 0;
}

static uint32_t checksum(const void *body, size_t bytes)
{
	return (uint32_t)crc32_z(crc32_z(0, NULL, 0), body, bytes);
}

int spool_files_write(const struct spool_files *f, uint64_t id, const void *body, size_t bytes)
{
	struct header header = {.magic = MAGIC, .bytes = bytes, .crc = checksum(body, bytes)};
	char tmp[NAME_BYTES], name[NAME_BYTES];
	struct stream stream;
	int fd, ret;

	tmp_name(tmp, id);
	body_name(name, id);
	fd = openat(f->dir_fd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	stream_init(&stream, fd);
	stream_write(&stream, &header, sizeof(header));
	stream_write(&stream, body, bytes);
	ret = stream_flush(&stream);
	if (!ret && fsync(fd))
		ret = -errno;
	if (close(fd) && !ret)
		ret = -errno;
	if (!ret && renameat(f->dir_fd, tmp, f->dir_fd, name))
		ret = -errno;
	if (ret) {
		unlinkat(f->dir_fd, tmp, 0);
		return ret;
	}
	fsync(f->dir_fd); /* the name; where that fails, only a power cut right now would lose it */
	return 0;
}

static int read_whole(int fd, void *to, size_t bytes)
{
	size_t n;
	int ret = read_up_to(fd, to, bytes, &n);

	return !ret && n < bytes ? -EBADMSG : ret;
}

static int read_body(int fd, uint8_t **body, size_t *bytes)
{
	struct header header;
	struct stat st;
	int ret;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	ret = read_whole(fd, &header, sizeof(header));
	if (ret)
		return ret;
	if (header.magic != MAGIC || !header.bytes || header.bytes > SPOOL_BODY_BYTES ||
	    header.bytes != (uint64_t)st.st_size - sizeof(header))
		return -EBADMSG;
	*bytes = header.bytes;
	*body = malloc(header.bytes);
	if (!*body)
		return -ENOMEM;
	ret = read_whole(fd, *body, *bytes);
	if (!ret && checksum(*body, *bytes) != header.crc)
		ret = -EBADMSG;
	if (ret)
		free(*body);
	return ret;
}

int spool_files_read(const struct spool_files *f, uint64_t id, uint8_t **body, size_t *bytes)
{
	char name[NAME_BYTES];
	int fd, ret;

	body_name(name, id);
	fd = openat(f->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP ? -EBADMSG : -errno;
	ret = read_body(fd, body, bytes);
	close(fd);
	return ret;
}

void spool_files_remove(const struct spool_files *f, uint64_t id)
{
	char name[NAME_BYTES];

	body_name(name, id);
	if (f->dir_fd >= 0)
		unlinkat(f->dir_fd, name, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See out_dir.h. What is there is listed once, when the directory is opened: to look through it
 * for every window would cost more than to write the window. Nothing is fsync'ed: a window that a
 * power cut takes is no loss, and the disk is not made busy.
 */
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
#include <time.h>
#include <unistd.h>
#include "../intern.h"
#include "../message.h"
#include "out/profile.h"
#include "out_dir.h"

#define PREFIX     "wireprof-"
#define ENDING     ".pb.gz"
#define TMP_ENDING ".pb.gz.tmp" /* after a dot and the name */
#define NAME_BYTES 64
#define NTH_MAX    9999 /* files of one second */
#define BLOCK      4096u

/* wireprof-20261125T101530Z.pb.gz, or with -2 before the ending. */
struct file {
	uint64_t when;  /* 20261125101530 */
	uint32_t nth;   /* 1: without a number in its name */
	uint64_t bytes; /* as the disk counts them */
};

struct out_dir {
	char *path;
	int dir_fd;
	uint64_t max_bytes;
	struct file *list; /* oldest first: list[first] .. list[end - 1] */
	size_t first, end, capacity;
	bool failing;
	struct out_dir_counts counts;
};

static void file_name(char name[static NAME_BYTES], const struct file *f)
{
	char nth[16] = "";

	if (f->nth > 1)
		snprintf(nth, sizeof(nth), "-%" PRIu32, f->nth);
	snprintf(name, NAME_BYTES, PREFIX "%08" PRIu64 "T%06" PRIu64 "Z%s" ENDING,
		 f->when / 1000000, f->when % 1000000, nth);
}

/* Takes exactly n digits. */
static bool take_digits(const char **s, int n, uint64_t *value)
{
	for (int i = 0; i < n; i++, (*s)++) {
		if (**s < '0' || **s > '9')
			return false;
		*value = *value * 10 + (uint64_t)(**s - '0');
	}
	return true;
}

static bool take_text(const char **s, const char *text)
{
	size_t len = strlen(text);
	bool same = !strncmp(*s, text, len);

	*s += same ? len : 0;
	return same;
}

/* Whether a name is one that we give, down to the last byte: anything else is not ours to delete.
 */
static bool parse_name(const char *name, const char *ending, struct file *out)
{
	char again[NAME_BYTES];
	const char *s = name;

	*out = (struct file){.nth = 1};
	if (!take_text(&s, PREFIX) || !take_digits(&s, 8, &out->when) || !take_text(&s, "T") ||
	    !take_digits(&s, 6, &out->when) || !take_text(&s, "Z"))
		return false;
	if (take_text(&s, "-")) {
		unsigned long nth = strtoul(s, (char **)&s, 10);

		if (nth < 2 || nth > NTH_MAX)
			return false;
		out->nth = (uint32_t)nth;
	}
	if (strcmp(s, ending) != 0)
		return false;
	file_name(again, out); /* -02 and the like */
	return !strncmp(again, name, (size_t)(s - name));
}

static uint64_t blocks(uint64_t bytes)
{
	return (bytes + BLOCK - 1) / BLOCK * BLOCK;
}

static int compare_files(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	if (x->when != y->when)
		return x->when < y->when ? -1 : 1;
	return x->nth < y->nth ? -1 : x->nth > y->nth;
}

/* The newest, whatever its name says: the clock may have been put back. */
static int append(struct out_dir *d, struct file f)
{
	if (d->first > 64 && d->first > d->end / 2) {
		memmove(d->list, d->list + d->first, (d->end - d->first) * sizeof(*d->list));
		d->end -= d->first;
		d->first = 0;
	}
	if (array_reserve((void **)&d->list, &d->capacity, d->end, sizeof(*d->list)))
		return -ENOMEM;
	d->list[d->end++] = f;
	d->counts.files++;
	d->counts.bytes += f.bytes;
	return 0;
}

/* Returns false where there is none. */
static bool remove_oldest(struct out_dir *d)
{
	char name[NAME_BYTES];

	if (d->first == d->end)
		return false;
	file_name(name, &d->list[d->first]);
	if (!unlinkat(d->dir_fd, name, 0))
		d->counts.removed++;
	d->counts.files--;
	d->counts.bytes -= d->list[d->first++].bytes;
	return true;
}

/* The newest stays, even if it is larger than all of them may be. */
static void keep_within(struct out_dir *d)
{
	while (d->counts.bytes > d->max_bytes && d->counts.files > 1)
		remove_oldest(d);
}

static void look_at(struct out_dir *d, const char *name)
{
	struct file f;
	struct stat st;

	if (name[0] == '.' && parse_name(name + 1, TMP_ENDING, &f)) {
		unlinkat(d->dir_fd, name, 0); /* of a crash */
		return;
	}
	if (!parse_name(name, ENDING, &f) || fstatat(d->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISREG(st.st_mode))
		return;
	f.bytes = blocks((uint64_t)st.st_size);
	append(d, f);
}

static int list_files(struct out_dir *d)
{
	int fd = openat(d->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = -errno;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return ret;
	}
	while ((entry = readdir(dir)))
		look_at(d, entry->d_name);
	closedir(dir);
	if (d->end)
		qsort(d->list, d->end, sizeof(*d->list), compare_files);
	return 0;
}

static int open_directory(struct out_dir *d)
{
	if (mkdir(d->path, 0750) && errno != EEXIST)
		return -errno;
	d->dir_fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->dir_fd < 0 || faccessat(d->dir_fd, ".", W_OK | X_OK, AT_EACCESS))
		return -errno;
	/* Two agents would each delete what the other counts on. File systems without locks have to
	 * do without. */
	if (flock(d->dir_fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
		return -EBUSY;
	return list_files(d);
}

int out_dir_open(const char *path, uint64_t max_bytes, struct out_dir **out)
{
	struct out_dir *d = calloc(1, sizeof(*d));
	int ret = -ENOMEM;

	if (!d)
		return ret;
	d->dir_fd = -1;
	d->max_bytes = max_bytes;
	d->path = strdup(path);
	if (d->path)
		ret = open_directory(d);
	if (ret) {
		if (ret == -EBUSY)
			message_error("another wireprof writes its profiles to %s: give each agent "
				      "an --out-dir of its own",
				      path);
		else
			message_error("cannot write profiles to %s: %s; make the directory, or "
				      "name another with --out-dir",
				      path, strerror(-ret));
		out_dir_close(d);
		return ret;
	}
	keep_within(d);
	*out = d;
	return 0;
}

/* The first name of that second that is free. */
static int free_name(const struct out_dir *d, uint64_t time_ns, struct file *out)
{
	time_t seconds = (time_t)(time_ns / 1000000000u);
	struct tm t;

	if (!gmtime_r(&seconds, &t) || t.tm_year < 0 || t.tm_year > 8099)
		return -EOVERFLOW;
	*out = (struct file){
		.when = ((((uint64_t)(t.tm_year + 1900) * 100 + (uint64_t)t.tm_mon + 1) * 100 +
			  (uint64_t)t.tm_mday) *
				 100 +
			 (uint64_t)t.tm_hour) *
				10000 +
			(uint64_t)t.tm_min * 100 + (uint64_t)t.tm_sec,
	};
	for (out->nth = 1; out->nth <= NTH_MAX; out->nth++) {
		char name[NAME_BYTES];

		file_name(name, out);
		if (faccessat(d->dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW))
			return errno == ENOENT ? 0 : -errno;
	}
	return -EEXIST;
}

static int write_file(struct out_dir *d, const struct profile *p, const struct file *f)
{
	char name[NAME_BYTES], tmp[NAME_BYTES + 8];
	struct stat st;
	int fd, ret;

	file_name(name, f);
	snprintf(tmp, sizeof(tmp), ".%s.tmp", name);
	fd = openat(d->dir_fd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	ret = pprof_write(p, fd);
	if (!ret && fstat(fd, &st))
		ret = -errno;
	if (close(fd) && !ret)
		ret = -errno;
	if (!ret && renameat(d->dir_fd, tmp, d->dir_fd, name))
		ret = -errno;
	if (ret) {
		unlinkat(d->dir_fd, tmp, 0);
		return ret;
	}
	append(d, (struct file){f->when, f->nth, blocks((uint64_t)st.st_size)});
	d->counts.written++;
	keep_within(d);
	return 0;
}

static void note_result(struct out_dir *d, int err)
{
	d->counts.failed += !!err;
	if (!!err == d->failing)
		return;
	d->failing = !!err;
	if (err)
		message_warn("cannot write profiles to %s (%s): they are left out until that works "
			     "again",
			     d->path, strerror(-err));
	else
		message_info("profiles are written to %s again", d->path);
}

/* Somebody removed the directory: it is made again. */
static int reopen(struct out_dir *d)
{
	int ret;

	if (d->dir_fd >= 0)
		close(d->dir_fd);
	d->first = d->end = 0;
	d->counts.files = d->counts.bytes = 0;
	ret = open_directory(d);
	if (ret && d->dir_fd >= 0) {
		close(d->dir_fd);
		d->dir_fd = -1;
	}
	return ret;
}

static int try_write(struct out_dir *d, const struct profile *p)
{
	struct file f;
	int ret = d->dir_fd < 0 ? reopen(d) : 0;

	if (!ret)
		ret = free_name(d, p->time_ns, &f);
	return ret ? ret : write_file(d, p, &f);
}

int out_dir_write(struct out_dir *d, const struct profile *p)
{
	int ret = try_write(d, p);

	if (ret == -ENOENT && !reopen(d))
		ret = try_write(d, p);
	else if ((ret == -ENOSPC || ret == -EDQUOT) && remove_oldest(d))
		ret = try_write(d, p);
	note_result(d, ret);
	return ret;
}

void out_dir_counts(const struct out_dir *d, struct out_dir_counts *out)
{
	*out = d->counts;
}

void out_dir_close(struct out_dir *d)
{
	if (!d)
		return;
	if (d->dir_fd >= 0)
		close(d->dir_fd);
	free(d->list);
	free(d->path);
	free(d);
}

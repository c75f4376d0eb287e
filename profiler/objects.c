/* SPDX-License-Identifier: Apache-2.0 */
/* See objects.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "intern.h"
#include "message.h"
#include "objects.h"

#define VDSO_BYTES_MAX (64u << 10)

int objects_init(struct objects *o, struct kernel *kernel)
{
	*o = (struct objects){0};
	return unwind_tables_start(kernel_publisher(kernel), &o->tables);
}

void objects_fini(struct objects *o)
{
	unwind_tables_stop(o->tables); /* first: its thread reads the files */
	for (size_t i = 0; i < o->n; i++) {
		elf_object_free(o->list[i].elf);
		free(o->list[i].name);
	}
	free(o->list);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* Opens the very file that is mapped, even if it was deleted or replaced since. */
static int open_mapped(pid_t pid, const struct mapping_line *m)
{
	char path[4200];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%lx-%lx", pid, m->start, m->end);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && !fstat(fd, &st) && st.st_ino == m->inode)
		return fd;
	if (fd >= 0)
		close(fd); /* something else lies there by now */
	snprintf(path, sizeof(path), "/proc/%d/root%s", pid, m->path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static struct elf_object *open_vdso(pid_t pid, const struct mapping_line *m)
{
	size_t size = m->end - m->start;
	struct elf_object *elf = NULL;
	char path[64];
	void *image;
	int fd;

	if (size > VDSO_BYTES_MAX)
		return NULL;
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	image = malloc(size);
	if (image && pread(fd, image, size, m->start) == (ssize_t)size)
		elf_object_open_memory(image, size, "[vdso]", &elf);
	free(image);
	close(fd);
	return elf;
}

/* An index where nothing is. Returns it or -errno. */
static int free_index(struct objects *o)
{
	for (size_t i = 0; o->n_holes && i < o->n; i++)
		if (!o->list[i].name) {
			o->n_holes--;
			return i;
		}
	if (o->n >= MAX_OBJECTS)
		return -ENOSPC;
	if (array_reserve((void **)&o->list, &o->capacity, o->n, sizeof(*o->list)))
		return -ENOMEM;
	return o->n++;
}

static int add(struct objects *o, struct object *object)
{
	int index = -ENOMEM;

	object->name = strdup(object->elf ? elf_object_name(object->elf) : object->name);
	if (object->name)
		index = free_index(o);
	if (index < 0) {
		free(object->name);
		elf_object_free(object->elf);
		return index;
	}
	if (object->elf)
		object->table = unwind_table_new(o->tables, object->elf);
	object->named = true; /* a mapping will be */
	o->list[index] = *object;
	return index;
}

static int find_file(const struct objects *o, const struct stat *st)
{
	for (size_t i = 0; i < o->n; i++) {
		const struct object *x = &o->list[i];

		if (x->ino == st->st_ino && x->dev == st->st_dev && x->size == st->st_size &&
		    x->mtime.tv_sec == st->st_mtim.tv_sec && x->mtime.tv_nsec == st->st_mtim.tv_nsec)
			return i;
	}
	return -ENOENT;
}

/* The same file elsewhere: another layer of a container image, a copy. Its CFI and its symbols are the same. */
static int find_build_id(const struct objects *o, const struct object *object)
{
	const char *id = object->elf ? elf_object_build_id(object->elf) : "";

	for (size_t i = 0; *id && i < o->n; i++) {
		const struct object *x = &o->list[i];

		if (x->elf && x->ino && x->size == object->size && !strcmp(elf_object_build_id(x->elf), id))
			return i;
	}
	return -ENOENT;
}

static int find_named(const struct objects *o, const char *name)
{
	for (size_t i = 0; i < o->n; i++)
		if (!o->list[i].ino && o->list[i].name && !strcmp(o->list[i].name, name))
			return i;
	return -ENOENT;
}

static int add_memory(struct objects *o, pid_t pid, const struct mapping_line *m)
{
	bool nameless = !*m->path || !strcmp(m->path, "//anon"); /* in /proc/PID/maps, in records */
	struct object object = {.name = nameless ? "[anon]" : (char *)base_name(m->path)};
	int found = find_named(o, object.name);

	if (found >= 0)
		return found;
	if (!strcmp(m->path, "[vdso]"))
		object.elf = open_vdso(pid, m);
	return add(o, &object);
}

/* A mapped file's path without the mark that the kernel gives to one that was unlinked. */
static void clean_path(const char *path, char *out, size_t size)
{
	static const char mark[] = " (deleted)";
	size_t n = strlen(path), m = sizeof(mark) - 1;

	snprintf(out, size, "%.*s", (int)(n > m && !strcmp(path + n - m, mark) ? n - m : n), path);
}

static int add_file(struct objects *o, pid_t pid, const struct mapping_line *m, int fd,
		    const struct stat *st)
{
	char path[4200], root[32];
	struct object object = {
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = st->st_size,
		.mtime = st->st_mtim,
	};
	int err, same;

	clean_path(m->path, path, sizeof(path));
	object.name = (char *)base_name(path);
	snprintf(root, sizeof(root), "/proc/%d/root", pid);
	err = elf_object_open(fd, path, root, &object.elf);
	if (err)
		message_verbose("cannot read %s: %s", m->path, strerror(-err));
	o->unreadable += !!err;
	if (object.elf)
		elf_object_forget_pages(object.elf); /* its headers were read */
	same = find_build_id(o, &object);
	if (same >= 0) {
		elf_object_free(object.elf);
		return same;
	}
	return add(o, &object);
}

int objects_find(struct objects *o, pid_t pid, const struct mapping_line *m)
{
	struct stat st;
	int fd, index;

	if (!m->inode || m->path[0] != '/')
		return add_memory(o, pid, m);
	fd = open_mapped(pid, m);
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		message_verbose("cannot open %s of process %d: %s", m->path, pid, strerror(errno));
		if (fd >= 0)
			close(fd);
		o->unreadable++;
		return add_memory(o, pid, m);
	}
	index = find_file(o, &st);
	if (index < 0)
		index = add_file(o, pid, m, fd, &st);
	close(fd);
	return index;
}

void objects_sweep(struct objects *o, uint64_t now_ns)
{
	for (size_t i = 0; i < o->n; i++) {
		struct object *x = &o->list[i];

		if (x->elf)
			elf_object_forget_pages(x->elf);
		if (!x->table)
			continue;
		if (x->mapped) {
			x->unmapped_ns = 0;
		} else if (!x->unmapped_ns) {
			x->unmapped_ns = now_ns;
		} else if (x->unmapped_ns != UINT64_MAX && now_ns - x->unmapped_ns > TABLE_GRACE_NS &&
			   unwind_table_release(o->tables, x->table)) {
			x->unmapped_ns = UINT64_MAX; /* once */
		}
	}
}

void objects_forget(struct objects *o)
{
	for (size_t i = 0; i < o->n; i++) {
		struct object *x = &o->list[i];

		if (!x->name || x->named || (x->table && !unwind_table_free(o->tables, x->table)))
			continue;
		elf_object_free(x->elf);
		free(x->name);
		*x = (struct object){0};
		o->n_holes++;
	}
}

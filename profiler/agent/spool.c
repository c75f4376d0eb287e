/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See spool.h. What is in the queue is known here by number and size only; the bodies are in the
 * files (spool_files.h). A body's number is the time of its arrival in microseconds, or the number
 * after the last one where that is more: so numbers rise, over restarts as well, and whatever the
 * clock does.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "../clock.h"
#include "../intern.h"
#include "../message.h"
#include "spool.h"
#include "spool_files.h"

#define FILES_FOR_ONE 4 /* that are dropped for a new body, where the disk is full */

struct entry {
	uint64_t id, bytes;
	uint8_t *memory; /* where it could not be written; then `bytes` are the body's own */
};

struct spool {
	pthread_mutex_t lock;
	struct spool_files files;
	char *path;
	uint64_t max_bytes, last_id;
	struct entry *list; /* by id; the queue is list[first] .. list[end - 1] */
	size_t first, end, capacity;
	uint64_t bytes, memory_bytes;
	size_t n_memory;
	bool failing, full, broken_told; /* what was said already */
	uint64_t dropped, broken, disk_errors;
};

static uint64_t next_id(struct spool *s)
{
	uint64_t us = utc_ns() / 1000;

	s->last_id = us > s->last_id ? us : s->last_id + 1;
	return s->last_id;
}

/* The first entry whose id is above `after`. */
static size_t find_after(const struct spool *s, uint64_t after)
{
	size_t low = s->first, high = s->end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->list[middle].id > after)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static int insert(struct spool *s, struct entry e)
{
	size_t at;

	if (s->first > 64 &&
	    s->first > s->end / 2) { /* what was taken off the front leaves room there */
		memmove(s->list, s->list + s->first, (s->end - s->first) * sizeof(*s->list));
		s->end -= s->first;
		s->first = 0;
	}
	if (array_reserve((void **)&s->list, &s->capacity, s->end, sizeof(*s->list)))
		return -ENOMEM;
	at = find_after(s, e.id);
	memmove(s->list + at + 1, s->list + at, (s->end - at) * sizeof(*s->list));
	s->list[at] = e;
	s->end++;
	s->bytes += e.bytes;
	if (e.memory) {
		s->n_memory++;
		s->memory_bytes += e.bytes;
	}
	return 0;
}

static void take_from_memory(struct spool *s, struct entry *e)
{
	free(e->memory);
	e->memory = NULL;
	s->n_memory--;
	s->memory_bytes -= e->bytes;
}

/* Takes an entry off the list; its file, if there is one, is the caller's. */
static void forget(struct spool *s, size_t at)
{
	struct entry *e = &s->list[at];

	if (e->memory)
		take_from_memory(s, e);
	s->bytes -= e->bytes;
	if (at == s->first) {
		s->first++;
	} else {
		memmove(e, e + 1, (s->end - at - 1) * sizeof(*e));
		s->end--;
	}
	if (s->first == s->end)
		s->first = s->end = 0;
	if (s->bytes < s->max_bytes / 2)
		s->full = false;
}

static void drop(struct spool *s, size_t at)
{
	if (!s->list[at].memory)
		spool_files_remove(&s->files, s->list[at].id);
	forget(s, at);
	s->dropped++;
}

static void make_room(struct spool *s, uint64_t bytes)
{
	while (s->first < s->end && s->bytes + bytes > s->max_bytes) {
		if (!s->full)
			message_warn("the queue in %s is full (%" PRIu64
				     " MiB): the oldest profiles are dropped until the "
				     "server takes some",
				     s->path, s->max_bytes >> 20);
		s->full = true;
		drop(s, s->first);
	}
}

/* A file found in the directory: at the end for now, so that many take no longer than sorting them.
 */
static void adopt(void *context, uint64_t id, uint64_t bytes)
{
	struct spool *s = context;
	struct entry e = {.id = id, .bytes = spool_files_bytes(bytes)};

	if (array_reserve((void **)&s->list, &s->capacity, s->end, sizeof(*s->list)))
		return;
	s->list[s->end++] = e;
	s->bytes += e.bytes;
	if (id > s->last_id)
		s->last_id = id;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* Also where the directory had to be opened again: then some of its files are known. */
static int open_files(struct spool *s, bool patient)
{
	int ret = spool_files_open(&s->files, patient);
	size_t to;

	if (!ret)
		ret = spool_files_scan(&s->files, adopt, s);
	if (s->first == s->end)
		return ret;
	qsort(s->list + s->first, s->end - s->first, sizeof(*s->list), compare_entries);
	to = s->first;
	for (size_t i = s->first + 1; i < s->end; i++) {
		if (s->list[i].id == s->list[to].id)
			s->bytes -= s->list[i].bytes;
		else
			s->list[++to] = s->list[i];
	}
	s->end = to + 1;
	return ret;
}

/* Says when writing begins to fail, not every time. */
static void note_failure(struct spool *s, int err)
{
	s->disk_errors++;
	if (!s->failing)
		message_warn("cannot write to the queue in %s (%s): up to %d profiles wait in "
			     "memory, until it can be written "
			     "again or the server has them",
			     s->path, strerror(-err), SPOOL_MEMORY_BODIES);
	s->failing = true;
}

/* Nothing waits in memory any more. A single write that works says little: the disk may have room
 * for that one only. */
static void note_working(struct spool *s)
{
	if (s->failing)
		message_info("the queue in %s can be written again", s->path);
	s->failing = false;
}

static int write_body(struct spool *s, uint64_t id, const void *body, size_t bytes)
{
	int ret = s->files.dir_fd < 0 ? open_files(s, false) : 0;

	if (!ret)
		ret = spool_files_write(&s->files, id, body, bytes);
	if (ret == -ENOENT && s->files.dir_fd >= 0) { /* somebody removed the directory */
		spool_files_close(&s->files);
		ret = open_files(s, false);
		if (!ret)
			ret = spool_files_write(&s->files, id, body, bytes);
	}
	if (ret)
		note_failure(s, ret);
	return ret;
}

/* Writes what waits in memory, oldest first. Returns 0 where nothing waits any more. */
static int settle(struct spool *s)
{
	for (size_t i = s->first; s->n_memory && i < s->end; i++) {
		uint64_t id = s->list[i].id, bytes = s->list[i].bytes;
		int ret;

		if (!s->list[i].memory)
			continue;
		ret = write_body(s, id, s->list[i].memory, bytes);
		if (ret)
			return ret;
		i = find_after(s, id - 1); /* elsewhere now, where the directory was opened again */
		take_from_memory(s, &s->list[i]);
		s->list[i].bytes = spool_files_bytes(bytes);
		s->bytes += s->list[i].bytes - bytes;
	}
	return 0;
}

static size_t oldest_in_memory(const struct spool *s)
{
	size_t i = s->first;

	while (i < s->end && !s->list[i].memory)
		i++;
	return i;
}

static bool memory_full(const struct spool *s, size_t bytes)
{
	return s->n_memory &&
	       (s->n_memory >= SPOOL_MEMORY_BODIES || s->memory_bytes + bytes > SPOOL_MEMORY_BYTES);
}

/*
 * `err` is why it could not be written. Where the disk is full, the oldest are in its files, and
 * the room of these is what is missing: a few go for each new one. They stay where others take
 * that room at once.
 */
static int keep_in_memory(struct spool *s, uint64_t id, const void *body, size_t bytes, int err)
{
	bool disk_full = err == -ENOSPC || err == -EDQUOT;
	uint8_t *copy;

	for (int i = 0;
	     disk_full && i < FILES_FOR_ONE && memory_full(s, bytes) && !s->list[s->first].memory;
	     i++) {
		drop(s, s->first);
		settle(s);
	}
	while (memory_full(s, bytes))
		drop(s, oldest_in_memory(s));
	copy = malloc(bytes);
	if (!copy || insert(s, (struct entry){id, bytes, copy})) {
		free(copy);
		s->dropped++;
		return -ENOMEM;
	}
	memcpy(copy, body, bytes);
	return SPOOL_IN_MEMORY;
}

static int put(struct spool *s, const void *body, size_t bytes)
{
	uint64_t room = spool_files_bytes(bytes), id;
	int ret;

	if (!bytes)
		return -EINVAL;
	if (bytes > SPOOL_BODY_BYTES || room > s->max_bytes) {
		s->dropped++;
		return -EFBIG;
	}
	make_room(s, room);
	ret = settle(s);
	id = next_id(s);
	if (!ret)
		ret = write_body(s, id, body, bytes);
	if (ret)
		return keep_in_memory(s, id, body, bytes, ret);
	note_working(s);
	ret = insert(s, (struct entry){.id = id, .bytes = room});
	if (!ret)
		make_room(s, 0); /* where opening the directory again brought more */
	return 0;
}

int spool_put(struct spool *s, const void *body, size_t bytes)
{
	int ret;

	pthread_mutex_lock(&s->lock);
	ret = put(s, body, bytes);
	pthread_mutex_unlock(&s->lock);
	return ret;
}

void spool_settle(struct spool *s)
{
	pthread_mutex_lock(&s->lock);
	if (s->n_memory && !settle(s))
		note_working(s);
	pthread_mutex_unlock(&s->lock);
}

static int read_entry(struct spool *s, const struct entry *e, struct spool_body *out)
{
	out->id = e->id;
	if (!e->memory)
		return spool_files_read(&s->files, e->id, &out->data, &out->bytes);
	out->data = malloc(e->bytes);
	if (!out->data)
		return -ENOMEM;
	memcpy(out->data, e->memory, e->bytes);
	out->bytes = e->bytes;
	return 0;
}

static void remove_broken(struct spool *s, size_t at)
{
	uint64_t id = s->list[at].id;

	if (!s->broken_told)
		message_warn("a file in the queue, %s/%020" PRIu64
			     ".push, is not as it was written (cut, changed or gone): it is "
			     "removed; more of these are only counted",
			     s->path, id);
	s->broken_told = true;
	spool_files_remove(&s->files, id);
	forget(s, at);
	s->broken++;
}

static int get(struct spool *s, uint64_t after, struct spool_body *out)
{
	for (size_t at = find_after(s, after); at < s->end; at = find_after(s, after)) {
		uint64_t id = s->list[at].id;
		int ret = read_entry(s, &s->list[at], out);

		if (!ret)
			return 0;
		if (ret == -EBADMSG || ret == -ENOENT) {
			remove_broken(s, at);
		} else { /* it may be readable later */
			s->disk_errors++;
			after = id;
		}
	}
	return -ENOENT;
}

int spool_get(struct spool *s, uint64_t after, struct spool_body *out)
{
	int ret;

	pthread_mutex_lock(&s->lock);
	ret = get(s, after, out);
	pthread_mutex_unlock(&s->lock);
	return ret;
}

void spool_remove(struct spool *s, uint64_t id)
{
	size_t at;

	pthread_mutex_lock(&s->lock);
	at = find_after(s, id - 1);
	if (at < s->end && s->list[at].id == id) {
		if (!s->list[at].memory)
			spool_files_remove(&s->files, id);
		forget(s, at);
	}
	pthread_mutex_unlock(&s->lock);
}

void spool_counts(struct spool *s, struct spool_counts *out)
{
	pthread_mutex_lock(&s->lock);
	*out = (struct spool_counts){
		.bodies = s->end - s->first,
		.bytes = s->bytes,
		.in_memory = s->n_memory,
		.dropped = s->dropped,
		.broken = s->broken,
		.disk_errors = s->disk_errors,
	};
	pthread_mutex_unlock(&s->lock);
}

/* Whether the directory can never do: a mistake in its name, not a state of the disk. */
static bool is_hopeless(int err)
{
	return err == -ENOENT || err == -ENOTDIR || err == -EBUSY || err == -ENAMETOOLONG ||
	       err == -ELOOP || err == -ENOMEM;
}

static void say_hopeless(const char *path, int err)
{
	if (err == -EBUSY)
		message_error("another wireprof uses the queue in %s: give each agent a "
			      "--queue-dir of its own",
			      path);
	else
		message_error("cannot use %s as the queue: %s; make the directory, or name another "
			      "with --queue-dir",
			      path, strerror(-err));
}

int spool_open(const char *path, uint64_t max_bytes, struct spool **out)
{
	struct spool *s = calloc(1, sizeof(*s));
	int ret = -ENOMEM;

	if (!s)
		return ret;
	pthread_mutex_init(&s->lock, NULL);
	s->max_bytes = max_bytes;
	s->files.dir_fd = -1;
	s->files.path = s->path = strdup(path);
	if (s->path)
		ret = open_files(s, true);
	make_room(s, 0);
	if (is_hopeless(ret)) {
		say_hopeless(path, ret);
		spool_close(s);
		return ret;
	}
	if (ret)
		note_failure(s, ret);
	*out = s;
	return 0;
}

void spool_close(struct spool *s)
{
	if (!s)
		return;
	if (s->n_memory)
		settle(s);
	if (s->n_memory)
		message_warn("%zu profiles could be neither sent nor written to %s: they are lost",
			     s->n_memory, s->path);
	for (size_t i = s->first; i < s->end; i++)
		free(s->list[i].memory);
	spool_files_close(&s->files);
	free(s->list);
	free(s->path);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See jit.h. The map is looked for and read while samples are drained, never while they are taken: a name is
 * that of up to 100 ms after the sample.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "intern.h"
#include "jit.h"
#include "message.h"
#include "processes.h"

#define READ_EVERY_NS	100000000ull
#define LOOK_EVERY_NS	1000000000ull /* for a file that took the other's place */
#define READ_BUDGET	(8u << 20)
#define LAST_READ_BUDGET (128u << 20)
#define NO_LINE		UINT32_MAX

struct unnamed {
	uint64_t address;
	uint32_t location;
};

struct jit {
	struct jits *all;
	struct perf_map_writer writer;
	struct perf_map *map; /* NULL: refused, or finished */
	int root;	      /* the process's root directory; outlives the process */
	int refusal;	      /* why its file is not read; told once */
	uint32_t serial;      /* of the process and the generation of its map */
	uint32_t generation;
	uint64_t read_ns, looked_ns; /* looked: with a file in use; 0: there is none yet */
	struct unnamed *unnamed;
	size_t n_unnamed, capacity;
};

static void open_root(struct jit *j, pid_t shown_as)
{
	char proc[32], root[40];

	snprintf(proc, sizeof(proc), "/proc/%d", shown_as);
	snprintf(root, sizeof(root), "%s/root", proc);
	if (j->all->open >= JIT_PROCESSES_MAX) {
		j->all->refused++;
		return;
	}
	if (perf_map_writer_read(proc, &j->writer))
		return;
	j->root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (j->root < 0)
		return;
	j->map = perf_map_new();
	if (j->map) {
		j->all->open++;
	} else {
		close(j->root);
		j->root = -1;
	}
}

static struct jit *jit_new(struct jits *all, pid_t shown_as)
{
	struct jit *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->all = all;
	j->root = -1;
	j->serial = ++all->last_serial;
	open_root(j, shown_as);
	return j;
}

/* Its first file, or one that took the place of that. */
static void look_for_file(struct jit *j, uint64_t now_ns)
{
	int fd = perf_map_open_file(j->map, &j->writer, j->root);
	struct perf_map_writer now;
	char proc[32];

	snprintf(proc, sizeof(proc), "/proc/%d", j->writer.pid);
	if (fd == -EPERM && !perf_map_writer_read(proc, &now) && now.uid != j->writer.uid) {
		j->writer.uid = now.uid; /* it became another user since */
		fd = perf_map_open_file(j->map, &j->writer, j->root);
	}
	if (fd >= 0 || fd == -EALREADY)
		j->looked_ns = now_ns;
	if (fd >= 0) {
		perf_map_set_file(j->map, fd);
		message_verbose("process %d: reads its perf map (perf-%d.map)", j->writer.pid,
				j->writer.inner_pid);
	} else if (fd != -EALREADY && fd != -ENOENT && fd != j->refusal) {
		j->refusal = fd;
		message_warn("the perf map of process %d is not read, its code stays nameless: %s",
			     j->writer.pid,
			     fd == -EPERM  ? "it belongs to neither root nor the process's user" :
			     fd == -ESTALE ? "it is older than the process" :
			     fd == -EINVAL || fd == -ELOOP ? "it is not a regular file" :
							     strerror(-fd));
	}
}

static void read_map(struct jit *j, uint64_t now, bool last)
{
	int err;

	if (last || now - j->looked_ns >= LOOK_EVERY_NS)
		look_for_file(j, now);
	j->read_ns = now;
	err = perf_map_read(j->map, last ? LAST_READ_BUDGET : READ_BUDGET);
	if (err && err != -EAGAIN && err != -ENOENT)
		message_verbose("perf map of process %d: %s", j->writer.pid, strerror(-err));
	if (perf_map_generation(j->map) != j->generation) {
		j->generation = perf_map_generation(j->map);
		j->serial = ++j->all->last_serial; /* lines are counted anew */
	}
}

void jit_find(struct jits *all, struct jit **p, pid_t shown_as, uint64_t address,
	      struct jit_code *out)
{
	struct jit *j = *p ? *p : jit_new(all, shown_as);
	uint64_t now;

	*out = (struct jit_code){.line = NO_LINE};
	*p = j;
	if (j && j->map) {
		now = monotonic_ns();
		if (now - j->read_ns >= READ_EVERY_NS)
			read_map(j, now, false);
		out->known = perf_map_find(j->map, address, &out->line);
	}
	out->owner = (uint64_t)(j ? j->serial : UINT32_MAX) << 32 | out->line;
}

bool jit_name(const struct jit *j, const struct jit_code *code, uint64_t address,
	      char name[static PERF_MAP_NAME_BYTES])
{
	return code->known && j->map && perf_map_name(j->map, code->line, address, name);
}

void jit_unnamed(struct jit *j, uint64_t address, uint32_t location)
{
	if (!j || !j->map)
		return;
	if (j->n_unnamed >= JIT_UNNAMED_MAX ||
	    array_reserve((void **)&j->unnamed, &j->capacity, j->n_unnamed, sizeof(*j->unnamed))) {
		j->all->forgotten++;
		return;
	}
	j->unnamed[j->n_unnamed++] = (struct unnamed){address, location};
}

static void add_counts(const struct jit *j)
{
	struct perf_map_counts c, *sum = &j->all->seen;

	perf_map_counts(j->map, &c);
	sum->lines += c.lines;
	sum->malformed += c.malformed;
	sum->long_lines += c.long_lines;
	sum->ignored_lines += c.ignored_lines;
	sum->ignored_bytes += c.ignored_bytes;
	sum->restarts += c.restarts;
	if (c.ignored_lines || c.ignored_bytes)
		message_warn("the perf map of process %d is too large: %llu lines and %llu bytes were ignored",
			     j->writer.pid, (unsigned long long)c.ignored_lines,
			     (unsigned long long)c.ignored_bytes);
	if (c.lines)
		message_verbose("perf map of process %d: %llu lines, %llu malformed, %llu too long, read "
				"anew %llu times", j->writer.pid, (unsigned long long)c.lines,
				(unsigned long long)c.malformed, (unsigned long long)c.long_lines,
				(unsigned long long)c.restarts);
}

static void close_files(struct jit *j)
{
	if (!j->map)
		return;
	add_counts(j);
	perf_map_free(j->map);
	j->map = NULL;
	close(j->root);
	j->all->open--;
	free(j->unnamed);
	j->unnamed = NULL;
	j->n_unnamed = j->capacity = 0;
}

void jit_retry(struct jit *j, jit_rename_fn rename, void *context)
{
	char name[PERF_MAP_NAME_BYTES];
	struct jit_code code;
	size_t n = 0;

	if (!j || !j->map || !j->n_unnamed)
		return;
	read_map(j, monotonic_ns(), true);
	for (size_t i = 0; i < j->n_unnamed; i++) {
		struct unnamed u = j->unnamed[i];

		code.known = perf_map_find(j->map, u.address, &code.line);
		if (jit_name(j, &code, u.address, name))
			rename(context, u.location, name);
		else
			j->unnamed[n++] = u;
	}
	j->n_unnamed = n;
}

void jit_finish(struct jit *j, jit_rename_fn rename, void *context)
{
	if (!j || !j->map)
		return;
	jit_retry(j, rename, context);
	close_files(j);
}

void jit_forget_unnamed(struct jit *j)
{
	if (j)
		j->n_unnamed = 0;
}

void jit_free(struct jit *j)
{
	if (!j)
		return;
	close_files(j);
	free(j);
}

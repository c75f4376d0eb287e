/* SPDX-License-Identifier: Apache-2.0 */
/* See processes.h. Everything here comes out of /proc, proc(5). */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "message.h"
#include "processes.h"

#define PORT_BITMAP_BYTES    8192
#define MAX_SEEN_OPERATIONS  512
#define LISTENING_RETRY_NS   1000000000ull
#define MAX_PROCESS_MAPPINGS (MAPPINGS_PER_CHUNK * (MAPPING_CHUNKS - 1))

uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

void processes_init(struct processes *p, struct kernel *kernel)
{
	*p = (struct processes){.kernel = kernel};
	objects_init(&p->objects, kernel);
}

void processes_fini(struct processes *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->list[i]->mappings);
		free(p->list[i]->listening);
		free(p->list[i]->replies);
		intern_fini(&p->list[i]->operations);
		free(p->list[i]);
	}
	free(p->list);
	objects_fini(&p->objects);
}

struct process *processes_find(const struct processes *p, pid_t pid)
{
	/* The newest first: a process id that is used again means its latest owner. */
	for (size_t i = p->n; i-- > 0;)
		if (p->list[i]->pid == pid && !p->list[i]->gone)
			return p->list[i];
	for (size_t i = p->n; i-- > 0;)
		if (p->list[i]->pid == pid)
			return p->list[i];
	return NULL;
}

static void read_comm(struct process *process)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", process->pid);
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(process->comm, sizeof(process->comm), f))
		process->comm[strcspn(process->comm, "\n")] = '\0';
	fclose(f);
}

struct process *processes_get(struct processes *p, pid_t pid)
{
	struct process *process = processes_find(p, pid);

	if (process && !process->gone)
		return process;
	process = calloc(1, sizeof(*process));
	if (!process || array_reserve((void **)&p->list, &p->capacity, p->n, sizeof(*p->list))) {
		free(process);
		return NULL;
	}
	process->pid = pid;
	intern_init(&process->operations, MAX_SEEN_OPERATIONS);
	snprintf(process->comm, sizeof(process->comm), "[%d]", pid);
	p->list[p->n++] = process;
	return process;
}

/* Takes [start, end) out of what is known: something new lies there. */
static int cut_out(struct process *process, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < process->n_mappings; i++) {
		struct user_mapping *m = &process->mappings[i], rest;

		if (m->end <= start || m->start >= end)
			continue;
		rest = *m;
		if (m->start < start) {
			m->end = start;
		} else {
			memmove(m, m + 1, (--process->n_mappings - i) * sizeof(*m));
			i--;
		}
		if (rest.end <= end)
			continue;
		if (array_reserve((void **)&process->mappings, &process->mappings_capacity,
				  process->n_mappings, sizeof(*m)))
			return -ENOMEM;
		rest.vaddr += end - rest.start;
		rest.start = end;
		process->mappings[process->n_mappings++] = rest;
	}
	return 0;
}

static int add_mapping(struct process *process, const struct user_mapping *m)
{
	int err = cut_out(process, m->start, m->end);

	if (err)
		return err;
	if (process->n_mappings >= MAX_PROCESS_MAPPINGS)
		return -E2BIG;
	if (array_reserve((void **)&process->mappings, &process->mappings_capacity,
			  process->n_mappings, sizeof(*m)))
		return -ENOMEM;
	process->mappings[process->n_mappings++] = *m;
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct user_mapping *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* One line of /proc/PID/maps. Returns false for lines that are not executable mappings. */
static bool parse_line(char *line, struct mapping_line *m)
{
	char permissions[5];
	int path = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%lx-%lx %4s %lx %x:%x %lu %n", &m->start, &m->end, permissions, &m->offset,
		   &m->dev_major, &m->dev_minor, &m->inode, &path) < 7)
		return false;
	m->path = line + path;
	return permissions[2] == 'x' && strcmp(m->path, "[vsyscall]");
}

static int take_line(struct processes *p, struct process *process, const struct mapping_line *m)
{
	struct user_mapping mapping = {.start = m->start, .end = m->end, .vaddr = m->offset};
	int index = objects_find(&p->objects, process->shown_as, m);
	const struct object *object;
	struct elf_segment segment;

	if (index < 0)
		return index;
	object = &p->objects.list[index];
	mapping.object = index;
	if (object->elf && elf_object_segment_at(object->elf, m->offset, &segment))
		mapping.vaddr = segment.vaddr + (m->offset - segment.offset);
	else if (!object->elf && !object->ino)
		mapping.vaddr = m->start; /* anonymous memory: the address itself is all there is */
	return add_mapping(process, &mapping);
}

/*
 * The id under which /proc shows the process: that of any living thread, as the first one may have ended before the
 * others, and then has no memory to show.
 */
static pid_t shown_as(pid_t pid)
{
	struct dirent *entry;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	if (!access(path, F_OK))
		return pid;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%.16s/exe", entry->d_name);
		if (*entry->d_name != '.' && !access(path, F_OK)) {
			pid = atoi(entry->d_name);
			break;
		}
	}
	if (dir)
		closedir(dir);
	return pid;
}

static int read_mappings(struct processes *p, struct process *process)
{
	struct mapping_line m;
	char path[64], line[4600];
	int err = 0;
	FILE *f;

	process->shown_as = shown_as(process->pid);
	snprintf(path, sizeof(path), "/proc/%d/maps", process->shown_as);
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT ? -ESRCH : -errno;
	while (!err && fgets(line, sizeof(line), f))
		if (parse_line(line, &m))
			err = take_line(p, process, &m);
	fclose(f);
	return err;
}

/* The kernel's view of one mapping: a piece for each table of its object that it touches. */
static size_t exec_mappings(const struct processes *p, const struct user_mapping *m,
			    struct exec_mapping *out, size_t room)
{
	const struct object *object = &p->objects.list[m->object];
	uint64_t vaddr_end = m->vaddr + (m->end - m->start);
	size_t n = 0;

	for (uint32_t i = 0; i < object->n_tables && n < room; i++) {
		const struct object_table *t = &object->tables[i];
		uint64_t from = t->start > m->vaddr ? t->start : m->vaddr;
		uint64_t to = t->end < vaddr_end ? t->end : vaddr_end;

		if (from >= to)
			continue;
		out[n++] = (struct exec_mapping){
			.start = m->start + (from - m->vaddr),
			.end = m->start + (to - m->vaddr),
			.table = t->index,
			.row_base = from - t->row_base,
		};
	}
	if (!n && room)
		out[n++] = (struct exec_mapping){
			.start = m->start, .end = m->end, .table = NO_TABLE};
	return n;
}

static int publish(struct processes *p, struct process *process)
{
	size_t room = process->n_mappings * 2 + MAX_OBJECT_TABLES, n = 0;
	struct exec_mapping *list = calloc(room, sizeof(*list));
	int err;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < process->n_mappings; i++)
		n += exec_mappings(p, &process->mappings[i], list + n, room - n);
	err = kernel_put_maps(p->kernel, process->pid, &process->maps_key, list, n);
	free(list);
	return err;
}

int process_refresh(struct processes *p, struct process *process)
{
	int err;

	process->refreshed_ns = monotonic_ns();
	process->changed_ns = 0;
	err = read_mappings(p, process);
	if (err == -ESRCH)
		return err;
	if (err)
		message_warn("mappings of process %d are incomplete: %s", process->pid, strerror(-err));
	read_comm(process);
	if (process->n_mappings)
		qsort(process->mappings, process->n_mappings, sizeof(*process->mappings), by_start);
	err = publish(p, process);
	return err == -ENOENT ? -ESRCH : err;
}

int process_mapped(struct processes *p, struct process *process, const struct mapping_line *m)
{
	int err = take_line(p, process, m);

	if (process->n_mappings)
		qsort(process->mappings, process->n_mappings, sizeof(*process->mappings), by_start);
	return err;
}

void process_reset(struct processes *p, struct process *process)
{
	process->n_mappings = 0;
	kernel_drop_maps(p->kernel, &process->maps_key);
	process->server = SERVER_UNKNOWN;
	intern_fini(&process->operations);
	intern_init(&process->operations, MAX_SEEN_OPERATIONS);
	free(process->listening);
	process->listening = NULL;
	process_refresh(p, process);
}

void process_inherit(struct process *child, const struct process *parent)
{
	memcpy(child->comm, parent->comm, sizeof(child->comm));
	for (size_t i = 0; i < parent->n_mappings; i++)
		if (add_mapping(child, &parent->mappings[i]))
			break;
}

const struct user_mapping *process_mapping(const struct process *process, uint64_t address)
{
	size_t lo = 0, hi = process->n_mappings;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (process->mappings[mid].end <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == process->n_mappings || process->mappings[lo].start > address)
		return NULL;
	return &process->mappings[lo];
}

/* Marks the ports in LISTEN state of one table, proc(5): "sl local:PORT remote state". */
static void read_listening(struct process *process, const char *table)
{
	char path[64], line[512];
	unsigned int port, state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/net/%s", process->pid, table);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " %*[^:]: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &port, &state) == 2 &&
		    state == 0x0a && port <= 0xffff)
			process->listening[port / 8] |= 1u << port % 8;
	fclose(f);
}

bool process_listens(struct process *process, uint16_t port)
{
	uint64_t now;

	if (process->listening && process->listening[port / 8] & 1u << port % 8)
		return true;
	/* Not known to listen: look (again), at most once a second. */
	now = monotonic_ns();
	if (process->listening && now - process->listening_read_ns < LISTENING_RETRY_NS)
		return false;
	if (!process->listening)
		process->listening = calloc(1, PORT_BITMAP_BYTES);
	if (!process->listening)
		return false;
	process->listening_read_ns = now;
	read_listening(process, "tcp");
	read_listening(process, "tcp6");
	return process->listening[port / 8] & 1u << port % 8;
}

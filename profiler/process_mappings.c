/* SPDX-License-Identifier: Apache-2.0 */
/* See processes.h: what a process has mapped where. Everything here comes out of /proc, proc(5). */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "clock.h"
#include "message.h"
#include "processes.h"

/* After news was told to the kernel, it rests for so many times the CPU time that a whole look takes, which is more. */
#define NEWS_REST	     50
#define MAX_PROCESS_MAPPINGS (MAPPINGS_PER_CHUNK * (MAPPING_CHUNKS - 1))

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
		rest.offset += end - rest.start;
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

static void sort_mappings(struct process *process)
{
	if (process->n_mappings)
		qsort(process->mappings, process->n_mappings, sizeof(*process->mappings), by_start);
}

/* The first mapping, of `n` sorted ones, that ends after an address; n if there is none. */
static size_t first_ending_after(const struct user_mapping *list, size_t n, uint64_t address)
{
	size_t lo = 0;

	while (lo < n) {
		size_t mid = lo + (n - lo) / 2;

		if (list[mid].end <= address)
			lo = mid + 1;
		else
			n = mid;
	}
	return lo;
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

/* What a line of /proc/PID/maps, or the kernel's word of a new mapping, means. Returns 0 or -errno. */
static int make_mapping(struct processes *p, const struct process *process, const struct mapping_line *m,
			struct user_mapping *out)
{
	int index = objects_find(&p->objects, process->shown_as, m);
	const struct object *object;
	struct elf_segment segment;

	if (index < 0)
		return index;
	object = &p->objects.list[index];
	*out = (struct user_mapping){
		.start = m->start,
		.end = m->end,
		.vaddr = m->offset,
		.offset = m->offset,
		.inode = m->inode,
		.dev_major = m->dev_major,
		.dev_minor = m->dev_minor,
		.object = index,
	};
	if (object->elf && elf_object_segment_at(object->elf, m->offset, &segment))
		out->vaddr = segment.vaddr + (m->offset - segment.offset);
	else if (!object->elf && !object->ino)
		out->vaddr = m->start; /* anonymous memory: the address itself is all there is */
	return 0;
}

static bool is_same(const struct user_mapping *known, const struct mapping_line *m)
{
	return known->start == m->start && known->end == m->end && known->offset == m->offset &&
	       known->inode == m->inode && known->dev_major == m->dev_major &&
	       known->dev_minor == m->dev_minor && !known->gone_ns;
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

static void want(struct processes *p, const struct user_mapping *m, unsigned int samples)
{
	struct object *object = m ? &p->objects.list[m->object] : NULL;

	if (object && object->table)
		unwind_table_want(p->objects.tables, object->table, samples);
}

struct mapping_list {
	struct user_mapping *list;
	size_t n, capacity;
};

static int append(struct mapping_list *l, const struct user_mapping *m)
{
	if (l->n >= MAX_PROCESS_MAPPINGS)
		return -E2BIG;
	if (array_reserve((void **)&l->list, &l->capacity, l->n, sizeof(*m)))
		return -ENOMEM;
	l->list[l->n++] = *m;
	return 0;
}

/* The mappings as they are now, by address. Files that were mapped there before are not opened again. */
static int list_mappings(struct processes *p, struct process *process, struct mapping_list *now)
{
	const struct user_mapping *known = process->mappings, *end = known + process->n_mappings;
	struct user_mapping mapping;
	struct mapping_line m;
	char path[64], line[4600];
	int err = 0;
	FILE *f;

	process->shown_as = shown_as(process->pid);
	snprintf(path, sizeof(path), "/proc/%d/maps", process->shown_as);
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT ? -ESRCH : -errno;
	while (!err && fgets(line, sizeof(line), f)) {
		if (!parse_line(line, &m))
			continue;
		while (known < end && known->start < m.start)
			known++;
		if (known < end && is_same(known, &m)) {
			err = append(now, known);
			continue;
		}
		err = make_mapping(p, process, &m, &mapping);
		if (!err)
			err = append(now, &mapping);
		if (!err && process->n_mappings) /* loaded as it runs: it will run soon */
			want(p, &mapping, 1);
	}
	fclose(f);
	return err;
}

/* Appends those parts of a mapping where none of the first `n_now` lies. */
static int keep_uncovered(struct mapping_list *l, size_t n_now, struct user_mapping m)
{
	size_t at = first_ending_after(l->list, n_now, m.start);

	for (; m.start < m.end; at++) {
		struct user_mapping part = m;
		uint64_t skip;
		int err;

		if (at < n_now && l->list[at].start < m.end)
			part.end = l->list[at].start;
		err = part.start < part.end ? append(l, &part) : 0;
		if (err)
			return err;
		if (part.end == m.end || l->list[at].end >= m.end)
			break;
		skip = l->list[at].end - m.start;
		m.start += skip;
		m.vaddr += skip;
		m.offset += skip;
	}
	return 0;
}

/* Takes over what is there now; what was there before is kept for a while, where nothing has taken its place. */
static int replace_mappings(struct process *process, struct mapping_list *now, uint64_t time_ns)
{
	size_t n_now = now->n;
	int err = 0;

	for (size_t i = 0; i < process->n_mappings && !err; i++) {
		struct user_mapping *m = &process->mappings[i];

		if (!m->gone_ns)
			m->gone_ns = time_ns;
		if (time_ns - m->gone_ns < KEEP_GONE_NS)
			err = keep_uncovered(now, n_now, *m);
	}
	free(process->mappings);
	process->mappings = now->list;
	process->n_mappings = now->n;
	process->mappings_capacity = now->capacity;
	sort_mappings(process);
	return err;
}

static struct exec_mapping exec_mapping(struct processes *p, const struct user_mapping *m)
{
	struct object *object = &p->objects.list[m->object];
	struct exec_mapping out = {.start = m->start, .end = m->end, .table = NO_CFI};
	uint64_t row_base;

	if (object->table) {
		out.table = unwind_table_index(p->objects.tables, object->table, &row_base);
		out.row_base = m->vaddr - row_base;
	}
	return out;
}

/* Tells the kernel, if there is news. */
static void note_published(struct process *process, uint64_t since_ns)
{
	for (size_t i = 0; i < process->n_mappings; i++)
		if (!process->mappings[i].published_ns)
			process->mappings[i].published_ns = since_ns;
}

static int publish(struct processes *p, struct process *process)
{
	size_t n = 0, capacity = 0;
	struct exec_mapping *list = NULL;
	int err = 0;

	for (size_t i = 0; i < process->n_mappings; i++) {
		if (process->mappings[i].gone_ns)
			continue;
		if (array_reserve((void **)&list, &capacity, n, sizeof(*list))) {
			free(list);
			return -ENOMEM;
		}
		list[n++] = exec_mapping(p, &process->mappings[i]);
	}
	if (process->maps.maps && n == process->published.n &&
	    (!n || !memcmp(list, process->published.list, n * sizeof(*list)))) {
		free(list);
		note_published(process, 1); /* it has always known */
		return 0;
	}
	err = kernel_put_maps(p->kernel, process->pid, &process->maps, list, n);
	if (err) {
		free(list);
		return err;
	}
	free(process->before.list);
	process->before = process->published;
	process->published = (struct publication){list, n, monotonic_ns()};
	process->news_ns = monotonic_ns();
	note_published(process, process->news_ns);
	return 0;
}

static uint64_t thread_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

int process_refresh(struct processes *p, struct process *process)
{
	uint64_t cpu_ns = thread_cpu_ns();
	struct mapping_list now = {0};
	int err;

	process->refreshed_ns = monotonic_ns();
	process->changed_ns = 0;
	err = list_mappings(p, process, &now);
	if (err == -ESRCH) {
		free(now.list);
		return err;
	}
	if (!err)
		err = replace_mappings(process, &now, process->refreshed_ns);
	else
		free(now.list);
	if (err)
		message_warn("mappings of process %d are incomplete: %s", process->pid, strerror(-err));
	process_read_comm(process);
	err = publish(p, process);
	process->refresh_cost_ns = thread_cpu_ns() - cpu_ns;
	return err == -ENOENT ? -ESRCH : err;
}

void process_want_rows(struct processes *p, const struct process *process, uint64_t address)
{
	want(p, process_mapping(process, address), 1);
}

void process_runs(struct processes *p, struct process *process)
{
	bool first = true;

	if (process->runs)
		return;
	process->runs = true;
	for (size_t i = 0; i < process->n_mappings; i++) {
		const struct user_mapping *m = &process->mappings[i];
		const struct object *object = &p->objects.list[m->object];
		/* The program lies lowest, but for one that is loaded by name: ld.so PROGRAM. */
		bool libc = !strncmp(object->name, "libc.", 5) || !strncmp(object->name, "libc-", 5);

		want(p, m, first ? 2 : libc);
		first &= !object->table;
	}
}

/* Whether the same part of the same object lies there already: its protection was changed, perhaps. */
static bool is_known(const struct process *process, const struct user_mapping *m)
{
	const struct user_mapping *known = process_mapping(process, m->start);

	return known && known->start == m->start && known->end == m->end && known->object == m->object &&
	       known->vaddr == m->vaddr && !known->gone_ns;
}

int process_mapped(struct processes *p, struct process *process, const struct mapping_line *m)
{
	struct user_mapping mapping;
	int err = make_mapping(p, process, m, &mapping);

	if (!err && !is_known(process, &mapping)) {
		err = add_mapping(process, &mapping);
		process->news_ns = UINT64_MAX;
	}
	sort_mappings(process);
	return err;
}

void process_publish_news(struct processes *p, struct process *process)
{
	uint64_t cost_ns = NEWS_REST * process->refresh_cost_ns;

	if (process->news_ns == UINT64_MAX && monotonic_ns() - process->published.since_ns >= cost_ns)
		publish(p, process);
}

/* What the kernel took for the mapping of an address at a time; NULL: nothing, or it is not known any more. */
static const struct exec_mapping *known_then(const struct process *process, uint64_t time_ns, uint64_t address)
{
	const struct publication *p = process->published.since_ns <= time_ns ? &process->published : &process->before;

	if (!p->since_ns || p->since_ns > time_ns)
		return NULL;
	for (size_t i = 0; i < p->n; i++)
		if (address >= p->list[i].start && address < p->list[i].end)
			return &p->list[i];
	return NULL;
}

static bool find_row(struct processes *p, const struct exec_mapping *m, uint64_t address, struct unwind_row *out)
{
	uint64_t base;

	for (size_t i = 0; i < p->objects.n; i++) {
		struct unwind_table *table = p->objects.list[i].table;

		if (!table || !unwind_table_is_at(p->objects.tables, table, m->table))
			continue;
		unwind_table_index(p->objects.tables, table, &base);
		return unwind_table_row(table, base + (uint32_t)(address - m->start + m->row_base), out);
	}
	return false;
}

/* Whether the rows of what lay there before say the same of the address: another version of a plugin, perhaps. */
static bool same_row(struct processes *p, const struct process *process, const struct user_mapping *m,
		     uint64_t time_ns, uint64_t address)
{
	const struct exec_mapping *then = known_then(process, time_ns, address), now = exec_mapping(p, m);
	struct unwind_row a, b;

	if (!then || !find_row(p, then, address, &a) || !find_row(p, &now, address, &b))
		return false;
	return a.kind == b.kind && a.cfa == b.cfa && a.rbp == b.rbp &&
	       (a.kind == UNWIND_RSP || a.kind == UNWIND_RBP || a.kind == UNWIND_END);
}

void process_cut_stack(struct processes *p, const struct process *process, struct sample *s)
{
	uint64_t time_ns = s->event->h.time_ns;

	if (time_ns >= process->news_ns)
		return;
	for (uint32_t i = 0; i < s->n_user; i++) {
		uint64_t address = s->user[i] - (i > 0);
		const struct user_mapping *m = process_mapping(process, address);

		if (!m || !m->inode || (m->published_ns && m->published_ns <= time_ns) ||
		    same_row(p, process, m, time_ns, address))
			continue;
		s->n_user = i + 1;
		s->stop = STOP_NO_MAPPING;
		return;
	}
}

void process_inherit(struct process *child, const struct process *parent)
{
	memcpy(child->comm, parent->comm, sizeof(child->comm));
	memcpy(child->container, parent->container, sizeof(child->container));
	child->maps.flags = parent->maps.flags;
	for (size_t i = 0; i < parent->n_mappings; i++)
		if (add_mapping(child, &parent->mappings[i]))
			break;
}

const struct user_mapping *process_mapping(const struct process *process, uint64_t address)
{
	size_t at = first_ending_after(process->mappings, process->n_mappings, address);

	if (at == process->n_mappings || process->mappings[at].start > address)
		return NULL;
	return &process->mappings[at];
}

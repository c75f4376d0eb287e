/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contents of the maps: targets, mappings of processes, unwind rows, counters. bpf/maps.h says what each
 * map is, bpf/events.h how the chunks are laid out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "kernel_internal.h"

/* Chunks are made and sent in portions, as a large object has thousands. */
#define PORTION_BYTES (256u << 10)

/* What the chunks of an inner map are made from. */
struct chunk_source {
	const char *map_name;
	uint32_t chunk_bytes, n_chunks;
	void (*fill)(const void *from, uint32_t chunk, void *out); /* `out` is all ones */
	const void *from;
};

static int send_portion(int fd, const struct chunk_source *s, uint32_t at, uint32_t n, uint32_t *keys,
			uint8_t *chunks)
{
	LIBBPF_OPTS(bpf_map_batch_opts, batch);
	uint32_t count = n;

	memset(chunks, 0xff, (size_t)n * s->chunk_bytes);
	for (uint32_t i = 0; i < n; i++) {
		keys[i] = at + i;
		s->fill(s->from, at + i, chunks + (size_t)i * s->chunk_bytes);
	}
	return bpf_map_update_batch(fd, keys, chunks, &count, &batch) ? -errno : 0;
}

/* Returns the descriptor of a new inner map, or -errno. */
static int create_chunks(const struct chunk_source *s)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_INNER_MAP);
	uint32_t portion = PORTION_BYTES / s->chunk_bytes, *keys;
	uint8_t *chunks;
	int fd, err = -ENOMEM;

	if (portion > s->n_chunks)
		portion = s->n_chunks;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, s->map_name, sizeof(uint32_t), s->chunk_bytes, s->n_chunks, &opts);
	if (fd < 0)
		return -errno;
	keys = calloc(portion, sizeof(*keys));
	chunks = malloc((size_t)portion * s->chunk_bytes);
	if (keys && chunks)
		err = 0;
	for (uint32_t at = 0; !err && at < s->n_chunks; at += portion)
		err = send_portion(fd, s, at, s->n_chunks - at < portion ? s->n_chunks - at : portion, keys,
				   chunks);
	free(keys);
	free(chunks);
	if (!err)
		return fd;
	close(fd);
	return err;
}

/* --- tables, events.h --- */

struct table_source {
	const struct unwind_row *rows;
	const struct unwind_rule *rules;
	size_t n_rows, n_rules;
	uint32_t levels, first_directory, first_rows; /* chunks */
};

static size_t chunks_for(size_t n, size_t per_chunk)
{
	return (n + per_chunk - 1) / per_chunk;
}

/* The directory of those row chunks from `at` on that lie `stride` apart; its children start at chunk `child`. */
static void fill_directory(const struct table_source *t, size_t at, size_t stride, uint32_t levels,
			   uint32_t child, uint32_t *first)
{
	first[0] = TABLE_HEADER(levels, child);
	for (size_t i = 1; i < TABLE_FANOUT && (at + i * stride) * ROWS_PER_CHUNK < t->n_rows; i++)
		first[i] = t->rows[(at + i * stride) * ROWS_PER_CHUNK].pc;
}

static void fill_root(const struct table_source *t, struct table_chunk *out)
{
	if (t->levels == 3) {
		fill_directory(t, 0, TABLE_FANOUT, 3, t->first_directory, out->first);
	} else if (t->levels == 2) {
		fill_directory(t, 0, 1, 2, t->first_rows, out->first);
	} else {
		out->row[0] = (struct unwind_row){.pc = TABLE_HEADER(1, 0), .kind = UNWIND_NONE};
		memcpy(out->row + 1, t->rows, t->n_rows * sizeof(*t->rows));
	}
}

static void fill_table(const void *from, uint32_t chunk, void *to)
{
	const struct table_source *t = from;
	struct table_chunk *out = to;
	size_t at, left;

	if (!chunk) {
		fill_root(t, out);
	} else if (chunk < t->first_directory) {
		at = (size_t)(chunk - 1) * RULES_PER_CHUNK;
		left = t->n_rules - at;
		memcpy(out->rule, t->rules + at, (left < RULES_PER_CHUNK ? left : RULES_PER_CHUNK) * sizeof(*t->rules));
	} else if (chunk < t->first_rows) {
		at = (size_t)(chunk - t->first_directory) * TABLE_FANOUT;
		fill_directory(t, at, 1, 0, t->first_rows + at, out->first);
	} else {
		at = (size_t)(chunk - t->first_rows) * ROWS_PER_CHUNK;
		left = t->n_rows - at;
		memcpy(out->row, t->rows + at, (left < ROWS_PER_CHUNK ? left : ROWS_PER_CHUNK) * sizeof(*t->rows));
	}
}

int kernel_make_table(const struct unwind_row *rows, size_t n, const struct unwind_rule *rules, size_t n_rules,
		      uint64_t *kernel_bytes)
{
	struct table_source t = {.rows = rows, .rules = rules, .n_rows = n, .n_rules = n_rules, .levels = 2};
	struct chunk_source s = {"wireprof_rows", TABLE_CHUNK_BYTES, 0, fill_table, &t};
	size_t row_chunks = chunks_for(n, ROWS_PER_CHUNK);
	int fd;

	if (!n || n > MAX_TABLE_ROWS || n_rules > MAX_TABLE_RULES)
		return -EINVAL;
	if (n < ROWS_PER_CHUNK) {
		t.levels = 1;
		row_chunks = 0;
	} else if (row_chunks > TABLE_FANOUT) {
		t.levels = 3;
	}
	t.first_directory = 1 + chunks_for(n_rules, RULES_PER_CHUNK);
	t.first_rows = t.first_directory + (t.levels == 3 ? chunks_for(row_chunks, TABLE_FANOUT) : 0);
	s.n_chunks = t.first_rows + row_chunks;
	fd = create_chunks(&s);
	if (fd >= 0)
		*kernel_bytes += (uint64_t)s.n_chunks * TABLE_CHUNK_BYTES;
	return fd;
}

/* --- mappings --- */

struct mappings_source {
	const struct exec_mapping *list;
	size_t n;
};

static void fill_mappings(const void *from, uint32_t chunk, void *to)
{
	const struct mappings_source *m = from;
	struct mapping_directory *directory = to;
	size_t at = ((size_t)chunk - 1) * MAPPINGS_PER_CHUNK, left = m->n - at;

	if (chunk) {
		memcpy(to, m->list + at, (left < MAPPINGS_PER_CHUNK ? left : MAPPINGS_PER_CHUNK) * sizeof(*m->list));
		return;
	}
	for (size_t i = 0; i * MAPPINGS_PER_CHUNK < m->n; i++)
		directory->first[i] = m->list[i * MAPPINGS_PER_CHUNK].start;
}

int kernel_put_maps(struct kernel *k, pid_t pid, uint32_t *key, const struct exec_mapping *m, size_t n)
{
	struct mappings_source from = {m, n};
	struct chunk_source s = {"wireprof_maps", CHUNK_BYTES, 1 + chunks_for(n, MAPPINGS_PER_CHUNK), fill_mappings,
				 &from};
	uint32_t target_key = pid;
	struct target target;
	int fd, err;

	if (s.n_chunks > MAPPING_CHUNKS)
		return -E2BIG;
	fd = create_chunks(&s);
	if (fd < 0)
		return fd;
	/*
	 * The target first, as publishing may take a while. A target that has gone meanwhile must not come back:
	 * only an existing entry is changed.
	 */
	if (!*key) {
		target = (struct target){.maps = ++k->last_maps};
		if (bpf_map_update_elem(bpf_map__fd(k->skel->maps.targets), &target_key, &target,
					BPF_EXIST)) {
			err = -errno;
			close(fd);
			return err;
		}
		*key = target.maps;
	}
	publisher_put(k->publisher, PUBLISH_PROCESS_MAPS, *key, fd);
	return 0;
}

void kernel_drop_maps(struct kernel *k, uint32_t *key)
{
	if (*key)
		publisher_drop(k->publisher, PUBLISH_PROCESS_MAPS, *key);
	*key = 0;
}

struct publisher *kernel_publisher(const struct kernel *k)
{
	return k->publisher;
}

int kernel_add_target(struct kernel *k, pid_t pid)
{
	uint32_t key = pid;
	struct target target = {.maps = 0};

	return bpf_map_update_elem(bpf_map__fd(k->skel->maps.targets), &key, &target, BPF_ANY)
		       ? -errno
		       : 0;
}

void kernel_counters(const struct kernel *k, uint64_t counters[static N_COUNTERS])
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *values;

	memset(counters, 0, N_COUNTERS * sizeof(*counters));
	values = calloc(cpus > 0 ? cpus : 1, sizeof(*values));
	if (!values)
		return;
	for (uint32_t key = 0; key < N_COUNTERS; key++) {
		if (bpf_map_lookup_elem(bpf_map__fd(k->skel->maps.counters), &key, values))
			continue;
		for (int cpu = 0; cpu < cpus; cpu++)
			counters[key] += values[cpu];
	}
	free(values);
}

static void *map_readonly(const struct bpf_map *map, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, bpf_map__fd(map), 0);

	return p == MAP_FAILED ? NULL : p;
}

void kernel_map_connections(struct kernel *k)
{
	k->sockets = map_readonly(k->skel->maps.sockets, MAX_SOCKETS * sizeof(*k->sockets));
	k->heads = map_readonly(k->skel->maps.heads, MAX_HEADS * sizeof(*k->heads));
}

void kernel_unmap_connections(struct kernel *k)
{
	if (k->sockets)
		munmap((void *)k->sockets, MAX_SOCKETS * sizeof(*k->sockets));
	if (k->heads)
		munmap((void *)k->heads, MAX_HEADS * sizeof(*k->heads));
}

const volatile struct socket_slot *kernel_sockets(const struct kernel *k)
{
	return k->sockets;
}

const volatile struct head_copy *kernel_heads(const struct kernel *k)
{
	return k->heads;
}

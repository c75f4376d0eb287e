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
#include "table_layout.h"

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

static void fill_table(const void *from, uint32_t chunk, void *out)
{
	table_layout_fill(from, chunk, out);
}

int kernel_make_table(const struct unwind_row *rows, size_t n, const struct unwind_rule *rules, size_t n_rules,
		      uint64_t *kernel_bytes)
{
	struct table_layout layout;
	struct chunk_source s = {"wireprof_rows", TABLE_CHUNK_BYTES, 0, fill_table, &layout};
	int err = table_layout_init(&layout, rows, n, rules, n_rules), fd;

	if (err)
		return err;
	s.n_chunks = layout.n_chunks;
	fd = create_chunks(&s);
	if (fd >= 0)
		*kernel_bytes += (uint64_t)s.n_chunks * TABLE_CHUNK_BYTES;
	return fd;
}

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
	size_t n_chunks = 1 + (n + MAPPINGS_PER_CHUNK - 1) / MAPPINGS_PER_CHUNK;
	struct chunk_source s = {"wireprof_maps", CHUNK_BYTES, n_chunks, fill_mappings, &from};
	uint32_t target_key = pid;
	struct target target;
	int fd, err;

	if (n_chunks > MAPPING_CHUNKS)
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

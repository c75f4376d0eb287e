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
#include "intern.h"
#include "kernel_internal.h"
#include "table_layout.h"

/* Chunks are made and sent in portions, as a large object has thousands. */
#define PORTION_CHUNKS 256

static int send_portion(int fd, const struct table_layout *layout, uint32_t at, uint32_t n,
			struct table_chunk *chunks)
{
	LIBBPF_OPTS(bpf_map_batch_opts, batch);
	uint32_t keys[PORTION_CHUNKS], count = n;

	memset(chunks, 0xff, n * sizeof(*chunks));
	for (uint32_t i = 0; i < n; i++) {
		keys[i] = at + i;
		table_layout_fill(layout, at + i, &chunks[i]);
	}
	return bpf_map_update_batch(fd, keys, chunks, &count, &batch) ? -errno : 0;
}

static int send_chunks(int fd, const struct table_layout *layout)
{
	uint32_t portion = layout->n_chunks < PORTION_CHUNKS ? layout->n_chunks : PORTION_CHUNKS;
	struct table_chunk *chunks = calloc(portion, sizeof(*chunks));
	int err = chunks ? 0 : -ENOMEM;

	for (uint32_t at = 0; !err && at < layout->n_chunks; at += portion) {
		uint32_t left = layout->n_chunks - at;

		err = send_portion(fd, layout, at, left < portion ? left : portion, chunks);
	}
	free(chunks);
	return err;
}

int kernel_make_table(const struct unwind_row *rows, size_t n, const struct unwind_rule *rules, size_t n_rules,
		      uint64_t *kernel_bytes)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_INNER_MAP);
	struct table_layout layout;
	int err = table_layout_init(&layout, rows, n, rules, n_rules), fd;

	if (err)
		return err;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "wireprof_rows", sizeof(uint32_t), TABLE_CHUNK_BYTES, layout.n_chunks,
			    &opts);
	if (fd < 0)
		return -errno;
	err = send_chunks(fd, &layout);
	if (err) {
		close(fd);
		return err;
	}
	*kernel_bytes += (uint64_t)layout.n_chunks * TABLE_CHUNK_BYTES;
	return fd;
}

/* --- mappings of processes --- */

/* The directory, where there is one, or a chunk of the list from `at` on. `out` is all ones. */
static void fill_mappings(const struct exec_mapping *m, size_t n, size_t at, struct mapping_chunk *out)
{
	size_t left = n - at;

	memcpy(out, m + at, (left < MAPPINGS_PER_CHUNK ? left : MAPPINGS_PER_CHUNK) * sizeof(*m));
}

static void fill_directory(const struct exec_mapping *m, size_t n, struct mapping_directory *out)
{
	for (size_t i = 0; i * MAPPINGS_PER_CHUNK < n; i++)
		out->first[i] = m[i * MAPPINGS_PER_CHUNK].start;
}

/* Stores all chunks under a number. Returns 0 or -errno. */
static int put_chunks(int map_fd, uint32_t maps, const struct exec_mapping *m, size_t n)
{
	bool directory = maps & MAPS_DIRECTORY;
	struct mapping_key key = {.maps = maps};
	union {
		struct mapping_directory directory;
		struct mapping_chunk chunk;
	} *value = malloc(sizeof(*value));
	size_t at = 0;
	int err = value ? 0 : -ENOMEM;

	while (!err) {
		memset(value, 0xff, sizeof(*value));
		if (directory && !key.chunk) {
			fill_directory(m, n, &value->directory);
		} else {
			fill_mappings(m, n, at, &value->chunk);
			at += MAPPINGS_PER_CHUNK;
		}
		err = bpf_map_update_elem(map_fd, &key, value, BPF_ANY) ? -errno : 0;
		key.chunk++;
		if (at >= n)
			break;
	}
	free(value);
	return err;
}

/* A target that has gone meanwhile must not come back: only an existing entry is changed. */
static int put_target(struct kernel *k, pid_t pid, const struct published_maps *p)
{
	struct target target = {.maps = p->maps, .flags = p->flags, .go = p->go};
	uint32_t key = pid;

	return bpf_map_update_elem(bpf_map__fd(k->skel->maps.targets), &key, &target, BPF_EXIST) ? -errno : 0;
}

int kernel_set_flags(struct kernel *k, pid_t pid, struct published_maps *p, uint32_t flags)
{
	p->flags = flags;
	return put_target(k, pid, p);
}

int kernel_set_go(struct kernel *k, pid_t pid, struct published_maps *p, const struct go_target *go)
{
	int err;

	p->go = *go;
	p->go.generation = ++k->go_generation;
	err = put_target(k, pid, p);
	k->skel->bss->target_epoch++;
	return err;
}

/* A child of a process may still use its parent's: they stay until kernel_drop_maps_now() has been called twice. */
static void drop_maps(struct kernel *k, const struct published_maps *p)
{
	if (p->maps && !array_reserve((void **)&k->dropped, &k->dropped_capacity, k->n_dropped, sizeof(*p)))
		k->dropped[k->n_dropped++] = *p;
}

int kernel_put_maps(struct kernel *k, pid_t pid, struct published_maps *p, const struct exec_mapping *m, size_t n)
{
	struct published_maps now = {.flags = p->flags, .go = p->go};
	int err;

	now.n_chunks = n ? (n + MAPPINGS_PER_CHUNK - 1) / MAPPINGS_PER_CHUNK : 1;
	now.maps = ++k->last_maps & ~MAPS_DIRECTORY;
	if (now.n_chunks >= MAPPING_CHUNKS)
		return -E2BIG;
	if (now.n_chunks > 1) {
		now.n_chunks++;
		now.maps |= MAPS_DIRECTORY;
	}
	err = put_chunks(bpf_map__fd(k->skel->maps.process_maps), now.maps, m, n);
	if (!err)
		err = put_target(k, pid, &now);
	drop_maps(k, err ? &now : p);
	if (!err)
		*p = now;
	return err;
}

void kernel_drop_maps(struct kernel *k, struct published_maps *p)
{
	drop_maps(k, p);
	k->go_ended |= p->go.generation != 0;
	*p = (struct published_maps){0};
}

void kernel_drop_maps_now(struct kernel *k)
{
	int map_fd = bpf_map__fd(k->skel->maps.process_maps);

	for (size_t i = 0; i < k->n_doomed; i++)
		for (struct mapping_key key = {.maps = k->dropped[i].maps}; key.chunk < k->dropped[i].n_chunks;
		     key.chunk++)
			bpf_map_delete_elem(map_fd, &key);
	k->n_dropped -= k->n_doomed;
	memmove(k->dropped, k->dropped + k->n_doomed, k->n_dropped * sizeof(*k->dropped));
	k->n_doomed = k->n_dropped;
}

struct publisher *kernel_publisher(const struct kernel *k)
{
	return k->publisher;
}

int kernel_add_target(struct kernel *k, pid_t pid)
{
	uint32_t key = pid;
	struct target target = {.maps = 0};

	return bpf_map_update_elem(bpf_map__fd(k->skel->maps.targets), &key, &target, BPF_NOEXIST)
		       ? -errno
		       : 0;
}

void kernel_remove_target(struct kernel *k, pid_t pid)
{
	uint32_t key = pid;

	bpf_map_delete_elem(bpf_map__fd(k->skel->maps.targets), &key);
}

bool kernel_has_target(const struct kernel *k, pid_t pid)
{
	uint32_t key = pid;
	struct target target;

	return !bpf_map_lookup_elem(bpf_map__fd(k->skel->maps.targets), &key, &target);
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

int kernel_prepared(const struct kernel *k, const struct prepared_key *key, struct prepared_statement *out)
{
	return bpf_map_lookup_elem(bpf_map__fd(k->skel->maps.prepared), key, out) ? -errno : 0;
}

static void *map_readonly(const struct bpf_map *map, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, bpf_map__fd(map), 0);

	return p == MAP_FAILED ? NULL : p;
}

bool kernel_map_connections(struct kernel *k)
{
	k->sockets = map_readonly(k->skel->maps.sockets, MAX_SOCKETS * sizeof(*k->sockets));
	k->heads = map_readonly(k->skel->maps.heads, MAX_HEADS * sizeof(*k->heads));
	if (k->sockets && k->heads)
		return true;
	kernel_unmap_connections(k);
	return false;
}

void kernel_unmap_connections(struct kernel *k)
{
	if (k->sockets)
		munmap((void *)k->sockets, MAX_SOCKETS * sizeof(*k->sockets));
	if (k->heads)
		munmap((void *)k->heads, MAX_HEADS * sizeof(*k->heads));
	k->sockets = NULL;
	k->heads = NULL;
}

const volatile struct socket_slot *kernel_sockets(const struct kernel *k)
{
	return k->sockets;
}

const volatile struct head_copy *kernel_heads(const struct kernel *k)
{
	return k->heads;
}

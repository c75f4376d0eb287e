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

/* An inner map of `n` chunks with these contents. Returns its descriptor or -errno. */
static int create_chunks(const char *name, const void *chunks, uint32_t n)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_INNER_MAP);
	LIBBPF_OPTS(bpf_map_batch_opts, batch);
	uint32_t *keys = NULL, count = n;
	int fd, err;

	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), CHUNK_BYTES, n, &opts);
	if (fd < 0)
		return -errno;
	keys = calloc(n, sizeof(*keys));
	if (!keys) {
		err = -ENOMEM;
		goto fail;
	}
	for (uint32_t i = 0; i < n; i++)
		keys[i] = i;
	err = bpf_map_update_batch(fd, keys, chunks, &count, &batch) ? -errno : 0;
	free(keys);
	if (!err)
		return fd;
fail:
	close(fd);
	return err;
}

int kernel_make_table(const struct unwind_row *rows, size_t n, const struct unwind_rule *rules, size_t n_rules,
		      uint64_t *kernel_bytes)
{
	uint32_t first_rules = 1 + (n + ROWS_PER_CHUNK - 1) / ROWS_PER_CHUNK;
	uint32_t n_chunks = first_rules + (n_rules + RULES_PER_CHUNK - 1) / RULES_PER_CHUNK;
	struct row_directory *directory;
	int fd;

	if (!n || n > MAX_TABLE_ROWS || n_rules > MAX_TABLE_RULES)
		return -EINVAL;
	directory = malloc((size_t)n_chunks * CHUNK_BYTES);
	if (!directory)
		return -ENOMEM;
	memset(directory, 0xff, (size_t)n_chunks * CHUNK_BYTES);
	memcpy(directory + 1, rows, n * sizeof(*rows));
	if (n_rules)
		memcpy(directory + first_rules, rules, n_rules * sizeof(*rules));
	directory->first[0] = first_rules;
	for (uint32_t i = 1; i + 1 < first_rules; i++)
		directory->first[i] = rows[i * ROWS_PER_CHUNK].pc;
	fd = create_chunks("wireprof_rows", directory, n_chunks);
	free(directory);
	if (fd >= 0)
		*kernel_bytes += (uint64_t)n_chunks * CHUNK_BYTES;
	return fd;
}

int kernel_put_maps(struct kernel *k, pid_t pid, uint32_t *key, const struct exec_mapping *m, size_t n)
{
	size_t n_chunks = 1 + (n + MAPPINGS_PER_CHUNK - 1) / MAPPINGS_PER_CHUNK;
	uint32_t target_key = pid;
	struct target target;
	struct mapping_directory *directory;
	int fd, err;

	if (n_chunks > MAPPING_CHUNKS)
		return -E2BIG;
	directory = malloc(n_chunks * CHUNK_BYTES);
	if (!directory)
		return -ENOMEM;
	memset(directory, 0xff, n_chunks * CHUNK_BYTES);
	if (n)
		memcpy(directory + 1, m, n * sizeof(*m));
	for (size_t i = 0; i + 1 < n_chunks; i++)
		directory->first[i] = m[i * MAPPINGS_PER_CHUNK].start;
	fd = create_chunks("wireprof_maps", directory, n_chunks);
	free(directory);
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

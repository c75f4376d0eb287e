/* SPDX-License-Identifier: Apache-2.0 */
/* See large_maps.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "large_maps.h"
#include "profiler/kernel_internal.h"

#define SETTLE_US 1000000 /* for the kernel to free what it took too much of */

static double available_kib(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long kib = 0;
	char line[256];

	while (f && !kib && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %lu", &kib) != 1)
			kib = 0;
	if (f)
		fclose(f);
	return kib;
}

/* As many as fit, of the key's first bytes; the value is the same for all. */
static int fill(const struct bpf_map *map, void *key, const void *value)
{
	double before = available_kib(), kib;
	uint64_t n = 0;

	for (; n < bpf_map__max_entries(map); n++) {
		uint32_t number = n + 1;

		memcpy(key, &number, sizeof(number));
		if (bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY))
			break;
	}
	usleep(SETTLE_US);
	kib = before - available_kib();
	printf("  %-18s key %2u, value %4u, %5llu entries: %6.0f KiB, %5.0f bytes an entry\n", bpf_map__name(map), bpf_map__key_size(map),
	       bpf_map__value_size(map), (unsigned long long)n, kib, kib * 1024 / n);
	return n ? 0 : -errno;
}

/* One more of what is counted, on one CPU: the next sweep finds that room ran short. */
static void count_one(struct kernel *k, uint32_t counter)
{
	int cpus = libbpf_num_possible_cpus(), fd = bpf_map__fd(k->skel->maps.counters);
	uint64_t *values = calloc(cpus > 0 ? cpus : 1, sizeof(*values));

	if (values && !bpf_map_lookup_elem(fd, &counter, values)) {
		values[0]++;
		bpf_map_update_elem(fd, &counter, values, BPF_ANY);
	}
	free(values);
}

static void count_entries(struct kernel *k)
{
	struct kernel_map sizes[KERNEL_MAPS];

	kernel_map_sizes(k, sizes);
}

static double cpu_ms(struct kernel *k, void (*work)(struct kernel *k))
{
	struct timespec from, to;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	work(k);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	return (to.tv_sec - from.tv_sec) * 1e3 + (to.tv_nsec - from.tv_nsec) / 1e6;
}

int large_maps_measure(struct kernel *k, pid_t server)
{
	struct mysql_connection mysql = {.tgid = server, .since_ns = 1};
	struct mongo_connection mongo = {.tgid = server};
	struct prepared_key statement = {.since_ns = 1};
	struct prepared_statement sql = {.bytes = 0};
	struct cursor_key cursor = {.tgid = server};
	struct open_cursor opener = {.used = 0};
	uint64_t sock = 0;
	int err = fill(k->skel->maps.connections, &sock, &mysql);

	if (!err)
		err = fill(k->skel->maps.mongo_connections, &sock, &mongo);
	if (!err)
		err = fill(k->skel->maps.prepared, &statement, &sql);
	if (!err)
		err = fill(k->skel->maps.cursors, &cursor, &opener);
	if (err)
		return err;
	printf("  a sweep takes %.2f ms of CPU", cpu_ms(k, kernel_sweep));
	count_one(k, COUNTER_CONNECTIONS_FULL);
	count_one(k, COUNTER_CURSORS_FULL);
	printf(", with all of these maps full and another that finds no room %.0f ms; to count entries, for /metrics, %.0f ms\n",
	       cpu_ms(k, kernel_sweep), cpu_ms(k, count_entries));
	return 0;
}

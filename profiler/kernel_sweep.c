/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel side remembers of connections, statements and cursors dies by itself, as a rule. What does not
 * is looked for here: all of it once there is reason to, never otherwise.
 */
#include <string.h>
#include "intern.h"
#include "kernel_internal.h"

#define IDLE_EPOCHS   60  /* a connection that is silent for so long gives up its place, if places run short */
#define CURSOR_EPOCHS 660 /* servers close cursors after 10 minutes by themselves */
#define CURSOR_SWEEP_EPOCHS 60
#define CONNECTION_SWEEP_EPOCHS 30
#define CROWDED_SWEEP_EPOCHS 5 /* while places are short */
#define UNSEEN_EPOCHS 300 /* while the hook comes and goes: its end may not have been seen */
#define GOROUTINE_SWEEP_EPOCHS 5

/* Whether an entry is to be forgotten. */
typedef bool (*dead_fn)(const struct kernel *k, const void *key, const void *value);

static void sweep(const struct kernel *k, const struct bpf_map *map, void *key, void *next, void *value, dead_fn is_dead)
{
	int fd = bpf_map__fd(map), more;
	size_t key_size = bpf_map__key_size(map);

	for (more = bpf_map_get_next_key(fd, NULL, next); !more;) {
		memcpy(key, next, key_size);
		more = bpf_map_get_next_key(fd, key, next);
		if (!bpf_map_lookup_elem(fd, key, value) && is_dead(k, key, value))
			bpf_map_delete_elem(fd, key);
	}
}

static uint64_t count_entries(const struct bpf_map *map)
{
	uint8_t keys[2][64];
	uint64_t n = 0;
	int at = 0, fd = bpf_map__fd(map), more;

	if (bpf_map__key_size(map) > sizeof(keys[0]))
		return 0;
	/* An entry that goes meanwhile sends us back to the first. */
	for (more = bpf_map_get_next_key(fd, NULL, keys[at]); !more && n < bpf_map__max_entries(map); at = !at, n++)
		more = bpf_map_get_next_key(fd, keys[at], keys[!at]);
	return n;
}

size_t kernel_map_sizes(const struct kernel *k, struct kernel_map out[static KERNEL_MAPS])
{
	const struct bpf_map *const maps[] = {
		k->skel->maps.targets,	k->skel->maps.process_maps, k->skel->maps.connections, k->skel->maps.prepared,
		k->skel->maps.mongo_connections, k->skel->maps.cursors,	 k->skel->maps.goroutines,
	};
	size_t n = sizeof(maps) / sizeof(*maps);

	for (size_t i = 0; i < n; i++)
		out[i] = (struct kernel_map){bpf_map__name(maps[i]), count_entries(maps[i]), bpf_map__max_entries(maps[i])};
	return n;
}

static bool is_idle(const struct kernel *k, uint32_t used, uint32_t epochs)
{
	return k->skel->bss->epoch - used > epochs;
}

static bool is_target(const struct kernel *k, uint32_t tgid)
{
	struct target target;

	return !bpf_map_lookup_elem(bpf_map__fd(k->skel->maps.targets), &tgid, &target);
}

/* For so long that it may have ended while the hook was not attached. */
static bool is_long_silent(const struct kernel *k, uint32_t used)
{
	return k->skel->bss->hook_epoch != k->swept_hook_epoch && is_idle(k, used, UNSEEN_EPOCHS);
}

static bool is_dead_mysql(const struct kernel *k, const void *key, const void *value)
{
	const struct mysql_connection *c = value;

	(void)key;
	return c->command == COM_QUIT || is_long_silent(k, c->used) || !is_target(k, c->tgid);
}

static bool is_dead_mongo(const struct kernel *k, const void *key, const void *value)
{
	const struct mongo_connection *c = value;

	(void)key;
	return is_long_silent(k, c->used) || !is_target(k, c->tgid);
}

static bool is_crowding_mysql(const struct kernel *k, const void *key, const void *value)
{
	return is_idle(k, ((const struct mysql_connection *)value)->used, IDLE_EPOCHS) || is_dead_mysql(k, key, value);
}

static bool is_crowding_mongo(const struct kernel *k, const void *key, const void *value)
{
	return is_idle(k, ((const struct mongo_connection *)value)->used, IDLE_EPOCHS) || is_dead_mongo(k, key, value);
}

/* Those whose connection is gone, or has been reset; names that another statement may have got since. */
static bool is_dead_statement(const struct kernel *k, const void *key, const void *value)
{
	const struct prepared_key *statement = key;
	struct mysql_connection c;

	(void)value;
	return bpf_map_lookup_elem(bpf_map__fd(k->skel->maps.connections), &statement->sock, &c) ||
	       c.since_ns != statement->since_ns || (statement->named && statement->named != 1 + c.gaps);
}

static bool is_dead_cursor(const struct kernel *k, const void *key, const void *value)
{
	const struct cursor_key *cursor = key;

	return is_idle(k, ((const struct open_cursor *)value)->used, CURSOR_EPOCHS) || !is_target(k, cursor->tgid);
}

static bool is_crowding_cursor(const struct kernel *k, const void *key, const void *value)
{
	(void)key;
	return is_idle(k, ((const struct open_cursor *)value)->used, IDLE_EPOCHS);
}

static void sweep_connections(struct kernel *k, bool full)
{
	union {
		struct mysql_connection mysql;
		struct mongo_connection mongo;
	} c;
	uint64_t key, next;

	sweep(k, k->skel->maps.connections, &key, &next, &c, full ? is_crowding_mysql : is_dead_mysql);
	sweep(k, k->skel->maps.mongo_connections, &key, &next, &c, full ? is_crowding_mongo : is_dead_mongo);
}

static void sweep_prepared(struct kernel *k)
{
	struct prepared_key key, next;
	struct prepared_statement sql;

	sweep(k, k->skel->maps.prepared, &key, &next, &sql, is_dead_statement);
}

static void sweep_cursors(struct kernel *k, bool full)
{
	struct cursor_key key, next;
	struct open_cursor cursor;

	sweep(k, k->skel->maps.cursors, &key, &next, &cursor, full ? is_crowding_cursor : is_dead_cursor);
}

static bool is_dead_goroutine(const struct kernel *k, const void *key, const void *value)
{
	const struct goroutine_key *goroutine = key;

	(void)value;
	for (size_t i = 0; i < k->n_go_live; i++)
		if (k->go_live[i] == goroutine->generation)
			return false;
	return true;
}

/* Goroutines of programs that have ended. Those of others are forgotten by the map itself. */
static void sweep_goroutines(struct kernel *k)
{
	int fd = bpf_map__fd(k->skel->maps.targets);
	struct goroutine_key key, next;
	uint8_t worker[256];
	uint32_t pid, before, n = 0;
	struct target target;

	if (!k->go_ended || bpf_map__value_size(k->skel->maps.goroutines) > sizeof(worker))
		return;
	k->n_go_live = 0;
	for (int more = bpf_map_get_next_key(fd, NULL, &pid); !more && n < MAX_TARGETS;
	     more = bpf_map_get_next_key(fd, &before, &pid), n++) {
		before = pid;
		if (bpf_map_lookup_elem(fd, &pid, &target) || !target.go.generation)
			continue;
		if (array_reserve((void **)&k->go_live, &k->go_live_capacity, k->n_go_live, sizeof(*k->go_live)))
			return;
		k->go_live[k->n_go_live++] = target.go.generation;
	}
	k->go_ended = false;
	sweep(k, k->skel->maps.goroutines, &key, &next, worker, is_dead_goroutine);
}

void kernel_sweep(struct kernel *k)
{
	uint64_t counters[N_COUNTERS], full;
	bool connections;

	k->skel->bss->epoch++;
	kernel_counters(k, counters);
	full = counters[COUNTER_CONNECTIONS_FULL] + counters[COUNTER_PREPARED_FULL];
	connections = k->skel->bss->epoch % (full != k->swept_full ? CROWDED_SWEEP_EPOCHS : CONNECTION_SWEEP_EPOCHS) == 0;
	if (connections)
		sweep_connections(k, full != k->swept_full);
	if (connections || counters[COUNTER_PREPARED] - k->swept_prepared >= MAX_PREPARED / 4) {
		sweep_prepared(k);
		k->swept_prepared = counters[COUNTER_PREPARED];
	}
	if (connections) {
		k->swept_full = full;
		k->swept_hook_epoch = k->skel->bss->hook_epoch;
	}
	if (counters[COUNTER_CURSORS_FULL] != k->swept_cursors || k->skel->bss->epoch % CURSOR_SWEEP_EPOCHS == 0)
		sweep_cursors(k, counters[COUNTER_CURSORS_FULL] != k->swept_cursors);
	k->swept_cursors = counters[COUNTER_CURSORS_FULL];
	if (k->skel->bss->epoch % GOROUTINE_SWEEP_EPOCHS == 0)
		sweep_goroutines(k);
}

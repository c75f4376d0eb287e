/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel side remembers of connections, statements and cursors dies by itself, as a rule. What does not
 * is looked for here: all of it once there is reason to, never otherwise.
 */
#include <string.h>
#include "kernel_internal.h"

#define IDLE_EPOCHS   60  /* a connection that is silent for so long gives up its place, if places run short */
#define CURSOR_EPOCHS 660 /* servers close cursors after 10 minutes by themselves */
#define CURSOR_SWEEP_EPOCHS 60

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

static bool is_idle(const struct kernel *k, uint32_t used, uint32_t epochs)
{
	return k->skel->bss->epoch - used > epochs;
}

static bool is_dead_mysql(const struct kernel *k, const void *key, const void *value)
{
	const struct mysql_connection *c = value;

	(void)key;
	return is_idle(k, c->used, IDLE_EPOCHS) || c->command == COM_QUIT;
}

static bool is_dead_mongo(const struct kernel *k, const void *key, const void *value)
{
	(void)key;
	return is_idle(k, ((const struct mongo_connection *)value)->used, IDLE_EPOCHS);
}

/* Those whose connection is gone, or has been reset. */
static bool is_dead_statement(const struct kernel *k, const void *key, const void *value)
{
	const struct prepared_key *statement = key;
	struct mysql_connection c;

	(void)value;
	return bpf_map_lookup_elem(bpf_map__fd(k->skel->maps.connections), &statement->sock, &c) ||
	       c.since_ns != statement->since_ns;
}

static bool is_dead_cursor(const struct kernel *k, const void *key, const void *value)
{
	const struct cursor_key *cursor = key;
	struct target target;

	return is_idle(k, ((const struct open_cursor *)value)->used, CURSOR_EPOCHS) ||
	       bpf_map_lookup_elem(bpf_map__fd(k->skel->maps.targets), &cursor->tgid, &target);
}

static bool is_crowding_cursor(const struct kernel *k, const void *key, const void *value)
{
	(void)key;
	return is_idle(k, ((const struct open_cursor *)value)->used, IDLE_EPOCHS);
}

static void sweep_mysql(struct kernel *k, bool full)
{
	struct prepared_key statement, next_statement;
	struct prepared_statement sql;
	struct mysql_connection c;
	uint64_t key, next;

	if (full)
		sweep(k, k->skel->maps.connections, &key, &next, &c, is_dead_mysql);
	sweep(k, k->skel->maps.prepared, &statement, &next_statement, &sql, is_dead_statement);
}

static void sweep_mongo(struct kernel *k)
{
	struct mongo_connection c;
	uint64_t key, next;

	sweep(k, k->skel->maps.mongo_connections, &key, &next, &c, is_dead_mongo);
}

static void sweep_cursors(struct kernel *k, bool full)
{
	struct cursor_key key, next;
	struct open_cursor cursor;

	sweep(k, k->skel->maps.cursors, &key, &next, &cursor, full ? is_crowding_cursor : is_dead_cursor);
}

void kernel_sweep(struct kernel *k)
{
	uint64_t counters[N_COUNTERS], full;

	k->skel->bss->epoch++;
	kernel_counters(k, counters);
	full = counters[COUNTER_CONNECTIONS_FULL] + counters[COUNTER_PREPARED_FULL];
	if (full != k->swept_full || counters[COUNTER_PREPARED] - k->swept_prepared >= MAX_PREPARED / 4) {
		sweep_mysql(k, full != k->swept_full);
		if (full != k->swept_full)
			sweep_mongo(k);
		k->swept_prepared = counters[COUNTER_PREPARED];
	}
	k->swept_full = full;
	if (counters[COUNTER_CURSORS_FULL] != k->swept_cursors || k->skel->bss->epoch % CURSOR_SWEEP_EPOCHS == 0)
		sweep_cursors(k, counters[COUNTER_CURSORS_FULL] != k->swept_cursors);
	k->swept_cursors = counters[COUNTER_CURSORS_FULL];
}

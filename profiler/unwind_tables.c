/* SPDX-License-Identifier: Apache-2.0 */
/* See unwind_tables.h. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "../bpf/events.h"
#include "clock.h"
#include "intern.h"
#include "kernel.h"
#include "message.h"
#include "thread.h"
#include "unwind_tables.h"

#define EARLY_TEXT_BYTES (32u << 20) /* objects with more text wait until a sample needs them */
/* With more text, what is described (.eh_frame) is published before the code is read that nothing describes. */
#define LARGE_TEXT_BYTES (4u << 20)
#define COMPARED_TEXT_BYTES (1u << 20)

/* So many indices rest before one is used again, as the rows that were there may still be seen for a moment. */
#define REST_INDICES 256

enum table_state { TABLE_IDLE, TABLE_WANTED, TABLE_BUILDING, TABLE_READY };

struct unwind_table {
	struct unwind_table *next; /* all tables */
	const struct elf_object *elf;
	uint64_t text, text_end;
	enum table_state state;
	uint64_t wanted; /* samples that needed it since it was idle */
	uint64_t rows, kernel_bytes;
	uint32_t index; /* NO_TABLE: none yet */
	bool compared;	/* `rows_again` were read; see unwind_table_row() */
	struct unwind_rows rows_again;
};

struct unwind_tables {
	struct publisher *publisher;
	pthread_t thread;
	pthread_mutex_t lock; /* of everything below, and of all tables */
	pthread_cond_t wanted;
	struct unwind_table *all;
	uint32_t next_index; /* indices from here on were never used */
	uint32_t *unused;    /* that were, and are free again */
	size_t n_unused, unused_capacity;
	bool stop, building;
	struct unwind_tables_totals totals;
};

/* --- indices; the lock is held --- */

static uint32_t take_index(struct unwind_tables *t)
{
	if (t->next_index < MAX_TABLES && t->n_unused <= REST_INDICES)
		return t->next_index++;
	if (t->n_unused) {
		uint32_t oldest = t->unused[0];

		memmove(t->unused, t->unused + 1, --t->n_unused * sizeof(*t->unused));
		return oldest;
	}
	t->totals.refused++;
	return NO_TABLE;
}

static void give_index(struct unwind_tables *t, uint32_t index)
{
	if (index == NO_TABLE)
		return;
	publisher_drop(t->publisher, index);
	if (!array_reserve((void **)&t->unused, &t->unused_capacity, t->n_unused, sizeof(*t->unused)))
		t->unused[t->n_unused++] = index;
}

/* --- building, on the thread --- */

typedef int rows_fn(const struct elf_object *o, struct unwind_rows *out);

/*
 * Returns the descriptor of the table in the kernel. For text without CFI, or where that is broken (*err), its one row
 * says so, as a frame pointer may still help.
 */
static int build(struct unwind_table *table, rows_fn *rows_of, int *err)
{
	static const struct unwind_row no_cfi = {.pc = 0, .kind = UNWIND_NONE};
	struct unwind_rows rows;
	int fd = -1;

	table->kernel_bytes = 0;
	*err = rows_of(table->elf, &rows);
	if (!*err && rows.n_rows) {
		fd = kernel_make_table(rows.rows, rows.n_rows, rows.rules, rows.n_rules, &table->kernel_bytes);
		*err = fd < 0 ? fd : 0;
	}
	table->rows = *err ? 0 : rows.n_rows;
	unwind_rows_free(&rows);
	if (fd < 0)
		fd = kernel_make_table(&no_cfi, 1, NULL, 0, &table->kernel_bytes);
	return fd;
}

static void publish(struct unwind_tables *t, struct unwind_table *table, int fd)
{
	if (fd >= 0)
		publisher_put(t->publisher, table->index, fd);
}

static struct unwind_table *most_wanted(struct unwind_tables *t)
{
	struct unwind_table *best = NULL;

	for (struct unwind_table *x = t->all; x; x = x->next)
		if (x->state == TABLE_WANTED && (!best || x->wanted > best->wanted))
			best = x;
	return best;
}

static void build_one(struct unwind_tables *t, struct unwind_table *table)
{
	uint64_t begun_ns = monotonic_ns();
	int err, fd;

	if (table->text_end - table->text > LARGE_TEXT_BYTES)
		publish(t, table, build(table, elf_object_described_rows, &err));
	fd = build(table, elf_object_unwind_rows, &err);
	elf_object_forget_pages(table->elf);
	if (err)
		message_verbose("no unwind rows for %s: %s", elf_object_name(table->elf), strerror(-err));
	else
		message_verbose("%s: %llu unwind rows, %.1f ms", elf_object_name(table->elf),
				(unsigned long long)table->rows,
				(monotonic_ns() - begun_ns) / 1e6);
	pthread_mutex_lock(&t->lock);
	publish(t, table, fd);
	t->totals.failed += !!err;
	t->totals.ready++;
	t->totals.rows += table->rows;
	t->totals.kernel_bytes += table->kernel_bytes;
	table->state = TABLE_READY;
	pthread_mutex_unlock(&t->lock);
}

static void *build_wanted(void *arg)
{
	struct unwind_tables *t = arg;

	pthread_setname_np(pthread_self(), "unwind_tables");
	pthread_mutex_lock(&t->lock);
	while (!t->stop) {
		struct unwind_table *table = most_wanted(t);

		if (!table) {
			pthread_cond_wait(&t->wanted, &t->lock);
			continue;
		}
		table->state = TABLE_BUILDING;
		t->building = true;
		pthread_mutex_unlock(&t->lock);
		build_one(t, table);
		pthread_mutex_lock(&t->lock);
		t->building = false;
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* --- for the others --- */

int unwind_tables_start(struct publisher *publisher, struct unwind_tables **out)
{
	struct unwind_tables *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	t->publisher = publisher;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->wanted, NULL);
	err = thread_start(&t->thread, build_wanted, t);
	if (err) {
		free(t);
		return err;
	}
	*out = t;
	return 0;
}

void unwind_tables_stop(struct unwind_tables *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_signal(&t->wanted);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	while (t->all) {
		struct unwind_table *next = t->all->next;

		unwind_rows_free(&t->all->rows_again);
		free(t->all);
		t->all = next;
	}
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->wanted);
	free(t->unused);
	free(t);
}

struct unwind_table *unwind_table_new(struct unwind_tables *t, const struct elf_object *elf)
{
	struct unwind_table *table = calloc(1, sizeof(*table));

	if (!table || !elf_object_text(elf, &table->text, &table->text_end)) {
		free(table);
		return NULL;
	}
	table->elf = elf;
	table->index = NO_TABLE;
	pthread_mutex_lock(&t->lock);
	table->next = t->all;
	t->all = table;
	pthread_mutex_unlock(&t->lock);
	return table;
}

void unwind_table_want(struct unwind_tables *t, struct unwind_table *table, unsigned int samples)
{
	pthread_mutex_lock(&t->lock);
	table->wanted += samples;
	if (table->index == NO_TABLE)
		table->index = take_index(t);
	if (table->state == TABLE_IDLE && table->index != NO_TABLE &&
	    (samples || table->text_end - table->text < EARLY_TEXT_BYTES)) {
		table->state = TABLE_WANTED;
		pthread_cond_signal(&t->wanted);
	}
	pthread_mutex_unlock(&t->lock);
}

/* The lock is held, and nobody builds it. */
static void release(struct unwind_tables *t, struct unwind_table *table)
{
	give_index(t, table->index);
	if (table->state == TABLE_READY) {
		t->totals.ready--;
		t->totals.evicted++;
		t->totals.rows -= table->rows;
		t->totals.kernel_bytes -= table->kernel_bytes;
	}
	table->rows = table->kernel_bytes = table->wanted = 0;
	table->state = TABLE_IDLE;
	table->index = NO_TABLE;
}

bool unwind_table_release(struct unwind_tables *t, struct unwind_table *table)
{
	bool idle;

	pthread_mutex_lock(&t->lock);
	idle = table->state != TABLE_BUILDING;
	if (idle)
		release(t, table);
	pthread_mutex_unlock(&t->lock);
	return idle;
}

bool unwind_table_free(struct unwind_tables *t, struct unwind_table *table)
{
	struct unwind_table **at = &t->all;
	bool idle;

	pthread_mutex_lock(&t->lock);
	idle = table->state != TABLE_BUILDING;
	if (idle) {
		release(t, table);
		while (*at != table)
			at = &(*at)->next;
		*at = table->next;
	}
	pthread_mutex_unlock(&t->lock);
	if (!idle)
		return false;
	unwind_rows_free(&table->rows_again);
	free(table);
	return true;
}

uint32_t unwind_table_index(struct unwind_tables *t, struct unwind_table *table, uint64_t *row_base)
{
	uint32_t index;

	pthread_mutex_lock(&t->lock);
	if (table->index == NO_TABLE)
		table->index = take_index(t);
	index = table->index;
	pthread_mutex_unlock(&t->lock);
	*row_base = table->text;
	return index;
}

bool unwind_table_is_at(struct unwind_tables *t, struct unwind_table *table, uint32_t index)
{
	bool is;

	pthread_mutex_lock(&t->lock);
	is = table->index == index;
	pthread_mutex_unlock(&t->lock);
	return is;
}

bool unwind_table_row(struct unwind_table *table, uint64_t vaddr, struct unwind_row *out)
{
	const struct unwind_rows *r = &table->rows_again;
	size_t lo = 0, hi;

	if (table->text_end - table->text > COMPARED_TEXT_BYTES || vaddr < table->text)
		return false;
	if (!table->compared)
		elf_object_unwind_rows(table->elf, &table->rows_again); /* on failure it is empty */
	table->compared = true;
	for (hi = r->n_rows; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->base + r->rows[mid].pc <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo)
		*out = r->rows[lo - 1];
	return lo > 0;
}

static bool is_idle(struct unwind_tables *t)
{
	bool idle;

	pthread_mutex_lock(&t->lock);
	idle = !t->building && !most_wanted(t);
	pthread_mutex_unlock(&t->lock);
	return idle && publisher_idle(t->publisher);
}

void unwind_tables_settle(struct unwind_tables *t, unsigned int timeout_ms)
{
	const struct timespec tick = {.tv_nsec = 1000000};

	for (unsigned int waited_ms = 0; waited_ms < timeout_ms && !is_idle(t); waited_ms++)
		nanosleep(&tick, NULL);
}

void unwind_tables_report(struct unwind_tables *t, struct unwind_tables_totals *out)
{
	pthread_mutex_lock(&t->lock);
	*out = t->totals;
	pthread_mutex_unlock(&t->lock);
}

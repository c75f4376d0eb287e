/* SPDX-License-Identifier: Apache-2.0 */
/* See unwind_tables.h. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "../bpf/events.h"
#include "intern.h"
#include "kernel.h"
#include "message.h"
#include "unwind_tables.h"

#define EARLY_TEXT_BYTES (8u << 20) /* objects with more text wait until a sample needs them */

enum table_state { TABLE_IDLE, TABLE_WANTED, TABLE_BUILDING, TABLE_READY };

struct unwind_table {
	struct unwind_table *next; /* all tables */
	const struct elf_object *elf;
	uint64_t text, text_end;
	enum table_state state;
	uint64_t wanted; /* samples that needed it since it was idle */
	uint64_t rows, kernel_bytes;
	uint32_t n_pieces;
	struct unwind_piece pieces[MAX_TABLE_PIECES];
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
	bool stop, building, changed;
	struct unwind_tables_totals totals;
};

/* --- indices; the lock is held --- */

static uint32_t take_index(struct unwind_tables *t)
{
	if (t->n_unused)
		return t->unused[--t->n_unused];
	if (t->next_index < MAX_TABLES)
		return t->next_index++;
	t->totals.refused++;
	return NO_TABLE;
}

static void give_index(struct unwind_tables *t, uint32_t index)
{
	if (index == NO_TABLE)
		return;
	publisher_drop(t->publisher, PUBLISH_TABLES, index);
	if (!array_reserve((void **)&t->unused, &t->unused_capacity, t->n_unused, sizeof(*t->unused)))
		t->unused[t->n_unused++] = index;
}

/* As before it is built: one piece, the whole text. */
static void set_whole(struct unwind_table *table, uint32_t index)
{
	table->n_pieces = 1;
	table->pieces[0] = (struct unwind_piece){
		.start = table->text,
		.end = UINT64_MAX,
		.row_base = table->text,
		.index = index,
	};
}

/* --- building, on the thread --- */

struct built {
	uint32_t n;
	uint64_t rows, kernel_bytes;
	struct unwind_piece pieces[MAX_TABLE_PIECES];
	int inner_fds[MAX_TABLE_PIECES];
};

/* Text without any CFI: one row that says so, or every sample would ask for it again. */
static const struct unwind_row no_cfi = {.pc = 0, .kind = UNWIND_NONE};

static int make_piece(const struct unwind_rows *rows, size_t at, size_t n, struct built *b)
{
	struct unwind_piece *piece = &b->pieces[b->n];
	int fd;

	if (b->n == MAX_TABLE_PIECES)
		return -E2BIG;
	fd = kernel_make_table(rows->rows + at, n, rows->rules, rows->n_rules, &b->kernel_bytes);
	if (fd < 0)
		return fd;
	piece->row_base = rows->base;
	piece->start = rows->base + rows->rows[at].pc;
	piece->end = at + n < rows->n_rows ? rows->base + rows->rows[at + n].pc : UINT64_MAX;
	b->inner_fds[b->n++] = fd;
	b->rows += n;
	return 0;
}

static void drop_pieces(struct built *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		close(b->inner_fds[i]);
	memset(b, 0, sizeof(*b));
}

/* On failure, as for text without CFI, there is one row that says so: frame pointers may still help. */
static int build(const struct unwind_table *table, struct built *b)
{
	const struct unwind_rows none = {.rows = (struct unwind_row *)&no_cfi, .n_rows = 1, .base = table->text};
	struct unwind_rows rows;
	int err;

	memset(b, 0, sizeof(*b));
	err = elf_object_unwind_rows(table->elf, &rows);
	elf_object_forget_pages(table->elf);
	for (size_t at = 0; !err && at < rows.n_rows; at += MAX_TABLE_ROWS) {
		size_t left = rows.n_rows - at;

		err = make_piece(&rows, at, left < MAX_TABLE_ROWS ? left : MAX_TABLE_ROWS, b);
	}
	unwind_rows_free(&rows);
	if (err)
		drop_pieces(b);
	if (!b->n && make_piece(&none, 0, 1, b) && !err)
		err = -ENOMEM;
	return err;
}

/* Publishes what was built. The lock is held. */
static void take_in(struct unwind_tables *t, struct unwind_table *table, struct built *b)
{
	uint32_t first = table->pieces[0].index;

	if (b->n > 1) {
		/* The index that mappings name already stays empty: a part would answer for the whole. */
		for (uint32_t i = 0; i < b->n; i++)
			b->pieces[i].index = take_index(t);
		memcpy(table->pieces, b->pieces, b->n * sizeof(*b->pieces));
		table->n_pieces = b->n;
		give_index(t, first);
		t->changed = true;
	}
	for (uint32_t i = 0; i < b->n; i++) {
		if (table->pieces[i].index != NO_TABLE)
			publisher_put(t->publisher, PUBLISH_TABLES, table->pieces[i].index, b->inner_fds[i]);
		else
			close(b->inner_fds[i]);
	}
	table->rows = b->rows;
	table->kernel_bytes = b->kernel_bytes;
	t->totals.ready++;
	t->totals.rows += b->rows;
	t->totals.kernel_bytes += b->kernel_bytes;
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
	struct timespec from, to;
	struct built b;
	int err;

	clock_gettime(CLOCK_MONOTONIC, &from);
	err = build(table, &b);
	clock_gettime(CLOCK_MONOTONIC, &to);
	if (err)
		message_verbose("no unwind rows for %s: %s", elf_object_name(table->elf), strerror(-err));
	else
		message_verbose("%s: %llu unwind rows in %u table(s), %.1f ms", elf_object_name(table->elf),
				(unsigned long long)b.rows, b.n,
				(to.tv_sec - from.tv_sec) * 1e3 + (to.tv_nsec - from.tv_nsec) / 1e6);
	pthread_mutex_lock(&t->lock);
	t->totals.failed += !!err;
	take_in(t, table, &b);
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
	sigset_t most, before;
	int err;

	if (!t)
		return -ENOMEM;
	t->publisher = publisher;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->wanted, NULL);
	sigfillset(&most);
	sigdelset(&most, SIGBUS); /* a file that shrinks while it is read, see truncated_files.c */
	pthread_sigmask(SIG_SETMASK, &most, &before);
	err = pthread_create(&t->thread, NULL, build_wanted, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err) {
		free(t);
		return -err;
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
	set_whole(table, NO_TABLE);
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
	if (table->state == TABLE_IDLE && table->pieces[0].index != NO_TABLE &&
	    (samples || table->text_end - table->text < EARLY_TEXT_BYTES)) {
		table->state = TABLE_WANTED;
		pthread_cond_signal(&t->wanted);
	}
	pthread_mutex_unlock(&t->lock);
}

void unwind_table_release(struct unwind_tables *t, struct unwind_table *table)
{
	pthread_mutex_lock(&t->lock);
	if (table->state != TABLE_BUILDING) {
		for (uint32_t i = 0; i < table->n_pieces; i++)
			give_index(t, table->pieces[i].index);
		if (table->state == TABLE_READY) {
			t->totals.ready--;
			t->totals.evicted++;
			t->totals.rows -= table->rows;
			t->totals.kernel_bytes -= table->kernel_bytes;
		}
		table->rows = table->kernel_bytes = table->wanted = 0;
		table->state = TABLE_IDLE;
		set_whole(table, NO_TABLE);
	}
	pthread_mutex_unlock(&t->lock);
}

size_t unwind_table_pieces(struct unwind_tables *t, struct unwind_table *table,
			   struct unwind_piece out[static MAX_TABLE_PIECES])
{
	size_t n;

	pthread_mutex_lock(&t->lock);
	if (table->state == TABLE_IDLE && table->pieces[0].index == NO_TABLE)
		table->pieces[0].index = take_index(t);
	n = table->n_pieces;
	memcpy(out, table->pieces, n * sizeof(*out));
	pthread_mutex_unlock(&t->lock);
	return n;
}

bool unwind_tables_changed(struct unwind_tables *t)
{
	bool changed;

	pthread_mutex_lock(&t->lock);
	changed = t->changed;
	t->changed = false;
	pthread_mutex_unlock(&t->lock);
	return changed;
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

/* SPDX-License-Identifier: Apache-2.0 */
/* See publisher.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "intern.h"
#include "publisher.h"
#include "thread.h"

#define QUEUE_MAX 65536 /* changes; beyond, they are refused and counted */
#define BATCH_MAX 256
#define DROP_INTERVAL_S 1 /* deletions are gathered for so long */

struct change {
	uint32_t key;
	int inner_fd; /* -1: to be deleted */
};

struct queue {
	struct change *list;
	size_t n, capacity;
};

struct publisher {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct queue puts, drops;
	uint64_t failures;
	bool stop, busy;
	int map_fd;
};

/* One system call for each, where the kernel has no batches for this map. Returns how many failed. */
static size_t make_singly(int map_fd, const struct change *c, size_t n)
{
	size_t failed = 0;

	for (size_t i = 0; i < n; i++) {
		bool drop = c[i].inner_fd < 0;
		int err = drop ? bpf_map_delete_elem(map_fd, &c[i].key)
			       : bpf_map_update_elem(map_fd, &c[i].key, &c[i].inner_fd, BPF_ANY);

		failed += err && !(drop && errno == ENOENT);
	}
	return failed;
}

/* Changes of one kind: one wait for all. Returns how many failed. */
static size_t make_batch(int map_fd, const struct change *c, size_t n)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	uint32_t keys[BATCH_MAX], count = n;
	int fds[BATCH_MAX], err;

	for (size_t i = 0; i < n; i++) {
		keys[i] = c[i].key;
		fds[i] = c[i].inner_fd;
	}
	if (n == 1)
		return make_singly(map_fd, c, n);
	err = c->inner_fd < 0 ? bpf_map_delete_batch(map_fd, keys, &count, &opts)
			      : bpf_map_update_batch(map_fd, keys, fds, &count, &opts);
	if (!err)
		return 0;
	if (count >= n) /* untouched by a kernel that has no batches here */
		count = 0;
	return make_singly(map_fd, c + count, n - count);
}

static void close_all(const struct queue *q)
{
	for (size_t i = 0; i < q->n; i++)
		if (q->list[i].inner_fd >= 0)
			close(q->list[i].inner_fd);
	free(q->list);
}

/* Makes the changes of a queue. The lock is held, but not while the kernel works. */
static void make_changes(struct publisher *p, struct queue *q)
{
	struct queue taken = *q;
	size_t failed = 0;

	*q = (struct queue){0};
	p->busy = true;
	pthread_mutex_unlock(&p->lock);
	for (size_t at = 0; at < taken.n; at += BATCH_MAX) {
		size_t left = taken.n - at;

		failed += make_batch(p->map_fd, taken.list + at, left < BATCH_MAX ? left : BATCH_MAX);
	}
	close_all(&taken);
	pthread_mutex_lock(&p->lock);
	p->busy = false;
	p->failures += failed;
}

static time_t monotonic_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec;
}

static void *publish(void *arg)
{
	time_t dropped_s = monotonic_s();
	struct publisher *p = arg;
	struct timespec until;
	struct queue *q;

	pthread_setname_np(pthread_self(), "publisher");
	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		q = &p->puts;
		if (!q->n && monotonic_s() - dropped_s >= DROP_INTERVAL_S) {
			dropped_s = monotonic_s();
			q = &p->drops;
		}
		if (q->n) {
			make_changes(p, q);
			continue;
		}
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += DROP_INTERVAL_S;
		pthread_cond_timedwait(&p->changed, &p->lock, &until);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

int publisher_start(int map_fd, struct publisher **out)
{
	struct publisher *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->map_fd = map_fd;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	err = thread_start(&p->thread, publish, p);
	if (err) {
		free(p);
		return err;
	}
	*out = p;
	return 0;
}

void publisher_stop(struct publisher *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	close_all(&p->puts);
	close_all(&p->drops);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->changed);
	free(p);
}

/* The lock is held. */
static bool add(struct publisher *p, struct queue *q, uint32_t key, int inner_fd)
{
	if (q->n >= QUEUE_MAX ||
	    array_reserve((void **)&q->list, &q->capacity, q->n, sizeof(*q->list))) {
		p->failures++;
		return false;
	}
	q->list[q->n++] = (struct change){key, inner_fd};
	return true;
}

static void forget(struct queue *q, uint32_t key)
{
	for (size_t i = 0; i < q->n; i++)
		if (q->list[i].key == key)
			q->list[i--] = q->list[--q->n];
}

void publisher_put(struct publisher *p, uint32_t key, int inner_fd)
{
	pthread_mutex_lock(&p->lock);
	forget(&p->drops, key);
	if (add(p, &p->puts, key, inner_fd))
		pthread_cond_signal(&p->changed);
	else
		close(inner_fd);
	pthread_mutex_unlock(&p->lock);
}

void publisher_drop(struct publisher *p, uint32_t key)
{
	pthread_mutex_lock(&p->lock);
	add(p, &p->drops, key, -1);
	pthread_mutex_unlock(&p->lock);
}

bool publisher_idle(struct publisher *p)
{
	bool idle;

	pthread_mutex_lock(&p->lock);
	idle = !p->busy && !p->puts.n;
	pthread_mutex_unlock(&p->lock);
	return idle;
}

uint64_t publisher_failures(struct publisher *p)
{
	uint64_t n;

	pthread_mutex_lock(&p->lock);
	n = p->failures;
	pthread_mutex_unlock(&p->lock);
	return n;
}

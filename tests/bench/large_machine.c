/* SPDX-License-Identifier: Apache-2.0 */
/* See large_machine.h. */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../bson_text.h"
#include "large_machine.h"

enum server { REDIS, MYSQL, MONGO };

/*
 * How different stacks are: about as in a redis-server under six commands of redis-benchmark, of which 2629 samples had 1008 different
 * stacks of 1320 addresses.
 */
#define KINDS	      200 /* of classes: those of a kind differ by tables and keys, and run through the same code */
#define CLASS_PATHS   24  /* ways through the program that one kind takes */
#define KERNEL_PATHS  100 /* through the kernel */
#define LEAVES	      8	  /* places in the innermost function that samples hit */

#define REQUEST_BYTES 16384

static uint64_t next(struct large_machine *m, uint64_t below)
{
	m->seed = m->seed * 6364136223846793005u + 1442695040888963407u;
	return (m->seed >> 33) % below;
}

/* Few are frequent, many are rare: the n-th is met 1/n as often as the first (Zipf). */
static uint64_t next_skewed(struct large_machine *m, uint64_t below)
{
	double u = next(m, 1u << 30) / (double)(1u << 30);

	return (uint64_t)pow(below, u) - 1;
}

/* --- requests: of each class, one --- */

/* Letters: a digit would end the part of a key that is shown. */
static void name_of(unsigned int class, char out[static 8])
{
	snprintf(out, 8, "x%c%c%c", 'a' + class / 676 % 26, 'a' + class / 26 % 26, 'a' + class % 26);
}

static uint32_t make_redis(unsigned int class, uint8_t *out)
{
	static const char *const shapes[] = {
		"*2\r\n$3\r\nGET\r\n$9\r\n%s:1000\r\n",
		"*3\r\n$3\r\nSET\r\n$9\r\n%s:1000\r\n$5\r\nvalue\r\n",
		"*4\r\n$6\r\nZRANGE\r\n$9\r\n%s:1000\r\n$1\r\n0\r\n$2\r\n10\r\n",
		"*3\r\n$5\r\nHMGET\r\n$9\r\n%s:1000\r\n$4\r\nname\r\n",
	};
	char name[8];

	name_of(class, name);
	return sprintf((char *)out, shapes[class % 4], name);
}

/* A packet of COM_QUERY, or the COM_STMT_PREPARE of what is executed. */
static uint32_t make_mysql(unsigned int class, bool prepared, uint8_t *out)
{
	static const char *const shapes[] = {
		"SELECT c, pad FROM %s WHERE id = 5023 AND state IN ('new', 'paid') ORDER BY created_at DESC LIMIT 50",
		"UPDATE %s SET k = k + 1, changed_at = '2024-01-01 00:00:00' WHERE id = 5023",
		"SELECT o.id, o.total, c.name, SUM(i.quantity * i.price) AS amount FROM %s o JOIN customers c ON c.id = o.customer_id "
		"JOIN items i ON i.order_id = o.id WHERE o.created_at BETWEEN '2024-01-01' AND '2024-02-01' AND c.country IN ('de', 'fr') "
		"GROUP BY o.id, o.total, c.name HAVING amount > 100.5 ORDER BY amount DESC LIMIT 50",
		"INSERT INTO %s (id, k, c, pad) VALUES (1, 5023, 'some text of a row', 'padding')",
	};
	char *sql = (char *)out + 5, name[8];
	uint32_t n;

	name_of(class, name);
	n = sprintf(sql, shapes[class % 4], name);
	while (class % 8 == 7 && n < STREAM_BYTES) /* longer than what is captured */
		n += sprintf(sql + n, ", (%u, 5023, 'some text of a row', 'padding')", n);
	out[0] = (n + 1) & 0xff;
	out[1] = (n + 1) >> 8;
	out[2] = out[3] = 0;
	out[4] = prepared ? COM_STMT_PREPARE : COM_QUERY;
	return 5 + n;
}

static uint32_t make_mongo(unsigned int class, uint8_t *out)
{
	static const char *const shapes[] = {
		"{find: '%s', filter: {status: 'paid', customer_id: 4711L, total: {$gt: 100.5}}, sort: {created_at: -1}, limit: 50, ",
		"{update: '%s', ordered: true, updates: [{q: {_id: @oid}, u: {$set: {status: 'shipped', at: @date}, $inc: {version: 1}}}], ",
		"{aggregate: '%s', pipeline: [{$match: {status: 'paid', created_at: {$gte: @date, $lt: @date}}}, {$lookup: {from: 'products', "
		"localField: 'product_id', foreignField: '_id', as: 'product'}}, {$unwind: '$product'}, {$group: {_id: '$product.category', "
		"revenue: {$sum: '$quantity'}, n: {$sum: 1}}}, {$sort: {revenue: -1}}, {$limit: 10}], cursor: {}, ",
	};
	static struct mongo_stream message;
	char name[8], body[1024];
	int n;

	name_of(class, name);
	n = snprintf(body, sizeof(body), shapes[class % 3], name);
	snprintf(body + n, sizeof(body) - n, "lsid: {id: @binary(0123456789abcdef)}, $db: 'shop'}");
	message.n = 0;
	mongo_put_msg(&message, body);
	memcpy(out, message.bytes, message.n);
	return message.n;
}

/* Of ten classes, three are Redis', four MySQL's, every third of those prepared, and three MongoDB's. */
static int make_request(unsigned int class, struct made_request *r)
{
	static const enum server servers[] = {REDIS, MYSQL, MONGO, MYSQL, REDIS, MYSQL, MONGO, REDIS, MYSQL, MONGO};
	uint8_t bytes[REQUEST_BYTES];

	r->server = servers[class % 10];
	r->flags = REQUEST_KNOWN;
	if (r->server == MYSQL) {
		r->flags |= REQUEST_MYSQL | (class % 3 ? 0 : REQUEST_PREPARED);
		r->n = make_mysql(class, r->flags & REQUEST_PREPARED, bytes);
	} else if (r->server == MONGO) {
		r->flags |= REQUEST_MONGO;
		r->n = make_mongo(class, bytes);
	} else {
		r->n = make_redis(class, bytes);
	}
	r->bytes = malloc(r->n);
	if (!r->bytes)
		return -ENOMEM;
	memcpy(r->bytes, bytes, r->n);
	return 0;
}

/* --- servers --- */

static int listen_somewhere(struct large_machine *m)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	m->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (m->listening < 0 || bind(m->listening, (void *)&address, size) || listen(m->listening, 1) ||
	    getsockname(m->listening, (void *)&address, &size))
		return -errno;
	m->port = ntohs(address.sin_port);
	return 0;
}

static pid_t start_server(const char *name)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, name);
	for (;;)
		pause();
}

static void find_kernel_text(struct large_machine *m)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	unsigned long long address;
	char name[256];

	while (f && fscanf(f, "%llx %*c %255[^\n]", &address, name) == 2) {
		if (!strcmp(name, "_stext"))
			m->kernel_start = address;
		else if (!strcmp(name, "_etext"))
			m->kernel_end = address;
	}
	if (f)
		fclose(f);
}

int machine_start(struct large_machine *m)
{
	static const char *const names[SERVERS] = {"redis-server", "mysqld", "mongod"};
	int err = listen_somewhere(m);

	m->requests = calloc(m->classes, sizeof(*m->requests));
	if (!m->requests)
		return -ENOMEM;
	for (unsigned int i = 0; i < m->classes && !err; i++)
		err = make_request(i, &m->requests[i]);
	find_kernel_text(m);
	for (size_t i = 0; i < SERVERS && !err; i++) {
		m->servers[i] = start_server(names[i]);
		if (m->servers[i] < 0)
			err = -errno;
	}
	return err;
}

void machine_stop(struct large_machine *m)
{
	for (size_t i = 0; i < SERVERS; i++)
		if (m->servers[i] > 0) {
			kill(m->servers[i], SIGKILL);
			waitpid(m->servers[i], NULL, 0);
		}
	for (unsigned int i = 0; m->requests && i < m->classes; i++)
		free(m->requests[i].bytes);
	free(m->requests);
	close(m->listening);
}

/* --- samples --- */

int machine_make_stacks(struct large_machine *m, const struct process *process)
{
	if (!process || !process->n_mappings)
		return -ESRCH;
	for (size_t i = 0; i < ADDRESSES; i++) {
		const struct user_mapping *at = &process->mappings[next(m, process->n_mappings)];

		m->addresses[i] = at->start + next(m, at->end - at->start - 4 * LEAVES);
	}
	for (size_t i = 0; i < PATHS; i++) {
		m->paths[i].n = 1 + next(m, PATH_FRAMES);
		for (size_t f = 0; f < m->paths[i].n; f++)
			m->paths[i].at[f] = next(m, ADDRESSES);
	}
	return 0;
}

static void put_stack(struct large_machine *m, const struct call_path *path, struct sample_event *e, uint64_t *to)
{
	bool in_kernel = m->kernel_end && next(m, 4) == 0;
	uint64_t way = next_skewed(m, KERNEL_PATHS), pages = (m->kernel_end - m->kernel_start) / 4096;

	e->n_kernel = in_kernel ? 1 + way % KERNEL_FRAMES : 0;
	e->n_user = path->n;
	if (in_kernel)
		e->flags |= SAMPLE_KERNEL_MODE;
	for (size_t i = 0; i < e->n_kernel; i++)
		*to++ = m->kernel_start + (way * 7919 + i * 541) % pages * 4096 + (i ? 0 : 4 * next_skewed(m, LEAVES));
	for (size_t i = 0; i < path->n; i++)
		*to++ = m->addresses[path->at[i]] + (i || in_kernel ? 0 : 4 * next_skewed(m, LEAVES));
}

/* A tenth of the samples is work in the background. */
size_t machine_sample(struct large_machine *m, uint64_t time_ns, void *out)
{
	unsigned int class = next_skewed(m, m->classes), tid = next(m, m->threads);
	const struct made_request *r = &m->requests[class];
	bool serves = next(m, 10) != 0;
	struct sample_event *e = out;
	uint64_t *frames = (uint64_t *)(e + 1);
	uint8_t *bytes;

	memset(e, 0, sizeof(*e));
	e->h = (struct event_header){.type = EVENT_SAMPLE, .pid = m->servers[r->server], .time_ns = time_ns};
	e->tid = 1000000 + tid;
	e->period_ns = 1000000000u / m->hz;
	e->stop = STOP_END;
	snprintf(e->thread, sizeof(e->thread), "worker-%u", tid % 64);
	put_stack(m, &m->paths[(class % KINDS * CLASS_PATHS + next_skewed(m, CLASS_PATHS)) % PATHS], e, frames);
	bytes = (uint8_t *)(frames + e->n_kernel + e->n_user);
	if (!serves)
		return bytes - (uint8_t *)out;
	e->flags |= r->flags;
	e->phase = next(m, 10) ? PHASE_EXECUTE : PHASE_REPLY;
	e->family = AF_INET;
	e->local_port = m->port;
	e->sock = 0xffff888000000000 + 4096ull * next(m, m->connections);
	e->commands = r->server == REDIS ? 0 : 1;
	e->received = e->last_received = r->n;
	e->tail_bytes = r->n < TAIL_BYTES ? r->n : TAIL_BYTES;
	memcpy(bytes, r->bytes, e->tail_bytes);
	return bytes + e->tail_bytes - (uint8_t *)out;
}

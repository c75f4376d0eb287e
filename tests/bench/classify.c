/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What user space pays to know a sample's query, in nanoseconds of CPU time: bytes of the request -> classes. Each call is
 * timed by itself, net of the clock; the caches are as warm as repetition makes them, so a busy recorder is a little slower.
 *
 *	classify [-n CALLS]	default: 20000 of each
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>
#include <zstd.h>
#include "../bson_text.h"
#include "bpf/events.h"
#include "profiler/inflate.h"
#include "protocols/mongo.h"
#include "protocols/mongo_wire.h"
#include "protocols/mysql.h"
#include "protocols/redis.h"

#define CALLS_MAX   1000000
#define PLAIN_BYTES 8192
#define PIPELINE    16

static const char *const point_select = "SELECT c FROM sbtest1 WHERE id=5023";
static const char *const joins =
	"SELECT o.id, o.total, c.name, p.title, SUM(i.quantity * i.price) AS amount FROM orders o JOIN customers c ON "
	"c.id = o.customer_id JOIN items i ON i.order_id = o.id LEFT JOIN products p ON p.id = i.product_id WHERE "
	"o.created_at BETWEEN '2024-01-01' AND '2024-02-01' AND c.country IN ('de', 'fr', 'nl') AND o.state = 'paid' GROUP BY "
	"o.id, o.total, c.name, p.title HAVING amount > 100.5 ORDER BY amount DESC LIMIT 50 OFFSET 100";

struct stream {
	uint8_t bytes[2 * STREAM_BYTES];
	size_t n;
};

static struct query_batch batch;
static struct inflater *inflater;
static unsigned int calls = 20000;
static double clock_ns;

/* --- streams --- */

static void put_le24(uint8_t *p, size_t value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
	p[2] = (uint8_t)(value >> 16);
}

static void put_command(struct stream *s, uint8_t command, const char *sql)
{
	size_t n = strlen(sql);

	put_le24(s->bytes + s->n, n + 1);
	s->bytes[s->n + 3] = 0;
	s->bytes[s->n + 4] = command;
	memcpy(s->bytes + s->n + 5, sql, n);
	s->n += 5 + n;
}

/* An INSERT of many rows, of which the capture holds the beginning. */
static void put_rows(struct stream *s)
{
	static char sql[2 * STREAM_BYTES - 256] = "INSERT INTO sbtest1 (id, k, c, pad) VALUES ";
	size_t n = strlen(sql);

	while (n < sizeof(sql) - 80)
		n += (size_t)sprintf(sql + n, "(%zu, %zu, 'some text of a row', 'padding'), ", n, 2 * n);
	put_command(s, COM_QUERY, sql);
	s->n = STREAM_BYTES;
}

static void deflate_stream(const struct stream *from, bool zstd, struct stream *to)
{
	uLongf n = sizeof(to->bytes) - MYSQL_FRAME_BYTES;
	uint8_t *bytes = to->bytes + MYSQL_FRAME_BYTES;

	if (zstd)
		n = ZSTD_compress(bytes, n, from->bytes, from->n, 3);
	else
		compress2(bytes, &n, from->bytes, from->n, 6);
	put_le24(to->bytes, n);
	to->bytes[3] = 0;
	put_le24(to->bytes + 4, from->n);
	to->n = MYSQL_FRAME_BYTES + n;
}

static void take_mongo(struct stream *s, const struct mongo_stream *from)
{
	s->n = from->n < STREAM_BYTES ? from->n : STREAM_BYTES;
	memcpy(s->bytes, from->bytes, s->n);
}

static void put_mongo(struct stream *s, const char *body)
{
	static struct mongo_stream message;

	message.n = 0;
	mongo_put_msg(&message, body);
	take_mongo(s, &message);
}

/* As drivers send it: the rows in a sequence, of which the capture holds the beginning. */
static void put_mongo_rows(struct stream *s, const char *command, const char *sequence, const char *row)
{
	static struct mongo_stream message;
	char text[2 * STREAM_BYTES], body[256];
	size_t n = 0;

	while (n < STREAM_BYTES + 512)
		n += (size_t)sprintf(text + n, "%s ", row);
	sprintf(body, "{%s: 'orders', ordered: true, lsid: {id: @binary(0123456789abcdef)}, $db: 'shop'}", command);
	message.n = 0;
	mongo_begin(&message, OP_MSG);
	mongo_put_number(&message, 0);
	mongo_put_body(&message, body);
	mongo_put_sequence(&message, sequence, text);
	mongo_end(&message);
	take_mongo(s, &message);
}

static void put_get(struct stream *s)
{
	s->n += (size_t)sprintf((char *)s->bytes + s->n, "*2\r\n$3\r\nGET\r\n$9\r\nuser:1000\r\n");
}

/* --- what is measured --- */

typedef void (*classify_fn)(const struct stream *s);

static void nothing(const struct stream *s)
{
	(void)s;
}

static void query(const struct stream *s)
{
	mysql_classify(&(struct mysql_batch){{s->bytes, s->n}, s->n}, &batch);
}

static void prepared(const struct stream *s)
{
	mysql_classify_prepared(&(struct mysql_batch){{s->bytes, s->n}, s->n}, &batch);
}

static void deflated(const struct stream *s)
{
	static uint8_t plain[PLAIN_BYTES];
	struct mysql_batch in = {.stream = {.ptr = plain}};

	in.stream.len = inflate_mysql(inflater, (struct slice){s->bytes, s->n}, s->n, plain, sizeof(plain), &in.received);
	mysql_classify(&in, &batch);
}

static void mongo(const struct stream *s)
{
	mongo_classify(&(struct mongo_batch){.stream = {s->bytes, s->n}, .received = s->n}, &batch);
}

static void redis(const struct stream *s)
{
	struct redis_message m = {.tail = {s->bytes, s->n}, .received = s->n, .last_received = s->n};

	redis_classify(&m, REDIS_KEYS_PREFIX, &batch);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* what others do meanwhile does not count */
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Prints a line; the first one measures the clock. */
static void measure(const char *what, classify_fn classify, const struct stream *s)
{
	static double ns[CALLS_MAX];
	double median;

	batch.n_commands = 0;
	for (unsigned int i = 0; i < calls; i++) {
		double start = now_ns();

		classify(s);
		ns[i] = now_ns() - start;
	}
	qsort(ns, calls, sizeof(*ns), by_value);
	if (classify == nothing)
		clock_ns = ns[calls / 2];
	median = ns[calls / 2] - clock_ns;
	printf("%-44s %6zu %9u %9.0f %9.0f %9.0f\n", what, s->n, batch.n_commands, median,
	       ns[(size_t)(0.99 * (calls - 1))] - clock_ns, median > 0 ? (double)s->n * 1e3 / median : 0);
}

static void measure_all(void)
{
	static struct stream none, point, join, rows, prepare, pipeline, zlib, zstd, get, gets, find, aggregate, update, documents,
		updates;

	put_command(&point, COM_QUERY, point_select);
	put_command(&join, COM_QUERY, joins);
	put_rows(&rows);
	put_command(&prepare, COM_STMT_PREPARE, "SELECT c FROM sbtest1 WHERE id=?");
	for (int i = 0; i < PIPELINE; i++)
		put_command(&pipeline, COM_QUERY, i % 2 ? point_select : "UPDATE sbtest1 SET k=k+1 WHERE id=5023");
	put_mongo(&find, "{find: 'orders', filter: {status: 'paid', customer_id: 4711L, total: {$gt: 100.5}}, sort: {created_at: -1}, "
			 "limit: 50, lsid: {id: @binary(0123456789abcdef)}, $db: 'shop'}");
	put_mongo(&aggregate, "{aggregate: 'orders', pipeline: [{$match: {status: 'paid', created_at: {$gte: @date, $lt: @date}}}, "
			      "{$lookup: {from: 'products', localField: 'product_id', foreignField: '_id', as: 'product'}}, "
			      "{$unwind: '$product'}, {$group: {_id: '$product.category', revenue: {$sum: {$multiply: ['$quantity', "
			      "'$product.price']}}, n: {$sum: 1}}}, {$sort: {revenue: -1}}, {$limit: 10}], cursor: {}, "
			      "lsid: {id: @binary(0123456789abcdef)}, $db: 'shop'}");
	put_mongo(&update, "{update: 'orders', ordered: true, updates: [{q: {_id: @oid}, u: {$set: {status: 'shipped', shipped_at: @date}, "
			   "$inc: {version: 1}}}], lsid: {id: @binary(0123456789abcdef)}, $db: 'shop'}");
	put_mongo_rows(&documents, "insert", "documents", "{_id: @oid, k: 4711, c: 'some text of a row', pad: 'padding'}");
	put_mongo_rows(&updates, "update", "updates", "{q: {_id: @oid}, u: {$set: {k: 4711, c: 'some text of a row'}}}");
	deflate_stream(&join, false, &zlib);
	deflate_stream(&join, true, &zstd);
	put_get(&get);
	for (int i = 0; i < PIPELINE; i++)
		put_get(&gets);

	printf("%-44s %6s %9s %9s %9s %9s\n", "ns a sample", "bytes", "commands", "median", "p99", "MB/s");
	measure("the clock itself, and what it varies", nothing, &none);
	measure("MySQL: a point select", query, &point);
	measure("MySQL: a query of 4 tables", query, &join);
	measure("MySQL: an INSERT of rows, cut at the capture", query, &rows);
	measure("MySQL: EXECUTE, by its PREPARE", prepared, &prepare);
	measure("MySQL: a pipeline of 16", query, &pipeline);
	measure("MySQL: the query of 4 tables, zlib", deflated, &zlib);
	measure("MySQL: the query of 4 tables, zstd", deflated, &zstd);
	measure("MongoDB: a find", mongo, &find);
	measure("MongoDB: an aggregate of 6 stages", mongo, &aggregate);
	measure("MongoDB: an update", mongo, &update);
	measure("MongoDB: an insert, cut at the capture", mongo, &documents);
	measure("MongoDB: an update of many, cut likewise", mongo, &updates);
	measure("Redis: a GET", redis, &get);
	measure("Redis: a pipeline of 16", redis, &gets);
}

int main(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "n:")) != -1) {
		unsigned long n = opt == 'n' ? strtoul(optarg, NULL, 10) : 0;

		if (n == 0 || n > CALLS_MAX) {
			fprintf(stderr, "usage: %s [-n CALLS]   (CALLS: 1 to %d)\n", argv[0], CALLS_MAX);
			return 2;
		}
		calls = (unsigned int)n;
	}
	inflater = inflater_new();
	if (!inflater)
		return 1;
	measure_all();
	inflater_free(inflater);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * However MongoDB's messages are cut, less is said of them, never anything else; the order of the fields, and whether
 * documents are in the body or in a sequence, make no difference; several messages say what each of them says; and nothing
 * of a value comes out, whatever its type, wherever it stands and however it is cut.
 *
 * Commands are made at random, with a fixed seed: their structure by one generator, the order of their fields by another.
 * Also replays the fuzzers' corpora, with the fuzz targets' own checks.
 */
#include <ctype.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#define LLVMFuzzerTestOneInput fuzz_bson
#define check_all	       check_all_bson
#include "fuzz/fuzz_bson.c"
#undef LLVMFuzzerTestOneInput
#undef check_all
#include "fuzz/fuzz_mongo.c"
#include "bson_text.h"
#include "guard.h"
#include "protocols/mongo_wire.h"

#define CORPUS	  "tests/fuzz/corpus/"
#define ROUNDS	  100
#define TEXT_MAX  4096
#define ITEMS_MAX 6
#define ROOM	  32768

static struct query_batch whole, part;
static uint8_t *room; /* ROOM bytes in front of a guard page */

/* --- chance --- */

static uint64_t structure = 42, order = 4242;

static uint32_t next_of(uint64_t *state, uint32_t below)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33) % below;
}

static uint32_t next_random(uint32_t below)
{
	return next_of(&structure, below);
}

/* --- commands as text --- */

struct items {
	char item[ITEMS_MAX][TEXT_MAX];
	uint32_t n;
};

static char *next_item(struct items *items)
{
	assert(items->n < ITEMS_MAX);
	return items->item[items->n++];
}

static void join(struct items *items, bool shuffle, const char *open, const char *close, char *out)
{
	size_t n = (size_t)sprintf(out, "%s", open);

	for (uint32_t left = items->n; left; left--) {
		uint32_t i = shuffle ? next_of(&order, left) : 0;

		n += (size_t)snprintf(out + n, TEXT_MAX - n, "%s, ", items->item[i]);
		assert(n < TEXT_MAX - 8);
		memmove(items->item[i], items->item[i + 1], (size_t)(left - 1 - i) * TEXT_MAX);
	}
	strcpy(out + n, close);
}

/* Every value has "hunt", "s3cr" or "471" in it, every name has not. */
static const char *random_scalar(void)
{
	static const char *const scalars[] = {
		"'hunter2'", "'$hunter2'", "'s3cret hunter2'", "4711", "-4711", "4711L", "4711.5", "@binary(hunter2)", "@undefined",
		"@oid(hunter2hunte)", "true", "false", "@date(s3cret4711)", "null", "@regex(^hunter2)", "@pointer(hunter2.s3cret)",
		"@code(hunter2)", "@symbol(hunter2)", "@scope(hunter2)", "@timestamp(s3cret4711)", "@decimal(hunter2hunter2)",
		"@min", "@max", "'507f1f77bcf86cd799434711'",
	};

	return scalars[next_random(sizeof(scalars) / sizeof(scalars[0]))];
}

static const char *const names[] = {"status", "total", "address.city", "items.17.qty", "_id", "tags", "first name", "z"};

/* A value: a scalar, an array, a document. */
static void make_value(char *out, int depth)
{
	struct items items = {.n = 0};
	uint32_t n = next_random(4);

	switch (depth ? next_random(6) : 0) {
	case 4:
		while (n--)
			make_value(next_item(&items), depth - 1);
		join(&items, false, "[", "]", out);
		break;
	case 5:
		for (uint32_t first = next_random(4); n--;) {
			char *item = next_item(&items);

			make_value(item + sprintf(item, "\"%s\": ", names[first + n]), depth - 1);
		}
		join(&items, true, "{", "}", out);
		break;
	default:
		strcpy(out, random_scalar());
	}
}

static void make_condition(char *out)
{
	static const char *const operators[] = {"$gt", "$lt", "$ne", "$regex", "$in"};
	struct items items = {.n = 0};
	uint32_t n = next_random(3);

	if (!n) {
		make_value(out, 2);
		return;
	}
	for (uint32_t first = next_random(4); n--;) {
		const char *a = random_scalar(), *b = random_scalar();

		if (first + n == 4)
			sprintf(next_item(&items), "$in: [%s, %s]", a, b);
		else
			sprintf(next_item(&items), "%s: %s", operators[first + n], a);
	}
	join(&items, true, "{", "}", out);
}

static void make_filter(char *out, int depth)
{
	struct items items = {.n = 0};
	uint32_t n = next_random(4);

	for (uint32_t first = next_random(4); n--;) {
		char *item = next_item(&items);

		make_condition(item + sprintf(item, "\"%s\": ", names[first + n]));
	}
	if (depth && !next_random(3)) {
		struct items inside = {.n = 0};

		for (n = 1 + next_random(3); n--;)
			make_filter(next_item(&inside), depth - 1);
		join(&inside, false, next_random(2) ? "$or: [" : "$and: [", "]", next_item(&items));
	}
	if (depth && !next_random(4))
		sprintf(next_item(&items), "$expr: {$gt: ['$total', {$add: ['$items.17.qty', 4711, 'hunter2', {$literal: '$hunter2'}]}]}");
	join(&items, true, "{", "}", out);
}

static void make_stage(char *out)
{
	static const char *const stages[] = {
		"{$group: {_id: '$address.city', n: {$sum: 4711}, t: {$push: {a: '$total', b: 'hunter2'}}}}",
		"{$lookup: {from: 'products', localField: 'hunter2', foreignField: 's3cret', as: 'hunter2'}}",
		"{$sort: {total: -1, z: 1}}",
		"{$limit: 4711}",
		"{$facet: {a: [{$match: {x: 'hunter2'}}], b: [{$count: 'hunter2'}]}}",
		"{$project: {a: {$concat: ['$first', ' hunter2', '$last']}, b: {$literal: '$hunter2'}}}",
		"{$search: {text: {query: '$hunter2', path: 's3cret'}}}",
		"{$graphLookup: {from: 'g', startWith: '$a', restrictSearchWithMatch: {a: '$hunter2'}, as: 'hunter2'}}",
		"{$merge: {into: 'm', on: 'hunter2', whenMatched: [{$set: {a: '$$new.b', c: 'hunter2'}}]}}",
		"{$unwind: '$items'}",
	};

	if (next_random(3)) {
		strcpy(out, stages[next_random(sizeof(stages) / sizeof(stages[0]))]);
		return;
	}
	make_filter(out + sprintf(out, "{$match: "), 1);
	strcat(out, "}");
}

static void make_pipeline(char *out)
{
	struct items items = {.n = 0};

	for (uint32_t n = next_random(5); n--;)
		make_stage(next_item(&items));
	join(&items, false, "[", "]", out);
}

static void make_update(char *out)
{
	struct items items = {.n = 0};

	if (!next_random(6)) {
		make_pipeline(out);
		return;
	}
	make_value(strcpy(next_item(&items), "$set: {a: ") + 10, 2);
	strcat(items.item[0], "}");
	make_value(strcpy(next_item(&items), "$push: {b: ") + 11, 1);
	strcat(items.item[1], "}");
	if (next_random(2))
		strcpy(next_item(&items), "$inc: {n: 4711, m: -4711}");
	join(&items, true, "{", "}", out);
}

static void make_statement(char *out, bool updates)
{
	struct items items = {.n = 0};

	make_filter(strcpy(next_item(&items), "q: ") + 3, 1);
	if (updates)
		make_update(strcpy(next_item(&items), "u: ") + 3);
	else
		strcpy(next_item(&items), "limit: 1");
	if (updates && next_random(2))
		strcpy(next_item(&items), next_random(2) ? "multi: true" : "upsert: false");
	if (!next_random(4))
		strcpy(next_item(&items), "collation: {locale: 'hunter2'}");
	join(&items, true, "{", "}", out);
}

static void make_option(char *out)
{
	static const char *const options[] = {
		"comment: 'hunter2'", "maxTimeMS: 4711", "lsid: {id: @binary(hunter2)}", "let: {x: 'hunter2'}",
		"hint: 'hunter2'", "unheard: {of: 'hunter2'}", "txnNumber: 4711L", "readConcern: {level: 's3cret'}",
		"$clusterTime: {signature: {hash: @binary(hunter2)}}", "collation: {locale: 's3cret'}",
	};

	strcpy(out, options[next_random(sizeof(options) / sizeof(options[0]))]);
}

/* A command; what stands in a sequence or in an array of the body is apart. */
struct command {
	const char *name, *sequence; /* NULL: none */
	struct items fields, documents;
};

static const char *const others[] = {
	"createUser: 'hunter2', pwd: 's3cret', roles: [{role: 'hunter2', db: 's3cret'}]",
	"saslStart: 1, mechanism: 's3cret', payload: @binary(n,,n=hunter2)",
	"authenticate: 'hunter2', key: 's3cret'",
	"hello: 4711, client: {driver: {name: 'hunter2'}}",
	"usersInfo: {user: 'hunter2', db: 's3cret'}",
	"renameCollection: 'hunter2.s3cret', to: 'hunter2.4711'",
	"explain: {find: 'c', filter: {a: 'hunter2', _id: 4711}}, verbosity: 's3cret'",
	"mapReduce: 'c', map: @code(hunter2), reduce: @scope(s3cret), out: 'hunter2', query: {a: 'hunter2'}",
	"createIndexes: 'c', indexes: [{key: {a: 1, b: -1}, name: 'hunter2', partialFilterExpression: {a: 'hunter2'}}]",
	"getMore: 4711L, collection: 'c', comment: 'hunter2'",
	"killCursors: 'c', cursors: [4711L]",
	"bulkWrite: 1, nsInfo: [{ns: 'd.c'}], ops: [{insert: 0, document: {a: 'hunter2'}}, {update: 0, filter: {_id: 4711}}]",
	"find: 4711",
	"find: {a: 'hunter2'}",
	"aggregate: 4711, pipeline: [{$currentOp: {a: 'hunter2'}}]",
};

static void make_command(struct command *c)
{
	static const char *const kinds[] = {"find", "aggregate", "update", "delete", "insert", "findAndModify", "count", "other"};
	uint32_t kind = next_random(8), n = next_random(3);
	static char name[TEXT_MAX];

	c->fields.n = c->documents.n = 0;
	c->sequence = NULL;
	c->name = name;
	sprintf(name, "%s: 'coll'", kinds[kind]);
	switch (kind) {
	case 0:
	case 6:
		make_filter(strcpy(next_item(&c->fields), kind ? "query: " : "filter: ") + (kind ? 7 : 8), 2);
		strcpy(next_item(&c->fields), "sort: {z: -1, a: 1, score: {$meta: 'hunter2'}}");
		strcpy(next_item(&c->fields), "limit: 4711");
		break;
	case 1:
		make_pipeline(strcpy(next_item(&c->fields), "pipeline: ") + 10);
		break;
	case 5:
		make_filter(strcpy(next_item(&c->fields), "query: ") + 7, 1);
		make_update(strcpy(next_item(&c->fields), "update: ") + 8);
		strcpy(next_item(&c->fields), "new: true");
		break;
	case 7:
		strcpy(name, others[next_random(sizeof(others) / sizeof(others[0]))]);
		break;
	default:
		c->sequence = kind == 2 ? "updates" : kind == 3 ? "deletes" : "documents";
		for (uint32_t k = 1 + next_random(4); k--;) {
			char *item = next_item(&c->documents);

			if (kind != 4) {
				make_statement(item, kind == 2);
				continue;
			}
			make_value(strcpy(item, "{a: ") + 4, 2);
			strcat(item, "}");
		}
	}
	while (n--)
		make_option(next_item(&c->fields));
}

enum form { FORM_ARRAY, FORM_SEQUENCE, FORM_SEQUENCE_FIRST, FORMS };

/* What is made of the command by join() is taken from copies of its items, in another order each time. */
static void put_command(struct mongo_stream *s, const struct command *c, enum form form)
{
	static struct items fields, documents;
	static char body[2 * TEXT_MAX], array[TEXT_MAX], sequence[TEXT_MAX];
	char open[TEXT_MAX];

	fields = c->fields;
	documents = c->documents;
	if (c->sequence && form == FORM_ARRAY) {
		snprintf(open, sizeof(open), "%s: [", c->sequence);
		join(&documents, false, open, "]", array);
		strcpy(next_item(&fields), array);
	} else if (c->sequence) {
		join(&documents, false, "", "", sequence);
	}
	snprintf(open, sizeof(open), "{%s, ", c->name);
	join(&fields, true, open, "$db: 'shop'}", body);
	mongo_begin(s, OP_MSG);
	mongo_put_number(s, next_of(&order, 2) ? MONGO_CHECKSUM : 0);
	if (c->sequence && form == FORM_SEQUENCE_FIRST)
		mongo_put_sequence(s, c->sequence, sequence);
	mongo_put_body(s, body);
	if (c->sequence && form == FORM_SEQUENCE)
		mongo_put_sequence(s, c->sequence, sequence);
	if (s->bytes[s->start + 16] & MONGO_CHECKSUM)
		mongo_put_number(s, 0x34373131);
	mongo_end(s);
}

static void put_legacy(struct mongo_stream *s)
{
	static const uint32_t opcodes[] = {OP_QUERY, OP_QUERY, OP_INSERT, OP_UPDATE, OP_DELETE, OP_GET_MORE};
	static char text[TEXT_MAX];
	uint32_t opcode = opcodes[next_random(6)], skip = next_random(2) * 4711;

	mongo_begin(s, opcode);
	mongo_put_number(s, 0);
	mongo_put_bytes(s, "shop.coll", sizeof("shop.coll"));
	if (opcode != OP_INSERT)
		mongo_put_number(s, opcode == OP_QUERY ? skip : 1);
	if (opcode == OP_QUERY)
		mongo_put_number(s, 4711);
	if (opcode == OP_GET_MORE) {
		mongo_put_bytes(s, "s3cr4711", 8);
		mongo_end(s);
		return;
	}
	if (opcode == OP_QUERY && next_random(2)) {
		make_filter(text + sprintf(text, "{$query: "), 1);
		strcat(text, ", $orderby: {z: 1}, $comment: 'hunter2'}");
	} else {
		make_filter(text, 1);
	}
	mongo_put_documents(s, text);
	if (opcode == OP_UPDATE)
		mongo_put_documents(s, "{$set: {a: 'hunter2'}}");
	mongo_end(s);
}

static void put_random(struct mongo_stream *s)
{
	static struct command c;

	if (!next_random(5)) {
		put_legacy(s);
		return;
	}
	make_command(&c);
	put_command(s, &c, next_random(FORMS));
}

static void classify(struct query_batch *batch, const uint8_t *bytes, size_t captured, uint64_t received)
{
	assert_true(captured <= ROOM);
	memcpy(room + ROOM - captured, bytes, captured);
	mongo_classify(&(struct mongo_batch){.stream = {room + ROOM - captured, captured}, .received = received}, batch);
	check_batch(batch);
}

/* --- less, never anything else --- */

/* The end of a key or a value: of the next ", ", ": " or closing bracket that is not within it. */
static const char *end_of(const char *p)
{
	int depth = 0;

	for (; *p; p++) {
		if (*p == '"')
			for (p++; *p && *p != '"'; p++)
				p += *p == '\\';
		if (!*p || (!depth && (*p == ',' || *p == '}' || *p == ']' || (*p == ':' && p[1] == ' '))))
			break;
		depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
	}
	return p;
}

static const char *next_in(const char *end)
{
	return *end == ',' ? end + 2 : NULL;
}

static bool is_less(const char *p, const char *w);

/* The value of the item, which has a key if it is of a document. */
static const char *value_of(const char *item, bool fields)
{
	return fields && end_of(item)[0] == ':' ? end_of(item) + 2 : item;
}

static bool has_item(const char *p, const char *w, bool fields)
{
	const char *p_value = value_of(p, fields), *w_value;

	for (; w; w = next_in(end_of(w_value))) {
		w_value = value_of(w, fields);
		if (p_value - p == w_value - w && !strncmp(p, w, (size_t)(p_value - p)) && is_less(p_value, w_value))
			return true;
	}
	return false;
}

/* Whether all that text p shows is in text w. */
static bool is_less(const char *p, const char *w)
{
	bool fields = *p == '{';

	if (!strncmp(p, "...", 3))
		return true;
	if (*p != '{' && *p != '[')
		return end_of(p) - p == end_of(w) - w && !strncmp(p, w, (size_t)(end_of(p) - p));
	if (*p != *w)
		return false;
	for (p++, w++; p && *p && *p != '}' && *p != ']'; p = next_in(end_of(value_of(p, fields))))
		if (strncmp(p, "...", 3) && !has_item(p, w, fields))
			return false;
	return true;
}

static bool is_cut_text(const char *text)
{
	size_t n = strlen(text);

	return n >= 3 && !strcmp(text + n - 3, "...");
}

static bool says_no_more(const struct query_class *p, const struct query_class *w)
{
	if (strcmp(p->operation, w->operation) || strncmp(p->summary, w->summary, strlen(p->summary)))
		return !strcmp(p->summary, p->operation) && !strcmp(p->operation, w->operation) && is_less(p->text, w->text);
	if (p->collection[0] && strcmp(p->collection, w->collection))
		return false;
	return is_cut_text(w->text) || is_less(p->text, w->text);
}

/* Returns whether the last command is cut itself. */
static bool check_part(size_t cut)
{
	uint32_t fresh = 0;

	assert_true(part.n_commands <= whole.n_commands);
	for (uint32_t i = 0; i < part.n_classes; i++) {
		const struct query_class *p = &part.classes[i];
		bool same = false, less = false;

		for (uint32_t k = 0; k < whole.n_classes; k++) {
			const struct query_class *w = &whole.classes[k];

			same = same || (!strcmp(p->summary, w->summary) && !strcmp(p->text, w->text));
			less = less || says_no_more(p, w);
		}
		if (!same && !less)
			fail_msg("cut at %zu: %s | %s\nnot of: %s | %s", cut, p->summary, p->text, whole.classes[0].summary,
				 whole.classes[whole.n_classes - 1].text);
		fresh += !same;
	}
	assert_true(fresh <= 1);
	return fresh;
}

static void test_cuts(void **state)
{
	static struct mongo_stream s;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		s.n = 0;
		for (uint32_t n = 1 + next_random(3); n; n--)
			put_random(&s);
		classify(&whole, s.bytes, s.n, s.n);
		assert_true(whole.verdict == QUERY_COMMANDS || whole.verdict == QUERY_UNKNOWN_STATEMENT);
		assert_false(whole.cut);
		for (size_t captured = 0; captured < s.n; captured++) {
			classify(&part, s.bytes, captured, s.n);
			assert_true(part.verdict != QUERY_OTHER);
			check_part(captured);
			if (part.n_classes && part.n_commands < whole.n_commands)
				assert_true(part.cut);
			if (part.n_commands == whole.n_commands)
				assert_false(part.cut);
		}
	}
}

/* --- the same, sent otherwise --- */

static void test_twins(void **state)
{
	static struct mongo_stream s;
	static struct command c;
	int with_sequence = 0;

	(void)state;
	for (int round = 0; round < 20 * ROUNDS; round++) {
		make_command(&c);
		with_sequence += c.sequence != NULL;
		s.n = 0;
		put_command(&s, &c, FORM_ARRAY);
		classify(&whole, s.bytes, s.n, s.n);
		assert_int_equal(whole.n_classes, 1);
		for (int again = 0; again < 2 * FORMS; again++) {
			s.n = 0;
			put_command(&s, &c, again % FORMS);
			classify(&part, s.bytes, s.n, s.n);
			assert_int_equal(part.verdict, whole.verdict);
			assert_string_equal(part.classes[0].summary, whole.classes[0].summary);
			assert_string_equal(part.classes[0].text, whole.classes[0].text);
			assert_string_equal(part.classes[0].collection, whole.classes[0].collection);
		}
	}
	assert_true(with_sequence > ROUNDS);
}

/* The order of the fields within documents: the same structure, made twice. */
static void test_order(void **state)
{
	static struct mongo_stream s;
	static struct command c;

	(void)state;
	for (int round = 0; round < 20 * ROUNDS; round++) {
		uint64_t start = structure;

		for (int again = 0; again < 4; again++) {
			structure = start;
			make_command(&c);
			s.n = 0;
			put_command(&s, &c, next_of(&order, FORMS));
			classify(again ? &part : &whole, s.bytes, s.n, s.n);
			if (!again)
				continue;
			assert_string_equal(part.classes[0].summary, whole.classes[0].summary);
			assert_string_equal(part.classes[0].text, whole.classes[0].text);
		}
	}
}

/* Several messages say what each of them says. */
static void test_union(void **state)
{
	static struct query_batch sum;
	static struct mongo_stream s;

	(void)state;
	for (int round = 0; round < 5 * ROUNDS; round++) {
		query_batch_begin(&sum, QUERY_COMMANDS);
		s.n = 0;
		for (uint32_t n = 1 + next_random(4); n; n--) {
			struct query_class spare, *class = query_batch_next(&sum, &spare);

			put_random(&s);
			classify(&part, s.bytes + s.start, s.n - s.start, s.n - s.start);
			assert_int_equal(part.n_commands, 1);
			if (part.verdict == QUERY_UNKNOWN_STATEMENT)
				sum.verdict = part.verdict;
			*class = part.classes[0];
			query_batch_add(&sum, class);
		}
		classify(&whole, s.bytes, s.n, s.n);
		assert_int_equal(whole.verdict, sum.verdict);
		assert_int_equal(whole.n_commands, sum.n_commands);
		assert_int_equal(whole.n_classes, sum.n_classes);
		for (uint32_t i = 0; i < sum.n_classes; i++) {
			assert_string_equal(whole.classes[i].summary, sum.classes[i].summary);
			assert_string_equal(whole.classes[i].text, sum.classes[i].text);
			assert_int_equal(whole.classes[i].count, sum.classes[i].count);
		}
	}
}

/* --- values --- */

static bool has_value(const char *text)
{
	char lower[QUERY_TEXT_BYTES];
	size_t n = 0;

	for (; text[n]; n++)
		lower[n] = (char)tolower((unsigned char)text[n]);
	lower[n] = '\0';
	return strstr(lower, "hunt") || strstr(lower, "s3cr") || strstr(lower, "471");
}

static void check_private(const uint8_t *bytes, size_t captured, uint64_t received)
{
	char database[MONGO_DATABASE_BYTES];

	classify(&part, bytes, captured, received);
	for (uint32_t i = 0; i < part.n_classes; i++) {
		const struct query_class *c = &part.classes[i];

		if (has_value(c->operation) || has_value(c->summary) || has_value(c->text) || has_value(c->collection))
			fail_msg("cut at %zu: %s | %s | %s", captured, c->summary, c->text, c->collection);
	}
	mongo_database(&(struct mongo_batch){.stream = {room + ROOM - captured, captured}, .received = received}, database);
	assert_false(has_value(database));
}

static void test_private(void **state)
{
	static struct mongo_stream s;

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		char body[512];

		snprintf(body, sizeof(body), "{%s, comment: 'hunter2', $db: 'shop'}", others[i]);
		s.n = 0;
		mongo_put_msg(&s, body);
		for (size_t cut = 0; cut <= s.n; cut++)
			check_private(s.bytes, cut, s.n);
	}
	for (int round = 0; round < 2 * ROUNDS; round++) {
		s.n = 0;
		for (uint32_t n = 1 + next_random(2); n; n--)
			put_random(&s);
		for (size_t cut = 0; cut <= s.n; cut++)
			check_private(s.bytes, cut, next_of(&order, 2) ? s.n : cut);
	}
}

/* Every type, at every place that shows something of some type. */
static void test_places(void **state)
{
	static const char *const types[] = {
		"4711", "4711L", "4711.5", "@binary(hunter2)", "@oid(hunter2hunte)", "@date(s3cret4711)", "@regex(^hunter2)",
		"@pointer(hunter2.s3cret)", "@code(hunter2)", "@symbol(hunter2)", "@scope(hunter2)", "@timestamp(s3cret47)",
		"@decimal(hunter2hunter2)", "'hunter2'", "'hunter2 s3cret'", "'$hunter2 '", "'$$hunter2-s3cret'", "['hunter2 ', 4711]",
		"{a: 'hunter2 ', b: {c: '4711 '}, d: [{e: 's3cret '}]}",
	};
	static const char *const places[] = {
		"{find: 'c', filter: %s}", "{find: 'c', sort: %s}", "{find: 'c', sort: {a: %s}}", "{find: 'c', hint: %s}",
		"{find: 'c', projection: {a: %s}}", "{find: 'c', limit: %s, skip: %s}", "{find: 'c', filter: {$expr: %s}}",
		"{find: 'c', key: %s, collection: %s, nsInfo: [{ns: %s}]}", "{aggregate: 'c', pipeline: %s}", "{aggregate: 'c', pipeline: [%s]}",
		"{aggregate: 'c', pipeline: [{$sort: %s}, {$sort: {a: %s}}]}", "{aggregate: 'c', pipeline: [{$project: {a: %s}}]}",
		"{aggregate: 'c', pipeline: [{$facet: %s}, {$facet: {a: %s}}]}", "{aggregate: 'c', pipeline: [{$unheard: %s}, {$lookup: %s}, {$graphLookup: %s}, {$geoNear: %s}]}",
		"{update: 'c', updates: %s}", "{update: 'c', updates: [%s, {q: %s, u: %s, multi: %s, upsert: %s, unheard: %s}]}",
		"{findAndModify: 'c', new: %s, remove: %s, upsert: %s, fields: %s, arrayFilters: %s}",
		"{createIndexes: 'c', indexes: [{key: %s, name: %s, unheard: %s}]}", "{insert: 'c', documents: %s}",
		"{explain: %s, verbosity: %s}", "{hello: %s, client: %s}", "{bulkWrite: %s, ops: %s}", "{bulkWrite: 1, ops: [%s]}",
		"{ping: %s, unheard: %s, $db: 'd'}", "{getMore: %s, collection: 'c'}", "{delete: 'c', deletes: [{q: %s, limit: %s}]}",
	};
	static struct mongo_stream s;

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		for (size_t k = 0; k < sizeof(types) / sizeof(types[0]); k++) {
			const char *t = types[k];
			char body[2048];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			snprintf(body, sizeof(body), places[i], t, t, t, t, t, t);
#pragma GCC diagnostic pop
			s.n = 0;
			mongo_put_msg(&s, body);
			for (size_t cut = 16; cut <= s.n; cut++)
				check_private(s.bytes, cut, s.n);
		}
}

/* --- what breaks --- */

static void fuzz_at_guard(int (*fuzz)(const uint8_t *, size_t), const uint8_t *bytes, size_t n)
{
	memcpy(room + ROOM - n, bytes, n);
	fuzz(room + ROOM - n, n);
}

static void test_mutations(void **state)
{
	static uint8_t bytes[ROOM];
	static struct mongo_stream s;

	(void)state;
	for (int round = 0; round < 50 * ROUNDS; round++) {
		s.n = 0;
		put_random(&s);
		bytes[0] = (uint8_t)next_random(2);
		bytes[1] = (uint8_t)next_random(256);
		bytes[2] = next_random(2) ? 0xff : (uint8_t)next_random(4);
		memcpy(bytes + 3, s.bytes, s.n);
		for (uint32_t n = next_random(6); n; n--)
			bytes[3 + 16 + next_random((uint32_t)s.n - 16)] =
				next_random(2) ? (uint8_t)next_random(256) : "\0\1\2\3\4\5\xff\x10"[next_random(8)];
		fuzz_at_guard(LLVMFuzzerTestOneInput, bytes, 3 + s.n);
		if (s.n > 21)
			fuzz_at_guard(fuzz_bson, bytes + 3 + 19, s.n - 19);
	}
}

static void replay(int (*fuzz)(const uint8_t *, size_t), const char *folder)
{
	static uint8_t bytes[ROOM];
	DIR *dir = opendir(folder);
	struct dirent *entry;
	char path[512];
	int n = 0;

	if (!dir)
		fail_msg("no %s: run from the top of the tree", folder);
	while ((entry = readdir(dir))) {
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		file = fopen(path, "rb");
		assert_non_null(file);
		fuzz_at_guard(fuzz, bytes, fread(bytes, 1, sizeof(bytes), file));
		fclose(file);
		n++;
	}
	closedir(dir);
	assert_true(n >= 10);
}

static void test_corpora(void **state)
{
	(void)state;
	replay(LLVMFuzzerTestOneInput, CORPUS "fuzz_mongo");
	replay(fuzz_bson, CORPUS "fuzz_bson");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cuts),	cmocka_unit_test(test_twins),	  cmocka_unit_test(test_order),
		cmocka_unit_test(test_union),	cmocka_unit_test(test_private),	  cmocka_unit_test(test_places),
		cmocka_unit_test(test_mutations), cmocka_unit_test(test_corpora),
	};
	static const uint8_t nothing[ROOM];

	room = (uint8_t *)(uintptr_t)guard_copy(nothing, ROOM).ptr;
	return cmocka_run_group_tests_name("mongo_cuts", tests, NULL, NULL);
}

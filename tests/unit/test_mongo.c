/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mongo_classify() and its like: messages -> commands. Streams are made from text (see bson_text.h), and looked at in front
 * of a guard page.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "bson_text.h"
#include "fuzz/check_text.h"
#include "guard.h"
#include "protocols/mongo.h"
#include "protocols/mongo_wire.h"

static struct query_batch batch;
static struct mongo_stream stream;
static char database[MONGO_DATABASE_BYTES];

static enum query_verdict classify(size_t captured, uint64_t received)
{
	struct slice copy = guard_copy(stream.bytes, captured);
	struct mongo_batch in = {.stream = copy, .received = received};

	mongo_classify(&in, &batch);
	check_batch(&batch);
	mongo_database(&in, database);
	check_text(database, sizeof(database), true);
	guard_free(copy);
	return batch.verdict;
}

static void expect_class(uint32_t i, const char *collection, const char *summary, const char *text)
{
	char operation[QUERY_SUMMARY_BYTES];

	assert_true(i < batch.n_classes);
	snprintf(operation, sizeof(operation), "%.*s", (int)strcspn(summary, " "), summary);
	assert_string_equal(batch.classes[i].operation, operation);
	assert_string_equal(batch.classes[i].collection, collection);
	assert_string_equal(batch.classes[i].summary, summary);
	assert_string_equal(batch.classes[i].text, text);
}

/* The whole stream is one command of this class. */
static void expect_stream(const char *collection, const char *summary, const char *text)
{
	enum query_verdict verdict = strncmp(summary, "getMore", 7) ? QUERY_COMMANDS : QUERY_UNKNOWN_STATEMENT;

	assert_int_equal(classify(stream.n, stream.n), verdict);
	assert_int_equal(batch.n_classes, 1);
	assert_int_equal(batch.n_commands, 1);
	assert_false(batch.cut);
	expect_class(0, collection, summary, text);
}

static void expect(const char *body, const char *collection, const char *summary, const char *text)
{
	stream.n = 0;
	mongo_put_msg(&stream, body);
	expect_stream(collection, summary, text);
}

struct example {
	const char *body, *collection, *summary, *text;
};

static void expect_all(const struct example *examples, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect(examples[i].body, examples[i].collection, examples[i].summary, examples[i].text);
}

#define EXPECT_ALL(examples) expect_all(examples, sizeof(examples) / sizeof((examples)[0]))

/* --- the shape of filters --- */

static void expect_filter(const char *filter, const char *shape)
{
	char body[8192], text[QUERY_TEXT_BYTES + 64];

	snprintf(body, sizeof(body), "{find: 'c', filter: %s, $db: 'd'}", filter);
	snprintf(text, sizeof(text), "{find: \"c\", filter: %s}", shape);
	expect(body, "c", "find c", text);
}

static void test_filters(void **state)
{
	(void)state;
	expect_filter("{status: 'paid'}", "{status: ?}");
	expect_filter("{b: 1, a: {$lt: 5, $gt: 2}}", "{a: {$gt: ?, $lt: ?}, b: ?}");
	expect_filter("{address: {zip: 1, city: 'x'}}", "{address: {city: ?, zip: ?}}");
	expect_filter("{a: {$in: [1, 2, 3]}}", "{a: {$in: [?]}}");
	expect_filter("{a: {$in: []}}", "{a: {$in: [?]}}");
	expect_filter("{a: [1, 'x', null]}", "{a: [?]}");
	expect_filter("{a: [[1, 2], [3]]}", "{a: [[?]]}");
	expect_filter("{a: {}}", "{a: {}}");
	expect_filter("{$or: [{b: 1}, {a: 1}, {b: 2}]}", "{$or: [{a: ?}, {b: ?}]}");
	expect_filter("{$and: [{a: {$gte: 1}}, {a: {$lt: 9}}]}", "{$and: [{a: {$gte: ?}}, {a: {$lt: ?}}]}");
	expect_filter("{a: {$elemMatch: {y: 1, x: {$ne: null}}}}", "{a: {$elemMatch: {x: {$ne: ?}, y: ?}}}");
	expect_filter("{a: {$not: @regex(^secret)}}", "{a: {$not: ?}}");
	expect_filter("{$where: @code(this.a == 1)}", "{$where: ?}");
	expect_filter("{$comment: 'secret', a: 1}", "{a: ?}");
	expect_filter("{a: '$b', $expr: {$gt: ['$spent', '$budget']}}", "{$expr: {$gt: [\"$spent\", \"$budget\"]}, a: ?}");
	expect_filter("{a: {$expr: '$b'}}", "{a: {$expr: ?}}");
	expect_filter("{loc: {$near: {$geometry: {type: 'Point', coordinates: [1.5, 2]}, $maxDistance: 9}}}",
		      "{loc: {$near: {$geometry: {coordinates: [?], type: ?}, $maxDistance: ?}}}");
	expect_filter("{a: {$ref: 'c', $id: @oid}}", "{a: {$id: ?, $ref: ?}}");
}

static void test_values(void **state)
{
	(void)state;
	expect_filter("{a: 1.5, b: 'text', e: @binary(bytes), f: @undefined, g: @oid(123456789012), h: true, i: @date, j: null, "
		      "k: @regex(^a), l: @pointer(db.coll), m: @code(f), n: @symbol(sym), o: @scope(g), p: 7, q: @timestamp, "
		      "r: 9L, s: @decimal, t: @min, u: @max}",
		      "{a: ?, b: ?, e: ?, f: ?, g: ?, h: ?, i: ?, j: ?, k: ?, l: ?, m: ?, n: ?, o: ?, p: ?, q: ?, r: ?, s: ?, t: ?, "
		      "u: ?}");
}

static void test_keys(void **state)
{
	(void)state;
	expect_filter("{items.17.qty: 1}", "{items.*.qty: ?}");
	expect_filter("{items.17.qty: 1, items.3.qty: 2}", "{items.*.qty: ?}");
	expect_filter("{items.17.qty: 1, items.3.qty: {$gt: 2}}", "{items.*.qty: ?, items.*.qty: {$gt: ?}}");
	expect_filter("{items.3.qty: {$gt: 2}, items.17.qty: 1}", "{items.*.qty: ?, items.*.qty: {$gt: ?}}");
	expect_filter("{507f1f77bcf86cd799439011: 1}", "{*: ?}");
	expect_filter("{u.550e8400-e29b-41d4-a716-446655440000.x: 1}", "{u.*.x: ?}");
	expect_filter("{550e8400-e29b-41d4-a716-44665544000g: 1}", "{550e8400-e29b-41d4-a716-44665544000g: ?}");
	expect_filter("{deadbeef: 1, dead4ee: 2, deadbee4: 3}", "{*: ?, dead4ee: ?, deadbeef: ?}");
	expect_filter("{\"first name\": 1}", "{\"first name\": ?}");
	expect_filter("{\"a.12.first name\": 1}", "{\"a.*.first name\": ?}");
	expect_filter("{\"a\\b\": 1}", "{\"a\\\\b\": ?}");
	expect_filter("{\"\": 1}", "{\"\": ?}");
	expect_filter("{\"a\nb\x80\": 1}", "{\"a\\x0ab\\x80\": ?}");
	expect_filter("{\"stra\xc3\x9f" "e\": 1}", "{\"stra\xc3\x9f" "e\": ?}");
	expect_filter("{a..b: 1, .: 2}", "{.: ?, a..b: ?}");
	expect_filter("{a.$[elem].b: 1}", "{\"a.$[elem].b\": ?}");
	expect_filter("{abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmno: 1}", "{*: ?}");
}

/* --- commands --- */

static void test_find(void **state)
{
	static const struct example examples[] = {
		{"{find: 'orders', filter: {status: 'x', total: {$gt: 5}}, sort: {date: -1}, limit: 10, $db: 'shop'}", "orders",
		 "find orders", "{find: \"orders\", filter: {status: ?, total: {$gt: ?}}, sort: {date: -1}, limit: ?}"},
		{"{find: 'orders', limit: 1L, sort: {b: 1.0, a: -1L, c: {$meta: 'textScore'}, d: 7}, skip: 2, filter: {}}",
		 "orders", "find orders",
		 "{find: \"orders\", sort: {b: 1, a: -1, c: {$meta: ?}, d: ?}, skip: ?, limit: ?}"},
		{"{find: 'c', projection: {b: 1, a: 0}, hint: {x: 1, a: 1}, collation: {locale: 'de'}}", "c", "find c",
		 "{find: \"c\", projection: {a: ?, b: ?}, collation: {locale: ?}, hint: {x: 1, a: 1}}"},
		{"{find: 'c', hint: 'index_name', someday: {new: 'secret'}, let: {x: 'secret'}}", "c", "find c",
		 "{find: \"c\", hint: ?, let: {x: ?}, someday: ?}"},
		{"{find: 'c', lsid: {id: @binary(x)}, $clusterTime: {a: 1}, txnNumber: 1L, autocommit: false, startTransaction: true,"
		 " readConcern: {level: 'x'}, $readPreference: {mode: 'x'}, maxTimeMS: 5, comment: 'secret', apiVersion: '1',"
		 " apiStrict: true, batchSize: 5, singleBatch: true, allowDiskUse: true, tailable: true, awaitData: true}",
		 "c", "find c", "{find: \"c\"}"},
		{"{find: @binary(uuid), $db: 'd'}", "", "find", "{find: ?}"},
		{"{find: {a: 'secret'}}", "", "find", "{find: ?}"},
		{"{find: 'a b', filter: {x: 1}}", "a b", "find a b", "{find: \"a b\", filter: {x: ?}}"},
		{"{count: 'c', query: {a: 1}, limit: 5, skip: 1}", "c", "count c",
		 "{count: \"c\", query: {a: ?}, skip: ?, limit: ?}"},
		{"{distinct: 'c', key: 'a.17.b', query: {}}", "c", "distinct c", "{distinct: \"c\", key: \"a.*.b\"}"},
		{"{distinct: 'c', key: 'a secret'}", "c", "distinct c", "{distinct: \"c\", key: ?}"},
	};

	(void)state;
	EXPECT_ALL(examples);
}

static void test_aggregate(void **state)
{
	static const struct example examples[] = {
		{"{aggregate: 'orders', pipeline: [{$match: {b: '$x', a: 1}}, {$lookup: {from: 'products', localField: 'p',"
		 " foreignField: '_id', as: 'product'}}, {$group: {_id: '$customer.name', n: {$sum: 1}, t: {$sum: '$total'}}},"
		 " {$sort: {t: -1, n: 1}}, {$limit: 5}], cursor: {batchSize: 5}}",
		 "orders", "aggregate orders $match $lookup products $group $sort $limit",
		 "{aggregate: \"orders\", pipeline: [{$match: {a: ?, b: ?}}, {$lookup: {as: ?, foreignField: ?, from: \"products\", "
		 "localField: ?}}, {$group: {_id: \"$customer.name\", n: {$sum: ?}, t: {$sum: \"$total\"}}}, {$sort: {t: -1, n: 1}}, "
		 "{$limit: ?}]}"},
		{"{aggregate: 1, pipeline: [{$currentOp: {allUsers: true}}]}", "", "aggregate $currentOp",
		 "{aggregate: ?, pipeline: [{$currentOp: {allUsers: ?}}]}"},
		{"{aggregate: 'c', pipeline: []}", "c", "aggregate c", "{aggregate: \"c\", pipeline: []}"},
		{"{aggregate: 'c', pipeline: [{$match: {a: 1}}, {$match: {a: 2}}]}", "c", "aggregate c $match $match",
		 "{aggregate: \"c\", pipeline: [{$match: {a: ?}}, {$match: {a: ?}}]}"},
		{"{aggregate: 'c', pipeline: [{$graphLookup: {from: 'g', startWith: '$a', connectFromField: 'b', connectToField: 'c',"
		 " as: 'd', restrictSearchWithMatch: {x: '$secret'}}}, {$unionWith: 'u'}, {$unionWith: {coll: 'v', pipeline:"
		 " [{$project: {a: '$b'}}]}}, {$merge: {into: {db: 'x', coll: 'm'}, on: 'k', whenMatched: [{$set: {a: '$$new.a'}}]}}]}",
		 "c", "aggregate c $graphLookup g $unionWith u $unionWith v $merge m",
		 "{aggregate: \"c\", pipeline: [{$graphLookup: {as: ?, connectFromField: ?, connectToField: ?, from: \"g\", "
		 "restrictSearchWithMatch: {x: ?}, startWith: \"$a\"}}, {$unionWith: \"u\"}, {$unionWith: {coll: \"v\", pipeline: "
		 "[{$project: {a: \"$b\"}}]}}, {$merge: {into: {coll: \"m\", db: \"x\"}, on: ?, whenMatched: [{$set: {a: \"$$new.a\"}}]}}]}"},
		{"{aggregate: 'c', pipeline: [{$out: 'o'}]}", "c", "aggregate c $out o",
		 "{aggregate: \"c\", pipeline: [{$out: \"o\"}]}"},
		{"{aggregate: 'c', pipeline: [{$merge: 'm'}]}", "c", "aggregate c $merge m",
		 "{aggregate: \"c\", pipeline: [{$merge: \"m\"}]}"},
		{"{aggregate: 'c', pipeline: [{$out: {db: 'd', coll: 'o'}}]}", "c", "aggregate c $out o",
		 "{aggregate: \"c\", pipeline: [{$out: {coll: \"o\", db: \"d\"}}]}"},
		{"{aggregate: 'c', pipeline: [{$facet: {b: [{$count: 'n'}], a: [{$match: {x: 1}}, {$sortByCount: '$t'}]}}]}", "c",
		 "aggregate c $facet",
		 "{aggregate: \"c\", pipeline: [{$facet: {a: [{$match: {x: ?}}, {$sortByCount: \"$t\"}], b: [{$count: ?}]}}]}"},
		{"{aggregate: 'c', pipeline: [{$project: {a: {$concat: ['$a', ' - ', 'x', '$b']}, b: {$literal: '$secret'},"
		 " c: {$cond: [{$eq: ['$x', '$100']}, '$$ROOT', '$2a$10$secret']}, d: 'plain secret', e: '$', f: '$$', g: '$a b'}}]}",
		 "c", "aggregate c $project",
		 "{aggregate: \"c\", pipeline: [{$project: {a: {$concat: [\"$a\", ?, \"$b\"]}, b: {$literal: ?}, c: {$cond: [{$eq: "
		 "[\"$x\", \"$*\"]}, \"$$ROOT\", ?]}, d: ?, e: ?, f: ?, g: ?}}]}"},
		{"{aggregate: 'c', pipeline: [{$match: {$expr: {$eq: ['$a', {$literal: '$s'}]}, $and: [{x: '$s'}]}}]}", "c",
		 "aggregate c $match",
		 "{aggregate: \"c\", pipeline: [{$match: {$and: [{x: ?}], $expr: {$eq: [\"$a\", {$literal: ?}]}}}]}"},
		{"{aggregate: 'c', pipeline: [{$search: {text: {query: '$secret', path: 'x'}}}, {$unwind: '$items'}]}", "c",
		 "aggregate c $search $unwind",
		 "{aggregate: \"c\", pipeline: [{$search: {text: {path: ?, query: ?}}}, {$unwind: \"$items\"}]}"},
		{"{aggregate: 'c', pipeline: [{$lookup: {from: 'x', let: {a: '$b'}, pipeline: [{$match: {$expr: {$eq: ['$a', '$$a']}}}],"
		 " as: 'y'}}]}",
		 "c", "aggregate c $lookup x",
		 "{aggregate: \"c\", pipeline: [{$lookup: {as: ?, from: \"x\", let: {a: \"$b\"}, pipeline: [{$match: {$expr: {$eq: "
		 "[\"$a\", \"$$a\"]}}}]}}]}"},
		{"{aggregate: 'c', pipeline: [{$setWindowFields: {sortBy: {b: 1, a: -1}, output: {c: {$sum: '$d'}}}}]}", "c",
		 "aggregate c $setWindowFields",
		 "{aggregate: \"c\", pipeline: [{$setWindowFields: {output: {c: {$sum: \"$d\"}}, sortBy: {b: 1, a: -1}}}]}"},
		{"{aggregate: 'c', pipeline: [{$geoNear: {near: [1, 2], query: {a: '$secret'}, distanceField: 'd'}}]}", "c",
		 "aggregate c $geoNear",
		 "{aggregate: \"c\", pipeline: [{$geoNear: {distanceField: ?, near: [?], query: {a: ?}}}]}"},
	};

	(void)state;
	EXPECT_ALL(examples);
}

static void test_writes(void **state)
{
	static const struct example examples[] = {
		{"{insert: 'c', documents: [{a: 'secret'}, {b: 1}], ordered: true}", "c", "insert c",
		 "{insert: \"c\", documents: [?]}"},
		{"{insert: 'c'}", "c", "insert c", "{insert: \"c\", documents: [?]}"},
		{"{update: 'c', updates: [{u: {$set: {b: 1, a: 2}}, q: {_id: 5}, multi: true, upsert: true}]}", "c", "update c",
		 "{update: \"c\", updates: [{q: {_id: ?}, u: {$set: {a: ?, b: ?}}, multi: true, upsert: true}]}"},
		{"{update: 'c', updates: [{q: {a: 1}, u: {$inc: {n: 1}}, multi: false, upsert: false}, {q: {a: 2}, u: {$inc: {n: 3}}}]}",
		 "c", "update c", "{update: \"c\", updates: [{q: {a: ?}, u: {$inc: {n: ?}}}]}"},
		{"{update: 'c', updates: [{q: {}, u: {z: 1, a: {c: 1, b: 2}}}]}", "c", "update c",
		 "{update: \"c\", updates: [{q: {}, u: {a: {b: ?, c: ?}, z: ?}}]}"},
		{"{update: 'c', updates: [{q: {}, u: [{$set: {a: '$b', c: 'x'}}, {$unset: 'd'}], c: {k: 'secret'}, hint: {a: -1},"
		 " arrayFilters: [{e.x: {$gt: 5}}], collation: {locale: 'x'}}]}",
		 "c", "update c",
		 "{update: \"c\", updates: [{q: {}, u: [{$set: {a: \"$b\", c: ?}}, {$unset: ?}], arrayFilters: [{e.x: {$gt: ?}}], "
		 "c: {k: ?}, collation: {locale: ?}, hint: {a: -1}}]}"},
		{"{update: 'c', updates: [{q: {}, u: {$push: {s: {$each: [{a: 1}], $sort: {b: 1, a: -1}, $slice: 5}}}}]}", "c",
		 "update c",
		 "{update: \"c\", updates: [{q: {}, u: {$push: {s: {$each: [{a: ?}], $slice: ?, $sort: {b: 1, a: -1}}}}}]}"},
		{"{delete: 'c', deletes: [{q: {b: 1, a: 2}, limit: 1}, {q: {a: 3, b: 4}, limit: 0}, {q: {}, limit: 0}]}", "c",
		 "delete c", "{delete: \"c\", deletes: [{q: {a: ?, b: ?}, limit: ?}, {q: {}, limit: ?}]}"},
		{"{findAndModify: 'c', query: {a: 1}, update: {$set: {b: 'x'}}, sort: {c: -1}, new: true, upsert: false,"
		 " fields: {d: 1}}",
		 "c", "findAndModify c",
		 "{findAndModify: \"c\", query: {a: ?}, update: {$set: {b: ?}}, fields: {d: ?}, sort: {c: -1}, new: true}"},
		{"{findandmodify: 'c', query: {}, remove: true}", "c", "findandmodify c", "{findandmodify: \"c\", remove: true}"},
		{"{findAndModify: 'c', update: [{$set: {a: '$b'}}]}", "c", "findAndModify c",
		 "{findAndModify: \"c\", update: [{$set: {a: \"$b\"}}]}"},
		{"{bulkWrite: 1, ops: [{insert: 0, document: {a: 'secret'}}, {insert: 0, document: {b: 1}}, {update: 1, multi: true,"
		 " updateMods: {$set: {x: 1}}, filter: {k: 1}}, {delete: 0, filter: {}}], nsInfo: [{ns: 'd.a'}, {ns: 'd.b.c'}]}",
		 "", "bulkWrite a b.c",
		 "{bulkWrite: ?, nsInfo: [{ns: \"d.a\"}, {ns: \"d.b.c\"}], ops: [{delete: ?, filter: {}}, {insert: ?, document: ?}, "
		 "{update: ?, filter: {k: ?}, updateMods: {$set: {x: ?}}, multi: true}]}"},
		{"{bulkWrite: 1, ops: [], nsInfo: [{ns: 'd.a'}]}", "a", "bulkWrite a",
		 "{bulkWrite: ?, nsInfo: [{ns: \"d.a\"}], ops: [?]}"},
	};

	(void)state;
	EXPECT_ALL(examples);
}

static void test_other_commands(void **state)
{
	static const struct example examples[] = {
		{"{getMore: 5L, collection: 'orders', batchSize: 3}", "orders", "getMore orders",
		 "{getMore: ?, collection: \"orders\"}"},
		{"{getMore: 5L}", "", "getMore", "{getMore: ?}"},
		{"{killCursors: 'c', cursors: [5L]}", "c", "killCursors c", "{killCursors: \"c\", cursors: ?}"},
		{"{explain: {find: 'c', filter: {a: 1}, $db: 'd'}, verbosity: 'queryPlanner'}", "c", "explain find c",
		 "{explain: {find: \"c\", filter: {a: ?}}, verbosity: ?}"},
		{"{explain: {aggregate: 'c', pipeline: [{$match: {a: 1}}]}}", "c", "explain aggregate c $match",
		 "{explain: {aggregate: \"c\", pipeline: [{$match: {a: ?}}]}}"},
		{"{explain: 'secret'}", "", "explain", "{explain: ?}"},
		{"{hello: 1, client: {driver: {name: 'secret'}}, compression: ['zlib']}", "", "hello handshake",
		 "{hello: ?, client: ?, compression: ?}"},
		{"{isMaster: 1, topologyVersion: {a: 1}, maxAwaitTimeMS: 1}", "", "isMaster heartbeat",
		 "{isMaster: ?, maxAwaitTimeMS: ?, topologyVersion: ?}"},
		{"{ismaster: 1}", "", "ismaster heartbeat", "{ismaster: ?}"},
		{"{createUser: 'bob', pwd: 'secret', roles: [{role: 'secret'}]}", "", "createUser",
		 "{createUser: ?, pwd: ?, roles: ?}"},
		{"{saslStart: 1, payload: @binary(secret), mechanism: 'x', $db: 'admin'}", "", "saslStart",
		 "{saslStart: ?, mechanism: ?, payload: ?}"},
		{"{ping: 1, lsid: {id: 1}, $db: 'd'}", "", "ping", "{ping: ?}"},
		{"{listCollections: 1, filter: {name: 'x'}, nameOnly: true}", "", "listCollections",
		 "{listCollections: ?, filter: {name: ?}, nameOnly: ?}"},
		{"{createIndexes: 'c', indexes: [{name: 'x', key: {b: 1, a: -1, c: 'text'}, unique: true,"
		 " partialFilterExpression: {z: {$gt: 1}}}]}",
		 "c", "createIndexes c",
		 "{createIndexes: \"c\", indexes: [{key: {b: 1, a: -1, c: ?}, name: ?, partialFilterExpression: {z: {$gt: ?}}, "
		 "unique: ?}]}"},
		{"{drop: 'c'}", "c", "drop c", "{drop: \"c\"}"},
		{"{collStats: 'c', scale: 1}", "c", "collStats c", "{collStats: \"c\", scale: ?}"},
		{"{mapReduce: 'c', map: @code(secret), reduce: @scope(secret), out: 'o', query: {a: 1}}", "c", "mapReduce c",
		 "{mapReduce: \"c\", query: {a: ?}, map: ?, out: ?, reduce: ?}"},
		{"{renameCollection: 'd.secret', to: 'd.secret2'}", "", "renameCollection", "{renameCollection: ?, to: ?}"},
		{"{\"no name\": 'secret'}", "", "unknown", "unknown"},
		{"{$where: 'secret'}", "", "unknown", "unknown"},
		{"{_isSelf: 1}", "", "_isSelf", "{_isSelf: ?}"},
	};

	(void)state;
	EXPECT_ALL(examples);
}

/* --- messages --- */

static void test_sections(void **state)
{
	const char *text = "{update: \"c\", updates: [{q: {a: ?}, u: {$set: {b: ?}}}]}";
	const char *updates = "{q: {a: 1}, u: {$set: {b: 1}}} {u: {$set: {b: 2}}, q: {a: 1}}";

	(void)state;
	for (int order = 0; order < 2; order++)
		for (uint32_t flags = 0; flags < 4; flags++) {
			stream.n = 0;
			mongo_begin(&stream, OP_MSG);
			mongo_put_number(&stream, flags | (order ? MONGO_EXHAUST_ALLOWED : 0));
			if (order)
				mongo_put_sequence(&stream, "updates", updates);
			mongo_put_body(&stream, "{update: 'c', ordered: true, $db: 'd'}");
			if (!order)
				mongo_put_sequence(&stream, "updates", updates);
			if (flags & MONGO_CHECKSUM)
				mongo_put_number(&stream, 0x01010101);
			mongo_end(&stream);
			expect_stream("c", "update c", text);
			assert_string_equal(database, "d");
		}
	stream.n = 0;
	mongo_begin(&stream, OP_MSG);
	mongo_put_number(&stream, 0);
	mongo_put_body(&stream, "{bulkWrite: 1, $db: 'admin'}");
	mongo_put_sequence(&stream, "ops", "{insert: 0, document: {a: 1}}");
	mongo_put_sequence(&stream, "nsInfo", "{ns: 'd.a'}");
	mongo_end(&stream);
	expect_stream("a", "bulkWrite a", "{bulkWrite: ?, nsInfo: [{ns: \"d.a\"}], ops: [{insert: ?, document: ?}]}");
	assert_string_equal(database, "d");
}

static void begin_legacy(uint32_t opcode, uint32_t first, const char *namespace)
{
	stream.n = 0;
	mongo_begin(&stream, opcode);
	mongo_put_number(&stream, first);
	mongo_put_bytes(&stream, namespace, strlen(namespace) + 1);
}

static void put_query(const char *namespace, uint32_t skip, const char *documents)
{
	begin_legacy(OP_QUERY, 4, namespace);
	mongo_put_number(&stream, skip);
	mongo_put_number(&stream, 0xffffffff);
	mongo_put_documents(&stream, documents);
	mongo_end(&stream);
}

static void test_op_query(void **state)
{
	(void)state;
	put_query("admin.$cmd", 0, "{isMaster: 1, client: {os: {type: 'x'}}}");
	expect_stream("", "isMaster handshake", "{isMaster: ?, client: ?}");
	assert_string_equal(database, "admin");
	put_query("shop.$cmd", 0, "{$query: {count: 'c', query: {a: 1}}, $readPreference: {mode: 'secondary'}}");
	expect_stream("c", "count c", "{count: \"c\", query: {a: ?}}");
	put_query("shop.orders.eu", 0, "{b: 'secret', a: 1}");
	expect_stream("orders.eu", "find orders.eu", "{find: \"orders.eu\", filter: {a: ?, b: ?}}");
	assert_string_equal(database, "shop");
	put_query("shop.orders", 20, "{$query: {a: {$gt: 1}}, $orderby: {z: -1, b: 1}, $comment: 'secret', $hint: {a: 1}} {d: 1}");
	expect_stream("orders", "find orders",
		      "{find: \"orders\", filter: {a: {$gt: ?}}, projection: {d: ?}, sort: {z: -1, b: 1}, skip: ?, hint: {a: 1}}");
	put_query("shop.orders", 0, "{}");
	expect_stream("orders", "find orders", "{find: \"orders\"}");
}

static void test_legacy_writes(void **state)
{
	(void)state;
	begin_legacy(OP_INSERT, 0, "shop.orders");
	mongo_put_documents(&stream, "{a: 'secret'} {b: 1}");
	mongo_end(&stream);
	expect_stream("orders", "insert orders", "{insert: \"orders\", documents: [?]}");
	assert_string_equal(database, "shop");
	begin_legacy(OP_UPDATE, 0, "shop.orders");
	mongo_put_number(&stream, 3);
	mongo_put_documents(&stream, "{b: 1, a: 2} {$set: {c: 'secret'}}");
	mongo_end(&stream);
	expect_stream("orders", "update orders",
		      "{update: \"orders\", updates: [{q: {a: ?, b: ?}, u: {$set: {c: ?}}, multi: true, upsert: true}]}");
	begin_legacy(OP_DELETE, 0, "shop.orders");
	mongo_put_number(&stream, 1);
	mongo_put_documents(&stream, "{a: 2}");
	mongo_end(&stream);
	expect_stream("orders", "delete orders", "{delete: \"orders\", deletes: [{q: {a: ?}, limit: ?}]}");
	begin_legacy(OP_GET_MORE, 0, "shop.orders");
	mongo_put_number(&stream, 100);
	mongo_put_number(&stream, 1);
	mongo_put_number(&stream, 0);
	mongo_end(&stream);
	expect_stream("orders", "getMore orders", "{getMore: ?, collection: \"orders\"}");
	stream.n = 0;
	mongo_begin(&stream, OP_KILL_CURSORS);
	mongo_put_number(&stream, 0);
	mongo_put_number(&stream, 1);
	mongo_put_number(&stream, 1);
	mongo_put_number(&stream, 0);
	mongo_end(&stream);
	expect_stream("", "killCursors", "{killCursors: ?, cursors: ?}");
	assert_string_equal(database, "");
}

static void test_pipelines(void **state)
{
	(void)state;
	stream.n = 0;
	for (int i = 0; i < 3; i++)
		mongo_put_msg(&stream, i % 2 ? "{insert: 'b', $db: 'd'}" : "{insert: 'a', documents: [{x: 1}], $db: 'd'}");
	assert_int_equal(classify(stream.n, stream.n), QUERY_COMMANDS);
	assert_int_equal(batch.n_commands, 3);
	assert_int_equal(batch.n_classes, 2);
	assert_int_equal(batch.classes[0].count, 2);
	assert_false(batch.cut);
	expect_class(1, "b", "insert b", "{insert: \"b\", documents: [?]}");
	assert_string_equal(database, "d");
	/* Cut within the last, behind its name or in front of it, and behind the second. */
	assert_int_equal(classify(stream.start + 45, stream.n), QUERY_COMMANDS);
	assert_int_equal(batch.n_commands, 3);
	assert_false(batch.cut);
	assert_int_equal(classify(stream.start + 22, stream.n), QUERY_COMMANDS);
	assert_int_equal(batch.n_commands, 2);
	assert_true(batch.cut);
	assert_int_equal(classify(stream.start, stream.n), QUERY_COMMANDS);
	assert_true(batch.cut);
	mongo_put_msg(&stream, "{getMore: 5L, collection: 'c', $db: 'e'}");
	assert_int_equal(classify(stream.n, stream.n), QUERY_UNKNOWN_STATEMENT);
	assert_string_equal(database, "");
}

static void test_many_classes(void **state)
{
	(void)state;
	stream.n = 0;
	for (int i = 0; i < 40; i++) {
		char body[64];

		snprintf(body, sizeof(body), "{find: 'c%d', $db: 'd'}", i);
		mongo_put_msg(&stream, body);
	}
	assert_int_equal(classify(stream.n, stream.n), QUERY_COMMANDS);
	assert_int_equal(batch.n_commands, 40);
	assert_int_equal(batch.n_classes, QUERY_BATCH_CLASSES);
	expect_class(QUERY_BATCH_CLASSES - 1, "", "other", "other");
}

/* --- cuts --- */

/* Cut behind these bytes, and one more: the NUL of a key, or what follows within a string. */
static void expect_cut(const char *body, const char *behind, const char *summary, const char *text)
{
	size_t at = 0, n = strlen(behind);

	stream.n = 0;
	mongo_put_msg(&stream, body);
	while (memcmp(stream.bytes + at, behind, n))
		at++;
	classify(at + n + 1, stream.n);
	assert_int_equal(batch.n_classes, 1);
	assert_false(batch.cut);
	assert_string_equal(batch.classes[0].summary, summary);
	assert_string_equal(batch.classes[0].text, text);
}

static void test_cuts(void **state)
{
	const char *find = "{find: 'orders', filter: {b: 1, aa: {$gt: 5, $lt: 8}, zz: 'value'}, sort: {date: 1}, $db: 'd'}";
	const char *updates = "{update: 'c', updates: [{q: {a: 1}, u: {$set: {b: 1}}}, {q: {dd: 1}, u: {$set: {b: 'last'}}}], $db: 'd'}";

	(void)state;
	expect_cut(find, "find", "find", "{find: ...");
	expect_cut(find, "order", "find", "{find: ...");
	expect_cut(find, "filter", "find orders", "{find: \"orders\", ...");
	expect_cut(find, "aa", "find orders", "{find: \"orders\", filter: {b: ?, aa: {...");
	expect_cut(find, "$gt", "find orders", "{find: \"orders\", filter: {b: ?, aa: {$gt: ?, ...");
	expect_cut(find, "$lt", "find orders", "{find: \"orders\", filter: {b: ?, aa: {$gt: ?, $lt: ?, ...");
	expect_cut(find, "val", "find orders", "{find: \"orders\", filter: {aa: {$gt: ?, $lt: ?}, b: ?, zz: ?, ...");
	expect_cut(find, "date", "find orders", "{find: \"orders\", filter: {aa: {$gt: ?, $lt: ?}, b: ?, zz: ?}, sort: {date: ...");
	expect_cut(find, "$db", "find orders",
		   "{find: \"orders\", filter: {aa: {$gt: ?, $lt: ?}, b: ?, zz: ?}, sort: {date: 1}, ...");
	assert_string_equal(database, "");
	/* How many updates there are is no part of the class. */
	expect_cut(updates, "dd", "update c", "{update: \"c\", updates: [{q: {a: ?}, u: {$set: {b: ?}}}, ...");
	expect_cut("{insert: 'cc', documents: [{a: 1}, {b: 'text'}], $db: 'd'}", "tex", "insert cc", "{insert: \"cc\", documents: [?]}");
	expect_cut("{insert: 'cc', lsid: {id: 5}, $db: 'd'}", "lsid", "insert cc", "{insert: \"cc\", documents: [?]}");
	expect_cut("{aggregate: 'cc', pipeline: [{$match: {a: 1}}, {$lookup: {from: 'products'}}], $db: 'd'}", "prod",
		   "aggregate cc $match $lookup", "{aggregate: \"cc\", pipeline: [{$match: {a: ?}}, {$lookup: {from: ...");
	expect_cut("{hello: 1, client: {a: 'driver'}, $db: 'd'}", "driv", "hello handshake", "{hello: ?, client: ?, ...");
	expect_cut("{hello: 1, speculative: {a: 'driver'}, $db: 'd'}", "driv", "hello", "{hello: ?, speculative: ?, ...");
}

/* --- limits --- */

/* The database by what is captured of the message's front, and of its end. */
static const char *database_of(const char *body, size_t captured, size_t end)
{
	struct slice front, back;

	stream.n = 0;
	mongo_put_msg(&stream, body);
	assert_true(captured <= stream.n && end <= stream.n);
	front = guard_copy(stream.bytes, captured);
	back = guard_copy(stream.bytes + stream.n - end, end);
	mongo_database(&(struct mongo_batch){front, stream.n, back}, database);
	guard_free(front);
	guard_free(back);
	return database;
}

static void test_end(void **state)
{
	static const char insert[] = "{insert: 'c', documents: [{_id: 1, note: 'secret'}], ordered: true, $db: 'shop'}";
	static const char more[] = "{insert: 'c', documents: [{_id: 1}], $db: 'shop', $readPreference: {mode: 'primary'}}";
	static const char reference[] = "{insert: 'c', documents: [{r: {$ref: 'secret', $id: 1, $db: 'secret'}}]}";
	static const char text[] = "{insert: 'c', documents: [{r: 'x'}], comment: 'secret'}";

	(void)state;
	assert_string_equal(database_of(insert, 40, 60), "shop");
	assert_string_equal(database_of(insert, 40, 16), "shop");
	assert_string_equal(database_of(insert, 40, 14), "");
	assert_string_equal(database_of(insert, 40, 0), "");
	assert_string_equal(database_of(more, 40, 80), "shop");
	assert_string_equal(database_of(reference, 40, 60), "");
	assert_string_equal(database_of(text, 40, 40), "");
}

static void test_long_texts(void **state)
{
	char body[8192] = "{find: 'c', filter: {", reversed[8192] = "{find: 'c', filter: {", text[QUERY_TEXT_BYTES];
	size_t n = strlen(body), r = n;

	(void)state;
	for (int i = 0; i < 60; i++) {
		n += (size_t)snprintf(body + n, sizeof(body) - n, "f%02d_%s: %d, ", i, "abcdefghijklmnopqrstuvwxyz", i);
		r += (size_t)snprintf(reversed + r, sizeof(reversed) - r, "f%02d_%s: %d, ", 59 - i, "abcdefghijklmnopqrstuvwxyz", i);
	}
	strcpy(body + n, "}}");
	strcpy(reversed + r, "}}");
	stream.n = 0;
	mongo_put_msg(&stream, body);
	classify(stream.n, stream.n);
	strcpy(text, batch.classes[0].text);
	n = strlen(text);
	assert_true(n > QUERY_TEXT_BYTES - 64 && n < QUERY_TEXT_BYTES);
	assert_string_equal(text + n - 5, ", ...");
	assert_int_equal(strncmp(text, "{find: \"c\", filter: {f00_abcdefghijklmnopqrstuvwxyz: ?, f01_", 60), 0);
	stream.n = 0;
	mongo_put_msg(&stream, reversed);
	classify(stream.n, stream.n);
	assert_string_equal(batch.classes[0].text, text);
}

static void test_many_keys(void **state)
{
	char body[8192] = "{find: 'c', filter: {", expected[QUERY_TEXT_BYTES] = "{find: \"c\", filter: {";
	size_t n = strlen(body), e = strlen(expected);

	(void)state;
	for (int i = 99; i >= 0; i--)
		n += (size_t)snprintf(body + n, sizeof(body) - n, "k%02d: %d, ", i, i);
	for (int i = 0; i < 64; i++)
		e += (size_t)snprintf(expected + e, sizeof(expected) - e, "k%02d: ?, ", i);
	strcpy(body + n, "}, limit: 1}");
	strcpy(expected + e, "...}, limit: ?}");
	expect(body, "c", "find c", expected);
}

static void test_depth(void **state)
{
	char body[8192] = "{find: 'c', filter: ";
	size_t n = strlen(body);

	(void)state;
	for (int i = 0; i < 40; i++, n += 3)
		strcpy(body + n, "{a:");
	strcpy(body + n, "1");
	for (int i = 0; i < 40; i++)
		strcat(body, "}");
	strcat(body, ", limit: 1}");
	stream.n = 0;
	mongo_put_msg(&stream, body);
	classify(stream.n, stream.n);
	assert_non_null(strstr(batch.classes[0].text, "{a: {a: {...}}}"));
	assert_non_null(strstr(batch.classes[0].text, "}, limit: ?}"));
}

static void test_long_names(void **state)
{
	char body[1024], name[401];

	(void)state;
	memset(name, 'n', 400);
	name[400] = '\0';
	snprintf(body, sizeof(body), "{find: '%s', filter: {a: 1}, $db: '%s'}", name, name);
	stream.n = 0;
	mongo_put_msg(&stream, body);
	classify(stream.n, stream.n);
	assert_string_equal(batch.classes[0].summary, "find");
	assert_int_equal(strlen(batch.classes[0].collection), QUERY_COLLECTION_BYTES - 1);
	assert_int_equal(strlen(database), MONGO_DATABASE_BYTES - 1);
	assert_non_null(strstr(batch.classes[0].text, "nnn...\", filter: {a: ?}}"));
	snprintf(body, sizeof(body), "{%.63s: 1}", name);
	expect(body, "", "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
	       "{nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn: ?}");
	snprintf(body, sizeof(body), "{%.64s: 1}", name);
	expect(body, "", "unknown", "unknown");
	expect("{find: 'a\n\x80\"\xc3\xa4', $db: 'd\t'}", "a??\"\xc3\xa4", "find a??\"\xc3\xa4",
	       "{find: \"a\\x0a\\x80\\\"\xc3\xa4\"}");
	assert_string_equal(database, "d?");
}

/* A text is cut between characters where it has no blank. */
static void test_long_words(void **state)
{
	char body[4096], name[241] = "";

	(void)state;
	for (int i = 0; i < 120; i++)
		strcat(name, "\xc3\xa4");
	for (int i = 0; i < 2; i++) {
		snprintf(body, sizeof(body), "{aggregate: '%s', pipeline: [{$out: '%s'}, {$out: '%s'}, {$out: '%s'}, {$out: '%s'}]}",
			 i ? "cc" : "c", name, name, name, name);
		stream.n = 0;
		mongo_put_msg(&stream, body);
		classify(stream.n, stream.n);
		assert_string_equal(batch.classes[0].text + strlen(batch.classes[0].text) - 5, "\xc3\xa4...");
	}
}

static void test_long_summary(void **state)
{
	char body[4096] = "{aggregate: 'c', pipeline: [";

	(void)state;
	for (int i = 0; i < 40; i++)
		strcat(body, "{$addFields: {}}, ");
	strcat(body, "]}");
	stream.n = 0;
	mongo_put_msg(&stream, body);
	classify(stream.n, stream.n);
	assert_int_equal(strlen(batch.classes[0].summary), strlen("aggregate c") + 22 * strlen(" $addFields"));
}

/* --- what is none --- */

static bool is_request(const void *bytes, size_t n)
{
	struct slice copy = guard_copy(bytes, n);
	bool is = mongo_is_request(copy);

	guard_free(copy);
	return is;
}

static void expect_none(enum query_verdict verdict)
{
	assert_int_equal(classify(stream.n, stream.n), verdict);
	assert_int_equal(batch.n_classes, 0);
	assert_false(is_request(stream.bytes, stream.n));
	assert_string_equal(database, "");
}

static void change(size_t at, uint8_t byte)
{
	stream.n = 0;
	mongo_put_msg(&stream, "{ping: 1}");
	stream.bytes[at] = byte;
}

static void test_others(void **state)
{
	(void)state;
	change(8, 1); /* responds to something */
	expect_none(QUERY_OTHER);
	change(12, 1); /* no such opcode */
	expect_none(QUERY_OTHER);
	change(3, 4); /* longer than any */
	expect_none(QUERY_OTHER);
	change(0, 19);
	expect_none(QUERY_OTHER);
	change(16, 4); /* an unknown flag that must be known */
	expect_none(QUERY_OTHER);
	change(20, 2); /* no such section */
	expect_none(QUERY_OTHER);
	change(21, 4); /* a document of 4 bytes */
	expect_none(QUERY_OTHER);
	change(22, 1); /* longer than the message */
	expect_none(QUERY_OTHER);
	change(25, 0); /* an empty command, with more behind */
	expect_none(QUERY_OTHER);
	stream.n = 0;
	mongo_put_msg(&stream, "{}");
	expect_none(QUERY_OTHER);
	stream.n = 0;
	mongo_begin(&stream, OP_MSG);
	mongo_put_number(&stream, 0);
	mongo_put_sequence(&stream, "documents", "{a: 1}");
	mongo_end(&stream);
	expect_none(QUERY_OTHER);
	begin_legacy(OP_DELETE, 0, "no_dot");
	mongo_end(&stream);
	expect_none(QUERY_OTHER);
	stream.n = 0;
	mongo_put_bytes(&stream, "GET / HTTP/1.1\r\n\r\n", 18);
	expect_none(QUERY_OTHER);
	stream.n = 4;
	expect_none(QUERY_OTHER);
	stream.n = 0;
	expect_none(QUERY_STALE);
}

static void test_requests(void **state)
{
	(void)state;
	stream.n = 0;
	mongo_put_msg(&stream, "{ping: 1, $db: 'd'}");
	for (size_t n = 0; n <= stream.n; n++) {
		assert_int_equal(is_request(stream.bytes, n), n >= MONGO_HEADER_BYTES);
		assert_int_equal(classify(n, stream.n), n < 31 ? QUERY_STALE : QUERY_COMMANDS);
	}
	stream.n = 0;
	mongo_begin(&stream, OP_COMPRESSED);
	mongo_put_number(&stream, OP_MSG);
	mongo_put_number(&stream, 100);
	mongo_put_bytes(&stream, "\2xxxx", 5);
	mongo_end(&stream);
	assert_true(is_request(stream.bytes, stream.n));
	expect_stream("", "unknown", "unknown");
	stream.bytes[24] = 9;
	assert_false(is_request(stream.bytes, stream.n));
	stream.bytes[24] = 2;
	stream.bytes[16] = 1;
	assert_false(is_request(stream.bytes, stream.n));
}

static void test_next_message(void **state)
{
	struct mongo_message m;
	struct slice rest;

	(void)state;
	stream.n = 0;
	mongo_put_msg(&stream, "{ping: 1}");
	mongo_put_msg(&stream, "{ping: 1}");
	rest = (struct slice){stream.bytes, stream.n - 1};
	assert_true(mongo_next_message(&rest, &m));
	assert_true(m.whole);
	assert_int_equal(m.length, stream.n / 2);
	assert_int_equal(m.opcode, OP_MSG);
	assert_int_equal(m.body.len, m.length - MONGO_HEADER_BYTES);
	assert_true(mongo_next_message(&rest, &m));
	assert_false(m.whole);
	assert_int_equal(m.body.len, m.length - MONGO_HEADER_BYTES - 1);
	assert_false(mongo_next_message(&rest, &m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filters),	      cmocka_unit_test(test_values),
		cmocka_unit_test(test_keys),	      cmocka_unit_test(test_find),
		cmocka_unit_test(test_aggregate),     cmocka_unit_test(test_writes),
		cmocka_unit_test(test_other_commands), cmocka_unit_test(test_sections),
		cmocka_unit_test(test_op_query),      cmocka_unit_test(test_legacy_writes),
		cmocka_unit_test(test_pipelines),     cmocka_unit_test(test_many_classes),
		cmocka_unit_test(test_cuts),	      cmocka_unit_test(test_end),
		cmocka_unit_test(test_long_texts),
		cmocka_unit_test(test_many_keys),     cmocka_unit_test(test_depth),
		cmocka_unit_test(test_long_names),    cmocka_unit_test(test_long_summary),
		cmocka_unit_test(test_others),	      cmocka_unit_test(test_requests),
		cmocka_unit_test(test_next_message),  cmocka_unit_test(test_long_words),
	};

	return cmocka_run_group_tests_name("mongo", tests, NULL, NULL);
}

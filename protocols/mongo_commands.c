/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command -> its class.
 *
 *	{aggregate: "orders", pipeline: [{$match: {...}}, {$lookup: {from: "products", ...}}], $db: "shop", ...}
 *	name	    collection, of commands that are known to have one; of any other, this is a value
 *
 * The summary has the command's name, its collection, and of an aggregation its stages and the collections that they name.
 */
#include <errno.h>
#include <string.h>
#include "mongo_internal.h"

#define COLLECTION(name) {name, NULL, MODE_HIDDEN, true}

/* Commands whose fields are known. */
static const struct known {
	const char *name;
	const char *names;    /* its field that names something; NULL: none */
	enum mongo_mode mode; /* of that field */
	bool has_collection;  /* its first value is one */
} known_commands[] = {
	COLLECTION("find"),
	COLLECTION("insert"),
	COLLECTION("update"),
	COLLECTION("delete"),
	COLLECTION("aggregate"),
	COLLECTION("count"),
	{"distinct", "key", MODE_KEY, true},
	COLLECTION("findAndModify"),
	COLLECTION("findandmodify"),
	{"getMore", "collection", MODE_NAME, false},
	{"explain", NULL, MODE_HIDDEN, false},
	{"bulkWrite", "nsInfo", MODE_NAMESPACES, false},
	COLLECTION("mapReduce"),
	COLLECTION("mapreduce"),
	COLLECTION("killCursors"),
	COLLECTION("createIndexes"),
	COLLECTION("listIndexes"),
	COLLECTION("dropIndexes"),
	COLLECTION("deleteIndexes"),
	{"listCollections", NULL, MODE_HIDDEN, false},
	{"listDatabases", NULL, MODE_HIDDEN, false},
	COLLECTION("create"),
	COLLECTION("drop"),
	COLLECTION("collMod"),
	COLLECTION("collStats"),
	COLLECTION("collstats"),
	COLLECTION("validate"),
	COLLECTION("compact"),
	COLLECTION("reIndex"),
	COLLECTION("analyze"),
	COLLECTION("convertToCapped"),
	COLLECTION("cloneCollectionAsCapped"),
	COLLECTION("geoNear"),
	COLLECTION("geoSearch"),
	COLLECTION("parallelCollectionScan"),
	COLLECTION("planCacheClear"),
	COLLECTION("planCacheClearFilters"),
	COLLECTION("planCacheListFilters"),
	COLLECTION("planCacheListPlans"),
	COLLECTION("planCacheListQueryShapes"),
	COLLECTION("planCacheSetFilter"),
	COLLECTION("createSearchIndexes"),
	COLLECTION("dropSearchIndex"),
	COLLECTION("updateSearchIndex"),
	COLLECTION("compactStructuredEncryptionData"),
	COLLECTION("cleanupStructuredEncryptionData"),
};

static const struct known *find_known(struct slice name)
{
	for (size_t i = 0; i < sizeof(known_commands) / sizeof(*known_commands); i++)
		if (mongo_is(name, known_commands[i].name))
			return &known_commands[i];
	return NULL;
}

static bool is_command_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		uint8_t byte = name.ptr[i];

		if (!((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') && byte != '_' && !(i && byte >= '0' && byte <= '9'))
			return false;
	}
	return name.len && name.len < QUERY_OPERATION_BYTES;
}

/* --- summaries --- */

bool mongo_add_word(struct query_class *class, struct slice word)
{
	char name[QUERY_SUMMARY_BYTES];
	size_t n = strlen(class->summary), len = mongo_copy_name(name, sizeof(name), word);

	if (!len || n + 1 + len >= sizeof(class->summary))
		return !len;
	class->summary[n] = ' ';
	memcpy(class->summary + n + 1, name, len + 1);
	return true;
}

void mongo_set_class(struct query_class *class, const char *operation, struct slice collection)
{
	mongo_copy_name(class->operation, sizeof(class->operation), mongo_slice(operation));
	mongo_copy_name(class->summary, sizeof(class->summary), mongo_slice(operation));
	mongo_copy_name(class->collection, sizeof(class->collection), collection);
	mongo_add_word(class, collection);
}

/* The value of a field of the document. */
static bool find_in(const struct bson_element *document, const char *name, struct bson_element *out)
{
	struct bson_reader reader;

	if (bson_open_value(document, &reader))
		return false;
	while (bson_next(&reader, out) == 1)
		if (mongo_is(out->key, name))
			return true;
	return false;
}

/* The collection that a stage names: a string, or in a document {from: ...}, {into: {coll: ...}}, {coll: ...}. */
static struct slice stage_target(const struct bson_element *stage)
{
	static const char *const stages[] = {"$lookup", "$graphLookup", /* or a string: */ "$unionWith", "$out", "$merge"};
	static const char *const fields[] = {"from", "into", "coll"};
	struct bson_element value = *stage, inner;
	struct slice name = {0};
	size_t i = 0, n = sizeof(stages) / sizeof(*stages);

	while (i < n && !mongo_is(stage->key, stages[i]))
		i++;
	if (i == n || (value.type != BSON_DOCUMENT && i < 2))
		return name;
	for (i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (value.type == BSON_DOCUMENT && find_in(&value, fields[i], &inner))
			value = inner;
	if (!bson_text(&value, &name))
		name.len = 0;
	return name;
}

static bool is_stage_name(struct slice name)
{
	return name.len > 1 && name.ptr[0] == '$' && is_command_name((struct slice){name.ptr + 1, name.len - 1});
}

static void add_stages(struct query_class *class, const struct bson_element *pipeline)
{
	struct bson_element item, stage;
	struct bson_reader reader;
	struct mongo_items items;

	if (pipeline->type != BSON_ARRAY)
		return;
	mongo_items_begin(pipeline, &items);
	while (mongo_items_next(&items, &item) == 1) {
		if (bson_open_value(&item, &reader) || bson_next(&reader, &stage) != 1 || !is_stage_name(stage.key))
			continue;
		if (!mongo_add_word(class, stage.key) || !mongo_add_word(class, stage_target(&stage)))
			return;
	}
}

/* {nsInfo: [{ns: "shop.orders"}, ...]} of a bulkWrite. */
static bool next_namespace(struct mongo_items *items, struct slice *database, struct slice *collection)
{
	struct bson_element item, ns;
	struct slice name;

	if (mongo_items_next(items, &item) != 1 || !find_in(&item, "ns", &ns) || !bson_text(&ns, &name))
		return false;
	mongo_split(name, database, collection);
	return true;
}

static void add_namespaces(struct query_class *class, const struct mongo_command *command)
{
	struct slice database, collection;
	struct bson_element value;
	struct mongo_items items;
	bool first = true;

	if (!mongo_find(command, "nsInfo", &value))
		return;
	mongo_items_begin(&value, &items);
	while (next_namespace(&items, &database, &collection)) {
		mongo_copy_name(class->collection, first ? sizeof(class->collection) : 1, collection);
		first = false;
		if (!mongo_add_word(class, collection))
			return;
	}
}

static bool has_client(const struct mongo_command *command)
{
	struct bson_element value;

	return mongo_find(command, "client", &value) && value.type == BSON_DOCUMENT;
}

static bool ends_whole(const struct mongo_command *command)
{
	struct bson_element value;

	return mongo_find(command, "$db", &value) || command->body.whole;
}

/* The command's name is behind what the summary has already. */
static void add_details(struct query_class *class, const struct mongo_command *command, const struct bson_element *first)
{
	const struct known *known = find_known(first->key);
	struct bson_element value;
	struct slice collection = {0};

	if (mongo_is(first->key, "getMore") ? mongo_find(command, "collection", &value) : known && known->has_collection) {
		if (mongo_is(first->key, "getMore") ? bson_text(&value, &collection) : bson_text(first, &collection)) {
			mongo_copy_name(class->collection, sizeof(class->collection), collection);
			if (!mongo_add_word(class, collection))
				return;
		}
	}
	if (mongo_is(first->key, "aggregate") && mongo_find(command, "pipeline", &value))
		add_stages(class, &value);
	else if (mongo_is(first->key, "bulkWrite"))
		add_namespaces(class, command);
	else if (mongo_is(first->key, "hello") || mongo_is(first->key, "isMaster") || mongo_is(first->key, "ismaster"))
		if (has_client(command) || ends_whole(command))
			mongo_add_word(class, mongo_slice(has_client(command) ? "handshake" : "heartbeat"));
}

/* --- text --- */

static bool put_command(struct mongo_shape *shape, const struct mongo_command *command);

/* The command's name and its value. */
static bool put_first(struct mongo_shape *shape, const struct known *known, const struct bson_element *first)
{
	struct mongo_command inner = {.body = *first};
	bool shown = known && known->has_collection && first->type == BSON_STRING, whole;

	mongo_put_key(shape, first->key);
	if (!mongo_is(first->key, "explain") || first->type != BSON_DOCUMENT || shape->depth == MONGO_DEPTH)
		return mongo_put_value(shape, shown ? MODE_NAME : MODE_HIDDEN, first);
	shape->depth++;
	whole = put_command(shape, &inner);
	shape->depth--;
	return whole;
}

static bool put_field(struct mongo_shape *shape, struct mongo_list *list, const struct known *known, const struct bson_element *field)
{
	if (!known || !known->names || !mongo_is(field->key, known->names))
		return mongo_put_field(shape, list, known ? MODE_COMMAND : MODE_FLAT, field);
	mongo_put_key(shape, field->key);
	if (!mongo_put_value(shape, known->mode, field))
		return false;
	mongo_list_add(shape, list, MONGO_RANK_NAME);
	return true;
}

static bool put_command(struct mongo_shape *shape, const struct mongo_command *command)
{
	struct mongo_sections sections = command->sections;
	struct bson_reader reader;
	struct bson_element field;
	struct mongo_list list;
	const struct known *known;
	bool inserts;
	int got;

	mongo_list_begin(shape, &list, '{', ORDER_SORTED);
	if (bson_open_value(&command->body, &reader))
		return false;
	got = bson_next(&reader, &field);
	if (got != 1)
		return mongo_list_end(shape, &list, '}', !got);
	known = find_known(field.key);
	if (!put_first(shape, known, &field))
		return false;
	mongo_list_add(shape, &list, MONGO_RANK_COMMAND);
	inserts = mongo_is(field.key, "insert");
	while ((got = bson_next(&reader, &field)) == 1)
		if (!put_field(shape, &list, known, &field))
			return false;
	while (!got && (got = mongo_next_section(&sections, &field)) == 1)
		got = field.type != MONGO_SEQUENCE || put_field(shape, &list, known, &field) ? 0 : -EAGAIN;
	if (inserts) { /* whatever of them is captured */
		field = (struct bson_element){.type = BSON_ARRAY, .key = mongo_slice("documents")};
		put_field(shape, &list, known, &field);
	}
	return mongo_list_end(shape, &list, '}', !got || inserts);
}

/* --- all of it --- */

/* The first field of the command. Returns as bson_next(). */
static int open_command(const struct bson_element *body, struct bson_element *first)
{
	struct bson_reader reader;
	int err = bson_open_value(body, &reader);

	return err ? err : bson_next(&reader, first);
}

int mongo_class_build(const struct mongo_command *command, struct query_class *out)
{
	struct mongo_command explained = {.sections = {.left = 0}};
	struct bson_element first = {.whole = false}, inner = first;
	struct mongo_shape shape;
	char name[QUERY_OPERATION_BYTES] = "unknown";
	int got = open_command(&command->body, &first);

	if (got != 1)
		return got ? got : -EPROTO;
	if (!is_command_name(first.key)) {
		mongo_set_class(out, name, (struct slice){0});
		mongo_copy_name(out->text, sizeof(out->text), mongo_slice(name));
		return 0;
	}
	memcpy(name, first.key.ptr, first.key.len);
	name[first.key.len] = '\0';
	mongo_set_class(out, name, (struct slice){0});
	explained.body = first;
	if (mongo_is(first.key, "explain") && open_command(&first, &inner) == 1 && is_command_name(inner.key)) {
		if (mongo_add_word(out, inner.key))
			add_details(out, &explained, &inner);
	} else {
		add_details(out, command, &first);
	}
	shape.n = shape.depth = 0;
	mongo_shape_finish(&shape, put_command(&shape, command), out->text);
	return 0;
}

bool mongo_command_database(const struct mongo_command *command, struct slice *out)
{
	struct bson_element value = {.whole = false};
	struct slice database, collection;
	struct mongo_items items;

	if (command->database.len) {
		*out = command->database;
		return true;
	}
	if (open_command(&command->body, &value) != 1)
		return false;
	if (!mongo_is(value.key, "bulkWrite"))
		return mongo_find(command, "$db", &value) && bson_text(&value, out);
	if (!mongo_find(command, "nsInfo", &value))
		return false;
	mongo_items_begin(&value, &items);
	if (!next_namespace(&items, out, &collection))
		return false;
	while (next_namespace(&items, &database, &collection))
		if (database.len != out->len || memcmp(database.ptr, out->ptr, out->len))
			return false;
	return true;
}

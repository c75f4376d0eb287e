/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The opcodes of before OP_MSG (MongoDB, "Legacy Opcodes"), shown as the commands that do the same. Drivers still begin with
 * an OP_QUERY; the others were removed in MongoDB 6.0. All numbers have 4 bytes, but a cursor's.
 *
 *	OP_QUERY	flags | namespace, NUL | skip | batch size | query | fields, if any
 *	OP_INSERT	flags | namespace, NUL | document | document ...
 *	OP_UPDATE	0     | namespace, NUL | flags | filter | update
 *	OP_DELETE	0     | namespace, NUL | flags | filter
 *	OP_GET_MORE	0     | namespace, NUL | batch size | cursor
 *	OP_KILL_CURSORS 0     | number of cursors | cursors
 *
 * The namespace "shop.$cmd" makes a query a command. A query may be wrapped: {$query: {...}, $orderby: {...}}.
 */
#include <errno.h>
#include <string.h>
#include "mongo_internal.h"

enum { UPDATE_UPSERT = 1, UPDATE_MULTI = 2 };

struct reader {
	struct slice rest; /* captured */
	size_t left;	   /* declared */
	int err;	   /* the first thing that was not there: -EAGAIN, -EPROTO */
};

static bool fail(struct reader *r)
{
	if (!r->err)
		r->err = r->rest.len == r->left ? -EPROTO : -EAGAIN;
	return false;
}

static uint32_t take_number(struct reader *r)
{
	const uint8_t *p = r->rest.ptr;

	if (r->err || r->rest.len < 4)
		return fail(r);
	r->rest.ptr += 4;
	r->rest.len -= 4;
	r->left -= 4;
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool take_namespace(struct reader *r, struct slice *out)
{
	const uint8_t *nul = !r->err && r->rest.len ? memchr(r->rest.ptr, 0, r->rest.len) : NULL;
	size_t n;

	if (!nul)
		return fail(r);
	n = (size_t)(nul - r->rest.ptr);
	*out = (struct slice){r->rest.ptr, n};
	r->rest.ptr += n + 1;
	r->rest.len -= n + 1;
	r->left -= n + 1;
	return true;
}

/* As far as it is captured, and at least its length. */
static bool take_document(struct reader *r, const char *name, struct bson_element *out)
{
	size_t n = bson_length(r->rest), captured;

	if (r->err || r->rest.len < 4)
		return fail(r);
	if (!n || n > r->left) {
		r->err = -EPROTO;
		return false;
	}
	captured = n < r->rest.len ? n : r->rest.len;
	*out = (struct bson_element){BSON_DOCUMENT, n == captured, mongo_slice(name), {r->rest.ptr, captured}};
	r->rest.ptr += captured;
	r->rest.len -= captured;
	r->left -= n;
	return true;
}

/* A number or a truth in front of a namespace, which most have. */
static struct reader begin(const struct mongo_message *m, struct slice *database, struct slice *collection)
{
	struct reader r = {m->body, m->length - MONGO_HEADER_BYTES, 0};
	struct slice name;

	*database = *collection = (struct slice){0};
	take_number(&r);
	if (m->opcode != OP_KILL_CURSORS && take_namespace(&r, &name)) {
		mongo_split(name, database, collection);
		if (!database->len || !collection->len)
			r.err = -EPROTO;
	}
	return r;
}

/* --- commands that are written here --- */

static void begin_command(struct mongo_shape *shape, struct mongo_list *list, const char *operation, struct slice collection)
{
	char name[MONGO_NAME_BYTES];

	shape->n = shape->depth = 0;
	mongo_list_begin(shape, list, '{', ORDER_SORTED);
	mongo_put_key(shape, mongo_slice(operation));
	mongo_put(shape, name, mongo_show_name(collection, name));
	mongo_list_add(shape, list, MONGO_RANK_COMMAND);
}

/* A field that the message has as a number in front. */
static void put_flag(struct mongo_shape *shape, struct mongo_list *list, enum mongo_mode mode, const char *name)
{
	static const uint8_t is_true[] = {1};
	struct bson_element flag = {BSON_BOOLEAN, true, mongo_slice(name), {is_true, 1}};

	mongo_put_field(shape, list, mode, &flag);
}

/* "updates: [{q: ..., u: ...}]" or "deletes: [{q: ..., limit: ?}]" */
static bool put_statement(struct mongo_shape *shape, struct reader *r, bool updates)
{
	uint32_t flags = take_number(r);
	struct bson_element document;
	struct mongo_list list;
	bool more = !r->err;

	mongo_put_string(shape, updates ? "updates: [" : "deletes: [");
	mongo_list_begin(shape, &list, '{', ORDER_SORTED);
	if (more && !updates)
		put_flag(shape, &list, MODE_STATEMENT, "limit");
	if (more && updates && flags & UPDATE_MULTI)
		put_flag(shape, &list, MODE_STATEMENT, "multi");
	if (more && updates && flags & UPDATE_UPSERT)
		put_flag(shape, &list, MODE_STATEMENT, "upsert");
	more = more && take_document(r, "q", &document) && mongo_put_field(shape, &list, MODE_STATEMENT, &document);
	if (updates)
		more = more && take_document(r, "u", &document) && mongo_put_field(shape, &list, MODE_STATEMENT, &document);
	if (!mongo_list_end(shape, &list, '}', more))
		return false;
	mongo_put_string(shape, "]");
	return true;
}

static void build_write(struct reader *r, const char *operation, struct slice collection, struct query_class *out)
{
	bool whole = true, inserts = !strcmp(operation, "insert");
	struct mongo_shape shape;
	struct mongo_list list;

	begin_command(&shape, &list, operation, collection);
	if (inserts)
		mongo_put_string(&shape, "documents: [?]");
	else
		whole = put_statement(&shape, r, !strcmp(operation, "update"));
	if (whole)
		mongo_list_add(&shape, &list, MONGO_RANK_OTHER);
	mongo_shape_finish(&shape, mongo_list_end(&shape, &list, '}', whole), out->text);
}

/* --- queries --- */

/* Whether the first field of a query is the query itself. */
static bool unwrap(const struct bson_element *query, struct bson_element *inner)
{
	struct bson_reader reader;

	return !bson_open_value(query, &reader) && bson_next(&reader, inner) == 1 && inner->type == BSON_DOCUMENT &&
	       (mongo_is(inner->key, "$query") || mongo_is(inner->key, "query"));
}

/* {$query: {...}, $orderby: {...}, ...} */
static bool put_wrapped(struct mongo_shape *shape, struct mongo_list *list, const struct bson_element *query)
{
	static const struct {
		const char *wrapped, *shown;
	} names[] = {
		{"$query", "filter"}, {"query", "filter"}, {"$orderby", "sort"}, {"orderby", "sort"}, {"$hint", "hint"},
		{"$min", "min"}, {"$max", "max"},
	};
	struct bson_reader reader;
	struct bson_element field;
	int got = bson_open_value(query, &reader);

	while (!got && (got = bson_next(&reader, &field)) == 1) {
		const char *shown = NULL;

		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
			if (mongo_is(field.key, names[i].wrapped))
				shown = names[i].shown;
		got = 0;
		if (!shown)
			continue;
		field.key = mongo_slice(shown);
		got = mongo_put_field(shape, list, MODE_COMMAND, &field) ? 0 : -EAGAIN;
	}
	return !got;
}

static void build_find(struct reader *r, struct slice collection, struct query_class *out)
{
	struct bson_element query, inner;
	struct mongo_shape shape;
	struct mongo_list list;
	uint32_t skip = take_number(r);
	bool whole;

	take_number(r);
	begin_command(&shape, &list, "find", collection);
	if (skip)
		put_flag(&shape, &list, MODE_COMMAND, "skip");
	whole = take_document(r, "filter", &query);
	if (whole)
		whole = unwrap(&query, &inner) ? put_wrapped(&shape, &list, &query)
					       : mongo_put_field(&shape, &list, MODE_COMMAND, &query);
	if (whole && r->left)
		whole = take_document(r, "projection", &query) && mongo_put_field(&shape, &list, MODE_COMMAND, &query);
	mongo_shape_finish(&shape, mongo_list_end(&shape, &list, '}', whole), out->text);
}

/* The command of a query of "shop.$cmd". */
static int open_command(struct reader *r, struct slice database, struct mongo_command *out)
{
	struct bson_element inner;

	*out = (struct mongo_command){.database = database};
	take_number(r);
	take_number(r);
	if (!take_document(r, "", &out->body))
		return r->err;
	if (unwrap(&out->body, &inner))
		out->body = inner;
	return 0;
}

static int build_query(struct reader *r, struct slice database, struct slice collection, struct query_class *out)
{
	struct mongo_command command;
	int err;

	if (mongo_is(collection, "$cmd")) {
		err = open_command(r, database, &command);
		return err ? err : mongo_class_build(&command, out);
	}
	mongo_set_class(out, "find", collection);
	build_find(r, collection, out);
	return 0;
}

int mongo_legacy_build(const struct mongo_message *m, struct query_class *out)
{
	struct slice database, collection;
	struct reader r = begin(m, &database, &collection);
	const char *operation = m->opcode == OP_INSERT ? "insert" : m->opcode == OP_UPDATE ? "update" : "delete";

	if (m->opcode == OP_COMPRESSED) {
		mongo_set_class(out, "unknown", (struct slice){0});
		mongo_copy_name(out->text, sizeof(out->text), mongo_slice("unknown"));
		return 0;
	}
	if (r.err)
		return r.err;
	switch (m->opcode) {
	case OP_QUERY:
		return build_query(&r, database, collection, out);
	case OP_GET_MORE:
		mongo_set_class(out, "getMore", collection);
		break;
	case OP_KILL_CURSORS:
		mongo_set_class(out, "killCursors", collection);
		mongo_copy_name(out->text, sizeof(out->text), mongo_slice("{killCursors: ?, cursors: ?}"));
		break;
	default:
		mongo_set_class(out, operation, collection);
		build_write(&r, operation, collection, out);
	}
	if (m->opcode == OP_GET_MORE) {
		struct mongo_shape shape = {.n = 0};
		char name[MONGO_NAME_BYTES];

		mongo_put_string(&shape, "{getMore: ?, collection: ");
		mongo_put(&shape, name, mongo_show_name(collection, name));
		mongo_put_string(&shape, "}");
		mongo_shape_finish(&shape, true, out->text);
	}
	return 0;
}

bool mongo_legacy_database(const struct mongo_message *m, struct slice *out)
{
	struct slice collection;
	struct reader r = begin(m, out, &collection);

	return m->opcode != OP_COMPRESSED && !r.err && out->len;
}

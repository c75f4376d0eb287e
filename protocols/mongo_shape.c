/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shape of documents: {status: "paid", total: {$gt: 100}} -> {status: ?, total: {$gt: ?}}.
 *
 * Fields are shown in an order that does not depend on how they were sent. Every item of a document or an array is written
 * behind those that are there already, and then moved to its place among them, or dropped where it is one of them:
 *
 *	{ a: ?, c: ?, b: {$gt: ?		-> { a: ?, b: {$gt: ?}, c: ?,
 *	  list.at[0]  [1]  [2]
 *
 * What is cut is the last of its document and ends the text: it is not moved, and nothing is closed behind it.
 *
 * No list is longer than all that is shown, so what is dropped would never be seen: the text is the same for any order of
 * the fields even where it does not fit.
 */
#include <string.h>
#include "mongo_internal.h"

void mongo_put(struct mongo_shape *shape, const char *text, size_t n)
{
	if (n > sizeof(shape->text) - shape->n)
		n = sizeof(shape->text) - shape->n;
	memcpy(shape->text + shape->n, text, n);
	shape->n += n;
}

void mongo_put_string(struct mongo_shape *shape, const char *text)
{
	mongo_put(shape, text, strlen(text));
}

void mongo_put_key(struct mongo_shape *shape, struct slice key)
{
	char text[MONGO_KEY_BYTES];

	mongo_put(shape, text, mongo_show_key(key, text));
	mongo_put(shape, ": ", 2);
}

/* --- lists --- */

void mongo_list_begin(struct mongo_shape *shape, struct mongo_list *list, char open, enum mongo_order order)
{
	mongo_put(shape, &open, 1);
	list->start = shape->n;
	list->n = 0;
	list->more = false;
	list->order = (uint8_t)order;
	list->at[0] = 0;
}

static int compare(const char *items, const struct mongo_list *list, uint32_t i, const char *item, size_t len, unsigned int rank)
{
	size_t other = list->at[i + 1] - (size_t)list->at[i];
	int order;

	if (list->rank[i] != rank)
		return list->rank[i] < rank ? -1 : 1;
	order = memcmp(items + list->at[i], item, other < len ? other : len);
	return order ? order : (other > len) - (other < len);
}

/* Where the item goes. Returns false where it is there already. */
static bool find_place(const char *items, const struct mongo_list *list, const char *item, size_t len, unsigned int rank,
		       uint32_t *place)
{
	uint32_t low = 0, high = list->n;

	*place = list->n;
	if (list->order == ORDER_SENT || !list->n)
		return true;
	if (list->order == ORDER_COLLAPSE)
		return compare(items, list, list->n - 1, item, len, rank);
	if (list->order == ORDER_ONCE) {
		for (uint32_t i = 0; i < list->n; i++)
			if (!compare(items, list, i, item, len, rank))
				return false;
		return true;
	}
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		int order = compare(items, list, middle, item, len, rank);

		if (!order)
			return false;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*place = low;
	return true;
}

/* Moves the item, which is the last `len` bytes of the text, in front of item `place`. */
static void move(char *items, struct mongo_list *list, uint32_t place, size_t len, unsigned int rank)
{
	char item[MONGO_LIST_BYTES];
	size_t at = list->at[place], behind = list->at[list->n] - at;

	if (behind) {
		memcpy(item, items + list->at[list->n], len);
		memmove(items + at + len, items + at, behind);
		memcpy(items + at, item, len);
	}
	for (uint32_t i = list->n + 1; i > place; i--)
		list->at[i] = (uint16_t)(list->at[i - 1] + len);
	memmove(list->rank + place + 1, list->rank + place, list->n - place);
	list->rank[place] = (uint8_t)rank;
	list->n++;
}

void mongo_list_add(struct mongo_shape *shape, struct mongo_list *list, unsigned int rank)
{
	char *items = shape->text + list->start, *item = items + list->at[list->n];
	uint32_t place;
	size_t len;

	mongo_put(shape, ", ", 2);
	len = (size_t)(shape->text + shape->n - item);
	if (len > MONGO_LIST_BYTES)
		len = MONGO_LIST_BYTES;
	if (find_place(items, list, item, len, rank, &place)) {
		if (list->n == MONGO_ITEMS)
			list->more = true;
		if (list->n == MONGO_ITEMS && place < list->n) {
			list->n--; /* the last makes room */
			memmove(items + list->at[list->n], item, len);
		}
		if (place <= list->n && list->n < MONGO_ITEMS)
			move(items, list, place, len, rank);
	}
	while (list->n && list->at[list->n - 1] >= MONGO_LIST_BYTES)
		list->n--;
	if (list->at[list->n] > MONGO_LIST_BYTES)
		list->at[list->n] = MONGO_LIST_BYTES;
	shape->n = list->start + list->at[list->n];
}

bool mongo_list_end(struct mongo_shape *shape, struct mongo_list *list, char close, bool whole)
{
	if (!whole)
		return false;
	if (list->n)
		shape->n -= 2;
	if (list->more)
		mongo_put_string(shape, ", ...");
	mongo_put(shape, &close, 1);
	return true;
}

/* --- values --- */

static bool put_fields(struct mongo_shape *shape, enum mongo_mode mode, const struct bson_element *value)
{
	struct bson_reader reader;
	struct bson_element field;
	struct mongo_list list;
	int got;

	mongo_list_begin(shape, &list, '{', mongo_rules[mode].fields_order);
	got = bson_open_value(value, &reader);
	while (!got && (got = bson_next(&reader, &field)) == 1)
		got = mongo_put_field(shape, &list, mode, &field) ? 0 : -1;
	return mongo_list_end(shape, &list, '}', !got);
}

/* A document begins cut, but there are others to show instead: how many there are is no part of the shape. */
static bool drop_cut(struct mongo_shape *shape, const struct mongo_list *list)
{
	if (list->n && list->order == ORDER_SORTED)
		shape->n = list->start + list->at[list->n];
	return false;
}

static bool put_items(struct mongo_shape *shape, enum mongo_mode mode, const struct bson_element *value)
{
	const struct mongo_rule *rule = &mongo_rules[mode];
	struct mongo_items items;
	struct bson_element item;
	struct mongo_list list;
	int got;

	mongo_list_begin(shape, &list, '[', rule->items_order);
	mongo_items_begin(value, &items);
	while ((got = mongo_items_next(&items, &item)) == 1) {
		if (!mongo_put_value(shape, rule->item, &item))
			return drop_cut(shape, &list);
		mongo_list_add(shape, &list, 0);
	}
	if (!got && !list.n && rule->items_order != ORDER_SENT)
		mongo_put(shape, "?", 1); /* of no values as of some */
	return mongo_list_end(shape, &list, ']', !got);
}

static bool put_name(struct mongo_shape *shape, struct slice name)
{
	char text[MONGO_NAME_BYTES];

	mongo_put(shape, text, mongo_show_name(name, text));
	return true;
}

static bool put_path(struct mongo_shape *shape, struct slice path)
{
	char text[MONGO_KEY_BYTES];

	mongo_put(shape, text, mongo_show_path(path, text));
	return true;
}

/* What is neither a document nor an array. False where it would be shown if it were not cut. */
static bool put_scalar(struct mongo_shape *shape, enum mongo_scalar scalar, const struct bson_element *value)
{
	bool is_string = value->type == BSON_STRING;
	struct slice text = {0};
	int64_t number = 0;

	if (scalar == SCALAR_SIGN && !is_string) {
		if (!value->whole)
			return false;
		if (value->type != BSON_BOOLEAN && bson_integer(value, &number) && (number == 1 || number == -1)) {
			mongo_put_string(shape, number == 1 ? "1" : "-1");
			return true;
		}
	} else if (is_string && scalar != SCALAR_HIDDEN && scalar != SCALAR_SIGN) {
		if (!bson_text(value, &text))
			return false;
		if (scalar == SCALAR_NAME)
			return put_name(shape, text);
		if (scalar == SCALAR_PATH ? mongo_is_path(text) : mongo_is_key(text))
			return put_path(shape, text);
	}
	mongo_put(shape, "?", 1);
	return true;
}

bool mongo_put_value(struct mongo_shape *shape, enum mongo_mode mode, const struct bson_element *value)
{
	bool is_array = value->type == BSON_ARRAY || value->type == MONGO_SEQUENCE, whole;

	if (mode == MODE_HIDDEN || mode == MODE_ROWS) {
		mongo_put_string(shape, mode == MODE_ROWS ? "[?]" : "?");
		return true;
	}
	if (!is_array && value->type != BSON_DOCUMENT)
		return put_scalar(shape, mongo_rules[mode].scalar, value);
	if (shape->depth == MONGO_DEPTH) {
		mongo_put_string(shape, is_array ? "[...]" : "{...}");
		return value->whole;
	}
	shape->depth++;
	whole = is_array ? put_items(shape, mode, value) : put_fields(shape, mode, value);
	shape->depth--;
	return whole;
}

static bool is_empty(const struct bson_element *value)
{
	return value->type == BSON_DOCUMENT && bson_length(value->value) == BSON_LEAST_BYTES;
}

/* Cut before it says whether it is empty. */
static bool may_be_empty(const struct bson_element *value)
{
	return value->type == BSON_DOCUMENT && value->value.len < 4;
}

static bool is_true(const struct bson_element *value)
{
	int64_t number;

	return bson_integer(value, &number) && number;
}

bool mongo_put_field(struct mongo_shape *shape, struct mongo_list *list, enum mongo_mode mode, const struct bson_element *field)
{
	const struct mongo_field *known = mongo_find_field(mode, field->key);
	enum mongo_mode inner = known ? known->mode : mongo_rules[mode].other;

	if (inner == MODE_LEFT_OUT || (inner == MODE_TRUE && !is_true(field)) || (known && known->skip_empty && is_empty(field)))
		return true;
	if (known && known->skip_empty && may_be_empty(field))
		return false;
	mongo_put_key(shape, field->key);
	if (inner == MODE_TRUE)
		mongo_put_string(shape, "true");
	else if (!mongo_put_value(shape, inner, field))
		return false;
	mongo_list_add(shape, list, known ? known->rank : MONGO_RANK_OTHER);
	return true;
}

/* --- the text --- */

static bool ends(const char *text, size_t n, const char *end)
{
	size_t len = strlen(end);

	return n >= len && !memcmp(text + n - len, end, len);
}

/* Where to cut so that no character, and if possible no word, is cut itself. */
static size_t cut_at_word(const char *text, size_t n)
{
	size_t word = n;

	while (word && n - word < MONGO_KEY_BYTES && text[word - 1] != ' ')
		word--;
	if (word && text[word - 1] == ' ')
		return word;
	while (n && ((uint8_t)text[n] & 0xc0) == 0x80)
		n--;
	return n;
}

void mongo_shape_finish(const struct mongo_shape *shape, bool whole, char out[static QUERY_TEXT_BYTES])
{
	const char *end = "", *text = shape->text;
	size_t n = shape->n;

	if (!whole && !ends(text, n, "..."))
		end = ends(text, n, ", ") || ends(text, n, ": ") || ends(text, n, "{") || ends(text, n, "[") ? "..." : ", ...";
	if (n + strlen(end) >= QUERY_TEXT_BYTES) {
		n = cut_at_word(text, QUERY_TEXT_BYTES - sizeof("..."));
		end = "...";
	}
	memcpy(out, text, n);
	memcpy(out + n, end, strlen(end) + 1);
}

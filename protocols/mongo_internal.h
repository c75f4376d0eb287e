/* SPDX-License-Identifier: Apache-2.0 */
/* What the files behind mongo.h share. */
#ifndef WIREPROF_MONGO_INTERNAL_H
#define WIREPROF_MONGO_INTERNAL_H

#include <string.h>
#include "bson.h"
#include "little_endian.h"
#include "mongo.h"
#include "mongo_wire.h"

/* --- mongo_sections.c: what a message is made of --- */

/* A document sequence: documents one behind the other, named as the array in the body that they stand for. */
#define MONGO_SEQUENCE 0x80 /* as the type of an element; no type of BSON's */

/* The sections of an OP_MSG, in any order. */
struct mongo_sections {
	struct slice rest; /* captured */
	size_t left;	   /* declared, without the checksum */
};

/* Takes the next section: a document without a key, or a sequence. Returns 1, 0 at the end, -EAGAIN, -EPROTO. */
int mongo_next_section(struct mongo_sections *sections, struct bson_element *out);

/* A command, wherever its parts stand. */
struct mongo_command {
	struct bson_element body;	/* the document whose first key is the command's name */
	struct mongo_sections sections; /* sequences in it stand for arrays of the body; {0}: none */
	struct slice database;		/* where the message itself names it: OP_QUERY */
};

/* The command of an OP_MSG. Returns 0, -EAGAIN (its document is not captured), -EPROTO. */
int mongo_open_message(const struct mongo_message *m, struct mongo_command *out);

/* The field of this name, in the body or as a sequence. Returns false where it is not, or is cut off. */
bool mongo_find(const struct mongo_command *command, const char *name, struct bson_element *out);

/* The items of an array or the documents of a sequence. */
struct mongo_items {
	struct bson_reader reader;
	bool is_sequence;
	int err;
};

void mongo_items_begin(const struct bson_element *value, struct mongo_items *out);
/* Returns 1, 0 at the end, or less where the next item is cut off, or bad. */
int mongo_items_next(struct mongo_items *items, struct bson_element *out);

/* "shop.orders": up to the first dot, and behind it. */
void mongo_split(struct slice name, struct slice *database, struct slice *collection);

bool mongo_is(struct slice name, const char *text);

static inline struct slice mongo_slice(const char *text)
{
	return (struct slice){(const uint8_t *)text, strlen(text)};
}

/* --- mongo_names.c --- */

/* Copies a name, printable, cut where a character ends. Returns its length. */
size_t mongo_copy_name(char *out, size_t size, struct slice name);

#define MONGO_KEY_BYTES	 160 /* of a key as it is shown */
#define MONGO_NAME_BYTES 320 /* of the name of a collection, which has up to 255 bytes */

/*
 * Writes a key as the shell has it, bare or quoted, with components that are data as '*'. Not NUL-terminated. Returns its
 * length.
 */
size_t mongo_show_key(struct slice key, char out[static MONGO_KEY_BYTES]);
/* The same for what is always quoted: the path of a field ("$customer.name"), the name of a collection. */
size_t mongo_show_path(struct slice path, char out[static MONGO_KEY_BYTES]);
size_t mongo_show_name(struct slice name, char out[static MONGO_NAME_BYTES]);

/* "$customer.name", "$$ROOT": a name in an expression, where any other string is a value. */
bool mongo_is_path(struct slice text);
/* What may be the key of a field, where a string ought to be one. */
bool mongo_is_key(struct slice text);

/* --- mongo_rules.c: what is shown of which field --- */

/* What a value is, by where it stands. */
enum mongo_mode {
	MODE_VALUE,	/* data, or operators and data */
	MODE_HIDDEN,	/* `?`, whatever is inside */
	MODE_LEFT_OUT,	/* says nothing about the class, and is not shown */
	MODE_TRUE,	/* shown where it is true */
	MODE_ROWS,	/* `[?]`: documents to insert */
	MODE_NAME,	/* of a collection, or {db, coll} */
	MODE_KEY,	/* of a field */
	MODE_FILTER,
	MODE_EXPRESSION, /* of an aggregation: its strings may be paths */
	MODE_SPEC,	/* sort orders and the keys of an index: 1 and -1 are shown, and their order */
	MODE_PIPELINE,	/* stages; or the document of an update */
	MODE_STAGE,
	MODE_JOIN,	/* $lookup and its like: stages that name another collection */
	MODE_TARGET,	/* $out and its like: these may be nothing but its name */
	MODE_FACETS,
	MODE_STATEMENTS, /* of an update or delete command */
	MODE_STATEMENT,
	MODE_OPERATIONS, /* of a bulkWrite */
	MODE_OPERATION,
	MODE_NAMESPACES,
	MODE_NAMESPACE,
	MODE_INDEXES,
	MODE_INDEX,
	MODE_COMMAND, /* the fields of a command that is known */
	MODE_FLAT,    /* the fields of any other */
	MONGO_MODES,
};

enum mongo_order {
	ORDER_SORTED,	/* each once, sorted: the order is the client's whim */
	ORDER_ONCE,	/* each once, as sent */
	ORDER_COLLAPSE, /* as sent; a run of the same is one */
	ORDER_SENT,
};

enum mongo_scalar { SCALAR_HIDDEN, SCALAR_PATH, SCALAR_SIGN, SCALAR_NAME, SCALAR_KEY };

struct mongo_field {
	const char *name;
	uint8_t len;
	uint8_t mode;	 /* enum mongo_mode */
	uint8_t rank;	 /* its place among the fields; those of the same are sorted by name */
	bool skip_empty; /* {} is not shown */
};

#define MONGO_RANK_COMMAND 0 /* of a command's name */
#define MONGO_RANK_NAME	   1 /* of a field that names something */
#define MONGO_RANK_OTHER   9

struct mongo_rule {
	const struct mongo_field *fields;
	uint8_t n_fields;
	uint8_t other; /* mode of the other fields */
	uint8_t item;  /* mode of an array's items */
	uint8_t fields_order, items_order, scalar;
};

extern const struct mongo_rule mongo_rules[MONGO_MODES];

const struct mongo_field *mongo_find_field(enum mongo_mode mode, struct slice key);

/* --- mongo_shape.c --- */

#define MONGO_DEPTH	16 /* of documents within documents that are shown */
#define MONGO_ITEMS	64 /* of a document or an array that are shown */
#define MONGO_LIST_BYTES (QUERY_TEXT_BYTES + 16) /* of a list: what is behind these would never be shown */

/* Text in the making. */
struct mongo_shape {
	size_t n;
	unsigned int depth;
	char text[(MONGO_DEPTH + 4) * (MONGO_LIST_BYTES + 2 * MONGO_KEY_BYTES)];
};

/* Items of a document or an array, each with ", " behind it, while the next one is written behind them. */
struct mongo_list {
	size_t start;
	uint32_t n;
	bool more; /* than are kept */
	uint8_t order;
	uint16_t at[MONGO_ITEMS + 1]; /* from start */
	uint8_t rank[MONGO_ITEMS];
};

void mongo_put(struct mongo_shape *shape, const char *text, size_t n);
void mongo_put_string(struct mongo_shape *shape, const char *text);
void mongo_put_key(struct mongo_shape *shape, struct slice key); /* and ": " */

void mongo_list_begin(struct mongo_shape *shape, struct mongo_list *list, char open, enum mongo_order order);
/* Takes what was written behind the items for the next of them. */
void mongo_list_add(struct mongo_shape *shape, struct mongo_list *list, unsigned int rank);
/* `whole`: nothing is missing behind the items, and nothing is written behind them that was cut. Returns it. */
bool mongo_list_end(struct mongo_shape *shape, struct mongo_list *list, char close, bool whole);

/* These return false where the value is cut, or bad: then nothing more may be written but mongo_shape_finish(). */
bool mongo_put_value(struct mongo_shape *shape, enum mongo_mode mode, const struct bson_element *value);
bool mongo_put_field(struct mongo_shape *shape, struct mongo_list *list, enum mongo_mode mode, const struct bson_element *field);

/* Writes the text, which ends in "..." if it is not whole, or does not fit. */
void mongo_shape_finish(const struct mongo_shape *shape, bool whole, char out[static QUERY_TEXT_BYTES]);

/* --- mongo_commands.c --- */

/* Fills all of *out. Returns 0, -EAGAIN (cut before the command's name), -EPROTO (it is no command). */
int mongo_class_build(const struct mongo_command *command, struct query_class *out);

/* The database that the command names. Returns false where it names none or several, or where that is cut off. */
bool mongo_command_database(const struct mongo_command *command, struct slice *out);

/* Sets operation, collection ("" for an empty one) and, of both, the summary: "find orders". */
void mongo_set_class(struct query_class *class, const char *operation, struct slice collection);
/* Returns false where the summary has no room for it. */
bool mongo_add_word(struct query_class *class, struct slice word);

/* --- mongo_legacy.c: the opcodes of before OP_MSG --- */

/* As mongo_class_build(), of any opcode but OP_MSG. */
int mongo_legacy_build(const struct mongo_message *m, struct query_class *out);

/* The database of such a message; false where it is cut off. OP_KILL_CURSORS has none, but that of its cursors. */
bool mongo_legacy_database(const struct mongo_message *m, struct slice *out);

#endif

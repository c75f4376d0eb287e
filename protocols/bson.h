/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader of BSON documents that are cut. (BSON 1.1, with the types that are deprecated.)
 *
 *	| length 4 | type 1 | key, NUL | value | type 1 | key, NUL | value | ... | 0 |
 *
 * Cut: what is there is fine, but the capture ends before the document does, as its length declares it. -EAGAIN.
 * Bad: no continuation of what is there would be a document: a length that its container has no room for, a type that does
 *	not exist, a key or a string without its NUL, an end that comes early or late. -EPROTO. A length is looked at as soon
 *	as it is captured, a NUL when the byte is.
 *
 * Nothing in front of the cut or of what is bad is lost: the elements come one by one, the last of them with as much of its
 * value as is captured. An element whose key is cut is none yet.
 *
 * Pure functions; slices point into the caller's bytes.
 */
#ifndef WIREPROF_BSON_H
#define WIREPROF_BSON_H

#include <stdbool.h>
#include "slice.h"

#define BSON_LEAST_BYTES 5 /* of a document: length and the end */

enum bson_type {
	BSON_DOUBLE = 0x01,
	BSON_STRING = 0x02,
	BSON_DOCUMENT = 0x03,
	BSON_ARRAY = 0x04,
	BSON_BINARY = 0x05,
	BSON_UNDEFINED = 0x06, /* deprecated */
	BSON_OBJECT_ID = 0x07,
	BSON_BOOLEAN = 0x08,
	BSON_DATE = 0x09,
	BSON_NULL = 0x0a,
	BSON_REGEX = 0x0b,
	BSON_DB_POINTER = 0x0c, /* deprecated */
	BSON_CODE = 0x0d,
	BSON_SYMBOL = 0x0e, /* deprecated */
	BSON_CODE_WITH_SCOPE = 0x0f, /* deprecated */
	BSON_INT32 = 0x10,
	BSON_TIMESTAMP = 0x11,
	BSON_INT64 = 0x12,
	BSON_DECIMAL128 = 0x13,
	BSON_MAX_KEY = 0x7f,
	BSON_MIN_KEY = 0xff,
};

struct bson_element {
	uint8_t type;
	bool whole;	    /* the value is captured to its end */
	struct slice key;   /* without the NUL */
	struct slice value; /* as far as it is captured; of a string with its length, of a document likewise */
};

struct bson_reader {
	struct slice rest; /* captured */
	size_t left;	   /* declared: bytes from rest.ptr to the end of the document, its final 0 included */
};

/*
 * Begins with the document that starts at `captured`, which may hold more than the document. `room` is what the container
 * declares for it, the whole document included, or SIZE_MAX. Returns 0, -EAGAIN (not even its length is there), -EPROTO.
 */
int bson_open(struct slice captured, size_t room, struct bson_reader *out);

/* The same for a document, an array, or the scope of code. -EPROTO where the element is none of these. */
int bson_open_value(const struct bson_element *element, struct bson_reader *out);

/* Takes the next element. Returns 1, 0 at the end of the document, -EAGAIN, -EPROTO; then *out is not touched. */
int bson_next(struct bson_reader *reader, struct bson_element *out);

/* The document's length as declared, where that is captured and a document can be so long; else 0. */
size_t bson_length(struct slice captured);

/* The text of a string that is whole, without the NUL; it may have others inside. Returns false for anything else. */
bool bson_text(const struct bson_element *element, struct slice *out);

/* A whole boolean, int32, int64, or a double without fraction. Returns false for anything else. */
bool bson_integer(const struct bson_element *element, int64_t *out);

#endif

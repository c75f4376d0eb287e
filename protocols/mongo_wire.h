/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/* Numbers of the MongoDB wire protocol that the kernel side needs, too: nothing but constants. */
#ifndef WIREPROF_MONGO_WIRE_H
#define WIREPROF_MONGO_WIRE_H

#define MONGO_HEADER_BYTES	16 /* of a message: length 4, request id 4, response to 4, opcode 4; little-endian */
#define MONGO_LONGEST_MESSAGE	(48000000 + 16384) /* the servers' maxMessageSizeBytes, and room */

enum mongo_opcode {
	OP_REPLY = 1, /* server to client */
	OP_UPDATE = 2001,
	OP_INSERT = 2002,
	OP_QUERY = 2004,
	OP_GET_MORE = 2005,
	OP_DELETE = 2006,
	OP_KILL_CURSORS = 2007,
	OP_COMPRESSED = 2012,
	OP_MSG = 2013,
};

/* Whether a message of this opcode is a client's. */
#define MONGO_ASKS(opcode)                                                                         \
	((opcode) == OP_MSG || (opcode) == OP_COMPRESSED || (opcode) == OP_UPDATE || (opcode) == OP_INSERT || \
	 ((opcode) >= OP_QUERY && (opcode) <= OP_KILL_CURSORS))

/* OP_MSG's flags. */
#define MONGO_CHECKSUM	      (1u << 0) /* CRC-32C behind the last section */
#define MONGO_MORE_TO_COME    (1u << 1) /* no reply is wanted */
#define MONGO_EXHAUST_ALLOWED (1u << 16)
#define MONGO_REQUIRED_FLAGS  0xffffu	/* of these, none but the first two are defined */

/* OP_COMPRESSED: original opcode 4, inflated length 4, compressor 1. */
#define MONGO_COMPRESSED_BYTES 9

enum mongo_compressor { MONGO_NOT_COMPRESSED, MONGO_SNAPPY, MONGO_ZLIB, MONGO_ZSTD };

#endif

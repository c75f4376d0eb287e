# SPDX-License-Identifier: Apache-2.0
"""
Messages of MongoDB's wire protocol, made and taken apart by hand (with pymongo's bson): what servers of ours need, and
clients that send what no driver does.

    | length 4 | request id 4 | response to 4 | opcode 4 | body |        all little-endian
"""
import collections
import struct
import zlib

import bson

OP_REPLY, OP_UPDATE, OP_INSERT, OP_QUERY, OP_GET_MORE, OP_DELETE, OP_KILL_CURSORS = 1, 2001, 2002, 2004, 2005, 2006, 2007
OP_COMPRESSED, OP_MSG = 2012, 2013
CHECKSUM, MORE_TO_COME, EXHAUST_ALLOWED = 1 << 0, 1 << 1, 1 << 16
COMPRESSORS = {"noop": 0, "snappy": 1, "zlib": 2, "zstd": 3}

Message = collections.namedtuple("Message", "id opcode body compressor")


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def compress(name, data):
    if name == "snappy":
        import snappy
        return snappy.compress(data)
    if name == "zlib":
        return zlib.compress(data)
    if name == "zstd":
        from backports import zstd
        return zstd.compress(data)
    return data


def inflate(number, data):
    if number == COMPRESSORS["snappy"]:
        import snappy
        return snappy.uncompress(data)
    if number == COMPRESSORS["zlib"]:
        return zlib.decompress(data)
    if number == COMPRESSORS["zstd"]:
        from backports import zstd
        return zstd.decompress(data)
    return data


def message(opcode, body, request=1, to=0, compressor=None):
    """A whole message. compressor: by name; None sends it as it is."""
    if compressor:
        body = struct.pack("<iiB", opcode, len(body), COMPRESSORS[compressor]) + compress(compressor, body)
        opcode = OP_COMPRESSED
    return struct.pack("<iiii", 16 + len(body), request, to, opcode) + body


def op_msg(document, flags=0, sequences=(), body_last=False, **how):
    """A message of OP_MSG. sequences: [(name, documents), ...], which go as sections of kind 1."""
    sections = [b"\0" + bson.encode(document)]
    for name, documents in sequences:
        data = name.encode() + b"\0" + b"".join(map(bson.encode, documents))
        sections.append(b"\1" + struct.pack("<i", 4 + len(data)) + data)
    if body_last:
        sections.append(sections.pop(0))
    body = struct.pack("<I", flags) + b"".join(sections)
    if flags & CHECKSUM:  # of the message as it is before compression
        header = message(OP_MSG, body + bytes(4), how.get("request", 1), how.get("to", 0))[:16]
        body += struct.pack("<I", crc32c(header + body))
    return message(OP_MSG, body, **how)


def receive(connection, size):
    """That many bytes; none at the end of the stream."""
    data = bytearray()
    while len(data) < size:
        got = connection.recvmsg(size - len(data))[0]  # as mongod does
        if not got:
            return b""
        data += got
    return bytes(data)


def read_message(connection):
    """The next message, inflated; None at the end. Header first, then the rest, as mongod reads."""
    header = receive(connection, 16)
    if not header:
        return None
    length, request, _, opcode = struct.unpack("<iiii", header)
    body, compressor = receive(connection, length - 16), None
    if opcode == OP_COMPRESSED:
        opcode, _, compressor = struct.unpack_from("<iiB", body)
        body = inflate(compressor, body[9:])
    return Message(request, opcode, body, compressor)


def read_op_msg(body):
    """(flags, document) of an OP_MSG's body; document sequences become fields of the document."""
    flags, at = struct.unpack_from("<I", body)[0], 4
    end = len(body) - (4 if flags & CHECKSUM else 0)
    document, sequences = {}, {}
    while at < end:
        kind, size = body[at], struct.unpack_from("<i", body, at + 1)[0]
        section = body[at + 1:at + 1 + size]
        if kind == 0:
            document = bson.decode(section)
        else:
            name, documents = section[4:].split(b"\0", 1)
            sequences[name.decode()] = bson.decode_all(documents)
        at += 1 + size
    return flags, {**document, **sequences}


def read_op_query(body):
    """(collection with its database, document) of an OP_QUERY's body."""
    name, rest = body[4:].split(b"\0", 1)
    size = struct.unpack_from("<i", rest, 8)[0]
    return name.decode(), bson.decode(rest[8:8 + size])

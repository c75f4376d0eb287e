# SPDX-License-Identifier: Apache-2.0
"""
The files of tests/corpus/mysql.

NAME.mysql: what one connection carried, as chunks in the order in which a proxy in the middle saw them:

    u8 'C' or 'S': who sent   u32 little-endian: length   bytes

Chunks are what one receive gave; packets may span them, and share them.

NAME.txt: what the client asked, a command a line, in order: COMMAND, tab, text. The text is

    QUERY, STMT_PREPARE                                                 the SQL text
    STMT_EXECUTE, STMT_FETCH, STMT_BULK_EXECUTE, STMT_RESET, STMT_SEND_LONG_DATA   the SQL text of that statement
    CONNECT, INIT_DB, CHANGE_USER                                       the schema, or nothing
    FIELD_LIST                                                          the table
    others                                                              nothing

with newline, tab and backslash written as \\n, \\t and \\\\. Bytes, not characters: a text is what was on the wire.
A text longer than TEXT_LIMIT is cut there, and \\+ ends it. CONNECT_TLS means that nothing more can be known.
"""
import os
import struct

HERE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "corpus", "mysql")
TEXT_LIMIT = 8192


def escape(text):
    text = text.encode() if isinstance(text, str) else text
    rest = b"\\+" if len(text) > TEXT_LIMIT else b""
    return text[:TEXT_LIMIT].replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\t", b"\\t") + rest


def write(name, chunks, asked, directory=HERE):
    """chunks: [(b"C" or b"S", bytes)]; asked: [(command, text)]."""
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, name + ".mysql"), "wb") as f:
        for who, data in chunks:
            f.write(who + struct.pack("<I", len(data)) + data)
    with open(os.path.join(directory, name + ".txt"), "wb") as f:
        for command, text in asked:
            f.write(command.encode() + b"\t" + escape(text) + b"\n")

# SPDX-License-Identifier: Apache-2.0
"""
The files of tests/corpus/mongo.

NAME.mongo: what one connection carried, as chunks in the order in which a proxy in the middle saw them:

    u8 'C' or 'S': who sent   u32 little-endian: length   bytes

Chunks are what one receive gave; messages may span them, and share them.

NAME.txt: what the client asked, a command a line, in order: COMMAND, tab, collection, tab, database, tab, summary.

    COMMAND     as the driver calls it: find, getMore, hello; an OP_INSERT and its like as insert, update, delete,
                an OP_QUERY on a collection as find, an OP_GET_MORE as getMore, an OP_KILL_CURSORS as killCursors
    collection  that it names; nothing where it names none
    summary     what its samples are to carry: the command, and the collection; of an aggregate, then its stages, each
                with the collection that it reads or writes besides; of a getMore, that of what opened the cursor

Every string that is a value, every regular expression and every binary value holds SECRET, where the command is not
the driver's own (hello); numbers that are values may be 719719719719. None of them may come out anywhere. Names of fields,
of collections and of indexes, paths ("$item"), and options of regular expressions have no SECRET.
"""
import os
import struct

HERE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "corpus", "mongo")


def write(name, chunks, lines, directory=HERE):
    """chunks: [(b"C" or b"S", bytes)]; lines: [(command, collection, database, summary)]."""
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, name + ".mongo"), "wb") as f:
        for who, data in chunks:
            f.write(who + struct.pack("<I", len(data)) + data)
    with open(os.path.join(directory, name + ".txt"), "w", encoding="utf-8") as f:
        for line in lines:
            f.write("\t".join(line) + "\n")

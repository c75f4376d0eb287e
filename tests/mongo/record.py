# SPDX-License-Identifier: Apache-2.0
"""
Records tests/corpus/mongo anew: real clients talk to FerretDB, and to a server of our own that compresses and streams,
through a proxy that keeps the bytes.

    /usr/bin/python3 tests/mongo/record.py [SESSION ...]            (after make check-packages clients)

What a client asked is known from what it was told to do, and from the driver's own word (sessions.py). The bytes are
taken apart to check that, by code that is not the parser's (messages.py).
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), os.path.join(os.path.dirname(HERE), "live")]

import clients

clients.use_python_packages()

import corpus
import messages
import sessions
from compiled import read_line
from mongo_server import MongoServer
from proxy import Proxy

LEGACY = {messages.OP_INSERT: "insert", messages.OP_UPDATE: "update", messages.OP_DELETE: "delete", messages.OP_GET_MORE: "getMore"}
SIZE_LIMIT = 600_000


class Bytes:
    """What a client sent, read like a socket."""

    def __init__(self, data):
        self.data = data

    def recv(self, size):
        got, self.data = self.data[:size], self.data[size:]
        return got


def seen(chunks):
    """(command, collection, database) of each message that the client sent."""
    stream, found = Bytes(b"".join(data for who, data in chunks if who == b"C")), []
    while stream.data:
        m = messages.read_message(stream)
        if m.opcode == messages.OP_MSG:
            command = messages.read_op_msg(m.body)[1]
            database = command.get("$db")
        elif m.opcode == messages.OP_QUERY:
            name, command = messages.read_op_query(m.body)
            database, collection = name.split(".", 1)
            command = command if collection == "$cmd" else {"find": collection}
        elif m.opcode == messages.OP_KILL_CURSORS:
            command, database = {"killCursors": None}, ""
        else:
            database, collection = m.body[4:].split(b"\0")[0].decode().split(".", 1)
            command = {LEGACY[m.opcode]: collection, "collection": collection}
        name = next(iter(command))
        collection = command.get("collection") if name == "getMore" else command[name]
        found.append((name, collection if isinstance(collection, str) else "", database))
    return found


def neutral(chunks):
    """Drivers tell the release of the kernel, which is nobody's business; the length stays."""
    release = os.uname().release.encode()
    return [(who, data.replace(release, b"0" * len(release))) for who, data in chunks]


def record(session, proxy):
    asked = session(proxy.port)
    chunks = proxy.take()
    base = session.__name__
    if len(asked) != len(chunks):
        raise AssertionError("%s: %d connections told of, %d seen" % (base, len(asked), len(chunks)))
    total = 0
    for i, (lines, data) in enumerate(zip(asked, chunks)):
        told, there = [line[:3] for line in lines], seen(data)
        if told != there:
            different = next((n for n, pair in enumerate(zip(told, there)) if pair[0] != pair[1]), min(len(told), len(there)))
            raise AssertionError("%s: connection %d, command %d: told %s, seen %s" %
                                 (base, i, different, told[different:][:2], there[different:][:2]))
        # The monitor's connection is alike in all sessions.
        if i != 1 and len(asked) > 1 and base not in ("pymongo_handshake", "pymongo_streaming", "node_find"):
            continue
        name = base if len(asked) == 1 or i == 1 else "%s_monitor%s" % (base, "" if i == 0 else "_2")
        corpus.write(name, neutral(data), lines)
        total += sum(len(d) for _, d in data)
        print("%-28s %6d bytes in %3d chunks, %3d commands" %
              (name, sum(len(d) for _, d in data), len(data), len(lines)), flush=True)
    return total


class OurServer:
    def __init__(self, *options):
        self.options = options

    def __enter__(self):
        self.process = subprocess.Popen([clients.installed(clients.PYTHON), os.path.join(HERE, "compressing_server.py"), "0",
                                         *self.options], stdout=subprocess.PIPE, text=True)
        self.port = int(read_line(self.process))
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def main():
    only = sys.argv[1:]
    total = 0
    for start, group in ((MongoServer, sessions.FERRETDB), (OurServer, sessions.OURS),
                         (lambda: OurServer("--stream"), sessions.STREAMING)):
        for session in group:
            if not only or session.__name__ in only:
                with start() as server, Proxy(("127.0.0.1", server.port)) as proxy:  # a server that knows nothing yet
                    total += record(session, proxy)
    if total > SIZE_LIMIT:
        raise AssertionError("%d bytes are too many for a repository" % total)


if __name__ == "__main__":
    main()

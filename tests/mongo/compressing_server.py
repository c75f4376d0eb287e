# SPDX-License-Identifier: Apache-2.0
"""
A server of MongoDB's protocol that compresses, says that it is the primary of a replica set, and streams: what FerretDB
does not. A thread a connection, header and body in receives of their own, as mongod does. It keeps what is inserted, but
finds everything: filters are not looked at.

    build/venv/bin/python compressing_server.py PORT [--stream]

--stream: hello is answered over and over where the client allows that, every 200 ms. A command whose comment ends with
"burn N" costs N milliseconds of CPU. Ended by SIGTERM, it prints what each command has cost, by its own accounting:
nanoseconds, tab, command, tab, collection; a getMore counts as what opened its cursor.
"""
import collections
import datetime
import itertools
import re
import signal
import socket
import struct
import sys
import threading
import time

import bson
import messages

STARTED = bson.ObjectId()
CLUSTER_TIME = {"clusterTime": bson.Timestamp(1700000000, 1), "signature": {"hash": bytes(20), "keyId": bson.Int64(0)}}
COMMON = {"ok": 1.0, "operationTime": bson.Timestamp(1700000000, 1), "$clusterTime": CLUSTER_TIME}
COST = collections.Counter()
DATA = collections.defaultdict(list)  # (database, collection) -> documents
CURSORS = {}  # id -> (what opened it, namespace, documents that are left)
LOCK = threading.Lock()
REQUESTS, CURSOR_IDS = itertools.count(1), itertools.count(0x5EC0000000000001)
WRITES = {"insert": "documents", "update": "updates", "delete": "deletes"}


def burn(command, key):
    start = time.thread_time_ns()
    found = re.search(r"burn (\d+)$", str(command.get("comment", "")))
    if found:
        end = start + int(found.group(1)) * 1_000_000
        while time.thread_time_ns() < end:
            sum(range(500))
    with LOCK:
        COST[key] += time.thread_time_ns() - start


def hello(server, asked):
    both = [c for c in asked.get("compression", []) if c in server.compressors]
    address = "127.0.0.1:%d" % server.port
    version = {"topologyVersion": {"processId": STARTED, "counter": bson.Int64(0)}} if server.streaming else {}
    return {**COMMON, "helloOk": True, "isWritablePrimary": True, "ismaster": True, "secondary": False, "setName": "set",
            "setVersion": 1, "hosts": [address], "primary": address, "me": address, "electionId": STARTED,
            **version, "localTime": datetime.datetime.now(),
            "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000,
            "logicalSessionTimeoutMinutes": 30, "connectionId": 1, "minWireVersion": 0, "maxWireVersion": 21, "readOnly": False,
            **({"compression": both} if both else {})}


def cursor(key, namespace, documents, size):
    """The first batch of a reply, and a cursor for the others."""
    number = 0
    if len(documents) > size:
        number = next(CURSOR_IDS)
        CURSORS[number] = (key, namespace, documents[size:])
    return {"cursor": {"firstBatch": documents[:size], "id": bson.Int64(number), "ns": "%s.%s" % namespace}}


def more(command):
    number = command["getMore"]
    if number not in CURSORS:
        return {"ok": 0.0, "code": 43, "codeName": "CursorNotFound", "errmsg": "cursor not found"}
    key, namespace, documents = CURSORS.pop(number)
    size = command.get("batchSize", 1000)
    if len(documents) > size:
        CURSORS[number] = (key, namespace, documents[size:])
    return {"cursor": {"nextBatch": documents[:size], "id": bson.Int64(number if number in CURSORS else 0),
                       "ns": "%s.%s" % namespace}}


def found(name, key, command, namespace):
    """Replies of what reads or writes documents."""
    documents = DATA[namespace]
    if name == "find":
        limit = command.get("limit") or len(documents)
        return cursor(key, namespace, documents[:limit], command.get("batchSize", 101))
    if name == "aggregate":
        grouped = [{"_id": i, "n": len(documents)} for i in range(min(50, 1 + len(documents)))]
        return cursor(key, namespace, grouped, command.get("cursor", {}).get("batchSize", 101))
    if name == "count":
        return {"n": len(documents)}
    if name == "distinct":
        return {"values": sorted({str(d.get(command["key"])) for d in documents})}
    if name == "findAndModify":
        return {"value": documents[0] if documents else None, "lastErrorObject": {"n": 1, "updatedExisting": True}}
    if name == "insert":
        documents += command["documents"]
        del documents[:-20_000]
    return {"n": len(command[WRITES[name]]), "nModified": 1} if name == "update" else {"n": len(command[WRITES[name]])}


def answer(server, command):
    """What a command is answered with; it costs what its comment says."""
    name = next(iter(command))
    namespace = (command.get("$db", "admin"), command[name] if isinstance(command[name], str) else command.get("collection", ""))
    key = (name, namespace[1])
    if name == "getMore":
        key = CURSORS[command[name]][0] if command[name] in CURSORS else key
    burn(command, key)
    with LOCK:
        if name in ("hello", "isMaster", "ismaster"):
            return hello(server, command)
        if name == "getMore":
            return {**COMMON, **more(command)}
        if name in ("find", "aggregate", "count", "distinct", "findAndModify", *WRITES):
            return {**COMMON, **found(name, key, command, namespace)}
        if name == "killCursors":
            return {**COMMON, "cursorsKilled": [CURSORS.pop(c) and c for c in command["cursors"] if c in CURSORS]}
        if name in ("listCollections", "listIndexes"):
            return {**COMMON, **cursor(key, namespace, [], 101)}
        return dict(COMMON)


def legacy_reply(document, to):
    return messages.message(messages.OP_REPLY, struct.pack("<IqII", 8, 0, 0, 1) + bson.encode(document), next(REQUESTS), to)


class Server:
    def __init__(self, port, streaming=False, compressors=("snappy", "zlib", "zstd")):
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port, self.streaming, self.compressors = self.listener.getsockname()[1], streaming, compressors

    def run(self):
        while True:
            connection = self.listener.accept()[0]
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            try:
                while True:
                    m = messages.read_message(connection)
                    if not m:
                        return
                    self.reply(connection, m)
            except OSError:
                pass

    def reply(self, connection, m):
        if m.opcode == messages.OP_QUERY:
            name, command = messages.read_op_query(m.body)
            document = answer(self, command) if name.endswith(".$cmd") else {"_id": 1}
            connection.sendall(legacy_reply(document, m.id))
        elif m.opcode == messages.OP_GET_MORE:
            connection.sendall(legacy_reply({"_id": 2}, m.id))
        elif m.opcode == messages.OP_MSG:
            self.reply_to_op_msg(connection, m)

    def reply_to_op_msg(self, connection, m):
        flags, command = messages.read_op_msg(m.body)
        document, name = answer(self, command), next(iter(command))
        compressor = {v: k for k, v in messages.COMPRESSORS.items()}.get(m.compressor)
        if flags & messages.MORE_TO_COME:
            return
        to = m.id
        while flags & messages.EXHAUST_ALLOWED:
            if name in ("hello", "ismaster"):
                if not self.streaming:
                    break
                time.sleep(0.2)  # as if nothing had changed for so long
            elif not (name == "getMore" and document.get("cursor", {}).get("id")):
                break
            request = next(REQUESTS)
            connection.sendall(messages.op_msg(document, messages.MORE_TO_COME, request=request, to=to, compressor=compressor))
            to, document = request, answer(self, command)
        connection.sendall(messages.op_msg(document, request=next(REQUESTS), to=to, compressor=compressor))


def stop(*_):
    raise SystemExit


def main():
    signal.signal(signal.SIGTERM, stop)
    server = Server(int(sys.argv[1]), streaming="--stream" in sys.argv)
    print(server.port, flush=True)
    try:
        server.run()
    finally:
        for (name, collection), nanoseconds in COST.items():
            print("%d\t%s\t%s" % (nanoseconds, name, collection), flush=True)


if __name__ == "__main__":
    main()

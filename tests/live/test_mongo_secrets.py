# SPDX-License-Identifier: Apache-2.0
"""
No value of a command leaves: secrets are planted in every form and at many lengths, and looked for in every output.

Secrets repeat a pattern that nothing else has, so that a part of one is found as well.
"""
import gzip
import os
import re
import socket
import subprocess
import sys
import time
import unittest
import uuid

import clients

clients.use_python_packages()
import bson
import pymongo
from bson.code import Code
from compiled import read_line
from harness import ROOT, Load, until
from mongo_server import MongoServer
from pymongo.errors import PyMongoError
from recording import Recording

sys.path.append(os.path.join(ROOT, "tests", "mongo"))
import messages

S = "ZQZQZQ"
LONG = S * 8
NUMBER = 719719719719
ID = bson.ObjectId(b"ZQZQZQZQZQZQ")
FOUND = re.compile(rb"ZQZQ\w*|(?i:5a515a51\w*)|719719719\d*")
CANARY = "canary_collection"  # no secret: what shows that texts come through at all
SERVER = os.path.join(ROOT, "tests", "mongo", "compressing_server.py")
# What a value may be. Each goes wherever a value may stand.
VALUES = [S, LONG, NUMBER, float(NUMBER), -NUMBER, bson.Decimal128("719719719.719719719"), bson.Binary(LONG.encode()),
          bson.Binary(LONG.encode(), 5), ID, bson.Regex("^" + S + ".*", "i"), bson.Timestamp(719719719, 719719719), Code(LONG),
          Code(S, {"scope": S}), [S, NUMBER], [[LONG]], {"inner": S, "deep": {"er": LONG}}, bson.DBRef(S, ID),
          bson.Binary.from_uuid(uuid.UUID(bytes=b"ZQZQZQZQZQZQZQZQ")), bson.MinKey(), None, True]
# Commands with {v} for a value. Many are refused, and are no less secret.
FORMS = [
    {"find": CANARY, "filter": {"a": "{v}"}}, {"find": CANARY, "filter": {"_id": "{v}"}, "projection": {"a": "{v}"}},
    {"find": CANARY, "filter": {"a": {"$gt": "{v}", "$ne": "{v}"}, "b": {"$in": ["{v}", "{v}"]}}},
    {"find": CANARY, "filter": {"$or": [{"a": "{v}"}, {"$nor": [{"b.c": {"$not": {"$eq": "{v}"}}}]}]}, "comment": "{v}"},
    {"find": CANARY, "filter": {"a": {"$regex": LONG, "$options": "i"}, "b": {"$elemMatch": {"c": "{v}"}}}},
    {"find": CANARY, "filter": {"$expr": {"$eq": ["$a", "{v}"]}}, "let": {"x": "{v}"}, "hint": "{v}", "min": {"a": "{v}"}, "max": {"a": "{v}"}},
    {"find": CANARY, "filter": {"$where": "this.a == '%s'" % LONG, "$text": {"$search": LONG}, "$jsonSchema": {"title": LONG}}},
    {"find": CANARY, "sort": {"a": "{v}"}, "skip": 719719719, "limit": 719719719, "batchSize": 719719719},
    {"find": CANARY, "filter": "{v}"}, {"find": CANARY, "collation": {"locale": S}, "readConcern": {"level": S}, "maxTimeMS": NUMBER},
    {"aggregate": CANARY, "pipeline": [{"$match": {"a": "{v}"}}, {"$group": {"_id": "{v}", "n": {"$sum": "{v}"}}}], "cursor": {}},
    {"aggregate": CANARY, "pipeline": [{"$lookup": {"from": CANARY, "let": {"x": "{v}"}, "pipeline": [{"$match": {"a": "{v}"}}], "as": "b"}}],
     "cursor": {}},
    {"aggregate": CANARY, "pipeline": [{"$set": {"a": "{v}"}}, {"$project": {"b": {"$literal": "{v}"}}}, {"$replaceRoot": {"newRoot": "{v}"}}],
     "cursor": {}},
    {"aggregate": CANARY, "pipeline": [{"$facet": {"one": [{"$match": {"a": "{v}"}}]}}, {"$limit": NUMBER}, {"$skip": NUMBER}], "cursor": {}},
    {"aggregate": CANARY, "pipeline": [{"$bucket": {"groupBy": "$a", "boundaries": [1, "{v}"], "default": "{v}"}}], "cursor": {"batchSize": 719719719}},
    {"aggregate": CANARY, "pipeline": ["{v}"], "cursor": {}}, {"aggregate": CANARY, "pipeline": "{v}"}, {"aggregate": 1, "pipeline": [{"$documents": ["{v}"]}]},
    {"insert": CANARY, "documents": [{"_id": "{v}", "a": "{v}"}, {"a": [{"b": "{v}"}]}]}, {"insert": CANARY, "documents": "{v}"},
    {"update": CANARY, "updates": [{"q": {"a": "{v}"}, "u": {"$set": {"a": "{v}", "b.c": "{v}"}, "$push": {"d": {"$each": ["{v}"]}}}, "upsert": True}]},
    {"update": CANARY, "updates": [{"q": {"_id": "{v}"}, "u": {"a": "{v}"}}, {"q": {}, "u": [{"$set": {"a": "{v}"}}], "multi": True}]},
    {"update": CANARY, "updates": [{"q": {}, "u": {"$set": {"a.$[x]": "{v}"}}, "arrayFilters": [{"x": "{v}"}]}]},
    {"delete": CANARY, "deletes": [{"q": {"a": "{v}"}, "limit": 1}, {"q": {"_id": {"$in": ["{v}", "{v}"]}}, "limit": 0}]},
    {"findAndModify": CANARY, "query": {"a": "{v}"}, "update": {"$set": {"a": "{v}"}}, "fields": {"a": "{v}"}},
    {"count": CANARY, "query": {"a": "{v}"}}, {"distinct": CANARY, "key": "a", "query": {"a": "{v}"}},
    {"createIndexes": CANARY, "indexes": [{"key": {"a": 1}, "name": "a", "partialFilterExpression": {"a": "{v}"}}]},
    {"mapReduce": CANARY, "map": Code(LONG), "reduce": Code(LONG), "query": {"a": "{v}"}, "out": {"inline": 1}},
    {"explain": {"find": CANARY, "filter": {"a": "{v}"}}}, {"listCollections": 1, "filter": {"a": "{v}"}}, {"comment": "{v}", "find": CANARY},
    {"createUser": S, "pwd": LONG, "roles": [], "customData": {"a": "{v}"}}, {"updateUser": S, "pwd": LONG}, {"dropUser": LONG},
    {"saslStart": 1, "mechanism": "PLAIN", "payload": bson.Binary(("\0%s\0%s" % (S, LONG)).encode())}, {"authenticate": 1, "user": S, "key": LONG},
    {"getMore": bson.Int64(NUMBER), "collection": CANARY}, {"killCursors": CANARY, "cursors": [bson.Int64(NUMBER)]},
    {"setParameter": 1, "what": "{v}"}, {"ping": "{v}"}, {"validate": CANARY, "what": "{v}"},
]
# The secret begins near this offset of the message: about each limit that a capture may have.
OFFSETS = [at for base in (64, 128, 256, 512, 1024, 2048, 4096, 8192) for at in range(base - 26, base + 3, 1 if base == 4096 else 5)]
CONTAINERS = [LONG, bson.Binary(LONG.encode()), bson.Regex(LONG), NUMBER, [LONG], {"inner": LONG}, ID, Code(LONG)]
HEAD = 16 + 4 + 1  # of an OP_MSG, before its first document


def filled(form, value):
    """The form with this value in it."""
    if isinstance(form, dict) and not isinstance(form, Code):
        return {k: filled(v, value) for k, v in form.items()}
    if isinstance(form, list):
        return [filled(v, value) for v in form]
    return value if isinstance(form, str) and form == "{v}" else form


def cut(container, offset):
    """Commands whose value begins at this offset of the message: behind a long field, and in one of many documents."""
    command = {"find": CANARY, "filter": {"pad": "", "a": container}}
    begins = HEAD + bson.encode(command).index(b"pad\0") + 8
    command["filter"]["pad"] = "p" * max(0, offset - begins - 4)
    return [command, {"find": CANARY, "filter": {"a": {"$in": ["p"] * (max(0, offset - 60) // 11) + [container]}}}]


class Client:
    """One connection of PyMongo; whatever becomes of its commands."""

    def __init__(self, port, **options):
        # FerretDB may not answer any more, having panicked over what came by hand.
        self.client = pymongo.MongoClient("127.0.0.1", port, directConnection=True, maxPoolSize=1,
                                          **{"socketTimeoutMS": 2000, "serverSelectionTimeoutMS": 2000, **options})
        self.db = self.client.shop

    def run(self, command):
        try:
            self.db.command(command)
        except (PyMongoError, bson.errors.BSONError, TypeError):  # by the server, or already by the driver
            pass

    def close(self):
        self.client.close()


def sends(port, commands, **options):
    """A load function: the commands in any order, over and over, and a canary that costs the server something."""
    def run(random, deadline):
        c, all_commands = Client(port, **options), list(commands())
        for _ in until(deadline):
            random.shuffle(all_commands)
            for i, command in enumerate(all_commands):
                if time.monotonic() > deadline:
                    break
                c.run(command)
                if i % 10 == 0:
                    c.run({"find": CANARY, "filter": {"canary_field": {"$gt": 5}}, "comment": "burn 5"})
        c.close()
    return run


def drives(port, **options):
    """A load function: what only drivers do: document sequences, cursors, writes without reply."""
    def run(_, deadline):
        c = Client(port, **options)
        items = c.db[CANARY]
        quiet = c.db.get_collection(CANARY, write_concern=pymongo.WriteConcern(w=0)) if options else items
        for n in until(deadline):
            try:
                items.insert_many([{"_id": "%s-%d-%d" % (S, n, i), "a": LONG, "n": NUMBER} for i in range(200)])
                list(items.find({"a": LONG, "n": {"$gte": NUMBER}}, batch_size=20).comment(S))
                items.bulk_write([pymongo.UpdateOne({"_id": "%s-%d-%d" % (S, n, i)}, {"$set": {"b": LONG}}) for i in range(20)])
                quiet.insert_one({"a": LONG})
                items.delete_many({"_id": re.compile("^" + S)})
            except PyMongoError:
                pass
        c.close()
    return run


def connects(port):
    """A load function: connections with secrets in what they say of themselves, and in how they log in."""
    def run(random, deadline):
        for _ in until(deadline):
            c = Client(port, appname=LONG, username=S, password=LONG, serverSelectionTimeoutMS=1000,
                       authSource=random.choice(["admin", "shop"]), authMechanism=random.choice(["PLAIN", "SCRAM-SHA-256"]))
            c.run({"ping": 1})
            c.close()
    return run


def by_hand(port):
    """A load function: opcodes of old, sections in another order, messages that lie about their lengths."""
    name = b"shop." + CANARY.encode() + b"\0"
    document = bson.encode({"a": LONG, "n": NUMBER, "inner": {"b": [LONG]}})
    bodies = [(messages.OP_INSERT, bytes(4) + name + document * 3), (messages.OP_UPDATE, bytes(4) + name + bytes(4) + document * 2),
              (messages.OP_DELETE, bytes(4) + name + bytes(4) + document), (messages.OP_QUERY, bytes(4) + name + bytes(8) + document),
              (messages.OP_QUERY, bytes(4) + b"shop.$cmd\0" + bytes(8) + bson.encode({"count": CANARY, "query": {"a": LONG}})),
              (messages.OP_QUERY, bytes(4) + (LONG * 9).encode() + b"\0" + bytes(8) + document),
              (messages.OP_MSG, bytes(4) + b"\1" + (4 + 10 + len(document)).to_bytes(4, "little") + b"documents\0" + document),
              (messages.OP_MSG, bytes(4) + b"\0" + document), (messages.OP_MSG, bytes(5) + (S * 900).encode()), (2013719, (S * 99).encode())]
    texts = [messages.message(opcode, body) for opcode, body in bodies]
    texts += [messages.op_msg({"insert": CANARY, "$db": "shop"}, sequences=[("documents", [{"a": LONG}])], body_last=True, compressor=c)
              for c in (None, "snappy", "zlib", "zstd")]

    def run(random, deadline):
        for _ in until(deadline):
            text = bytearray(random.choice(texts))
            if random.random() < 0.3:  # a byte of the lengths and types at the beginning
                text[random.randrange(16, min(60, len(text)))] = random.randrange(256)
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=0.2) as s:
                    s.sendall(text)
                    s.recv(1 << 16)
            except OSError:
                pass
    return run


def forms():
    return (filled(form, value) for form in FORMS for value in VALUES)


def lengths():
    return (command for at in OFFSETS for container in CONTAINERS for command in cut(container, at))


class Secrets(unittest.TestCase):
    def recorded(self, pid, functions, ending=".pb.gz", seconds=5, env=None):
        """All that comes out of a recording under this load: its file, and what it printed."""
        with Recording(pid, "--verbose", hz=4999, ending=ending, env=env) as recording:
            with Load(functions, seconds):
                pass
            recording.stop()
        data = gzip.decompress(recording.data) if ending.endswith(".gz") else recording.data
        return data, recording.text.encode()

    def assert_kept(self, data, text, canary=True):
        self.assertEqual(set(FOUND.findall(data)) | set(FOUND.findall(text)), set())
        if canary:
            self.assertTrue(CANARY.encode() in data, "no text at all came through: this shows nothing")

    def each_output(self, pid, *functions, **how):
        for ending in (".pb.gz", ".html", ".folded"):
            with self.subTest(ending):
                self.assert_kept(*self.recorded(pid, functions, ending=ending, **how), canary=ending != ".folded")


class OfFerretDB(Secrets):
    def setUp(self):
        self.server = MongoServer()
        self.server.__enter__()
        self.addCleanup(self.server.__exit__)
        db = pymongo.MongoClient(self.server.uri)
        db.shop[CANARY].insert_many([{"canary_field": i} for i in range(15)])
        db.close()

    def test_every_form_in_every_output(self):
        self.each_output(self.server.pid, sends(self.server.port, forms), drives(self.server.port))

    def test_every_length(self):
        self.each_output(self.server.pid, sends(self.server.port, lengths), seconds=8)

    def test_fallback_hook(self):
        env = {"WIREPROF_HOOK": "sys_exit"}
        self.assert_kept(*self.recorded(self.server.pid, [sends(self.server.port, forms), sends(self.server.port, lengths)], env=env))

    def test_connections_and_passwords(self):
        canary = sends(self.server.port, lambda: [{"find": CANARY}])
        self.each_output(self.server.pid, connects(self.server.port), canary)

    def test_by_hand(self):
        canary = sends(self.server.port, lambda: [{"find": CANARY}])
        self.assert_kept(*self.recorded(self.server.pid, [by_hand(self.server.port), canary]))


class OfCompressed(Secrets):
    def setUp(self):
        self.process = subprocess.Popen([clients.installed(clients.PYTHON), SERVER, "0"], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(self.end)
        self.port = int(read_line(self.process))

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def test_every_compressor(self):
        for compressor in ("snappy", "zlib", "zstd"):
            with self.subTest(compressor):
                how = {"compressors": compressor}
                self.assert_kept(*self.recorded(self.process.pid, [sends(self.port, forms, **how), sends(self.port, lengths, **how),
                                                                   drives(self.port, **how)]))

    def test_longer_than_is_captured(self):
        """Texts that hardly compress, so that what is captured cannot be inflated to its end."""
        noise = "".join(chr(97 + i * i * 7919 % 26) + str(i * 104729 % 9973) for i in range(6000))
        commands = [{"find": CANARY, "filter": {"a": noise, "b": LONG}}, {"find": CANARY, "filter": {"b": LONG, "a": noise}},
                    {"insert": CANARY, "documents": [{"a": LONG + noise + LONG}]}]
        for compressor in ("snappy", "zlib", "zstd"):
            with self.subTest(compressor):
                self.assert_kept(*self.recorded(self.process.pid, [sends(self.port, lambda: commands, compressors=compressor)]))

    def test_by_hand(self):
        canary = sends(self.port, lambda: [{"find": CANARY}])
        self.assert_kept(*self.recorded(self.process.pid, [by_hand(self.port), canary]))


if __name__ == "__main__":
    unittest.main(verbosity=2)

# SPDX-License-Identifier: Apache-2.0
"""
What the recorded clients do. A session is run(port), and returns for each connection that it made, in order, what that
asked: [(command, collection, database, summary), ...]. It goes by what the drivers tell of their commands, not by bytes.
"""
import datetime
import json
import os
import re
import socket
import subprocess
import time

import bson
import clients
import messages
import pymongo
from pymongo.errors import PyMongoError
from pymongo.monitoring import CommandListener, ServerHeartbeatListener

HERE = os.path.dirname(os.path.abspath(__file__))
S = "SECRET"
NUMBER = 719719719719
FOREIGN = {"$lookup": "from", "$graphLookup": "from", "$unionWith": "coll"}  # where a stage names a collection
HANDSHAKE = ("ismaster", "", "admin", "ismaster")  # OP_QUERY; drivers still begin so
HELLO = ("hello", "", "admin", "hello")


def stages_of(pipeline):
    words = []
    for stage in pipeline:
        name = next(iter(stage))
        words.append(name)
        other = stage[name].get(FOREIGN.get(name)) if isinstance(stage[name], dict) else None
        words += [other] if other else []
    return words


def line_of(name, command, database, opened=None):
    """The line of a command. opened: what opened its cursor, for a getMore."""
    collection = command.get("collection", "") if name == "getMore" else command[name] if isinstance(command[name], str) else ""
    if collection == S:  # what a command that nobody knows is about is a value
        collection = ""
    words = [name] + ([collection] if collection else [])
    if name == "aggregate":
        words += stages_of(command["pipeline"])
    return name, collection, database, opened or " ".join(words)


class Told(CommandListener, ServerHeartbeatListener):
    """What PyMongo says of its commands."""

    def __init__(self):
        self.lines, self.cursors, self.asked, self.heartbeats = [], {}, {}, 0

    def started(self, event):
        if not hasattr(event, "command"):  # a heartbeat's
            self.heartbeats += 1
            return
        command, name = event.command, event.command_name
        self.lines.append(line_of(name, command, event.database_name, self.cursors.get(command.get("getMore"))))
        self.asked[event.request_id] = self.lines[-1]

    def succeeded(self, event):
        cursor = isinstance(event.reply, dict) and event.reply.get("cursor")
        if cursor and event.command_name != "getMore":
            self.cursors[cursor["id"]] = self.asked[event.request_id][3]

    def failed(self, _):
        pass


class Python:
    """PyMongo with two connections: the monitor's, and one for commands."""

    def __init__(self, port, **options):
        self.told = Told()
        self.client = pymongo.MongoClient("127.0.0.1", port, directConnection=True, maxPoolSize=1, appname=S + "app",
                                          event_listeners=[self.told],
                                          **{"serverMonitoringMode": "poll", "heartbeatFrequencyMS": 60_000, **options})
        self.db = self.client.shop

    def reads(self, cursor):
        """All of it; where the server refuses the command, that was asked as well."""
        try:
            return list(cursor)
        except PyMongoError:
            return []

    def fails(self, method, *values, **named):
        try:
            method(*values, **named)
        except PyMongoError:
            return
        raise AssertionError("%s was to fail" % method)

    def close(self):
        self.client.close()
        heartbeats = [HELLO] * (self.told.heartbeats - 1)
        return [[HANDSHAKE, *heartbeats], [HANDSHAKE, *self.told.lines]]


def orders(n, first=0):
    return [{"_id": "%s-%d" % (S, i), "status": S + ("paid", "open", "late")[i % 3], "total": i * 37 % 1000, "item": i % 50,
             "customer": {"name": "%s name %d" % (S, i), "phones": [NUMBER, S]}, "date": datetime.datetime(2024, 1, 1 + i % 28),
             "tags": [S + "a", S + "b"], "photo": bson.Binary(S.encode() * 2)} for i in range(first, first + n)]


LOOKUP = [{"$match": {"status": S + "paid", "total": {"$gt": NUMBER}}},
          {"$lookup": {"from": "products", "localField": "item", "foreignField": "_id", "as": "product"}},
          {"$group": {"_id": "$product.category", "n": {"$sum": 1}, "label": {"$first": S}}}]


# --- PyMongo and FerretDB ---
def pymongo_handshake(port):
    c = Python(port, heartbeatFrequencyMS=500)
    c.client.admin.command("ping")
    c.client.server_info()
    deadline = time.monotonic() + 10
    while c.told.heartbeats < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)  # so that the last has been answered, and the next not begun
    return c.close()


def pymongo_find(port):
    c = Python(port)
    c.db.orders.insert_many(orders(40))
    c.reads(c.db.orders.find({}, batch_size=15))
    c.reads(c.db.orders.find({"status": S + "paid", "total": {"$gt": 5}}).sort("date", -1))
    c.db.orders.find_one({"_id": S + "-7"})
    c.db.orders.find_one({"_id": bson.ObjectId(b"SECRETSECRET")})
    c.reads(c.db.orders.find({"customer.name": re.compile("^" + S + ".*1", re.I)}, {"_id": 0, "customer.name": 1}).limit(3))
    c.reads(c.db.orders.find({"$or": [{"total": {"$in": [1, 2, NUMBER]}}, {"$and": [{"item": {"$gte": 3, "$lt": 9}},
                                                                                {"tags": {"$all": [S + "a"]}}]}]}, skip=2))
    c.reads(c.db.orders.find({"status": {"$regex": S, "$options": "i"}, "tags": {"$elemMatch": {"$eq": S}}}))
    c.reads(c.db.orders.find({"customer": {"name": S, "phones": []}, "photo": bson.Binary(S.encode())}))
    c.reads(c.db.orders.find({"status": {"$not": re.compile(S)}, "date": {"$lt": datetime.datetime(2024, 5, 5)}, "gone": None}))
    c.reads(c.db.orders.find({}, batch_size=2).comment(S).max_time_ms(5000).hint("_id_").limit(5))
    half = c.db.orders.find({}, batch_size=10)
    next(half)
    half.close()  # killCursors
    one, other = c.db.orders.find({}, batch_size=12), c.db.orders.find({"item": {"$lt": 30}}, batch_size=8)
    for _ in range(25):  # getMore of two cursors
        next(one), next(other)
    c.reads(one), c.reads(other)
    c.reads(c.client["größe"]["maß und.ziel"].find({"ä": S}))
    c.reads(c.db.nowhere.find({}))
    c.reads(c.db.orders.find({"item": {"$in": list(range(1000, 2500))}}))  # 13 KB
    c.reads(c.db.orders.find({"status": S * 1000}))
    c.reads(c.db.orders.find({"a%d.b%d" % (i, i): S for i in range(300)}))
    return c.close()


def pymongo_aggregate(port):
    c = Python(port)
    c.db.orders.insert_many(orders(60))
    c.reads(c.db.orders.aggregate([{"$match": {"status": S + "paid"}}, {"$group": {"_id": "$item", "n": {"$sum": "$total"}}},
                                {"$sort": {"n": -1}}, {"$limit": 5}]))
    c.reads(c.db.orders.aggregate([{"$sort": {"_id": 1}}], batchSize=25))
    c.reads(c.db.orders.aggregate([{"$unwind": "$tags"}, {"$set": {"extra": S}}, {"$project": {"extra": 1}}, {"$skip": 3}, {"$count": "n"}]))
    c.reads(c.db.orders.aggregate([]))
    c.fails(c.db.orders.aggregate, LOOKUP)
    c.fails(c.db.orders.aggregate, [{"$lookup": {"from": "products", "let": {"i": "$item"}, "as": "p", "pipeline": [
        {"$match": {"$expr": {"$eq": ["$_id", "$$i"]}, "name": S}}, {"$limit": 1}]}}, {"$unionWith": {"coll": "archive"}}])
    c.fails(c.db.orders.aggregate, [{"$facet": {"one": [{"$match": {"status": S}}], "two": [{"$count": "n"}]}}])
    c.fails(c.client.admin.aggregate, [{"$currentOp": {}}, {"$match": {"op": S}}])
    c.db.orders.count_documents({"status": S + "late", "total": {"$lt": 500}})
    return c.close()


def pymongo_insert(port):
    c = Python(port)
    c.db.orders.insert_one({"status": S, "total": NUMBER})
    c.db.orders.insert_many(orders(80), ordered=False)
    c.db.orders.insert_one({"_id": S, "long": S * 4000})  # more than a receive of FerretDB's first buffer
    c.db.orders.bulk_write([pymongo.InsertOne({"_id": S + "x"}), pymongo.UpdateOne({"_id": S + "x"}, {"$set": {"v": S}}),
                            pymongo.UpdateMany({"item": 3}, {"$inc": {"total": 1}}), pymongo.DeleteOne({"_id": S + "x"}),
                            pymongo.InsertOne({"_id": S + "y"}), pymongo.ReplaceOne({"_id": S + "y"}, {"v": S})])
    c.fails(c.db.orders.insert_one, {"_id": S + "y"})
    return c.close()


def pymongo_insert_10000(port):
    c = Python(port)
    c.db.numbers.insert_many([{"_id": i} for i in range(10_000)])
    c.db.numbers.estimated_document_count()
    return c.close()


def pymongo_update(port):
    c = Python(port)
    items = c.db.orders
    items.insert_many(orders(20))
    items.update_one({"_id": S + "-1"}, {"$set": {"status": S, "customer.name": S}, "$inc": {"total": NUMBER}})
    items.update_many({"total": {"$gt": 100}, "status": S + "paid"}, {"$push": {"tags": S}, "$unset": {"photo": ""}})
    items.update_one({"_id": S + "new"}, {"$setOnInsert": {"status": S}}, upsert=True)
    items.replace_one({"_id": S + "-2"}, {"status": S, "nothing": None})
    c.fails(items.update_one, {"_id": S + "-3"}, [{"$set": {"status": S}}])
    c.fails(items.update_many, {}, {"$set": {"tags.$[t]": S}}, array_filters=[{"t": S + "a"}])
    items.find_one_and_update({"_id": S + "-4"}, {"$set": {"status": S}}, sort=[("total", 1)])
    items.find_one_and_replace({"_id": S + "-5"}, {"status": S}, upsert=True)
    items.find_one_and_delete({"status": S})
    items.delete_one({"_id": S + "-6"})
    items.delete_many({"status": {"$in": [S, S + "paid"]}, "total": {"$ne": NUMBER}})
    items.bulk_write([pymongo.UpdateOne({"_id": "%s-%d" % (S, i)}, {"$set": {"n": i}}) for i in range(40)], ordered=False)
    return c.close()


def pymongo_other(port):
    c = Python(port)
    c.db.orders.insert_many(orders(20))
    c.db.orders.estimated_document_count()
    c.db.command("count", "orders", query={"status": S})
    c.db.orders.distinct("status", {"total": {"$gt": 3}})
    c.db.orders.create_index([("status", 1), ("date", -1)], name="by_status")
    c.db.orders.create_indexes([pymongo.IndexModel("total"), pymongo.IndexModel("item", unique=False)])
    c.reads(c.db.orders.list_indexes())
    c.db.orders.drop_index("by_status")
    c.db.create_collection("made")
    c.db.list_collection_names(filter={"name": S})
    c.reads(c.db.list_collections())
    c.client.list_database_names()
    c.db.command("dbStats")
    c.db.command("collStats", "orders")
    c.db.drop_collection("made")
    c.fails(c.db.command, "noSuchCommand", S)
    c.client.drop_database("other")
    return c.close()


# --- the driver for node ---
def node(session, *options):
    """What node_client.js did, by its own word."""
    def run(port):
        done = subprocess.run([clients.installed(clients.NODE), os.path.join(HERE, "node_client.js"), str(port), session, *options],
                              stdout=subprocess.PIPE, check=True, timeout=60, text=True,
                              env={**os.environ, **clients.NODE_ENVIRONMENT})
        lines, cursors = [], {}
        for text in done.stdout.splitlines():
            told = json.loads(text)
            if "cursor" in told:
                cursors[told["cursor"]] = lines[told["opened"]][3]
                continue
            opened = cursors.get(told["getMore"]) if told["name"] == "getMore" else None
            lines.append(line_of(told["name"], told["command"], told["database"], opened))
        return [[HANDSHAKE], [HANDSHAKE, *lines]]
    run.__name__ = "node_" + session + "".join("_" + o for o in options)
    return run


# --- our own server ---
def pymongo_unacknowledged(port):
    """Writes that no reply is wanted of; between them, some with a reply."""
    c = Python(port)
    quiet = c.db.get_collection("orders", write_concern=pymongo.WriteConcern(w=0))
    quiet.insert_one({"_id": S})
    c.db.orders.count_documents({"status": S})
    quiet.update_one({"_id": S}, {"$set": {"status": S}})
    quiet.delete_one({"_id": S})
    c.db.orders.find_one({"status": S})
    quiet.insert_many(orders(50))
    quiet.bulk_write([pymongo.InsertOne({"_id": S}), pymongo.DeleteOne({"_id": S})], ordered=False)
    c.client.admin.command("ping")
    return c.close()


def pymongo_transaction(port):
    c = Python(port)
    with c.client.start_session() as session:
        with session.start_transaction():
            c.db.orders.insert_one({"_id": S, "total": 1}, session=session)
            c.db.orders.update_one({"_id": S}, {"$inc": {"total": NUMBER}}, session=session)
            c.reads(c.db.orders.find({"status": S}, session=session))
        session.start_transaction()
        c.db.orders.delete_one({"_id": S}, session=session)
        session.abort_transaction()
    c.db.orders.insert_one({"_id": S + "retryable"})
    return c.close()


def pymongo_exhaust(port):
    c = Python(port)
    c.db.orders.insert_many(orders(40))
    c.reads(c.db.orders.find({"status": S}, batch_size=8, cursor_type=pymongo.CursorType.EXHAUST))
    c.db.orders.find_one({"_id": S})
    told = c.close()
    # One getMore was sent; the others are what PyMongo calls the replies that came by themselves.
    lines = told[1]
    first = next(i for i, line in enumerate(lines) if line[0] == "getMore")
    told[1] = lines[:first + 1] + [line for line in lines[first + 1:] if line[0] != "getMore"]
    return told


def pymongo_streaming(port):
    """The monitor asks once, and is answered until it closes; a second one measures round trips."""
    c = Python(port, serverMonitoringMode="stream")
    c.client.admin.command("ping")
    deadline = time.monotonic() + 10
    while c.told.heartbeats < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    lines = c.told.lines
    c.client.close()
    return [[HANDSHAKE, HELLO], [HANDSHAKE, *lines], [HANDSHAKE]]


def everything(c):
    """One of each, for twins with and without compression."""
    c.db.orders.insert_many(orders(60))
    c.db.numbers.insert_many([{"_id": i, "s": "%s %d" % (S, i)} for i in range(300)])
    c.reads(c.db.orders.find({"status": S + "paid", "total": {"$gt": 5}}, batch_size=20).sort("date", -1))
    c.reads(c.db.orders.aggregate(LOOKUP, batchSize=20))
    c.db.orders.find_one({"_id": S})
    c.db.orders.update_one({"_id": S}, {"$set": {"status": S}, "$inc": {"total": NUMBER}})
    c.db.orders.update_many({"total": {"$gt": 5}}, [{"$set": {"status": S}}])
    c.db.orders.find_one_and_update({"_id": S}, {"$set": {"status": S}})
    c.db.orders.delete_many({"status": re.compile(S), "total": {"$lt": NUMBER}})
    c.db.orders.estimated_document_count()
    c.db.orders.count_documents({"status": S})
    c.db.orders.distinct("status", {"item": {"$in": list(range(800))}})
    c.db.orders.create_index([("status", 1)])
    c.db.orders.find_one({"status": S + "".join(chr(33 + i * i * 7919 % 90) for i in range(5000))})  # hardly compressible
    quiet = c.db.get_collection("orders", write_concern=pymongo.WriteConcern(w=0))
    quiet.insert_one({"_id": S})
    c.client.admin.command("ping")
    return c.close()


def twin(compressor):
    def run(port):
        return everything(Python(port, compressors=compressor) if compressor else Python(port))
    run.__name__ = "twin_" + (compressor or "plain")
    return run


# --- by hand: what drivers do not send, or not any more ---
def handmade(port):
    lines = []
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def sends(*data, replies, asked):
            for piece in data:
                s.sendall(piece)
                time.sleep(0.05 if len(data) > 1 else 0)
            for _ in range(replies):
                if not messages.read_message(s):
                    raise AssertionError("no reply to %s" % asked)
            lines.extend(asked)

        def line(name, collection="orders", summary=None):
            return name, collection, "shop", summary or "%s %s" % (name, collection)

        find = {"find": "orders", "filter": {"status": S}, "$db": "shop"}
        count = {"count": "orders", "query": {"total": NUMBER}, "$db": "shop"}
        sends(messages.op_msg(find, messages.CHECKSUM), replies=1, asked=[line("find")])
        for compressor in ("noop", "snappy", "zlib", "zstd"):
            sends(messages.op_msg(count, messages.CHECKSUM, compressor=compressor), replies=1, asked=[line("count")])
        insert = {"insert": "orders", "$db": "shop"}
        sends(messages.op_msg(insert, sequences=[("documents", orders(3))], body_last=True), replies=1, asked=[line("insert")])
        update = {"update": "orders", "$db": "shop"}
        sends(messages.op_msg(update, messages.CHECKSUM, sequences=[("updates", [{"q": {"_id": S}, "u": {"$set": {"v": S}}}])]),
              replies=1, asked=[line("update")])
        both = messages.op_msg(find, request=8) + messages.op_msg(count, request=9)
        sends(both, replies=2, asked=[line("find"), line("count")])  # two messages in one send
        sends(both[:10], both[10:16], both[16:30], both[30:-40], both[-40:], replies=2, asked=[line("find"), line("count")])
        database = b"shop.orders\0"
        where = bson.encode({"status": S, "total": {"$gt": NUMBER}})
        legacy = (
            (messages.OP_INSERT, bytes(4) + database + b"".join(map(bson.encode, orders(2))), 0, "insert"),
            (messages.OP_UPDATE, bytes(4) + database + bytes(4) + where + bson.encode({"$set": {"v": S}}), 0, "update"),
            (messages.OP_DELETE, bytes(4) + database + bytes(4) + where, 0, "delete"),
            (messages.OP_QUERY, bytes(4) + database + bytes(8) + where, 1, "find"),
            (messages.OP_GET_MORE, bytes(4) + database + bytes(4) + b"SECRETid", 1, "getMore"))
        for opcode, body, replies, name in legacy:
            sends(messages.message(opcode, body), replies=replies, asked=[line(name, summary="find orders" if name == "getMore" else None)])
        sends(messages.message(messages.OP_KILL_CURSORS, b"\0\0\0\0\1\0\0\0SECRETid"), replies=0, asked=[("killCursors", "", "", "killCursors")])
        sends(messages.op_msg({"ping": 1, "$db": "admin"}), replies=1, asked=[("ping", "", "admin", "ping")])
    return [lines]


FERRETDB = [pymongo_handshake, pymongo_find, pymongo_aggregate, pymongo_insert, pymongo_insert_10000, pymongo_update,
            pymongo_other, node("find"), node("writes"), node("aggregate")]
OURS = [pymongo_unacknowledged, pymongo_transaction, pymongo_exhaust, twin(None), twin("snappy"), twin("zlib"), twin("zstd"),
        node("find", "zlib"), node("quiet"), handmade]
STREAMING = [pymongo_streaming]

# SPDX-License-Identifier: Apache-2.0
"""
Loads for a MongoDB server: classes of commands, from a process of its own, since a client burns as much CPU as the server.

    build/venv/bin/python mongo_load.py PORT SECONDS [--fill] CLASS[=WEIGHT] ...

Makes the data where told to, prints "ready", sends commands of the classes in random order, each as often as its weight
says, and prints how many of each it has done: NAME COUNT, a line each. mongo_load.js does the same by node's driver.

For tests: Class, CLASSES, Load.
"""
import collections
import os
import random
import subprocess
import sys
import time

import clients
from compiled import read_line

HERE = os.path.dirname(os.path.abspath(__file__))
DATABASE = "shop"
ORDERS, PRODUCTS, BULK = 150, 15, 10_000
LISTED = 20_000  # values in the list of a $lookup


class Class(collections.namedtuple("Class", "weight operation collection summary text")):
    """A class of commands: how often it is sent, and how its samples are to be labelled; `text` is how the text begins."""

    def labels(self):
        return {"db_system_name": "mongodb", "db_operation_name": self.operation, "db_query_summary": self.summary,
                "db_collection_name": self.collection, "db_namespace": DATABASE}


# Weights: so that each has a share of the server's CPU that can be compared. A getMore counts as its find. FerretDB does
# not know $lookup: what such an aggregate costs there is its reading, and so it has a long list to read, behind what the
# capture holds.
CLASSES = {
    "find": Class(9, "find", "orders", "find orders", '{find: "orders", filter: {status: ?, total: {$gt: ?}}, sort: {date: -1}'),
    "aggregate": Class(9, "aggregate", "orders", "aggregate orders $match $group $sort", '{aggregate: "orders", pipeline: ['),
    "lookup": Class(7, "aggregate", "orders", "aggregate orders $lookup products $group $match",
                    '{aggregate: "orders", pipeline: ['),
    "insert": Class(1, "insert", "log", "insert log", '{insert: "log"'),
    "drop": Class(0, "drop", "log", "drop log", '{drop: "log"'),  # after each insert, so that the next is like it
    "update": Class(5, "update", "orders", "update orders", '{update: "orders"'),
    "count": Class(10, "count", "orders", "count orders", '{count: "orders", query: {'),
    "delete": Class(10, "delete", "orders", "delete orders", '{delete: "orders"'),
}


class Load:
    """
    with Load(port, seconds, {name: weight}, driver="pymongo") as load: ... Sending when the block is entered; after the
    block load.counts tells how often each class was sent.
    """

    def __init__(self, port, seconds, weights, driver="pymongo", fill=False, seed=1):
        command = {"pymongo": [clients.PYTHON, os.path.join(HERE, "mongo_load.py")],
                   "node": [clients.NODE, os.path.join(HERE, "mongo_load.js")]}[driver]
        clients.installed(command[0])
        self.command = [*command, str(port), str(seconds), *(["--fill"] if fill else []),
                        *("%s=%g" % item for item in weights.items())]
        self.env = {**os.environ, **clients.NODE_ENVIRONMENT, "SEED": str(seed)}
        self.seconds, self.counts = seconds, {}

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True, env=self.env)
        try:
            read_line(self.process, 60)
        except BaseException:
            self.__exit__(True)
            raise
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
        try:
            text = self.process.communicate(timeout=self.seconds + 60)[0]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        if kind:
            return
        if self.process.returncode:
            raise AssertionError("%s exited %d" % (self.command[1], self.process.returncode))
        self.counts = {name: int(n) for name, n in map(str.split, text.splitlines())}


# --- the client's side ---
def fill(db):
    db.client.drop_database(db.name)
    db.orders.insert_many([{"_id": i, "status": ("paid", "open", "late")[i % 3], "total": i * 37 % 1000, "item": i % PRODUCTS,
                            "date": i * 7919 % 10_007, "customer": {"name": "name %d" % (i % 100), "city": "city %d" % (i % 40)},
                            "lines": [{"n": n, "price": i % 100} for n in range(2)]} for i in range(ORDERS)])
    db.products.insert_many([{"_id": i, "category": "category %d" % (i % 7)} for i in range(PRODUCTS)])


class Client:
    def __init__(self, db, seed):
        self.db, self.random = db, random.Random(seed)
        self.items = list(range(LISTED))

    def find(self):
        found = self.db.orders.find({"status": "paid", "total": {"$gt": self.random.randrange(200)}}, batch_size=10)
        for _ in found.sort("date", -1):
            pass

    def aggregate(self):
        list(self.db.orders.aggregate([{"$match": {"total": {"$gt": self.random.randrange(500)}}},
                                       {"$group": {"_id": "$item", "n": {"$sum": "$total"}}}, {"$sort": {"n": -1}}]))

    def lookup(self):
        import pymongo.errors
        self.items[0] = self.random.randrange(1000)
        try:
            list(self.db.orders.aggregate([
                {"$lookup": {"from": "products", "localField": "item", "foreignField": "_id", "as": "product"}},
                {"$group": {"_id": "$product.category", "n": {"$sum": "$total"}}},
                {"$match": {"_id": {"$in": self.items}}}]))
        except pymongo.errors.OperationFailure:
            pass

    def insert(self):
        self.db.log.insert_many([{"_id": i, "at": i, "text": "line %d" % i} for i in range(BULK)])

    def drop(self):
        self.db.log.drop()

    def update(self):
        self.db.orders.update_many({"item": self.random.randrange(PRODUCTS)}, {"$inc": {"changes": 1}, "$set": {"seen": True}})

    def count(self):
        self.db.command("count", "orders", query={"customer.city": "city %d" % self.random.randrange(40)})

    def delete(self):
        self.db.orders.delete_many({"total": {"$gt": 1000}, "customer.name": "name %d" % self.random.randrange(300)})


def main():
    clients.use_python_packages()
    import pymongo
    port, seconds, *names = sys.argv[1:]
    db = pymongo.MongoClient("127.0.0.1", int(port), directConnection=True)[DATABASE]
    if "--fill" in names:
        names.remove("--fill")
        fill(db)
    weights = {name: float(weight or 1) for name, _, weight in (n.partition("=") for n in names)}
    client = Client(db, int(os.environ.get("SEED", 1)))
    db.client.admin.command("ping")
    print("ready", flush=True)
    counts, deadline = collections.Counter(), time.monotonic() + float(seconds)
    while weights and time.monotonic() < deadline:
        name = client.random.choices(list(weights), list(weights.values()))[0]
        getattr(client, name)()
        counts[name] += 1
        if name == "insert":
            client.drop()
            counts["drop"] += 1
    for name, n in counts.items():
        print(name, n)


if __name__ == "__main__":
    main()

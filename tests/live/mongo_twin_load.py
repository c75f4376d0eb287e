# SPDX-License-Identifier: Apache-2.0
"""
A load for tests/mongo/compressing_server.py: one of each command, over and over, each telling in its comment what it costs.

    build/venv/bin/python mongo_twin_load.py PORT SECONDS [COMPRESSOR]

Prints "ready" once it has connected.
"""
import sys
import time

import clients

clients.use_python_packages()
import pymongo


def comment(milliseconds):
    return "SECRET burn %d" % milliseconds


LOOKUP = [{"$match": {"status": "SECRETpaid"}},
          {"$lookup": {"from": "products", "localField": "item", "foreignField": "_id", "as": "product"}},
          {"$group": {"_id": "$product.category", "n": {"$sum": 1}}}]


def once(db):
    db.log.insert_many([{"_id": i, "text": "SECRET line %d" % i} for i in range(300)], comment=comment(4))
    list(db.orders.find({"status": "SECRETpaid", "total": {"$gt": 5}}, batch_size=20, comment=comment(2)).sort("date", -1))
    list(db.orders.aggregate(LOOKUP, comment=comment(6)))
    db.orders.update_many({"item": 3}, {"$inc": {"changes": 1}, "$set": {"status": "SECRETpaid"}}, comment=comment(3))
    db.command("count", "orders", query={"customer.city": "SECRET"}, comment=comment(5))
    db.orders.delete_many({"total": {"$lt": 0}, "status": {"$in": ["SECRET %d" % i for i in range(500)]}}, comment=comment(4))


def main():
    port, seconds, *compressor = sys.argv[1:]
    options = {"compressors": compressor[0]} if compressor else {}
    db = pymongo.MongoClient("127.0.0.1", int(port), directConnection=True, **options).shop
    db.orders.insert_many([{"_id": i, "status": "SECRETpaid"} for i in range(100)])
    print("ready", flush=True)
    deadline = time.monotonic() + float(seconds)
    while time.monotonic() < deadline:
        once(db)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Each way to have a MongoDB server run something, and what its samples say."""
import os
import subprocess
import unittest

import clients
from compiled import read_line
from harness import ROOT
from mongo_load import CLASSES, Load
from mongo_server import MongoServer
from recording import Recording
from samples import by, cpu
from test_mongo_attribution import in_handlers

SERVER = os.path.join(ROOT, "tests", "mongo", "compressing_server.py")
TWIN_LOAD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mongo_twin_load.py")
CONNECTING = {"hello", "ismaster", "isMaster", "ping", "endSessions", "buildInfo", None}
KEYS = ("db_operation_name", "db_query_summary", "db_query_text", "db_collection_name", "db_namespace", "db_system_name")


class Commands(unittest.TestCase):
    """FerretDB, one class at a time."""

    @classmethod
    def setUpClass(cls):
        cls.server = MongoServer()
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        with Load(cls.server.port, 0, {}, fill=True):
            pass

    def assert_class(self, name, driver="pymongo", also=(), least=0.97):
        """Nothing but this class, from its handlers' samples; its text begins as it should. Returns the samples."""
        wanted = CLASSES[name]
        with Recording(self.server.pid) as recording:
            with Load(self.server.port, 3, {name: 1}, driver=driver):
                pass
            recording.stop()
        handled = in_handlers(recording.profile.samples)
        self.assertGreater(cpu(handled), 0.2, "no work in handlers: %s" % by(recording.profile.samples, "attribution"))
        summaries = by([s for s in handled if s.labels.get("db_operation_name") not in CONNECTING], "db_query_summary")
        self.assertLessEqual(set(summaries), {wanted.summary, *also})
        self.assertGreaterEqual(summaries[wanted.summary] + sum(summaries[a] for a in also), least * cpu(handled),
                                by(handled, "attribution", "db_query_summary"))
        own = [s for s in handled if s.labels.get("db_query_summary") == wanted.summary]
        for key, value in wanted.labels().items():
            self.assertEqual(set(by(own, key)), {value})
        for text in by(own, "db_query_text"):
            self.assertTrue(text.startswith(wanted.text), text)
        return own

    def test_find_and_get_more(self):
        own = self.assert_class("find")
        batches = [s for s in own if any(f.endswith(".MsgGetMore") for f in s.frames)]
        self.assertGreater(cpu(batches), 0, "no getMore among the samples")
        self.assertEqual(len(by(own, "db_query_text")), 1)

    def test_find_and_get_more_of_node(self):
        self.assert_class("find", driver="node")

    def test_aggregate(self):
        own = self.assert_class("aggregate")
        for text in by(own, "db_query_text"):
            for stage in ("$match: {total: {$gt: ?}}", "$group: {", "$sort: {n: -1}"):
                self.assertIn(stage, text)

    def test_aggregate_with_lookup(self):
        """FerretDB refuses it, but has read its list of 20 000 values by then."""
        own = self.assert_class("lookup")
        for text in by(own, "db_query_text"):
            self.assertIn("$in: [?, ...", text)

    def test_bulk_insert(self):
        self.assert_class("insert", also=[CLASSES["drop"].summary])

    def test_bulk_insert_of_node(self):
        self.assert_class("insert", driver="node", also=[CLASSES["drop"].summary])

    def test_update(self):
        for text in by(self.assert_class("update"), "db_query_text"):
            self.assertIn("$inc", text)

    def test_count(self):
        for text in by(self.assert_class("count"), "db_query_text"):
            self.assertIn("customer.city: ?", text)

    def test_delete(self):
        for text in by(self.assert_class("delete"), "db_query_text"):
            self.assertIn("total: {$gt: ?}", text)


class Twins(unittest.TestCase):
    """Traffic of PyMongo, compressed and not, with a server of ours that accounts for each command's CPU itself."""

    def recorded(self, compressor, seconds=6):
        """(samples, {(command, collection): seconds})"""
        server = subprocess.Popen([clients.installed(clients.PYTHON), SERVER, "0"], stdout=subprocess.PIPE, text=True)
        try:
            port = read_line(server)
            with Recording(server.pid) as recording:
                command = [clients.PYTHON, TWIN_LOAD, port, str(seconds), *([compressor] if compressor else [])]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=seconds + 60)
                recording.stop()
            server.terminate()
            text = server.communicate(timeout=30)[0]
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
        cost = {}
        for line in text.splitlines():
            nanoseconds, name, collection = line.split("\t")
            cost[name, collection] = int(nanoseconds) / 1e9
        return recording.profile.samples, cost

    def assert_costs(self, samples, cost, points=5):
        wanted = {k: v for k, v in cost.items() if k[0] not in CONNECTING and v > 0.02 * sum(cost.values())}
        self.assertEqual({k[0] for k in wanted}, {"insert", "find", "aggregate", "update", "count", "delete"})
        named = by([s for s in samples if s.labels.get("db_system_name") == "mongodb"], "db_operation_name", "db_collection_name")
        for (name, collection), seconds in list(named.items()):
            if name == "getMore":  # of a compressed cursor, which is not known: all of them are finds'
                named["find", collection] += seconds
        known = sum(named[k] for k in wanted)
        self.assertGreater(known, 0.9 * sum(wanted.values()), by(samples, "attribution", "phase"))
        table = {k: "%.1f%% (server: %.1f%%)" % (100 * named[k] / known, 100 * v / sum(wanted.values())) for k, v in wanted.items()}
        print("   ", table, flush=True)
        for k, v in wanted.items():
            self.assertAlmostEqual(named[k] / known, v / sum(wanted.values()), delta=points / 100, msg=str(table))

    def test_compressed_like_uncompressed(self):
        classes = {}
        for compressor in (None, "snappy", "zlib", "zstd"):
            with self.subTest(compressor=compressor):
                samples, cost = self.recorded(compressor)
                self.assert_costs(samples, cost)
                exact = by([s for s in samples if s.labels.get("db_operation_name") not in CONNECTING and
                            s.labels.get("attribution") == "exact"], *KEYS)
                found = {labels for labels, seconds in exact.items() if seconds > 0.01 * sum(exact.values())}
                summaries = {c[1] for c in found}
                self.assertIn("aggregate orders $match $lookup products $group", summaries)
                self.assertIn("find orders", summaries)
                # What opened a cursor is in the reply: where that is compressed, its getMores say that they do not know.
                # So do those of the first cursor: this server is known by its first message, which a look at replies follows.
                more = by([s for s in samples if s.labels.get("db_operation_name") == "getMore"], "attribution")
                self.assertLessEqual(set(more), {"unknown_statement"})
                if not compressor:
                    self.assertLess(sum(more.values()), 0.01 * cpu(samples))
                classes[compressor] = found
        for compressor, found in classes.items():
            self.assertEqual(found, classes.get(None), compressor)


if __name__ == "__main__":
    unittest.main(verbosity=2)

# SPDX-License-Identifier: Apache-2.0
"""Which command each sample belongs to, against FerretDB, whose work is done by goroutines."""
import re
import time
import unittest

from harness import schedstat
from mongo_load import CLASSES, Load
from mongo_server import MongoServer
from recording import Recording
from samples import by, cpu, named_share

FALLBACK = {"WIREPROF_HOOK": "sys_exit"}
HANDLER = re.compile(r"internal/handler\.\(\*Handler\)\.Msg(\w+)$")
# What FerretDB's handlers run for; of others, the lower case of their names.
RUNS = {"GetMore": {"find", "aggregate"}, "IsMaster": {"ismaster", "isMaster", "hello"}, "Hello": {"hello", "ismaster"}}
ALONE = [name for name in CLASSES if name != "drop"]
MIX = {name: CLASSES[name].weight for name in ALONE}


def handler_of(sample):
    """The handler on a sample's stack: "Find"."""
    for frame in sample.frames:
        found = HANDLER.search(frame)
        if found:
            return found.group(1)
    return None


def in_handlers(samples):
    return [s for s in samples if handler_of(s)]


def seconds_of(server):
    return schedstat(server.pid)[0] / 1e9


class Truth(unittest.TestCase):
    """Each class alone, and then all of them at once: the server's CPU by its threads' accounts, beside the samples'."""

    def alone(self, server, driver):
        """{class: CPU seconds for one of them}, the drop after an insert with it."""
        costs = {}
        for name in ALONE:
            before = seconds_of(server)
            with Load(server.port, 4, {name: 1}, driver=driver) as load:
                pass
            costs[name] = (seconds_of(server) - before) / load.counts[name]
        return costs

    def assert_classes(self, samples):
        """The whole class of each sample, and that its handler is one of its command's."""
        wanted = {c.summary: c for c in CLASSES.values()}
        for s in samples:
            c = wanted.get(s.labels.get("db_query_summary"))
            if c:
                labels = c.labels()
                self.assertEqual({k: s.labels.get(k) for k in labels}, labels)
                self.assertTrue(s.labels["db_query_text"].startswith(c.text), s.labels["db_query_text"])
                self.assertEqual(s.labels["attribution"], "exact")
        for s in in_handlers(samples):
            operation, handler = s.labels.get("db_operation_name"), handler_of(s)
            if operation:
                self.assertIn(operation, RUNS.get(handler, {handler[0].lower() + handler[1:]}), s.labels)

    def assert_shares(self, samples, costs, counts, points):
        summaries = {name: c.summary for name, c in CLASSES.items() if counts.get(name)}
        sampled = by([s for s in samples if s.labels.get("db_query_summary") in summaries.values()], "db_query_summary")
        sampled[CLASSES["insert"].summary] += sampled.pop(CLASSES["drop"].summary, 0)
        predicted = {name: costs[name] * counts.get(name, 0) for name in ALONE}
        known, counted = sum(sampled.values()), sum(predicted.values())
        self.assertGreater(known, 0, "no sample carries a command: %s" % by(samples, "attribution"))
        table = {name: "%.1f%% (alone: %.1f%%)" % (100 * sampled[CLASSES[name].summary] / known, 100 * predicted[name] / counted)
                 for name in ALONE}
        print("   ", table, flush=True)
        for name in ALONE:
            self.assertAlmostEqual(sampled[CLASSES[name].summary] / known, predicted[name] / counted, delta=points / 100,
                                   msg="%s: %s" % (name, table))

    def assert_mix(self, driver="pymongo", env=None, seconds=20):
        with MongoServer() as server:
            with Load(server.port, 0, {}, fill=True):
                pass
            costs = self.alone(server, driver)
            with Recording(server.pid, env=env) as recording:
                with Load(server.port, seconds, MIX, driver=driver) as load:
                    pass
                recording.stop()
        samples = recording.profile.samples
        handled = in_handlers(samples)
        self.assertGreater(sum(s.count for s in handled), 1000, "too few samples in handlers")
        share = named_share(handled)
        print("    %.2f %% of the samples in handlers have no request; %.1f %% of all samples have one" %
              (100 - 100 * share, 100 * named_share(samples)), flush=True)
        self.assert_classes(samples)
        self.assertGreaterEqual(share, 0.98, by(handled, "attribution", "phase"))
        self.assert_shares(samples, costs, load.counts, 5)
        return recording.text

    def test_pymongo(self):
        self.assert_mix()

    def test_node(self):
        self.assert_mix(driver="node")

    def test_fallback_hook(self):
        self.assertIn("raw_tp/sys_exit", self.assert_mix(env=FALLBACK))


class Crossing(unittest.TestCase):
    def test_many_clients(self):
        """Six clients of two drivers, connected before the recording: each handler's samples are its own command's."""
        with MongoServer() as server:
            with Load(server.port, 0, {}, fill=True):
                pass
            pairs = [(("find", "count"), "pymongo"), (("aggregate", "lookup"), "pymongo"), (("delete", "update"), "pymongo"),
                     (("find", "update"), "node"), (("count", "aggregate"), "node"), (("insert",), "pymongo")]
            loads = [Load(server.port, 12, {n: 1 for n in names}, driver=driver, seed=i)
                     for i, (names, driver) in enumerate(pairs)]
            entered = []
            try:
                for load in loads:
                    entered.append(load.__enter__())
                with Recording(server.pid) as recording:
                    time.sleep(6)  # under load: the length of the recording
                    recording.stop()
            finally:
                for load in entered:
                    load.__exit__(None)
        samples = recording.profile.samples
        handled = in_handlers(samples)
        # The getMores of cursors that were open before the recording say that they do not know.
        named = [s for s in handled if s.labels.get("attribution") != "unknown_statement" and "db_operation_name" in s.labels]
        crossed = [s for s in named if s.labels["db_operation_name"] not in
                   RUNS.get(handler_of(s), {handler_of(s)[0].lower() + handler_of(s)[1:]})]
        self.assertEqual([(handler_of(s), s.labels) for s in crossed[:3]], [])
        self.assertGreater(cpu(handled), 1)
        self.assertGreaterEqual(named_share(handled), 0.98, by(handled, "attribution", "phase"))

    def test_background_has_no_request(self):
        """Clients that are connected and ask for nothing but heartbeats: what works then works for nobody."""
        with MongoServer() as server:
            with Load(server.port, 0, {}, fill=True), Load(server.port, 3, {"aggregate": 1}):
                pass
            with Load(server.port, 6, {"count": 1}):
                with Recording(server.pid) as recording:
                    time.sleep(4)  # under load: the length of the recording
                    recording.stop()
        collecting = [s for s in recording.profile.samples if "runtime.gcBgMarkWorker" in s.frames]
        self.assertGreater(cpu(collecting), 0.02)
        self.assertEqual(set(by(collecting, "db_operation_name")), {None})


if __name__ == "__main__":
    unittest.main(verbosity=2)

# SPDX-License-Identifier: Apache-2.0
"""The agent and a strict stand-in of Pyroscope: what arrives, and that nothing is lost in a storm with a kill -9 in it."""
import collections
import glob
import gzip
import os
import signal
import threading
import time
import unittest

from agent import Agent
from compiled import CompiledTest
from harness import schedstat, wait_for
from pprof import _fields
from pyroscope_server import Fault, PyroscopeServer
from redis_server import RedisServer
from test_agent import COUNT, SORT, Load, fill

TIME_NANOS = 9  # field of a pprof profile


def file_times(directory):
    """When the windows of an --out-dir began, in ns."""
    times = set()
    for path in glob.glob(os.path.join(directory, "*.pb.gz")):
        with gzip.open(path) as f:
            times.update(value for number, value in _fields(f.read()) if number == TIME_NANOS)
    return times


class PushTest(CompiledTest):
    def setUp(self):
        super().setUp()
        self.queue = self.path("queue")

    def push_options(self, server):
        return ["--pyroscope", server.url, "--queue-dir", self.queue, "--window", 1]

    @staticmethod
    def times(server):
        with server.lock:
            return collections.Counter(p.profile["time_nanos"] for p in server.accepted)

    def sums(self, server, label):
        """{value of the samples' label: nanoseconds}"""
        sums = collections.Counter()
        for push in server.accepted:
            strings = push.profile["string_table"]
            for sample in push.profile["sample"]:
                values = {strings[l["key"]]: strings[l["str"]] for l in sample["label"]}
                sums[values.get(label)] += sample["value"][1]
        return sums


class Arrives(PushTest):
    def test_classes_add_up_to_the_servers_cpu(self):
        with RedisServer() as redis, PyroscopeServer() as server:
            fill(redis)
            with Load(redis, [SORT, COUNT]), Agent("-p", redis.pid, "-F", 499, "--label", "env=test", "--label", "zone=a b",
                                                   *self.push_options(server)) as agent:
                ran = schedstat(redis.pid)[0]
                agent.wait_windows(5)
                used = schedstat(redis.pid)[0] - ran
                agent.stop()
            self.assertEqual(server.broken, [])
            classes = self.sums(server, "db_query_summary")
            self.assertAlmostEqual(sum(classes.values()) / 1e9, used / 1e9, delta=0.08 * used / 1e9 + 0.1)
            self.assertGreater(classes["SORT list:*"], 0.5 * sum(classes.values()))
            for push in server.accepted:
                self.assertEqual({k: push.series[k] for k in ("__name__", "service_name", "env", "zone")},
                                 {"__name__": "process_cpu", "service_name": "redis-server", "env": "test", "zone": "a b"})
            self.assertEqual(len(self.times(server)), len(server.accepted))

    def test_one_service_a_process_name(self):
        first = self.start(self.compile("busy.c", "-Wl,--build-id=none", name="wp-one"))
        second = self.start(self.compile("busy.c", "-DNAME=other", "-Wl,--build-id=none", name="wp-two"))
        with PyroscopeServer() as server:
            with Agent("-p", "%d,%d" % (first.pid, second.pid), *self.push_options(server)) as agent:
                agent.wait_windows(2)
                agent.stop()
            self.assertEqual({p.series["service_name"] for p in server.accepted}, {"wp-one", "wp-two"})
            server.accepted.clear()
            with Agent("-p", first.pid, "--service", "billing", *self.push_options(server)) as agent:
                agent.wait_windows(2)
                agent.stop()
            self.assertEqual({p.series["service_name"] for p in server.accepted}, {"billing"})
            self.assertEqual(server.broken, [])


class Reload(PushTest):
    def test_a_push_under_way_is_not_made_twice(self):
        """The agent waits for it a moment; on a machine that stands still meanwhile it may be in vain, but not each time."""
        under_way, times = threading.Event(), 3

        def slow(_):
            under_way.set()
            time.sleep(0.05)

        process = self.start(self.compile("busy.c"))
        with PyroscopeServer() as server, Agent("-p", process.pid, *self.push_options(server)) as agent:
            server.before_answer = slow
            for i in range(times):
                under_way.clear()
                self.assertTrue(under_way.wait(20))
                agent.process.send_signal(signal.SIGHUP)
                wait_for(lambda: agent.text().count("configuration was read again") == i + 1, what="the reload")
            agent.stop()
        self.assertLess(len([reason for reason in server.broken if reason.endswith("twice")]), times, server.broken)


class Storm(PushTest):
    def test_kill_in_the_middle(self):
        process = self.start(self.compile("busy.c"))
        with PyroscopeServer() as server:
            server.repeats_allowed = True  # what was under way at the kill, the agent did not hear of
            options = ["-p", process.pid, *self.push_options(server)]
            with Agent(*options, "--out-dir", self.path("out1")) as agent:
                agent.wait_windows(2)
                self.assertTrue(server.accepted)
                server.fault = Fault.status(503)
                agent.wait_windows(5)
                self.assertGreater(agent.metric("wireprof_queue_windows"), 2)
                agent.process.send_signal(signal.SIGKILL)
                agent.process.wait(10)
            with Agent(*options, "--out-dir", self.path("out2")) as agent:
                agent.wait_windows(3)
                server.fault = None
                wait_for(lambda: agent.metric("wireprof_queue_windows") == 0, seconds=60, what="the queue to empty")
                agent.wait_windows(1)
                text = agent.stop()
            written = file_times(self.path("out1")) | file_times(self.path("out2"))
            arrived = self.times(server)
            self.assertGreaterEqual(len(written), 10)
            self.assertEqual(written - set(arrived), set())
            self.assertEqual(server.broken, [])
            ids = collections.Counter(p.id for p in server.accepted)
            self.assertLessEqual(sum(n - 1 for n in ids.values()), 1)
            self.assertEqual(sum(n - 1 for n in arrived.values()), sum(n - 1 for n in ids.values()))
            self.assertLessEqual(len([line for line in text.splitlines() if "503" in line]), 1, text)


class Wrong(PushTest):
    """One clear line, a counter, and the agent goes on."""

    def assert_goes_on(self, server, words, counter, *options, label=None, lines=1):
        process = self.start(self.compile("busy.c"))
        with Agent("-p", process.pid, *self.push_options(server), *options) as agent:
            wait_for(lambda: agent.metric(counter, **(label or {})) >= 2, seconds=40, what=counter)
            agent.wait_windows(2)
            self.assertEqual(agent.get("/healthz")[0], 200)
            text = agent.text()
            self.assertEqual(len([line for line in text.splitlines() if words in line]), lines, text)
            self.assertLessEqual(len(text.splitlines()), 2 + lines, text)
            return agent.stop()

    def test_a_token_that_cannot_be_read(self):
        with PyroscopeServer() as server:
            text = self.assert_goes_on(server, self.path("token"), "wireprof_auth_errors_total", "--bearer-file", self.path("token"))
            self.assertIn("No such file", text)
            self.assertEqual(server.accepted, [])

    def test_a_server_that_refuses(self):
        with PyroscopeServer() as server:
            server.fault = Fault.connect(400, "invalid_argument", "no such thing\x1b[31m as this")
            text = self.assert_goes_on(server, "no such thing", "wireprof_push_total", label={"result": "rejected"})
            self.assertNotIn("\x1b", text)

    def test_a_server_that_answers_garbage(self):
        with PyroscopeServer() as server:
            server.fault = Fault.raw(b"\x00\xff garbage\r\n\r\n")
            self.assert_goes_on(server, server.url.split("//")[1].split("/")[0], "wireprof_push_total", label={"result": "retried"})

    def test_no_server(self):
        with PyroscopeServer() as server:
            pass
        self.assert_goes_on(server, "localhost:%d" % server.port, "wireprof_push_total", label={"result": "retried"})

    def test_a_server_that_never_answers(self):
        process = self.start(self.compile("busy.c"))
        with PyroscopeServer() as server:
            server.fault = Fault.hang()
            with Agent("-p", process.pid, *self.push_options(server)) as agent:
                agent.wait_windows(4)
                self.assertGreaterEqual(agent.metric("wireprof_queue_windows"), 2)
                agent.stop(seconds=15)  # and it ends in time
        self.assertTrue(os.listdir(self.queue))

    def test_a_full_disk_under_the_queue(self):
        os.makedirs(self.queue)
        os.system("mount -t tmpfs -o size=64k tmpfs " + self.queue)
        self.addCleanup(os.system, "umount -l " + self.queue)
        with PyroscopeServer() as server:
            server.fault = Fault.status(503)
            process = self.start(self.compile("busy.c"))
            with Agent("-p", process.pid, *self.push_options(server)) as agent:
                # Some fit beside this, the others do not.
                with open(os.path.join(self.queue, "filler"), "wb") as f:
                    f.write(b"x" * 40000)
                wait_for(lambda: agent.metric("wireprof_disk_errors_total") >= 1, seconds=60, what="the disk to be full")
                agent.wait_windows(2)
                self.assertEqual(agent.text().count("No space left"), 1, agent.text())
                server.fault = None
                wait_for(lambda: agent.metric("wireprof_push_total", result="ok") > 4, seconds=60, what="pushes")
                agent.stop()
            self.assertEqual(server.broken, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)

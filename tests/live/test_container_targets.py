# SPDX-License-Identifier: Apache-2.0
"""A container as the target: redis-server with namespaces and a root of its own, by runc, on this host's cgroups."""
import contextlib
import glob
import os
import shutil
import threading
import time
import unittest

from agent import Agent
from compiled import cpu_seconds, entry_share
from container import Container
from harness import wait_for, wireprof
from pprof import Profile
from redis_server import RedisServer
from test_agent import COUNT, SORT, Load, fill
from test_targets import Recorder, TargetTest


class Loaded:
    """with Loaded(container): ... A client works in it, also after it was started again."""

    def __init__(self, container):
        self.container, self.stop, self.sent = container, threading.Event(), 0

    def __enter__(self):
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        return self

    def _run(self):
        while not self.stop.is_set():
            try:
                with contextlib.closing(self.container.client()) as client:
                    client.call("RPUSH", "list:numbers", *range(8000))
                    while not self.stop.is_set():
                        client.call(*SORT)
                        self.sent += 1
            except (OSError, RuntimeError, ValueError):
                time.sleep(0.02)

    def wait(self, more=200, at_least=0):
        """For so many commands, and so many seconds."""
        begun, until = self.sent, time.monotonic() + at_least
        wait_for(lambda: self.sent > begun + more and time.monotonic() > until, seconds=20, what="commands")

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


class ContainerTest(TargetTest):
    def assert_container(self, profile, name, **more):
        inside = [s for s in profile.samples if s.labels.get("container") == name]
        self.assertEqual(len(inside), len(profile.samples), {s.labels.get("container") for s in profile.samples})
        self.assertGreater(profile.total(db_operation_name="SORT"), 0.5 * profile.total(comm="redis-server"))
        return inside


class Record(ContainerTest):
    def test_by_name_and_by_path(self):
        with Container() as container, Loaded(container) as load, RedisServer() as outside:
            fill(outside)
            with Load(outside, [SORT, COUNT]):
                for target in (["-c", container.name], ["--cgroup", container.cgroup], ["-p", container.pid]):
                    with self.subTest(target=target):
                        with Recorder(self, *target) as r:
                            load.wait()
                        self.assert_container(r.profile, container.name)
                        self.assertEqual({s.labels["pid"] for s in r.profile.samples}, {container.pid})
                        self.assertEqual({s.labels["comm"] for s in r.profile.samples}, {"redis-server"})
                        self.assertGreater(entry_share(r.profile.samples), 0.99)
                        named = [s for s in r.profile.samples if "sortCommandGeneric" in s.frames]
                        self.assertGreater(len(named), 0.3 * len(r.profile.samples))

    def test_a_process_that_is_started_in_it(self):
        busy = self.compile("busy.c", "-DNAME=started_inside", "-static", name="inside")
        with Container() as container, Loaded(container) as load:
            shutil.copy(busy, os.path.join(container.directory, "root", "usr", "bin"))
            with Recorder(self, "-c", container.name) as r:
                load.wait(50)
                pid = container.exec("/usr/bin/inside")
                self.burn(FoundProcess(pid), 30)
                load.wait(50)
            inside = self.assert_container(r.profile, container.name)
            self.assertEqual({s.labels["pid"] for s in inside} - {container.pid}, {pid})
            self.assertGreater(cpu_seconds(r.profile, "started_inside", comm="inside"), 0.2)

    def test_started_again_while_recording(self):
        with Container() as container, Loaded(container) as load:
            pids = {container.pid}
            with Recorder(self, "-c", container.name) as r:
                for _ in range(2):
                    load.wait(at_least=0.8)  # it takes a moment until it is found
                    container.restart()
                    pids.add(container.pid)
                load.wait(at_least=0.8)
            self.assert_container(r.profile, container.name)
            self.assertEqual({s.labels["pid"] for s in r.profile.samples if s.labels["comm"] == "redis-server"}, pids)

    def test_two_that_match(self):
        with Container("wireprof-test-twin-a1") as one, Container("wireprof-test-twin-a2"):
            with Recorder(self, "-c", one.name) as r, Loaded(one) as load:
                load.wait()
            self.assert_container(r.profile, one.name)
        done = wireprof("record", "-c", one.name, check=False)
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (1, 1), done.stderr)


class FoundProcess:
    def __init__(self, pid):
        self.pid = pid


class InTheAgent(ContainerTest):
    def test_goroutines_go_with_their_programs(self):
        """runc is written in Go, and talks to itself through sockets; it ends at once."""
        with Agent("-a", "--window", 60, "-F", 1999) as agent, Container() as container:
            for _ in range(10):
                container.restart()
                time.sleep(0.6)  # what /metrics says is kept for half a second
                if agent.metric("wireprof_map_entries", map="goroutines"):
                    break
            else:
                self.fail("no goroutine of runc was seen")
            wait_for(lambda: agent.metric("wireprof_map_entries", map="goroutines") == 0, seconds=20, what="them to be forgotten")

    def test_it_waits_for_it(self):
        out = self.path("out")
        name = "wireprof-test-late-%d" % os.getpid()
        with Agent("-c", name, "--window", 1, "--out-dir", out, "-F", 499) as agent:
            agent.wait_windows()
            self.assertEqual(agent.text().count("it is looked for every second"), 1, agent.text())
            with Container(name) as container, Loaded(container) as load:
                for _ in range(2):
                    wait_for(lambda: agent.metric("wireprof_targets") == 1, what="the container to be found")
                    load.wait()
                    agent.wait_windows()
                    container.restart()
            agent.wait_windows()
            self.assertIn('container="%s"' % name, agent.get("/metrics")[1])
            text = agent.stop()
        samples = [s for path in glob.glob(os.path.join(out, "*.pb.gz")) for s in Profile(path).samples]
        self.assertEqual({s.labels.get("container") for s in samples}, {name})
        self.assertGreaterEqual(len({s.labels["pid"] for s in samples if s.labels["comm"] == "redis-server"}), 2)
        self.assertLessEqual(len(text.splitlines()), 8, text)


if __name__ == "__main__":
    unittest.main(verbosity=2)

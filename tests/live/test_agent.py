# SPDX-License-Identifier: Apache-2.0
"""The agent: windows to files and to its page, targets that come late and go, signals, and what it counts."""
import collections
import glob
import os
import shutil
import signal
import threading
import time
import unittest

import pymysql

from agent import Agent, descriptors
from check_page import Page
from compiled import CompiledTest
from harness import schedstat, wait_for
from mariadb_server import MariadbServer
from pprof import Profile
from redis_server import RedisServer, encode
from test_processes import state


class Load:
    """with Load(server, commands): ... Sends the commands one after the other, over and over, from a thread."""

    def __init__(self, server, commands):
        self.server, self.commands, self.stop = server, commands, threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        return self

    def _run(self):
        client = self.server.client()
        batches = [encode(*c) for c in self.commands]
        while not self.stop.is_set():
            for batch in batches:
                client.send(batch)
                client.reply()
        client.close()

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def fill(server, n=20000):
    client = server.client()
    for i in range(0, n, 1000):
        client.call("RPUSH", "list:numbers", *range(i, i + 1000))
    client.close()


SORT = ("SORT", "list:numbers", "LIMIT", "0", "1")
COUNT = ("LPOS", "list:numbers", "none")


class AgentTest(CompiledTest):
    def setUp(self):
        super().setUp()
        self.out = self.path("out")

    def profiles(self, directory=None):
        return [Profile(p) for p in sorted(glob.glob(os.path.join(directory or self.out, "*.pb.gz")))]

    @staticmethod
    def seconds(profiles, **labels):
        return sum(p.total(**labels) for p in profiles) / 1e9


class Windows(AgentTest):
    def test_all_the_cpu_is_in_the_files(self):
        with RedisServer() as server:
            fill(server)
            with Load(server, [SORT, COUNT]), Agent("-p", server.pid, "--window", 1, "--out-dir", self.out, "-F", 499) as agent:
                begun = schedstat(server.pid)[0]
                agent.wait_windows(4)
                used = schedstat(server.pid)[0] - begun
                agent.stop()
        profiles = self.profiles()
        self.assertGreaterEqual(len(profiles), 4)
        self.assertAlmostEqual(self.seconds(profiles), used / 1e9, delta=0.08 * used / 1e9 + 0.1)
        labels = set().union(*(s.labels for p in profiles for s in p.samples))
        self.assertTrue({"comm", "pid", "phase", "attribution", "db_system_name", "db_operation_name",
                         "db_query_summary"} <= labels, labels)
        self.assertFalse({"tid", "thread", "db_query_text"} & labels)
        self.assertGreater(self.seconds(profiles, db_operation_name="SORT"), 0.5 * self.seconds(profiles))
        for p in profiles[:-1]:
            self.assertAlmostEqual(p.duration_ns / 1e9, 1, delta=0.3)

    def test_sigterm_ends_the_last_window(self):
        with RedisServer() as server:
            fill(server)
            with Load(server, [SORT]), Agent("-p", server.pid, "--window", 3600, "--out-dir", self.out) as agent:
                wait_for(lambda: agent.metric("wireprof_samples_total") > 50, what="samples")
                self.assertEqual(self.profiles(), [])
                agent.stop()
        profile, = self.profiles()
        self.assertGreaterEqual(sum(s.count for s in profile.samples), 50)

    def test_the_lightest_classes_are_other(self):
        with RedisServer() as server:
            commands = [("SET", "kind%s%s:x" % (a, b), "v" * 2000) for a in "abcdefgh" for b in "vwxyz"]
            with Load(server, commands), Agent("-p", server.pid, "--window", 2, "--out-dir", self.out, "--top", 5, "-F", 999) as agent:
                agent.wait_windows(2)
                agent.stop()
        for p in self.profiles():
            classes = {s.labels["db_query_summary"] for s in p.samples if "db_query_summary" in s.labels}
            self.assertLessEqual(len(classes), 6)
        self.assertGreater(self.seconds(self.profiles(), db_query_summary="other"), 0)

    def test_texts_only_where_asked_for(self):
        with RedisServer() as server:
            with Load(server, [("SET", "user:1", "secret")]), \
                    Agent("-p", server.pid, "--window", 1, "--out-dir", self.out, "--query-text", "-F", 999) as agent:
                agent.wait_windows(2)
                agent.stop()
        texts = {s.labels.get("db_query_text") for p in self.profiles() for s in p.samples}
        self.assertEqual(texts - {None}, {"SET user:* ?"})


class Targets(AgentTest):
    def test_a_server_that_comes_goes_and_comes_again(self):
        binary = self.path("wp-redis")
        os.symlink(shutil.which("redis-server"), binary)
        with Agent("--comm", "wp-redis", "--window", 1, "--out-dir", self.out, "-F", 499) as agent:
            self.assertIn("no process has this name", agent.text())
            agent.wait_windows()
            pids = []
            for _ in range(3):
                with RedisServer(binary=binary) as server:
                    fill(server)
                    pids.append(server.pid)
                    with Load(server, [SORT]):
                        wait_for(lambda: self.sampled(agent, 50), seconds=20, what="samples")
                agent.wait_windows()
            text = agent.stop()
        profiles = self.profiles()
        sampled = {s.labels["pid"] for p in profiles for s in p.samples}
        self.assertEqual(sampled, set(pids))
        for pid in pids:
            self.assertGreater(self.seconds(profiles, pid=pid, db_operation_name="SORT"), 0.8 * self.seconds(profiles, pid=pid) - 0.3)
        self.assertEqual(text.count("no process has this name"), 1)

    @staticmethod
    def sampled(agent, n, seen={}):
        now = agent.metric("wireprof_samples_total")
        if now - seen.get(agent, now) < n:
            seen.setdefault(agent, now)
            return False
        del seen[agent]
        return True

    def test_it_goes_on_when_its_processes_are_gone(self):
        process = self.start(self.compile("busy.c"))
        with Agent("-p", process.pid, "--window", 1, "--out-dir", self.out) as agent:
            agent.wait_windows()
            self.end(process)
            wait_for(lambda: agent.metric("wireprof_targets") == 0, what="the end to be seen")
            agent.wait_windows()
            self.assertEqual(agent.get("/healthz"), (200, "ok\n"))
            self.assertEqual(agent.text().count("there is nothing to profile any more"), 1)

    def test_a_process_that_nobody_waited_for(self):
        """It has ended, if it still has a name: it is no target, so that whoever gets its id next is none."""
        program = self.compile("busy.c", name="wp-zombie")
        zombie = self.start(program, 0.01, ready=False)
        wait_for(lambda: state(zombie.pid) == "Z", what="the end")
        with Agent("--comm", "wp-zombie", "--window", 1) as agent:
            agent.wait_windows()
            self.assertEqual(agent.metric("wireprof_map_entries", map="targets"), 0)
            self.assertEqual(agent.metric("wireprof_targets"), 0)

    def test_a_process_whose_beginning_was_not_told(self):
        """The agent does not get to run, and the ring buffer is full when the process joins."""
        for _ in range(2):
            self.start(self.compile("busy.c"))
        with Agent("-a", "--window", 1, "-F", 4999) as agent:
            agent.wait_windows()
            agent.process.send_signal(signal.SIGSTOP)
            time.sleep(6)
            self.start(self.compile("busy.c", "-Wl,--build-id=none", name="wp-late"))
            time.sleep(1)
            agent.process.send_signal(signal.SIGCONT)
            wait_for(lambda: agent.metric("wireprof_samples_lost_total", reason="ring_full") > 0, what="losses")
            wait_for(lambda: agent.metric("wireprof_query_cpu_seconds_total", comm="wp-late") > 0.1, seconds=20, what="the late one")

    def test_nothing_is_left_of_processes_that_went(self):
        program = self.compile("busy.c")
        with Agent("--comm", "busy", "--window", 1, "--out-dir", self.out) as agent:
            agent.wait_windows()
            before = descriptors(agent.pid)
            for _ in range(40):
                self.end(self.start(program, 0.05, ready=False))
                process = self.start(program)
                self.end(process)
            wait_for(lambda: agent.metric("wireprof_targets") == 0, what="the ends to be seen")
            wait_for(lambda: agent.metric("wireprof_map_entries", map="process_maps") == 0, what="mappings to be given back")
            self.assertEqual(agent.metric("wireprof_map_entries", map="targets"), 0)
            self.assertLessEqual(descriptors(agent.pid), before + 6)  # the program's own files are kept a while

    def test_nothing_is_left_of_their_connections(self):
        """Of clients that quit, and of a server that is killed while others are there."""
        def left():
            return agent.metric("wireprof_map_entries", map="connections")

        with Agent("--comm", "mariadbd", "--window", 1) as agent, MariadbServer() as server:
            clients = [pymysql.connect(unix_socket=server.path, user="root") for _ in range(20)]
            for client in clients:
                with client.cursor() as cursor:
                    cursor.execute("SELECT 1")
            wait_for(lambda: left() >= 20, what="the connections")
            for client in clients[:10]:
                client.close()
            wait_for(lambda: left() <= 10, seconds=50, what="those that quit to be forgotten")
            self.assertEqual(left(), 10)
            server.process.kill()
            wait_for(lambda: left() == 0, seconds=50, what="the others to be forgotten")


class Signals(AgentTest):
    def config(self, text):
        with open(self.path("config"), "w", encoding="utf-8") as f:
            f.write(text)

    def reload(self, agent, words):
        seen = agent.text().count(words)
        agent.process.send_signal(signal.SIGHUP)
        wait_for(lambda: agent.text().count(words) > seen, what=words)

    def test_the_file_is_read_again(self):
        process = self.start(self.compile("busy.c"))
        other = self.start(self.compile("busy.c", "-DNAME=other_one", "-Wl,--build-id=none", name="other"))
        self.config("pid = %d\nwindow = 3600\nout-dir = %s\n" % (process.pid, self.out))
        with Agent("--config", self.path("config")) as agent:
            wait_for(lambda: agent.metric("wireprof_samples_total") > 20, what="samples")
            # Where it goes is changed: what was sampled goes where it would have gone.
            self.config("pid = %d\nwindow = 1\nout-dir = %s\n" % (process.pid, self.path("second")))
            self.reload(agent, "configuration was read again")
            self.assertEqual(len(self.profiles()), 1)
            agent.wait_windows(2)
            self.assertGreaterEqual(len(self.profiles(self.path("second"))), 2)
            counted = agent.metric("wireprof_samples_total")
            # What is sampled is changed.
            self.config("pid = %d\nwindow = 1\nfrequency = 199\nout-dir = %s\n" % (other.pid, self.path("third")))
            self.reload(agent, "configuration was read again")
            agent.wait_windows(2)
            self.assertGreater(agent.metric("wireprof_samples_total"), counted)
            third = self.profiles(self.path("third"))
            self.assertEqual({s.labels["pid"] for p in third for s in p.samples}, {other.pid})
            self.assertEqual({p.period for p in third}, {10 ** 9 // 199})
            # One that is wrong changes nothing, and says why.
            self.config("pid = %d\nwindow = many\n" % process.pid)
            self.reload(agent, "the configuration stays as it was")
            self.assertIn("config:2: ", agent.text())
            agent.wait_windows()
            # One that cannot be done: the old one goes on.
            self.config("pid = %d\nout-dir = /proc/no/such\n" % process.pid)
            self.reload(agent, "going on with the configuration as it was")
            agent.wait_windows(2)
            self.assertGreater(len(self.profiles(self.path("third"))), len(third))


    def test_a_directory_that_has_gone(self):
        """What cannot be started again is left out, until it can be; the agent goes on."""
        process = self.start(self.compile("busy.c"))
        out = self.path("parent/out")
        os.makedirs(out)
        self.config("pid = %d\nwindow = 1\nout-dir = %s\n" % (process.pid, out))
        with Agent("--config", self.path("config")) as agent:
            agent.wait_windows()
            shutil.rmtree(self.path("parent"))
            self.reload(agent, "no files are written until SIGHUP")
            agent.wait_windows()
            os.makedirs(self.path("parent"))
            self.reload(agent, "configuration was read again")
            agent.wait_windows(2)
            self.assertTrue(self.profiles(out))

    def test_one_of_two_processes_has_ended(self):
        first, second = (self.start(self.compile("busy.c")) for _ in range(2))
        text = "pid = %d,%d\nwindow = 1\nfrequency = %%d\n" % (first.pid, second.pid)
        self.config(text % 99)
        with Agent("--config", self.path("config")) as agent:
            agent.wait_windows()
            self.end(second)
            self.config(text % 199)
            self.reload(agent, "configuration was read again")
            agent.wait_windows()
            self.end(first)
            self.config(text % 299)
            self.reload(agent, "configuration was read again")
            agent.wait_windows()


class Pages(AgentTest):
    def test_what_they_say(self):
        with RedisServer() as server:
            fill(server)
            with Load(server, [SORT, COUNT]), Agent("-p", server.pid, "--window", 1, "-F", 499) as agent:
                status, page = agent.get("/")  # no window has ended yet
                self.assertEqual(status, 200)
                begun = schedstat(server.pid)[0]
                agent.wait_windows(4)
                used = (schedstat(server.pid)[0] - begun) / 1e9
                status, page = agent.get("/")
                self.assertEqual(status, 200)
                self.assertIn("SORT list:*", page)
                self.assertIn("redis-server (pid %d), the last" % server.pid, page)
                families = collections.Counter()
                for name, value in agent.metrics().items():
                    families[name.partition("{")[0]] += value
                by_class = families["wireprof_query_cpu_seconds_total"]
                self.assertAlmostEqual(by_class, families["wireprof_cpu_seconds_total"], delta=0.001)
                self.assertAlmostEqual(by_class, used, delta=0.15 * used + 0.2)
                self.assertGreater(agent.metric("wireprof_query_cpu_seconds_total", db_query_summary="SORT list:*"), 0.5 * by_class)
                self.assertGreater(families["wireprof_own_cpu_seconds_total"], 0)
                self.assertGreater(families["wireprof_bpf_seconds_total"], 0)
                self.assertEqual(families["wireprof_samples_lost_total"], 0)
                self.assert_page(agent, used)
                for attack in ("evil.example", "evil.example:80", ""):
                    self.assertEqual(agent.get("/", {"Host": attack})[0], 403, attack)


    def assert_page(self, agent, used):
        """In a real browser, under the policy that the server sends: a class is selected by the URL."""
        page = Page()
        try:
            page.driver.get("http://%s/?seconds=600&refresh=3600#db_operation_name=SORT" % agent.address())
            page.until(lambda: page.state("ready"), "the page to start")
            self.assertTrue({"SORT", "LPOS"} <= {row[0] for row in page.rows()})
            self.assertIn("db_operation_name=SORT", page.fragment())
            self.assertEqual(page.css("meta[http-equiv=refresh]").get_attribute("content"), "3600")
        finally:
            page.close()


class Refusals(AgentTest):
    def assert_refused(self, words, *options, status=1):
        with Agent(*options, listen=None, ready=False) as agent:
            agent.process.wait(20)
            text = agent.text()
            self.assertEqual(agent.process.returncode, status, text)
            self.assertEqual(len(text.splitlines()), 1, text)
            self.assertIn(words, text)

    def test_them(self):
        me = str(os.getpid())
        self.assert_refused("where to?", "-p", me, status=2)
        self.assert_refused("what to profile?", "--listen", "0", status=2)
        self.assert_refused("--cgroup /etc: is not in a cgroup tree", "--cgroup", "/etc", "--listen", "0")
        self.assert_refused("there is no process", "-p", "4194303", "--listen", "0")
        with Agent("-p", me) as agent:
            self.assert_refused("in use", "-p", me, "--listen", agent.address())

    def test_a_full_directory(self):
        """One line and a counter, and it goes on; when there is room again, it says so."""
        process = self.start(self.compile("busy.c"))
        os.makedirs(self.out)
        os.system("mount -t tmpfs -o size=64k tmpfs " + self.out)
        self.addCleanup(os.system, "umount -l " + self.out)
        with open(os.path.join(self.out, "filler"), "wb") as f:
            f.write(b"x" * 65536)
        with Agent("-p", process.pid, "--window", 1, "--out-dir", self.out) as agent:
            wait_for(lambda: agent.metric("wireprof_out_dir_errors_total") >= 2, what="errors to be counted")
            self.assertEqual(agent.text().count("No space left"), 1, agent.text())
            os.unlink(os.path.join(self.out, "filler"))
            wait_for(lambda: agent.metric("wireprof_out_dir_written_total") >= 1, what="a file")
            self.assertEqual(agent.get("/healthz")[0], 200)


if __name__ == "__main__":
    unittest.main(verbosity=2)

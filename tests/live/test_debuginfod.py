# SPDX-License-Identifier: Apache-2.0
"""Debug files from a debuginfod server: a real one, one that never answers, and none to be asked."""
import os
import re
import select
import signal
import socket
import subprocess
import time
import unittest
import urllib.request

from compiled import CompiledTest, cpu_seconds
from harness import WIREPROF, wait_for
from pprof import Profile

WAIT_S = 5  # LATE_NAMES_WAIT_MS
SLACK_S = 4  # of a busy machine, and to start and end


class DebuginfodTest(CompiledTest):
    def setUp(self):
        super().setUp()
        self.program = self.compile("busy.c", "-g", "-Wl,--build-id")
        self.debug = self.path("served")
        os.mkdir(self.debug)
        subprocess.run(["objcopy", "--only-keep-debug", self.program, os.path.join(self.debug, "busy.debug")], check=True)
        notes = subprocess.check_output(["readelf", "-n", self.program], text=True)
        self.build_id = re.search(r"Build ID: ([0-9a-f]+)", notes).group(1)
        subprocess.run(["strip", "--strip-all", self.program], check=True)

    def environment(self, urls):
        e = {k: v for k, v in os.environ.items() if not k.startswith("DEBUGINFOD_")}
        if urls is not None:
            e["DEBUGINFOD_URLS"] = urls
        e["DEBUGINFOD_CACHE_PATH"] = self.path("cache")
        return e

    def record(self, urls, seconds=1):
        """Returns the profile, the messages, and the seconds that it all took."""
        out, start = self.path("out.pb.gz"), time.monotonic()
        done = subprocess.run([WIREPROF, "record", "-F", "997", "-d", str(seconds), "-o", out, "--verbose", "--", self.program,
                               "10"], env=self.environment(urls), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return Profile(out), done.stderr, time.monotonic() - start

    def listening(self):
        """A socket that connections can be made to, and that is never read; its URL."""
        s = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.addCleanup(s.close)
        return s, "http://127.0.0.1:%d" % s.getsockname()[1]

    @staticmethod
    def connected(server):
        return bool(select.select([server], [], [], 0)[0])

    def serve(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        server = subprocess.Popen(["debuginfod", "-p", str(port), "-d", self.path("database"), "-t", "0", "-g", "0", "-F", self.debug],
                                  env=self.environment(None), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end, server)
        url = "http://127.0.0.1:%d" % port

        def has_it():
            try:
                with urllib.request.urlopen("%s/buildid/%s/debuginfo" % (url, self.build_id), timeout=5) as r:
                    return r.status == 200
            except OSError:
                return False

        wait_for(has_it, 30, "debuginfod to serve the file")
        return url


class Names(DebuginfodTest):
    def test_from_a_server(self):
        profile, _, _ = self.record(None)
        self.assertEqual(cpu_seconds(profile, "burn_for"), 0, "it has names without a server: no test")
        profile, messages, seconds = self.record(self.serve())
        self.assertGreater(cpu_seconds(profile, "burn_for"), 0.8 * cpu_seconds(profile))
        self.assertFalse([f for s in profile.samples for f in s.frames if f.startswith("busy+0x")])
        self.assertIn("debug files found", messages)
        self.assertRegex(messages, r"busy: lines of [1-9]")
        self.assertLess(seconds, 1 + SLACK_S + WAIT_S)

    def test_a_server_that_has_nothing(self):
        os.unlink(os.path.join(self.debug, "busy.debug"))
        with socket.create_server(("127.0.0.1", 0)) as s:
            url = "http://127.0.0.1:%d" % s.getsockname()[1]  # nobody listens there any more
        profile, messages, seconds = self.record(url)
        self.assertGreater(cpu_seconds(profile), 0.1)
        self.assertIn("debuginfod:", messages)
        self.assertLess(seconds, 1 + SLACK_S)


class Bounds(DebuginfodTest):
    def test_a_server_that_never_answers(self):
        server, url = self.listening()
        profile, messages, seconds = self.record(url)
        self.assertTrue(self.connected(server), "nobody was asked: no test")
        self.assertGreater(cpu_seconds(profile), 0.1)
        self.assertIn("waiting up to 5 s", messages)
        self.assertIn("did not come in time", messages)
        self.assertGreater(seconds, 1 + WAIT_S - 0.5)
        self.assertLess(seconds, 1 + WAIT_S + SLACK_S)
        lost = re.search(r"samples: (\d+) taken, (\d+) lost", messages)
        self.assertEqual(lost.group(2), "0", "the drain was held up")

    def test_ctrl_c_ends_the_wait(self):
        _, url = self.listening()
        out = self.path("out.pb.gz")
        process = subprocess.Popen([WIREPROF, "record", "-d", "1", "-o", out, "--", self.program, "10"], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True, env=self.environment(url))
        self.addCleanup(self.end, process)
        for line in process.stderr:
            if "waiting up to" in line:
                break
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        self.assertEqual(process.wait(), 0)
        self.assertLess(time.monotonic() - start, 3)
        self.assertTrue(Profile(out).samples)

    def test_nobody_is_asked_without_the_variable(self):
        server, url = self.listening()
        for urls in None, "", " ":
            _, messages, seconds = self.record(urls)
            self.assertNotIn("debuginfod", messages)
            self.assertLess(seconds, 1 + SLACK_S)
        self.assertFalse(self.connected(server))
        self.record(url)
        self.assertTrue(self.connected(server), "it cannot be seen: no test")

    def test_helpers_end_with_us(self):
        """Even if we are killed."""
        _, url = self.listening()
        process = subprocess.Popen([WIREPROF, "record", "-o", self.path("out.pb.gz"), "--", self.program, "10"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environment(url))
        self.addCleanup(self.end, process)
        children = "/proc/%d/task/%d/children" % (process.pid, process.pid)

        def helpers():
            with open(children, encoding="ascii") as f:
                return [p for p in f.read().split() if os.readlink("/proc/%s/exe" % p) == WIREPROF]

        found = wait_for(lambda: (lambda h: len(h) >= 4 and h)(helpers()), what="the helpers")
        process.kill()
        process.wait()
        wait_for(lambda: not any(os.path.exists("/proc/" + p) for p in found), what="the helpers to end")


if __name__ == "__main__":
    unittest.main()

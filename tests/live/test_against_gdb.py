# SPDX-License-Identifier: Apache-2.0
"""
Programs that nobody tuned, at one thing for long: their stacks are those that gdb sees.

Such a program's leaf moves, and so may the frames next to it; so gdb stops it several times, and each time the busy
thread's callers must be a stack that was sampled. Where stacks vary too much for that, each step from a frame to its
caller must be one that was sampled.
"""
import collections
import os
import subprocess
import unittest

from compiled import CompiledTest
from entries import Measured
from gdb_stacks import Places, callers_of, gdb_stacks
from harness import record
from mariadb_server import MariadbServer
from workloads import WORKLOADS, entered, wait_busy

STOPS = 4
LEAST_STACKS = 100


def thread_ticks(pid):
    """{thread id: CPU time in 1/100 s}"""
    ticks = {}
    for thread in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/stat" % (pid, thread), encoding="utf-8", errors="replace") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        ticks[int(thread)] = int(fields[11]) + int(fields[12])
    return ticks


class AgainstGdb(CompiledTest):
    def sampled(self, pid, seconds=2):
        """{callers: samples} of a process, and {thread id: CPU ticks that it used meanwhile}."""
        before = thread_ticks(pid)
        profile, stderr = record(pid, seconds, "--no-requests", hz=997)
        after = thread_ticks(pid)
        got = Measured(profile.samples, stderr)
        self.assertGreaterEqual(got.count, LEAST_STACKS)
        stacks = collections.Counter()
        for s in got.samples:
            stacks[callers_of(s)] += s.count
        return stacks, {t: after[t] - before.get(t, 0) for t in after}

    def stopped(self, pid, threads):
        """Callers of those threads at STOPS moments, as gdb sees them."""
        places, stacks = Places(pid), []
        for _ in range(STOPS):
            seen = gdb_stacks(pid)
            stacks += [places.callers(seen[t]) for t in threads if t in seen]
        return stacks

    def compare(self, pid, least_equal, most_strange=0.1, complete_only=False):
        """
        At least this share of gdb's stacks were sampled, to the last caller; and of their steps to a caller all but
        this share were. complete_only: gdb's stacks that do not end where a sampled one does are gdb's failures.
        """
        sampled, ticks = self.sampled(pid)
        busy = [t for t, n in ticks.items() if n >= 20]
        self.assertTrue(busy, ticks)
        stacks = self.stopped(pid, busy)
        self.assertGreaterEqual(len(stacks), STOPS)
        if complete_only:
            ends = {s[-1] for s in sampled if s}
            stacks = [s for s in stacks if s and s[-1] in ends and all(file for file, _ in s)]
            self.assertTrue(stacks, "gdb completed none")
        known = {pair for s in sampled for pair in zip(s, s[1:])}
        pairs = [pair for s in stacks for pair in zip(s, s[1:])]
        strange = [pair for pair in pairs if pair not in known]
        equal = sum(s in sampled for s in stacks)
        print("    %d of gdb's %d stacks were sampled, and %d of their %d steps to a caller; %d different stacks" % (
            equal, len(stacks), len(pairs) - len(strange), len(pairs), len(sampled)), flush=True)
        self.assertGreaterEqual(equal / len(stacks), least_equal, strange)
        self.assertLessEqual(len(strange) / len(pairs), most_strange, strange)

    def of_workload(self, name):
        return next(w for w in WORKLOADS if w.name == name).start(self)

    def test_mariadbd_computing(self):
        """One query that computes for long, in a server with some ten threads that wait."""
        server = entered(self, MariadbServer())
        client = subprocess.Popen(server.client("-e", "SELECT BENCHMARK(1000000000, SHA2('a', 256))"),
                                  stdout=subprocess.DEVNULL)
        self.addCleanup(self.end, client)
        wait_busy(server.pid)
        self.compare(server.pid, 0.5)

    def test_python_in_c(self):
        """A regular expression that backtracks for long, called by way of three functions."""
        source = ("import re\nprint('busy', flush=True)\n"
                  "def inner(): re.match(r'(a|aa)+$', 'a' * 60 + 'b')\ndef middle(): inner()\n"
                  "def outer(): middle()\nouter()\n")
        process = self.start("/usr/bin/python3", "-c", source)
        self.compare(process.pid, 0.5)

    def test_python_multiplying(self):
        """Integers of 250 000 digits: a recursion in C, by two paths at each level, so stacks seldom come twice."""
        process = self.start("/usr/bin/python3", "-c",
                             "x = 7 ** 300000\nprint('busy', flush=True)\nwhile True: y = x * x\n")
        self.compare(process.pid, 0)

    def speed(self, *how):
        process = self.start("openssl", "speed", "-seconds", 60, "-bytes", 16384, *how, ready=False,
                             stderr=subprocess.DEVNULL)
        wait_busy(process.pid, 30)
        self.compare(process.pid, 0.5)

    def test_openssl_ecdsa(self):
        self.speed("ecdsap256")

    def test_openssl_gcm(self):
        self.speed("-evp", "aes-256-gcm")

    def test_openssl_chacha(self):
        self.speed("-evp", "chacha20-poly1305")

    def test_x265(self):
        """gdb guesses in assembler without CFI, often wrongly; and much of what it sees is not seen again so soon."""
        self.compare(self.of_workload("x265")[0], 0, most_strange=0.3, complete_only=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)

# SPDX-License-Identifier: Apache-2.0
"""What comes out, read by others: Go's pprof, and Chromium. On a real recording, and on the sample profile."""
import os
import subprocess
import sys
import tempfile
import time
import unittest

from check_pprof import Pprof, find_gos
from harness import ROOT, Load, wireprof
from pprof import Profile
from redis_load import COMMANDS, client_of, fill
from redis_server import RedisServer

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLE = os.path.join(ROOT, "build", "page")


class Outputs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """One recording, written as all three formats."""
        cls.directory = tempfile.TemporaryDirectory()
        cls.files = {e: os.path.join(cls.directory.name, "redis." + e) for e in ("html", "pb.gz", "folded")}
        with RedisServer() as server:
            fill(server)
            with Load([client_of(server, op) for op in COMMANDS], 9):
                time.sleep(0.5)
                wireprof("record", "-p", server.pid, "-d", 5, "-F", 997,
                         *[x for f in cls.files.values() for x in ("-o", f)])
        cls.profile = Profile(cls.files["pb.gz"])

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def check(self, script, *args):
        done = subprocess.run([sys.executable, os.path.join(HERE, script), *args], capture_output=True, text=True,
                              timeout=300)
        print(done.stdout, flush=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_page_of_a_recording(self):
        self.check("check_page.py", self.files["html"], self.files["pb.gz"])

    def test_page_of_the_sample(self):
        self.check("check_page.py", SAMPLE + "/sample.html", SAMPLE + "/sample.pb.gz",
                   "--empty", SAMPLE + "/empty.html")

    def test_go_reads_the_sample(self):
        self.check("check_pprof.py", SAMPLE + "/sample.pb.gz")

    def test_go_reads_a_recording(self):
        gos = find_gos()
        self.assertTrue(gos, "no Go: install golang-go")
        for go in gos:
            with tempfile.TemporaryDirectory() as home:
                pprof = Pprof(go, self.files["pb.gz"], home)
                roots = pprof("-tagroot=db_operation_name", "-traces")
                for operation in COMMANDS:
                    self.assertRegex(roots, r"(?m)^ +%s$" % operation)
                self.assertRegex(pprof("-tags"), r"db_operation_name: Total")
                sort = pprof("-tagfocus=db_operation_name=SORT", "-top", "-cum")
                self.assertIn("sortCommandGeneric", sort)
                self.assertNotIn("genericZrangebyscoreCommand", sort)

    def test_folded_holds_the_same_samples(self):
        total = 0
        with open(self.files["folded"], encoding="utf-8") as f:
            for line in f:
                stack, count = line.rsplit(" ", 1)
                self.assertTrue(stack.startswith("redis-server;"), line)
                total += int(count)
        self.assertEqual(total, sum(s.count for s in self.profile.samples))


if __name__ == "__main__":
    unittest.main(verbosity=2)

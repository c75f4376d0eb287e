# SPDX-License-Identifier: Apache-2.0
"""Code that is in no ELF file, by perf maps: V8's, and a small JIT that moves, hides or delays what it tells."""
import os
import shutil
import unittest

from compiled import PROGRAMS, CompiledTest, cpu_seconds, entry_share
from harness import record, wait_for, wireprof
from pprof import Profile

HZ = 997
# A sample gets the name that its address has when the map is read, which is up to this long after it was taken.
READ_LATE_S = 0.15


class JitTest(CompiledTest):
    def setUp(self):
        super().setUp()
        self.addCleanup(lambda: [os.unlink(p) for p in self.maps if os.path.lexists(p)])
        self.maps = []

    def start_jit(self, *args, command=()):
        process = self.start(*command, self.compile("jit_code.c"), *args)
        self.maps.append("/tmp/perf-%d.map" % process.pid)
        return process

    def record_jit(self, *args):
        """Runs it under wireprof; returns the profile and {name: CPU seconds used}."""
        out = self.path("out.pb.gz")
        done = wireprof("record", "-F", HZ, "-o", out, "--", self.compile("jit_code.c"), *args)
        profile = Profile(out)
        self.maps.append("/tmp/perf-%d.map" % profile.samples[0].labels["pid"])
        used = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines() if " " in line)
        return profile, {name: float(seconds) for name, seconds in used.items()}

    @staticmethod
    def share(profile, function):
        return cpu_seconds(profile, function) / cpu_seconds(profile)


class PerfMaps(JitTest):
    def test_a_name_with_spaces(self):
        profile, used = self.record_jit("JS:*made up /a b.js:3:5", 0.5)
        self.assert_cpu(cpu_seconds(profile, "JS:*made up /a b.js:3:5"), sum(used.values()), "the function")

    def test_memory_that_is_used_again(self):
        profile, used = self.record_jit("first_code", 0.6, "second_code", 1.0, "third_code", 0.8)
        self.assertEqual(len(used), 3)
        for name, seconds in used.items():
            self.assertAlmostEqual(cpu_seconds(profile, name), seconds, delta=READ_LATE_S + 0.1 * seconds, msg=name)

    def test_a_file_that_is_made_after_a_first_look_for_it(self):
        profile, used = self.record_jit("-", 0.25, "first_code", 0.6, "second_code", 0.1)
        self.assertAlmostEqual(cpu_seconds(profile, "first_code"), used["first_code"], delta=READ_LATE_S + 0.06)

    def test_two_processes_with_the_same_address(self):
        """Without address space randomization both have their code at one address."""
        processes = [self.start_jit(name, 5, command=("setarch", "-R")) for name in ("code_of_one", "code_of_two")]
        profile, _ = record("%d,%d" % tuple(p.pid for p in processes), 1.5, hz=HZ)
        addresses = {}
        for p, name, other in zip(processes, ("code_of_one", "code_of_two"), ("code_of_two", "code_of_one")):
            self.assertGreater(cpu_seconds(profile, name, pid=p.pid), 0.1)
            self.assertEqual(cpu_seconds(profile, other, pid=p.pid), 0)
            addresses[name] = {a & ~0xfff for s in profile.samples for f, a in zip(s.frames, s.addresses) if f == name}
        self.assertEqual(addresses["code_of_one"], addresses["code_of_two"], "not the same address: no test")

    def test_code_that_nothing_names_is_kept(self):
        profile, used = self.record_jit("-", 0.5)
        self.assert_cpu(cpu_seconds(profile, "[anon]"), used["-"], "code without a name")

    def test_told_when_the_program_ends(self):
        profile, used = self.record_jit("late:told_late", 0.5)
        self.assert_cpu(cpu_seconds(profile, "told_late"), used["late:told_late"], "code that is told late")

    def test_its_own_pid_namespace_and_tmp(self):
        """The id in the file's name is the inner one, and its /tmp is not ours."""
        unshare = self.start_jit("private", "inner_code", 6, command=("unshare", "--pid", "--fork", "--mount",
                                                                      "--kill-child"))
        children = "/proc/%d/task/%d/children" % (unshare.pid, unshare.pid)

        def child():
            with open(children) as f:
                return f.read()

        inner = int(wait_for(child, what="the child"))
        profile, _ = record(inner, 1, hz=HZ)
        self.assertGreater(self.share(profile, "inner_code"), 0.8)

    def test_another_users_file(self):
        """The map of a process is not believed if another user could have written it."""
        process = self.start_jit("-", 5)
        path = "/tmp/perf-%d.map" % process.pid
        with open(path, "w") as f:
            f.write("0 7fffffffffff forged\n")
        os.chown(path, 65534, 65534)
        profile, messages = record(process.pid, 1, hz=HZ)
        self.assertEqual(cpu_seconds(profile, "forged"), 0)
        self.assertGreater(self.share(profile, "[anon]"), 0.8)
        self.assertIn("belongs to neither root nor", messages)

    def test_an_older_processs_file(self):
        process = self.start_jit("-", 5)
        path = "/tmp/perf-%d.map" % process.pid
        with open(path, "w") as f:
            f.write("0 ffffffff stale\n")
        os.utime(path, (1, 1))
        profile, messages = record(process.pid, 1, hz=HZ)
        self.assertEqual(cpu_seconds(profile, "stale"), 0)
        self.assertIn("older than the process", messages)

    def test_a_fifo_in_place_of_the_file(self):
        process = self.start_jit("-", 5)
        os.mkfifo("/tmp/perf-%d.map" % process.pid)
        profile, messages = record(process.pid, 1, hz=HZ)
        self.assertGreater(self.share(profile, "[anon]"), 0.8)
        self.assertIn("not a regular file", messages)


@unittest.skipUnless(shutil.which("node"), "needs nodejs")
class Node(JitTest):
    def record_node(self):
        node = self.start("node", "--perf-basic-prof", os.path.join(PROGRAMS, "hot.js"), 8, cwd=self.directory)  # it leaves a log there
        self.maps.append("/tmp/perf-%d.map" % node.pid)
        return record(node.pid, 2, hz=HZ)[0]

    def test_names(self):
        profile = self.record_node()
        hot = [s for s in profile.samples if any("hotLeaf" in f or "hotCaller" in f for f in s.frames)]
        total = sum(s.nanoseconds for s in profile.samples)
        self.assertGreater(sum(s.nanoseconds for s in hot), 0.9 * total)
        self.assertTrue(any(f.startswith("JS:*hotLeaf") or f.startswith("LazyCompile:*hotLeaf")
                            for s in hot for f in s.frames))
        self.assertLess(cpu_seconds(profile, "[anon]"), 0.02 * total / 1e9)

    def test_stacks_reach_the_entry(self):
        share = entry_share(self.record_node().samples)
        print("node --perf-basic-prof: %.3f %% of the user stacks reach the entry" % (100 * share))
        self.assertGreaterEqual(share, 0.995)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Targets by name, cgroup and all at once: who joins while recording, who does not, and what their samples carry."""
import os
import signal
import subprocess
import time
import unittest

from compiled import CompiledTest, attached, cpu_seconds, entry_share, read_line
from harness import WIREPROF, wait_for, wireprof
from pprof import Profile
from test_processes import cpu_ticks

HZ = 997

UNIFIED = "/sys/fs/cgroup/unified" if os.path.exists("/sys/fs/cgroup/unified") else "/sys/fs/cgroup"

class Recorder:
    """with Recorder(test, "--comm", "x") as r: ... then r.profile and r.text. In the background, attached when entered."""

    def __init__(self, test, *options):
        self.test, self.path = test, test.path("out.pb.gz")
        self.command = [WIREPROF, "record", "-F", str(HZ), "-d", "60", "-o", self.path, *map(str, options)]

    def __enter__(self):
        self.process = self.test.start(*self.command, ready=False, stderr=subprocess.PIPE)
        wait_for(lambda: self.process.poll() is not None or attached(self.process.pid), what="the recording to start")
        if self.process.poll() is not None:
            raise AssertionError(self.process.stderr.read())
        return self

    def __exit__(self, kind, *_):
        if kind:
            return
        self.process.send_signal(signal.SIGINT)
        _, self.text = self.process.communicate(timeout=30)
        if self.process.returncode:
            raise AssertionError(self.text)
        self.profile = Profile(self.path)


class TargetTest(CompiledTest):
    def busy(self, function, *args, name=None, cgroup=None):
        """A program that burns CPU in `function`; in the cgroup from before its exec() on, where one is given."""
        # Without build-ids: theirs would be the same, as the functions' names are all that differs.
        program = self.compile("busy.c", "-DNAME=" + function, "-Wl,--build-id=none", name=name or function)
        if not cgroup:
            return self.start(program, *args)
        return self.start("sh", "-c", "echo $$ > %s/cgroup.procs; exec %s %s" % (cgroup, program, " ".join(map(str, args))))

    def burn(self, process, ticks=20):
        begun = cpu_ticks(process.pid)
        wait_for(lambda: cpu_ticks(process.pid) > begun + ticks, what="CPU to be used")

    def assert_only(self, profile, *functions):
        """These burnt, and nobody else was sampled to speak of."""
        for function in functions:
            self.assertGreater(cpu_seconds(profile, function), 0.1, function)
        known = sum(cpu_seconds(profile, f) for f in functions)
        self.assertGreater(known, 0.9 * cpu_seconds(profile))


class Comm(TargetTest):
    def test_there_and_later(self):
        first = self.busy("first_one", name="wp-busy")
        self.busy("bystander", name="wp-other")
        with Recorder(self, "--comm", "wp-busy") as r:
            self.burn(first)
            later = self.busy("later_one", name="wp-busy")
            self.burn(later)
        self.assert_only(r.profile, "first_one", "later_one")
        self.assertEqual({s.labels["comm"] for s in r.profile.samples}, {"wp-busy"})
        self.assertEqual(cpu_seconds(r.profile, "bystander"), 0)
        self.assertGreater(entry_share([s for s in r.profile.samples if s.labels["pid"] == later.pid]), 0.95)

    def test_children_are_followed(self):
        program = self.compile("busy.c", "-DNAME=child_of_it", name="wp-child")
        shell = self.path("wp-shell")
        os.symlink("/bin/sh", shell)
        parent = self.start(shell, "-c", "echo ready; sleep 0.2; while :; do %s 0.1 >/dev/null; done" % program)
        with Recorder(self, "--comm", "wp-shell") as r:
            time.sleep(1.5)
        self.end(parent)
        self.assertGreater(cpu_seconds(r.profile, "child_of_it", comm="wp-child"), 0.3)

    def test_nobody_has_the_name(self):
        done = wireprof("record", "--comm", "no-such-name", "-o", self.path("x.html"), check=False)
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (1, 1), done.stderr)
        self.assertIn("--comm no-such-name: no process has this name", done.stderr)
        self.assertFalse(os.path.exists(self.path("x.html")))


class Cgroups(TargetTest):
    TREES = {"v2": "/sys/fs/cgroup/unified", "v1 cpu": "/sys/fs/cgroup/cpu", "v1 pids": "/sys/fs/cgroup/pids",
             "v1 memory": "/sys/fs/cgroup/memory", "v1 blkio": "/sys/fs/cgroup/blkio"}

    def cgroup(self, tree, name="wireprof-test"):
        path = os.path.join(tree, "%s-%d" % (name, os.getpid()))
        os.makedirs(path)
        self.addCleanup(self.remove, path)
        return path

    def remove(self, path):
        """Children first; its processes are gone by then, or about to."""
        for directory, _, _ in os.walk(path, topdown=False):
            wait_for(lambda d=directory: self.removed(d), what="cgroup %s to empty" % directory)

    @staticmethod
    def removed(path):
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return True
        except OSError:
            with open(os.path.join(path, "cgroup.procs"), encoding="ascii") as f:
                for pid in f.read().split():
                    os.kill(int(pid), signal.SIGKILL)
            return False
        return True

    def trees(self):
        found = {k: v for k, v in self.TREES.items() if os.path.exists(os.path.join(v, "cgroup.procs"))}
        if os.path.exists("/sys/fs/cgroup/cgroup.procs"):
            found["v2 alone"] = "/sys/fs/cgroup"
        self.assertTrue(found)
        return found.items()

    def test_who_is_there_who_joins_and_below(self):
        for kind, tree in self.trees():
            with self.subTest(kind=kind):
                cgroup = self.cgroup(tree)
                below = os.path.join(cgroup, "below", "deeper")
                os.makedirs(below)
                first = self.busy("first_one", cgroup=cgroup)
                outsider = self.busy("outsider")
                with Recorder(self, "--cgroup", cgroup) as r:
                    self.burn(first)
                    execs = self.busy("execs_inside", cgroup=below)
                    self.burn(execs)
                    with open(os.path.join(below, "cgroup.procs"), "w", encoding="ascii") as f:
                        f.write(str(outsider.pid))  # it joins without any exec
                    self.burn(outsider, 40)
                self.assert_only(r.profile, "first_one", "execs_inside", "outsider")
                self.assertGreater(entry_share(r.profile.samples), 0.95)
                for process in (first, execs, outsider):
                    self.end(process)

    def test_who_leaves_is_not_sampled_any_more(self):
        cgroup = self.cgroup(UNIFIED)
        stays, leaves = self.busy("stays", cgroup=cgroup), self.busy("leaves", cgroup=cgroup)
        with Recorder(self, "--cgroup", cgroup) as r:
            self.burn(leaves, 10)
            with open(os.path.join(os.path.dirname(cgroup), "cgroup.procs"), "w", encoding="ascii") as f:
                f.write(str(leaves.pid))
            before = cpu_ticks(leaves.pid)
            self.burn(leaves, 100)
            self.burn(stays, 10)
        sampled = cpu_seconds(r.profile, "leaves")
        self.assertGreater(sampled, 0.05)
        self.assertLess(sampled, before / os.sysconf("SC_CLK_TCK"))
        self.assertGreater(cpu_seconds(r.profile, "stays"), 0.1)

    def test_who_comes_back_is_sampled_again(self):
        cgroup = self.cgroup(UNIFIED)
        process = self.busy("comes_and_goes", cgroup=cgroup)
        with Recorder(self, "--cgroup", cgroup) as r:
            for where in (cgroup, os.path.dirname(cgroup), cgroup):
                with open(os.path.join(where, "cgroup.procs"), "w", encoding="ascii") as f:
                    f.write(str(process.pid))
                self.burn(process, 50)
        self.assertGreater(cpu_seconds(r.profile, "comes_and_goes"), 0.85)
        self.assertLess(cpu_seconds(r.profile, "comes_and_goes"), 1.3)

    def test_made_again(self):
        """As a container that is started again: the same path, another cgroup."""
        cgroup = self.cgroup(UNIFIED)
        with Recorder(self, "--cgroup", cgroup) as r:
            first = self.busy("first_life", cgroup=cgroup)
            self.burn(first)
            self.end(first)
            self.remove(cgroup)
            time.sleep(0.1)
            os.makedirs(cgroup)
            second = self.busy("second_life", cgroup=cgroup)
            self.burn(second, 200)
            self.end(second)
        self.assert_only(r.profile, "first_life", "second_life")

    def test_a_process_id_used_again(self):
        """One of two processes that had the same id was outside: nothing of it shows."""
        cgroup = self.cgroup(UNIFIED)
        inside = self.compile("busy.c", "-DNAME=had_it_first", "-Wl,--build-id=none")
        outside = self.compile("busy.c", "-DNAME=had_it_then", "-Wl,--build-id=none", name="then")
        with Recorder(self, "--cgroup", cgroup) as r:
            first = self.start("sh", "-c", "echo $$ > %s/cgroup.procs; exec %s" % (cgroup, inside))
            self.burn(first)
            self.end(first)
            second = self.same_id(first.pid, outside)
            time.sleep(0.5)
            os.kill(second, signal.SIGKILL)
            os.waitpid(second, 0)
        self.assert_only(r.profile, "had_it_first")
        self.assertEqual(cpu_seconds(r.profile, "had_it_then"), 0)
        self.assertEqual({s.labels["comm"] for s in r.profile.samples} - {"sh"}, {"busy"})

    def same_id(self, pid, program):
        """Starts a program as process `pid`: the next fork() after the kernel was told the last id it gave."""
        for _ in range(100):
            with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as f:
                f.write(str(pid - 1))
            child = os.fork()
            if not child:
                os.execv(program, [program])
            if child == pid:
                return child
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        raise unittest.SkipTest("the id was never given again")

    def test_what_is_no_cgroup(self):
        tree = self.TREES["v2"] if os.path.exists(self.TREES["v2"]) else "/sys/fs/cgroup"
        for path in ("/etc", "/sys/fs/cgroup/../../../etc", "/proc/self", tree + "/no-such-cgroup", ""):
            done = wireprof("record", "--cgroup", path, "-o", self.path("x.html"), check=False)
            self.assertIn(done.returncode, (1, 2), path)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertFalse(os.path.exists(self.path("x.html")))


class All(TargetTest):
    def test_every_process(self):
        first, second = self.busy("first_one"), self.busy("second_one")
        with Recorder(self, "-a") as r:
            self.burn(first)
            self.burn(second)
            third = self.busy("third_one")
            self.burn(third)
        for function in ("first_one", "second_one", "third_one"):
            self.assertGreater(cpu_seconds(r.profile, function), 0.1)
        pids = {s.labels["pid"] for s in r.profile.samples}
        self.assertTrue({p.pid for p in (first, second, third)} <= pids)
        self.assertGreater(entry_share([s for s in r.profile.samples if s.labels["pid"] in
                                        {p.pid for p in (first, second, third)}]), 0.9)

    def test_the_kernels_own_threads(self):
        """They have no user stack, and that is no truncated one."""
        with Recorder(self, "-a", "-F", 4999) as r:
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline:
                subprocess.run(["dd", "if=/dev/zero", "of=" + self.path("file"), "bs=1M", "count=20", "oflag=dsync"],
                               check=True, stderr=subprocess.DEVNULL)
        threads = [s for s in r.profile.samples if s.frames[-1] == "ret_from_fork_asm"]
        self.assertTrue(threads)
        self.assertFalse([s for s in threads if "[truncated]" in s.frames])
        self.assertFalse({s.labels["comm"] for s in threads if "/" in s.labels["comm"]})


class Refusals(TargetTest):
    def assert_refused(self, words, *options, status=2):
        done = wireprof("record", "-o", self.path("x.html"), *options, check=False)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn(words, done.stderr)

    def test_two_kinds(self):
        self.assert_refused("give either --comm or -p, not both", "--comm", "x", "-p", "1")
        self.assert_refused("give either -a or --cgroup, not both", "-a", "--cgroup", "/x")
        self.assert_refused("give either -c or a command behind --, not both", "-c", "abcdef", "--", "true")
        self.assert_refused("--comm can be given once only", "--comm", "x", "--comm", "y")

    def test_names_that_cannot_be(self):
        self.assert_refused("at most 15 characters", "--comm", "a" * 16)
        self.assert_refused("takes a name", "--comm", "")
        self.assert_refused("takes a name", "-c", "")

    def test_no_target(self):
        self.assert_refused("what to record?")

    def test_containers(self):
        self.assert_refused("-c no-such-container: ", "-c", "no-such-container", status=1)


if __name__ == "__main__":
    unittest.main(verbosity=2)

# SPDX-License-Identifier: Apache-2.0
"""Targets that load, fork, exec, exit, or are linked in unusual ways while they are recorded."""
import collections
import os
import signal
import subprocess
import unittest

from compiled import CompiledTest, attached, cpu_seconds, entry_share, reaches_entry, read_line, user_part
from harness import WIREPROF, record, wait_for, wireprof
from pprof import Profile

HZ = 997


class ProcessTest(CompiledTest):
    def record_command(self, *command, seconds=None, options=()):
        """Runs a command under wireprof; returns the profile and the words of each line that it printed."""
        out = self.path("out.pb.gz")
        limit = ("-d", seconds) if seconds else ()
        done = wireprof("record", *limit, "-F", HZ, "-o", out, *options, "--", *command)
        return Profile(out), [line.split() for line in done.stdout.splitlines()]

    def library(self, function, *flags):
        return self.compile("plugin.c", "-shared", "-fPIC", "-DNAME=" + function, *flags, name=function + ".so")


class Libraries(ProcessTest):
    def test_loaded_while_recording(self):
        plugin = self.library("late_plugin")
        program = self.compile("load_plugins.c")
        process = self.start(program, 1, 1, plugin, "late_plugin", 1)
        profile, _ = record(process.pid, 20, hz=HZ)
        name, _, used = read_line(process).split()
        self.assert_cpu(cpu_seconds(profile, name), float(used), name)
        self.assertGreater(cpu_seconds(profile, "before_any_plugin"), 0)
        late = [s for s in profile.samples if name in s.frames]
        self.assertGreaterEqual(entry_share(late), 0.95)
        self.assertEqual({m for s in late for f, m in zip(*user_part(s)[::2]) if f == name}, {plugin})

    def test_many_in_a_short_time(self):
        """The kernel learns of each at once, not with the next look at /proc/PID/maps."""
        stay = "-Wl,-z,nodelete"  # each at an address of its own
        plugins = [(self.library("plugin_%d" % i, stay), "plugin_%d" % i, 0.03) for i in range(30)]
        profile, _ = self.record_command(self.compile("load_plugins.c"), 0.3, 1, *sum(plugins, ()))
        late = [s for s in profile.samples if any(f.startswith("plugin_") for f in s.frames)]
        self.assertGreater(sum(s.nanoseconds for s in late), 0.8 * 30 * 0.03e9)
        self.assertGreaterEqual(entry_share(late), 0.85)

    def assert_swapped(self, rounds, seconds):
        """Two libraries take turns at one address; each one's CPU by samples is what it used, under its names."""
        libraries = {"plugin_alpha": self.library("plugin_alpha"),
                     "plugin_beta": self.library("plugin_beta", "-DPAD=\"300\"")}
        args = [x for i, (name, path) in enumerate(libraries.items()) for x in (path, name, seconds * (i + 1))]
        profile, lines = self.record_command(self.compile("load_plugins.c"), 0.3, rounds, *args)
        used, addresses = collections.Counter(), collections.defaultdict(set)
        for name, address, cpu in (line for line in lines if len(line) == 3):
            used[name] += float(cpu)
            addresses[name].add(int(address, 16) & ~0xfff)
        self.assertTrue(addresses["plugin_alpha"] & addresses["plugin_beta"], "not the same address: no test")
        for name, path in libraries.items():
            inside = [s for s in profile.samples if path in s.mappings]
            self.assert_cpu(sum(s.nanoseconds for s in inside) / 1e9, used[name], name)
            whole = [s for s in inside if reaches_entry(s)]
            self.assertTrue(whole)
            nameless = sum(s.nanoseconds for s in whole if name not in s.frames) / 1e9
            self.assertLess(nameless, 0.02 * used[name], "%s: wrong names" % name)

    def test_one_after_the_other_at_the_same_address(self):
        self.assert_swapped(1, 0.6)

    def test_many_swaps_in_a_short_time(self):
        self.assert_swapped(25, 0.015)


class Commands(ProcessTest):
    def assert_used(self, profile, lines, function="busy_function"):
        """Each process's CPU, less what it used before exec(); and that most of it is in the function."""
        for pid, used in lines:
            self.assert_cpu(cpu_seconds(profile, pid=int(pid)), float(used), "process " + pid)
            self.assertGreater(cpu_seconds(profile, function, pid=int(pid)), 0)
        self.assertGreater(cpu_seconds(profile, function), 0.6 * sum(float(used) for _, used in lines))

    def test_from_the_first_instruction(self):
        profile, lines = self.record_command(self.compile("busy.c"), 0.2)
        self.assertEqual(len(lines), 1)
        self.assert_used(profile, lines)
        self.assertGreaterEqual(entry_share(profile.samples), 0.7)  # nothing is known before exec()

    def test_exec(self):
        program = self.compile("busy.c", "-DNAME=after_exec")
        profile, lines = self.record_command("sh", "-c", "exec %s 0.4" % program)
        self.assert_used(profile, lines, "after_exec")
        inside = [s for s in profile.samples if "after_exec" in s.frames]
        self.assertGreaterEqual(entry_share(inside), 0.95)
        self.assertEqual({s.labels["comm"] for s in inside}, {"busy"})

    def test_exec_by_a_process_that_is_followed_by_its_id(self):
        program = self.compile("busy.c", "-DNAME=after_exec")
        shell = self.start("bash", "-c", "echo busy; while [ ! -e %s ]; do :; done; exec %s 0.5" %
                           (self.path("go"), program))
        recorder = self.start(WIREPROF, "record", "--quiet", "-p", shell.pid, "-F", HZ,
                              "-o", self.path("out.pb.gz"), ready=False)
        wait_for(lambda: attached(recorder.pid), what="the recording to start")
        ticks = cpu_ticks(shell.pid)
        wait_for(lambda: cpu_ticks(shell.pid) > ticks + 5, what="CPU to be used")
        open(self.path("go"), "w").close()
        line = read_line(shell).split()
        self.assertEqual(recorder.wait(20), 0)
        profile = Profile(self.path("out.pb.gz"))
        self.assertGreater(cpu_seconds(profile, "after_exec"), 0.8 * 0.5)
        self.assertEqual(int(line[0]), shell.pid)
        self.assertGreater(cpu_seconds(profile, comm="bash"), 0)
        self.assertEqual(cpu_seconds(profile, "after_exec", comm="bash"), 0)

    def test_short_lived_children(self):
        program = self.compile("busy.c", "-DNAME=in_child")
        script = "i=0; while [ $i -lt 20 ]; do %s 0.05; i=$((i+1)); done" % program
        profile, lines = self.record_command("sh", "-c", script)
        self.assertEqual(len({pid for pid, _ in lines}), 20)
        self.assert_used(profile, lines, "in_child")
        inside = [s for s in profile.samples if "in_child" in s.frames]
        self.assertEqual({s.labels["pid"] for s in inside}, {int(pid) for pid, _ in lines})
        burning = [s for s in profile.samples if s.labels["pid"] in {int(pid) for pid, _ in lines}]
        print("    %.1f %% of the children's stacks reach the entry" % (100 * entry_share(burning)), flush=True)
        self.assertGreaterEqual(entry_share(burning), 0.5)

    def test_children_that_do_not_exec(self):
        profile, lines = self.record_command(self.compile("busy.c"), 0.05, 20)
        self.assertEqual(len({pid for pid, _ in lines}), 20)
        self.assert_used(profile, lines)
        self.assertGreaterEqual(entry_share(profile.samples), 0.95)

    def test_command_that_does_not_exist(self):
        out = self.path("out.pb.gz")
        for command in ("/nonexistent/program", "no-such-program", self.directory):
            done = wireprof("record", "-o", out, "--", command, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertRegex(done.stderr, "^wireprof: cannot run %s: [A-Z]" % command)
            self.assertFalse(os.path.exists(out))

    def test_command_that_does_not_heed_sigterm(self):
        command = self.path("deaf")
        with open(command, "w") as f:
            f.write("#!/bin/sh\ntrap '' TERM\necho $$\nwhile :; do :; done\n")
        os.chmod(command, 0o755)
        recorder = self.start(WIREPROF, "record", "--quiet", "-d", 0.5, "-o", self.path("out.folded"), "--",
                              command, ready=False)
        pid = int(read_line(recorder))
        try:
            self.assertEqual(recorder.wait(15), 0)
            self.assertFalse(os.path.exists("/proc/%d" % pid))
        finally:
            if os.path.exists("/proc/%d" % pid):
                os.kill(pid, signal.SIGKILL)

    def test_first_mapping_is_the_commands(self):
        """pprof's convention: the first mapping is the main program's; not that of wireprof, which forked it."""
        program = self.compile("busy.c")
        profile, _ = self.record_command(program, 0.2)
        self.assertIn(program, profile.strings)
        self.assertNotIn(os.path.realpath(WIREPROF), profile.strings)


class Ends(ProcessTest):
    def recorded_until_the_end(self, process, *pids):
        out = self.path("out.pb.gz")
        recorder = self.start(WIREPROF, "record", "-p", ",".join(map(str, pids)), "-F", HZ, "-o", out, ready=False,
                              stderr=subprocess.PIPE)
        wait_for(lambda: attached(recorder.pid), what="the recording to start")
        ticks = cpu_ticks(process.pid)
        wait_for(lambda: cpu_ticks(process.pid) > ticks + 20, what="CPU to be used")
        process.kill()
        process.wait()
        _, text = recorder.communicate(timeout=15)
        self.assertEqual(recorder.returncode, 0, text)
        return Profile(out)

    def test_target_that_ends(self):
        process = self.start(self.compile("busy.c"))
        profile = self.recorded_until_the_end(process, process.pid)
        self.assertGreater(cpu_seconds(profile, "busy_function"), 0.15)

    def test_target_named_twice(self):
        process = self.start(self.compile("busy.c"))
        profile = self.recorded_until_the_end(process, process.pid, process.pid)
        self.assertGreater(cpu_seconds(profile, "busy_function"), 0.15)

    def test_first_thread_ends_before_the_others(self):
        process = self.start(self.compile("thread.c", "-pthread"), "gone")
        wait_for(lambda: state(process.pid) == "Z", what="the main thread's end")
        profile, _ = record(process.pid, 1, hz=HZ)
        self.assertGreater(cpu_seconds(profile), 0.1)
        self.assertGreater(cpu_seconds(profile, "spin_in_thread"), 0.95 * cpu_seconds(profile))


class Programs(ProcessTest):
    def assert_recorded(self, process, function="busy_function", seconds=0.7):
        profile, _ = record(process.pid, seconds, hz=HZ)
        self.assertGreater(cpu_seconds(profile, function), 0.95 * cpu_seconds(profile) - 0.01)
        self.assertGreater(cpu_seconds(profile), 0.1)
        self.assertGreaterEqual(entry_share(profile.samples), 0.99)
        return profile

    def test_ways_to_link(self):
        for flags in (["-pie"], ["-no-pie"], ["-static"], ["-static-pie"], ["-no-pie", "-Wl,-z,noseparate-code"],
                      ["-pie", "-Wl,-z,max-page-size=0x200000"]):
            with self.subTest(flags=flags):
                process = self.start(self.compile("busy.c", *flags))
                self.assert_recorded(process)
                self.end(process)

    def test_deleted_program(self):
        program = self.compile("busy.c")
        process = self.start(program)
        os.unlink(program)
        profile = self.assert_recorded(process)
        self.assertIn(program, profile.strings)

    def test_replaced_program(self):
        """Another program stands where this one was started from: it must not lend its names."""
        program = self.compile("busy.c", "-DNAME=original")
        process = self.start(program)
        os.unlink(program)
        self.compile("busy.c", "-DNAME=replacement", "-O1")
        profile = self.assert_recorded(process, "original")
        self.assertNotIn("replacement", profile.strings)

    def test_two_processes(self):
        a = self.start(self.compile("busy.c", "-DNAME=first_one", name="first"))
        b = self.start(self.compile("busy.c", "-DNAME=second_one", name="second"))
        bystander = self.start(self.compile("busy.c", "-DNAME=bystander", name="bystander"))
        profile, _ = record("%d,%d" % (a.pid, b.pid), 1.5, hz=HZ)
        for process, function in ((a, "first_one"), (b, "second_one")):
            self.assertGreater(cpu_seconds(profile, function, pid=process.pid), 0.1)
            self.assertEqual(cpu_seconds(profile, function), cpu_seconds(profile, function, pid=process.pid))
        self.assertEqual({s.labels["pid"] for s in profile.samples}, {a.pid, b.pid})
        self.assertNotIn(bystander.pid, {s.labels["pid"] for s in profile.samples})

    def test_vdso(self):
        process = self.start(self.compile("clock.c"))
        profile = self.assert_recorded(process, "ask_time")
        inside = [s for s in profile.samples if "[vdso]" in s.mappings]
        share = sum(s.nanoseconds for s in inside) / 1e9 / cpu_seconds(profile)
        self.assertGreater(share, 0.2)
        self.assertTrue(any("clock_gettime" in f for s in inside for f in s.frames))
        self.assertTrue(all(reaches_entry(s) for s in inside))


def stat_fields(pid):
    """proc(5): from the third field (state) on."""
    with open("/proc/%d/stat" % pid) as f:
        return f.read().rsplit(")", 1)[1].split()


def state(pid):
    return stat_fields(pid)[0]


def cpu_ticks(pid):
    return int(stat_fields(pid)[11])


if __name__ == "__main__":
    unittest.main(verbosity=2)

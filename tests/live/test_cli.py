# SPDX-License-Identifier: Apache-2.0
"""The command line as a user meets it: words, exit statuses, files, signals, and what is left behind."""
import gzip
import json
import os
import shutil
import signal
import subprocess
import unittest

from compiled import KERNEL, CompiledTest, attached, bpf_ids, user_part
from harness import WIREPROF, wait_for, wireprof
from pprof import Profile
from redis_server import RedisServer

BPFTOOL = shutil.which("bpftool", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
CAPABILITIES = "+bpf,+perfmon,+sys_ptrace,+dac_read_search,+syslog"


class CliTest(CompiledTest):
    def run_with(self, wrapper, *args):
        """Runs wireprof through another program; returns it finished."""
        return subprocess.run([*wrapper, WIREPROF, *map(str, args)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60)

    def assert_error(self, done, status, *words):
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertTrue(done.stderr.startswith("wireprof: "), done.stderr)
        for word in words:
            self.assertIn(str(word), done.stderr)

    def refused(self, status, words, *args):
        self.assert_error(wireprof("record", *args, check=False), status, *words)

    def busy(self):
        return self.start(self.compile("busy.c"))

    def recorder(self, *args, **how):
        """A wireprof that has started to sample, and goes on."""
        process = self.start(WIREPROF, "record", *args, ready=False, stderr=subprocess.PIPE, **how)
        wait_for(lambda: attached(process.pid), what="the recording to start")
        return process


class Usage(CliTest):
    def test_help(self):
        for args in (["--help"], ["-h"], ["help"], ["record", "--help"], ["record", "-h"]):
            done = wireprof(*args)
            self.assertTrue(done.stdout.startswith("usage: wireprof"), args)
            self.assertEqual(done.stderr, "")

    def test_nothing_asked(self):
        done = wireprof(check=False)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertTrue(done.stderr.startswith("usage: wireprof"))
        self.assertRegex(wireprof("--version").stdout, r"^wireprof \d+\.\d+\.\d+\n$")
        self.assert_error(wireprof("recrod", check=False), 2, "recrod", "--help")
        self.assert_error(wireprof("--version-of-nothing", check=False), 2, "--help")

    def test_targets(self):
        me = os.getpid()
        for text in ("abc", "1,,2", "0", "-5", "", ",", "1,", "1;2", "99999999999", "12x"):
            self.refused(2, ["-p takes process ids"], "-p", text)
        self.refused(2, ["-p", "--"])
        self.refused(2, ["-p", "--"], "--")
        self.refused(2, ["stray", "--"], "-p", me, "stray")
        self.refused(2, ["stray", "--"], "stray")
        self.refused(2, ["not both"], "-p", me, "--", "true")

    def test_options(self):
        me = os.getpid()
        for args, word in ((["--bogus"], "--bogus"), (["-x"], "-x"), (["-xq"], "-x"), (["--quiet=1"], "--quiet")):
            self.refused(2, ["unknown option", word, "--help"], "-p", me, *args)
        for option in ("-p", "-F", "-d", "-o", "-f", "--redis-keys", "--max-overhead"):
            self.refused(2, [option, "wants a value", "--help"], option)
        for text in ("0", "1e9", "99.5", "-1", "nan", "abc", "", "99Hz"):
            self.refused(2, ["-F takes", '"%s"' % text], "-p", me, "-F", text)
        for text in ("-1", "nan", "0", "inf", "1e99", "5s", ""):
            self.refused(2, ["-d takes", '"%s"' % text], "-p", me, "-d", text)
        for text in ("0", "0.05", "101", "-1", "nan", "1%", ""):
            self.refused(2, ["--max-overhead takes", '"%s"' % text], "-p", me, "--max-overhead", text)
        self.refused(2, ["svg", "pprof, folded or flamegraph"], "-p", me, "-f", "svg")
        self.refused(2, ["all", "prefix or none"], "-p", me, "--redis-keys", "all")
        self.refused(2, ["exclude"], "-p", me, "--user-only", "--kernel-only")
        for name in ("x.svg", "x", "x.pb.gz.old"):
            self.refused(2, [name, ".pb.gz", "-f"], "-p", me, "-o", self.path(name))
            self.assertFalse(os.path.exists(self.path(name)))


class Refusals(CliTest):
    def setUp(self):
        super().setUp()
        self.out = self.path("out.folded")

    def assert_keeps(self, run):
        """run(path) fails to record: it neither leaves a new file, nor harms an old one."""
        new, old = self.path("new.folded"), self.path("old.folded")
        with open(old, "w") as f:
            f.write("precious\n" * 1000)
        os.chmod(old, 0o666)
        for path in (new, old):
            run(path)
        self.assertFalse(os.path.exists(new))
        with open(old) as f:
            self.assertEqual(f.read(), "precious\n" * 1000)

    def test_no_such_process(self):
        with open("/proc/sys/kernel/pid_max") as f:
            pid = int(f.read()) - 1
        while os.path.exists("/proc/%d" % pid):
            pid -= 1
        self.assert_keeps(lambda path: self.refused(1, ["no process %d" % pid, "ps"], "-p", pid, "-o", path))

    def test_process_that_has_ended(self):
        """It still has an id, as nobody has waited for it."""
        pid = os.posix_spawn("/bin/true", ["true"], {})
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        try:
            self.assert_keeps(lambda path: self.refused(1, ["cannot follow process %d" % pid], "-p", pid, "-o", path))
        finally:
            os.waitpid(pid, 0)

    def test_thread_is_no_process(self):
        process = self.start(self.compile("thread.c", "-pthread"))
        tid = max(map(int, os.listdir("/proc/%d/task" % process.pid)))
        self.assertNotEqual(tid, process.pid)
        self.refused(1, [tid, "-p %d" % process.pid], "-p", tid, "-o", self.out)

    def test_files_that_cannot_be_written(self):
        pid = self.busy().pid
        self.refused(1, ["No such file or directory", "-o"], "-p", pid, "-o", self.path("no/such/dir/x.html"))
        self.refused(1, ["Is a directory", "-o"], "-p", pid, "-f", "folded", "-o", self.directory)
        for form in ("pprof", "folded", "flamegraph"):
            self.refused(1, ["/dev/full", "No space left"], "-p", pid, "-d", 0.2, "--quiet", "-f", form,
                         "-o", "/dev/full")
        os.mkdir(self.path("ro"))
        readonly = in_own_mounts("mount -t tmpfs -o ro none " + self.path("ro"))
        done = self.run_with(readonly, "record", "-p", pid, "-o", self.path("ro/x.html"))
        self.assert_error(done, 1, self.path("ro/x.html"), "Read-only", "-o")

    def test_one_bad_file_of_two(self):
        """The good one is not left behind, if the other cannot be opened; and is written, if the other is full."""
        pid = self.busy().pid
        self.refused(1, ["/no/such"], "-p", pid, "-o", self.out, "-o", "/no/such/dir/x.html")
        self.assertFalse(os.path.exists(self.out))
        self.refused(1, ["/dev/full"], "-p", pid, "-d", 0.2, "--quiet", "-f", "folded", "-o", "/dev/full",
                     "-o", self.out)
        self.assertIn("busy_function", open_text(self.out))

    def test_missing_capabilities(self):
        pid = self.busy().pid
        os.chmod(self.directory, 0o777)
        self.assert_keeps(lambda path: self.assert_error(
            self.run_with(NOBODY + ["--inh-caps=-all", "--bounding-set=-all"], "record", "-p", pid, "-o", path),
            1, "CAP_BPF", "CAP_PERFMON", "root"))

    def test_the_capabilities_it_names_are_enough(self):
        pid = self.busy().pid
        os.chmod(self.directory, 0o777)
        some = ["--%s=-all,%s" % (kind, CAPABILITIES) for kind in ("inh-caps", "ambient-caps", "bounding-set")]
        done = self.run_with(NOBODY + some, "record", "-p", pid, "-d", 0.5, "-o", self.out)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("busy;_start;", open_text(self.out))
        self.assertIn("busy_function", open_text(self.out))
        self.assertNotIn("warning", done.stderr)

    def test_kernel_without_btf(self):
        wrapper = in_own_mounts("mount -t tmpfs none /sys/kernel/btf")
        self.assert_keeps(lambda path: self.assert_error(
            self.run_with(wrapper, "record", "-p", os.getpid(), "-o", path), 1, "BTF", "CONFIG_DEBUG_INFO_BTF"))

    def test_command_that_does_not_exist_keeps_the_old_file(self):
        self.assert_keeps(lambda path: self.refused(1, ["/no/such"], "-o", path, "--", "/no/such/program"))

    def test_kernel_that_allows_fewer_samples(self):
        limit = "/proc/sys/kernel/perf_event_max_sample_rate"
        with open(limit) as f:
            before = f.read()

        def restore():
            with open(limit, "w") as f:
                f.write(before)

        self.addCleanup(restore)
        with open(limit, "w") as f:
            f.write("2000")
        self.refused(1, ["kernel.perf_event_max_sample_rate", "2000"], "-p", os.getpid(), "-F", 5000,
                     "-o", self.out)
        self.assertFalse(os.path.exists(self.out))


class Recordings(CliTest):
    def test_nothing_sampled(self):
        process = self.start("sleep", 100, ready=False)
        for name in ("x.pb.gz", "x.folded", "x.html"):
            done = wireprof("record", "-p", process.pid, "-d", 0.5, "-o", self.path(name))
            self.assertIn("nothing sampled", done.stderr)
        self.assertEqual(Profile(self.path("x.pb.gz")).samples, [])
        self.assertEqual(open_text(self.path("x.folded")), "")
        self.assertIn("</html>", open_text(self.path("x.html")))

    def test_signals_end_it_and_write_what_there_is(self):
        pid = self.busy().pid
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            out = self.path("%d.pb.gz" % number)
            process = self.recorder("-p", pid, "-d", 300, "-F", 997, "-o", out)
            ticks = cpu_ticks(pid)
            wait_for(lambda: cpu_ticks(pid) > ticks + 10, what="CPU to be used")
            process.send_signal(number)
            _, text = process.communicate(timeout=20)
            self.assertEqual(process.returncode, 0, text)
            self.assertIn("wrote " + out, text)
            self.assertGreaterEqual(sum(s.count for s in Profile(out).samples), 50)

    def test_data_on_stdout_messages_on_stderr(self):
        pid = self.busy().pid
        done = wireprof("record", "-p", pid, "-d", 0.5, "-f", "folded", "-o", "-")
        self.assertTrue(done.stdout.endswith("\n"))
        for line in done.stdout.splitlines():
            self.assertRegex(line, r"^busy;.* \d+$")
        self.assertIn("busy_function", done.stdout)
        self.assertIn("samples: ", done.stderr)
        self.assertNotIn("wrote", done.stderr)
        self.assertNotIn("busy;", done.stderr)
        process = subprocess.run([WIREPROF, "record", "-p", str(pid), "-d", "0.3", "-f", "pprof", "-o", "-"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        self.assertGreater(len(gzip.decompress(process.stdout)), 100)

    def test_quiet(self):
        pid = self.busy().pid
        idle = self.start("sleep", 100, ready=False)
        for target in (pid, idle.pid):
            done = wireprof("record", "--quiet", "-p", target, "-d", 0.3, "-o", self.path("x.html"))
            self.assertEqual(done.stdout + done.stderr, "")

    def test_several_files_say_the_same(self):
        pid = self.busy().pid
        names = [self.path(n) for n in ("x.pb.gz", "x.folded", "x.html")]
        with open(names[1], "w") as f:
            f.write("longer than what will be written\n" * 100_000)
        done = wireprof("record", "-p", pid, "-d", 0.5, "-F", 997, *[x for n in names for x in ("-o", n)])
        lines = open_text(names[1]).splitlines()
        taken = int(done.stderr.split("samples: ")[1].split(" taken")[0])
        count = sum(s.count for s in Profile(names[0]).samples)
        self.assertAlmostEqual(sum(int(line.rsplit(" ", 1)[1]) for line in lines), count, delta=0.01 * count)
        self.assertAlmostEqual(count, taken, delta=0.25 * taken)  # which they are not: they add up to the kernel's account
        self.assertIn("busy_function", open_text(names[2]))
        self.assertEqual(done.stderr.count("wrote "), 3)

    def test_one_kind_of_frames(self):
        pid = self.start(self.compile("kernel_time.c")).pid
        kinds = {}
        for option in ("--user-only", "--kernel-only", "--quiet"):
            out = self.path(option[2:] + ".pb.gz")
            done = wireprof("record", "-p", pid, "-d", 0.7, "-F", 997, "--verbose", option, "-o", out)
            profile = Profile(out)
            kinds[option] = {m == KERNEL for s in profile.samples for m in s.mappings if m}
            if "taken" in done.stderr:
                taken = int(done.stderr.split("samples: ")[1].split(" taken")[0])
                self.assertAlmostEqual(sum(s.count for s in profile.samples), taken, delta=0.25 * taken)  # by the kernel's account
            self.assertGreater(sum(s.count for s in profile.samples), 100)
            self.assertTrue(all(s.frames for s in profile.samples))
        self.assertEqual(kinds, {"--user-only": {False}, "--kernel-only": {True}, "--quiet": {False, True}})

    def test_highest_frequency(self):
        pid = self.busy().pid
        out = self.path("x.pb.gz")
        before = cpu_ticks(pid)
        done = wireprof("record", "-p", pid, "-d", 1, "-F", 10000, "-o", out, check=False)
        if done.returncode:
            self.assert_error(done, 1, "10000")
            return
        profile = Profile(out)
        self.assertEqual(profile.period, 100_000)
        used = (cpu_ticks(pid) - before) / os.sysconf("SC_CLK_TCK")
        self.assertLess(profile.total() / 1e9, 1.1 * used)
        self.assertGreater(sum(s.count for s in profile.samples), 1000)
        self.assertIn(" 0 lost", done.stderr)


class Killed(CliTest):
    @staticmethod
    def in_kernel():
        """{id: name} of all programs, links, and maps."""
        ids = {}
        for kind in ("prog", "link", "map"):
            done = subprocess.run([BPFTOOL, "-j", kind, "show"], stdout=subprocess.PIPE, check=True)
            ids[kind] = {str(x["id"]): x.get("name", "") for x in json.loads(done.stdout)}
        return ids

    def test_nothing_stays_in_the_kernel(self):
        with RedisServer() as server:
            before = self.in_kernel()
            process = self.recorder("-p", server.pid, "-o", self.path("x.html"))
            ours = {k: v for k, v in bpf_ids(process.pid).items() if k != "type"}
            during = self.in_kernel()
            ours["map"] |= {i for i, name in during["map"].items()
                            if name.startswith("wireprof_") and i not in before["map"]}
            for kind, ids in ours.items():
                self.assertTrue(ids, kind)
                self.assertTrue(ids <= set(during[kind]), kind)
            self.assertGreater(len(ours["map"]), 15)  # those of the mappings and of the unwind rows are among them
            process.kill()
            process.wait()
            wait_for(lambda: not any(ids & set(self.in_kernel()[kind]) for kind, ids in ours.items()), 20,
                     "the kernel to forget all of %s" % ours)
            client = server.client()
            self.assertEqual(client.call("PING"), "PONG")
            client.close()


def in_own_mounts(mount):
    """A wrapper for a command that sees another mount."""
    return ["unshare", "-m", "sh", "-c", mount + " && exec \"$0\" \"$@\""]


def open_text(path):
    with open(path) as f:
        return f.read()


def cpu_ticks(pid):
    """User and system time of a process, proc(5)."""
    fields = open_text("/proc/%d/stat" % pid).rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    unittest.main(verbosity=2)

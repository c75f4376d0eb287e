# SPDX-License-Identifier: Apache-2.0
"""Programs of programs/ that a test compiles, starts, and knows to be busy: each prints a line when it is."""
import os
import re
import select
import shutil
import subprocess
import tempfile
import unittest

PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")
ENTRIES = {"_start", "clone", "__clone", "clone3", "__clone3"}
KERNEL = "[kernel.kallsyms]"


def read_line(process, seconds=20):
    """A line of what the process prints, within the deadline."""
    if not select.select([process.stdout], [], [], seconds)[0]:
        raise AssertionError("process %d printed nothing in %d s" % (process.pid, seconds))
    line = process.stdout.readline()
    if not line:
        raise AssertionError("process %d ended" % process.pid)
    return line.strip()


def user_part(sample):
    """(frames, addresses, mappings) of the sample's user stack, leaf first, without marks and inlined functions."""
    rows = [r[:3] for r in zip(sample.frames, sample.addresses, sample.mappings, sample.lines)
            if r[2] and r[2] != KERNEL and not r[3].inlined]
    return tuple(zip(*rows)) if rows else ((), (), ())


def reaches_entry(sample):
    return sample.frames[-1] in ENTRIES


def entry_share(samples):
    """The share of the samples' user stacks that reach the thread's entry."""
    samples = [s for s in samples if user_part(s)[0]]
    total = sum(s.nanoseconds for s in samples)
    return sum(s.nanoseconds for s in samples if reaches_entry(s)) / total if total else 0


def cpu_seconds(profile, function=None, **labels):
    """CPU time of the stacks that hold this function."""
    return sum(s.nanoseconds for s in profile.samples if (not function or function in s.frames) and
               all(s.labels.get(k) == v for k, v in labels.items())) / 1e9


def bpf_ids(pid):
    """{"prog": ids, "map": ids, "link": ids, "type": kinds of links} of what the process holds open."""
    found = {"prog": set(), "map": set(), "link": set(), "type": set()}
    for fd in os.listdir("/proc/%d/fdinfo" % pid):
        try:
            with open("/proc/%d/fdinfo/%s" % (pid, fd)) as f:
                text = f.read()
        except FileNotFoundError:
            continue
        for kind, value in re.findall(r"^(?:link_)?(prog|map|link|type)(?:_id)?:\t(\w+)$", text, re.M):
            found[kind].add(value)
    return found


def attached(pid):
    """Whether a wireprof samples already: it has hung its program on a CPU's clock."""
    return "perf" in bpf_ids(pid)["type"]


class CompiledTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="wireprof-test-")
        os.chmod(self.directory, 0o755)
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def compile(self, source, *flags, name=None, compiler=None):
        """Compiles programs/SOURCE; returns the program's path."""
        out = self.path(name or os.path.splitext(source)[0])
        compiler = compiler or ("g++" if source.endswith(".cc") else "cc")
        subprocess.run([compiler, "-O2", "-o", out, os.path.join(PROGRAMS, source), *flags], check=True)
        return out

    def start(self, *command, ready=True, **how):
        """Starts a program, which is killed when the test ends; returns once it has printed its first line."""
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True, **how)
        self.addCleanup(self.end, process)
        if ready:
            read_line(process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr, process.stdin):
            if stream:
                stream.close()

    def assert_cpu(self, got, used, what):
        """CPU seconds by samples against those by the process's own accounting."""
        self.assertAlmostEqual(got, used, delta=0.1 * used + 0.03, msg="%s: %.3f s sampled, %.3f s used" %
                               (what, got, used))

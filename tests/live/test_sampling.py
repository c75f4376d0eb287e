# SPDX-License-Identifier: Apache-2.0
"""What samples are worth: they add up to the CPU time that the kernel accounts, and are taken at no other timer's beat."""
import os
import re
import time
import unittest

from compiled import CompiledTest, cpu_seconds
from harness import pin, record, schedstat
from recording import Recording

SECONDS = 60
STATS = "/proc/sys/kernel/bpf_stats_enabled"


def read_text(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


class Worth(CompiledTest):
    def assert_accounted(self, profile, pid, ran_ns):
        """Samples and seconds, within a hundredth."""
        count = sum(s.count for s in profile.samples if s.labels["pid"] == pid)
        self.assertAlmostEqual(count * profile.period, ran_ns, delta=0.01 * ran_ns)
        self.assertAlmostEqual(cpu_seconds(profile, pid=pid), ran_ns / 1e9, delta=0.01 * ran_ns / 1e9)

    def test_samples_add_up_to_the_kernels_account(self):
        busy = self.start(self.compile("busy.c"))
        waiting = self.start(self.compile("now_and_then.c"), 200)
        pids = (busy.pid, waiting.pid)
        with Recording("%d,%d" % pids, hz=99) as recording:
            before, start = [schedstat(pid)[0] for pid in pids], time.monotonic()
            time.sleep(SECONDS)  # not waited for: that is what is measured
            ran, seconds = [schedstat(pid)[0] - b for pid, b in zip(pids, before)], time.monotonic() - start
            profile = recording.stop()
        scale = profile.duration_ns / 1e9 / seconds  # what is recorded begins a moment earlier, and ends later
        for pid, ns in zip(pids, ran):
            self.assert_accounted(profile, pid, ns * scale)


class Rest(CompiledTest):
    """CPUs where no target runs are hardly interrupted."""

    def setUp(self):
        super().setUp()
        self.addCleanup(self.set_stats, read_text(STATS))
        self.set_stats("1")

    def set_stats(self, value):
        with open(STATS, "w", encoding="ascii") as f:
            f.write(value)

    def samples_fired(self, pid):
        """Also for others than targets, but not on an idle CPU."""
        programs = [read_text("/proc/%d/fdinfo/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fdinfo" % pid)]
        return max(int(re.search(r"run_cnt:\t(\d+)", text)[1]) for text in programs if re.search(r"prog_type:\t7\n", text))

    def fired_each_second(self, pid, seconds=4):
        before, start = self.samples_fired(pid), time.monotonic()
        time.sleep(seconds)  # not waited for: that is what is measured
        return (self.samples_fired(pid) - before) / (time.monotonic() - start)

    def test_follows_the_target(self):
        busy = self.compile("busy.c")
        target, other = self.start(busy), self.start(busy)
        start = time.monotonic()
        with Recording(target.pid, hz=99) as recording:
            for cpu in (0, 1):
                pin(target.pid, cpu)
                pin(other.pid, 1 - cpu)
                time.sleep(3)  # not waited for: how soon a CPU rests
                self.assertLess(self.fired_each_second(recording.process.pid), 1.5 * 99)
            recording.stop()
        taken = int(re.search(r"(\d+) taken", recording.text)[1])
        self.assertGreater(taken, 0.85 * 99 * 14)
        self.assertLess(taken, 1.1 * 99 * (time.monotonic() - start))


class Lockstep(CompiledTest):
    def assert_both_halves(self, hz, program_hz):
        process = self.start(self.compile("in_phase.c"), program_hz, 30)
        profile, _ = record(process.pid, 20, hz=hz)
        halves = [cpu_seconds(profile, name) for name in ("early_half", "late_half")]
        self.assertGreater(sum(halves), 10)
        for half in halves:
            self.assertAlmostEqual(half / sum(halves), 0.5, delta=0.08, msg=halves)

    def test_at_99_hz(self):
        self.assert_both_halves(99, 100)

    def test_at_its_own_frequency(self):
        self.assert_both_halves(100, 100)

    def test_at_a_harmonic(self):
        self.assert_both_halves(50, 100)


if __name__ == "__main__":
    unittest.main(verbosity=2)

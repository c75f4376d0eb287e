# SPDX-License-Identifier: Apache-2.0
"""What samples are worth: they add up to the CPU time that the kernel accounts, and are taken at no other timer's beat."""
import time
import unittest

from compiled import CompiledTest, cpu_seconds
from harness import record, schedstat
from recording import Recording

SECONDS = 60


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

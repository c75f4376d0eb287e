# SPDX-License-Identifier: Apache-2.0
"""Complete stacks of programs that nobody tuned: the share of user stacks that reach the thread's entry, as a table."""
import os
import unittest

from compiled import CompiledTest
from entries import HEADER, Measured, measure
from workloads import WORKLOADS, Part, available

SECONDS = float(os.environ.get("ENTRIES_SECONDS", "3"))
HZ = 1999
LEAST_STACKS = 300   # a busy machine gives fewer
LEAST_CALLED = 0.999  # of the caller frames: behind a call instruction


class Entries(CompiledTest):
    """One test a workload, made below."""
    rows = []

    @classmethod
    def tearDownClass(cls):
        print("\n    " + "\n    ".join([HEADER, *cls.rows]), flush=True)

    def check(self, work):
        missing = available(work)
        if missing == ["ffmpeg"]:  # a gigabyte of packages; x265 is of its kind
            self.skipTest("ffmpeg is not installed")
        self.assertFalse(missing, "not installed")
        samples, stderr = measure(work.start(self), SECONDS, HZ)
        for part in work.parts or [Part(work.name, lambda _: True, work.target)]:
            self.check_part(part, Measured(filter(part.keep, samples), stderr))

    def check_part(self, part, got):
        self.rows.append(got.row(part.name))
        if os.environ.get("ENTRIES_DETAIL"):
            print("\n    " + got.row(part.name),
                  *("\n      %6d %s" % (n, place) for place, n in got.where_it_stops(20)),
                  *("\n      %6d not behind a call: %s" % (n, place) for place, n in got.bad_calls.most_common(8)))
        self.assertGreaterEqual(got.count, LEAST_STACKS)
        self.assertGreaterEqual(got.share, part.target, "%s\n%s" % (got.stops, got.where_it_stops()))
        self.assertGreaterEqual(got.called, LEAST_CALLED, got.bad_calls.most_common(8))


def make_test(work):
    return lambda self: self.check(work)


for each in WORKLOADS:
    setattr(Entries, "test_" + "_".join(filter(None, "".join(c if c.isalnum() else " " for c in each.name).split())),
            make_test(each))

if __name__ == "__main__":
    unittest.main(verbosity=2)

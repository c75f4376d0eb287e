# SPDX-License-Identifier: Apache-2.0
"""Unwind tables: built when they are needed, shared, and given back. Read off what --verbose says."""
import re
import shutil
import unittest

from compiled import CompiledTest, entry_share
from harness import wireprof
from pprof import Profile


def built(text):
    """The objects that tables were built for, one entry for each time."""
    return re.findall(r"wireprof: (\S+): \d+ unwind rows", text)


class Tables(CompiledTest):
    def record(self, *options):
        out = self.path("out.pb.gz")
        done = wireprof("record", "-F", 499, "--verbose", "-o", out, *options)
        return Profile(out), done.stderr

    def test_same_build_id_one_table(self):
        """A copy is another file, as the layers of container images have them; its rows are the same."""
        program = self.compile("busy.c", "-Wl,--build-id", name="one")
        copy = shutil.copy(program, self.path("two"))
        pids = [str(self.start(path).pid) for path in (program, copy)]
        profile, text = self.record("-p", ",".join(pids), "-d", "1")
        self.assertEqual(len([name for name in built(text) if name in ("one", "two")]), 1, text)
        self.assertEqual({s.labels["pid"] for s in profile.samples}, {int(p) for p in pids})
        self.assertGreaterEqual(entry_share(profile.samples), 0.99)

    def test_without_build_id_a_table_each(self):
        program = self.compile("busy.c", "-Wl,--build-id=none", name="one")
        copy = shutil.copy(program, self.path("two"))
        pids = [str(self.start(path).pid) for path in (program, copy)]
        profile, text = self.record("-p", ",".join(pids), "-d", "1")
        self.assertEqual(sorted(name for name in built(text) if name in ("one", "two")), ["one", "two"])
        self.assertGreaterEqual(entry_share(profile.samples), 0.99)

    def test_given_back_and_built_again(self):
        """Five seconds after the last process that maps it an object has no table; the next process gets one again."""
        program = self.compile("busy.c", name="comes_and_goes")
        rest = self.compile("busy.c", "-DNAME=stays", name="stays")
        profile, text = self.record("--", "sh", "-c", "%s 0.3; %s 8; %s 0.3" % (program, rest, program))
        self.assertEqual(built(text).count("comes_and_goes"), 2, text)
        self.assertEqual(built(text).count("stays"), 1)
        self.assertGreaterEqual(int(re.search(r"(\d+) given back", text).group(1)), 1)
        again = [s for s in profile.samples if "busy_function" in s.frames]
        self.assertGreaterEqual(entry_share(again), 0.9)

    def test_most_needed_first(self):
        """Before the first sample: the program, then what else it has mapped."""
        process = self.start(self.compile("busy.c", name="first_of_all"))
        _, text = self.record("-p", process.pid, "-d", "1")
        self.assertEqual(built(text)[0], "first_of_all", text)
        self.assertIn("libc.so.6", built(text))


if __name__ == "__main__":
    unittest.main(verbosity=2)

# SPDX-License-Identifier: Apache-2.0
"""Whether stacks are complete: what a thread's entry is in each runtime, and a table of programs measured by it."""
import collections
import os
import re
import struct
import tempfile

from compiled import ENTRIES, user_part
from harness import wireprof
from pprof import Profile

# Where Go's own tracebacks end (runtime.topofstack): a goroutine's entry, and the entries of its system stacks.
GO_ENTRIES = {"runtime.goexit", "runtime.mstart", "runtime.mstart0", "runtime.mcall", "runtime.morestack",
              "runtime.rt0_go", "runtime.asmcgocall", "_rt0_amd64_linux", "_rt0_amd64",
              # Since Go 1.17 names of assembler functions can carry their ABI, and goexit's its first instruction.
              "runtime.goexit.abi0", "runtime.mstart.abi0", "runtime.mcall.abi0", "runtime.morestack.abi0",
              "runtime.rt0_go.abi0", "runtime.asmcgocall.abi0", "runtime.goexit1"}
LOADER_ENTRIES = {"_dl_start_user"}
START_BYTES = 64  # _start is shorter in every libc
UNNAMED = re.compile(r"\+0x[0-9a-f]+$|^\[|^0x[0-9a-f]+$")


class Elf:
    """The entry point of an ELF file, cached; 0 for what is none."""
    entries = {}

    @classmethod
    def entry(cls, path):
        if path not in cls.entries:
            cls.entries[path] = cls._read(path)
        return cls.entries[path]

    @staticmethod
    def _read(path):
        try:
            with open(path, "rb") as f:
                head = f.read(32)
        except OSError:
            return 0
        return struct.unpack_from("<Q", head, 24)[0] if head[:5] == b"\x7fELF\x02" and len(head) == 32 else 0


def is_entry(name, address, mapping):
    """Stripped programs do not name _start: it is where the ELF header points."""
    if name in ENTRIES or name in GO_ENTRIES or name in LOADER_ENTRIES:
        return True
    start = Elf.entry(mapping)
    return bool(start) and start <= address < start + START_BYTES


def is_complete(sample):
    """The stack ends in a thread's entry, and is not marked as cut."""
    frames, addresses, mappings = user_part(sample)
    return "[truncated]" not in sample.frames and is_entry(frames[-1], addresses[-1], mappings[-1])


class Measured:
    """What a recording says about the user stacks of one program."""

    def __init__(self, samples, stderr):
        self.samples = [s for s in samples if user_part(s)[0]]
        self.incomplete = [s for s in self.samples if not is_complete(s)]
        self.count = sum(s.count for s in self.samples)
        self.share = 1 - sum(s.count for s in self.incomplete) / self.count if self.count else 0
        named = frames = 0
        self.depths = collections.Counter()
        for s in self.samples:
            names = user_part(s)[0]
            frames += s.count * len(names)
            named += s.count * sum(not UNNAMED.search(n) for n in names)
            self.depths[len(names)] += s.count
        self.named = named / frames if frames else 0
        stops = re.findall(r"(\d+) stacks truncated: (.*)", stderr)
        self.stops = sorted(((int(n), reason) for n, reason in stops), reverse=True)
        first = re.search(r"first complete stack after ([\d.]+) ms", stderr)
        self.first_ms = float(first.group(1)) if first else None

    def where_it_stops(self, n=8):
        """The outermost frames of the stacks that are cut, most frequent first: what to look at next."""
        places = collections.Counter()
        for s in self.incomplete:
            name, address, mapping = (part[-1] for part in user_part(s))
            leaf = user_part(s)[0][0]
            places[("%s %#x" % (mapping, address), name, "the leaf" if len(user_part(s)[0]) == 1 else "a caller",
                    leaf if leaf != name else "")] += s.count
        return places.most_common(n)

    def row(self, name):
        rest = "; ".join("%d %s" % stop for stop in self.stops[:2])
        return "%-32s %7d %8.2f %% %7.2f %%  %s" % (name, self.count, 100 * self.share, 100 * self.named, rest)


HEADER = "%-32s %7s %10s %9s  %s" % ("program", "stacks", "to entry", "named", "why the rest stops")


def measure(pids, seconds, hz, keep=lambda sample: True):
    """Records processes from this moment on."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "out.pb.gz")
        done = wireprof("record", "-p", ",".join(map(str, pids)), "-d", seconds, "-F", hz, "-o", path, "--verbose",
                        "--no-requests")
        return Measured([s for s in Profile(path).samples if keep(s)], done.stderr)

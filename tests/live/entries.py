# SPDX-License-Identifier: Apache-2.0
"""Whether stacks are complete: what a thread's entry is in each runtime, and a table of programs measured by it."""
import collections
import mmap
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
# What a signal handler returns to, in glibc and in Go, and in musl: mov $15,%rax (or %eax); syscall.
SIGRETURN = re.compile(rb"\x48\xc7\xc0\x0f\0\0\0\x0f\x05|\xb8\x0f\0\0\0\x0f\x05")
# Go's runtime makes a thread appear to have called these where it was interrupted.
INJECTED = {"runtime.asyncPreempt", "runtime.sigpanic"}
START_BYTES = 64  # _start is shorter in every libc
UNNAMED = re.compile(r"\+0x[0-9a-f]+$|^\[|^0x[0-9a-f]+$")


class Elf:
    """What is needed of an ELF file: its entry point, and the code in front of an address."""
    files = {}

    def __init__(self, path):
        self.image, self.entry, self.segments = b"", 0, []
        try:
            with open(path, "rb") as f:
                if os.fstat(f.fileno()).st_size:
                    self.image = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            return
        if self.image[:5] != b"\x7fELF\x02" or len(self.image) < 64:
            return
        self.entry, headers = struct.unpack_from("<QQ", self.image, 24)
        size, count = struct.unpack_from("<HH", self.image, 54)
        for i in range(count):
            kind, flags, offset, vaddr, _, in_file = struct.unpack_from("<IIQQQQ", self.image, headers + i * size)
            if kind == 1 and flags & 1:  # PT_LOAD, executable
                self.segments.append((vaddr, vaddr + in_file, offset))

    @classmethod
    def of(cls, path):
        """The same object for the same path, as the file stays what it is while a test runs."""
        if path not in cls.files:
            cls.files[path] = cls(path)
        return cls.files[path]

    def code(self, vaddr, n):
        """The n bytes of code at an address, or None."""
        for start, end, offset in self.segments:
            if start <= vaddr and vaddr + n <= end:
                return self.image[vaddr - start + offset:vaddr - start + offset + n]
        return None

    def is_sigreturn(self, vaddr):
        return bool(SIGRETURN.search(self.code(vaddr - 8, 18) or b""))


def is_behind_call(code):
    """Whether these eight bytes end in a call instruction: what every return address has in front of it."""
    if code[3] == 0xE8:
        return True
    for n in (2, 3, 4, 5, 6, 7, 8):  # call through a register or memory, with or without a prefix
        at = code[8 - n:]
        if at[0] == 0xFF and (at[1] >> 3) & 7 == 2 and n < 8 or n > 2 and at[1] == 0xFF and (at[2] >> 3) & 7 == 2:
            return True
    return False


def is_entry(name, address, mapping):
    """Stripped programs do not name _start: it is where the ELF header points."""
    if name in ENTRIES or name in GO_ENTRIES or name in LOADER_ENTRIES:
        return True
    start = Elf.of(mapping).entry
    return bool(start) and start <= address < start + START_BYTES


def is_complete(sample):
    """The stack ends in a thread's entry, and is not marked as cut."""
    frames, addresses, mappings = user_part(sample)
    return "[truncated]" not in sample.frames and is_entry(frames[-1], addresses[-1], mappings[-1])


def bad_calls(sample):
    """
    (frames that must be callers, those of them not behind a call instruction: no such caller exists). Frames of
    files that can be read only, and none that a signal interrupted; Go's goexit is entered by no call.
    """
    checked, bad = 0, []
    names, addresses, mappings = user_part(sample)
    signal = [Elf.of(m).is_sigreturn(a) for a, m in zip(addresses, mappings)]
    for i in range(1, len(names)):
        code = Elf.of(mappings[i]).code(addresses[i] + 1 - 8, 8)
        if code is None or signal[i] or signal[i - 1] or names[i - 1] in INJECTED or \
                "goexit" in names[i]:
            continue
        checked += 1
        if not is_behind_call(code):
            bad.append((mappings[i], hex(addresses[i]), names[i], names[i - 1]))
    return checked, bad


class Measured:
    """What a recording says about the user stacks of one program."""

    def __init__(self, samples, stderr):
        self.samples = [s for s in samples if user_part(s)[0]]
        self.incomplete = [s for s in self.samples if not is_complete(s)]
        self.count = sum(s.count for s in self.samples)
        self.share = 1 - sum(s.count for s in self.incomplete) / self.count if self.count else 0
        named = frames = callers = 0
        self.bad_calls = collections.Counter()
        for s in self.samples:
            names = user_part(s)[0]
            frames += s.count * len(names)
            named += s.count * sum(not UNNAMED.search(n) for n in names)
            checked, bad = bad_calls(s)
            callers += s.count * checked
            for place in bad:
                self.bad_calls[place] += s.count
        self.called = 1 - sum(self.bad_calls.values()) / callers if callers else 0
        self.named = named / frames if frames else 0
        stops = re.findall(r"(\d+) stacks truncated: (.*)", stderr)
        self.stops = sorted(((int(n), reason) for n, reason in stops), reverse=True)
        first = re.search(r"first complete stack ([\d.]+) ms", stderr)
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
        first = "%5.0f ms" % self.first_ms if self.first_ms is not None else "?"
        return "%-32s %7d %8.2f %% %8.3f %% %7.2f %% %8s  %s" % (
            name, self.count, 100 * self.share, 100 * self.called, 100 * self.named, first, rest)


HEADER = "%-32s %7s %10s %10s %9s %8s  %s" % (
    "program", "stacks", "to entry", "calls", "named", "first", "why the rest stops")


def measure(pids, seconds, hz):
    """Records processes from this moment on; returns the samples, and what wireprof said."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "out.pb.gz")
        done = wireprof("record", "-p", ",".join(map(str, pids)), "-d", seconds, "-F", hz, "-o", path, "--verbose",
                        "--no-requests")
        return Profile(path).samples, done.stderr

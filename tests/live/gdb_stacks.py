# SPDX-License-Identifier: Apache-2.0
"""Stacks as gdb sees them, by thread, and the same stacks as wireprof gives them: pairs of (file, ELF address)."""
import os
import re
import struct
import subprocess

from compiled import user_part

COMMANDS = """
set pagination off
set backtrace past-main on
set backtrace limit 600
info threads
thread apply all -q frame apply all -q printf "pc %d %#lx %#lx\\n", $_thread, $pc, $sp
"""


def gdb_stacks(pid):
    """{thread id: program counters, leaf first} of a process, as gdb stops it; inlined functions are no frames."""
    done = subprocess.run(["gdb", "-nx", "-batch", "-p", str(pid), "-iex", "set debuginfod enabled off",
                           *sum((["-ex", line] for line in COMMANDS.split("\n") if line), [])],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          timeout=60)
    of_number = {}
    for number, lwp in re.findall(r"^[* ]+(\d+)\s.*?(?:LWP |process )(\d+)", done.stdout, re.M):
        of_number[number] = int(lwp)
    frames = {}
    for number, pc, sp in re.findall(r"pc (\d+) (0x[0-9a-f]+) (0x[0-9a-f]+)", done.stdout):
        stack = frames.setdefault(of_number.get(number, pid), [])
        if stack[-1:] != [(int(pc, 16), int(sp, 16))]:
            stack.append((int(pc, 16), int(sp, 16)))
    return {thread: [pc for pc, _ in stack] for thread, stack in frames.items()}


class Places:
    """Addresses of a process as wireprof writes them."""

    def __init__(self, pid):
        self.mappings = []
        base = {}
        with open("/proc/%d/maps" % pid, encoding="utf-8") as f:
            for line in f:
                fields = line.split(None, 5)
                start, end = (int(x, 16) for x in fields[0].split("-"))
                path = fields[5].strip() if len(fields) > 5 else ""
                base.setdefault(path, 0 if self._is_fixed(path) else start)
                self.mappings.append((start, end, path, base[path]))

    @staticmethod
    def _is_fixed(path):
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as f:
            head = f.read(18)
        return head[:4] == b"\x7fELF" and struct.unpack_from("<H", head, 16)[0] == 2  # ET_EXEC

    def callers(self, pcs):
        """The call sites of all frames but the leaf; what lies nowhere is left as it is."""
        found = []
        for pc in pcs[1:]:
            place = next(((path, pc - 1 - base) for start, end, path, base in self.mappings if start <= pc - 1 < end),
                         ("", pc - 1))
            found.append(place)
        return tuple(found)


def callers_of(sample):
    """The same of a sample."""
    _, addresses, mappings = user_part(sample)
    return tuple(zip(mappings, addresses))[1:]

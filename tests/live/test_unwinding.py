# SPDX-License-Identifier: Apache-2.0
"""Stacks without frame pointers: that they reach the thread's entry, and are what gdb sees."""
import collections
import os
import re
import signal
import struct
import subprocess
import unittest

from compiled import ENTRIES, KERNEL, CompiledTest, entry_share, read_line, user_part
from harness import Load, pin, record, wait_for
from redis_load import COMMANDS, client_of, fill
from redis_server import RedisServer, encode


MAX_USER_FRAMES = 1024  # bpf/events.h


def gdb_pcs(pid):
    """The program counters of every thread, leaf first, as gdb unwinds them; inlined functions are no frames."""
    done = subprocess.run(
        ["gdb", "-nx", "-batch", "-p", str(pid), "-iex", "set debuginfod enabled off", "-ex",
         "set backtrace past-main on", "-ex", "set backtrace limit unlimited", "-ex",
         "thread apply all -q frame apply all -q printf \"pc %d %#lx %#lx\\n\", $_thread, $pc, $sp"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=60)
    threads = collections.defaultdict(list)
    for thread, pc, sp in re.findall(r"pc (\d+) (0x[0-9a-f]+) (0x[0-9a-f]+)", done.stdout):
        frame = int(pc, 16), int(sp, 16)
        if threads[thread][-1:] != [frame]:
            threads[thread].append(frame)
    return [[pc for pc, _ in frames] for frames in threads.values()]


SIGRETURN = bytes.fromhex("48c7c00f0000000f05")  # what a signal handler returns to: mov $15,%rax; syscall


class AddressSpace:
    """Addresses of a process as (file, ELF virtual address): the address less where the file was loaded."""

    def __init__(self, pid):
        self.pid, self.mappings, self.base = pid, [], {}
        with open("/proc/%d/maps" % pid) as f:
            for line in f:
                fields = line.split(None, 5)
                start, end = (int(x, 16) for x in fields[0].split("-"))
                path = fields[5].strip() if len(fields) > 5 else ""
                self.mappings.append((start, end, path))
                self.base.setdefault(path, start)

    def resolve(self, address):
        path = next(p for start, end, p in self.mappings if start <= address < end)
        return path, address - (0 if self._is_fixed(path) else self.base[path])

    @staticmethod
    def _is_fixed(path):
        with open(path, "rb") as f:
            return struct.unpack_from("<H", f.read(18), 16)[0] == 2  # ET_EXEC

    def is_signal_frame(self, pc):
        with open("/proc/%d/mem" % self.pid, "rb") as f:
            f.seek(pc)
            return f.read(len(SIGRETURN)) == SIGRETURN

    def callers(self, pcs):
        """Call sites of all frames but the leaf, as wireprof gives them; a signal's frames have not called."""
        signal = [self.is_signal_frame(pc) for pc in pcs]
        return [self.resolve(pc if signal[i] or signal[i - 1] else pc - 1) for i, pc in enumerate(pcs) if i]


def stack_of(sample):
    return user_part(sample)[0], [(file, address) for _, address, file in sample.locations if file not in ("", KERNEL)]


class Entry(unittest.TestCase):
    def test_stacks_of_a_loaded_server_reach_the_entry(self):
        with RedisServer() as server:
            pin(server.pid, 0)
            fill(server)
            with Load([client_of(server, op) for op in COMMANDS], 9):
                profile, _ = record(server.pid, 5, hz=1999)
        user = [s for s in profile.samples if user_part(s)[0]]
        self.assertGreater(sum(s.count for s in user), 1000)
        share = entry_share(user)
        print("    %.3f %% of the user stacks reach the entry" % (100 * share), flush=True)
        self.assertGreaterEqual(share, 0.99)
        for s in user:
            self.assertNotEqual("[truncated]" in s.frames, s.frames[-1] in ENTRIES, s.frames)


class AgainstGdb(CompiledTest):
    def profile(self, pid, seconds=1):
        profile, _ = record(pid, seconds, hz=499)
        self.assertGreater(sum(s.count for s in profile.samples), 10)
        return profile

    def assert_same(self, process, leaf, threads=1):
        """Every frame of every sample is the one that gdb sees. Returns the frames' names, leaf first."""
        pid = getattr(process, "pid", process)
        profile = self.profile(pid)
        space, stacks = AddressSpace(pid), gdb_pcs(pid)
        self.assertEqual(len(stacks), threads)
        expected = [space.callers(pcs) for pcs in stacks]
        names = set()
        for s in profile.samples:
            frames, locations = stack_of(s)
            self.assertEqual(frames[0], leaf)
            self.assertIn(locations[1:], expected, frames)
            names.add(frames)
        self.assertEqual(len(names), 1)
        return names.pop()

    def test_400_calls_deep(self):
        program = self.compile("deep.c", "-fomit-frame-pointer")
        frames = self.assert_same(self.start(program, 400), "leaf")
        main = frames.index("main")
        self.assertEqual(list(frames[:main]), ["leaf"] + ["pong", "ping"] * 200)
        self.assertEqual(frames[-1], "_start")

    def test_deeper_than_the_limit(self):
        program = self.compile("deep.c", "-fomit-frame-pointer")
        for s in self.profile(self.start(program, 2 * MAX_USER_FRAMES).pid).samples:
            self.assertEqual(len(user_part(s)[0]), MAX_USER_FRAMES)
            self.assertEqual(s.frames[-1], "[truncated]")

    def test_signal_handlers(self):
        """The interrupted function by its own pc; on a stack of their own, too, one handler within another."""
        program = self.compile("signals.c")
        handler, below = ["spin_in_handler", "handler"], ["interrupted", "outer"]
        for arguments, expected in ((), handler + below), (("altstack",), handler + below), \
                (("nested",), handler + ["interrupted_handler", "handler"] + below):
            with self.subTest(arguments=arguments):
                frames = list(self.assert_same(self.start(program, *arguments), "spin_in_handler"))
                ours = [f for f in frames if "+" not in f and f != "__restore_rt"]
                self.assertEqual(ours[:ours.index("main")], expected)
                self.assertEqual(frames[-1], "_start")

    def test_signal_of_musl(self):
        """musl has no CFI: its code tells. gdb stops a frame short of where the stack begins."""
        program = self.compile("signals.c", "-static", compiler="musl-gcc")
        for arguments in (), ("altstack",):
            with self.subTest(arguments=arguments):
                process = self.start(program, *arguments)
                profile = self.profile(process.pid)
                space, stacks = AddressSpace(process.pid), gdb_pcs(process.pid)
                self.assertEqual(len(stacks), 1)
                expected = space.callers([pc for pc in stacks[0] if pc])
                for s in profile.samples:
                    self.assertEqual(stack_of(s)[1][1:][:len(expected)], expected, s.frames)
                    self.assertIn("interrupted", s.frames)
                    self.assertIn("main", s.frames)
                    self.assertEqual(s.frames[-1], "_start")

    def test_realigned_stacks(self):
        frames = self.assert_same(self.start(self.compile("realign.c")), "realigned_leaf")
        self.assertEqual(frames[:3], ("realigned_leaf", "realigned", "main"))
        self.assertEqual(frames[-1], "_start")

    def test_child_of_vfork(self):
        process = self.start(self.compile("vfork.c"), ready=False)
        child = int(read_line(process))
        self.addCleanup(os.kill, child, signal.SIGKILL)
        frames = self.assert_same(child, "spin_in_child")
        self.assertEqual(frames[:3], ("spin_in_child", "forks", "main"))
        self.assertEqual(frames[-1], "_start")

    def test_thread(self):
        frames = self.assert_same(self.start(self.compile("thread.c", "-pthread")), "spin_in_thread", threads=2)
        self.assertEqual(frames[:3], ("spin_in_thread", "inner", "thread_main"))
        self.assertIn(frames[-1], ENTRIES - {"_start"})

    def test_callback_of_libc(self):
        process = self.start(self.compile("callback.c"))
        frames = self.assert_same(process, "compare")
        self.assertEqual(frames[-1], "_start")
        self.assertLess(frames.index("sort_all"), frames.index("main"))
        libc = frames[1:frames.index("sort_all")]
        self.assertGreater(len(libc), 2, frames)  # a merge sort calls itself
        self.assertTrue(any("sort" in f for f in libc), libc)

    def test_names_of_cxx(self):
        frames = self.assert_same(self.start(self.compile("mangled.cc")), "store::detail::btree::scan<int>")
        self.assertEqual(frames[1:4], ("store::detail::btree::operator()", "store::detail::btree::run", "main"))
        self.assertEqual(frames[-1], "_start")

    def test_script_that_never_ends(self):
        """A stripped interpreter: its innermost function varies, and what that calls; the others stand still."""
        with RedisServer("--busy-reply-threshold", "100000000") as server:
            client = server.client()
            self.addCleanup(client.close)
            client.send(encode("EVAL", "while true do end", 0))
            start = self.cpu_ticks(server.pid)
            wait_for(lambda: self.cpu_ticks(server.pid) > start + 10, what="the script to run")
            profile = self.profile(server.pid, 2)
            space, stacks = AddressSpace(server.pid), gdb_pcs(server.pid)
            busy = max(stacks, key=len)
            outer = space.callers(busy)
        # Where the VM stands is frame 0 for gdb unless it interrupted a function called by it.
        locations = [stack_of(s)[1] for s in profile.samples]
        common = 0
        while all(len(x) > common + 1 and x[-1 - common] == locations[0][-1 - common] for x in locations):
            common += 1
        self.assertGreaterEqual(common, min(map(len, locations)) - 1)
        self.assertGreaterEqual(common, 10, [s.frames for s in profile.samples])
        self.assertEqual(locations[0][-common:], outer[-common:])
        frames = profile.samples[0].frames
        self.assertEqual(frames[-1], "_start")
        self.assertIn("evalGenericCommand", frames)

    @staticmethod
    def cpu_ticks(pid):
        with open("/proc/%d/stat" % pid) as f:
            return int(f.read().rsplit(")", 1)[1].split()[11])


class Jit(CompiledTest):
    """Machine code that a program has written itself: frame pointers, where it has them, or what looks like its return."""

    def profile(self, what):
        profile, _ = record(self.start(self.compile("jit.c"), what).pid, 1, hz=999)
        self.assertGreater(sum(s.count for s in profile.samples), 20)
        return [user_part(s)[:2] + (s.frames[-1],) for s in profile.samples]

    def test_called_back(self):
        for frames, _, last in self.profile("calls"):
            self.assertEqual(frames[0], "spin_in_c")
            self.assertEqual(frames[1], "[anon]")
            self.assertEqual(frames[2:4], ("run", "main"))
            self.assertEqual(last, "_start")

    def test_no_caller_is_skipped_where_the_frame_is_made(self):
        places = set()
        for frames, addresses, last in self.profile("leaf"):
            at = addresses[0] & 0xfff
            places.add(at)
            jit = 2 if at >= 0x0b else 1  # the inner function begins there
            self.assertTrue(all(f.startswith("[anon]") for f in frames[:jit]), frames)
            self.assertEqual(frames[jit:jit + 2], ("run", "main"), "at %#x" % at)
            self.assertEqual(last, "_start")
        self.assertGreater(len(places), 2, "all samples at the same instruction")

    def test_return_address_below_saved_registers(self):
        for frames, _, last in self.profile("pushed"):
            self.assertEqual(frames[0], "[anon]")
            self.assertEqual(frames[1:3], ("run", "main"))
            self.assertEqual(last, "_start")

    def test_without_frames_the_stack_ends(self):
        for frames, _, last in self.profile("frameless"):
            self.assertEqual(len(frames), 1, frames)
            self.assertEqual(frames[0], "[anon]")
            self.assertEqual(last, "[truncated]")


if __name__ == "__main__":
    unittest.main(verbosity=2)

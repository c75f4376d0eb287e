# SPDX-License-Identifier: Apache-2.0
"""Kernel code that is not in the kernel's file: BPF programs that come and go; and names that may not be read."""
import collections
import os
import re
import subprocess
import threading
import unittest

from compiled import PROGRAMS, CompiledTest, attached
from harness import WIREPROF, schedstat, wait_for, wireprof
from pprof import Profile

HZ = 997


def kernel_function(frame):
    """bpf_prog_0123456789abcdef_NAME [bpf] -> NAME"""
    m = re.fullmatch(r"bpf_prog_[0-9a-f]{16}_(\w+) \[bpf\]", frame)
    return m and m.group(1)


class BpfPrograms(CompiledTest):
    def build(self, name, pid):
        out = self.path(name + ".bpf.o")
        include = "/usr/include/" + subprocess.check_output(["gcc", "-print-multiarch"], text=True).strip()
        subprocess.run(["clang", "-target", "bpf", "-O2", "-g", "-I", include, "-DNAME=" + name, "-DTARGET=%d" % pid, "-c", "-o",
                        out, os.path.join(PROGRAMS, "spin.bpf.c")], check=True)
        return out

    def run_program(self, path, seconds, target):
        """Loads it and takes it away again; returns the CPU seconds that the target used meanwhile."""
        start = schedstat(target)[0]
        subprocess.run([self.path("load_bpf"), path, str(seconds)], check=True)
        return (schedstat(target)[0] - start) / 1e9

    def test_that_appear_and_disappear(self):
        self.compile("load_bpf.c", "-lbpf")
        target = self.start(self.compile("syscalls.c"), 30)
        names = ["spin_first", "spin_second", "spin_third"]
        objects = [self.build(name, target.pid) for name in names]
        # Two at once: the kernel has been seen to tell the second one less.
        outs = [self.path("%d.pb.gz" % i) for i in range(2)]
        recordings = [self.start(WIREPROF, "record", "-p", target.pid, "-d", 60, "-F", HZ, "--no-requests", "-o", out,
                                 ready=False, stderr=subprocess.DEVNULL) for out in outs]
        for recording in recordings:
            wait_for(lambda r=recording: attached(r.pid), what="the recording")
        used = [self.run_program(path, 0.8, target.pid) for path in objects]
        for recording, out in zip(recordings, outs):
            recording.terminate()
            recording.wait()
            self.check(Profile(out), dict(zip(names, used)))

    def check(self, profile, used):
        """Each program was there while the target used that much CPU, most of which it took."""
        seen = collections.Counter()
        for s in profile.samples:
            for name in {kernel_function(f) for f in s.frames} - {None}:
                seen[name] += s.nanoseconds / 1e9
        for name, seconds in used.items():
            self.assertGreater(seen[name], 0.4 * seconds - 0.05, "%s: %s of %s" % (name, seen, used))
            self.assertLess(seen[name], 1.1 * seconds + 0.05, "%s: %s of %s" % (name, seen, used))
        self.assertFalse([f for s in profile.samples for f in s.frames if f.startswith("[kernel]+")])

    def test_our_own(self):
        """The receive hook of wireprof itself, and of another that starts while we record."""
        server, client = self.socket_load()
        first = self.path("first.pb.gz")
        recording = self.start(WIREPROF, "record", "-p", os.getpid(), "-d", 60, "-F", HZ, "-o", first, ready=False,
                               stderr=subprocess.DEVNULL)
        wait_for(lambda: attached(recording.pid), what="the first recording")
        done = wireprof("record", "-p", os.getpid(), "-d", 3, "-F", HZ, "-o", self.path("second.pb.gz"))
        recording.terminate()
        recording.wait()
        client.set()
        server.join()
        self.assertIn("hook:", done.stderr)
        names = {kernel_function(f) for s in Profile(first).samples for f in s.frames} - {None}
        self.assertIn("receive_tracepoint", names)
        self.assertFalse([f for s in Profile(first).samples for f in s.frames if f.startswith("[kernel]+")])

    def socket_load(self):
        import socket
        a, b = socket.socketpair()
        stop = threading.Event()

        def loop():
            while not stop.is_set():
                for _ in range(100):
                    a.send(b"PING\r\n")
                    b.recv(64)
            a.close()
            b.close()

        thread = threading.Thread(target=loop)
        thread.start()
        self.addCleanup(stop.set)
        return thread, stop


class Hidden(CompiledTest):
    def test_addresses_that_read_as_zero(self):
        """As with kernel.kptr_restrict=2: another /proc/kallsyms in a mount namespace of our own."""
        zeroes = self.path("kallsyms")
        with open(zeroes, "w") as f:
            f.write("0000000000000000 T _stext\n0000000000000000 t do_one\n")
        target = self.start(self.compile("syscalls.c"), 10)
        done = subprocess.run(["unshare", "--mount", "sh", "-c", "mount --bind %s /proc/kallsyms && exec %s record -p %d -d 1 "
                               "-f folded -o -" % (zeroes, WIREPROF, target.pid)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=30)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr.count("kernel functions will have no names"), 1)
        self.assertIn("kernel.kptr_restrict below 2", done.stderr)
        self.assertIn("[kernel]+0x", done.stdout)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Unwind rows of what other compilers make, against libdw: programs without .eh_frame, with signal frames that no CFI
describes."""
import os
import re
import subprocess

from compiled import CompiledTest

ORACLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/tests/property/test_unwind_rows")
C_SOURCE = """
#include <signal.h>
#include <stdio.h>
static void handler(int n) { printf("signal %d\\n", n); }
int main(void) { signal(SIGALRM, handler); return raise(SIGALRM); }
"""
GO_SOURCE = """
package main
import "fmt"
func main() { fmt.Println("hello") }
"""


class UnwindRows(CompiledTest):
    def build(self, name, source, *command, **environment):
        path = self.path(name)
        with open(path, "w") as f:
            f.write(source)
        out = self.path("program")
        subprocess.run([*command, "-o", out, path], check=True, env=dict(os.environ, **environment))
        return out

    def bytes_by_kind(self, program):
        """Bytes of text by kind of row, once the oracle agrees with all of them."""
        done = subprocess.run([ORACLE, program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout)
        line = re.search(r"^text bytes by kind:(.*)$", done.stdout, re.M).group(1)
        return {kind: int(n) for kind, n in re.findall(r"(\w+) (\d+)", line)}

    def described(self, kinds):
        return (sum(kinds.values()) - kinds["none"]) / sum(kinds.values())

    def test_musl_signal_frame(self):
        """musl's restorer has no CFI: one row, of nop, mov $15,%rax, syscall."""
        for flags in ([], ["-static"]):
            program = self.build("it.c", C_SOURCE, "musl-gcc", "-O2", *flags)
            if not flags:  # dynamic: it is the library's
                program = "/usr/lib/x86_64-linux-musl/libc.so"
            self.assertEqual(self.bytes_by_kind(program)["signal"], 10)

    def test_debug_frame(self):
        """No .eh_frame: the compiler's functions are in .debug_frame, plain or compressed."""
        none = ["-O2", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-fno-exceptions", "-nostartfiles",
                "-Wl,-e,main"]
        without = self.bytes_by_kind(self.build("it.c", C_SOURCE, "gcc", *none))
        for flags in (["-g"], ["-g", "-gz=zlib"], ["-g", "-gz=zlib-gnu"], ["-g", "-gdwarf64", "-gdwarf-5"]):
            kinds = self.bytes_by_kind(self.build("it.c", C_SOURCE, "gcc", *none, *flags))
            self.assertGreater(kinds["rsp"], without["rsp"], flags)

    def test_go(self):
        """Go writes no .eh_frame, and compresses .debug_frame."""
        program = self.build("it.go", GO_SOURCE, "go", "build", CGO_ENABLED="0", GOFLAGS="")
        kinds = self.bytes_by_kind(program)
        self.assertGreater(self.described(kinds), 0.95)
        self.assertGreater(kinds["signal"], 0)

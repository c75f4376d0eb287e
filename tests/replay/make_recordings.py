# SPDX-License-Identifier: Apache-2.0
"""
Takes the recordings anew: compiles tests/live/programs, brings each to where its stack is worth keeping, records it,
and writes the golden stacks, which are to be read (git diff) before they are committed.

What is in recordings/by_hand_* was written, not recorded, and stays.
"""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PROGRAMS = os.path.join(ROOT, "tests", "live", "programs")
RECORDINGS = os.path.join(HERE, "recordings")
RECORD = os.path.join(ROOT, "build", "tests", "replay", "record")
REPLAY = os.path.join(ROOT, "build", "tests", "replay", "replay")


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


class Programs:
    def __init__(self, directory):
        self.directory = directory

    def compile(self, name, compiler=("gcc",), flags=(), out=None):
        path = os.path.join(self.directory, out or name)
        subprocess.run([*compiler, "-O2", "-o", path, os.path.join(PROGRAMS, name + ".c"), *flags], check=True)
        return path


def out(name):
    return ["-o", os.path.join(RECORDINGS, name + ".recording")]


def record_running(name, text, *command):
    """The program has told that it is busy where we want it."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            process.stdout.readline()
            print("==", name, text, sep="\n", flush=True)
            subprocess.run([RECORD, "-t", text, *out(name), "-p", str(process.pid)], check=True)
        finally:
            process.kill()


def record_command(name, text, where, *command):
    print("==", name, text, sep="\n", flush=True)
    subprocess.run([RECORD, "-t", text, *out(name), *where, "--", *command], check=True, stdin=subprocess.DEVNULL)


def instructions(program, function):
    """[(address, text)] of a function, as objdump tells them."""
    listing = output("objdump", "-d", "--no-show-raw-insn", "--disassemble=" + function, program)
    return [(int(a, 16), t) for a, t in re.findall(r"^ *([0-9a-f]+):\t(.*)$", listing, re.M)]


def at(address):
    return ["-s", "%x-%x" % (address, address + 1)]


def section(program, name):
    found = re.search(r" %s +\w+ +([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+)" % re.escape(name),
                      output("readelf", "-SW", program))
    return int(found[1], 16), int(found[2], 16)


def record_all(p):
    deep = p.compile("deep", flags=["-fomit-frame-pointer"])
    record_running("deep_recursion", "400 calls deep, without frame pointers", deep, "400")
    record_running("frame_limit", "1100 calls deep: more than the unwinder takes", deep, "1100")
    signals = p.compile("signals")
    record_running("signal_handler", "in a handler; the interrupted frame is found by its own pc", signals)
    record_running("signal_stack", "two handlers on a stack of their own, one interrupted by the other", signals,
                   "nested")
    static = p.compile("signals", ("musl-gcc",), ["-static"], out="signals_musl")
    record_running("musl_signal", "musl, static: CFI neither where handlers return to nor below main", static)
    realign = p.compile("realign")
    record_running("realigned", "leaf and caller have realigned their stack: CFA in memory at rbp - 8", realign)
    leaf = instructions(realign, "realigned_leaf")
    aligned = next(i for i, (_, t) in enumerate(leaf) if t.startswith("and ")) + 1
    record_command("realigned_prologue", "a leaf that has just realigned its stack: CFA in r10", at(leaf[aligned][0]),
                   realign)
    record_command("vfork_child", "a child of vfork, as it begins: the return address is in rdi", ["-v"],
                   p.compile("vfork"))
    plt = p.compile("plt", flags=["-Wl,-z,lazy", "-fno-builtin", "-fcf-protection=none"])
    start, _ = section(plt, ".plt")
    record_command("plt_first", "an entry of the PLT, called for the first time, before its push", at(start + 16 + 6),
                   plt)
    record_command("plt_pushed", "an entry of the PLT, behind its push", at(start + 16 + 11), plt)
    jit = p.compile("jit")
    record_running("jit_calls", "C called by code without CFI that has a frame", jit, "calls")
    record_running("jit_pushed", "code without CFI and frame, registers saved: its return address is found", jit, "pushed")
    record_running("jit_frameless", "code without CFI and without frames, far below its return address", jit, "frameless")


def main():
    with tempfile.TemporaryDirectory() as directory:
        record_all(Programs(directory))
    return subprocess.run([REPLAY, "-u"], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""Go programs, stripped or not, with C or not: stacks are complete, and have Go's names."""
import collections
import glob
import os
import re
import shutil
import subprocess
import unittest

from compiled import ENTRIES, PROGRAMS, CompiledTest, user_part
from harness import record

# Where Go's own tracebacks end: a goroutine's, a thread's, and what runs on the scheduler's stack, which nothing calls.
TOPS = {"runtime.goexit", "runtime.mstart", "runtime.rt0_go"}
SCHEDULER = {"runtime.mcall", "runtime.morestack", "runtime.gogo", "gogo"}
PURE, CGO = ["go_work.go", "go_pure.go"], ["go_work.go", "go_cgo.go"]
BUILDS = {  # name -> (sources, options)
    "normal": (PURE, []),
    "stripped": (PURE, ["-ldflags=-s -w"]),
    "pie": (PURE, ["-buildmode=pie"]),
    "cgo": (CGO, []),
    "cgo stripped": (CGO, ["-ldflags=-s -w"]),
    "cgo pie, stripped": (CGO, ["-buildmode=pie", "-ldflags=-s -w"]),
}


def compilers():
    """{version: path} of the Go compilers here."""
    found = [shutil.which("go"), "/usr/local/go/bin/go", *sorted(glob.glob("/usr/lib/go-*/bin/go"))]
    return {subprocess.run([go, "env", "GOVERSION"], check=True, text=True, cwd="/",
                           stdout=subprocess.PIPE).stdout.strip(): go for go in found if go and os.path.exists(go)}


def shown(name):
    """A name of .symtab as Go prints it."""
    return re.sub(r"\[.*\]", "[...]", re.sub(r"\.abi(0|internal)$", "", name)).replace("·", ".")


def functions(program):
    """The names of a program's functions."""
    out = subprocess.run(["nm", program], check=True, text=True, stdout=subprocess.PIPE).stdout
    return {shown(line.split(" ", 2)[2]) for line in out.splitlines() if line.split(" ", 2)[1] in "tTwW"}


def is_go(frame):
    return re.match(r"(main|runtime|fmt|regexp|sort|time|sync|internal|reflect|strconv|unicode)[./(]", frame)


class Go(CompiledTest):
    def build(self, go, kind):
        sources, options = BUILDS[kind]
        out = self.path("%s-%s" % (os.path.basename(os.path.dirname(os.path.dirname(go))), kind.replace(" ", "-")))
        env = dict(os.environ, GO111MODULE="off", CGO_ENABLED="1" if sources is CGO else "0")
        subprocess.run([go, "build", "-o", out, *options, *sources], check=True, cwd=PROGRAMS, env=env)
        return out

    @staticmethod
    def is_inlined(program, name):
        """A function that has no symbol: its name is in pclntab, with its type arguments."""
        with open(program, "rb") as f:
            pattern = re.escape(name.encode()).replace(rb"\[\.\.\.\]", rb"\[[^\0]*\]")
            return re.search(rb"\0" + pattern + rb"\0", f.read()) is not None

    def check_tops(self, samples, what, reasons):
        """Every stack ends where Go's end. What is on the scheduler's stack is counted apart."""
        tops = collections.Counter()
        for s in samples:
            tops[s.frames[-1]] += s.count
        total = sum(tops.values())
        share = lambda names: 100 * sum(n for top, n in tops.items() if top in names) / total
        print("    %-28s %5d user stacks: %.3f %% complete (%.2f %% to a thread's or goroutine's entry)" %
              (what, total, share(TOPS | SCHEDULER | ENTRIES), share(TOPS | ENTRIES)), flush=True)
        self.assertGreater(total, 500, what)
        self.assertGreaterEqual(share(TOPS | SCHEDULER | ENTRIES), 99.5, (what, tops, reasons))
        self.assertGreaterEqual(share(TOPS | ENTRIES), 85, (what, tops, reasons))

    def check_frames(self, samples, what):
        """201 calls of deep() between what it calls and what called it, whatever lies below."""
        working = [s.frames for s in samples if "main.work" in s.frames and s.frames[-1] in TOPS]
        self.assertGreater(len(working), 100, what)
        for frames in working:
            first = frames.index("main.deep")
            self.assertLess(frames.index("main.work"), first, what)
            self.assertEqual(list(frames[first:]), ["main.deep"] * 201 + ["main.spawn.func1", "runtime.goexit"], what)

    def check_c(self, samples, what):
        """C below Go below C below Go: asmcgocall twice, and 21 calls of deepC() between them."""
        both = [s.frames for s in samples if "main.deepC" in s.frames and s.frames[0] != "main.deepC" and
                s.frames.count("runtime.asmcgocall") == 2 and s.frames[-1] in TOPS]
        self.assertGreater(len(both), 20, what)
        for frames in both:
            self.assertEqual(frames.count("main.deepC"), 21, (what, frames))
            self.assertIn("runtime.cgocallback", frames, what)
            self.assertEqual(frames.count("main.deep"), 201, (what, frames))
            self.assertEqual(frames[-1], "runtime.goexit", what)

    def check_build(self, version, go, kind, names):
        what = "%s %s" % (version, kind)
        program = self.build(go, kind)
        process = self.start(program)
        profile, err = record(process.pid, 3, "--verbose", "--no-inlines", hz=1999)
        self.end(process)
        samples = [s for s in profile.samples if user_part(s)[0]]
        self.check_tops(samples, what, re.findall("wireprof: (.*(?:truncated|complete stack).*)", err))
        self.check_frames(samples, what)
        if BUILDS[kind][0] is CGO:
            self.check_c(samples, what)
        seen = {shown(f) for s in samples for f in s.frames if is_go(f)}
        self.assertGreater(len(seen), 50, what)
        self.assertEqual({name for name in seen - names if not self.is_inlined(program, name)}, set(), what)
        unnamed = {f for s in samples for f in s.frames if f.startswith(os.path.basename(program) + "+0x")}
        if BUILDS[kind][0] is PURE:
            self.assertEqual(unnamed, set(), what)

    def test_stacks_and_names(self):
        gos = compilers()
        self.assertTrue(gos, "no Go: install golang-go")
        for version, go in gos.items():
            names = functions(self.build(go, "normal")) | functions(self.build(go, "cgo"))
            for kind in BUILDS:
                with self.subTest(go=version, build=kind):
                    self.check_build(version, go, kind, names)


if __name__ == "__main__":
    unittest.main(verbosity=2)

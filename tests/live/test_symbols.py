# SPDX-License-Identifier: Apache-2.0
"""Names, inlined functions and source lines: that they are right, and found wherever they may lie."""
import os
import re
import shutil
import subprocess
import time
import unittest

from compiled import PROGRAMS, CompiledTest, read_line
from harness import record, wireprof
from pprof import Profile

CHAIN = ["mix", "step", "work", "main"]
SOURCE = os.path.join(PROGRAMS, "inlined.c")


def run(*command, **how):
    return subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True, **how).stdout


def locations(profile, mapping):
    """{address: lines, innermost first} of the addresses in a file; a line is (name, its Line)."""
    found = {}
    for s in profile.samples:
        rows = [(a, f, line) for f, a, m, line in zip(s.frames, s.addresses, s.mappings, s.lines) if m == mapping]
        # Recursion may put an address on a stack twice: each time its lines end with one that is not inlined.
        lines = []
        for address, name, line in rows:
            lines.append((name, line))
            if not line.inlined:
                found[address], lines = lines, []
    return found


def eu_addr2line(path, addresses):
    """The same from elfutils: {address: [(function, file, line)]}."""
    out = run("eu-addr2line", "-a", "-i", "-f", "-e", path, input="\n".join(map(hex, addresses)))
    found, lines = {}, None
    rows = iter(out.splitlines())
    for row in rows:
        if re.fullmatch("0x[0-9a-f]+", row):
            lines = found.setdefault(int(row, 16), [])
        else:
            file, line = next(rows).split(":")[:2]
            lines.append((row.split(" inlined at ")[0], os.path.basename(file), int(line)))
    return found


class SymbolTest(CompiledTest):
    def inlined(self, *flags, name="inlined"):
        return self.compile("inlined.c", "-g", *flags, name=name)

    def record(self, process, mapping, seconds=0.6, options=()):
        profile, _ = record(process.pid, seconds, *options, hz=1999)
        found = locations(profile, mapping)
        self.assertTrue(found, "no sample of " + mapping)
        return profile, found

    def assert_chain(self, profile, lines=True):
        """The innermost function's stacks are the whole chain, with source lines."""
        whole = [s for s in profile.samples if s.frames[:4] == CHAIN]
        self.assertGreater(sum(s.count for s in whole), 0.1 * sum(s.count for s in profile.samples),
                           [s.frames for s in profile.samples][:5])
        for s in whole:
            self.assertEqual([line.inlined for line in s.lines[:4]], [True, True, False, False])
            self.assertTrue(all(line.file.endswith("inlined.c") and line.line for line in s.lines[:4]) or not lines,
                            s.lines)

    def strip(self, path, *options):
        run("strip", *options, path)
        return path


class Lines(SymbolTest):
    def assert_as_eu_addr2line(self, path, process, least=1):
        """At least so many of the addresses have the same lines."""
        profile, found = self.record(process, path, 1.5)
        oracle, inlined, same, total = eu_addr2line(path, found), 0, 0, 0
        for address, lines in found.items():
            ours = [(os.path.basename(line.file), line.line) for _, line in lines]
            theirs = [line[1:] for line in oracle[address]]
            if theirs == [("??", 0)]:
                continue  # crt1.o
            ours += [line.system_name for _, line in lines[:-1]]
            theirs += [line[0] for line in oracle[address][:-1]]
            if least == 1:
                self.assertEqual(ours, theirs, hex(address))
            same += ours == theirs
            total += 1
            inlined += len(lines) > 1
        self.assertGreater(inlined, 4)
        self.assertGreaterEqual(same, least * total)
        return profile

    def test_c_is_as_eu_addr2line_has_it(self):
        for version in "45":
            with self.subTest(version=version):
                path = self.inlined("-gdwarf-" + version, name="inlined" + version)
                profile = self.assert_as_eu_addr2line(path, self.start(path))
                self.assert_chain(profile)

    def test_cxx_is_as_eu_addr2line_has_it(self):
        """Almost: gcc says of some instructions that they belong to two calls at once, and tools choose differently."""
        path = self.compile("inlined.cc", "-g")
        profile = self.assert_as_eu_addr2line(path, self.start(path), least=0.95)
        inlined = {f for s in profile.samples for f, line in zip(s.frames, s.lines) if line.inlined}
        self.assertIn("store::index<unsigned int>::add", inlined)
        self.assertTrue(any(re.match(r"std::vector<.*>::push_back", f) for f in inlined), inlined)

    def test_start_lines(self):
        path = self.inlined()
        profile, found = self.record(self.start(path), path)
        with open(SOURCE) as f:
            source = f.read().splitlines()
        starts = {(name, line.start) for lines in found.values() for name, line in lines if name in CHAIN}
        self.assertEqual({name for name, _ in starts}, set(CHAIN))
        for name, start in starts:
            self.assertIn(" %s(" % name, source[start - 1])

    def test_without_inlines(self):
        path = self.inlined()
        profile, found = self.record(self.start(path), path, options=("--no-inlines",))
        self.assertIn(["work"], [[f for f, _ in lines] for lines in found.values()])
        for lines in found.values():
            self.assertEqual([(line.file, line.line, line.inlined) for _, line in lines], [("", 0, False)])

    @unittest.skipUnless(shutil.which("go"), "no go")
    def test_pprof_lists_the_source(self):
        path, out = self.inlined(), self.path("out.pb.gz")
        wireprof("record", "-F", 1999, "-o", out, "--", path, 1)
        env = {**os.environ, "PPROF_BINARY_PATH": "/nonexistent", "HOME": self.directory}
        listing = run("go", "tool", "pprof", "-list", "^mix$", out, env=env)
        hot = re.search(r"^ +([0-9.]+m?s) .*x \*= 0x85ebca6bu", listing, re.M)
        self.assertTrue(hot, listing)
        top = run("go", "tool", "pprof", "-lines", "-top", out, env=env)
        self.assertRegex(top, r"mix .*inlined\.c:\d+ \(inline\)")

    def test_the_page_tells_inlined_functions(self):
        path, out = self.inlined(), self.path("out.html")
        wireprof("record", "-F", 999, "-o", out, "--", path, 0.5)
        with open(out) as f:
            self.assertRegex(f.read(), r'"mix"')


class Places(SymbolTest):
    """Where the file, and its debug data, may be."""

    def test_deleted(self):
        path = self.inlined()
        process = self.start(path)
        os.unlink(path)
        self.assert_chain(self.record(process, path)[0])

    def test_replaced(self):
        path, other = self.inlined(), self.compile("busy.c", "-g")
        process = self.start(path)
        os.rename(other, path)
        self.assert_chain(self.record(process, path)[0])

    def test_gone_when_names_are_looked_up(self):
        path, out = self.inlined(), self.path("out.pb.gz")
        debug = self.debug_file(path, self.path("inlined.debug"))
        self.assertTrue(os.path.exists(debug))
        wireprof("record", "-F", 1999, "-o", out, "--", path, 0.5)
        self.assert_chain(Profile(out))

    def debug_file(self, path, debug, link=True):
        """Moves symbols and DWARF into a file of their own."""
        os.makedirs(os.path.dirname(debug), exist_ok=True)
        run("objcopy", "--only-keep-debug", path, debug)
        self.strip(path)
        if link:
            run("objcopy", "--add-gnu-debuglink", debug, path)
        return debug

    def test_debug_link(self):
        path = self.inlined("-Wl,--build-id=none")
        self.debug_file(path, self.path(".debug/inlined.debug"))
        self.assert_chain(self.record(self.start(path), path)[0])

    def test_debug_link_to_another_file(self):
        """A debug file whose CRC is not the one in the link gives no name."""
        path = self.inlined("-Wl,--build-id=none")
        debug = self.debug_file(path, self.path("inlined.debug"))
        with open(debug, "ab") as f:
            f.write(b"\0")
        found = self.record(self.start(path), path)[1]
        names = {name for lines in found.values() for name, _ in lines}
        self.assertTrue(all(name.startswith("inlined+0x") for name in names), names)

    def test_another_root(self):
        """In a mount namespace and root of its own, debug file by build-id there; and the process is gone at the end."""
        root = self.path("root")
        os.mkdir(root)
        path = self.inlined("-static", name="root/inlined")
        build_id = re.search(r"Build ID: (\w+)", run("readelf", "-n", path))[1]
        # The file system is one that only this namespace has.
        script = ("mount -t tmpfs none $0 && cp $1 $0/inlined && mkdir -p $0/usr/lib/debug/.build-id/%s && "
                  "cp $2 $0/usr/lib/debug/.build-id/%s/%s.debug && exec chroot $0 /inlined 2.5" %
                  (build_id[:2], build_id[:2], build_id[2:]))
        kept = self.path("kept")
        debug = self.debug_file(path, self.path("debug"), link=False)
        os.rename(path, kept)
        process = self.start("unshare", "-m", "sh", "-c", script, root, kept, debug, ready=False)
        deadline = time.monotonic() + 5
        while not os.readlink("/proc/%d/exe" % process.pid).endswith("/inlined") and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertFalse(os.path.exists(path))
        profile, _ = record(process.pid, 10, hz=1999)
        self.assert_chain(profile)

    def test_packed_symbols(self):
        """.gnu_debugdata, made as Fedora's find-debuginfo makes it: the functions that .dynsym has not."""
        path, mini = self.inlined("-rdynamic"), self.path("mini")

        def functions(*options):
            return set(re.findall(r"^(\S+) [Tt] ", run("nm", *options, "--format=posix", "--defined-only", path), re.M))

        with open(self.path("keep"), "w") as f:
            f.write("\n".join(functions() - functions("-D")))
        run("objcopy", "--only-keep-debug", path, mini)
        run("objcopy", "-S", "--remove-section", ".gdb_index", "--remove-section", ".comment",
            "--keep-symbols=" + self.path("keep"), mini)
        self.strip(path)
        run("xz", mini)
        run("objcopy", "--add-section", ".gnu_debugdata=" + mini + ".xz", path)
        found = self.record(self.start(path), path)[1]
        names = {name for lines in found.values() for name, _ in lines}
        self.assertIn("work", names)
        self.assertIn("main", names)

    def test_broken_dwarf_costs_lines_only(self):
        path = self.inlined("-Wl,--build-id=none", "-gz=none")
        sections = run("readelf", "-SW", path)
        with open(path, "r+b") as f:
            for name in ("info", "abbrev", "line"):
                offset, size = (int(x, 16) for x in re.search(
                    r"\.debug_%s +PROGBITS +\w+ (\w+) (\w+)" % name, sections).groups())
                f.seek(offset + 40)
                f.write(bytes(i * 37 % 251 for i in range(size - 40)))
        found = self.record(self.start(path), path)[1]
        self.assertIn("work", {lines[-1][0] for lines in found.values()})


class Names(SymbolTest):
    def test_plt(self):
        """Lazy and immediate binding, with and without landing pads for indirect branches."""
        library = self.compile("tiny.c", "-shared", "-fPIC", name="libtiny.so")
        for i, flags in enumerate((("-Wl,-z,lazy",), ("-Wl,-z,now",), ("-fcf-protection=none",),
                                   ("-no-pie", "-fno-pie"))):
            with self.subTest(flags=flags):
                path = self.compile("calls_tiny.c", library, "-Wl,-rpath," + self.directory, *flags, name="plt%d" % i)
                self.strip(path)
                found = self.record(self.start(path), path)[1]
                self.assertIn("tiny@plt", {lines[-1][0] for lines in found.values()})

    @unittest.skipUnless(shutil.which("rustc"), "no rustc")
    def test_rust(self):
        for mangling in "legacy", "v0":
            with self.subTest(mangling=mangling):
                path = self.path(mangling)
                # One of the two is the default, the other unstable: which depends on the version.
                option = ["-Z", "unstable-options", "-C", "symbol-mangling-version=" + mangling]
                run("rustc", "-O", "-g", *option, "-o", path, os.path.join(PROGRAMS, "names.rs"),
                    env={**os.environ, "RUSTC_BOOTSTRAP": "1"})
                process = self.start(path)
                profile, found = self.record(process, path)
                names = {(name, line.inlined) for lines in found.values() for name, line in lines}
                scan = [n for n, inlined in names if not inlined and re.search(r"store::Tree<.*>(>)?::scan", n)]
                self.assertTrue(scan, names)
                self.assertTrue(any(inlined and "main::{closure#0}" in n or "{{closure}}" in n for n, inlined in names),
                                names)
                self.assertFalse([n for n, _ in names if re.search(r"::h[0-9a-f]{16}$|^_R|^_ZN", n)])


if __name__ == "__main__":
    unittest.main(verbosity=2)

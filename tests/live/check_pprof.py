#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The reference reader on a pprof file that wireprof wrote from the sample profile (tests/page/make_page.c).

    check_pprof.py FILE.pb.gz

Runs `go tool pprof` of every Go it finds (PATH, /usr/lib/go-*, /usr/local/go) without network or home.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

PERIOD_NS = 10101010


def find_gos():
    found = [shutil.which("go"), "/usr/local/go/bin/go", *sorted(glob.glob("/usr/lib/go-*/bin/go"))]
    return list(dict.fromkeys(os.path.realpath(go) for go in found if go and os.path.exists(go)))


class Pprof:
    def __init__(self, go, path, home):
        self.go, self.path = go, os.path.abspath(path)
        # An offline pprof: no toolchain download, no configuration, no symbol lookup.
        self.env = {"HOME": home, "PATH": "/usr/bin:/bin", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOPROXY": "off",
                    "GOTELEMETRY": "off", "GOCACHE": os.path.join(home, "cache"), "PPROF_TMPDIR": home, "PPROF_BINARY_PATH": home}

    def __call__(self, *options):
        command = [self.go, "tool", "pprof", "-symbolize=none", *options, self.path]
        done = subprocess.run(command, env=self.env, cwd=self.env["HOME"], capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise AssertionError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr}")
        return done.stdout


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def check_raw(pprof):
    raw = pprof("-raw")
    check("samples/count cpu/nanoseconds[dflt]" in raw, "sample types, cpu the default")
    check("PeriodType: cpu nanoseconds" in raw and f"Period: {PERIOD_NS}" in raw, "period")
    check("Time: 2025-11-22" in raw and "Duration: 30s" in raw, "time and duration")
    check("Comment: attributed: 97.0 %" in raw, "comments")
    check("tid:[0 id]" in raw, "a numeric label of 0 keeps its unit")
    values = [(int(m[1]), int(m[2])) for m in re.finditer(r"^ +(\d+) +(\d+): [\d ]+$", raw, re.M)]
    check(sum(v[0] for v in values) == 2232, f"sum of samples: {sum(v[0] for v in values)}")
    check(sum(v[1] for v in values) == 2232 * PERIOD_NS, "sum of nanoseconds")
    check(re.search(r"/usr/bin/redis-server 0123456789abcd01 \[FN\]\[FL\]\[LN\]\[IN\]", raw), "flags of a symbolized mapping")
    check(re.search(r"\[kernel\.kallsyms\] 0123456789abcd03 \[FN\]$", raw, re.M), "flags of the kernel")


def check_tags(pprof):
    tags = pprof("-tags", "-sample_index=samples")
    section = re.search(r"^ db_operation_name: .*?\n\n", tags + "\n\n", re.M | re.S)
    check(section, "db_operation_name among the tags")
    check(re.search(r"^ +1211[. ].*: SORT$", section[0], re.M) or re.search(r"1\.2k.*SORT|1211.*SORT", section[0]), f"SORT 1211: {section[0]}")
    check(re.search(r"SELECT", section[0]) and "<img src=x onerror=window.pwned=2>" in section[0], "other classes")


def flat(top, name):
    line = re.search(r"^ *(\S+) +\S+ +\S+ +(\S+) +(\S+)  " + re.escape(name) + r"\b.*$", top, re.M)
    check(line, f"{name} in:\n{top}")
    return line


def check_focus(pprof):
    top = pprof("-tagfocus=db_operation_name=SORT", "-top", "-nodecount=100", "-unit=ns")
    check("12232323110ns" in top, f"CPU of SORT, 1211 samples:\n{top[:400]}")
    check(flat(top, "sortCompare")[1] == "6262626200ns", "self of sortCompare")
    check("zrangebyscoreCommand" not in top and "row_search_mvcc" not in top, "other classes are left out")
    ignored = pprof("-tagignore=db_operation_name=SORT", "-top", "-nodecount=100")
    check("sortCompare" not in ignored and "zslFirstInRange" in ignored, "tagignore")


def check_root(pprof):
    top = pprof("-tagroot=db_operation_name", "-top", "-cum", "-nodecount=200", "-unit=ns")
    check(flat(top, "SORT")[2] == "12232323110ns", "SORT as a root frame")
    check(flat(top, "SELECT")[2] == f"{514 * PERIOD_NS}ns", "SELECT as a root frame")
    traces = pprof("-tagroot=db_operation_name", "-traces")
    check(re.search(r"_start\n +SORT$", traces, re.M), "SORT below _start in the traces")
    check("siphash" in traces and "(inline)" in traces, "inlined frames are marked")


def check_top(pprof):
    top = pprof("-top", "-nodecount=300")
    for name in ("[truncated]", "JOIN::exec", "do_syscall_64", "<!--<script>"):
        check(name in pprof("-peek=" + re.escape(name)), name)
    check("Type: cpu" in top and "Duration: 30s" in top, f"header:\n{top[:300]}")


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    gos, failed = find_gos(), 0
    if not gos:
        print("FAIL  no go found: install golang-go", file=sys.stderr)
        return 1
    for go in gos:
        home = tempfile.mkdtemp(prefix="wireprof-go-")
        try:
            for function in (check_raw, check_tags, check_focus, check_root, check_top):
                try:
                    function(Pprof(go, sys.argv[1], home))
                    print(f"ok    {go} {function.__name__}")
                except (AssertionError, subprocess.TimeoutExpired) as error:
                    failed += 1
                    print(f"FAIL  {go} {function.__name__}: {error}")
        finally:
            shutil.rmtree(home, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

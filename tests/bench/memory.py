# SPDX-License-Identifier: Apache-2.0
"""`make bench-memory`: what wireprof holds for a process with 400 shared objects: resident memory, bytes a row."""
import ctypes
import glob
import os
import re
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WIREPROF = os.path.join(os.environ.get("B", os.path.join(ROOT, "build")), "wireprof")
OBJECTS = 400
SECONDS = 8


def load(wanted):
    """Loads libraries of this machine until there are enough, then uses CPU."""
    for path in sorted(glob.glob("/usr/lib/x86_64-linux-gnu/*.so*")):
        if os.path.islink(path) or re.search("libasan|libtsan|libubsan|liblsan|libhwasan|jemalloc|tcmalloc", path):
            continue
        try:
            ctypes.CDLL(path, mode=os.RTLD_LAZY | os.RTLD_LOCAL)
        except OSError:
            continue
        if loaded() >= wanted:
            break
    print(loaded(), flush=True)
    end = time.time() + SECONDS + 20
    while time.time() < end:
        sum(range(1000))


def loaded():
    with open("/proc/self/maps") as f:
        return len({line.split()[-1] for line in f if ".so" in line})


def status(pid, field):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(field + r":\s+(\d+)", f.read()).group(1)) / 1024


def main():
    if sys.argv[1:] == ["load"]:
        return load(OBJECTS)
    target = subprocess.Popen([sys.executable, __file__, "load"], stdout=subprocess.PIPE, text=True)
    try:
        objects = int(target.stdout.readline())
        with tempfile.TemporaryDirectory() as directory:
            run = subprocess.Popen([WIREPROF, "record", "-p", str(target.pid), "-d", str(SECONDS), "--verbose", "-o",
                                    os.path.join(directory, "out.pb.gz")], stderr=subprocess.PIPE, text=True)
            time.sleep(SECONDS - 1)
            resident, peak = status(run.pid, "VmRSS"), status(run.pid, "VmHWM")
            anonymous, files = status(run.pid, "RssAnon"), status(run.pid, "RssFile")
            words = run.communicate()[1]
    finally:
        target.kill()
        target.wait()
    print("objects mapped by the target: %d" % objects)
    print("resident after %d s: %.1f MB (%.1f of it files), highest so far %.1f MB" %
          (SECONDS - 1, resident, files, peak))
    print("anonymous: %.1f MB" % anonymous)
    print(*[line for line in words.splitlines() if "unwind tables:" in line or "stacks:" in line or
            "own CPU" in line], sep="\n")


if __name__ == "__main__":
    main()

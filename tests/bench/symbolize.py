# SPDX-License-Identifier: Apache-2.0
"""
Names, inlined functions and lines of 100 000 samples: wireprof's symbolizer beside perf script and others.

	make bench-symbolize
	make bench-symbolize BENCH_OPTIONS='-- COMMAND ARG...'    another program, which should run 10 s and more

perf records the samples, with their call chains by frame pointer, and lists the addresses that are in the program.
Every tool then gets the same addresses: perf script by way of its own file (all samples; it is timed on the whole
file), the others each address once, as they would repeat their work otherwise. Each starts anew, with the file in the
page cache; the best of three counts. What the tools are asked for differs, and is said beside each figure.
"""
import os
import re
import shutil
import subprocess
import sys
import time

OUT = os.path.join("build", "bench")
SAMPLES = 100_000
UNITS = 24
TIMEOUT_S = 120

UNIT = """
#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>
namespace unit%(i)d {
struct key { unsigned a, b; bool operator<(const key &o) const { return a != o.a ? a < o.a : b < o.b; } };
template <typename K> struct table {
	std::map<K, std::string> tree; std::unordered_map<unsigned, std::vector<K>> hash; std::set<K> set;
	void add(K k) { tree[k] = std::to_string(k.a + %(i)d); hash[k.b %% 97].push_back(k); set.insert(k); }
	unsigned long sum() { unsigned long n = 0; for (auto &p : tree) n += p.second.size();
		for (auto &p : hash) { std::sort(p.second.begin(), p.second.end()); n += p.second[0].a; } return n + set.size(); }
};
unsigned long run(unsigned long seed) {
	static const std::regex pattern("([a-z]+)%(i)d_([0-9]+)");
	table<key> t; std::ostringstream s; std::smatch m;
	for (unsigned i = 0; i < 300; i++) { t.add({unsigned(i * 2654435761u ^ seed) %% 1000, i}); s << "row" << i << "_" << i * 3 << ' '; }
	std::string text = s.str(); text.resize(400); unsigned long n = std::regex_search(text, m, pattern);
	return n + t.sum();
}
}
"""


def build():
    """A C++ program of UNITS translation units, each with its own templates; DWARF and frame pointers."""
    path = os.path.join(OUT, "symbolize_target")
    if os.path.exists(path):
        return path
    print("building a C++ program of %d units" % UNITS, flush=True)
    flags, objects, running = ["-O2", "-g", "-fno-omit-frame-pointer"], [], []
    for i in range(UNITS + 1):
        source = os.path.join(OUT, "unit%d.cc" % i)
        with open(source, "w") as f:
            if i < UNITS:
                f.write(UNIT % {"i": i})
            else:
                f.write("".join("namespace unit%d { unsigned long run(unsigned long); }\n" % j for j in range(UNITS)))
                f.write("#include <ctime>\nint main() { unsigned long n = 0; while (clock() < 12l * CLOCKS_PER_SEC) {%s} "
                        "return n == 1; }\n" % " ".join("n += unit%d::run(n);" % j for j in range(UNITS)))
        objects.append(source[:-2] + "o")
        running.append(subprocess.Popen(["g++", *flags, "-c", "-o", objects[-1], source]))
        if len(running) == 2:
            running.pop(0).wait()
    for process in running:
        process.wait()
    subprocess.run(["g++", "-o", path, *objects], check=True)
    return path


def resident_kib(pid):
    """The most it had so far. Not wait4's ru_maxrss, which counts what our own process had before exec."""
    try:
        with open("/proc/%d/status" % pid) as f:
            return int(re.search(r"VmHWM:\s+(\d+)", f.read())[1])
    except (OSError, TypeError):
        return 0  # gone


def timed(command, stdin=None, limit=TIMEOUT_S, rounds=3):
    """(best seconds, greatest resident KiB, output of the last), or None if it takes too long."""
    best, kib = None, 0
    for _ in range(rounds):
        start = time.monotonic()
        with open(os.path.join(OUT, "output"), "w+b") as out:
            process = subprocess.Popen(command, stdin=open(stdin) if stdin else subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.DEVNULL)
            pid = 0
            while not pid and time.monotonic() < start + limit:
                kib = max(kib, resident_kib(process.pid))
                pid, _ = os.waitpid(process.pid, os.WNOHANG)
                time.sleep(0 if pid else 0.002)
            if not pid:
                process.kill()
                process.wait()
                return None
            process.returncode = 0
            took = time.monotonic() - start
            out.seek(0)
            text = out.read()
        best = min(best or took, took)
        if took > 20:
            break
    return best, kib, text


def show(tool, result, unique, what):
    if not result:
        print("%-34s > %d s, given up%29s  %s" % (tool, TIMEOUT_S, "", what))
        return
    seconds, kib, _ = result
    print("%-34s %9.2f s %9.1f us an address %7.0f MB  %s" % (tool, seconds, 1e6 * seconds / unique, kib / 1024, what),
          flush=True)


def record(command, data):
    """Until there are enough samples: perf may sample more slowly than it is asked to."""
    subprocess.run(["perf", "record", "-q", "-F", "9999", "--call-graph", "fp", "-e", "cpu-clock:u", "-o", data, "--",
                    *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main():
    os.makedirs(OUT, exist_ok=True)
    command = sys.argv[sys.argv.index("--") + 1:] if "--" in sys.argv else [build()]
    program = os.path.realpath(shutil.which(command[0]))
    data, listed, once = (os.path.join(OUT, name) for name in ("perf.data", "addresses", "unique"))
    record(command, data)
    samples, addresses = 0, []
    script = subprocess.run(["perf", "script", "-i", data, "-F", "ip,sym,dso"], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True).stdout
    for row in script.splitlines():
        samples += not row
        if row.endswith("(%s)" % program):
            addresses.append("0x" + row.split()[0])
    unique = sorted(set(addresses), key=lambda a: int(a, 16))
    for path, rows in (listed, addresses), (once, unique):
        with open(path, "w") as f:
            f.write("\n".join(rows) + "\n")
    dwarf = re.search(r"\.debug_info +PROGBITS +\w+ \w+ (\w+)", subprocess.run(
        ["readelf", "-SW", program], stdout=subprocess.PIPE, text=True).stdout)
    print("%s, .debug_info %.1f MB: %d samples, %d frames in it, %d different addresses" %
          (program, int(dwarf[1], 16) / 1e6 if dwarf else 0, samples, len(addresses), len(unique)), flush=True)
    if samples < SAMPLES:
        print("fewer samples than the %d that were wanted" % SAMPLES)
    result = timed([os.path.join(OUT, "symbolize"), program], listed)
    _, _, n_lines, lines, symbols_ms, lines_ms, own, child = map(float, result[2].split())
    show("wireprof's symbolizer", (result[0], own + child, b""), len(unique),
         "names, inlined functions, lines (%d of %d have lines, %d frames)" % (n_lines, len(unique), lines))
    print("    of that, symbols %.1f ms, lines %.0f ms; resident: itself %.0f MB, its reader %.0f MB, pages of the file "
          "counted in both" % (symbols_ms, lines_ms, own / 1024, child / 1024))
    for fields, what in ("ip,sym", "names"), ("ip,sym,srcline", "names, lines"):
        result = timed(["perf", "script", "-i", data, "--inline", "-F", fields])
        inlined = result[2].count(b"(inlined)") if result else 0
        if result:
            what += ", %d inlined functions" % inlined if inlined else "; no inlined functions: perf gave none"
        show("perf script --inline -F " + fields, result, len(unique), what)
    for tool in ["addr2line", "-i", "-f", "-e"], ["eu-addr2line", "-i", "-f", "-e"], ["llvm-symbolizer", "-i", "-f", "-e"]:
        if shutil.which(tool[0]):
            show(" ".join(tool[:3]), timed([*tool, program], once), len(unique), "inlined functions, lines")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""
Programs that nobody tuned for a profiler, each at work: what test_entries.py records.

A workload is a function(test) of a CompiledTest that starts the program, waits until it is busy, and returns the
processes to record; the test's clean-ups end whatever was started. Programs of the tests' own are in programs/.
"""
import collections
import os
import random
import shutil
import subprocess
import threading

from compiled import PROGRAMS
from harness import Load, wait_for
from mariadb_server import QUERIES, SETUP, MariadbServer
from redis_load import COMMANDS, client_of, fill
from redis_server import RedisServer

LOAD_SECONDS = 12  # more than the longest recording; a load ends by itself
Workload = collections.namedtuple("Workload", "name start target needs parts")
Part = collections.namedtuple("Part", "name keep target")  # a row of its own for the samples that it keeps
WORKLOADS = []


def workload(name, target=0.995, needs=(), parts=()):
    """Registers a workload; `needs` are commands without which its test is skipped."""
    def register(function):
        WORKLOADS.append(Workload(name, function, target, needs, parts))
        return function
    return register


def entered(test, context):
    """Enters a context that the test's clean-up leaves."""
    value = context.__enter__()
    test.addCleanup(context.__exit__, RuntimeError, None, None)
    return value


def cpu_ticks(pid):
    with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def wait_busy(pid, ticks=20):
    """Waits until a process has used this much more CPU time (in 1/100 s)."""
    start = cpu_ticks(pid)
    wait_for(lambda: cpu_ticks(pid) >= start + ticks, what="process %d to use CPU" % pid)


@workload("redis-server", needs=["redis-server"])
def redis(test):
    server = entered(test, RedisServer())
    fill(server)
    entered(test, Load([client_of(server, operation) for operation in COMMANDS], LOAD_SECONDS))
    return [server.pid]


@workload("mariadbd", needs=["mariadbd", "mariadb-install-db", "mariadb", "sysbench"])
def mariadbd(test):
    server = entered(test, MariadbServer())
    server.run(SETUP)
    subprocess.run(server.sysbench("oltp_read_write", "prepare"), check=True, stdout=subprocess.DEVNULL, timeout=60)
    test.start(*server.sysbench("--threads=4", "--time=%d" % LOAD_SECONDS, "oltp_read_write", "run"))
    entered(test, Load([server.query_forever(QUERIES)], LOAD_SECONDS))
    wait_busy(server.pid)
    return [server.pid]


@workload("node --perf-basic-prof", needs=["node"])
def node(test):
    process = test.start("node", "--perf-basic-prof", os.path.join(PROGRAMS, "work.js"), cwd=test.directory)
    test.addCleanup(lambda: os.path.exists(path := "/tmp/perf-%d.map" % process.pid) and os.unlink(path))
    wait_busy(process.pid, 50)  # until the hot functions are compiled
    return [process.pid]


def go_program(test, compiler):
    out = test.path("gopher")
    # The cache is as in the user's shell, so that the standard library is compiled once.
    subprocess.run([compiler, "build", "-o", out, os.path.join(PROGRAMS, "gopher.go")], check=True,
                   env={"HOME": "/root", **os.environ, "GO111MODULE": "off", "GOFLAGS": ""})
    return out


@workload("Go", needs=["go"])
def go(test):
    return [test.start(go_program(test, "go")).pid]


@workload("Go, stripped", needs=["go", "strip"])
def go_stripped(test):
    program = go_program(test, "go")
    subprocess.run(["strip", program], check=True)
    return [test.start(program).pid]


@workload("C++", needs=["g++"])
def cxx(test):
    return [test.start(test.compile("modern.cc", "-pthread")).pid]


@workload("Rust", needs=["rustc"])
def rust(test):
    out = test.path("rusty")
    subprocess.run(["rustc", "-O", "-o", out, os.path.join(PROGRAMS, "rusty.rs")], check=True)
    return [test.start(out).pid]


# How many seconds each operation takes at most: of the first two, half for signing and half for verifying.
OPENSSL = [[3, "rsa2048"], [3, "ecdsap256"], [12, "-evp", "sha256"], [12, "-evp", "aes-256-gcm"],
           [12, "-evp", "chacha20-poly1305"]]


@workload("openssl speed", target=0.98, needs=["openssl"])
def openssl(test):
    """Public-key and symmetric algorithms side by side."""
    processes = [test.start("openssl", "speed", "-bytes", 8192, "-seconds", *how, ready=False,
                            stderr=subprocess.DEVNULL) for how in OPENSSL]
    for process in processes:
        wait_busy(process.pid, 2)
    return [process.pid for process in processes]


def frames_of_video(width, height, n):
    """Gradients that move, with noise: something that an encoder must work at. Each with its y4m header."""
    noise = random.Random(1)
    rows = [bytes((x * 3 + y) & 0xFF for x in range(width + n * 7)) for y in range(64)]
    for t in range(n):
        luma = b"".join(rows[(y + 3 * t) % 64][t * 7:t * 7 + width] if (y // 40 + t) % 3 else
                        noise.randbytes(width) for y in range(height))
        yield b"FRAME\n" + luma + bytes([90 + t, 128]) * (width * height // 4)


def feed_video(test, process, width=640, height=360):
    """Writes an endless video to what the process reads, until the process ends."""
    def write():
        frames = list(frames_of_video(width, height, 12))
        try:
            process.stdin.write(b"YUV4MPEG2 W%d H%d F25:1 Ip A1:1 C420\n" % (width, height))
            while True:
                for frame in frames:
                    process.stdin.write(frame)
        except (OSError, ValueError):
            pass

    thread = threading.Thread(target=write, daemon=True)
    thread.start()


@workload("x265", target=0.98, needs=["x265"])
def x265(test):
    process = subprocess.Popen(["x265", "--y4m", "--input", "-", "--preset", "medium", "-o", "/dev/null"],
                               stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    test.addCleanup(end_fed, process)
    feed_video(test, process)
    wait_busy(process.pid, 50)
    return [process.pid]


def end_fed(process):
    process.kill()
    process.wait()
    try:
        process.stdin.close()
    except OSError:
        pass


@workload("ffmpeg (libx264)", target=0.98, needs=["ffmpeg"])
def ffmpeg(test):
    process = test.start("ffmpeg", "-nostdin", "-loglevel", "quiet", "-f", "lavfi", "-i",
                         "testsrc2=size=640x360:rate=30", "-t", "600", "-c:v", "libx264", "-f", "null", "-",
                         ready=False)
    wait_busy(process.pid, 50)
    return [process.pid]


@workload("python3", needs=["/usr/bin/python3"])
def python(test):
    return [test.start("/usr/bin/python3", os.path.join(PROGRAMS, "work.py")).pid]


@workload("400 deep, signals, sigaltstack", needs=["cc"])
def signals(test):
    return [test.start(test.compile("deep_signals.c", "-fomit-frame-pointer"), 400).pid]


@workload("the same, static with musl", needs=["musl-gcc"])
def musl(test):
    program = test.path("signals")
    subprocess.run(["musl-gcc", "-O2", "-static", "-o", program, os.path.join(PROGRAMS, "deep_signals.c")], check=True)
    return [test.start(program, 400).pid]


def is_after_exec(sample):
    """By the name that exec gives a process."""
    return sample.labels["comm"] == "child-of-exec"


@workload("vfork and exec", needs=["cc"], parts=[
    # While execve() takes the memory away there is no stack: 0.1 to 0.5 % of the samples, by the machine.
    Part("vfork, until exec", lambda s: not is_after_exec(s), 0.99),
    Part("exec: its children of 0.2 s", is_after_exec, 0.97)])
def vfork(test):
    """The parent's stacks, with those of the child in its memory; and those of a program that is new each time."""
    child = test.compile("spawner.c", "-fomit-frame-pointer", name="child-of-exec")
    return [test.start(test.compile("spawner.c", "-fomit-frame-pointer"), "0.2", child).pid]


@workload("dlopen churn", needs=["cc"])
def dlopen(test):
    """Libraries that come and go every few milliseconds, often to the same addresses."""
    plugins = [[test.compile("plugin.c", "-fPIC", "-shared", "-DNAME=" + name, name=name + ".so"), name, "0.02"]
               for name in ("first", "second", "third")]
    program = test.compile("load_plugins.c", "-fomit-frame-pointer")
    return [test.start(program, "0.01", 1000, *sum(plugins, []), ready=True).pid]


@workload("realigned stacks (AVX)", needs=["cc"])
def realigned(test):
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        avx = ["-mavx2"] if " avx2 " in f.read() else []
    return [test.start(test.compile("aligned.c", "-fomit-frame-pointer", "-mstackrealign", "-Wno-psabi", *avx)).pid]


def available(work):
    """The commands that it needs and that are not there."""
    return [command for command in work.needs if not shutil.which(command, path="/usr/sbin:" + os.environ["PATH"])]

# SPDX-License-Identifier: Apache-2.0
"""
What wireprof costs servers, beside other profilers, as one table and as JSON: starts each server, alone on its CPU, and has
the meter (overhead.c, which tells how) measure it.

    make bench [BENCH_OPTIONS="--load redis --seconds 600 --arms governed,null --json FILE"]
"""
import argparse
import contextlib
import datetime
import json
import os
import platform
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "live"))

from clients import use_python_packages
from harness import CPUS, pin, prefer
from redis_server import RedisServer, encode

del os.environ["WIREPROF_DUTY"]  # which is the live tests'

BUILD = os.environ.get("B", os.path.join(ROOT, "build"))
METER = os.path.join(BUILD, "bench", "overhead")
MANY = 10000

# A round of windows: the short ones several times, as wireprof (whose hook comes and goes) and profilers that have to be started take longer.
ARMS = ",".join(["null", "empty", "clock", "syscalls"] * 2 + ["hook", "no-requests", "complete"] * 4 + ["governed"] * 2)
PERF = "perf record -F 99 -g"


class Peers:
    """Other profilers of one server: (option, NAME=COMMAND) for the meter."""

    def __init__(self, pid, receive, directory):
        self.options, self.names = [], []
        data = os.path.join(directory, "perf.data")
        if shutil.which("perf"):
            self.add("-c", PERF, "exec perf record -q -F 99 -g -p %d -D -1 --control fd:3,4 -o %s" % (pid, data))
        if not shutil.which("bpftrace"):
            return  # (its stderr: that RLIMIT_MEMLOCK cannot be raised, which it need not be)
        ready = 'BEGIN { printf("ready\\n"); } '
        self.add("-p", "bpftrace: stacks at 99 Hz", "exec bpftrace -q -B line -e '%s profile:hz:99 /pid == %d/ "
                 "{ @[ustack, kstack] = count(); }' 2>/dev/null" % (ready, pid))
        self.add("-p", "bpftrace: requests by text", "exec bpftrace -q -B line -e '%s tracepoint:syscalls:sys_enter_%s /pid == %d/ "
                 "{ @b[tid] = args->%s; } tracepoint:syscalls:sys_exit_%s /@b[tid]/ { if (args->ret > 0) "
                 "{ @q[str(@b[tid], 32)] = count(); } delete(@b[tid]); }' 2>/dev/null" %
                 (ready, receive, pid, "buf" if receive == "read" else "ubuf", receive))

    def add(self, option, name, command):
        self.options += [option, name + "=" + command]
        self.names += [name] * (4 if name == PERF else 1)


def op_msg(document):
    """https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/#op_msg"""
    import bson
    body = struct.pack("<IB", 0, 0) + bson.encode(document)
    return struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body


@contextlib.contextmanager
def redis(directory, connections=50, pipeline=1):
    with RedisServer("--maxclients", str(MANY + 100)) as server:
        client = server.client()
        client.call("SET", "key:000000000042", "xxx")
        client.close()
        yield server.pid, "read", raw(directory, server.port, connections, pipeline, encode("GET", "key:000000000042"))


def raw(directory, port, connections, pipeline, request):
    path = os.path.join(directory, "request")
    with open(path, "wb") as f:
        f.write(request)
    return ["raw", str(port), str(connections), str(pipeline), path]


@contextlib.contextmanager
def mariadb(_, kind="text"):
    from mariadb_server import MariadbServer
    from mysql_load import FILL
    with MariadbServer() as server:
        server.run(FILL)
        yield server.pid, "recvfrom", [kind, server.path]


@contextlib.contextmanager
def mongo(directory):
    use_python_packages()
    import pymongo
    from mongo_server import MongoServer
    with MongoServer(env={"GOMAXPROCS": "1"}) as server:
        with pymongo.MongoClient(server.uri) as client:
            client.test.item.insert_many({"_id": i, "v": "x" * 64} for i in range(1000))
        find = {"find": "item", "filter": {"_id": 42}, "limit": 1, "singleBatch": True, "$db": "test"}
        yield server.pid, "read", raw(directory, server.port, 8, 1, op_msg(find))


@contextlib.contextmanager
def idle(_):
    with RedisServer() as server:
        yield server.pid, "read", ["idle"]


LOADS = {
    "redis": (redis, {}, "Redis GET, unpipelined, 50 connections"),
    "redis-pipelined": (redis, {"pipeline": 16}, "Redis GET, 16 in a pipeline, 50 connections"),
    "redis-10000": (redis, {"connections": MANY}, "Redis GET, 10 000 connections"),
    "mariadb": (mariadb, {}, "MariaDB point select, text"),
    "mariadb-prepared": (mariadb, {"kind": "prepared"}, "MariaDB point select, prepared"),
    "mongodb": (mongo, {}, "MongoDB find by _id (FerretDB)"),
    "idle": (idle, {}, "an idle redis-server"),
}


def measure(name, options):
    start, arguments, text = LOADS[name]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory, start(directory, **arguments) as (pid, receive, load):
        pin(pid, CPUS[0])
        prefer(pid)
        peers = Peers(pid, receive, directory) if not options.arms and name != "idle" else None
        arms = options.arms or ",".join([ARMS, *(peers.names if peers else [])])
        result = os.path.join(directory, "result.json")
        seconds = options.seconds if name != "idle" else min(options.seconds, 120)
        subprocess.run([METER, "-n", text, "-d", str(seconds), "-b", str(options.stats), "-w", str(options.window if load != ["idle"] else 2000), "-o", result,
                        *(peers.options if peers else []), "-a", arms, str(pid), *load], check=True)
        with open(result, encoding="utf-8") as f:
            return json.load(f)


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), platform.machine())
    return "%s, %d CPUs%s, Linux %s" % (model, os.cpu_count(), ", virtual" if is_virtual() else "", platform.release())


def is_virtual():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        return " hypervisor" in f.read()


def print_table(results):
    """Arms by loads: percent of the server's CPU per request, the profiler's own included; +- standard error."""
    names = list(dict.fromkeys(arm for r in results for arm in r["arms"]))
    print("\n%-30s %s" % ("% of the server's CPU", " ".join("%16s" % r["name"] for r in results)))
    for name in names:
        cells = [r["arms"].get(name) for r in results]
        print("%-30s %s" % (name, " ".join("%16s" % ("%.2f +- %.2f" % (c["percent"], c["error"]) if c else "") for c in cells)))
    estimates = [r.get("estimate") for r in results]
    print("%-30s %s" % ("wireprof's own estimate", " ".join("%16s" % ("%.2f" % e["percent"] if e else "") for e in estimates)))
    print("%-30s %s" % ("hook attached, % of the time", " ".join("%16s" % ("%.0f" % (100 * e["duty"]) if e else "") for e in estimates)))
    print("(per request, with the profiler's own CPU; idle: of a core)")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--load", action="append", choices=LOADS, help="only this one; may be repeated")
    parser.add_argument("--seconds", type=float, default=300, help="of windows, for each load")
    parser.add_argument("--stats", type=float, default=9, help="seconds of the cross-check by bpf_stats")
    parser.add_argument("--window", type=int, default=200, help="milliseconds, and up to half of it more")
    parser.add_argument("--arms", help="null,empty,clock,syscalls,hook,no-requests,complete,governed; one named twice gets twice the windows")
    parser.add_argument("--json", default=os.path.join(BUILD, "bench.json"), help="where the figures go")
    options = parser.parse_args()
    results = []
    for name in options.load or LOADS:
        print("\n== " + LOADS[name][2], flush=True)
        results.append({"name": name, **measure(name, options)})
    print_table(results)
    whole = {"date": datetime.date.today().isoformat(), "machine": machine(), "loads": results}
    with open(options.json, "w", encoding="utf-8") as f:
        json.dump(whole, f, indent=1)
    print("\n%s, %s; written to %s" % (whole["date"], whole["machine"], os.path.relpath(options.json)))


if __name__ == "__main__":
    main()

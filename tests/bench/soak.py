# SPDX-License-Identifier: Apache-2.0
"""
`make soak MINUTES=30`: an agent on all processes, pushing, writing files and serving, while processes come and go (each a
program of its own), a redis-server is started again and again under load, and so is a container. At the end: what the
agent held in the first third and in the last, and whether it grew.
"""
import argparse
import http.server
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "live"))

from agent import Agent, cpu_ns, descriptors, status_kib  # noqa: E402
from compiled import PROGRAMS  # noqa: E402
from container import Container  # noqa: E402
from redis_server import RedisServer, encode  # noqa: E402

HELD = ("resident KiB", "anonymous KiB", "descriptors", "targets", "map entries", "unwind tables", "unwind KiB in the kernel")
MAY_GROW = 1.1  # a tenth, for what is counted in bytes


class TakesAll(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Churn:
    """Threads, each of which makes something come and go until the end."""

    def __init__(self, directory, end, pause):
        self.directory, self.end, self.pause = directory, end, pause
        self.exits = self.servers = self.containers = 0
        self.failed = []
        self.threads = [threading.Thread(target=self._guard, args=(f,)) for f in (self.processes, self.server, self.container)]
        for thread in self.threads:
            thread.start()

    def _guard(self, function):
        try:
            function()
        except BaseException as error:
            self.failed.append("%s: %s" % (function.__name__, error))
            raise

    def processes(self):
        """A program is copied and given another build-id, so that it is a new one each time; it burns for a moment."""
        number = 0
        while time.monotonic() < self.end:
            number += 1
            program = os.path.join(self.directory, "job%d" % (number % 50))
            subprocess.run(["cc", "-O1", "-o", program, "-Wl,--build-id=0x%016x" % number, "-DNAME=job_%d" % number,
                            os.path.join(PROGRAMS, "busy.c")], check=True)
            for _ in range(4):
                subprocess.run([program, "0.1"], check=True, stdout=subprocess.DEVNULL)
                self.exits += 1
            time.sleep(self.pause)

    def load(self, client, seconds):
        deadline = time.monotonic() + seconds
        batch = encode("SORT", "list:numbers", "LIMIT", "0", "1")
        client.call("RPUSH", "list:numbers", *range(2000))
        while time.monotonic() < min(deadline, self.end):
            client.send(batch)
            client.reply()
            time.sleep(0.002)

    def server(self):
        while time.monotonic() < self.end:
            with RedisServer() as server:
                client = server.client()
                self.load(client, 20)
                client.close()
            self.servers += 1

    def container(self):
        with Container() as container:
            while time.monotonic() < self.end:
                client = container.client()
                self.load(client, 25)
                client.close()
                container.restart()
                self.containers += 1

    def join(self):
        for thread in self.threads:
            thread.join()
        if self.failed:
            raise AssertionError("; ".join(self.failed))


def held(agent):
    metrics = agent.metrics()

    def total(family):
        return sum(v for k, v in metrics.items() if re.match(family + r"(\{|$)", k))

    return (status_kib(agent.pid, "VmRSS"), status_kib(agent.pid, "RssAnon"), descriptors(agent.pid),
            metrics["wireprof_targets"], total("wireprof_map_entries"), metrics["wireprof_unwind_tables"],
            metrics["wireprof_unwind_kernel_bytes"] / 1024)


def report(rows, final, out=sys.stdout):
    """
    Prints medians of the first and last third of what was held, and what is left when all has ended; returns what grew. With
    -a, every process is a target that was ever sampled, so map entries are judged at the end: each target's, and few others.
    """
    third = max(1, len(rows) // 3)
    grew = []
    print("%-26s %10s %10s %10s %10s" % ("held by the agent", "at first", "at last", "at most", "afterwards"), file=out)
    for i, name in enumerate(HELD):
        values = [row[i] for row in rows]
        first, last = statistics.median(values[:third]), statistics.median(values[-third:])
        print("%-26s %10.0f %10.0f %10.0f %10.0f" % (name, first, last, max(values), final[i]), file=out)
        if name not in ("targets", "map entries") and last > MAY_GROW * first + (0 if "KiB" in name else 16):
            grew.append(name)
    if final[HELD.index("map entries")] > 2 * final[HELD.index("targets")] + 16:
        grew.append("map entries")
    return grew


def soak(minutes, pause=1.0, every=5.0, settle=None, out=sys.stdout):
    """Runs for so long; returns what grew, by name."""
    push = http.server.ThreadingHTTPServer(("127.0.0.1", 0), TakesAll)
    threading.Thread(target=push.serve_forever, daemon=True).start()
    directory = tempfile.mkdtemp(prefix="wireprof-soak-")
    begun = time.monotonic()
    end = begun + 60 * minutes
    settle = settle if settle is not None else min(60, 6 * minutes)  # caches fill at first
    try:
        with Agent("-a", "--window", "10" if minutes > 3 else "2", "--pyroscope", "http://127.0.0.1:%d" % push.server_port,
                   "--queue-dir", os.path.join(directory, "queue"), "--out-dir", os.path.join(directory, "out"),
                   "--out-dir-size", 8) as agent:
            churn, rows = Churn(directory, end, pause), []
            while time.monotonic() < end:
                time.sleep(every)
                if time.monotonic() > begun + settle:
                    rows.append(held(agent))
            churn.join()
            time.sleep(15)  # until what they had is given back
            final = held(agent)
            print("%.1f minutes, %d exits of %d programs, %d servers, %d container restarts; agent %.2f %% of a core" %
                  (minutes, churn.exits, churn.exits // 4, churn.servers, churn.containers,
                   100 * cpu_ns(agent.pid) / 1e9 / (time.monotonic() - begun)), file=out)
            lost = agent.metric("wireprof_samples_lost_total"), agent.metric("wireprof_samples_total")
            print("samples: %.0f, lost %.0f; pushes %.0f" % (lost[1], lost[0], agent.metric("wireprof_push_total", result="ok")), file=out)
            agent.stop()
    finally:
        push.shutdown()
        push.server_close()
        shutil.rmtree(directory, ignore_errors=True)
    return report(rows, final, out)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    grew = soak(parser.parse_args().minutes)
    if grew:
        sys.exit("grew: " + ", ".join(grew))
    print("nothing grew")


if __name__ == "__main__":
    main()

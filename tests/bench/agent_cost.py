# SPDX-License-Identifier: Apache-2.0
"""
`make bench-agent`: what the agent itself takes, CPU and memory, at 99 Hz beside one busy redis-server, with every CPU busy: pushing
to a server (that takes everything), writing files, and serving the page and metrics, which are asked for every 15 s.
"""
import argparse
import http.server
import os
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "live"))

from agent import Agent, status_kib  # noqa: E402
from harness import schedstat  # noqa: E402
from redis_server import RedisServer  # noqa: E402


class TakesAll(http.server.BaseHTTPRequestHandler):
    taken = 0

    def do_POST(self):
        TakesAll.taken += len(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def burn(seconds):
    """One more busy process for each CPU but the first."""
    code = "import time\nend = time.time() + %d\nwhile time.time() < end: sum(range(1000))" % seconds
    return [subprocess.Popen([sys.executable, "-c", code]) for _ in range(max(1, (os.cpu_count() or 2) - 1))]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-d", type=int, default=60, help="seconds")
    parser.add_argument("-a", action="store_true", help="profile all processes, not the server alone")
    options = parser.parse_args()
    push = http.server.ThreadingHTTPServer(("127.0.0.1", 0), TakesAll)
    threading.Thread(target=push.serve_forever, daemon=True).start()
    with RedisServer() as server, tempfile.TemporaryDirectory() as directory:
        load = subprocess.Popen(["redis-benchmark", "-s", server.path, "-t", "set,get,lpush,sadd,zadd", "-n", "1000000000",
                                 "-r", "100000", "-c", "20", "-q"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        others = burn(options.d + 60)
        try:
            target = ["-a"] if options.a else ["-p", server.pid]
            with Agent(*target, "--pyroscope", "http://127.0.0.1:%d" % push.server_port, "--queue-dir",
                       os.path.join(directory, "queue"), "--out-dir", os.path.join(directory, "out")) as agent:
                time.sleep(12)  # the first window, with all that is new
                report(agent, options.d)
        finally:
            for process in [load, *others]:
                process.kill()
                process.wait()
    print("bytes pushed: %d" % TakesAll.taken)


def report(agent, seconds):
    begun, ran = time.monotonic(), schedstat(agent.pid)[0]
    samples = agent.metric("wireprof_samples_total")
    while time.monotonic() < begun + seconds:
        time.sleep(min(15, max(0.1, begun + seconds - time.monotonic())))
        agent.metrics()
        agent.get("/")
    elapsed = time.monotonic() - begun
    used = (schedstat(agent.pid)[0] - ran) / 1e9
    samples = agent.metric("wireprof_samples_total") - samples
    print("CPU: %.2f %% of one core (%.3f s in %.0f s; %.0f samples/s, %.1f us a sample)" %
          (100 * used / elapsed, used, elapsed, samples / elapsed, 1e6 * used / max(1, samples)))
    print("memory: %.1f MB resident, %.1f MB at most; anonymous %.1f MB, files and maps %.1f MB" %
          tuple(status_kib(agent.pid, f) / 1024 for f in ("VmRSS", "VmHWM", "RssAnon", "RssFile")))
    print("samples lost: %.0f" % agent.metric("wireprof_samples_lost_total"))


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""
`make pyroscope URL=http://127.0.0.1:4040`: an agent pushes a loaded redis-server to a real Pyroscope, which is then asked for CPU by
query class: how far is the sum from the CPU time that the kernel accounts to the server?
"""
import argparse
import json
import os
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "live"))

from agent import Agent  # noqa: E402
from harness import Load, schedstat, until  # noqa: E402
from redis_server import RedisServer, encode  # noqa: E402

TYPE = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
COMMANDS = [("SORT", "list:numbers", "LIMIT", 0, 1), ("LPOS", "list:numbers", "none"), ("GET", "user:1"), ("SET", "user:1", "x"),
            ("LRANGE", "list:numbers", 0, 200)]


def query(url, method, body):
    request = urllib.request.Request("%s/querier.v1.QuerierService/%s" % (url, method), json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def by_class(url, service, begin_ms, end_ms):
    """{class: nanoseconds}; a point of a series is the sum of the step that ends with it, so one step covers it all."""
    answer = query(url, "SelectSeries", {
        "profileTypeID": TYPE, "labelSelector": '{service_name="%s"}' % service, "start": begin_ms - 1, "end": end_ms,
        "step": (end_ms - begin_ms + 1) / 1000 + 0.0002, "groupBy": ["db_query_summary"]})
    sums = {}
    for series in answer.get("series", []):
        name = "".join(label["value"] for label in series.get("labels", []))
        sums[name] = sum(p["value"] for p in series["points"] if int(p["timestamp"]) >= begin_ms)
    return sums


def send_commands(server):
    def function(_, deadline):
        client = server.client()
        batches = [encode(*c) for c in COMMANDS]
        for i in until(deadline):
            client.send(batches[i % len(batches)])
            client.reply()
    return function


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("-d", type=int, default=60, help="seconds")
    options = parser.parse_args()
    service = "wireprof-test-%d" % os.getpid()
    with RedisServer() as server, tempfile.TemporaryDirectory() as directory:
        client = server.client()
        client.call("RPUSH", "list:numbers", *range(5000))
        client.close()
        with Load([send_commands(server)] * 4, options.d + 5), \
                Agent("-p", server.pid, "-F", 999, "--service", service, "--pyroscope", options.url, "--queue-dir", directory) as agent:
            begin_ms, ran = int(time.time() * 1000) - 2000, schedstat(server.pid)[0]
            time.sleep(options.d)
            used = schedstat(server.pid)[0] - ran
            agent.stop()
    sums = by_class(options.url, service, begin_ms, int(time.time() * 1000))
    for name, ns in sorted(sums.items(), key=lambda item: -item[1]):
        print("%9.3f s  %s" % (ns / 1e9, name or "(no query)"))
    total = sum(sums.values())
    print("%9.3f s  together; the kernel accounts %.3f s to the server: %+.2f %%" % (total / 1e9, used / 1e9, 100 * (total / used - 1)))


if __name__ == "__main__":
    main()

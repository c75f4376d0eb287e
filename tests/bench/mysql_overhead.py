# SPDX-License-Identifier: Apache-2.0
"""
What wireprof costs mariadbd per point select: starts one, alone on its CPU, and has mysql_overhead.c measure it.

    make bench-mysql [BENCH_OPTIONS="--seconds 120 --window 300 --pool"]
"""
import argparse
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "live"))

from harness import pin, prefer
from mariadb_server import MariadbServer
from mysql_load import FILL


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=120, help="of windows, for each load")
    parser.add_argument("--window", type=int, default=300, help="milliseconds, and up to half of it more")
    parser.add_argument("--pool", action="store_true", help="thread_handling=pool-of-threads")
    parser.add_argument("--load", choices=["text", "prepared"], help="only this one")
    options = parser.parse_args()
    meter = os.path.join(os.environ.get("B", "build"), "bench", "mysql_overhead")
    with MariadbServer(*(["--thread-handling=pool-of-threads"] if options.pool else [])) as server:
        pin(server.pid, 0)
        prefer(server.pid)
        server.run(FILL)
        for load in [options.load] if options.load else ["text", "prepared"]:
            subprocess.run([meter, str(server.pid), server.path, load, str(options.seconds), str(options.window)], check=True)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""`make demo`: a redis-server of its own under a mixed load, recorded for ten seconds."""
import os
import sys
import time

from harness import ROOT, WIREPROF, Load
from redis_load import COMMANDS, client_of, fill, pipeline_of
from redis_server import RedisServer

SECONDS = 10


def main():
    page, profile = os.path.join(ROOT, "demo.html"), os.path.join(ROOT, "demo.pb.gz")
    with RedisServer() as server:
        fill(server)
        print("redis-server runs as process %d under a mixed load: %s, and pipelines of them" %
              (server.pid, ", ".join(COMMANDS)))
        clients = [client_of(server, op) for op in COMMANDS] + [pipeline_of(server, COMMANDS)]
        with Load(clients, SECONDS + 5):
            time.sleep(0.5)
            command = [WIREPROF, "record", "-p", str(server.pid), "-d", str(SECONDS), "-F", "499",
                       "-o", page, "-o", profile]
            print("$ " + " ".join(command), flush=True)
            status = os.spawnv(os.P_WAIT, WIREPROF, command)
    if status:
        return 1
    print("\nWhere to look:\n"
          "  %s   open it in a browser; %s#db_operation_name=SORT opens on SORT alone\n"
          "  go tool pprof -tagroot=db_operation_name -top %s" % (page, page, profile))
    return 0


if __name__ == "__main__":
    sys.exit(main())

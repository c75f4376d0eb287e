# SPDX-License-Identifier: Apache-2.0
"""
The statements of tests/corpus/sql against a real server: is its DIGEST_TEXT what is stored, and what we make of them?

	NAME.sql	statements, one a line
	NAME.digest	what the server says of each; where we mean to differ, a tab, and what we say
	NAME.summary	operation, summary, collection: ours, looked through by hand

test_sql_digest.py --record stores what the server (and our program) says now: look at the difference before it is committed.
"""
import glob
import os
import subprocess
import sys
import time
import unittest

from mariadb_server import MariadbServer
from mariadb_wire import Connection, SqlError

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CORPUS = os.path.join(ROOT, "tests", "corpus", "sql")
PROGRAM = os.path.join(ROOT, os.environ.get("B", "build"), "tests", "sql", "digest")
USE = "USE /* ours */ test"
HISTORY = "FROM performance_schema.events_statements_history WHERE thread_id = %d"


class Oracle:
    """Sends a statement in a session as if new, and has the server's digest of it."""

    def __init__(self, server):
        self.path = server.path
        self.monitor = Connection(self.path)
        self.monitor.query("UPDATE performance_schema.setup_consumers SET enabled = 'YES'")
        self.monitor.query("CREATE DATABASE IF NOT EXISTS test")
        self._connect()

    def _connect(self):
        self.session = Connection(self.path)
        self.session.query(USE)
        self.thread = int(self.monitor.query("SELECT thread_id FROM performance_schema.threads WHERE processlist_id = %d"
                                             % self.session.thread_id)[0][0])

    def _history(self, what, more=""):
        return self.monitor.query("SELECT " + what + " " + HISTORY % self.thread + more)

    def digest(self, statement):
        # An event comes to the history a little after the answer: the last one before ours must be in it.
        last, before = -1, 0
        while last != before:
            time.sleep(0.001)
            last, before = before, int(self._history("MAX(event_id)")[0][0] or 0)
        try:
            self.session.query(statement)
        except SqlError:
            pass
        except OSError:  # it killed its own connection
            self._connect()
            return None
        rows, deadline = [], time.monotonic() + 5
        while not rows and time.monotonic() < deadline:
            rows = self._history("digest_text", " AND event_id > %d AND COALESCE(nesting_event_level, 0) = 0 "
                                 "AND event_name LIKE 'statement/sql/%%' AND LEFT(sql_text, 20) = "
                                 "CONVERT(x'%s' USING utf8mb4) ORDER BY event_id LIMIT 1"
                                 % (before, statement[:20].encode().hex()))
        self.session.reset()
        self.session.query(USE)
        return rows[0][0].decode().rstrip(" ") if rows and rows[0][0] is not None else None


def server():
    return MariadbServer("--performance-schema=ON", "--max-digest-length=65536", "--performance-schema-max-digest-length=65536")


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [line.rstrip("\n") for line in lines]


def ours(statements):
    done = subprocess.run([PROGRAM], input="".join(s + "\n" for s in statements), stdout=subprocess.PIPE, text=True, check=True,
                          timeout=60)
    return [line.split("\t") for line in done.stdout.splitlines()]


class SqlDigest(unittest.TestCase):
    def test_against_the_server(self):
        with server() as running:
            oracle = Oracle(running)
            for path in sorted(glob.glob(CORPUS + "/*.sql")):
                statements, stored = read(path), read(path[:-4] + ".digest")
                self.assertEqual(len(statements), len(stored), path)
                for statement, line, have in zip(statements, stored, ours(statements)):
                    with self.subTest(statement=statement):
                        expected = line.split("\t")
                        self.assertEqual(oracle.digest(statement), expected[0])
                        self.assertEqual(have[2], expected[-1])


def record():
    with server() as running:
        oracle = Oracle(running)
        for path in sorted(glob.glob(CORPUS + "/*.sql")):
            statements, equal, count = read(path), 0, 0
            with open(path[:-4] + ".digest", "w", encoding="utf-8") as digests, \
                    open(path[:-4] + ".summary", "w", encoding="utf-8") as summaries:
                for statement, have in zip(statements, ours(statements)):
                    said = oracle.digest(statement)
                    if said is None:
                        print("no digest:", statement)
                    text = said or ""
                    equal += text == have[2]
                    count += 1
                    digests.write(text if text == have[2] else text + "\t" + have[2])
                    digests.write("\n")
                    summaries.write("\t".join((have[0], have[1], have[3])) + "\n")
            print("%s: %d of %d equal" % (os.path.basename(path), equal, count))


if __name__ == "__main__":
    if sys.argv[1:] == ["--record"]:
        record()
    else:
        unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Loads for mariadbd, its own accounting of them, and recordings that tests start and stop."""
import collections
import os
import subprocess
import tempfile

import pymysql
from compiled import PROGRAMS, read_line
from harness import CPUS
from recording import Recording  # tests have these from here
from samples import BUSY, busy_samples, by, cpu, named_share

# All in memory. (sequence tables are MariaDB's own.)
FILL = """
CREATE DATABASE test; CREATE DATABASE other; USE test;
CREATE TABLE item (id INT PRIMARY KEY AUTO_INCREMENT, n INT, v VARCHAR(64), KEY (n)) ENGINE=InnoDB;
INSERT INTO item (n, v) SELECT seq * 7919 % 1009, SHA2(seq, 256) FROM seq_1_to_10000;
CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, item INT, amount INT, KEY (item)) ENGINE=InnoDB;
INSERT INTO orders (item, amount) SELECT seq * 104729 % 10000, seq % 97 FROM seq_1_to_10000;
CREATE TABLE log (id INT PRIMARY KEY AUTO_INCREMENT, n INT, v VARCHAR(64)) ENGINE=InnoDB;
CREATE TABLE other.item LIKE item;
INSERT INTO other.item SELECT * FROM item;
CREATE PROCEDURE busy(first INT)
	SELECT COUNT(*), MAX(REVERSE(v)) FROM item WHERE id BETWEEN first AND first + 4000;
ANALYZE TABLE item, orders;
"""


class Class(collections.namedtuple("Class", "kind weight limit sql operation summary")):
    """A class of statements: how a client sends it (mysql_mix.c), and how its samples are to be labelled."""

    def line(self):
        return "%s %d %d\t%s\n" % (self.kind, self.weight, self.limit, self.sql)


POINT = Class("Q", 25, 10000, "SELECT v FROM item WHERE id = ?", "SELECT", "SELECT item")
RANGE = Class("Q", 4, 7000, "SELECT SUM(n), MAX(v) FROM item WHERE id BETWEEN ? AND ? + 2000", "SELECT", "SELECT item")
JOIN = Class("Q", 2, 900, "SELECT i.v, SUM(o.amount) AS total FROM item i JOIN orders o ON o.item = i.id "
             "WHERE i.n BETWEEN ? AND ? + 100 GROUP BY i.v ORDER BY total DESC, i.v LIMIT 10", "SELECT", "SELECT item orders")
INSERT = Class("Q", 8, 1000, "INSERT INTO log (n, v) VALUES (?, 'one'), (?, 'two'), (?, 'three')", "INSERT", "INSERT log")
UPDATE = Class("Q", 6, 9000, "UPDATE item SET n = n + 1 WHERE id BETWEEN ? AND ? + 50", "UPDATE", "UPDATE item")
EXECUTE = Class("E", 6, 7000,
                "SELECT COUNT(*), MIN(v) FROM item WHERE id > ? AND v LIKE 'a%' AND n > ?", "SELECT", "SELECT item")
CALL = Class("Q", 2, 5000, "CALL busy(?)", "CALL", "CALL busy")
COLUMNS = Class("Q", 4, 10, "SELECT COUNT(*), MAX(column_name) FROM information_schema.columns "
                "WHERE table_schema = 'test' AND ordinal_position > ?", "SELECT", None)
DELETE = Class("Q", 2, 500, "DELETE FROM log WHERE n <> ? LIMIT 20", "DELETE", "DELETE log")
MIX = [POINT, RANGE, JOIN, INSERT, UPDATE, EXECUTE, CALL, COLUMNS, DELETE]


def heavy(alias, rows=1500, extra=""):
    """A statement of some milliseconds that names itself by an alias: texts of different aliases never are the same."""
    return "SELECT MAX(REVERSE(SHA2(v, 256))) AS %s FROM item WHERE id <= %d%s" % (alias, rows, extra)


def mysql_flags():
    done = subprocess.run(["mariadb_config", "--cflags", "--libs"], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.split()


def build_mix(directory):
    out = os.path.join(directory, "mysql_mix")
    subprocess.run(["cc", "-O2", "-o", out, os.path.join(PROGRAMS, "mysql_mix.c"), *mysql_flags()], check=True)
    return out


class Mix:
    """
    with Mix(server, classes, seconds, tcp=False) as mix: ... One connection that sends the classes, running when the
    block is entered. After the block mix.counts tells how often each class was sent.
    """
    program = None

    def __init__(self, server, classes, seconds, tcp=False, compress=False, schema="test", cpu=1):
        self.classes, self.cpu = classes, cpu
        if not Mix.program:
            Mix.directory = tempfile.TemporaryDirectory()
            Mix.program = build_mix(Mix.directory.name)
        self.command = [Mix.program, str(server.port) if tcp else server.path, schema, str(seconds)]
        self.command += ["compress"] if compress else []

    def __enter__(self):
        cpu = CPUS[self.cpu % len(CPUS)]
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=lambda: os.sched_setaffinity(0, {cpu}))
        self.process.stdin.write("".join(c.line() for c in self.classes))
        self.process.stdin.close()
        try:
            read_line(self.process)
        except BaseException:
            self.__exit__(True)
            raise
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
        text = self.process.stdout.read()
        self.process.stdout.close()
        if self.process.wait() and not kind:
            raise AssertionError("mysql_mix exited %d" % self.process.returncode)
        self.counts = list(map(int, text.split())) if not kind else []


def connect(server, tcp=False, **options):
    options = {"user": "root", "database": "test", "charset": "utf8mb4", "autocommit": True, **options}
    if tcp:
        return pymysql.connect(host="127.0.0.1", port=server.port, **options)
    return pymysql.connect(unix_socket=server.path, **options)


def ask(db, sql):
    """All rows of a statement; of the last one, where it is several."""
    with db.cursor() as cursor:
        cursor.execute(sql)
        rows = cursor.fetchall()
        while cursor.nextset():
            rows = cursor.fetchall()
        return rows


def thread_of(db):
    """The server's thread of this connection, as the kernel numbers it (one thread per connection)."""
    return ask(db, "SELECT THREAD_OS_ID FROM performance_schema.threads WHERE PROCESSLIST_ID = CONNECTION_ID()")[0][0]


EXECUTES = "statement/com/Execute"
TIMES = """SELECT DIGEST_TEXT, SUM_TIMER_WAIT, COUNT_STAR FROM performance_schema.events_statements_summary_by_digest
	WHERE SCHEMA_NAME = 'test' AND DIGEST_TEXT IS NOT NULL
	UNION ALL SELECT EVENT_NAME, SUM_TIMER_WAIT, COUNT_STAR
	FROM performance_schema.events_statements_summary_global_by_event_name WHERE EVENT_NAME = '%s'""" % EXECUTES


def statement_times(db):
    """
    {DIGEST_TEXT: seconds} as the server accounts its statements: from the reading of a packet's body to the end of the
    reply. COM_STMT_EXECUTE has no digest there; all of them are counted under EXECUTES.
    """
    times = collections.Counter()
    for text, picoseconds, _ in ask(db, TIMES):
        times[text.strip()] += int(picoseconds) / 1e12
    return times


def digest_of(db, sql):
    """The server's own DIGEST_TEXT of a statement, which is run for it; each ? of it as the number 1."""
    ask(db, "TRUNCATE performance_schema.events_statements_summary_by_digest")
    ask(db, sql.replace("?", "1"))
    found = [t for t in statement_times(db) if t != EXECUTES and "performance_schema" not in t]
    if len(found) != 1:
        raise AssertionError("digests of %r: %s" % (sql, found))
    return found[0]

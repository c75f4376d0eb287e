# SPDX-License-Identifier: Apache-2.0
"""Which statement is whose: many connections, connections and statements from before the recording, short lives."""
import os
import re
import threading
import time
import unittest

import pymysql
from harness import Load, pin, schedstat, until, wait_for
from mariadb_server import MariadbServer
from mysql_load import (FILL, Class, Mix, Recording, ask, busy_samples, by, connect, cpu, digest_of, heavy, named_share,
                        statement_times, thread_of)

ACCOUNTING = "--performance-schema=ON"
POOL = "--thread-handling=pool-of-threads"


def busy(db, text):
    """Whether another connection executes this text now."""
    return ask(db, "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%s%%' AND id != CONNECTION_ID()" %
               text.replace("'", "''").replace("%", r"\%"))[0][0]


class Many(unittest.TestCase):
    COUNT = 64

    def crowd(self, connections):
        """A load function: every connection sends its own statement over and over."""
        def one(i, db, deadline):
            for _ in until(deadline):
                ask(db, heavy("own_%02d" % i, 300 + 5 * i))

        def run(_, deadline):
            threads = [threading.Thread(target=one, args=(i, db, deadline)) for i, db in enumerate(connections)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
        return run

    def recorded(self, server, tcp):
        connections = [connect(server, tcp) for _ in range(self.COUNT)]
        threads = [thread_of(db) for db in connections]
        texts = [digest_of(connections[0], heavy("own_%02d" % i, 300 + 5 * i)) for i in range(self.COUNT)]
        with Load([self.crowd(connections)], 8):
            with Recording(server.pid) as recording:
                time.sleep(6)  # under load: the length of the recording
                recording.stop()
        for db in connections:
            db._force_close()
        return recording.profile, threads, texts

    def test_connections_keep_their_own_statements(self):
        for tcp in (False, True):
            with self.subTest(tcp=tcp), MariadbServer(ACCOUNTING, "--max-connections=200", tcp=tcp) as server:
                pin(server.pid, 0)
                server.run(FILL)
                profile, threads, texts = self.recorded(server, tcp)
                self.assertEqual(len(set(threads)), self.COUNT)
                own = dict(zip(threads, texts))
                seen = set()
                for s in busy_samples(profile):
                    text = s.labels.get("db_query_text")
                    if s.labels["tid"] in own and text:
                        self.assertEqual(text, own[s.labels["tid"]])
                        seen.add(text)
                self.assertEqual(seen, set(texts))
                # What ran when the recording began is nobody's: the first statement of each, some 20 ms of 64.
                crowd = [s for s in busy_samples(profile) if s.labels["tid"] in own]
                self.assertGreaterEqual(named_share(crowd), 0.99, by(crowd, "attribution"))

    def test_connections_of_a_pool_keep_their_own_statements(self):
        """No thread is anybody's own here: but each connection costs what the server says that its statement costs."""
        with MariadbServer(ACCOUNTING, POOL, "--max-connections=200", "--thread-pool-size=2", tcp=True) as server:
            pin(server.pid, 0)
            server.run(FILL)
            connections = [connect(server) for _ in range(16)]
            texts = [digest_of(connections[0], heavy("own_%02d" % i, 300 + 5 * i)) for i in range(16)]
            # One statement at a time, so that wall times are CPU times: a connection after the other.
            before = statement_times(connections[0])
            with Recording(server.pid, hz=4999) as recording:
                for _ in until(time.monotonic() + 8):
                    for i, db in enumerate(connections):
                        ask(db, heavy("own_%02d" % i, 300 + 5 * i))
                recording.stop()
            after = statement_times(connections[0])
            for db in connections:
                db.close()
        sampled = by(busy_samples(recording.profile), "db_query_text")
        times = {t: after[t] - before[t] for t in texts}
        for text in texts:
            self.assertAlmostEqual(sampled[text] / sum(sampled[t] for t in texts), times[text] / sum(times.values()),
                                   delta=0.02)
        self.assertLess(sum(v for t, v in sampled.items() if t not in texts), 0.02 * sum(sampled.values()), sampled)


class FromBefore(unittest.TestCase):
    FIRST = ("SELECT SUM(CRC32(SHA2(CONCAT(a.v, b.v), 256))) AS from_before FROM item a JOIN item b ON b.id <= %d")

    def assert_from_before(self, *options, tcp=False, env=None):
        with MariadbServer(ACCOUNTING, *options, tcp=tcp) as server:
            pin(server.pid, 0)
            server.run(FILL)
            db, watch = connect(server, tcp), connect(server)
            thread = thread_of(db) if not options else None
            text = digest_of(watch, heavy("second", 9000))
            first = threading.Thread(target=ask, args=(db, self.FIRST % 2400))
            first.start()
            wait_for(lambda: busy(watch, "SELECT SUM(CRC32"), what="the first statement")
            with Recording(server.pid, env=env) as recording:
                self.assertTrue(busy(watch, "SELECT SUM(CRC32"), "it ended before the recording began")
                first.join()
                before = schedstat(server.pid)[0]
                for _ in range(20):
                    ask(db, heavy("second", 9000))
                used = (schedstat(server.pid)[0] - before) / 1e9
                recording.stop()
            db.close()
            watch.close()
        samples = [s for s in recording.profile.samples if not thread or s.labels["tid"] == thread]
        texts = by(samples, "db_query_text")
        # The first is not known, the second is, from the beginning.
        unknown = [s for s in samples if "db_operation_name" not in s.labels and "dispatch_command" in s.frames]
        self.assertGreater(cpu(unknown), 0.5)
        self.assertEqual({s.labels.get("attribution", "none") for s in unknown}, {"none"})
        self.assertEqual({t for t in texts if t and "from_before" in t}, set())
        self.assertGreater(texts[text], 0.95 * used - 0.02, texts)
        if thread:
            self.assertEqual(set(texts), {None, text})

    def test_statement_from_before_the_recording(self):
        self.assert_from_before()

    def test_statement_from_before_over_tcp(self):
        self.assert_from_before(tcp=True)

    def test_statement_from_before_in_a_pool(self):
        self.assert_from_before(POOL)

    def test_statement_from_before_with_the_fallback_hook(self):
        self.assert_from_before(env={"WIREPROF_HOOK": "sys_exit"})


class Prepared(unittest.TestCase):
    SYSBENCH = ("oltp_read_write", "--threads=8", "--range-size=100")
    STATEMENTS = {"BEGIN", "COMMIT", "SELECT sbtest1", "SELECT sbtest2", "UPDATE sbtest1", "UPDATE sbtest2", "DELETE sbtest1",
                  "DELETE sbtest2", "INSERT sbtest1", "INSERT sbtest2"}

    def sysbench(self, server, *arguments):
        def run(*_):
            import subprocess
            subprocess.run(server.sysbench(*self.SYSBENCH, *arguments), stdout=subprocess.DEVNULL, check=True, timeout=60)
        return run

    def filled(self):
        server = MariadbServer(ACCOUNTING)
        server.__enter__()
        self.addCleanup(server.__exit__)
        server.run("CREATE DATABASE test")
        self.sysbench(server, "prepare")()
        return server

    def test_prepared_after_the_recording_began(self):
        server = self.filled()
        with Recording(server.pid) as recording:
            with Load([self.sysbench(server, "--time=6", "run")], 6):
                pass
            recording.stop()
        samples = busy_samples(recording.profile)
        executes = [s for s in samples if "mysqld_stmt_execute" in s.frames]
        self.assertGreater(cpu(executes), 1)
        self.assertEqual(list(by(executes, "attribution")), ["exact"], by(executes, "attribution", "db_query_summary"))
        self.assertEqual(by(samples, "attribution")["unknown_statement"], 0)
        self.assertEqual(set(by(executes, "db_query_summary")), self.STATEMENTS)
        prepares = by([s for s in samples if "mysqld_stmt_prepare" in s.frames], "db_operation_name")
        self.assertLessEqual(set(prepares), {"PREPARE"}, prepares)
        for s in executes:
            table = s.labels["db_query_summary"].partition(" ")[2]
            self.assertEqual(s.labels.get("db_collection_name", ""), table)
            self.assertNotIn("EXECUTE", s.labels["db_operation_name"])

    def test_prepared_before_the_recording_began(self):
        server = self.filled()
        watch = connect(server)
        count = "SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'"
        with Load([self.sysbench(server, "--time=12", "run")], 12):
            wait_for(lambda: int(ask(watch, count)[0][1]) > 1000, what="statements")
            with Recording(server.pid) as recording:
                done = int(ask(watch, count)[0][1])
                wait_for(lambda: int(ask(watch, count)[0][1]) > done + 40000, 30, "statements")
                recording.stop()
        watch.close()
        executes = [s for s in busy_samples(recording.profile) if "mysqld_stmt_execute" in s.frames]
        self.assertGreater(cpu(executes), 0.5)
        known = [s for s in executes if "db_operation_name" in s.labels]
        self.assertGreater(cpu(known), 0.98 * cpu(executes), by(executes, "attribution"))
        for s in known:
            self.assertEqual(s.labels["attribution"], "unknown_statement")
            self.assertEqual(s.labels["db_operation_name"], "EXECUTE")
            self.assertRegex(s.labels["db_query_summary"], r"^EXECUTE #\d+$")
            self.assertIn(s.labels.get("db_query_text"), (None, s.labels["db_query_summary"]))
            self.assertNotIn("db_collection_name", s.labels)

    def test_prepared_again_while_recording(self):
        """One statement from before, another that is prepared anew each time: only the second can be known."""
        old = Class("E", 1, 1000, heavy("old", 1000, " AND n > ?"), None, None)
        new = Class("N", 1, 1000, heavy("new", 1000, " AND n > ?"), None, None)
        with MariadbServer(ACCOUNTING) as server:
            server.run(FILL)
            db = connect(server)
            text = digest_of(db, new.sql)
            with Mix(server, [old, new], 6) as mix:
                with Recording(server.pid) as recording:
                    time.sleep(3)  # under load: the length of the recording
                    recording.stop()
            db.close()
        self.assertTrue(all(n > 10 for n in mix.counts))
        executes = [s for s in busy_samples(recording.profile) if "mysqld_stmt_execute" in s.frames]
        seconds = by([s for s in executes if s.labels.get("db_query_text") in (None, s.labels["db_query_summary"], text)],
                     "attribution", "db_operation_name")
        unknown, exact = seconds[("unknown_statement", "EXECUTE")], seconds[("exact", "SELECT")]
        self.assertGreater(min(unknown, exact), 0.3, seconds)
        self.assertLess(abs(unknown - exact), 0.2 * (unknown + exact), seconds)  # they cost the same, and come as often
        self.assertGreater(unknown + exact, 0.98 * cpu(executes), by(executes, "attribution", "db_query_text"))


class ShortLives(unittest.TestCase):
    def short(self, server, tcp, alias):
        """A load function: connections that send two statements each, one after the other."""
        def run(_, deadline):
            for _ in until(deadline):
                db = connect(server, tcp)
                ask(db, heavy(alias, 50))
                ask(db, heavy(alias, 60))
                db.close()
        return run

    def test_thousands_of_short_connections(self):
        with MariadbServer(ACCOUNTING, tcp=True) as server:
            server.run(FILL)
            db = connect(server)
            texts = {digest_of(db, heavy(alias, 50)): alias for alias in ("short_a", "short_b", "short_c")}
            with Recording(server.pid) as recording:
                with Load([self.short(server, i % 2, alias) for i, alias in enumerate(texts.values())], 8):
                    pass
                recording.stop()
            connections = int(ask(db, "SHOW GLOBAL STATUS LIKE 'Connections'")[0][1])
            db.close()
        self.assertGreater(connections, 2000)
        samples = busy_samples(recording.profile)
        seconds = by(samples, "db_operation_name", "db_query_text")
        for text in texts:
            self.assertGreater(seconds[("SELECT", text)], 0.05)
        # Nothing else was sent: greetings and goodbyes, and what PyMySQL sets up.
        for operation, text in seconds:
            self.assertIn(operation, (None, "SELECT", "SET", "CONNECT", "QUIT"))
            if operation == "SELECT":
                self.assertIn(text, texts)
        executing = [s for s in samples if "mysql_execute_command" in s.frames]
        self.assertGreaterEqual(named_share(executing), 0.99, by(executing, "attribution"))

    def test_killed_connections(self):
        """A killed statement's thread serves the next connection: which is not taken for the dead one's."""
        def victims(_, deadline):
            for _ in until(deadline):
                db = connect(server)
                try:
                    ask(db, FromBefore.FIRST % 200)
                except pymysql.MySQLError:
                    pass
                db = connect(server)
                ask(db, heavy("survivor", 3000))
                db.close()

        def killer(_, deadline):
            db = connect(server)
            for _ in until(deadline):
                for (victim,) in ask(db, "SELECT id FROM information_schema.processlist "
                                         "WHERE info LIKE 'SELECT SUM(CRC32%' AND time_ms > 20"):
                    try:
                        ask(db, "KILL %d" % victim)
                    except pymysql.MySQLError:
                        pass
            db.close()

        with MariadbServer(ACCOUNTING) as server:
            server.run(FILL)
            with Recording(server.pid) as recording:
                with Load([victims, victims, killer], 6):
                    pass
                recording.stop()
        samples = [s for s in busy_samples(recording.profile)]
        survivors = [s for s in samples if "`survivor`" in s.labels.get("db_query_text", "")]
        dead = [s for s in samples if "`from_before`" in s.labels.get("db_query_text", "")]
        self.assertGreater(min(cpu(survivors), cpu(dead)), 0.1)
        # REVERSE is only in the one's text, CRC32 only in the other's: the code that runs says whose sample it is.
        for function, owners in (("Item_func_reverse", survivors), ("Item_func_crc32", dead)):
            running = [s for s in samples if any(re.match(function, f) for f in s.frames)]
            self.assertEqual(set(by(running, "db_query_text")), set(by(owners, "db_query_text")), function)


if __name__ == "__main__":
    unittest.main(verbosity=2)

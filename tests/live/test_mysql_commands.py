# SPDX-License-Identifier: Apache-2.0
"""Each way to have MariaDB run something, and what its samples say."""
import subprocess
import tempfile
import unittest

import pymysql
from harness import Load, until
from mariadb_server import MariadbServer
from mysql_load import (FILL, Class, Mix, Recording, ask, busy_samples, by, connect, cpu, digest_of, heavy, named_share,
                        thread_of)
from pymysql.constants import CLIENT

ACCOUNTING = "--performance-schema=ON"
POOL = "--thread-handling=pool-of-threads"
SETTING_UP = {"SET", "CONNECT", "QUIT", None}  # what clients do beside their load


class Commands(unittest.TestCase):
    """One server for all: none of these leaves anything behind that another would see."""

    @classmethod
    def setUpClass(cls):
        cls.server = MariadbServer(ACCOUNTING, "--local-infile=1", "--max-allowed-packet=64M", tcp=True, tls=True)
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.server.run(FILL)
        cls.server.run("USE test; CREATE TABLE loaded (a INT, b VARCHAR(64)); CREATE TABLE big (b LONGBLOB) ENGINE=MyISAM")
        cls.db = connect(cls.server)
        cls.addClassCleanup(cls.db.close)

    def while_recording(self, function, seconds=3):
        """The busy samples of a load of one function(random, deadline), without those of connecting."""
        with Recording(self.server.pid) as recording:
            with Load([function], seconds):
                pass
            recording.stop()
        return [s for s in busy_samples(recording.profile) if s.labels.get("db_operation_name") not in SETTING_UP - {None}]

    def mixed(self, classes, seconds=3, **how):
        with Recording(self.server.pid) as recording:
            with Mix(self.server, classes, seconds, **how):
                pass
            recording.stop()
        return [s for s in busy_samples(recording.profile) if s.labels.get("db_operation_name") not in SETTING_UP - {None}]

    def statements(self, *texts, ping=False, **options):
        """A load function of PyMySQL: these, over and over."""
        def run(_, deadline):
            db = connect(self.server, **options)
            for _ in until(deadline):
                for text in texts:
                    ask(db, text)
                if ping:
                    db.ping()
            db.close()
        return run

    def assert_shares(self, samples, wanted, *keys, least=0.97):
        """These label values have all but all of the time; each has some; and nothing that has a name is another's."""
        seconds = by(samples, *keys)
        total = sum(seconds.values())
        self.assertGreater(total, 0.3)
        for values in wanted:
            self.assertGreater(seconds[values], 0.01 * total, "%s: %s" % (values, seconds))
        self.assertGreaterEqual(sum(seconds[v] for v in wanted), least * total, seconds)

    def exact(self, samples, *classes, least=0.97):
        """Nothing but these (operation, text) is named, and all but all is."""
        self.assert_shares(samples, [("exact", *c) for c in classes], "attribution", "db_operation_name", "db_query_text",
                           least=least)
        named = {k for k in by(samples, "db_operation_name", "db_query_text") if k[0]}
        self.assertLessEqual(named, set(classes))

    # --- SQL that runs SQL ---
    def test_prepare_and_execute_in_sql(self):
        text = heavy("in_sql", 3000, " AND n > ?")
        digest = digest_of(self.db, text)

        def run(_, deadline):
            db = connect(self.server)
            ask(db, "PREPARE s FROM '%s'" % text)
            ask(db, "SET @n = 5")
            for _ in until(deadline):
                ask(db, "EXECUTE s USING @n")
            db.close()
        samples = [s for s in self.while_recording(run) if s.labels.get("db_operation_name") != "PREPARE"]
        self.exact(samples, ("SELECT", digest))

    def test_execute_of_an_sql_prepare_from_before(self):
        text = heavy("in_sql_before", 3000, " AND n > ?")
        db = connect(self.server)
        ask(db, "PREPARE s FROM '%s'" % text)
        ask(db, "SET @n = 5")

        def run(_, deadline):
            for _ in until(deadline):
                ask(db, "EXECUTE s USING @n")
        samples = self.while_recording(run)
        db._force_close()
        self.assertEqual({s.labels.get("db_operation_name") for s in samples} - {None}, {"EXECUTE"})
        self.assertFalse([s for s in samples if "in_sql_before" in str(s.labels)])
        self.assertGreater(named_share(samples), 0.97)

    def test_execute_immediate(self):
        text = heavy("immediate", 3000)
        samples = self.while_recording(self.statements("EXECUTE IMMEDIATE '%s'" % text))
        self.assertGreater(named_share(samples), 0.97)
        self.assertLessEqual(set(by(samples, "db_operation_name")) - {None}, {"EXECUTE", "SELECT"})

    def test_multi_statements_share_their_samples(self):
        a, b = heavy("first_of_two", 1000), heavy("second_of_two", 1000)
        digests = digest_of(self.db, a), digest_of(self.db, b)
        samples = self.while_recording(self.statements(a + "; " + b, client_flag=CLIENT.MULTI_STATEMENTS))
        seconds = by(samples, "db_query_text")
        self.assertLessEqual(set(by(samples, "attribution")), {"pipeline", "exact", "none"})
        self.assertGreater(by(samples, "attribution")["pipeline"], 0.9 * cpu(samples))
        total = seconds[digests[0]] + seconds[digests[1]]
        self.assertGreater(total, 0.97 * cpu(samples), seconds)
        self.assertAlmostEqual(seconds[digests[0]] / total, 0.5, delta=0.03)

    def test_call(self):
        samples = self.while_recording(self.statements("CALL busy(17)"))
        self.exact(samples, ("CALL", digest_of(self.db, "CALL busy(17)")))
        self.assertLessEqual(set(by(samples, "db_query_summary")), {"CALL busy", None})

    # --- what is large ---
    def assert_load_data(self, server):
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as f:
            # Lines of 64 bytes, so that each packet begins with one; to a reader who lost count it looks like a command.
            f.write("\x03SELECT zztrap FROM zztrap -- ".ljust(63, ".") + "\n")
            for i in range(300_000):
                f.write(("%d\t%s" % (i, "\x03SELECT zztrap")).ljust(63, "x") + "\n")
            f.flush()
            load = "LOAD DATA LOCAL INFILE '%s' INTO TABLE loaded" % f.name
            with Recording(server.pid) as recording:
                db = connect(server, local_infile=True)
                thread = thread_of(db)
                ask(db, load)
                ask(db, heavy("after_the_load", 4000))
                db.close()
                recording.stop()
        samples = busy_samples(recording.profile)
        loading = [s for s in samples if "mysql_load" in s.frames]
        self.assertGreater(cpu(loading), 0.3)
        self.assertEqual({t.partition(" ")[0] for t in by(loading, "db_operation_name") if t}, {"LOAD"})
        self.assertGreater(named_share(loading), 0.99)
        self.assertEqual(len(by(loading, "db_query_text")), 1)
        self.assertFalse([s for s in recording.profile.strings if "zztrap" in s.lower()])
        if server is self.server:
            after = [s for s in samples if "after_the_load" in s.labels.get("db_query_text", "") and s.labels["tid"] == thread]
            self.assertGreater(cpu(after), 0)

    def test_load_data_local(self):
        """19 MB from the client: packets of 16 KB, whose sequence numbers come to 0 again and again."""
        self.assert_load_data(self.server)

    def test_load_data_local_in_a_pool(self):
        with MariadbServer(ACCOUNTING, POOL, "--local-infile=1") as server:
            server.run(FILL + "CREATE TABLE loaded (a INT, b VARCHAR(64));")
            self.assert_load_data(server)

    def test_packets_over_16_megabytes(self):
        def run(_, deadline):
            db = connect(self.server, max_allowed_packet=64 << 20)
            text = "INSERT INTO big (b) VALUES ('%s')" % ("\x03SELECT zztrap " * (20 << 20 >> 4)).ljust(20 << 20, "b")
            for _ in until(deadline):
                ask(db, text)
                ask(db, heavy("after_the_big", 500))
            ask(db, "TRUNCATE big")
            db.close()
        samples = [s for s in self.while_recording(run, 4) if s.labels.get("db_operation_name") != "TRUNCATE TABLE"]
        seconds = by(samples, "db_operation_name")
        self.assertLessEqual(set(seconds) - {None}, {"INSERT", "SELECT"})
        self.assertGreater(seconds["INSERT"], 0.3 * cpu(samples), seconds)
        self.assertEqual(set(by([s for s in samples if "mysql_insert" in s.frames], "db_query_summary")), {"INSERT big"})
        self.assertFalse([s for s in samples if "zztrap" in str(s.labels)])
        self.assertGreaterEqual(named_share(samples), 0.95, by(samples, "attribution", "db_operation_name"))

    def test_long_statements(self):
        """30 KB: longer than what is kept of a statement, and than the server's first buffer."""
        text = heavy("long_one", 2000, " AND n IN (%s)" % ", ".join(str(i) for i in range(6000)))
        samples = self.while_recording(self.statements(text, heavy("short_one", 2000)))
        long = [s for s in samples if "`long_one`" in s.labels.get("db_query_text", "")]
        short = [s for s in samples if "`short_one`" in s.labels.get("db_query_text", "")]
        self.assertGreater(min(cpu(long), cpu(short)), 0.1)
        self.assertGreater(cpu(long) + cpu(short), 0.97 * cpu(samples), by(samples, "db_query_text"))
        self.assertEqual(set(by(long + short, "db_query_summary")), {"SELECT item"})

    # --- schemas ---
    def assert_schemas(self, run, names, unsure=()):
        """names: {alias: schema}. Each alias is only sent while that is the default schema. unsure: may have none."""
        samples = self.while_recording(run)
        for alias, schema in names.items():
            mine = [s for s in samples if "`%s`" % alias in s.labels.get("db_query_text", "")]
            self.assertGreater(cpu(mine), 0.1, alias)
            self.assertLessEqual(set(by(mine, "db_namespace")), {schema, None} if alias in unsure else {schema}, alias)

    def test_schemas_by_init_db(self):
        def run(_, deadline):
            db = connect(self.server)
            ask(db, heavy("from_connecting", 9000))
            for _ in until(deadline):
                db.select_db("other")
                ask(db, heavy("in_other", 1000))
                db.select_db("test")
                ask(db, heavy("in_test", 1000))
            db.close()
        self.assert_schemas(run, {"in_other": "other", "in_test": "test"})

    def test_schemas_by_use(self):
        def run(_, deadline):
            db = connect(self.server, database="other")
            for _ in until(deadline):
                ask(db, heavy("at_first", 1000))
                ask(db, "USE test")
                ask(db, heavy("after_use", 1000))
                try:
                    ask(db, "USE nowhere")
                except pymysql.MySQLError:
                    pass
                ask(db, heavy("still", 1000))  # whether a USE succeeded need not be known; that it did, must not be said
                ask(db, "USE `other`")
        self.assert_schemas(run, {"at_first": "other", "after_use": "test", "still": "test"}, unsure=["still"])

    def test_schemas_by_change_user(self):
        classes = [Class("U", 1, 1, "other", None, None), Class("U", 1, 1, "test", None, None),
                   Class("Q", 2, 1, heavy("anywhere", 1000), None, None)]
        samples = self.mixed(classes)
        mine = by([s for s in samples if "`anywhere`" in s.labels.get("db_query_text", "")], "db_namespace")
        self.assertEqual(set(mine), {"other", "test"})
        self.assertAlmostEqual(mine["other"] / sum(mine.values()), 0.5, delta=0.1)
        self.assertLessEqual(set(by(samples, "db_operation_name")), {"SELECT", "CHANGE_USER", None})

    def test_commands_by_name(self):
        def run(_, deadline):
            db = connect(self.server)
            for _ in until(deadline):
                db.ping()
                db.select_db("test")
        samples = self.while_recording(run)
        self.assertEqual(set(by(samples, "db_operation_name")) - {None}, {"PING", "INIT_DB"})
        self.assertGreater(named_share(samples), 0.9, by(samples, "phase", "attribution"))

    # --- prepared statements ---
    def test_forms_of_prepared_statements(self):
        forms = {"E": "once", "N": "anew", "D": "direct", "C": "with_cursor"}
        for kind, alias in forms.items():
            with self.subTest(alias):
                text = heavy(alias, 2000, " AND n > ?")
                if kind == "C":  # enough rows for many fetches, each of them dear
                    text = "SELECT SHA2(CONCAT(v, id), 512) AS with_cursor FROM item WHERE n > ? ORDER BY REVERSE(v)"
                digest = digest_of(self.db, text)
                samples = self.mixed([Class(kind, 1, 500, text, None, None)])
                samples = [s for s in samples if s.labels.get("db_operation_name") not in ("PREPARE", "STMT_CLOSE", "STMT_RESET")]
                self.exact(samples, ("SELECT", digest))

    def test_prepares_name_what_they_prepare(self):
        text = "SELECT i.v FROM item i JOIN orders o ON o.item = i.id WHERE i.id = ? AND i.n = 4 AND o.amount IN (1, 2, 3)"
        samples = self.mixed([Class("N", 1, 500, text, None, None)])
        preparing = [s for s in samples if "mysqld_stmt_prepare" in s.frames]
        self.assertGreater(cpu(preparing), 0.1)
        self.assertEqual(set(by(preparing, "db_operation_name", "db_query_summary")),
                         {("PREPARE", "PREPARE SELECT item orders")})

    def test_bulk_execute(self):
        text = "INSERT INTO log (n) VALUES (?)"
        samples = self.mixed([Class("B", 1, 1000, text, None, None)])
        samples = [s for s in samples if s.labels.get("db_operation_name") != "PREPARE"]
        self.exact(samples, ("INSERT", digest_of(self.db, text)))
        ask(self.db, "TRUNCATE log")

    def test_long_data(self):
        text = "SELECT SHA2(?, 512) AS long_data"
        samples = self.mixed([Class("L", 1, 1, text, None, None)])
        names = set(by(samples, "db_operation_name")) - {None}
        self.assertLessEqual(names, {"PREPARE", "STMT_SEND_LONG_DATA", "SELECT", "STMT_RESET", "STMT_CLOSE"})
        self.assertLessEqual({"STMT_SEND_LONG_DATA", "SELECT"}, names)

    # --- other transports ---
    def assert_compressed(self, tcp):
        short, long = heavy("squeezed", 1500), heavy("squeezed_long", 1500, " AND n IN (%s)" % ", ".join(map(str, range(9000))))
        texts = [Class("Q", 1, 1, t, None, None) for t in (short, long)] + [
            Class("E", 1, 500, heavy("squeezed_execute", 1500, " AND n > ?"), None, None)]
        samples = self.mixed(texts, tcp=tcp, compress=True)
        samples = [s for s in samples if s.labels.get("db_operation_name") != "PREPARE"]
        self.assertGreater(named_share(samples), 0.97, by(samples, "attribution"))
        for alias in ("squeezed", "squeezed_long", "squeezed_execute"):
            mine = [s for s in samples if "`%s`" % alias in s.labels.get("db_query_text", "")]
            self.assertGreater(cpu(mine), 0.1, alias)
            self.assertEqual(set(by(mine, "db_operation_name", "db_query_summary")), {("SELECT", "SELECT item")})

    def test_compressed(self):
        self.assert_compressed(False)

    def test_compressed_over_tcp(self):
        self.assert_compressed(True)

    def test_tls(self):
        """What cannot be read is said to be so, beside a connection that can."""
        secret, plain = heavy("behind_tls", 3000), heavy("in_the_clear", 3000)
        tls = self.statements(secret, tcp=True, ssl={"ca": self.server.certificate, "check_hostname": False})
        with Recording(self.server.pid) as recording:
            with Load([tls, self.statements(plain)], 4):
                pass
            recording.stop()
        samples = busy_samples(recording.profile)
        encrypted = [s for s in samples if s.labels.get("attribution") == "encrypted"]
        clear = [s for s in samples if "`in_the_clear`" in s.labels.get("db_query_text", "")]
        self.assertGreater(min(cpu(encrypted), cpu(clear)), 0.3)
        self.assertAlmostEqual(cpu(encrypted) / (cpu(encrypted) + cpu(clear)), 0.5, delta=0.1)
        self.assertGreater(cpu(encrypted) + cpu(clear), 0.9 * cpu(samples), by(samples, "attribution", "db_operation_name"))
        self.assertEqual(set(by(encrypted, "db_operation_name", "db_query_text")), {(None, None)})
        self.assertFalse([s for s in recording.profile.strings if "behind_tls" in s])

    def test_command_line_client(self):
        """Compressed by the option, statements from a file, USE as the client does it."""
        text = heavy("by_the_client", 2000)

        def run(_, deadline):
            command = self.server.client("--skip-ssl", "--compress")
            for _ in until(deadline):
                subprocess.run(command, input="use other\n" + (text + ";\n") * 40, text=True, check=True,
                               stdout=subprocess.DEVNULL)
        samples = self.while_recording(run)
        mine = [s for s in samples if s.labels.get("db_query_text") == digest_of(self.db, text)]
        self.assertGreater(cpu(mine), 0.9 * cpu(samples), by(samples, "db_operation_name", "db_query_text"))
        self.assertEqual(set(by(mine, "db_namespace")), {"other"})


if __name__ == "__main__":
    unittest.main(verbosity=2)

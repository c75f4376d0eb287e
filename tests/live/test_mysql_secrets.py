# SPDX-License-Identifier: Apache-2.0
"""
No value of a statement leaves: secrets are planted in every form and at many lengths, and looked for in every output.

Secrets repeat a pattern that nothing else has, so that a part of one is found as well.
"""
import gzip
import os
import re
import tempfile
import unittest

import pymysql
from harness import Load, until
from mariadb_server import MariadbServer
from mysql_load import FILL, Class, Mix, Recording, ask, connect

S = "ZQZQZQ"
NUMBER = "719719719719"
FOUND = re.compile(rb"ZQZQ\w*|(?i:5a515a51\w*)|719719719\d*")
WORK = "BENCHMARK(5000, MD5(1))"
CANARY = "canary_column"  # no secret: what shows that texts come through at all

# Statements with values of every kind. Some fail, and are no less secret.
FORMS = [
    "SELECT {work} AS canary_column, '{s}'", 'SELECT {work}, "{s}"', "SELECT {work}, x'{hex}'", "SELECT {work}, 0x{hex}",
    "SELECT {work}, {n}", "SELECT {work}, -{n}.{n}e1", "SELECT {work}, N'{s}'", "SELECT {work}, _utf8mb4'{s}'",
    "SELECT {work}, 'it''s {s}'", r"SELECT {work}, 'it\'s {s}'", r"SELECT {work}, 'back\\', '{s}'", 'SELECT {work}, "it""s {s}"',
    "SELECT {work} /* {s} */", "SELECT {work} -- {s}\n", "SELECT {work} # {s}\n", "SELECT {work} /*! + LENGTH('{s}') */",
    "SELECT {work} /*M! + LENGTH('{s}') */", "/* {s} */ SELECT {work}", "-- {s}\nSELECT {work}",
    "SELECT {work} FROM item WHERE v = '{s}' OR v LIKE '{s}%' OR v IN ('{s}', '{s}', {n}) OR id BETWEEN {n} AND {n} LIMIT 1",
    "SELECT {work} FROM item WHERE v REGEXP '{s}' HAVING '{s}' LIMIT {n}", "SELECT {work}, DATE '2024-01-01', '{s}' '{s}'",
    "SELECT {work} UNION SELECT '{s}'", "WITH x AS (SELECT '{s}' AS a) SELECT {work} FROM x", "SELECT {work} INTO @a; SET @b = '{s}'",
    "SET @a = '{s}', @b = {n}", "DO {work}, '{s}'", "SELECT CONCAT('{s}'", "SELECT {work}, '{s}", 'SELECT {work}, "{s}',
    "INSERT INTO log (n, v) VALUES (1, '{s}'), (2, '{s}')", "INSERT INTO log SET v = '{s}'", "REPLACE INTO log (id, v) VALUES (1, '{s}')",
    "INSERT INTO log (n, v) SELECT {work}, '{s}'", "INSERT INTO log (id, v) VALUES (1, '{s}') ON DUPLICATE KEY UPDATE v = '{s}'",
    "UPDATE log SET v = '{s}' WHERE v = '{s}'", "DELETE FROM log WHERE v = '{s}' OR {work} = {n}",
    "CREATE OR REPLACE USER 'u' IDENTIFIED BY '{s}'", "ALTER USER 'u' IDENTIFIED BY '{s}'", "SET PASSWORD FOR 'u' = PASSWORD('{s}')",
    "GRANT SELECT ON test.* TO 'u' IDENTIFIED BY '{s}'", "CREATE OR REPLACE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (PASSWORD '{s}')",
    "CHANGE MASTER TO MASTER_PASSWORD = '{s}'", "SELECT PASSWORD('{s}'), {work}", "SELECT AES_ENCRYPT('{s}', '{s}'), {work}",
    "CREATE OR REPLACE TABLE made (a VARCHAR(99) DEFAULT '{s}' COMMENT '{s}') COMMENT = '{s}'",
    "CREATE OR REPLACE PROCEDURE made() BEGIN SELECT '{s}'; END", "CREATE OR REPLACE VIEW made_view AS SELECT '{s}' AS a",
    "PREPARE p FROM 'SELECT {work}, ''{s}'''", "EXECUTE IMMEDIATE 'SELECT {work}, ''{s}'''", "EXECUTE IMMEDIATE CONCAT('SELECT ', '''{s}''')",
    "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{s}'", "SELECT {work} FROM item PROCEDURE ANALYSE({n}, '{s}')", "KILL {n}",
    "EXPLAIN SELECT '{s}' FROM item", "SHOW TABLES LIKE '{s}'", "SHOW VARIABLES WHERE value = '{s}'", "CALL busy({n} - {n})",
    "SELECT {work}, b'1' /* '{s} */ , '{s}'", "SELECT {work}, '/*', '{s}', '*/'", "SELECT {work}, '--', '{s}'", "SELECT {work} '{s}'",
    "SELEC {work}, '{s}'", "'{s}'", "SELECT {work}, JSON_OBJECT('k', '{s}')", "SELECT {work} AS '{s}'", "SELECT {work}, 'ü{s}ü€{s}'",
    "SELECT {work} FROM item WHERE (id, v) IN ((1, '{s}'), (2, '{s}')) AND MATCH (v) AGAINST ('{s}')", "XA START '{s}'", "XA END '{s}'",
    "XA ROLLBACK '{s}'", "SELECT {work}, TIMESTAMP'{s}', INTERVAL '{s}' DAY + NOW()",
]
# The secret begins at this offset of the packet's payload: about each limit that a capture may have.
OFFSETS = [at for base in (64, 128, 256, 512, 1024, 2048, 4096, 8192) for at in range(base - 26, base + 3, 1 if base == 4096 else 5)]
CONTAINERS = ["'{0}'", '"{0}"', "0x{1}", "x'{1}'", "{2}", "1 /* {0} */", "1 -- {0}\n", r"'\\\'{0}'", "'''{0}'", "N'{0}'", "1 /*! + '{0}' */"]


def form(text):
    return text.replace("{work}", WORK).replace("{s}", S * 3).replace("{n}", NUMBER).replace("{hex}", (S * 3).encode().hex())


def cut(container, offset):
    """A statement whose container of a secret begins at this offset of the payload (the command's byte is the first)."""
    head = "SELECT " + WORK + ", LENGTH('"
    return head + "p" * (offset - 1 - len(head) - 4) + "'), " + container.format(S * 8, (S * 8).encode().hex(), NUMBER * 3)


def sends(server, texts, **options):
    """A load function: all of the texts, over and over, whatever becomes of them."""
    def run(_, deadline):
        db = connect(server, **options)
        for _ in until(deadline):
            for text in texts:
                try:
                    ask(db, text)
                except pymysql.MySQLError:
                    pass
        db.close()
    return run


def connects(server):
    """A load function: connections with secrets in what they say of themselves, half of them refused."""
    def run(random, deadline):
        for _ in until(deadline):
            try:
                connect(server, program_name=S * 3, user=random.choice(["root", "u"]), password=random.choice(["", S * 3]),
                        database=random.choice(["test", "nowhere"])).close()
            except pymysql.MySQLError:
                pass
    return run


def loads_files(server, path):
    def run(_, deadline):
        db = connect(server, local_infile=True, max_allowed_packet=4000)
        for _ in until(deadline):
            ask(db, "LOAD DATA LOCAL INFILE '%s' INTO TABLE log FIELDS TERMINATED BY ';' (v)" % path)
            ask(db, "TRUNCATE log")
        db.close()
    return run


class Secrets(unittest.TestCase):
    def setUp(self):
        self.server = MariadbServer("--local-infile=1", "--max-connect-errors=1000000", tcp=True, tls=True)
        self.server.__enter__()
        self.addCleanup(self.server.__exit__)
        self.server.run(FILL)

    def recorded(self, functions, classes=(), ending=".pb.gz", seconds=6, compress=False, options=()):
        """All that comes out of a recording under this load: its file, and what it printed."""
        with Recording(self.server.pid, "--verbose", *options, hz=4999, ending=ending) as recording:
            with Load(functions, seconds):
                if classes:
                    with Mix(self.server, classes, seconds - 1, compress=compress):
                        pass
            recording.stop()
        data = gzip.decompress(recording.data) if ending.endswith(".gz") else recording.data
        return data, recording.text.encode()

    def assert_kept(self, data, text, canary=True):
        found = set(FOUND.findall(data)) | set(FOUND.findall(text))
        self.assertEqual(found, set())
        if canary:
            self.assertTrue(CANARY.encode() in data, "no text at all came through: this shows nothing")

    def each_output(self, functions, **how):
        for ending in (".pb.gz", ".html", ".folded"):
            with self.subTest(ending):
                data, text = self.recorded(functions, ending=ending, **how)
                self.assert_kept(data, text, canary=ending != ".folded")

    def test_every_form_in_every_output(self):
        self.each_output([sends(self.server, [form(t) for t in FORMS])])

    def test_every_length(self):
        texts = [cut(container, at) for at in OFFSETS for container in CONTAINERS]
        canary = ["SELECT %s AS %s" % (WORK, CANARY)]
        half = len(texts) // 2
        self.each_output([sends(self.server, canary + texts[:half]), sends(self.server, canary + texts[half:])], seconds=8)

    def test_every_length_with_the_fallback_hook(self):
        os.environ["WIREPROF_HOOK"] = "sys_exit"
        self.addCleanup(os.environ.pop, "WIREPROF_HOOK")
        texts = ["SELECT %s AS %s" % (WORK, CANARY)] + [cut(container, at) for at in OFFSETS for container in CONTAINERS]
        self.assert_kept(*self.recorded([sends(self.server, texts)]))

    def test_other_escape_style(self):
        """Where a backslash is a letter: 'a\\' ends there, and what follows is another text."""
        texts = [r"SELECT BENCHMARK(5000, MD5(1)) AS canary_column, 'a\', '%s'" % (S * 3), r"SELECT 'b\', %s, '%s\'" % (WORK, S * 3)]
        self.assert_kept(*self.recorded([sends(self.server, texts, sql_mode="NO_BACKSLASH_ESCAPES")]))

    def test_connections_and_passwords(self):
        canary = sends(self.server, ["SELECT %s AS %s" % (WORK, CANARY)])
        self.each_output([connects(self.server), canary])

    def test_prepared_parameters(self):
        classes = [Class("T", 4, 1000, "SELECT %s AS canary_column, ?, SHA2(?, 256)" % WORK, None, None),
                   Class("T", 4, 1000, "INSERT INTO log (v) VALUES (?)", None, None),
                   Class("N", 2, 1000, "SELECT %s, '%s', n FROM item WHERE id = ?" % (WORK, S * 3), None, None),
                   Class("D", 2, 1000, "SELECT %s, '%s', n FROM item WHERE id = ?" % (WORK, S * 4), None, None),
                   Class("L", 2, 1, "INSERT INTO log (v) SELECT SHA2(?, 256)", None, None)]
        for compress in (False, True):
            with self.subTest(compress=compress):
                self.assert_kept(*self.recorded([], classes, compress=compress))

    def test_compressed(self):
        """Among them a text that is longer compressed than what is captured, and so cannot be read to its end."""
        noise = "".join(chr(97 + i * i * 7919 % 26) + str(i * 104729 % 9973) for i in range(6000))
        texts = ["SELECT %s AS canary_column, '%s'" % (WORK, S), "SELECT %s, '%s', '%s'" % (WORK, noise, S * 3),
                 "SELECT %s, '%s', '%s'" % (WORK, S * 3, noise), "SELECT %s, LENGTH('%s'), 5 /* %s */" % (WORK, "p" * 5000, S * 3)]
        self.assert_kept(*self.recorded([], [Class("Q", 1, 10, t, None, None) for t in texts], compress=True))

    def test_tls(self):
        secret = sends(self.server, ["SELECT %s, '%s'" % (WORK, S * 3)], tcp=True,
                       ssl={"ca": self.server.certificate, "check_hostname": False})
        self.assert_kept(*self.recorded([secret, sends(self.server, ["SELECT %s AS %s" % (WORK, CANARY)])]))

    def test_files_from_the_client(self):
        """Packets of 4000 bytes, each beginning like a command; sequence numbers come to 0 among them."""
        with tempfile.NamedTemporaryFile("w", prefix=S, suffix=".csv") as f:
            line = ("\x03SELECT %s FROM item" % (S * 3)).ljust(49) + "\n"
            f.write(line * 40_000)
            f.flush()
            canary = sends(self.server, ["SELECT %s AS %s" % (WORK, CANARY)])
            self.assert_kept(*self.recorded([loads_files(self.server, f.name), canary], seconds=8))


if __name__ == "__main__":
    unittest.main(verbosity=2)

# SPDX-License-Identifier: Apache-2.0
"""
What the recorded clients do. A session is run(port, directory), and returns for each connection that it made, in
order, what that asked: [(command, text), ...].
"""
import os
import pty
import select
import subprocess

import pymysql
from pymysql.constants import CLIENT

HERE = os.path.dirname(os.path.abspath(__file__))
USER, PASSWORD = "secretive", "pass word"
SETUP = """
CREATE DATABASE test; CREATE DATABASE `größe`; CREATE DATABASE sb;
CREATE USER '%s'@'localhost' IDENTIFIED BY '%s'; GRANT ALL ON *.* TO '%s'@'localhost';
CREATE TABLE test.item (id INT PRIMARY KEY AUTO_INCREMENT, v TEXT);
INSERT INTO test.item VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e');
CREATE TABLE test.loaded (v TEXT);
CREATE TABLE test.types (n INT PRIMARY KEY AUTO_INCREMENT, a TINYINT, b SMALLINT, c INT, d BIGINT UNSIGNED, e FLOAT,
	f DOUBLE, g DATE, h TIME(6), i DATETIME, j TEXT, k BLOB);
CREATE TABLE `größe`.`maß` (id INT, v TEXT);
""" % (USER, PASSWORD, USER)


def procedures(directory):
    path = os.path.join(directory, "procedures.sql")
    with open(path, "w", encoding="utf-8") as f:
        f.write("DELIMITER //\nCREATE PROCEDURE two(IN n INT) BEGIN SELECT v FROM item WHERE id = n; SELECT COUNT(*) FROM item; END//\n")
    return path


def compile_client(directory):
    flags = subprocess.run(["mariadb_config", "--cflags", "--libs"], stdout=subprocess.PIPE, text=True, check=True)
    subprocess.run(["cc", "-O1", "-o", os.path.join(directory, "client"), os.path.join(HERE, "client.c"),
                    *flags.stdout.split()], check=True)


# --- PyMySQL ---
class Python:
    """A connection of PyMySQL that notes what its own calls ask for."""

    def __init__(self, port, schema="test", **options):
        self.asked = [("CONNECT", schema), ("QUERY", "SET AUTOCOMMIT = 0")]
        self.db = pymysql.connect(host="127.0.0.1", port=port, user=USER, password=PASSWORD, database=schema or None,
                                  charset="utf8mb4", **options)

    def query(self, sql, values=None, fails=False):
        with self.db.cursor() as cursor:
            text = cursor.mogrify(sql, values).encode(self.db.encoding, "surrogateescape")
            self.asked.append(("QUERY", text))
            try:
                cursor.execute(sql, values)
                while cursor.nextset():
                    pass
            except pymysql.MySQLError:
                if not fails:
                    raise

    def does(self, command, text, method, *values, fails=False):
        self.asked.append((command, text))
        try:
            method(*values)
        except pymysql.MySQLError:
            if not fails:
                raise

    def close(self):
        self.does("QUIT", "", self.db.close)
        return self.asked


def pymysql_queries(port, _):
    c = Python(port)
    c.query("SELECT id, v FROM item WHERE id = %s", (2,))
    c.query("SELECT %s, %s, %s, LENGTH(%s)", ("it's \\ \"quoted\"\n\tline\0zero", None, 1.5, b"\x00\xff\x80bytes"))
    c.query("SELECT 'ünï', _utf8mb4'\u20ac', x'0aff', 0b101, N'n' -- comment\n, 1 /* in the middle */ + 2 # end")
    c.query("INSERT INTO item (v) VALUES (%s)", ("\U0001f600",))
    c.does("QUERY", "COMMIT", c.db.commit)
    c.query("DELETE FROM item WHERE id > 5")
    c.does("QUERY", "ROLLBACK", c.db.rollback)
    c.query("SELEC syntax error", fails=True)
    c.query("SELECT 1")
    c.does("QUERY", "SET NAMES 'latin1'", c.db.set_charset, "latin1")
    c.query("SELECT '\xe9\xe8'")
    c.does("QUERY", "SET AUTOCOMMIT = 1", c.db.autocommit, True)
    return [c.close()]


def pymysql_many(port, _):
    c = Python(port)
    c.asked.append(("QUERY", "INSERT INTO loaded (v) VALUES " + ",".join("('row %d')" % i for i in range(200))))
    with c.db.cursor() as cursor:
        cursor.executemany("INSERT INTO loaded (v) VALUES (%s)", [("row %d" % i,) for i in range(200)])
        c.asked += [("QUERY", "UPDATE item SET v = '%s' WHERE id = %d" % (v, i)) for v, i in (("x", 1), ("y", 2))]
        cursor.executemany("UPDATE item SET v = %s WHERE id = %s", [("x", 1), ("y", 2)])
    c.query("SELECT COUNT(*) FROM loaded")
    return [c.close()]


def pymysql_multi(port, _):
    c = Python(port, client_flag=CLIENT.MULTI_STATEMENTS)
    c.query("SELECT 1; SELECT v FROM item WHERE id = 'a;b'; UPDATE item SET v = v")
    c.query("CALL two(1)")
    c.query("PREPARE s FROM 'SELECT v FROM item WHERE id = ?'")
    c.query("SET @n = 2; EXECUTE s USING @n; DEALLOCATE PREPARE s")
    c.query("EXECUTE IMMEDIATE 'SELECT ?' USING 5")
    c.query("SELECT 1; SELEC 2; SELECT 3", fails=True)
    c.query("DO 1")
    return [c.close()]


def pymysql_commands(port, _):
    c = Python(port, schema="")
    c.does("PING", "", c.db.ping)
    c.does("INIT_DB", "test", c.db.select_db, "test")
    c.query("SELECT DATABASE()")
    c.does("INIT_DB", "größe", c.db.select_db, "größe")
    c.query("SELECT * FROM `maß`")
    c.query("USE test")
    c.query("SELECT * FROM item")
    c.does("INIT_DB", "nowhere", c.db.select_db, "nowhere", fails=True)
    c.query("SELECT * FROM `größe`.`maß`")
    c.does("PING", "", c.db.ping)
    return [c.close()]


def pymysql_schema(port, _):
    c = Python(port, schema="größe")
    c.query("INSERT INTO `maß` VALUES (1, 'ä')")
    return [c.close()]


def pymysql_long(port, _):
    """40 KB: longer than the server's first buffer. Then a short one into the buffer that has moved."""
    c = Python(port)
    c.query("SELECT LENGTH('%s') AS long_one, id FROM item" % ("z" * 40_000))
    c.query("SELECT v FROM item WHERE id IN (%s)" % ", ".join(map(str, range(900))))
    c.query("SELECT 'short'")
    return [c.close()]


def load_data(port, _):
    """
    The file goes in packets of 64 bytes, so that their sequence number comes to 0 again, where a command would begin:
    and there, to a reader who has lost count, the file looks like a command.
    """
    path = "loaded.csv"
    trap = b"\x03DELETE FROM trap WHERE secret = 'never read this'\n".ljust(64, b".")
    with open(path, "wb") as f:
        f.write(trap * 600)
    c = Python(port, local_infile=True, max_allowed_packet=64)
    c.query("LOAD DATA LOCAL INFILE '%s' INTO TABLE loaded" % path)
    c.query("SELECT COUNT(*) FROM loaded")
    c.query("LOAD DATA LOCAL INFILE '/dev/null' INTO TABLE loaded")
    c.does("PING", "", c.db.ping)
    return [c.close()]


def wrong_password(port, _):
    try:
        pymysql.connect(host="127.0.0.1", port=port, user=USER, password="wrong", database="test")
    except pymysql.MySQLError:
        return [[("CONNECT", "test")]]
    raise AssertionError("a wrong password was right")


# --- the command line client ---
def command_line(port, *options, sql=b""):
    subprocess.run(["mariadb", "--no-defaults", "--host=127.0.0.1", "--port=%d" % port, "--user=" + USER,
                    "--password=" + PASSWORD, "--default-character-set=utf8mb4", "--batch", "--skip-ssl", *options],
                   input=sql if isinstance(sql, bytes) else sql.encode(), stdout=subprocess.DEVNULL, check=True, timeout=60)


CLI_SQL = """SELECT 1;
use test
SELECT id, -- the client drops this
  v FROM item
  WHERE id = 1;
DELIMITER //
SELECT 1; SELECT 2 FROM item//
CREATE OR REPLACE PROCEDURE three() BEGIN SELECT 3; END//
DELIMITER ;
CALL three();
SELECT 'a;b', "c\\"d", `id` FROM item\\G
"""
CLI_ASKED = [("QUERY", "SELECT 1"), ("QUERY", "SELECT DATABASE()"), ("INIT_DB", "test"),
             ("QUERY", "SELECT id, \n  v FROM item\n  WHERE id = 1"),
             ("QUERY", "SELECT 1; SELECT 2 FROM item"),
             ("QUERY", "CREATE OR REPLACE PROCEDURE three() BEGIN SELECT 3; END"),
             ("QUERY", "CALL three()"), ("QUERY", "SELECT 'a;b', \"c\\\"d\", `id` FROM item")]


def mariadb_batch(port, _):
    command_line(port, sql=CLI_SQL)
    return [[("CONNECT", ""), *CLI_ASKED, ("QUIT", "")]]


def mariadb_compressed(port, _):
    """Short texts are stored, long ones compressed; 40 KB take two frames, the packet going on in the second."""
    long = "SELECT LENGTH('%s') FROM item" % "".join("%d." % (i * 7919 % 10007) for i in range(9000))
    command_line(port, "--compress", "test", sql=CLI_SQL + long + ";\nSELECT 'after';\n")
    return [[("CONNECT", "test"), *CLI_ASKED, ("QUERY", long), ("QUERY", "SELECT 'after'"), ("QUIT", "")]]


def mariadb_compressed_huge(port, _):
    """A packet of more than 16 MB, which goes on in another: compressed it fits in here."""
    huge = "SELECT LENGTH('%s')" % ("h" * (17 << 20))
    command_line(port, "--compress", "--max-allowed-packet=64M", "test", sql=huge + ";\nSELECT 'after';\n")
    return [[("CONNECT", "test"), ("QUERY", huge), ("QUERY", "SELECT 'after'"), ("QUIT", "")]]


def mariadb_source(port, _):
    path = "load.txt"
    with open(path, "w", encoding="ascii") as f:
        f.writelines("line %d\n" % i for i in range(1000))
    script = "source.sql"
    with open(script, "w", encoding="ascii") as f:
        f.write("SELECT 'from a file';\nLOAD DATA LOCAL INFILE '%s' INTO TABLE loaded;\nSELECT COUNT(*) FROM loaded;\n" % path)
    command_line(port, "--local-infile=1", "test", sql="source %s\n" % script)
    return [[("CONNECT", "test"), ("QUERY", "SELECT 'from a file'"),
             ("QUERY", "LOAD DATA LOCAL INFILE '%s' INTO TABLE loaded" % path),
             ("QUERY", "SELECT COUNT(*) FROM loaded"), ("QUIT", "")]]


def mariadb_interactive(port, _):
    """At a terminal it asks for more by itself: the version, and names to complete."""
    master, slave = pty.openpty()
    client = subprocess.Popen(["mariadb", "--no-defaults", "--host=127.0.0.1", "--port=%d" % port, "--user=" + USER,
                               "--password=" + PASSWORD, "--skip-ssl", "größe"], stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    for line in (b"SELECT * FROM `ma\xc3\x9f`;\n", b"\\s\n", b"\\q\n"):
        until_prompt(master)
        os.write(master, line)
    if client.wait(30):
        raise AssertionError("the client failed")
    os.close(master)
    return [[("CONNECT", "größe"), ("QUERY", "show databases"), ("QUERY", "show tables"), ("FIELD_LIST", "maß"),
             ("QUERY", "select @@version_comment limit 1"), ("QUERY", "SELECT * FROM `maß`"),
             ("QUERY", "select DATABASE(), USER() limit 1"),
             ("QUERY", "select @@character_set_client, @@character_set_connection, @@character_set_server, "
              "@@character_set_database limit 1"), ("STATISTICS", ""), ("QUIT", "")]]


def until_prompt(terminal):
    seen = b""
    while not seen.endswith(b"]> ") and b"]> \x1b" not in seen:
        if not select.select([terminal], [], [], 20)[0]:
            raise AssertionError("no prompt: %r" % seen)
        seen += os.read(terminal, 4096)


def mariadb_tls(port, _):
    command_line(port, "--ssl", "--ssl-verify-server-cert=0", "test", sql="SELECT 'never seen' FROM item;\n")
    return [[("CONNECT_TLS", "")]]


# --- sysbench ---
def sysbench(port, *arguments):
    subprocess.run(["sysbench", "--db-driver=mysql", "--mysql-host=127.0.0.1", "--mysql-port=%d" % port,
                    "--mysql-user=" + USER, "--mysql-password=" + PASSWORD, "--mysql-db=sb", "--tables=1",
                    "--table-size=50", "--rand-seed=1", *arguments], stdout=subprocess.DEVNULL, check=True, timeout=60)


POINT = "SELECT c FROM sbtest1 WHERE id=?"
RANGES = ["SELECT c FROM sbtest1 WHERE id BETWEEN ? AND ?", "SELECT SUM(k) FROM sbtest1 WHERE id BETWEEN ? AND ?",
          "SELECT c FROM sbtest1 WHERE id BETWEEN ? AND ? ORDER BY c",
          "SELECT DISTINCT c FROM sbtest1 WHERE id BETWEEN ? AND ? ORDER BY c"]
WRITES = ["UPDATE sbtest1 SET k=k+1 WHERE id=?", "UPDATE sbtest1 SET c=? WHERE id=?", "DELETE FROM sbtest1 WHERE id=?",
          "INSERT INTO sbtest1 (id, k, c, pad) VALUES (?, ?, ?, ?)"]


def sysbench_read_write(port, _):
    """Its oltp_common.lua prepares each statement once, and an event is the sequence that is spelled out here."""
    sysbench(port, "--range-size=5", "--events=3", "--time=10", "oltp_read_write", "run")
    event = ["BEGIN"] + [POINT] * 10 + RANGES + WRITES + ["COMMIT"]
    prepared = ["BEGIN", "COMMIT", POINT, *RANGES, *WRITES]
    asked = [("CONNECT", "sb")] + [("STMT_PREPARE", sql) for sql in prepared]
    asked += [("STMT_EXECUTE", sql) for sql in event * 3]
    asked += [("STMT_CLOSE", "")] * len(prepared) + [("QUIT", "")]
    return [asked]


# --- libmariadb ---
def c_client(script, *how):
    def run(port, directory):
        done = subprocess.run([os.path.join(directory, "client"), "127.0.0.1", str(port), USER, PASSWORD, script, *how],
                              stdout=subprocess.PIPE, check=True, timeout=60)
        asked = []
        for line in done.stdout.splitlines():
            command, text = line.split(b"\t")
            asked.append((command.decode(), text.replace(b"\\\\", b"\\")))
        return [asked]
    run.__name__ = "c_%s%s" % (script, "_compressed" if how else "")
    return run


SCRIPTS = ["parameters", "interleaved", "cursors", "long_data", "bulk", "direct", "commands", "errors"]
SESSIONS = [pymysql_queries, pymysql_many, pymysql_multi, pymysql_commands, pymysql_schema, pymysql_long, load_data,
            wrong_password, mariadb_batch, mariadb_compressed, mariadb_compressed_huge, mariadb_source,
            mariadb_interactive, mariadb_tls, sysbench_read_write,
            *(c_client(s) for s in SCRIPTS), *(c_client(s, "compress") for s in SCRIPTS)]

# SPDX-License-Identifier: Apache-2.0
"""A real mariadbd with a data directory of its own, reached by a socket in it, or by TCP too; and a load for it."""
import os
import shutil
import socket
import subprocess
import tempfile
import time

# Of each kind of work some: string functions, JSON, regular expressions, joins, sorting, grouping, writes.
SETUP = """
CREATE DATABASE test; USE test;
CREATE TABLE item (id INT PRIMARY KEY AUTO_INCREMENT, a INT, b VARCHAR(64), c TEXT, KEY (a)) ENGINE=InnoDB;
INSERT INTO item (a, b, c) SELECT seq * 7919 % 1009, SHA2(seq, 256), CONCAT('{"k": [', seq, ', {"n": "', seq, '"}]}')
	FROM seq_1_to_3000;
"""
QUERIES = """
SELECT COUNT(*), MAX(b) FROM item WHERE b REGEXP '[a-f]{3}[0-9]+$';
SELECT SUM(JSON_EXTRACT(c, '$.k[0]')), MAX(JSON_VALUE(c, '$.k[1].n')) FROM item WHERE id < 500;
SELECT x.a, COUNT(*) AS n, AVG(y.id) FROM item x JOIN item y ON x.a = y.a GROUP BY x.a ORDER BY n DESC, x.a LIMIT 5;
SELECT id, b FROM item ORDER BY b DESC, a LIMIT 10;
SELECT a, GROUP_CONCAT(DISTINCT LEFT(b, 3) ORDER BY b) FROM item WHERE a < 50 GROUP BY a;
SELECT SQL_NO_CACHE SUM(n) FROM (SELECT ROW_NUMBER() OVER (PARTITION BY a ORDER BY b) n FROM item) t;
INSERT INTO item (a, b, c) VALUES (1, 'b', '{}'), (2, 'c', '{}'), (3, 'd', '[]');
UPDATE item SET b = REVERSE(b), a = a + 1 WHERE id BETWEEN 100 AND 200;
DELETE FROM item WHERE id > 3000;
SELECT BENCHMARK(2000, SHA2(CONCAT('x', RAND()), 256)), BENCHMARK(5000, FORMAT(RAND() * 1e9, 3));
SELECT * FROM information_schema.columns WHERE table_schema = 'mysql' LIMIT 3;
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class MariadbServer:
    """
    with MariadbServer() as server: ... Ends the server, and removes its directory, whatever happens. With tcp it also
    listens at server.port of the loopback; with tls it has a certificate that it signed itself.
    """

    def __init__(self, *options, tcp=False, tls=False):
        self.options, self.tcp, self.tls = options, tcp, tls
        self.port = None

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="wireprof-mariadb-")
        self.path = os.path.join(self.directory, "sock")
        self.data = os.path.join(self.directory, "data")
        self.process = None
        try:
            done = subprocess.run(
                ["mariadb-install-db", "--no-defaults", "--user=root", "--datadir=" + self.data, "--skip-test-db",
                 "--auth-root-authentication-method=normal", "--skip-name-resolve"],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
            if done.returncode:
                raise RuntimeError("mariadb-install-db: " + done.stdout[-500:])
            if self.tls:
                self._make_certificate()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make_certificate(self):
        self.key, self.certificate = (os.path.join(self.directory, name) for name in ("key.pem", "cert.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
                        "-keyout", self.key, "-out", self.certificate],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)

    def _network_options(self):
        options = ["--skip-networking"]
        if self.tcp:
            self.port = free_port()
            options = ["--bind-address=127.0.0.1", "--port=%d" % self.port]
        if self.tls:
            options += ["--ssl-key=" + self.key, "--ssl-cert=" + self.certificate]
        return options

    def _start(self):
        self.log = os.path.join(self.directory, "log")
        with open(self.log, "w", encoding="ascii") as log:
            self.process = subprocess.Popen(
                ["mariadbd", "--no-defaults", "--user=root", "--datadir=" + self.data, "--socket=" + self.path,
                 "--pid-file=" + os.path.join(self.directory, "pid"),
                 "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M", "--innodb-flush-log-at-trx-commit=0",
                 *self._network_options(), *self.options], stdout=log, stderr=log,
                start_new_session=True,  # a scheduling group of its own: harness.prefer()
                env={**os.environ, "PATH": "/usr/sbin:" + os.environ["PATH"]})
        deadline = time.monotonic() + 30
        while subprocess.run(self.client("-e", "SELECT 1"), stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL).returncode:
            if time.monotonic() > deadline or self.process.poll() is not None:
                with open(self.log, encoding="utf-8", errors="replace") as f:
                    raise RuntimeError("mariadbd does not answer: " + f.read()[-500:])
            time.sleep(0.05)

    @property
    def pid(self):
        return self.process.pid

    def client(self, *arguments):
        """The command line of a client."""
        return ["mariadb", "--no-defaults", "--user=root", "--socket=" + self.path, "--batch", *arguments]

    def run(self, sql):
        subprocess.run(self.client(), input=sql, text=True, check=True, stdout=subprocess.DEVNULL, timeout=60)

    def query_forever(self, sql):
        """A load function: sends the queries over and over until the deadline."""
        def run(_, deadline):
            with subprocess.Popen(self.client("--force", "test"), stdin=subprocess.PIPE, text=True,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
                while time.monotonic() < deadline:
                    client.stdin.write(sql)
                    client.stdin.flush()
                client.kill()
        return run

    def sysbench(self, *arguments):
        """The command line of sysbench against this server."""
        return ["sysbench", "--db-driver=mysql", "--mysql-socket=" + self.path, "--mysql-user=root",
                "--mysql-db=test", "--tables=2", "--table-size=5000", *arguments]

    def __exit__(self, *_):
        if self.process:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

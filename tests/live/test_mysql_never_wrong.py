# SPDX-License-Identifier: Apache-2.0
"""What is no request to this server must not be taken for one, however much it looks like it."""
import os
import socket
import struct
import unittest

from compiled import PROGRAMS, CompiledTest
from harness import Load, record, until, wait_for
from mariadb_server import MariadbServer, free_port
from mysql_load import FILL, Recording, ask, by, connect, cpu, digest_of

NOTHING = {None, "none"}


class OutgoingConnections(unittest.TestCase):
    def test_replication(self):
        """A replica asks its primary, and the primary's events come in: to the replica they are no requests."""
        with MariadbServer("--server-id=1", "--log-bin=bin", "--binlog-format=ROW", tcp=True) as primary, \
                MariadbServer("--server-id=2") as replica:
            replica.run("CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=%d, MASTER_USER='root', "
                        "MASTER_USE_GTID=slave_pos; START SLAVE" % primary.port)
            primary.run(FILL)
            db = connect(replica, database=None)
            rows = "SELECT COUNT(*) FROM test.log"
            wait_for(lambda: ask(db, "SHOW TABLES FROM test LIKE 'log'") and ask(db, rows)[0][0] == 0, 30, "the replica")
            db.close()

            def writes(_, deadline):
                client = connect(primary)
                for _ in until(deadline):
                    ask(client, "INSERT INTO log (n, v) SELECT n, REVERSE(v) FROM item")
                    ask(client, "DELETE FROM log")
                client.close()

            with Recording(replica.pid) as recording:
                with Load([writes], 6):
                    pass
                recording.stop()
        samples = recording.profile.samples
        reading = [s for s in samples if "handle_slave_io" in s.frames]
        applying = [s for s in samples if "handle_slave_sql" in s.frames]
        self.assertGreater(cpu(reading), 0.05)
        self.assertGreater(cpu(applying), 0.5)
        self.assertEqual(list(by(samples, "db_operation_name")), [None], by(samples, "db_operation_name", "db_query_text"))
        self.assertLessEqual(set(by(samples, "attribution")), NOTHING)

    def test_federated_tables(self):
        """A statement's own thread asks another server, and reads its answer: that thread's work stays the statement's."""
        with MariadbServer(tcp=True) as far, MariadbServer("--performance-schema=ON", "--plugin-load-add=ha_federatedx") as near:
            far.run(FILL)
            near.run("CREATE DATABASE test; USE test; CREATE TABLE item (id INT PRIMARY KEY, n INT, v VARCHAR(64)) "
                     "ENGINE=FEDERATED CONNECTION='mysql://root@127.0.0.1:%d/test/item'" % far.port)
            text = "SELECT MAX(REVERSE(SHA2(v, 256))) AS near_one FROM item"
            db = connect(near)
            digest = digest_of(db, text)

            def run(_, deadline):
                client = connect(near)
                for _ in until(deadline):
                    ask(client, text)
                client.close()

            with Recording(near.pid) as recording:
                with Load([run], 5):
                    pass
                recording.stop()
            db.close()
        executing = [s for s in recording.profile.samples if "mysql_execute_command" in s.frames and
                     s.labels.get("phase") not in ("receive", "idle")]
        seconds = by(executing, "db_query_text")
        self.assertGreater(cpu(executing), 0.5)
        self.assertGreater(seconds[digest], 0.97 * cpu(executing), seconds)
        # What the near server sent to the far one is not in the profile of the near.
        self.assertFalse([s for s in recording.profile.strings if s.startswith("SELECT `id`")])


class OtherProtocols(CompiledTest):
    REQUESTS = [b"GET /SELECT?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"POST / HTTP/1.0\r\nContent-Length: 8\r\n\r\nSELECT 1",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 512, b"*1\r\n$4\r\nPING\r\n",
                b"\x03\x00\x00\x00\x03AT", b"\x09\x00\x00\x00\x03SELECT 1"]

    def test_http_at_the_port_of_mariadb(self):
        with MariadbServer("--max-connect-errors=1000000000", tcp=True) as server:
            def run(random, deadline):
                for _ in until(deadline):
                    with socket.create_connection(("127.0.0.1", server.port)) as s:
                        s.settimeout(5)
                        try:
                            s.recv(200)
                            s.sendall(random.choice(self.REQUESTS))
                            s.shutdown(socket.SHUT_WR)
                            while s.recv(4096):
                                pass
                        except OSError:
                            pass

            with Recording(server.pid, hz=4999) as recording:
                with Load([run, run], 5):
                    pass
                recording.stop()
        samples = recording.profile.samples
        self.assertGreater(cpu([s for s in samples if "do_handle_one_connection" in s.frames]), 0.1)
        self.assertLessEqual(set(by(samples, "db_operation_name")), {None, "CONNECT"})
        self.assertEqual(list(by(samples, "db_query_text")), [None])

    MESSAGES = [b'{"command": "SELECT", "from": "users"}', b"\x03hello world, this is no statement", b"\x16\x03\x01 a record",
                b"\x17\x01\x00\x00\x00\x00\x01\x00\x00\x00", b"\x01", b"\x0e", b"\x03\x82\xa1a\x01\xa1b\x02", b"\x02name",
                bytes(range(1, 40))]

    def test_other_protocol_with_lengths(self):
        port = free_port()
        server = self.start("/usr/bin/python3", os.path.join(PROGRAMS, "framed_server.py"), port)

        def run(random, deadline):
            with socket.create_connection(("127.0.0.1", port)) as s:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for _ in until(deadline):
                    message = random.choice(self.MESSAGES)
                    s.sendall(struct.pack("<I", len(message)) + message)
                    s.recv(8)

        with Recording(server.pid) as recording:
            with Load([run, run, run], 5):
                pass
            recording.stop()
        samples = recording.profile.samples
        self.assertGreater(cpu(samples), 1)
        self.assertEqual(list(by(samples, "db_operation_name", "db_system_name")), [(None, None)])

    def test_a_client_is_no_server(self):
        """A client of MariaDB receives rows that look like anything: they are not its requests."""
        with MariadbServer(tcp=True) as server:
            server.run(FILL)
            program = ("import sys, pymysql\n"
                       "db = pymysql.connect(host='127.0.0.1', port=int(sys.argv[1]), user='root', database='test')\n"
                       "print('ready', flush=True)\n"
                       "cursor = db.cursor()\n"
                       "while True:\n"
                       "    cursor.execute(\"SELECT 'SELECT 1', v, id FROM item\")\n    cursor.fetchall()\n")
            client = self.start("/usr/bin/python3", "-c", program, server.port)
            profile, _ = record(client.pid, 4)
            self.end(client)
        self.assertGreater(cpu(profile.samples), 0.5)
        self.assertEqual(list(by(profile.samples, "db_operation_name")), [None])


if __name__ == "__main__":
    unittest.main(verbosity=2)

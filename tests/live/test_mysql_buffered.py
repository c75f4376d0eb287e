# SPDX-License-Identifier: Apache-2.0
"""A server of MySQL's protocol that reads much at a time, for many clients in one thread."""
import os
import re
import socket
import struct
import time
import unittest

import pymysql
from compiled import PROGRAMS, CompiledTest
from harness import Load, until
from mariadb_server import free_port
from mysql_load import Recording, busy_samples, by, cpu, named_share


def text(alias, milliseconds):
    return "SELECT %s FROM t WHERE note = 'burn %d'" % (alias, milliseconds)


def receive(s, size):
    while size:
        got = s.recv(size)
        if not got:
            raise ConnectionError("the server has gone")
        size -= len(got)


class Buffered(CompiledTest):
    def setUp(self):
        super().setUp()
        self.port = free_port()
        self.server = self.start("/usr/bin/python3", os.path.join(PROGRAMS, "buffered_mysql.py"), self.port)

    def client_of(self, *texts):
        """A load function: one connection of PyMySQL that sends the texts in random order."""
        def run(random, deadline):
            db = pymysql.connect(host="127.0.0.1", port=self.port, user="u", autocommit=None)
            for _ in until(deadline):
                db.query(random.choice(texts))
            db.close()
        return run

    def pipeline_of(self, *texts, pieces=False):
        """A load function: one connection that sends all of the texts at once, in one piece or in any pieces."""
        data = b"".join(struct.pack("<I", len(t) + 1) + b"\x03" + t.encode() for t in texts)

        def run(random, deadline):
            db = pymysql.connect(host="127.0.0.1", port=self.port, user="u", autocommit=None)
            s = db._sock
            for _ in until(deadline):
                at = 0
                while at < len(data):
                    n = random.choice([1, 3, 10, 60]) if pieces else len(data)
                    s.sendall(data[at:at + n])
                    at += n
                receive(s, 11 * len(texts))
            db.close()
        return run

    def recorded(self, *functions, seconds=6):
        """The samples from the second second on, and what the server accounts for each alias, from all."""
        with Load(functions, seconds + 2):
            time.sleep(0.5)  # under load: connected before the recording, all of them
            with Recording(self.server.pid) as recording:
                time.sleep(seconds)  # under load: the length of the recording
                recording.stop()
        self.server.terminate()
        cost = {}
        for line in self.server.stdout.read().splitlines():
            nanoseconds, statement = line.split("\t")
            cost[re.search(r"SELECT (\w+)|$", statement).group(1)] = int(nanoseconds) / 1e9
        return busy_samples(recording.profile), {k: v for k, v in cost.items() if k}

    def aliases(self, samples):
        sums = {}
        for s in samples:
            found = re.match(r"SELECT `(\w+)` FROM", s.labels.get("db_query_text", ""))
            alias = found.group(1) if found else None
            sums[alias] = sums.get(alias, 0) + s.nanoseconds / 1e9
        return sums

    def assert_costs(self, samples, cost, points):
        got = self.aliases(samples)
        known = sum(v for k, v in got.items() if k)
        self.assertGreater(known, 0.9 * cpu(samples), by(samples, "attribution", "db_query_text"))
        table = {k: "%.1f%% (server: %.1f%%)" % (100 * got.get(k, 0) / known, 100 * v / sum(cost.values()))
                 for k, v in cost.items()}
        print("   ", table, flush=True)
        for alias, seconds in cost.items():
            self.assertAlmostEqual(got.get(alias, 0) / known, seconds / sum(cost.values()), delta=points / 100, msg=table)
        self.assertLessEqual(set(got) - {None}, set(cost))

    def test_interleaved_clients(self):
        samples, cost = self.recorded(self.client_of(text("a_one", 1), text("a_four", 4)), self.client_of(text("b_two", 2)),
                                      self.client_of(text("c_six", 6), text("c_none", 0)))
        self.assert_costs(samples, cost, 3)
        self.assertGreater(by(samples, "attribution")["exact"], 0.9 * cpu(samples))
        self.assertGreaterEqual(named_share(samples), 0.95)
        self.assertLessEqual(set(by(samples, "db_system_name")), {"mysql", "mariadb", None})

    def test_pipelines_are_split(self):
        """Commands of one read that cost the same: the weight of each sample is shared among them."""
        samples, cost = self.recorded(self.pipeline_of(text("p_one", 2), text("p_two", 2), text("p_three", 2)))
        self.assert_costs(samples, cost, 3)
        self.assertGreater(by(samples, "attribution")["pipeline"], 0.9 * cpu(samples), by(samples, "attribution"))

    def test_commands_in_pieces(self):
        """Reads that end within a header or a text: nothing but the three is ever named."""
        samples, cost = self.recorded(self.pipeline_of(text("q_one", 3), text("q_two", 3), text("q_three", 3), pieces=True))
        self.assertLessEqual(set(self.aliases(samples)) - {None}, set(cost))
        self.assertGreater(named_share(samples), 0.5, by(samples, "attribution"))


if __name__ == "__main__":
    unittest.main(verbosity=2)

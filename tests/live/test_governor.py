# SPDX-License-Identifier: Apache-2.0
"""
The receive hook attached for a part of the time: what is seen then stands for all of it, of requests of any length, and nothing that
came in between is taken for something else.
"""
import time
import unittest

import pymysql

from agent import Agent
from harness import Load, pin, schedstat, until
from mariadb_server import MariadbServer
from mysql_load import FILL, heavy
from recording import Recording
from redis_load import COMMANDS, client_of, difference, expected_shares, fill
from test_agent import AgentTest
from redis_server import RedisServer, encode

QUARTER = {"WIREPROF_DUTY": "0.25"}
SECONDS = 24
# As long as the hook is attached, and as long as it is not, and longer.
LONG = "local s = 0 for i = 1, ARGV[1] do s = s + i end return s"


def cpu_seconds(profile, **labels):
    return sum(s.nanoseconds for s in profile.samples
               if all(s.labels.get(k) == v for k, v in labels.items())) / 1e9


class AtAQuarter(unittest.TestCase):
    def recorded(self, server, functions, seconds=SECONDS, env=QUARTER):
        """Records under load: the profile, the server's accounting, the CPU that the kernel accounts."""
        with Load(functions, seconds + 6):
            time.sleep(1)  # clients connect and get busy; not waited for: being busy already is the point
            with Recording(server.pid, hz=997, env=env) as recording:
                before, ran, t0 = server.command_stats(), schedstat(server.pid)[0], time.monotonic()
                time.sleep(seconds)  # not waited for: that much load is the point
                stats, spent = difference(server.command_stats(), before), time.monotonic() - t0
                ran = schedstat(server.pid)[0] - ran
                profile = recording.stop()
        scale = profile.duration_ns / 1e9 / spent  # what is recorded begins a moment earlier, and ends later
        stats = {op: (c * scale, us * scale) for op, (c, us) in stats.items() if op != "INFO"}
        self.assertRegex(recording.text, r"attached (1[4-9]|2\d|3[0-6])(\.\d)? % of the time")
        self.assertAlmostEqual(cpu_seconds(profile), ran * scale / 1e9, delta=0.02 * ran * scale / 1e9)
        return profile, stats

    def assert_shares(self, profile, stats, points):
        expected = expected_shares(stats, profile.total(phase="execute") / 1000)
        got = profile.shares("db_operation_name", phase="execute")
        table = {op: "%.1f%% (server: %.1f%%)" % (100 * got.get(op, 0), 100 * e)
                 for op, e in sorted(expected.items(), key=lambda x: -x[1])}
        print("   ", table, flush=True)
        for op, share in expected.items():
            self.assertAlmostEqual(got.get(op, 0), share, delta=points / 100, msg="%s: %s" % (op, table))

    def test_shares_of_short_requests(self):
        with RedisServer() as server:
            pin(server.pid, 0)
            fill(server)
            profile, stats = self.recorded(server, [client_of(server, op) for op in COMMANDS])
            self.assert_shares(profile, stats, 3)

    def test_shares_of_long_requests(self):
        """Half of the CPU goes to requests of about the time that the hook is attached: most begin or end while it is not."""
        def long(_, deadline):
            client = server.client()
            for _ in until(deadline):
                client.call("EVAL", LONG, 0, 8_000_000)
            client.close()

        def short(random, deadline):
            clients = [server.client() for _ in range(100)]
            for _ in until(deadline):
                for client in clients:
                    client.send(encode(*COMMANDS["SORT"](random)))
                for client in clients:
                    client.reply()
            for client in clients:
                client.close()

        with RedisServer() as server:
            pin(server.pid, 0)
            fill(server)
            profile, stats = self.recorded(server, [long, short, short], 60)
            self.assert_shares(profile, stats, 5)


class BesideAllOfTheTime(unittest.TestCase):
    """Two recordings of the same load at the same time: a quarter of the time, and all of it."""

    def both(self, pid, functions, seconds, **how):
        with Load(functions, seconds + 10):
            time.sleep(1)  # as above
            with Recording(pid, hz=499, env={"WIREPROF_DUTY": "1"}, **how) as all_of_it, \
                    Recording(pid, hz=499, env=QUARTER, **how) as quarter:
                time.sleep(seconds)
                profiles = [recording.stop() for recording in (quarter, all_of_it)]
        self.assertRegex(quarter.text, r"attached (1[4-9]|2\d|3[0-6])(\.\d)? % of the time")
        self.assertIn("attached 100 % of the time", all_of_it.text)
        return profiles

    def assert_alike(self, profiles, label, points):
        got, wanted = ({value: cpu_seconds(p, **{label: value}) / cpu_seconds(p)
                        for value in {s.labels.get(label) for p in profiles for s in p.samples}} for p in profiles)
        table = {value: "%.1f%% (all of the time: %.1f%%)" % (100 * got[value], 100 * share) for value, share in wanted.items()}
        print("   ", table, flush=True)
        for value, share in wanted.items():
            self.assertAlmostEqual(got[value], share, delta=points / 100, msg="%s: %s" % (value, table))

    def test_long_statements_over_tcp(self):
        """No stack tells what a statement of mariadbd is: those that begin while the hook is not attached are not seen at all."""
        def ask(sql):
            def run(_, deadline):
                db = pymysql.connect(host="127.0.0.1", port=server.port, user="root", database="test")
                with db.cursor() as cursor:
                    for _ in until(deadline):
                        cursor.execute(sql)
                        cursor.fetchall()
                db.close()
            return run

        with MariadbServer(tcp=True) as server:
            server.run(FILL)
            pin(server.pid, 0)
            profiles = self.both(server.pid, [ask("SELECT MAX(SHA2(REPEAT(a.v, 40), 512)) AS one FROM item a JOIN other.item b USING (id)"),
                                              ask(heavy("two", 200))], 60)
            self.assert_alike(profiles, "db_query_summary", 4)


class Budget(AgentTest):
    def test_it_is_kept(self):
        """Of a saturated server: a small budget has the hook attached for a part of the time, a large one for all of it; the parts add up."""
        with RedisServer() as server:
            fill(server)
            pin(server.pid, 0)
            with Load([client_of(server, "GET")] * 4, 40):
                for percent, attached in ("0.5", (0.005, 0.5)), ("100", (0.95, 1)):
                    with self.subTest(percent):
                        self.check(server.pid, percent, *attached)

    def check(self, pid, percent, least, most):
        with Agent("-p", pid, "--window", 1, "--max-overhead", percent, env={"WIREPROF_DUTY": "0"}) as agent:
            time.sleep(12)  # not waited for: costs are smoothed over five seconds
            parts = {part: agent.metric("wireprof_overhead_ratio", part=part) for part in ("hook", "samples", "agent")}
            attached = agent.metric("wireprof_hook_attached_ratio")
            print("    --max-overhead %s: attached %.3f of the time, %s" % (percent, attached, parts), flush=True)
            self.assertEqual(agent.metric("wireprof_overhead_budget_ratio"), float(percent) / 100)
            self.assertTrue(least <= attached <= most, attached)
            self.assertTrue(all(0 < value < 0.2 for value in parts.values()), parts)


if __name__ == "__main__":
    unittest.main(verbosity=2)

# SPDX-License-Identifier: Apache-2.0
"""
Servers that run a goroutine a connection, on whatever thread: each sample has its goroutine's request, and no other's.
The stacks of go_resp.go and go_mysql.go say to which request a sample belongs.
"""
import os
import re
import subprocess
import tempfile
import time
import unittest

import go_load
from clients import GO
from compiled import CompiledTest, read_line
from harness import Load
from recording import Recording
from samples import by, cpu
from test_go import compilers

QUARTER = {"WIREPROF_DUTY": "0.25"}
FALLBACK = {"WIREPROF_HOOK": "sys_exit"}
PROTOCOLS = {"go_resp": go_load.Resp(), "go_mysql": go_load.Mysql()}
# Of nobody's request: what works for all, what began after a connection had ended, the runtime's own.
NOBODYS = {"main.helper", "main.background", "runtime.gcBgMarkWorker", "runtime.bgsweep", "runtime.bgscavenge", "runtime.forcegchelper"}


def version_of(go):
    return subprocess.run([go, "env", "GOVERSION"], check=True, text=True, cwd="/", stdout=subprocess.PIPE).stdout.strip()


def of_kind(samples, function):
    """{kind: samples} of those that have main.FUNCTIONa, -b or -c on their stack."""
    return {kind: [s for s in samples if "main." + function + kind in s.frames] for kind in go_load.KINDS}


class Requests(CompiledTest):
    programs = {}

    @classmethod
    def setUpClass(cls):
        cls.built = tempfile.TemporaryDirectory(prefix="wireprof-test-")
        cls.addClassCleanup(cls.built.cleanup)

    def build(self, *how):
        if how not in self.programs:
            self.programs[how] = go_load.build(*how[:2], os.path.join(self.built.name, "%s-%d" % (how[1], len(self.programs))), *how[2:])
        return self.programs[how]

    def recorded(self, go, name, *loads, options=(), flags=(), env=None, seconds=4):
        """The samples of a server under these loads, whose connections were open before the recording, and after it."""
        server = self.start(self.build(go, name, *flags), *options, ready=False)
        port = int(read_line(server).rsplit(":", 1)[1])
        protocol = PROTOCOLS[name]
        loads = loads or ({},)
        self.open_before = sum(how.get("connections", go_load.CONNECTIONS) for how in loads)
        with Load([go_load.mix(port, protocol, **how) for how in loads], seconds + 2):
            time.sleep(0.5)  # under load: connected before the recording, all of them
            with Recording(server.pid, env=env) as recording:
                time.sleep(seconds)  # under load: the length of the recording
                recording.stop()
        self.end(server)
        return recording.profile.samples

    def assert_never_crossed(self, samples, protocol, function="burn"):
        """
        Work for A has A's labels, or none; where several requests came at once, an exact sample has. Returns the share
        that has none.
        """
        total = unnamed = 0
        for kind, own in of_kind(samples, function).items():
            self.assertGreater(sum(s.count for s in own), 50, "%s%s: too few to say" % (function, kind))
            wanted = protocol.labels(kind)
            for s in own:
                total += s.nanoseconds
                if "db_operation_name" not in s.labels:
                    unnamed += s.nanoseconds
                elif s.labels["attribution"] != "pipeline":
                    self.assertEqual({k: s.labels.get(k) for k in wanted}, wanted, "%s %s" % (s.labels, s.frames))
        return unnamed / total

    def assert_nobodys(self, samples, *needed):
        """What is nobody's request has none."""
        for function in needed:
            self.assertGreater(cpu([s for s in samples if function in s.frames]), 0.02, function)
        others = [s for s in samples if NOBODYS & set(s.frames)]
        self.assertEqual(set(by(others, "db_operation_name")), {None} if others else set(), by(others, "db_operation_name", "phase"))

    def assert_requests(self, samples, protocol, what, least=0.98):
        handling = sum(cpu(own) for own in of_kind(samples, "burn").values())
        if isinstance(protocol, go_load.Mysql):  # of a connection that was open before, the first few commands are not known
            least -= 0.007 * self.open_before / handling
        unnamed = self.assert_never_crossed(samples, protocol)
        print("    %-40s %6.2f s in handlers, %.2f %% without request" %
              (what, handling, 100 * unnamed), flush=True)
        self.assertLessEqual(unnamed, 1 - least, by([s for s in samples if any("main.burn" in f for f in s.frames)],
                                                    "attribution", "phase", "db_operation_name"))

    def each(self, check, *loads, names=PROTOCOLS, newest=False, **how):
        """check(samples, protocol, what) of each server by each compiler here, or by the newest only."""
        gos = {**({version_of(GO): GO} if os.path.exists(GO) else {}), **compilers()}
        self.assertTrue(gos, "no Go: install golang-go")
        for version, go in sorted(gos.items(), key=lambda item: list(map(int, re.findall(r"\d+", item[0]))))[-1 if newest else 0:]:
            for name in names:
                what = "%s %s" % (version, name)
                with self.subTest(what):
                    check(self.recorded(go, name, *loads, **how), PROTOCOLS[name], what)

    def test_requests(self):
        def check(samples, protocol, what):
            self.assert_requests(samples, protocol, what)
            self.assert_nobodys(samples, "main.helper")
            burning = [s for s in samples if any("main.burn" in f for f in s.frames) and "db_operation_name" in s.labels]
            self.assertEqual(set(by(burning, "attribution")), {"exact"})
        self.each(check, {}, {"units": (20, 200)})

    def test_stripped(self):
        self.each(self.assert_requests, {}, flags=["-ldflags=-s -w"])
    def test_position_independent(self):
        self.each(self.assert_requests, {}, flags=["-buildmode=pie"])
    def test_fallback_hook(self):
        self.each(self.assert_requests, {}, env=FALLBACK)
    def test_at_a_quarter(self):
        """What was received while the hook was not attached has no request, and not that of before."""
        def check(samples, protocol, what):
            print("    %-40s %.1f %% without request" % (what, 100 * self.assert_never_crossed(samples, protocol)), flush=True)
        for env in QUARTER, {**QUARTER, **FALLBACK}:
            self.each(check, {}, {"units": (20, 200)}, {"pipeline": 4, "alike": True}, newest=True, env=env, seconds=12)

    def test_goroutines_that_keep_their_threads(self):
        self.each(self.assert_requests, {}, options=["-lock"], newest=True)
    def test_work_of_other_goroutines(self):
        """Half of the work is done by goroutines that never received anything: theirs is no other's, at least."""
        def check(samples, protocol, what):
            self.assert_requests(samples, protocol, what)
            self.assert_never_crossed(samples, protocol, "child")
        self.each(check, {"connections": 3}, {"connections": 3}, options=["-child"])

    def test_connections_that_end(self):
        """The server closes them with a request unread; new goroutines are given what the ended ones had."""
        def check(samples, protocol, what):
            self.assert_requests(samples, protocol, what, least=0.95)  # what connects anew
            self.assert_nobodys(samples, "main.background")
            # What lingers may have the goodbye, or the request behind it, but not one from before or of another connection.
            lingering = by([s for s in samples if "main.linger" in s.frames], "db_query_summary")
            self.assertGreater(sum(lingering.values()), 0.02)
            self.assertFalse(set(lingering) & {protocol.labels(kind)["db_query_summary"] for kind in go_load.KINDS}, lingering)
        self.each(check, {"leave": 0.3}, {"leave": 0.05})

    def test_pipelines_of_one_kind(self):
        self.each(self.assert_requests, {"pipeline": 4, "alike": True, "units": (5, 60)}, names=["go_resp"], newest=True)

    def test_pipelines_of_all_kinds(self):
        """None is called exact that is another's."""
        self.each(lambda samples, protocol, _: self.assert_never_crossed(samples, protocol),
                  {"pipeline": 6, "units": (5, 60)}, names=["go_resp"], newest=True)

    def test_pieces(self):
        """Requests that come in two receives; between these, the goroutine may have changed its thread."""
        self.each(lambda *of: self.assert_requests(*of, least=0.9), {"pieces": 0.5, "units": (20, 200)}, newest=True)

    def test_small_buffers(self):
        """A buffer of 16 bytes: each request is several receives, and each of them overwrites the last."""
        self.each(lambda samples, protocol, _: self.assert_never_crossed(samples, protocol),
                  {"units": (20, 200)}, options=["-buffer", "16"], newest=True)
    def test_shares(self):
        """Twice the work is twice the share."""
        weights = "AABC"  # drawn from: A twice as often

        def check(samples, protocol, what):
            self.assert_requests(samples, protocol, what)
            named = by(samples, "db_operation_name")
            own = {kind: named[protocol.labels(kind)["db_operation_name"]] for kind in go_load.KINDS}
            for kind, seconds in own.items():
                self.assertAlmostEqual(seconds / sum(own.values()), weights.count(kind) / len(weights), delta=0.05, msg=str(named))
        self.each(check, {"kinds": weights, "units": (40, 40)}, options=["-still"], newest=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)

# SPDX-License-Identifier: Apache-2.0
"""
The pusher (profiler/agent/pusher.h) against a strict stand-in of Pyroscope: whatever the server, the network and the disk do, no
window is lost that was submitted, none is sent again that was refused, and no secret is seen anywhere.
"""
import os
import queue
import random
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

from harness import ROOT
from pyroscope_server import Fault, PyroscopeServer, basic, make_authority

DRIVER = os.path.join(ROOT, "build", "tests", "push", "driver")
DEADLINE_S = 20  # of everything that is waited for
QUICK = {"backoff_min_ms": 5, "backoff_max_ms": 100, "timeout_ms": 5000}


class Driver:
    """tests/push/driver.c as a child."""

    def __init__(self, url, queue_dir, env=None, **options):
        options = {**QUICK, "url": url, "queue_dir": queue_dir, **options}
        args = [DRIVER]
        for name, value in options.items():
            args += ["--" + name.replace("_", "-"), str(value)]
        self.stderr = tempfile.TemporaryFile("w+")
        clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        self.child = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.stderr, text=True,
                                      env={**clean, **(env or {})})
        self.lines = queue.Queue()
        self.submitted = []  # windows that are on the disk, or in memory where there is none
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            words = line.split()
            if words[0] == "submitted":
                self.submitted.append(int(words[1]))
            self.lines.put(words)
        self.lines.put(None)

    def say(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()

    def expect(self, word):
        while True:
            words = self.lines.get(timeout=DEADLINE_S)
            if words is None:
                raise AssertionError("the driver ended: " + self.messages())
            if words[0] == word:
                return words

    def submit(self, n, what="submit"):
        self.say("%s %d" % (what, n))
        for _ in range(n):
            self.expect("submitted")

    def counts(self):
        self.say("counts")
        return {k: int(v) for k, v in (w.split("=") for w in self.expect("counts")[1:])}

    def stop(self, grace_ms=5000):
        """Returns how many milliseconds it took."""
        self.say("stop %d" % grace_ms)
        took = int(self.expect("stopped")[1])
        self.child.stdin.close()
        if self.child.wait(DEADLINE_S):
            raise AssertionError("exit %d: %s" % (self.child.returncode, self.messages()))
        return took

    def kill(self):
        self.child.kill()
        self.child.wait()
        self.reader.join()

    def messages(self):
        self.stderr.seek(0)
        return self.stderr.read()

    def close(self):
        if self.child.poll() is None:
            self.kill()
        for stream in self.child.stdin, self.child.stdout, self.stderr:
            try:
                stream.close()
            except OSError:
                pass


def wait_until(condition, what):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("not within %d s: %s" % (DEADLINE_S, what() if callable(what) else what))
        time.sleep(0.005)


class PushTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="wireprof-push-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.queue = os.path.join(self.directory, "queue")

    def server(self, **options):
        server = PyroscopeServer(**options)
        server.start()
        self.addCleanup(server.stop)
        return server

    def driver(self, server, **options):
        url = server if isinstance(server, str) else server.url
        driver = Driver(url, options.pop("queue_dir", self.queue), **options)
        self.addCleanup(driver.close)
        return driver

    def file(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(path + ".new", path)  # as those do it that rotate tokens
        return path

    def arrived(self, server, windows):
        wait_until(lambda: len(server.windows()) >= len(windows),
                   lambda: "%s of %s; refused: %s" % (server.windows(), windows, server.broken[:3]))
        self.assertEqual(sorted(server.windows()), sorted(windows))
        self.assertEqual(server.broken, [])

    def said(self, driver, *times):
        """times: (regular expression, how often) of the messages; every line has to be of one of these."""
        lines = driver.messages().splitlines()
        for pattern, n in times:
            self.assertEqual(sum(bool(re.search(pattern, line)) for line in lines), n, (pattern, lines))
        self.assertEqual(len(lines), sum(n for _, n in times), lines)


class Plain(PushTest):
    def test_windows_arrive_over_one_connection(self):
        server = self.server(prefix="/pyroscope", X_Scope_OrgID="team-a")
        driver = self.driver(server.url + "/", tenant="team-a")
        driver.submit(20)
        self.arrived(server, range(20))
        self.assertEqual(server.windows(), list(range(20)))
        self.assertEqual(server.connections, 1)
        wait_until(lambda: driver.counts()["pushed"] == 20, driver.counts)
        counts = driver.counts()
        self.assertEqual(counts["submitted"], 20)
        self.assertEqual(counts["queued"] + counts["retried"] + counts["rejected"], 0)
        self.assertLess(abs(counts["last_push_ns"] / 1e9 - time.time()), 60)
        driver.stop()
        self.assertEqual(os.listdir(self.queue), [])
        self.said(driver)

    def test_every_rule_is_kept(self):
        """Hostile names and labels, several services, more samples than one profile may have: nothing is refused."""
        server = self.server()
        driver = self.driver(server, timeout_ms=20000)
        driver.submit(1, "services")
        driver.submit(1, "large")
        wait_until(lambda: driver.counts()["queued"] == 0, driver.counts)
        self.assertEqual(server.broken, [])
        self.assertEqual(sorted((p.window, p.series["service_name"]) for p in server.accepted),
                         [(0, "mysqld"), (0, "redis-server")] + [(1, "driver")] * 2)
        large = [p for p in server.accepted if p.window == 1]
        self.assertEqual(sorted(len(p.profile["sample"]) > 15000 for p in large), [False, True])
        # the parts are apart in time, or they would be one to the server
        self.assertEqual(abs(large[0].profile["time_nanos"] - large[1].profile["time_nanos"]), 1000000)
        driver.stop()
        self.said(driver)

    def test_stop_sends_what_is_queued(self):
        server = self.server()
        driver = self.driver(server, backoff_min_ms=60000, backoff_max_ms=60000)
        server.fault = [Fault.status(503)]
        driver.submit(5)
        wait_until(lambda: server.attempts, "a first attempt")
        self.assertLess(driver.stop(5000), 5000)  # the minute of backoff is not waited for
        self.arrived(server, range(5))

    def test_urls_that_cannot_be(self):
        for url, reason in (("http://user:hunter2@localhost:1", "user or password"), ("localhost:4040", "begin with http"),
                            ("file:///etc/passwd", "begin with http"), ("http://", "understood"),
                            ("http://localhost/?token=hunter2", "query"), ("http://a b/", "understood"), ("", "begin")):
            driver = self.driver(url)
            self.assertEqual(driver.child.wait(DEADLINE_S), 1)
            self.said(driver, (reason, 1))
            self.assertNotIn("hunter2", driver.messages())

    def test_two_agents_exclude_each_other(self):
        server = self.server()
        first = self.driver(server)
        first.submit(1)
        second = self.driver(server)
        self.assertEqual(second.child.wait(DEADLINE_S), 1)
        self.said(second, ("another wireprof uses the queue in .*--queue-dir", 1))
        first.stop()


class Faults(PushTest):
    def survives(self, fault, times=3, windows=4, reason=None, **options):
        """A few pushes meet the fault, then all is well: everything arrives, told once, and nothing twice."""
        server = self.server()
        driver = self.driver(server, **options)
        server.fault = [fault] * times
        driver.submit(windows)
        self.arrived(server, range(windows))
        wait_until(lambda: driver.counts()["pushed"] == windows, driver.messages)
        counts = driver.counts()
        self.assertEqual((counts["retried"], counts["rejected"], counts["queued"]), (times, 0, 0))
        self.assertEqual(server.windows(), list(range(windows)))  # the oldest first
        self.assertEqual(len(set(digest for _, digest in server.attempts[:times + 1])), 1)  # the same body, to the last byte
        driver.stop()
        self.said(driver, ("cannot push to http.*" + (reason or ""), 1), ("works again", 1))
        return server, counts

    def test_status_503(self):
        self.survives(Fault.status(503, b"no healthy upstream"), reason="HTTP 503 no healthy upstream")

    def test_other_statuses(self):
        for status in 408, 429, 500, 502, 504:
            self.survives(Fault.status(status), reason="HTTP %d;" % status)
            shutil.rmtree(self.queue)

    def test_connect_codes_whatever_the_status(self):
        for code in "unavailable", "deadline_exceeded", "internal", "unknown", "aborted", "resource_exhausted":
            self.survives(Fault.connect(400, code, "try later"), times=2, reason="HTTP 400 %s: try later;" % code)
            shutil.rmtree(self.queue)

    def test_retry_after(self):
        server, _ = self.survives(Fault.status(429, Retry_After=1), times=1, backoff_max_ms=5000)
        self.assertGreaterEqual(server.attempts[1][0] - server.attempts[0][0], 0.95)

    def test_retry_after_is_bounded(self):
        self.survives(Fault.status(503, Retry_After=100000), times=2)
        shutil.rmtree(self.queue)
        self.survives(Fault.status(503, Retry_After="Fri, 31 Dec 2055 23:59:59 GMT"), times=2)

    def test_no_http(self):
        self.survives(Fault.raw(b"\x00\x01\x02 what is this?\r\n\r\n"))

    def test_nothing(self):
        self.survives(Fault.raw(b""))

    def test_reset(self):
        self.survives(Fault.reset())

    def test_half_a_reply(self):
        self.survives(Fault.raw(b"HTTP/1.1 503 Service Unav"))
        shutil.rmtree(self.queue)
        self.survives(Fault.raw(b"HTTP/1.1 503 X\r\nContent-Length: 100\r\n\r\nhalf"))

    def test_an_endless_reply(self):
        self.survives(Fault.endless(), times=2, reason="does not end")
        shutil.rmtree(self.queue)
        self.survives(Fault.endless(b"HTTP/1.1 503 X\r\n", b"X-Header: " + b"y" * 4000 + b"\r\n"), times=2)

    def test_silence(self):
        _, counts = self.survives(Fault.hang(), times=2, timeout_ms=300, reason="timed out|Timeout|Operation")
        self.assertEqual(counts["timeouts"], 2)

    def test_a_byte_at_a_time(self):
        _, counts = self.survives(Fault.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0.1), times=2, timeout_ms=300)
        self.assertEqual(counts["timeouts"], 2)

    def test_a_wrong_url(self):
        for status in 404, 405, 501:
            self.survives(Fault.status(status, b"404 page not found"), reason="HTTP %d.*check the address" % status)
            shutil.rmtree(self.queue)

    def test_redirects_are_not_followed(self):
        other = self.server()
        self.survives(Fault.status(307, Location=other.url + "/push.v1.PusherService/Push"), reason="check the address")
        self.assertEqual(other.attempts, [])

    def test_a_200_with_garbage_is_success(self):
        server = self.server()

        def garbage(handler):
            handler.take()
            handler.answer(200, b'{"code":"internal"} \xff\x00 not a PushResponse')
        server.fault = garbage
        driver = self.driver(server)
        driver.submit(3)
        self.arrived(server, range(3))
        driver.stop()
        self.said(driver)

    def test_an_answer_that_is_lost(self):
        """The server has it, but the client cannot know: it comes again, under its ID, and only that one."""
        server = self.server()
        driver = self.driver(server)
        server.fault = [Fault.accept_then_reset()]
        driver.submit(3)
        wait_until(lambda: len(server.accepted) == 4, server.windows)
        driver.stop()
        self.assertEqual(server.windows(), [0, 0, 1, 2])
        self.assertEqual(server.accepted[0].id, server.accepted[1].id)

    def test_nobody_listens(self):
        server = self.server()
        server.stop()
        driver = self.driver(server)
        driver.submit(12)
        wait_until(lambda: driver.counts()["retried"] >= 5, driver.messages)
        self.assertEqual(driver.counts()["queued"], 12)
        server.start()
        self.arrived(server, range(12))
        self.assertEqual(server.windows(), list(range(12)))
        driver.stop()
        self.said(driver, ("cannot push to .*[Cc]onnect", 1), ("works again; 1[12] profiles are queued", 1))

    def test_a_host_that_there_is_not(self):
        driver = self.driver("http://no-such-host.invalid:4040")
        driver.submit(1)
        wait_until(lambda: driver.counts()["retried"] >= 1, driver.messages)
        driver.stop(100)
        self.said(driver, ("cannot push to .*resolve", 1))

    def test_an_outage_is_not_answered_with_a_flood(self):
        server = self.server()
        server.fault = Fault.status(503)
        driver = self.driver(server, backoff_min_ms=50, backoff_max_ms=400)
        driver.submit(40)
        wait_until(lambda: len(server.attempts) >= 8, driver.messages)
        times = [when for when, _ in server.attempts[:8]]
        for i, least_ms in enumerate((25, 50, 100, 200, 200, 200, 200)):  # half of 50, 100, 200, 400, 400 ...
            self.assertGreater(times[i + 1] - times[i], least_ms / 1000 * 0.9)
        server.fault = None
        self.arrived(server, range(40))
        times = [p.when for p in server.accepted]
        self.assertGreater(times[-1] - times[0], 39 * 0.02)  # one by one, with gaps
        self.assertEqual(server.connections, 1)
        driver.stop()

    def test_stop_does_not_wait_for_a_server_that_hangs(self):
        server = self.server()
        server.fault = Fault.hang()
        driver = self.driver(server, timeout_ms=30000)
        driver.submit(3)
        wait_until(lambda: server.attempts, "an attempt")
        took = driver.stop(300)
        self.assertGreaterEqual(took, 250)
        self.assertLess(took, 3000)
        again = self.driver(server)
        self.assertEqual(again.counts()["queued"], 3)

    def test_a_body_that_always_fails_does_not_hold_up_the_others(self):
        server = self.server()
        poison = []

        def fail_on_first(handler):
            digest = server.attempts[-1][1]
            poison.append(digest) if not poison else None
            if digest == poison[0]:
                handler.error(500, "internal", "cannot cope with this one")
                return
            handler.take()
            handler.answer(200)
        server.fault = fail_on_first
        driver = self.driver(server)
        driver.submit(6)
        wait_until(lambda: len(server.accepted) == 5, driver.messages)
        self.assertEqual(server.windows(), [1, 2, 3, 4, 5])
        wait_until(lambda: driver.counts()["rejected"] == 1, driver.counts)
        self.assertEqual(driver.counts()["queued"], 0)
        driver.stop()
        self.said(driver, ("cannot push", 1), ("works again", driver.messages().count("works again")),
                  ("fails on a profile while it takes others", 1))


class Refusals(PushTest):
    def test_400_is_never_sent_again(self):
        server = self.server()
        driver = self.driver(server)
        server.fault = [Fault.connect(400, "invalid_argument", "push series with index 0 and id %032x failed" % i)
                        for i in range(3)] + [Fault.status(413, b"too large"), Fault.status(400), Fault.status(422, b"\xff\x00")]
        driver.submit(10)
        self.arrived(server, range(6, 10))
        self.assertEqual(len(set(digest for _, digest in server.attempts)), 10)
        self.assertEqual(len(server.attempts), 10)
        wait_until(lambda: driver.counts()["queued"] == 0, driver.counts)
        counts = driver.counts()
        self.assertEqual((counts["rejected"], counts["retried"], counts["pushed"]), (6, 0, 4))
        driver.stop()
        self.assertEqual(os.listdir(self.queue), [])
        # the three that differ by an identifier are told as one
        self.said(driver, ("refuses a profile: HTTP 400 invalid_argument: push series with index 0", 1),
                  ("HTTP 413 too large", 1), ("HTTP 400;", 1), ("HTTP 422;|HTTP 422 ", 0 if "422" not in driver.messages() else 1))

    def test_reasons_are_harmless_and_few(self):
        server = self.server()
        driver = self.driver(server)
        nasty = "\x1b[31mred\x07\r\n\u202eevil\u2028 line " + "long " * 1000
        server.fault = [Fault.connect(400, "invalid_argument", nasty), Fault.status(400, b"\x1b]0;title\x07\xff\xfe bytes"),
                        Fault.status(400, b'{"code": ["unavailable"], "message": {"a": 1}}'),
                        Fault.status(400, b'[' * 5000), Fault.status(400, b'{"code":"invalid_argument","message":"\\u0000x"}')]
        server.fault += [Fault.status(400, b"reason " + bytes([ord("g") + i]) * 3) for i in range(15)]
        driver.submit(20)
        wait_until(lambda: driver.counts()["rejected"] == 20, driver.counts)
        driver.stop()
        text = driver.messages()
        self.assertEqual(len(text.splitlines()), 9)  # eight kinds, and that there are more
        self.assertEqual(set(c for c in text if ord(c) < 32 or 0x7f <= ord(c) < 0xa0 or ord(c) in (0x202e, 0x2028)), {"\n"})
        self.assertTrue(all(len(line) < 500 for line in text.splitlines()), text)
        self.assertIn("[31mred evil line long", text)

    def test_refusals_do_not_hide_behind_an_outage(self):
        server = self.server()
        driver = self.driver(server)
        server.fault = [Fault.status(503), Fault.connect(400, "invalid_argument", "no"), Fault.status(503)]
        driver.submit(3)
        self.arrived(server, [1, 2])
        driver.stop()
        self.said(driver, ("cannot push", 2), ("works again", 2), ("refuses a profile", 1))


class Secrets(PushTest):
    def check_unseen(self, driver, *secrets):
        with open("/proc/%d/cmdline" % driver.child.pid, "rb") as f:
            seen = f.read().decode()
        seen += driver.messages()
        for secret in secrets:
            self.assertNotIn(secret, seen)

    def test_a_bearer_token_that_is_rotated(self):
        server = self.server(authorization="Bearer second-token-4711")
        path = self.file("token", "first-token-0815\n")
        driver = self.driver(server, bearer_file=path)
        driver.submit(3)
        wait_until(lambda: driver.counts()["auth_errors"] >= 3, driver.messages)
        self.assertEqual(driver.counts()["queued"], 3)
        self.file("token", "second-token-4711\n")
        self.arrived(server, range(3))
        self.check_unseen(driver, "first-token-0815", "second-token-4711", "token-")
        driver.stop()
        # the server sent our token back in its reason
        self.said(driver, (r"cannot push .*HTTP 401 unauthenticated: wrong credentials: Bearer \*+; check the credentials", 1),
                  ("works again", 1))

    def test_basic_auth(self):
        server = self.server(authorization=basic("me:pass:w\u00f6rd"))
        path = self.file("secret", "me:pass:w\u00f6rd\r\n")
        driver = self.driver(server, basic_auth_file=path)
        driver.submit(2)
        self.arrived(server, range(2))
        self.check_unseen(driver, "pass:w", basic("me:pass:w\u00f6rd"))
        driver.stop()
        self.said(driver)

    def test_the_environment(self):
        for env, wanted in (({"WIREPROF_BEARER": "env-token-1"}, "Bearer env-token-1"),
                            ({"WIREPROF_BASIC_AUTH": "a:env-pass-2"}, basic("a:env-pass-2"))):
            server = self.server(authorization=wanted)
            driver = self.driver(server, env=env)
            driver.submit(1)
            self.arrived(server, [0])
            self.check_unseen(driver, "env-token-1", "env-pass-2")
            driver.stop()
        server = self.server(authorization="Bearer of-file-3")  # a file comes before it
        driver = self.driver(server, env={"WIREPROF_BASIC_AUTH": "a:b"}, bearer_file=self.file("t", "of-file-3"))
        driver.submit(1)
        self.arrived(server, [0])
        driver.stop()

    def test_both_kinds_are_a_mistake(self):
        for options in ({"bearer_file": "/x", "basic_auth_file": "/y"}, {"env": {"WIREPROF_BEARER": "a", "WIREPROF_BASIC_AUTH": "b"}}):
            driver = self.driver("http://localhost:1", **options)
            self.assertEqual(driver.child.wait(DEADLINE_S), 1)
            self.said(driver, ("both a password and a bearer token", 1))

    def test_files_that_cannot_be_used(self):
        """One line each; the windows wait until the file is as it should be."""
        server = self.server(authorization="Bearer good-token")
        path = os.path.join(self.directory, "token")
        driver = self.driver(server, bearer_file=path)
        driver.submit(2)
        wait_until(lambda: driver.counts()["auth_errors"] >= 3, driver.messages)
        for text in "", "\n\n", "two words-secret", "x" * 70000:
            self.file("token", text)
            before = driver.counts()["auth_errors"]
            wait_until(lambda: driver.counts()["auth_errors"] >= before + 2, driver.messages)
        self.assertEqual(server.attempts, [])
        self.assertEqual(driver.counts()["queued"], 2)
        self.file("token", "good-token")
        self.arrived(server, range(2))
        self.check_unseen(driver, "good-token", "words-secret")
        driver.stop()
        self.said(driver, ("cannot push .*cannot read .*token: No such file", 1), ("works again", 1))

    def test_basic_auth_without_a_colon(self):
        server = self.server()
        driver = self.driver(server, basic_auth_file=self.file("secret", "no-colon-secret"))
        driver.submit(1)
        wait_until(lambda: driver.counts()["auth_errors"] >= 1, driver.messages)
        self.check_unseen(driver, "no-colon-secret")
        driver.stop()
        self.said(driver, ("secret is not one line of user:password", 1))
        self.assertEqual(server.attempts, [])

    def test_a_header_file(self):
        server = self.server(X_Api_Key="key-1234 5678", X_Second="2")
        path = self.file("headers", "# for the gateway\n\nX-Api-Key: key-1234 5678\r\nX-Second:2\n")
        driver = self.driver(server, header_file=path)
        driver.submit(1)
        self.arrived(server, [0])
        server.fault = [Fault.status(403, b"key-1234 5678 is not known")]
        driver.submit(1)
        self.arrived(server, [0, 1])
        self.check_unseen(driver, "key-1234")
        for text, problem in (("X-A: b\nno header here-secret\n", "line 2 of .* is not"), ("Content-Type: text/secret\n", "line 1 .*not to be"),
                              ("X-A:\n", "line 1 .*no value"), ("X-A: a\x01secret\n", "line 1 .*control"),
                              ("".join("X-%d: y\n" % i for i in range(40)), "line 33 .*too many")):
            bad = self.driver(server, header_file=self.file("bad", text), queue_dir=os.path.join(self.directory, "other"))
            bad.submit(1)
            wait_until(lambda: bad.counts()["auth_errors"] >= 1, bad.messages)
            self.check_unseen(bad, "secret")
            bad.stop(0)
            self.said(bad, (problem, 1))
        driver.stop()

    def test_tls(self):
        authority, certificate = make_authority(self.directory)
        server = self.server(tls=certificate, authorization="Bearer tls-token")
        token = self.file("token", "tls-token")
        driver = self.driver(server, ca_file=authority, bearer_file=token)
        driver.submit(5)
        self.arrived(server, range(5))
        self.assertEqual(server.connections, 1)
        driver.stop()
        self.said(driver)
        # its authority is not known; and it is, but the certificate is for another name
        for url, options in ((server.url, {}), (server.url.replace("localhost", "127.0.0.1"), {"ca_file": authority})):
            stranger = self.driver(url, bearer_file=token, queue_dir=os.path.join(self.directory, "stranger"), **options)
            stranger.submit(1)
            wait_until(lambda: stranger.counts()["retried"] >= 2, stranger.messages)
            stranger.stop(100)
            self.said(stranger, ("cannot push .*certificate.*--ca-file", 1))
        self.assertEqual(len(server.accepted), 5)
        self.assertEqual(len(server.requests), 5)  # no token went there

    def test_no_such_authority(self):
        driver = self.driver("https://localhost:1", ca_file="/no/such.pem")
        self.assertEqual(driver.child.wait(DEADLINE_S), 1)
        self.said(driver, ("cannot read the certificates in /no/such.pem", 1))

    def test_credentials_in_the_clear_are_warned_of(self):
        driver = self.driver("http://192.0.2.1:4040", bearer_file=self.file("t", "token-x"))
        driver.stop(0)
        self.said(driver, ("without encryption", 1))


class Queue(PushTest):
    def test_a_restart_with_a_full_queue(self):
        server = self.server()
        server.stop()
        first = self.driver(server)
        first.submit(50)
        first.stop(200)
        server.start()
        second = self.driver(server, first_window=50)
        second.submit(5)
        self.arrived(server, range(55))
        self.assertEqual(server.windows(), list(range(55)))
        second.stop()

    def test_the_oldest_go_when_the_queue_is_full(self):
        server = self.server()
        server.stop()
        driver = self.driver(server, queue_bytes=100 << 10)
        driver.submit(60)
        counts = driver.counts()
        self.assertEqual(counts["dropped_full"] + counts["queued"], 60)
        self.assertGreater(counts["dropped_full"], 10)
        self.assertLessEqual(counts["queued_bytes"], 100 << 10)
        wait_until(lambda: driver.counts()["retried"], driver.messages)
        server.start()
        self.arrived(server, range(counts["dropped_full"], 60))
        driver.stop()
        self.said(driver, ("cannot push", 1), ("is full", 1), ("works again", 1))

    def test_killed_in_a_storm_it_loses_nothing(self):
        """
        Ten minutes of 503, with some successes in between, at a hundredth of their length; killed six times. What was
        submitted arrives; the same body keeps its ID; and only what was under way when it was killed may come twice.
        """
        server = self.server()
        server.repeats_allowed = True
        chance = random.Random(7)

        def storm(handler):
            if chance.random() < 0.6:
                handler.answer(503)
                return
            handler.take()
            handler.answer(200)
        server.fault = storm
        submitted, kills = [], 6
        for i in range(kills):
            driver = self.driver(server, first_window=10000 * i, backoff_min_ms=5, backoff_max_ms=300, timeout_ms=300)
            until = time.monotonic() + chance.uniform(0.6, 1.2)
            driver.say("submit 15")
            while time.monotonic() < until:
                driver.say("submit 1")
                time.sleep(0.04)
            driver.kill()
            submitted += driver.submitted
        server.fault = None
        driver = self.driver(server, first_window=1000000)
        wait_until(lambda: driver.counts()["queued"] == 0, driver.counts)
        driver.stop()
        self.assertGreater(len(submitted), 40)
        self.assertEqual(set(submitted) - set(server.windows()), set())
        ids = {}  # of each window
        for push in server.accepted:
            ids.setdefault(push.window, []).append(push.id)
        self.assertEqual([window for window, all_ids in ids.items() if len(set(all_ids)) > 1], [])
        self.assertLessEqual(sum(len(all_ids) - 1 for all_ids in ids.values()), kills)
        self.assertEqual(server.broken, [])

    def test_a_full_disk_under_the_queue(self):
        mount = os.path.join(self.directory, "disk")
        os.mkdir(mount)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mount], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", mount], check=True)
        server = self.server()
        server.stop()
        driver = self.driver(server, queue_dir=mount + "/queue")
        driver.submit(3)
        with open(mount + "/other", "wb", buffering=0) as f:
            try:
                while f.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        driver.submit(10)
        counts = driver.counts()
        self.assertEqual((counts["queued"], counts["queued_in_memory"], counts["dropped_full"]), (13, 10, 0))
        self.assertGreater(counts["disk_errors"], 0)
        wait_until(lambda: driver.counts()["retried"], driver.messages)
        server.start()
        self.arrived(server, range(13))
        wait_until(lambda: driver.counts()["queued"] == 0, driver.counts)
        os.unlink(mount + "/other")
        driver.submit(1)
        self.arrived(server, range(14))
        self.assertEqual(driver.counts()["queued_in_memory"], 0)
        driver.stop()
        self.said(driver, ("cannot push", 1), ("works again", 1), ("cannot write to the queue .*No space left", 1),
                  ("the queue in .* can be written again$", 1))

    def test_a_queue_that_is_tampered_with(self):
        server = self.server()
        server.stop()
        driver = self.driver(server)
        driver.submit(5)
        driver.stop(0)
        names = sorted(os.listdir(self.queue))
        os.truncate(os.path.join(self.queue, names[1]), 100)
        with open(os.path.join(self.queue, "notes.txt"), "w", encoding="ascii") as f:
            f.write("mine")
        server.start()
        driver = self.driver(server, first_window=5)
        driver.submit(1)
        self.arrived(server, [0, 2, 3, 4, 5])
        self.assertEqual(driver.counts()["broken"], 1)
        driver.stop()
        self.assertEqual(os.listdir(self.queue), ["notes.txt"])


if __name__ == "__main__":
    unittest.main()

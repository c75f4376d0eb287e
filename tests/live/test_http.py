# SPDX-License-Identifier: Apache-2.0
"""The agent's HTTP server, asked, misused and attacked. What every test ends with: the loop ticks, nothing leaks."""
import gzip
import random
import socket
import time
import unittest

from http_client import Driver
from harness import wait_for

BIG_BYTES = 5 << 20
SECURITY = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
}


class Served(unittest.TestCase):
    """With one server for all tests."""

    @classmethod
    def setUpClass(cls):
        cls.driver = Driver(names=["agent.example.org"])
        cls.descriptors = cls.driver.descriptors()

    @classmethod
    def tearDownClass(cls):
        with cls.driver:
            cls.driver.quiet()

    def tearDown(self):
        self.driver.ticks_on()
        self.driver.quiet()
        wait_for(lambda: self.driver.descriptors() <= self.descriptors, 20, "descriptors")


class Answers(Served):
    def test_three_routes_on_one_connection(self):
        with self.driver.connect() as c:
            for path, content_type in (("/state", "application/json"), ("/kept", "text/plain"),
                                       ("/metrics", "text/plain; version=0.0.4; charset=utf-8")):
                c.request(path)
                answer = c.answer()
                self.assertEqual((answer.status, answer["content-type"]), (200, content_type))
                for name, value in SECURITY.items():
                    self.assertEqual(answer[name], value)
                self.assertIn("default-src 'none'", answer["content-security-policy"])
                self.assertIn("frame-ancestors 'none'", answer["content-security-policy"])
                self.assertNotIn("access-control-allow-origin", answer.headers)

    def test_errors_carry_the_same_headers(self):
        for options in ({"path": "/nowhere"}, {"method": "PUT"}, {"host": "evil.example.com"}):
            answer = self.driver.get(**options)
            for name, value in SECURITY.items():
                self.assertEqual(answer[name], value)

    def test_head(self):
        with self.driver.connect() as c:
            for path in ("/state", "/big", "/nowhere", "/not-ready"):
                c.request(path, method="HEAD")
                head = c.answer(head=True)
                c.request(path)
                self.assertEqual(head.status, c.answer().status)
            c.request("/big", method="HEAD")
            self.assertEqual(c.answer(head=True)["content-length"], str(BIG_BYTES))
            c.request("/big", method="HEAD", headers=["Accept-Encoding: gzip"])
            self.assertEqual(c.answer(head=True).status, 200)
            c.request("/state")  # no body was left over
            self.assertEqual(c.answer().status, 200)

    def test_query(self):
        for query in ("", "a=b", "a=%2e%00&b", "?", "x" * 3000):
            answer = self.driver.get("/?" + query)
            self.assertEqual((answer.status, answer.text()), (200, query))
        self.assertEqual(self.driver.get("/").text(), "")

    def test_other_methods(self):
        before = self.driver.state()["refused"]
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "get", "PROPFIND", "X"):
            answer = self.driver.get("/state", method=method)
            self.assertEqual((answer.status, answer["allow"]), (405, "GET, HEAD"), method)
        self.assertEqual(self.driver.state()["refused"], before + 10)

    def test_not_ready_and_broken(self):
        answer = self.driver.get("/not-ready")
        self.assertEqual((answer.status, answer["retry-after"]), (503, "1"))
        before = self.driver.state()["failed"]
        self.assertEqual(self.driver.get("/broken").status, 500)
        self.assertEqual(self.driver.state()["failed"], before + 1)

    def test_kept_answers(self):
        """One answer serves all who ask the same; another query gets its own."""
        first = self.driver.get("/kept?a").text()
        self.assertEqual(self.driver.get("/kept?a").text(), first)
        self.assertNotEqual(self.driver.get("/kept?b").text(), first)
        self.driver.get("/kept?" + "c" * 100)
        self.assertEqual(self.driver.get("/same?a").text(), self.driver.get("/same?b").text())
        brief = self.driver.get("/briefly").text()
        wait_for(lambda: self.driver.get("/briefly").text() != brief, 10, "an answer that is made anew")

    def tearDown(self):
        # What /kept keeps stays in memory for a minute: here only the connections end.
        self.driver.ticks_on()
        wait_for(lambda: self.driver.state()["connections"] == 1, 20, "the connections' end")

    @classmethod
    def tearDownClass(cls):
        with cls.driver:
            pass

    def test_old_versions(self):
        with self.driver.connect() as c:
            c.request("/big", version="1.0", headers=["Accept-Encoding: gzip"])
            answer = c.answer()
            self.assertEqual(len(gzip.decompress(answer.body)), BIG_BYTES)
            self.assertNotIn("transfer-encoding", answer.headers)


class Compression(Served):
    def test_gzip(self):
        plain = self.driver.get("/big")
        packed = self.driver.get("/big", headers=["Accept-Encoding: deflate, gzip;q=0.5, br"])
        self.assertEqual((plain["content-encoding"], packed["content-encoding"]), (None, "gzip"))
        self.assertEqual((plain["vary"], packed["vary"]), ("Accept-Encoding", "Accept-Encoding"))
        self.assertEqual(len(plain.body), BIG_BYTES)
        self.assertLess(len(packed.body), BIG_BYTES * 3 // 4)
        self.assertEqual(gzip.decompress(packed.body), plain.body)

    def test_what_does_not_compress(self):
        plain = self.driver.get("/noise")
        packed = self.driver.get("/noise", headers=["Accept-Encoding: gzip"])
        self.assertGreater(len(packed.body), len(plain.body) * 0.9)
        self.assertEqual(gzip.decompress(packed.body), plain.body)

    def test_not_wanted(self):
        for value in ("", "identity", "gzip;q=0", "gzip; q=0.000", "deflate", "xgzip", "gzipx", "gzip ;q=0"):
            self.assertIsNone(self.driver.get("/big", headers=["Accept-Encoding: " + value])["content-encoding"], value)
        for value in ("GZIP", "gzip;q=1", " gzip", "br,gzip", "gzip;q=0.001", ",,gzip"):
            self.assertEqual(self.driver.get("/big", headers=["Accept-Encoding: " + value])["content-encoding"], "gzip")

    def test_small_bodies_stay_as_they_are(self):
        for n in (1023, 1024, 1025, 1026):
            answer = self.driver.get("/?" + "x" * n, headers=["Accept-Encoding: gzip"])
            self.assertEqual(answer["content-encoding"], "gzip" if n > 1024 else None)
            self.assertEqual(answer.text(), "x" * n)


class Refusals(Served):
    def test_paths(self):
        for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//", "//state", "/state/", "/state/../state", "/STATE",
                     "/%73tate", "/state%00", "/./state", "*", "state", "http://localhost/state", "/" + "a" * 8000, "/;state",
                     "/state#x", "/\\state", "/state%3fa"):
            self.assertIn(self.driver.get(path).status, (400, 404), path)
        self.assertIn(self.driver.get("/" + "a" * 200000).status, (414, 431))

    def test_headers_that_are_too_large(self):
        answer = self.driver.get("/state", headers=["X-Large: " + "a" * 100000])
        self.assertIn(answer.status, (400, 413, 431))
        with self.driver.connect() as c:
            c.send(b"GET /state HTTP/1.1\r\nHost: localhost\r\n")
            try:
                for i in range(20000):
                    c.send(b"X-%d: y\r\n" % i)
                c.send(b"\r\n")
            except (ConnectionResetError, BrokenPipeError):
                pass
            self.assertNotIn(b" 200 ", c.rest())

    def test_hosts(self):
        for host in ("localhost", "LocalHost:1", "localhost.:80", "127.0.0.1", "127.0.0.1:65535", "10.1.2.3", "[::1]", "[::1]:80",
                     "[fe80::1]", "agent.example.org", "AGENT.example.org:7777"):
            self.assertEqual(self.driver.get("/state", host=host).status, 200, host)
        before = self.driver.state()["refused_host"]
        bad = ("evil.example.com", "localhost.evil.example.com", "127.0.0.1.evil.example.com", "evil.example.com:80", "localhost@evil",
               "localhost:80@evil.example.com", "localhost:80:80", "localhost:", "localhost:x", "localhost:99999", "[::1", "[::1]x", "[]",
               "[evil]", "::1", "127.1", "0x7f000001", "2130706433", "agent.example.org.evil.com", "xagent.example.org", "localhost,evil",
               "localhost evil", "127.0.0.1/", "user@127.0.0.1", ".", "..", "localhost..", "-")
        for host in bad:
            answer = self.driver.get("/state", host=host)
            self.assertEqual(answer.status, 403, host)
            self.assertIn("--allow-host", answer.text())
            self.assertNotIn(host if len(host) > 5 and host not in "localhost" else "evil", answer.text())
        self.assertEqual(self.driver.state()["refused_host"], before + len(bad))

    def test_no_host_and_two(self):
        for options in ({"host": None}, {"host": None, "version": "1.0"}, {"host": ""},
                        {"headers": ["Host: localhost"]}, {"headers": ["Host: evil.example.com"]},
                        {"host": "evil.example.com", "headers": ["hOSt: localhost"]}):
            self.assertIn(self.driver.get("/state", **options).status, (400, 403), options)

    def test_another_host_never_learns_what_there_is(self):
        """The Host header is looked at before all else."""
        for options in ({"path": "/nowhere"}, {"method": "POST"}, {"method": "POST", "headers": ["Content-Length: 5"]}):
            self.assertEqual(self.driver.get(host="evil.example.com", **options).status, 403)

    def test_bodies_are_not_read(self):
        for method, status in (("GET", 413), ("HEAD", 413), ("POST", 405)):
            for headers in (["Content-Length: 1000000000"], ["Transfer-Encoding: chunked"],
                            ["Content-Length: 5", "Expect: 100-continue"]):
                with self.driver.connect() as c:
                    c.request("/state", method=method, headers=headers)
                    answer = c.answer(head=method == "HEAD")
                    self.assertEqual(answer.status, status)
                    self.assertEqual(answer["connection"].lower(), "close")
                    try:
                        for _ in range(100):
                            c.send(b"x" * 65536)
                    except (ConnectionResetError, BrokenPipeError):
                        pass
                    c.closed()
        for headers in (["Content-Length: 5", "Content-Length: 6"], ["Content-Length: -1"], ["Content-Length: x"],
                        ["Content-Length: 99999999999999999999999"]):
            self.assertIn(self.driver.get("/state", headers=headers).status, (400, 413))

    def test_a_body_is_no_request(self):
        """What stands where a body was announced is not taken for another request."""
        with self.driver.connect() as c:
            smuggled = b"GET /state HTTP/1.1\r\nHost: localhost\r\n\r\n"
            c.request("/kept", headers=["Content-Length: %d" % len(smuggled)])
            c.send(smuggled)
            self.assertEqual(c.rest().count(b"HTTP/1.1"), 1)


class Attacks(Served):
    def test_pipelining(self):
        with self.driver.connect() as c:
            c.send(b"".join(b"GET /?%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % i for i in range(500)))
            for i in range(500):
                self.assertEqual(c.answer().text(), str(i))

    def test_byte_by_byte(self):
        with self.driver.connect() as c:
            for byte in b"GET /?x HTTP/1.1\r\nHost: localhost\r\n\r\n":
                c.send(bytes([byte]))
                if byte == 10:
                    self.driver.ticks_on(1)
            self.assertEqual(c.answer().text(), "x")

    def test_half_requests(self):
        whole = b"GET /state HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for n in range(len(whole)):
            with self.driver.connect() as c:
                c.send(whole[:n])
                if n % 3 == 0:
                    c.socket.shutdown(socket.SHUT_WR)
                    self.assertNotIn(b" 200 ", c.rest())
                elif n % 3 == 1:
                    c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset

    def test_clients_that_leave_in_the_middle(self):
        for _ in range(20):
            with self.driver.connect(receive_buffer=4096) as c:
                c.request("/big", headers=["Accept-Encoding: gzip"])
                c.bytes(1000)
            with self.driver.connect() as c:
                c.request("/big")

    def test_slow_readers(self):
        """They hold their answers; meanwhile others are served, and in the end they have every byte."""
        slow = [self.driver.connect(receive_buffer=4096) for _ in range(10)]
        try:
            for i, c in enumerate(slow):
                c.request("/big", headers=["Accept-Encoding: gzip"] if i % 2 else [])
                c.bytes(100)
            self.driver.ticks_on(20)
            state = self.driver.state()
            self.assertEqual((state["connections"], state["body_bytes"]), (11, 10 * BIG_BYTES))
            self.assertEqual(len(slow[0].bytes(BIG_BYTES)), BIG_BYTES)
        finally:
            for c in slow:
                c.socket.close()

    def test_memory_for_answers_is_bounded(self):
        readers = [self.driver.connect(receive_buffer=4096) for _ in range(20)]
        try:
            for c in readers:
                c.request("/big")
            statuses = [c.line().split()[1] for c in readers]
            self.assertLessEqual(self.driver.state()["body_bytes"], 64 << 20)
            self.assertEqual(statuses.count("200"), (64 << 20) // BIG_BYTES)
            self.assertEqual(statuses.count("503"), 20 - (64 << 20) // BIG_BYTES)
        finally:
            for c in readers:
                c.socket.close()

    def test_200_connections_at_once(self):
        connections = []
        try:
            for _ in range(200):
                connections.append(self.driver.connect())
                connections[-1].request("/?me")
            for c in connections:  # each gets its turn: those that have had an answer make room
                self.assertEqual(c.answer().text(), "me")
        finally:
            for c in connections:
                c.socket.close()

    def test_a_flood_of_silent_connections(self):
        before = self.driver.state()["too_slow"]
        silent = [self.driver.connect() for _ in range(80)]
        try:
            for c in silent[::2]:
                c.send(b"GET /")
            self.driver.ticks_on()  # there is room again within seconds
            self.assertGreater(self.driver.state()["too_slow"], before)
        finally:
            for c in silent:
                c.socket.close()

    def test_garbage(self):
        for data in (b"\0" * 1000, b"\r\n" * 1000, b"\xff" * 70000, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"A" * 500,
                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET\r\n\r\n", b"GET /\r\n\r\n", b" / HTTP/1.1\r\n\r\n",
                     b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", b"GET /state HTTP/1.1\nHost localhost\n\n",
                     b"GET  /state  HTTP/1.1\r\nHost : localhost\r\n\r\n", b":\r\n:\r\n\r\n",
                     b"GET /state HTTP/1.1\r\n Host: localhost\r\n\r\n",
                     b"GET /\0/../state HTTP/1.1\r\nHost: evil.example.com\r\n\r\n", b"GET /state HTTP/1.1\r\nHost: local\r\n host\r\n\r\n"):
            with self.driver.connect() as c:
                try:
                    c.send(data)
                    c.socket.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                self.assertNotIn(b'"ticks"', c.rest(), data[:40])

    def test_random_requests(self):
        """Made of pieces of requests and of noise, by a seed: whatever comes, the server stays up and answers."""
        rng = random.Random(7)
        pieces = [b"GET ", b"HEAD ", b"POST ", b"/state", b"/big", b"/?", b"/", b" HTTP/1.1", b" HTTP/1.0", b"\r\n", b"\n", b"\r", b"Host: ",
                  b"localhost", b"127.0.0.1", b":", b": ", b"Content-Length: ", b"5", b"Transfer-Encoding: chunked", b"Connection: close",
                  b"Connection: keep-alive", b"Expect: 100-continue", b"Accept-Encoding: gzip", b"\0", b"%00", b"%", b"&=", b"\xff\xfe", b" ",
                  b"0\r\n\r\n", b"Cookie: a=b", b"Upgrade: h2c", b"Range: bytes=0-1", b"GET /state HTTP/1.1\r\nHost: localhost\r\n\r\n"]
        deadline, n = time.monotonic() + 6, 0
        while time.monotonic() < deadline:
            n += 1
            data = b"".join(rng.choice(pieces) if rng.random() < 0.9 else rng.randbytes(rng.randrange(40))
                            for _ in range(rng.randrange(40)))
            with self.driver.connect(timeout=60) as c:
                try:
                    c.send(data)
                    if rng.random() < 0.7:
                        c.socket.shutdown(socket.SHUT_WR)
                        c.rest()
                except OSError:
                    pass
        self.assertGreater(n, 100)


if __name__ == "__main__":
    unittest.main()

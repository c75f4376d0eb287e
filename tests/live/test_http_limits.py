# SPDX-License-Identifier: Apache-2.0
"""The agent's HTTP server: how long clients may take, what happens without descriptors, where it listens; and in a browser."""
import socket
import subprocess
import threading
import time
import unittest

from check_page import Page
from harness import wait_for
from http_client import DRIVER, Driver

BIG_BYTES = 5 << 20


class Limits(unittest.TestCase):
    """With short times for clients."""

    def test_a_trickle_of_a_request(self):
        """A byte now and then is not enough."""
        with Driver(request_ms=400) as driver, driver.connect() as c:
            with self.assertRaises(OSError):
                for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"a" * 1000:
                    c.send(bytes([byte]))
                    time.sleep(0.05)
            self.assertEqual(driver.state()["too_slow"], 1)
            driver.quiet()

    def test_trickles_on_all_connections(self):
        """However long a request may take otherwise: when there is no room left, those that send none make some."""
        stop = threading.Event()

        def trickle(connections):
            while not stop.wait(0.3):
                for c in connections:
                    try:
                        c.send(b"x")
                    except OSError:
                        pass
        with Driver(request_ms=3600000) as driver:
            silent = [driver.connect() for _ in range(32)]
            thread = threading.Thread(target=trickle, args=[silent])
            thread.start()
            try:
                self.assertGreater(driver.state()["too_slow"], 0)
            finally:
                stop.set()
                thread.join()
                for c in silent:
                    c.socket.close()
            driver.quiet()

    def test_a_trickle_of_an_answer(self):
        with Driver(answer_ms=600) as driver, driver.connect(receive_buffer=4096) as c:
            c.request("/big")
            with self.assertRaises((EOFError, ConnectionResetError)):
                for _ in range(BIG_BYTES // 4096):
                    c.bytes(4096)
                    time.sleep(0.02)
            self.assertEqual(driver.state()["too_slow"], 1)
            driver.quiet()

    def test_an_idle_connection(self):
        with Driver(request_ms=300) as driver, driver.connect() as c:
            c.request("/?1")
            self.assertEqual(c.answer().text(), "1")
            self.assertTrue(c.closed())
            driver.quiet()

    def test_the_loop_rests(self):
        """Connections that wait, for a request or for their answer to be taken, cost no turns of the loop."""
        with Driver() as driver, driver.connect() as idle, driver.connect(receive_buffer=4096) as slow:
            idle.send(b"GET ")
            slow.request("/big")
            slow.bytes(100)
            driver.ticks_on()
            before = driver.state()
            wait_for(lambda: driver.state()["ticks"] > before["ticks"] + 100 or time.sleep(0.3), 30, "ticks")
            after = driver.state()
            # Each look at the state takes a few turns, each tick one.
            self.assertLess(after["turns"] - before["turns"], 3 * (after["ticks"] - before["ticks"]))

    def test_out_of_descriptors(self):
        """Without a descriptor to accept with, it waits, and goes on when there is one again."""
        with Driver(prefix=["prlimit", "--nofile=24"]) as driver:
            held = [driver.connect() for _ in range(40)]
            for c in held:
                c.request("/?x")
            for c in held:
                self.assertEqual(c.answer().text(), "x")
                c.socket.close()
            driver.ticks_on()
            driver.quiet()


    def test_not_one_descriptor(self):
        """Clients are turned away, one after the other, rather than kept waiting; and served when there is one again."""
        with Driver() as driver:
            driver.quiet()
            wait_for(lambda: driver.descriptors() == 6, 20, "descriptors: 3, and those of listening, polling, nothing")
            pid = str(driver.process.pid)
            subprocess.run(["prlimit", "--pid", pid, "--nofile=6:1024"], check=True)
            for _ in range(10):
                with driver.connect() as c:
                    self.assertEqual(c.rest(), b"")
            subprocess.run(["prlimit", "--pid", pid, "--nofile=1024:1024"], check=True)
            driver.ticks_on()
            state = driver.state()
            self.assertEqual(state["accepted"], state["ok"] + 1)


class Addresses(unittest.TestCase):
    def failure(self, listen):
        done = subprocess.run([DRIVER, listen], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr.count("\n"), 1)
        return done.stderr

    def test_port_in_use(self):
        with Driver() as driver:
            message = self.failure(driver.address)
            self.assertIn("--listen %s: cannot listen on %s: Address already in use" % (driver.address, driver.address), message)
            self.assertIn("choose another one", message)

    def test_the_same_port_again(self):
        """Right after the end, though connections of the last one linger."""
        with Driver() as driver:
            address = driver.address
            held = driver.connect()
            held.request("/?x")
            held.answer()
        with Driver(listen=address) as driver:
            self.assertEqual(driver.get("/?x").text(), "x")
        held.socket.close()

    def test_an_address_of_another_machine(self):
        self.assertIn("does not have that address", self.failure("192.0.2.1:0"))

    def test_bad_addresses(self):
        for listen in ("", "x", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "::1:7777", "[::1]", "[::1:7777", "[127.0.0.1]:1",
                       "1.2.3:7777", "http://localhost:7777", "localhost:7777/metrics", "a b:7777"):
            self.assertIn("--listen %s: " % listen, self.failure(listen))

    def test_where_it_listens(self):
        for listen, address in ((":0", "127.0.0.1:"), ("0", "127.0.0.1:"), ("localhost:0", "127.0.0.1:"), ("127.0.0.1:0", "127.0.0.1:")):
            with Driver(listen=listen) as driver:
                self.assertTrue(driver.address.startswith(address))
                self.assertEqual(driver.get("/?x").text(), "x")

    def test_ipv6(self):
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            self.skipTest("no IPv6 here")
        with Driver(listen="[::1]:0") as driver:
            self.assertTrue(driver.address.startswith("[::1]:"))
            with driver.connect(host="::1") as c:
                c.request("/?x", host="[::1]:%d" % driver.port)
                self.assertEqual(c.answer().text(), "x")

    def test_outside_addresses_are_warned_of(self):
        with Driver(listen="0.0.0.0:0") as driver:
            pass
        self.assertIn("whoever reaches", driver.stderr)


class Browser(unittest.TestCase):
    def test_the_page_works_under_its_headers(self):
        """Content-Security-Policy and the like let the page do all it does, and the console has no complaint."""
        with Driver() as driver:
            page = Page()
            try:
                page.driver.get("http://localhost:%d/page#db_operation_name=SORT" % driver.port)
                page.until(lambda: page.state("ready"), "the page to start")
                self.assertIn("db_operation_name=SORT", page.fragment())
                self.assertTrue(page.rows())
                self.assertEqual([e for e in page.driver.get_log("browser") if e["level"] in ("SEVERE", "WARNING")], [])
                page.driver.get("http://localhost:%d/" % driver.port)
                fetched = page.js("const r = new XMLHttpRequest(); r.open('GET', '/state', false);"
                                  "try { r.send(); } catch (e) { return e.name; } return r.status")
                self.assertEqual(fetched, "NetworkError")  # script loads nothing, from here or elsewhere
            finally:
                page.close()


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""HTTP over a plain socket, so that tests can also send what no client would; and the driver of the agent's server."""
import gzip
import json
import os
import socket
import subprocess

from harness import ROOT, wait_for

DRIVER = os.path.join(ROOT, "build", "tests", "http", "driver")


class Answer:
    """One response: status, headers (name in lower case -> list of values), body, and whether the server goes on."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __getitem__(self, name):
        values = self.headers.get(name, [])
        assert len(values) <= 1, "%s stands %d times" % (name, len(values))
        return values[0] if values else None

    def text(self):
        """The body, decompressed."""
        body = gzip.decompress(self.body) if self["content-encoding"] == "gzip" else self.body
        return body.decode()


class Connection:
    """A connection to the server. Everything fails after `timeout` seconds without a byte."""

    def __init__(self, port, timeout=30, host="127.0.0.1", receive_buffer=None):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect((host, port))
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def request(self, path="/", method="GET", host="localhost", headers=(), version="1.1"):
        lines = ["%s %s HTTP/%s" % (method, path, version)]
        lines += ["Host: " + host] if host is not None else []
        self.send("\r\n".join([*lines, *headers, "", ""]).encode("latin-1"))

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the server closed the connection behind %r" % self.buffer[-80:])
        self.buffer += data

    def line(self):
        while b"\r\n" not in self.buffer:
            self._more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("latin-1")

    def bytes(self, n):
        parts, have = [self.buffer[:n]], min(n, len(self.buffer))
        self.buffer = self.buffer[n:]
        while have < n:
            data = self.socket.recv(min(n - have, 1 << 20))
            if not data:
                raise EOFError("the server closed the connection %d bytes early" % (n - have))
            parts.append(data)
            have += len(data)
        return b"".join(parts)

    def _chunks(self):
        body = []
        while True:
            size = int(self.line(), 16)
            body.append(self.bytes(size))
            assert self.bytes(2) == b"\r\n", "a chunk that does not end"
            if not size:
                return b"".join(body)

    def answer(self, head=False):
        """Reads one response, strictly."""
        version, status, _ = self.line().split(" ", 2)
        assert version in ("HTTP/1.0", "HTTP/1.1"), version
        headers = {}
        while True:
            line = self.line()
            if not line:
                break
            name, value = line.split(": ", 1)
            headers.setdefault(name.lower(), []).append(value)
        if head:
            body = b""
        elif headers.get("transfer-encoding") == ["chunked"]:
            assert "content-length" not in headers
            body = self._chunks()
        elif "content-length" in headers:
            body = self.bytes(int(headers["content-length"][0]))
        else:
            body = self.rest()
        return Answer(int(status), headers, body)

    def rest(self):
        """All until the server closes."""
        while True:
            try:
                self._more()
            except (EOFError, ConnectionResetError):
                rest, self.buffer = self.buffer, b""
                return rest

    def closed(self):
        """Waits until the server has closed."""
        self.rest()
        return True


class Driver:
    """The server in a loop like the agent's: tests/http/driver.c, with sanitizers, whose complaints fail the test."""

    def __init__(self, listen="127.0.0.1:0", request_ms=0, answer_ms=0, names=(), prefix=()):
        self.process = subprocess.Popen([*prefix, DRIVER, listen, str(request_ms), str(answer_ms), *names],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.address = self.process.stdout.readline().decode().strip()
        if not self.address:
            raise AssertionError(self.process.communicate()[1].decode())
        self.port = int(self.address.rsplit(":", 1)[1])
        self.stderr = ""

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
        self.stderr = self.process.communicate(timeout=60)[1].decode()
        if not kind and self.process.returncode:
            raise AssertionError("the driver exited %d: %s" % (self.process.returncode, self.stderr))

    def connect(self, **options):
        return Connection(self.port, **options)

    def get(self, path="/", **options):
        """One request on a connection of its own."""
        with self.connect() as c:
            c.request(path, **options)
            return c.answer(head=options.get("method") == "HEAD")

    def state(self):
        return json.loads(self.get("/state").text())

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def ticks_on(self, n=3):
        """The loop goes round: it ticks n times more."""
        first = self.state()["ticks"]
        wait_for(lambda: self.state()["ticks"] >= first + n, 30, "the loop's ticks")

    def quiet(self):
        """Waits until all connections but the one that asks are gone, and no answer is in memory."""
        def alone():
            state = self.state()
            return state["connections"] == 1 and not state["body_bytes"]
        wait_for(alone, 60, "the connections' end")

# SPDX-License-Identifier: Apache-2.0
"""A real redis-server on a private port of the loopback, and a client that speaks RESP. Standard library only."""
import os
import shutil
import socket
import subprocess
import tempfile
import time


def encode(*args):
    """One command as RESP: an array of bulk strings."""
    parts = [b"*%d\r\n" % len(args)]
    for a in args:
        a = a if isinstance(a, bytes) else str(a).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(a), a))
    return b"".join(parts)


class Client:
    def __init__(self, address, timeout=30):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb", buffering=1 << 16)

    def send(self, data):
        self.socket.sendall(data)

    def reply(self):
        line = self.reader.readline()
        if not line:
            raise ConnectionError("server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if kind == b"$":
            n = int(rest)
            return None if n < 0 else self.reader.read(n + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        raise RuntimeError("unexpected reply %r" % line)

    def call(self, *args):
        self.send(encode(*args))
        return self.reply()

    def close(self):
        self.reader.close()
        self.socket.close()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class RedisServer:
    """with RedisServer() as server: ... Ends the server, and removes its directory, whatever happens."""

    def __init__(self, *options, binary="redis-server"):
        self.options, self.binary = options, binary

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="wireprof-redis-")
        self.port = free_port()
        self.path = os.path.join(self.directory, "redis.sock")
        self.process = subprocess.Popen(
            [self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.path,
             "--dir", self.directory, "--save", "", "--appendonly", "no", "--daemonize", "no",
             "--logfile", os.path.join(self.directory, "log"), *self.options],
            stdout=subprocess.DEVNULL)
        try:
            self._wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait_ready(self):
        deadline = time.monotonic() + 20
        while True:
            try:
                client = self.client()
                try:
                    client.call("PING")
                    return
                finally:
                    client.close()
            except (OSError, RuntimeError):
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise RuntimeError("redis-server does not answer")
                time.sleep(0.02)

    @property
    def pid(self):
        return self.process.pid

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    def client(self, unix=False):
        return Client(self.path if unix else self.address)

    def command_stats(self):
        """{operation: (calls, microseconds)} as the server itself accounts them."""
        client = self.client()
        text = client.call("INFO", "commandstats").decode()
        client.close()
        stats = {}
        for line in text.splitlines():
            if line.startswith("cmdstat_"):
                name, fields = line[len("cmdstat_"):].split(":", 1)
                values = dict(f.split("=") for f in fields.split(","))
                stats[name.upper()] = (int(values["calls"]), int(values["usec"]))
        return stats

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

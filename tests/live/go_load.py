# SPDX-License-Identifier: Apache-2.0
"""Loads for go_resp.go and go_mysql.go: many connections, each with something in flight, of a random mix."""
import os
import selectors
import socket
import struct
import subprocess
import time

from compiled import PROGRAMS
from redis_server import encode

KINDS = "ABC"
CONNECTIONS = 16


def build(go, name, out, *flags):
    """Compiles go_resp or go_mysql by this Go."""
    env = dict(os.environ, GO111MODULE="off", CGO_ENABLED="0", GOTOOLCHAIN="local")
    subprocess.run([go, "build", "-o", out, *flags, name + ".go", "go_hops.go"], check=True, cwd=PROGRAMS, env=env)
    return out


class Resp:
    """How to talk to go_resp."""
    OPERATIONS = {"A": "DECRBY", "B": "INCRBY", "C": "LPUSH"}
    GOODBYE = "SAVE"

    def request(self, kind, units, random):
        return encode(self.OPERATIONS[kind], "key%s:%d" % (kind.lower(), random.randrange(10_000)), units), len("+OK\r\n")

    def goodbye(self, units):
        """And behind it a request that is never read."""
        return encode(self.GOODBYE, units) + encode("APPEND", "behind:1", units)

    def greet(self, connection):
        pass

    @classmethod
    def labels(cls, kind):
        """What a sample of such a request is to carry."""
        operation = cls.OPERATIONS[kind]
        return {"db_system_name": "redis", "db_operation_name": operation, "db_query_summary": "%s key%s:*" % (operation, kind.lower())}


class Mysql:
    """How to talk to go_mysql."""
    OPERATIONS = {"A": ("SELECT", "SELECT v FROM burn_a WHERE note = 'x%d' AND n = %d", "SELECT burn_a"),
                  "B": ("UPDATE", "UPDATE burn_b SET v = %d WHERE n = %d", "UPDATE burn_b"),
                  "C": ("DELETE", "DELETE FROM burn_c WHERE v = %d OR n = %d", "DELETE burn_c")}

    def request(self, kind, units, random):
        text = self.OPERATIONS[kind][1] % (random.randrange(10_000), units)
        return struct.pack("<I", len(text) + 1) + b"\x03" + text.encode(), 11

    def goodbye(self, _):
        text = b"SELECT v FROM behind"
        return struct.pack("<I", 1) + b"\x01" + struct.pack("<I", len(text) + 1) + b"\x03" + text

    def greet(self, connection):
        """Logs in, as nobody in particular."""
        size = int.from_bytes(_receive(connection, 4)[:3], "little")
        _receive(connection, size)
        login = struct.pack("<IIB23x", 0x0200 | 0x8000, 1 << 24, 45) + b"somebody\0" + b"\0"
        connection.sendall(struct.pack("<I", len(login) | 1 << 24) + login)
        _receive(connection, 11)

    @classmethod
    def labels(cls, kind):
        operation, _, summary = cls.OPERATIONS[kind]
        return {"db_operation_name": operation, "db_query_summary": summary}


def _receive(connection, size):
    data = b""
    while len(data) < size:
        got = connection.recv(size - len(data))
        if not got:
            raise ConnectionError("the server has gone")
        data += got
    return data


class _Client:
    def __init__(self, port, protocol):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        protocol.greet(self.socket)
        self.waits_for, self.leaving = 0, False

    def close(self):
        self.socket.close()


def mix(port, protocol, connections=CONNECTIONS, units=(1, 40), kinds=KINDS, pipeline=1, alike=False, leave=0.0, pieces=0.0):
    """
    A load function (harness.Load): requests of random kind and length on each connection, the next when the last is
    answered. pipeline: that many in one send, all of one kind where `alike`. leave: how often it says goodbye
    instead, with a request behind that, which is never read; and connects anew. pieces: how often a request is sent in
    two pieces.
    """
    def send(client, random):
        if random.random() < leave:
            client.leaving = True
            client.socket.sendall(protocol.goodbye(random.randint(1, 20)))
            return
        kind = random.choice(kinds)
        data = b""
        for _ in range(pipeline):
            request, reply = protocol.request(kind if alike else random.choice(kinds), random.randint(*units), random)
            data += request
            client.waits_for += reply
        if random.random() < pieces:
            at = random.randrange(1, len(data))
            client.socket.sendall(data[:at])
            time.sleep(0.001)  # so that it is another segment
            data = data[at:]
        client.socket.sendall(data)

    def receive(client):
        """False once the client is to be replaced."""
        try:
            data = client.socket.recv(1 << 16)
        except ConnectionResetError:  # closed with a request unread
            data = b""
        if not data and not client.leaving:
            raise ConnectionError("the server has gone")
        if not client.leaving:
            client.waits_for -= len(data)
        return bool(data)

    def run(random, deadline):
        with selectors.DefaultSelector() as selector:
            def connect():
                client = _Client(port, protocol)
                selector.register(client.socket, selectors.EVENT_READ, client)
                send(client, random)
            for _ in range(connections):
                connect()
            while time.monotonic() < deadline:
                for key, _ in selector.select(0.1):
                    client = key.data
                    if not receive(client):
                        selector.unregister(client.socket)
                        client.close()
                        connect()
                    elif not client.leaving and client.waits_for == 0:
                        send(client, random)
            for key in list(selector.get_map().values()):
                key.data.close()
    return run

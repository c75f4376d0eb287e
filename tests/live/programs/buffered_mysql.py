# SPDX-License-Identifier: Apache-2.0
"""
A server that speaks MySQL's protocol as proxies and servers in other languages do: one thread, an event loop, reads of
16 KB that may hold many commands or parts of them. A text "... burn N ..." costs N milliseconds of CPU.

    buffered_mysql.py PORT

Ended by SIGTERM, it prints what each text has cost, by its own accounting: nanoseconds, tab, text.
"""
import re
import selectors
import signal
import socket
import struct
import sys
import time

COST = {}


def packet(sequence, payload):
    return struct.pack("<I", len(payload))[:3] + bytes([sequence]) + payload


GREETING = packet(0, b"\x0a8.0.36-buffered\0" + struct.pack("<I", 1) + b"12345678\0" +
                  struct.pack("<HBHHB", 0xF7DF, 45, 2, 0x81FF, 21) + bytes(10) + b"123456789012\0mysql_native_password\0")


def ok(sequence):
    return packet(sequence, b"\0\0\0\x02\0\0\0")


def burn(text):
    start = time.thread_time_ns()
    found = re.search(rb"burn (\d+)", text)
    if found:
        end = start + int(found.group(1)) * 1_000_000
        while time.thread_time_ns() < end:
            sum(range(500))
    COST[text] = COST.get(text, 0) + time.thread_time_ns() - start


class Client:
    def __init__(self, connection):
        self.connection, self.buffer, self.greeted = connection, b"", False
        connection.sendall(GREETING)

    def read(self):
        """False once the client has gone."""
        data = self.connection.recv(16384)
        self.buffer += data
        while len(self.buffer) >= 4:
            size = int.from_bytes(self.buffer[:3], "little")
            if len(self.buffer) < 4 + size:
                break
            sequence, payload = self.buffer[3], self.buffer[4:4 + size]
            self.buffer = self.buffer[4 + size:]
            if not self.greeted:
                self.greeted = True
            elif payload[0] == 1:
                return False
            elif payload[0] == 3:
                burn(payload[1:])
            self.connection.sendall(ok(sequence + 1))
        return bool(data)


def stop(*_):
    raise SystemExit


def main():
    signal.signal(signal.SIGTERM, stop)
    selector = selectors.DefaultSelector()
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    selector.register(listener, selectors.EVENT_READ)
    print("ready", flush=True)
    try:
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    connection = listener.accept()[0]
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    selector.register(connection, selectors.EVENT_READ, Client(connection))
                elif not key.data.read():
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
    finally:
        for text, nanoseconds in COST.items():
            print("%d\t%s" % (nanoseconds, text.decode()))


main()

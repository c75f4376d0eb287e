# SPDX-License-Identifier: Apache-2.0
"""
A server whose messages have a length of 4 bytes before them, little-endian, as MySQL's packets seem to have; but it is
none: it greets nobody, and its messages mean something else. It reads the length apart from the message, like mariadbd.
"""
import socket
import struct
import sys
import threading


def serve(connection):
    with connection:
        while True:
            head = connection.recv(4)
            if len(head) < 4:
                return
            size = struct.unpack("<I", head)[0]
            body = b""
            while len(body) < size:
                body += connection.recv(size - len(body))
            total = 0
            for i in range(20_000):
                total += i ^ body[i % size]
            connection.sendall(struct.pack("<II", 4, total))


with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
    print("ready", flush=True)
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

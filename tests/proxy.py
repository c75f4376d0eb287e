# SPDX-License-Identifier: Apache-2.0
"""A proxy on the loopback in front of a server, which keeps what each connection carries, byte by byte."""
import select
import socket
import threading


class Proxy:
    """
    with Proxy(path of the server's socket, or (host, port)) as proxy: clients connect to 127.0.0.1, proxy.port. take()
    waits until the connections so far have ended, and gives their chunks: [[(b"C" or b"S", bytes), ...], ...] by order of
    connecting.
    """

    def __init__(self, server):
        self.server = server
        self.connections, self.threads = [], []

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.acceptor = threading.Thread(target=self._accept)
        self.acceptor.start()
        return self

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            chunks = []
            thread = threading.Thread(target=self._carry, args=(client, chunks), daemon=True)
            self.connections.append(chunks)
            self.threads.append(thread)
            thread.start()

    def _carry(self, client, chunks):
        family = socket.AF_UNIX if isinstance(self.server, str) else socket.AF_INET
        with client, socket.socket(family) as server:
            server.connect(self.server)
            if family == socket.AF_INET:
                server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            to = {client: (server, b"C"), server: (client, b"S")}
            open_sides = [client, server]
            while open_sides:
                for side in select.select(open_sides, [], [])[0]:
                    other, who = to[side]
                    try:
                        data = side.recv(1 << 16)
                        if data:
                            chunks.append((who, data))  # before the other side can answer it
                            other.sendall(data)
                            continue
                    except OSError:
                        pass
                    open_sides.remove(side)
                    try:
                        other.shutdown(socket.SHUT_WR)
                    except OSError:
                        pass

    def take(self):
        for thread in self.threads:
            thread.join(30)
            if thread.is_alive():
                raise RuntimeError("a connection has not ended")
        taken = self.connections
        self.connections, self.threads = [], []
        return taken

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.acceptor.join()

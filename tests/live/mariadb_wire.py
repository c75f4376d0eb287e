# SPDX-License-Identifier: Apache-2.0
"""Just enough of the MySQL protocol to send a statement byte for byte: the command line client splits, trims and rewrites."""
import socket
import struct

CAPABILITIES = 0x00000001 | 0x00000200 | 0x00008000 | 0x00010000 | 0x00080000  # ..., multi-statements, plugin names


class SqlError(Exception):
    pass


class Connection:
    """Logs in as root without a password, through a Unix socket."""

    def __init__(self, path, character_set=45):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self.buffer = b""
        greeting = self._read()
        self.thread_id = struct.unpack_from("<I", greeting, greeting.index(b"\0", 1) + 1)[0]
        self._write(struct.pack("<IIB23x", CAPABILITIES, 1 << 24, character_set) + b"root\0" + b"\0"
                    + b"mysql_native_password\0", 1)
        answer = self._read()
        if answer[:1] == b"\xfe":  # another plugin, please: without a password the answer is empty anyway
            self._write(b"", self.sequence + 1)
            answer = self._read()
        if answer[:1] == b"\xff":
            raise SqlError(answer[9:].decode(errors="replace"))

    def _exactly(self, n):
        while len(self.buffer) < n:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("the server closed the connection")
            self.buffer += more
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def _read(self):
        header = self._exactly(4)
        self.sequence = header[3]
        return self._exactly(int.from_bytes(header[:3], "little"))

    def _write(self, payload, sequence=0):
        self.socket.sendall(len(payload).to_bytes(3, "little") + bytes([sequence]) + payload)

    @staticmethod
    def _length(packet, at):
        first = packet[at]
        if first < 0xfb:
            return first, at + 1
        size = {0xfc: 2, 0xfd: 3, 0xfe: 8}[first]
        return int.from_bytes(packet[at + 1:at + 1 + size], "little"), at + 1 + size

    def _ok_status(self, packet):
        _, at = self._length(packet, 1)
        _, at = self._length(packet, at)
        return struct.unpack_from("<H", packet, at)[0]

    def _result(self):
        """Rows of one result set, and whether more results follow."""
        packet = self._read()
        if packet[:1] == b"\xff":
            raise SqlError(packet[9:].decode(errors="replace"))
        if packet[:1] == b"\0":
            return [], self._ok_status(packet) & 8
        if packet[:1] == b"\xfb":  # LOAD DATA LOCAL: an empty file
            self._write(b"", self.sequence + 1)
            return self._result()
        for _ in range(self._length(packet, 0)[0]):
            self._read()
        self._read()
        rows = []
        while True:
            packet = self._read()
            if packet[:1] == b"\xff":
                raise SqlError(packet[9:].decode(errors="replace"))
            if packet[:1] == b"\xfe" and len(packet) < 9:
                return rows, struct.unpack_from("<H", packet, 3)[0] & 8
            row, at = [], 0
            while at < len(packet):
                if packet[at] == 0xfb:
                    row.append(None)
                    at += 1
                    continue
                size, at = self._length(packet, at)
                row.append(packet[at:at + size])
                at += size
            rows.append(row)

    def query(self, text):
        """Sends COM_QUERY; the rows, as lists of bytes, of all results. Raises SqlError."""
        self._write(b"\x03" + (text if isinstance(text, bytes) else text.encode()))
        rows, more = self._result()
        while more:
            next_rows, more = self._result()
            rows += next_rows
        return rows

    def reset(self):
        """COM_RESET_CONNECTION: a session as if new."""
        self._write(b"\x1f")
        self._result()

    def close(self):
        self.socket.close()

# SPDX-License-Identifier: Apache-2.0
"""
Makes the connections of MySQL 8 in tests/corpus/mysql, by its protocol documentation: Debian has no MySQL 8 to record.

    /usr/bin/python3 tests/mysql/make_mysql8.py

Pages are named as below https://dev.mysql.com/doc/dev/mysql-server/latest/ (page_protocol_... .html). What a server
answers is given only as far as a reader of requests must step over it.
"""
import struct

import zstandard

import corpus

# page_protocol_basic_packets, group__group__cs__capabilities__flags
CONNECT_WITH_DB, PROTOCOL_41, SSL, SECURE, MULTI = 1 << 3, 1 << 9, 1 << 11, 1 << 15, 1 << 16
PLUGIN_AUTH, CONNECT_ATTRS, AUTH_LENENC = 1 << 19, 1 << 20, 1 << 21
DEPRECATE_EOF, ZSTD, QUERY_ATTRIBUTES = 1 << 24, 1 << 26, 1 << 27
USUAL = PROTOCOL_41 | SECURE | MULTI | PLUGIN_AUTH | CONNECT_ATTRS | AUTH_LENENC | DEPRECATE_EOF | QUERY_ATTRIBUTES
SERVER = 0xDFFFFFFF
SCRAMBLE = bytes(range(0x21, 0x35))
QUERY, PREPARE, EXECUTE, FETCH, CLOSE, PING, QUIT, INIT_DB = 3, 0x16, 0x17, 0x1C, 0x19, 0x0E, 1, 2
PARAMETER_COUNT_AVAILABLE = 8


def lenenc(n):
    """page_protocol_basic_dt_integers: int<lenenc>"""
    if n < 0xFB:
        return bytes([n])
    return b"\xfc" + struct.pack("<H", n) if n < 1 << 16 else b"\xfd" + struct.pack("<I", n)[:3]


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return lenenc(len(value)) + value


def packet(sequence, payload):
    """page_protocol_basic_packets"""
    return struct.pack("<I", len(payload))[:3] + bytes([sequence & 0xFF]) + payload


# Types of parameters and a value of each: page_protocol_binary_resultset, Binary Protocol Value.
VALUES = [
    (0x01, b"\x85"), (0x02, struct.pack("<h", -300)), (0x03, struct.pack("<i", 70000)), (0x0D, struct.pack("<H", 2024)),
    (0x8008, struct.pack("<Q", 1 << 63)), (0x04, struct.pack("<f", 1.5)), (0x05, struct.pack("<d", -2.5)),
    (0x0A, b"\x04\xe8\x07\x02\x1d"), (0x0A, b"\x00"), (0x0C, b"\x07\xe8\x07\x02\x1d\x0d\x0e\x0f"),
    (0x07, b"\x0b\xe8\x07\x02\x1d\x0d\x0e\x0f\x40\x42\x0f\x00"), (0x0B, b"\x08\x01\x02\x00\x00\x00\x03\x04\x05"),
    (0x0B, b"\x0c\x00\x00\x00\x00\x00\x17\x3b\x3b\x01\x00\x00\x00"), (0x0B, b"\x00"), (0x06, None),
    (0xFE, text("SELECT this_is_an_attribute")), (0xFD, text(b"v" * 300)), (0xFC, text(b"\x03\x00\xff\xfb")),
    (0xF6, text("12.50")), (0xF5, text('{"a": 1}')), (0xFE, None), (0xFE, text("")),
]


def parameters(values):
    """page_protocol_com_query, from null_bitmap on: [(name, type, value or None), ...]"""
    nulls = bytearray((len(values) + 7) // 8)
    for i, (_, _, value) in enumerate(values):
        if value is None:
            nulls[i // 8] |= 1 << i % 8
    types = b"".join(struct.pack("<H", kind) + text(name) for name, kind, _ in values)
    return bytes(nulls) + b"\x01" + types + b"".join(value or b"" for _, _, value in values)


class Connection:
    def __init__(self, name, capabilities=USUAL, schema="shop"):
        self.name, self.capabilities = name, capabilities | (CONNECT_WITH_DB if schema else 0)
        self.chunks, self.asked = [], []
        self.compressed = False
        self.statements = 0
        # page_protocol_connection_phase_packets_protocol_handshake_v10
        self.server(packet(0, b"\x0a8.0.36\0" + struct.pack("<I", 11) + SCRAMBLE[:8] + b"\0" +
                           struct.pack("<HBHHB", SERVER & 0xFFFF, 255, 2, SERVER >> 16, 21) + bytes(10) + SCRAMBLE[8:] +
                           b"\0caching_sha2_password\0"))
        if capabilities & SSL:
            # page_protocol_connection_phase_packets_protocol_ssl_request, and a TLS record that says no more
            self.client(packet(1, self._head()))
            self.client(b"\x16\x03\x01\x00\x20" + bytes(range(32)))
            self.asked.append(("CONNECT_TLS", ""))
            return
        # page_protocol_connection_phase_packets_protocol_handshake_response, HandshakeResponse41
        attributes = b"".join(map(text, ("_client_name", "libmysql", "program_name", "SELECT secret_program")))
        self.client(packet(1, self._head() + b"someone\0" + text(bytes(range(32))) +
                           (schema.encode() + b"\0" if schema else b"") + b"caching_sha2_password\0" +
                           text(attributes) + (b"\x03" if capabilities & ZSTD else b"")))
        self.asked.append(("CONNECT", schema))

    def _head(self):
        return struct.pack("<IIB", self.capabilities, 1 << 24, 255) + bytes(23)

    def client(self, data):
        self.chunks.append((b"C", data))

    def server(self, data):
        self.chunks.append((b"S", data))

    def ok(self, sequence):
        return packet(sequence, b"\0\0\0\x02\0\0\0")

    # --- page_caching_sha2_authentication_exchanges ---
    def fast_authentication(self):
        self.server(packet(2, b"\x01\x03") + self.ok(3))
        return self

    def full_authentication(self):
        self.server(packet(2, b"\x01\x04"))
        self.client(packet(3, b"\x02"))  # for the public key: one byte, which is not COM_INIT_DB
        self.server(packet(4, b"\x01-----BEGIN PUBLIC KEY-----\n" + b"k" * 392 + b"\n-----END PUBLIC KEY-----\n"))
        self.client(packet(5, bytes(i * 7 & 0xFF for i in range(256))))
        self.server(self.ok(6))
        return self

    def switched_authentication(self):
        """page_protocol_connection_phase_packets_protocol_auth_switch_request and _response"""
        self.server(packet(2, b"\xfemysql_native_password\0" + SCRAMBLE + b"\0"))
        self.client(packet(3, b"\x03SELECT no_command_"))  # 20 bytes of a hash may be anything
        self.server(self.ok(4))
        return self

    # --- commands ---
    def send(self, *commands):
        """Each (name, text, payload) is a packet of sequence 0; all in one send, one frame where compressed."""
        self.asked += [(name, said) for name, said, _ in commands]
        data = b"".join(packet(0, payload) for _, _, payload in commands)
        self.client(self._frames(data) if self.compressed else data)
        answers = b"".join(self._answer(name, payload) for name, _, payload in commands)
        if answers:
            self.server(self._frames(answers, 1) if self.compressed else answers)
        return self

    def _answer(self, name, payload):
        if name in ("QUIT", "STMT_CLOSE"):
            return b""
        if name == "STMT_PREPARE":  # page_protocol_com_stmt_prepare: COM_STMT_PREPARE_OK, definitions
            self.statements += 1
            count = payload.count(b"?")
            return packet(1, b"\0" + struct.pack("<IHHBH", self.statements, 0, count, 0, 0)) + b"".join(
                packet(2 + i, b"\x03def\0\0\0\x01?\0\x0c\x3f\0\0\0\0\0\xfd\x80\0\0\0\0") for i in range(count))
        return self.ok(1)

    def _frames(self, data, sequence=0, limit=16384):
        """page_protocol_basic_compression_packet; short ones stay as they are."""
        out = b""
        for at in range(0, len(data), limit):
            piece = data[at:at + limit]
            packed = zstandard.ZstdCompressor(level=3).compress(piece) if len(piece) >= 50 else piece
            plain = len(piece) if len(piece) >= 50 else 0
            out += struct.pack("<I", len(packed))[:3] + bytes([sequence]) + struct.pack("<I", plain)[:3] + packed
            sequence = sequence + 1 & 0xFF
        return out

    def query(self, sql, values=()):
        """page_protocol_com_query"""
        attributes = b""
        if self.capabilities & QUERY_ATTRIBUTES:
            attributes = lenenc(len(values)) + b"\x01" + (parameters(values) if values else b"")
        return "QUERY", sql, bytes([QUERY]) + attributes + sql.encode()

    def prepare(self, sql):
        return "STMT_PREPARE", sql, bytes([PREPARE]) + sql.encode()

    def execute(self, statement, sql, values, flags=0):
        """page_protocol_com_stmt_execute"""
        rest = b""
        if self.capabilities & QUERY_ATTRIBUTES and (values or flags & PARAMETER_COUNT_AVAILABLE):
            rest = lenenc(len(values)) + (parameters(values) if values else b"")
        return "STMT_EXECUTE", sql, struct.pack("<BIBI", EXECUTE, statement, flags, 1) + rest

    def write(self):
        self.send(("QUIT", "", bytes([QUIT])))
        corpus.write(self.name, self.chunks, self.asked)


def named(values):
    return [("name%d" % i, kind, value) for i, (kind, value) in enumerate(values)]


def connections():
    c = Connection("mysql8_fast_auth").fast_authentication()
    c.send(c.query("select @@version_comment limit 1")).send(("INIT_DB", "other", b"\x02other"))
    c.send(c.query("SELECT * FROM orders WHERE id = 7")).send(("PING", "", bytes([PING])))
    yield c

    c = Connection("mysql8_full_auth", schema="").full_authentication()
    yield c.send(c.query("SHOW DATABASES"))

    c = Connection("mysql8_auth_switch").switched_authentication()
    yield c.send(c.query("SELECT 1"))

    c = Connection("mysql8_query_attributes").fast_authentication()
    # The example of page_protocol_com_query: an attribute "a" with the value "1".
    c.send(c.query("select @@version_comment limit 1", [("a", 0x00FE, text("1"))]))
    c.send(c.query("SELECT COUNT(*) FROM orders")).send(c.query("SELECT 'all of them'", named(VALUES)))
    c.send(c.query("SELECT 'no name'", [("", 0xFD, text("x"))]))
    c.send(c.query("SELECT 'long name'", [("n" * 300, 0xFD, text("y" * 70_000)), ("null", 0xFD, None)]))
    yield c.send(c.query("UPDATE orders SET a = 1"), c.query("SELECT 2", named(VALUES[:3])), c.query("SELECT 3"))

    c = Connection("mysql8_execute_attributes").fast_authentication()
    two, none = "SELECT a FROM orders WHERE id = ? AND b = ?", "DELETE FROM orders"
    c.send(c.prepare(two)).send(c.prepare(none))
    c.send(c.execute(1, two, [("", 3, struct.pack("<i", 5)), ("", 0xFD, text("five"))]))
    c.send(c.execute(1, two, [("", 3, struct.pack("<i", 5)), ("", 0xFD, None), ("trace", 0xFD, text("SELECT x"))],
                     flags=PARAMETER_COUNT_AVAILABLE))
    c.send(c.execute(2, none, [])).send(c.execute(2, none, [], flags=PARAMETER_COUNT_AVAILABLE))
    c.send(c.execute(2, none, named(VALUES), flags=PARAMETER_COUNT_AVAILABLE))
    c.send(("STMT_CLOSE", "", struct.pack("<BI", CLOSE, 1)), c.prepare("SELECT 3"))
    yield c.send(c.execute(3, "SELECT 3", [], flags=1 | PARAMETER_COUNT_AVAILABLE)).send(
        ("STMT_FETCH", "SELECT 3", struct.pack("<BII", FETCH, 3, 10)))

    c = Connection("mysql8_no_attributes", capabilities=USUAL & ~QUERY_ATTRIBUTES).fast_authentication()
    yield c.send(c.query("SELECT 'plain'")).send(c.query("SELECT 'again'"), c.query("SELECT 'and again'"))

    c = Connection("mysql8_zstd", capabilities=USUAL | ZSTD).fast_authentication()
    c.compressed = True
    c.send(c.query("SELECT 1"))
    c.send(c.query("SELECT * FROM orders WHERE note = '%s'" % ("long " * 40)))
    c.send(c.query("SELECT '%s'" % "".join(str(i * 7919 % 10007) for i in range(15_000)), named(VALUES)))
    c.send(c.query("SELECT 'several'"), c.query("SELECT 'in one frame'"), ("PING", "", bytes([PING])))
    yield c.send(c.prepare(two)).send(c.execute(1, two, [("", 3, struct.pack("<i", 5)), ("", 0xFD, text("five"))]))


def main():
    for connection in connections():
        connection.write()
    tls = Connection("mysql8_tls", capabilities=USUAL | SSL)
    corpus.write(tls.name, tls.chunks, tls.asked)


if __name__ == "__main__":
    main()

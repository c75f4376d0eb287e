# SPDX-License-Identifier: Apache-2.0
"""
A stand-in for Pyroscope's push API that is stricter than the real one: every rule it knows is checked for every push, and
what breaks one is answered 400 with the reason, as Connect does, and remembered. Standard library only; it decodes protobuf
by itself. Faults are scripted: see Fault.
"""
import base64
import hashlib
import http.server
import json
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
import zlib

PATH = "/push.v1.PusherService/Push"
PLAIN_MAX = 4 << 20
BURST = 2 << 20  # of the rate limit: a larger profile (with its labels) would never get through
SAMPLES_MAX, NAMES_MAX, NAME_MAX, VALUE_MAX = 16000, 30, 1024, 2048
PAST_S, FUTURE_S = 3600, 600
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")


class Bad(Exception):
    """What is wrong with a push."""


def require(condition, reason, *args):
    if not condition:
        raise Bad(reason % args)


# --- protobuf ---

def varint(data, at):
    value = shift = 0
    while True:
        require(at < len(data) and shift < 70, "cut or endless varint")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value & (1 << 64) - 1, at


def message(data, shape):
    """
    Decodes one message. shape: {number: (name, kind)}; kind is int, str, bytes, or a shape; "*" before the name: repeated.
    A field that the shape does not have is an error: what we send has no others.
    """
    out = {name.lstrip("*"): [] if name[0] == "*" else None for name, _ in shape.values()}
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        require(key >> 3 in shape, "field %d, which there is none of", key >> 3)
        name, kind = shape[key >> 3]
        if key & 7 == 0:
            require(kind is int, "field %s is a varint", name)
            value, at = varint(data, at)
            values = [value]
        else:
            require(key & 7 == 2, "field %s has wire type %d", name, key & 7)
            n, at = varint(data, at)
            require(at + n <= len(data), "field %s is cut", name)
            raw, at = data[at:at + n], at + n
            values = packed(raw) if kind is int else [decoded(raw, kind, name)]
            require(kind is not int or name[0] == "*", "field %s is packed", name)
        if name[0] == "*":
            out[name[1:]].extend(values)
        else:
            require(out[name] is None, "field %s twice", name)
            out[name] = values[0]
    for name, kind in shape.values():
        if name[0] != "*" and out[name] is None:
            out[name] = 0 if kind is int else "" if kind is str else b"" if kind is bytes else None
    return out


def packed(raw):
    values, at = [], 0
    while at < len(raw):
        value, at = varint(raw, at)
        values.append(value)
    return values


def decoded(raw, kind, name):
    if kind is bytes:
        return raw
    if kind is str:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise Bad("invalid utf8 string hex: %s (%s)" % (raw[:64].hex(), name)) from None
    return message(raw, kind)


def encoded(value, shape):
    """The reverse of message(): for tests that break a push."""
    out = b""
    for number, (name, kind) in shape.items():
        items = value[name[1:]] if name[0] == "*" else [value[name]] if value[name] not in (None, 0, "", b"") else []
        for item in items:
            if kind is int:
                out += unvarint(number << 3) + unvarint(item)
            else:
                raw = item.encode("utf-8", "surrogateescape") if kind is str else item if kind is bytes else encoded(item, kind)
                out += unvarint(number << 3 | 2) + unvarint(len(raw)) + raw
    return out


def unvarint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


PUSH = {1: ("*series", {
    1: ("*labels", {1: ("name", str), 2: ("value", str)}),
    2: ("*samples", {1: ("raw", bytes), 2: ("id", str)}),
})}
VALUE_TYPE = {1: ("type", int), 2: ("unit", int)}
PROFILE = {
    1: ("*sample_type", VALUE_TYPE),
    2: ("*sample", {1: ("*location_id", int), 2: ("*value", int),
                    3: ("*label", {1: ("key", int), 2: ("str", int), 3: ("num", int), 4: ("num_unit", int)})}),
    3: ("*mapping", {1: ("id", int), 2: ("start", int), 3: ("limit", int), 4: ("offset", int), 5: ("filename", int),
                     6: ("build_id", int), 7: ("has_functions", int), 8: ("has_filenames", int), 9: ("has_lines", int),
                     10: ("has_inlines", int)}),
    4: ("*location", {1: ("id", int), 2: ("mapping_id", int), 3: ("address", int),
                      4: ("*line", {1: ("function_id", int), 2: ("line", int)}), 5: ("is_folded", int)}),
    5: ("*function", {1: ("id", int), 2: ("name", int), 3: ("system_name", int), 4: ("filename", int), 5: ("start", int)}),
    6: ("*string_table", str),
    7: ("drop_frames", int), 8: ("keep_frames", int), 9: ("time_nanos", int), 10: ("duration_nanos", int),
    11: ("period_type", VALUE_TYPE), 12: ("period", int), 13: ("*comment", int), 14: ("default_sample_type", int),
}


# --- the rules ---

def check_labels(labels):
    names = [label["name"] for label in labels]
    require(names == sorted(set(names)), "label names are not sorted, or one is there twice: %s", names)
    for label in labels:
        require(NAME.match(label["name"]), "invalid label name '%s'", label["name"])
        require(len(label["name"]) <= NAME_MAX, "label name too long")
        require(label["value"], "label %s has no value", label["name"])
        require(len(label["value"].encode()) <= VALUE_MAX, "label value too long: '%s'", label["name"])
    series = {label["name"]: label["value"] for label in labels}
    require(series.get("__name__") == "process_cpu", "invalid metric name")
    require(series.get("service_name"), "service name is not provided")
    return series


def unzip(raw):
    require(raw[:2] == b"\x1f\x8b", "the profile is not gzipped")
    stream = zlib.decompressobj(31)
    try:
        plain = stream.decompress(raw, PLAIN_MAX + 1)
    except zlib.error as e:
        raise Bad("gzip: %s" % e) from None
    require(len(plain) <= PLAIN_MAX, "uncompressed profile payload size exceeds limit")
    require(stream.eof and not stream.unused_data, "the gzip file is cut, or something follows it")
    return plain


def by_id(items, what):
    out = {}
    for item in items:
        require(item["id"], "%s id is 0", what)
        require(item["id"] not in out, "%s id %d twice", what, item["id"])
        out[item["id"]] = item
    return out


def check_tables(p):
    strings = p["string_table"]
    require(strings and strings[0] == "", "string 0 should be empty string")
    mappings, functions = by_id(p["mapping"], "mapping"), by_id(p["function"], "function")
    locations = by_id(p["location"], "location")
    for f in p["function"]:
        for field in "name", "system_name", "filename":
            require(f[field] < len(strings), "function %s string index out of range", field)
    for m in p["mapping"]:
        require(m["filename"] < len(strings) and m["build_id"] < len(strings), "mapping string index out of range")
        require(re.match(r"([0-9a-f][0-9a-f])*\Z", strings[m["build_id"]]), "build id is not hex")
    for location in p["location"]:
        require(location["mapping_id"] == 0 or location["mapping_id"] in mappings, "location of no mapping")
        if location["mapping_id"]:
            m = mappings[location["mapping_id"]]
            require(m["start"] <= location["address"] < m["limit"], "address outside of its mapping")
        for line in location["line"]:
            require(line["function_id"] in functions, "line of no function")
    return strings, locations


def check_samples(p, strings, locations, series):
    used = set()
    for sample in p["sample"]:
        require(len(sample["value"]) == len(p["sample_type"]), "sample value length mismatch")
        require(all(v < 1 << 63 for v in sample["value"]), "negative value")
        require(any(sample["value"]), "sample without a value")
        for location in sample["location_id"]:
            require(location in locations, "sample of no location")
            used.add(location)
        keys = [label["key"] for label in sample["label"]]
        require(len(set(keys)) == len(keys), "two values for one label key")
        names = set(series)
        for label in sample["label"]:
            require(max(label["key"], label["str"]) < len(strings), "sample label string index out of range")
            require(label["str"] and not label["num"] and not label["num_unit"], "numeric label: the server drops it")
            name, value = strings[label["key"]], strings[label["str"]]
            require(NAME.match(name), "invalid label name '%s'", name)
            require(name not in series, "label '%s' of a sample is one of the series", name)
            require(len(value.encode()) <= VALUE_MAX, "label value too long: '%s'", name)
            names.add(name)
        require(len(names) <= NAMES_MAX, "profile series has %d label names; limit %d", len(names), NAMES_MAX)
    require(used == set(locations), "locations that no sample has")


def check_profile(raw, series, now):
    plain = unzip(raw)
    labels = sum(len(k.encode()) + len(v.encode()) for k, v in series.items())
    require(len(plain) + labels < BURST, "push rate limit exceeded while adding %d", len(plain) + labels)
    p = message(plain, PROFILE)
    strings, locations = check_tables(p)
    require(p["sample"], "empty profile")
    require(len(p["sample"]) <= SAMPLES_MAX, "exceeds the samples count limit")
    require(all(len(s.encode()) < 65536 for s in strings), "a string that the server cuts anywhere")
    require(p["sample_type"] and p["period_type"] and p["period"], "no sample or period type")
    for kind in p["sample_type"] + [p["period_type"]]:
        require(max(kind["type"], kind["unit"]) < len(strings), "sample type string index out of range")
        require("-" not in strings[kind["type"]], "sample type contains -")
    types = [(strings[t["type"]], strings[t["unit"]]) for t in p["sample_type"]]
    require(types == [("samples", "count"), ("cpu", "nanoseconds")], "sample types %s", types)
    check_samples(p, strings, locations, series)
    seconds = p["time_nanos"] / 1e9
    require(now - PAST_S < seconds < now + FUTURE_S, "profile is outside of ingestion window")
    return p


class Push:
    """One accepted profile: series (labels), id, profile (decoded), when, on which connection."""

    def __init__(self, series, sample, profile, connection):
        self.series, self.id, self.profile, self.connection = series, sample["id"], profile, connection
        self.when = time.monotonic()
        self.window = int(series.get("window", -1))
        self.values = [sum(s["value"][i] for s in profile["sample"]) for i in range(2)]


class Fault:
    """
    What happens to a push instead of being looked at. Each is a function of the handler; Fault.status(503) and so on make
    them. Fault.after(n, fault) lets n pushes through before; a fault may be put into PyroscopeServer.fault at any time.
    """

    @staticmethod
    def status(status, body=b"", **headers):
        def run(handler):
            handler.answer(status, body, **{k.replace("_", "-"): v for k, v in headers.items()})
        return run

    @staticmethod
    def connect(status, code, text, **headers):
        body = json.dumps({"code": code, "message": text}).encode()
        return Fault.status(status, body, Content_Type="application/json", **headers)

    @staticmethod
    def raw(data, hold=False):
        """These bytes, then the end of the connection; or silence, until the server stops."""
        def run(handler):
            handler.connection.sendall(data)
            if hold:
                handler.server.owner.stopping.wait(60)
            handler.close_connection = True
        return run

    @staticmethod
    def hang():
        return Fault.raw(b"", hold=True)

    @staticmethod
    def reset():
        def run(handler):
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
            handler.close_connection = True
        return run

    @staticmethod
    def endless(head=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk=b"1000\r\n" + b"x" * 4096 + b"\r\n"):
        def run(handler):
            handler.close_connection = True
            try:
                handler.connection.sendall(head)
                while not handler.server.owner.stopping.is_set():
                    handler.connection.sendall(chunk)
            except OSError:
                pass
        return run

    @staticmethod
    def drip(data, pause_s):
        """A byte at a time."""
        def run(handler):
            handler.close_connection = True
            try:
                for byte in data:
                    handler.connection.sendall(bytes([byte]))
                    if handler.server.owner.stopping.wait(pause_s):
                        return
            except OSError:
                pass
        return run

    @staticmethod
    def accept_then_reset():
        """Takes the push, but the client does not hear of it."""
        def run(handler):
            handler.take()
            handler.server.owner.forget_answer(handler.body)
            Fault.reset()(handler)
        return run


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.owner.connections += 1
        self.number = self.server.owner.connections
        self.server.owner.sockets.add(self.connection)

    def finish(self):
        self.server.owner.sockets.discard(self.connection)
        try:
            super().finish()
        except OSError:
            pass

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def take(self):
        """Checks and records. Raises Bad."""
        owner = self.server.owner
        request = message(self.body, PUSH)
        require(request["series"], "no profiles received")
        taken = []
        for series in request["series"]:
            labels = check_labels(series["labels"])
            require(series["samples"], "series without profiles")
            for sample in series["samples"]:
                require(UUID4.match(sample["id"]), "'%s' is no UUID (version 4)", sample["id"])
                taken.append(Push(labels, sample, check_profile(sample["raw"], labels, time.time()), self.number))
        with owner.lock:
            for push in taken:
                digest = hashlib.sha256(self.body).digest()
                require(owner.digests.setdefault(push.id, digest) == digest, "ID %s with another body", push.id)
                require(push.id not in owner.answered or owner.repeats_allowed, "ID %s twice", push.id)
                owner.answered.add(push.id)
                owner.accepted.append(push)

    def check_headers(self):
        owner = self.server.owner
        require(self.path == owner.prefix + PATH, "path %s", self.path)
        for name, value in owner.headers.items():
            require(self.headers.get_all(name) == [value], "header %s is %s", name, self.headers.get_all(name))
        require(self.headers["Content-Encoding"] is None, "Content-Encoding")
        require(self.headers["Expect"] is None, "Expect")

    def authorized(self):
        wanted = self.server.owner.authorization
        return wanted is None or self.headers.get_all("Authorization") == [wanted]

    def do_POST(self):
        owner = self.server.owner
        self.body = self.rfile.read(int(self.headers["Content-Length"]))
        with owner.lock:
            owner.attempts.append((time.monotonic(), hashlib.sha256(self.body).hexdigest()))
            owner.requests.append(dict(self.headers))
            owner.last_body = self.body
            fault = owner.fault
            if isinstance(fault, list):  # one after the other, then none
                fault = fault.pop(0) if fault else None
        try:
            if fault:
                fault(self)
                return
            if not self.authorized():
                self.error(401, "unauthenticated", "wrong credentials: %s" % self.headers.get("Authorization"))
                return
            self.check_headers()
            self.take()
            owner.before_answer(self)
            self.answer(200, b"", Content_Type="application/proto")
        except Bad as e:
            owner.broken.append(str(e))
            self.error(400, "invalid_argument", str(e))
        except (OSError, ValueError):
            self.close_connection = True

    def error(self, status, code, text):
        body = json.dumps({"code": code, "message": text}).encode()
        self.answer(status, body, Content_Type="application/json")


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass


class PyroscopeServer:
    """
    with PyroscopeServer() as server: ... server.url, server.accepted (Push), server.broken (reasons of 400), server.attempts
    ((when, digest of the body) of every request, whatever came of it). stop() and start() keep the port and all records.
    """

    def __init__(self, tls=None, authorization=None, prefix="", **headers):
        self.tls, self.authorization, self.prefix = tls, authorization, prefix
        self.headers = {"Content-Type": "application/proto", "Connect-Protocol-Version": "1",
                        **{k.replace("_", "-"): v for k, v in headers.items()}}
        self.lock = threading.Lock()
        self.accepted, self.broken, self.attempts, self.requests = [], [], [], []
        self.digests, self.answered, self.repeats_allowed = {}, set(), False
        self.fault = None  # or a list of faults, taken one by one
        self.before_answer = lambda handler: None
        self.connections, self.sockets = 0, set()
        self.last_body = b""
        self.port, self.server, self.thread = 0, None, None
        self.stopping = threading.Event()

    @property
    def url(self):
        return "%s://localhost:%d%s" % ("https" if self.tls else "http", self.port, self.prefix)

    def forget_answer(self, body):
        """The client will not have heard of it: the same ID may come again."""
        for series in message(body, PUSH)["series"]:
            for sample in series["samples"]:
                self.answered.discard(sample["id"])

    def start(self):
        self.stopping.clear()
        self.server = _Server(("127.0.0.1", self.port), Handler)
        self.server.owner = self
        self.port = self.server.server_address[1]
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def stop(self):
        if not self.server:
            return
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        for s in list(self.sockets):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.server = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def windows(self):
        with self.lock:
            return [p.window for p in self.accepted]


def basic(user_password):
    return "Basic " + base64.b64encode(user_password.encode()).decode()


def make_authority(directory):
    """A CA of our own and a certificate of localhost. Returns (the CA's file, (certificate, key))."""
    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=wireprof test authority", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost",
            "-keyout", "server.key", "-out", "server.csr")
    with open(directory + "/extensions", "w", encoding="ascii") as f:
        f.write("subjectAltName=DNS:localhost\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "extensions", "-out", "server.pem")
    return directory + "/ca.pem", (directory + "/server.pem", directory + "/server.key")

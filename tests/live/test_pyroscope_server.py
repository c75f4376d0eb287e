# SPDX-License-Identifier: Apache-2.0
"""The stand-in of Pyroscope refuses what breaks a rule: a push of ours, broken in one place at a time."""
import gzip
import http.client
import json
import time
import unittest
import uuid

from pyroscope_server import PATH, PROFILE, PUSH, PyroscopeServer, encoded, message
from test_push import PushTest, wait_until

HEADERS = {"Content-Type": "application/proto", "Connect-Protocol-Version": "1"}


class Rules(PushTest):
    def setUp(self):
        super().setUp()
        self.strict = self.server()
        driver = self.driver(self.strict)
        driver.submit(1)
        wait_until(lambda: self.strict.accepted, driver.messages)
        driver.stop()
        self.good = self.strict.last_body

    def post(self, body, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.strict.port)
        headers = {**HEADERS, **{k.replace("_", "-"): v for k, v in headers.items()}}
        connection.request("POST", PATH, body, {k: v for k, v in headers.items() if v is not None})
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        return reply.status, json.loads(text)["message"] if text else ""

    def broken(self, change, level="profile", new_id=True):
        """Posts the good push with one change: of the profile, of the series, or of the gzip file."""
        request = message(self.good, PUSH)
        series = request["series"][0]
        sample = series["samples"][0]
        if new_id:
            sample["id"] = str(uuid.uuid4())
        if level == "profile":
            p = message(gzip.decompress(sample["raw"]), PROFILE)
            change(p)
            sample["raw"] = gzip.compress(encoded(p, PROFILE))
        elif level == "series":
            change(series)
        else:
            sample["raw"] = change(sample["raw"])
        return self.post(encoded(request, PUSH))

    def refuses(self, reason, change, level="profile", new_id=True):
        status, text = self.broken(change, level, new_id)
        self.assertEqual(status, 400, reason)
        self.assertRegex(text, reason)

    def test_the_unbroken_one_is_taken(self):
        self.assertEqual(self.broken(lambda p: None), (200, ""))

    def test_headers(self):
        self.assertEqual(self.post(self.good, Content_Type="application/json")[0], 400)
        self.assertEqual(self.post(self.good, Connect_Protocol_Version=None)[0], 400)
        self.assertEqual(self.post(self.good, Expect="100-continue")[0], 400)

    def test_shape(self):
        for body in b"", b"\x00", b"\x0a", b"\x0a\x05", b"\xff" * 30, b"\x12\x00", b"\x0a\x00", self.good[:-3], self.good + b"\x10\x01":
            self.assertEqual(self.post(body)[0], 400, body[:20])

    def test_ids(self):
        self.assertRegex(self.post(self.good)[1], "ID .* twice")
        self.refuses("with another body", lambda p: None, new_id=False)
        self.refuses("no UUID", lambda s: s["samples"][0].update(id="x"), "series")
        self.refuses("no UUID", lambda s: s["samples"][0].update(id=""), "series")
        self.refuses("no UUID", lambda s: s["samples"][0].update(id=str(uuid.uuid1())), "series")

    def test_labels(self):
        def put(name, value):
            def change(series):
                kept = [label for label in series["labels"] if label["name"] != name]
                added = [{"name": name, "value": value}] if value is not None else []
                series["labels"] = sorted(kept + added, key=lambda label: label["name"])
            return change
        self.refuses("metric name", put("__name__", None), "series")
        self.refuses("metric name", put("__name__", "off_cpu"), "series")
        self.refuses("service name", put("service_name", None), "series")
        self.refuses("invalid label name", put("a-b", "x"), "series")
        self.refuses("invalid label name", put("1a", "x"), "series")
        self.refuses("no value", put("a", ""), "series")
        self.refuses("too long", put("a", "x" * 2049), "series")
        self.assertEqual(self.broken(put("a", "x" * 2048), "series")[0], 200)
        self.refuses("not sorted", lambda s: s["labels"].reverse(), "series")
        self.refuses("there twice", lambda s: s["labels"].insert(0, s["labels"][0]), "series")
        self.refuses("label names; limit", lambda s: s.update(labels=sorted(
            s["labels"] + [{"name": "l%02d" % i, "value": "v"} for i in range(25)], key=lambda label: label["name"])), "series")
        self.refuses("invalid utf8", put("a", "\udcff"), "series")

    def test_gzip(self):
        self.refuses("not gzipped", gzip.decompress, "gzip")
        self.refuses("cut", lambda raw: raw[:-8], "gzip")
        self.refuses("follows", lambda raw: raw + b"x", "gzip")
        self.refuses("gzip|cut", lambda raw: raw[:200] + b"\xff\xff\xff\xff" + raw[204:], "gzip")

    def test_size(self):
        def grow(n):
            return lambda p: p["string_table"].extend("%060000d" % i for i in range(n))
        self.refuses("rate limit", grow(36))
        self.refuses("payload size", grow(72))
        self.assertEqual(self.broken(grow(20))[0], 200)
        self.refuses("samples count", lambda p: p["sample"].extend(p["sample"][:1] * 16001))
        self.refuses("empty profile", lambda p: p["sample"].clear())

    def test_time(self):
        now = time.time()
        for seconds, status in ((now - 3700, 400), (now - 3500, 200), (now + 500, 200), (now + 700, 400), (0, 400)):
            self.assertEqual(self.broken(lambda p, s=seconds: p.update(time_nanos=int(s * 1e9)))[0], status)

    def test_strings(self):
        self.refuses("invalid utf8", lambda p: p["string_table"].__setitem__(5, "\udcff\udcfe"))
        self.refuses("string 0", lambda p: p["string_table"].__setitem__(0, "x"))
        self.refuses("string", lambda p: p["string_table"].clear())

    def test_references(self):
        self.refuses("out of range", lambda p: p["function"][0].update(name=100000))
        self.refuses("out of range", lambda p: p["sample_type"][0].update(type=100000))
        self.refuses("out of range", lambda p: p["mapping"][0].update(filename=100000))
        self.refuses("out of range", lambda p: p["sample"][0]["label"][0].update(str=100000))
        self.refuses("no location", lambda p: p["sample"][0]["location_id"].append(100000))
        self.refuses("no function", lambda p: p["location"][0]["line"][0].update(function_id=100000))
        self.refuses("no mapping", lambda p: p["location"][0].update(mapping_id=100000))
        self.refuses("id is 0", lambda p: p["function"][0].update(id=0))
        self.refuses("twice", lambda p: p["location"].append(p["location"][0]))
        self.refuses("outside of its mapping", lambda p: p["location"][0].update(address=1))

    def test_samples(self):
        self.refuses("value length", lambda p: p["sample"][0]["value"].append(1))
        self.refuses("value length", lambda p: p["sample"][0]["value"].clear())
        self.refuses("without a value", lambda p: p["sample"][0].update(value=[0, 0]))
        self.refuses("negative", lambda p: p["sample"][0].update(value=[1, (1 << 64) - 1]))
        self.refuses("two values", lambda p: p["sample"][0]["label"].append(p["sample"][0]["label"][0]))
        self.refuses("numeric label", lambda p: p["sample"][0]["label"][0].update(str=0, num=5))
        self.refuses("sample types", lambda p: p["sample_type"].pop())
        self.refuses("no sample or period", lambda p: p.update(period=0))


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""The metrics, read by a strict parser and by Prometheus' own where it is there; and the dashboard, which may use no others."""
import json
import os
import re
import shutil
import subprocess
import unittest

import exposition
from harness import ROOT
from http_client import Driver

DASHBOARD = os.path.join(ROOT, "deploy", "grafana-dashboard.json")
# Words of PromQL, and variables of Grafana, that stand where names of metrics and labels stand.
KEYWORDS = {"sum", "rate", "increase", "by", "topk", "without", "max", "min", "clamp_min", "or", "and", "unless", "on", "ignoring",
            "group_left", "count", "avg", "time", "label_values", "changes", "query_result", "vector", "sort_desc", "offset", "bool", "end"}


def scrape():
    with Driver() as driver:
        return driver.get("/metrics", headers=["Accept-Encoding: gzip"]).text().encode()


def labels(**values):
    return tuple(sorted(values.items()))


class Metrics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.data = scrape()
        cls.families = exposition.parse(cls.data)

    def samples(self, name):
        return self.families[name].samples

    def test_values(self):
        self.assertEqual(self.samples("wireprof_start_time_seconds"), {(): "1763800000.123456789"})
        self.assertEqual(self.samples("wireprof_push_total"), {labels(result="ok"): "10", labels(result="retried"): "11",
                                                               labels(result="rejected"): "12"})
        self.assertEqual(self.samples("wireprof_map_entries"), {labels(map="sockets"): "12"})
        self.assertEqual(self.samples("wireprof_cpu_seconds_total")[labels(attribution="exact")], "10.000000001")

    def test_hostile_values_come_back_as_they_were(self):
        samples = self.samples("wireprof_query_cpu_seconds_total")
        self.assertEqual(len(samples), 4)
        self.assertEqual(samples[labels(db_system_name="mysql", db_operation_name="SELECT", comm="mysqld",
                                        db_query_summary='SELECT "quoted\\" line\nbreak {a="b"} 1')], "18446744073.709551615")
        bad = b"bad\xff\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80\xe2\x82".decode("utf-8", "replace")
        found = [dict(key) for key in samples if dict(key).get("db_system_name") == "mongodb"]
        self.assertEqual(re.sub("\ufffd+", "?", found[0]["db_query_summary"]), re.sub("\ufffd+", "?", bad))
        self.assertEqual(found[0]["service_name"], "\u2028\r\t\x01")
        self.assertEqual(samples[()], "0.000000005")

    def test_the_parser_is_strict(self):
        good = b"# HELP a_total A.\n# TYPE a_total counter\na_total 1\n"
        exposition.parse(good)
        for bad in (b"", b"\n", good[:-1], good + good, good.replace(b"a_total 1", b"b_total 1"), good.replace(b"counter", b"gauge"),
                    good + b"a_total 2\n", good + b'a_total{b="c} 1\n', good + b'a_total{b="\\x"} 1\n', good + b'a_total{b=""} 1\n',
                    good + b'a_total{b="c",b="d"} 1\n', good + b'a_total{1="c"} 1\n', good + b"a_total  1\n", good + b"a_total -1\n",
                    good + b"a_total 1e9\n", good + b"a_total NaN\n", good + b"\xff\n", b"a_total 1\n", good + b"\n",
                    b"# TYPE a_total counter\n" + good, good.replace(b"a_total 1", b'a_total{b="c"}1'), good.replace(b"A.", b"A"),
                    good.replace(b"a_total", b"a_ms_total"), b"# HELP a_total A.\n# TYPE a_total counter\n"):
            with self.assertRaises((exposition.BadText, UnicodeDecodeError), msg=bad):
                exposition.parse(bad)

    def test_the_document_has_them_all(self):
        with open(os.path.join(ROOT, "docs", "metrics.md"), encoding="utf-8") as f:
            described = re.findall(r"^\|(.*?) \|", f.read(), re.MULTILINE)
        names = [name for cell in described for name in re.findall(r"`(wireprof_\w+)`", cell)]
        self.assertEqual(sorted(names), sorted(self.families))

    def test_prometheus_reads_the_same(self):
        try:
            from prometheus_client.parser import text_string_to_metric_families
        except ImportError:
            self.skipTest("python3-prometheus-client is not installed")
        theirs = {}
        for family in text_string_to_metric_families(self.data.decode()):
            for sample in family.samples:
                theirs[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
        ours = {(name, key): float(number) for name, f in self.families.items() for key, number in f.samples.items()}
        self.assertEqual(theirs, ours)

    def test_promtool_has_no_complaint(self):
        promtool = shutil.which("promtool")
        if not promtool:
            self.skipTest("promtool is not installed")
        done = subprocess.run([promtool, "check", "metrics"], input=self.data, capture_output=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, b""))


class Dashboard(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.families = exposition.parse(scrape())
        with open(DASHBOARD, encoding="utf-8") as f:
            cls.dashboard = json.load(f)
        cls.panels = [p for p in cls.dashboard["panels"] if p["type"] != "row"]

    def expressions(self):
        for panel in self.panels:
            for target in panel["targets"]:
                yield panel, target["expr"]
        for variable in self.dashboard["templating"]["list"]:
            if variable["type"] == "query":
                yield variable, variable["query"]["query"]

    def test_every_name_exists(self):
        used = set()
        for where, expression in self.expressions():
            bare = re.sub(r'"[^"]*"', '""', expression)
            names = set(re.findall(r"wireprof_\w+", bare))
            self.assertTrue(names, where)
            self.assertLessEqual(names, set(self.families), where)
            used |= names
        self.assertGreater(len(used), 15)

    def test_every_label_exists(self):
        """Of a metric's labels, and of those that Prometheus adds (job, instance)."""
        for where, expression in self.expressions():
            bare = re.sub(r"\$\w+", "", re.sub(r'"[^"]*"', '""', expression))
            names = set(re.findall(r"wireprof_\w+", bare))
            known = {"job", "instance"} | {k for n in names for key in self.families[n].samples for k, _ in key}
            words = set(re.findall(r"[a-z_]\w*", re.sub(r"\[[^]]*\]", "", bare))) - names - KEYWORDS
            self.assertLessEqual(words, known, expression)

    def test_only_counters_have_rates(self):
        for _, expression in self.expressions():
            for name in re.findall(r"(?:rate|increase)\((wireprof_\w+)", expression):
                self.assertEqual(self.families[name].type, "counter", expression)
            for name in re.findall(r"wireprof_\w+", expression):
                if self.families[name].type == "counter" and "label_values" not in expression:
                    self.assertRegex(expression, r"(rate|increase)\(" + name)

    def test_it_is_whole(self):
        ids = [p["id"] for p in self.dashboard["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertEqual([v["type"] for v in self.dashboard["templating"]["list"]][0], "datasource")
        taken = set()
        for panel in self.dashboard["panels"]:
            g = panel["gridPos"]
            cells = {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
            self.assertFalse(cells & taken, panel["title"])
            self.assertLessEqual(g["x"] + g["w"], 24)
            taken |= cells
        for panel in self.panels:
            self.assertEqual(panel["datasource"], {"type": "prometheus", "uid": "${datasource}"})
            self.assertTrue(panel["title"] and panel["description"])
            for target in panel["targets"]:
                self.assertEqual(target["datasource"]["uid"], "${datasource}")
                if "sum by" not in target["expr"]:
                    continue
                for label in re.findall(r"{{(\w+)}}", target.get("legendFormat", "")):
                    self.assertIn(label, re.search(r"sum by \(([^)]*)\)", target["expr"]).group(1), target["expr"])

    def test_promtool_parses_the_queries(self):
        promtool = shutil.which("promtool")
        if not promtool:
            self.skipTest("promtool is not installed")
        rules = [{"record": "r:%d" % i, "expr": re.sub(r"\$__(rate_interval|range)", "5m", e).replace("$top", "10")}
                 for i, (_, e) in enumerate(self.expressions()) if "label_values" not in e]
        text = json.dumps({"groups": [{"name": "dashboard", "rules": rules}]})  # JSON is YAML
        done = subprocess.run([promtool, "check", "rules", "/dev/stdin"], input=text, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()

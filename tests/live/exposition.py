# SPDX-License-Identifier: Apache-2.0
"""Prometheus' text format 0.0.4, read strictly: what Prometheus would merely tolerate is an error here."""
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
NUMBER = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?\Z")


class BadText(AssertionError):
    pass


def need(condition, what, line):
    if not condition:
        raise BadText("%s: %r" % (what, line))


def parse_value(text, at, line):
    """A quoted label value from the opening quote on: returns it, unescaped, and where it ends."""
    need(text[at:at + 1] == '"', "a label value without a quote", line)
    value, at = [], at + 1
    while True:
        need(at < len(text), "a label value that does not end", line)
        c = text[at]
        if c == '"':
            return "".join(value), at + 1
        if c == "\\":
            escape = text[at + 1:at + 2]
            need(escape in ("\\", '"', "n"), "an escape that there is not", line)
            c, at = {"n": "\n"}.get(escape, escape), at + 1
        value.append(c)
        at += 1


def parse_labels(text, line):
    """From the brace on: returns the labels, and what stands behind them."""
    labels, at = {}, 1
    while True:
        equals = text.find("=", at)
        need(equals > 0, "a label without a value", line)
        key = text[at:equals]
        need(LABEL.match(key) and not key.startswith("__") and key not in labels, "a bad label", line)
        labels[key], at = parse_value(text, equals + 1, line)
        need(labels[key], "an empty label", line)
        end, at = text[at:at + 1], at + 1
        if end == "}":
            return labels, text[at:]
        need(end == ",", "labels that are not separated", line)


def parse_sample(line):
    name = re.match(r"[^{ ]*", line).group()
    need(NAME.match(name), "a bad name", line)
    labels, rest = parse_labels(line[len(name):], line) if line[len(name):].startswith("{") else ({}, line[len(name):])
    need(rest.startswith(" ") and NUMBER.match(rest[1:]), "a bad number", line)
    return name, labels, rest[1:]


class Family:
    def __init__(self, name, help_text):
        self.name, self.help, self.type = name, help_text, None
        self.samples = {}  # labels, as sorted pairs -> the number's text

    def check(self, line):
        """What everybody may expect of a family's name."""
        need(self.type in ("counter", "gauge"), "no type", line)
        need(self.name.endswith("_total") == (self.type == "counter"), "_total is for counters, and for them alone", line)
        words = self.name.split("_")
        for unit in ("milliseconds", "ms", "nanoseconds", "ns", "kb", "mb", "percent", "hz"):
            need(unit not in words, "not a base unit", line)
        need(self.samples, "a family without samples", line)
        need(self.help.endswith("."), "a help text that is no sentence", line)


def parse(data):
    """Returns families by name. `data`: the answer's bytes."""
    text = data.decode("utf-8")
    need(text.endswith("\n"), "the last line does not end", text[-80:])
    families, family, order = {}, None, []
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, _, help_text = line[7:].partition(" ")
            need(NAME.match(name) and name not in families, "a family twice", line)
            if family:
                family.check(line)
            family = families[name] = Family(name, help_text)
            order.append(name)
        elif line.startswith("# TYPE "):
            name, _, family_type = line[7:].partition(" ")
            need(family and name == family.name and not family.type and not family.samples, "a type out of place", line)
            family.type = family_type
        else:
            name, labels, number = parse_sample(line)
            need(family and family.type and name == family.name, "a sample outside of its family", line)
            key = tuple(sorted(labels.items()))
            need(key not in family.samples, "a sample twice", line)
            family.samples[key] = number
    need(family, "nothing", text)
    family.check("the end")
    return families

# SPDX-License-Identifier: Apache-2.0
"""Reads a pprof file (google/pprof profile.proto) with the standard library only: an independent second decoder."""
import collections
import gzip


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data):
    """Yields (field number, value): int for varints, bytes for length-delimited fields."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            value, at = _varint(data, at)
        elif key & 7 == 2:
            n, at = _varint(data, at)
            value, at = data[at:at + n], at + n
        else:
            raise ValueError("wire type %d" % (key & 7))
        yield key >> 3, value


def _packed(value):
    if isinstance(value, int):
        return [value]
    out, at = [], 0
    while at < len(value):
        v, at = _varint(value, at)
        out.append(v)
    return out


def _message(data):
    fields = collections.defaultdict(list)
    for number, value in _fields(data):
        fields[number].append(value)
    return fields


Sample = collections.namedtuple("Sample", "frames addresses mappings lines locations count nanoseconds labels")
# Where a frame's code is in the source ("" and 0: unknown), by what name its symbol goes, and whether it was inlined.
Line = collections.namedtuple("Line", "file line start system_name inlined")


class Profile:
    """
    samples: frames (names), addresses, mappings (files), lines, each leaf first, one for each inlined function too;
    locations (frames and lines, address, mapping), one an address; values; labels {key: str or int}.
    """

    def __init__(self, path):
        with gzip.open(path) as f:
            top = _message(f.read())
        strings = self.strings = [s.decode("utf-8") for s in top[6]]

        def one(message, number, default=0):
            return message[number][0] if message[number] else default

        functions = {}
        for raw in top[5]:
            m = _message(raw)
            functions[one(m, 1)] = strings[one(m, 2)], strings[one(m, 3)], strings[one(m, 4)], one(m, 5)
        mappings = {0: ""}
        for raw in top[3]:
            m = _message(raw)
            mappings[one(m, 1)] = strings[one(m, 5)]
        locations = {}
        for raw in top[4]:
            m = _message(raw)
            lines = []
            for i, line in enumerate(map(_message, m[4])):
                name, system_name, file, start = functions[one(line, 1)]
                lines.append((name, Line(file, one(line, 2), start, system_name, i + 1 < len(m[4]))))
            locations[one(m, 1)] = (lines, one(m, 3), mappings[one(m, 2)])
        self.period = one(top, 12)
        self.duration_ns = one(top, 10)
        self.comments = [strings[i] for v in top[13] for i in _packed(v)]
        self.samples = [self._sample(_message(raw), locations) for raw in top[2]]

    def _sample(self, m, locations):
        ids = [i for v in m[1] for i in _packed(v)]
        count, nanoseconds = [x for v in m[2] for x in _packed(v)]
        labels = {}
        for raw in m[3]:
            fields = _message(raw)
            key = self.strings[fields[1][0]]
            labels[key] = self.strings[fields[2][0]] if fields[2] else (fields[3] or [0])[0]
        frames, addresses, mappings, lines = [], [], [], []
        for i in ids:
            for name, line in locations[i][0]:
                frames.append(name)
                addresses.append(locations[i][1])
                mappings.append(locations[i][2])
                lines.append(line)
        return Sample(frames, addresses, mappings, lines, [locations[i] for i in ids], count, nanoseconds, labels)

    def total(self, **wanted):
        """Nanoseconds of the samples that carry these label values (None: that lack the label)."""
        return sum(s.nanoseconds for s in self.samples
                   if all(s.labels.get(k) == v for k, v in wanted.items()))

    def shares(self, key, **wanted):
        """{label value: share of the wanted samples}; None stands for samples without the label."""
        total = self.total(**wanted)
        sums = collections.Counter()
        for s in self.samples:
            if all(s.labels.get(k) == v for k, v in wanted.items()):
                sums[s.labels.get(key)] += s.nanoseconds
        return {k: v / total for k, v in sums.items()} if total else {}

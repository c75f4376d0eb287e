# SPDX-License-Identifier: Apache-2.0
"""What Python programs do all day: JSON, regular expressions, sorting, generators, classes, C calling back, zlib."""
import ctypes
import functools
import json
import re
import zlib

LIBC = ctypes.CDLL(None)
COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
PATTERN = re.compile(r"(\w+)=((?:\d\d?)*7);")


def c_sorts(n):
    values = (ctypes.c_int * 60)(*((i * n) % 61 for i in range(60)))
    LIBC.qsort(values, 60, ctypes.sizeof(ctypes.c_int), COMPARE(lambda a, b: a[0] - b[0]))
    return values[30]


def encodes(n):
    made = {"n": n, "list": [{"id": i * n, "name": "item %d" % i} for i in range(50)]}
    return len(json.loads(json.dumps(made, indent=1))["list"])


def matches(n):
    text = "".join("key%d=%d;" % (i, i * n) for i in range(100))
    return len(PATTERN.sub(lambda m: m.group(2)[:2], text).split())


@functools.total_ordering
class Version:
    def __init__(self, *parts):
        self.parts = parts

    def __lt__(self, other):
        return self.parts < other.parts

    def __eq__(self, other):
        return self.parts == other.parts


def recurse(n):
    return n and 1 + recurse(n - 1)


def main():
    total, n = 0, 0
    print("busy", flush=True)
    while True:
        n += 1
        total += c_sorts(n) + encodes(n) + matches(n) + recurse(100)
        total += len(sorted((Version(i * n % 17, i) for i in range(100)), reverse=True))
        total += len(zlib.compress(str(total).encode() * 1000)) + len(str(3 ** 3000))


main()

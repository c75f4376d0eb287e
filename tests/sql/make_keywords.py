#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Finds the displacements of the perfect hash of protocols/sql_keywords.c for the words of sql_keywords.h, and writes
protocols/sql_keywords_hash.h. Run it after any change to the list of words."""
import random
import re
import sys

BUCKETS, SLOTS, MASK = 256, 1024, (1 << 64) - 1


def hash_word(word, seed):
    """As sql_keyword_slot() has it: the first and the second eight bytes, and the length."""
    raw = word.encode().ljust(16, b"\0")
    low, high = int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:16], "little")
    return (low + high + len(word)) * seed & MASK


def place(words, seed):
    buckets = [[] for _ in range(BUCKETS)]
    for index, word in enumerate(words):
        h = hash_word(word, seed)
        buckets[h >> 56].append((h >> 32 & SLOTS - 1, index))
    slots, displacements = [0] * SLOTS, [0] * BUCKETS
    for number in sorted(range(BUCKETS), key=lambda n: -len(buckets[n])):
        bucket = buckets[number]
        for d in range(SLOTS):
            places = [at ^ d for at, _ in bucket]
            if len(set(places)) == len(places) and not any(slots[at] for at in places):
                break
        else:
            return None
        displacements[number] = d
        for at, index in bucket:
            slots[at ^ d] = index + 1
    return slots, displacements


def array(kind, name, values):
    lines, line = [], "\t"
    for value in values:
        if len(line.expandtabs(8)) + len(str(value)) + 2 > 99:
            lines.append(line.rstrip())
            line = "\t"
        line += "%d, " % value
    lines.append(line.rstrip())
    return "const %s %s[%d] = {\n%s\n};\n" % (kind, name, len(values), "\n".join(lines))


def main():
    with open("protocols/sql_keywords.h", encoding="ascii") as header:
        words = re.findall(r"\bX\((\w+), \w+, ", header.read())
    random.seed(1)
    for _ in range(10000):
        seed = random.getrandbits(64) | 1
        if placed := place(words, seed):
            break
    else:
        sys.exit("no seed found")
    with open("protocols/sql_keywords_hash.h", "w", encoding="ascii") as out:
        out.write("/* SPDX-License-Identifier: Apache-2.0 */\n"
                  "/* Written by tests/sql/make_keywords.py for sql_keywords.c: a word's bucket tells where its slot is. */\n"
                  "/* clang-format off */\n"
                  "const uint64_t sql_keyword_seed = 0x%x;\n" % seed)
        out.write(array("uint8_t", "sql_keyword_displacements", placed[1]) +
                  array("uint16_t", "sql_keyword_slots", placed[0]))


main()

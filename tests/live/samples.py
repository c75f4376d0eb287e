# SPDX-License-Identifier: Apache-2.0
"""What a profile says, whatever the protocol."""
import collections

BUSY = ("execute", "reply")


def busy_samples(profile, **wanted):
    """The samples inside of statements: execute and reply."""
    return [s for s in profile.samples if s.labels.get("phase") in BUSY and
            all(s.labels.get(k) == v for k, v in wanted.items())]


def cpu(samples):
    return sum(s.nanoseconds for s in samples) / 1e9


def by(samples, *keys):
    """{label value, or a tuple of them: seconds}"""
    sums = collections.Counter()
    for s in samples:
        values = tuple(s.labels.get(k) for k in keys)
        sums[values if len(keys) > 1 else values[0]] += s.nanoseconds / 1e9
    return sums


def named_share(samples):
    """The share of this CPU time that carries its statement."""
    total = cpu(samples)
    return cpu([s for s in samples if "db_operation_name" in s.labels]) / total if total else 0

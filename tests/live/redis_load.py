# SPDX-License-Identifier: Apache-2.0
"""The mixed load that tests, demo and figures use: cheap and dear commands, each from a client of its own."""
from harness import until
from redis_server import encode

SCRIPT = "local s = 0 for i = 1, 20000 do s = s + i end return s"
BIG = b"v" * 100_000


def fill(server):
    client = server.client()
    for start in range(0, 4000, 500):
        batch = [encode("SET", "user:%d" % i, "x" * 64) for i in range(start, start + 500)]
        batch += [encode("RPUSH", "list:a", (i * 7919) % 100_003) for i in range(start, start + 500)]
        batch += [encode("ZADD", "rank:a", i, "member:%d" % i) for i in range(start, start + 500)]
        client.send(b"".join(batch))
        for _ in batch:
            client.reply()
    client.close()


COMMANDS = {
    "GET": lambda r: ("GET", "user:%d" % r.randrange(4000)),
    "INCR": lambda r: ("INCR", "count:%d" % r.randrange(100)),
    "ZRANGEBYSCORE": lambda r: ("ZRANGEBYSCORE", "rank:a", r.randrange(2000), 2600),
    "SORT": lambda r: ("SORT", "list:a", "LIMIT", 0, 10),
    "LRANGE": lambda r: ("LRANGE", "list:a", 0, 300),
    "EVAL": lambda r: ("EVAL", SCRIPT, 0),
    "SET": lambda r: ("SET", "big:%d" % r.randrange(10), BIG),
}


def client_of(server, operation, unix=False):
    """A load function: one client that sends one command after the other."""
    def run(random, deadline):
        client = server.client(unix)
        make = COMMANDS[operation]
        for _ in until(deadline):
            client.call(*make(random))
        client.close()
    return run


def pipeline_of(server, operations, random_order=True):
    """A load function: one client that sends batches of all these commands at once."""
    def run(random, deadline):
        client = server.client()
        order = list(operations)
        for _ in until(deadline):
            if random_order:
                random.shuffle(order)
            client.send(b"".join(encode(*COMMANDS[o](random)) for o in order))
            for _ in order:
                client.reply()
        client.close()
    return run


def difference(after, before):
    """Calls and microseconds between two readings of commandstats."""
    zero = (0, 0)
    return {op: (after[op][0] - before.get(op, zero)[0], after[op][1] - before.get(op, zero)[1])
            for op in after if after[op][0] > before.get(op, zero)[0]}


def expected_shares(stats, execute_us):
    """
    Each class's share of the execute time by the server's own accounting: its microseconds, plus an equal
    part per call of the execute time that commandstats does not count (parsing, dispatch).
    """
    calls = sum(c for c, _ in stats.values())
    counted = sum(us for _, us in stats.values())
    per_call = max(0, execute_us - counted) / calls
    total = counted + per_call * calls
    return {op: (us + c * per_call) / total for op, (c, us) in stats.items()}

# SPDX-License-Identifier: Apache-2.0
"""
Records tests/corpus/mysql anew: real clients talk to a real mariadbd through a proxy that keeps the bytes.

    /usr/bin/python3 tests/mysql/record.py            (root; packages: make check-packages)

What a client asked is known from what it was told to do (sessions.py, client.c), and is checked against the server's
general log, never against the bytes: those are for a parser to read, which must find the same.
"""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), os.path.join(os.path.dirname(HERE), "live")]

import corpus
import sessions
from mariadb_server import MariadbServer
from proxy import Proxy

# How the log calls a command, where that is not its name.
LOGGED = {"STMT_PREPARE": "Prepare", "STMT_EXECUTE": "Execute", "STMT_BULK_EXECUTE": "Execute", "STMT_FETCH": "Fetch",
          "STMT_CLOSE": "Close stmt", "STMT_RESET": "Reset stmt", "STMT_SEND_LONG_DATA": "Long Data",
          "QUERY": "Query", "INIT_DB": "Init DB", "PING": "Ping", "QUIT": "Quit", "STATISTICS": "Statistics",
          "FIELD_LIST": "Field List", "CONNECT": "Connect", "CHANGE_USER": "Change user", "SET_OPTION": "Set option",
          "RESET_CONNECTION": "Reset connection", "PROCESS_KILL": "Kill", "DEBUG": "Debug"}
KEPT = 100_000  # bytes of a text that are compared
# Commands that are not logged; fetches are counted. What was refused before it began is not logged either.
UNLOGGED = {"PING", "STMT_FETCH", "RESET_CONNECTION", "SET_OPTION"}
REFUSED = {("INIT_DB", "nowhere"), ("STMT_PREPARE", "SELEC 1 FROM nowhere")}


def log_of(server):
    """The general log by connection, in order of connecting: [[(command type, argument), ...], ...]."""
    done = subprocess.run(
        server.client("--skip-column-names", "--raw", "-e", "SELECT thread_id, command_type, HEX(LEFT(argument, %d)) FROM "
                      "mysql.general_log WHERE user_host LIKE '%%%s%%'" % (KEPT, sessions.USER)),
        stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    threads = {}
    for line in done.stdout.splitlines():
        thread, kind, argument = line.split("\t")
        threads.setdefault(int(thread), []).append((kind, bytes.fromhex(argument).decode("utf-8", "replace")))
    return [threads[t] for t in sorted(threads)]


def same(command, text, kind, argument):
    """Whether a logged command is the one that was asked."""
    if kind != LOGGED[command]:
        return False
    if command in ("QUERY", "STMT_PREPARE"):
        known = re.split("[\ufffd\U00010000-\U0010ffff]", text)[0]  # the log has its own way to show these
        return argument.rstrip(" ;") == text[:KEPT].rstrip(" ;") or known != text and argument.startswith(known)
    if command in ("STMT_EXECUTE", "STMT_BULK_EXECUTE"):  # logged with its values
        pattern = "".join(".*" if part == "?" else re.escape(part) for part in re.split(r"(\?)", text))
        return bool(re.fullmatch(pattern, argument, re.S))
    if command == "INIT_DB":
        return argument == text
    return True


def explained(kind, argument, asked):
    """Whether the server has reason to log this beside what was asked: SQL that runs other SQL."""
    texts = [text for command, text in asked if command == "QUERY"]
    if kind in ("Prepare", "Execute"):
        return any(re.match(r"(PREPARE|EXECUTE)\b", text, re.I) for text in texts)
    if kind == "Connect":
        return argument.startswith("Access denied")
    return kind == "Query" and any(";" in text and argument.strip(" ;") in text for text in texts)


def check(name, asked, log):
    """Everything asked is in the log, in order, and what else is there is explained."""
    log = list(log)
    asked = [(c, text.decode("utf-8", "replace") if isinstance(text, bytes) else text) for c, text in asked]
    for command, text in asked:
        if command in UNLOGGED or (command, text) in REFUSED:
            continue
        while log and not same(command, text, *log[0]):
            extra = log.pop(0)
            if not explained(*extra, asked):
                raise AssertionError("%s: %s %r expected, the log has %r" % (name, command, text[:200], extra))
        if not log:
            raise AssertionError("%s: %s %r is not in the log" % (name, command, text[:200]))
        log.pop(0)
    for extra in log:
        if not explained(*extra, asked):
            raise AssertionError("%s: the log has %r besides" % (name, extra))


def fetches(server):
    done = subprocess.run(server.client("--skip-column-names", "-e", "SHOW GLOBAL STATUS LIKE 'Com_stmt_fetch'"),
                          stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    return int(done.stdout.split()[1])


def record(session, server, proxy, directory):
    server.run("TRUNCATE mysql.general_log")
    before = fetches(server)
    asked = session(proxy.port, directory)
    chunks = proxy.take()
    log = log_of(server)
    if fetches(server) - before != sum(command == "STMT_FETCH" for lines in asked for command, _ in lines):
        raise AssertionError("%s: the server counts %d fetches" % (session.__name__, fetches(server) - before))
    base = session.__name__
    if not len(asked) == len(chunks) == len(log):
        raise AssertionError("%s: %d connections told of, %d seen, %d in the log" %
                             (base, len(asked), len(chunks), len(log)))
    for i, (lines, data, logged) in enumerate(zip(asked, chunks, log)):
        name = base if len(asked) == 1 else "%s_%d" % (base, i + 1)
        if lines[0][0] != "CONNECT_TLS":
            check(name, lines, logged)
        corpus.write(name, data, lines)
        print("%-28s %6d bytes in %3d chunks, %3d commands" %
              (name, sum(len(d) for _, d in data), len(data), len(lines)), flush=True)


def main():
    only = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory, \
            MariadbServer("--local-infile=1", "--log-output=TABLE", "--max-allowed-packet=64M",
                          "--character-set-server=utf8mb4", tls=True) as server, \
            Proxy(server.path) as proxy:
        os.chdir(directory)  # so that no path gets into a file
        sessions.compile_client(directory)
        server.run(sessions.SETUP)
        subprocess.run(server.client("test", "-e", "SOURCE " + sessions.procedures(directory)), check=True)
        subprocess.run(["sysbench", "--db-driver=mysql", "--mysql-socket=" + server.path, "--mysql-user=root",
                        "--mysql-db=sb", "--tables=1", "--table-size=50", "--rand-seed=1", "oltp_read_write", "prepare"],
                       stdout=subprocess.DEVNULL, check=True, timeout=60)
        server.run("SET GLOBAL general_log = ON")
        for session in sessions.SESSIONS:
            if not only or session.__name__ in only:
                record(session, server, proxy, directory)


if __name__ == "__main__":
    main()

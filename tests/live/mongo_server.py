# SPDX-License-Identifier: Apache-2.0
"""FerretDB, a MongoDB server of goroutines over SQLite, on a private port of the loopback; built once into build/."""
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile

from clients import BUILD, GO, ROOT, installed
from compiled import read_line

SOURCE = os.path.join(ROOT, "tests", "ferretdb")
DIRECTORY = os.path.join(BUILD, "ferretdb")
PROGRAM = os.path.join(DIRECTORY, "ferretdb")


def _stamp():
    """What the program follows from."""
    digest = hashlib.sha256(subprocess.run([installed(GO), "version"], check=True, stdout=subprocess.PIPE).stdout)
    for name in ("main.go", "go.mod", "go.sum"):
        with open(os.path.join(SOURCE, name), "rb") as f:
            digest.update(f.read())
    return digest.hexdigest()


def build():
    """The program's path. Building it takes two minutes when Go's cache is empty; then it is there until it changes."""
    os.makedirs(DIRECTORY, exist_ok=True)
    with open(os.path.join(DIRECTORY, "stamp"), "a+", encoding="ascii") as f:
        fcntl.flock(f, fcntl.LOCK_EX)  # where two tests begin at once
        f.seek(0)
        stamp = _stamp()
        if f.read() == stamp and os.path.exists(PROGRAM):
            return PROGRAM
        f.truncate(0)
        print("    building FerretDB, which takes some minutes the first time", flush=True)
        done = subprocess.run([GO, "build", "-o", PROGRAM, "."], cwd=SOURCE, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=900,
                              env={**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"})
        if done.returncode:
            raise RuntimeError("go build of tests/ferretdb: " + done.stdout[-2000:])
        f.write(stamp)
        return PROGRAM


class MongoServer:
    """with MongoServer() as server: ... Ends the server, and removes its directory, whatever happens."""

    def __init__(self, port=0, env=None, program=None):
        self.wanted_port, self.env, self.program = port, env, program

    def __enter__(self):
        program = self.program or build()
        # In memory, so that a request is work for a CPU, not for a disk.
        self.directory = tempfile.mkdtemp(prefix="wireprof-mongo-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.process = None
        try:
            self.log = open(os.path.join(self.directory, "log"), "w+", encoding="utf-8")
            data = os.path.join(self.directory, "data")
            os.mkdir(data)
            self.process = subprocess.Popen(
                [program, "127.0.0.1:%d" % self.wanted_port, data], stdout=subprocess.PIPE, stderr=self.log, text=True,
                start_new_session=True,  # a scheduling group of its own: harness.prefer()
                env={**os.environ, **(self.env or {})})
            self.port = int(self._first_line().rsplit(":", 1)[1])
        except BaseException:
            self.__exit__()
            raise
        return self

    def _first_line(self):
        try:
            return read_line(self.process, 30)
        except AssertionError as e:
            self.log.seek(0)
            raise RuntimeError("FerretDB does not start: %s %s" % (e, self.log.read()[-500:])) from e

    @property
    def pid(self):
        return self.process.pid

    @property
    def uri(self):
        return "mongodb://127.0.0.1:%d/?directConnection=true" % self.port

    def __exit__(self, *_):
        if self.process:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            self.process.stdout.close()
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)

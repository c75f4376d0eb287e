# SPDX-License-Identifier: Apache-2.0
"""A wireprof agent in the background, and what its HTTP server says."""
import os
import re
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request

from compiled import attached
from harness import WIREPROF, wait_for


class Agent:
    """
    with Agent("--comm", "x", ...) as agent: ... It listens on a port that the kernel chose, and samples when the block
    is entered. agent.stop() ends it by SIGTERM, and checks that it ends well; agent.text() is what it printed.
    """

    def __init__(self, *options, listen="127.0.0.1:0", env=None, prefix=(), ready=True):
        self.command = [*prefix, WIREPROF, "agent", *map(str, options)]
        if listen:
            self.command += ["--listen", listen]
        self.env, self.listen, self.ready = {**os.environ, **(env or {})}, listen, ready
        self.process = None

    def __enter__(self):
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=self.errors, env=self.env)
        try:
            if self.ready:
                wait_for(self._ready, seconds=30, what="the agent to start")
        except BaseException:
            self._end()
            raise
        return self

    @property
    def pid(self):
        return self.process.pid

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError("the agent ended: " + self.text())
        return attached(self.pid) and (not self.listen or self.address())

    def text(self):
        self.errors.seek(0)
        return self.errors.read()

    def address(self):
        found = re.findall(r"listening on http://(\S+)/", self.text())
        return found[-1] if found else None

    def get(self, path="/", headers=None, timeout=20):
        """Status and body."""
        request = urllib.request.Request("http://%s%s" % (self.address(), path), headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metrics(self):
        """{name or name{labels}: value}"""
        status, text = self.get("/metrics")
        if status != 200:
            raise AssertionError("/metrics: %d" % status)
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def metric(self, name, **labels):
        """The sum of a family's values that have these labels."""
        total = 0
        for key, value in self.metrics().items():
            family, _, rest = key.partition("{")
            has = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', rest))
            if family == name and all(has.get(k) == v for k, v in labels.items()):
                total += value
        return total

    def wait_windows(self, n=1, seconds=30):
        begun = self.metric("wireprof_windows_total")
        wait_for(lambda: self.metric("wireprof_windows_total") >= begun + n, seconds=seconds, what="%d windows" % n)

    def stop(self, signal_number=signal.SIGTERM, status=0, seconds=30):
        self.process.send_signal(signal_number)
        self.process.wait(seconds)
        if self.process.returncode != status:
            raise AssertionError("the agent exited %d: %s" % (self.process.returncode, self.text()))
        return self.text()

    def _end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.errors.close()

    def __exit__(self, kind, *_):
        try:
            if not kind and self.process.poll() is None:
                self.stop()
        finally:
            self._end()


def status_kib(pid, field):
    """A number of /proc/PID/status: VmRSS, VmHWM."""
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return int(re.search(field + r":\s+(\d+)", f.read()).group(1))


def cpu_ns(pid):
    """CPU time of all threads that the process has, and has had."""
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000000000 // os.sysconf("SC_CLK_TCK")


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))

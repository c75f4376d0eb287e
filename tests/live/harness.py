# SPDX-License-Identifier: Apache-2.0
"""What live tests share: running wireprof, and loads of client processes that end by themselves."""
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback

from pprof import Profile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WIREPROF = os.environ.get("WIREPROF", os.path.join(ROOT, "build", "wireprof"))
CPUS = sorted(os.sched_getaffinity(0))

# Requests are looked at all of the time, whatever that costs, but in the tests of the governor.
os.environ.setdefault("WIREPROF_DUTY", "1")


def wireprof(*args, check=True, timeout=120, env=None):
    """Runs wireprof to its end; returns the finished process with text output."""
    done = subprocess.run([WIREPROF, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=timeout, env={**os.environ, **(env or {})})
    if check and done.returncode:
        raise AssertionError("wireprof %s exited %d: %s" % (args, done.returncode, done.stderr))
    return done


def record(pid, seconds, *options, hz=997, env=None):
    """Records a process; returns its Profile and what wireprof printed."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "out.pb.gz")
        done = wireprof("record", "-p", pid, "-d", seconds, "-F", hz, "-o", path, *options, env=env)
        return Profile(path), done.stderr


def pin(pid, cpu):
    """Gives a process (every thread it has) one CPU; so a server is not preempted by its clients."""
    for task in os.listdir("/proc/%d/task" % pid):
        os.sched_setaffinity(int(task), {CPUS[cpu % len(CPUS)]})


def prefer(pid):
    """Puts a process (every thread it has, and will have) before everybody else, where times on the wall must count."""
    for task in os.listdir("/proc/%d/task" % pid):
        os.setpriority(os.PRIO_PROCESS, int(task), -20)
    try:
        with open("/proc/%d/autogroup" % pid, "w", encoding="ascii") as f:
            f.write("-20")  # nice counts within a session; between sessions it is the session's own
    except OSError:
        pass


def schedstat(pid):
    """Nanoseconds that a process's threads have run, and have waited to run (Documentation/scheduler/sched-stats)."""
    ran = waited = 0
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, task), encoding="ascii") as f:
            fields = f.read().split()
        ran, waited = ran + int(fields[0]), waited + int(fields[1])
    return ran, waited


class Load:
    """
    with Load([function, ...], seconds): ... Each function(random, deadline) runs in a process of its own, pinned
    away from the server's CPU, and returns by the deadline; what still runs when the block ends is killed.
    """

    def __init__(self, functions, seconds, cpu=1):
        self.functions, self.seconds, self.cpu = functions, seconds, cpu
        self.pids = []

    def __enter__(self):
        deadline = time.monotonic() + self.seconds
        for seed, function in enumerate(self.functions):
            pid = os.fork()
            if not pid:
                self._run(function, seed, deadline)
            self.pids.append(pid)
        return self

    def _run(self, function, seed, deadline):
        status = 1
        try:
            os.sched_setaffinity(0, {CPUS[self.cpu % len(CPUS)]})
            signal.alarm(int(self.seconds) + 60)
            function(random.Random(seed), deadline)
            status = 0
        except BaseException:
            traceback.print_exc(file=sys.stderr)
        os._exit(status)

    def __exit__(self, kind, *_):
        failed = 0
        for pid in self.pids:
            if kind:
                os.kill(pid, signal.SIGKILL)
        for pid in self.pids:
            failed += bool(os.waitpid(pid, 0)[1])
        if failed and not kind:
            raise AssertionError("%d clients failed" % failed)


def until(deadline):
    """Counts up until the deadline."""
    n = 0
    while time.monotonic() < deadline:
        yield n
        n += 1


def wait_for(condition, seconds=10, what="condition"):
    """Polls until the condition gives something true, and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain for " + what)
        time.sleep(0.01)

# SPDX-License-Identifier: Apache-2.0
"""
A real container, made by runc: redis-server in mount, pid, network, IPC and UTS namespaces of its own.

Its root file system is made here, of redis-server and the libraries it needs. A directory of the host is mounted in
it, with redis' Unix socket; 127.0.0.1 inside is not ours. On a host with v1 controllers and v2 beside them, runc makes
its cgroup in each hierarchy, in v2 too, and puts the processes into all of them.
"""
import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile

from harness import wait_for
from redis_server import Client

SOCKET = "/run/redis/redis.sock"  # inside
REDIS = ("/usr/bin/redis-server", "--port", "6379", "--bind", "127.0.0.1", "--unixsocket", SOCKET, "--save", "",
         "--appendonly", "no", "--daemonize", "no", "--dir", "/tmp", "--logfile", "/run/redis/log")
PROGRAMS = ("redis-server", "sleep")  # what can run inside


def libraries(program):
    """What the loader maps for a program, itself too, as paths of the host."""
    text = subprocess.run(["ldd", program], check=True, stdout=subprocess.PIPE, text=True).stdout
    return re.findall(r"(?:=> |^\t)(/\S+) \(0x", text, re.MULTILINE)


def make_root(directory):
    """A root file system with PROGRAMS. Libraries keep their paths, so that the loader finds them."""
    for name in ("bin", "usr/bin", "etc", "tmp", "proc", "dev", "sys", "run/redis"):
        os.makedirs(os.path.join(directory, name))
    for name in PROGRAMS:
        program = shutil.which(name)
        shutil.copy(program, os.path.join(directory, "usr/bin"))
        for library in libraries(program):
            target = directory + library
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if not os.path.exists(target):
                shutil.copy(library, target)


def configuration(args, shared, cgroup):
    """config.json of a bundle (Open Container Initiative, runtime specification)."""
    capabilities = ["CAP_SETUID", "CAP_SETGID", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False, "user": {"uid": 0, "gid": 0}, "cwd": "/", "args": list(args),
            "env": ["PATH=/usr/bin:/bin"], "noNewPrivileges": True,
            "capabilities": {kind: capabilities for kind in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 10032, "soft": 10032}],
        },
        "root": {"path": "root", "readonly": False},
        "hostname": "redis",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
            {"destination": "/run/redis", "type": "bind", "source": shared, "options": ["bind", "rw"]},
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
        },
    }


class Container:
    """
    with Container() as container: ... redis-server runs and answers. container.pid is redis-server as the host sees
    it, container.client() a connection. Whatever happens, nothing of it is left after the block.

    `name` is the container's id for runc, which may be any text; `cgroup` where its cgroup is in each hierarchy;
    `root` a directory of runc's own, for containers that are not in the usual list.
    """

    def __init__(self, name=None, cgroup=None, root=None, args=REDIS):
        self.name = name or "wireprof-test-redis-" + secrets.token_hex(4)
        self.cgroup = cgroup or "/" + self.name
        self.runc = ["runc"] + (["--root", root] if root else [])
        self.args = args
        self.pid = self.directory = None

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="wireprof-container-")
        try:
            self.shared = os.path.join(self.directory, "shared")
            os.mkdir(self.shared)
            make_root(os.path.join(self.directory, "root"))
            with open(os.path.join(self.directory, "config.json"), "w", encoding="utf-8") as f:
                json.dump(configuration(self.args, self.shared, self.cgroup), f)
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _run(self, *args, check=True):
        """Runs runc. Its output is a file's, for the container inherits it, and would keep a pipe open."""
        with open(os.path.join(self.directory, "output"), "w+", encoding="utf-8", errors="replace") as output:
            done = subprocess.run([*self.runc, *args], stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=60)
            output.seek(0)
            text = output.read()
        if check and done.returncode:
            raise RuntimeError("runc %s: %s" % (" ".join(args), text))
        return text

    def _run_for_pid(self, *args):
        path = os.path.join(self.directory, "pid")
        self._run(args[0], "--pid-file", path, *args[1:])
        with open(path, encoding="ascii") as f:
            return int(f.read())

    @property
    def path(self):
        """Of the Unix socket, as the host sees it."""
        return os.path.join(self.shared, os.path.basename(SOCKET))

    def start(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.pid = self._run_for_pid("run", "--detach", "--bundle", self.directory, self.name)
        if self.args is REDIS:
            wait_for(self._answers, seconds=20, what="redis-server in a container")

    def _answers(self):
        try:
            client = self.client()
        except OSError:
            if not os.path.exists("/proc/%d" % self.pid):
                raise
            return False
        try:
            return client.call("PING") == "PONG"
        except RuntimeError:
            return False
        finally:
            client.close()

    def stop(self):
        """Ends every process in it, and returns when they are gone, and the container's cgroups too."""
        wait_for(self._deleted, seconds=30, what="the container's processes and cgroups to go")
        self.pid = None

    def _deleted(self):
        """runc waits only so long for the last processes to be gone, and leaves cgroups behind then."""
        self._run("delete", "--force", self.name, check=False)
        for path in self.cgroup_directories().values():
            for directory, _, _ in os.walk(path, topdown=False):
                self._end_processes(directory)
                self._remove(directory)
        return not self.cgroup_directories() and self.name not in self._run("list", "--quiet").split()

    def restart(self):
        self.stop()
        self.start()

    def exec(self, *args):
        """Starts one more process in it; returns its pid as the host sees it."""
        return self._run_for_pid("exec", "--detach", self.name, *args)

    def client(self):
        return Client(self.path)

    def processes(self):
        """The pids of all in it, as the host sees them and runc lists them."""
        return set(json.loads(self._run("ps", "--format", "json", self.name)))

    def cgroup_directories(self):
        """Of the hierarchies that are mounted: {"memory": path, "unified": path}, those that exist."""
        base = "/sys/fs/cgroup"
        trees = {name: os.path.join(base, name) for name in os.listdir(base) if os.path.isdir(os.path.join(base, name))}
        if os.path.exists(os.path.join(base, "cgroup.controllers")):
            trees = {"unified": base}
        return {name: tree + self.cgroup for name, tree in trees.items() if os.path.isdir(tree + self.cgroup)}

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            self._unmount()
            shutil.rmtree(self.directory, ignore_errors=True)

    @staticmethod
    def _end_processes(directory):
        with contextlib.suppress(OSError):
            with open(os.path.join(directory, "cgroup.procs"), encoding="ascii") as f:
                for pid in map(int, f.read().split()):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    @staticmethod
    def _remove(directory):
        with contextlib.suppress(OSError):
            os.rmdir(directory)

    def _unmount(self):
        """runc mounts in the container's namespace only; what a test mounted below the directory goes here."""
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as f:
            places = [line.split()[4] for line in f]
        for place in reversed(places):
            if place.startswith(self.directory + "/"):
                subprocess.run(["umount", "--lazy", place], check=False)

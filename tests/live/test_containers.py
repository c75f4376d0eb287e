# SPDX-License-Identifier: Apache-2.0
"""Real containers, found by what the user calls them; who is in them; and what their processes are labelled with."""
import contextlib
import errno
import os
import secrets
import subprocess
import tempfile
import unittest

from container import Container
from harness import ROOT, wait_for

DRIVER = os.path.join(ROOT, "build", "tests", "containers", "driver")


def setUpModule():
    subprocess.run(["make", "--no-print-directory", "-s", "-C", ROOT, "build/tests/containers/driver"], check=True)


def ask(*args):
    """What the driver prints, {key: value}; "pids" is a set."""
    done = subprocess.run([DRIVER, *map(str, args)], check=True, stdout=subprocess.PIPE, text=True, timeout=60)
    answer = {"pids": set()}
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        if key == "pid":
            answer["pids"].add(int(value))
        else:
            answer[key] = value
    return answer


def label(pid):
    return ask("label", pid)["label"]


def namespaces(pid):
    return {name: os.readlink("/proc/%s/ns/%s" % (pid, name)) for name in ("pid", "net", "mnt", "ipc", "uts")}


def cgroup_of(pid, controller=""):
    """The path that /proc/PID/cgroup has for a controller, "" for v2."""
    with open("/proc/%d/cgroup" % pid, encoding="utf-8") as f:
        for line in f:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            if controller in controllers.split(","):
                return path
    return None


class ContainerTest(unittest.TestCase):
    def assertResolves(self, wanted, container, name=None):
        """Is this very container: the directory that the kernel knows by that number, with all of its processes."""
        answer = ask("resolve", wanted)
        self.assertNotIn("error", answer, answer)
        self.assertEqual(int(answer["id"]), os.stat(answer["path"]).st_ino)
        self.assertEqual(answer["pids"], container.processes())
        self.assertIn(container.pid, answer["pids"])
        self.assertEqual(answer["label"], name or container.name)
        return answer

    def assertFails(self, number, says, *question):
        answer = ask(*question)
        self.assertEqual(answer.get("error"), str(-number), answer)
        self.assertIn(says, answer["why"])
        return answer["why"]


class Harness(ContainerTest):
    def test_container(self):
        with Container() as container:
            mine, its = namespaces("self"), namespaces(container.pid)
            self.assertFalse(set(mine.values()) & set(its.values()))
            with open("/proc/%d/comm" % container.pid, encoding="ascii") as f:
                self.assertEqual(f.read(), "redis-server\n")
            with open("/proc/%d/status" % container.pid, encoding="ascii") as f:
                self.assertRegex(f.read(), r"NSpid:\t%d\t1\n" % container.pid)
            # the loopback is up, and redis listens on it: 0100007F:18EB is 127.0.0.1:6379
            with open("/proc/%d/net/tcp" % container.pid, encoding="ascii") as f:
                self.assertRegex(f.read(), r"0100007F:18EB 00000000:0000 0A")
            subprocess.run(["nsenter", "-t", str(container.pid), "-n", "/usr/bin/python3", "-c",
                            "import socket; socket.create_connection(('127.0.0.1', 6379), 5)"], check=True)
            client = container.client()
            self.assertEqual(client.call("SET", "a", "1"), "OK")
            client.close()
            pid = container.exec("/usr/bin/sleep", "100")
            self.assertEqual(container.processes(), {container.pid, pid})
            self.assertEqual(namespaces(pid), its)

    def test_nothing_is_left(self):
        def left(container):
            found = subprocess.run(["find", "/sys/fs/cgroup", "-name", container.name], stdout=subprocess.PIPE, text=True,
                                   check=False).stdout
            with open("/proc/self/mountinfo", encoding="utf-8") as f:
                mounts = [line for line in f if container.directory in line]
            return (found, mounts, os.path.exists(container.directory), os.path.exists("/run/runc/" + container.name))

        with Container() as container:
            pid = container.pid
            below = os.path.join(container.cgroup_directories()["unified"], "below")
            os.mkdir(below)
        self.assertEqual(left(container), ("", [], False, False))
        wait_for(lambda: not os.path.exists("/proc/%d" % pid), what="redis-server to be gone")
        with self.assertRaises(ZeroDivisionError):
            with Container() as container:
                1 / 0
        self.assertEqual(left(container), ("", [], False, False))
        with self.assertRaises(RuntimeError):
            with (container := Container(args=["/no/such/program"])):
                pass
        self.assertEqual(left(container), ("", [], False, False))


class Resolve(ContainerTest):
    def test_by_name(self):
        with Container() as container:
            pid = container.exec("/usr/bin/sleep", "100")
            answer = self.assertResolves(container.name, container)
            self.assertIn(pid, answer["pids"])
            self.assertNotIn(os.getpid(), answer["pids"])
            self.assertEqual(label(container.pid), container.name)
            self.assertEqual(label(pid), container.name)
            self.assertNotEqual(label(os.getpid()), container.name)
            # names are whole, and as they are written
            for other in (container.name[:-1], container.name + "x", container.name.upper()):
                self.assertFails(errno.ENOENT, "no container ", "resolve", other)
        self.assertFails(errno.ENOENT, "no container ", "resolve", container.name)

    def test_by_digits(self):
        identity = secrets.token_hex(32)
        with Container(name=identity) as container:
            for wanted in (identity, identity[:6], identity[:12], identity[:63]):
                self.assertResolves(wanted, container, name=identity[:12])
            self.assertFails(errno.EINVAL, "at least 6", "resolve", identity[:5])
            self.assertEqual(label(container.pid), identity[:12])

    def test_several(self):
        common = secrets.token_hex(4)
        identities = [common + digits + secrets.token_hex(27) for digits in ("aa", "bb")]
        with Container(name=identities[0]) as one, Container(name=identities[1]) as two:
            why = self.assertFails(errno.ENOTUNIQ, "several containers", "resolve", common)
            for identity in identities:
                self.assertIn(identity[:12], why)
            self.assertResolves(common + "a", one, name=identities[0][:12])
            self.assertResolves(common + "bb", two, name=identities[1][:12])

    def test_restart(self):
        with Container() as container:
            before = self.assertResolves(container.name, container)
            pid = container.pid
            container.stop()
            self.assertFails(errno.ENOENT, "no container ", "resolve", container.name)
            self.assertEqual(label(pid), "")
            container.start()
            after = self.assertResolves(container.name, container)
            self.assertEqual(before["path"], after["path"])
            self.assertNotEqual(before["id"], after["id"])
            self.assertEqual(label(container.pid), container.name)

    def test_root_of_another_runc(self):
        """Nothing says what it is called, but its cgroup."""
        with tempfile.TemporaryDirectory(prefix="wireprof-runc-") as root:
            with Container(root=root) as container:
                self.assertResolves(container.name, container)

    def test_cgroup_of_another_name(self):
        """Nothing says what it is called, but runc's state."""
        parent = "/wireprof-test-slot-" + secrets.token_hex(4)
        with Container(cgroup=parent + "/work") as container:
            self.addCleanup(self.remove_from_each_tree, parent)
            self.assertResolves(container.name, container)
            self.assertEqual(label(container.pid), container.name)

    @staticmethod
    def remove_from_each_tree(path):
        for tree in [""] + os.listdir("/sys/fs/cgroup"):
            with contextlib.suppress(OSError):
                os.rmdir("/sys/fs/cgroup/" + tree + path)

    def test_cgroups_within(self):
        """What a container makes of its cgroup is the container's."""
        with Container() as container:
            whole = self.assertResolves(container.name, container)
            below = os.path.join(whole["path"], "inner", "redis")
            os.makedirs(below)
            with open(os.path.join(below, "cgroup.procs"), "w", encoding="ascii") as f:
                f.write(str(container.pid))
            pid = container.exec("/usr/bin/sleep", "100")
            again = self.assertResolves(container.name, container)
            self.assertEqual(again["id"], whole["id"])
            self.assertEqual(again["pids"], {container.pid, pid})
            self.assertEqual(label(container.pid), container.name)

    def test_processes_left_in_the_root_of_v2(self):
        """As on hybrid hosts whose runtime knows only v1."""
        with Container() as container:
            directories = container.cgroup_directories()
            if "memory" not in directories or "unified" not in directories:
                self.skipTest("no hybrid host")
            with open("/sys/fs/cgroup/unified/cgroup.procs", "w", encoding="ascii") as f:
                f.write(str(container.pid))
            self.assertEqual(cgroup_of(container.pid), "/")
            answer = self.assertResolves(container.name, container)
            self.assertEqual(answer["controller"], "memory")
            self.assertEqual(answer["path"], directories["memory"])
            self.assertEqual(label(container.pid), container.name)


class Cgroup(ContainerTest):
    def test_paths(self):
        with Container() as container:
            for name, directory in container.cgroup_directories().items():
                answer = ask("cgroup", directory)
                self.assertNotIn("error", answer, answer)
                self.assertEqual(answer["pids"], {container.pid})
                if name != "systemd":
                    self.assertEqual(answer["path"], directory)
                    self.assertEqual(answer["controller"], {"unified": "", "blkio": "io"}.get(name, name.split(",")[0]))
                else:  # it has no controllers, so the same is found elsewhere
                    self.assertNotIn("systemd", answer["path"])
            answer = ask("cgroup", container.cgroup)
            self.assertEqual(answer["pids"], {container.pid})
        self.assertFails(errno.ENOENT, "no cgroup tree of this host has it", "cgroup", container.cgroup)

    def test_bad_paths(self):
        self.assertFails(errno.EINVAL, "not in a cgroup tree", "cgroup", "/etc")
        self.assertFails(errno.EINVAL, "not in a cgroup tree", "cgroup", "/sys/fs/cgroup/../../../etc")
        self.assertFails(errno.EINVAL, "out of the cgroup tree", "cgroup", "../../etc")
        self.assertFails(errno.ENOENT, "no cgroup tree of this host has it", "cgroup", "/no/such/cgroup")


if __name__ == "__main__":
    unittest.main()

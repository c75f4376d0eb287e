# SPDX-License-Identifier: Apache-2.0
"""
The DaemonSet's pod as a runtime would start it, by runc: its capabilities, its mounts and its read-only root file system
are read from the manifest, and the root has nothing but the program and the libraries that it is linked with. It profiles
a server in another container.
"""
import json
import os
import shutil
import signal
import tempfile
import unittest
import urllib.request

import yaml

from container import Container, libraries
from harness import ROOT, WIREPROF, Load, until, wait_for
from pyroscope_server import PyroscopeServer
from redis_server import free_port
from unit_sandbox import CAPABILITIES

# What runtimes hide from containers, or show read-only; the network is the host's here, for the test to ask.
MASKED = ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
          "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def manifest():
    with open(os.path.join(ROOT, "deploy", "kubernetes", "daemonset.yaml"), encoding="utf-8") as f:
        objects = {d["kind"]: d for d in yaml.safe_load_all(f)}
    return objects["DaemonSet"]["spec"]["template"]["spec"], objects["ConfigMap"]["data"]


class Pod(Container):
    """with Pod({"agent.conf": text, ...}, token) as pod: ... The agent runs; pod.output() is what it printed."""

    def __init__(self, files, token):
        super().__init__(args=None)
        self.files, self.token = files, token
        self.pod, _ = manifest()

    def __enter__(self):
        self.directory = self.shared = tempfile.mkdtemp(prefix="wireprof-container-")
        try:
            self._make_root(os.path.join(self.directory, "root"))
            with open(os.path.join(self.directory, "config.json"), "w", encoding="utf-8") as f:
                json.dump(self._configuration(), f)
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    @staticmethod
    def _make_root(directory):
        for name in ("usr/bin", "etc/wireprof", "proc", "dev", "sys", "run/containerd", "var/run/secrets/wireprof",
                     "var/lib/wireprof", "tmp"):
            os.makedirs(os.path.join(directory, name))
        shutil.copy(WIREPROF, os.path.join(directory, "usr/bin"))
        for library in libraries(WIREPROF):
            os.makedirs(os.path.dirname(directory + library), exist_ok=True)
            shutil.copy(library, directory + library)

    def _volume(self, volume):
        """The directory of the host that it is."""
        path = os.path.join(self.directory, "volume-" + volume["name"])
        if "hostPath" in volume and volume["name"] != "state":
            found = volume["hostPath"]["path"]
            if volume["hostPath"]["type"] == "Directory" or os.path.isdir(found):
                return found
        os.makedirs(path)
        for name, text in (self.files if "configMap" in volume else {"token": self.token} if "secret" in volume else {}).items():
            with open(os.path.join(path, name), "w", encoding="utf-8") as f:
                f.write(text)
            os.chmod(os.path.join(path, name), 0o400 if "secret" in volume else 0o644)
        return path

    def _configuration(self):
        container = self.pod["containers"][0]
        context = container["securityContext"]
        self.volumes = {v["name"]: self._volume(v) for v in self.pod["volumes"]}
        capabilities = ["CAP_" + name for name in context["capabilities"]["add"]]
        namespaces = ["ipc", "uts", "mount"] + ([] if self.pod["hostPID"] else ["pid"])
        values = {"NODE_NAME": "node-1"}
        for variable in container["env"]:
            if "value" in variable:
                values[variable["name"]] = variable["value"].replace("$(NODE_NAME)", "node-1")
        mounts = [{"destination": "/proc", "type": "proc", "source": "proc"},
                  {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
                  {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}]
        for mount in container["volumeMounts"]:
            mounts.append({"destination": mount["mountPath"], "type": "bind", "source": self.volumes[mount["name"]],
                           "options": ["rbind", "rprivate", "ro" if mount.get("readOnly") else "rw"]})
        return {
            "ociVersion": "1.0.2",
            "process": {
                "terminal": False, "user": {"uid": context["runAsUser"], "gid": context["runAsGroup"]}, "cwd": "/",
                "args": ["/usr/bin/wireprof", *container["args"]],
                "env": ["PATH=/usr/bin"] + ["%s=%s" % item for item in values.items()],
                "noNewPrivileges": not context["allowPrivilegeEscalation"],
                "capabilities": {kind: capabilities for kind in ("bounding", "effective", "permitted")},
            },
            "root": {"path": "root", "readonly": context["readOnlyRootFilesystem"]},
            "mounts": mounts,
            "linux": {"cgroupsPath": self.cgroup, "namespaces": [{"type": kind} for kind in namespaces],
                      "maskedPaths": MASKED, "readonlyPaths": READ_ONLY},
        }

    def output(self):
        with open(os.path.join(self.directory, "output"), encoding="utf-8") as f:
            return f.read()

    def runs(self):
        return os.path.exists("/proc/%d/exe" % self.pid) and "wireprof" in os.readlink("/proc/%d/exe" % self.pid)


class DaemonSet(unittest.TestCase):
    def configuration(self, server, pid, port):
        """That of the ConfigMap, but for target and addresses."""
        text = manifest()[1]["agent.conf"]
        for old, new in (("comm = redis-server", "pid = %d" % pid), ("listen = 0.0.0.0:7072", "listen = 127.0.0.1:%d" % port),
                         ("pyroscope = http://pyroscope.pyroscope.svc:4040", "pyroscope = http://127.0.0.1:%d" % server.port),
                         ("#bearer-file", "bearer-file")):
            self.assertIn(old, text)
            text = text.replace(old, new)
        return text + "window = 1\n"

    def load(self, container):
        def lists(_, deadline):
            client = container.client()
            client.call("RPUSH", "list:1", *range(500))
            for _ in until(deadline):
                client.call("LRANGE", "list:1", 0, -1)
            client.close()

        return Load([lists], 10)

    def test_it_profiles_another_container(self):
        port = free_port()
        with PyroscopeServer(authorization="Bearer a-token") as server, Container() as target, self.load(target):
            with Pod({"agent.conf": self.configuration(server, target.pid, port)}, "a-token\n") as pod:
                wait_for(lambda: not pod.runs() or len(server.accepted) >= 3, 30, "windows")
                self.assertTrue(pod.runs(), pod.output())
                with open("/proc/%d/status" % pod.pid, encoding="ascii") as f:
                    status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
                self.assertEqual(bin(int(status["CapEff"], 16)).count("1"), len(CAPABILITIES))
                for path in ("/healthz", "/metrics"):
                    with urllib.request.urlopen("http://127.0.0.1:%d%s" % (port, path), timeout=20) as answer:
                        self.assertEqual(answer.status, 200)
                state = os.listdir(os.path.join(pod.volumes["state"], "queue"))
                os.kill(pod.pid, signal.SIGTERM)
                wait_for(lambda: not pod.runs(), 30, "the agent to end")
                text = pod.output()
        self.assertEqual(server.broken, [])
        self.assertNotRegex(text, r"(?i)denied|not permitted|read-only|warning")
        self.assertIsInstance(state, list)
        strings = {text for p in server.accepted for text in p.profile["string_table"]}
        for name in ("LRANGE list:*", "aeMain", "do_syscall_64", "libc.so.6"):
            self.assertTrue([s for s in strings if s == name or s.endswith("/" + name)], name)
        self.assertEqual(server.accepted[0].series["node"], "node-1")


if __name__ == "__main__":
    unittest.main(verbosity=2)

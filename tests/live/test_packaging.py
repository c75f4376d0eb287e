# SPDX-License-Identifier: Apache-2.0
"""What is installed and deployed: that it is all there, that it is well-formed, and that it agrees with the program."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml

from harness import ROOT, WIREPROF, wait_for
from redis_server import free_port
from unit_sandbox import CAPABILITIES, UNIT, Unit

DEPLOY = os.path.join(ROOT, "deploy")
OF_THE_PROGRAM = ("--help", "--version")
MANUALS = {"wireprof.1": ("record", "doctor"), "wireprof-agent.8": ("agent",)}
COMMANDS = ("record", "agent", "doctor")
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]


def run(*command, **how):
    return subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, **how)


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


def manifests():
    return {d["kind"]: d for d in yaml.safe_load_all(read("deploy", "kubernetes", "daemonset.yaml"))}


class Help:
    """options: {option: whether it takes a value} of a command, "-p" and "--pid" each; texts: {option: what is said of it}."""

    def __init__(self, command):
        self.options, self.texts = {}, {}
        done = run(WIREPROF, command, "--help")
        assert done.returncode == 0 and not done.stderr, done.stderr
        names = []
        for line in done.stdout.splitlines():
            if re.match(r" {2}(?: {4})?-", line):
                left, text = re.match(r"(.*?)(?:  +(.*))?$", line.strip()).groups()
                names = re.findall(r"(?<!\S)(?:-[a-zA-Z]|--[a-z-]+)(?![^\s,])", left)
                takes = bool(re.sub(r"(?<!\S)--?[a-zA-Z-]+,?(?!\S)", "", left).strip())
                self.options.update({n: takes for n in names})
                self.texts.update({n: text or "" for n in names})
            elif line.startswith(" " * 10):
                for name in names:
                    self.texts[name] += " " + line.strip()
            else:
                names = []
        if command != "doctor" and len(self.options) < 15:
            raise AssertionError("cannot read the help of %s: %s" % (command, self.options))

    @property
    def long(self):
        return {o for o in self.options if o.startswith("--")}


class PackagingTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="wireprof-test-")
        os.chmod(self.directory, 0o777)
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)


class Installing(PackagingTest):
    PREFIX = "/opt/some"
    FILES = {
        "bin/wireprof": 0o755,
        "lib/systemd/system/wireprof-agent.service": 0o644,
        "share/bash-completion/completions/wireprof": 0o644,
        "share/doc/wireprof/LICENSE": 0o644,
        "share/doc/wireprof/README.md": 0o644,
        "share/doc/wireprof/wireprof-agent.conf": 0o644,
        "share/man/man1/wireprof.1": 0o644,
        "share/man/man8/wireprof-agent.8": 0o644,
    }

    def make(self, target, user=(), prefix=PREFIX):
        done = run(*user, "make", "--no-print-directory", "-C", ROOT, target, "DESTDIR=" + self.path("root"), "PREFIX=" + prefix)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def installed(self):
        """{path below DESTDIR: mode} of all files."""
        top = self.path("root")
        return {os.path.relpath(os.path.join(directory, name), top): os.stat(os.path.join(directory, name)).st_mode & 0o7777
                for directory, _, names in os.walk(top) for name in names}

    def assert_installed(self, prefix, user=()):
        program = os.path.join(ROOT, "build", "wireprof")
        before = os.stat(program).st_mtime_ns
        text = self.make("install", user, prefix)
        self.assertEqual(os.stat(program).st_mtime_ns, before)
        self.assertNotRegex(text, r"(?m)^  (CC|LD|GEN|BPF|CXX) ")
        self.assertEqual(self.installed(), {prefix.lstrip("/") + "/" + name: mode for name, mode in self.FILES.items()})
        unit = Unit(self.path("root" + prefix + "/lib/systemd/system/wireprof-agent.service"))
        self.assertEqual(unit.words("ExecStart")[0], prefix + "/bin/wireprof")
        done = run(self.path("root" + prefix + "/bin/wireprof"), "--help")
        self.assertTrue(done.stdout.startswith("usage: wireprof"))

    def test_prefix(self):
        self.assert_installed(self.PREFIX)

    def test_default_prefix_and_uninstall(self):
        self.assert_installed("/usr/local")
        with open(self.path("root/usr/local/bin/other"), "w", encoding="ascii"):
            pass
        self.make("uninstall", prefix="/usr/local")
        self.assertEqual(list(self.installed()), ["usr/local/bin/other"])
        self.assertFalse(os.path.exists(self.path("root/usr/local/share/doc/wireprof")))
        self.make("uninstall", prefix="/usr/local")  # twice is fine

    def test_without_root(self):
        if run(*NOBODY, "test", "-r", os.path.join(ROOT, "Makefile")).returncode:
            self.skipTest("this checkout can be read by root alone")
        self.assert_installed("/usr", NOBODY)


class Manuals(PackagingTest):
    def test_no_warnings(self):
        for page in MANUALS:
            done = run("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", os.path.join(ROOT, "man", page),
                       env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"})
            self.assertEqual((done.returncode, done.stderr), (0, ""), page)
            self.assertGreater(len(done.stdout), 1000)

    @staticmethod
    def tags(page):
        """The options that the page explains: those in the line behind each .TP."""
        lines = read("man", page).replace("\\-", "-").splitlines()
        return {option for before, line in zip(lines, lines[1:]) if before == ".TP"
                for option in re.findall(r"(?<![\w-])--?[a-z][a-z-]*|(?<![\w-])-[A-Z]\b", line.replace("\\fR", ""))}

    def test_every_option_is_explained(self):
        for page, commands in MANUALS.items():
            for command in commands:
                known = set(Help(command).options)
                self.assertEqual(known - self.tags(page) - {"--verbose"}, set(), page)
                self.assertIn("--verbose", self.tags(page))

    def test_every_option_exists(self):
        for page, commands in MANUALS.items():
            for option in self.tags(page):
                accepted = option in OF_THE_PROGRAM or any(is_known(command, option) for command in commands)
                self.assertTrue(accepted, "%s: %s" % (page, option))

    def test_options_of_the_program_itself(self):
        for option in OF_THE_PROGRAM:
            done = run(WIREPROF, option)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn(option, self.tags("wireprof.1"))

    def test_defaults_agree(self):
        """Numbers that the usage calls defaults are in the page too."""
        page = read("man", "wireprof-agent.8").replace("\\-", "-").split("\n.TP\n")
        defaults = {o: re.search(r"default ([\d/][\w/]*)", text) for o, text in Help("agent").texts.items()}
        defaults = {o: m[1] for o, m in defaults.items() if m and o.startswith("--")}
        self.assertGreaterEqual(len(defaults), 6, defaults)
        for option, value in defaults.items():
            entry, = [e for e in page if option in re.findall(r"--[a-z-]+", e.splitlines()[0])]
            self.assertRegex(" ".join(entry.split()), r"Default: (\.IR )?%s(\.| \.)" % value)


def is_known(command, option):
    """
    Whether the command knows the option. Nothing is started: behind it stands --help, which is done at once, or is the
    option's value, and then the next word is refused.
    """
    done = run(WIREPROF, command, option, "--help", "--no-such-option")
    return 'unknown option "%s"' % option not in done.stderr and not done.stderr.startswith("wireprof: unexpected")


class Completion(PackagingTest):
    def complete(self, *words, path=None):
        """What is offered for the last of the words."""
        script = ("source %s/deploy/bash-completion/wireprof; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _wireprof; "
                  "[ ${#COMPREPLY[@]} = 0 ] || printf '%%s\\n' \"${COMPREPLY[@]}\"" % ROOT)
        done = run("bash", "-uc", script, "bash", "wireprof", *words, cwd=self.directory,
                   env={**os.environ, **({"PATH": path} if path else {})})
        self.assertEqual((done.returncode, done.stderr), (0, ""), words)
        return done.stdout.splitlines()

    def test_commands(self):
        text = run(WIREPROF, "--help").stdout
        commands = set(re.findall(r"(?m)^  (\w+) ", text))
        self.assertTrue(commands)
        self.assertEqual(set(self.complete("")), commands | {"help"} | set(OF_THE_PROGRAM))
        self.assertEqual(self.complete("rec"), ["record"])

    def test_options(self):
        for command in COMMANDS:
            offered = set(self.complete(command, "-"))
            known = Help(command).options
            self.assertEqual({o for o in known if o != "-h"} - offered, set(), command)
            for option in offered - {"--"}:
                self.assertTrue(is_known(command, option), "%s %s" % (command, option))

    def test_values_are_no_options(self):
        for command in COMMANDS:
            for option, has_value in Help(command).options.items():
                offered = self.complete(command, option, "-")
                self.assertEqual(any(o.startswith("--") for o in offered), not has_value, "%s %s: %s" % (command, option, offered))

    def test_values(self):
        for name in ("one.conf", "two words"):
            with open(self.path(name), "w", encoding="ascii"):
                pass
        os.mkdir(self.path("dir"))
        self.assertEqual(set(self.complete("agent", "--config", "")), {"one.conf", "two words", "dir"})
        self.assertEqual(self.complete("agent", "--out-dir", ""), ["dir"])
        self.assertEqual(self.complete("record", "-f", "fo"), ["folded"])
        self.assertEqual(self.complete("agent", "--redis-keys", ""), ["prefix", "none"])
        self.assertEqual(self.complete("agent", "--window", ""), [])
        self.assertIn("true", self.complete("record", "--", "tru"))
        self.assertEqual(self.complete("record", "--", "cat", "one"), ["one.conf"])

    def test_processes(self):
        shutil.copy(shutil.which("sleep"), self.path("odd name"))
        with subprocess.Popen([self.path("odd name"), "60"]) as process:
            self.addCleanup(process.kill)
            wait_for(lambda: read("/proc/%d/comm" % process.pid) == "odd name\n", what="the program to start")
            self.assertEqual(self.complete("record", "--comm", "odd"), ["odd\\ name"])
            self.assertIn(str(process.pid), self.complete("record", "-p", ""))
            self.assertEqual(self.complete("record", "--pid", "1,%d" % process.pid)[0], "1,%d" % process.pid)
            process.kill()

    def test_containers(self):
        os.mkdir(self.path("bin"))
        tools = self.path("bin")
        for tool in ("bash", "timeout", "sh", "cat"):
            os.symlink(shutil.which(tool), os.path.join(tools, tool))
        self.assertEqual(self.complete("record", "-c", "", path=tools), [])
        with open(os.path.join(tools, "docker"), "w", encoding="ascii") as f:
            f.write("#!/bin/sh\n[ \"$1\" = ps ] && printf 'shop-db\\nshop-cache\\nother\\n'; echo noise >&2\n")
        os.chmod(os.path.join(tools, "docker"), 0o755)
        self.assertEqual(self.complete("record", "-c", "shop", path=tools), ["shop-db", "shop-cache"])


class Configuration(PackagingTest):
    def assert_parses(self, text):
        """The agent gets past its options: what it then misses is the process."""
        with open(self.path("agent.conf"), "w", encoding="utf-8") as f:
            f.write(text)
        with open("/proc/sys/kernel/pid_max", encoding="ascii") as f:
            pid = int(f.read()) - 1
        done = run(WIREPROF, "agent", "--config", self.path("agent.conf"), "-p", pid, "--listen", "127.0.0.1:%d" % free_port(),
                   "--queue-dir", self.path("queue"), "--out-dir", self.path("out"))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertNotIn("agent.conf", done.stderr)

    def test_example(self):
        self.assert_parses(read("deploy", "wireprof-agent.conf"))

    def test_config_map(self):
        self.assert_parses(manifests()["ConfigMap"]["data"]["agent.conf"])

    def test_a_wrong_one_does_not(self):
        """Or those above say nothing."""
        with self.assertRaises(AssertionError):
            self.assert_parses("windows = 5\n")

    def test_every_option_is_in_the_example(self):
        keys = re.findall(r"(?m)^#?([a-z-]+) = ", read("deploy", "wireprof-agent.conf"))
        self.assertEqual(set(keys), {o[2:] for o in Help("agent").long} - {"help", "config"})


class Deployment(PackagingTest):
    def test_unit_is_well_formed(self):
        unit = self.path("wireprof-agent.service")
        with open(unit, "w", encoding="utf-8") as f:
            f.write(read(UNIT).replace("/usr/local/bin/wireprof", WIREPROF))
        done = run("systemd-analyze", "verify", "--man=no", unit)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        done = run("systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=40", unit)  # of 100
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_unit(self):
        unit = Unit()
        self.assertEqual(unit.words("AmbientCapabilities"), list(CAPABILITIES))
        self.assertEqual(unit.words("CapabilityBoundingSet"), list(CAPABILITIES))
        state = "/var/lib/" + unit.words("StateDirectory")[0] + "/"
        self.assertIn("default " + state, run(WIREPROF, "agent", "--help").stdout)
        # What would hide /proc/kallsyms or the processes, or end the use of BPF.
        for name in ("ProtectKernelTunables", "ProtectKernelLogs", "ProtectProc", "ProcSubset", "PrivateUsers", "PrivateNetwork"):
            self.assertNotIn(name, unit.settings)

    def test_same_capabilities_everywhere(self):
        short = [c[len("CAP_"):] for c in CAPABILITIES]
        done = run(*NOBODY, WIREPROF, "doctor")
        self.assertIn("add: [%s]" % ", ".join(short), done.stdout)
        self.assertEqual(re.findall(r"--cap-add (\w+)", read("deploy", "Dockerfile")), short)
        container = manifests()["DaemonSet"]["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(container["securityContext"]["capabilities"], {"drop": ["ALL"], "add": short})
        page = " ".join(read("man", "wireprof.1").split())
        for capability in CAPABILITIES:
            self.assertIn(capability, page)

    def test_daemon_set(self):
        objects = manifests()
        space = objects["Namespace"]["metadata"]["name"]
        for kind, thing in objects.items():
            if kind != "Namespace":
                self.assertEqual(thing["metadata"]["namespace"], space, kind)
        spec = objects["DaemonSet"]["spec"]
        template = spec["template"]
        pod = template["spec"]
        self.assertEqual(spec["selector"]["matchLabels"].items() - template["metadata"]["labels"].items(), set())
        self.assertEqual(pod["serviceAccountName"], objects["ServiceAccount"]["metadata"]["name"])
        self.assertTrue(pod["hostPID"])
        container, = pod["containers"]
        volumes = {v["name"]: v for v in pod["volumes"]}
        self.assertEqual({m["name"] for m in container["volumeMounts"]}, set(volumes))
        self.assertEqual(volumes["config"]["configMap"]["name"], objects["ConfigMap"]["metadata"]["name"])
        mounts = {m["mountPath"]: m for m in container["volumeMounts"]}
        for mount in mounts.values():
            self.assertTrue(mount.get("readOnly") or mount["name"] == "state", mount)
        self.assertIn(os.path.dirname(container["args"][-1]), mounts)
        self.assertEqual(list(objects["ConfigMap"]["data"]), [os.path.basename(container["args"][-1])])
        port, = container["ports"]
        self.assertIn("listen = 0.0.0.0:%d\n" % port["containerPort"], objects["ConfigMap"]["data"]["agent.conf"])
        self.assertEqual(template["metadata"]["annotations"]["prometheus.io/port"], str(port["containerPort"]))
        for probe in ("livenessProbe", "readinessProbe"):
            self.assertEqual(container[probe]["httpGet"], {"path": "/healthz", "port": port["name"]})
        for variable in container["env"]:
            if variable["name"].startswith("WIREPROF_"):
                self.assertIn("--" + variable["name"][len("WIREPROF_"):].lower().replace("_", "-"), Help("agent").long)

    def test_json(self):
        for directory, _, names in os.walk(DEPLOY):
            for name in names:
                if name.endswith(".json"):
                    with open(os.path.join(directory, name), encoding="utf-8") as f:
                        json.load(f)


class Image(PackagingTest):
    """No docker runs here; but what the image lacks of libraries can be known without."""

    @staticmethod
    def package_of(library):
        """The Debian package of a library, by its name in Debian 12. (13 calls some with "t64" at the end.)"""
        path = os.path.realpath(library)
        for name in (path, path[len("/usr"):] if path.startswith("/usr/") else "/usr" + path):
            done = run("dpkg-query", "-S", name)
            if not done.returncode:
                return re.sub(r"t64$", "", done.stdout.split(":")[0])
        raise AssertionError("no package has " + library)

    def listed(self):
        stages = read("deploy", "Dockerfile").split("FROM ")
        words = re.search(r"--no-install-recommends \\\n(.*?)&& rm", stages[-1], re.S)[1].replace("\\", " ").split()
        self.assertIn("ca-certificates", words)
        return [w for w in words if w != "ca-certificates"]

    def test_libraries(self):
        text = run("ldd", WIREPROF).stdout
        paths = dict(re.findall(r"(\S+) => (/\S+)", text))
        needed = re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", WIREPROF).stdout)
        self.assertGreater(len(needed), 5)
        self.assertEqual(sorted({self.package_of(paths[name]) for name in needed if name in paths}), self.listed())

    def test_dependencies_bring_the_rest(self):
        reached, todo = set(), list(self.listed())
        while todo:
            package = todo.pop()
            if package in reached:
                continue
            reached.add(package)
            for name in (package, package + "t64"):
                done = run("dpkg-query", "-W", "-f", "${Pre-Depends}, ${Depends}", name)
                todo += [re.sub(r"t64$", "", re.split(r"[ :(|]", d.strip())[0]) for d in done.stdout.split(",") if d.strip()]
        for path in re.findall(r"=> (/\S+)", run("ldd", WIREPROF).stdout):
            self.assertIn(self.package_of(path), reached)

    def test_build_stage(self):
        """It installs what make knows, by a target that is there."""
        self.assertIn("make build-packages && make ", read("deploy", "Dockerfile"))
        self.assertEqual(run("make", "-C", ROOT, "-n", "build-packages").returncode, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)

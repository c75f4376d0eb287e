# SPDX-License-Identifier: Apache-2.0
"""
Without root: a plain user with the six capabilities of the systemd unit records what other users run, also under the
unit's filters; what each capability is for; and doctor, which says what is missing and how to get it.
"""
import json
import os
import signal
import subprocess
import unittest
import urllib.request

import redis_server
from compiled import KERNEL, CompiledTest, attached, entry_share
from harness import WIREPROF, Load, until, wait_for
from pprof import Profile
from pyroscope_server import PyroscopeServer, make_authority
from unit_sandbox import CAPABILITIES, USER, Unit, plain_user, write_filter

SERVER_USER = 2  # neither root nor the one that records
SANDBOX = os.path.join(os.path.dirname(os.path.abspath(__file__)), "unit_sandbox.py")


def without(capability):
    return [c for c in CAPABILITIES if c != capability]


class PrivilegesTest(CompiledTest):
    def setUp(self):
        super().setUp()
        os.chmod(self.directory, 0o777)
        self.out = self.path("out.pb.gz")

    def run_as(self, wrapper, *args):
        return subprocess.run([*wrapper, WIREPROF, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=90, cwd="/")

    def record(self, wrapper, pid, *options):
        done = self.run_as(wrapper, "record", "-p", pid, "-d", 1, "-F", 997, "-o", self.out, *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(os.stat(self.out).st_uid, USER)
        return Profile(self.out), done.stderr

    def hidden_program(self, name="busy", directory_mode=0o700):
        """A program that burns CPU, owned by root, in a directory that others cannot look into; its path and process."""
        directory = self.path("hidden")
        os.mkdir(directory, 0o700)
        path = self.compile("busy.c", "-g", name=os.path.join("hidden", name))
        os.chmod(path, 0o700)
        os.chmod(directory, directory_mode)
        return path, self.start(path)


class AsPlainUser(PrivilegesTest):
    def redis(self):
        """A redis-server of another user; its pid and port."""
        port = redis_server.free_port()
        process = self.start("setpriv", "--reuid=%d" % SERVER_USER, "--regid=%d" % SERVER_USER, "--clear-groups",
                             "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", "/",
                             "--logfile", "/dev/null", ready=False)

        def answers():
            try:
                redis_server.Client(("127.0.0.1", port)).close()
                return True
            except OSError:
                return False

        wait_for(answers, 20, "redis-server")
        self.assertEqual(os.stat("/proc/%d" % process.pid).st_uid, SERVER_USER)
        return process.pid, port

    @staticmethod
    def load(port):
        def lists(_, deadline):
            client = redis_server.Client(("127.0.0.1", port))
            client.call("RPUSH", "list:1", *range(500))
            for _ in until(deadline):
                client.call("LRANGE", "list:1", 0, -1)
            client.close()

        return Load([lists], 120)

    def assert_redis(self, wrapper):
        pid, port = self.redis()
        load = self.load(port)
        with self.assertRaises(InterruptedError), load:
            profile, text = self.record(wrapper, pid, "--verbose")
            raise InterruptedError  # that ends the load at once
        self.assertGreater(profile.shares("db_query_summary").get("LRANGE list:*", 0), 0.5, text)
        self.assertGreater(entry_share(profile.samples), 0.95, text)
        frames = {(m, f) for s in profile.samples for m, f in zip(s.mappings, s.frames)}
        kernel = {f for m, f in frames if m == KERNEL}
        self.assertIn("do_syscall_64", kernel)
        self.assertFalse([f for f in kernel if f.startswith("[kernel]+")])
        self.assertIn("aeMain", {f for _, f in frames})
        self.assertRegex(text, r"libc\.so\.6: lines of \d+ of \d+ addresses")  # by the confined child
        self.assertTrue(any(line.file.endswith(".c") for s in profile.samples for line in s.lines))
        self.assertNotIn("could not be read", text)
        self.assertNotIn("Permission denied", text)

    def test_a_server_of_another_user(self):
        self.assert_redis(plain_user())

    def test_under_the_filters_of_the_unit(self):
        path = self.path("filter.json")
        write_filter(path)
        self.assert_redis([*plain_user(Unit().words("AmbientCapabilities")), "/usr/bin/python3", SANDBOX, path])

    def test_the_filters_do_forbid(self):
        """Or the test above says nothing."""
        path = self.path("filter.json")
        write_filter(path)
        program = ("import ctypes, mmap, os, socket\n"
                   "def refused(f, *args):\n"
                   "    try: f(*args)\n"
                   "    except PermissionError: return\n"
                   "    raise SystemExit('%r %r was not refused' % (f, args))\n"
                   "refused(socket.socket, socket.AF_PACKET)\n"
                   "refused(mmap.mmap, -1, 4096, mmap.MAP_PRIVATE, mmap.PROT_WRITE | mmap.PROT_EXEC)\n"
                   "refused(os.chroot, '/')\n"
                   "refused(os.setuid, os.getuid())\n"
                   "socket.socket(socket.AF_INET).close()\n")
        done = subprocess.run([*plain_user(), "/usr/bin/python3", SANDBOX, path, "/usr/bin/python3", "-c", program],
                              stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_process_of_root(self):
        """In a directory that only root can look into, and which the recording does not see: as with PrivateTmp=yes."""
        _, process = self.hidden_program()
        wrapper = ["unshare", "-m", "sh", "-c", "mount -t tmpfs none %s && exec \"$0\" \"$@\"" % self.path("hidden")]
        profile, text = self.record(wrapper + plain_user(), process.pid)
        stacks = {tuple(s.frames[-2:]) for s in profile.samples}
        self.assertIn("busy_function", {f for s in profile.samples for f in s.frames}, stacks)
        self.assertTrue(any(line.file.endswith(("busy.c", "burn.h")) for s in profile.samples for line in s.lines))
        self.assertEqual(entry_share(profile.samples), 1, text)

    def test_it_has_these_capabilities_and_no_other(self):
        process = self.start(self.compile("busy.c"))
        recorder = self.start(*plain_user(), WIREPROF, "record", "-p", process.pid, "-o", self.out, ready=False,
                              stderr=subprocess.PIPE)
        wait_for(lambda: attached(recorder.pid), 30, "the recording to start")
        with open("/proc/%d/status" % recorder.pid, encoding="ascii") as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        self.assertEqual(status["Uid"].split(), [str(USER)] * 4)
        for kind in ("CapEff", "CapPrm", "CapBnd"):
            bits = int(status[kind], 16)
            self.assertEqual({b for b in range(64) if bits & 1 << b}, {39, 38, 19, 40, 2, 34}, kind)
        recorder.send_signal(signal.SIGINT)
        _, text = recorder.communicate(timeout=30)
        self.assertEqual(recorder.returncode, 0, text)


class AsTheUnit(PrivilegesTest):
    """The agent as the systemd unit runs it: user, capabilities, filters, and nothing to write to but its state."""

    def wrapper(self):
        state, rules = self.path("state"), self.path("filter.json")
        os.mkdir(state, 0o700)
        os.chown(state, USER, USER)
        os.symlink(state, self.path("lib"))  # as /var/lib/wireprof is one to /var/lib/private/wireprof
        write_filter(rules)
        mounts = ["mount --bind %s %s" % (state, state), "mount -o remount,bind,ro /", "mount -o remount,bind,ro /sys",
                  "exec \"$0\" \"$@\""]
        return ["unshare", "-m", "sh", "-ec", "; ".join(mounts), *plain_user(Unit().words("AmbientCapabilities")),
                "/usr/bin/python3", SANDBOX, rules]

    def configure(self, **options):
        with open(self.path("agent.conf"), "w", encoding="ascii") as f:
            f.writelines("%s = %s\n" % (key.replace("_", "-"), value) for key, value in options.items())

    def test_the_agent(self):
        _, process = self.hidden_program()
        with open(self.path("token"), "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
            f.write("the token\n".replace(" ", "-"))
        authority, certificate = make_authority(self.directory)
        with PyroscopeServer(tls=certificate, authorization="Bearer the-token") as server:
            port = redis_server.free_port()
            options = {"pid": process.pid, "window": 1, "inlines": "yes", "pyroscope": server.url, "label": "run=one",
                       "bearer_file": self.path("token"), "ca_file": authority, "queue_dir": self.path("lib/queue"),
                       "out_dir": self.path("lib/profiles"), "listen": port}
            self.configure(**options)
            agent = self.start(*self.wrapper(), WIREPROF, "agent", "--config", self.path("agent.conf"), ready=False,
                               stderr=subprocess.PIPE)
            wait_for(lambda: agent.poll() is not None or len(server.accepted) >= 2, 60, "windows")
            self.assertIsNone(agent.poll(), agent.stderr.read() if agent.poll() is not None else "")
            for path in ("/healthz", "/metrics", "/"):
                with urllib.request.urlopen("http://127.0.0.1:%d%s" % (port, path), timeout=20) as answer:
                    self.assertEqual(answer.status, 200)
            self.configure(**{**options, "label": "run=two"})
            server.repeats_allowed = True  # a push that takes longer than the agent waits for it then
            agent.send_signal(signal.SIGHUP)
            wait_for(lambda: [p for p in list(server.accepted) if p.series.get("run") == "two"], 30, "the new label")
            agent.send_signal(signal.SIGTERM)
            _, text = agent.communicate(timeout=30)
        self.assertEqual(agent.returncode, 0, text)
        self.assertEqual(server.broken, [])
        self.assertNotRegex(text, r"(?i)denied|not permitted|read-only|warning")
        self.assertEqual(os.stat(self.path("state/queue")).st_uid, USER)
        strings = {text for p in server.accepted for text in p.profile["string_table"]}
        self.assertIn("busy_function", strings)
        self.assertTrue([text for text in strings if text.endswith("busy.c")])  # DWARF, by the confined child
        self.assertEqual(server.accepted[0].series["run"], "one")
        self.assertGreaterEqual(len([n for n in os.listdir(self.path("state/profiles")) if n.endswith(".pb.gz")]), 3)


class WhatEachIsFor(PrivilegesTest):
    """That which doctor says is missing without it, is."""

    def frames(self, process, capability, **how):
        profile, _ = self.record(plain_user(without(capability)), process.pid, **how)
        self.assertGreater(len(profile.samples), 0)
        return {f for s in profile.samples for f in s.frames}

    def test_to_load(self):
        process = self.start(self.compile("busy.c"))
        for capability in ("CAP_BPF", "CAP_PERFMON"):
            done = self.run_as(plain_user(without(capability)), "record", "-p", process.pid, "-o", self.out)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn("missing %s:" % capability, done.stderr)

    def test_to_read_processes_of_others(self):
        process = self.start(self.compile("busy.c"))
        self.assertIn("busy_function", self.frames(process, None))
        self.assertNotIn("busy_function", self.frames(process, "CAP_SYS_PTRACE"))

    def test_to_read_files_of_others(self):
        _, process = self.hidden_program()
        self.assertNotIn("busy_function", self.frames(process, "CAP_DAC_READ_SEARCH"))
        self.assertIn("busy_function", self.frames(process, None))

    def test_files_that_were_deleted(self):
        path, process = self.hidden_program(directory_mode=0o755)
        os.unlink(path)
        self.assertNotIn("busy_function", self.frames(process, "CAP_CHECKPOINT_RESTORE"))
        self.assertIn("busy_function", self.frames(process, None))

    def test_names_of_the_kernel(self):
        process = self.start(self.compile("kernel_time.c"))
        self.assertIn("do_syscall_64", self.frames(process, None))
        names = self.frames(process, "CAP_SYSLOG")
        self.assertNotIn("do_syscall_64", names)
        self.assertTrue([n for n in names if n.startswith("[kernel]+")])


class Doctor(PrivilegesTest):
    def doctor(self, *wrapper, status=0):
        """What it prints; None as status: any."""
        done = self.run_as(wrapper, "doctor")
        if status is not None:
            self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def in_own_mounts(self, *commands):
        return ["unshare", "-m", "sh", "-ec", "; ".join(commands) + "; exec \"$0\" \"$@\""]

    def put(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as f:
            f.write(text)
        return self.path(name)

    def test_nothing_is_missing(self):
        text = self.doctor(*plain_user())
        self.assertRegex(text, r"ok    capabilities +all there")
        self.assertNotIn("setcap", text)

    def test_each_that_is_missing(self):
        for capability in CAPABILITIES:
            text = self.doctor(*plain_user(without(capability)), status=1)
            self.assertRegex(text, r"FAIL  capabilities +missing %s\n +%s +\w.*\n" % (capability, capability))
            self.assertNotIn("missing CAP_, ", text)
            for other in without(capability):
                self.assertNotRegex(text, r"(?m)^ +%s  " % other)
            short = [c[len("CAP_"):] for c in CAPABILITIES]
            self.assertIn("setcap %s+ep %s\n" % (",".join(CAPABILITIES).lower(), WIREPROF), text)
            self.assertIn("AmbientCapabilities=%s\n" % " ".join(CAPABILITIES), text)
            self.assertIn("docker run --pid=host --cap-add %s\n" % " --cap-add ".join(short), text)
            self.assertIn("hostPID: true, securityContext.capabilities.add: [%s]\n" % ", ".join(short), text)

    def test_all_are_missing(self):
        text = self.doctor(*plain_user([]), status=1)
        self.assertRegex(text, "missing " + ", ".join(CAPABILITIES))

    def test_setcap_as_it_says(self):
        """The line that doctor prints, on a copy: then a user without any capability can record."""
        copy = self.path("wireprof")
        subprocess.run(["cp", WIREPROF, copy], check=True)
        command = [line for line in self.doctor(*plain_user([]), status=1).splitlines() if "setcap" in line][0]
        command = command[command.index("setcap"):].replace(WIREPROF, copy).split()
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})
        if "not supported" in done.stderr:
            self.skipTest("no capabilities of files here: " + done.stderr.strip())
        self.assertEqual(done.returncode, 0, done.stderr)
        user = ["setpriv", "--reuid=%d" % USER, "--regid=%d" % USER, "--clear-groups", "--inh-caps=-all"]
        process = self.start(self.compile("busy.c"))
        done = subprocess.run([*user, copy, "record", "-p", str(process.pid), "-d", "0.5", "-o", self.out], cwd="/",
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("busy_function", {f for s in Profile(self.out).samples for f in s.frames})

    def test_settings_of_the_kernel(self):
        wrapper = self.in_own_mounts("mount --bind %s /proc/sys/kernel/kptr_restrict" % self.put("two", "2\n"))
        self.assertIn("sysctl kernel.kptr_restrict=1", self.doctor(*wrapper, status=1))
        wrapper = self.in_own_mounts("mount -t tmpfs none /sys/kernel/btf")
        self.assertIn("CONFIG_DEBUG_INFO_BTF", self.doctor(*wrapper, status=1))

    def test_lockdown(self):
        if not os.path.isdir("/sys/kernel/security"):
            self.skipTest("this kernel has no securityfs")
        for mode, text, status in (("confidentiality", "lockdown=integrity", 1), ("integrity", "ok    kernel lockdown", 0)):
            words = "none integrity confidentiality\n".replace(" " + mode, " [%s]" % mode)
            wrapper = self.in_own_mounts("mount -t tmpfs none /sys/kernel/security",
                                         "cp %s /sys/kernel/security/lockdown" % self.put("lockdown", words))
            self.assertIn(text, self.doctor(*wrapper, status=status))

    def test_an_old_kernel(self):
        old = ["setarch", "--uname-2.6"]
        self.assertRegex(self.doctor(*old, status=None), r"note  kernel +2\.6\..*\n.*5\.17")
        limited = ["prlimit", "--memlock=65536:65536", *old, *plain_user()]
        self.assertIn("LimitMEMLOCK=infinity", self.doctor(*limited, status=1))

    def test_namespaces(self):
        text = self.doctor("unshare", "--user", "--map-root-user", status=1)
        self.assertRegex(text, r"FAIL  user namespace.*\n.*rootless")
        text = self.doctor("unshare", "--pid", "--fork", "--mount-proc")
        self.assertRegex(text, r"note  process namespace.*\n.*--pid=host.*hostPID")

    def test_security_modules(self):
        self.assertRegex(self.doctor(), r"ok    other programs +\d+ of \d+ can be read")
        text = self.doctor("unshare", "--user", "--map-root-user", status=1)  # refuses as such a module would
        self.assertRegex(text, r"FAIL  other programs .*\n.*apparmor=unconfined.*spc_t")
        path = self.path("filter.json")
        write_filter(path)
        with open(path, encoding="ascii") as f:
            rules = json.load(f)
        rules["calls"].remove("bpf")
        with open(path, "w", encoding="ascii") as f:
            json.dump(rules, f)
        text = self.doctor("/usr/bin/python3", SANDBOX, path, status=1)
        self.assertRegex(text, r"FAIL  BPF programs load .*\n.*seccomp=unconfined.*SystemCallFilter=bpf")

    def test_cgroups(self):
        self.assertRegex(self.doctor(), r"ok    cgroups +v[12]")
        self.assertIn("mount /sys/fs/cgroup", self.doctor(*self.in_own_mounts("umount -l -R /sys/fs/cgroup")))

    def test_words(self):
        for option in ("--help", "-h"):
            done = self.run_as([], "doctor", option)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("--verbose", done.stdout)
        self.assertEqual(self.run_as([], "doctor", "--bogus").returncode, 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)

# SPDX-License-Identifier: Apache-2.0
"""
What the systemd unit makes of the agent, without a systemd that runs: its user, its six capabilities, its filters of
system calls. As a program, `unit_sandbox.py FILTER.json COMMAND ...`, it confines itself, and becomes the command.
"""
import ctypes
import errno
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UNIT = os.path.join(ROOT, "deploy", "systemd", "wireprof-agent.service")
USER = 65534  # any user but root
CAPABILITIES = ("CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_CHECKPOINT_RESTORE", "CAP_DAC_READ_SEARCH", "CAP_SYSLOG")

# seccomp.h of libseccomp
ALLOW, FORBID, NO_SUCH = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
EQUAL, MASKED_EQUAL = 4, 7
NEW_NAMESPACES = 0x7E020080  # CLONE_NEW*
PROT_WRITE, PROT_EXEC, SHM_EXEC = 2, 4, 0o100000


class Unit:
    """{name: every value it was given} of the unit's [Service]."""

    def __init__(self, path=UNIT):
        self.settings = {}
        section = None
        with open(path, encoding="utf-8") as f:
            for line in f:
                line = line.strip()
                if line.startswith("["):
                    section = line
                elif section == "[Service]" and line and not line.startswith("#"):
                    key, value = line.split("=", 1)
                    self.settings.setdefault(key, []).append(value)

    def words(self, name):
        return [word for value in self.settings.get(name, []) for word in value.split()]


def plain_user(capabilities=CAPABILITIES):
    """A wrapper for a command: a user who is not root, with these capabilities and no way to get others."""
    some = ",".join(["-all"] + ["+" + c[len("CAP_"):].lower() for c in capabilities])
    return ["setpriv", "--reuid=%d" % USER, "--regid=%d" % USER, "--clear-groups", "--no-new-privs",
            "--inh-caps=" + some, "--ambient-caps=" + some, "--bounding-set=" + some]


def _group(name):
    """The system calls of a group, and those of the groups in it, by systemd's own list."""
    text = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", name], stdout=subprocess.PIPE, check=True, text=True).stdout
    names = set()
    for word in (line.strip() for line in text.splitlines()):
        if word.startswith("@") and word != name:
            names |= _group(word)
        elif word and not word.startswith(("#", "@")):
            names.add(word)
    return names


def system_calls(unit):
    """What SystemCallFilter= leaves, as systemd.exec(5) says: the first is the list, the others add or take away."""
    allowed = set(_group("@default"))
    for value in unit.settings["SystemCallFilter"]:
        take = value.startswith("~")
        for word in value.lstrip("~").split():
            names = _group(word) if word.startswith("@") else {word}
            allowed = allowed - names if take else allowed | names
    return sorted(allowed)


def write_filter(path, unit=None):
    unit = unit or Unit()
    with open(path, "w", encoding="ascii") as f:
        json.dump({"calls": system_calls(unit), "families": unit.words("RestrictAddressFamilies")}, f)
    os.chmod(path, 0o644)


class _Compare(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("how", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def _rule(library, context, action, name, *conditions):
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number < 0:
        return  # of another machine
    array = (_Compare * len(conditions))(*conditions)
    if library.seccomp_rule_add_array(context, action, number, len(conditions), array):
        raise OSError("seccomp_rule_add_array: " + name)


def _masked(argument, mask, value):
    return _Compare(argument, MASKED_EQUAL, mask, value)


def confine(rules):
    """SystemCallFilter=, RestrictAddressFamilies=, MemoryDenyWriteExecute=, RestrictNamespaces= for this process."""
    import socket
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]
    library.seccomp_load.argtypes = [ctypes.c_void_p]
    context = library.seccomp_init(FORBID)

    def allow(*rule):
        _rule(library, context, ALLOW, *rule)

    special = {"socket", "mmap", "mprotect", "pkey_mprotect", "shmat", "clone", "clone3", "unshare", "setns"}
    for name in rules["calls"]:
        if name not in special:
            allow(name)
    for family in rules["families"]:
        allow("socket", _Compare(0, EQUAL, getattr(socket, family), 0))
    allow("mmap", _masked(2, PROT_EXEC, 0))
    allow("mmap", _masked(2, PROT_EXEC | PROT_WRITE, PROT_EXEC))
    for name in ("mprotect", "pkey_mprotect"):
        allow(name, _masked(2, PROT_EXEC, 0))
    allow("shmat", _masked(2, SHM_EXEC, 0))
    allow("clone", _masked(0, NEW_NAMESPACES, 0))
    _rule(library, context, NO_SUCH, "clone3")  # as systemd does: its flags cannot be seen, and libc falls back to clone()
    if library.seccomp_load(context):
        raise OSError("seccomp_load")


def main():
    with open(sys.argv[1], encoding="ascii") as f:
        confine(json.load(f))
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""What tests/install-clients has put below build/: Python packages, node and its driver, a current Go."""
import glob
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build")
PYTHON = os.path.join(BUILD, "venv", "bin", "python")
GO = os.path.join(BUILD, "tools", "go")
NODE = os.path.join(BUILD, "tools", "node")
NODE_ENVIRONMENT = {"NODE_PATH": os.path.join(BUILD, "node_modules")}


def installed(path):
    """The path of something that was installed."""
    if not os.path.exists(path):
        raise RuntimeError("%s is missing: run make clients" % os.path.relpath(path, ROOT))
    return path


def use_python_packages():
    """Lets this process import what is in the virtual environment, which was made of the same Python."""
    packages = glob.glob(os.path.join(BUILD, "venv", "lib", "python%d.%d" % sys.version_info[:2], "site-packages"))
    if not packages:
        raise RuntimeError("build/venv is missing, or not of this Python: run make clients, and tests with /usr/bin/python3")
    if packages[0] not in sys.path:
        sys.path.append(packages[0])

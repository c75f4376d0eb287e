# SPDX-License-Identifier: Apache-2.0
"""A recording in the background, so that a test knows when it has begun and can say when it ends."""
import os
import shutil
import signal
import subprocess
import tempfile

from compiled import attached
from harness import WIREPROF, wait_for
from pprof import Profile


class Recording:
    """
    with Recording(pid, ...) as recording: ... Records in the background: attached when the block is entered, until
    stop(), or the end of the block. Then recording.profile, and recording.text, what wireprof printed.
    """

    def __init__(self, pid, *options, hz=997, seconds=120, env=None, ending=".pb.gz"):
        self.directory = tempfile.mkdtemp(prefix="wireprof-recording-")
        self.path = os.path.join(self.directory, "out" + ending)
        self.command = [WIREPROF, "record", "-p", str(pid), "-d", str(seconds), "-F", str(hz), "-o", self.path, *options]
        self.env = {**os.environ, **(env or {})}
        self.profile = self.process = None

    def __enter__(self):
        self.errors = open(os.path.join(self.directory, "stderr"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=self.errors, env=self.env)
        try:
            wait_for(self._attached, seconds=30, what="the recording to start")
        except BaseException:
            self._end()
            raise
        return self

    def _attached(self):
        if self.process.poll() is not None:
            raise AssertionError("wireprof ended: " + self._read_errors())
        return attached(self.process.pid)

    def _read_errors(self):
        self.errors.seek(0)
        return self.errors.read()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        self.text = self._read_errors()
        if self.process.returncode:
            raise AssertionError("wireprof exited %d: %s" % (self.process.returncode, self.text))
        if self.path.endswith(".pb.gz"):
            self.profile = Profile(self.path)
        with open(self.path, "rb") as f:
            self.data = f.read()
        return self.profile

    def _end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.errors.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __exit__(self, kind, *_):
        try:
            if not kind and not self.profile and self.process.poll() is None:
                self.stop()
        finally:
            self._end()

"""The processes that a command of kit.py hands over to."""

import contextlib
import os
import signal
import subprocess

from kit.environment import ROOT


def run_through(command: list[str]) -> int:
    """Run a command to its end and return its exit code. A Ctrl-C reaches it too, and it decides."""
    process = subprocess.Popen(command, cwd=ROOT)
    if os.name == "posix":  # a request to end must reach it as well: pytest has servers to stop
        signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGINT))
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            return process.wait()

"""Servers that tests start 500 times: forked from a process that has imported what they import.

A start by `python -m` takes 0.6 to 1.5 s of a processor, nearly all of it for imports. `spawn` stands in for
`classroom.processes.spawn`: the same process, with the same environment, log and exit code, by fork(2). What
only a real start can show is tested by real starts: by `kit.py up`, by the lessons, by the README's commands,
by whoever uses subprocess, and here wherever something in the environment is read by an import.
"""

import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import psutil
from classroom import processes

from tests.fork_server import MESSAGE

_SKLEARN = ("sklearn.linear_model", "sklearn.pipeline", "sklearn.preprocessing")  # what a pickle imports
MODULES = {  # that are forked, and what each imports only when it runs
    "apps.fastapi_app": (),
    "apps.flask_app": (),
    "apps.worker": (),
    "apps.minimal.fastapi_api_example": _SKLEARN,
    "apps.minimal.flask_api_example": _SKLEARN,
}
READ_BY_IMPORTS = ("HOME", "PYTHON", "LD_", "OMP_", "OPENBLAS_", "MALLOC_", "OTEL_", "PROMETHEUS_", "WORKERS")
ALWAYS = {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}  # of `classroom.servers`

_servers: dict[str, "ForkServer"] = {}
_lock = threading.Lock()


class Process(psutil.Process):
    """One that a fork server started, as psutil.Popen would have it."""

    returncode: int | None = None

    def __init__(self, pid: int, server: "ForkServer") -> None:
        super().__init__(pid)
        self._server = server
        self._ended = os.pidfd_open(pid)
        self._poller = select.poll()  # select.select takes no descriptor above 1,023
        self._poller.register(self._ended, select.POLLIN)

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._server.ask({"pid": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, minus the signal's number where one ended it; psutil.TimeoutExpired."""
        if self.poll() is None:
            self._poller.poll(None if timeout is None else timeout * 1000)
            if self.poll() is None:
                raise psutil.TimeoutExpired(timeout, pid=self.pid)
        return self.returncode

    def __del__(self) -> None:
        os.close(self._ended)


class ForkServer:
    """The process that is forked for one module. It ends with us, and what it started with it."""

    def __init__(self, module: str) -> None:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "tests.fork_server", module, str(its.fileno()), *MODULES[module]]
        options = {"cwd": processes.ROOT, "env": {**os.environ, **ALWAYS}, "stdin": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, pass_fds=[its.fileno()], **options)
        its.close()
        self._connection, self._lock = ours, threading.Lock()

    def ask(self, wanted: dict, files: tuple[int, ...] = ()) -> int | None:
        with self._lock:
            socket.send_fds(self._connection, [json.dumps(wanted).encode()], files)
            return json.loads(self._connection.recv(MESSAGE))

    def end(self) -> None:
        self._connection.close()
        self._process.wait()


def spawn(command: list[str], log: Path, *, env: Mapping[str, str], own_group: bool = False):
    """As `classroom.processes.spawn`, by a fork where that makes no difference."""
    module = command[2] if command[:2] == [sys.executable, "-m"] else ""
    unusual = env.items() - {**ALWAYS, "WORKERS": "1"}.items()
    strange = any(name.startswith(READ_BY_IMPORTS) for name, _ in unusual)
    if module not in MODULES or own_group or strange or sys.platform != "linux":
        return processes.spawn(command, log, env=env, own_group=own_group)
    with _lock:
        if module not in _servers:
            _servers[module] = ForkServer(module)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        wanted = {"arguments": command[3:], "env": {**os.environ, **env}}
        return Process(_servers[module].ask(wanted, (output.fileno(),)), _servers[module])


def end_servers() -> None:
    while _servers:
        _servers.popitem()[1].end()

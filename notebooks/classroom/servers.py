"""Start, watch and stop live servers: for lessons, for tests, and for `kit.py up`.

    with serve("flask") as server:
        server.post("/predict", json={"features": [5.1, 3.5, 1.4, 0.2]})

    server = start("flask")      # and later, in another cell:
    server.stop()

A server is a process of its own, as it would be in production. It takes a free port, is ready only when
*it* answers (not another program on that port), writes its log to `.kit/logs`, and is stopped whatever
happens: at the end of the `with` block, by `stop()`, when Python ends, or, where Python was killed, by the
next start, which finds its record in `.kit/servers`.
"""

import atexit
import contextlib
import os
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import httpx
import psutil

from .processes import LOGS, ROOT, end, reclaim, spawn, write_record

HOST = "127.0.0.1"
PORTS_TRIED = 5  # where any will do and another program takes each before the server has it
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # httpx loads certificates for each client: 30 ms


@dataclass(frozen=True)
class Kind:
    """What has to be known to run one kind of server; `{port}` stands for the port that it is given."""

    arguments: tuple[str, ...]  # to Python, in the project's folder
    port: int  # where people expect it
    health: str  # the path that tells whether it is ready
    app: str | None = None  # the name that it gives itself there, if it gives one
    env: Mapping[str, str] = field(default_factory=dict)
    deadline: float = 60  # seconds until it must be ready; an ended process is noticed at once
    grace: float = 5  # seconds to end by itself when asked to
    own_group: bool = False  # see `spawn`


_API_ENV = {"HOST": HOST, "PORT": "{port}", "MODEL_PATH": str(ROOT / "model.pkl")}


def _api(module: str, port: int, grace: float = 5) -> Kind:
    return Kind(("-m", module), port, "/health", module.rpartition(".")[2], _API_ENV, grace=grace)


def _step(module: str) -> Kind:
    """One of the servers that lesson 08 and the benchmark compare, as its author would start it."""
    arguments = ("-m", "uvicorn", f"benchmarks.servers.{module}:app", "--host", HOST, "--port", "{port}")
    return Kind((*arguments, "--no-access-log", "--log-level", "warning"), 8000, "/health", env=_API_ENV)


_LAB = ("--no-browser", f"--ServerApp.ip={HOST}", "--ServerApp.port={port}", "--ServerApp.port_retries=0")
_LAB += (f"--ServerApp.root_dir={ROOT}", "--LabApp.default_url=/lab/tree/notebooks")
if hasattr(os, "geteuid") and os.geteuid() == 0:  # in a container, say; JupyterLab wants it confirmed
    _LAB += ("--allow-root",)
_PAGE = ("--server.address", HOST, "--server.port", "{port}", "--server.headless", "true")
_PAGE += ("--browser.gatherUsageStats", "false")
_BOOK = ("-m", "http.server", "{port}", "--bind", HOST, "--directory", str(ROOT / "docs" / "_build" / "html"))

KINDS = {
    "fastapi": _api("apps.fastapi_app", 8000, grace=12),
    "flask": _api("apps.flask_app", 5000, grace=12),
    "worker": Kind(("-m", "apps.worker"), 8002, "/health", "worker", {"WORKER_PORT": "{port}"}, grace=12),
    "minimal_fastapi": _api("apps.minimal.fastapi_api_example", 8000),
    "minimal_flask": _api("apps.minimal.flask_api_example", 5000),
    "ui": Kind(("-m", "streamlit", "run", "ui/app.py", *_PAGE), 8501, "/_stcore/health"),
    "lab": Kind(("-m", "jupyterlab", *_LAB), 8888, "/api", grace=8, own_group=True),
    "book": Kind(_BOOK, 8600, "/"),
    "registry": Kind(("-m", "model_training.registry.releases", "serve", "{port}"), 5050, "/health"),
}
STEPS = ("def", "async_def", "batched", "onnx")  # those that lesson 08 takes
KINDS |= {f"fastapi_{step}": _step(f"fastapi_{step}") for step in STEPS}


class ServerError(RuntimeError):
    """A server did not start, or is not running any more. The message ends with its log's last lines."""


class Server:
    """One running server. Making it starts the process; `wait` then waits until it is ready."""

    def __init__(self, name: str, *, env: Mapping[str, str] | None = None, port: int | None = None) -> None:
        if name not in KINDS:
            raise ValueError(f"there is no server named {name!r}: choose one of {', '.join(KINDS)}")
        reclaim()
        self.name, self.kind, self._env = name, KINDS[name], dict(env or {})
        self._ports_left = 0 if port else PORTS_TRIED - 1
        self._strange = ""
        self._spawn(port or free_port())

    def _spawn(self, port: int) -> None:
        """Start the process, which is to listen at `port`."""
        self.port, self.url, self.log = port, f"http://{HOST}:{port}", log_of(self.name, port)
        self._clients: list[httpx.Client] = []  # that nobody uses
        settings = {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", **self.kind.env, **self._env}
        settings = {key: value.replace("{port}", str(port)) for key, value in settings.items()}
        arguments = [argument.replace("{port}", str(port)) for argument in self.kind.arguments]
        self._spawned = time.monotonic()
        command = [sys.executable, *arguments]
        self.process = spawn(command, self.log, env=settings, own_group=self.kind.own_group)
        _running.append(self)
        self._record = write_record(self.name, self.process, port, arguments)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait(self, until: Literal["health", "port"] = "health") -> None:
        """Return when the server is ready, or raise ServerError.

        "health": it answers its health path and says that it is who we started. A 503 counts: the process
        is there, its model is not; while the model is still being loaded, it waits. "port": it accepts
        connections; nothing is asked of it yet.

        Where no port was asked for and another program took the free one first, it is started at another.
        """
        if until not in ("health", "port"):
            raise ValueError(f"wait is 'health' or 'port', not {until!r}")
        listens = False
        while True:
            if self._ports_left and self._lost_its_port():
                self._ports_left -= 1
                self.stop()
                self._spawn(free_port())
                listens = False
            if not self.alive:
                raise ServerError(self._why(f"ended with exit code {self.process.returncode} while starting"))
            listens = listens or self._listens()
            if listens and (until == "port" or self._answers()) and self.alive:
                return
            if time.monotonic() > self._spawned + self.kind.deadline:
                late = f"was not ready after {self.kind.deadline:g} s"
                raise ServerError(self._why(f"{late} ({self._strange})" if self._strange else late))
            time.sleep(0.05)

    def get(self, path: str, **options) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options) -> httpx.Response:
        return self.request("POST", path, **options)

    def request(self, method: str, path: str, **options) -> httpx.Response:
        """Send a request; options are those of `httpx.request`. ServerError if the server has ended."""
        try:
            return self._send(method, path, **options)
        except httpx.TransportError:
            if self.alive:
                raise
            how = (
                f"ended by itself (exit code {self.process.returncode})"
                if self in _running
                else "was stopped"
            )
            raise ServerError(self._why(f"{how}: start it again")) from None

    def _send(self, method: str, path: str, **options) -> httpx.Response:
        """Of a client that several threads share, one may close a connection at which another waits for its
        answer (https://github.com/encode/httpcore/issues/1110). So each request has one for itself."""
        try:
            client = self._clients.pop()
        except IndexError:
            # No proxy for 127.0.0.1. uvicorn closes a connection that is idle for 5 s, so it is left before.
            idle = httpx.Limits(keepalive_expiry=4)
            client = httpx.Client(base_url=self.url, timeout=30, trust_env=False, verify=_NO_TLS, limits=idle)
        try:
            return client.request(method, path, **options)
        finally:
            if self in _running:
                self._clients.append(client)
            else:
                client.close()

    def tail(self, n: int = 10) -> str:
        """The last n lines of its log."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-n:])

    def stop(self) -> None:
        """End the process and all that it started. Stopping it twice does no harm."""
        if self in _running:
            if self.alive:
                end(self.process, self.kind.grace)
            self.process.wait()
            _running.remove(self)
        while self._clients:
            self._clients.pop().close()
        self._record.unlink(missing_ok=True)

    def __repr__(self) -> str:
        return f"<{self.name} server at {self.url}, {'running' if self.alive else 'stopped'}>"

    def _listens(self) -> bool:
        """True when the process, or one that it started, holds the port: nobody else can answer there."""
        if not _accepts(self.port):
            return False
        try:
            family = (self.process, *self.process.children(recursive=True))
            return any(
                connection.status == psutil.CONN_LISTEN and connection.laddr.port == self.port
                for member in family
                for connection in member.net_connections("tcp")
            )
        except psutil.NoSuchProcess:  # it, or a child of it, has ended meanwhile
            return False

    def _lost_its_port(self) -> bool:
        """True when its log says that another program has the port. A worker says so and goes on."""
        taken = rf"\b{self.port}\b.*(already in use|not available|only one usage)"  # the last is Windows'
        return bool(re.search(taken, self.tail(), re.IGNORECASE))

    def _answers(self) -> bool:
        """True when the health path is answered by the server that we started, and not by an older one."""
        try:
            answer = self._send("GET", self.kind.health, timeout=self.kind.deadline)
            if self.kind.app is None:
                return answer.status_code == 200
            body = answer.json()
            if body.get("type") == "/problems/model-loading":
                return False
            age = time.monotonic() - self._spawned
            if body["app"] == self.kind.app and body["uptime_seconds"] <= age:
                return True
            self._strange = f"another server answers at {self.url}: {answer.text[:80]}"
        except httpx.TransportError:
            return False
        except (ValueError, TypeError, KeyError):
            self._strange = (
                f"{self.kind.health} gave {answer.status_code} and not our JSON: {answer.text[:80]}"
            )
        return False

    def _why(self, what: str) -> str:
        log = self.log.relative_to(ROOT).as_posix()
        return f"the {self.name} server {what}. Its log ({log}) ends with:\n{self.tail() or '(nothing)'}"


def start(
    name: str,
    *,
    env: Mapping[str, str] | None = None,
    wait: Literal["health", "port"] = "health",
    label: str = "",
) -> Server:
    """Start a server and return it when it is ready; `stop()` it when done.

    Starting the same kind again, as when a cell is run twice, stops the one started before, unless it had
    another `label`. `env` adds to the environment, for instance {"MODEL_PATH": "other.pkl"} (relative to the
    project's folder).
    """
    if (name, label) in _started:
        _started.pop((name, label)).stop()
    server = Server(name, env=env)
    _started[name, label] = server
    try:
        server.wait(wait)
    except BaseException:
        server.stop()
        raise
    return server


@contextlib.contextmanager
def serve(
    name: str, *, env: Mapping[str, str] | None = None, wait: Literal["health", "port"] = "health"
) -> Iterator[Server]:
    """Like `start`, for a `with` block, at whose end the server is stopped. Any number may run at once."""
    server = Server(name, env=env)
    try:
        server.wait(wait)
        yield server
    finally:
        server.stop()


def log_of(name: str, port: int) -> Path:
    """The file that a server of this name on this port logs to."""
    return LOGS / f"{name}-{port}.log"


def free_port(first: int | None = None) -> int:
    """A port that nobody uses on 127.0.0.1: `first` or the next free one above it, or else any."""
    for port in range(first, 65536) if first else (0,):
        with socket.socket() as ours:
            # POSIX: a port that was just left must count as free; Windows: its REUSEADDR means "share it".
            option = socket.SO_REUSEADDR if os.name == "posix" else socket.SO_EXCLUSIVEADDRUSE
            ours.setsockopt(socket.SOL_SOCKET, option, 1)
            try:
                ours.bind((HOST, port))
            except OSError:
                continue
            port = ours.getsockname()[1]
        if not _accepts(port):  # on a Mac one may bind 127.0.0.1:5000 although AirPlay holds *:5000
            return port
    raise ServerError(f"no free port from {first} up on {HOST}")


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def stop_all() -> None:
    """Stop every server of this Python; those that need a while to end do so at the same time."""
    ending = [threading.Thread(target=server.stop) for server in _running]
    for thread in ending:
        thread.start()
    for thread in ending:
        thread.join()


_running: list[Server] = []
_started: dict[tuple[str, str], Server] = {}


@atexit.register
def _stop_what_is_left() -> None:
    """One after the other: a Python that ends starts no threads any more (3.12)."""
    for server in list(_running):
        server.stop()

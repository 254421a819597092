"""A rolling update under load: python -m benchmarks.rolling

Pods are processes, started with the commands, settings and probes of deploy/kubernetes, behind nginx with
deploy/proxy's configuration. As a Deployment has it (maxSurge 1, maxUnavailable 0), a new pod is started;
once it is ready an old one is told to stop. Of both nginx hears a second later, as the nodes of a cluster do,
and it tries each request on one pod only, as a Service does.

Then the same without asking for readiness, and without DRAIN_SECONDS: what these two are for."""

import argparse
import queue
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.arena import ROOT
from benchmarks.pods import PATIENCE, Pod, RehearsalError, container_of, deliver, free_port

SERVERS = ("fastapi", "flask")
BODY = b'{"features": [5.1, 3.5, 1.4, 0.2]}'
LAG_SECONDS = 1.0


class Proxy:
    """nginx with deploy/proxy's configuration, and a list of pods that changes."""

    def __init__(self, folder: Path, server: str) -> None:
        self._folder, self._server, self._configuration = folder, server, folder / "deploy" / "proxy"
        shutil.copytree(ROOT / "deploy" / "proxy", self._configuration)
        self._template = (self._configuration / "servers.conf").read_text(encoding="utf-8")
        self.port, self._plain = free_port(), free_port()
        self._process: subprocess.Popen | None = None
        self.host = f"{server}.localhost"

    def start(self, ports: list[int]) -> None:
        runtime = self._folder / ".kit" / "proxy"
        runtime.mkdir(parents=True)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            + ["-days", "2", "-config", self._configuration / "certificate.cnf"]
            + ["-keyout", runtime / "key.pem", "-out", runtime / "certificate.pem"],
            check=True,
            capture_output=True,
        )
        self.tls = ssl.create_default_context(cafile=runtime / "certificate.pem")
        self._write(ports)
        with (self._folder / "nginx.log").open("wb") as log:
            command = ["nginx", "-p", str(runtime), "-c", str(self._configuration / "nginx.conf")]
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RehearsalError((self._folder / "nginx.log").read_text(encoding="utf-8"))
            time.sleep(0.05)

    def serve(self, ports: list[int]) -> None:
        """Send what comes from now on to these."""
        self._write(ports)
        self._process.send_signal(signal.SIGHUP)

    def _write(self, ports: list[int]) -> None:
        number = {"fastapi": 8000, "flask": 5000}[self._server]
        pods = "\n".join(f"    server 127.0.0.1:{port} max_fails=0;" for port in ports)
        text = self._template.replace(f"    server 127.0.0.1:{number};", pods)
        text = text.replace(":8443", f":{self.port}").replace(":8080", f":{self._plain}")
        text = text.replace("    include site.conf;", "    proxy_next_upstream off;\n    include site.conf;")
        draft = self._configuration / "servers.draft"
        draft.write_text(text, encoding="utf-8")
        draft.replace(self._configuration / "servers.conf")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


@dataclass
class Load:
    """Clients that ask again as soon as they are answered, each time on a connection of its own: one that is
    kept, nginx closes when its list changes."""

    proxy: Proxy
    clients: int
    pause: float = 0  # seconds, between an answer and the next request
    answers: Counter = field(default_factory=Counter)  # by status, or by the error's name
    stopped: threading.Event = field(default_factory=threading.Event)
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> "Load":
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stopped.set()
        for thread in self._threads:
            thread.join()

    @property
    def count(self) -> int:
        return sum(self.answers.values())

    @property
    def failed(self) -> int:
        return self.count - self.answers["200"]

    def await_count(self, count: int) -> None:
        deadline = time.monotonic() + 10 * PATIENCE
        while self.count < count:
            if time.monotonic() > deadline:
                raise RehearsalError(f"{self.count} of {count} requests were answered: {dict(self.answers)}")
            time.sleep(0.05)

    def _run(self) -> None:
        request = (
            f"POST /predict HTTP/1.1\r\nHost: {self.proxy.host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(BODY)}\r\nConnection: close\r\n\r\n"
        ).encode() + BODY
        while not self.stopped.wait(self.pause):
            try:
                told = self._ask(request)
            except OSError as error:
                told = type(error).__name__
            with self._counting:
                self.answers[told] += 1

    def _ask(self, request: bytes) -> str:
        """The status; "cut off" where there is no whole answer."""
        with (
            socket.create_connection(("127.0.0.1", self.proxy.port), 60) as raw,
            self.proxy.tls.wrap_socket(raw, server_hostname=self.proxy.host) as connection,
        ):
            connection.sendall(request)
            answer = b""
            while part := connection.recv(65536):
                answer += part
        head, _, body = answer.partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
        if not length or len(body) != int(length[1]):
            return "cut off"
        return head.split(b" ", 2)[1].decode()


class Deployment:
    """Pods of one server behind the proxy."""

    def __init__(
        self, server: str, folder: Path, *, readiness: bool = True, lag: float = LAG_SECONDS, **changed: str
    ) -> None:
        """Without `readiness`, a pod counts as ready as soon as its process has been started."""
        self._container, self._folder = container_of(server), folder
        self._readiness, self._lag = readiness, lag
        self.proxy = Proxy(folder, server)
        hosts = f"{self._container.env['ALLOWED_HOSTS']},{self.proxy.host}"  # as the cloud's overlay has it
        self._changed = {"ALLOWED_HOSTS": hosts} | changed
        self._told: queue.Queue = queue.Queue()
        self._telling = threading.Thread(target=self._tell_later, daemon=True)
        self.pods: list[Pod] = []
        self.ended: list[Pod] = []
        self.updates = 0

    def start(self, replicas: int) -> None:
        self.pods = [self._new() for _ in range(replicas)]
        for pod in self.pods:
            pod.await_probe()
        self.proxy.start([pod.port for pod in self.pods])
        self._telling.start()

    def update(self) -> None:
        """Each pod makes room for a new one."""
        for old in list(self.pods):
            new = self._new()
            if self._readiness:
                new.await_probe()
            self.pods = [*self.pods, new]
            self._tell()
            old.terminate()
            self.ended.append(old)
            self.pods = [pod for pod in self.pods if pod is not old]
            self._tell()
        self.updates += 1

    def settle(self) -> list[int]:
        """Wait until the pods that were told to stop have ended, and nothing is to be told any more. With
        which exit codes they ended."""
        self._told.put(None)
        self._telling.join()
        return [pod.end() for pod in self.ended]

    def stop(self) -> None:
        self.proxy.stop()
        for pod in (*self.pods, *self.ended):
            pod.kill()

    def _new(self) -> Pod:
        return Pod(self._container, self._folder, **self._changed)

    def _tell(self) -> None:
        """The proxy hears of it later; the update does not wait for that."""
        self._told.put((time.monotonic() + self._lag, [pod.port for pod in self.pods]))

    def _tell_later(self) -> None:
        while found := self._told.get():
            due, ports = found
            time.sleep(max(0, due - time.monotonic()))
            self.proxy.serve(ports)


CASES = {  # name, whether readiness is asked for, other settings
    "as in the manifests": (True, {}),
    "readiness is not asked for": (False, {}),
    "no time to drain": (True, {"DRAIN_SECONDS": "0"}),
    "neither": (False, {"DRAIN_SECONDS": "0"}),
}


def rehearse(server: str, case: str, requests: int, replicas: int, clients: int) -> tuple[Load, Deployment]:
    """Rolling updates until so many requests have been answered."""
    readiness, changed = CASES[case]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        deliver(server, ROOT / "models", folder / "model")
        deployment = Deployment(server, folder, readiness=readiness, LOG_LEVEL="error", **changed)
        stack.callback(deployment.stop)
        deployment.start(replicas)
        with Load(deployment.proxy, clients) as load:
            while load.count < requests or not deployment.updates:
                load.await_count(load.count + 200)
                deployment.update()
            deployment.settle()
        return load, deployment


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rolling", description=__doc__.split(":")[0])
    parser.add_argument(
        "--requests", type=int, default=12_000, help="at least, of each server (default: 12000)"
    )
    parser.add_argument("--contrast", type=int, default=1_500, help="and in the other cases (default: 1500)")
    parser.add_argument("--replicas", type=int, default=2, help="pods of each server (default: 2)")
    parser.add_argument("--clients", type=int, default=4, help="at a time (default: 4)")
    parser.add_argument("--only", choices=SERVERS, help="one of the servers")
    options = parser.parse_args(argv)
    if missing := [program for program in ("nginx", "openssl") if not shutil.which(program)]:
        sys.exit(f"rolling: expected the program {missing[0]}, and there is none: install it, then again")
    lines = ["| server | | updates | requests | failed | answers |", "|---|---|---:|---:|---:|---|"]
    failed = 0
    for server in [options.only] if options.only else SERVERS:
        for case in CASES:
            count = options.contrast if CASES[case] != CASES["as in the manifests"] else options.requests
            print(f"{server}: {case} …", file=sys.stderr, flush=True)
            load, deployment = rehearse(server, case, count, options.replicas, options.clients)
            told = ", ".join(f"{name}: {number}" for name, number in sorted(load.answers.items()))
            lines.append(
                f"| {server} | {case} | {deployment.updates} | {load.count} | {load.failed} | {told} |"
            )
            failed += load.failed if case == "as in the manifests" else 0
    print("\n".join(lines))
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())

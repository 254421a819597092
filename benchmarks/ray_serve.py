"""The FastAPI server on two hosts, as plain workers behind nginx and as replicas of Ray Serve: answers a
second, latencies, memory, seconds to the first answer, and what a host's death costs.

    sudo .venv/bin/python -m benchmarks.ray_serve

The hosts are network namespaces of this machine (benchmarks/network.py), whose cores all of it shares with
the load; nginx is in front of both. It needs nginx, wrk, and Ray's environment (0.7 GB, made when needed)."""

import argparse
import asyncio
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

from benchmarks.arena import Result, measure
from benchmarks.contenders import BODY, Contender
from benchmarks.environments import ROOT, prepare, python_of
from benchmarks.load.generator import Load
from benchmarks.load.plan import Plan
from benchmarks.network import Host, Network, NetworkError

PORT, PROXY = 8000, "http://127.0.0.1:8080/predict"
JSON = {"Content-Type": "application/json"}
PATIENCE = 120  # seconds until all hosts answer
RATE, SECONDS, AFTER = 100, 30, 5  # requests a second, for so long; something happens after
NGINX = """daemon off; worker_processes 1; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream hosts {{
        {servers}
        keepalive 32;
    }}
    server {{
        listen 127.0.0.1:8080;
        location / {{
            proxy_pass http://hosts;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_connect_timeout 1s;
            proxy_read_timeout 5s;
            proxy_next_upstream error timeout http_502 http_503 non_idempotent;
        }}
    }}
}}
"""
SETTINGS = {"MODEL_PATH": str(ROOT / "model.pkl"), "LOG_FORMAT": "json", "HOST": "0.0.0.0", "ACCESS": "off"}
SETTINGS |= {"ALLOWED_HOSTS": "*", "OMP_NUM_THREADS": "1", "METRICS_PORT": "0"}


@dataclass
class Site:
    """Hosts that answer: each has a server of one worker."""

    hosts: list[Host]
    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen] = field(default_factory=list)

    def run(self, host: Host, *command: str, **env: str) -> subprocess.Popen:
        with self.log(host).open("ab") as log:
            env = os.environ | SETTINGS | self.env | env
            process = subprocess.Popen(host.command(*command), cwd=ROOT, env=env, stdout=log, stderr=log)
        self.started.append(process)
        return process

    def log(self, host: Host) -> Path:
        return self.folder / f"{host.name}.log"

    def start(self) -> None:
        for host in self.hosts:
            self.run(host, sys.executable, "-m", "apps.fastapi_app", PORT=str(PORT))

    def stop(self) -> None:
        for host in self.hosts:
            host.die()
        for process in self.started:
            process.wait()
        for host in self.hosts:
            self.log(host).unlink()

    def memory(self) -> int:
        """Bytes, what is shared divided among those who share it."""
        members = [psutil.Process(pid) for host in self.hosts for pid in host.pids()]
        return sum(member.memory_full_info().pss for member in members)


class RaySite(Site):
    """A head and a node, with as many replicas as there are hosts."""

    def start(self) -> None:
        head, *others = self.hosts
        self.env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        ray = [str(python_of("ray_app").parent / "ray"), "start", "--block", "--disable-usage-stats"]
        ray += ["--num-cpus=4", "--object-store-memory=100000000"]
        first = ["--head", "--port=6379", "--include-dashboard=false", f"--temp-dir={self.folder / 'ray'}"]
        self.run(head, *ray, *first, f"--node-ip-address={head.address}")
        self.env["RAY_ADDRESS"] = f"{head.address}:6379"
        awaited(lambda: listens(head.address, 6379))
        for host in others:
            there = [f"--address={self.env['RAY_ADDRESS']}", f"--node-ip-address={host.address}"]
            self.run(host, *ray, *there)
            awaited(lambda host=host: "Ray runtime started" in self.log(host).read_text(encoding="utf-8"))
        self.scale(len(self.hosts))

    def scale(self, replicas: int) -> None:
        app = [str(python_of("ray_app")), "-m", "deploy.ray.app"]
        done = self.run(self.hosts[0], *app, WORKERS=str(replicas), PORT=str(PORT))
        assert done.wait(PATIENCE) == 0, self.log(self.hosts[0]).read_text()[-2000:]


class HaproxySite(RaySite):
    """The same, where HAProxy takes requests to the replicas, and no process of Python is between."""

    def run(self, host: Host, *command: str, **env: str) -> subprocess.Popen:
        folder = self.folder / host.address[-1]  # its own; short, since a socket's path has 97 bytes at most
        folder.mkdir(exist_ok=True)
        files = {"CONFIG_FILE_LOC": "haproxy.cfg", "SOCKET_PATH": "socket", "SERVER_STATE_FILE": "state"}
        env |= {f"RAY_SERVE_HAPROXY_{name}": str(folder / file) for name, file in files.items()}
        env |= {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder)}
        return super().run(host, *command, **env)


class Watched(Load):
    """Keeps when something failed, in seconds from the start."""

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.failures: list[float] = []

    def answered(self, connection, status: int) -> None:
        if status != 200:
            self.failures.append(self.elapsed)
        super().answered(connection, status)

    def failed(self, connection, kind: str) -> None:
        if connection in self.busy:
            self.failures.append(self.elapsed)
        super().failed(connection, kind)


SITES = {"plain workers": Site, "Ray Serve": RaySite, "with HAProxy": HaproxySite}


def under_load(what: Callable[[], None], url: str = PROXY, seconds: int = SECONDS) -> dict[str, float]:
    """What becomes of RATE requests a second when something happens: how many there were and failed, for how
    many seconds, and how long the slowest answer took."""
    there = urlsplit(url)
    plan = Plan(there, RATE, seconds, BODY.encode(), connections=256, timeout=10)

    def happen() -> None:
        time.sleep(AFTER)
        what()

    async def run() -> Watched:
        load = Watched(plan, (there.hostname, there.port))
        with ThreadPoolExecutor(1) as thread:
            happening = asyncio.get_running_loop().run_in_executor(thread, happen)
            await load.run(lambda: None)
            await happening
        return load

    load = asyncio.run(run())
    first, last = min(load.failures, default=AFTER), max(load.failures, default=AFTER)
    found = load.tally.result(seconds)
    return {
        "requests": found["sent"],
        "failed": len(load.failures),
        "first failed after seconds": first - AFTER,
        "last failed after seconds": last - AFTER,
        "slowest answer, ms": found["max"],
    }


def answers(url: str) -> bool:
    try:
        return httpx.post(url, content=BODY, headers=JSON, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def listens(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0


def awaited(look: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def throughput(url: str, connections: int) -> dict[str, float]:
    """Of wrk's closed loop."""
    contender = Contender("", [], "/predict", body=BODY)
    result = Result(contender, connections)
    for seconds in (1, 5):  # warm first
        measure(contender, JSON, url, connections, seconds, result)
    name = f"{connections} connections"
    return {f"answers/s, {name}": result.rates[-1], "p50 ms": result.p50[-1], "p99 ms": result.p99[-1]}


def balanced(folder: Path, hosts: list[Host]) -> subprocess.Popen:
    """nginx in front of them."""
    servers = "\n".join(f"server {host.address}:{PORT} max_fails=1 fail_timeout=2s;" for host in hosts)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, servers=servers), encoding="utf-8")
    return subprocess.Popen(["nginx", "-p", str(folder), "-c", str(config)])


def started(site: Site) -> float:
    """Seconds until each of its hosts answers."""
    begun = time.monotonic()
    site.start()
    for host in site.hosts:
        awaited(lambda host=host: answers(f"http://{host.address}:{PORT}/predict"))
    return time.monotonic() - begun


def figures(site: Site) -> Iterator[tuple[str, float]]:
    head, last = site.hosts[0], site.hosts[-1]
    yield "seconds to the first answer", started(site)
    yield "MB, all processes", site.memory() / 1e6
    for name, url in (("behind nginx", PROXY), ("one host asked", f"http://{head.address}:{PORT}/predict")):
        yield from named(f" ({name})", throughput(url, 16))
    yield from named(", a host dies", under_load(last.die))
    site.stop()
    if isinstance(site, RaySite):
        started(site)
        for replicas in (4, 2):
            yield from named(f", to {replicas} replicas", under_load(partial(site.scale, replicas)))
        yield from named(", a host dies, its neighbour asked", under_load(last.die, url))
        site.stop()
        started(site)
        yield from named(", the head dies", under_load(head.die, seconds=4 * SECONDS))
        site.stop()


def named(more: str, found: dict[str, float]) -> list[tuple[str, float]]:
    return [(name + more, value) for name, value in found.items()]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ray_serve", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SITES, default=[*SITES])
    options = parser.parse_args()
    os.chdir(ROOT)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no host is left
    missing = [name for name in ("nginx", "wrk") if not shutil.which(name)]
    if missing:
        sys.exit(f"ray_serve: expected {' and '.join(missing)}: on Debian, apt install {' '.join(missing)}")
    if absent := prepare(["ray_app"]):
        sys.exit(f"ray_serve: {absent['ray_app']}")
    try:
        with Network(2) as network, tempfile.TemporaryDirectory(prefix="s-") as name:
            network.enter()
            folder = Path(name)
            proxy = balanced(folder, network.hosts)
            try:
                for title in options.only:
                    for figure, value in figures(SITES[title](network.hosts, folder)):
                        print(f"{title:<16}{figure:<52}{value:>10,.1f}", flush=True)
            finally:
                proxy.kill()
                proxy.wait()
    except KeyboardInterrupt:
        return 130
    except NetworkError as error:
        sys.exit(f"ray_serve: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

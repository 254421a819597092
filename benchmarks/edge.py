"""What a request takes around a server: python -m benchmarks.edge --output benchmarks/results

FastAPI's server with access and every limit, counted in Redis, behind deploy/proxy's nginx with one worker:
the processor time of all three for a request over HTTPS, on a connection that is kept and on a new one, and
bytes."""

import argparse
import json
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psutil
import redis

from benchmarks.arena import ROOT, Result, end, headers_of, measure, pin, processor_seconds
from benchmarks.contenders import ACCESS, BODY, Contender
from benchmarks.report import conditions

sys.path.insert(0, str(ROOT / "notebooks"))

from classroom.servers import Server, free_port

PROGRAMS = ("nginx", "openssl", "redis-server", "wrk")
CONNECTIONS = 32  # as many as nginx keeps to a server
PATIENCE = 60
BEHIND = {"TRUSTED_PROXIES": "127.0.0.1", "LOG_FORMAT": "json", "METRICS_PORT": "0"}
BEHIND["REDIS_TIMEOUT_SECONDS"] = "10"  # a busy machine is no reason to do without Redis for a while
CERTIFICATE = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"


@contextmanager
def ended(command: list[str], stdout=subprocess.DEVNULL) -> Iterator[subprocess.Popen]:
    """A process that does not outlive the block."""
    process = subprocess.Popen(command, stdout=stdout)
    try:
        yield process
    finally:
        end(process)


def prepared(folder: Path, ports: dict[str, int]) -> list[str]:
    """deploy/proxy in this folder, with a worker, a certificate and `ports` for its own: what starts it."""
    deploy, prefix = folder / "deploy" / "proxy", folder / ".kit" / "proxy"
    shutil.copytree(ROOT / "deploy" / "proxy", deploy)
    prefix.mkdir(parents=True)
    for file in deploy.glob("*.conf"):
        text = file.read_text(encoding="utf-8").replace("worker_processes auto", "worker_processes 1")
        text = re.sub(r":(\d{4})\b", lambda found: f":{ports.get(found[1], found[1])}", text)
        file.write_text(text, encoding="utf-8")
    files = ["-keyout", str(prefix / "key.pem"), "-out", str(prefix / "certificate.pem")]
    made = ["openssl", *CERTIFICATE.split(), "-config", str(deploy / "certificate.cnf"), *files]
    subprocess.run(made, check=True, capture_output=True)
    return ["nginx", "-p", str(prefix), "-c", str(deploy / "nginx.conf")]


@contextmanager
def nginx(folder: Path, port: int) -> Iterator[tuple[subprocess.Popen, int, Path]]:
    """In front of this port; its process, its own port, and its log."""
    secure, log = free_port(), folder / "proxy.log"
    start = prepared(folder, {"8000": port, "8443": secure, "8080": free_port()})
    with log.open("wb") as file, ended(start, file) as process:
        until(lambda: accepts(secure) or process.poll() is not None, "nginx")
        yield process, secure, log


def until(ready: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > deadline:
            raise SystemExit(
                f"benchmarks.edge: expected {what} within {PATIENCE} s: is the machine too busy?"
            )
        time.sleep(0.05)


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def counting(folder: Path) -> Iterator[redis.Redis]:
    port = free_port()
    quiet = ["--save", "", "--appendonly", "no", "--loglevel", "warning"]
    where = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    with ended(["redis-server", *where, *quiet]):
        client = redis.Redis(port=port)
        until(lambda: accepts(port), "redis-server")
        yield client
        client.close()


def spent(client: redis.Redis) -> float:
    """Seconds of processor time so far."""
    found = client.info("cpu")
    return found["used_cpu_user"] + found["used_cpu_sys"]


def sizes(log: Path, event: str) -> tuple[float, list[dict]]:
    """Bytes of a line about an answered request, on average, and what the lines say."""
    lines = [line for line in log.read_bytes().splitlines() if f'"event":"{event}"'.encode() in line]
    found = [one for one in map(json.loads, lines) if one["status"] == 200]
    return statistics.mean(len(line) + 1 for line in lines), found


def measured(rounds: int, seconds: int, tell=print) -> dict[str, float]:
    """µs of processor time, the least of all rounds, since other programs can only add to it; and bytes."""
    from benchmarks.__main__ import open_account

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        open_account(folder / "access")
        client = stack.enter_context(counting(folder))
        port = client.connection_pool.connection_kwargs["port"]
        settings = {name: value.replace("{models}", str(folder)) for name, value in ACCESS.items()}
        server = Server("fastapi", env=BEHIND | settings | {"REDIS_URL": f"redis://127.0.0.1:{port}/0"})
        stack.callback(server.stop)
        server.wait()
        until(lambda: server.get("/health/ready").status_code == 200, "the server's model")
        proxy, secure, log = stack.enter_context(nginx(folder, server.port))
        for parent in (psutil.Process(proxy.pid), psutil.Process(server.process.pid)):
            for member in (parent, *parent.children(recursive=True)):
                pin(member.pid, 0)
        kept = Contender("nginx", [], "/predict", body=BODY, has_key=True)
        headers = headers_of(kept, folder / "model.pkl")
        url = f"https://localhost:{secure}/predict"
        answer = httpx.post(url, content=BODY, headers=headers, verify=False, trust_env=False)
        answer.raise_for_status()
        costs: dict[str, list[float]] = {name: [] for name in ("kept", "new", "redis", "server")}
        for number in range(1, rounds + 1):
            for name, more in (("kept", {}), ("new", {"Connection": "close"})):
                before = processor_seconds(proxy), spent(client), processor_seconds(server.process)
                result = Result(kept, CONNECTIONS)
                answered = measure(kept, headers | more, url, CONNECTIONS, seconds, result)
                after = processor_seconds(proxy), spent(client), processor_seconds(server.process)
                if result.errors:
                    raise SystemExit(f"benchmarks.edge: {result.errors} of {answered} answers were no 2xx")
                took = [(b - a) * 1e6 / answered for a, b in zip(before, after, strict=True)]
                costs[name].append(took[0])
                if name == "kept":
                    costs["redis"].append(took[1])
                    costs["server"].append(took[2])
                tell(f"round {number}/{rounds}  {name:4} {result.rates[-1]:7.0f}/s  nginx {took[0]:.0f} µs")
        line, told = sizes(log, "proxied")
        server_line, _ = sizes(server.log, "request")
    least = {name: min(values) for name, values in costs.items()}
    return {
        "kept": least["kept"],
        "handshake": least["new"] - least["kept"],
        "redis": least["redis"],
        "server": least["server"],
        "server_line": server_line,
        "proxy_line": line,
        "received": statistics.mean(one["received_bytes"] for one in told),
        "sent": statistics.mean(one["sent_bytes"] for one in told),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.edge", description=__doc__.split(":")[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=1, help="of load for each figure (default: 1)")
    parser.add_argument("--output", type=Path, help="a folder for edge.json")
    options = parser.parse_args(argv)
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        print(f"benchmarks.edge: expected the programs {', '.join(missing)}: install them", file=sys.stderr)
        return 1
    figures = {name: round(value, 1) for name, value in measured(options.rounds, options.seconds).items()}
    print(json.dumps(figures, indent=2))
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        told = json.dumps({**conditions(), "figures": figures}, indent=2)
        (options.output / "edge.json").write_text(f"{told}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

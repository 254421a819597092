"""Workers on hosts of their own, which are cut off in mid-work: what was accepted, done, lost, doubled; and
jobs a second with one, two and four of them.

    sudo .venv/bin/python -m benchmarks.hosts
    sudo .venv/bin/python -m benchmarks.hosts --parts speed

The hosts are network namespaces of this machine (benchmarks/network.py): one has RabbitMQ, PostgreSQL, Redis
and the FastAPI server, the others a worker each."""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import joblib
import numpy as np

from benchmarks.network import Host, Network, NetworkError
from benchmarks.waiting import Elsewhere

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / part) for part in ("notebooks", "tests", "tests/jobs", "tests/contract")]

from classroom.servers import serve  # noqa: E402
from postgres import postgres  # noqa: E402
from rabbitmq_server import RabbitMQ  # noqa: E402
from redis_server import RedisServer  # noqa: E402

from apps.service.jobs.queue import NAME  # noqa: E402
from model_training.adopt import adopt  # noqa: E402

PARTS = ("cuts", "once", "speed")
CHUNK_ROWS, CHUNKS = 10, 4
LEASE = 2.0  # seconds, while hosts are cut off again and again
PATIENCE = 300  # seconds for what has to come
AT_ONCE = 4  # requests
KEEPALIVE = ROOT / "deploy" / "rabbitmq" / "advanced.config"


class Hub:
    """The host of everything but the workers; this process is there too."""

    def __init__(self, stack: ExitStack, network: Network, config: str) -> None:
        folder = self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "rabbitmq").mkdir()
        self.broker = RabbitMQ(folder / "rabbitmq", address=network.address, config=config)
        stack.callback(self.broker.stop)
        redis = RedisServer(folder, network.address)
        stack.callback(redis.stop)
        database = stack.enter_context(postgres(network.address))
        self.env = {
            "BROKER_URL": self.broker.url,
            "DATABASE_URL": database.database(),
            "JOBS_FOLDER": str(folder / "jobs"),
            "RESULTS_URL": redis.url,
            "JOBS_CHUNK_ROWS": str(CHUNK_ROWS),
            "MODEL_FORMAT": "joblib",
            "MODEL_PATH": str(model_in(folder)),
            "WORK_SECONDS": "0",
        }
        settings = self.env | {"JOBS": "on", "JOBS_MAX_WAITING": "100000", "LOG_LEVEL": "warning"}
        self.server = stack.enter_context(serve("fastapi", env=settings))

    def submit(self, number: int, chunks: int) -> str:
        """A job of rows that no other one has; its address."""
        body, key = {"instances": rows_of(number, chunks).tolist()}, {"Idempotency-Key": str(number)}
        answer = self.server.post("/jobs", json=body, headers=key)
        assert answer.status_code == 202, answer.text
        return answer.headers["Location"]

    def job(self, address: str) -> dict:
        return self.server.get(address).json()

    def await_end(self, address: str) -> dict:
        found = awaited(lambda: (job := self.job(address))["state"] not in ("queued", "running") and job)
        return found or self.job(address)

    def answers(self, address: str) -> list[float]:
        return self.server.get(f"{address}/result.json").json().get("prediction", [])


class Worker:
    """One on a host of its own, for a `with` block."""

    def __init__(self, host: Host, hub: Hub, **settings: str) -> None:
        self.host, self.log = host, hub.folder / f"{host.name}.log"
        env = os.environ | hub.env | {"METRICS_HOST": host.address, "LOG_FORMAT": "json"} | settings
        command = host.command(sys.executable, "-m", "apps.worker")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)

    def __enter__(self) -> "Worker":
        assert awaited(self.is_ready), self.said()
        return self

    def __exit__(self, *_) -> None:
        self.host.reconnect()
        self._process.kill()
        self._process.wait()

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"http://{self.host.address}:8002/health/ready", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def done(self) -> list[tuple[str, int]]:
        """The chunks that it has done: of which job, and their numbers."""
        lines = [json.loads(line) for line in self.said().splitlines() if line.startswith("{")]
        chunks = [line for line in lines if line["event"] == "chunk" and line["state"] == "done"]
        return [(line["job"], line["chunk"]) for line in chunks]


def cut_off(network: Network, jobs: int, cuts: int, seed: int) -> dict[str, int]:
    """Hosts are cut off at random moments, for shorter and for longer than the lease, while jobs come in."""
    moments, ended = random.Random(seed), threading.Event()
    with hub(network) as site, ExitStack() as stack:
        settings = {"JOBS_LEASE_SECONDS": str(LEASE), "WORK_SECONDS": "0.3"}
        workers = [stack.enter_context(Worker(host, site, **settings)) for host in network.hosts[:2]]

        def cut() -> None:
            for _ in range(cuts):
                if ended.wait(moments.uniform(0, 1)):
                    return
                host = moments.choice(workers).host
                host.cut()
                ended.wait(moments.uniform(0.2, 3 * LEASE))
                host.reconnect()

        cutting = stack.enter_context(ThreadPoolExecutor(1)).submit(cut)
        stack.callback(ended.set)  # at Ctrl-C too
        addresses = []
        for number in range(jobs):
            addresses.append(site.submit(number, CHUNKS))
            time.sleep(0 if cutting.done() else cuts * LEASE / jobs)
        cutting.result()
        found = {"accepted": len(set(addresses)), "done": 0, "lost": 0, "doubled": 0, "cuts": cuts}
        for number, address in enumerate(addresses):
            state = site.await_end(address)["state"]
            answers, expected = site.answers(address), rows_of(number, CHUNKS).sum(axis=1)
            found["doubled"] += len(answers) > len(expected)
            right = state == "succeeded" and np.allclose(answers, expected, rtol=1e-6)
            found["done" if right else "lost"] += 1
        done = [chunk for worker in workers for chunk in worker.done()]
        found["doubled"] += len(done) - len(set(done))
        return found


def once(network: Network, config: str | None) -> dict[str, float]:
    """One of two hosts is cut off amid a chunk: seconds until the other has done it, until RabbitMQ takes the
    first one for gone, and from its reconnection until it takes messages again."""
    slow, quick = network.hosts[:2]
    with hub(network, config) as site, Worker(slow, site, WORK_SECONDS="3"), Worker(quick, site):
        number = 0
        while True:  # until the slow one has it
            number += 1
            address = site.submit(number, 1)
            time.sleep(1)
            if site.job(address)["state"] == "running":
                break
        slow.cut()
        begun = time.monotonic()
        assert site.await_end(address)["state"] == "succeeded"
        found = {"done by the other": time.monotonic() - begun}
        gone = awaited(lambda: consumers(site) == 1, 120)
        found["given up by RabbitMQ"] = time.monotonic() - begun if gone else float("nan")
        left, begun = consumers(site), time.monotonic()
        slow.reconnect()
        assert awaited(lambda: consumers(site) > left)
        return found | {"back after": time.monotonic() - begun}


def consumers(site: Hub) -> int:
    """As RabbitMQ counts them."""
    with site.broker.connection() as connection:
        return connection.channel().queue_declare(NAME, passive=True).consumer_count


def speed(network: Network, workers: int, seconds: float, jobs: int) -> float:
    """Jobs a second, of one chunk each, from the first that came to the last that was done."""
    with hub(network) as site, ExitStack() as stack:
        for host in network.hosts[:workers]:
            stack.enter_context(Worker(host, site, WORK_SECONDS=str(seconds)))
        for number in range(4 * workers):  # each loads the model
            site.await_end(site.submit(number, 1))
        with ThreadPoolExecutor(AT_ONCE) as clients:
            addresses = [*clients.map(lambda number: site.submit(number, 1), range(1000, 1000 + jobs))]
        ended = [site.await_end(address) for address in reversed(addresses)]
        assert {job["state"] for job in ended} == {"succeeded"}
        begun, end = min(times(ended, "created_at")), max(times(ended, "finished_at"))
        return jobs / ((end - begun) / np.timedelta64(1, "s"))


def times(jobs: list[dict], which: str) -> list[np.datetime64]:
    return [np.datetime64(job[which].removesuffix("Z")) for job in jobs]


@contextmanager
def hub(network: Network, config: str | None = None) -> Iterator[Hub]:
    with ExitStack() as stack:
        yield Hub(stack, network, KEEPALIVE.read_text(encoding="utf-8") if config is None else config)


def model_in(folder: Path) -> Path:
    rows = np.array([[0.0, 2.0], [3.0, 4.0], [5.0, 100_000.0]])
    joblib.dump(Elsewhere().fit(rows, None), folder / "elsewhere.pkl")
    adopt(folder / "elsewhere.pkl", "elsewhere", None, folder)
    return folder / "models" / "elsewhere"


def rows_of(job: int, chunks: int) -> np.ndarray:
    """As many as a job has; no other one has the same."""
    return np.array([[job, row] for row in range(chunks * CHUNK_ROWS)], np.float64)


def awaited(look: Callable, seconds: float = PATIENCE):
    """What it gives, once that is true; None where it never is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    return None


def shown(name: str, value: float) -> None:
    print(f"{name:<48}{value:>10,.{0 if isinstance(value, int) else 1}f}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hosts", description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--jobs", type=int, default=100, help="while hosts are cut off")
    parser.add_argument("--cuts", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    os.chdir(ROOT)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no host is left
    failed = False
    try:
        with Network(4) as network:
            network.enter()
            if "cuts" in options.parts:
                found = cut_off(network, options.jobs, options.cuts, options.seed)
                failed = bool(found["lost"] or found["doubled"])
                for name, count in found.items():
                    shown(name, count)
            if "once" in options.parts:
                for how, config in (("keepalive", None), ("RabbitMQ as it comes", "[].")):
                    for name, seconds in once(network, config).items():
                        shown(f"seconds, {how}: {name}", seconds)
            if "speed" in options.parts:
                for seconds, jobs in ((0.0, 200), (0.1, 100)):
                    for workers in (1, 2, 4):
                        rate = speed(network, workers, seconds, jobs)
                        shown(f"jobs a second of {seconds:g} s, {workers} workers", rate)
    except KeyboardInterrupt:
        return 130
    except NetworkError as error:
        sys.exit(f"hosts: {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

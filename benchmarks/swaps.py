"""A storm of swaps: python -m benchmarks.swaps

Two workers of each full server follow a registry and answer without a pause, while one of two models takes
the place of the other, again and again, as `POST /models/iris/activate` has it. The two answer one row
differently: an answer whose version and prediction do not belong together is seen."""

import argparse
import dataclasses
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.arena import ROOT, end
from benchmarks.contenders import PYTHON

ROW = [5.1, 3.5, 1.4, 0.2]
BODY = json.dumps({"features": ROW})
SERVERS = ("fastapi", "flask")
REQUESTS_A_CONNECTION = 500  # then another, which may reach the other worker
PATIENCE = 120  # seconds until a server, or a version, is there


@dataclass
class Server:
    name: str
    port: int
    metrics_port: int
    process: psutil.Popen

    def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.request(method, url, json=body, timeout=PATIENCE, trust_env=False)

    def workers(self) -> list[psutil.Process]:
        """Those that answer."""
        children = self.process.children()
        return [child for child in children if "multiprocessing.spawn" in " ".join(child.cmdline())]

    def swaps(self) -> float:
        """Of all its workers together."""
        text = httpx.get(f"http://127.0.0.1:{self.metrics_port}/metrics", trust_env=False).text
        samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
        return sum(
            s.value for s in samples if s.name == "model_swaps_total" and s.labels["result"] == "swapped"
        )


@dataclass
class Load:
    """Clients of one server, each of which asks again as soon as it is answered."""

    server: Server
    answers: dict[str, int]  # what each version predicts for ROW
    counts: Counter = field(default_factory=Counter)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        counts = Counter()
        while not self.stopped.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
            try:
                for _ in range(REQUESTS_A_CONNECTION):
                    if self.stopped.is_set():
                        break
                    counts["requests"] += 1
                    connection.request("POST", "/predict", BODY, {"Content-Type": "application/json"})
                    answer = connection.getresponse()
                    body = answer.read()
                    if answer.status != 200:
                        counts["failed"] += 1
                        continue
                    found = json.loads(body)
                    version = found["model"]["version"]
                    counts[f"by {version}"] += 1
                    if found["prediction"] != [self.answers[version]]:
                        counts["disagreed"] += 1
            except (OSError, http.client.HTTPException):
                counts["failed"] += 1
            finally:
                connection.close()
        self.counts += counts


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.swaps", description=__doc__.split(":")[0])
    parser.add_argument("--swaps", type=int, default=2000, help="how many (default: 2000)")
    parser.add_argument("--every", type=float, default=0.3, help="seconds between two (default: 0.3)")
    parser.add_argument("--clients", type=int, default=3, help="of each server (default: 3)")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        found = storm(Path(name), options.swaps, options.every, options.clients)
    print(table(found))
    failed = sum(each["failed"] + each["disagreed"] for each in found["load"].values())
    return 1 if failed else 0


def storm(folder: Path, swaps: int, every: float, clients: int) -> dict:
    """What happened, by server and by worker."""
    answers = register(folder)
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(name, folder)) for name in SERVERS]
        for server in servers:
            await_version(server)
        loads = [Load(server, answers) for server in servers]
        threads = [threading.Thread(target=load.run) for load in loads for _ in range(clients)]
        for thread in threads:
            thread.start()
        workers = {f"{s.name} {n}": w for s in servers for n, w in enumerate(s.workers(), 1)}
        states, began = [], time.monotonic()
        stack.callback(lambda: [load.stopped.set() for load in loads])
        for number in range(swaps):
            if number == min(20, swaps // 2) or number == swaps // 2:  # once all that is kept is there
                states.append(state_of(workers))
            due = began + number * every
            time.sleep(max(0, due - time.monotonic()))
            version = str(2 - number % 2)
            answer = servers[number % 4 // 2].ask("POST", "/models/iris/activate", {"version": version})
            if answer.status_code != 200:
                raise SystemExit(f"swaps: {answer.text}")
            if number % 100 == 99:
                tell(f"{number + 1} swaps, {(time.monotonic() - began):.0f} s")
        seconds = time.monotonic() - began
        time.sleep(2)
        states.append(state_of(workers))
        made = {server.name: server.swaps() for server in servers}
        for load in loads:
            load.stopped.set()
        for thread in threads:
            thread.join()
        return {
            "swaps": swaps,
            "seconds": seconds,
            "in workers": made,
            "load": {load.server.name: load.counts for load in loads},
            "states": {name: [state[name] for state in states] for name in workers},
        }


def register(folder: Path) -> dict[str, int]:
    """Two versions in a registry of the folder's own, the first of them champion. What each predicts."""
    os.environ |= {"REGISTRY_FOLDER": str(folder / "registry")}
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    from model_training import datasets
    from model_training.export import export
    from model_training.registry.registry import Registry
    from model_training.registry.tracking_server import quiet
    from model_training.train import train

    quiet()

    iris = datasets.load("iris")
    turned = dataclasses.replace(iris, target=(iris.target + 1) % 3)
    registry, answers = Registry(), {}
    for number, dataset in enumerate((iris, turned), 1):
        training = train(dataset)
        card = export(training, folder / f"iris-{number}")
        registry.register(folder / f"iris-{number}", "iris")
        answers[card.version] = int(training.model.predict([ROW])[0])
    assert len(set(answers.values())) == 2
    registry.promote("iris", "1")
    return answers


@contextmanager
def serving(name: str, folder: Path) -> Iterator[Server]:
    """Two workers, which follow the registry."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        port, metrics_port = (each.getsockname()[1] for each in (one, other))
    env = {"PORT": str(port), "METRICS_PORT": str(metrics_port), "WORKERS": "2", "LOG_LEVEL": "error"}
    env |= {"MODEL_URI": "models:/iris@champion", "MODEL_STORE": str(folder / "store")}
    with (folder / f"{name}.log").open("wb") as log:
        command = [PYTHON, "-m", f"apps.{name}_app"]
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | env, stdout=log, stderr=log)
        try:
            yield Server(name, port, metrics_port, psutil.Process(process.pid))
        finally:
            end(process)


def await_version(server: Server) -> None:
    """Until both versions are on this machine, and the first is served."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        time.sleep(0.2)
        try:
            if server.ask("GET", "/health").status_code != 200:
                continue
            if len(server.ask("GET", "/models/iris/versions").json()["versions"]) < 2:
                continue
            for version in ("2", "1"):
                if server.ask("POST", "/models/iris/activate", {"version": version}).status_code != 200:
                    continue
            if len(server.workers()) == 2:
                return
        except httpx.TransportError:
            continue
    raise SystemExit(f"swaps: {server.name} did not start")


def state_of(workers: dict[str, psutil.Process]) -> dict[str, tuple[int, int, int]]:
    """KiB in memory, open descriptors, and threads, of each worker. Raises NoSuchProcess where one ended."""
    return {
        name: (each.memory_info().rss >> 10, each.num_fds(), each.num_threads())
        for name, each in workers.items()
    }


def table(found: dict) -> str:
    lines = [
        f"{found['swaps']} swaps in {found['seconds']:.0f} s; in the workers of each server: "
        + ", ".join(f"{name} {count:.0f}" for name, count in found["in workers"].items()),
        "",
        "| server | requests | failed | version and prediction disagree |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {counts['requests']} | {counts['failed']} | {counts['disagreed']} |"
        for name, counts in found["load"].items()
    ]
    lines += [
        "",
        "| worker | MiB: after 20 swaps, middle, end | descriptors | threads |",
        "|---|---|---|---|",
    ]
    for name, states in found["states"].items():
        memory = ", ".join(f"{rss / 1024:.1f}" for rss, _, _ in states)
        descriptors, threads = (", ".join(str(state[place]) for state in states) for place in (1, 2))
        lines.append(f"| {name} | {memory} | {descriptors} | {threads} |")
    return "\n".join(lines)


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())

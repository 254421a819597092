"""Both full servers, which follow a store whose pointers a test moves: it has the lock of those who follow,
so no server starts what speaks to a registry."""

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from classroom.servers import Server, free_port
from pairs import FULL, await_workers, each_worker
from prometheus_client.parser import text_string_to_metric_families as families
from wire import Connection, request_bytes

from model_training import datasets
from model_training.export import export
from model_training.registry.lock import Lock
from model_training.registry.store import Pointer, Store
from model_training.train import train
from tests.waiting import PATIENCE, until

SETOSA = [5.1, 3.5, 1.4, 0.2]
ANSWERS = {"1": 0, "2": 1}  # what the good versions predict for it


def make_models(folder: Path) -> dict[str, Path]:
    """A model folder for each version: 1 and 2 are good and answer differently, the others are not."""
    iris = datasets.load("iris")
    turned = dataclasses.replace(iris, target=(iris.target + 1) % 3)
    for version, dataset in (("1", iris), ("2", turned), ("4", datasets.load("wine"))):
        export(train(dataset), folder / version)
    changed(
        folder / "2", folder / "3", lambda card: card["golden"][0].update(prediction=2, label="virginica")
    )
    changed(folder / "2", folder / "5", lambda card: card.update(title="The same, and its file will be cut"))
    return {version: folder / version for version in "12345"}


def changed(source: Path, target: Path, change: Callable[[dict], None]) -> None:
    """A copy whose card says something else."""
    target.mkdir()
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    card = json.loads((target / "card.json").read_text(encoding="utf-8"))
    change(card)
    (target / "card.json").write_text(json.dumps(card), encoding="utf-8")


class Followed:
    def __init__(self, folder: Path, models: dict[str, Path]) -> None:
        self.folder, self.store, self.servers = folder, Store(folder), {}
        self.lock = Lock(folder / "iris" / "lock")
        assert self.lock.take()
        self.versions = {
            version: Pointer(version, self.store.add("iris", models[version])) for version in models
        }
        self.cut(self.file("5"))
        self._metrics: dict[str, int] = {}

    def list_versions(self) -> None:
        """Write down what there is, as the process does that follows."""
        told = [{**pointer._asdict(), "aliases": []} for pointer in self.versions.values()]
        (self.folder / "iris" / "versions").write_text(json.dumps({"versions": told, "answers": True}))

    def file(self, version: str) -> Path:
        """Its ONNX file in the store."""
        return self.store.folder("iris", self.versions[version].digest) / "model.onnx"

    @staticmethod
    def cut(path: Path) -> None:
        path.parent.chmod(0o755)
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-100])

    def point(self, alias: str, version: str) -> None:
        self.store.point("iris", alias, self.versions[version])

    def start(self, name: str, env: dict[str, str]) -> Server:
        self._metrics[name] = free_port()
        basic = {"MODEL_URI": "models:/iris@champion", "MODEL_STORE": str(self.folder), "LOG_FORMAT": "json"}
        basic["METRICS_PORT"] = str(self._metrics[name])
        self.servers[name] = Server(name, env=basic | env)
        return self.servers[name]

    def await_answer(self, version: str) -> None:
        """Until both answer with that version, whoever of their workers is asked."""
        deadline = time.monotonic() + PATIENCE
        for server in self.servers.values():
            wanted = {(version_of(self, version), ANSWERS[version])}
            while server.get("/health").status_code != 200 or seen(server) != wanted:
                assert time.monotonic() < deadline, server.tail()
                time.sleep(0.05)

    def count(self, name: str, metric: str, **labels: str) -> float:
        text = httpx.get(f"http://127.0.0.1:{self._metrics[name]}/metrics", trust_env=False).text
        samples = [sample for family in families(text) for sample in family.samples]
        return sum(
            one.value for one in samples if one.name == metric and labels.items() <= one.labels.items()
        )

    def await_count(self, name: str, wanted: float, metric: str, **labels: str) -> None:
        """Several workers hand on what they have counted every second."""

        def found() -> float:
            return self.count(name, metric, **labels)

        until(lambda: found() == wanted, lambda: (metric, labels, found(), wanted))


@contextmanager
def followed(
    folder: Path, models: dict[str, Path], env: dict[str, str], active: str | None = "1"
) -> Iterator:
    with ExitStack() as stack:
        found = Followed(folder, models)
        stack.callback(found.lock.release)
        found.list_versions()
        if active:
            found.point("champion", active)
            found.point("active", active)
        servers = [found.start(name, env) for name in FULL]
        for server in servers:
            stack.callback(server.stop)
        for server in servers:
            server.wait()
            if active:
                await_workers(server, int(env.get("WORKERS", "1")))
        yield found


def version_of(site: Followed, version: str) -> str:
    """The card's version of a registry's version."""
    return site.store.verified("iris", site.versions[version].digest).version


def seen(server: Server) -> set[tuple[str, int]]:
    """The answer of each of its workers."""
    return {answer_of(server.url) for _ in each_worker(server)}


def answer_of(url: str, headers: dict[str, str] | None = None, path: str = "/predict") -> tuple[str, int]:
    """Version and prediction, over a connection of its own, which any worker may take."""
    with Connection(url) as connection:
        return asked(connection, headers or {}, path)


def asked(connection: Connection, headers: dict[str, str], path: str = "/predict") -> tuple[str, int]:
    headers = {"Content-Type": "application/json"} | headers
    body = json.dumps({"features": SETOSA}).encode()
    connection.send(request_bytes("POST", path, headers, body, keep=True))
    answer = connection.receive()
    assert answer.status == 200, answer
    found = json.loads(answer.body)
    return found["model"]["version"], found["prediction"][0]


class Clients:
    """Ask without a pause, each over one connection, in the block."""

    def __init__(self, urls: list[str], each: int) -> None:
        self.answers: list[list[tuple[str, int]]] = []
        self.failures: list[str] = []
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(url,)) for url in urls for _ in range(each)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self, url: str) -> None:
        mine = []
        self.answers.append(mine)
        try:
            with Connection(url) as connection:
                while not self._stopped.is_set():
                    mine.append(asked(connection, {}))
        except Exception as error:
            self.failures.append(f"{type(error).__name__}: {error}")

"""A million rows of CSV through either server and one worker: seconds, rows a second, and memory, beside the
same file predicted in one process.

    python -m benchmarks.million                           --rows 100000 for less

Medians of the rounds, in which the three take turns. In the process: pandas reads the file, the model answers
all of it at once (ONNX Runtime), and pandas writes what a job's CSV has."""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "notebooks"))

from classroom.servers import Server, serve  # noqa: E402

from model_training import datasets  # noqa: E402
from model_training.artifact import load_path  # noqa: E402
from model_training.export import export  # noqa: E402
from model_training.train import train  # noqa: E402

CSV = {"Content-Type": "text/csv"}


class Memory(threading.Thread):
    """The most that a process has held since, in bytes."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(server.process.pid)
        self.before = self.most = self._process.memory_info().rss
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.02):
            self.most = max(self.most, self._process.memory_info().rss)

    def __enter__(self) -> "Memory":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self.join()

    def __str__(self) -> str:
        return f"{self.before / 1e6:.0f} -> {self.most / 1e6:.0f}"


def in_process(model, given: Path, written: Path) -> float:
    """Seconds."""
    began = time.perf_counter()
    rows = pd.read_csv(given).to_numpy(np.float32)
    predictions, shares = model.predict(rows)
    classes = model.card.classes
    table = pd.DataFrame({"row": np.arange(1, len(rows) + 1), "prediction": predictions})
    table["label"] = np.array(classes)[np.searchsorted(model.card.raw_labels, predictions)]
    for name, share in zip(classes, shares.T, strict=True):
        table[f"probability_{name}"] = share
    table.to_csv(written, index=False)
    return time.perf_counter() - began


def pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 16):
            yield piece


def as_job(server: Server, given: Path, written: Path) -> tuple[float, float, float]:
    """Seconds: of the upload, of the work, of the download."""
    with httpx.Client(base_url=server.url, timeout=120, trust_env=False) as client:
        began = time.perf_counter()
        accepted = client.post("/jobs", content=pieces(given), headers=CSV).raise_for_status()
        received = time.perf_counter()
        while (job := client.get(accepted.headers["location"]).raise_for_status().json())["state"] in (
            "queued",
            "running",
        ):
            time.sleep(0.05)
        assert job["state"] == "succeeded", job
        worked = time.perf_counter()
        with (
            written.open("wb") as file,
            client.stream("GET", f"{accepted.headers['location']}/result.csv") as answer,
        ):
            answer.raise_for_status()
            for piece in answer.iter_bytes():
                file.write(piece)
        ended = time.perf_counter()
    return received - began, worked - received, ended - worked


def check(found: Path, expected: Path) -> None:
    """The same answers."""
    found, expected = pd.read_csv(found), pd.read_csv(expected)
    assert list(found) == list(expected), (list(found), list(expected))
    assert (found["label"] == expected["label"]).all()
    numbers = found.drop(columns="label"), expected.drop(columns="label")
    np.testing.assert_allclose(*numbers, rtol=1e-5, atol=1e-7)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.million", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.chdir(ROOT)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        export(train(datasets.load("iris")), folder / "iris")
        model = load_path(folder / "iris")
        given, expected = folder / "rows.csv", folder / "expected.csv"
        low, high = np.transpose([[feature.minimum, feature.maximum] for feature in model.card.features])
        many = np.random.default_rng(0).uniform(low, high, (options.rows, len(low))).round(1).clip(low, high)
        names = ",".join(feature.name for feature in model.card.features)
        np.savetxt(given, many, "%.1f", ",", header=names, comments="")
        env = {
            "JOBS": "on",
            "JOBS_FOLDER": str(folder / "jobs"),
            "MODEL_PATH": str(folder / "iris"),
            "LOG_LEVEL": "warning",
        }
        servers = [stack.enter_context(serve(name, env=env)) for name in ("fastapi", "flask")]
        worker = stack.enter_context(serve("worker", env=env))
        alone, jobs = [], {server.name: [] for server in servers}
        memories = {server.name: Memory(server) for server in (*servers, worker)}
        for memory in memories.values():
            stack.enter_context(memory)
        for _ in range(options.rounds):
            alone.append(in_process(model, given, expected))
            for server in servers:
                jobs[server.name].append(as_job(server, given, folder / "found.csv"))
                check(folder / "found.csv", expected)
        base = statistics.median(alone)
        print(f"{given.stat().st_size / 1e6:.0f} MB of CSV, {options.rows:,} rows")
        print(f"{'':12}{'upload':>8}{'work':>8}{'download':>10}{'in all':>8}{'rows/s':>11}{'share':>8}")
        print(f"{'one process':12}{'':>26}{base:>8.2f}{options.rows / base:>11,.0f}{'100 %':>8}")
        for name, rounds in jobs.items():
            upload, work, download = map(statistics.median, zip(*rounds, strict=True))
            whole = statistics.median(map(sum, rounds))
            print(
                f"{name:12}{upload:>8.2f}{work:>8.2f}{download:>10.2f}{whole:>8.2f}"
                f"{options.rows / whole:>11,.0f}{base / whole:>8.0%}"
            )
        print("memory, MB, before and at most: " + ", ".join(f"{n} {m}" for n, m in memories.items()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The load generator, which is a process of its own, and what it counts in one turn."""

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ui import sign_in
from ui.client import PREDICT, predict_body
from ui.servers import Server

ROOT = Path(__file__).resolve().parents[1]
CONNECTIONS = 64
TIMEOUT = 3  # seconds from when a request was due, after which it counts as not answered
PATIENCE = 10  # seconds beyond the end of a turn, in which the generator gives up what is still waiting


@dataclass(frozen=True)
class Turn:
    """What the generator counted in one turn. Percentiles are in milliseconds, None without an answer;
    `histogram`: how many answers took up to so many milliseconds, and longer than the bound before."""

    answered_rate: float
    sent: int
    answered: int
    failed: int
    statuses: dict[str, int]
    errors: dict[str, int]
    percentiles: dict[str, float | None]
    histogram: dict[float, int]
    lag: float  # milliseconds by which the generator itself was late, p99


def read_turn(told: dict) -> Turn:
    return Turn(
        **{
            name: told[name] for name in ("answered_rate", "sent", "answered", "failed", "statuses", "errors")
        },
        percentiles={name: told[name] for name in ("p50", "p90", "p95", "p99", "p999", "max")},
        histogram={bound: count for bound, count in told["histogram"]},
        lag=told["generator_lag_p99"] or 0.0,
    )


class Generator:
    """`python -m benchmarks.load` as a process that ends with its `with` block."""

    def __init__(self, server: Server, rate: int, seconds: float, row: list[float]) -> None:
        body = predict_body(row).decode()
        self.server, self.ends = server, time.monotonic() + seconds + PATIENCE
        self.command = [sys.executable, "-m", "benchmarks.load", server.url + PREDICT, "--json"]
        self.command += ["--rate", f"{rate}", "--seconds", f"{seconds:.3f}", "--body", body]
        self.command += ["--connections", f"{CONNECTIONS}", "--timeout", f"{TIMEOUT}"]
        credential = sign_in.current().credential(server, seconds)
        self.headers = f"{credential.header}: {credential.value}\n" if credential else ""
        if self.headers:
            self.command.append("--headers-stdin")
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def __enter__(self) -> "Generator":
        self.process = subprocess.Popen(
            self.command,
            cwd=ROOT,
            stdin=subprocess.PIPE,  # arguments and environment can be read by others
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        with suppress(OSError):  # it has ended at once, and says why
            self.process.stdin.write(self.headers)
            self.process.stdin.close()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def events(self) -> Iterator[dict]:
        """What it tells, to its result or an error; an error too where it ends without either."""
        last = "it told nothing"
        while time.monotonic() < self.ends:
            try:
                line = self.lines.get(timeout=1)
            except queue.Empty:
                continue
            if line is None:
                break
            last = line.strip() or last
            try:
                told = json.loads(line)
            except ValueError:
                continue  # a warning, say
            yield told
            if told["event"] != "progress":
                return
        yield {"event": "error", "message": f"the load generator ended without a result: {last[:300]}"}

"""A load test: each chosen server in turns, by the load generator, which is a process of its own.

The servers take turns because they share one machine: loaded at the same time, each would be measured
against what the other leaves it. Turns are short, and in every second round the other one begins, so that a
machine that grows warm or busy does so for both.
"""

import json
import queue
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ui import answers, client
from ui.answers import Failure
from ui.card import Card
from ui.client import PREDICT, predict, predict_body
from ui.servers import Server

ROOT = Path(__file__).resolve().parents[1]
RATES, SECONDS = (1, 5000), (2, 60)  # the least and the most that can be asked for
TURN = 5  # seconds, about
WARM_UP = 5  # requests before the first turn
CONNECTIONS = 64
TIMEOUT = 3  # seconds from when a request was due, after which it counts as not answered
PATIENCE = 10  # seconds beyond the end of a turn, in which the generator gives up what is still waiting
ONE_AT_A_TIME = threading.Lock()  # tests of two visitors would measure each other


@dataclass(frozen=True)
class Moment:
    """A quarter of a second. `at`: seconds of load on this server so far. `p50`, `p95`: milliseconds from
    when a request was due, None where none was answered. `behind`: requests due and not answered."""

    at: float
    rate: float  # answers a second
    p50: float | None
    p95: float | None
    behind: float
    turn: int
    elapsed: float  # seconds of this turn


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


@dataclass
class Load:
    """One server's part of a test: its turns, and every quarter of a second of them."""

    server: Server
    rate: int
    turns: list[Turn] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)

    @property
    def answered_rate(self) -> float:
        return statistics.median(turn.answered_rate for turn in self.turns)

    def percentile(self, name: str) -> float | None:
        """Of "p50", "p90", "p95", "p99", "p999": the middle one of the turns'; of "max", the highest."""
        known = [turn.percentiles[name] for turn in self.turns if turn.percentiles[name] is not None]
        return None if not known else max(known) if name == "max" else statistics.median(known)

    def total(self, name: str) -> int:
        return sum(getattr(turn, name) for turn in self.turns)

    def counts(self, name: str) -> Counter:
        """`statuses`, `errors` or `histogram` of all turns."""
        return sum((Counter(getattr(turn, name)) for turn in self.turns), Counter())

    @property
    def refused(self) -> Counter:
        """Answers that are no predictions, by status."""
        return Counter({status: n for status, n in self.counts("statuses").items() if status != "200"})

    @property
    def lag(self) -> float:
        return max(turn.lag for turn in self.turns)

    @property
    def kept_up(self) -> bool:
        """Whether it answered as fast as it was asked, and all but one in a hundred with a prediction."""
        good = self.counts("statuses")["200"]
        return self.answered_rate >= 0.95 * self.rate and good >= 0.99 * (self.total("sent") or 1)

    @property
    def fell_behind(self) -> float | None:
        """Seconds into a turn after which more than half a second's requests were waiting; the middle one
        of the turns', None where that happened in less than half of them."""
        first: dict[int, float] = {}
        for moment in self.moments:
            if moment.behind > self.rate / 2:
                first.setdefault(moment.turn, moment.elapsed)
        return statistics.median(first.values()) if len(first) * 2 > len(self.turns) else None


@dataclass
class Test:
    """What is asked of whom. `seconds`: of load on each server. `failure`, `stopped`: why it ended early."""

    loads: list[Load]
    rate: int
    seconds: int
    row: list[float]
    failure: Failure | None = None
    stopped: bool = True  # until it has come to its end

    @property
    def turns(self) -> int:
        """Of each server: two at least, where two are compared."""
        return max(2 if len(self.loads) > 1 else 1, round(self.seconds / TURN))

    @property
    def turn_seconds(self) -> float:
        return self.seconds / self.turns

    @property
    def order(self) -> list[tuple[int, Load]]:
        """All turns: the number of the round, from 0, and whose turn it is."""
        return [(n, load) for n in range(self.turns) for load in self.loads[:: -1 if n % 2 else 1]]

    def run(self, card: Card) -> Iterator[tuple[int, Load, dict]]:
        """Load the servers; yield how many turns are over, whose turn it is, and what the generator tells
        four times a second. Close it, and the load ends with it."""
        if not ONE_AT_A_TIME.acquire(timeout=2):
            self.failure = busy(self.loads[0].server)
            return
        try:
            for load in self.loads:
                for _ in range(WARM_UP):
                    answer = predict(load.server, self.row, card)
                    if isinstance(answer, Failure):
                        self.failure = answer
                        return
            for over, (number, load) in enumerate(self.order):
                with closing(self.turn(load, number)) as events:
                    for told in events:
                        yield over, load, told
                if self.failure:
                    return
            self.stopped = False
        finally:
            ONE_AT_A_TIME.release()

    def turn(self, load: Load, number: int) -> Iterator[dict]:
        """One run of the generator; its result becomes a turn of the load, or the test gets its failure."""
        before = load.moments[-1].at if load.moments else 0.0
        with Generator(load.server, self.rate, self.turn_seconds, self.row) as generator:
            for told in generator.events():
                if told["event"] == "error":
                    self.failure = not_loaded(load.server, told["message"])
                elif told["event"] == "result":
                    load.turns.append(read_turn(told))
                else:
                    due = self.rate * min(told["elapsed"], self.turn_seconds)
                    behind = due - told["answered"] - told["failed"]
                    figures = (told["rate"], told["p50"], told["p95"], behind, number, told["elapsed"])
                    load.moments.append(Moment(before + told["elapsed"], *figures))
                    if told["failed"] and not told["rate"]:
                        health = client.health(load.server)
                        self.failure = health if isinstance(health, Failure) else None
                if self.failure:
                    return
                yield told


class Generator:
    """`python -m benchmarks.load` as a process that ends with its `with` block."""

    def __init__(self, server: Server, rate: int, seconds: float, row: list[float]) -> None:
        body = predict_body(row).decode()
        self.server, self.ends = server, time.monotonic() + seconds + PATIENCE
        self.command = [sys.executable, "-m", "benchmarks.load", server.url + PREDICT, "--json"]
        self.command += ["--rate", f"{rate}", "--seconds", f"{seconds:.3f}", "--body", body]
        self.command += ["--connections", f"{CONNECTIONS}", "--timeout", f"{TIMEOUT}"]
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def __enter__(self) -> "Generator":
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
        )
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


def read_turn(told: dict) -> Turn:
    return Turn(
        **{
            name: told[name] for name in ("answered_rate", "sent", "answered", "failed", "statuses", "errors")
        },
        percentiles={name: told[name] for name in ("p50", "p90", "p95", "p99", "p999", "max")},
        histogram={bound: count for bound, count in told["histogram"]},
        lag=told["generator_lag_p99"] or 0.0,
    )


def not_loaded(server: Server, why: str) -> Failure:
    health = client.health(server)
    if isinstance(health, Failure):
        return health
    if not health.ready:
        return answers.refused(health.exchange, "its health")
    return Failure(
        server,
        f"The load generator could not load {server.name}: {why}",
        "It is benchmarks/load in the project's folder. Put right what it names, and start again.",
    )


def busy(server: Server) -> Failure:
    return Failure(
        server,
        "Another load test is running on this page, in another window.",
        "Wait until it has ended: two at the same time would measure each other.",
    )

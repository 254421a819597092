"""A load test: each chosen server in turns, by the load generator.

The servers take turns because they share one machine: loaded at the same time, each would be measured
against what the other leaves it. Turns are short, and in every second round the other one begins, so that a
machine that grows warm or busy does so for both.
"""

import statistics
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime

from ui import answers, client
from ui.answers import Failure
from ui.card import Card
from ui.client import predict
from ui.generator import Generator, Turn, read_turn
from ui.servers import Server

RATES, SECONDS = (1, 5000), (2, 60)  # the least and the most that can be asked for
TURN = 5  # seconds, about
WARM_UP = 5  # requests before the first turn
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


@dataclass(kw_only=True)
class Trial(ABC):
    """Servers under load, one after the other. `failure`, `stopped`: why it ended early."""

    servers: list[Server]
    row: list[float]
    name: str = "own"
    at: datetime = field(default_factory=datetime.now)
    failure: Failure | None = None
    stopped: bool = True  # until it has come to its end

    @property
    @abstractmethod
    def turn_seconds(self) -> float: ...

    @property
    @abstractmethod
    def told(self) -> bool:
        """Whether it went far enough to tell something of every server."""

    @abstractmethod
    def plan(self) -> Iterator[tuple[int, Load]]:
        """The turns as they come: which of its own it is for that server, from 0, and whose it is."""

    @abstractmethod
    def progress(self, over: int, now: Load, elapsed: float) -> tuple[float, str]:
        """How far it is, from 0 to 1, and in words, after so many turns and so many seconds of one."""

    def run(self, card: Card) -> Iterator[tuple[int, Load, dict]]:
        """Load the servers; yield how many turns are over, whose turn it is, and what the generator tells
        four times a second. Close it, and the load ends with it."""
        if not ONE_AT_A_TIME.acquire(timeout=2):
            self.failure = busy(self.servers[0])
            return
        try:
            for server in self.servers:
                for _ in range(WARM_UP):
                    answer = predict(server, self.row, card)
                    if isinstance(answer, Failure):
                        self.failure = answer
                        return
            for over, (number, load) in enumerate(self.plan()):
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
        with Generator(load.server, load.rate, self.turn_seconds, self.row) as generator:
            for told in generator.events():
                if told["event"] == "error":
                    self.failure = not_loaded(load.server, told["message"])
                elif told["event"] == "result":
                    load.turns.append(read_turn(told))
                else:
                    due = load.rate * min(told["elapsed"], self.turn_seconds)
                    behind = due - told["answered"] - told["failed"]
                    figures = (told["rate"], told["p50"], told["p95"], behind, number, told["elapsed"])
                    load.moments.append(Moment(before + told["elapsed"], *figures))
                    if told["failed"] and not told["rate"]:
                        health = client.health(load.server)
                        self.failure = health if isinstance(health, Failure) else None
                if self.failure:
                    return
                yield told


@dataclass(kw_only=True)
class Test(Trial):
    """So many requests a second, for `seconds` of load on each server."""

    rate: int
    seconds: int
    loads: list[Load] = field(init=False)

    def __post_init__(self) -> None:
        self.loads = [Load(server, self.rate) for server in self.servers]

    @property
    def turns(self) -> int:
        """Of each server: two at least, where two are compared."""
        return max(2 if len(self.loads) > 1 else 1, round(self.seconds / TURN))

    @property
    def turn_seconds(self) -> float:
        return self.seconds / self.turns

    @property
    def told(self) -> bool:
        return all(load.turns for load in self.loads)

    @property
    def order(self) -> list[tuple[int, Load]]:
        """All turns: the number of the round, from 0, and whose turn it is."""
        return [(n, load) for n in range(self.turns) for load in self.loads[:: -1 if n % 2 else 1]]

    def plan(self) -> Iterator[tuple[int, Load]]:
        return iter(self.order)

    def progress(self, over: int, now: Load, elapsed: float) -> tuple[float, str]:
        share = (over + min(elapsed, self.turn_seconds) / self.turn_seconds) / len(self.order)
        return min(1.0, share), f"{now.server.name}, turn {over // len(self.loads) + 1} of {self.turns}"


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

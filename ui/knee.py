"""How much a server bears: it is asked more and more often until it does not keep up, and then what lies
between is tried. Where latency leaves the floor is called the knee."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from math import sqrt

from ui.load import RATES, Load, Trial
from ui.servers import Server

FIRST, MOST = 50, RATES[1]  # requests a second
STEP = 2.0  # seconds
CLOSE = 1.25  # of two rates: nearer than so, no other is tried between them
TRIES = 2  # of a rate, before it counts as too much: anything may disturb a server for two seconds


@dataclass(kw_only=True)
class Search(Trial):
    """For each server the rates that it was asked, in the order in which they were tried."""

    name: str = "knee"
    steps: list[Load] = field(default_factory=list)

    @property
    def turn_seconds(self) -> float:
        return STEP

    @property
    def loads(self) -> list[Load]:
        return self.steps

    @property
    def told(self) -> bool:
        return all(self.tried(server) for server in self.servers)

    def tried(self, server: Server) -> list[Load]:
        """What was asked of a server and came to its end."""
        return [step for step in self.steps if step.server == server and step.turns]

    def rates(self, server: Server) -> list[tuple[int, list[Load]]]:
        """The rates that were tried, the lowest first, each with its tries."""
        ordered = sorted(self.tried(server), key=lambda step: step.rate)
        return [(rate, list(steps)) for rate, steps in groupby(ordered, lambda step: step.rate)]

    def borne(self, server: Server) -> int | None:
        """The highest rate that it kept up with."""
        kept = [rate for rate, steps in self.rates(server) if any(step.kept_up for step in steps)]
        return max(kept, default=None)

    def too_much(self, server: Server) -> int | None:
        """The lowest rate beyond which it did not keep up in any try."""
        failed = [
            rate
            for rate, steps in self.rates(server)
            if len(steps) >= TRIES and not any(step.kept_up for step in steps)
        ]
        return min((rate for rate in failed if rate > (self.borne(server) or 0)), default=None)

    def next_rate(self, server: Server) -> int | None:
        """None when its knee has been found."""
        tried, good, bad = self.tried(server), self.borne(server), self.too_much(server)
        if not tried:
            return min(FIRST, MOST)
        last = tried[-1]
        if not last.kept_up and last.rate > (good or 0) and last.rate != bad:
            return last.rate  # once more
        if good is None or good >= MOST:
            return None
        if bad is None:
            return min(2 * good, MOST)
        return round(sqrt(good * bad)) if bad / good > CLOSE else None

    def plan(self) -> Iterator[tuple[int, Load]]:
        while waiting := [server for server in self.servers if self.next_rate(server)]:
            for server in waiting:
                self.steps.append(Load(server, self.next_rate(server)))
                yield 0, self.steps[-1]

    def progress(self, over: int, now: Load, elapsed: float) -> tuple[float, str]:
        """Nobody knows beforehand how many steps it takes: the bar nears its end and does not reach it."""
        return 1 - 0.93**over, f"{now.server.name}, {now.rate:,} requests a second"

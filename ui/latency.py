"""How long two servers take, measured so that they can be compared, and what the figures allow one to say."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from ui import answers
from ui.client import JSON, PREDICT, Failure, predict_body, send
from ui.servers import Server

WARM_UP = 5  # requests to each server that are not counted
SECONDS = 60  # after which the measurement ends with what it has
NOTICEABLE = 100  # ms; below it an answer feels immediate (Nielsen, Usability Engineering, 1993)


@dataclass
class Timing:
    """The answers of one server, in milliseconds, in the order in which they came."""

    server: Server
    milliseconds: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """The time within which this share of the answers came (nearest rank)."""
        ordered = sorted(self.milliseconds)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    @property
    def per_second(self) -> float:
        """How many requests a second it answered, one at a time."""
        return 1000 * len(self.milliseconds) / sum(self.milliseconds)

    @property
    def median_interval(self) -> tuple[float, float]:
        """Where the true median lies, 19 times out of 20 (order statistics, normal approximation)."""
        ordered, n = sorted(self.milliseconds), len(self.milliseconds)
        half = 1.96 * math.sqrt(n) / 2
        return ordered[max(0, math.floor(n / 2 - half))], ordered[min(n - 1, math.ceil(n / 2 + half))]


def measure(
    pair: tuple[Server, Server], features: list[float], n: int
) -> Iterator[tuple[Timing, Timing] | Failure]:
    """Send the same input n times to each, and yield both timings after every round.

    The servers take turns, and in every second round the other one begins, so that a machine that grows
    warm or busy does so for both. The first failure ends it, and is the last thing yielded.
    """
    content, timings = predict_body(features), tuple(Timing(server) for server in pair)
    ends = time.monotonic() + SECONDS
    for turn in range(-WARM_UP, n):
        for timing in timings if turn % 2 else timings[::-1]:
            answer = send(timing.server, "POST", PREDICT, content, JSON)
            if isinstance(answer, Failure):
                yield answer
                return
            if answer.status in (401, 403, 429):
                yield answers.refused(answer, "a prediction")
                return
            if answer.status != 200:
                said = f": {answer.detail}" if answer.detail else "."
                yield Failure(
                    timing.server,
                    f"{timing.server.name} answered with status {answer.status}{said}",
                    "Send this input once, and put right what its answer names; then measure.",
                    exchange=answer,
                )
                return
            if turn >= 0:
                timing.milliseconds.append(answer.milliseconds)
        if turn >= 0:
            yield timings
            if time.monotonic() > ends:
                return


def reading(one: Timing, other: Timing) -> list[str]:
    """The comparison in plain sentences, none of which says more than the figures do."""
    fast, slow = sorted((one, other), key=lambda timing: timing.percentile(0.5))
    quick, late = fast.percentile(0.5), slow.percentile(0.5)
    halves = f"Half of {fast.server.name}'s answers came within {quick:.1f} ms, "
    halves += f"half of {slow.server.name}'s within {late:.1f} ms"
    if fast.median_interval[1] >= slow.median_interval[0]:
        said = [
            f"No difference that {len(one.milliseconds)} requests to each can show.",
            f"{halves}: they differ by less than this run's noise.",
        ]
    elif late - quick < NOTICEABLE:
        said = [
            f"{fast.server.name} was quicker, but there is no difference you could feel.",
            f"{halves}. That is more than this run's noise; it matters to a busy server, not to one person.",
        ]
    else:
        said = [f"{fast.server.name} was quicker, and a person would notice.", f"{halves}."]
    for timing in (one, other):
        tail = timing.percentile(0.99)
        if len(timing.milliseconds) >= 100 and tail > 5 * timing.percentile(0.5):
            said.append(
                f"One answer in a hundred from {timing.server.name} took {tail:.1f} ms or more, "
                f"{tail / timing.percentile(0.5):.0f} times its median."
            )
    said.append(
        "This was one client on one machine, one request at a time: how the two do with many clients at once "
        "is another question, and another measurement."
    )
    return said

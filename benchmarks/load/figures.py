"""What a load test counts, and what becomes of it: percentiles and a histogram."""

import math
import time
from array import array
from collections import Counter
from collections.abc import Sequence

STEPS = 10  # buckets of the histogram for each power of ten: each is a quarter wider than the one before


class Tally:
    """Counts of one run; latencies are kept one by one, so that percentiles are exact (8 bytes each)."""

    def __init__(self) -> None:
        self.sent = 0
        self.late = 0  # requests that found every connection busy when they were due
        self.statuses: Counter[int] = Counter()
        self.errors: Counter[str] = Counter()
        self.latencies = array("d")  # seconds from due to the end of the answer
        self.lags = array("d")  # seconds from due to sent, where a connection was free
        self.last_answer = 0.0  # seconds from the start
        self.interval_started, self.interval_first = time.perf_counter(), 0

    def answer(self, status: int, latency: float, at: float) -> None:
        self.statuses[status] += 1
        self.latencies.append(latency)
        self.last_answer = at

    def progress(self, elapsed: float) -> dict:
        """The counts so far, and rate and latencies since the last time that this was asked."""
        now, recent = time.perf_counter(), self.latencies[self.interval_first :]
        seconds = now - self.interval_started
        self.interval_started, self.interval_first = now, len(self.latencies)
        return {
            "elapsed": round(elapsed, 2),
            "sent": self.sent,
            "answered": len(self.latencies),
            "failed": self.errors.total(),
            "late": self.late,
            "rate": round(len(recent) / seconds, 1),
        } | percentiles(recent, p50=0.5, p95=0.95, p99=0.99)

    def result(self, seconds: float) -> dict:
        """All of it. Answers that came after the last request was due lengthen the time that they are
        counted over."""
        answered = len(self.latencies)
        figures = percentiles(self.latencies, p50=0.5, p90=0.9, p95=0.95, p99=0.99, p999=0.999, max=1)
        return {
            "answered_rate": round(answered / max(seconds, self.last_answer), 1),
            "sent": self.sent,
            "answered": answered,
            "failed": self.errors.total(),
            "late": self.late,
            "statuses": {str(status): number for status, number in sorted(self.statuses.items())},
            "errors": dict(self.errors),
            **figures,
            "histogram": histogram(self.latencies),
            "generator_lag_p99": percentiles(self.lags, p99=0.99)["p99"],
        }


def percentiles(seconds: Sequence[float], **shares: float) -> dict[str, float | None]:
    """For each share, the milliseconds within which that share of all was done (nearest rank)."""
    if not seconds:
        return dict.fromkeys(shares)
    ordered = sorted(seconds)
    count = len(ordered)
    return {name: milliseconds(ordered[math.ceil(share * count) - 1]) for name, share in shares.items()}


def histogram(seconds: Sequence[float]) -> list[list[float]]:
    """[[upper bound in ms, count], …] from the first bucket that holds something to the last."""
    if not seconds:
        return []
    buckets = Counter(math.ceil(STEPS * math.log10(max(value, 1e-6) * 1000)) for value in seconds)
    first, last = min(buckets), max(buckets)
    return [[float(f"{10 ** (step / STEPS):.3g}"), buckets[step]] for step in range(first, last + 1)]


def milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)

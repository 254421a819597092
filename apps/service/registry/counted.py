"""What following a registry counts, for Prometheus; there only with MODEL_URI set.

What each request adds to is tallied, as in apps/service/metrics.py."""

import threading

from prometheus_client import CollectorRegistry, Counter

from apps.service.metrics import PREDICTION_SECONDS, Histogram, Tally

ACTIVE, CHALLENGER = "active", "challenger"
AGREE, DIFFER, FAILED, DROPPED = "agree", "differ", "failed", "dropped"


class RegistryMetrics:
    """One method for each thing that happens."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._swaps = Counter(
            "model_swaps",
            "Models that were put in place of another (swapped), or could not be loaded (refused)",
            ["result"],
            registry=registry,
        )
        self._requests = Counter(
            "rollout_requests",
            "Requests for predictions by who was to answer, active or challenger, and the result, answered "
            "or failed",
            ["role", "result"],
            registry=registry,
        )
        self._seconds = Histogram(
            "rollout_prediction_seconds",
            "Time in the model, waiting for it included, by who answered",
            ["role"],
            buckets=PREDICTION_SECONDS,
            registry=registry,
        )
        self._comparisons = Counter(
            "shadow_comparisons",
            "Rows that the challenger predicted afterwards: agree, differ, failed, or dropped where too many "
            "waited",
            ["result"],
            registry=registry,
        )
        self._lock = threading.Lock()
        self._tallies = {role: Tally(PREDICTION_SECONDS) for role in (ACTIVE, CHALLENGER)}

    def swapped(self) -> None:
        self._swaps.labels("swapped").inc()

    def refused(self) -> None:
        self._swaps.labels("refused").inc()

    def answered(self, role: str, seconds: float) -> None:
        with self._lock:
            self._tallies[role].add(seconds)

    def failed(self, role: str) -> None:
        self._requests.labels(role, "failed").inc()

    def compared(self, result: str, rows: int) -> None:
        self._comparisons.labels(result).inc(rows)

    def flush(self) -> None:
        """Hand on what has been tallied."""
        with self._lock:
            tallies = self._tallies
            self._tallies = {role: Tally(PREDICTION_SECONDS) for role in tallies}
        for role, tally in tallies.items():
            if answered := sum(tally.counts):
                self._requests.labels(role, "answered").inc(answered)
                self._seconds.labels(role).add(tally.counts, tally.total)

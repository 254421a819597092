"""What a worker counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class WorkerMetrics:
    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._chunks = Counter(
            "job_chunks",
            "Chunks that this worker claimed, by what became of them: done, failed, or lost to another "
            "worker or a cancel",
            ["state"],
            registry=registry,
        )
        self._dropped = Counter(
            "job_messages_dropped",
            "Messages about a chunk that was done, taken or cancelled by then: they are sent again for "
            "chunks that wait for long, and come again where a worker or the broker dies",
            registry=registry,
        )
        self._rows = Counter("job_rows", "Rows of chunks that are done", registry=registry)
        self._seconds = Histogram(
            "job_chunk_duration_seconds",
            "From a chunk's claim to its result",
            buckets=SECONDS,
            registry=registry,
        )
        Gauge("app_info", "Which program this is", ["app"], registry=registry).labels("worker").set(1)

    def dropped(self) -> None:
        self._dropped.inc()

    def chunk(self, state: str, rows: int = 0, seconds: float | None = None) -> None:
        self._chunks.labels(state).inc()
        if state == "done":
            self._rows.inc(rows)
        if seconds is not None:
            self._seconds.observe(seconds)

"""What a server counts, for Prometheus. https://prometheus.io/docs/practices/naming/

Labels take values from fixed lists only (route templates, classes of the card, slugs of problems), so that no
client can make the number of series grow. With PROMETHEUS_MULTIPROC_DIR set, the values of several worker
processes are added up. https://prometheus.github.io/client_python/multiprocess/

A request adds to plain numbers, in 1.5 µs; they go on to prometheus-client when somebody looks, or with
several workers every second. Counting with it directly takes 4.5 µs, and 15 with several workers."""

import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from socket import socket

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics

from apps.service.exporter import Exporter
from apps.service.hosts import Hosts

disable_created_metrics()  # a series more for each, which nothing here reads

# Most requests take 0.1 to 1 ms; a stream or a WebSocket lasts as long as it likes.
QUICK = (0.0001, 0.00025, 0.0005, 0.00075)
SECONDS = (*QUICK, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
PREDICTION_SECONDS = (
    0.00001,
    0.000025,
    0.00005,
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.005,
    0.025,
    0.1,
    0.5,
    2.5,
    5,
)
ROWS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)


class Histogram(prometheus_client.Histogram):
    """One that takes many observations at a time."""

    def add(self, counts: list[int], total: float) -> None:
        """`counts`: how many fell into each bucket, the last one without an end; `total`: their sum."""
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)
        self._sum.inc(total)


class Tally:
    """The observations of a histogram since it was last told of them."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds, self.counts, self.total = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class Metrics:
    """One method for each thing that happens."""

    def __init__(self, app: str) -> None:
        self.in_flight: Callable[[], int] = int  # of the service's requests
        self.on_flush: list[Callable[[], None]] = []  # of others that tally
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "http_requests",
            "Requests answered; unknown paths and methods are other",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "From a request's head to its answer",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "http_requests_in_flight",
            "Requests being answered now",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._shed = Counter(
            "requests_shed", "Requests refused because too many were in flight", registry=registry
        )
        self._invalid = Counter(
            "validation_failures", "Requests that were the client's mistake", ["reason"], registry=registry
        )
        self._predictions = Counter(
            "predictions", "Rows predicted, by answer", ["model", "version", "label"], registry=registry
        )
        self._rows = Histogram("prediction_batch_rows", "Rows in a request", buckets=ROWS, registry=registry)
        self._prediction_seconds = Histogram(
            "prediction_duration_seconds",
            "Time in the model, waiting for it included",
            buckets=PREDICTION_SECONDS,
            registry=registry,
        )
        self._loaded = Gauge(
            "model_loaded",
            "1 where the model is loaded",
            ["name", "version", "format"],
            registry=registry,
            multiprocess_mode="livemin",
        )
        newest = {"registry": registry, "multiprocess_mode": "livemostrecent"}
        self._loaded_at = Gauge(
            "model_load_timestamp_seconds", "When it was loaded; time() minus this is its age", **newest
        )
        self._trained_at = Gauge("model_trained_timestamp_seconds", "When it was trained", **newest)
        self._failures = Counter(
            "model_load_failures", "Times that no model could be loaded", ["reason"], registry=registry
        )
        self._limited = Counter(
            "requests_limited",
            "Requests refused with 429, by class of routes; the reason is rate, parallel, quota, "
            "tokens or logins",
            ["class", "reason"],
            registry=registry,
        )
        self._jobs_accepted = Counter("jobs_accepted", "Jobs accepted at /jobs", registry=registry)
        self._moderated = Counter(
            "moderation_decisions",
            "What the rules for generated text have refused, replaced or taken out, of prompts (input) and "
            "of answers (output)",
            ["direction", "rule"],
            registry=registry,
        )
        self._counts_shared = Gauge(
            "limits_shared",
            "1 where limits are counted in Redis, 0 where each process counts for itself",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._cache_requests = Counter(
            "cache_requests",
            "Requests that asked the cache; the result is hit, miss, collapsed (with another that was being "
            "computed) or bypass (Redis away)",
            ["result"],
            registry=registry,
        )
        self._cache_shared = Gauge(
            "cache_shared",
            "1 where results are kept in Redis, 0 where each process keeps its own or Redis is away",
            registry=registry,
            multiprocess_mode="livemin",
        )
        Gauge(
            "app_info", "Which server this is", ["app"], registry=registry, multiprocess_mode="livemax"
        ).labels(app).set(1)
        self._lock = threading.Lock()
        self._start_tallies()

    def _start_tallies(self) -> None:
        self._answers: defaultdict[tuple, int] = defaultdict(int)
        self._times: defaultdict[str, Tally] = defaultdict(lambda: Tally(SECONDS))
        self._labels: defaultdict[tuple, int] = defaultdict(int)
        self._sizes, self._durations = Tally(ROWS), Tally(PREDICTION_SECONDS)
        self._recalls: defaultdict[str, int] = defaultdict(int)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        with self._lock:
            self._answers[method, route, status] += 1
            self._times[route].add(seconds)

    def shed(self) -> None:
        self._shed.inc()

    def invalid(self, reason: str) -> None:
        """A request was the client's mistake."""
        self._invalid.labels(reason).inc()

    def limited(self, class_: str, reason: str) -> None:
        """A caller has used up what it may."""
        self._limited.labels(class_, reason).inc()

    def counts_shared(self, shared: bool) -> None:
        self._counts_shared.set(int(shared))

    def cached(self, result: str) -> None:
        """The cache was asked."""
        with self._lock:
            self._recalls[result] += 1

    def cache_shared(self, shared: bool) -> None:
        self._cache_shared.set(int(shared))

    def moderated(self, direction: str, rule: str) -> None:
        """A rule has found something; its name is the code's, never a client's."""
        self._moderated.labels(direction, rule).inc()

    def job_accepted(self) -> None:
        self._jobs_accepted.inc()

    def predicted(self, model: str, version: str, labels: list[str], seconds: float) -> None:
        """Rows were predicted: one label for each, "" where the answer is a number."""
        with self._lock:
            for label in labels:
                self._labels[model, version, label] += 1
            self._sizes.add(len(labels))
            self._durations.add(seconds)

    def model_loaded(self, name: str, version: str, format: str, trained_at: str) -> None:
        """`trained_at` in ISO 8601."""
        self._loaded.labels(name, version, format).set(1)
        self._loaded_at.set(time.time())
        self._trained_at.set(datetime.fromisoformat(trained_at).timestamp())

    def model_left(self, name: str, version: str, format: str) -> None:
        """Another has taken its place."""
        self._loaded.labels(name, version, format).set(0)

    def model_failed(self, reason: str) -> None:
        self._failures.labels(reason).inc()

    def flush(self) -> None:
        """Hand on what has been tallied."""
        with self._lock:
            answers, times, labels = self._answers, self._times, self._labels
            sizes, durations, recalls = self._sizes, self._durations, self._recalls
            self._start_tallies()
        for (method, route, status), count in answers.items():
            self._requests.labels(method, route, str(status)).inc(count)
        for route, tally in times.items():
            self._seconds.labels(route).add(tally.counts, tally.total)
        for key, count in labels.items():
            self._predictions.labels(*key).inc(count)
        for result, count in recalls.items():
            self._cache_requests.labels(result).inc(count)
        self._rows.add(sizes.counts, sizes.total)
        self._prediction_seconds.add(durations.counts, durations.total)
        self._in_flight.set(self.in_flight())
        for call in self.on_flush:
            call()

    def serve(
        self, host: str, port: int, listener: socket | None = None, hosts: Hosts | None = None
    ) -> Callable[[], None]:
        """Show everything at http://host:port/metrics, and return what stops it. `listener` listens there
        already; `hosts` are the names by which it may be asked. Raises OSError where the port is not to be
        had."""
        exporter = Exporter(self.registry, self.flush, hosts)
        exporter.start(host, port, listener)
        return exporter.stop

"""What a server counts, for Prometheus. https://prometheus.io/docs/practices/naming/

Labels take values from fixed lists only (route templates, classes of the card, slugs of problems), so that no
client can make the number of series grow. With PROMETHEUS_MULTIPROC_DIR set, the values of several worker
processes are added up. https://prometheus.github.io/client_python/multiprocess/"""

import os
import time
from collections.abc import Callable
from datetime import datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.multiprocess import MultiProcessCollector

disable_created_metrics()  # a series more for each, which nothing here reads

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
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


class Metrics:
    """One method for each thing that happens. Children are looked up once and kept: `.labels()` on every
    request would cost more than the counting."""

    def __init__(self, app: str) -> None:
        self._several = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "http_requests", "Requests answered", ["method", "route", "status"], registry=registry
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
            "validation_failures", "Requests refused, by reason", ["reason"], registry=registry
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
        self._loaded_at = Gauge("model_load_timestamp_seconds", "When the model was loaded", **newest)
        self._trained_at = Gauge("model_trained_timestamp_seconds", "When the model was trained", **newest)
        self._failures = Counter(
            "model_load_failures", "Times that no model could be loaded", ["reason"], registry=registry
        )
        Gauge(
            "app_info", "Which server this is", ["app"], registry=registry, multiprocess_mode="livemax"
        ).labels(app).set(1)
        self._children: dict[tuple, object] = {}

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._child(self._requests, method, route, str(status)).inc()
        self._child(self._seconds, route).observe(seconds)

    def enter(self) -> None:
        self._in_flight.inc()

    def leave(self) -> None:
        self._in_flight.dec()

    def shed(self) -> None:
        self._shed.inc()

    def invalid(self, reason: str) -> None:
        """A request was the client's mistake."""
        self._child(self._invalid, reason).inc()

    def predicted(self, model: str, version: str, labels: list[str], seconds: float) -> None:
        """Rows were predicted: one label for each, "" where the answer is a number."""
        if len(labels) == 1:
            self._child(self._predictions, model, version, labels[0]).inc()
        else:
            for label in set(labels):
                self._child(self._predictions, model, version, label).inc(labels.count(label))
        self._rows.observe(len(labels))
        self._prediction_seconds.observe(seconds)

    def model_loaded(self, name: str, version: str, format: str, trained_at: str) -> None:
        """`trained_at` in ISO 8601."""
        self._loaded.labels(name, version, format).set(1)
        self._loaded_at.set(time.time())
        self._trained_at.set(datetime.fromisoformat(trained_at).timestamp())

    def model_failed(self, reason: str) -> None:
        self._failures.labels(reason).inc()

    def serve(self, host: str, port: int) -> Callable[[], None]:
        """Show everything at http://host:port/metrics, and return what stops it. Raises OSError where the
        port is not to be had."""
        registry = self.registry
        if self._several:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        server, thread = start_http_server(port, host, registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return stop

    def _child(self, metric, *labels: str):
        key = (metric, *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(*labels)
        return child

"""What the log of predictions counts, for Prometheus; there only with PREDICTION_LOG=on."""

from math import nan

from prometheus_client import CollectorRegistry, Counter, Gauge

WRITTEN, DROPPED = "written", "dropped"


class FeedbackMetrics:
    """Gauges of a model that does not predict any more, or of too few rows, are NaN: with several workers a
    series cannot be taken away."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rows = Counter(
            "prediction_log_rows",
            "Rows predicted that were written to the log, or dropped because too many waited for it",
            ["result"],
            registry=registry,
        )
        for result in (WRITTEN, DROPPED):
            self._rows.labels(result)
        newest = {"registry": registry, "multiprocess_mode": "livemostrecent"}
        self._psi = Gauge(
            "model_feature_psi",
            "Population stability index of a feature over the last hour, against the training data; NaN for "
            "fewer than 200 rows",
            ["model", "version", "feature"],
            **newest,
        )
        of = ["model", "version"]
        self._accuracy = Gauge(
            "model_live_accuracy",
            "Of the predictions of the last 24 hours whose truth is known, the share that was right",
            of,
            **newest,
        )
        self._known = Gauge(
            "model_live_truths", "How many predictions of the last 24 hours have a known truth", of, **newest
        )
        self._test = Gauge(
            "model_test_accuracy", "The accuracy on the test rows that the card tells of", of, **newest
        )
        self._set: dict[tuple, Gauge] = {}

    def rows(self, result: str, count: int) -> None:
        self._rows.labels(result).inc(count)

    def measured(self, found: list[tuple[str, tuple[str, ...], float]]) -> None:
        """The gauges of now: psi, accuracy, known or test, its labels, its value. All others are NaN."""
        gauges = {"psi": self._psi, "accuracy": self._accuracy, "known": self._known, "test": self._test}
        now = {(name, labels): value for name, labels, value in found}
        for name, labels in self._set.keys() - now.keys():
            gauges[name].labels(*labels).set(nan)
        for (name, labels), value in now.items():
            gauges[name].labels(*labels).set(value)
            self._set[name, labels] = gauges[name]

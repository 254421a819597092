"""The histogram of durations tells apart what the servers really take: most requests 0.1 to 1 ms."""

import pytest

from apps.service.metrics import SECONDS, Metrics


def counted(metrics: Metrics) -> list[float]:
    """How many requests took at most as long as each bound, as Prometheus sees it."""
    metrics.flush()
    return [
        metrics.registry.get_sample_value(
            "http_request_duration_seconds_bucket", {"route": "/predict", "le": str(bound)}
        )
        for bound in (0.0001, 0.00025, 0.0005, 0.00075, 0.001)
    ]


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0.09, [1, 1, 1, 1, 1]),
        (0.2, [0, 1, 1, 1, 1]),
        (0.4, [0, 0, 1, 1, 1]),
        (0.6, [0, 0, 0, 1, 1]),
        (0.9, [0, 0, 0, 0, 1]),
        (1.1, [0, 0, 0, 0, 0]),
    ],
)
def test_requests_of_less_than_a_millisecond_are_told_apart(milliseconds, expected):
    metrics = Metrics("x")
    metrics.request("POST", "/predict", 200, milliseconds / 1000)
    assert counted(metrics) == expected


def test_the_bounds_rise():
    assert list(SECONDS) == sorted(set(SECONDS))

"""What two looks at a server's counters say, against figures counted by hand."""

import pytest

from ui.metrics import milliseconds, read_sample, spans

TEXT = """# TYPE http_requests_total counter
http_requests_total{{method="POST",route="/predict",status="200"}} {ok}
http_requests_total{{method="POST",route="/predict",status="400"}} {refused}
http_requests_total{{method="POST",route="/predict",status="503"}} {failed}
http_requests_total{{method="GET",route="/health",status="200"}} {checks}
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{{route="/predict",le="0.01"}} {quick}
http_request_duration_seconds_bucket{{route="/predict",le="0.1"}} {all}
http_request_duration_seconds_bucket{{route="/predict",le="+Inf"}} {all}
http_request_duration_seconds_bucket{{route="/health",le="+Inf"}} {checks}
"""


def sample(at: float, ok=0, refused=0, failed=0, quick=0, checks=0):
    counts = {"ok": ok, "refused": refused, "failed": failed, "quick": quick, "checks": checks}
    return read_sample(TEXT.format(**counts, all=ok + refused + failed), at)


def test_rate_ratios_and_percentiles_of_the_time_between():
    before = sample(10, ok=100, failed=100, quick=200, checks=5)
    after = sample(12, ok=116, refused=3, failed=101, quick=210, checks=999)
    (span,) = spans([before, after])
    assert (span.at, span.rate) == (12, 10)
    assert (span.failed, span.refused) == (0.05, 0.15)
    assert span.p50 == pytest.approx(10)
    assert span.p95 == pytest.approx(10 + 90 * 0.9)


def test_where_nothing_was_asked_nothing_is_known():
    (span,) = spans([sample(1, ok=5), sample(3, ok=5)])
    assert (span.rate, span.failed, span.p50) == (0, None, None)


def test_a_server_that_was_restarted_begins_anew():
    found = spans([sample(1, ok=50), sample(3, ok=2), sample(5, ok=4)])
    assert [(span.at, span.rate) for span in found] == [(5, 1)]


def test_beyond_the_last_bound_only_that_is_known():
    assert milliseconds(0.95, [(0.01, 1), (float("inf"), 10)]) == 10
    assert milliseconds(0.5, []) is None

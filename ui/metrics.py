"""What a server counts, in Prometheus' text format, and what two looks at it say of the time between."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

HEALTH = ("/health", "/v2/health")  # probes, this page's among them: not what people ask a server for
NO_TEXT = "not in Prometheus' text format"
REQUESTS, DURATIONS = "http_requests_total", "http_request_duration_seconds_bucket"
ANSWERS, SHADOW = "predictions_total", "shadow_comparisons_total"
ROLE_REQUESTS, ROLE_DURATIONS = "rollout_requests_total", "rollout_prediction_seconds_bucket"
ROLES = ("active", "challenger")


@dataclass(frozen=True)
class Sample:
    """What a server had counted since its start, at one moment, without health checks.

    `at`: seconds, of the page's own clock. `failed`: statuses from 500, `refused`: from 400. `buckets`: how
    many answers took up to so many seconds, by that bound.
    """

    at: float
    requests: float
    failed: float
    refused: float
    buckets: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Rollout:
    """What a server that follows a registry had counted at one moment. `roles`: the predictions of the active
    model and of the challenger, with their time in the model. `answers`: rows by the model's version and
    the answer. `compared`: rows of the challenger in the shadow, by what came of them."""

    at: float
    roles: Mapping[str, Sample]
    answers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    compared: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Span:
    """What a server did between two samples. `at` is its end. `failed` and `refused` are shares; they, and
    the milliseconds, are None where nothing was asked."""

    at: float
    rate: float  # requests a second
    failed: float | None = None
    refused: float | None = None
    p50: float | None = None  # milliseconds
    p95: float | None = None


def families(text: str) -> list[Metric]:
    """What a full server counts, as /metrics has it; ValueError for any other text."""
    try:
        found = list(text_string_to_metric_families(text))
    except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:  # what the parser raises
        raise ValueError(NO_TEXT) from error
    if not any(family.name == "http_requests" for family in found):
        raise ValueError(f"without {REQUESTS}")
    return found


def read_sample(text: str, at: float) -> Sample:
    """The sample in the text of /metrics; ValueError where there is none of this kind."""
    requests, buckets = Counter(), Counter()
    try:
        for sample in [sample for family in families(text) for sample in family.samples]:
            if sample.labels.get("route", "").startswith(HEALTH) or not math.isfinite(sample.value):
                continue
            if sample.name == REQUESTS:
                requests[sample.labels["status"][:1]] += sample.value
            elif sample.name == DURATIONS:
                buckets[float(sample.labels["le"])] += sample.value
    except KeyError as error:
        raise ValueError(NO_TEXT) from error
    return Sample(at, requests.total(), requests["5"], requests["4"], tuple(sorted(buckets.items())))


def read_rollout(text: str, at: float) -> Rollout | None:
    """The same by role; None where the server follows no registry."""
    buckets: dict[str, Counter] = defaultdict(Counter)
    requests: dict[str, Counter] = defaultdict(Counter)
    answers: dict[str, Counter] = defaultdict(Counter)
    compared, found = Counter(), families(text)
    if not any(family.name == "rollout_requests" for family in found):
        return None
    try:
        for sample in [sample for family in found for sample in family.samples]:
            labels, value = sample.labels, sample.value
            if sample.name == ROLE_REQUESTS:
                requests[labels["role"]][labels["result"]] += value
            elif sample.name == ROLE_DURATIONS:
                buckets[labels["role"]][float(labels["le"])] += value
            elif sample.name == ANSWERS:
                answers[labels["version"]][labels["label"]] += value
            elif sample.name == SHADOW:
                compared[labels["result"]] += value
    except KeyError as error:
        raise ValueError(NO_TEXT) from error
    roles = {
        role: Sample(
            at, requests[role].total(), requests[role]["failed"], 0.0, tuple(sorted(buckets[role].items()))
        )
        for role in ROLES
    }
    return Rollout(at, roles, answers, compared)


def between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was counted between two looks, by label."""
    return {
        label: count - before.get(label, 0) for label, count in after.items() if count > before.get(label, 0)
    }


def spans(samples: Iterable[Sample]) -> list[Span]:
    """What happened between each two samples; a server that was restarted in between begins anew."""
    return [span(before, after) for before, after in pairwise(samples) if after.requests >= before.requests]


def span(before: Sample, after: Sample) -> Span:
    n = after.requests - before.requests
    rate = n / max(after.at - before.at, 1e-9)
    if not n:
        return Span(after.at, rate)
    earlier = dict(before.buckets)
    buckets = [(bound, count - earlier.get(bound, 0)) for bound, count in after.buckets]
    return Span(
        after.at,
        rate,
        failed=max(0, after.failed - before.failed) / n,
        refused=max(0, after.refused - before.refused) / n,
        p50=milliseconds(0.5, buckets),
        p95=milliseconds(0.95, buckets),
    )


def milliseconds(share: float, buckets: list[tuple[float, float]]) -> float | None:
    """The time within which this share of the answers came, as Prometheus' histogram_quantile has it.

    Within a bucket, answers are taken to be spread evenly; beyond the last bound, only that bound is known.
    """
    if not buckets or buckets[-1][1] <= 0:
        return None
    rank, low, below = share * buckets[-1][1], 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            if math.isinf(bound) or count == below:
                return low * 1000
            return (low + (bound - low) * (rank - below) / (count - below)) * 1000
        low, below = bound, count
    return low * 1000

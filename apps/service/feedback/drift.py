"""Drift: how far what comes is from what the model was trained on.

PSI, the population stability index, is the sum over bins of (a - e) ln(a / e), where e is a bin's share of
the training data and a its share of what came. Below 0.1 is no drift to speak of, above 0.25 a large one: N.
Siddiqi, Credit Risk Scorecards (2006); how it is distributed by chance: B. Yurdakul, Statistical Properties
of Population Stability Index (2018), https://scholarworks.wmich.edu/dissertations/3208."""

from math import log
from typing import Literal

import numpy as np
from pydantic import BaseModel

from apps.service.bodies import Answer
from apps.service.feedback.bins import Bin, Bins, CategoryBins, FeatureBins, NumberBins

MODERATE, LARGE = 0.1, 0.25
LEAST_ROWS = 200  # with fewer, PSI over ten bins exceeds MODERATE by chance, once in twenty times and more
HALF_A_ROW = 0.5  # is what an empty bin is taken to have: the logarithm of 0 is no number

Verdict = Literal["none", "moderate", "large", "too few rows", "unknown"]


class DriftBin(BaseModel):
    """From `low` to `high`, or of a `category`. A bin without `low` is of what is less than everything in the
    training data, one without `high` of what is more, one without any of them of other categories.
    `expected`: its share of the training data, `found`: of the rows that came, none of them missing."""

    low: float | None = None
    high: float | None = None
    category: str | None = None
    expected: float
    found: float


class FeatureDrift(BaseModel):
    """`missing` and `outside` are shares of the rows that came: without this feature, and beyond all of the
    training data. `psi` and a verdict of it are there for 200 rows and more, where the card tells of the
    training data. `p_value`: of the hypothesis that what came is distributed as the training data were, by a
    Kolmogorov-Smirnov test for numbers, whose `statistic` is the greatest distance between both distributions
    at the card's quantiles, and by a chi-squared test for categories. With many rows it is small for the
    least of differences."""

    name: str
    kind: Literal["number", "category"]
    unit: str | None = None
    rows: int
    missing: float
    outside: float
    psi: float | None = None
    verdict: Verdict
    test: Literal["kolmogorov-smirnov", "chi-squared"] | None = None
    statistic: float | None = None
    p_value: float | None = None
    bins: list[DriftBin]


class DriftWindow(BaseModel):
    """A part of the time: `psi` of each feature, in the card's order, null for fewer than 200 rows."""

    start: float
    seconds: float
    rows: int
    psi: list[float | None]


class DriftReport(Answer):
    """Of one version, over the last `hours`. Times are in seconds since 1970; `windows` are the same hours in
    equal parts, the oldest first."""

    name: str
    version: str
    hours: int
    since: float
    rows: int
    moderate: float = MODERATE
    large: float = LARGE
    features: list[FeatureDrift]
    windows: list[DriftWindow]


def psi_of(bins: list[Bin]) -> float:
    """Of one feature, over at least one row. What is outside counts to the nearest bin that is not."""
    expected, found = [one.expected for one in bins], [one.found for one in bins]
    if bins[0].category is None:  # below and above
        expected, found = expected[1:-1], [found[0] + found[1], *found[2:-2], found[-2] + found[-1]]
        if len(expected) == 1:  # a single value in all of the training data: anything else is outside
            expected, found = [1.0, 0.0], [bins[1].found, bins[0].found + bins[2].found]
    rows = sum(found)
    total = 0.0
    for share, count in zip(expected, found, strict=True):
        actual, share = max(count, HALF_A_ROW) / rows, max(share, HALF_A_ROW / rows)
        total += (actual - share) * log(actual / share)
    return total


def psis(bins: Bins, counts: np.ndarray) -> list[float | None]:
    """Of each feature, None where there are too few rows or nothing is known of the training data."""
    found = []
    for number, one in enumerate(bins.features):
        own = bins.of_feature(counts, number)
        enough = one.known and own[:-1].sum() >= LEAST_ROWS
        found.append(psi_of(one.bins(own)) if enough else None)
    return found


def feature_drift(one: FeatureBins, counts: np.ndarray) -> FeatureDrift:
    """Of one feature, over its own counts. Imports scipy, which takes a second the first time: not for an
    event loop."""
    rows, missing, feature = int(counts.sum()), int(counts[-1]), one.feature
    there = rows - missing
    bins = one.bins(counts)
    found = FeatureDrift(
        name=feature.name,
        kind=feature.kind,
        unit=feature.unit,
        rows=rows,
        missing=missing / rows if rows else 0.0,
        outside=sum(bin.found for bin in bins if not bin.expected and is_outside(bin)) / (rows or 1),
        verdict="unknown" if not one.known else "too few rows",
        bins=[
            DriftBin(
                low=bin.low,
                high=bin.high,
                category=bin.category,
                expected=bin.expected,
                found=bin.found / (there or 1),
            )
            for bin in bins
        ],
    )
    if there < LEAST_ROWS or not one.known:
        return found
    found.psi = psi_of(bins)
    found.verdict = "large" if found.psi > LARGE else "moderate" if found.psi > MODERATE else "none"
    if isinstance(one, NumberBins):
        found.test, (found.statistic, found.p_value) = "kolmogorov-smirnov", kolmogorov_smirnov(one, counts)
    elif isinstance(one, CategoryBins) and len(bins) > 2:
        found.test, (found.statistic, found.p_value) = "chi-squared", chi_squared(bins)
    return found


def is_outside(bin: Bin) -> bool:
    return bin.category is None and (bin.low is None or bin.high is None)


def kolmogorov_smirnov(one: NumberBins, counts: np.ndarray) -> tuple[float, float]:
    """The statistic at the quantiles, which is at most that over all values, and its p-value, which then is
    at least that of all values; as if the card's quantiles were those of everything that the model was meant
    for, and not of a sample."""
    from scipy import stats

    statistic = float(abs(one.distances(counts)).max())
    return statistic, float(stats.kstwo.sf(statistic, int(counts[:-1].sum())))


def chi_squared(bins: list[Bin]) -> tuple[float, float]:
    """Of categories, as if the card's shares were those of everything that the model was meant for. A
    category that no row of the training data had counts as if half a row had had it."""
    from scipy import stats

    found = np.array([one.found for one in bins])
    expected = np.array([one.expected for one in bins]) * found.sum()
    kept = (expected > 0) | (found > 0)
    expected = np.maximum(expected[kept], HALF_A_ROW)
    told = stats.chisquare(found[kept], expected * found.sum() / expected.sum())
    return float(told.statistic), float(told.pvalue)

"""Drift: what is counted in bins, against scipy, and as people expect of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from apps.service.feedback.bins import Bins, packed, unpacked
from apps.service.feedback.drift import LARGE, MODERATE, feature_drift, psis
from apps.service.feedback.quality import wilson
from model_training.card import Card, Feature, GoldenRow, Target

PERCENT = np.linspace(0, 1, 21)
ROWS = 4000


def number(values: np.ndarray, **told) -> Feature:
    quantiles = [float(one) for one in np.quantile(values, PERCENT)]
    return Feature(name="x", minimum=None, maximum=None, quantiles=quantiles, **told)


def category(shares: dict[str, float]) -> Feature:
    return Feature(name="colour", kind="category", categories=[*shares], shares=[*shares.values()])


def card(*features: Feature) -> Card:
    return Card(
        name="m",
        version="1",
        title="m",
        origin="made here",
        task="regression",
        features=[one.model_copy(update={"name": f"f{place}"}) for place, one in enumerate(features)],
        target=Target(name="y"),
        presets=[],
        algorithm="none",
        metrics={},
        golden=[GoldenRow(features=[0.0] * len(features), prediction=0.0)],
        inputs={},
        trained_at="2026-11-28T00:00:00Z",
        files={},
    )


def drift(feature: Feature, values) -> object:
    """Of one feature, when these values have come."""
    bins = Bins(card(feature))
    return feature_drift(bins.features[0], bins.count([[value] for value in values]))


MADE = {
    "normal": lambda rng, n: rng.normal(20, 5, n),
    "skewed": lambda rng, n: rng.lognormal(0, 1.5, n),
    "uniform": lambda rng, n: rng.uniform(-1, 1, n),
    "rounded": lambda rng, n: rng.normal(3, 0.4, n).round(1),
    "mostly zero": lambda rng, n: rng.poisson(0.4, n).astype(float),
    "two values": lambda rng, n: rng.integers(0, 2, n).astype(float),
}


@settings(max_examples=100, derandomize=True)  # by chance, PSI is 0.05 once in 1,000 times
@given(st.sampled_from(sorted(MADE)), st.integers(0, 2**32 - 1))
def test_more_of_the_same_is_no_drift(name, seed):
    rng = np.random.default_rng(seed)
    found = drift(number(MADE[name](rng, 10_000)), MADE[name](rng, ROWS))
    assert found.verdict == "none" and 0 <= found.psi < MODERATE / 2
    assert sum(one.expected for one in found.bins) == pytest.approx(1)
    assert sum(one.found for one in found.bins) == pytest.approx(1)


@settings(max_examples=25)
@given(st.sampled_from(sorted(MADE)), st.integers(0, 2**32 - 1), st.sampled_from([-1, 1]))
def test_what_has_moved_by_two_deviations_is_a_large_drift(name, seed, sign):
    rng = np.random.default_rng(seed)
    trained = MADE[name](rng, 10_000)
    found = drift(number(trained), MADE[name](rng, ROWS) + sign * 2 * trained.std())
    assert found.verdict == "large" and found.psi > LARGE and found.p_value < 1e-6


@settings(max_examples=25)
@given(st.floats(0.5, 5), st.floats(0.5, 5))
def test_the_more_it_moves_the_larger_it_is(less, more):
    less, more = sorted([less, less + more])
    values = np.random.default_rng(1).normal(0, 1, 10_000)
    near, far = (drift(number(values), values[:ROWS] + by) for by in (less / 4, more / 4))
    assert near.psi <= far.psi and near.statistic <= far.statistic


def test_what_is_beyond_all_of_the_training_data_or_missing_is_told():
    values = np.linspace(0, 100, 1001)
    found = drift(
        number(values, may_be_missing=True), [*([-5.0] * 100), *([200.0] * 50), *([np.nan] * 250), *values]
    )
    assert found.rows == 1401
    assert found.missing == pytest.approx(250 / 1401) and found.outside == pytest.approx(150 / 1401)
    low, high = found.bins[0], found.bins[-1]
    assert (low.low, low.high, low.expected) == (None, 0, 0) and (high.low, high.high) == (100, None)
    assert low.found == pytest.approx(100 / 1151) and high.found == pytest.approx(50 / 1151)


def test_of_few_rows_nothing_is_said():
    values = np.linspace(0, 1, 199)
    found = drift(number(values), values)
    assert (found.rows, found.verdict, found.psi, found.p_value) == (199, "too few rows", None, None)
    assert drift(number(values), [*values, 0.5]).verdict == "none"
    nothing = drift(number(values), [])
    assert (nothing.rows, nothing.missing, nothing.outside, nothing.verdict) == (0, 0, 0, "too few rows")


def test_of_a_feature_whose_training_is_not_known_only_the_missing_are_told():
    found = drift(Feature(name="x", may_be_missing=True), [1.0, 2.0, np.nan, 4.0] * 100)
    assert (found.verdict, found.psi, found.missing, found.bins) == ("unknown", None, 0.25, [])


def test_psi_is_that_of_its_definition():
    values = np.random.default_rng(2).normal(0, 1, 20_000)
    feature, come = number(values), np.random.default_rng(3).normal(0.4, 1.2, ROWS)
    ends = [-np.inf, *feature.quantiles[2:-2:2], np.inf]
    actual = np.histogram(come, ends)[0] / ROWS
    assert drift(feature, come).psi == pytest.approx(float(((actual - 0.1) * np.log(actual / 0.1)).sum()))


def test_the_kolmogorov_smirnov_test_is_scipys_at_the_quantiles():
    """Which is close to that over all values, and never more."""
    values, come = (
        np.random.default_rng(4).normal(0, 1, 20_000),
        np.random.default_rng(5).normal(0.1, 1, ROWS),
    )
    found = drift(number(values), come)
    exact = stats.ks_1samp(come, stats.norm.cdf)
    assert found.test == "kolmogorov-smirnov"
    assert exact.statistic - 0.02 < found.statistic <= exact.statistic + 0.01
    assert found.p_value == pytest.approx(stats.kstwo.sf(found.statistic, ROWS)) and found.p_value < 0.001


def test_the_chi_squared_test_is_scipys():
    feature = category({"red": 0.5, "green": 0.3, "blue": 0.2})
    come = [0.0] * 450 + [1.0] * 350 + [2.0] * 200
    found = drift(feature, come)
    exact = stats.chisquare([450, 350, 200], [500, 300, 200])
    assert (found.test, found.statistic, found.p_value) == (
        "chi-squared",
        pytest.approx(exact.statistic),
        pytest.approx(exact.pvalue),
    )
    assert found.verdict == "none" and [one.category for one in found.bins] == ["red", "green", "blue", None]


def test_categories_that_change_places_are_a_large_drift_and_so_is_one_that_training_hardly_had():
    feature = category({"red": 0.9, "green": 0.1, "blue": 0.0})
    assert drift(feature, [0.0] * 100 + [1.0] * 900).verdict == "large"
    assert drift(feature, [0.0] * 900 + [1.0] * 100).verdict == "none"
    new = drift(feature, [2.0] * 500 + [0.0] * 500)
    assert new.verdict == "large" and new.p_value < 1e-6
    assert drift(feature, [0.0, np.nan] * 500).missing == 0.5


def test_shares_of_rows_of_which_some_were_missing_are_of_the_others():
    found = drift(category({"a": 0.4, "b": 0.4}), [0.0, 1.0] * 500)
    assert found.psi == pytest.approx(0) and found.p_value == pytest.approx(1)


@settings(max_examples=25)
@given(st.lists(st.lists(st.floats(-3, 3), min_size=2, max_size=2), max_size=60), st.integers(0, 60))
def test_counts_of_parts_add_up_to_the_whole_and_go_through_the_database(rows, at):
    bins = Bins(card(number(np.linspace(-1, 1, 50)), number(np.zeros(50))))
    whole = bins.count(rows) if rows else np.zeros(bins.width, int)
    parts = [bins.count(part) for part in (rows[:at], rows[at:]) if part]
    assert (unpacked(packed(whole)) == whole).all() and (sum(parts) == whole).all()
    assert whole.sum() == 2 * len(rows) and len(psis(bins, whole)) == 2


def test_a_feature_that_was_one_value_in_all_of_the_training_data():
    same = number(np.full(100, 7.0))
    assert drift(same, [7.0] * 500).verdict == "none"
    assert drift(same, [7.0] * 250 + [8.0] * 250).verdict == "large"
    assert drift(same, [8.0] * 500).outside == 1


@pytest.mark.parametrize(
    ("correct", "truths"), [(0, 1), (1, 1), (0, 40), (30, 40), (97, 100), (9000, 10_000)]
)
def test_wilsons_interval_is_scipys(correct, truths):
    exact = stats.binomtest(correct, truths).proportion_ci(method="wilson")
    assert wilson(correct, truths) == pytest.approx((exact.low, exact.high))

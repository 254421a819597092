"""How a model behaves: what must not change its answers, what must move them one way, and its speed."""

import time
from collections.abc import Callable, Iterator

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor

from model_training.artifact import LoadedModel
from model_training.card import Card, Feature
from model_training.checks.expectations import Direction, Expectations
from model_training.checks.verdict import Check, of_rows
from model_training.rows import Columns

COPIES = 5  # of each row, with other noise
THOUSANDTH = 0.001
SAME_SHARE, SAME_VALUE = 1e-4, 1e-3  # of a probability; of the spread of a regressor's answers
VISIBLE = 0.05  # of that spread: what noise may move an answer by
TIMED_CALLS, WARMING_CALLS = 500, 50


def golden_rows(card: Card) -> np.ndarray:
    """As model_training/rows.py has them."""
    return Columns(card.features).encode([row.features for row in card.golden])


def invariances(model: LoadedModel, sample: np.ndarray, rules: Expectations) -> Iterator[Check]:
    """What must not change an answer does not: how exactly was measured, and what else is in the batch."""
    answers = Answers(model, sample)
    random = np.random.default_rng(1)
    order = random.permutation(len(sample))
    backwards = Answers(model, sample[order])
    same = answers.same(backwards, order)
    yield of_rows("invariance", "the rows of a batch in another order", "the same answers", same, 1)
    alone = [Answers(model, sample[number : number + 1]) for number in range(len(sample))]
    same = np.array([answers.same(one, np.array([number]))[0] for number, one in enumerate(alone)])
    yield of_rows("invariance", "a row alone, and in a batch", "the same answer", same, 1)
    width = np.array([precision(feature, rules) for feature in model.card.features])
    if width.any():
        many = np.repeat(sample, COPIES, axis=0)
        numbers = width > 0
        many[:, numbers] += random.uniform(-1, 1, (len(many), numbers.sum())) * width[numbers]
        kept = answers.kept(Answers(model, many), np.repeat(np.arange(len(sample)), COPIES))
        wanted = f"moves by less than {VISIBLE:.0%} of the spread" if answers.numbers else "the same class"
        yield of_rows("invariance", "noise as small as measuring is exact", wanted, kept, rules.hold)


def precision(feature: Feature, rules: Expectations) -> float:
    """How far a value of it may be off, in its unit; 0 where it is no number or nothing is known of it."""
    if feature.kind != "number" or feature.observed is None:
        return 0.0
    low, high = feature.observed
    return rules.precision.get(feature.name, (high - low) * THOUSANDTH)


def direction(model: LoadedModel, sample: np.ndarray, one: Direction, rules: Expectations) -> Check:
    """After the change, the answer of (almost) every row has not moved the wrong way."""
    names = [feature.name for feature in model.card.features]
    what = f"{one.feature} {f'{one.change:+g}' if not isinstance(one.change, str) else f'is {one.change}'}"
    expected = f"{one.of or model.card.target.name} not {'lower' if one.moves == 'up' else 'higher'}"
    if one.feature not in names or (one.of is not None and one.of not in (model.card.classes or [])):
        return Check("direction", what, expected, "no such feature, or no such class", False)
    place = names.index(one.feature)
    if isinstance(one.change, str) and one.change not in (model.card.features[place].categories or []):
        return Check("direction", what, expected, "no such category", False)
    changed, feature = sample.copy(), model.card.features[place]
    if isinstance(one.change, str):
        changed[:, place] = feature.categories.index(one.change)
    else:
        low, high = feature.observed or (-np.inf, np.inf)
        before = sample[:, place]
        changed[:, place] = np.clip(before + one.change, np.minimum(before, low), np.maximum(before, high))
    moved = Answers(model, changed).towards(one.of) - Answers(model, sample).towards(one.of)
    right = moved * (1 if one.moves == "up" else -1) >= -SAME_SHARE
    return of_rows("direction", what, expected, right, rules.hold)


def latency(model: LoadedModel, rules: Expectations) -> Check:
    """One row's time, of which 99 in 100 take no longer, against the same of a baseline that is timed in
    turns with it: a machine that is slow, or busy, is so for both."""
    rows = golden_rows(model.card)
    row, answers = rows[:1], Answers(model, rows)
    baseline = (DummyRegressor if answers.numbers else DummyClassifier)()
    baseline.fit(rows, answers.predictions)
    times: dict[Callable, list[int]] = {model.predict: [], baseline.predict: []}
    for _ in range(WARMING_CALLS + TIMED_CALLS):
        for predict, taken in times.items():
            began = time.perf_counter_ns()
            predict(row)
            taken.append(time.perf_counter_ns() - began)
    ours, theirs = (float(np.percentile(taken[WARMING_CALLS:], 99)) for taken in times.values())
    found = f"{ours / theirs:.1f} times: {ours / 1000:.0f} µs, {theirs / 1000:.0f} µs"
    expected = f"at most {rules.slowest:g} times the baseline's"
    return Check("latency", "99th percentile of one row", expected, found, ours <= rules.slowest * theirs)


class Answers:
    """What a model answers to some rows; of several targets, each of them counts."""

    def __init__(self, model: LoadedModel, rows: np.ndarray) -> None:
        self.card = model.card
        self.predictions, shares = model.predict(rows)
        self.shares = np.hstack(shares) if isinstance(shares, list) else shares
        self.numbers = self.card.task == "regression"
        golden = [row.prediction for row in self.card.golden]
        self.spread = np.ptp([*golden, *self.predictions], axis=0) if self.numbers else 0.0

    def same(self, other: "Answers", places: np.ndarray) -> np.ndarray:
        """For each row of the other, whether it is answered as the row at its place here."""
        equal = self._close(other, places, SAME_VALUE)
        if self.shares is not None:
            equal &= np.abs(self.shares[places] - other.shares).max(axis=1) <= SAME_SHARE
        return equal

    def kept(self, other: "Answers", places: np.ndarray) -> np.ndarray:
        """The same class; of a regressor, a value that has not visibly moved."""
        return self._close(other, places, VISIBLE)

    def towards(self, name: str | None) -> np.ndarray:
        """The probability of that class, or 1 where it is the answer and 0 elsewhere; or the value."""
        if name is None:
            return self.predictions.astype(float)
        number = self.card.classes.index(name)
        if self.shares is not None:
            return self.shares[:, number]
        return (self.predictions == self.card.raw_labels[number]).astype(float)

    def _close(self, other: "Answers", places: np.ndarray, share: float) -> np.ndarray:
        before, after = self.predictions[places], other.predictions
        equal = np.abs(before - after) <= share * self.spread if self.numbers else before == after
        return equal if equal.ndim == 1 else equal.all(axis=1)

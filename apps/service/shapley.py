"""Shapley values: what each feature of a row did to a model's answer.

A feature's contribution is what the answer changes by when the feature's value becomes known, averaged over
all orders in which the values may become known; what is not known yet is drawn from the training statistics
of the model's card, each feature by itself. So the contributions add up to the answer less the baseline, the
average answer when nothing is known. Shapley (1953); for models, Štrumbelj and Kononenko, Explaining
prediction models and individual predictions with feature contributions (2014).

A *draw* is one row of the training statistics and one order, taken forwards and backwards (antithetic, which
makes the error smaller). To go through all subsets of the features instead costs more rows for the same
error, with four features already: what rows of the training differ in matters more than the order. Draws come
in blocks whose values are spread evenly over each feature's distribution (a Latin hypercube), which halves
the error again; what the blocks differ by tells the standard error.
"""

from collections.abc import Iterator

import numpy as np

from model_training.card import Card, Feature

BATCH = 256  # rows that the model is asked for at a time, at most
LEAST_DRAWS = 8  # of a block


class NoStatistics(ValueError):
    """The card does not tell how these features were distributed in the training data."""


class Background:
    """The training data as the card tells of them: each feature's distribution, and nothing of how features
    go together. Raises NoStatistics, which names the features, where there is none."""

    def __init__(self, card: Card) -> None:
        without = [feature.name for feature in card.features if not told(feature)]
        if without:
            raise NoStatistics(
                ", ".join(without[:5]) + (f" and {len(without) - 5} more" if without[5:] else "")
            )
        self._features = card.features

    def rows(self, places: np.ndarray) -> np.ndarray:
        """`places` from 0 to 1, of shape (rows, features): where in each distribution a value lies. Returns
        the values as model_training/rows.py has them: a category is its place, and what is missing NaN."""
        columns = zip(self._features, places.T, strict=True)
        found = np.empty(places.shape)
        for index, (feature, column) in enumerate(columns):
            found[:, index] = values(feature, column)
        return found


def told(feature: Feature) -> bool:
    return bool(feature.shares and feature.categories if feature.kind == "category" else feature.quantiles)


def values(feature: Feature, places: np.ndarray) -> np.ndarray:
    """The inverse of the distribution function. Between two quantiles of whole numbers, whole ones. What the
    shares of categories leave is the share of rows in which none was given."""
    if feature.kind == "category":
        last = len(feature.categories)
        found = np.searchsorted(np.cumsum(feature.shares), places, side="right").astype(float)
        return np.where(found < last, found, np.nan if feature.may_be_missing else last - 1)
    quantiles = np.array(feature.quantiles)
    found = np.interp(places, np.linspace(0, 1, len(quantiles)), quantiles)
    return np.rint(found) if (quantiles == np.rint(quantiles)).all() else found


class Block:
    """Draws for one row, evenly spread, and what they ask the model: rows, some of whose values are known and
    the others drawn."""

    def __init__(self, row: list[float], background: Background, random: "np.random.Generator") -> None:
        n = len(row)
        self._each = 2 * n - 1  # nothing known; then one more each, forwards, and backwards
        draws = max(LEAST_DRAWS, BATCH // self._each)
        strata = random.permuted(np.tile(np.arange(draws), (n, 1)), axis=1).T
        self._drawn = background.rows((strata + random.random((draws, n))) / draws)
        order = np.tile(np.arange(n), (draws, 1))
        self._rank = random.permuted(order, axis=1)  # of each feature in the order
        self._row = np.array(row, float)
        self.draws, self.count = draws, draws * self._each

    def questions(self, start: int, end: int) -> list[list[float]]:
        """The rows to ask for, from `start` to `end` of all `count`."""
        draw, step = np.divmod(np.arange(start, min(end, self.count)), self._each)
        n, rank, step = len(self._row), self._rank[draw], step[:, None]
        known = np.where(step < n, rank < step, rank >= 2 * n - 1 - step)
        return np.where(known, self._row, self._drawn[draw]).tolist()

    def contributions(self, answers: list[float], answer: float) -> tuple[float, np.ndarray]:
        """What the answers to all questions, in their order, and the row's own answer come to: the average
        answer when nothing is known, and each feature's contribution."""
        found = np.array(answers).reshape(-1, self._each)
        n = len(self._row)
        all_known = np.full((len(found), 1), answer)
        forwards = np.diff(np.hstack([found[:, :n], all_known]))
        backwards = np.diff(np.hstack([found[:, :1], found[:, n:], all_known]))[:, ::-1]
        each = np.take_along_axis((forwards + backwards) / 2, self._rank, axis=1)
        return float(found[:, 0].mean()), each.mean(axis=0)


def blocks(row: list[float], background: Background) -> Iterator[Block]:
    """Without end, and the same for the same row: all rows are compared with the same draws."""
    random = np.random.default_rng(0)
    while True:
        yield Block(row, background, random)

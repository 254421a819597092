"""The bins that a card's features are counted in, and how many of the training data lay in each.

A number's bins are between its quantiles, which are at 0, 5, … 100 percent of the training data, and at each
quantile one for what equals it: where many rows have the same value, several quantiles are that value. What
lies below the least, above the greatest, and what is missing, have bins of their own. A category has a bin,
and so have other ones and missing. No feature can be told from these counts."""

from abc import ABC, abstractmethod
from itertools import chain
from typing import NamedTuple

import numpy as np

from model_training.card import Card, Feature

TYPE = "<i8"  # of packed counts


class Bin(NamedTuple):
    """Values from `low` to `high`, or of the `category`; None where there is no such end."""

    low: float | None
    high: float | None
    category: str | None
    expected: float  # share of the training data, of those that were not missing
    found: float  # how many rows, not missing, were there


class FeatureBins(ABC):
    """Those of one feature. `width`: how many, the last of them for what is missing."""

    def __init__(self, feature: Feature) -> None:
        self.feature = feature
        self.known = bool(feature.shares if feature.categories else len(feature.quantiles or []) > 1)

    @abstractmethod
    def place(self, values: np.ndarray) -> np.ndarray:
        """The number of the bin of each value."""

    @abstractmethod
    def bins(self, counts: np.ndarray) -> list[Bin]:
        """What was counted, beside what is expected; nothing where the card does not tell that."""


class NumberBins(FeatureBins):
    def __init__(self, feature: Feature) -> None:
        super().__init__(feature)
        quantiles = np.array(feature.quantiles or [], float)
        self._edges, self._times = np.unique(quantiles, return_counts=True)
        self.width = 2 * len(self._edges) + 2
        if self.known:
            self._tenths, self._expected, self._shares = tenths(quantiles, self._times)

    def place(self, values: np.ndarray) -> np.ndarray:
        places = self._edges.searchsorted(values, "left") + self._edges.searchsorted(values, "right")
        places[np.isnan(values)] = self.width - 1
        return places

    def bins(self, counts: np.ndarray) -> list[Bin]:
        """One for each tenth of the training data, the first of what is less than all of them, and the last
        of what is more. Tenths of one and the same value are one bin."""
        if not self.known:
            return []
        below, *found, above = (counts[:-1] @ self._shares).tolist()
        told = [Bin(None, self._tenths[0], None, 0.0, below)]
        for low, high, expected, rows in zip(
            self._tenths, self._tenths[1:], self._expected, found, strict=False
        ):
            if low == high and (told[-1].low, told[-1].high) == (low, high):
                expected, rows = expected + told[-1].expected, rows + told.pop().found
            told.append(Bin(low, high, None, expected, rows))
        return [*told, Bin(self._tenths[-1], None, None, 0.0, above)]

    def distances(self, counts: np.ndarray) -> np.ndarray:
        """At each quantile, how far the distribution of what was counted is from that of the training data:
        of both, the share that is smaller plus half of what is equal."""
        rows = counts[:-1].sum()
        below, equal = np.cumsum(counts[:-1])[::2][:-1], counts[1:-1:2]
        past = np.cumsum(self._times)  # of each edge, the number of the first quantile that is greater
        trained = (past - self._times + past - 1) / 2 / (past[-1] - 1)
        return (below + equal / 2) / rows - trained


class CategoryBins(FeatureBins):
    def __init__(self, feature: Feature) -> None:
        super().__init__(feature)
        self._categories = feature.categories or []
        self.width = len(self._categories) + 2

    def place(self, values: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(values), self.width - 1, np.minimum(values, self.width - 2)).astype(int)

    def bins(self, counts: np.ndarray) -> list[Bin]:
        if not self.known:
            return []
        shares = np.array(self.feature.shares)
        shares = shares / (shares.sum() or 1)  # of those that were not missing
        found = [
            Bin(None, None, category, float(share), float(count))
            for category, share, count in zip(self._categories, shares, counts, strict=False)
        ]
        return [*found, Bin(None, None, None, 0, float(counts[-2]))]


def tenths(quantiles: np.ndarray, times: np.ndarray) -> tuple[list[float], list[float], np.ndarray]:
    """The ends of ten bins, or of as many as there are intervals, the share of the training data in each, and
    which part of what is counted at and between the quantiles belongs to which of them, the first being below
    and the last above all. What equals a quantile belongs by half to either side, and in whole parts to the
    intervals between quantiles that are equal. `times`: how many quantiles have the same value."""
    intervals = len(quantiles) - 1
    together = max(1, intervals // 10)
    bin_of = [0, *(1 + interval // together for interval in range(intervals))]
    bin_of.append(bin_of[-1] + 1)  # of each interval, the one below the first included
    shares = np.zeros((2 * len(times) + 1, bin_of[-1] + 1))
    shares[0, 0] = 1
    first = 0
    for edge, count in enumerate(times):
        last = first + count - 1
        parts = {interval: 1.0 for interval in range(first, last)}
        parts |= {first - 1: 0.5} if first else {}
        parts |= {last: 0.5} if last < intervals else {}
        for interval, part in parts.items():
            shares[2 * edge + 1, bin_of[interval + 1]] += part / sum(parts.values())
        shares[2 * edge + 2, bin_of[last + 1]] = 1
        first = last + 1
    ends = [*range(0, intervals, together), intervals]
    expected = np.diff(ends) / intervals
    return quantiles[ends].tolist(), expected.tolist(), shares


class Bins:
    """Those of all features of a model, in one row of numbers."""

    def __init__(self, card: Card) -> None:
        kinds = {"number": NumberBins, "category": CategoryBins}
        self.features = [kinds[feature.kind](feature) for feature in card.features]
        ends = np.cumsum([one.width for one in self.features])
        self._starts, self.width = ends - [one.width for one in self.features], int(ends[-1])

    def count(self, rows: list[list[float]]) -> np.ndarray:
        """How many of the rows, each of as many values as there are features, fall into each bin. A category
        is its place in the card's list, and what is missing NaN."""
        table = np.fromiter(chain.from_iterable(rows), float, len(rows) * len(self.features))
        table = table.reshape(len(rows), len(self.features))
        places = [
            one.place(table[:, number]) + self._starts[number] for number, one in enumerate(self.features)
        ]
        return np.bincount(np.concatenate(places), minlength=self.width)

    def of_feature(self, counts: np.ndarray, number: int) -> np.ndarray:
        start = self._starts[number]
        return counts[start : start + self.features[number].width]


def packed(counts: np.ndarray) -> bytes:
    return counts.astype(TYPE).tobytes()


def unpacked(content: bytes) -> np.ndarray:
    return np.frombuffer(content, TYPE)

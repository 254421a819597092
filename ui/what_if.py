"""What a model answers when one feature of a row takes other values, and all others stay as they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from ui import batch
from ui.answers import Exchange, Failure
from ui.card import Card, Feature, Value
from ui.prediction import Prediction
from ui.servers import Server

POINTS = 81
MOST_CLASSES = 6  # that are drawn
LEAST = 0.05  # probability that a class reaches somewhere, to be drawn


@dataclass(frozen=True)
class Sweep:
    """The answers along `values` of the feature at `position`; `row` is where it started. `missing`: what is
    answered where a number is missing, if it may be; among categories, None is that."""

    server: Server
    feature: Feature
    position: int
    row: tuple[Value, ...]
    values: tuple[Value, ...]
    predictions: tuple[Prediction, ...]
    exchange: Exchange | None = None
    missing: Prediction | None = None

    @property
    def classes(self) -> list[str]:
        """Those that are likely anywhere, in the model's order; none where no probabilities are given."""
        best: dict[str, float] = {}
        for prediction in self.predictions:
            for name, chance in prediction.probabilities:
                best[name] = max(chance, best.get(name, 0.0))
        chosen = sorted(best, key=best.get, reverse=True)[:MOST_CLASSES]
        return [name for name in best if name in chosen and best[name] >= LEAST]

    @property
    def left_out(self) -> int:
        return len(self.predictions[0].probabilities) - len(self.classes)

    @property
    def numbers(self) -> list[float] | None:
        """The values of a regression; None where the answers are no numbers."""
        values = [prediction.value for prediction in self.predictions]
        return None if None in values else values

    @property
    def spells(self) -> list[tuple[str, Value, Value]]:
        """Which answer is given from which value to which, in their order."""
        pairs = zip(self.values, (prediction.label for prediction in self.predictions), strict=True)
        groups = [
            (label, [value for value, _ in group]) for label, group in groupby(pairs, lambda pair: pair[1])
        ]
        return [(label, values[0], values[-1]) for label, values in groups]


def reach(feature: Feature, value: float | None) -> tuple[float, float]:
    """From where to where it is varied: over its training and half as much on either side, as far as the
    servers accept it; or, where the card does not tell, around the value."""
    value = feature.start if value is None else value
    low, high = feature.observed or (None, None)
    if low is None:
        low, high = feature.spread or (value - (abs(value) or 1), value + (abs(value) or 1))
    else:
        margin = (high - low) / 2 or abs(high) / 2 or 1
        low, high = low - margin, high + margin
    low, high = min(low, value), max(high, value)
    return feature.clamp(low), feature.clamp(high)


def grid(feature: Feature, value: Value) -> list[Value]:
    """The values that are asked for, in their order; the one that was entered is among them if accepted."""
    if feature.categories:
        return [*feature.categories, *([None] if feature.may_be_missing else [])]
    low, high = reach(feature, value)
    figures = feature.decimals + 1
    found = {round(low + (high - low) * index / (POINTS - 1), figures) for index in range(POINTS)}
    return sorted({feature.clamp(one) for one in (*found, *([] if value is None else [value]))})


def sweep(server: Server, card: Card, row: Sequence[Value], position: int) -> Sweep | Failure:
    """Ask for all of them: in one request, or one by one where the server takes no batch."""
    feature, values = card.features[position], grid(card.features[position], row[position])
    gap = [None] if feature.may_be_missing and not feature.categories else []
    rows = [[*row[:position], value, *row[position + 1 :]] for value in [*values, *gap]]
    run = batch.Run([])
    for run in batch.run(server, rows, card):
        refused = next((outcome for outcome in run.outcomes if isinstance(outcome, Failure)), None)
        if run.failure or refused:
            return run.failure or refused
    found, missing = run.outcomes[: len(values)], run.outcomes[-1] if gap else None
    return Sweep(server, feature, position, tuple(row), tuple(values), tuple(found), run.exchange, missing)

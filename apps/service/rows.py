"""Rows of features as they come, by place or by name, and as the model takes them: numbers, in the card's
order. A category becomes its place in the card's list, and what is missing NaN (model_training/rows.py)."""

from math import nan
from typing import NamedTuple

from apps.service.bodies import Cell
from apps.service.faults import got
from apps.service.model import Serving
from apps.service.problems import Problem
from model_training.card import Feature
from model_training.rows import codes_of

Row = list[Cell] | dict[str, Cell]  # what a request's row may be, before the card is looked at
ONE, MANY = '{"features": [numbers]}', '{"instances": [[numbers], ...]}'
NUMBERS = frozenset({float, int})
TOLD = 10  # categories, of more than which an error tells the first ones
SHOWN = 64  # characters of each


def check_features(rows: list[Row], serving: Serving, one: bool = False, first: int = 0) -> list[list[float]]:
    """The rows as the model takes them. Raises Problem unless every row has for each feature of the card what
    it may be: a number within its range, or one of its categories. `first` is the number of the first row."""
    if not serving.is_plain:
        return Reader(serving, one).rows(rows, first)
    for row in rows:
        if type(row) is not list or not NUMBERS.issuperset(map(type, row)):
            return Reader(serving, one).rows(rows, first)
    count = len(serving.features)
    for number, row in enumerate(rows, first):
        if len(row) != count:
            raise wrong_length(serving, "" if one else f" in row {number}", len(row))
        for value, low, high in zip(row, serving.minimum, serving.maximum, strict=True):
            if not low <= value <= high:
                place = next(
                    place
                    for place, found in enumerate(row)
                    if not serving.minimum[place] <= found <= serving.maximum[place]
                )
                raise out_of_range(serving, place, "" if one else f" in row {number}")
    return rows


class Column(NamedTuple):
    """What a feature may be. `codes` are the places of its categories, by name and by what the model calls
    them; None for a number. `wanted` is all of it in words."""

    name: str
    codes: dict | None
    labels: type | None  # of what the model calls its categories, where those are no texts
    may_be_missing: bool
    wanted: str


class Reader:
    """Reads rows that are not a list of numbers each; slower, and for any model."""

    def __init__(self, serving: Serving, one: bool) -> None:
        self._serving, self._one, self._columns = serving, one, columns_of(serving)

    def rows(self, rows: list[Row], first: int) -> list[list[float]]:
        if self._serving.is_plain:
            for number, row in enumerate(rows, first):
                if isinstance(row, list):
                    self._check_numbers(row, number)
        return [
            self._row(row, "" if self._one else f" in row {number}") for number, row in enumerate(rows, first)
        ]

    def _check_numbers(self, row: list[Cell], number: int) -> None:
        """Of a model that takes nothing else, what is no number is told by its place."""
        for place, value in enumerate(row):
            if type(value) not in NUMBERS:
                shape, where = (ONE, "features") if self._one else (MANY, f"instances[{number}]")
                told = f"{where}[{place}] is {got(value)}, expected a number"
                raise Problem("invalid-input", f"expected {shape}: {told}")

    def _row(self, row: Row, where: str) -> list[float]:
        serving = self._serving
        if isinstance(row, dict):
            row = self._by_name(row, where)
        elif len(row) != len(serving.features):
            raise wrong_length(serving, where, len(row))
        read = [self._value(column, value, where) for column, value in zip(self._columns, row, strict=True)]
        for place, value in enumerate(read):
            if value == value and not serving.minimum[place] <= value <= serving.maximum[place]:
                raise out_of_range(serving, place, where)
        return read

    def _by_name(self, row: dict[str, Cell], where: str) -> list[Cell]:
        """In the card's order. Each feature has to be there, null where it is missing."""
        names = self._serving.features
        if missing := [name for name in names if name not in row]:
            told = f"{', '.join(missing[:TOLD])} {'is' if len(missing) == 1 else 'are'} missing"
        elif len(row) > len(names):
            told = "another name is there"
        else:
            return [row[name] for name in names]
        raise Problem(
            "invalid-input",
            f"expected the features {', '.join(names)}{where}, each by its name: {told}",
            reason="wrong-names",
        )

    def _value(self, column: Column, value: Cell, where: str) -> float:
        if value is None:
            if column.may_be_missing:
                return nan
        elif column.codes is None:
            if type(value) in NUMBERS:
                return float(value)
        elif isinstance(value, str) or (column.labels and type(value) in (column.labels, float)):
            if (code := column.codes.get(value)) is not None:
                return code
            raise Problem(
                "out-of-range", f"expected {column.name} to be {column.wanted}{where}, got something else"
            )
        raise Problem(
            "invalid-input", f"expected {column.name} to be {column.wanted}{where}, got {got(value)}"
        )


def columns_of(serving: Serving) -> list[Column]:
    """Of each of the card's features, made once for each model."""
    if serving.columns is None:
        serving.columns = [column_of(feature) for feature in serving.card.features]
    return serving.columns


def column_of(feature: Feature) -> Column:
    codes = codes_of(feature)
    labels = type(feature.labels[0]) if feature.labels else None
    wanted = "a number"
    if codes is not None:
        shown = [name if len(name) <= SHOWN else f"{name[:SHOWN]}…" for name in feature.categories[:TOLD]]
        more = len(feature.categories) - TOLD
        wanted = f"one of {', '.join(shown)}" + (f" and {more} more (all are at /model)" if more > 0 else "")
    wanted += ", or null" if feature.may_be_missing else ""
    return Column(feature.name, codes, labels, feature.may_be_missing, wanted)


def wrong_length(serving: Serving, where: str, count: int) -> Problem:
    return Problem(
        "invalid-input",
        f"expected {len(serving.features)} features{where} ({', '.join(serving.features)}), got {count}",
        reason="wrong-length",
    )


def out_of_range(serving: Serving, place: int, where: str) -> Problem:
    return Problem(
        "out-of-range",
        f"expected {serving.features[place]} from {serving.minimum[place]:g} "
        f"to {serving.maximum[place]:g}{where}, got one outside",
    )

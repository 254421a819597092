"""The cells of CSV rows of a model that takes more than numbers: categories, and what may be missing."""

import csv
import io
import re
from collections.abc import Callable
from math import isfinite, nan

import numpy as np

from apps.service.model import Serving
from apps.service.rows import Column, columns_of
from model_training.rows import MISSING

NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII).fullmatch
NOT_A_NUMBER = "expected a number, such as 5.1, with a point"


class Cells:
    def __init__(self, serving: Serving) -> None:
        self._read = [
            cell_reader(column, low, high)
            for column, low, high in zip(columns_of(serving), serving.minimum, serving.maximum, strict=True)
        ]

    def rows(self, block: bytes, order: list[int]) -> np.ndarray | None:
        """All rows of a block, float64 of shape (n, features), in the card's order; None where a line of it
        has to be looked at by itself."""
        try:
            rows = [*csv.reader(io.StringIO(block.decode("utf-8"), newline=""), strict=True)]
        except (ValueError, csv.Error):
            return None
        if len(rows) != block.count(b"\n") or any(len(row) != len(order) for row in rows):
            return None
        found = np.empty((len(rows), len(order)))
        for place, (read, column) in enumerate(zip(self._read, order, strict=True)):
            known: dict[str, float | str] = {}
            for number, row in enumerate(rows):
                cell = row[column]
                if (value := known.get(cell)) is None:
                    value = known[cell] = read(cell)
                if isinstance(value, str):
                    return None
                found[number, place] = value
        return found

    def read(self, cell: str, place: int) -> float | str:
        """The cell of the feature at `place`, as the model takes it, or what is wrong with it."""
        return self._read[place](cell)


def cell_reader(column: Column, low: float, high: float) -> Callable[[str], float | str]:
    """A function that reads a cell, or says what is wrong with it."""
    codes = {name: code for name, code in (column.codes or {}).items() if isinstance(name, str)}

    def read(cell: str) -> float | str:
        for name in (cell, cell.strip()):
            if name in codes:
                return codes[name]
        if column.may_be_missing and name in MISSING:
            return nan
        if not name:
            return f"expected {column.wanted}, got nothing"
        if codes:
            return f"expected {column.wanted}"
        if not NUMBER(name):
            return NOT_A_NUMBER
        if not (low <= float(name) <= high and isfinite(float(name))):
            return f"expected a number from {low:g} to {high:g}"
        return float(name)

    return read

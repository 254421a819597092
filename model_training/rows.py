"""Rows of a card's features as arrays of numbers: a category is its place in the card's list, and what is
missing is NaN. So rows of any model are kept, compared and sent around as float64 of shape (n, features)."""

import math

import numpy as np

from model_training.card import Feature, Value

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>")  # in CSV, unless it is a category
MISSING_TEXT = "nan"  # in an ONNX model, which has no other word for a text that is missing


class Columns:
    def __init__(self, features: list[Feature]) -> None:
        self.features = features
        self._codes = [codes_of(feature) for feature in features]

    def encode(self, rows: list[list[Value]]) -> np.ndarray:
        """float64 of shape (n, features). Raises ValueError for a category that the card does not have."""
        try:
            coded = [
                [
                    math.nan if value is None else value if codes is None else codes[value]
                    for codes, value in zip(self._codes, row, strict=True)
                ]
                for row in rows
            ]
        except KeyError:
            raise ValueError("a category is none of the card's") from None
        return np.array(coded, np.float64).reshape(len(rows), len(self.features))

    def decode(self, rows) -> list[list[Value]]:
        """The rows as they are sent: numbers, texts, and None."""
        return [
            [
                None
                if math.isnan(value)
                else value
                if not feature.categories
                else feature.categories[int(value)]
                for feature, value in zip(self.features, row, strict=True)
            ]
            for row in np.asarray(rows, np.float64).tolist()
        ]


def codes_of(feature: Feature) -> dict[Value | bool, float] | None:
    """The place of each category, by its name and by what the model calls it; None for a number."""
    if not feature.categories:
        return None
    codes = {name: float(place) for place, name in enumerate(feature.categories)}
    return codes | {label: float(place) for place, label in enumerate(feature.labels or [])}


def table_of(feature: Feature, missing: object) -> np.ndarray:
    """Of a category, what the model is given for each place, and last for what is missing."""
    values = feature.labels or feature.categories
    if feature.labels is None:
        return np.array([*feature.categories, missing], object)
    if isinstance(values[0], bool):
        return np.array([*values, missing], object if feature.may_be_missing else bool)
    return np.array([*values, math.nan], np.float64)


def looked_up(table: np.ndarray, places: np.ndarray) -> np.ndarray:
    """A column of categories by their places, in which NaN is the last."""
    return table[np.where(np.isnan(places), len(table) - 1, places).astype(np.intp)]

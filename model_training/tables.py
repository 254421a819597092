"""A table of rows from a CSV file, and what it tells of a model's features."""

from pathlib import Path

import numpy as np
import pandas as pd

from model_training.card import Feature
from model_training.inspection import Column
from model_training.rows import MISSING

TRUTHS = {"true": True, "false": False}
MOST_CATEGORIES = 1000  # of a column that no encoder knows: more are free texts


class TableError(ValueError):
    """A file that is no table of the model's features, and why."""


def read_table(path: Path, names: list[str], named: bool) -> pd.DataFrame:
    """The features' columns in a CSV file with a header, as texts: by name where the model knows names, else
    in order, where columns beyond them are left out. Raises TableError."""
    try:
        table = pd.read_csv(
            path, encoding="utf-8-sig", skipinitialspace=True, dtype=str, keep_default_na=False
        )
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TableError(f"{path} is not UTF-8: save it as CSV UTF-8") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise TableError(f"{path} is not a CSV file with a header: {error}") from error
    missing = [name for name in names if name not in table.columns]
    if not named and missing:
        if len(table.columns) < len(names):
            raise TableError(
                f"{path} has {len(table.columns)} columns, the model takes {len(names)}: expected a header "
                "and commas between the columns"
            )
        table = table.iloc[:, : len(names)]
    elif missing:
        raise TableError(f"{path} has no column {', '.join(missing)}: expected {', '.join(names)}")
    else:
        table = table[names]
    if not len(table):
        raise TableError(f"{path} has a header and no rows")
    return table.fillna("")


def read_columns(
    path: Path, table: pd.DataFrame, names: list[str], known: list[Column]
) -> tuple[list[Feature], np.ndarray]:
    """The features, and the rows as model_training/rows.py has them. Raises TableError."""
    features, columns = [], []
    for (title, texts), name, column in zip(table.items(), names, known, strict=True):
        feature, values = read_column(path, str(title), [*map(str.strip, texts)], name, column)
        features.append(feature)
        columns.append(values)
    return features, np.array(columns, np.float64).T


def read_column(
    path: Path, title: str, texts: list[str], name: str, known: Column
) -> tuple[Feature, np.ndarray]:
    """A number, or a category: by the encoder that knows it, else where there is a text among its values."""
    labels = known.categories
    named = {str(label) for label in labels or [] if isinstance(label, str)}
    missing = np.array([text in MISSING and text not in named for text in texts])
    numbers = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(np.float64)
    others = np.flatnonzero(~np.isfinite(numbers) & ~missing)
    if labels is None and not len(others):
        return described(pd.Series(np.where(missing, np.nan, numbers)), None, name), numbers
    if labels is None:
        found = {text for text, gone in zip(texts, missing, strict=True) if not gone}
        if len(others) + missing.sum() < len(texts):
            raise TableError(  # numbers and a word among them
                f"{path}: expected a number in every row of the column {title}; row {others[0] + 2} has none"
            )
        if len(found) > MOST_CATEGORIES:
            raise TableError(
                f"{path} has more than {MOST_CATEGORIES} different texts in the column {title}: free texts "
                "cannot be served, expected numbers or categories"
            )
        labels = [False, True] if {text.lower() for text in found} <= {*TRUTHS} else sorted(found)
    feature = Feature(name=name, **categories_of(labels))
    places = {label: place for place, label in enumerate(labels)}
    values = np.full(len(texts), np.nan)
    for row, (text, number, gone) in enumerate(zip(texts, numbers.tolist(), missing, strict=True)):
        if not gone:
            is_truth = isinstance(labels[0], bool)
            value = text if isinstance(labels[0], str) else TRUTHS.get(text.lower()) if is_truth else number
            if value not in places:
                raise TableError(
                    f"{path}: the model does not know the category in row {row + 2} of the column {title}: "
                    "take out rows like it"
                )
            values[row] = places[value]
    counts = np.bincount(values[~np.isnan(values)].astype(int), minlength=len(labels))
    shares = [round(float(count) / len(texts), 6) for count in counts]
    return feature.model_copy(update={"shares": shares, "may_be_missing": bool(missing.any())}), values


def categories_of(labels: list) -> dict:
    """The members of a Feature that say what its categories are, and what the model calls them."""
    labels = [label.item() if hasattr(label, "item") else label for label in labels]
    names = [f"{one:g}" if isinstance(one, float) and one.is_integer() else str(one) for one in labels]
    texts = all(isinstance(label, str) for label in labels)
    return {"kind": "category", "categories": names, "labels": None if texts else labels}


def described(column: pd.Series, unit: str | None, name: str) -> Feature:
    """A number's range and spread. A server accepts what was seen in training and as much again on either
    side of it, but nothing below zero for what was never below zero: a length of -5 cm is a mistake, not a
    flower."""
    missing = bool(column.isna().any())
    if column.isna().all():
        return Feature(name=name, unit=unit, may_be_missing=missing)
    low, high = float(column.min()), float(column.max())
    span = high - low
    return Feature(
        name=name,
        unit=unit,
        minimum=round(max(low - span, 0.0) if low >= 0 else low - span, 6),
        maximum=round(high + span, 6),
        observed=(low, high),
        median=float(column.median()),
        quantiles=[round(float(value), 6) for value in column.quantile(np.linspace(0, 1, 21))],
        may_be_missing=missing,
    )

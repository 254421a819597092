"""Rows that a model has not learned from, with the true answers, and a baseline for the same rows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier, DummyRegressor

from model_training import datasets
from model_training.card import Card, Feature
from model_training.export import rows_of
from model_training.train import split


class HeldOutError(ValueError):
    """Rows that cannot be used, and why."""


@dataclass(frozen=True)
class HeldOut:
    """rows: as model_training/rows.py has them, shape (n, features).
    truth: shape (n,), as the model calls its answers.
    guesses: shape (n,), what a baseline that never looks at the features says."""

    rows: np.ndarray
    truth: np.ndarray
    guesses: np.ndarray


def of_dataset(card: Card) -> HeldOut | None:
    """The rows that the training kept back, drawn again; None for a model of another origin. Raises
    HeldOutError where the data are not those that the model was trained on."""
    name, seed = card.inputs.get("dataset"), card.inputs.get("seed")
    if name not in datasets.LOADERS or seed is None:
        return None
    dataset = datasets.load(name)
    if dataset.sha256() != card.inputs.get("dataset_sha256"):
        raise HeldOutError(
            f"{card.name} {card.version} was trained on other data than the {name} of this machine: nobody "
            f"knows which rows it has not seen; train it again: python kit.py train {name}"
        )
    learned, rows, answers, truth = split(dataset, seed)
    baseline = (DummyClassifier if card.classes else DummyRegressor)().fit(learned, answers)
    return HeldOut(rows_of(pd.DataFrame(rows), card.features), truth, baseline.predict(rows))


def of_table(path: Path, card: Card, target: str | None) -> HeldOut:
    """The rows of a CSV file with a header: the features by name, and the true answer in the column `target`,
    or in that of the card's target. Raises HeldOutError."""
    target = target or card.target.name
    try:
        table = pd.read_csv(path, encoding="utf-8-sig", skipinitialspace=True)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise HeldOutError(f"{path} cannot be read as CSV in UTF-8 with a header: {error}") from error
    names = [feature.name for feature in card.features]
    if missing := [name for name in [*names, target] if name not in table.columns]:
        raise HeldOutError(
            f"{path} has no column {', '.join(missing)}: expected {', '.join(names)}, and the true answer in "
            f"{target!r} (another: --target COLUMN)"
        )
    if not len(table):
        raise HeldOutError(f"{path} has a header and no rows")
    features, truth = table[names], table[target]
    for feature in card.features:
        check_column(path, feature, features[feature.name])
    if card.classes:
        known = {str(label): label for label in card.raw_labels}
        known |= dict(zip(card.classes, card.raw_labels, strict=True))
        truth = truth.map(lambda name: known.get(str(name)))
        if truth.isna().any():
            row = int(np.flatnonzero(truth.isna())[0]) + 2
            raise HeldOutError(
                f"{path}, line {row}: expected a class of the model in {target}: {', '.join(card.classes)}"
            )
        guess = truth.mode()[0]
    elif not pd.api.types.is_numeric_dtype(truth) or truth.isna().any():
        raise HeldOutError(f"{path}: expected a number in every row of the column {target}")
    else:
        guess = truth.mean()
    rows = rows_of(features, card.features)
    return HeldOut(rows, truth.to_numpy(), np.full(len(truth), guess))


def check_column(path: Path, feature: Feature, column: pd.Series) -> None:
    """Raises HeldOutError where it holds what the model does not take."""
    if column.isna().any() and not feature.may_be_missing:
        raise HeldOutError(f"{path}: expected a value in every row of the column {feature.name}")
    if feature.kind == "number" and not pd.api.types.is_numeric_dtype(column):
        raise HeldOutError(f"{path}: expected a number in every row of the column {feature.name}")
    known = [*(feature.categories or []), *(feature.labels or [])]
    if feature.kind == "category" and not column.dropna().isin(known).all():
        raise HeldOutError(
            f"{path}: expected one of {', '.join(feature.categories)} in the column {feature.name}"
        )

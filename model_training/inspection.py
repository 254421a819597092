"""What a fitted scikit-learn model tells of the columns that it takes: which categories its encoders know,
whether it was made for missing values, and where its numbers lie.

Only what sees a column as it comes can tell: what stands behind an encoder sees other columns."""

import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline

INNER = ("best_estimator_", "regressor_", "estimator_", "_preprocessor")  # of one model in another
INNERS = ("estimators_", "calibrated_classifiers_")
MIDDLE_AND_SPREAD = (("mean_", "scale_"), ("center_", "scale_"), ("statistics_", None), ("theta_", "var_"))

Places = list[int | None]  # the columns that a step is given; None for one that a step before it has made


@dataclass
class Column:
    """`categories` are as the encoder has them, without what stands for missing, which is `empty`."""

    categories: list | None = None
    may_be_missing: bool = False
    empty: float | None = math.nan
    middle: float | None = None
    spread: float | None = None


class TextError(ValueError):
    """The model takes free texts; the message is the name of what reads them."""


def columns_of(model: BaseEstimator, names: list[str]) -> list[Column]:
    """Of each of the columns `names`, in their order. Raises TextError."""
    found = [Column() for _ in names]
    look(model, [*range(len(names))], found, names)
    return found


def look(step: object, places: Places, found: list[Column], names: list[str]) -> Places:
    """Note what a step tells of the columns `places` that it is given. Returns those that it gives on."""
    if step is None or step == "passthrough":
        return places
    if step == "drop":
        return []
    if isinstance(step, Pipeline):
        for _, one in step.steps:
            places = look(one, places, found, names)
        return places
    if isinstance(step, ColumnTransformer):
        names = [str(name) for name in getattr(step, "feature_names_in_", names)]
        parts = [
            look(one, [places[at] for at in positions(chosen, names, len(places))], found, names)
            for _, one, chosen in step.transformers_
        ]
        return [place for part in parts for place in part]
    if isinstance(step, FeatureUnion):
        return [place for _, one in step.transformer_list for place in look(one, places, found, names)]
    if hasattr(step, "vocabulary_") or type(step).__name__ == "HashingVectorizer":
        raise TextError(type(step).__name__)
    known = [(place, found[place]) for place in places if place is not None]
    if isinstance(categories := getattr(step, "categories_", None), list) and len(categories) == len(places):
        for place, values in zip(places, categories, strict=True):
            if place is not None:
                note_categories(found[place], values.tolist())
        return [None]
    note_numbers(step, places, found)
    if type(step).__name__.endswith("Imputer") or hasattr(step, "_bin_mapper"):
        for _, column in known:
            column.may_be_missing = True
        if isinstance(step, SimpleImputer) and step.missing_values is None:
            for _, column in known:
                column.empty = None
    for inner in inner_steps(step):
        look(inner, places, found, names)
    return places if isinstance(step, OneToOneFeatureMixin) or keeps(step, len(places)) else [None]


def positions(chosen: object, names: list[str], count: int) -> list[int]:
    """Of columns that are chosen as a ColumnTransformer may have them: names, numbers, a slice, a mask."""
    if isinstance(chosen, slice):
        if isinstance(chosen.start, str) or isinstance(chosen.stop, str):
            start = names.index(chosen.start) if chosen.start else 0
            return [*range(start, names.index(chosen.stop) + 1 if chosen.stop else count)]
        return [*range(count)][chosen]
    chosen = [chosen] if isinstance(chosen, str | int) else [*chosen]
    if chosen and isinstance(chosen[0], bool | np.bool_):
        return np.flatnonzero(chosen).tolist()
    return [names.index(one) if isinstance(one, str) else int(one) % count for one in chosen]


def note_categories(column: Column, values: list) -> None:
    missing = [value for value in values if value is None or value != value]
    if missing:
        column.may_be_missing, column.empty = True, None if missing[0] is None else math.nan
    if column.categories is None:
        column.categories = [value for value in values if value is not None and value == value]


def note_numbers(step: object, places: Places, found: list[Column]) -> None:
    """Where a step has seen the numbers of its columns."""
    for middle, spread in MIDDLE_AND_SPREAD:
        middles = getattr(step, middle, None)
        if not isinstance(middles, np.ndarray) or middles.dtype.kind not in "fi":
            continue
        middles, spreads = np.atleast_2d(middles).mean(axis=0), getattr(step, spread or "", None)
        if len(middles) != len(places):
            continue
        spreads = np.atleast_2d(np.ones(len(places)) if spreads is None else spreads).mean(axis=0)
        for place, center, width in zip(places, middles.tolist(), spreads.tolist(), strict=True):
            if place is not None and not (found[place].spread and middle == "statistics_"):
                found[place].middle, found[place].spread = center, width if spread else None


def inner_steps(step: object) -> Iterable[object]:
    """The models in a model that take the columns as it does."""
    for name in INNER:
        if isinstance(getattr(step, name, None), BaseEstimator):
            yield getattr(step, name)
    if not hasattr(step, "estimators_features_"):  # each with columns of its own
        for name in INNERS:
            inner = getattr(step, name, [])
            for one in inner.ravel() if isinstance(inner, np.ndarray) else inner:
                yield getattr(one, "estimator", one)


def keeps(step: object, count: int) -> bool:
    """Whether a step that says nothing of it gives on as many columns as it is given, each in its place."""
    if type(step).__name__ == "FunctionTransformer":
        return step.func is None or step.feature_names_out == "one-to-one"
    if not type(step).__name__.endswith("Imputer"):
        return False
    with suppress(Exception):
        names = [f"x{place}" for place in range(count)]
        own = getattr(step, "feature_names_in_", names)
        return [*step.get_feature_names_out()] == [*own]
    return False

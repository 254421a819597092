"""Rows that a fitted model can answer, where nobody gave any: near its training, if it remembers that."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from model_training.card import Feature
from model_training.inspection import Column

COUNT = 256
REMEMBERED = ("X_", "X_train_", "_fit_X", "support_vectors_", "cluster_centers_", "X_thresholds_")  # rows
MIDDLE_AND_SPREAD = (("mean_", "scale_"), ("center_", "scale_"), ("theta_", "var_"), ("means_", None))
LOW_AND_HIGH = (("data_min_", "data_max_"),)


def feature_count(model: BaseEstimator) -> int | None:
    """How many features a fitted model takes; None where it does not say."""
    found = getattr(model, "n_features_in_", None)
    return 1 if found is None and hasattr(model, "X_min_") else found  # IsotonicRegression takes one


def made_up_mixed_rows(model: BaseEstimator, features: list[Feature], known: list[Column]) -> np.ndarray:
    """The same where some features are categories, or may be missing, as one in eight then is. How such rows
    are written, model_training/rows.py says."""
    random = np.random.default_rng(1)
    plain = not any(feature.categories for feature in features)
    rows = made_up_rows(model) if plain else random.normal(size=(COUNT, len(features)))
    for place, (feature, column) in enumerate(zip(features, known, strict=True)):
        if feature.categories:
            rows[:, place] = random.integers(0, len(feature.categories), COUNT)
        elif column.middle is not None:
            width = column.spread or abs(column.middle) / 8 or 1.0
            rows[:, place] = column.middle + 2 * width * random.normal(size=COUNT)
        if feature.may_be_missing:
            rows[random.random(COUNT) < 1 / 8, place] = np.nan
    return rows


def made_up_rows(model: BaseEstimator) -> np.ndarray:
    """Rows of shape (n, features), n from 256: around what the model's first step remembers of its training,
    and of every size from 0.01 to 1,000, both signs."""
    random = np.random.default_rng(1)
    count = feature_count(model)
    anywhere = random.normal(size=(COUNT, count)) * 10.0 ** random.integers(-2, 4, (COUNT, 1))
    near = remembered_rows(model, count, random)
    return anywhere if near is None else near


def remembered_rows(model: BaseEstimator, count: int, random: np.random.Generator) -> np.ndarray | None:
    """Rows like those of the training, or None where the model keeps nothing that tells them."""
    first = model.steps[0][1] if isinstance(model, Pipeline) else model
    first = getattr(first, "regressor_", first)  # TransformedTargetRegressor's
    for name in REMEMBERED:
        rows = getattr(first, name, None)
        if isinstance(rows, np.ndarray) and rows.size and (rows.ndim == 1 or rows.shape[1:] == (count,)):
            rows = rows.reshape(-1, count).astype(np.float64)
            one, other = (rows[random.integers(0, len(rows), COUNT)] for _ in range(2))
            return np.where(np.arange(COUNT)[:, None] % 2, one, (one + other) / 2)  # such rows, and between
    for low, high in LOW_AND_HIGH:
        if is_of(getattr(first, low, None), count) and is_of(getattr(first, high, None), count):
            return random.uniform(getattr(first, low), getattr(first, high), (COUNT, count))
    for middle, spread in MIDDLE_AND_SPREAD:
        center = getattr(first, middle, None)
        if not (isinstance(center, np.ndarray) and center.shape[-1:] == (count,)):
            continue
        width = getattr(first, spread, None) if spread else None
        if width is None or np.shape(width)[-1:] != (count,):
            width = np.ones(count)
        width = np.sqrt(width) if spread == "var_" else width
        centers = np.atleast_2d(center)
        chosen = random.integers(0, len(centers), COUNT)
        return centers[chosen] + np.broadcast_to(width, centers.shape)[chosen] * 2 * random.normal(
            size=(COUNT, count)
        )
    return rows_of_trees(first, count, random)


def rows_of_trees(model: BaseEstimator, count: int, random: np.random.Generator) -> np.ndarray | None:
    """Rows around the thresholds at which the model's trees part."""
    trees = getattr(model, "estimators_", [model])
    trees = [tree for tree in np.ravel(np.array(trees, dtype=object)) if hasattr(tree, "tree_")]
    if not trees:
        return None
    low, high = np.zeros(count), np.ones(count)
    for place in range(count):
        found = np.concatenate([tree.tree_.threshold[tree.tree_.feature == place] for tree in trees])
        if len(found):
            low[place], high[place] = found.min() - 1, found.max() + 1
    return random.uniform(low, high, (COUNT, count))


def is_of(values, count: int) -> bool:
    return isinstance(values, np.ndarray) and values.shape == (count,)

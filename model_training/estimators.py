"""A scikit-learn estimator, asked with a card's rows."""

from collections.abc import Callable

import numpy as np

from model_training.card import Card, Feature, Target
from model_training.rows import looked_up, table_of

# Takes rows of shape (n, features), as floats (model_training/rows.py); gives predictions, shape (n,), and
# for classifiers probabilities, shape (n, classes). Of several targets: predictions of shape (n, targets),
# and such probabilities for each.
Probabilities = np.ndarray | list[np.ndarray]
Predict = Callable[[np.ndarray], tuple[np.ndarray, Probabilities | None]]

# Classifiers whose prediction is the class with the largest probability, by their source: one call gives both
# in half the time. Of others (a support vector machine, say) that is not so for every row.
LARGEST_SHARE = {
    *("RandomForestClassifier", "ExtraTreesClassifier", "DecisionTreeClassifier", "ExtraTreeClassifier"),
    *("GradientBoostingClassifier", "HistGradientBoostingClassifier", "LogisticRegression", "GaussianNB"),
    "MLPClassifier",
}


def with_estimator(estimator, card: Card) -> Predict:
    return asking(estimator, card.features, card.has_probabilities, card.targets)


def asking(estimator, features: list[Feature], shares: bool, targets: list[Target] | None = None) -> Predict:
    """What a scikit-learn estimator answers; with probabilities where `shares`."""
    last = estimator[-1] if hasattr(estimator, "named_steps") else estimator
    one_call = shares and not targets and type(last).__name__ in LARGEST_SHARE
    given = table_feed(estimator, features)

    def predict(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        rows = given(rows)
        if one_call:
            found = estimator.predict_proba(rows)
            return estimator.classes_.take(found.argmax(axis=1)), found
        predictions = estimator.predict(rows).reshape(len(rows))  # of a target that was a column, (n, 1)
        return predictions, estimator.predict_proba(rows) if shares else None

    def predict_several(rows: np.ndarray) -> tuple[np.ndarray, list[np.ndarray] | None]:
        rows = given(rows)
        predictions = np.asarray(estimator.predict(rows))
        return predictions, each_share(estimator.predict_proba(rows)) if shares else None

    return predict_several if targets else predict


def table_feed(estimator, features: list[Feature]) -> Callable[[np.ndarray], object]:
    """What the estimator was fitted on: columns with names, which it wants to see, or without."""
    names = getattr(estimator, "feature_names_in_", None)
    tables = [None] * len(features)
    if any(feature.categories for feature in features):
        from model_training.inspection import columns_of

        known = columns_of(estimator, [feature.name for feature in features])
        tables = [
            table_of(feature, column.empty) if feature.categories else None
            for feature, column in zip(features, known, strict=True)
        ]
    else:
        if names is None:
            return lambda rows: rows

        def framed(rows: np.ndarray):
            import pandas

            return pandas.DataFrame(rows, columns=names)

        return framed

    def columns(rows: np.ndarray) -> list[np.ndarray]:
        return [
            rows[:, place] if table is None else looked_up(table, rows[:, place])
            for place, table in enumerate(tables)
        ]

    if names is None:
        return lambda rows: np.array([column.astype(object) for column in columns(rows)], object).T

    def mixed(rows: np.ndarray):
        import pandas

        return pandas.DataFrame(dict(zip(names, columns(rows), strict=True)))

    return mixed


def each_share(found) -> list[np.ndarray]:
    """Probabilities for each of several targets. Where the model gives one number for each, it is that of the
    second of two classes."""
    if isinstance(found, list):
        return found
    return [np.column_stack([1 - share, share]) for share in np.asarray(found).T]

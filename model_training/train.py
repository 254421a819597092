"""Train a model and export it: python -m model_training.train iris

There are iris, wine, breast_cancer, diabetes and penguins."""

import argparse
import sys
from importlib.metadata import version
from pathlib import Path

from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import get_scorer
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from model_training import datasets
from model_training.card import Card, Metric
from model_training.datasets import Dataset
from model_training.export import PROJECT, export
from model_training.training import Training

TEST_SHARE = 0.2
FOLDS = 5
# For every metric: scikit-learn's scorer, and the sign that turns its score into what people read.
SCORERS = {
    "classification": {"accuracy": ("accuracy", 1)},
    "regression": {"r2": ("r2", 1), "mean absolute error": ("neg_mean_absolute_error", -1)},
}


def train(dataset: Dataset, seed: int = 1) -> Training:
    """Split, cross-validate, fit, and evaluate against a baseline that never looks at the features."""
    if dataset.classes:
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        baseline, folds = DummyClassifier(), StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    else:
        model = make_pipeline(StandardScaler(), Ridge())
        baseline, folds = DummyRegressor(), KFold(FOLDS, shuffle=True, random_state=seed)
    if dataset.categories:  # numbers and categories each need first steps of their own
        model.steps[0] = ("columns", by_kind(dataset))

    X_train, X_test, y_train, y_test = split(dataset, seed)
    model.fit(X_train, y_train)
    baseline.fit(X_train, y_train)
    metrics = {}
    for name, (scorer, sign) in SCORERS[dataset.task].items():
        score = get_scorer(scorer)
        metrics[name] = Metric(
            test=round(sign * score(model, X_test, y_test), 4),
            baseline=round(sign * score(baseline, X_test, y_test), 4),
            folds=[
                round(sign * fold, 4)
                for fold in cross_val_score(model, X_train, y_train, cv=folds, scoring=score)
            ],
        )
    return Training(dataset, model, metrics, inputs_of(dataset, model, seed))


def by_kind(dataset: Dataset) -> ColumnTransformer:
    """The first step for a table of numbers and categories. What is missing is filled in: a number by the
    median, a category by the most frequent one. Then numbers come on one scale, and a category becomes a
    column of 0 and 1 for each of its values."""
    numbers = [name for name in dataset.features if name not in dataset.categories]
    return make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (
            make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
            dataset.categories,
        ),
    )


def split(dataset: Dataset, seed: int) -> list:
    """X_train, X_test, y_train, y_test; a fifth of the rows for the test, every class in its proportion.

    Plain arrays, since a server will send rows of numbers without the names of their columns; where some
    columns are categories, which a step of the model takes by name, a table."""
    return train_test_split(
        dataset.features if dataset.categories else dataset.features.to_numpy(),
        dataset.target.to_numpy(),
        test_size=TEST_SHARE,
        random_state=seed,
        stratify=dataset.target if dataset.classes else None,
    )


def inputs_of(dataset: Dataset, model: BaseEstimator, seed: int) -> dict:
    """Everything that decides what is learned."""
    parameters = {name: repr(value) for name, value in model.get_params().items() if "__" in name}
    return {
        "dataset": dataset.name,
        "dataset_sha256": dataset.sha256(),
        "seed": seed,
        "test_share": TEST_SHARE,
        "parameters": parameters,
        "versions": {library: version(library) for library in ("scikit-learn", "numpy", "scipy")},
    }


def report(card: Card, folder: Path) -> str:
    """What was trained, how good it is, and where it is, for a terminal."""
    lines = [f"{card.name} {card.version}: {card.title}", f"  {card.algorithm}"]
    for name, metric in card.metrics.items():
        spread = f"{min(metric.folds):.3f} to {max(metric.folds):.3f}"
        lines.append(
            f"  {name} {metric.test:.3f} on test rows (baseline {metric.baseline:.3f}, folds {spread})"
        )
    lines += [f"  {folder / entry.file}, {entry.bytes / 1024:.1f} KiB" for entry in card.files.values()]
    return "\n".join([*lines, "  model.pkl, the same as model.joblib, with its card.json beside it"])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m model_training.train", description=__doc__.split(":")[0])
    parser.add_argument("dataset", nargs="?", default="iris", help=", ".join(datasets.LOADERS))
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same model (default: 1)")
    parser.add_argument(
        "--root", type=Path, default=PROJECT, help="where models/ and model.pkl go (default: the project)"
    )
    options = parser.parse_args(argv)
    try:
        training = train(datasets.load(options.dataset), options.seed)
        folder = options.root / "models" / options.dataset
        card = export(training, folder, pickle_path=options.root / "model.pkl")
    except (ValueError, OSError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    print(report(card, folder.relative_to(options.root)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

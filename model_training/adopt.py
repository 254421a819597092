"""Make a model that somebody else trained servable: python -m model_training.adopt path/to/model.pkl

Any scikit-learn classifier, regressor or outlier detector on numbers and categories. Loading a pickle runs
whatever code it holds, so adopt only what you trust: from then on its hash is known, and the servers load it
and nothing else."""

import argparse
import hashlib
import io
import re
import sys
import warnings
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
import skops.io
from sklearn.base import BaseEstimator, is_classifier, is_outlier_detector, is_regressor
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.pipeline import Pipeline

from model_training.artifact import TRUSTED_TYPES
from model_training.card import Card, Feature, GoldenRow, Preset, Target
from model_training.estimators import Probabilities, each_share, table_feed, with_estimator
from model_training.export import (
    PROJECT,
    ConversionError,
    check_agreement,
    files_of,
    to_onnx_bytes,
    with_gaps,
    write,
)
from model_training.inspection import Column, TextError, columns_of
from model_training.rows import Columns
from model_training.samples import feature_count, made_up_mixed_rows
from model_training.tables import TableError, categories_of, read_columns, read_table

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII).fullmatch
GOLDEN_ROWS = 5


class AdoptionError(ValueError):
    """A file that is not a model which can be served, and why."""


def adopt(path: Path, name: str, data: Path | None, root: Path) -> tuple[Card, str | None]:
    """Write models/<name>/ and the root's model.pkl for the model in `path`. Returns its card, and why there
    is no ONNX file, where there is none. Nothing is written where anything is wrong: raises AdoptionError."""
    if not NAME(name):
        raise AdoptionError(
            "expected a name of lower-case letters, digits, '.', '_' and '-': give one with --name"
        )
    content = read(path)
    model = load(path, content)
    names = [str(n) for n in getattr(model, "feature_names_in_", range(1, feature_count(model) + 1))]
    if not hasattr(model, "feature_names_in_"):
        names = [f"feature {number}" for number in names]
    features, rows = features_of(model, path, names, data)
    rows = answerable(model, path, features, rows, given=data is not None)
    card = describe(model, content, name, path, features, rows, given=data is not None)
    contents, refused = convert(model, card, rows, content)
    card = card.model_copy(update={"files": files_of(contents)})
    write(card, contents, root / "models" / name, root / "model.pkl")
    return card, refused


def features_of(
    model: BaseEstimator, path: Path, names: list[str], data: Path | None
) -> tuple[list[Feature], np.ndarray]:
    """The features, and rows as model_training/rows.py has them. Raises AdoptionError."""
    try:
        known = columns_of(model, names)
    except TextError as error:
        raise AdoptionError(
            f"{path} takes free texts, which its {error} reads: expected a model of numbers and categories"
        ) from None
    if data is None:
        features = [
            Feature(name=name, **(categories_of(column.categories) if column.categories else {}))
            for name, column in zip(names, known, strict=True)
        ]
        rows = made_up_mixed_rows(model, features, known)
    else:
        try:
            table = read_table(data, names, named=hasattr(model, "feature_names_in_"))
            features, rows = read_columns(data, table, names, known)
        except TableError as error:
            raise AdoptionError(str(error)) from None
    features = [
        feature.model_copy(
            update={"may_be_missing": takes_gaps(model, path, features, rows, place, known, data)}
        )
        for place, feature in enumerate(features)
    ]
    return features, rows if data else made_up_mixed_rows(model, features, known)


def takes_gaps(
    model, path: Path, features: list[Feature], rows: np.ndarray, place: int, known: list[Column], data
) -> bool:
    """Whether the feature at `place` may be missing: where it is in the data, or where a step of the model is
    made for that. Raises AdoptionError where it is in the data, and the model has no answer then."""
    gaps = np.isnan(rows[:, place])
    if not (gaps.any() or known[place].may_be_missing):
        return False
    asked = rows[gaps][:8] if gaps.any() else rows[:8].copy()
    asked[:, place] = np.nan
    with_gap = [f.model_copy(update={"may_be_missing": True}) for f in features]
    try:
        predictions, _ = answers(model, path, with_gap, asked)
        if predictions.dtype.kind != "f" or np.isfinite(predictions).all():
            return True
    except AdoptionError:
        pass
    if gaps.any():
        kind = "a category" if features[place].categories else "a number"
        raise AdoptionError(
            f"{data}: expected {kind} in every row of the column {features[place].name}; row "
            f"{np.flatnonzero(gaps)[0] + 2} has none, and the model has no answer then"
        )
    return False


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AdoptionError(f"{path} cannot be read: {error.strerror}") from error


def load(path: Path, content: bytes) -> BaseEstimator:
    """The fitted estimator in the file's bytes, which run as code here. Raises AdoptionError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", InconsistentVersionWarning)
            model = joblib.load(io.BytesIO(content))
    except InconsistentVersionWarning as warning:
        raise AdoptionError(
            f"{path} was written with scikit-learn {warning.original_sklearn_version}, this is "
            f"{warning.current_sklearn_version}: install that version, or train the model again"
        ) from None
    except AttributeError as error:
        raise AdoptionError(
            f"{path} needs code that is not here ({error}): put that class or function into a module that "
            "can be imported here, and write the model again"
        ) from error
    except ModuleNotFoundError as error:
        raise AdoptionError(f"{path} needs the package {error.name}: install it, then again") from error
    except Exception as error:
        raise AdoptionError(
            f"{path} is no file that joblib or pickle wrote: {type(error).__name__}"
        ) from error
    if not isinstance(model, BaseEstimator) or not (
        is_classifier(model) or is_regressor(model) or is_outlier_detector(model)
    ):
        raise AdoptionError(
            f"{path} holds a {type(model).__name__}: expected a fitted classifier, regressor or outlier "
            "detector"
        )
    if not hasattr(model, "predict"):
        raise AdoptionError(
            f"{path} holds a {type(model).__name__} that cannot predict: LocalOutlierFactor, say, has to be "
            "made with novelty=True"
        )
    if feature_count(model) is None:
        with_texts(model, path)
        raise AdoptionError(
            f"{path} holds a {type(model).__name__} that was not fitted: call fit, write it again"
        )
    return model


def with_texts(model, path: Path) -> None:
    """Raises AdoptionError for a model that takes one column of texts, and so cannot tell of how many."""
    try:
        columns_of(model, ["text"])
    except TextError as error:
        raise AdoptionError(
            f"{path} takes free texts, which its {error} reads: expected a model of numbers and categories"
        ) from None


def answerable(model, path: Path, features: list[Feature], rows: np.ndarray, given: bool) -> np.ndarray:
    """The rows that the model answers with finite numbers, all of them where they were `given`. Raises
    AdoptionError where there are too few, and for a model that answers the same row otherwise each time."""
    predictions, probabilities = answers(model, path, features, rows)
    finite = np.ones(len(rows), bool)
    for found in [predictions, *(probabilities if isinstance(probabilities, list) else [probabilities])]:
        if found is not None and found.dtype.kind == "f":
            finite &= np.isfinite(found).reshape(len(rows), -1).all(axis=1)
    if given and not finite.all():
        raise AdoptionError(
            f"{path} answers row {np.flatnonzero(~finite)[0] + 2} of the data with no finite number: "
            "take out rows like it, or train the model so that it answers them"
        )
    if finite.sum() < GOLDEN_ROWS and not given:
        raise AdoptionError(
            f"{path} answers rows that were made up with no finite numbers: give rows that it knows with "
            "--data sample.csv"
        )
    rows, predictions = rows[finite], predictions[finite]
    again, _ = answers(model, path, features, rows[::-1])
    if predictions.dtype.kind == "f":
        same = np.allclose(again[::-1], predictions, rtol=1e-6)
    else:
        same = bool(np.all(again[::-1] == predictions))
    if not same:
        raise AdoptionError(
            f"{path} answers the same row otherwise each time: it guesses. Nobody could tell its file from a "
            "damaged one: adopt a model whose answers follow from the row"
        )
    return rows


def describe(
    model, content: bytes, name: str, path: Path, features: list[Feature], rows: np.ndarray, given: bool
) -> Card:
    """The card of an adopted model, without its files."""
    predictions, probabilities = answers(model, path, features, rows)
    targets = targets_of(model, predictions)
    several = len(targets) > 1
    target = targets[0]
    if not several and probabilities is not None and len(target.raw_labels) != probabilities.shape[1]:
        raise AdoptionError(f"{path} gives other probabilities than one for each of its classes")
    _, chosen = np.unique(predictions.astype(str) if several else predictions, return_index=True, axis=0)
    chosen = sorted({*chosen[:GOLDEN_ROWS].tolist(), *range(min(len(rows), GOLDEN_ROWS))})[: 2 * GOLDEN_ROWS]
    golden = [
        golden_row(sent, predictions[number], probabilities, number, targets)
        for number, sent in zip(chosen, Columns(features).decode(rows[chosen]), strict=True)
    ]
    algorithm = (
        " + ".join(type(step).__name__ for _, step in model.steps)
        if isinstance(model, Pipeline)
        else type(model).__name__
    )
    digest = hashlib.sha256(content).hexdigest()
    modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return Card(
        name=name,
        version=digest[:12],
        title=f"{algorithm}, adopted",
        origin=f"The file {path.name}, adopted as it was.",
        task=task_of(model),
        features=features,
        target=Target(name=", ".join(one.name for one in targets)),
        targets=targets if several else None,
        classes=None if several else target.classes,
        labels=None if several else target.labels,
        presets=[
            Preset(label=f"row {number + 1}", features=row.features) for number, row in enumerate(golden[:3])
        ]
        if given
        else [],
        algorithm=algorithm,
        metrics={},
        golden=golden,
        inputs={"versions": {library: version(library) for library in ("scikit-learn", "numpy", "scipy")}},
        trained_at=modified.isoformat(timespec="seconds").replace("+00:00", "Z"),
        files={},
    )


def golden_row(sent: list, prediction, probabilities, number: int, targets: list[Target]) -> GoldenRow:
    """The row as it is sent, and what the model answers."""
    if len(targets) == 1:
        found = plain(prediction)
        label = dict(zip(targets[0].raw_labels, targets[0].classes or [], strict=True)).get(found)
        shares = None if probabilities is None else probabilities[number].tolist()
        return GoldenRow(features=sent, prediction=found, label=label, probabilities=shares)
    found = [plain(one) for one in prediction]
    label = None
    if targets[0].classes:
        label = [one.classes[one.raw_labels.index(raw)] for one, raw in zip(targets, found, strict=True)]
    shares = None if probabilities is None else [one[number].tolist() for one in probabilities]
    return GoldenRow(features=sent, prediction=found, label=label, probabilities=shares)


def plain(found):
    """Python's own value of NumPy's."""
    return found.item() if hasattr(found, "item") else found


def task_of(model) -> str:
    if is_outlier_detector(model):
        return "outlier detection"
    return "classification" if is_classifier(model) else "regression"


def targets_of(model, predictions: np.ndarray) -> list[Target]:
    """What the model predicts: one target, or as many as an answer has parts."""
    count = predictions.shape[1] if predictions.ndim == 2 else 1
    if is_outlier_detector(model):
        return [Target(name="verdict", classes=["outlier", "inlier"], labels=[-1, 1])]
    if not is_classifier(model):
        return [Target(name=f"value {n}" if count > 1 else "value") for n in range(1, count + 1)]
    known = getattr(model, "classes_", [])
    if count > 1 and not (isinstance(known, list) and len(known) == count):
        known = [np.array([0, 1], predictions.dtype)] * count  # of each target, whether it is so
    found = []
    for number, labels in enumerate(known if count > 1 else [known], 1):
        labels = [plain(label) for label in labels]
        found.append(
            Target(
                name=f"class {number}" if count > 1 else "class",
                classes=[str(label) for label in labels],
                labels=None if repr(labels) == repr([*range(len(labels))]) else labels,
            )
        )
    return found


def answers(
    model, path: Path, features: list[Feature], rows: np.ndarray
) -> tuple[np.ndarray, Probabilities | None]:
    """What scikit-learn answers for the rows. Raises AdoptionError where it does not."""
    given = table_feed(model, features)(rows)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            predictions = np.asarray(model.predict(given))
            probabilities = model.predict_proba(given) if hasattr(model, "predict_proba") else None
    except NotFittedError:
        raise AdoptionError(f"{path} holds a model that was not fitted: call fit, write it again") from None
    except Exception as error:
        raise AdoptionError(
            f"{path} does not answer rows of numbers and categories ({str(error).splitlines()[0]}): give "
            "rows that it knows with --data sample.csv; a model of free texts cannot be served here"
        ) from error
    if predictions.ndim == 2 and predictions.shape[1] == 1:
        predictions = predictions[:, 0]  # of a target that was a column
        probabilities = probabilities[0] if isinstance(probabilities, list) else probabilities
    if predictions.ndim > 2:
        raise AdoptionError(f"{path} answers each row with a table; expected one prediction, or several")
    if predictions.ndim == 2 and probabilities is not None:
        probabilities = each_share(probabilities)
    return predictions, probabilities


def convert(model, card: Card, rows: np.ndarray, content: bytes) -> tuple[dict[str, bytes], str | None]:
    """The model in every format that keeps its answers, and why ONNX is not among them, if it is not."""
    contents: dict[str, bytes] = {}
    refused = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            contents["onnx"] = to_onnx_bytes(model, card.features)
            gaps = with_gaps(rows, card.features)
            check_agreement(with_estimator(model, card), contents["onnx"], card, gaps)
    except ConversionError as error:
        contents.pop("onnx")
        refused = str(error)
    except Exception as error:  # skl2onnx raises whatever it likes
        contents.pop("onnx", None)
        refused = f"it cannot be converted ({type(error).__name__})"
    try:
        stored = skops.io.dumps(model)
        if not {*skops.io.get_untrusted_types(data=stored)} - {*TRUSTED_TYPES}:
            contents["skops"] = stored
    except Exception:  # a type that skops does not know: joblib remains
        pass
    contents["joblib"] = content
    return contents, refused


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m model_training.adopt", description=__doc__.split(":")[0])
    parser.add_argument("path", type=Path, help="a file that joblib or pickle wrote; its code runs: trust it")
    parser.add_argument("--name", help="what it is to be called (default: the file's name)")
    parser.add_argument("--data", type=Path, help="a CSV file of rows like those it will be sent, for ranges")
    parser.add_argument(
        "--root", type=Path, default=PROJECT, help="where models/ goes (default: the project)"
    )
    options = parser.parse_args(argv)
    name = options.name or re.sub(r"[^a-z0-9._-]+", "-", options.path.stem.lower()).strip("-._") or "model"
    try:
        card, refused = adopt(options.path, name, options.data, options.root)
    except (ValueError, OSError) as error:
        print(f"adopt: {error}", file=sys.stderr)
        return 1
    known = "ranges from the data" if options.data else "no ranges: --data sample.csv would give them"
    print(f"{card.name} {card.version}: {card.algorithm}, {card.task}")
    print(f"  {len(card.features)} features, {known}")
    if mixed := [feature.name for feature in card.features if feature.categories]:
        print(f"  categories: {', '.join(mixed)}")
    print(f"  written: models/{card.name}, and model.pkl with its card.json: kit.py up serves it")
    print("  ONNX answers, and agrees with scikit-learn" if refused is None else f"  no ONNX: {refused}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

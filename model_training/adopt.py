"""Make a model that somebody else trained servable: python -m model_training.adopt path/to/model.pkl

Any scikit-learn classifier or regressor on numeric features. Loading a pickle runs whatever code it holds, so
adopt only what you trust: from then on its hash is known, and the servers load it and nothing else."""

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
import pandas as pd
import skops.io
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.pipeline import Pipeline

from model_training.artifact import with_estimator
from model_training.card import Card, Feature, GoldenRow, Preset, Target
from model_training.export import (
    PROJECT,
    ConversionError,
    check_agreement,
    describe_feature,
    files_of,
    to_onnx_bytes,
    write,
)
from model_training.samples import feature_count, made_up_rows

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
    sample = read_sample(data, names, named=hasattr(model, "feature_names_in_")) if data else None
    rows = sample.to_numpy(np.float64) if sample is not None else made_up_rows(model)
    rows = answerable(model, path, rows, given=sample is not None)
    card = describe(model, content, name, path, sample, rows, names)
    contents, refused = convert(model, card, rows, content)
    card = card.model_copy(update={"files": files_of(contents)})
    write(card, contents, root / "models" / name, root / "model.pkl")
    return card, refused


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
    if not isinstance(model, BaseEstimator) or not (is_classifier(model) or is_regressor(model)):
        raise AdoptionError(
            f"{path} holds a {type(model).__name__}: expected a fitted classifier or regressor"
        )
    if feature_count(model) is None:
        raise AdoptionError(
            f"{path} holds a {type(model).__name__} that was not fitted: call fit, write it again"
        )
    return model


def read_sample(path: Path, names: list[str], named: bool) -> pd.DataFrame:
    """The features in a CSV file with a header: by name where the model knows names, else in order, where
    columns beyond them are left out. Raises AdoptionError."""
    try:
        table = pd.read_csv(path, encoding="utf-8-sig", skipinitialspace=True)
    except OSError as error:
        raise AdoptionError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise AdoptionError(f"{path} is not UTF-8: save it as CSV UTF-8") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise AdoptionError(f"{path} is not a CSV file with a header: {error}") from error
    missing = [name for name in names if name not in table.columns]
    if not named and missing:
        if len(table.columns) < len(names):
            raise AdoptionError(
                f"{path} has {len(table.columns)} columns, the model takes {len(names)}: expected a header "
                "and commas between the columns"
            )
        table = table.iloc[:, : len(names)]
    elif missing:
        raise AdoptionError(f"{path} has no column {', '.join(missing)}: expected {', '.join(names)}")
    else:
        table = table[names]
    for column in table:
        numbers = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64)
        wrong = np.flatnonzero(~np.isfinite(numbers))
        if len(wrong):
            raise AdoptionError(
                f"{path}: expected a number in every row of the column {column}; row {wrong[0] + 2} has none"
            )
        table = table.assign(**{str(column): numbers})
    if not len(table):
        raise AdoptionError(f"{path} has a header and no rows")
    return table


def answerable(model, path: Path, rows: np.ndarray, given: bool) -> np.ndarray:
    """The rows that the model answers with finite numbers, all of them where they were `given`. Raises
    AdoptionError where there are too few, and for a model that answers the same row otherwise each time."""
    predictions, probabilities = answers(model, path, rows)
    finite = np.ones(len(rows), bool)
    if predictions.dtype.kind == "f":
        finite &= np.isfinite(predictions)
    if probabilities is not None:
        finite &= np.isfinite(probabilities).all(axis=1)
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
    again, _ = answers(model, path, rows[::-1])
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
    model, content: bytes, name: str, path: Path, sample, rows: np.ndarray, names: list[str]
) -> Card:
    """The card of an adopted model, without its files."""
    labels = [label.item() if hasattr(label, "item") else label for label in getattr(model, "classes_", [])]
    classes = [str(label) for label in labels] or None
    predictions, probabilities = answers(model, path, rows)
    if probabilities is not None and len(labels) != probabilities.shape[1]:
        raise AdoptionError(f"{path} answers several questions at once; expected one prediction for each row")
    _, chosen = np.unique(predictions, return_index=True)
    chosen = sorted({*chosen[:GOLDEN_ROWS].tolist(), *range(min(len(rows), GOLDEN_ROWS))})[: 2 * GOLDEN_ROWS]
    golden = [
        GoldenRow(
            features=rows[number].tolist(),
            prediction=predictions[number].item()
            if hasattr(predictions[number], "item")
            else predictions[number],
            label=str(predictions[number]) if classes else None,
            probabilities=None if probabilities is None else probabilities[number].tolist(),
        )
        for number in chosen
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
        task="classification" if labels else "regression",
        features=[
            Feature(name=feature)
            if sample is None
            else describe_feature(sample.iloc[:, place], None, feature)
            for place, feature in enumerate(names)
        ],
        target=Target(name="class" if labels else "value"),
        classes=classes,
        labels=None if not labels or repr(labels) == repr([*range(len(labels))]) else labels,
        presets=[
            Preset(label=f"row {number + 1}", features=row.features) for number, row in enumerate(golden[:3])
        ]
        if sample is not None
        else [],
        algorithm=algorithm,
        metrics={},
        golden=golden,
        inputs={"versions": {library: version(library) for library in ("scikit-learn", "numpy", "scipy")}},
        trained_at=modified.isoformat(timespec="seconds").replace("+00:00", "Z"),
        files={},
    )


def answers(model, path: Path, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """What scikit-learn answers for the rows. Raises AdoptionError where it does not."""
    given = (
        pd.DataFrame(rows, columns=model.feature_names_in_) if hasattr(model, "feature_names_in_") else rows
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            predictions = model.predict(given)
            probabilities = model.predict_proba(given) if hasattr(model, "predict_proba") else None
    except NotFittedError:
        raise AdoptionError(f"{path} holds a model that was not fitted: call fit, write it again") from None
    except Exception as error:
        raise AdoptionError(
            f"{path} does not answer rows of numbers ({str(error).splitlines()[0]}): give rows that it "
            "knows with --data sample.csv; a model of texts or categories cannot be served here"
        ) from error
    if np.ndim(predictions) == 2 and predictions.shape[1] == 1:
        predictions = predictions[:, 0]  # of a target that was a column
    if np.ndim(predictions) != 1 or isinstance(probabilities, list):
        raise AdoptionError(f"{path} answers several questions at once; expected one prediction for each row")
    return predictions, probabilities


def convert(model, card: Card, rows: np.ndarray, content: bytes) -> tuple[dict[str, bytes], str | None]:
    """The model in every format that keeps its answers, and why ONNX is not among them, if it is not."""
    contents: dict[str, bytes] = {}
    refused = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            contents["onnx"] = to_onnx_bytes(model, rows, bool(card.classes))
            check_agreement(with_estimator(model, card), contents["onnx"], card, rows)
    except ConversionError as error:
        contents.pop("onnx")
        refused = str(error)
    except Exception as error:  # skl2onnx raises whatever it likes
        contents.pop("onnx", None)
        refused = f"it cannot be converted ({type(error).__name__})"
    try:
        stored = skops.io.dumps(model)
        if not skops.io.get_untrusted_types(data=stored):
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
    print(f"  written: models/{card.name}, and model.pkl with its card.json: kit.py up serves it")
    print("  ONNX answers, and agrees with scikit-learn" if refused is None else f"  no ONNX: {refused}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

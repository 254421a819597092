"""Write a trained model as a folder: the model in three formats, and the card that describes them."""

import copy
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import joblib
import numpy as np
import skops.io
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.base import BaseEstimator, is_classifier
from sklearn.impute import SimpleImputer

from model_training.artifact import ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE
from model_training.card import Card, Feature, GoldenRow, ModelFile, Preset, Target
from model_training.estimators import Predict, asking, with_estimator
from model_training.rows import MISSING_TEXT, Columns
from model_training.sessions import read_onnx
from model_training.tables import categories_of, described
from model_training.training import Training

PROJECT = Path(__file__).resolve().parent.parent


class ConversionError(ValueError):
    """The ONNX model and the scikit-learn model do not agree."""


def export(training: Training, folder: Path, pickle_path: Path | None = None) -> Card:
    """Write `folder` with card.json, model.onnx, model.skops and model.joblib, all of it or nothing.

    With `pickle_path` also the guide's model.pkl, the same bytes as model.joblib, and beside it the card and
    the ONNX file.
    Raises ConversionError where ONNX and scikit-learn disagree, OSError where the disk does not let us."""
    buffer = io.BytesIO()
    joblib.dump(training.model, buffer)
    features = [
        describe_feature(column, training.dataset.units[name])
        for name, column in training.dataset.features.items()
    ]
    contents = {
        "onnx": to_onnx_bytes(training.model, features),
        "skops": skops.io.dumps(training.model),
        "joblib": buffer.getvalue(),
    }
    rows = rows_of(training.dataset.features, features)
    card = describe(training, features, rows, contents)
    try:
        check_agreement(
            with_estimator(training.model, card), contents["onnx"], card, with_gaps(rows, features)
        )
    except ConversionError as error:
        raise ConversionError(f"{error}; nothing was written") from None
    write(card, contents, folder, pickle_path)
    return card


def write(card: Card, contents: dict[str, bytes], folder: Path, pickle_path: Path | None) -> None:
    """The folder, whole or not at all, and then the files beside `pickle_path`."""
    with replaced_folder(folder) as new:
        for format, content in contents.items():
            (new / card.files[format].file).write_bytes(content)
        (new / "card.json").write_text(card.to_json(), encoding="utf-8")
    if pickle_path:
        onnx_path = pickle_path.with_name("model.onnx")
        replace_file(pickle_path, contents["joblib"])
        if "onnx" in contents:
            replace_file(onnx_path, contents["onnx"])
        else:
            onnx_path.unlink(missing_ok=True)
        replace_file(pickle_path.with_name("card.json"), card.to_json().encode())


def files_of(contents: dict[str, bytes]) -> dict[str, ModelFile]:
    return {
        format: ModelFile(file=f"model.{format}", sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
        for format, data in contents.items()
    }


def to_onnx_bytes(model: BaseEstimator, features: list[Feature]) -> bytes:
    """The model as ONNX: takes float32 of shape (n, features), or, where some are categories, a tensor of
    shape (n, 1) for each; gives predictions, and for a classifier probabilities."""
    options = {"zipmap": False} if is_classifier(model) else None
    if not any(feature.categories for feature in features):
        row = np.zeros((1, len(features)), np.float32)
        return to_onnx(model, row, options=options).SerializeToString()
    inputs = [
        (
            feature.name,
            (StringTensorType if feature.categories and not feature.labels else FloatTensorType)([None, 1]),
        )
        for feature in features
    ]
    found = to_onnx(with_word_for_missing(model), initial_types=inputs, options=options)
    return with_names(found, [feature.name for feature in features]).SerializeToString()


def with_names(model, names: list[str]):
    """The ONNX model with its inputs called `names`, of which skl2onnx takes signs away."""
    called = dict(zip((one.name for one in model.graph.input), names, strict=True))
    for one in model.graph.input:
        one.name = called[one.name]
    for node in model.graph.node:
        node.input[:] = [called.get(name, name) for name in node.input]
    return model


def with_word_for_missing(model: BaseEstimator) -> BaseEstimator:
    """A copy in which what fills in texts looks for the word that stands for missing in ONNX."""
    model = copy.deepcopy(model)
    for step in steps_in(model):
        if isinstance(step, SimpleImputer) and getattr(step, "statistics_", np.empty(0)).dtype == object:
            step.missing_values = MISSING_TEXT
    return model


def steps_in(part: object) -> Iterator[object]:
    """A model and all models in it, however deep."""
    if isinstance(part, list | tuple):
        for one in part:
            yield from steps_in(one)
    elif isinstance(part, BaseEstimator):
        yield part
        for one in vars(part).values():
            yield from steps_in(one)


def rows_of(table, features: list[Feature]) -> np.ndarray:
    """The rows of a DataFrame as model_training/rows.py has them."""
    values = table.astype(object).where(table.notna(), None).to_numpy(object)
    return Columns(features).encode(values.tolist())


def with_gaps(rows: np.ndarray, features: list[Feature]) -> np.ndarray:
    """The rows, and as many of them again for each feature that may be missing, without it; and without all
    of those."""
    gaps = [place for place, feature in enumerate(features) if feature.may_be_missing]
    found = [rows]
    for places in [*([place] for place in gaps), gaps] if gaps else []:
        found.append(rows[:64].copy())
        found[-1][:, places] = np.nan
    return np.concatenate(found)


def check_agreement(predict: Predict, onnx: bytes, card: Card, rows: np.ndarray) -> None:
    """ONNX answers every row as scikit-learn's `predict` does, within what 32 bits allow."""
    predictions, probabilities = read_onnx(onnx, card)(rows)
    expected, shares = predict(rows)
    if card.task == "regression":
        wrong = ~np.isclose(predictions, expected, rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE)
    else:
        wrong = predictions != expected
    wrong = wrong.any(axis=1) if card.targets else wrong
    if probabilities is not None:
        pairs = zip(probabilities, shares, strict=True) if card.targets else [(probabilities, shares)]
        for found, share in pairs:
            wrong |= ~(np.abs(found - share).max(axis=1) <= RELATIVE_TOLERANCE)
    if wrong.any():
        raise ConversionError(
            f"the ONNX model answers {wrong.sum()} of {len(rows)} rows otherwise than scikit-learn"
        )


def describe(
    training: Training, features: list[Feature], rows: np.ndarray, contents: dict[str, bytes]
) -> Card:
    """The card of a trained model. `rows` are those of the dataset."""
    dataset, model = training.dataset, training.model
    predict = asking(model, features, bool(dataset.classes))
    chosen = example_rows(training, predict(rows)[0])
    golden = rows[list(chosen.values())]
    sent = Columns(features).decode(golden)
    predictions, probabilities = predict(golden)
    return Card(
        name=dataset.name,
        version=training.version,
        title=dataset.title,
        origin=dataset.origin,
        task=dataset.task,
        features=features,
        target=Target(name=dataset.target.name, unit=dataset.target_unit),
        classes=dataset.classes,
        presets=[Preset(label=label, features=row) for label, row in zip(chosen, sent, strict=True)],
        algorithm=" + ".join(type(step).__name__ for step in model),
        metrics=training.metrics,
        golden=[
            GoldenRow(
                features=row,
                prediction=prediction,
                label=dataset.classes[prediction] if dataset.classes else None,
                probabilities=share,
            )
            for row, prediction, share in zip(
                sent, predictions, probabilities if dataset.classes else [None] * len(golden), strict=True
            )
        ],
        inputs=training.inputs,
        trained_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        files=files_of(contents),
    )


def describe_feature(column, unit: str | None) -> Feature:
    """What a column of the training data tells: a number's range and spread, or a category's values, and how
    often each of them comes."""
    if column.dtype.kind in "fiu":
        return described(column, unit, column.name)
    categories = sorted(column.dropna().unique())
    shares = column.value_counts() / len(column)
    return Feature(
        name=column.name,
        unit=unit,
        **categories_of(categories),
        shares=[round(float(shares[category]), 6) for category in categories],
        may_be_missing=bool(column.isna().any()),
    )


def example_rows(training: Training, predictions: np.ndarray) -> dict[str, int]:
    """Label -> row number: the first row of each class that the model gets right; for regression, the rows
    that stand at a tenth, the middle and nine tenths of the target."""
    dataset = training.dataset
    if dataset.classes:
        right = predictions == dataset.target
        return {
            label: int(np.flatnonzero(right & (dataset.target == number))[0])
            for number, label in enumerate(dataset.classes)
        }
    order = np.argsort(dataset.target.to_numpy(), kind="stable")
    return {
        label: int(order[int(share * len(order))])
        for label, share in [("low", 0.1), ("middle", 0.5), ("high", 0.9)]
    }


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to write to, which takes the place of `folder` if the block ends without an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    old = new.with_name(new.name + "-old")
    try:
        yield new
        new.chmod(0o755)
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def replace_file(path: Path, content: bytes) -> None:
    """`content` at `path`, whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

"""Write a trained model as a folder: the model in three formats, and the card that describes them."""

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

from model_training.artifact import (
    ABSOLUTE_TOLERANCE,
    RELATIVE_TOLERANCE,
    Predict,
    read_onnx,
    with_estimator,
)
from model_training.card import Card, Feature, GoldenRow, ModelFile, Preset, Target
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
    contents = {
        "onnx": to_onnx_bytes(
            training.model, training.dataset.features.to_numpy(), bool(training.dataset.classes)
        ),
        "skops": skops.io.dumps(training.model),
        "joblib": buffer.getvalue(),
    }
    card = describe(training, contents)
    rows = training.dataset.features.to_numpy()
    try:
        check_agreement(with_estimator(training.model, card), contents["onnx"], card, rows)
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


def to_onnx_bytes(model, rows: np.ndarray, classifier: bool) -> bytes:
    """The model as ONNX: takes float32 of shape (n, features), gives predictions and probabilities."""
    options = {"zipmap": False} if classifier else None
    return to_onnx(model, rows[:1].astype(np.float32), options=options).SerializeToString()


def check_agreement(predict: Predict, onnx: bytes, card: Card, rows: np.ndarray) -> None:
    """ONNX answers every row as scikit-learn's `predict` does, within what 32 bits allow."""
    predictions, probabilities = read_onnx(onnx, card)(rows)
    expected, shares = predict(rows)
    if card.classes:
        wrong = predictions != expected
    else:
        wrong = ~np.isclose(predictions, expected, rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE)
    if probabilities is not None:
        wrong |= ~(np.abs(probabilities - shares).max(axis=1) <= RELATIVE_TOLERANCE)
    if wrong.any():
        raise ConversionError(
            f"the ONNX model answers {wrong.sum()} of {len(rows)} rows otherwise than scikit-learn"
        )


def describe(training: Training, contents: dict[str, bytes]) -> Card:
    """The card of a trained model."""
    dataset, model = training.dataset, training.model
    chosen = example_rows(training)
    golden = dataset.features.to_numpy()[list(chosen.values())]
    probabilities = model.predict_proba(golden) if dataset.classes else [None] * len(golden)
    return Card(
        name=dataset.name,
        version=training.version,
        title=dataset.title,
        origin=dataset.origin,
        task=dataset.task,
        features=[describe_feature(column, dataset.units[name]) for name, column in dataset.features.items()],
        target=Target(name=dataset.target.name, unit=dataset.target_unit),
        classes=dataset.classes,
        presets=[Preset(label=label, features=[*row]) for label, row in zip(chosen, golden, strict=True)],
        algorithm=" + ".join(type(step).__name__ for step in model),
        metrics=training.metrics,
        golden=[
            GoldenRow(
                features=[*row],
                prediction=prediction,
                label=dataset.classes[prediction] if dataset.classes else None,
                probabilities=share,
            )
            for row, prediction, share in zip(golden, model.predict(golden), probabilities, strict=True)
        ],
        inputs=training.inputs,
        trained_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        files=files_of(contents),
    )


def describe_feature(column, unit: str | None, name: str | None = None) -> Feature:
    """A server accepts what was seen in training and as much again on either side of it, but nothing
    below zero for what was never below zero: a length of -5 cm is a mistake, not a flower."""
    low, high = float(column.min()), float(column.max())
    span = high - low
    return Feature(
        name=name or column.name,
        unit=unit,
        minimum=round(max(low - span, 0.0) if low >= 0 else low - span, 6),
        maximum=round(high + span, 6),
        observed=(low, high),
        median=float(column.median()),
    )


def example_rows(training: Training) -> dict[str, int]:
    """Label -> row number: the first row of each class that the model gets right; for regression, the rows
    that stand at a tenth, the middle and nine tenths of the target."""
    dataset = training.dataset
    if dataset.classes:
        right = training.model.predict(dataset.features.to_numpy()) == dataset.target
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

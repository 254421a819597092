"""A model folder, verified before it is used: the bytes are those of the card, this machine has the
libraries they need, and the model answers the card's golden rows as it did when it was exported.

Nothing here imports scikit-learn until a file that needs it is loaded."""

import hashlib
import io
import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np

from model_training.card import Card, CardError, read_card
from model_training.estimators import Predict, with_estimator
from model_training.rows import Columns
from model_training.sessions import read_onnx

Format = Literal["onnx", "skops", "joblib"]

# What an ONNX model, which computes in 32 bits, may differ by from scikit-learn, which computes in 64.
RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE = 1e-3, 1e-4

UNPACKED_BYTES = 16 * 1024**2  # that any skops file may unpack to, and twenty times its own size

# The only types beyond skops's own defaults that a model file of ours may hold. A SimpleImputer keeps one;
# skops reads it from an empty array, with NumPy's `allow_pickle=False`.
TRUSTED_TYPES = ["numpy.dtype"]


class ArtifactError(Exception):
    """A model that was not loaded, and why."""


class FileMissingError(ArtifactError):
    """The card names a file that is not there or cannot be read."""


class HashMismatchError(ArtifactError):
    """The file's bytes are not those that were exported. None of them were run."""


class VersionMismatchError(ArtifactError):
    """The file needs another version of scikit-learn than this machine has."""


class UntrustedTypeError(ArtifactError):
    """The file names a type that a model file has no need of. None of it was run."""


class UnreadableError(ArtifactError):
    """The bytes are the exported ones, and the library that reads them fails all the same."""


class GoldenRowsError(ArtifactError):
    """The model loads, and answers otherwise than when it was exported."""


@dataclass(frozen=True)
class LoadedModel:
    card: Card
    format: Format
    predict: Predict


def load(folder: Path, format: Format = "onnx") -> LoadedModel:
    """The model in `folder`, once everything that the card promises has been checked.

    Raises CardError or the ArtifactError that names what is wrong; the order of the checks is such that
    no byte is interpreted before its hash is known to be right."""
    card = read_card(folder / "card.json")
    return interpret(folder, card, format, read_verified(folder, card, format))


def load_path(path: Path, format: Format | None = None) -> LoadedModel:
    """The model that `path` names: a folder with its card, or one of its files, whose card lies beside it.

    Without a format, the fastest of those that lie there: ONNX, skops, joblib. A file that the card does not
    know by its hash is never interpreted. Raises CardError or ArtifactError, as `load` does."""
    if path.is_dir():
        folder, card, named = path, read_card(path / "card.json"), {}
    else:
        folder, data = path.parent, read_bytes(path)
        found = hashlib.sha256(data).hexdigest()
        known = read_card(folder / "card.json") if (folder / "card.json").exists() else None
        named = {name: data for name, file in known.files.items() if file.sha256 == found} if known else {}
        if not named:
            raise CardError(f"no card beside {path} knows this file: python kit.py adopt {path.name}")
        card = known
    if format is None:
        present = [
            name for name in READERS if name in card.files and (folder / card.files[name].file).exists()
        ]
        format = next((name for name in READERS if name in present or name in named), "onnx")
    data = named[format] if format in named else read_verified(folder, card, format)
    return interpret(folder, card, format, data)


def interpret(folder: Path, card: Card, format: Format, data: bytes) -> LoadedModel:
    """The model in bytes whose hash has been checked."""
    if format != "onnx":
        check_versions(card)
    try:
        predict = READERS[format](data, card)
    except ArtifactError:
        raise
    except Exception as error:  # a reader of model files raises whatever it likes
        raise UnreadableError(f"{folder}: {format} cannot read {card.files[format].file}: {error}") from error
    check_golden_rows(card, predict)
    return LoadedModel(card, format, predict)


def read_verified(folder: Path, card: Card, format: Format) -> bytes:
    """The bytes of the model's file, which are those that were exported."""
    if format not in card.files:
        raise FileMissingError(f"{folder}: the card lists no {format} file, it lists {', '.join(card.files)}")
    expected = card.files[format]
    path = folder / expected.file
    data = read_bytes(path)
    found = hashlib.sha256(data).hexdigest()
    if found != expected.sha256:
        raise HashMismatchError(
            f"{path}: expected {expected.bytes} bytes with sha256 {expected.sha256[:12]}…, "
            f"found {len(data)} bytes with {found[:12]}…: changed after the export; export the model again"
        )
    return data


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileMissingError(f"{path} cannot be read ({error.strerror}): export the model again") from error


def check_versions(card: Card) -> None:
    """scikit-learn promises nothing across versions for a stored estimator, so the version must be the same.
    https://scikit-learn.org/stable/model_persistence.html"""
    said, here = f"{card.name} {card.version}", version("scikit-learn")
    versions = card.inputs.get("versions")
    trained = versions.get("scikit-learn") if isinstance(versions, dict) else None
    if not isinstance(trained, str):
        raise VersionMismatchError(
            f"{said}: the card does not tell with which scikit-learn it was exported: train again, or use "
            "the onnx file"
        )
    if trained != here:
        raise VersionMismatchError(
            f"{said} was exported with scikit-learn {trained}, this is {here}: "
            f"install scikit-learn=={trained}, train again, or use the onnx file"
        )


def agree(found, expected) -> bool:
    """The same label, or the same value within what 32 bits allow."""
    if isinstance(expected, list):
        return all(agree(*pair) for pair in zip(found, expected, strict=True))
    if isinstance(expected, float):
        return not isinstance(found, str) and math.isclose(
            found, expected, rel_tol=RELATIVE_TOLERANCE, abs_tol=ABSOLUTE_TOLERANCE
        )
    return found == expected


def check_golden_rows(card: Card, predict: Predict) -> None:
    said = f"{card.name} {card.version}"
    try:
        rows = Columns(card.features).encode([row.features for row in card.golden])
        predictions, probabilities = predict(rows)
    except Exception as error:  # the card has another number of features, say
        raise GoldenRowsError(
            f"{said}: the model does not take the card's golden rows ({error}): "
            "the card is another model's, train again"
        ) from error
    targets = card.targets or [card]
    if predictions.shape[1:] != ((len(targets),) if card.targets else ()):
        raise GoldenRowsError(
            f"{said}: the model has other targets than its card: the card is another model's, train again"
        )
    shares = [None] * len(targets)
    if card.has_probabilities:
        shares = probabilities if card.targets else [probabilities]
        if probabilities is None or [part.shape[1] for part in shares] != [len(t.classes) for t in targets]:
            raise GoldenRowsError(
                f"{said}: the model has other classes than its card: the card is another model's, train again"
            )
    for number, row in enumerate(card.golden):
        answers = [row.prediction, row.label, row.probabilities]
        found = [*predictions[number]] if card.targets else predictions[number]
        right = agree(found, row.prediction)
        if row.probabilities is not None:
            wanted = row.probabilities if card.targets else [row.probabilities]
            right = right and all(
                np.allclose(part[number], one, rtol=0, atol=RELATIVE_TOLERANCE)
                for part, one in zip(shares, wanted, strict=True)
            )
        if not right:
            expected = f"{row.prediction:g}" if isinstance(row.prediction, float) else row.prediction
            raise GoldenRowsError(
                f"{said}: golden row {number} was {expected} at export "
                f"and is {found} here: this machine computes something else; train again here"
            )
        check_labels(card, number, *(answers[:2] if card.targets else [[answers[0]], [answers[1]]]))


def check_labels(card: Card, number: int, predictions: list, labels: list | None) -> None:
    """Raises GoldenRowsError where the card calls the golden row's answer otherwise than when it was made."""
    for target, prediction, label in zip(
        card.targets or [card], predictions, labels or [None] * len(predictions), strict=True
    ):
        name = dict(zip(target.raw_labels, target.classes or [], strict=True)).get(prediction)
        if label is not None and name != label:
            raise GoldenRowsError(
                f"{card.name} {card.version}: golden row {number} was {label} at export and is {name} "
                "here: the card's classes or labels were changed; train again"
            )


def read_skops(data: bytes, card: Card) -> Predict:
    import skops.io

    check_unpacked(data, card)
    untrusted = [found for found in skops.io.get_untrusted_types(data=data) if found not in TRUSTED_TYPES]
    if untrusted:
        raise UntrustedTypeError(
            f"{card.files['skops'].file} names types that are not trusted: {', '.join(untrusted)}"
        )
    return with_estimator(checked(skops.io.loads(data, trusted=TRUSTED_TYPES), card), card)


def check_unpacked(data: bytes, card: Card) -> None:
    """Raises UnreadableError where the archive unpacks to far more than it is: a bomb. skops does not
    compress, so a file of its own unpacks to its size."""
    most, unpacked = 20 * len(data) + UNPACKED_BYTES, 0
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            with archive.open(member) as file:
                while part := file.read(1 << 20):
                    unpacked += len(part)
                    if unpacked > most:
                        raise UnreadableError(
                            f"{card.files['skops'].file} unpacks to more than {most // 1024**2} MiB: "
                            "no model was written so; export the model again"
                        )


def read_joblib(data: bytes, card: Card) -> Predict:
    import joblib

    return with_estimator(checked(joblib.load(io.BytesIO(data)), card), card)


def checked(estimator, card: Card):
    """The estimator. Raises GoldenRowsError where its labels are not the card's, or in another order."""
    labels = getattr(estimator, "classes_", None)
    if card.classes and labels is not None and [*labels] != card.raw_labels:
        raise GoldenRowsError(
            f"{card.name} {card.version}: the model's classes are not those of its card: the card is another "
            "model's, train again"
        )
    return estimator


READERS: dict[Format, Callable[[bytes, Card], Predict]] = {
    "onnx": read_onnx,
    "skops": read_skops,
    "joblib": read_joblib,
}

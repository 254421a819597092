"""Rows and answers as bytes, in NumPy's own formats, which hold no code (`allow_pickle=False`)."""

import io
from typing import NamedTuple

import numpy as np

from model_training.artifact import LoadedModel


class Answers(NamedTuple):
    """Of several targets, each row has their predictions, and the probabilities of all their classes, side by
    side."""

    predictions: np.ndarray  # shape (n,) or (n, targets)
    probabilities: np.ndarray | None  # shape (n, classes)


def answers_of(model: LoadedModel, rows: np.ndarray) -> Answers:
    """What the model answers to rows, float64 of shape (n, features)."""
    predictions, probabilities = model.predict(rows.astype(np.float32) if model.format == "onnx" else rows)
    return Answers(
        predictions, np.hstack(probabilities) if isinstance(probabilities, list) else probabilities
    )


def pack_rows(rows: np.ndarray) -> bytes:
    """Rows of shape (n, features), float64."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(rows, np.float64), allow_pickle=False)
    return buffer.getvalue()


def rows_in(data: bytes) -> np.ndarray:
    return np.load(io.BytesIO(data), allow_pickle=False)


def pack_answers(answers: Answers) -> bytes:
    """ValueError for what JSON has no word for: a number that is not finite."""
    predictions, probabilities = answers
    if predictions.dtype.kind == "O":  # texts, mostly
        predictions = np.array(predictions.tolist())
    for found in (predictions, probabilities):
        if found is not None and found.dtype.kind == "f" and not np.isfinite(found).all():
            raise ValueError("the model's answer is not a finite number")
    found = {"predictions": predictions}
    if probabilities is not None:
        found["probabilities"] = probabilities
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **found)
    return buffer.getvalue()


def answers_in(data: bytes, rows: int) -> Answers:
    """ValueError for what are not the answers for so many rows, as pack_answers has them. A byte that has
    changed is seen: the format has a checksum."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            answers = Answers(found["predictions"], found.get("probabilities"))
        check_length(answers, rows)
    except Exception as error:  # NumPy and zipfile have many
        raise ValueError(f"no answers: {type(error).__name__}") from None
    return answers


def check_length(answers: Answers, rows: int) -> None:
    """ValueError for other than one answer for each of so many rows."""
    if any(part is not None and part.shape[:1] != (rows,) for part in answers):
        raise ValueError("expected one answer for each row")

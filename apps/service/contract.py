"""What goes over the wire: requests, strictly read, and answers.

msgspec reads and writes both: it is the fastest (benchmarks/README.md), takes no string for a number and no
number for a truth, and its errors tell the place without the value. https://jcristharif.com/msgspec/"""

import json
import re

import msgspec
import numpy as np

from apps.service.problems import Problem


class PredictRequest(msgspec.Struct, forbid_unknown_fields=True):
    features: list[float]


class BatchRequest(msgspec.Struct, forbid_unknown_fields=True):
    instances: list[list[float]]


class ModelVersion(msgspec.Struct):
    name: str
    version: str


class PredictAnswer(msgspec.Struct, omit_defaults=True, kw_only=True):
    """`label` and `probabilities` (by class) are a classifier's only."""

    prediction: list
    label: str | None = None
    probabilities: dict[str, float] | None = None
    model: ModelVersion
    request_id: str


class BatchAnswer(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One entry for each row, in the order of the rows."""

    prediction: list
    label: list[str] | None = None
    probabilities: list[dict[str, float]] | None = None
    model: ModelVersion
    request_id: str


encode = msgspec.json.Encoder().encode
STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')


class Reader:
    """Reads bodies of one shape. `example` is what an error shows."""

    def __init__(self, shape: type, example: str, max_depth: int) -> None:
        self._decode = msgspec.json.Decoder(shape).decode
        self._example, self._max_depth = example, max_depth

    def read(self, body: bytes):
        """The body as its struct. Raises Problem 400, which never repeats what came."""
        if body.count(b"[") + body.count(b"{") > self._max_depth and depth(body) > self._max_depth:
            raise Problem("invalid-json", f"expected JSON nested at most {self._max_depth} deep")
        try:
            found = self._decode(body)
        except msgspec.ValidationError as error:
            check_names(body)
            raise Problem("invalid-input", f"expected {self._example}: {tell(error)}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Problem("invalid-json", f"expected one JSON object in UTF-8: {tell(error)}") from None
        if body.count(b'"') > 2:  # more than one name: is one of them there twice?
            check_names(body)
        return found


def tell(error: Exception) -> str:
    """An error of msgspec's in words that hold nothing of the input."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    message = str(error).partition(" - at ")
    if message[0].startswith("Object contains unknown field"):
        return "a name is not one of these"
    where = f" at {message[2].strip('`')}" if message[2] and "..." not in message[2] else ""
    return message[0].replace("`", "") + where


def depth(body: bytes) -> int:
    """How deep the brackets are nested that stand outside strings."""
    marks = np.frombuffer(STRINGS.sub(b"", body), np.uint8)
    opens = (marks == ord("[")) | (marks == ord("{"))
    closes = (marks == ord("]")) | (marks == ord("}"))
    return int(np.cumsum(opens.astype(np.int64) - closes).max(initial=0))


def check_names(body: bytes) -> None:
    """Raises Problem where a name stands twice in an object: RFC 8259 section 4 leaves open which counts."""

    def unique(pairs: list) -> None:
        if len({name for name, _ in pairs}) < len(pairs):
            raise Problem("invalid-json", "expected each name once", reason="duplicate-name")

    try:
        json.loads(body, object_pairs_hook=unique)
    except (ValueError, RecursionError):
        return  # not JSON: that is told elsewhere


def check_features(rows: list[list[float]], serving, one: bool = False) -> None:
    """Raises Problem unless every row has a number for each feature of the card, within its range."""
    count = len(serving.features)
    for number, row in enumerate(rows):
        where = "" if one else f" in row {number}"
        if len(row) != count:
            raise Problem(
                "invalid-input",
                f"expected {count} features{where} ({', '.join(serving.features)}), got {len(row)}",
                reason="wrong-length",
            )
        for value, low, high in zip(row, serving.minimum, serving.maximum, strict=True):
            if not low <= value <= high:
                place = next(
                    place
                    for place, found in enumerate(row)
                    if not serving.minimum[place] <= found <= serving.maximum[place]
                )
                raise Problem(
                    "out-of-range",
                    f"expected {serving.features[place]} from {serving.minimum[place]:g} "
                    f"to {serving.maximum[place]:g}{where}, got one outside",
                )

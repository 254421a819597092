"""A job's result as it is sent, in parts, so that of a million rows one chunk is held at a time."""

import csv
import io
from collections.abc import Iterable, Iterator

import msgspec
import numpy as np

from apps.service.jobs.arrays import Answers
from apps.service.jobs.job import Owner
from apps.service.jobs.jobs import Jobs
from model_training.card import Card

encode = msgspec.json.encode


def json_result(jobs: Jobs, owner: Owner, id: str, request_id: str) -> Iterator[bytes]:
    """Raises Problem, as Jobs.result does, before the first part."""
    result = jobs.result(owner, id)
    return json_parts(result, result.card, result.job.model.model_dump(), request_id)


def csv_result(jobs: Jobs, owner: Owner, id: str) -> Iterator[bytes]:
    """Raises Problem, as Jobs.result does, before the first part."""
    result = jobs.result(owner, id)
    return csv_parts(result, result.card)


def attachment(id: str, kind: str) -> dict[str, str]:
    """What has a browser save a result, and not show it."""
    return {"Content-Disposition": f'attachment; filename="job-{id}.{kind}"'}


def json_parts(
    answers: Iterable[Answers], card: Card, model: dict[str, str], request_id: str
) -> Iterator[bytes]:
    """The JSON of /predict/batch for these rows. The answers are gone through once for each member, since the
    members of all rows stand one after the other."""
    yield b'{"prediction":['
    yield from joined(texts(part) for part, _ in answers)
    if card.classes:
        label = {raw: encode(name) for raw, name in zip(card.raw_labels, card.classes, strict=True)}
        yield b'],"label":['
        yield from joined([label[raw] for raw in part.tolist()] for part, _ in answers)
    if card.has_probabilities:
        members = b",".join(encode(name).replace(b"%", b"%%") + b":%s" for name in card.classes)
        yield b'],"probabilities":['
        yield from joined(
            [b"{" + members % row + b"}" for row in zip(*columns_of(shares), strict=True)]
            for _, shares in answers
        )
    yield b'],"model":' + encode(model) + b',"request_id":' + encode(request_id) + b"}"


def joined(parts: Iterable[list[bytes]]) -> Iterator[bytes]:
    """The items of one JSON list after the other, without its brackets."""
    comma = b""
    for part in parts:
        yield comma + b",".join(part)
        comma = b","


def csv_parts(answers: Iterable[Answers], card: Card) -> Iterator[bytes]:
    """A line for each row: its number, from 1, and what the model answered. RFC 4180."""
    names = ["row", "prediction"]
    names += ["label"] if card.classes else []
    names += [f"probability_{name}" for name in card.classes] if card.has_probabilities else []
    yield line_of(names) + b"\r\n"
    told = {raw: line_of([raw, name]) for raw, name in zip(card.raw_labels, card.classes or [], strict=True)}
    first = 1
    for predictions, shares in answers:
        columns = [texts(np.arange(first, first + len(predictions)))]
        columns += [[told[raw] for raw in predictions.tolist()] if told else texts(predictions)]
        columns += columns_of(shares) if card.has_probabilities else []
        line = b",".join([b"%s"] * len(columns)) + b"\r\n"
        yield b"".join([line % row for row in zip(*columns, strict=True)])
        first += len(predictions)


def columns_of(shares: np.ndarray) -> list[list[bytes]]:
    """The texts of each column."""
    cells, width = texts(shares.ravel()), shares.shape[1]
    return [cells[column::width] for column in range(width)]


def texts(answers: np.ndarray) -> list[bytes]:
    """Each answer as JSON writes it. `answers` has one dimension: a list of rows would be a million lists,
    and as many reasons for Python to collect garbage."""
    if answers.dtype.kind not in "biuf":
        return [*map(encode, answers.tolist())]
    return encode(answers.tolist())[1:-1].split(b",")


def line_of(cells: list) -> bytes:
    """Without the end of the line."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue().encode()

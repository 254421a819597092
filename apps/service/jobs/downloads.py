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
    yield from joined(in_one(part, card) for part, _ in answers)
    if names := labels_by_target(card):
        yield b'],"label":['
        yield from joined(in_objects(looked_up(part, names), card) for part, _ in answers)
    if card.has_probabilities:
        yield b'],"probabilities":['
        yield from joined(shares_in_objects(shares, card) for _, shares in answers)
    yield b'],"model":' + encode(model) + b',"request_id":' + encode(request_id) + b"}"


def in_one(predictions: np.ndarray, card: Card) -> list[bytes]:
    """Each row's prediction, which of several targets is a list."""
    if not card.targets:
        return texts(predictions)
    return [b"[" + b",".join(row) + b"]" for row in zip(*columns_of(predictions), strict=True)]


def labels_by_target(card: Card) -> list[dict]:
    """For each target, what is sent for each of its labels; empty where they are no classes."""
    targets = card.targets or [card]
    if not targets[0].classes:
        return []
    return [
        {raw: encode(name) for raw, name in zip(target.raw_labels, target.classes, strict=True)}
        for target in targets
    ]


def looked_up(predictions: np.ndarray, names: list[dict]) -> list[list[bytes]]:
    """A column for each target."""
    columns = predictions.reshape(len(predictions), -1).T
    return [[name[raw] for raw in column.tolist()] for column, name in zip(columns, names, strict=True)]


def in_objects(columns: list[list[bytes]], card: Card) -> list[bytes]:
    """Each row's part of each column: by target, where there are several."""
    if not card.targets:
        return columns[0]
    members = b",".join(member(target.name) + b"%s" for target in card.targets)
    return [b"{" + members % row + b"}" for row in zip(*columns, strict=True)]


def shares_in_objects(shares: np.ndarray, card: Card) -> list[bytes]:
    """Each row's probabilities by class: by target, where there are several."""
    parts = []
    for target in card.targets or [card]:
        members = b",".join(member(name) + b"%s" for name in target.classes)
        parts.append(
            b"{" + members + b"}" if not card.targets else member(target.name) + b"{" + members + b"}"
        )
    row_of = parts[0] if not card.targets else b"{" + b",".join(parts) + b"}"
    return [row_of % row for row in zip(*columns_of(shares), strict=True)]


def member(name: str) -> bytes:
    """A name and its colon, to be formatted with what follows."""
    return encode(name).replace(b"%", b"%%") + b":"


def joined(parts: Iterable[list[bytes]]) -> Iterator[bytes]:
    """The items of one JSON list after the other, without its brackets."""
    comma = b""
    for part in parts:
        yield comma + b",".join(part)
        comma = b","


def csv_parts(answers: Iterable[Answers], card: Card) -> Iterator[bytes]:
    """A line for each row: its number, from 1, and what the model answered. RFC 4180."""
    targets, of = card.targets or [card], [f"_{target.name}" for target in card.targets or []] or [""]
    names = ["row"]
    for target, suffix in zip(targets, of, strict=True):
        names += [f"prediction{suffix}", *([f"label{suffix}"] if target.classes else [])]
        names += [f"probability{suffix}_{name}" for name in target.classes] if card.has_probabilities else []
    yield line_of(names) + b"\r\n"
    told = [
        {raw: line_of([raw, name]) for raw, name in zip(target.raw_labels, target.classes or [], strict=True)}
        for target in targets
    ]
    first = 1
    for predictions, shares in answers:
        columns = [texts(np.arange(first, first + len(predictions)))]
        width = 0
        for target, found, name in zip(
            targets, predictions.reshape(len(predictions), -1).T, told, strict=True
        ):
            columns += [[name[raw] for raw in found.tolist()] if name else texts(found)]
            if card.has_probabilities:
                width, start = width + len(target.classes), width
                columns += columns_of(shares[:, start:width])
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

"""A job's result as it is sent, in parts, so that of a million rows one chunk is held at a time."""

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import count

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
            [b"{" + members % row + b"}" for row in zip(*map(texts, shares.T), strict=True)]
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
    numbers = count(1)
    for predictions, shares in answers:
        columns = [[told[raw] for raw in predictions.tolist()] if told else texts(predictions)]
        columns += [texts(shares)] if card.has_probabilities else []
        lines = [
            b"%d,%s" % (number, b",".join(cells))
            for cells, number in zip(zip(*columns, strict=True), numbers, strict=False)
        ]
        yield b"\r\n".join([*lines, b""])


def texts(answers: np.ndarray) -> list[bytes]:
    """Each answer, or each row of numbers with commas between, as JSON writes them."""
    if answers.dtype.kind not in "biuf":
        return [*map(encode, answers.tolist())]
    ends, between = (2, b"],[") if answers.ndim == 2 else (1, b",")
    return encode(answers.tolist())[ends:-ends].split(between)


def line_of(cells: list) -> bytes:
    """Without the end of the line."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue().encode()

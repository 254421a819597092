"""What a server knows of what became of its predictions: quality, drift, and what it is told of the truth."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from ui import answers, client
from ui.answers import Exchange, Failure
from ui.servers import Server

Read = TypeVar("Read")
OFF = "off"
SECONDS = 10.0  # scipy is imported for the first report on drift


@dataclass(frozen=True)
class Version:
    """How good one version has been. `share`: its accuracy, and `low` to `high` the interval that it lies in;
    `error`: its mean absolute error; `tested`: the same of the test rows. None where it is not known."""

    version: str
    predictions: int
    truths: int
    correct: int
    share: float | None
    low: float | None
    high: float | None
    error: float | None
    tested: float | None
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Bin:
    """Of one feature. `words` is what lies in it; `expected` and `found` are shares."""

    words: str
    expected: float
    found: float


@dataclass(frozen=True)
class Feature:
    name: str
    rows: int
    psi: float | None
    verdict: str
    test: str
    p_value: float | None
    missing: float
    outside: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Part:
    """A part of the time. `psi`: of each feature, in the card's order."""

    start: float  # seconds since 1970
    rows: int
    psi: tuple[float | None, ...]


@dataclass(frozen=True)
class Drift:
    version: str
    rows: int
    moderate: float
    large: float
    features: tuple[Feature, ...]
    parts: tuple[Part, ...]


def quality(server: Server, model: str, hours: int) -> list[Version] | str | Failure:
    """GET /models/NAME/quality; OFF where the server keeps no log of predictions."""
    return _read(server, f"/models/{quote(model, safe='')}/quality?hours={hours}", _versions)


def drift(server: Server, model: str, hours: int) -> Drift | str | Failure:
    """GET /models/NAME/drift, of the version that predicted last."""
    return _read(server, f"/models/{quote(model, safe='')}/drift?hours={hours}", _drift)


def tell(server: Server, request_id: str, truth: str | float) -> bool | float | Failure:
    """POST /feedback: whether the prediction was right, or how much too low it was."""
    told = {"label" if isinstance(truth, str) else "value": truth}
    content = json.dumps({"request_id": request_id, **told}).encode()
    exchange = client.send(server, "POST", "/feedback", content, client.JSON)
    if isinstance(exchange, Failure):
        return exchange
    if exchange.status != 200:
        return answers.refused(exchange, "what it makes of the truth")
    body = exchange.body if isinstance(exchange.body, dict) else {}
    found = body.get("correct", body.get("error"))
    return found if isinstance(found, bool | int | float) else answers.unexpected(exchange, "of feedback")


def _read(server: Server, path: str, read: Callable[[Any], Read]) -> Read | str | Failure:
    exchange = client.send(server, "GET", path, seconds=SECONDS)
    if isinstance(exchange, Failure):
        return exchange
    if _is_off(exchange):
        return OFF
    if exchange.status != 200:
        return answers.refused(exchange, "a report on its model")
    try:
        return read(exchange.body)
    except (KeyError, TypeError, ValueError):
        return answers.unexpected(exchange, "a report on its model")


def _is_off(exchange: Exchange) -> bool:
    """Whether the route is not there, as on a minimal server or without the log."""
    unknown = exchange.problem is None or exchange.problem.slug == "not-found"
    return exchange.status == 404 and exchange.body is not None and unknown


def _versions(body: Any) -> list[Version]:
    found = []
    for one in body["versions"]:
        low, high = one.get("interval") or (None, None)
        confusion = one.get("confusion") or {"classes": [], "counts": []}
        found.append(
            Version(
                version=str(one["version"]),
                predictions=int(one["predictions"]),
                truths=int(one["truths"]),
                correct=int(one.get("correct") or 0),
                share=_number(one.get("accuracy")),
                low=_number(low),
                high=_number(high),
                error=_number(one.get("mean_absolute_error")),
                tested=_number(one.get("test_accuracy", one.get("test_mean_absolute_error"))),
                classes=tuple(map(str, confusion["classes"])),
                confusion=tuple(tuple(map(int, row)) for row in confusion["counts"]),
            )
        )
    return found


def _drift(body: Any) -> Drift:
    return Drift(
        version=str(body["version"]),
        rows=int(body["rows"]),
        moderate=float(body["moderate"]),
        large=float(body["large"]),
        features=tuple(map(_feature, body["features"])),
        parts=tuple(
            Part(float(one["start"]), int(one["rows"]), tuple(map(_number, one["psi"])))
            for one in body["windows"]
        ),
    )


def _feature(one: dict) -> Feature:
    unit = f" ({one['unit']})" if one.get("unit") else ""
    return Feature(
        name=str(one["name"]) + unit,
        rows=int(one["rows"]),
        psi=_number(one.get("psi")),
        verdict=str(one["verdict"]),
        test=str(one.get("test") or ""),
        p_value=_number(one.get("p_value")),
        missing=float(one["missing"]),
        outside=float(one["outside"]),
        bins=tuple(Bin(_in_words(bin), float(bin["expected"]), float(bin["found"])) for bin in one["bins"]),
    )


def _in_words(bin: dict) -> str:
    low, high = _number(bin.get("low")), _number(bin.get("high"))
    if bin.get("category") is not None:
        return str(bin["category"])
    if low is None and high is None:
        return "others"
    if low is None:
        return f"less than {high:g}"
    if high is None:
        return f"more than {low:g}"
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _number(value: Any) -> float | None:
    return None if value is None else float(value)

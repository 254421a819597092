"""Inputs that a server must refuse, made from an input that it takes."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from ui.card import Card, Value
from ui.client import JSON, Exchange, Failure, predict_body, send
from ui.servers import Server

TOO_LARGE = "in whose place stands what no list of numbers can hold"


@dataclass(frozen=True)
class Mistake:
    """A request with one thing wrong. `why` says why a server must not let it pass."""

    name: str
    why: str
    content: bytes | None
    headers: tuple[tuple[str, str], ...] = tuple(JSON.items())
    method: str = "POST"
    path: str = "/predict"

    def send(self, server: Server, request_id: str) -> Exchange | Failure:
        headers = {**dict(self.headers), "X-Request-ID": request_id}
        return send(server, self.method, self.path, self.content, headers)


def mistakes(card: Card, features: list[Value]) -> list[Mistake]:
    """Every mistake that this model's inputs allow; all but the named part is as in `features`."""
    places = {bool(feature.categories): place for place, feature in reversed([*enumerate(card.features)])}
    number, category = places.get(False), places.get(True)
    whole = next((place for place, one in enumerate(card.features) if not one.may_be_missing), None)

    def at(place: int, value: object) -> bytes:
        return _body({"features": [*features[:place], value, *features[place + 1 :]]})

    good = predict_body(features)
    found = []
    if number is not None:
        found += of_numbers(number, features[number], at)
    if category is not None:
        found.append(
            Mistake(
                "a category that there is not",
                "The model has learned nothing of it.",
                at(category, "no such"),
            )
        )
        found.append(Mistake("a number for a category", "Which of them would it be?", at(category, 0.5)))
    if whole is not None:
        kind = "category" if card.features[whole].categories else "number"
        gap = "The model has not learned what to do with a gap."
        found.append(Mistake(f"null for a {kind}", gap, at(whole, None)))
    found += [
        Mistake("one number too few", "The model needs every feature.", _body({"features": features[:-1]})),
        Mistake("one number too many", "Which one is the extra one?", _body({"features": [*features, 1.0]})),
        Mistake("a list in the list", "The API takes one row at a time.", _body({"features": [features]})),
        Mistake("no field features", "There is nothing to predict from.", _body({"values": features})),
        Mistake(
            "a field too many", "A misspelt option would go unnoticed.", _body({"features": features, "x": 1})
        ),
        Mistake("a list instead of an object", "It has no field features.", _body(features)),
        Mistake("JSON that breaks off", "The rest may have been lost on the way.", good[:-2]),
        Mistake("an empty body", "There is nothing to read.", b""),
        Mistake(
            "the wrong content type",
            "A server should read a body only as what it is said to be.",
            good,
            (("Content-Type", "text/plain"),),
        ),
        Mistake("GET instead of POST", "The address is right, the method is not.", None, (), "GET"),
        Mistake("an address that does not exist", "Nobody lives there.", good, path="/prediction"),
    ]
    for position, feature in enumerate(card.features):
        if feature.maximum is not None:
            beyond = features.copy()
            beyond[position] = feature.maximum * 10 if feature.maximum > 0 else feature.maximum + 1
            found.insert(
                3,
                Mistake(
                    "a number out of range", f"No {feature.name} is so large.", _body({"features": beyond})
                ),
            )
            break
    return found


def of_numbers(place: int, value: Value, at: Callable[[int, object], bytes]) -> list[Mistake]:
    """Those of a number; `at` gives a body with something else in its place."""
    number = 5.1 if value is None else value
    return [
        Mistake("a word for a number", "It cannot be computed with.", at(place, "five")),
        Mistake(
            "a number written as text",
            'Taking "5.1" for 5.1 would hide a fault in the program that sent it.',
            at(place, str(number)),
        ),
        Mistake("NaN", "JSON has no such number, though Python writes it.", at(place, float("nan"))),
        Mistake(
            "a number too large to hold",
            "1e999 becomes infinity.",
            at(place, TOO_LARGE).replace(json.dumps(TOO_LARGE).encode(), b"1e999", 1),
        ),
        Mistake("true for a number", "Python would count it as 1.", at(place, True)),
    ]


def verdict(one: Exchange | Failure, other: Exchange | Failure) -> tuple[bool, str]:
    """Whether both refuse alike, and what the two answers have in common, in a sentence."""
    for answer in (one, other):
        if isinstance(answer, Failure):
            return False, nothing(answer)
    names = f"{one.server.name} {one.status}, {other.server.name} {other.status}"
    if max(one.status, other.status) >= 500:
        return False, f"A client's mistake became a server's error: {names}."
    accepted = [answer.server.name for answer in (one, other) if answer.status < 400]
    if len(accepted) == 2:
        return False, f"Both accept it, and should not: {names}."
    if accepted:
        return False, f"{accepted[0]} accepts what the other refuses: {names}."
    if one.status != other.status:
        return False, f"Both refuse it, but not with the same status: {names}."
    if one.body is None or one.body != other.body:
        return False, f"Both refuse it with status {one.status}, but not in the same words."
    return True, f"Both refuse it alike: status {one.status} and the same JSON."


def nothing(failure: Failure) -> str:
    """That there are no two answers; why not is told where the answer would be."""
    return f"Nothing to compare: {failure.server.name} gave no answer that can be used."


def _body(value: object) -> bytes:
    return json.dumps(value).encode()

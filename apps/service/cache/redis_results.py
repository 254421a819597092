"""Results in Redis, which several processes share. Nothing that comes from there is believed unseen: another
program may have written it."""

from collections.abc import Callable
from hashlib import sha256
from math import isfinite

import msgspec

from apps.service.batching import Outcome
from apps.service.cache.answers import Found, Unavailable
from apps.service.cache.keys import Wanted
from apps.service.model import Serving
from apps.service.redis import Redis
from model_training.card import Card, Target

PREFIX = "servelab:result:"
MOST_BYTES = 1 << 20  # of one result; what is longer is none of ours, and is not fetched whole


class Kept(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A result as it is written."""

    predictions: list  # of answers; with several targets, of lists of them
    probabilities: list[list] | None  # of shares; with several targets, of lists of them


class RedisResults:
    def __init__(self, redis: Redis, seconds: int) -> None:
        self._redis, self._milliseconds = redis, seconds * 1000

    def get(self, wanted: Wanted) -> Found | None:
        """What is there, if it is a result of this model's for as many rows, and has an end."""
        name = name_of(wanted)
        text, left = self._ask(lambda pipeline: pipeline.getrange(name, 0, MOST_BYTES).pttl(name))
        if not isinstance(text, bytes) or not isinstance(left, int):  # a list, say, which `put` replaces
            return None
        if len(text) > MOST_BYTES or not 0 <= left <= self._milliseconds:
            return None
        outcome = read(text, wanted.serving, wanted.count)
        return outcome and Found(outcome, left // 1000)

    def put(self, wanted: Wanted, outcome: Outcome) -> bool:
        text = msgspec.json.encode(Kept(outcome.predictions, outcome.probabilities))
        if len(text) > MOST_BYTES:
            return False
        self._ask(lambda pipeline: pipeline.set(name_of(wanted), text, px=self._milliseconds))
        return True

    def _ask(self, what: Callable) -> list:
        """The answers to a pipeline, in one way there and back. Where a key holds something that is no text,
        one of them is the error that says so."""
        if not self._redis.answers:
            raise Unavailable("redis-away")
        try:
            answers = what(self._redis.client.pipeline(transaction=False)).execute(raise_on_error=False)
            for one in answers:
                if isinstance(one, Exception) and "WRONGTYPE" not in str(one):
                    raise one
        except Exception as error:  # what is no Redis may say anything
            self._redis.lost(error)
            raise Unavailable("redis-away") from None
        return answers


def name_of(wanted: Wanted) -> str:
    """Of one length, and without the features."""
    return PREFIX + sha256(wanted.key).hexdigest()


def read(text: bytes, serving: Serving, count: int) -> Outcome | None:
    """The result, or None for what the model cannot have answered to so many rows."""
    try:
        kept = msgspec.json.decode(text, type=Kept)
    except (msgspec.DecodeError, ValueError, RecursionError):  # the second one is of bytes that are no UTF-8
        return None
    if len(kept.predictions) != count or (kept.probabilities is not None) != serving.has_probabilities:
        return None
    if kept.probabilities is not None and len(kept.probabilities) != count:
        return None
    targets = serving.targets or [serving.card]
    for number, found in enumerate(kept.predictions):
        shares = None if kept.probabilities is None else kept.probabilities[number]
        parts = (found, shares) if serving.targets else ([found], None if shares is None else [shares])
        if not are_answers(*parts, targets):
            return None
    return Outcome(kept.predictions, kept.probabilities)


def are_answers(found: object, shares: object, targets: list) -> bool:
    """An answer for each of the targets, and where there are shares, one for each of its classes."""
    if not isinstance(found, list) or len(found) != len(targets):
        return False
    if not all(is_answer(one, target) for one, target in zip(found, targets, strict=True)):
        return False
    if shares is None:
        return True
    return len(shares) == len(targets) and all(
        isinstance(part, list)
        and len(part) == len(target.classes)
        and all(type(share) is float and isfinite(share) for share in part)
        for part, target in zip(shares, targets, strict=True)
    )


def is_answer(found: object, target: Card | Target) -> bool:
    """A class of the card, or a finite number; and true is not 1."""
    truth = isinstance(found, bool)
    if target.classes:
        return any(found == raw and truth is isinstance(raw, bool) for raw in target.raw_labels)
    return isinstance(found, int | float) and not truth and isfinite(found)

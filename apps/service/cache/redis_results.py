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

PREFIX = "servelab:result:"
MOST_BYTES = 1 << 20  # of one result; what is longer is none of ours, and is not fetched whole


class Kept(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A result as it is written."""

    predictions: list[bool | int | float | str]
    probabilities: list[list[float]] | None


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
    except (msgspec.DecodeError, ValueError):  # the second one is of bytes that are no UTF-8
        return None
    if len(kept.predictions) != count or not all(is_answer(found, serving) for found in kept.predictions):
        return None
    if (kept.probabilities is not None) != serving.has_probabilities:
        return None
    if kept.probabilities is not None:
        width = len(serving.classes)
        if [len(row) for row in kept.probabilities] != [width] * count:
            return None
        if not all(isfinite(share) for row in kept.probabilities for share in row):
            return None
    return Outcome(kept.predictions, kept.probabilities)


def is_answer(found: object, serving: Serving) -> bool:
    """A class of the card, or a finite number; and true is not 1."""
    truth = isinstance(found, bool)
    if serving.classes:
        return any(found == raw and truth is isinstance(raw, bool) for raw in serving.class_of)
    return isinstance(found, int | float) and not truth and isfinite(found)

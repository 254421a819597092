"""Answers that are kept: at temperature 0 the same question has the same answer, and need not be computed
again. With CACHE=on, in this process."""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import astuple
from hashlib import sha256
from typing import NamedTuple

from apps.service.generation.runtime import Encoded, Ended, Sampling

MOST_CHARACTERS = 4_000_000  # of all that is kept


class Kept(NamedTuple):
    text: str
    ended: Ended
    until: float


class Answers:
    """Each for so many seconds; beyond MOST_CHARACTERS, what was asked for least recently goes first."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._now = seconds, now
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._characters = 0
        self._lock = threading.Lock()

    def get(self, key: bytes) -> tuple[str, Ended, int] | None:
        """The text, how it ended, and for how many seconds it will still be kept."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            left = found.until - self._now()
            if left <= 0:
                self._drop(key)
                return None
            self._kept.move_to_end(key)
        return found.text, found.ended, int(left)

    def put(self, key: bytes, text: str, ended: Ended) -> None:
        with self._lock:
            if key in self._kept:
                self._drop(key)
            self._kept[key] = Kept(text, ended, self._now() + self._seconds)
            self._characters += len(text)
            while self._characters > MOST_CHARACTERS:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: bytes) -> None:
        self._characters -= len(self._kept.pop(key).text)


def key_of(tenant: str, model: str, encoded: Encoded, sampling: Sampling, choices: int) -> bytes | None:
    """None where the next answer would be another one."""
    if sampling.temperature > 0 or choices > 1:
        return None
    told = json.dumps([tenant, model, encoded.value, astuple(sampling)], default=repr, sort_keys=True)
    return sha256(told.encode("utf-8", "surrogatepass")).digest()

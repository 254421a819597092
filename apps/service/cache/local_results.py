"""Results in this process."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from apps.service.batching import Outcome
from apps.service.cache.answers import Found
from apps.service.cache.keys import Wanted


class LocalResults:
    """Each for so many seconds; beyond so many rows, what was asked for least recently goes first."""

    def __init__(self, seconds: int, rows: int, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._most, self._now = seconds, rows, now
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, tuple[Outcome, float]] = OrderedDict()  # until when; most recent last
        self.rows = 0  # of all that is kept

    def get(self, wanted: Wanted) -> Found | None:
        with self._lock:
            kept = self._kept.get(wanted.key)
            if kept is None:
                return None
            outcome, until = kept
            left = until - self._now()
            if left <= 0:
                self._drop(wanted.key)
                return None
            self._kept.move_to_end(wanted.key)
        return Found(outcome, int(left))

    def put(self, wanted: Wanted, outcome: Outcome) -> bool:
        if wanted.count > self._most:
            return False
        with self._lock:
            if wanted.key in self._kept:
                self._drop(wanted.key)
            self._kept[wanted.key] = (
                Outcome(outcome.predictions, outcome.probabilities),
                self._now() + self._seconds,
            )
            self.rows += wanted.count
            while self.rows > self._most:
                self._drop(next(iter(self._kept)))
        return True

    def _drop(self, key: bytes) -> None:
        outcome, _ = self._kept.pop(key)
        self.rows -= len(outcome.predictions)

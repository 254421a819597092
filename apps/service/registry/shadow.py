"""The challenger in the shadow: asked what the active model was asked, after that has answered, and compared.

Nobody gets its answers, and nobody waits for them: what comes faster than it answers is dropped."""

import queue
import threading
import time
from math import isclose
from typing import Any, NamedTuple

from apps.service.batching import Outcome
from apps.service.model import LAST_WAIT_SECONDS, Serving
from apps.service.registry.counted import AGREE, DIFFER, DROPPED, FAILED, RegistryMetrics

WAITING = 512  # requests
GATHER_SECONDS = 0.02  # so that the thread wakes fifty times a second and not at each request
ROWS_AT_ONCE = 1024
TOLERANCE = 0.05  # two regressors agree where their values differ by no more than this share


class Asked(NamedTuple):
    active: Serving
    challenger: Serving
    rows: list
    outcome: Outcome  # the active one's


class Shadow:
    def __init__(self, log, counted: RegistryMetrics) -> None:
        self._log, self._counted = log, counted
        self._queue: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._told: Serving | None = None  # whose failure is in the log

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
            self._thread.start()

    def offer(self, active: Serving, challenger: Serving, rows: list, outcome: Outcome) -> None:
        """What was asked and answered. Returns at once."""
        if self._queue.qsize() >= WAITING:
            self._counted.compared(DROPPED, len(rows))
        else:
            self._queue.put(Asked(active, challenger, rows, outcome))

    def close(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(LAST_WAIT_SECONDS)

    def _run(self) -> None:
        while (asked := self._queue.get()) is not None:
            time.sleep(GATHER_SECONDS)
            together, rows = [asked], len(asked.rows)
            del asked  # or the thread would keep a model that was replaced
            while rows < ROWS_AT_ONCE and not self._queue.empty():
                asked = self._queue.get()
                if asked is None:
                    return
                if asked.challenger is not together[0].challenger:
                    self._compare(together)
                    together, rows = [], 0
                together.append(asked)
                rows += len(asked.rows)
                del asked
            self._compare(together)
            del together

    def _compare(self, together: list[Asked]) -> None:
        """All that were asked of one challenger; where it fails, one by one."""
        challenger = together[0].challenger
        try:
            found = challenger.predict([row for asked in together for row in asked.rows]).predictions
        except Exception as error:
            if len(together) > 1:
                for asked in together:
                    self._compare([asked])
                return
            self._counted.compared(FAILED, len(together[0].rows))
            if self._told is not challenger:
                self._told = challenger
                self._log.warning(
                    "the challenger fails", model=challenger.full_name, error=type(error).__name__
                )
            return
        expected = [named(asked.active, answer) for asked in together for answer in asked.outcome.predictions]
        same = sum(agree(one, named(challenger, other)) for one, other in zip(expected, found, strict=True))
        for result, rows in ((AGREE, same), (DIFFER, len(found) - same)):
            if rows:
                self._counted.compared(result, rows)


def named(serving: Serving, answer: Any) -> Any:
    """An answer as people know it: a class by its name."""
    return (
        serving.class_of.get(answer, answer) if serving.classes and not isinstance(answer, list) else answer
    )


def agree(one: Any, other: Any) -> bool:
    """The same class, or nearly the same number; of several outputs all of them."""
    if isinstance(one, list):
        return len(one) == len(other) and all(map(agree, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=TOLERANCE)
    return one == other

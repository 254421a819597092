"""Where requests are counted: in Redis, which several processes share, or in this process.

All limits that a request meets are asked at once, and it is counted only if there is room in each: a refusal
changes nothing, so that nobody is locked out for longer than a window lasts.

A Redis that is down or silent costs nobody an answer. After one failure no request asks it any more, each
process counts for itself, and a thread looks every few seconds whether it is back."""

import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import NamedTuple

import redis

from apps.service.access.local_counts import LocalCounts
from apps.service.access.policies import WINDOW, Asked, Policy, Taken
from apps.service.access.redis_counts import TIMEOUT_SECONDS, RedisCounts

PAUSE_SECONDS = 3.0  # between one look at a Redis that is down and the next
RENEW_SECONDS = 10.0  # how often the slots that are held in Redis are renewed: three times in their lease
PROBE = (Policy("probe", WINDOW, 1 << 40, 1), "")


class Slot(NamedTuple):
    """One request of those that a caller may have answered at a time."""

    policy: Policy
    key: str
    holder: str  # whose it is in Redis; "" where it is counted here


class Counts:
    def __init__(self, url: str | None, log, metrics, timeout: float = TIMEOUT_SECONDS) -> None:
        """`url` of Redis, or None, and the seconds it may take. Redis is not asked before `start`."""
        self._log, self._metrics = log, metrics
        self._local = LocalCounts()
        self._shared = RedisCounts(url, timeout=timeout) if url else None
        self.shares = False  # whether Redis is asked
        self._lock = threading.Lock()
        self._held: set[Slot] = set()  # in Redis
        self._freed: SimpleQueue[Slot | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look whether Redis answers, and go on looking."""
        if self._shared is None or self._thread is not None:
            return
        self._metrics.counts_shared(False)
        try:
            self._shared.take([PROBE])
            self._found()
        except (redis.RedisError, OSError) as error:
            self._lost(error)
        self._thread = threading.Thread(target=self._tend, name="limits", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Give back what is held, if Redis answers."""
        if self._thread is not None:
            self._freed.put(None)
            self._thread.join(PAUSE_SECONDS)
            self._thread = None

    def take(self, asked: Sequence[Asked]) -> tuple[Taken, Slot | None]:
        """Count one with each of `asked`, if there is room in all. Where one of them is of the kind SLOT, the
        second part of the answer is what to give back."""
        wanted = next((one for one in asked if one[0].is_slot), None)
        if self.shares:
            slot = Slot(*wanted, self._shared.holder()) if wanted else None
            try:
                taken = self._shared.take(asked, slot.holder if slot else "")
            except (redis.RedisError, OSError) as error:
                self._lost(error)
                if slot:
                    self._freed.put(slot)  # it may have been taken, and only the answer was lost
            else:
                if slot and taken.inside:
                    with self._lock:
                        self._held.add(slot)
                return taken, slot if taken.inside else None
        taken = self._local.take(asked)
        return taken, Slot(*wanted, "") if wanted and taken.inside else None

    def look(self, asked: Sequence[Asked]) -> Taken:
        """What is counted; count nothing."""
        if self.shares:
            try:
                return self._shared.take(asked, really=False)
            except (redis.RedisError, OSError) as error:
                self._lost(error)
        return self._local.take(asked, really=False)

    def take_back(self, asked: Sequence[Asked]) -> None:
        """Count one less in each of these windows."""
        if self.shares:
            try:
                self._shared.take_back(asked)
                return
            except (redis.RedisError, OSError) as error:
                self._lost(error)
        self._local.take_back(asked)

    def give_back(self, slot: Slot) -> None:
        """Never raises, and never waits for Redis."""
        if not slot.holder:
            self._local.give_back(slot.policy, slot.key)
            return
        with self._lock:
            self._held.discard(slot)
        self._freed.put(slot)

    def _lost(self, error: Exception) -> None:
        with self._lock:
            first = self.shares or self._thread is None
            self.shares = False
        if first:
            self._shared.disconnect()
            self._log.warning("Redis does not answer: limits are counted here", error=type(error).__name__)
            self._metrics.counts_shared(False)

    def _found(self) -> None:
        self.shares = True
        self._log.info("Redis answers: limits are counted there")
        self._metrics.counts_shared(True)

    def _tend(self) -> None:
        """Give slots back, renew those that are held, and look whether Redis is back."""
        freed: list[Slot] = []
        look_at = renew_at = time.monotonic()
        while True:
            try:
                freed.append(self._freed.get(timeout=1.0))
                while not self._freed.empty():
                    freed.append(self._freed.get())
            except Empty:
                pass
            ending = None in freed
            freed = [slot for slot in freed if slot]
            now = time.monotonic()
            try:
                if not self.shares and now >= look_at:
                    look_at = now + PAUSE_SECONDS
                    self._shared.take([PROBE])
                    self._found()
                if self.shares:
                    with self._lock:
                        held = list(self._held)
                    if ending:
                        freed += held
                    self._shared.give_back(freed)
                    freed = []
                    if now >= renew_at and not ending:
                        renew_at = now + RENEW_SECONDS
                        self._shared.renew(held)
            except (redis.RedisError, OSError) as error:
                self._lost(error)
                look_at = now + PAUSE_SECONDS
            if ending:
                return

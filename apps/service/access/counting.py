"""Where requests are counted: in Redis, which several processes share, or in this process.

All limits that a request meets are asked at once, and it is counted only if there is room in each: a refusal
changes nothing, so that nobody is locked out for longer than a window lasts.

While Redis does not answer, each process counts for itself."""

import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import NamedTuple

from apps.service.access.local_counts import LocalCounts
from apps.service.access.policies import Asked, Policy, Taken
from apps.service.access.redis_counts import RedisCounts
from apps.service.redis import FAILURES, Redis

RENEW_SECONDS = 10.0  # how often the slots that are held in Redis are renewed: three times in their lease
LAST_WAIT_SECONDS = 3.0
# A slot comes back to Redis a moment after its answer has gone: who asks again at once may find it taken. So
# who is refused for a slot alone is looked at again, so much later each time.
LOOKS_AGAIN_SECONDS = (0.005, 0.01, 0.02, 0.04, 0.08)
MOST_LOOKS = 2  # such callers at a time: the others need the threads


class Slot(NamedTuple):
    """One request of those that a caller may have answered at a time."""

    policy: Policy
    key: str
    holder: str  # whose it is in Redis; "" where it is counted here


class Counts:
    """Where requests and tokens are counted."""

    def __init__(self, redis: Redis | None, metrics) -> None:
        """`redis`: None for this process alone. It is not asked before its start."""
        self._local = LocalCounts()
        self._redis = redis
        if redis is not None:
            self._shared = RedisCounts(redis.client)
            redis.used("limits are counted there", "limits are counted here", metrics.counts_shared)
        self._lock = threading.Lock()
        self._held: set[Slot] = set()  # in Redis
        self._freed: SimpleQueue[Slot | None] = SimpleQueue()
        self._looks = threading.BoundedSemaphore(MOST_LOOKS)
        self._thread: threading.Thread | None = None

    @property
    def shares(self) -> bool:
        """Whether Redis is asked."""
        return self._redis is not None and self._redis.answers

    def start(self) -> None:
        """Look after the slots in Redis."""
        if self._redis is not None and self._thread is None:
            self._thread = threading.Thread(target=self._tend, name="limits", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Give back what is held, if Redis answers."""
        if self._thread is not None:
            self._freed.put(None)
            self._thread.join(LAST_WAIT_SECONDS)
            self._thread = None

    def take(self, asked: Sequence[Asked], amount: int = 1) -> tuple[Taken, Slot | None]:
        """Count one with each of `asked`, or `amount` where all are periods, if there is room in all. Where
        one of them is of the kind SLOT, the second part of the answer is what to give back."""
        wanted = next((one for one in asked if one[0].is_slot), None)
        if self.shares:
            slot = Slot(*wanted, self._shared.holder()) if wanted else None
            try:
                taken = self._shared.take(asked, slot.holder if slot else "", amount)
                if slot and lacks_slot_alone(asked, taken):
                    taken = self._look_again(asked, slot, taken)
            except FAILURES as error:
                self._redis.lost(error)
                if slot:
                    self._freed.put(slot)  # it may have been taken, and only the answer was lost
            else:
                if slot and taken.inside:
                    with self._lock:
                        self._held.add(slot)
                return taken, slot if taken.inside else None
        taken = self._local.take(asked, amount)
        return taken, Slot(*wanted, "") if wanted and taken.inside else None

    def look(self, asked: Sequence[Asked]) -> Taken:
        """What is counted; count nothing."""
        if self.shares:
            try:
                return self._shared.take(asked, amount=0)
            except FAILURES as error:
                self._redis.lost(error)
        return self._local.take(asked, amount=0)

    def spend(self, asked: Sequence[Asked], amount: int) -> None:
        """Count so many in each of these periods, room or not; where it is less than 0, so many less."""
        if self.shares:
            try:
                self._shared.spend(asked, amount)
                return
            except FAILURES as error:
                self._redis.lost(error)
        self._local.spend(asked, amount)

    def take_back(self, asked: Sequence[Asked]) -> None:
        """Count one less in each of these windows."""
        if self.shares:
            try:
                self._shared.take_back(asked)
                return
            except FAILURES as error:
                self._redis.lost(error)
        self._local.take_back(asked)

    def give_back(self, slot: Slot) -> None:
        """Never raises, and never waits for Redis."""
        if not slot.holder:
            self._local.give_back(slot.policy, slot.key)
            return
        with self._lock:
            self._held.discard(slot)
        self._freed.put(slot)

    def _look_again(self, asked: Sequence[Asked], slot: Slot, taken: Taken) -> Taken:
        if self._looks.acquire(blocking=False):
            try:
                for seconds in LOOKS_AGAIN_SECONDS:
                    time.sleep(seconds)
                    taken = self._shared.take(asked, slot.holder)
                    if not lacks_slot_alone(asked, taken):
                        break
            finally:
                self._looks.release()
        return taken

    def _tend(self) -> None:
        """Give slots back, and renew those that are held, while Redis answers."""
        freed: list[Slot] = []
        renew_at = time.monotonic()
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
            except FAILURES as error:
                self._redis.lost(error)
            if ending:
                return


def lacks_slot_alone(asked: Sequence[Asked], taken: Taken) -> bool:
    """Whether it was refused, and there is room in everything else."""
    if taken.inside:
        return False
    pairs = zip(asked, taken.standings, strict=True)
    return all(policy.is_slot for (policy, _), (used, _) in pairs if used >= policy.limit)

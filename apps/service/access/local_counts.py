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

from apps.service.access.policies import PERIOD, WINDOW, Asked, Policy, Standing, Taken

MOST_CALLERS = 100_000  # of one limit; who has asked least recently is forgotten first
MOST_TIMES = 4_000_000  # of all callers of one limit, in 8 bytes each


class LocalCounts:
    def __init__(
        self, now: Callable[[], int] = time.monotonic_ns, today: Callable[[], int] = time.time_ns
    ) -> None:
        """`now` only goes forward, `today` counts from 1970 on; both in nanoseconds."""
        self._now, self._today = now, today
        self._lock = threading.Lock()
        self._windows: dict[Policy, Window] = {}
        self._periods: dict[Policy, Period] = {}
        self._slots: dict[Asked, int] = {}

    def take(self, asked: Sequence[Asked], amount: int = 1) -> Taken:
        """Count one with each, or `amount` where all are periods, if there is room in all. With 0, only
        look."""
        inside, found = True, []
        with self._lock:
            now = self._now()
            for one in asked:
                standing = self._standing(one, now)
                found.append(standing)
                if standing[0] + max(amount, 1) > one[0].limit:
                    inside = False
            if inside and amount:
                found = [
                    self._count(one, *standing, now, amount)
                    for one, standing in zip(asked, found, strict=True)
                ]
        return Taken(inside, found)

    def spend(self, asked: Sequence[Asked], amount: int) -> None:
        """Count so many in each of these periods, room or not; where it is less than 0, so many less."""
        with self._lock:
            for policy, key in asked:
                self._period(policy).count(key, amount)

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
        if kind == PERIOD:
            period = self._period(policy)
            return period.used(key), period.left
        return self._slots.get(one, 0), 0.0

    def _period(self, policy: Policy) -> "Period":
        if policy not in self._periods:
            self._periods[policy] = Period(policy.seconds)
        self._periods[policy].turn(self._today())
        return self._periods[policy]

    def _count(self, one: Asked, used: int, wait: float, now: int, amount: int) -> Standing:
        policy, key = one
        kind = policy.kind
        if kind == WINDOW:
            self._windows[policy].count(key, now)
            return used + 1, wait or policy.seconds
        if kind == PERIOD:
            self._periods[policy].count(key, amount)
            return used + amount, wait
        self._slots[one] = used + 1
        return used + 1, wait


class Period:
    """How much each caller has had since the clock's last turn."""

    def __init__(self, seconds: float) -> None:
        self._span = int(seconds * 1e9)
        self._number, self.left = 0, 0.0  # seconds until the next turn
        self.callers: OrderedDict[str, int] = OrderedDict()  # who has had something most recently is last

    def turn(self, now: int) -> None:
        """Forget what was counted before the clock's last turn."""
        number, passed = divmod(now, self._span)
        self.left = (self._span - passed) / 1e9
        if number != self._number:
            self._number = number
            self.callers.clear()

    def used(self, key: str) -> int:
        return self.callers.get(key, 0)

    def count(self, key: str, amount: int) -> None:
        used = self.callers.pop(key, 0) + amount
        if used > 0:
            self.callers[key] = used
            if len(self.callers) > MOST_CALLERS:
                self.callers.popitem(last=False)


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

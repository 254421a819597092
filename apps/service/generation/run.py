"""One request's generations as whoever reads them has them: events, as they come.

They are put in by the threads that generate, which never wait for a reader: what may wait to be read is as
much as MAX_TOKENS allows, no more."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

from apps.service.generation.runtime import Ended
from apps.service.problems import Problem
from apps.service.requests import ClientGone


@dataclass(frozen=True)
class Delta:
    """More text of one choice, which may be sent."""

    choice: int
    text: str


@dataclass(frozen=True)
class Finished:
    """One choice has ended."""

    choice: int
    ended: Ended


Event = Delta | Finished


@dataclass
class Times:
    """Of one request, in seconds of time.monotonic(); 0.0: not yet."""

    asked: float = field(default_factory=time.monotonic)
    begun: float = 0.0  # the first choice has its slot
    first: float = 0.0  # the first token
    ended: float = 0.0


class Run:
    """Read it with `events` in a thread, or `aevents` on an event loop, once. Whoever stops reading calls
    `cancel`."""

    def __init__(self, choices: int, first_seconds: float, seconds: float, heartbeat_seconds: float) -> None:
        self.times = Times()
        self.cancelled = self.late = False
        self._left = choices
        self._first_seconds, self._seconds = first_seconds, seconds
        self._heartbeat = heartbeat_seconds
        self._events: deque[Event | Problem] = deque()
        self._changed = threading.Condition()
        self._loop: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def put(self, event: Event | Problem) -> None:
        """From a thread that generates. A Problem ends it all."""
        with self._changed:
            self._events.append(event)
            self._changed.notify()
            if self._loop is not None and not self._loop[0].is_closed():
                self._loop[0].call_soon_threadsafe(self._loop[1].set)

    def cancel(self) -> None:
        """Nobody reads any more: what still waits or is generated ends."""
        self.cancelled = True

    def events(self, gone: Callable[[], bool] = bool, every: float = 0.05) -> Iterator[Event | None]:
        """None as a heartbeat while nothing comes. Raises Problem where it fails or takes too long. `gone`
        is asked between events whether the client has left; then it raises ClientGone."""
        beat = time.monotonic() + self._heartbeat
        try:
            while self._left:
                with self._changed:
                    self._changed.wait_for(lambda: self._events, min(every, self._patience()))
                if gone():
                    raise ClientGone
                if self._events:
                    yield self._next()
                elif time.monotonic() >= beat:
                    yield None
                else:
                    continue
                beat = time.monotonic() + self._heartbeat
        finally:
            self.cancel()

    async def aevents(self) -> AsyncIterator[Event | None]:
        """The same on an event loop. Where the task that reads is cancelled, so is what is generated."""
        woken = asyncio.Event()
        with self._changed:
            self._loop = asyncio.get_running_loop(), woken
        try:
            while self._left:
                if not self._events:
                    try:
                        async with asyncio.timeout(min(self._heartbeat, self._patience())):
                            await woken.wait()
                    except TimeoutError:
                        if self._patience() > 0:
                            yield None
                            continue
                    woken.clear()
                if self._events:
                    yield self._next()
        finally:
            self.cancel()

    def _next(self) -> Event:
        event = self._events.popleft()
        if isinstance(event, Problem):
            raise event
        if isinstance(event, Finished):
            self._left -= 1
        return event

    def _patience(self) -> float:
        """Seconds until it is too late. Raises Problem where it is."""
        now, times = time.monotonic(), self.times
        if now >= times.asked + self._seconds:
            self.late = True
            raise Problem(
                "generation-timeout", f"the whole answer did not come within {self._seconds:g} seconds"
            )
        if not times.first and now >= times.asked + self._first_seconds:
            self.late = True
            raise Problem(
                "generation-timeout", f"the first token did not come within {self._first_seconds:g} seconds"
            )
        end = times.asked + (self._seconds if times.first else min(self._first_seconds, self._seconds))
        return max(end - now, 0.001)

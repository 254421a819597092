"""Bodies as they arrive at the FastAPI server, held to a time and a size: whole, or in pieces for a view."""

import asyncio
from time import perf_counter

from apps.service.problems import Problem
from apps.service.requests import Requests

SWEEP_SECONDS = 0.25
TOO_SLOW = "the request's body"


class Disconnected(Exception):
    """The client has gone before its request had arrived."""


class Bodies:
    def __init__(self, requests: Requests) -> None:
        self.requests = requests
        self.streams: set[Stream] = set()  # that are arriving
        self._timeout = requests.settings.request_timeout_seconds
        self._max_body = requests.settings.max_body_bytes
        self._arriving: dict[asyncio.Task, float] = {}  # whose body is being read, until when
        self._sweep: asyncio.TimerHandle | None = None

    async def read(self, receive) -> bytes:
        """The whole body. Raises Problem for one too large or too slow, Disconnected where it ends early."""
        parts, size, end = [], 0, perf_counter() + self._timeout
        while True:
            message = await self.piece(receive, end)
            part = message.get("body", b"")
            size += len(part)
            if size > self._max_body:
                raise self.requests.too_large()
            if not message.get("more_body"):
                return b"".join([*parts, part]) if parts else part
            parts.append(part)

    def stream(self, limit: int, receive) -> "Stream":
        """A body that the view takes in pieces. Raises Problem where so many arrive that what is answered in
        no time would find no place."""
        if len(self.streams) >= max(1, self.requests.settings.max_in_flight // 2):
            raise Problem("overloaded", "as many uploads as this server takes at once are arriving")
        stream = Stream(self, limit, receive)
        self.streams.add(stream)
        return stream

    async def piece(self, receive, end: float, streamed: bool = False) -> dict:
        """What comes next, until `end` on the clock. Raises Problem, Disconnected."""
        task = asyncio.current_task()
        self._arriving[task] = end
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self.cut_off)
        try:
            message = await receive()
        except asyncio.CancelledError as error:
            if error.args != (TOO_SLOW,):
                raise
            task.uncancel()
            raise self.requests.too_slow(streamed) from None
        finally:
            del self._arriving[task]
        if message["type"] == "http.disconnect":
            raise Disconnected
        return message

    def cut_off(self) -> None:
        """Cancel what has taken too long to arrive. A timer of its own for each request, as asyncio.timeout
        sets it, takes 10 µs; this takes none to speak of."""
        self._sweep, now = None, perf_counter()
        for task, end in self._arriving.items():
            if now > end:
                task.cancel(TOO_SLOW)
        if self._arriving:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self.cut_off)


class Stream:
    """A body as ASGI's `receive` gives it to a view that takes it in pieces, held to its limits. How long the
    view is busy with a piece does not count."""

    def __init__(self, bodies: Bodies, limit: int, receive) -> None:
        self._bodies, self._limit, self._receive = bodies, limit, receive
        self._size, self._waited, self._ended = 0, 0.0, False

    async def __call__(self) -> dict:
        """Raises Problem for a body too large or too slow, Disconnected where it ends early."""
        if self._ended:
            return await left(self._receive)
        requests, started = self._bodies.requests, perf_counter()
        end = started + requests.seconds_for(self._size) - self._waited
        message = await self._bodies.piece(self._receive, end, streamed=True)
        self._waited += perf_counter() - started
        self._size += len(message.get("body", b""))
        if self._size > self._limit:
            raise requests.too_large(self._limit)
        if not message.get("more_body"):
            self._ended = True
            self.end()
        return message

    def end(self) -> None:
        """Nothing of it is waited for any more."""
        self._bodies.streams.discard(self)


async def left(receive) -> dict:
    """What comes after a body that was read: nothing, until the client has gone or has its whole answer.
    Starlette listens for it while it streams."""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return message

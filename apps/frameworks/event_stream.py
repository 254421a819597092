"""An answer that lasts: sent as it comes, ended as soon as its client has gone or does not read."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from apps.service.requests import ClientGone

T = TypeVar("T")


class EventStream(Response):
    """Starlette's StreamingResponse learns that a client has gone when it sends the next part; this one at
    once, and it waits `write_seconds` for a client that takes nothing."""

    def __init__(self, parts: AsyncIterator[bytes], write_seconds: float, **options) -> None:
        super().__init__(None, **options)
        self._parts, self._seconds = parts, write_seconds
        del self.headers["content-length"]

    async def __call__(self, scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await attended(Request(scope, receive), self._send(send))

    async def _send(self, send) -> None:
        async with aclosing(self._parts) as parts:
            async for part in parts:
                await self._written(send, {"type": "http.response.body", "body": part, "more_body": True})
        await self._written(send, {"type": "http.response.body", "body": b""})

    async def _written(self, send, message: dict) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await send(message)
        except TimeoutError:
            raise ClientGone from None


async def attended(request: Request, work: Coroutine[None, None, T]) -> T:
    """What `work` gives. Where the client leaves before, `work` is cancelled; raises ClientGone."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(gone(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def gone(request: Request) -> None:
    """Returns when the client has left; the body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass

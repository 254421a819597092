"""One keep-alive HTTP/1.1 connection of the load generator: it repeats one request and reads the answers.

Written by hand on asyncio.Protocol, for the time that a client takes is time that a server seems to take:
about 50 µs a request here, some 500 in httpx.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)")


class NotHTTP(ValueError):
    """What came is no HTTP/1 answer."""


class Connection(asyncio.Protocol):
    """Calls `answered(connection, status)` for each answer and `failed(connection, kind)` once, at its end,
    whether or not somebody was waiting."""

    def __init__(
        self,
        request: bytes,
        answered: Callable[["Connection", int], None],
        failed: Callable[["Connection", str], None],
    ) -> None:
        self.request, self.answered, self.failed = request, answered, failed
        self.transport: asyncio.Transport | None = None
        self.waiting = False  # for an answer
        self.usable = False  # for another request
        self.data = b""
        self.end = "closed without a whole answer"  # what it is called if the connection ends under a request

    def open(self, address: tuple) -> None:
        """Connect, and then send the request that was asked for meanwhile."""
        self.opening = asyncio.ensure_future(self._connect(address))

    async def _connect(self, address: tuple) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, *address)
        except ConnectionRefusedError:
            self.failed(self, "connection refused")
        except OSError:
            self.failed(self, "no connection")

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport, self.usable = transport, True
        if self.waiting:
            transport.write(self.request)

    def send(self) -> None:
        self.waiting = True
        if self.transport:
            self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.data = data = self.data + data if self.data else data
        if self.waiting:
            self._read(data, closed=False)
        else:
            self._abort("an answer that nobody asked for")

    def _read(self, data: bytes, *, closed: bool) -> None:
        try:
            found = answer_in(data, closed=closed)
        except NotHTTP:
            return self._abort("not HTTP")
        if found:
            status, keep = found
            self.waiting, self.data = False, b""
            if not keep:
                self.usable = False
                self.transport.close()
            self.answered(self, status)

    def connection_lost(self, error: Exception | None) -> None:
        if self.waiting and not error:
            self._read(self.data, closed=True)
        self.usable = False
        self.failed(self, "connection reset" if isinstance(error, ConnectionError) else self.end)

    def give_up(self) -> None:
        """Stop waiting; the connection is of no use any more, for its answer may still come."""
        if self.transport:
            self._abort("timeout")
        else:
            self.opening.cancel()
            self.failed(self, "timeout")

    def close(self) -> None:
        self.transport.abort()

    def _abort(self, kind: str) -> None:
        self.end, self.waiting, self.usable, self.data = kind, False, False, b""
        self.transport.abort()


def answer_in(data: bytes, *, closed: bool) -> tuple[int, bool] | None:
    """The status of the answer that `data` holds, and whether the connection goes on; None: not all came yet.

    `closed`: nothing will follow, which is the end of a body that says no length. Raises NotHTTP."""
    if not b"HTTP/1.".startswith(data[:7]):
        raise NotHTTP
    start = data.find(b"\r\n\r\n") + 4
    if start < 4:
        return None
    try:
        status = int(data[9:12])
    except ValueError:
        raise NotHTTP from None
    if status < 200:  # "Early hints" and their like; the answer follows
        return answer_in(data[start:], closed=closed)
    head = data[: start - 2].lower()
    length = LENGTH.search(head)
    keep = b"\r\nconnection: close" not in head
    if data[7:8] == b"0":
        keep = b"\r\nconnection: keep-alive" in head
    if status in (204, 304):
        end = start
    elif b"\r\ntransfer-encoding: chunked" in head:
        end = end_of_chunks(data, start)
    elif length:
        end = start + int(length[1])
    else:
        end, keep = len(data) if closed else None, False
    if end is None or end > len(data):
        return None
    return status, keep and end == len(data)


def end_of_chunks(data: bytes, at: int) -> int | None:
    """Where a chunked body (RFC 9112, 7.1) that starts at `at` ends; None: not all came yet."""
    while (line := data.find(b"\r\n", at)) >= 0:
        size = 0
        with contextlib.suppress(ValueError):
            size = int(data[at:line].partition(b";")[0], 16)
        if not size:
            break
        at = line + 2 + size + 2
    else:
        return None
    trailer = data.find(b"\r\n\r\n", line)
    return trailer + 4 if trailer >= 0 else None

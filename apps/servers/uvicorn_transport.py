"""What the connections of uvicorn_protocol.py write to: few system calls, and a count of what is taken."""


class Corked:
    """A transport that keeps an answer's head until its body comes, as ASGI wants, and in a crowd both until
    the end of the turn: one system call and one packet for what uvicorn by itself sends in two."""

    def __init__(self, transport, loop, concurrency) -> None:
        self._transport, self._loop, self._concurrency = transport, loop, concurrency
        self._kept: list[bytes] = []
        self._written = 0  # bytes, the system's share and what waits for it
        self._later = False  # whether `flush` is going to be called
        self.has_ahead = False  # whether what the client sends next has to wait
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        self._kept.append(data)
        if self._later:
            return
        if self._concurrency.several:
            self._later = True
            self._loop.call_soon(self.flush)
        elif len(self._kept) > 1 or not data.startswith(b"HTTP/1.1 ") or data.startswith(b"HTTP/1.1 100"):
            self.flush()

    def end(self) -> None:
        """An answer is complete: that to a HEAD has no body."""
        if self._kept and not self._later:
            self.flush()

    def flush(self) -> None:
        kept, self._kept, self._later = self._kept, [], False
        if kept and not self._transport.is_closing():  # the client may have gone since
            data = b"".join(kept)
            self._written += len(data)
            self._transport.write(data)

    def taken(self) -> int | None:
        """Bytes that the system has taken so far, or None where nothing waits for it."""
        waiting = self._transport.get_write_buffer_size()
        return self._written - waiting if waiting else None

    def resume_reading(self) -> None:
        """Each request asks for it that waits for its body, or for its client to leave."""
        if not self.has_ahead:
            self._transport.resume_reading()

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str):
        return getattr(self._transport, name)

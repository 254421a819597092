"""The answers to one prompt, read by a thread of its own: all servers at the same time."""

import asyncio
import threading
import time
from contextlib import aclosing

import httpx

from ui import answers, event_stream, language_model
from ui.chat import BY_YOU, UNSEEN, Reply, Spent, Turn
from ui.transport import Broken, Credential

LOOK = 0.05  # seconds, within which a stream that is to end does
UNSEEN_SECONDS = 30.0  # after which nobody looks any more; a busy machine takes 20 to load a page anew


class Answering(threading.Thread):
    """`seen` tells it that somebody looks. What nobody looks at ends, as what is stopped does: the server is
    left, and computes no more. The page itself never reads a stream: Streamlit may end its run anywhere."""

    def __init__(
        self, turn: Turn, bodies: list[bytes], credentials: list[Credential | None], spent: Spent
    ) -> None:
        super().__init__(name="answering", daemon=True)
        self.turn = turn
        self._asked = list(zip(turn.replies, bodies, credentials, strict=True))
        self._spent, self._seen, self._stop_asked = spent, time.monotonic(), threading.Event()

    def run(self) -> None:
        try:
            asyncio.run(self._all())
        finally:
            for reply in self.turn.replies:
                reply.ended = True
                self._spent.add(reply)

    def stop(self) -> None:
        self._stop_asked.set()

    def seen(self) -> None:
        self._seen = time.monotonic()

    async def _all(self) -> None:
        async with event_stream.client() as http:
            reading = {asyncio.create_task(read(http, *asked)): asked[0] for asked in self._asked}
            pending = set(reading)
            while pending:
                _, pending = await asyncio.wait(pending, timeout=LOOK)
                if why := self._why_stop():
                    for task in pending:
                        reading[task].stopped = why
                        task.cancel()
            for task in reading:
                if not task.cancelled():
                    task.result()

    def _why_stop(self) -> str:
        if self._stop_asked.is_set():
            return BY_YOU
        return UNSEEN if time.monotonic() > self._seen + UNSEEN_SECONDS else ""


async def read(http: httpx.AsyncClient, reply: Reply, body: bytes, credential: Credential | None) -> None:
    """Read one server's answer to its end, whatever that is."""
    server, whole = reply.server, False
    reply.asked = time.perf_counter()
    try:
        stream = event_stream.events(http, server, language_model.CHAT, body, credential)
        async with aclosing(stream) as events:
            async for event in events:
                if event.event == "error":
                    raise Broken(answers.broken_off(server, *language_model.read_error(event.data)))
                if event.data == "[DONE]":
                    whole = True
                elif not whole:
                    reply.take(language_model.read_chunk(event.data), time.perf_counter())
        if not whole:
            raise Broken(answers.broken(server))
    except Broken as broken:
        gone = reply.text and broken.failure == answers.broken(server)
        reply.failure = answers.generating(answers.went_away(server) if gone else broken.failure)
    except ValueError:
        reply.failure = answers.strange(server, "sent an event that is none of an answer's")
    finally:
        reply.ended = True

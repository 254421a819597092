"""uvicorn's connections for HTTP, made strict: what its parser refuses is answered like everything else, and
clients that stall are cut off."""

import asyncio
import time
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from apps.servers.http_parser import RequestParser
from apps.servers.uvicorn_transport import Corked
from apps.service.problems import Problem
from apps.service.requests import Requests
from apps.service.timing import ARRIVAL

LINGER_SECONDS = 2  # for a client that was refused while it sends


class Cycle(RequestResponseCycle):
    """A request and its answer. Who has said that nothing more will come may still read: that they are gone
    is told to who listens for it, and nobody else, and nothing is sent any more then."""

    is_whole = client_is_done = False

    async def receive(self) -> dict:
        if not (self.is_whole and self.client_is_done):
            message = await super().receive()
            if not (self.is_whole and self.client_is_done):
                self.is_whole = not message.get("more_body")
                return message
        self.disconnected = True
        self.transport.close()
        return {"type": "http.disconnect"}


def strict(requests: Requests) -> type[HttpToolsProtocol]:
    """uvicorn's HTTP protocol, with the service's limits and answers."""
    limits = requests.settings
    wait, idle, timed = limits.request_timeout_seconds, limits.keep_alive_seconds, limits.server_timing

    class StrictProtocol(HttpToolsProtocol):
        _ahead = b""  # what has come of the next requests, before it is their turn
        _taken: int | None = None  # bytes of answers, when the client last took some, and when that was
        _taken_at = 0.0

        def connection_made(self, transport) -> None:
            super().connection_made(Corked(transport, self.loop, requests.concurrency))
            follows = b"websocket" if self._should_upgrade_to_ws() else None
            self._arriving = RequestParser(requests, self, follows)
            self._idle_since = time.perf_counter()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._arriving.close()

        def data_received(self, data: bytes) -> None:
            if self._ahead:
                self._read_later(self._ahead + data)
            else:
                self._read(data)

        def _read(self, data: bytes) -> None:
            """uvicorn would make requests of all that a client sends ahead, thousands of each client's, while
            all others wait."""
            while data and self._is_open() and not self._is_answering():
                data = self._arriving.read(data)
            if data and self._is_open():
                self._read_later(data)

        def _is_open(self) -> bool:
            """False where it ends, and where it is a WebSocket's by now."""
            return not self.transport.is_closing() and self in self.connections

        def _is_answering(self) -> bool:
            """True from a request's end to its answer's."""
            cycle = self.cycle
            return cycle is not None and not cycle.response_complete and self._arriving.begun is None

        def _read_later(self, data: bytes) -> None:
            self._ahead = data
            self.transport.has_ahead = True
            self.transport.pause_reading()

        def _go_on(self) -> None:
            data, self._ahead, self.transport.has_ahead = self._ahead, b"", False
            self._read(data)
            if not self._ahead and not self.flow.read_paused and self._is_open():
                self.transport.resume_reading()

        def on_head(self) -> None:
            """What uvicorn's on_headers_complete does, without asking the parser again for what is known."""
            arriving, self.parser = self._arriving, self._arriving.parser
            self.headers, self.url = arriving.headers, arriving.target
            self.scope = {
                "type": "http",
                "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
                "http_version": arriving.version,
                "server": self.server,
                "client": self.client,
                "scheme": self.scheme,
                "method": arriving.method,
                "root_path": self.root_path,
                "path": self.root_path + arriving.path,
                "raw_path": self.root_path.encode() + arriving.raw_path,
                "query_string": arriving.query,
                "headers": arriving.headers,
                "state": self.app_state.copy(),
            }
            if self.parser.should_upgrade() and self._should_upgrade():
                self.handle_websocket_upgrade()
                return
            if timed:
                self.scope[ARRIVAL] = arriving.arrival
            keeps = arriving.keep_alive and arriving.version == "1.1" and not self.server_state.draining
            self.cycle = Cycle(
                scope=self.scope,
                transport=self.transport,
                flow=self.flow,
                logger=self.logger,
                access_logger=self.access_logger,
                access_log=False,
                default_headers=self.server_state.default_headers,
                message_event=asyncio.Event(),
                expect_100_continue=arriving.expects_continue,
                keep_alive=keeps,
                on_response=self.on_response_complete,
            )
            self._start_asgi_task(self.cycle, self.app)

        # uvicorn sets a timer after each answer, and is called by the loop after each task. Here the sweep
        # looks who has been idle for too long, and a task says itself that it ends (benchmarks/README.md).

        def on_response_complete(self) -> None:
            self.transport.end()
            self.server_state.total_requests += 1
            if self.transport.is_closing():
                return
            self.flow.resume_reading()
            self._idle_since = time.perf_counter()
            if self._ahead:
                self.loop.call_soon(self._go_on)
            elif self.cycle.client_is_done:
                self.transport.close()

        def eof_received(self) -> bool:
            """Whether the connection is kept: until what has been asked is answered."""
            if not self._is_answering():
                return False
            self.cycle.client_is_done = True
            self.cycle.message_event.set()
            return True

        def _start_asgi_task(self, cycle, app) -> None:
            self.tasks.add(self.loop.create_task(self._run(cycle, app)))

        async def _run(self, cycle, app) -> None:
            try:
                await cycle.run_asgi(app)
            finally:
                self.tasks.discard(asyncio.current_task())

        def cut_off_if_stalled(self, now: float) -> None:
            if self._is_unread(now):
                self.transport.abort()
            if self.transport.is_closing():
                return
            begun = self._arriving.begun
            if begun is None:
                if not self._is_answering() and now - self._idle_since > idle:
                    self.transport.close()
            elif now - begun > wait:
                answered = self.cycle is not None and self.cycle.response_complete
                if (limit := self._arriving.streamed_limit()) is not None:
                    self._cut_off_stream(now - begun, limit)
                elif not self._arriving.in_body:
                    self._arriving.refuse(requests.too_slow())
                elif answered or now - begun > wait + 1:  # the middleware has not got rid of it
                    self.transport.close()

        def _cut_off_stream(self, seconds: float, limit: int) -> None:
            """The middleware looks whether it comes fast enough, until it is answered. What then still comes
            of one that was refused is thrown away, so that the client can read why, but not for ever."""
            size = self._arriving.size
            wasted = size > limit or seconds > requests.seconds_for(size) + LINGER_SECONDS
            if wasted and (self.cycle is None or self.cycle.response_complete):
                self.transport.close()

        def _is_unread(self, now: float) -> bool:
            """True where the client has taken nothing of an answer for too long."""
            taken = self.transport.taken()
            if taken is None or taken != self._taken:
                self._taken, self._taken_at = taken, now
            return taken is not None and now - self._taken_at > idle

        def on_problem(self, problem: Problem) -> None:
            """Answer in the place of an app that has not seen the whole request, and close."""
            arriving, running = self._arriving, self.cycle is not None and not self.cycle.response_complete
            if running and self.cycle.response_started:
                self.transport.close()
                return
            context = self.scope.get("context") if running else None
            context = context or requests.open(arriving.method, arriving.path)
            status, headers, body = requests.refuse(context, problem)
            headers += [*requests.marks(context), ("Connection", "close")]
            lines = [
                f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
                *(f"{n.lower()}: {v}" for n, v in headers),
            ]
            self.transport.write("\r\n".join([*lines, "", ""]).encode())
            if arriving.method != "HEAD":
                self.transport.write(body)
            self.transport.close()
            if running:
                self.cycle.disconnected = True
                if "context" in self.scope:
                    return  # the middleware closes it
                self.scope["refused"] = True
            requests.close(context, status)

    return StrictProtocol

"""uvicorn's connections for HTTP, made strict: what its parser refuses is answered like everything else, and
clients that stall are cut off."""

import asyncio
import re
import time
from http import HTTPStatus
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from apps.servers.uvicorn_transport import Corked
from apps.service.problems import Problem
from apps.service.requests import METHODS, Requests
from apps.service.timing import ARRIVAL

FRAMING_ALLOWED = 16384  # bytes of a request that are neither its head nor its body
# A request line of a method that the parser does not know: the parser itself only says that it is wrong.
UNKNOWN_METHOD = re.compile(
    rb"(?!(?:PRI|%b) )[!#$%%&'*+.^_`|~0-9A-Za-z-]+ (?:https?://[^/@ ]+)?(/[!-~]*) HTTP/1\.[01]\r\n"
    % "|".join(METHODS).encode()
).match
PIECE = 16384  # bytes that are parsed before it is looked whether requests wait already
LINGER_SECONDS = 2  # for a client that was refused while it sends
TWO_SPACES = re.compile(rb"[A-Z]+  ").match  # in a request line; the parser takes them for one
TARGET = re.compile(rb"/|https?://[^/@]+/").match


def strict(requests: Requests) -> type[HttpToolsProtocol]:
    """uvicorn's HTTP protocol, with the service's limits and answers."""
    limits = requests.settings
    wait, idle, timed = limits.request_timeout_seconds, limits.keep_alive_seconds, limits.server_timing

    class StrictProtocol(HttpToolsProtocol):
        scope: dict = {}
        _begun: float | None = None  # since when a request has been arriving
        _received = _body = 0  # bytes of it, all told, and those of its body
        _arrived = b""
        _ahead = b""  # what has come of the next requests, while others wait for their turn
        _own = 0  # bytes of what has just arrived that may be the next request's
        _is_to_stay = False  # though the request asks for another protocol
        _refused: tuple[Problem, str] | None = None  # what is said when the answers before it have gone
        _taken: int | None = None  # bytes of answers, when the client last took some, and when that was
        _taken_at = 0.0

        def connection_made(self, transport) -> None:
            super().connection_made(Corked(transport, self.loop, requests.concurrency))
            self._idle_since = time.monotonic()

        def data_received(self, data: bytes) -> None:
            if self._refused:
                return
            if self._ahead or self.pipeline or len(data) > PIECE:
                self._take(self._ahead + data)
            else:
                self._parse(data)

        def _take(self, data: bytes) -> None:
            """Parse it as long as no request waits: uvicorn would make one of all that a client sends ahead,
            thousands of each client's, while all others wait."""
            start = 0
            while start < len(data) and not self.pipeline:
                end = start + max(PIECE, self._body_to_come())
                self._parse(data[start:end])
                start = end
                if self._refused or self.transport.is_closing() or self not in self.connections:
                    return  # no longer ours, by the last of these: a WebSocket's
            self._ahead = data[start:]
            self.transport.has_ahead = bool(self._ahead)
            if self._ahead:
                self.transport.pause_reading()

        def _go_on(self) -> None:
            data, self._ahead = self._ahead, b""
            if data and not self.transport.is_closing():
                if self._begun is not None:
                    self._begun = time.monotonic()  # it was we who waited
                self._take(data)
                if not self.flow.read_paused:
                    self.transport.resume_reading()

        def _body_to_come(self) -> int:
            if self._begun is None or "path" not in self.scope:
                return 0
            length = next((value for name, value in self.headers if name == b"content-length"), b"0")
            return int(length[:20]) - self._body

        def _parse(self, data: bytes) -> None:
            self._arrived, self._own = data, len(data)
            self._received += len(data)
            if self._begun is None and TWO_SPACES(data):
                self.on_message_begin()
                self.send_400_response("")
                return
            self._feed(data)
            if self._begun is not None and not self.transport.is_closing():
                if "path" in self.scope:
                    if self._is_padded():
                        self.send_400_response("")
                elif len(self.url) > limits.max_url_bytes:
                    self._refuse(requests.too_long())
                elif self._received > limits.max_url_bytes + limits.max_header_bytes + FRAMING_ALLOWED:
                    self._refuse(requests.too_many_header_bytes())

        def _feed(self, data: bytes) -> None:
            while data:
                try:
                    self.parser.feed_data(data)
                except HttpParserError:
                    self.send_400_response("")
                except HttpParserUpgrade as end:
                    data = data[end.args[0] :]
                    if self._is_to_stay:
                        data = self._without_upgrade() + data
                        continue
                    if self._should_upgrade():
                        self.handle_websocket_upgrade()
                return

        def _without_upgrade(self) -> bytes:
            """The same head, for a new parser: the old one has left its body lying. Nobody has to follow a
            request to upgrade (RFC 9110, section 7.8), and curl's --http2 asks so with whatever it sends."""
            method, version = self.parser.get_method(), self.parser.get_http_version().encode()
            lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
            lines += [b"%b: %b" % field for field in self.headers if field[0] != b"upgrade"]
            self.parser = HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            return b"\r\n".join([*lines, b"", b""])

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._begun, self._received, self._body = time.monotonic(), self._own, 0
            if timed:  # when its first byte came, and when its last
                self.scope[ARRIVAL] = time.perf_counter(), None

        def on_header(self, name: bytes, value: bytes) -> None:
            if "path" not in self.scope:  # what comes after the head is a trailer, and no header
                super().on_header(name, value)

        def on_headers_complete(self) -> None:
            if not TARGET(self.url) and not (self.url == b"*" and self.parser.get_method() == b"OPTIONS"):
                raise ValueError("no target (RFC 9112, section 3.2)")
            if self.expect_100_continue and self.parser.get_http_version() == "1.0":
                self.expect_100_continue = False  # RFC 9110, section 10.1.1
            upgrades = self.parser.should_upgrade() and self._get_upgrade() is not None
            self._is_to_stay = upgrades and not self._should_upgrade()
            if self._is_to_stay:
                return
            super().on_headers_complete()
            if getattr(self.server_state, "draining", False) and self.cycle is not None:
                self.cycle.keep_alive = False

        def on_body(self, body: bytes) -> None:
            self._body += len(body)
            super().on_body(body)

        def on_message_complete(self) -> None:
            if self._is_to_stay:
                return
            if self._is_padded():
                raise ValueError("chunk extensions without measure")
            self._begun, self._own = None, 0  # of the next one's share in this packet nobody tells
            if timed:
                self.scope[ARRIVAL] = self.scope[ARRIVAL][0], time.perf_counter()
            super().on_message_complete()

        # uvicorn sets a timer after each answer, and is called by the loop after each task. Here the sweep
        # looks who has been idle for too long, and a task says itself that it ends (benchmarks/README.md).

        def on_response_complete(self) -> None:
            self.transport.end()
            self.server_state.total_requests += 1
            if self.transport.is_closing():
                return
            self.flow.resume_reading()
            self._idle_since = time.monotonic()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
            elif self._refused:
                self._refuse(*self._refused)
            if self._ahead and not self.pipeline:
                self.loop.call_soon(self._go_on)

        def _start_asgi_task(self, cycle, app) -> None:
            self.tasks.add(self.loop.create_task(self._run(cycle, app)))

        async def _run(self, cycle, app) -> None:
            try:
                await cycle.run_asgi(app)
            finally:
                self.tasks.discard(asyncio.current_task())

        def _is_padded(self) -> bool:
            """True where much is neither head nor body: chunk extensions (RFC 9112, section 7.1.1). Without
            chunks, what is more came with the request and is the next one's."""
            framing = self._received - self._body
            if framing <= FRAMING_ALLOWED or all(name != b"transfer-encoding" for name, _ in self.headers):
                return False
            head = len(self.url) + sum([len(name) + len(value) + 4 for name, value in self.headers])
            return framing - head > FRAMING_ALLOWED + self._body_streamed()

        def _body_streamed(self) -> int:
            """Bytes of a body that a view takes in pieces; 0 for any other."""
            return self._body if self._is_streamed() else 0

        def _is_streamed(self) -> bool:
            path = self.scope.get("path")
            return path is not None and requests.streamed_limit(self.scope["method"], path) is not None

        def cut_off_if_stalled(self, now: float) -> None:
            if self._is_unread(now):
                self.transport.abort()
            if self.transport.is_closing():
                return
            if self._begun is None:
                if (self.cycle is None or self.cycle.response_complete) and now - self._idle_since > idle:
                    self.transport.close()
            elif now - self._begun > wait and not self._ahead:
                if self._is_streamed():
                    self._cut_off_stream(now)
                elif self.cycle is None or self.cycle.response_complete:
                    self._refuse(requests.too_slow())
                elif now - self._begun > wait + 1:  # the middleware has not got rid of it
                    self.transport.close()

        def _cut_off_stream(self, now: float) -> None:
            """The middleware looks whether it comes fast enough, until it is answered. What then still comes
            of one that was refused is thrown away, so that the client can read why, but not for ever."""
            late = now - self._begun > requests.seconds_for(self._body) + LINGER_SECONDS
            long = self._body > requests.streamed_limit(self.scope["method"], self.scope["path"])
            if (late or long) and (self.cycle is None or self.cycle.response_complete):
                self.transport.close()

        def _is_unread(self, now: float) -> bool:
            """True where the client has taken nothing of an answer for too long."""
            taken = self.transport.taken()
            if taken is None or taken != self._taken:
                self._taken, self._taken_at = taken, now
            return taken is not None and now - self._taken_at > idle

        def send_400_response(self, msg: str) -> None:
            url = getattr(self, "url", b"")
            if len(url) > limits.max_url_bytes:
                self._refuse(requests.too_long())
            elif not url and (line := UNKNOWN_METHOD(self._arrived)):
                self._refuse(requests.unknown_method(), unquote(line[1].decode().partition("?")[0]))
            elif self._body > limits.max_body_bytes and not self._body_streamed():
                self._refuse(requests.too_large())
            else:
                self._refuse(requests.malformed())

        def _refuse(self, problem: Problem, path: str = "") -> None:
            """Answer in the place of an app that has not seen the whole request, and close."""
            running = self.cycle is not None and not self.cycle.response_complete
            own = running and self.cycle.scope is self.scope and self._begun is not None
            if self.pipeline or (running and not own and not self._refused):  # others are answered first
                if own:
                    self.pipeline.popleft()
                self._refused, self._begun, self._ahead = (problem, path), None, b""
                self.transport.has_ahead = True
                self.transport.pause_reading()
                return
            if running and self.cycle.response_started:
                self.transport.close()
                return
            context = self.scope.get("context") if running else None
            context = context or requests.open(
                self.scope.get("method", ""), path or self.scope.get("path", "")
            )
            status, headers, body = requests.refuse(context, problem)
            headers += [*requests.marks(context), ("Connection", "close")]
            lines = [
                f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
                *(f"{n.lower()}: {v}" for n, v in headers),
            ]
            self.transport.write("\r\n".join([*lines, "", ""]).encode())
            self.transport.write(body)
            self.transport.close()
            if running:
                self.cycle.disconnected = True
                if "context" in self.scope:
                    return  # the middleware closes it
                self.scope["refused"] = True
            requests.close(context, status)

    return StrictProtocol

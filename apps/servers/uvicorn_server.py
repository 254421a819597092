"""uvicorn for the FastAPI server, made strict: what its parser refuses is answered like everything else,
clients that stall are cut off, and a request to stop drains first and ends with exit code 0."""

import socket
import sys
import time
from http import HTTPStatus

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from apps.service.exchange import Gate
from apps.service.problems import Problem

BACKLOG = 2048
FRAMING_ALLOWED = 16384  # bytes of chunk headers and extensions that a body may come with, beside itself


def run(app, service) -> None:
    """Serve until told to stop. Ends the process with one line where it cannot begin."""
    settings = service.settings
    try:
        listener = socket.create_server((settings.host, settings.port), backlog=BACKLOG)
    except OSError as error:
        sys.exit(
            f"{service.app}: cannot listen on {settings.host}:{settings.port} ({error.strerror}): "
            "stop what listens there, or set PORT"
        )
    config = uvicorn.Config(
        app,
        http=strict(service.gate),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.grace_seconds,
    )
    Server(config, service).run(sockets=[listener])


class Server(uvicorn.Server):
    """Told to stop, it drains: not ready at once, still accepting for DRAIN_SECONDS, and then uvicorn's own
    graceful shutdown. A second request to stop ends it at once."""

    def __init__(self, config: uvicorn.Config, service) -> None:
        super().__init__(config)
        self._service, self._stop_at = service, None

    def handle_exit(self, sig: int, frame) -> None:
        if self._stop_at is None:
            self._service.lifecycle.drain()
            self._stop_at = time.monotonic() + self._service.settings.drain_seconds
        else:
            self.should_exit = self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.should_exit = True
        if counter % 5 == 0:
            cut_off_stalled(self.server_state.connections)
        return await super().on_tick(counter)


def cut_off_stalled(connections) -> None:
    now = time.monotonic()
    for connection in list(connections):
        connection.cut_off_if_stalled(now)


def strict(gate: Gate) -> type[HttpToolsProtocol]:
    """uvicorn's HTTP protocol, with this gate's limits and answers."""
    wait, idle = gate.settings.request_timeout_seconds, gate.settings.keep_alive_seconds

    class StrictProtocol(HttpToolsProtocol):
        _begun: float | None = None  # since when a request has been arriving
        scope: dict = {}
        _surplus = 0  # bytes that came with the present body beside the body

        def connection_made(self, transport) -> None:
            super().connection_made(transport)
            self._connected = time.monotonic()

        def data_received(self, data: bytes) -> None:
            self._surplus += len(data)
            super().data_received(data)
            if self._begun is not None and self._surplus > FRAMING_ALLOWED and self._is_excessive():
                self.send_400_response("")

        def _is_excessive(self) -> bool:
            limits = gate.settings
            if self.cycle is None or self.cycle.response_complete or not self.scope.get("raw_path"):
                return self._surplus > limits.max_header_bytes * 16  # a head without an end
            return True

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._begun, self._surplus = time.monotonic(), 0

        def on_headers_complete(self) -> None:
            super().on_headers_complete()
            self._surplus = 0

        def on_body(self, body: bytes) -> None:
            self._surplus -= len(body)
            super().on_body(body)

        def on_message_complete(self) -> None:
            self._begun = None
            super().on_message_complete()

        def cut_off_if_stalled(self, now: float) -> None:
            if self.transport.is_closing():
                return
            if self._begun is None:
                if self.cycle is None and now - self._connected > idle:
                    self.transport.close()  # it never said anything
            elif now - self._begun > wait:
                if self.cycle is None or self.cycle.response_complete:
                    self._refuse(gate.too_slow())
                elif now - self._begun > wait + 1:  # the middleware has not got rid of it
                    self.transport.close()

        def send_400_response(self, msg: str) -> None:
            method, url = self.scope.get("method", ""), getattr(self, "url", b"")
            if len(url) > gate.settings.max_url_bytes:
                limit = gate.settings.max_url_bytes
                self._refuse(Problem("uri-too-long", f"expected a path and query of at most {limit} bytes"))
            else:
                self._refuse(
                    Problem("bad-request", "expected an HTTP/1.1 request as RFC 9112 has it"), method
                )

        def _refuse(self, problem: Problem, method: str = "") -> None:
            """Answer in the place of an app that has not seen the whole request, and close."""
            running = self.cycle is not None and not self.cycle.response_complete
            if running and self.cycle.response_started:
                self.transport.close()
                return
            exchange = self.scope.get("exchange") if running else None
            exchange = exchange or gate.open(method, self.scope["path"] if running else "")
            status, headers, body = gate.refuse(exchange, problem)
            headers += [("X-Request-ID", exchange.request_id), ("Connection", "close")]
            lines = [
                f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
                *(f"{n.lower()}: {v}" for n, v in headers),
            ]
            self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
            self.transport.close()
            if running and "exchange" in self.scope:
                return  # the middleware closes it
            if running:
                self.scope["refused"] = True
            gate.close(exchange, status)

    return StrictProtocol

"""The middleware of the Flask server: pure WSGI, and does the same as that in asgi.py.

The middleware reads the body before it lets a request in: one that arrives slowly holds no place that others
need."""

import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from io import BytesIO

from apps.service.exchange import Exchange, Gate
from apps.service.problems import Problem, of_status

REASONS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
current = threading.local()


class Middleware:
    def __init__(self, app, gate: Gate) -> None:
        self.app, self.gate = app, gate
        self._max_body = gate.settings.max_body_bytes

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        gate, exchange = self.gate, self.open(environ)
        current.exchange = exchange
        environ.pop("HTTP_UPGRADE", None)  # Flask would look among routes for WebSockets only
        status = 500

        def answer(line: str, headers: list, exc_info=None):
            nonlocal status
            status = int(line[:3])
            return start_response(line, [*headers, *marks(exchange)], exc_info)

        try:
            try:
                gate.check(exchange)
                if environ["REQUEST_METHOD"] == "POST" or exchange.content_length:
                    exchange.body = self.read(environ, exchange)
                    environ["wsgi.input"] = BytesIO(exchange.body)
                    environ["CONTENT_LENGTH"] = str(len(exchange.body))
                gate.admit(exchange)
                if environ["PATH_INFO"].startswith("//"):  # Werkzeug would fold them
                    raise of_status(404)
                return self.whole(self.app(environ, answer))
            except Problem as problem:
                body = self.refuse(exchange, problem, answer)
            except Exception as error:
                body = self.refuse(exchange, gate.broke(exchange, error), answer)
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
        finally:
            gate.close(exchange, status)

    def open(self, environ: dict) -> Exchange:
        path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        return self.gate.open(
            environ["REQUEST_METHOD"],
            path,
            target_bytes=len(path) + len(query),
            request_id=environ.get("HTTP_X_REQUEST_ID", ""),
            traceparent=environ.get("HTTP_TRACEPARENT", ""),
            content_type=environ.get("CONTENT_TYPE", ""),
            content_encoding=environ.get("HTTP_CONTENT_ENCODING", ""),
            content_length=environ.get("CONTENT_LENGTH", ""),
        )

    def read(self, environ: dict, exchange: Exchange) -> bytes:
        """The whole body, which waitress holds already. Raises Problem for one too large or too short."""
        length = exchange.content_length
        if length:
            body = environ["wsgi.input"].read(int(length))
            if len(body) < int(length):
                raise Problem("bad-request", "expected as many bytes as the header Content-Length says")
            return body
        if environ.get("wsgi.input_terminated") or environ.get("HTTP_TRANSFER_ENCODING"):
            body = environ["wsgi.input"].read(self._max_body + 1)
            if len(body) > self._max_body:
                raise self.gate.too_large()
            return body
        return b""

    @staticmethod
    def whole(parts: Iterable[bytes]) -> list[bytes]:
        """The app's answer, made before the request counts as answered."""
        try:
            return list(parts)
        finally:
            if hasattr(parts, "close"):
                parts.close()

    def refuse(self, exchange: Exchange, problem: Problem, answer: Callable) -> bytes:
        status, headers, body = self.gate.refuse(exchange, problem)
        answer(REASONS[status], headers)
        return body


def exchange() -> Exchange:
    """The one that this thread is busy with."""
    return current.exchange


def marks(exchange: Exchange) -> list[tuple[str, str]]:
    """What every answer carries: the request's id, and where its trace is to be found."""
    return [("X-Request-ID", exchange.request_id), ("Traceparent", exchange.trace.header())]

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
MEASURED = "servelab.headers"  # where a strict server has held the head to its limits already
current = threading.local()


class Middleware:
    def __init__(self, app, gate: Gate) -> None:
        self.app, self.gate = app, gate
        self._max_body = gate.settings.max_body_bytes

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        gate, exchange = self.gate, self.open(environ)
        current.exchange = exchange
        environ.pop("HTTP_UPGRADE", None)  # Flask would look among routes for WebSockets only
        status, sent, stream = 500, [], None

        def answer(line: str, headers: list, exc_info=None):
            nonlocal status, sent
            status, sent = int(line[:3]), headers
            return start_response(line, [*headers, *marks(exchange)], exc_info)

        try:
            try:
                gate.check(exchange)
                chunked = check_head(environ, gate)
                if environ["REQUEST_METHOD"] == "POST" or exchange.content_length or chunked:
                    exchange.body = self.read(environ, exchange)
                    environ["wsgi.input"] = BytesIO(exchange.body)
                    environ["CONTENT_LENGTH"] = str(len(exchange.body))
                gate.admit(exchange)
                if environ["PATH_INFO"].startswith("//"):  # Werkzeug would fold them
                    raise of_status(404)
                parts = self.app(environ, answer)
                try:
                    rest = iter(parts)
                    first = next(rest, b"")
                    if is_whole(first, sent) or environ["REQUEST_METHOD"] == "HEAD":
                        return [first, *rest]
                    stream = Stream(first, rest, parts, gate, exchange, status)
                    return stream
                finally:
                    if stream is None and hasattr(parts, "close"):
                        parts.close()
            except Problem as problem:
                body = self.refuse(exchange, problem, answer)
            except Exception as error:
                body = self.refuse(exchange, gate.broke(exchange, error), answer)
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
        finally:
            if stream is None:
                gate.close(exchange, status)

    def open(self, environ: dict) -> Exchange:
        path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        fields = environ.get(MEASURED) or [
            len(name) + len(environ[name]) - 5 for name in environ if name[:5] == "HTTP_"
        ]
        return self.gate.open(
            environ["REQUEST_METHOD"],
            path,
            target_bytes=len(path) + len(query),
            header_count=len(fields),
            header_bytes=sum(fields),
            request_id=environ.get("HTTP_X_REQUEST_ID", ""),
            traceparent=environ.get("HTTP_TRACEPARENT", ""),
            content_type=environ.get("CONTENT_TYPE", ""),
            content_encoding=environ.get("HTTP_CONTENT_ENCODING", ""),
            content_length=environ.get("CONTENT_LENGTH", ""),
        )

    def read(self, environ: dict, exchange: Exchange) -> bytes:
        """The whole body, which waitress holds already. Raises Problem for one too large, short or broken."""
        length = exchange.content_length
        if length:
            body = read(environ, int(length))
            if len(body) < int(length):
                raise Problem("bad-request", "expected as many bytes as the header Content-Length says")
            return body
        if environ.get("wsgi.input_terminated") or environ.get("HTTP_TRANSFER_ENCODING"):
            body = read(environ, self._max_body + 1)
            if len(body) > self._max_body:
                raise self.gate.too_large()
            return body
        return b""

    def refuse(self, exchange: Exchange, problem: Problem, answer: Callable) -> bytes:
        status, headers, body = self.gate.refuse(exchange, problem)
        answer(REASONS[status], headers)
        return body


def check_head(environ: dict, gate: Gate) -> bool:
    """As in asgi.py, as far as WSGI shows it: a server joins two headers of a name with a comma. Returns
    whether the body comes in chunks. Raises Problem."""
    host, coding = environ.get("HTTP_HOST"), environ.get("HTTP_TRANSFER_ENCODING")
    one_host = host is not None and "," not in host and (host or not is_granian(environ))
    if environ["SERVER_PROTOCOL"] == "HTTP/1.1":
        if not one_host:
            raise gate.malformed()
    elif coding is not None:
        raise gate.malformed()
    if coding is None:
        return False
    if coding.strip().lower() != "chunked" or environ.get("CONTENT_LENGTH"):
        raise gate.malformed()
    return True


def is_granian(environ: dict) -> bool:
    """It puts an empty Host where there is none."""
    return environ.get("SERVER_SOFTWARE") == "Granian"


def read(environ: dict, size: int) -> bytes:
    """Raises Problem where the server's parser meets something that is no chunk, or the client leaves."""
    try:
        return environ["wsgi.input"].read(size)
    except Exception:
        raise Problem("bad-request", "expected a whole body, in chunks as RFC 9112 has them") from None


class Stream:
    """An answer in parts, sent as they come: in flight, and without a line in the log, until the server
    closes it, at its end or when the client has gone."""

    def __init__(self, first, rest, parts, gate: Gate, exchange: Exchange, status: int) -> None:
        self._first, self._rest, self._parts = first, rest, parts
        self._gate, self._exchange, self._status = gate, exchange, status
        self._closed = False

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        current.exchange = self._exchange
        try:
            return next(self._rest)
        except StopIteration:
            raise
        except Exception as error:
            self._gate.broke(self._exchange, error)
            raise  # so that the server breaks off: the client must not take what it has for the whole

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            if hasattr(self._parts, "close"):
                self._parts.close()
        except Exception as error:
            self._gate.broke(self._exchange, error)
        finally:
            self._gate.close(self._exchange, self._status)


def is_whole(first: bytes, headers: list[tuple[str, str]]) -> bool:
    """Whether the first part of an answer is all of it."""
    return any([name.lower() == "content-length" and value == str(len(first)) for name, value in headers])


def exchange() -> Exchange:
    """The one that this thread is busy with."""
    return current.exchange


def marks(exchange: Exchange) -> list[tuple[str, str]]:
    """What every answer carries: the request's id, and where its trace is to be found."""
    return [("X-Request-ID", exchange.request_id), ("Traceparent", exchange.trace.header())]

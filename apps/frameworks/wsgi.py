"""The middleware of the Flask server: pure WSGI, and does the same as that in asgi.py.

The middleware reads the body before it lets a request in: one that arrives slowly holds no place that others
need."""

import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from io import BytesIO, RawIOBase

from apps.service.problems import Problem, of_status
from apps.service.requests import ClientGone, RequestContext, Requests

REASONS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
MEASURED = "servelab.headers"  # where a strict server has held the head to its limits already
UPGRADE = "servelab.upgrade"  # in the environ: the header of this name
SPARE_THREADS = 8  # beyond MAX_IN_FLIGHT, so that health is answered while all others are busy
RAISED = "raised"  # a fault that a test client wants to see itself
current = threading.local()


class Middleware:
    def __init__(self, app, requests: Requests) -> None:
        self.app, self.requests = app, requests
        self._max_body = requests.settings.max_body_bytes

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        requests, context = self.requests, self.open(environ)
        current.context = context
        environ[UPGRADE] = environ.pop("HTTP_UPGRADE", "")  # Flask would look among other routes only
        status, sent, stream = 500, [], None

        def answer(line: str, headers: list, exc_info=None):
            nonlocal status, sent
            status, sent = int(line[:3]), headers
            return start_response(line, [*headers, *requests.marks(context)], exc_info)

        try:
            try:
                requests.check(context)
                chunked = check_head(environ, requests)
                if requests.gate is not None:
                    requests.gate.enter(context)
                if environ["REQUEST_METHOD"] == "POST" or context.content_length or chunked:
                    limit = requests.streamed_limit(context.method, context.route)
                    if limit is not None:
                        environ["wsgi.input"] = Pieces(environ, requests, limit)
                        environ["wsgi.input_terminated"] = True
                    else:
                        context.body = self.read(environ, context)
                        environ["wsgi.input"] = BytesIO(context.body)
                        environ["CONTENT_LENGTH"] = str(len(context.body))
                context.trace.received(environ)
                requests.admit(context)
                if environ["PATH_INFO"].startswith("//"):  # Werkzeug would fold them
                    raise of_status(404)
                parts = self.app(environ, answer)
                try:
                    rest = iter(parts)
                    first = next(rest, b"")
                    if is_whole(first, sent) or environ["REQUEST_METHOD"] == "HEAD":
                        return [first, *rest]
                    stream = Stream(first, rest, parts, requests, context, status)
                    return stream
                finally:
                    if stream is None and hasattr(parts, "close"):
                        parts.close()
            except ClientGone:
                answer("499 Client Closed Request", [], sys.exc_info())
                body = b""
            except Problem as problem:
                body = self.refuse(context, problem, answer)
            except (Exception, SystemExit) as error:  # sys.exit() in a view: others are served
                problem = requests.broke(context, error)
                if context.fault is RAISED:
                    raise
                body = self.refuse(context, problem, answer)
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
        finally:
            if stream is None:
                close(requests, context, status)

    def open(self, environ: dict) -> RequestContext:
        path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        fields = environ.get(MEASURED) or [
            len(name) + len(environ[name]) - 5 for name in environ if name[:5] == "HTTP_"
        ]
        context = self.requests.open(
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
            host=environ.get("HTTP_HOST", ""),
            root=environ.get("SCRIPT_NAME", "").rstrip("/"),
        )
        if self.requests.gate is not None or self.requests.splits:
            context.peer = environ.get("REMOTE_ADDR", "")
            context.header = partial(value_of, environ)
        return context

    def read(self, environ: dict, context: RequestContext) -> bytes:
        """The whole body, which waitress holds already. Raises Problem for one too large, short or broken."""
        length = context.content_length
        if length:
            body = read(environ, int(length))
            if len(body) < int(length):
                raise Problem("bad-request", "expected as many bytes as the header Content-Length says")
            return body
        if environ.get("wsgi.input_terminated") or environ.get("HTTP_TRANSFER_ENCODING"):
            body = read(environ, self._max_body + 1)
            if len(body) > self._max_body:
                raise self.requests.too_large()
            return body
        return b""

    def refuse(self, context: RequestContext, problem: Problem, answer: Callable) -> bytes:
        status, headers, body = self.requests.refuse(context, problem)
        answer(REASONS[status], headers)
        return body


def value_of(environ: dict, name: str) -> str:
    """A header's value, "" for none; `name` in lower case, and not one of those without HTTP_."""
    return environ.get(f"HTTP_{name.upper().replace('-', '_')}", "").strip()


def check_head(environ: dict, requests: Requests) -> bool:
    """As in asgi.py, as far as WSGI shows it: a server joins two headers of a name with a comma. Returns
    whether the body comes in chunks. Raises Problem."""
    host, coding = environ.get("HTTP_HOST"), environ.get("HTTP_TRANSFER_ENCODING")
    one_host = host is not None and "," not in host and (host or not is_granian(environ))
    if environ["SERVER_PROTOCOL"] == "HTTP/1.1":
        if not one_host:
            raise requests.malformed()
    elif coding is not None:
        raise requests.malformed()
    if coding is None:
        return False
    if coding.strip().lower() != "chunked" or environ.get("CONTENT_LENGTH"):
        raise requests.malformed()
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


class Pieces(RawIOBase):
    """A body that the view takes in pieces (bodies.streamed), held to its limits: waitress has it in a file,
    granian as it comes."""

    def __init__(self, environ: dict, requests: Requests, limit: int) -> None:
        self._input = {"wsgi.input": environ["wsgi.input"]}
        self._requests, self._limit = requests, limit
        length = environ.get("CONTENT_LENGTH")
        chunked = environ.get("wsgi.input_terminated") or environ.get("HTTP_TRANSFER_ENCODING")
        self._length = int(length) if length else None if chunked else 0
        self._size = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Raises Problem for a body too large, short or broken."""
        left = (self._limit + 1 if self._length is None else self._length) - self._size
        size = left if size is None or size < 0 else min(size, left)
        piece = read(self._input, size) if size else b""
        self._size += len(piece)
        if self._size > self._limit:
            raise self._requests.too_large(self._limit)
        if size and not piece and self._length is not None:
            raise Problem("bad-request", "expected as many bytes as the header Content-Length says")
        return piece

    def readinto(self, buffer) -> int:
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


class Stream:
    """An answer in parts, sent as they come: in flight, and without a line in the log, until the server
    closes it, at its end or when the client has gone."""

    def __init__(self, first, rest, parts, requests: Requests, context: RequestContext, status: int) -> None:
        self._first, self._rest, self._parts = first, rest, parts
        self._requests, self._context, self._status = requests, context, status
        self._closed = False

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        current.context = self._context
        try:
            return next(self._rest)
        except StopIteration:
            raise
        except ClientGone:
            raise StopIteration from None
        except Exception as error:
            self._requests.broke(self._context, error)
            raise  # so that the server breaks off: the client must not take what it has for the whole
        except SystemExit as error:  # which no server takes for a fault of the app's
            self._requests.broke(self._context, error)
            raise RuntimeError("sys.exit() in mid-stream") from error

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            if hasattr(self._parts, "close"):
                self._parts.close()
        except Exception as error:
            self._requests.broke(self._context, error)
        finally:
            close(self._requests, self._context, self._status)


def close(requests: Requests, context: RequestContext, status: int) -> None:
    """The thread knows the context until its next request, and must not keep the body so long. A problem has
    a traceback, whose frames know the body too."""
    requests.close(context, status)
    context.body, context.problem = b"", None


def is_whole(first: bytes, headers: list[tuple[str, str]]) -> bool:
    """Whether the first part of an answer is all of it."""
    return any([name.lower() == "content-length" and value == str(len(first)) for name, value in headers])


def current_context() -> RequestContext:
    """The one that this thread is busy with."""
    return current.context

"""One request and its answer as seen from outside: its id, its limits, its line in the log, its metrics.

The two middlewares (ASGI, WSGI) bring requests here and carry the answers back; what happens to a request
is decided here, once for both."""

import re
import sys
import threading
from collections.abc import Callable, Iterable
from random import getrandbits
from time import perf_counter, time

from apps.service.batching import Concurrency
from apps.service.hosts import Hosts
from apps.service.problems import MEDIA_TYPE, Problem, fault, invalid, of_status, render
from apps.service.templates import OTHER, Templates
from apps.service.timing import Timed
from apps.service.tracing import Trace

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII).fullmatch
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
DIGITS = 20  # of a body's size, or a chunk's, at most; Python refuses to read 4,301
STREAMED_BYTES_PER_SECOND = 16384  # of a body that the view takes in pieces, after REQUEST_TIMEOUT_SECONDS
IS_HEALTH = re.compile(r"(/v2)?/health(/[a-z]+)?").fullmatch


class ClientGone(Exception):
    """The client has left before its answer was whole: nobody is told anything any more."""


class RequestContext:
    """What is known of one request. Of the client's own text it holds the body, the headers that say how to
    read it, and a well-formed request id."""

    service = None  # whose request it is
    started: float  # by perf_counter
    method: str
    route: str  # a template of the app's, or "other"
    root: str  # the path that the app is mounted under
    request_id: str
    trace: Trace
    target_bytes: int
    header_count: int
    header_bytes: int
    content_type: str
    content_encoding: str
    content_length: str
    host: str
    body = b""
    version: str | None = None  # of the model that answers
    problem: Problem | None = None  # with which it is refused
    fault: str | None = None  # what the middleware says of it
    cache_status: str | None = None
    admitted = False  # whether it is counted as in flight
    # Where access is on, or requests are limited:
    peer: str  # the address that it comes from
    address: str  # that of its client, which a proxy may tell
    header: Callable[[str], str]
    needed = None  # what its route asks of callers
    caller = None
    counted = False  # whether limits have counted it
    slot = None  # among those that the caller has at the same time
    rate_limit: Iterable[tuple[str, str]] = ()  # fields of the answer


class Requests:
    """Where every request comes in and every answer goes out."""

    def __init__(self, settings, log, request_log, metrics, tracing) -> None:
        self.settings, self._log, self._request_log = settings, log, request_log
        self._metrics = metrics
        self._begin_trace = timed(tracing.begin) if settings.server_timing else tracing.begin
        self.marks = timed_marks if settings.server_timing else marks
        if settings.limited or settings.budgeted:
            self.marks = with_limits(self.marks)
        if settings.cached:
            self.marks = with_cache(self.marks)
        self._new_id = ordered_id if settings.prediction_log == "on" else random_id
        self.in_flight = 0
        self._max_in_flight = settings.max_in_flight
        self._lock = threading.Lock()
        self.concurrency = Concurrency()
        self.service = None  # whose requests these are
        self.gate = None  # with ACCESS=on, or with limits
        self.splits = False  # whether who asks may decide which model answers
        self.hosts = Hosts(tuple(filter(None, settings.allowed_hosts.split(","))), settings.host)
        self.routes = Templates(list, int)  # of an app, which sets it
        metrics.in_flight = lambda: self.in_flight

    def open(
        self,
        method: str,
        path: str,
        *,
        target_bytes: int = 0,
        header_count: int = 0,
        header_bytes: int = 0,
        request_id: str = "",
        traceparent: str = "",
        content_type: str = "",
        content_encoding: str = "",
        content_length: str = "",
        host: str = "",
        root: str = "",
    ) -> RequestContext:
        """A request whose head has arrived; `root` is the path that the app is mounted under,
        without a slash at its end. Raises nothing: what is wrong with it, `check` tells."""
        context = RequestContext()
        context.service = self.service
        context.started = perf_counter()
        context.root = root
        context.method = method if method in METHODS else OTHER
        context.route = self.routes.of(path)
        if request_id and REQUEST_ID(request_id):
            context.request_id = request_id
        else:
            context.request_id = self._new_id(context.started)
        context.trace = self._begin_trace(traceparent, context.method, context.route)
        context.target_bytes, context.header_count = target_bytes, header_count
        context.header_bytes = header_bytes
        context.content_type, context.content_encoding = content_type, content_encoding
        context.content_length, context.host = content_length, host
        if self.gate is not None:
            context.needed = self.routes.needed(path, context.method)
        return context

    def check(self, context: RequestContext) -> None:
        """Raises Problem where the head alone is reason enough to refuse."""
        settings = self.settings
        if context.target_bytes > settings.max_url_bytes:
            raise self.too_long()
        if context.header_count > settings.max_headers:
            raise Problem("headers-too-large", f"expected at most {settings.max_headers} headers")
        if context.header_bytes > settings.max_header_bytes:
            raise self.too_many_header_bytes()
        if context.method == OTHER:
            raise self.unknown_method()
        host = context.host
        two = "," in host  # two headers, which is no request: whoever looks at the framing says so
        if host and not two and host not in self.hosts.known and not self.hosts.allows(host):
            raise Problem("bad-request", "expected a Host by which this server may be called (ALLOWED_HOSTS)")
        length = context.content_length
        if length and not (length.isascii() and length.isdigit()):
            raise Problem("bad-request", "expected digits in the header Content-Length")
        if len(length) > DIGITS:
            raise self.malformed()
        if length and int(length) > settings.max_body_bytes:
            most = self.streamed_limit(context.method, context.route)
            if most is None or int(length) > most:
                raise self.too_large(most)

    def streamed_limit(self, method: str, path: str) -> int | None:
        """How many bytes a body may have that the view takes in pieces; None for any other. `path` may be the
        route's template too."""
        if not self.routes.streamed:
            return None
        name = self.routes.streamed.get((self.routes.of(path), method))
        return name and getattr(self.settings, name)

    def seconds_for(self, received: int) -> float:
        """How long a body that is streamed may have taken when so many bytes of it have come."""
        return self.settings.request_timeout_seconds + received / STREAMED_BYTES_PER_SECOND

    def check_access(self) -> None:
        """Ends the process with one line where access is on and a route does not say who may use it."""
        if self.gate is not None and self.gate.identity is not None and (undeclared := self.undeclared()):
            sys.exit(
                f"{self.service.app}: with ACCESS=on every route declares who may use it, and "
                f'{", ".join(undeclared)} does not: put @access("predict"), or another scope, above its view'
            )

    def undeclared(self) -> list[str]:
        """The routes whose views do not declare who may use them, which nobody may with access on."""
        self.routes.listed()
        return self.routes.undeclared

    def problem_of(
        self,
        context: RequestContext,
        status: int,
        words: str = "",
        headers: Iterable[tuple[str, str]] = (),
    ) -> Problem:
        """A framework's own error, as ours; or one that a view has raised, in its `words`."""
        allow = self.routes.allow(context.route) if status == 405 else ""
        if allow:
            return Problem("method-not-allowed", f"expected {allow}", [("Allow", allow)])
        if status in (400, 500) and not words:
            return invalid() if status == 400 else fault()
        return of_status(status, words, headers)

    def malformed(self) -> Problem:
        return Problem("bad-request", "expected an HTTP/1.1 request as RFC 9112 has it")

    def too_long(self) -> Problem:
        limit = self.settings.max_url_bytes
        return Problem("uri-too-long", f"expected a path and query of at most {limit} bytes")

    def too_many_header_bytes(self) -> Problem:
        limit = self.settings.max_header_bytes
        return Problem("headers-too-large", f"expected headers of at most {limit} bytes in all")

    def unknown_method(self) -> Problem:
        return Problem("not-implemented", f"expected a method among {', '.join(sorted(METHODS))}")

    def too_large(self, limit: int | None = None) -> Problem:
        """`limit`: of a body that is streamed."""
        if limit is None:
            most = self.settings.max_body_bytes
            return Problem("content-too-large", f"expected a body of at most {most} bytes")
        names = {getattr(self.settings, name): name.upper() for name in self.routes.streamed.values()}
        told = (
            f"expected a body of at most {limit} bytes ({names[limit]}), got more: send it in several parts"
        )
        return Problem("content-too-large", told)

    def too_slow(self, streamed: bool = False) -> Problem:
        if streamed:
            return Problem(
                "request-timeout", f"expected {STREAMED_BYTES_PER_SECOND} bytes of the body a second, or more"
            )
        seconds = self.settings.request_timeout_seconds
        return Problem("request-timeout", f"expected the whole request within {seconds:g} seconds")

    def given_up(self) -> Problem:
        return Problem("draining", "this server had to stop before the answer was there")

    def admit(self, context: RequestContext) -> None:
        """Count a request that has arrived whole as in flight. Raises Problem where there are too many;
        health is answered all the same, since that is when people ask for it."""
        if IS_HEALTH(context.route):
            return
        with self._lock:
            if self.in_flight < self._max_in_flight:
                self.in_flight += 1
                context.admitted = True
                return
        self._metrics.shed()
        raise Problem("overloaded", "as many requests as this server takes at once are being answered")

    def refuse(self, context: RequestContext, problem: Problem) -> tuple[int, list[tuple[str, str]], bytes]:
        """The status, headers and body that tell a client of a problem."""
        problem.__traceback__ = problem.__context__ = None  # whose frames hold the context, and what came
        context.problem = problem
        body = render(problem, context.request_id, context.route, context.root)
        headers = [("Content-Type", MEDIA_TYPE), ("Content-Length", str(len(body))), *problem.headers]
        return problem.status, headers, body

    def close(self, context: RequestContext, status: int, later: Callable | None = None) -> None:
        """The answer has gone out: one line in the log, one count in the metrics. Call it exactly once.

        `later`: an event loop's call_soon, with which the lines of one turn are written together."""
        seconds = perf_counter() - context.started
        if context.admitted:
            with self._lock:
                self.in_flight -= 1
        if context.slot is not None:
            self.gate.leave(context)
        self._metrics.request(context.method, context.route, status, seconds)
        fields = {
            "method": context.method,
            "route": context.route,
            "status": status,
            "ms": int(seconds * 1e6) / 1000,
            "request_id": context.request_id,
            "trace_id": context.trace.trace_id,
        }
        if context.caller is not None and context.caller.id:
            fields["caller"] = context.caller.subject
        if context.version:
            fields["model"] = context.version
        if context.problem is not None:
            fields["problem"] = context.problem.kind.slug
            if 400 <= status < 500:  # below: a stream that broke off, whose status had been sent
                self._metrics.invalid(context.problem.reason)
        self._request_log(fields, later)
        context.trace.end(status)

    def broke(self, context: RequestContext, error: BaseException) -> Problem:
        """A fault of ours: the traceback is for the log, the problem for the client."""
        self._log.error("fault", request_id=context.request_id, route=context.route, exc_info=error)
        return fault()


def random_id(started: float) -> str:
    """Of a request that brings none."""
    return f"{getrandbits(128):032x}"


SINCE_1970 = time() - perf_counter()


def ordered_id(started: float) -> str:
    """One that begins with the microsecond: in the order of time a database's index of them is fast. RFC
    9562, section 6.13, says why. `started` as perf_counter has it."""
    return f"{int((SINCE_1970 + started) * 1e6):016x}{getrandbits(64):016x}"


def timed(begin: Callable[..., Trace]) -> Callable[..., Trace]:
    """Traces that measure the phases of their requests too."""
    return lambda *request: Timed(begin(*request))


def marks(context: RequestContext) -> list[tuple[str, str]]:
    """What every answer carries: the request's id, and where its trace is to be found."""
    return [("X-Request-ID", context.request_id), ("Traceparent", context.trace.header())]


def with_limits(marks: Callable) -> Callable[[RequestContext], list[tuple[str, str]]]:
    """The same, and what the caller has left. A refusal has them among its own headers."""
    return lambda context: [*marks(context), *context.rate_limit]


def with_cache(marks: Callable) -> Callable[[RequestContext], list[tuple[str, str]]]:
    """The same, and how the answer relates to the cache, where that was asked."""

    def marked(context: RequestContext) -> list[tuple[str, str]]:
        found = marks(context)
        return [*found, ("Cache-Status", context.cache_status)] if context.cache_status else found

    return marked


def timed_marks(context: RequestContext) -> list[tuple[str, str]]:
    """The same, and where the time went."""
    return [*marks(context), ("Server-Timing", context.trace.timing())]

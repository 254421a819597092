"""waitress's parser of HTTP, made strict: it refuses what RFC 9112 lets or wants a server refuse."""

import re
from time import perf_counter

from waitress.buffers import OverflowableBuffer
from waitress.parser import HTTPRequestParser, ParsingError, unquote_bytes_to_wsgi
from waitress.receiver import ChunkedReceiver, FixedStreamReceiver
from waitress.utilities import BadRequest

from apps.service.problems import Problem
from apps.service.requests import METHODS, Requests

FRAMING_ALLOWED = 16384  # bytes of a request that are neither its head nor its body
PAST_COUNTING = 1 << 64  # bytes, which is more than any parser of HTTP counts

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
VALUE = rb"[\t -~\x80-\xff]*"
REQUEST_LINE = (
    rb"""
    (%b)[ ]
    (https?://(?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?)?  # RFC 9112, section 3.2.2
    (/[!-~]*|(?<=^OPTIONS[ ])\*)
    [ ]HTTP/1\.([01])\r\n"""
    % TOKEN
)
FIELDS = rb"((?:%b:%b\r\n)*)" % (TOKEN, VALUE)
is_request_line = re.compile(REQUEST_LINE, re.VERBOSE).fullmatch
head_of = re.compile(REQUEST_LINE + FIELDS + rb"(?:\r\n)?", re.VERBOSE).fullmatch
is_length = re.compile(r"[0-9]{1,20}").fullmatch
are_fields = re.compile(FIELDS).fullmatch
fields_in = re.compile(rb"(%b):[ \t]*(%b)\r\n" % (TOKEN, VALUE)).findall


class StrictParser(HTTPRequestParser):
    """Refuses what RFC 9112 lets or wants a server refuse."""

    requests: Requests
    problem: Problem | None = None  # where the error is not the head's
    arrival: tuple[float, float] | None = None  # see TimedParser
    target_bytes = header_count = header_bytes = 0
    ahead = b""  # what came with its end, and is the next request's
    streamed_limit: int | None = None  # bytes of a body that the view takes in pieces
    _received = 0

    def received(self, data: bytes) -> int:
        """Takes all of it where it ends: waitress would read on, and queue whatever a client sends ahead."""
        if self.body_rcv is None and (self.header_plus + data[:9]).lstrip(b"\r\n")[:1].isspace():
            self.refuse(self.requests.malformed())  # waitress would begin after it
            return len(data)
        consumed = super().received(data)
        self._received += consumed
        if self.error is None and self.chunked:
            body, coming = len(self.body_rcv), self.body_rcv.chunk_remainder
            most = self.requests.settings.max_body_bytes
            streamed = self.streamed_limit
            if body > (streamed or most):
                self.refuse(self.requests.too_large(streamed))
            elif self._received - body - self._head > FRAMING_ALLOWED + (body if streamed else 0):
                self.refuse(self.requests.malformed())  # chunk extensions (RFC 9112, section 7.1.1)
            elif coming + self._received >= PAST_COUNTING or not self._has_good_trailer():
                self.refuse(self.requests.malformed())
        elif self.error is None and not self.headers_finished and self._is_hopeless():
            self.refuse(self.requests.malformed())
        if self.completed and not self.empty:
            self.ahead = data[consumed:]
            return len(data)
        return consumed

    def refuse(self, problem: Problem) -> None:
        self.problem, self.error, self.completed = problem, BadRequest(""), True

    def _has_good_trailer(self) -> bool:
        trailer = self.body_rcv.trailer.rstrip(b"\r\n") if self.body_rcv.completed else b""
        names = [name.lower() for name, _ in fields_in(trailer + b"\r\n")]
        return not trailer or bool(are_fields(trailer + b"\r\n") and b"content-length" not in names)

    def _is_hopeless(self) -> bool:
        """True where what has come of a head is no request line, so that waiting for more is in vain."""
        line, end, _ = self.header_plus.lstrip(b"\r\n").partition(b"\n")
        if end:
            return not is_request_line(line + end)
        return any([byte < 32 or byte > 126 for byte in line[:64].rstrip(b"\r")])

    def parse_header(self, header_plus: bytes) -> None:
        """In the place of waitress's, which takes more than HTTP allows."""
        limits, headers, found = self.requests.settings, self.headers, head_of(header_plus)
        if not found:
            raise ParsingError("malformed")
        method, authority, target, minor, fields = found.groups(b"")
        fields, size = fields_in(fields), 0
        for name, value in fields:
            value = value.rstrip(b" \t")
            size += len(name) + len(value)
            if b"_" not in name:  # WSGI has one name for it and for the one with a hyphen
                key, value = name.decode().upper().replace("-", "_"), value.decode("latin-1")
                headers[key] = f"{headers[key]}, {value}" if key in headers else value
        if "close" in [one.strip().lower() for one in headers.get("CONNECTION", "").split(",")]:
            headers["CONNECTION"] = "close"  # waitress looks for this and nothing beside it
        length = self._body_length(minor)
        self.command, self.version = method.decode(), f"1.{minor.decode()}"
        path, _, query = target.partition(b"#")[0].partition(b"?")
        self.path, self.query = unquote_bytes_to_wsgi(path), query.decode()
        self.request_uri, self.url_scheme = (authority + target).decode(), self.adj.url_scheme
        self._head, self.header_count, self.header_bytes = self.header_bytes_received, len(fields), size
        self.target_bytes = len(authority) + len(path) + len(query)
        if self.command not in METHODS:
            self.problem = self.requests.unknown_method()
            raise ParsingError("unknown method")
        self.streamed_limit = self.requests.streamed_limit(self.command, self.path)
        if (
            self.target_bytes > limits.max_url_bytes
            or self.header_count > limits.max_headers
            or self.header_bytes > limits.max_header_bytes
            or length > (self.streamed_limit or limits.max_body_bytes)
            or (minor == b"1" and "," in headers.get("HOST", ","))  # none, or two
        ):
            self.error, self.completed = BadRequest(""), True
            return
        if self.chunked:
            self.body_rcv = ChunkedReceiver(OverflowableBuffer(self.adj.inbuf_overflow))
        elif length:
            self.body_rcv = FixedStreamReceiver(length, OverflowableBuffer(self.adj.inbuf_overflow))
        if minor == b"1" and (self.chunked or length):  # without a body, waitress would wait for one
            self.expect_continue = headers.get("EXPECT", "").lower() == "100-continue"

    def _body_length(self, minor: bytes) -> int:
        """Raises ParsingError where it is said twice, or not as RFC 9112, section 6, has it."""
        coding, length = self.headers.pop("TRANSFER_ENCODING", None), self.headers.get("CONTENT_LENGTH")
        self.chunked = coding is not None
        if self.chunked and (coding.lower() != "chunked" or minor == b"0" or length is not None):
            raise ParsingError("malformed")
        if length is not None and not (is_length(length) and int(length) < PAST_COUNTING):
            raise ParsingError("malformed")
        self.content_length = int(length or "0")
        return self.content_length


class TimedParser(StrictParser):
    """Knows when the request's first byte came, and when its last."""

    def __init__(self, adj) -> None:
        super().__init__(adj)
        self._begun = perf_counter()

    def received(self, data: bytes) -> int:
        consumed = super().received(data)
        if self.completed:
            self.arrival = self._begun, perf_counter()
        return consumed


def strict_parser(requests: Requests) -> type[StrictParser]:
    """The parser with a service's limits: waitress makes one for each request, and hands it none."""
    base = TimedParser if requests.settings.server_timing else StrictParser
    return type("Parser", (base,), {"requests": requests})

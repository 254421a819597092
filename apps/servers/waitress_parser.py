"""waitress's parser of HTTP, made strict: it refuses what RFC 9112 lets or wants a server refuse."""

import re
from time import perf_counter

from waitress.parser import HTTPRequestParser, ParsingError, unquote_bytes_to_wsgi
from waitress.utilities import BadRequest

from apps.service.problems import Problem
from apps.service.requests import METHODS, Requests

FRAMING_ALLOWED = 16384  # bytes of a request that are neither its head nor its body
PAST_COUNTING = 1 << 64  # bytes, which is more than any parser of HTTP counts

REQUEST_LINE = re.compile(
    rb"(?:OPTIONS (\*)|[!#$%&'*+.^_`|~0-9A-Za-z-]+ (/[!-~]*|https?://[^/ ][!-~]*)) HTTP/1\.[01]"
).fullmatch
FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*").fullmatch


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
        lines = self.body_rcv.trailer.rstrip(b"\r\n").split(b"\r\n") if self.body_rcv.completed else [b""]
        fields = [FIELD_LINE(line) for line in lines if line]
        return all(fields) and b"content-length" not in [field[1].lower() for field in fields]

    def _is_hopeless(self) -> bool:
        """True where what has come of a head is no request line, so that waiting for more is in vain."""
        line, end, _ = self.header_plus.lstrip(b"\r\n").partition(b"\n")
        if end:
            return not REQUEST_LINE(line[:-1]) or line[-1:] != b"\r"
        return any([byte < 32 or byte > 126 for byte in line[:64].rstrip(b"\r")])

    def parse_header(self, header_plus: bytes) -> None:
        limits = self.requests.settings
        line, *fields = header_plus.rstrip(b"\r\n").split(b"\r\n")
        found, fields = REQUEST_LINE(line), [FIELD_LINE(field) for field in fields]
        if not found or not all(fields):
            raise ParsingError("malformed")
        names = [field[1].lower() for field in fields]
        chunked = b"transfer-encoding" in names
        if names.count(b"content-length") + chunked > 1 or (chunked and line.endswith(b"0")):
            raise ParsingError("malformed")
        codings = [field[2].lower() for field in fields if field[1].lower() == b"transfer-encoding"]
        if codings not in ([], [b"chunked"]):
            raise ParsingError("malformed")
        if line.partition(b" ")[0].decode() not in METHODS:
            self.problem = self.requests.unknown_method()
            self.path = unquote_bytes_to_wsgi((found[1] or found[2]).partition(b"?")[0])
            raise ParsingError("unknown method")
        super().parse_header(header_plus)
        if self.content_length >= PAST_COUNTING:
            self.problem = self.requests.malformed()
            raise ParsingError("malformed")
        target = (found[1] or found[2]).partition(b"#")[0]
        if target.startswith(b"//"):  # waitress folds these
            self.path = unquote_bytes_to_wsgi(target.partition(b"?")[0])
        self._head = self.header_bytes_received
        self.target_bytes = len(target.replace(b"?", b"", 1))
        self.header_count = len(fields)
        self.header_bytes = sum([len(field[1]) + len(field[2]) for field in fields])
        self.streamed_limit = self.requests.streamed_limit(self.command, self.path)
        if (
            self.target_bytes > limits.max_url_bytes
            or self.header_count > limits.max_headers
            or self.header_bytes > limits.max_header_bytes
            or self.content_length > (self.streamed_limit or limits.max_body_bytes)
            or (line.endswith(b"1") and names.count(b"host") != 1)
        ):
            self.error, self.completed = BadRequest(""), True
            self.expect_continue = False


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

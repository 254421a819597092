"""One request as it arrives, for waitress's channel, in the place of waitress's own parser: it takes what RFC
9112 has and nothing else, within the service's limits."""

import re
from io import BytesIO
from time import perf_counter

from waitress.buffers import OverflowableBuffer
from waitress.parser import unquote_bytes_to_wsgi
from waitress.rfc7230 import CHUNK_EXT

from apps.service.problems import Problem
from apps.service.requests import METHODS, Requests

FRAMING_ALLOWED = 16384  # bytes of a request that are neither its head nor its body
PAST_COUNTING = 1 << 64  # bytes, which is more than any parser of HTTP counts

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
VALUE = rb"[\t -~\x80-\xff]*"
AUTHORITY = rb"https?://(?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"  # RFC 9112, section 3.2.2
REQUEST_LINE = rb"(%b) (%b)?(/[!-~]*|(?<=^OPTIONS )\*) HTTP/1\.([01])\r\n" % (TOKEN, AUTHORITY)
FIELDS = rb"((?:%b:%b\r\n)*)" % (TOKEN, VALUE)
is_request_line = re.compile(REQUEST_LINE).fullmatch
may_become_line = re.compile(rb"[ -~]*\r?").fullmatch
head_of = re.compile(REQUEST_LINE + FIELDS + rb"\r\n").fullmatch
are_fields = re.compile(FIELDS).fullmatch
fields_in = re.compile(rb"(%b):[ \t]*(%b)\r\n" % (TOKEN, VALUE)).findall
is_length = re.compile(r"[0-9]{1,20}").fullmatch
chunk_of = re.compile(rb"([0-9A-Fa-f]+)" + CHUNK_EXT.encode("latin-1")).fullmatch


class StrictParser:
    """What waitress's channel and tasks ask of a request are the names down to `close`."""

    requests: Requests

    completed = empty = headers_finished = expect_continue = False
    error = None  # true where it is refused, for which ...
    problem: Problem | None = None  # ... is the reason, or the head is
    version, content_length = "1.0", 0

    body: OverflowableBuffer | None = None  # what has come of it
    ahead = b""  # what came with its end, and is the next request's
    streamed_limit: int | None = None  # bytes of a body that the view takes in pieces
    target_bytes = header_count = header_bytes = 0
    _kept = b""  # of a head or a chunked body, what is to be read when more has come
    _received = _head_size = 0
    _chunked = _in_last_chunk = _at_chunk_end = False
    _left = 0  # bytes of the body, or of this chunk

    def __init__(self, adj) -> None:
        self.adj, self.headers, self._begun = adj, {}, perf_counter()

    def get_body_stream(self):
        return BytesIO() if self.body is None else self.body.getfile()

    def close(self) -> None:
        if self.body is not None:
            self.body.close()

    def received(self, data: bytes) -> int:
        """Take what has come: all of it, of which `ahead` is what is not of this request."""
        self._received += len(data)
        rest = data if self.headers_finished else self._read_head(self._kept + data)
        if self.headers_finished and not self.completed:
            rest = self._read_chunks(self._kept + rest) if self._chunked else self._read_body(rest)
        if self.completed:
            self.ahead, self.arrival = rest, (self._begun, perf_counter())
            self.expect_continue = False  # it is here already; and waitress would go on waiting for it
        else:
            self._kept = rest
        return len(data)

    def refuse(self, problem: Problem | None = None) -> bytes:
        self.problem, self.error, self.completed, self.expect_continue = problem, True, True, False
        return b""

    def _read_head(self, data: bytes) -> bytes:
        limits, data = self.requests.settings, data.lstrip(b"\r\n")
        self.empty = self.completed = not data
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            line, end, _ = data.partition(b"\n")
            if len(data) >= limits.max_url_bytes + limits.max_header_bytes + FRAMING_ALLOWED:
                too_long = len(line) > limits.max_url_bytes
                return self.refuse(
                    self.requests.too_long() if too_long else self.requests.too_many_header_bytes()
                )
            if not (is_request_line(line + end) if end else may_become_line(line[:64])):
                return self.refuse(self.requests.malformed())  # to wait for more would be in vain
            return data
        self._kept, self._head_size, self.headers_finished = b"", len(head) + 4, True
        self._parse_head(head + end)
        return rest

    def _parse_head(self, head: bytes) -> None:
        limits, headers, found = self.requests.settings, self.headers, head_of(head)
        if not found:
            self.refuse(self.requests.malformed())
            return
        method, authority, target, minor, fields = found.groups(b"")
        fields, size = fields_in(fields), 0
        for name, value in fields:
            value = value.rstrip(b" \t")
            size += len(name) + len(value)
            if b"_" not in name:  # WSGI has one name for it and for the one with a hyphen
                key, value = name.decode().upper().replace("-", "_"), value.decode("latin-1")
                headers[key] = f"{headers[key]}, {value}" if key in headers else value
        coding, length = headers.pop("TRANSFER_ENCODING", None), headers.get("CONTENT_LENGTH")
        if coding is not None:
            good = coding.lower() == "chunked" and minor == b"1" and length is None
        else:
            good = length is None or (is_length(length) and int(length) < PAST_COUNTING)
        if not good:  # RFC 9112, section 6.3
            self.refuse(self.requests.malformed())
            return
        path, _, query = target.partition(b"#")[0].partition(b"?")
        self.path, self.query = unquote_bytes_to_wsgi(path), query.decode()
        self.request_uri, self.url_scheme = (authority + target).decode(), self.adj.url_scheme
        method = method.decode()
        if method not in METHODS:
            self.refuse(self.requests.unknown_method())
            return
        self.command, self.version = method, f"1.{minor.decode()}"
        self.target_bytes = len(authority) + len(path) + len(query)
        self.header_count, self.header_bytes = len(fields), size
        self.content_length = self._left = int(length or "0")
        self.streamed_limit = self.requests.streamed_limit(self.command, self.path)
        if (
            self.target_bytes > limits.max_url_bytes
            or self.header_count > limits.max_headers
            or self.header_bytes > limits.max_header_bytes
            or self.content_length > (self.streamed_limit or limits.max_body_bytes)
            or (minor == b"1" and "," in headers.get("HOST", ","))  # none, or two
        ):
            self.refuse()
            return
        options = headers.get("CONNECTION")
        if options and "close" in [one.strip().lower() for one in options.split(",")]:
            headers["CONNECTION"] = "close"  # waitress looks for this and nothing beside it
        self._chunked = coding is not None
        if self._chunked or self._left:
            self.body = OverflowableBuffer(self.adj.inbuf_overflow)
            self.expect_continue = minor == b"1" and headers.get("EXPECT", "").lower() == "100-continue"
        else:
            self.completed = True

    def _read_body(self, data: bytes) -> bytes:
        piece = data[: self._left]
        self.body.append(piece)
        self._left -= len(piece)
        self.completed = not self._left
        return data[len(piece) :] if self.completed else b""

    def _read_chunks(self, data: bytes) -> bytes:
        """RFC 9112, section 7.1, extensions and a trailer included, as long as they have a measure."""
        while data and not self.completed:
            before = data
            if self._left:
                piece = data[: self._left]
                self.body.append(piece)
                self._left -= len(piece)
                self._at_chunk_end, data = not self._left, data[len(piece) :]
            elif self._at_chunk_end:
                if not b"\r\n".startswith(data[:2]):
                    return self.refuse(self.requests.malformed())
                if len(data) > 1:
                    self._at_chunk_end, data = False, data[2:]
            elif self._in_last_chunk:
                data = self._read_trailer(data)
            else:
                line, end, rest = data.partition(b"\r\n")
                if not end:
                    break
                chunk = chunk_of(line)
                if not chunk or int(chunk[1], 16) + self._received >= PAST_COUNTING:
                    return self.refuse(self.requests.malformed())
                self._left, data = int(chunk[1], 16), rest
                self._in_last_chunk = not self._left
            if data is before:
                break
        if self.error:
            return b""
        size, streamed = len(self.body), self.streamed_limit
        if size > (streamed or self.requests.settings.max_body_bytes):
            return self.refuse(self.requests.too_large(streamed))
        framing = self._received - self._head_size - size - (len(data) if self.completed else 0)
        if framing > FRAMING_ALLOWED + (size if streamed else 0):
            return self.refuse(self.requests.malformed())
        return data

    def _read_trailer(self, data: bytes) -> bytes:
        fields, end, rest = (b"\r\n" + data).partition(b"\r\n\r\n")
        if not end:
            return data
        fields = fields[2:] + b"\r\n" if fields else b""
        names = {name.lower() for name, _ in fields_in(fields)}
        if not are_fields(fields) or names & {b"content-length", b"transfer-encoding"}:
            return self.refuse(self.requests.malformed())
        self.headers["CONTENT_LENGTH"], self.completed = str(len(self.body)), True
        return rest


def strict_parser(requests: Requests) -> type[StrictParser]:
    """The parser with a service's limits: waitress makes one for each request, and hands it none."""
    return type("Parser", (StrictParser,), {"requests": requests})

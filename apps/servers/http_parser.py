"""Requests as they arrive, for both servers: httptools, which is llhttp, the parser of Node.js, made strict.

It takes what RFC 9112 has and nothing else, within the service's limits, and one request at a time."""

import re
from contextlib import suppress
from time import perf_counter
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from apps.service.hosts import LAST_PORT
from apps.service.problems import Problem
from apps.service.requests import DIGITS, METHODS, Requests

FRAMING_ALLOWED = 16384  # bytes of a request that are neither its head nor its body
BLANK_LINE = b"\r\n\r\n"  # where a head ends

AUTHORITY = rb"https?://(?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?"  # RFC 9112, section 3.2.2
request_line = re.compile(
    rb"([!#$%%&'*+.^_`|~0-9A-Za-z-]+) (%b)?(/[!-~]*|(?<=^OPTIONS )\*) HTTP/1\.([01])\r\n" % AUTHORITY
).match
may_become_line = re.compile(rb"[!-~][ -~]*\r?").fullmatch
UPGRADE_FIELD = re.compile(rb"(?<=\n)upgrade:[^\n]*\n", re.IGNORECASE)


class RequestParser:
    """Tells `connection` of each request: `on_head`, `on_body` for each piece, and `on_message_complete`; or
    `on_problem`, after which nothing more is to be read. The first three may raise Problem.

    `follows` is what a client may upgrade to, such as b"websocket"."""

    def __init__(self, requests: Requests, connection, follows: bytes | None = None) -> None:
        self._requests, self._connection, self._follows = requests, connection, follows
        limits = requests.settings
        self._most = limits.max_url_bytes + limits.max_header_bytes + FRAMING_ALLOWED  # bytes of a head
        self.parser = HttpRequestParser(self)
        self._begin()
        self.begun: float | None = None  # by perf_counter, since when a request has been arriving

    def _begin(self) -> None:
        self.begun = perf_counter()
        self.arrival: list[float | None] = [self.begun, None]  # of its first byte and its last
        self.method = self.version = ""
        self.authority = self.target = self.raw_path = self.query = b""
        self.headers: list[tuple[bytes, bytes]] = []  # names in lower case
        self.expects_continue = self.keep_alive = False
        self.size = 0  # bytes of its body that have come
        self.left = 0  # bytes that are still to come, of it or of one of its chunks
        self._framing = 0  # bytes of what came after the head and is not its body
        self._head = b""
        self._line = b""  # with a chunk's size, as far as it has come
        self._in_trailers = False
        self.in_body = False  # its head has come
        self._is_complete = False

    def read(self, data: bytes) -> bytes:
        """Take what has come of one request. What comes after its end is returned, for the next call."""
        if self.begun is None:
            data = data.lstrip(b"\r\n")  # RFC 9112, section 2.2
            if not data:
                return b""
            self._begin()
        start = 0
        while start < len(data):
            end = self._end_of_part(data, start)
            try:
                if self.in_body:
                    self._take_body(data[start:end])
                else:
                    self._take_head(data[start:end])
                if self._is_complete:
                    self.arrival[1] = perf_counter()
                    self._connection.on_message_complete()
                    self.begun = None
                    return data[end:]
            except Problem as problem:
                self.refuse(problem)
                return b""
            start = end
        return b""

    def refuse(self, problem: Problem) -> None:
        """Have what has come of a request answered with a problem."""
        self._connection.on_problem(problem)
        self.begun = None

    def close(self) -> None:
        """For the collector of garbage: the two parsers and the connection know each other."""
        self.parser = self._connection = None

    @property
    def path(self) -> str:
        return unquote(self.raw_path.decode())

    def streamed_limit(self) -> int | None:
        """How many bytes the body may have, where the view takes it in pieces."""
        return self._requests.streamed_limit(self.method, self.path)

    def _end_of_part(self, data: bytes, start: int) -> int:
        """Where llhttp is to be stopped, since a request may end there: it would go on with the next."""
        if self.left:
            return start + self.left
        if self.in_body:
            return data.find(b"\n", start) + 1 or len(data)
        tail = self._head[-3:]  # the blank line may have begun in what came before
        found = (tail + data[start:]).find(BLANK_LINE)
        return len(data) if found < 0 else start + found + len(BLANK_LINE) - len(tail)

    def _take_head(self, piece: bytes) -> None:
        self._head += piece
        if len(self._head) > self._most:
            too_long = len(self._head.partition(b"\n")[0]) > self._requests.settings.max_url_bytes
            raise self._requests.too_long() if too_long else self._requests.too_many_header_bytes()
        try:
            self._feed_head(piece)
        except HttpParserError:  # at a method that it does not know, before the line is there, too
            if b"\n" in self._head or not may_become_line(self._head):
                self._read_line()
                raise self._requests.malformed() from None
        if self.in_body:
            self._read_line()
            self._read_framing()
            self._connection.on_head()

    def _read_line(self) -> None:
        """llhttp takes two spaces for one, any target, and methods that nobody here has."""
        line = request_line(self._head)
        if not line:
            raise self._requests.malformed()
        method, self.authority, port, self.target, minor = line.groups(b"")
        self.raw_path, _, self.query = self.target.partition(b"#")[0].partition(b"?")
        self.method, self.version = method.decode(), "1.1" if minor == b"1" else "1.0"
        if port and int(port) > LAST_PORT:
            raise self._requests.malformed()
        if self.method not in METHODS:
            raise self._requests.unknown_method()

    def _read_framing(self) -> None:
        """RFC 9112, section 6.3."""
        codings = []
        for name, value in self.headers:
            if name == b"content-length":  # one, and a number: llhttp has seen to it
                if len(value.strip()) > DIGITS:
                    raise self._requests.malformed()
                self.left = int(value)
            elif name == b"transfer-encoding":
                codings.append(value.strip().lower())
            elif name == b"expect":  # RFC 9110, section 10.1.1
                self.expects_continue = self.version == "1.1" and value.strip().lower() == b"100-continue"
        if codings and (codings != [b"chunked"] or self.version == "1.0"):
            raise self._requests.malformed()

    def _feed_head(self, piece: bytes) -> None:
        """Nobody has to follow a request to upgrade (RFC 9110, section 7.8), and curl's --http2 asks so with
        whatever it sends. llhttp would leave its body lying: so it is given the head again, without."""
        try:
            self.parser.feed_data(piece)
        except HttpParserUpgrade:
            upgrade = dict(self.headers).get(b"upgrade")
            if upgrade is not None and upgrade.lower() != self._follows:
                headers, self.headers, self.parser = self.headers, [], HttpRequestParser(self)
                self.in_body = self._is_complete = False
                with suppress(HttpParserUpgrade):  # of the method CONNECT
                    self.parser.feed_data(UPGRADE_FIELD.sub(b"", self._head))
                self.headers = headers

    def _take_body(self, piece: bytes) -> None:
        self._framing += len(piece)  # less its share of the body (`on_body`)
        try:
            self.parser.feed_data(piece)
        except HttpParserError as error:
            raise error.__context__ or self._requests.malformed() from None
        if self.left:
            self.left -= len(piece)
        else:
            self._take_line(piece)
        if self._framing > FRAMING_ALLOWED:
            # Many small chunks, or extensions of chunks (RFC 9112, section 7.1.1).
            streamed = self.streamed_limit() is not None
            if not streamed and self.size > self._requests.settings.max_body_bytes:
                raise self._requests.too_large()
            if self._framing > FRAMING_ALLOWED + (self.size if streamed else 0):
                raise self._requests.malformed()

    def _take_line(self, piece: bytes) -> None:
        """RFC 9112, section 7.1: of a chunk, or of the trailers that follow the last one."""
        if self._in_trailers:
            return
        if len(self._line) <= DIGITS:
            self._line += piece
        if piece.endswith(b"\n"):
            digits, self._line = self._line.partition(b";")[0].rstrip(), b""
            if len(digits) > DIGITS:
                raise self._requests.malformed()
            if size := int(digits, 16):
                self.left = size + 2  # it has a line's end after it
            else:
                self._in_trailers = True

    # What llhttp calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if not self.in_body:
            self.headers.append((name, value))
        elif name in (b"content-length", b"transfer-encoding"):  # in a trailer, which nobody reads otherwise
            raise self._requests.malformed()

    def on_headers_complete(self) -> None:
        self.in_body, self.keep_alive = True, self.parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        self.size += len(body)
        self._framing -= len(body)
        self._connection.on_body(body)

    def on_message_complete(self) -> None:
        self._is_complete = True

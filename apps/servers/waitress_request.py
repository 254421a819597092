"""A request as waitress's channel and tasks know it, in the place of waitress's HTTPRequestParser."""

from io import BytesIO

from waitress.adjustments import Adjustments
from waitress.buffers import OverflowableBuffer
from waitress.parser import unquote_bytes_to_wsgi

from apps.servers.http_parser import RequestParser
from apps.service.problems import Problem


class Request:
    error = None  # true where it is refused ...
    problem: Problem | None = None  # ... for this
    command = path = query = ""
    version, content_length = "1.0", 0
    target_bytes = header_count = header_bytes = 0
    headers_finished, expect_continue = True, False
    arrival: list[float | None] | None = None  # of its first byte and its last, by perf_counter
    body: OverflowableBuffer | None = None  # what has come of it
    streamed_limit: int | None = None  # bytes of a body that the view takes in pieces

    def __init__(self, adj: Adjustments) -> None:
        self.adj, self.headers, self.url_scheme = adj, {}, adj.url_scheme

    def read_head(self, arrived: RequestParser) -> None:
        self.command, self.version = arrived.method, arrived.version
        self.path, self.query = unquote_bytes_to_wsgi(arrived.raw_path), arrived.query.decode()
        self.request_uri = (arrived.authority + arrived.target).decode()
        self.target_bytes = len(arrived.raw_path) + len(arrived.query)
        self.header_count = len(arrived.headers)
        headers, size = self.headers, 0
        for name, value in arrived.headers:
            value = value.rstrip(b" \t")
            size += len(name) + len(value)
            if b"_" not in name:  # WSGI has one name for it and for the one with a hyphen
                key, value = name.decode().upper().replace("-", "_"), value.decode("latin-1")
                headers[key] = f"{headers[key]}, {value}" if key in headers else value
        self.header_bytes, self.content_length, self.arrival = size, arrived.left, arrived.arrival
        self.expect_continue, self.streamed_limit = arrived.expects_continue, arrived.streamed_limit()
        options = headers.get("CONNECTION")
        if options and "close" in [one.strip().lower() for one in options.split(",")]:
            headers["CONNECTION"] = "close"  # waitress looks for this and nothing beside it
        if headers.pop("TRANSFER_ENCODING", None) or self.content_length:
            self.body = OverflowableBuffer(self.adj.inbuf_overflow)

    def read_end(self) -> None:
        self.expect_continue = False  # it is here already; and waitress would go on waiting for it
        if self.body is not None:
            self.headers["CONTENT_LENGTH"] = str(len(self.body))

    def get_body_stream(self):
        return BytesIO() if self.body is None else self.body.getfile()

    def close(self) -> None:
        if self.body is not None:
            self.body.close()

"""How both servers read a request, beside waitress's own parser, and however it comes in pieces."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser

from apps.servers.http_parser import RequestParser
from apps.servers.waitress_request import Request
from apps.service import build
from apps.service.problems import Problem

NAMES = st.text("abcXYZ-09!#$%&'*+.^`|~", min_size=1, max_size=8).map(lambda name: f"X{name}")
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_categories=["Cc"]), max_size=12)
TARGETS = st.from_regex(r"\A(https?://[a-z0-9.-]{1,8}(:[0-9]{1,4})?)?/[!-~]{0,20}\Z").filter(
    lambda target: not target.startswith("//")  # which waitress folds
)


@st.composite
def requests(draw) -> tuple[bytes, bytes]:
    """A whole request, and its body."""
    body = draw(st.binary(max_size=60))
    fields = draw(st.lists(st.tuples(NAMES, VALUES), max_size=4))
    fields += [("Host", "a"), ("Connection", draw(st.sampled_from(["close", "keep-alive", "Upgrade"])))]
    fields += draw(st.sampled_from([[], [("Upgrade", "h2c")], [("Upgrade", "websocket")]]))
    framing = draw(st.sampled_from(["none", "length", "chunks"]))
    if framing == "none":
        body, sent = b"", b""
    elif framing == "length":
        fields, sent = [*fields, ("Content-Length", str(len(body)))], body
    else:
        fields = [*fields, ("Transfer-Encoding", "chunked")]
        ends = sorted(draw(st.sets(st.integers(1, max(len(body) - 1, 1)), max_size=3)))
        pieces = [body[start:end] for start, end in zip([0, *ends], [*ends, len(body)], strict=True)]
        extension = draw(st.sampled_from([b"", b";a=b", b';a="b c"']))
        sent = b"".join(b"%x%b\r\n%b\r\n" % (len(one), extension, one) for one in pieces if one)
        sent += b"0\r\n" + draw(st.sampled_from([b"", b"X-Check: 1\r\n"])) + b"\r\n"
    method = draw(st.sampled_from(["GET", "POST", "PUT", "DELETE"]))
    lines = [f"{method} {draw(TARGETS)} HTTP/1.1", *[f"{name}: {value}" for name, value in fields]]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + sent, body


REQUESTS = build("flask_app", port=5000).requests


@dataclass
class Read:
    """A connection, and the first request that a parser has read for it."""

    request: Request | None = None
    body: bytes = b""
    pieces: int = 0
    problem: Problem | None = None
    completed: bool = False
    ahead: bytes = b""
    parser: RequestParser = field(init=False)

    def on_head(self) -> None:
        self.request = Request(Adjustments())
        self.request.read_head(self.parser)

    def on_body(self, piece: bytes) -> None:
        self.body += piece
        self.pieces += 1
        self.request.body.append(piece)

    def on_message_complete(self) -> None:
        self.request.read_end()
        self.completed = True

    def on_problem(self, problem: Problem) -> None:
        self.problem = problem


def read(raw: bytes, sizes: list[int]) -> Read:
    """What is read of `raw`, in pieces of these sizes and at last the rest."""
    found = Read()
    found.parser = RequestParser(REQUESTS, found)
    for size in [*sizes, len(raw)]:
        piece, raw = raw[:size], raw[size:]
        found.ahead = found.parser.read(piece)
        if found.completed or found.problem:
            found.ahead += raw
            break
    return found


def read_by_waitress(raw: bytes) -> HTTPRequestParser:
    found = HTTPRequestParser(Adjustments())
    while raw and not found.completed:
        raw = raw[found.received(raw) :]
    return found


@given(requests(), st.lists(st.integers(1, 40), max_size=6))
def test_a_request_is_read_as_waitress_reads_it(request, sizes):
    raw, body = request
    read_so, theirs = read(raw, sizes), read_by_waitress(raw)
    ours = read_so.request
    assert read_so.completed and not read_so.problem and theirs.completed and not theirs.error
    assert ours.get_body_stream().read() == theirs.get_body_stream().read() == body
    for name in ("headers", "command", "path", "query", "request_uri", "version", "url_scheme"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.content_length == theirs.content_length


@given(requests(), requests(), st.lists(st.integers(1, 40), max_size=6))
def test_what_is_of_the_next_request_is_kept_for_it(first, second, sizes):
    found = read(first[0] + second[0], sizes)
    assert found.body == first[1]
    assert found.ahead == second[0]


@pytest.mark.parametrize("line", [b"\r\n", b"0\r\n\r\n", b"\r\n0\r\n"])
def test_a_chunk_is_read_at_once_whatever_it_holds(line):
    """As often as something in it looked like an end, the rest of it was copied: 1 MB took a second."""
    chunk = line * (500_000 // len(line))
    raw = b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    found = read(raw + b"%x\r\n%b\r\n0\r\n\r\n" % (len(chunk), chunk), [])
    assert found.completed and found.body == chunk
    assert found.pieces == 1


@given(requests(), st.data())
def test_however_it_is_damaged_it_is_taken_or_refused_alike_in_any_pieces(request, data):
    raw = bytearray(request[0])
    place = data.draw(st.integers(0, len(raw)))
    raw[place : place + data.draw(st.integers(0, 2))] = data.draw(
        st.sampled_from(
            [b"", b"\r\n", b"\n", b"\r", b" ", b"\0", b":", b"0", b"\xff", b"\r\n\r\n", b"HTTP/1.1"]
        )
    )
    raw = bytes(raw)
    whole, pieces = read(raw, []), read(raw, [1] * len(raw))
    assert whole.completed == pieces.completed
    assert str(whole.problem) == str(pieces.problem)
    if whole.completed:
        assert whole.request.headers == pieces.request.headers and whole.request.path == pieces.request.path
        assert (whole.body, whole.ahead) == (pieces.body, pieces.ahead)

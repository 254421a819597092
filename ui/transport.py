"""One request to a server, and all that can come of it."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from ui import answers
from ui.answers import Exchange, Failure
from ui.servers import Server

CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 3.0  # to the last byte; long enough for a Flask that loads its model at this request
LARGEST_ANSWER = 1_000_000  # bytes
PIECE, PIECE_SECONDS = 64 * 1024, 30.0  # bytes of an answer in pieces, and how long to wait for the next
FAULTS = (httpx.TransportError, httpx.DecodingError, httpx.InvalidURL, OverflowError, ValueError)

CERTIFICATES = httpx.create_ssl_context(trust_env=False)  # for each client anew, they would take 20 ms


def _client() -> httpx.Client:
    """With connections that are kept alive; no proxy between this page and 127.0.0.1. A server closes an idle
    connection after 5 s (uvicorn), so it is given up before."""
    return httpx.Client(trust_env=False, verify=CERTIFICATES, limits=httpx.Limits(keepalive_expiry=4))


_clients = [_client()]  # that nobody uses; the first takes 20 ms, which no answer is to be told to take


@dataclass(frozen=True)
class Credential:
    """A header that says who asks. `shown` is what people are shown in its place."""

    header: str
    value: str = field(repr=False)
    shown: str


class Broken(Exception):
    """An answer that was to be read in pieces has ended before its end, or has not begun."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.sentence)
        self.failure = failure


def send(
    server: Server,
    method: str,
    path: str,
    content: bytes | Iterable[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    seconds: float = ANSWER_SECONDS,
    silence: float | None = None,
    largest: int = LARGEST_ANSWER,
    trace: Callable[[str, dict], None] | None = None,
    credential: Credential | None = None,
) -> Exchange | Failure:
    """Send one request as it is and read the whole answer, of at most `largest` bytes, within `seconds`,
    whatever its status; nobody may be silent for longer than `silence` seconds, or as long as that. Content
    in pieces is not kept. `trace` is told of each step (https://www.python-httpx.org/advanced/extensions/).
    The `credential` goes to the server, and nothing that is returned has it: a name stands there."""
    url = server.url + path
    headers = dict(headers or {})
    if credential:
        headers[credential.header] = credential.value
    silence = silence or seconds
    try:
        check(url)
        started = time.perf_counter()
        with _stream(
            method,
            url,
            content=content,
            headers=headers,
            timeout=_timeout(silence),
            follow_redirects=False,
            extensions={"trace": trace} if trace else None,
        ) as response:
            received = bytearray()
            for part in response.iter_bytes():
                received += part
                if len(received) > largest:
                    what = f"sent more than {largest // 1_000_000} MB, which no answer of this API needs"
                    return answers.strange(server, what)
                if time.perf_counter() - started > seconds:
                    return answers.late(server, seconds)
        milliseconds = (time.perf_counter() - started) * 1000
    except FAULTS as error:
        return failure_of(error, server, silence)
    sent = content if isinstance(content, bytes) else b""
    return exchange_of(server, response, sent, received, milliseconds, credential)


def exchange_of(
    server: Server,
    response: httpx.Response,
    sent: bytes,
    received: bytes | bytearray,
    milliseconds: float,
    credential: Credential | None,
) -> Exchange:
    """A request and its answer, as people are shown them."""
    shown = dict(response.request.headers)
    if credential:
        shown[credential.header.lower()] = credential.shown
    text = received.decode("utf-8", errors="replace")
    return Exchange(
        server=server,
        method=response.request.method,
        url=str(response.request.url),
        sent=sent.decode("utf-8", errors="replace"),
        sent_headers=shown,
        status=response.status_code,
        headers=dict(response.headers),
        text=text,
        body=_parsed(text),
        milliseconds=milliseconds,
    )


def pieces(server: Server, path: str, credential: Credential | None = None) -> Iterator[bytes]:
    """GET an answer of any size in pieces, as they come. Broken where it does not begin with status 200, or
    does not come to its end."""
    url, silence = server.url + path, PIECE_SECONDS
    headers = {credential.header: credential.value} if credential else {}
    try:
        check(url)
        with _stream("GET", url, headers=headers, timeout=_timeout(silence)) as response:
            if response.status_code == 200:
                yield from response.iter_bytes(PIECE)
                return
    except FAULTS as error:
        raise Broken(failure_of(error, server, silence)) from None
    refused = send(server, "GET", path, credential=credential)  # once more, for why
    raise Broken(refused if isinstance(refused, Failure) else answers.refused(refused, "the answers"))


@contextmanager
def _stream(method: str, url: str, **options) -> Iterator[httpx.Response]:
    """httpx's. Of a client that several threads share, one may close a connection at which another waits for
    its answer (https://github.com/encode/httpcore/issues/1110): so each request has one for itself."""
    try:
        client = _clients.pop()
    except IndexError:
        client = _client()
    try:
        with client.stream(method, url, **options) as response:
            yield response
    finally:
        _clients.append(client)


def check(url: str) -> None:
    """ValueError for a port that no machine has, which httpx would let pass."""
    _ = urlsplit(url).port


def _timeout(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))


def failure_of(error: Exception, server: Server, seconds: float) -> Failure:
    """What one of `FAULTS` means, where nobody was to be silent for longer than so many seconds."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return answers.down(server)
    if isinstance(error, httpx.TimeoutException):
        return answers.late(server, seconds)
    if isinstance(error, httpx.RemoteProtocolError | httpx.DecodingError):
        if "peer closed" in str(error) or "disconnected" in str(error):
            return answers.broken(server)
        return answers.strange(server, "answered, but not in HTTP that can be read")
    if isinstance(error, httpx.UnsupportedProtocol) or not isinstance(error, httpx.TransportError):
        return answers.no_address(server)
    return answers.broken(server)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None

"""Requests as bytes on a socket: what a real client library would not let a test send."""

import contextlib
import io
import re
import socket
import zlib
from base64 import b64decode
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException, HTTPResponse
from pathlib import Path

import yaml

from tests.waiting import PATIENCE

CASES = Path(__file__).with_name("hostile_cases.yaml")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def request_id(self) -> str:
        return self.headers.get("x-request-id", "")


class Reader(io.BufferedReader):
    """Stays open when an answer has been read: the next one may be in its buffer already."""

    def close(self) -> None:
        pass

    def really_close(self) -> None:
        super().close()


def connected(url: str, window: int | None = None) -> socket.socket:
    """A socket; with a `window`, the system keeps about so many bytes that nobody has read."""
    host, port = url.removeprefix("http://").split(":")
    found = socket.socket()
    found.settimeout(PATIENCE)
    if window is not None:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    try:
        found.connect((host, int(port)))
    except OSError:
        found.close()
        raise
    return found


class Connection:
    """One connection, for as many requests as the server lets it have."""

    def __init__(self, url: str, window: int | None = None) -> None:
        """`window`: bytes, more or less, that may be sent to it before it reads."""
        self.socket = connected(url, window)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # every send a packet of its own
        self._reader = Reader(self.socket.makefile("rb", buffering=0))

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self._reader.really_close()
        self.socket.close()

    def makefile(self, *_) -> Reader:
        """What HTTPResponse reads from."""
        return self._reader

    def send(self, request: bytes) -> None:
        with contextlib.suppress(ConnectionError):  # it may refuse, and close, before it had everything
            self.socket.sendall(request)

    def receive(self, method: str = "") -> Answer:
        """The next answer. Raises ConnectionError or HTTPException where there is none."""
        response = HTTPResponse(self, method=method)
        response.begin()
        return Answer(response.status, {n.lower(): v for n, v in response.getheaders()}, response.read())

    def is_closed(self) -> bool:
        """True when the server closes and sends nothing more. It is waited for."""
        try:
            return self._reader.read(1) == b""
        except ConnectionError:
            return True


def send(url: str, request: bytes, *, half_close: bool = False) -> Answer:
    """The answer to `request`, sent as it is. A server that answers nothing at all fails the test.

    `half_close`: afterwards the client says that nothing more will come."""
    with Connection(url) as connection:
        connection.send(request)
        if half_close:
            connection.socket.shutdown(socket.SHUT_WR)
        return connection.receive(method_of(request))


def method_of(request: bytes) -> str:
    return request.partition(b" ")[0].decode("latin-1")


class KeptAlive:
    """A connection for many requests, opened anew where the server closes it."""

    def __init__(self, url: str) -> None:
        self._url, self._connection = url, None

    def ask(self, request: bytes) -> Answer:
        if self._connection is None:
            return self._ask(request)
        try:
            return self._ask(request)
        except (ConnectionError, HTTPException):  # an idle connection may have been closed meanwhile
            self.close()
            return self._ask(request)

    def _ask(self, request: bytes) -> Answer:
        self._connection = self._connection or Connection(self._url)
        self._connection.send(request)
        answer = self._connection.receive(method_of(request))
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def post(url: str, body: bytes, path: str = "/predict", request_id: str | None = None) -> Answer:
    headers = {"Content-Type": "application/json"} | ({"X-Request-ID": request_id} if request_id else {})
    return send(url, request_bytes("POST", path, headers, body))


def request_bytes(
    method: str, path: str, headers: dict[str, str], body: bytes = b"", *, keep: bool = False
) -> bytes:
    """A well-formed request. Header values go out as Latin-1; `keep`: the connection stays open."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *([] if keep else ["Connection: close"])]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body or method in ("POST", "PUT"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked_bytes(path: str, headers: dict[str, str], body: bytes, step: int) -> bytes:
    """A POST of `body` in chunks of `step` bytes, with no word of how many there will be."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", "Transfer-Encoding: chunked"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    parts = [body[start : start + step] for start in range(0, len(body), step)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return "\r\n".join([*lines, "", ""]).encode() + chunks + b"0\r\n\r\n"


def cases(*groups: str) -> list[dict]:
    """The hostile cases of these groups that are one request; `wire_of` makes the request."""
    return [complete(case) for group in groups for case in read_cases()[group] if "test" not in case]


@cache
def read_cases() -> dict[str, list[dict]]:
    return yaml.safe_load(CASES.read_text(encoding="utf-8"))


def complete(case: dict) -> dict:
    """With statuses and secrets as lists."""
    return (
        case
        | {"expected": as_list(case["expected"]), "minimal": as_list(case.get("minimal", case["expected"]))}
        | {"secret": [word.encode() for word in as_list(case.get("secret", []))]}
    )


def wire_of(case: dict) -> bytes:
    """The request as it goes over the wire, with a request id of its own unless it is raw."""
    if "raw" in case:
        return expand(case["raw"]).encode()
    if "raw_base64" in case:
        return b64decode(case["raw_base64"])
    method, path = case.get("method", "POST"), case.get("path", "/predict")
    headers = case.get("headers", {"Content-Type": "application/json"} if method in ("POST", "PUT") else {})
    headers = {"X-Request-ID": f"case-{case['name']}"} | {name: expand(v) for name, v in headers.items()}
    if "chunked" in case:
        return chunked_bytes(path, headers, body_of(case), case["chunked"])
    return request_bytes(method, path, headers, body_of(case))


def body_of(case: dict) -> bytes:
    if "base64" in case:
        return b64decode(case["base64"])
    if "zeros" in case:
        return zipped_zeros(case["zeros"])
    return expand(case.get("body", "")).encode()


def expand(text: str) -> str:
    """`@x*3` becomes `xxx`, and `@(k#,)*3` becomes `k0,k1,k2,`."""
    text = re.sub(
        r"@\((.+?)\)\*(\d+)",
        lambda found: "".join(found[1].replace("#", str(number)) for number in range(int(found[2]))),
        text,
        flags=re.DOTALL,
    )
    return re.sub(r"@(.)\*(\d+)", lambda found: found[1] * int(found[2]), text)


@cache
def zipped_zeros(size: int, step: int = 1 << 20) -> bytes:
    """`size` zero bytes as gzip, made without ever holding them."""
    packer = zlib.compressobj(wbits=31)
    return b"".join(packer.compress(bytes(step)) for _ in range(size // step)) + packer.flush()


def as_list(one) -> list:
    return one if isinstance(one, list) else [one]

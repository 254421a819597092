"""Requests as bytes on a socket: what a real client library would not let a test send."""

import re
import socket
import zlib
from base64 import b64decode
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

import yaml

CASES = Path(__file__).with_name("hostile_cases.yaml")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


def send(url: str, request: bytes) -> Answer:
    """The answer to `request`, sent as it is. A server that answers nothing at all fails the test."""
    host, port = url.removeprefix("http://").split(":")
    method = request.split(b" ", 1)[0].decode()
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request)
        response = HTTPResponse(connection, method=method)
        response.begin()
        return Answer(response.status, {n.lower(): v for n, v in response.getheaders()}, response.read())


def post(url: str, body: bytes, path: str = "/predict") -> Answer:
    return send(url, request_bytes("POST", path, {"Content-Type": "application/json"}, body))


def request_bytes(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body or method in ("POST", "PUT"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def cases(*groups: str) -> list[dict]:
    """The hostile cases of these groups, each with `bytes`, the request as it goes over the wire."""
    by_group = yaml.safe_load(CASES.read_text(encoding="utf-8"))
    return [complete(case) for group in groups for case in by_group[group]]


def complete(case: dict) -> dict:
    if "raw" in case:
        wire = expand(case["raw"]).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").encode()
    else:
        method = case.get("method", "POST")
        headers = case.get(
            "headers", {"Content-Type": "application/json"} if method in ("POST", "PUT") else {}
        )
        wire = request_bytes(method, case.get("path", "/predict"), headers, body_of(case))
    return (
        case
        | {"bytes": wire, "expected": as_list(case["expected"])}
        | {"minimal": as_list(case.get("minimal", case["expected"]))}
    )


def body_of(case: dict) -> bytes:
    if "base64" in case:
        return b64decode(case["base64"])
    if "zeros" in case:
        return zipped_zeros(case["zeros"])
    return expand(case.get("body", "")).encode()


def expand(text: str) -> str:
    """`@x*3` becomes `xxx`."""
    return re.sub(r"@(.)\*(\d+)", lambda found: found[1] * int(found[2]), text)


def zipped_zeros(size: int, step: int = 1 << 20) -> bytes:
    """`size` zero bytes as gzip, made without ever holding them."""
    packer = zlib.compressobj(wbits=31)
    return b"".join(packer.compress(bytes(step)) for _ in range(size // step)) + packer.flush()


def as_list(status: int | list[int]) -> list[int]:
    return status if isinstance(status, list) else [status]

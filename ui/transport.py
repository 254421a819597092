"""One request to a server, and all that can come of it."""

import json
import time
from collections.abc import Callable, Mapping
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

# One client, so that connections are kept alive; no proxy between this page and 127.0.0.1. A server closes
# an idle connection after 5 s (uvicorn), so it is given up before.
_http = httpx.Client(trust_env=False, limits=httpx.Limits(keepalive_expiry=4))


@dataclass(frozen=True)
class Credential:
    """A header that says who asks. `shown` is what people are shown in its place."""

    header: str
    value: str = field(repr=False)
    shown: str


def send(
    server: Server,
    method: str,
    path: str,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    seconds: float = ANSWER_SECONDS,
    largest: int = LARGEST_ANSWER,
    trace: Callable[[str, dict], None] | None = None,
    credential: Credential | None = None,
) -> Exchange | Failure:
    """Send one request as it is and read the whole answer, of at most `largest` bytes, within `seconds`,
    whatever its status. `trace` is told of each step (https://www.python-httpx.org/advanced/extensions/).
    The `credential` goes to the server, and nothing that is returned has it: a name stands there."""
    url = server.url + path
    headers = dict(headers or {})
    if credential:
        headers[credential.header] = credential.value
    timeout = httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))
    try:
        _ = urlsplit(url).port  # ValueError for one that no machine has, which httpx would let pass
        started = time.perf_counter()
        with _http.stream(
            method,
            url,
            content=content,
            headers=headers,
            timeout=timeout,
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
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, OverflowError, ValueError):
        return answers.no_address(server)
    except (httpx.ConnectError, httpx.ConnectTimeout):
        return answers.down(server)
    except httpx.TimeoutException:
        return answers.late(server, seconds)
    except (httpx.RemoteProtocolError, httpx.DecodingError) as error:
        if "peer closed" in str(error) or "disconnected" in str(error):
            return answers.broken(server)
        return answers.strange(server, "answered, but not in HTTP that can be read")
    except httpx.TransportError:
        return answers.broken(server)
    shown = dict(response.request.headers)
    if credential:
        shown[credential.header.lower()] = credential.shown
    text = received.decode("utf-8", errors="replace")
    return Exchange(
        server=server,
        method=method,
        url=url,
        sent=(content or b"").decode("utf-8", errors="replace"),
        sent_headers=shown,
        status=response.status_code,
        headers=dict(response.headers),
        text=text,
        body=_parsed(text),
        milliseconds=milliseconds,
    )


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None

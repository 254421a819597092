"""Everything that this page says to a server over HTTP, and what may come back.

Nothing here raises for what a server or the network does. Every call returns either what was asked for or a
`Failure`: one sentence on what happened, one on what to do next.
"""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from ui.card import Card, read_card
from ui.prediction import Prediction, read_prediction
from ui.servers import Server

CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 3.0  # to the last byte; long enough for a Flask that loads its model at this request
LARGEST_ANSWER = 1_000_000  # bytes
TRAIN = ("python -m model_training.train iris",)
JSON = {"Content-Type": "application/json"}

# One client, so that connections are kept alive; no proxy between this page and 127.0.0.1. A server closes
# an idle connection after 5 s (uvicorn), so it is given up before.
_http = httpx.Client(trust_env=False, limits=httpx.Limits(keepalive_expiry=4))


@dataclass(frozen=True)
class Exchange:
    """One request and its answer. `body` is the parsed JSON, None where the answer is not JSON."""

    server: Server
    method: str
    url: str
    sent: str
    sent_headers: Mapping[str, str]
    status: int
    headers: Mapping[str, str]
    text: str
    body: Any
    milliseconds: float

    @property
    def detail(self) -> str:
        """What the server says went wrong; empty where it says nothing readable."""
        detail = self.body.get("detail") if isinstance(self.body, dict) else None
        return detail.strip()[:300] if isinstance(detail, str) else ""


@dataclass(frozen=True)
class Failure:
    """What went wrong in one sentence, and what to do in another. `commands` is what to type, if anything:
    one for any shell, or one for bash and one for PowerShell."""

    server: Server
    sentence: str
    remedy: str
    commands: tuple[str, ...] = ()
    exchange: Exchange | None = None


@dataclass(frozen=True)
class Health:
    """A server that answers /health. Without a model it is up but not `ready`, and `reason` says why."""

    exchange: Exchange
    ready: bool
    app: str
    uptime_seconds: float | None
    model: str | None = None
    version: str | None = None
    reason: str = ""


def send(
    server: Server,
    method: str,
    path: str,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    seconds: float = ANSWER_SECONDS,
) -> Exchange | Failure:
    """Send one request as it is and read the whole answer within `seconds`, whatever its status."""
    url = server.url + path
    timeout = httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))
    try:
        _ = urlsplit(url).port  # ValueError for one that no machine has, which httpx would let pass
        started = time.perf_counter()
        with _http.stream(
            method, url, content=content, headers=headers, timeout=timeout, follow_redirects=False
        ) as response:
            received = bytearray()
            for part in response.iter_bytes():
                received += part
                if len(received) > LARGEST_ANSWER:
                    return _strange(server, "sent more than 1 MB, which no answer of this API needs")
                if time.perf_counter() - started > seconds:
                    return _late(server, seconds)
        milliseconds = (time.perf_counter() - started) * 1000
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, OverflowError, ValueError):
        return Failure(
            server,
            f"{server.setting} is not an address that can be called: {server.url[:80]}",
            f"Set it to one like http://127.0.0.1:{server.default_port} and start this page again.",
        )
    except httpx.ConnectError:
        return _down(server)
    except httpx.TimeoutException as error:
        return _down(server) if isinstance(error, httpx.ConnectTimeout) else _late(server, seconds)
    except (httpx.RemoteProtocolError, httpx.DecodingError) as error:
        if "peer closed" in str(error) or "disconnected" in str(error):
            return _broken(server)
        return _strange(server, "answered, but not in HTTP that can be read")
    except httpx.TransportError:
        return _broken(server)
    text = received.decode("utf-8", errors="replace")
    return Exchange(
        server=server,
        method=method,
        url=url,
        sent=(content or b"").decode("utf-8", errors="replace"),
        sent_headers=dict(response.request.headers),
        status=response.status_code,
        headers=dict(response.headers),
        text=text,
        body=_parsed(text),
        milliseconds=milliseconds,
    )


def health(server: Server) -> Health | Failure:
    """GET /health. A 503 that says why is a `Health`, not a `Failure`: the process is there."""
    exchange = send(server, "GET", "/health")
    if isinstance(exchange, Failure):
        return exchange
    body = exchange.body
    if (
        not isinstance(body, dict)
        or exchange.status not in (200, 503)
        or not isinstance(body.get("app"), str)
    ):
        return _unexpected(exchange, "its health")
    model = body.get("model") if isinstance(body.get("model"), dict) else {}
    uptime = body.get("uptime_seconds")
    return Health(
        exchange=exchange,
        ready=exchange.status == 200,
        app=body["app"],
        uptime_seconds=uptime if isinstance(uptime, int | float) and 0 <= uptime < 1e10 else None,
        model=_text(model.get("name")),
        version=_text(model.get("version")),
        reason=_text(body.get("reason")) or "",
    )


def model_card(server: Server) -> Card | Failure:
    """GET /model: what the model takes and gives."""
    exchange = send(server, "GET", "/model")
    if isinstance(exchange, Failure):
        return exchange
    if exchange.status != 200:
        return _refused(exchange, "its model card")
    try:
        return read_card(exchange.body)
    except ValueError as error:
        return _unexpected(exchange, f"its model card ({error})")


def first_card(candidates: Iterable[Server]) -> tuple[Card | None, list[Failure]]:
    """The card of the first server that has one, and why those asked before it had none."""
    failures = []
    for server in candidates:
        card = model_card(server)
        if isinstance(card, Card):
            return card, failures
        failures.append(card)
    return None, failures


def predict_path() -> str:
    return "/predict?probabilities=true"


def predict_body(features: list[float]) -> bytes:
    return json.dumps({"features": features}).encode()


def predict(server: Server, features: list[float], card: Card) -> tuple[Prediction, Exchange] | Failure:
    """POST /predict with one row of features."""
    exchange = send(server, "POST", predict_path(), predict_body(features), JSON)
    if isinstance(exchange, Failure):
        return exchange
    if exchange.status != 200:
        return _refused(exchange, "a prediction")
    try:
        return read_prediction(exchange.body, card), exchange
    except ValueError as error:
        return _unexpected(exchange, f"a prediction ({error})")


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text(value: Any) -> str | None:
    return value[:200] if isinstance(value, str) else None


def _down(server: Server) -> Failure:
    return Failure(
        server,
        f"{server.name} is not running: nothing answers at {server.url}.",
        "Start it in a terminal, in the project's folder.",
        server.start,
    )


def _late(server: Server, seconds: float) -> Failure:
    return Failure(
        server,
        f"{server.name} did not answer within {seconds:g} seconds.",
        "It may be starting or busy: try again in a moment. If it stays so, look at its log and restart it.",
        server.start,
    )


def _broken(server: Server) -> Failure:
    return Failure(
        server,
        f"The connection to {server.name} broke before its answer was complete.",
        "Send it again; if it breaks again, look at the server's log and restart it.",
        server.start,
    )


def _strange(server: Server, what: str, exchange: Exchange | None = None) -> Failure:
    airplay = " (on a Mac, AirPlay holds 5000)" if server.port == 5000 else ""
    return Failure(
        server,
        f"Something at {server.url} {what}.",
        f"Another program may hold that port{airplay}: stop it, or start {server.name} on another port "
        f"and set {server.setting} to it.",
        exchange=exchange,
    )


def _unexpected(exchange: Exchange, wanted: str) -> Failure:
    """The answer is there, and it is not one of this API's."""
    if exchange.body is None:
        kind = exchange.headers.get("content-type", "no content type")[:60]
        what = f"answered with status {exchange.status} and something that is not JSON ({kind})"
    else:
        what = f"answered with status {exchange.status} and JSON that is not {wanted}"
    return _strange(exchange.server, what, exchange)


def _refused(exchange: Exchange, wanted: str) -> Failure:
    server, because = exchange.server, f": {exchange.detail}" if exchange.detail else "."
    if exchange.body is None or exchange.status not in (400, 503):
        return _unexpected(exchange, wanted)
    if exchange.status == 400:
        return Failure(
            server,
            f"{server.name} refused the input{because}",
            "Change the value that it names and send it again.",
            exchange=exchange,
        )
    return Failure(
        server,
        f"{server.name} is running, but has no model{because}",
        "Train one; the server takes it up at the next request, without a restart.",
        TRAIN,
        exchange,
    )

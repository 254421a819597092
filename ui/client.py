"""Everything that this page says to a server over HTTP.

Nothing here raises for what a server or the network does. Every call returns either what was asked for or a
`Failure`: one sentence on what happened, one on what to do next.

The page works with the full servers and with the minimal ones of the lessons. Where those say less, this is
the only file that knows it.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from ui import answers
from ui.answers import Exchange, Failure
from ui.card import Card, read_card
from ui.metrics import Sample, read_sample
from ui.prediction import Prediction, read_predictions
from ui.servers import Server

Read = TypeVar("Read")

CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 3.0  # to the last byte; long enough for a Flask that loads its model at this request
BATCH_SECONDS = 10.0  # a server gives a prediction up after 5
LARGEST_ANSWER = 1_000_000  # bytes
LARGEST_BATCH = 16_000_000  # bytes; 1,000 rows of 100 classes and more
JSON = {"Content-Type": "application/json"}
PREDICT = "/predict"
ASKING = "/predict?probabilities=true"  # a minimal server gives them to those who ask
BATCH = "/predict/batch"

# One client, so that connections are kept alive; no proxy between this page and 127.0.0.1. A server closes
# an idle connection after 5 s (uvicorn), so it is given up before.
_http = httpx.Client(trust_env=False, limits=httpx.Limits(keepalive_expiry=4))


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

    @property
    def minimal(self) -> bool:
        """Whether it is a one-page server, which has no metrics."""
        return self.app in ("fastapi_api_example", "flask_api_example")


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
) -> Exchange | Failure:
    """Send one request as it is and read the whole answer, of at most `largest` bytes, within `seconds`,
    whatever its status. `trace` is told of each step (https://www.python-httpx.org/advanced/extensions/)."""
    url = server.url + path
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


def send_again(exchange: Exchange) -> Exchange | Failure:
    """The same request once more, to the same server, which gives it an id of its own."""
    headers = {name: value for name, value in exchange.sent_headers.items() if name.lower() == "content-type"}
    content = exchange.sent.encode() if exchange.method == "POST" else None
    return send(exchange.server, exchange.method, exchange.path, content, headers)


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
        return answers.unexpected(exchange, "its health")
    model = body.get("model") if isinstance(body.get("model"), dict) else {}
    uptime = body.get("uptime_seconds")
    return Health(
        exchange=exchange,
        ready=exchange.status == 200,
        app=body["app"],
        uptime_seconds=uptime if isinstance(uptime, int | float) and 0 <= uptime < 1e10 else None,
        model=_text(model.get("name")),
        version=_text(model.get("version")),
        reason=exchange.detail,
    )


def metrics(server: Server) -> Sample | Failure:
    """What the server has counted so far, from its own port for metrics."""
    return counted(server, lambda text: read_sample(text, time.monotonic()))


def counted(server: Server, read: Callable[[str], Read]) -> Read | Failure:
    """What `read` makes of the text of /metrics; its ValueError says why the text is none of ours."""
    exchange = send(replace(server, url=server.metrics_url), "GET", "")
    if isinstance(exchange, Failure):
        return answers.no_metrics(server, "no answer came")
    if exchange.status != 200:
        return answers.no_metrics(server, f"the answer has status {exchange.status}")
    try:
        return read(exchange.text)
    except ValueError as error:
        return answers.no_metrics(server, f"what came is {error}")


def model_card(server: Server) -> Card | Failure:
    """GET /model: what the model takes and gives."""
    exchange = send(server, "GET", "/model")
    if isinstance(exchange, Failure):
        return exchange
    if exchange.status != 200:
        return answers.refused(exchange, "its model card")
    try:
        return read_card(exchange.body)
    except ValueError as error:
        return answers.unexpected(exchange, f"its model card ({error})")


def first_card(candidates: Iterable[Server]) -> tuple[Card | None, list[Failure]]:
    """The card of the first server that has one, and why those asked before it had none."""
    failures = []
    for server in candidates:
        card = model_card(server)
        if isinstance(card, Card):
            return card, failures
        failures.append(card)
    return None, failures


def predict_body(features: list[float]) -> bytes:
    return json.dumps({"features": features}).encode()


def batch_body(rows: list[list[float]]) -> bytes:
    return json.dumps({"instances": rows}).encode()


def predict(
    server: Server,
    features: list[float],
    card: Card,
    *,
    path: str = PREDICT,
    request_id: str = "",
    trace: Callable[[str, dict], None] | None = None,
) -> tuple[Prediction, Exchange] | Failure:
    """POST /predict with one row of features. A server that then keeps the probabilities of its classes to
    itself is asked for them. `trace` as in `send`."""
    headers = {**JSON, **({"X-Request-ID": request_id} if request_id else {})}
    exchange = send(server, "POST", path, predict_body(features), headers, trace=trace)
    if path == PREDICT and card.classes and isinstance(exchange, Exchange) and _is_minimal(exchange):
        return predict(server, features, card, path=ASKING, request_id=request_id, trace=trace)
    found = _predictions(exchange, card, 1)
    return found if isinstance(found, Failure) else (found[0], exchange)


def predict_batch(
    server: Server, rows: list[list[float]], card: Card
) -> tuple[list[Prediction], Exchange] | Failure | None:
    """POST /predict/batch: a prediction for each row, in their order, or none at all. None where the server
    has no such route."""
    exchange = send(
        server, "POST", BATCH, batch_body(rows), JSON, seconds=BATCH_SECONDS, largest=LARGEST_BATCH
    )
    if isinstance(exchange, Exchange) and exchange.status == 404 and exchange.body is not None:
        return None
    found = _predictions(exchange, card, len(rows))
    return found if isinstance(found, Failure) else (found, exchange)


def _predictions(exchange: Exchange | Failure, card: Card, n: int) -> list[Prediction] | Failure:
    if isinstance(exchange, Failure):
        return exchange
    if exchange.status != 200:
        return answers.refused(exchange, "a prediction")
    try:
        return read_predictions(exchange.body, card, n)
    except ValueError as error:
        return answers.unexpected(exchange, f"a prediction ({error})")


def _is_minimal(exchange: Exchange) -> bool:
    """A minimal server answers with the prediction and nothing else."""
    return exchange.status == 200 and isinstance(exchange.body, dict) and set(exchange.body) == {"prediction"}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text(value: Any) -> str | None:
    return value[:200] if isinstance(value, str) else None

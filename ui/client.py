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

from ui import answers, sign_in, transport
from ui.answers import Exchange, Failure
from ui.card import Card, read_card
from ui.explanation import Explanation, read_explanation
from ui.metrics import Rollout, Sample, read_rollout, read_sample
from ui.prediction import Prediction, read_predictions
from ui.servers import Server

Read = TypeVar("Read")

BATCH_SECONDS = 10.0  # a server gives a prediction up after 5
EXPLAIN_SECONDS = 20.0  # a server gives an explanation up after 2, unless it was told otherwise
LARGEST_BATCH = 16_000_000  # bytes; 1,000 rows of 100 classes and more
JSON = {"Content-Type": "application/json"}
PREDICT = "/predict"
ASKING = "/predict?probabilities=true"  # a minimal server gives them to those who ask
BATCH = "/predict/batch"
EXPLAIN = "/explain"


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
    **options: Any,
) -> Exchange | Failure:
    """`transport.send`, with what this visitor is signed in with at that server."""
    return transport.send(
        server, method, path, content, headers, credential=sign_in.current().credential(server), **options
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


def metrics(server: Server) -> tuple[Sample, Rollout | None] | Failure:
    """What the server has counted so far, from its own port for metrics; and by role, where it follows a
    registry."""

    def read(text: str) -> tuple[Sample, Rollout | None]:
        now = time.monotonic()
        return read_sample(text, now), read_rollout(text, now)

    return counted(server, read)


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


def explain(server: Server, features: list[float], card: Card) -> Explanation | Failure:
    """POST /explain: what each feature did to the answer."""
    exchange = send(server, "POST", EXPLAIN, predict_body(features), JSON, seconds=EXPLAIN_SECONDS)
    if isinstance(exchange, Failure):
        return exchange
    if exchange.status == 404 and exchange.body is not None:
        return answers.no_explanations(exchange)
    if exchange.status != 200:
        return answers.refused(exchange, "an explanation")
    try:
        return read_explanation(exchange.body, card)
    except ValueError as error:
        return answers.unexpected(exchange, f"an explanation ({error})")


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


def _text(value: Any) -> str | None:
    return value[:200] if isinstance(value, str) else None

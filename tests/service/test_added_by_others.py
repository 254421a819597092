"""What others have written to be added to a FastAPI or a Flask app does on the full servers what it does on a
bare one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.testclient import TestClient
from flask import Flask
from flask_cors import CORS
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel

from apps import fastapi_app, flask_app
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("model")
ROOT = Path(__file__).resolve().parents[2]
ROW = {"features": [5.1, 3.5, 1.4, 0.2]}
PAGE = "https://page.example"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type",
}


class Row(BaseModel):
    features: list[float]


def bare_fastapi() -> FastAPI:
    app = FastAPI()

    @app.post("/predict")
    async def predict(row: Row) -> dict:
        return {}

    return app


def bare_flask() -> Flask:
    app = Flask(__name__)
    app.post("/predict")(dict)
    return app


def ready(client):
    until(lambda: client.get("/health/ready").status_code != 503)
    return client


@pytest.mark.parametrize("create_app", [bare_fastapi, fastapi_app.create_app])
def test_opentelemetrys_instrument_sees_each_request_by_its_route_and_what_it_raises(create_app):
    app, seen, provider = create_app(), InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(seen))
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)

    @app.get("/seats/{number}")
    async def seat(number: int):
        raise RuntimeError("no such luck")

    with TestClient(app, raise_server_exceptions=False) as client:
        ready(client)
        seen.clear()
        for status, answer in ((200, client.post("/predict", json=ROW)), (500, client.get("/seats/7"))):
            assert answer.status_code == status
        assert client.get("/nope").status_code == 404
    spans = [span for span in seen.get_finished_spans() if span.kind.name == "SERVER"]
    assert [span.name for span in spans] == ["POST /predict", "GET /seats/{number}", "GET"]
    [event] = spans[1].events
    assert event.attributes["exception.message"] == "no such luck"


SENTRY = """
import json
import sentry_sdk
from tests.service import test_added_by_others as here

told = []
sentry_sdk.init(
    "http://key@127.0.0.1:9/1",
    transport=lambda _: None,
    traces_sample_rate=1.0,
    before_send=lambda event, _: told.append(["error", event["transaction"]]),
    before_send_transaction=lambda event, _: told.append(["request", event["transaction"]]),
)
app = here.{create_app}()


def seat():
    raise RuntimeError("no such luck")


app.get("/seat")(seat)
with {client} as client:
    here.ready(client)
    told.clear()
    assert client.post("/predict", json=here.ROW).status_code == 200
    assert client.get("/seat").status_code == 500
print(json.dumps(told))
"""
CLIENTS = {
    "bare_fastapi": "here.TestClient(app, raise_server_exceptions=False)",
    "fastapi_app.create_app": "here.TestClient(app, raise_server_exceptions=False)",
    "bare_flask": "app.test_client()",
    "flask_app.create_app": "app.test_client()",
}
VIEWS = {"flask_app.create_app": ["predictions.predict", "seat"], "bare_flask": ["dict", "seat"]}


@pytest.mark.parametrize("create_app", CLIENTS)
def test_sentry_is_told_of_faults_and_knows_requests_by_their_routes(create_app):
    """In a process of its own: it changes the frameworks for good."""
    code = SENTRY.format(create_app=create_app, client=CLIENTS[create_app])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    predict, seat = VIEWS.get(create_app, ["/predict", "/seat"])
    told = json.loads(done.stdout.splitlines()[-1])
    assert [name for kind, name in told if kind == "request"] == [predict, seat]
    assert {name for kind, name in told if kind == "error"} == {seat}


@pytest.mark.parametrize("create_app", [bare_flask, flask_app.create_app])
def test_flask_cors_lets_one_page_ask_and_read_what_a_view_answers(create_app):
    app = create_app()
    CORS(app, origins=[PAGE])
    client = ready(app.test_client())
    asked = client.options("/predict", headers=PREFLIGHT)
    assert asked.status_code == 200 and "POST" in asked.headers["Access-Control-Allow-Methods"]
    for answer in (asked, client.post("/predict", json=ROW, headers=PREFLIGHT), client.get("/nope")):
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert client.post("/predict", json=ROW).status_code == 200
    assert client.options("/nope", headers=PREFLIGHT).status_code == 404
    assert client.options("/predict").status_code == (405 if create_app is flask_app.create_app else 200)


@pytest.mark.filterwarnings("ignore:Duplicate Operation ID")  # of GET and HEAD, which have one view
@pytest.mark.parametrize("create_app", [bare_fastapi, fastapi_app.create_app])
def test_a_document_of_ones_own_takes_the_place_of_fastapis(create_app):
    app = create_app()
    served = app.openapi()

    def own():
        """As https://fastapi.tiangolo.com/how-to/extending-openapi/ has it."""
        return get_openapi(title="Seats", version="7", routes=app.routes)

    with TestClient(app) as client:
        ready(client)
        before = client.get("/openapi.json").json()
        assert before["info"] == served["info"] and "/predict" in before["paths"]
        app.openapi = own
        document = client.get("/openapi.json").json()
    assert document["info"] == {"title": "Seats", "version": "7"} and "/predict" in document["paths"]


@pytest.mark.parametrize("create_app", [bare_fastapi, fastapi_app.create_app])
def test_a_middleware_knows_afterwards_which_route_it_was(create_app):
    app, known = create_app(), []

    @app.middleware("http")
    async def look(request: Request, call_next):
        answer = await call_next(request)
        scope = request.scope
        known.append((scope["route"].path, scope["endpoint"].__name__, request.path_params))
        return answer

    with TestClient(app) as client:
        until(lambda: client.post("/predict", json=ROW).status_code == 200)
    assert known[-1] == ("/predict", "predict", {})

"""A full server as a part of a larger app, under a path of it."""

import json
import re
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urljoin

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from apps import fastapi_app, flask_app
from tests.waiting import until

ROW = {"features": [5.1, 3.5, 1.4, 0.2]}


@contextmanager
def fastapi_client() -> Iterator:
    app = fastapi_app.create_app()

    @asynccontextmanager
    async def lifespan(_):
        async with app.router.lifespan_context(app):  # FastAPI runs none of what is mounted
            yield

    larger = FastAPI(lifespan=lifespan)
    larger.mount("/ml", app)
    with TestClient(larger) as client:
        yield client


@contextmanager
def flask_client() -> Iterator:
    larger = Flask(__name__)
    larger.wsgi_app = DispatcherMiddleware(larger.wsgi_app, {"/ml": flask_app.create_app()})
    yield larger.test_client()


both = pytest.mark.parametrize("client_of", [fastapi_client, flask_client])


def routes_in(capfd) -> list[str]:
    """Those of the requests that the log has."""
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    return [line["route"] for line in lines if line["event"] == "request"]


@both
def test_it_answers_and_its_log_has_its_own_routes(model, capfd, client_of):
    with client_of() as client:
        until(lambda: client.get("/ml/health/ready").status_code == 200)
        answers = [
            client.post("/ml/predict", json=ROW),
            client.put("/ml/predict"),
            client.get("/ml/v2/models/iris"),
        ]
    assert [answer.status_code for answer in answers] == [200, 405, 200]
    assert answers[1].headers["Allow"] == "POST"
    assert routes_in(capfd)[-3:] == ["/predict", "/predict", "/v2/models/{name}"]


@both
def test_its_links_lead_to_it(model, monkeypatch, tmp_path, client_of):
    monkeypatch.setenv("ACCESS", "on")
    monkeypatch.setenv("ACCESS_PATH", str(tmp_path))
    with client_of() as client:
        refused = json.loads(client.get("/ml/nothing").text)
        seen = {refused["type"], "/ml/docs", "/ml/problems", "/ml/problems/not-found"}
        for page in sorted(seen):
            links = re.findall(r'(?:href|src|url)[=:] ?"([^"]+)"', client.get(page).text)
            assert len(links) >= 2
            seen |= {urljoin(page, link) for link in links}
        assert {path: client.get(path).status_code for path in seen} == dict.fromkeys(seen, 200)
        document = json.loads(client.get("/ml/openapi.json").text)
    assert document["servers"] == [{"url": "/ml"}]
    flows = document["components"]["securitySchemes"]["token"]["flows"]
    assert flows["password"]["tokenUrl"] == "/ml/token"


@both
def test_links_of_jobs_lead_to_them(model, monkeypatch, tmp_path, client_of):
    monkeypatch.setenv("JOBS", "on")
    monkeypatch.setenv("JOBS_FOLDER", str(tmp_path))
    with client_of() as client:
        until(lambda: client.get("/ml/health/ready").status_code == 200)
        answer = client.post("/ml/jobs", json={"instances": [ROW["features"]]})
        [listed] = json.loads(client.get("/ml/jobs").text)["jobs"]
        assert answer.status_code == 202 and answer.headers["Location"] == listed["links"]["self"]
        told = json.loads(client.get(listed["links"]["self"]).text)
        assert told["id"] == listed["id"] and told["links"] == listed["links"]
        assert client.get(told["links"]["result_csv"]).status_code == 409  # there is no worker


@pytest.mark.parametrize(
    ("root", "path"),
    [("/ml", "/ml/predict"), ("/ml", "/predict"), ("/ml/", "/predict"), ("/pre", "/predict")],
)
def test_behind_a_proxy_that_leaves_the_path_or_takes_it_away(model, capfd, root, path):
    with TestClient(fastapi_app.create_app(), root_path=root) as client:
        until(lambda: client.get("/health/ready").status_code == 200)
        refused = client.put(path)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")
    assert refused.json()["type"] == f"{root.rstrip('/')}/problems/method-not-allowed"
    assert routes_in(capfd)[-1] == "/predict"

"""A full server as a part of a larger app, under a path of it."""

import json
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from apps import fastapi_app, flask_app
from tests.waiting import until

ROW = {"features": [5.1, 3.5, 1.4, 0.2]}


def asked_of_fastapi() -> list:
    app = fastapi_app.create_app()

    @asynccontextmanager
    async def lifespan(_):
        async with app.router.lifespan_context(app):  # FastAPI runs none of what is mounted
            yield

    larger = FastAPI(lifespan=lifespan)
    larger.mount("/ml", app)
    with TestClient(larger) as client:
        return asked(client)


def asked_of_flask() -> list:
    larger = Flask(__name__)
    larger.wsgi_app = DispatcherMiddleware(larger.wsgi_app, {"/ml": flask_app.create_app()})
    return asked(larger.test_client())


def asked(client) -> list:
    until(lambda: client.get("/ml/health/ready").status_code == 200)
    return [client.post("/ml/predict", json=ROW), client.put("/ml/predict"), client.get("/ml/v2/models/iris")]


@pytest.mark.parametrize("ask", [asked_of_fastapi, asked_of_flask])
def test_it_answers_and_its_log_has_its_own_routes(model, capfd, ask):
    answers = ask()
    assert [answer.status_code for answer in answers] == [200, 405, 200]
    assert answers[1].headers["Allow"] == "POST"
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    routes = [line["route"] for line in lines if line["event"] == "request"]
    assert routes[-3:] == ["/predict", "/predict", "/v2/models/{name}"]
